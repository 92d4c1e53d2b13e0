#!/usr/bin/env node
/** The local OpenID provider with Auth0's face, for demonstrations and tests. See README.md. */
import { createServer } from 'node:https';

import { loadConfiguration } from './lib/configuration.mjs';
import { Identity } from './lib/identity.mjs';
import { keptSigningKey, newSigningKey } from './lib/keys.mjs';
import { listenForKnobs } from './lib/knobs.mjs';
import { listen } from './lib/listen.mjs';
import { ConfigurationError, readOptions } from './lib/options.mjs';
import { listenForTunnels } from './lib/tunnel.mjs';

async function main() {
  const options = readOptions(process.argv.slice(2), process.env);
  const configuration = loadConfiguration(options.config, options.clients);
  const keys = [options.keyFile ? await keptSigningKey(options.keyFile) : await newSigningKey()];
  const server = tlsServer(options, configuration);
  const port = await listen(server, { host: options.host, port: options.port });
  const issuer = options.issuer ?? `https://localhost:${port}/`;
  const identity = new Identity({ issuer, configuration, ca: options.ca, connectTo: options.connectTo, keys });
  server.on('request', (request, response) => identity.handle(request, response));
  const knobs = options.knobs === undefined ? undefined : await listenForKnobs(identity, options.knobs);
  const tunnel = options.tunnel === undefined ? undefined
    : await listenForTunnels({ host: options.host, port: options.tunnel }, issuer, port);
  stopOnSignals([server, knobs?.server, tunnel]);
  console.log(`identity provider ready: ${issuer}${knobs ? ` knobs: ${knobs.address}` : ''}`);
}

function tlsServer({ certificate, key, ca }, { clients }) {
  // Asked for only where a client has one: some browsers ask their user for it. Whether it is right is for the token endpoint.
  const requestCert = clients.some((client) => client.tls_client_auth_san_dns);
  try {
    return createServer({ cert: certificate, key, minVersion: 'TLSv1.2', requestCert, rejectUnauthorized: false, ca });
  } catch (error) {
    throw new ConfigurationError(`The certificate and its key cannot be used (${error.code ?? error.message}): give a matching pair in PEM.`);
  }
}

function stopOnSignals(servers) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => servers.forEach(stop));
}

function stop(server) {
  server?.close();
  server?.closeAllConnections();
}

try {
  await main();
} catch (error) {
  if (!(error instanceof ConfigurationError)) throw error;
  console.error(error.message);
  process.exit(2);
}
