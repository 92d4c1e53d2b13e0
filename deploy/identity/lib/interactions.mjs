import { errors } from 'oidc-provider';

import { wantsMultiFactor } from './authorization.mjs';
import { endSession } from './sessions.mjs';
import { consentPage, errorPage, signInPage } from './pages.mjs';

const BODY_LIMIT = 16 * 1024;

const PERMISSIONS = {
  openid: 'knowing who you are',
  profile: 'your name, nickname and picture',
  email: 'your e-mail address',
  offline_access: 'access while you are away',
};

/**
 * The forms to which the library sends a browser when an authorization needs its user.
 * Each is bound to that browser by the library's interaction cookie, whose path is the form's own address and which
 * no other site's POST carries (SameSite=Lax): that is the protection against forged requests.
 * @param {import('./identity.mjs').Identity} identity
 * @returns {import('koa').Middleware}
 */
export function interactions({ accounts, attempts, provider }) {
  const forms = { login: signInForm(accounts, attempts), consent: consentForm(accounts) };
  return async (ctx, next) => {
    const [, name] = /^\/u\/(login|consent)\/[\w-]+$/.exec(ctx.path) ?? [];
    if (!name || !['GET', 'POST'].includes(ctx.method)) return next();
    const interaction = await find(ctx, provider);
    if (interaction?.prompt.name !== name) {
      ctx.status = 400;
      return errorPage(ctx, 'invalid_request', 'This page has expired or was already used.');
    }
    const client = await provider.Client.find(interaction.params.client_id);
    const state = { client: client.clientName, redirectUri: interaction.params.redirect_uri };
    if (ctx.method === 'GET') return forms[name].show(ctx, interaction, state);
    const fields = await readForm(ctx);
    const result = fields.action === 'cancel'
      ? { error: 'access_denied', error_description: 'User cancelled the sign-in' }
      : await forms[name].submit(ctx, interaction, state, fields, provider);
    if (result) await proceed(ctx, provider, result);
  };
}

async function find(ctx, provider) {
  try {
    return await provider.interactionDetails(ctx.req, ctx.res);
  } catch (error) {
    if (error instanceof errors.SessionNotFound) return undefined;
    throw error;
  }
}

async function proceed(ctx, provider, result) {
  const location = await provider.interactionResult(ctx.req, ctx.res, result);
  ctx.status = 303;
  ctx.redirect(location);
}

function signInForm(accounts, attempts) {
  const described = ({ params }, state) => ({
    ...state,
    organization: params.organization && accounts.organization(params.organization).display_name,
    username: params.login_hint ?? accounts.organization(params.organization ?? '')?.invitations?.[params.invitation],
    signup: params.screen_hint === 'signup',
  });
  return {
    show: (ctx, interaction, state) => signInPage(ctx, described(interaction, state)),

    async submit(ctx, interaction, state, { username = '', password = '' }, provider) {
      const again = (status, problem) =>
        void signInPage(ctx, { ...described(interaction, state), username, problem, status });
      const wait = attempts.wait(username);
      if (wait > 0) {
        ctx.set('Retry-After', String(wait));
        return again(429, 'Too many attempts for this user. Wait a minute and try again.');
      }
      const user = accounts.authenticate(username, password);
      if (!user) {
        attempts.failed(username);
        return again(400, 'Wrong user name or password.');
      }
      return refusal(user, interaction) ?? signIn(interaction, user, provider, ctx);
    },
  };

  function refusal(user, { params }) {
    if (user.blocked) return { error: 'unauthorized', error_description: 'user is blocked' };
    const organization = params.organization && accounts.organization(params.organization);
    if (!organization || accounts.isMember(organization, user.user_id, params.invitation)) return undefined;
    const description = `user ${user.user_id} is not part of the ${organization.id} organization`;
    return { error: 'access_denied', error_description: description };
  }
}

async function signIn(interaction, user, provider, ctx) {
  const earlier = interaction.session;
  if (earlier?.accountId && earlier.accountId !== user.user_id) {
    // The library would show a page of its own to end the other user's session.
    await endSession(provider, await provider.Session.findByUid(earlier.uid), ctx);
    interaction.session = undefined;
    await interaction.persist();
  }
  return { login: { accountId: user.user_id, amr: wantsMultiFactor(interaction.params) ? ['pwd', 'mfa'] : ['pwd'] } };
}

function consentForm(accounts) {
  return {
    show(ctx, { prompt: { details }, session }, state) {
      const scopes = [...(details.missingOIDCScope ?? []), ...Object.values(details.missingResourceScopes ?? {}).flat()];
      consentPage(ctx, {
        ...state,
        user: accounts.find(session.accountId).name,
        permissions: [...new Set(scopes)].map((scope) => PERMISSIONS[scope] ?? scope),
      });
    },

    async submit(ctx, { prompt: { details }, session, grantId, params }, state, fields, { Grant }) {
      if (fields.action !== 'continue') ctx.throw(400);
      const grant = (await Grant.find(grantId)) ?? new Grant({ accountId: session.accountId, clientId: params.client_id });
      if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope);
      for (const [audience, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
        grant.addResourceScope(audience, scopes);
      }
      return { consent: { grantId: await grant.save() } };
    },
  };
}

/** @returns {Promise<Record<string, string>>} the fields of a form, the last value of each */
async function readForm(ctx) {
  if (!ctx.is('application/x-www-form-urlencoded')) ctx.throw(415);
  const chunks = [];
  let length = 0;
  for await (const chunk of ctx.req) {
    length += chunk.length;
    if (length > BODY_LIMIT) ctx.throw(413);
    chunks.push(chunk);
  }
  return Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString('utf8')));
}
