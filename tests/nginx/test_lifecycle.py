"""nginx as a process: unprivileged, writing only where it may, stopping and reloading without losing a request."""

import contextlib
import os
import pwd
import re
import signal
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.nginx.client import connect
from tests.nginx.conftest import RunSite, Site
from tests.nginx.upstream import OK, Received
from tests.servers.nginx import Pair, nginx, wait_until


def _status(pid: int, name: str) -> list[str]:
    match = re.search(rf"^{name}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match
    return match[1].split()


def test_master_and_workers_are_unprivileged(site: Site) -> None:
    assert site.server.process is not None
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    for pid in (site.server.process.pid, *site.server.workers()):
        assert _status(pid, "Uid") == [str(user)] * 4
        assert _status(pid, "CapEff") == ["0000000000000000"]


def test_everything_that_is_written_is_in_the_run_folder(site: Site) -> None:
    folder = site.server.folder
    assert site.server.process is not None

    def written() -> set[Path]:
        assert site.server.process is not None
        links = [
            link
            for pid in (site.server.process.pid, *site.server.workers())
            for link in Path(f"/proc/{pid}/fd").iterdir()
            if link.lstat().st_mode & stat.S_IWUSR
        ]
        return {target for link in links if (target := link.readlink()).is_absolute()}

    with site.tls() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n" + b"x" * 199_999)
        bodies = folder / "run" / "temporary" / "body"
        wait_until(lambda: any(path.is_relative_to(bodies) for path in written()), "a body in a file")
        assert {path for path in written() if not path.is_relative_to(folder)} <= {Path("/dev/null")}
        client.send(b"x")
        assert client.response().status == 200


def test_it_runs_where_nothing_else_can_be_written(run_site: RunSite) -> None:
    with run_site() as site:
        site.server.stop()
        # Landlock and mount namespaces need privileges that a test may lack; modes hold for whoever is not root.
        for path in (site.server.folder, *(site.server.folder / "nginx").rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        (site.server.folder / "run").chmod(0o700)
        site.server.start()
        assert site.get("/", method="POST", body=b"x" * 200_000).status == 200
        assert site.get("/metrics").status == 404
        site.server.reload()
        assert site.get("/").status == 200
        site.server.folder.chmod(0o700)


def test_a_start_after_a_killed_run_works(run_site: RunSite) -> None:
    with run_site() as site:
        assert site.server.process is not None
        os.killpg(site.server.process.pid, signal.SIGKILL)
        site.server.process.wait()
        site.server.start()
        assert site.get("/").status == 200


def refuses(port: int) -> bool:
    """Whether nobody listens on *port* any more."""
    try:
        with connect(port):
            return False
    except ConnectionError:
        return True


def test_a_graceful_stop_lets_a_running_request_end(run_site: RunSite) -> None:
    go_on = threading.Event()

    def wait(_: Received) -> Iterator[bytes]:
        assert go_on.wait(30)
        yield OK

    with run_site() as site:
        site.upstream.answer = wait
        process = site.server.process
        assert process is not None
        with site.tls() as client, site.tls() as idle:
            assert idle.get("/metrics").status == 404
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: len(site.upstream.requests) == 1, "the request")
            process.send_signal(signal.SIGQUIT)
            # A connection that is kept for a next request ends at once.
            assert idle.rest() == b""
            # Master and workers each have the port open, and each closes it when it gets to it.
            wait_until(lambda: refuses(site.server.https_port), "the end of new connections")
            assert process.poll() is None
            go_on.set()
            assert client.response().status == 200
        assert process.wait(30) == 0


def test_reloads_under_load_lose_no_request(run_site: RunSite) -> None:
    with run_site() as site:
        stop = threading.Event()
        statuses: list[int] = []
        failures: list[Exception] = []

        def load() -> None:
            while not stop.is_set():
                try:
                    statuses.append(site.get("/").status)
                except Exception as error:  # noqa: BLE001
                    failures.append(error)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            site.server.reload()
        wait_until(lambda: len(statuses) > 50 or bool(failures), "fifty requests")
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert set(statuses) == {200}


def served_certificate(site: Site) -> bytes | None:
    with site.tls() as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return client.socket.getpeercert(binary_form=True)


def test_a_certificate_that_changed_is_read_again_without_a_signal(run_site: RunSite) -> None:
    with run_site(NGINX_RELOAD_SECONDS="1") as site:
        certificate, key = site.ca.issue(stem="next")
        following = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        assert served_certificate(site) != following
        site.server.certify((certificate, key))
        wait_until(lambda: served_certificate(site) == following, "the other certificate")
        (site.server.folder / "tls-0.crt").write_text("-----BEGIN CERTIFICATE-----\n")
        site.server.wait_for_error("cannot load certificate")
        # Workers of before the first change may still take connections for a moment.
        wait_until(lambda: {served_certificate(site) for _ in range(8)} == {following}, "the same certificate")


def test_who_watches_the_certificates_ends_with_nginx(run_site: RunSite) -> None:
    with run_site(NGINX_RELOAD_SECONDS="1") as site:
        assert site.server.process is not None
        group = site.server.process.pid

        def members() -> int:
            count = 0
            for process in Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    count += int(process.read_text().rpartition(")")[2].split()[2]) == group
            return count

        assert members() > 1 + len(site.server.workers())
        site.server.process.send_signal(signal.SIGQUIT)
        assert site.server.process.wait(30) == 0
        wait_until(lambda: members() == 0, "the end of its process group")


def test_the_status_for_the_exporter_is_on_loopback_and_nothing_else_is_there(site: Site) -> None:
    with connect(site.server.status_port) as client:
        status = client.get("/status")
        assert status.status == 200
        assert re.match(rb"Active connections: \d+", status.body)
        assert client.get("/").status == 404
        assert client.get("/login").status == 404
    configuration = (site.server.folder / "run" / "site" / "listen-status.conf").read_text()
    assert configuration == f"listen 127.0.0.1:{site.server.status_port};\n"
    assert site.upstream.requests == []


def test_the_status_is_on_a_unix_socket_too_where_that_is_wanted_also_after_a_nginx_that_was_killed(pair: Pair) -> None:
    with nginx(pair, upstream="127.0.0.1:8000", start=False) as server:
        path = server.folder / "status.sock"
        server.variables["NGINX_STATUS_SOCKET"] = str(path)
        server.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with client.makefile("rb") as answer:
                # Beside it perhaps that of the start, which nginx has not seen the end of.
                assert re.search(rb"Active connections: [12] ", answer.read())
        # A test of the configuration beside it takes nothing away.
        assert server.run("-t").wait(30) == 0
        assert path.exists()
        assert server.process is not None
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(30)
        assert path.exists()
        server.start()


def test_a_worker_that_dies_is_replaced(run_site: RunSite) -> None:
    with run_site() as site:
        before = site.server.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(set(site.server.workers()) - set(before)) == 1, "a new worker")
        assert [site.get("/").status for _ in range(4)] == [200] * 4
