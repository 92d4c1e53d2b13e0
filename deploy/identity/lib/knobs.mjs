import { chmod, lstat, rm } from 'node:fs/promises';
import { createServer } from 'node:http';

import { listen } from './listen.mjs';
import { ConfigurationError } from './options.mjs';

/**
 * The knobs that tests turn: JSON over HTTP, on a listener of its own that is never the public one.
 * None of them signs anybody in.
 * @param {import('./identity.mjs').Identity} identity
 * @param {number | string} where a port of 127.0.0.1, 0 for a free one, or the path of a unix socket
 * @returns {Promise<{ server: import('node:http').Server, address: string }>}
 */
export async function listenForKnobs(identity, where) {
  const server = createServer((request, response) => answer(knobsOf(identity), request, response));
  if (typeof where === 'number') {
    const port = await listen(server, { host: '127.0.0.1', port: where });
    return { server, address: `http://127.0.0.1:${port}` };
  }
  await removeLeftover(where);
  await listen(server, { path: where });
  await chmod(where, 0o600);
  return { server, address: where };
}

/** The socket of a process that was killed is in the way of the next; a file of another kind was not ours. */
async function removeLeftover(path) {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket()) await rm(path);
}

/** @returns {Record<string, (body: object) => unknown>} what each method and path does; README.md has them in words */
function knobsOf(identity) {
  const { faults, accounts } = identity;
  return {
    'GET /counters': () => faults.counters,
    'POST /reset': () => faults.reset(),
    'PUT /delay': ({ route, seconds }) => {
      faults.delays.set(check('route', route, isPath), check('seconds', seconds, isDuration));
    },
    'PUT /answer': ({ route, status, times = 1 }) => {
      faults.answers.set(check('route', route, isPath), {
        status: check('status', status, (value) => Number.isInteger(value) && value >= 400 && value <= 599),
        times: check('times', times, isCount),
      });
    },
    'PUT /clock': ({ seconds }) => faults.skewClock(check('seconds', seconds, Number.isInteger)),
    'PUT /scope': ({ echo }) => { faults.echoScope = check('echo', echo, isFlag); },
    'PUT /access-token': ({ seconds }) => { faults.accessTokenLifetime = check('seconds', seconds, isCount); },
    'POST /refuse-refresh': ({ times = 1 }) => { faults.refreshesToRefuse = check('times', times, isCount); },
    'POST /rotate-key': ({ keep_old: keepOld }) => identity.rotateKey({ keepOld: check('keep_old', keepOld, isFlag) }),
    'PUT /clients': ({ clients }) => identity.changeClients(check('clients', clients, Array.isArray)),
    'POST /end-sessions': async ({ username }) => {
      const user = accounts.findByUsername(check('username', username, (value) => typeof value === 'string'));
      return { ended: user ? await identity.endSessions(user.user_id) : 0 };
    },
  };
}

async function answer(knobs, request, response) {
  const knob = knobs[`${request.method} ${request.url}`];
  try {
    if (!knob) return send(response, 404, { error: `There is no such knob: use ${Object.keys(knobs).join(', ')}.` });
    // A page in a browser on this machine cannot send this without being allowed to.
    if (request.method !== 'GET' && request.headers['content-type'] !== 'application/json') {
      return send(response, 415, { error: 'The content type must be application/json.' });
    }
    const result = await knob(await json(request));
    return result === undefined ? send(response, 204) : send(response, 200, result);
  } catch (error) {
    if (error instanceof ConfigurationError) return send(response, 400, { error: error.message });
    console.error('identity provider: knob %s failed:', request.url, error);
    return send(response, 500, { error: error.message });
  }
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body && JSON.stringify(body));
}

async function json(request) {
  const text = Buffer.concat(await request.toArray()).toString('utf8') || '{}';
  try {
    return Object(JSON.parse(text));
  } catch (error) {
    throw new ConfigurationError(`The body is not JSON (${error.message}): correct it.`);
  }
}

function check(name, value, holds) {
  if (!holds(value)) throw new ConfigurationError(`${name} is ${JSON.stringify(value)}: see the table of knobs in README.md.`);
  return value;
}

const isPath = (value) => typeof value === 'string' && value.startsWith('/');
const isDuration = (value) => typeof value === 'number' && value >= 0;
const isCount = (value) => Number.isInteger(value) && value > 0;
const isFlag = (value) => typeof value === 'boolean';
