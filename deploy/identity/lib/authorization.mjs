import { errors, interactionPolicy } from 'oidc-provider';

import { GRANT_LIFETIME } from './storage.mjs';

/** @typedef {import('./accounts.mjs').Accounts} Accounts */

/** Auth0's one value of `acr_values`. There is no second factor here: the password, typed for this request, stands for it. */
export const MULTI_FACTOR = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor';

/** @param {{ acr_values?: string }} params of an authorization request */
export const wantsMultiFactor = ({ acr_values: values = '' }) => values.split(' ').includes(MULTI_FACTOR);

/** The scopes that Auth0 answers for every API, beside the API's own. */
export const OIDC_SCOPES = ['openid', 'profile', 'email', 'offline_access'];

/**
 * Auth0's parameters of /authorize that the library does not know, each with its check.
 * @param {Accounts} accounts @param {string[]} connections
 */
export function auth0Parameters(accounts, connections) {
  return {
    audience: keepOfflineAccess,
    screen_hint: null,
    organization(ctx, value) {
      if (value && !accounts.organization(value)) throw new errors.InvalidRequest(`parameter organization is invalid: ${value}`);
    },
    invitation(ctx, value) {
      const organization = accounts.organization(ctx.oidc.params.organization ?? '');
      if (value && !Object.hasOwn(organization?.invitations ?? {}, value)) {
        throw new errors.InvalidRequest('the specified invitation ticket was not found or it was already used');
      }
    },
    connection(ctx, value) {
      if (value && !connections.includes(value)) throw new errors.InvalidRequest('the connection was not found');
    },
  };
}

/**
 * The library takes offline_access away unless consent is asked for, as OpenID Connect Core 11 has it; Auth0 grants it.
 * Runs after the library's own check of the scope, as the check of a parameter.
 */
function keepOfflineAccess(ctx) {
  const { oidc } = ctx;
  const scopes = requestedScope(ctx).split(' ');
  if (scopes.includes('offline_access') && oidc.client.grantTypeAllowed('refresh_token')) {
    const kept = oidc.requestParamScopes.add('offline_access');
    oidc.params.scope = scopes.filter((scope) => kept.delete(scope)).join(' ');
  }
}

function requestedScope({ oidc, query }) {
  const pushed = oidc.entities.PushedAuthorizationRequest?.request;
  const source = pushed ? JSON.parse(Buffer.from(pushed.split('.')[1], 'base64url')) : (oidc.body ?? query);
  return typeof source.scope === 'string' ? source.scope : '';
}

/**
 * Sign-in as the library asks for it, and also when the signed-in user is no member of the organization asked for.
 * @param {Accounts} accounts
 */
export function policy(accounts) {
  const prompts = interactionPolicy.base();
  prompts.get('login').checks.add(
    new interactionPolicy.Check('organization', 'the user is not part of the organization', 'login_required', ({ oidc }) => {
      const { organization, invitation } = oidc.params;
      if (!organization || !oidc.session.accountId) return false;
      return !accounts.isMember(accounts.organization(organization), oidc.session.accountId, invitation);
    }),
  );
  prompts.get('login').checks.add(
    new interactionPolicy.Check('multi_factor', 'the user has not used a second factor', 'login_required', ({ oidc }) =>
      wantsMultiFactor(oidc.params) && Boolean(oidc.session.accountId) && !oidc.amr?.includes('mfa')),
  );
  return prompts;
}

/**
 * Each authorization gets a grant of its own, so that reuse of a refresh token ends its family and no other.
 * A first-party client is granted what it asks for; the other is asked for what its last grant does not have.
 * @param {(clientId: string) => boolean} asksConsent @param {import('./storage.mjs').Storage} storage @param {Accounts} accounts
 */
export function grantLoader(asksConsent, storage, accounts) {
  return async (ctx) => {
    const { oidc } = ctx;
    const grant = asksConsent(oidc.client.clientId) ? await consentedGrant(ctx) : firstPartyGrant(ctx);
    if (!grant) return undefined;
    await grant.save();
    const organization = oidc.params.organization && accounts.organization(oidc.params.organization);
    if (organization) storage.set(`Organization:${grant.jti}`, organization.id, GRANT_LIFETIME);
    return grant;
  };
}

function firstPartyGrant({ oidc }) {
  const grant = newGrant(oidc);
  grant.addOIDCScope([...oidc.requestParamOIDCScopes]);
  for (const [audience, { scopes }] of Object.entries(oidc.resourceServers)) {
    grant.addResourceScope(audience, [...oidc.requestParamScopes].filter((scope) => scopes.has(scope)));
  }
  return grant;
}

async function consentedGrant({ oidc }) {
  const { Grant } = oidc.provider;
  const given = oidc.result?.consent?.grantId;
  if (given) return Grant.find(given);
  const earlier = await Grant.find(oidc.session.grantIdFor(oidc.client.clientId));
  return earlier && Object.assign(newGrant(oidc), structuredClone({ openid: earlier.openid, resources: earlier.resources }));
}

const newGrant = ({ provider, account, client }) =>
  new provider.Grant({ accountId: account.accountId, clientId: client.clientId });

/**
 * Auth0's `audience` in the library's terms of RFC 8707.
 * @param {import('./configuration.mjs').Api[]} apis
 */
export function resourceIndicators(apis) {
  return {
    enabled: true,
    // Of several, the one that the sign-in was for; the others were added by refreshes.
    defaultResource: (ctx, client, granted) => ctx.oidc.params.audience ?? granted?.[0],
    useGrantedResource: () => true,
    getResourceServerInfo(ctx, audience) {
      const api = apis.find((entry) => entry.audience === audience);
      if (!api) throw accessDenied(`Service not found: ${audience}`);
      return {
        audience,
        scope: [...OIDC_SCOPES, ...api.scopes].join(' '),
        accessTokenFormat: 'jwt',
        accessTokenTTL: api.token_lifetime ?? 86_400,
        jwt: { sign: { alg: 'RS256' } },
      };
    },
  };
}

/**
 * Auth0's refresh for another API (MRRT): allowed for the audiences that the client has a policy for; any other is refused,
 * because answering with a token for the wrong API would hide the mistake.
 * @param {import('./configuration.mjs').Configuration} configuration
 */
export function chooseRefreshedAudience({ apis, clients }) {
  return ({ oidc }) => {
    const { audience } = oidc.body;
    const { client, entities: { Grant: grant }, refreshToken, params } = oidc;
    const granted = [refreshToken.resource ?? []].flat();
    if (!audience || audience === granted[0]) return;
    const allowed = clients.find(({ client_id: id }) => id === client.clientId).refresh_token_audiences ?? [];
    if (!allowed.includes(audience)) throw accessDenied(`Service not granted: ${audience}`);
    grant.addResourceScope(audience, [...OIDC_SCOPES, ...apis.find((api) => api.audience === audience).scopes].join(' '));
    refreshToken.resource = [...new Set([...granted, audience])];
    params.resource = audience;
  };
}

/** Auth0's words for an API that is not there or not granted. */
const accessDenied = (description) => new errors.AccessDenied(description);
