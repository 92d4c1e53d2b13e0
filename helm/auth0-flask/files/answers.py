"""`helm test`: ask the Service as a browser would, whoever the certificate's authority is."""

import http.client
import os
import socket
import ssl
import sys
from pathlib import Path

HOST = os.environ["HOST"]
EXPECTED = {
    "/": 200,
    "/login": 302,
    "/healthz/ready": 404,
    "/metrics": 404,
}


def connect(name: str = HOST) -> ssl.SSLSocket:
    plain = socket.create_connection((os.environ["SERVICE"], int(os.environ["PORT"])), 10)
    if os.environ["PROXY_PROTOCOL"] == "true":
        plain.sendall(b"PROXY UNKNOWN\r\n")
    # It has to be the one that was mounted, whoever made it, and for this name.
    leaf = Path("/run/secrets/tls/tls.crt").read_text(encoding="ascii")
    leaf = leaf[leaf.index("-----BEGIN") :].partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=leaf)
    try:
        connection = context.wrap_socket(plain, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        sys.exit(f"The certificate is not right for {name}, or another one than the Secret's: {error.verify_message}.")
    if connection.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(leaf):
        sys.exit("The certificate is another one than the Secret's.")
    return connection


failed = False
for path, expected in EXPECTED.items():
    client = http.client.HTTPSConnection(HOST)
    client.sock = connect()
    client.request("GET", path)
    status = client.getresponse().status
    # The login asks Auth0 first, which a policy or an outage may keep away; that is not the release's fault.
    right = status == expected or (path == "/login" and status in (303, 502, 503, 504))
    print(f"{'ok' if right else 'WRONG'}: {path} is answered with {status}, {expected} is expected")
    failed |= not right
# For a name with a star, any below.
for name in os.environ["REDIRECTED"].replace("*", "any").split():
    client = http.client.HTTPSConnection(name)
    client.sock = connect(name)
    client.request("GET", "/login?a=b")
    location, expected = client.getresponse().headers["Location"], f"{os.environ['ORIGIN']}/login?a=b"
    print(f"{'ok' if location == expected else 'WRONG'}: {name} leads to {location}, {expected} is expected")
    failed |= location != expected
sys.exit(failed)
