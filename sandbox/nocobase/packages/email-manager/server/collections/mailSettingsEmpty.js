module.exports = require('../layout').collection('mailSettingsEmpty');
