"""A small HTTP server in a thread of the test's own: `with listening(Handler) as server: ...`."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def listening(
    handler: type[BaseHTTPRequestHandler], pair: tuple[Path, Path] | None = None
) -> Iterator[ThreadingHTTPServer]:
    """Answer on a free port of 127.0.0.1 by *handler*, over TLS with a certificate and key, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if pair is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*pair)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        # It looks that often, in seconds, whether it has to end.
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
