/**
 * Everything the provider remembers, in memory and without an upper bound on entries: the library's own
 * adapter drops the oldest beyond 1,000, which is some hundred sign-ins.
 */
export class Storage {
  /** @type {Map<string, { payload: object, expires: number }>} */
  #entries = new Map();

  constructor() {
    // Forgets what has expired and was never asked for again.
    setInterval(() => this.#sweep(), 60_000).unref();
  }

  get(key) {
    const entry = this.#entries.get(key);
    if (entry && entry.expires > Date.now()) return entry.payload;
    this.#entries.delete(key);
    return undefined;
  }

  /** @param {number} [lifetime] seconds; without it the entry stays until it is deleted */
  set(key, payload, lifetime = Infinity) {
    this.#entries.set(key, { payload, expires: Date.now() + lifetime * 1000 });
  }

  delete(key) {
    this.#entries.delete(key);
  }

  /** @returns {object[]} what is stored under keys with this prefix */
  list(prefix) {
    return [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).map((key) => this.get(key)).filter(Boolean);
  }

  #sweep() {
    for (const key of this.#entries.keys()) this.get(key);
  }
}

// A code and a session that have run out stay a little longer, so that the library can say "expired" instead of "not found".
const GRACE = 15;

/** Seconds for which a grant, its refresh tokens and what was said with it are kept. */
export const GRANT_LIFETIME = 30 * 24 * 3600;

/** The models of a grant that end with it. */
const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

/**
 * The library's adapter interface over one storage, so that a provider made anew (a rotated key) finds everything.
 * Nothing here waits for anything, so between finding a token and consuming it no other request is answered.
 * @param {Storage} storage
 * @returns {(model: string) => object} adapter factory
 */
export function adapterFor(storage) {
  return (model) => {
    const key = (id) => `${model}:${id}`;
    return {
      async upsert(id, payload, lifetime) {
        const kept = lifetime === undefined ? undefined : lifetime + GRACE;
        storage.set(key(id), payload, kept);
        if (payload.uid) storage.set(`${model}Uid:${payload.uid}`, id, kept);
        if (GRANTABLE.has(model) && payload.grantId) {
          const members = storage.get(`GrantMembers:${payload.grantId}`) ?? new Set();
          storage.set(`GrantMembers:${payload.grantId}`, members.add(key(id)), GRANT_LIFETIME);
        }
      },
      async find(id) {
        return storage.get(key(id));
      },
      async findByUid(uid) {
        return storage.get(key(storage.get(`${model}Uid:${uid}`)));
      },
      async findByUserCode() {
        return undefined;
      },
      async consume(id) {
        storage.get(key(id)).consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(id) {
        storage.delete(key(id));
      },
      async revokeByGrantId(grantId) {
        for (const member of storage.get(`GrantMembers:${grantId}`) ?? []) {
          if (member.startsWith(`${model}:`)) storage.delete(member);
        }
      },
    };
  };
}
