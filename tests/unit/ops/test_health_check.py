"""`python -m app health`: the exit status that a container's health check counts, and one sentence when not well."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import __main__ as commands
from app import health

ROOT = Path(__file__).parents[3]
READY = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'{"status": "ready"}'

Answers = Callable[[bytes], str]


def _serve(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(answer)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Listen where the metrics are, and answer the next connection with these bytes; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def start(answer: bytes) -> str:
            threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()
            bind = f"127.0.0.1:{listener.getsockname()[1]}"
            monkeypatch.setenv("METRICS_BIND", bind)
            return bind

        yield start


def test_a_server_that_is_ready_ends_with_0_and_nothing_is_said(
    answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(READY)
    assert commands.main(["health"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_reason_of_a_server_that_is_not_ready_is_said(answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    answers(b'HTTP/1.0 503 Service Unavailable\r\n\r\n{"status": "the session store does not answer"}')
    assert commands.main(["health"]) == 1
    assert capsys.readouterr() == ("", "The server is not ready: the session store does not answer.\n")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"null"])
def test_an_answer_without_a_reason_is_told_by_its_status(answers: Answers, body: bytes) -> None:
    answers(b"HTTP/1.0 404 Not Found\r\n\r\n" + body)
    with pytest.raises(health.NotWell, match=r"^The server is not live: it answered 404\.$"):
        health.ask("live")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.0 \r\n\r\n", b"HTTP/1.0 OK\r\n\r\n"])
def test_what_is_no_answer_is_one_sentence(answers: Answers, answer: bytes) -> None:
    bind = answers(answer)
    with pytest.raises(health.NotWell, match=rf"^The server does not answer at {bind} \(METRICS_BIND\): .+\.$"):
        health.ask()


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("METRICS_BIND", f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(health.NotWell, match=r"timed out\.$"):
            health.ask()


@pytest.mark.parametrize(("family", "everywhere"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_a_server_that_listens_on_every_address_is_reached(
    monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, everywhere: str
) -> None:
    with socket.create_server((everywhere, 0), family=family) as listener:
        host = f"[{everywhere}]" if family == socket.AF_INET6 else everywhere
        monkeypatch.setenv("METRICS_BIND", f"{host}:{listener.getsockname()[1]}")
        threading.Thread(target=_serve, args=(listener, READY), daemon=True).start()
        health.ask()


def test_nobody_listening_is_one_sentence_and_no_library_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app", "health"],
        env={"METRICS_BIND": f"127.0.0.1:{free}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1
    sentence = f"The server does not answer at 127.0.0.1:{free} (METRICS_BIND): Connection refused."
    *imports, last = result.stderr.splitlines()
    assert last == sentence
    imported = {line.rpartition("|")[2].strip() for line in imports}
    assert "socket" in imported
    assert not {"pydantic", "flask", "dotenv", "http.client", "auth0_server_python", "redis"} & imported


def test_every_address_is_every_one_that_the_kernel_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "if_inet6"
    monkeypatch.setattr(health, "IPV6", there)
    assert health.where("[::]:9464") == ("0.0.0.0", 9464)
    assert health.where("[::1]:9464") == ("::1", 9464)
    there.touch()
    assert health.where("[::]:9464") == ("::", 9464)
