import { request } from 'node:https';

/**
 * A `fetch` for the library that trusts the given authorities and may call loopback, where the app of a demo lives.
 * The library's own guard against special-use addresses rests on a dispatcher of Node's fetch and so does not apply.
 * @param {Buffer} [ca] PEM
 * @param {import('./options.mjs').Options['connectTo']} [connectTo] as curl's option: the name stays, also in TLS, and the
 *   connection goes elsewhere
 * @returns {(url: string | URL, options: RequestInit) => Promise<Response>}
 */
export function fetchTrusting(ca, connectTo) {
  return (url, { method = 'GET', headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const outgoing = request(url, { method, headers: headersTo(url, headers), signal, ca, ...placeOf(url, connectTo) }, (incoming) => {
        incoming.resume();
        incoming.on('end', () => resolve(new Response(null, { status: incoming.statusCode })));
        incoming.on('error', reject);
      });
      outgoing.on('error', reject);
      outgoing.end(body?.toString());
    });
}

function headersTo(url, headers) {
  return { ...Object.fromEntries(headers), host: new URL(url).host };
}

function placeOf(url, connectTo) {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || 443}` === connectTo?.authority ? { hostname: connectTo.host, port: connectTo.port, servername: hostname } : {};
}
