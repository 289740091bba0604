/**
 * Where a row keeps the two credentials. The real plugin's field names are not public, so the sandbox can show several
 * layouts; SANDBOX_MAIL_LAYOUT names one for the life of a database.
 *
 * The secret is stored as it is, in plain text: the plugin must be able to send it to the token endpoint.
 */
const SYNC = { mailbox: 'INBOX', days: 30, attachments: true };

const LAYOUTS = {
  camel: columns('clientId', 'clientSecret'),
  snake: columns('client_id', 'client_secret'),
  options: {
    fields: [],
    emptyRow: { options: { sync: SYNC, clientId: '', clientSecret: '' } },
    credentials: (row) => row.get('options') || {},
  },
  text: {
    fields: [{ type: 'text', name: 'settings' }],
    emptyRow: { settings: JSON.stringify({ sync: SYNC, clientId: '', clientSecret: '' }) },
    credentials: (row) => JSON.parse(row.get('settings') || '{}'),
  },
  empty: { ...columns('clientId', 'clientSecret'), rows: false },
};

function columns(id, secret) {
  return {
    fields: [
      { type: 'string', name: id },
      { type: 'text', name: secret, hidden: true },
    ],
    emptyRow: { options: { sync: SYNC } },
    credentials: (row) => ({ clientId: row.get(id), clientSecret: row.get(secret) }),
  };
}

function layout() {
  return LAYOUTS[process.env.SANDBOX_MAIL_LAYOUT || 'camel'];
}

module.exports = { layout };
