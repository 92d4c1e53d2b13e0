import { createServer } from 'node:http';
import { connect } from 'node:net';

import { listen } from './listen.mjs';

/**
 * An HTTP proxy (RFC 9110, 9.3.6) for apps that cannot reach the provider by its issuer's address, which is the browser's:
 * `localhost:9443` is the app itself in a container of its own. CONNECT to the issuer leads to this process, any other target
 * is refused, so that it is no way out for anybody.
 * @param {{ host: string, port: number }} where
 * @param {string} issuer
 * @param {number} providerPort on this machine
 * @returns {Promise<import('node:http').Server>}
 */
export async function listenForTunnels(where, issuer, providerPort) {
  const { hostname, port } = new URL(issuer);
  const target = `${hostname}:${port || 443}`;
  const server = createServer((request, response) => response.writeHead(405).end());
  server.on('connect', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (request.url !== target) return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    const provider = connect(providerPort, where.host, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      provider.write(head);
      provider.pipe(socket).pipe(provider);
    });
    provider.on('error', () => provider.destroy());
    // Else a client that keeps its side open would keep this process.
    provider.on('close', () => socket.destroySoon());
    socket.on('close', () => provider.destroy());
  });
  await listen(server, where);
  return server;
}
