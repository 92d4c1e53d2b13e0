import { request } from 'node:https';

/**
 * A `fetch` for the library that trusts the given authorities and may call loopback, where the app of a demo lives.
 * The library's own guard against special-use addresses rests on a dispatcher of Node's fetch and so does not apply.
 * @param {Buffer} [ca] PEM
 * @returns {(url: string | URL, options: RequestInit) => Promise<Response>}
 */
export function fetchTrusting(ca) {
  return (url, { method = 'GET', headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const outgoing = request(url, { method, headers: Object.fromEntries(headers), signal, ca }, (incoming) => {
        incoming.resume();
        incoming.on('end', () => resolve(new Response(null, { status: incoming.statusCode })));
        incoming.on('error', reject);
      });
      outgoing.on('error', reject);
      outgoing.end(body?.toString());
    });
}
