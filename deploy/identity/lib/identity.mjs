import { Accounts } from './accounts.mjs';
import { Attempts } from './attempts.mjs';
import { auth0Routes } from './auth0.mjs';
import { withClients } from './configuration.mjs';
import { Faults } from './faults.mjs';
import { interactions } from './interactions.mjs';
import { newSigningKey } from './keys.mjs';
import { errorPage, frameForeignPages } from './pages.mjs';
import { makeProvider } from './provider.mjs';
import { endSession } from './sessions.mjs';
import { Storage } from './storage.mjs';

/** The provider and all that outlives a change of its keys or clients, for which the library's provider is made anew. */
export class Identity {
  storage = new Storage();

  faults = new Faults();

  attempts = new Attempts();

  /** @type {import('oidc-provider').Provider} */
  provider;

  #handler;

  /**
   * @param {object} parts
   * @param {string} parts.issuer with its trailing slash
   * @param {import('./configuration.mjs').Configuration} parts.configuration
   * @param {Buffer} [parts.ca] PEM
   * @param {import('./options.mjs').Options['connectTo']} [parts.connectTo]
   * @param {import('jose').JWK[]} parts.keys the first one signs
   */
  constructor({ issuer, configuration, ca, connectTo, keys }) {
    Object.assign(this, { issuer, configuration, ca, connectTo, keys, accounts: new Accounts(configuration, issuer) });
    this.#remake();
  }

  /** Answers one HTTP request. */
  handle(request, response) {
    return this.#handler(request, response);
  }

  /** @param {{ keepOld: boolean }} how whether tokens signed before can still be verified */
  async rotateKey({ keepOld }) {
    this.keys = [await newSigningKey(), ...(keepOld ? this.keys : [])];
    this.#remake();
  }

  /**
   * @param {Partial<import('./configuration.mjs').Client>[]} overrides
   * @throws {import('./options.mjs').ConfigurationError}
   */
  changeClients(overrides) {
    this.configuration = withClients(this.configuration, overrides, 'clients');
    this.#remake();
  }

  /** @param {string} subject @returns {Promise<number>} how many sessions of this user were ended */
  async endSessions(subject) {
    const { Session } = this.provider;
    const sessions = this.storage.list('Session:').filter(({ accountId }) => accountId === subject);
    await Promise.all(sessions.map((payload) => endSession(this.provider, Session.instantiate(payload))));
    return sessions.length;
  }

  #remake() {
    this.provider = makeProvider(this);
    const layers = [
      hostOf(this.issuer), headers, errorsAsPages, this.faults.middleware(), frameForeignPages, interactions(this), auth0Routes(this),
    ];
    layers.forEach((layer) => this.provider.use(layer));
    this.#handler = this.provider.callback();
  }
}

/** The library makes its addresses from the Host header, which the caller writes; they are to be the issuer's. */
function hostOf(issuer) {
  const { host } = new URL(issuer);
  return (ctx, next) => {
    ctx.req.headers.host = host;
    return next();
  };
}

// No Strict-Transport-Security: it would hold for every port of localhost, also those of other projects.
function headers(ctx, next) {
  ctx.set('X-Content-Type-Options', 'nosniff');
  ctx.set('X-Frame-Options', 'DENY');
  ctx.set('Referrer-Policy', 'no-referrer');
  ctx.set('Cross-Origin-Opener-Policy', 'same-origin');
  return next();
}

async function errorsAsPages(ctx, next) {
  try {
    await next();
    if (ctx.status === 404 && !ctx.body) explain(ctx, 404, 'not_found', 'There is no such page.');
  } catch (error) {
    if (!error.expose) console.error('identity provider: %s %s failed:', ctx.method, ctx.path, error);
    explain(ctx, error.expose ? error.status : 500, 'error', error.expose ? error.message : undefined);
  }
}

function explain(ctx, status, error, description) {
  ctx.status = status;
  if (ctx.accepts('json', 'html') === 'html') errorPage(ctx, error, description);
  else ctx.body = { error, error_description: description };
}
