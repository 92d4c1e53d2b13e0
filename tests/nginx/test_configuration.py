"""The files themselves, and how start.sh turns variables into what differs between places."""

import re
import subprocess
from pathlib import Path

import pytest

from app.web import errors
from scripts import error_page
from tests.nginx.conftest import RunSite, Site
from tests.servers.nginx import ROOT, SEARCH, Pair, nginx

GIXY = ROOT / ".local" / "nginx-tools" / "bin" / "gixy"
README = (ROOT / "nginx" / "README.md").read_text(encoding="utf-8")
START = (ROOT / "nginx" / "start.sh").read_text(encoding="utf-8")
# Each with the reason why it does not hold here.
NOT_MEANT = {
    # $pool is the name of one of the two groups of servers in site/http.conf, not a host name.
    "missing_resolver",
    # start.sh names the post-quantum group only where the library knows it.
    "ssl_ecdh_curve",
}


def test_nginx_finds_nothing_wrong(site: Site) -> None:
    process = site.server.run("-t")
    assert process.wait(30) == 0
    assert "test is successful" in site.server.errors
    assert not re.search(r"\[(warn|error|crit|alert|emerg)\]", site.server.errors)


def test_gixy_finds_nothing_wrong(site: Site) -> None:
    if not GIXY.exists():
        raise RuntimeError("gixy is missing: `make .local/nginx-tools/nginx`.")
    command = [GIXY, f"--skips={','.join(sorted(NOT_MEANT))}", site.server.folder / "run" / "nginx.conf"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_gixy_reads_every_file(site: Site) -> None:
    result = subprocess.run(
        [GIXY, "--debug", site.server.folder / "run" / "nginx.conf"], capture_output=True, text=True, check=False
    )
    for path in (ROOT / "nginx" / "snippets").iterdir():
        assert path.name in result.stdout + result.stderr


WRONG = {
    "NGINX_UPSTREAM": ["app", "http://app:8000", "unix:app.sock", "app:8000;", "unix:/a b", ""],
    "NGINX_SERVER_NAMES": ["https://app.test", "app.test;", "app_test", "-x", "a.*", "*", "", "~^(?<x>.+)$"],
    # The default of the others is localhost.
    "NGINX_REDIRECTED_NAMES": ["https://app.test", "app_test", "*", "www.app.test localhost", "LocalHost"],
    "NGINX_CERTIFICATE": ["tls.crt", "/a;b", "/a /b /c"],
    "NGINX_CERTIFICATE_KEY": ["tls.key", "$var"],
    "NGINX_LISTEN": ["localhost", "::1", "0.0.0.0:80", "0.0.0.0;"],
    "NGINX_HTTPS_PORT": ["https", "8443 8444", "-1"],
    "NGINX_HTTP_PORT": ["0x50"],
    "NGINX_STATUS_PORT": ["8081;"],
    "NGINX_STATUS_SOCKET": ["status.sock", "/a b", "/a;b"],
    "NGINX_PUBLIC_PORT": [":443", "443/"],
    "NGINX_PROXY_PROTOCOL": ["yes", "1"],
    "NGINX_TRUSTED_PROXIES": ["gateway", "10.0.0.0/8;", "10.0.0.0/8,10.1.0.0/16", "all"],
    "NGINX_WORKERS": ["0", "many"],
    "NGINX_MAX_BODY_BYTES": ["1m", "0", "-5"],
    "NGINX_CLIENT_TIMEOUT_SECONDS": ["10s", "0"],
    "NGINX_UPSTREAM_TIMEOUT_SECONDS": ["1.5"],
    "NGINX_CLIENT_REQUESTS": ["0"],
    "NGINX_LOGIN_RATE": ["5", "5/s", "5r/h", "r/s"],
    "NGINX_DENIED_CLIENTS": ["all", "203.0.113.7;", "203.0.113.7,203.0.113.8", "client.example.com"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_with_its_name_and_an_example(pair: Pair, name: str, value: str) -> None:
    with nginx(pair, upstream="127.0.0.1:8000", variables={name: value}, start=False) as server:
        assert server.run().wait(30) == 1
        assert re.search(rf"(?m)^  {name}[: ].*; an example is \S", server.errors)
        assert not (server.folder / "run").exists()


def test_all_problems_are_named_at_once(pair: Pair) -> None:
    wrong = {"NGINX_HTTP_PORT": "http", "NGINX_PROXY_PROTOCOL": "on", "NGINX_LOGIN_RATE": "x\ny"}
    with nginx(pair, upstream="nowhere", variables=wrong, start=False) as server:
        assert server.run().wait(30) == 1
        found = re.findall(r"(?m)^  (NGINX_[A-Z_]+)", server.errors)
        assert set(found) == {"NGINX_UPSTREAM", *wrong}


def test_a_hundred_names_as_long_as_any_are_taken(run_site: RunSite) -> None:
    served, redirected = (
        [f"{letter}{number:02}{'.'.join(['a' * 60] * 4)}.test" for number in range(100)] for letter in "sr"
    )
    assert {len(name) for name in (*served, *redirected)} == {251}
    with run_site(
        NGINX_SERVER_NAMES=" ".join(["localhost", *served[1:]]), NGINX_REDIRECTED_NAMES=" ".join(redirected)
    ) as site:
        assert site.server.errors.count("hash") == 0
        with site.tls() as client:
            assert client.get("/", host=served[7]).status == 200
            assert client.get("/", host=redirected[7]).value("Location") == f"{site.server.origin}/"


def test_a_name_for_all_below_leads_nobody(pair: Pair) -> None:
    names = {"NGINX_SERVER_NAMES": "*.app.test", "NGINX_REDIRECTED_NAMES": "app.test"}
    with nginx(pair, upstream="127.0.0.1:8000", variables=names, start=False) as server:
        assert server.run().wait(30) == 1
        assert "begins with '*.app.test', and NGINX_REDIRECTED_NAMES cannot lead there" in server.errors


def test_a_missing_nginx_is_named(pair: Pair) -> None:
    with nginx(
        pair, upstream="127.0.0.1:8000", variables={"NGINX_BINARY": "/nonexistent/nginx"}, start=False
    ) as server:
        assert server.run().wait(30) == 1
        assert "'/nonexistent/nginx' is no nginx that runs here: install nginx" in server.errors


def test_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{SEARCH}", "NGINX_RUN": str(tmp_path / "run")}
    command = [ROOT / "nginx" / "start.sh", "-t"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 1
    assert "This is root" in result.stderr
    assert not (tmp_path / "run").exists()


def test_every_variable_is_in_the_readme_with_its_default() -> None:
    settings = dict(re.findall(r"""(?m)^setting (NGINX_\w+) (\S+)""", START))
    table = dict(re.findall(r"(?m)^\| `(NGINX_\w+)` \| ([^|]*?) *\|", README))
    assert table.keys() == settings.keys() | {"NGINX_RUN", "NGINX_BINARY"}
    for name, default in settings.items():
        if default not in ("''", '"$every"'):
            assert table[name] == f"`{default}`", name


def test_every_file_is_in_the_readme() -> None:
    for path in (ROOT / "nginx").rglob("*"):
        if path.is_file() and path.name != "README.md":
            assert f"`{path.relative_to(ROOT / 'nginx')}`" in README


def test_the_error_page_has_the_app_s_look_and_the_policy_its_hash() -> None:
    for path, render in ((error_page.PAGE, error_page.page), (error_page.POLICY, error_page.policy)):
        assert path.read_text() == render(path.read_text()), "Run `python scripts/error_page.py`."


@pytest.mark.parametrize("status", sorted(errors._TEXTS))
def test_the_error_page_says_what_the_app_s_says(status: int) -> None:
    words = (ROOT / "nginx" / "snippets" / "words.conf").read_text()
    title, text = errors._TEXTS[status]
    assert re.findall(rf'(?m)^  {status} "(.*)";$', words) == [title, text]


def test_several_replicas_and_names_are_taken(run_site: RunSite) -> None:
    with run_site(NGINX_SERVER_NAMES="localhost app.test") as site:
        site.server.stop()
        site.server.variables["NGINX_UPSTREAM"] += f" {site.upstream.address}"
        site.server.start()
        assert site.get("/", host="app.test").status == 200
