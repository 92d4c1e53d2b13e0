import { once } from 'node:events';

import { ConfigurationError } from './options.mjs';

const REASONS = {
  EADDRINUSE: 'it is taken',
  EACCES: 'it does not exist or needs more rights',
  EADDRNOTAVAIL: 'the address is not of this machine',
};

/**
 * @param {import('node:net').Server} server
 * @param {{ host: string, port: number } | { path: string }} where
 * @returns {Promise<number | undefined>} the port
 * @throws {ConfigurationError}
 */
export async function listen(server, where) {
  try {
    server.listen(where);
    await once(server, 'listening');
    return server.address().port;
  } catch (error) {
    const place = where.path ?? `${where.host}:${where.port}`;
    throw new ConfigurationError(`Cannot listen on ${place}, ${REASONS[error.code] ?? error.code}: choose another place.`);
  }
}
