module.exports = require('../layout').collection('mailSettingsText');
