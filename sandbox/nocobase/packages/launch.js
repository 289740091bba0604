/**
 * Starts the unmodified NocoBase server with the settings that its own command line (@nocobase/app) would give it.
 * What belongs to one sandbox (port, storage, keys) comes from the environment; see sandbox/nocobase/server.py. So does
 * a database other than SQLite.
 */
const path = require('path');

const storage = process.env.STORAGE_PATH;
const modules = path.join(__dirname, 'node_modules');

Object.assign(process.env, {
  API_BASE_PATH: `${process.env.APP_PUBLIC_PATH}api/`,
  API_CLIENT_SHARE_TOKEN: 'false',
  API_CLIENT_STORAGE_PREFIX: 'NOCOBASE_',
  API_CLIENT_STORAGE_TYPE: 'localStorage',
  APP_ENV: 'production',
  APP_PACKAGE_ROOT: __dirname,
  CACHE_DEFAULT_STORE: 'memory',
  CDN_BASE_URL: '',
  DB_TIMEZONE: '+00:00',
  DB_UNDERSCORED: 'false',
  DEFAULT_STORAGE_TYPE: 'local',
  LOCAL_STORAGE_DEST: path.join(storage, 'uploads'),
  LOGGER_LEVEL: 'warn',
  LOGGER_TRANSPORT: 'console',
  NODE_MODULES_PATH: modules,
  PLUGIN_STATICS_PATH: `${process.env.APP_PUBLIC_PATH}static/plugins/`,
  PLUGIN_STORAGE_PATH: path.join(storage, 'plugins'),
  TZ: 'UTC',
  WS_PATH: `${process.env.APP_PUBLIC_PATH}ws`,
  ...(process.env.DB_DIALECT ? {} : { DB_DIALECT: 'sqlite', DB_STORAGE: path.join(storage, 'nocobase.sqlite') }),
});
process.chdir(__dirname);

async function launch() {
  const { Gateway, runPluginStaticImports } = require('@nocobase/server');
  const { parseDatabaseOptionsFromEnv } = require('@nocobase/database');
  const { getLoggerLevel, getLoggerTransport } = require('@nocobase/logger');
  const log = { transports: getLoggerTransport(), level: getLoggerLevel() };
  await runPluginStaticImports();
  await Gateway.getInstance().run({
    mainAppOptions: {
      cacheManager: { defaultStore: 'memory', stores: { memory: { store: 'memory', max: 2000 } } },
      database: await parseDatabaseOptionsFromEnv(),
      // The request log would hold the values of every request, a client secret among them.
      logger: { request: { ...log, silent: true }, system: log },
      plugins: ['nocobase'],
      resourcer: { prefix: process.env.API_BASE_PATH },
      telemetry: { serviceName: 'nocobase', enabled: false },
    },
  });
}

launch();
