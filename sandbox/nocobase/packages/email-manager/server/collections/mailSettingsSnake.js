module.exports = require('../layout').collection('mailSettingsSnake');
