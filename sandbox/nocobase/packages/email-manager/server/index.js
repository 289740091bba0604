/**
 * Stand-in for NocoBase's commercial email manager, for development and tests.
 *
 * It keeps the providers' settings (collection mailSettings) and answers mail:oauth2url from what is stored at that
 * moment. It reads and sends no mail and asks nobody anything.
 */
const { Plugin } = require('@nocobase/server');
const { layout } = require('./layout');
const { signInUrl } = require('./sign-in');

const PROVIDERS = ['google', 'microsoft'];

class PluginEmailManager extends Plugin {
  async load() {
    this.app.acl.registerSnippet({ name: `pm.${this.name}`, actions: ['mailSettings:*'] });
    this.app.acl.allow('mail', 'oauth2url', 'loggedIn');
    this.app.resourceManager.define({ name: 'mail', actions: { oauth2url } });
  }

  /** One row for each provider, without credentials: what an administrator finds on the first visit; or none. */
  async install() {
    if (layout().rows === false) {
      return;
    }
    const rows = PROVIDERS.map((type, position) => ({ type, sort: position + 1, ...layout().emptyRow }));
    await this.db.getRepository('mailSettings').create({ values: rows });
  }
}

async function oauth2url(ctx, next) {
  const { type } = ctx.action.params;
  if (!PROVIDERS.includes(type)) {
    ctx.throw(400, `Unknown mail provider: ${type}`);
  }
  const row = await ctx.db.getRepository('mailSettings').findOne({ filter: { type } });
  const { clientId, clientSecret } = row ? layout().credentials(row) : {};
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
