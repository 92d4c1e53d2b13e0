"""New keys in a running fleet, from the file that they are mounted as: nobody is signed out, and the old key goes."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.__main__ import main
from app.server import LoopFlask, await_
from app.settings import Settings, load_settings
from tests.integration.sessions.fleet import Browser, server
from tests.servers.gunicorn import Gunicorn
from tests.servers.redis import RedisServer
from tests.unit.sessions.conftest import make_app

TAKEN = "the keys of sessions were read anew"
PEOPLE = 12
# Between two visits of one: they are to meet each step on each server, not to keep a machine busy.
PAUSE_SECONDS = 0.1


def new_key(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["keys"]) == 0
    return capsys.readouterr().out.strip()


class Visitors:
    """People who use the app all the time, on all servers in turn, and note when one is signed out."""

    def __init__(self, servers: list[Gunicorn]) -> None:
        self.lost: list[str] = []
        self.visits = [0] * PEOPLE
        self._servers = servers
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._use, args=(number,)) for number in range(PEOPLE)]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def until_all_have_visited_again(self) -> None:
        """Wait until each has been on every server since."""
        goal = [visits + 2 * len(self._servers) for visits in self.visits]
        deadline = time.monotonic() + 60
        while any(visits < wanted for visits, wanted in zip(self.visits, goal, strict=True)):
            assert not self.lost, self.lost
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _use(self, number: int) -> None:
        browser = Browser(self._servers)
        me = f"person {number}"
        assert browser.post("/set", json={"user": me}) == 200
        while not self._end.wait(PAUSE_SECONDS):
            answer = browser.request("GET", "/get")
            if answer.status_code != 200 or answer.json().get("user") != me:
                self.lost.append(f"{me}: {answer.status_code} {answer.text}")
                return
            if self.visits[number] % 10 == number % 10:
                browser.post("/set", json={"visit": self.visits[number]})
            self.visits[number] += 1


@pytest.fixture
def three(redis: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[list[Gunicorn]]:
    """Three servers, each with a file of its own, as on three nodes."""
    first = new_key(capsys)
    with ExitStack() as stack:
        servers = []
        for number in range(3):
            (tmp_path / f"secret-{number}").write_text(first)
            variables = {"AUTH0_SECRET": "", "AUTH0_SECRET_FILE": str(tmp_path / f"secret-{number}")}
            running = server(tmp_path / f"server-{number}", REDIS_URL=redis.url, **variables)
            servers.append(stack.enter_context(running))
        yield servers


def test_a_rotation_in_three_steps_signs_nobody_out_and_the_old_key_opens_nothing_after_it(
    three: list[Gunicorn], tmp_path: Path, redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = (tmp_path / "secret-0").read_text(), new_key(capsys)
    with Visitors(three) as visitors:
        visitors.until_all_have_visited_again()
        # All read the new one, then all write it, then none has the old one; one server after the other.
        for step, ring in enumerate((f"{old}\n{new}\n", f"{new},{old}", new), start=1):
            for number, running in enumerate(three):
                (tmp_path / f"secret-{number}").write_text(ring)
                running.wait_for(TAKEN, times=step)
                visitors.until_all_have_visited_again()
        assert not visitors.lost
        assert min(visitors.visits) > 0
    assert redis.client.dbsize() == PEOPLE
    for running in three:
        assert "cannot be decrypted" not in running.log
        assert old not in running.log
        assert new not in running.log


def test_a_server_that_has_not_seen_the_new_key_looks_when_it_meets_it(
    three: list[Gunicorn], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = (tmp_path / "secret-0").read_text(), new_key(capsys)
    first, second, _third = three
    (tmp_path / "secret-0").write_text(f"{new},{old}")
    first.wait_for(TAKEN)
    (tmp_path / "secret-1").write_text(f"{new},{old}")
    browser = Browser(three)
    browser.post("/set", first, json={"user": "jane"})
    assert browser.get("/get", second) == {"user": "jane"}


def test_a_file_that_cannot_be_used_changes_nothing_and_is_reported_once(three: list[Gunicorn], tmp_path: Path) -> None:
    first = three[0]
    browser = Browser(three)
    browser.post("/set", first, json={"user": "jane"})
    old = (tmp_path / "secret-0").read_text()
    (tmp_path / "secret-0").write_text("too short")
    first.wait_for("AUTH0_SECRET_FILE was not taken: it is shorter than 32 characters")
    assert browser.get("/get", first) == {"user": "jane"}
    (tmp_path / "secret-0").unlink()
    first.wait_for("AUTH0_SECRET_FILE was not taken: it cannot be read")
    assert browser.get("/get", first) == {"user": "jane"}
    assert first.log.count("not taken: it is shorter than") == 1
    (tmp_path / "secret-0").write_text(f"{old},{old[::-1]}")
    first.wait_for(TAKEN)


def app_with(settings: Settings, *ring: str) -> LoopFlask:
    return make_app(Settings.model_validate(settings.model_dump() | {"auth0_secret": ",".join(ring)}))


def test_a_session_that_is_read_moves_to_the_first_key_with_its_labels(
    settings: Settings, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.integration.sessions.test_labels import JANE, add_routes, post

    old, new = settings.secrets[0], settings.secrets[0][::-1]
    before, during, after = (add_routes(app_with(settings, *ring)) for ring in ((old,), (new, old), (new,)))
    client = before.test_client()
    post(client, "/log-in", {JANE: 0})
    cookie = client.get_cookie("__Host-session")
    assert cookie is not None

    def visit(app: LoopFlask) -> object:
        visitor = app.test_client()
        visitor.set_cookie("__Host-session", cookie.value)
        return visitor.get("/get").json

    redis.client.config_resetstat()
    assert visit(during) == visit(during) == {"user": "jane"}
    assert redis.client.info("commandstats")["cmdstat_eval"]["calls"] == 2  # type: ignore[index]
    assert visit(after) == {"user": "jane"}
    # Found by who has the new key alone, also for ending it.
    assert post(after.test_client(), "/end", JANE) == {"ended": 1}
    assert visit(during) == {}
    with caplog.at_level(logging.WARNING):
        assert visit(before) == {}
    for app in (before, during, after):
        await_(app.extensions["session_store"].close())


def test_a_label_that_is_ended_while_keys_change_is_ended_under_each(settings: Settings, redis: RedisServer) -> None:
    from tests.integration.sessions.test_labels import JANE, add_routes, post

    old, new = settings.secrets[0], settings.secrets[0][::-1]
    apps = [add_routes(app_with(settings, *ring)) for ring in ((old, new), (new, old))]
    clients = [app.test_client() for app in apps]
    for client in clients:
        post(client, "/log-in", {JANE: int(time.time()) - 1})
    assert post(apps[0].test_client(), "/end", JANE) == {"ended": 2}
    assert [client.get("/get").json for client in clients] == [{}, {}]
    for client in clients:
        assert post(client, "/log-in", {JANE: int(time.time()) - 1}) == {"saved": False}
    for app in apps:
        await_(app.extensions["session_store"].close())


def test_a_worker_that_starts_long_after_its_server_knows_the_new_keys_at_once(
    settings: Settings, variables: dict[str, str], redis: RedisServer, tmp_path: Path
) -> None:
    from tests.integration.sessions.test_labels import JANE, add_routes, post

    old, new = settings.secrets[0], settings.secrets[0][::-1]
    file = tmp_path / "secret"
    file.write_text(old)
    changes = {"AUTH0_SECRET": "", "AUTH0_SECRET_FILE": str(file), "SESSION_BACKEND": "redis", "REDIS_URL": redis.url}
    # Made before the fork, as the server does.
    late = add_routes(make_app(load_settings(variables | changes)))
    file.write_text(new)
    other = add_routes(app_with(settings, new))
    jane = other.test_client()
    post(jane, "/log-in", {JANE: 0})

    await_(late.start_hooks[0]())
    try:
        # Nothing that is sealed has told it of the new key yet.
        assert post(late.test_client(), "/end", JANE) == {"ended": 1}
        assert jane.get("/get").json == {}
    finally:
        for app in (late, other):
            for hook in app.stop_hooks:
                await_(hook())
