/** One row for each mail provider. */
const { defineCollection } = require('@nocobase/database');
const { layout } = require('../layout');

module.exports = defineCollection({
  name: 'mailSettings',
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
    ...layout().fields,
  ],
});
