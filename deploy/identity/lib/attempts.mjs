const WINDOW = 60_000;

/** Failed sign-ins of a minute by user name; the eleventh has to wait. */
export class Attempts {
  /** @type {Map<string, number[]>} times of failures */
  #failures = new Map();

  #limit;

  constructor(limit = 10) {
    this.#limit = limit;
  }

  /** @param {string} username @returns {number} seconds to wait before another attempt, 0 when it may be made now */
  wait(username) {
    const recent = this.#recent(username);
    return recent.length < this.#limit ? 0 : Math.ceil((recent[0] + WINDOW - Date.now()) / 1000);
  }

  /** @param {string} username */
  failed(username) {
    if (this.#failures.size > 1000) this.#failures.clear();
    this.#failures.set(username, [...this.#recent(username), Date.now()].slice(-this.#limit));
  }

  #recent(username) {
    return (this.#failures.get(username) ?? []).filter((time) => time > Date.now() - WINDOW);
  }
}
