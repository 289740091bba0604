/** The address of the provider's sign-in page, as an OAuth 2.0 authorization request (RFC 6749, section 4.1.1). */
const { randomBytes } = require('crypto');

const AUTHORIZE = {
  google: 'https://accounts.google.com/o/oauth2/v2/auth',
  microsoft: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
};

const SCOPES = {
  google: ['email', 'https://mail.google.com/'],
  microsoft: [
    'email',
    'offline_access',
    'https://outlook.office.com/IMAP.AccessAsUser.All',
    'https://outlook.office.com/SMTP.Send',
  ],
};

function signInUrl(type, clientId, redirectUri) {
  const url = new URL(AUTHORIZE[type]);
  url.searchParams.set('client_id', clientId);
  url.searchParams.set('redirect_uri', redirectUri);
  url.searchParams.set('response_type', 'code');
  url.searchParams.set('scope', SCOPES[type].join(' '));
  url.searchParams.set('state', randomBytes(16).toString('hex'));
  return url.toString();
}

module.exports = { signInUrl };
