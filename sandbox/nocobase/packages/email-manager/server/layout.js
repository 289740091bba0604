/**
 * The collections of settings, one for each layout: where a row keeps the two credentials. The real plugin's field names
 * are not public. The product is meant for mailSettings; the others show it what else it might meet.
 *
 * The secret is stored as it is, in plain text: the plugin must be able to send it to the token endpoint.
 */
const { defineCollection } = require('@nocobase/database');

const SYNC = { mailbox: 'INBOX', days: 30, attachments: true };

const LAYOUTS = {
  mailSettings: columns('clientId', 'clientSecret'),
  mailSettingsSnake: columns('client_id', 'client_secret'),
  mailSettingsOptions: {
    fields: [],
    emptyRow: { options: { sync: SYNC, clientId: '', clientSecret: '' } },
    credentials: (row) => row.get('options') || {},
  },
  mailSettingsText: {
    fields: [{ type: 'text', name: 'settings' }],
    emptyRow: { settings: JSON.stringify({ sync: SYNC, clientId: '', clientSecret: '' }) },
    credentials: (row) => JSON.parse(row.get('settings') || '{}'),
  },
  mailSettingsEmpty: { ...columns('clientId', 'clientSecret'), rows: false },
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

/** One row for each mail provider. */
function collection(name) {
  return defineCollection({
    name,
    title: 'Mail settings',
    autoGenId: false,
    createdAt: true,
    updatedAt: true,
    fields: [
      { type: 'snowflakeId', name: 'id', primaryKey: true, allowNull: false },
      { type: 'string', name: 'type', unique: true, allowNull: false },
      { type: 'boolean', name: 'enabled', defaultValue: true },
      { type: 'integer', name: 'sort' },
      { type: 'integer', name: 'syncInterval', defaultValue: 300 },
      { type: 'json', name: 'options' },
      ...LAYOUTS[name].fields,
    ],
  });
}

module.exports = { LAYOUTS, collection };
