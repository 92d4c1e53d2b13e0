import { ConfigurationError, read } from './options.mjs';
import { anything, applicationUrl, date, flag, httpsUrl, list, map, object, pattern, seconds, text, uri } from './shape.mjs';

/**
 * @typedef {object} User
 * @property {string} user_id the subject, `auth0|...`
 * @property {string} username what is typed into the form
 * @property {string} password a demo value, in plain text (see README.md)
 * @property {string} name
 * @property {string} [given_name]
 * @property {string} [family_name]
 * @property {string} nickname
 * @property {string} email
 * @property {boolean} email_verified
 * @property {boolean} [picture] whether the provider serves a picture of this user
 * @property {string} updated_at ISO 8601, as Auth0 gives it
 * @property {boolean} [blocked] signs in to `error=unauthorized`
 * @property {Record<string, unknown>} [claims] namespaced claims
 *
 * @typedef {object} Organization
 * @property {string} id `org_...`
 * @property {string} name lower case, as Auth0 has it
 * @property {string} display_name
 * @property {string[]} members user ids
 * @property {Record<string, string>} [invitations] ticket to the invited e-mail address
 *
 * @typedef {object} Api
 * @property {string} audience
 * @property {string[]} scopes
 * @property {number} [token_lifetime] seconds
 *
 * @typedef {object} Client
 * @property {string} client_id
 * @property {string} [client_secret] either this, `jwks` or `tls_client_auth_san_dns`
 * @property {{ keys: object[] }} [jwks] public keys for private_key_jwt
 * @property {string} [tls_client_auth_san_dns] a DNS name of the certificate that it shows (mTLS)
 * @property {string} name
 * @property {string[]} redirect_uris
 * @property {string[]} [allowed_logout_urls]
 * @property {string} [backchannel_logout_uri]
 * @property {string[]} [refresh_token_audiences] APIs that its refresh tokens are good for beside that of the sign-in
 * @property {boolean} [consent] whether the user is asked
 *
 * @typedef {object} Configuration
 * @property {string[]} connections
 * @property {User[]} users
 * @property {Organization[]} organizations
 * @property {Api[]} apis
 * @property {Client[]} clients
 */

const claimName = pattern(/^https:\/\/[^\s]+$/, 'namespaced, for example "https://example.com/roles"');

const user = object(
  {
    user_id: pattern(/^auth0\|[\w-]+$/, 'of the form "auth0|0123abcd"'),
    username: text,
    password: text,
    name: text,
    nickname: text,
    email: pattern(/^[^@\s]+@[^@\s]+$/, 'an e-mail address'),
    email_verified: flag,
    updated_at: date,
  },
  { given_name: text, family_name: text, picture: flag, blocked: flag, claims: map(claimName, anything) },
);

const organization = object(
  {
    id: pattern(/^org_\w+$/, 'of the form "org_0123abcd"'),
    name: pattern(/^[a-z0-9][a-z0-9_-]*$/, 'lower case, for example "acme"'),
    display_name: text,
    members: list(text),
  },
  { invitations: map(text, text) },
);

const api = object({ audience: uri, scopes: list(pattern(/^[^\s"\\]+$/, 'a scope without spaces')) }, { token_lifetime: seconds });

const client = object(
  { client_id: text, name: text, redirect_uris: list(applicationUrl, { least: 1 }) },
  {
    client_secret: text,
    tls_client_auth_san_dns: text,
    jwks: object({ keys: list(map(text, anything), { least: 1 }) }),
    allowed_logout_urls: list(applicationUrl),
    backchannel_logout_uri: httpsUrl,
    refresh_token_audiences: list(uri),
    consent: flag,
  },
);

const file = object({
  connections: list(text),
  users: list(user, { least: 1 }),
  organizations: list(organization),
  apis: list(api),
  clients: list(client, { least: 1 }),
});

/**
 * @param {string} path of the file @param {string} [clientsPath] of a list of clients that are merged over it
 * @returns {Configuration}
 * @throws {ConfigurationError} listing everything that is wrong, one sentence a line
 */
export function loadConfiguration(path, clientsPath) {
  const configuration = json(path);
  complain(path, file(configuration, ''));
  complain(path, consistency(configuration));
  if (!clientsPath) return configuration;
  const overrides = json(clientsPath);
  complain(clientsPath, Array.isArray(overrides) ? [] : ['The file must be a list of clients.']);
  return withClients(configuration, overrides, clientsPath);
}

/**
 * Fields of a client with a known id replace that client's; one with a new id is added.
 * @param {Configuration} configuration @param {Partial<Client>[]} overrides @param {string} source where they come from
 * @returns {Configuration}
 * @throws {ConfigurationError}
 */
export function withClients(configuration, overrides, source) {
  const clients = new Map(configuration.clients.map((entry) => [entry.client_id, entry]));
  for (const override of overrides) {
    clients.set(override?.client_id, { ...clients.get(override?.client_id), ...override });
  }
  const merged = { ...configuration, clients: [...clients.values()] };
  complain(source, file(merged, ''));
  complain(source, consistency(merged));
  return merged;
}

function consistency({ users, organizations, apis, clients }) {
  const userIds = new Set(users.map(({ user_id: id }) => id));
  return [
    ...duplicates(users, 'username', 'users'),
    ...duplicates(users, 'user_id', 'users'),
    ...duplicates(organizations, 'id', 'organizations'),
    ...duplicates(organizations, 'name', 'organizations'),
    ...duplicates(apis, 'audience', 'apis'),
    ...duplicates(clients, 'client_id', 'clients'),
    ...organizations.flatMap(({ name, members }) => members.filter((id) => !userIds.has(id))
      .map((id) => `Organization ${name} has the member ${id}, who is no user: add the user or remove the member.`)),
    ...clients.flatMap(({ client_id: id, refresh_token_audiences: audiences = [] }) => audiences
      .filter((audience) => !apis.some((entry) => entry.audience === audience))
      .map((audience) => `Client ${id} has the audience ${audience}, which is no API: add the API or remove the audience.`)),
    ...clients.filter((entry) => [entry.client_secret, entry.jwks, entry.tls_client_auth_san_dns].filter(Boolean).length !== 1)
      .map((entry) => `Client ${entry.client_id} must have either client_secret, jwks or tls_client_auth_san_dns: give one of them.`),
  ];
}

function duplicates(entries, field, where) {
  const seen = new Set();
  return entries.map((entry) => entry[field]).filter((value) => seen.size === seen.add(value).size)
    .map((value) => `${where} has ${field} ${value} twice: remove one.`);
}

function json(path) {
  try {
    return JSON.parse(read(path).toString('utf8'));
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(`${path} is not JSON (${error.message}): correct it.`);
  }
}

function complain(path, sentences) {
  if (sentences.length > 0) throw new ConfigurationError(sentences.map((sentence) => `${path}: ${sentence}`).join('\n'));
}
