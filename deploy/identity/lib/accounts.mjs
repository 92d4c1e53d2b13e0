import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** @typedef {import('./configuration.mjs').Configuration} Configuration */
/** @typedef {import('./configuration.mjs').User} User */
/** @typedef {import('./configuration.mjs').Organization} Organization */

const PROFILE = ['name', 'given_name', 'family_name', 'nickname', 'picture', 'updated_at'];
const EMAIL = ['email', 'email_verified'];

/** Compared under a key of this process, so that the time a comparison takes tells nothing about the password. */
const COMPARISON_KEY = randomBytes(32);

/** The users and organizations of the configuration, and the claims made of them. */
export class Accounts {
  #users;
  #bySubject;
  #organizations;
  #issuer;

  /** @param {Configuration} configuration @param {string} issuer with its trailing slash */
  constructor({ users, organizations }, issuer) {
    this.#users = new Map(users.map((user) => [normal(user.username), user]));
    this.#bySubject = new Map(users.map((user) => [user.user_id, user]));
    this.#organizations = organizations;
    this.#issuer = issuer;
  }

  /** @returns {User | undefined} the user whose password this is */
  authenticate(username, password) {
    const user = this.#users.get(normal(username));
    // An unknown name costs the same comparison as a known one.
    const matches = equal(password.normalize('NFC'), (user?.password ?? randomBytes(16).toString('hex')).normalize('NFC'));
    return user && matches ? user : undefined;
  }

  /** @param {string} subject @returns {User | undefined} */
  find(subject) {
    return this.#bySubject.get(subject);
  }

  /** @param {string} username @returns {User | undefined} */
  findByUsername(username) {
    return this.#users.get(normal(username));
  }

  /** @param {string} idOrName `org_...` or a name, in any case @returns {Organization | undefined} */
  organization(idOrName) {
    return this.#organizations.find(({ id, name }) => id === idOrName || name === idOrName.toLowerCase());
  }

  /**
   * @param {Organization} organization @param {string} subject
   * @param {string} [ticket] an invitation; it makes the invited user a member for this sign-in
   */
  isMember(organization, subject, ticket) {
    if (organization.members.includes(subject)) return true;
    const invited = Object.hasOwn(organization.invitations ?? {}, ticket ?? '') && organization.invitations[ticket];
    return Boolean(invited) && normal(invited) === normal(this.find(subject)?.email ?? '');
  }

  /** @param {string} subject @param {string} [organizationId] @returns {Record<string, unknown>} */
  claims(subject, organizationId) {
    const user = this.find(subject);
    return {
      ...pick(user, [...PROFILE, ...EMAIL]),
      picture: user.picture ? `${this.#issuer}picture/${encodeURIComponent(user.nickname)}.svg` : undefined,
      ...this.extraClaims(subject, organizationId),
    };
  }

  /** What an access token for an API carries too. @returns {Record<string, unknown>} */
  extraClaims(subject, organizationId) {
    const organization = organizationId && this.organization(organizationId);
    return {
      ...this.find(subject).claims,
      ...(organization && { org_id: organization.id, org_name: organization.name }),
    };
  }

  /** @returns {User | undefined} the user with a picture who has this nickname */
  pictured(nickname) {
    return [...this.#bySubject.values()].find((user) => user.picture && user.nickname === nickname);
  }
}

/**
 * The library's `claims` setting: which claims a scope stands for.
 * @param {Configuration} configuration
 * @returns {Record<string, string[] | null>}
 */
export function claimsOfScopes({ users }) {
  const namespaced = new Set(users.flatMap(({ claims }) => Object.keys(claims ?? {})));
  return { openid: ['sub', 'amr', 'org_id', 'org_name', ...namespaced], profile: PROFILE, email: EMAIL, auth_time: null, iss: null, sid: null };
}

const normal = (name) => name.normalize('NFC').trim().toLowerCase();

const digest = (value) => createHmac('sha256', COMPARISON_KEY).update(value).digest();

const equal = (left, right) => timingSafeEqual(digest(left), digest(right));

const pick = (source, names) => Object.fromEntries(names.filter((name) => source[name] !== undefined).map((name) => [name, source[name]]));
