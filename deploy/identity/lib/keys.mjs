import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

import { exportJWK, generateKeyPair } from 'jose';

import { ConfigurationError } from './options.mjs';

/** @returns {Promise<import('jose').JWK>} a private RS256 key with a key id of its own */
export async function newSigningKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

/**
 * The key that a process before has left in *path*, else a new one that is left there: an app that has read the JWKS
 * goes on verifying what is signed after a restart.
 * @param {string} path of a JSON file, readable by its owner alone
 * @returns {Promise<import('jose').JWK>}
 * @throws {ConfigurationError}
 */
export async function keptSigningKey(path) {
  try {
    if (existsSync(path)) return isSigningKey(JSON.parse(readFileSync(path, 'utf8')));
    const key = await newSigningKey();
    writeFileSync(`${path}.new`, JSON.stringify(key), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return key;
  } catch (error) {
    throw new ConfigurationError(
      `The signing key in ${path} cannot be used (${error.code ?? error.message}): give a path that can be written, or remove the file.`,
    );
  }
}

function isSigningKey(key) {
  if (key?.kty !== 'RSA' || !key.d || !key.kid) throw new Error('it is no private RSA key');
  return key;
}
