/**
 * Ends a session of the provider and tells every client in it by back-channel logout, as the library does at the end of
 * /oidc/logout. Waits for the deliveries (each ends after 2.5 s at most), so that a browser that comes back finds itself signed out.
 * Refresh tokens stay good, as at Auth0.
 * @param {import('oidc-provider').Provider} provider
 * @param {object} session an instance of `provider.Session`
 * @param {import('koa').Context} [ctx] of the request that ends it, when there is one
 */
export async function endSession(provider, session, ctx) {
  await session.destroy();
  await Promise.all(Object.keys(session.authorizations ?? {}).map((clientId) => deliver(provider, session, clientId, ctx)));
}

async function deliver(provider, session, clientId, ctx) {
  const client = await provider.Client.find(clientId);
  if (!client?.backchannelLogoutUri) return;
  try {
    await client.backchannelLogout(session.accountId, session.sidFor(clientId));
  } catch (error) {
    provider.emit('backchannel.error', ctx, error, client);
  }
}
