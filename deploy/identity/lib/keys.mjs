import { randomUUID } from 'node:crypto';

import { exportJWK, generateKeyPair } from 'jose';

/** @returns {Promise<import('jose').JWK>} a private RS256 key with a key id of its own */
export async function newSigningKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}
