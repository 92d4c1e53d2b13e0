import { readFileSync } from 'node:fs';

import { createLocalJWKSet, jwtVerify } from 'jose';

import { errorPage, showPicture, signedOutPage } from './pages.mjs';
import { endSession } from './sessions.mjs';

/** @typedef {import('./identity.mjs').Identity} Identity */

const PUBLIC = Object.fromEntries(
  [['style.css', 'text/css'], ['icon.svg', 'image/svg+xml']].map(([name, type]) => [
    `/public/${name}`,
    { type, body: readFileSync(new URL(`../public/${name}`, import.meta.url)) },
  ]),
);

/**
 * What Auth0 has and the library has not, and files: a table of handlers by method and path.
 * @param {Identity} identity
 * @returns {import('koa').Middleware}
 */
export function auth0Routes(identity) {
  const userinfo = userinfoForApiTokens(identity);
  const routes = {
    'GET /healthz': (ctx) => { ctx.body = { status: 'ok' }; },
    'GET /v2/logout': (ctx) => logout(ctx, identity.provider),
    'GET /userinfo': userinfo,
    'POST /userinfo': userinfo,
    ...Object.fromEntries(Object.keys(PUBLIC).map((path) => [`GET ${path}`, serveFile])),
  };
  return (ctx, next) => {
    const handler = routes[`${ctx.method === 'HEAD' ? 'GET' : ctx.method} ${ctx.path}`] ?? picture(ctx, identity);
    return handler ? handler(ctx, next) : next();
  };
}

function serveFile(ctx) {
  ctx.type = PUBLIC[ctx.path].type;
  ctx.set('Cache-Control', 'public, max-age=3600');
  ctx.body = PUBLIC[ctx.path].body;
}

function picture(ctx, { accounts }) {
  const [, nickname] = /^\/picture\/([^/]+)\.svg$/.exec(ctx.path) ?? [];
  const user = nickname && ctx.method === 'GET' && accounts.pictured(decode(nickname));
  return user && (() => showPicture(ctx, user.name));
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Auth0's logout: `client_id` and `returnTo`, which must be among the client's; without it, the client's first one.
 * Nothing is ended by a link that is wrong.
 */
async function logout(ctx, provider) {
  const { client_id: clientId, returnTo } = ctx.query;
  const client = clientId === undefined ? undefined : await provider.Client.find(String(clientId));
  if (clientId !== undefined && !client) return refuse(ctx, 'The client_id is not known.');
  const allowed = client?.postLogoutRedirectUris ?? [];
  if (returnTo !== undefined && !allowed.some((url) => sameAddress(url, returnTo))) {
    return refuse(ctx, 'The returnTo address is not among the allowed logout URLs of the client.');
  }
  const session = await provider.Session.get(ctx);
  if (session.accountId) await endSession(provider, session, ctx);
  ctx.cookies.set(provider.cookieName('session'), null, { path: '/', httpOnly: true, secure: true, sameSite: 'lax' });
  const target = returnTo ?? allowed[0];
  if (target === undefined) return signedOutPage(ctx);
  ctx.redirect(target);
}

function refuse(ctx, description) {
  ctx.status = 400;
  errorPage(ctx, 'invalid_request', description);
}

/** As Auth0 compares: query string and fragment do not count. */
function sameAddress(allowed, given) {
  if (typeof given !== 'string' || !URL.canParse(given)) return false;
  const [left, right] = [new URL(allowed), new URL(given)];
  return left.origin === right.origin && left.pathname === right.pathname && !right.username && !right.password;
}

/** Auth0 answers /userinfo for an API's access token too; the library only for opaque ones, which go on to it. */
function userinfoForApiTokens({ accounts, issuer, provider, keys }) {
  const publicKeys = createLocalJWKSet({ keys: keys.map(({ kty, n, e, kid, alg, use }) => ({ kty, n, e, kid, alg, use })) });
  return async (ctx, next) => {
    const [, token] = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(ctx.get('authorization')) ?? [];
    if (!token) return next();
    try {
      const { payload } = await jwtVerify(token, publicKeys, {
        issuer, audience: `${issuer}userinfo`, typ: 'at+jwt', algorithms: ['RS256'], currentDate: new Date(Date.now()),
      });
      const client = await provider.Client.find(payload.client_id);
      const claims = new provider.Claims({ sub: payload.sub, ...accounts.claims(payload.sub, payload.org_id) }, { ctx, client });
      ctx.set('Cache-Control', 'no-store');
      ctx.body = await claims.scope(payload.scope).result();
    } catch {
      ctx.status = 401;
      ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"');
      ctx.body = { error: 'invalid_token', error_description: 'invalid token provided' };
    }
  };
}
