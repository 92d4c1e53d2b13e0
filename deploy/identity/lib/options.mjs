import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** A mistake of the person who starts the provider: its message is a sentence with the fix. */
export class ConfigurationError extends Error {}

/**
 * Each option and the environment variable that stands for it; the option wins.
 * @type {Record<string, { variable: string, fallback?: string }>}
 */
const OPTIONS = {
  config: { variable: 'IDENTITY_CONFIG' },
  clients: { variable: 'IDENTITY_CLIENTS' },
  host: { variable: 'IDENTITY_HOST', fallback: '127.0.0.1' },
  port: { variable: 'IDENTITY_PORT', fallback: '9443' },
  certificate: { variable: 'IDENTITY_CERTIFICATE' },
  key: { variable: 'IDENTITY_KEY' },
  issuer: { variable: 'IDENTITY_ISSUER' },
  ca: { variable: 'IDENTITY_CA' },
  knobs: { variable: 'IDENTITY_KNOBS' },
  'key-file': { variable: 'IDENTITY_KEY_FILE' },
  tunnel: { variable: 'IDENTITY_TUNNEL' },
  'connect-to': { variable: 'IDENTITY_CONNECT_TO' },
};

/**
 * @typedef {object} Options
 * @property {string} config path of the file with users, organizations, APIs and clients
 * @property {string} [clients] path of a file whose clients are merged over those of `config`
 * @property {string} host address to listen on
 * @property {number} port 0 takes a free one
 * @property {Buffer} certificate PEM, leaf first
 * @property {Buffer} key PEM
 * @property {string} [issuer] with its trailing slash; `https://localhost:PORT/` unless given
 * @property {Buffer} [ca] PEM of the authorities trusted when delivering back-channel logout; Node's own unless given
 * @property {number | string} [knobs] loopback port or path of a unix socket
 * @property {string} [keyFile] path of the file that keeps the signing key
 * @property {number} [tunnel] port, on `host`, of the proxy that leads to this provider and nowhere else
 * @property {{ authority: string, host: string, port: number }} [connectTo] where an app's public address really is
 */

/**
 * @param {string[]} args the command line without node and the script
 * @param {NodeJS.ProcessEnv} env
 * @returns {Options}
 * @throws {ConfigurationError}
 */
export function readOptions(args, env) {
  const given = parse(args);
  const value = Object.fromEntries(
    Object.entries(OPTIONS).map(([name, { variable, fallback }]) => [name, given[name] || env[variable] || fallback]),
  );
  return {
    config: required(value, 'config', 'deploy/identity/identity.json is the one that comes with the project'),
    clients: value.clients,
    host: value.host,
    port: port(value.port, '--port'),
    certificate: read(required(value, 'certificate', '`python scripts/certificates.py .local/certificates` makes one')),
    key: read(required(value, 'key', '`python scripts/certificates.py .local/certificates` makes one')),
    issuer: issuer(value.issuer),
    ca: value.ca && read(value.ca),
    knobs: knobs(value.knobs),
    keyFile: value['key-file'],
    tunnel: value.tunnel === undefined ? undefined : port(value.tunnel, '--tunnel'),
    connectTo: connectTo(value['connect-to']),
  };
}

function parse(args) {
  try {
    return parseArgs({
      args,
      options: Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' }])),
    }).values;
  } catch (error) {
    const names = Object.keys(OPTIONS).map((name) => `--${name}`).join(', ');
    throw new ConfigurationError(`${error.message.split('. ')[0]}: the options are ${names}.`);
  }
}

function required(values, name, hint) {
  if (!values[name]) {
    throw new ConfigurationError(`--${name} (or ${OPTIONS[name].variable}) is missing: give a path; ${hint}.`);
  }
  return values[name];
}

/** @returns {Buffer} */
export function read(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigurationError(`${path} cannot be read (${error.code}): check the path and its permissions.`);
  }
}

function port(text, option) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > 65535) {
    throw new ConfigurationError(`${option} is ${JSON.stringify(text)}: give a port from 0 to 65535, for example 9443.`);
  }
  return number;
}

function knobs(text) {
  if (text === undefined) return undefined;
  return text.includes('/') ? text : port(text, '--knobs');
}

function connectTo(text) {
  if (text === undefined) return undefined;
  const [, authority, host, number] = /^([\w.-]+:\d{1,5})=([\w.-]+):(\d{1,5})$/.exec(text) ?? [];
  if (!authority) {
    throw new ConfigurationError(`--connect-to is ${JSON.stringify(text)}: give two addresses, for example localhost:8443=nginx:8443.`);
  }
  return { authority, host, port: port(number, '--connect-to') };
}

function issuer(text) {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.href !== text || url.pathname !== '/' || url.search) {
    throw new ConfigurationError(
      `--issuer is ${JSON.stringify(text)}: give an https origin with its trailing slash, for example https://localhost:9443/.`,
    );
  }
  return text;
}
