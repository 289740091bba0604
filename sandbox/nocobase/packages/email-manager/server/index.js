/**
 * Stand-in for NocoBase's commercial email manager, for development and tests.
 *
 * It keeps the providers' settings (collection mailSettings, and one for each other layout) and answers mail:oauth2url
 * from what is stored at that moment. It reads and sends no mail and asks nobody anything.
 */
const { Plugin } = require('@nocobase/server');
const { LAYOUTS } = require('./layout');
const { signInUrl } = require('./sign-in');

const PROVIDERS = ['google', 'microsoft'];

class PluginEmailManager extends Plugin {
  async load() {
    const actions = Object.keys(LAYOUTS).map((name) => `${name}:*`);
    this.app.acl.registerSnippet({ name: `pm.${this.name}`, actions });
    this.app.acl.allow('mail', 'oauth2url', 'loggedIn');
    this.app.resourceManager.define({ name: 'mail', actions: { oauth2url } });
  }

  /** One row for each provider, without credentials: what an administrator finds on the first visit; or none. */
  async install() {
    for (const [name, { rows, emptyRow }] of Object.entries(LAYOUTS)) {
      if (rows !== false) {
        const values = PROVIDERS.map((type, position) => ({ type, sort: position + 1, ...emptyRow }));
        await this.db.getRepository(name).create({ values });
      }
    }
  }
}

/** The sign-in address of the provider `type`, from `settings`, the collection of another layout than the usual one. */
async function oauth2url(ctx, next) {
  const { type, settings = 'mailSettings' } = ctx.action.params;
  if (!PROVIDERS.includes(type)) {
    ctx.throw(400, `Unknown mail provider: ${type}`);
  }
  const row = await ctx.db.getRepository(settings).findOne({ filter: { type } });
  const { clientId, clientSecret } = row ? LAYOUTS[settings].credentials(row) : {};
  if (!clientId || !clientSecret) {
    ctx.throw(400, `The mail provider ${type} has no client ID or client secret`);
  }
  ctx.body = { url: signInUrl(type, clientId, callback(ctx)) };
  await next();
}

/** Where the provider sends the user back to: below the address that this request was made to. */
function callback(ctx) {
  const publicPath = `/${process.env.APP_PUBLIC_PATH || ''}/`.replace(/\/+/g, '/');
  const application = ctx.app.name === 'main' ? '' : `apps/${ctx.app.name}/`;
  return `${origin(ctx)}${publicPath}${application}admin/settings/mail/oauth2`;
}

function origin(ctx) {
  const protocol = ctx.get('X-Forwarded-Proto').split(',')[0].trim() || ctx.protocol;
  const host = ctx.get('X-Forwarded-Host').split(',')[0].trim() || ctx.host;
  return `${protocol}://${host}`;
}

module.exports = PluginEmailManager;
module.exports.default = PluginEmailManager;
