"""The same files on newer versions of nginx and OpenSSL: what start.sh writes for them, and how it behaves."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.nginx import (
    test_configuration,
    test_error_pages,
    test_forwarding,
    test_http2,
    test_limits,
    test_names,
    test_proxying,
    test_responses,
)
from tests.nginx.conftest import RunSite, Site
from tests.nginx.debian import unpack

# Debian's stable release, and the newest there is.
SUITES = ("trixie", "sid")
# Of each kind of behaviour the tests in which versions could differ.
BEHAVIOUR: list[Callable[[Site], None]] = [
    test_configuration.test_nginx_finds_nothing_wrong,
    test_error_pages.test_not_found_has_the_page,
    test_error_pages.test_a_refused_host_has_the_page,
    test_error_pages.test_a_malformed_request_has_the_page,
    test_error_pages.test_an_answer_that_ends_too_early_is_seen_as_that,
    test_forwarding.test_forged_forwarding_headers_are_replaced,
    test_forwarding.test_a_request_id_is_made_and_is_the_same_for_app_client_and_log,
    test_http2.test_http_2_is_spoken_with_those_who_can,
    test_http2.test_many_streams_at_once_each_get_their_own_answer,
    test_http2.test_large_cookies_pass_both_ways,
    test_limits.test_a_session_in_four_cookies_passes,
    test_limits.test_a_header_beyond_the_buffer_is_refused_with_the_page,
    test_limits.test_a_body_up_to_the_limit_passes_and_one_byte_more_does_not,
    test_names.test_plain_http_on_the_tls_port_is_redirected,
    test_names.test_a_host_header_beside_a_target_with_a_host_never_reaches_the_app,
    test_proxying.test_kept_connections_to_the_app_are_used_again,
    test_proxying.test_a_get_survives_a_kept_connection_that_the_app_closes,
    test_proxying.test_an_answer_that_asks_for_it_streams,
    test_responses.test_localhost_gets_no_hsts,
    test_responses.test_several_cookies_of_4_kb_pass_in_one_answer,
]


@dataclass
class Version:
    """A site on another nginx, and the folder of its programs."""

    programs: Path
    site: Site

    def output(self, program: str, *arguments: str) -> str:
        """What a program of this version says."""
        result = subprocess.run(
            [self.programs / program, *arguments], capture_output=True, text=True, check=False, input="", timeout=30
        )
        return result.stdout + result.stderr


@pytest.fixture(scope="module", params=SUITES)
def _version(request: pytest.FixtureRequest, run_site: RunSite) -> Iterator[Version]:
    with tempfile.TemporaryDirectory(prefix="auth0-flask-debian-") as folder:
        programs = unpack(request.param, Path(folder))
        with run_site(
            unix=True,
            NGINX_BINARY=str(programs / "nginx"),
            NGINX_LOGIN_RATE="1000r/s",
            NGINX_SERVER_NAMES="localhost app.test *.app.test",
            NGINX_REDIRECTED_NAMES="www.redirected.test",
        ) as site:
            yield Version(programs, site)


@pytest.fixture
def version(_version: Version) -> Version:
    """The site as at the start."""
    _version.site.upstream.reset()
    return _version


@pytest.mark.parametrize("behaviour", BEHAVIOUR, ids=lambda behaviour: behaviour.__name__.removeprefix("test_"))
def test_a_newer_nginx_behaves_alike(version: Version, behaviour: Callable[[Site], None]) -> None:
    behaviour(version.site)


@pytest.mark.parametrize(("method", "target"), [("POST", "/x"), ("GET", "/callback?code=1")])
def test_what_must_not_be_sent_twice_takes_a_connection_of_its_own(version: Version, method: str, target: str) -> None:
    test_proxying.test_what_must_not_be_sent_twice_takes_a_connection_of_its_own(version.site, method, target)


def test_start_writes_what_this_version_knows(version: Version) -> None:
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", version.output("nginx", "-v"))
    assert found
    number = tuple(map(int, found.groups()))
    assert number >= (1, 26, 0)
    site = version.site.server.folder / "run" / "site"
    http = (site / "http.conf").read_text()
    assert "http2 on;" in http
    assert "http2" not in (site / "listen-tls.conf").read_text()
    assert "ssl_ecdh_curve X25519MLKEM768:X25519:prime256v1:secp384r1;" in http
    assert ("keepalive 0;" in http) == (number >= (1, 29, 7))


@pytest.mark.parametrize("group", ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1"])
def test_the_groups_of_the_profile_work(version: Version, group: str) -> None:
    said = _connect(version, group)
    assert re.search(r"Cipher is TLS_", said), said
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize("group", ["secp521r1", "MLKEM768", "SecP256r1MLKEM768"])
def test_other_groups_are_refused(version: Version, group: str) -> None:
    assert "Cipher is (NONE)" in _connect(version, group)


def _connect(version: Version, group: str) -> str:
    address = f"127.0.0.1:{version.site.server.https_port}"
    trust = ("-CAfile", str(version.site.ca.path), "-verify_hostname", "localhost")
    return version.output(
        "openssl", "s_client", "-connect", address, "-servername", "localhost", "-groups", group, *trust
    )
