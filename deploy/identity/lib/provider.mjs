import { Provider } from 'oidc-provider';

import { claimsOfScopes } from './accounts.mjs';
import {
  OIDC_SCOPES, auth0Parameters, chooseRefreshedAudience, grantLoader, policy, resourceIndicators,
} from './authorization.mjs';
import { fetchTrusting } from './delivery.mjs';
import { adapterFor, GRANT_LIFETIME } from './storage.mjs';
import { errorPage, signOutPage, signedOutPage } from './pages.mjs';

/** @param {import('./identity.mjs').Identity} identity @returns {Provider} */
export function makeProvider(identity) {
  const { issuer, configuration, accounts, storage, keys, ca, connectTo, faults } = identity;
  const asking = new Set(configuration.clients.filter(({ consent }) => consent).map(({ client_id: id }) => id));
  const chooseAudience = chooseRefreshedAudience(configuration);
  const organizationOf = (grantId) => storage.get(`Organization:${grantId}`);
  const provider = new Provider(issuer, {
    adapter: adapterFor(storage),
    claims: claimsOfScopes(configuration),
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth'],
    clientBasedCORS: () => false,
    // A token of five seconds is to be good for five seconds.
    clockTolerance: 0,
    clients: configuration.clients.map(libraryClient),
    // Auth0 puts the profile into the ID token; OpenID Connect would leave it to /userinfo.
    conformIdTokenClaims: false,
    cookies: cookies(),
    discovery: { mtls_endpoint_aliases: endpointAliases(issuer) },
    enabledJWA: { idTokenSigningAlgValues: ['RS256'], clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
    expiresWithSession: () => false,
    extraParams: auth0Parameters(accounts, configuration.connections),
    extraTokenClaims: (ctx, token) => accounts.extraClaims(token.accountId, organizationOf(token.grantId)),
    features: features(configuration),
    fetch: fetchTrusting(ca, connectTo),
    findAccount: (ctx, subject) => accounts.find(subject) && {
      accountId: subject,
      claims: () => accounts.claims(subject, organizationOf(ctx.oidc.grant?.jti)),
    },
    formats: { customizers: { jwt: auth0AccessToken } },
    interactions: { policy: policy(accounts), url: (ctx, { prompt, uid }) => `/u/${prompt.name}/${uid}` },
    jwks: { keys },
    loadExistingGrant: grantLoader((clientId) => asking.has(clientId), storage, accounts),
    pkce: { required: () => true },
    renderError: (ctx, { error, error_description: description }) => errorPage(ctx, error, description),
    responseTypes: ['code'],
    rotateRefreshToken(ctx) {
      chooseAudience(ctx);
      faults.refuseRefresh();
      return true;
    },
    routes: {
      authorization: '/authorize',
      end_session: '/oidc/logout',
      jwks: '/.well-known/jwks.json',
      pushed_authorization_request: '/oauth/par',
      revocation: '/oauth/revoke',
      token: '/oauth/token',
      userinfo: '/userinfo',
    },
    scopes: OIDC_SCOPES,
    ttl: lifetimes(faults),
  });
  // Auth0 puts `sid` into every ID token; the library only into those of clients with a back-channel logout URI.
  provider.Client.prototype.includeSid = () => true;
  report(provider);
  return provider;
}

function libraryClient({ consent, name, allowed_logout_urls: logoutUrls, refresh_token_audiences: audiences, ...client }) {
  return {
    ...client,
    client_name: name,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: authenticationOf(client),
    post_logout_redirect_uris: logoutUrls ?? [],
    backchannel_logout_session_required: client.backchannel_logout_uri ? true : undefined,
  };
}

function authenticationOf(client) {
  if (client.tls_client_auth_san_dns) return 'tls_client_auth';
  return client.jwks ? 'private_key_jwt' : 'client_secret_basic';
}

/** Where a client that has a certificate finds what it authenticates to (RFC 8705, 5); Auth0 has another host for it. */
function endpointAliases(issuer) {
  return {
    token_endpoint: `${issuer}oauth/token`,
    pushed_authorization_request_endpoint: `${issuer}oauth/par`,
    revocation_endpoint: `${issuer}oauth/revoke`,
  };
}

function features({ apis }) {
  return {
    backchannelLogout: { enabled: true },
    // Signs anybody in as anybody; on unless said otherwise.
    devInteractions: { enabled: false },
    dPoP: { enabled: false },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate()?.toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => ctx.socket.getPeerX509Certificate().checkHost(expected) !== undefined,
    },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: resourceIndicators(apis),
    revocation: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
    rpInitiatedLogout: { enabled: true, logoutSource: signOutPage, postLogoutSuccessSource: signedOutPage },
  };
}

// Cookies of all ports of a host are one jar, so the names must differ from the app's.
function cookies() {
  const options = { httpOnly: true, sameSite: 'lax', secure: true };
  return {
    names: {
      session: '__Host-identity-session',
      interaction: '__Secure-identity-interaction',
      resume: '__Secure-identity-resume',
    },
    long: options,
    short: options,
  };
}

/** Seconds, as Auth0 has them by default where it says so. */
function lifetimes(faults) {
  return {
    AccessToken: (ctx, token) => faults.accessTokenLifetime ?? token.resourceServer?.accessTokenTTL ?? 86_400,
    AuthorizationCode: 60,
    Grant: GRANT_LIFETIME,
    IdToken: 36_000,
    Interaction: 3600,
    RefreshToken: GRANT_LIFETIME,
    Session: 3 * 24 * 3600,
  };
}

/** Auth0's tokens for an API are good for /userinfo too, and name the client in `azp`. */
function auth0AccessToken({ oidc }, token, { payload }) {
  payload.azp = payload.client_id;
  if (token.scopes.has('openid')) payload.aud = [payload.aud, `${oidc.issuer}userinfo`];
}

function report(provider) {
  provider.on('server_error', (ctx, error) => console.error('identity provider: %s %s failed:', ctx.method, ctx.path, error));
  provider.on('backchannel.error', (ctx, error, client) =>
    console.error('identity provider: back-channel logout of %s failed: %s', client.clientId, error.cause?.message ?? error.message));
}
