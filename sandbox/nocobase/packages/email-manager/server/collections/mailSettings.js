module.exports = require('../layout').collection('mailSettings');
