import { setTimeout as sleep } from 'node:timers/promises';

import { errors } from 'oidc-provider';

const realNow = Date.now;

/** What a test may make go wrong, and how often each route was called. Without knobs nothing ever changes it. */
export class Faults {
  /** @type {Record<string, number>} calls by route, and for /oauth/token also by grant type */
  counters = {};

  /** @type {Map<string, number>} seconds by route */
  delays = new Map();

  /** @type {Map<string, { status: number, times: number }>} by route */
  answers = new Map();

  /** @type {number | undefined} seconds */
  accessTokenLifetime;

  echoScope = true;

  refreshesToRefuse = 0;

  /** Sets this process' clock apart from the machine's, which is what a provider with a wrong clock is. @param {number} seconds */
  skewClock(seconds) {
    Date.now = seconds === 0 ? realNow : () => realNow() + seconds * 1000;
  }

  /** @throws {errors.InvalidGrant} as often as a test asked for */
  refuseRefresh() {
    if (this.refreshesToRefuse === 0) return;
    this.refreshesToRefuse -= 1;
    throw new errors.InvalidGrant('refused on request of a test');
  }

  reset() {
    this.skewClock(0);
    Object.assign(this, new Faults());
  }

  /** @returns {import('koa').Middleware} */
  middleware() {
    return async (ctx, next) => {
      const route = ctx.path;
      this.#count(route);
      // Nobody waits for it any more once the process is told to end.
      if (this.delays.has(route)) await sleep(this.delays.get(route) * 1000, undefined, { ref: false });
      const answer = this.#answerFor(route);
      if (answer) {
        ctx.status = answer;
        ctx.body = { error: 'server_error', error_description: 'answered on request of a test' };
        return;
      }
      await next();
      if (route === '/oauth/token') this.#afterToken(ctx);
    };
  }

  #count(name) {
    this.counters[name] = (this.counters[name] ?? 0) + 1;
  }

  #answerFor(route) {
    const answer = this.answers.get(route);
    if (!answer) return undefined;
    answer.times -= 1;
    if (answer.times === 0) this.answers.delete(route);
    return answer.status;
  }

  #afterToken(ctx) {
    const grantType = ctx.oidc?.params?.grant_type;
    if (grantType) this.#count(`/oauth/token ${grantType}`);
    if (!this.echoScope && ctx.body?.scope) delete ctx.body.scope;
  }
}
