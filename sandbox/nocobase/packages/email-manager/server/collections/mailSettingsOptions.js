module.exports = require('../layout').collection('mailSettingsOptions');
