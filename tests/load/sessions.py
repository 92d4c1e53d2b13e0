"""What sessions cost: a login, its bytes in Redis, a back-channel logout among few and many, a Redis that hangs."""

import http.client
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import jwt

from scripts.certificates import authority
from tests.integration.browser import AppBrowser
from tests.integration.identity.browser import location
from tests.servers.app import ServedApp, app
from tests.servers.identity import CLIENT, IdentityProvider, identity
from tests.servers.redis import RedisServer

from .processes import children, cpu_seconds, pin
from .rounds import bench_redis
from .serving import HEADERS, LOAD_CORE, WORKER_CORE, Serving, serving
from .users import USERS
from .ways import HANGING
from .wrk import wrk

FEW = 1_000
Took = tuple[float, float]
"""A logout: ms from the delivery to the answer, and microseconds of Redis' scripts."""
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_CHUNK = 500
_PAUSE_SECONDS = 0.05

# As many sessions as the app leaves after as many logins of as many users, with what a real one of them measures.
# ARGV: the blob, the note, for how many seconds, the first number, the last.
_FILL = """
local ends = redis.call('TIME')[1] + ARGV[3]
for number = ARGV[4], ARGV[5] do
  local name = redis.sha1hex('a' .. number) .. string.sub(redis.sha1hex('b' .. number), 1, 24)
  redis.call('SET', 'session:' .. name, string.sub(name .. ARGV[1], 1, #ARGV[1]), 'EX', ARGV[3])
  for _, kind in ipairs({'sid', 'sub'}) do
    local digest = '{' .. string.sub(redis.sha1hex(kind .. number), 1, 32) .. '}'
    redis.call('ZADD', 'session:index:' .. digest, ends, name)
    redis.call('HSET', 'session:notes:' .. digest, name, ARGV[2])
    redis.call('EXPIREAT', 'session:index:' .. digest, ends)
    redis.call('EXPIREAT', 'session:notes:' .. digest, ends)
  end
end
"""


@dataclass(frozen=True)
class Amounts:
    """How much is measured: other people's sessions, logins at a time, turns, seconds of load."""

    many: int
    logins: int
    rounds: int
    logouts: int
    seconds: int


FULL = Amounts(many=1_000_000, logins=40, rounds=5, logouts=51, seconds=5)
QUICK = Amounts(many=2_000, logins=3, rounds=1, logouts=3, seconds=1)


@dataclass(frozen=True)
class Hanging:
    """One turn: the p99 (ms) of a page without a session, and how long (ms) who is signed in waited for a 503."""

    usual_p99: float
    hung_p99: float
    refusals: list[float]


@dataclass(frozen=True)
class Sessions:
    """All of it. Times in ms, sizes in bytes; `few` and `many` are pairs of logouts of the same turn.

    `few_redis` and `many_redis` are what Redis itself took for the scripts of one, in microseconds.
    """

    others: int
    login_cpu: list[float]
    login_redis_cpu: list[float]
    blob: int
    bytes_each: float
    few: list[float]
    many: list[float]
    few_redis: list[float]
    many_redis: list[float]
    hanging: list[Hanging]


@dataclass
class Site:
    """One app with its Redis, and a browser that the provider knows."""

    app: ServedApp
    redis: RedisServer
    browser: AppBrowser

    @property
    def worker(self) -> int:
        """The process that answers."""
        (pid,) = children(self.app.server.process.pid)
        return pid

    def log_in(self) -> None:
        """Sign in anew, as who is known to the provider."""
        for name in self.browser.cookies:
            self.browser.delete_cookie(name)
        callback = location(self.browser.open(location(self.browser.get("/login"))))
        answer = self.browser.get(callback)
        assert answer.status_code == 302, answer.text

    def begin_anew(self) -> str:
        """Sign in, at the provider too; returns the `sid` of its session, as one that was ended is let in no more."""
        self.browser.http.cookies.clear()
        self.browser.sign_in_as()
        user = self.browser.user
        assert user is not None
        return str(user["sid"])


def measure(amounts: Amounts, folder: Path, say: Callable[[str], None]) -> Sessions:
    """Measure all of it.

    :raises AssertionError: something answers wrongly; nothing is said of its time then.
    """
    with ExitStack() as stack:
        provider, key = stack.enter_context(_provider(folder))
        few, many = (stack.enter_context(_site(folder / name, provider)) for name in ("few", "many"))
        login_cpu, redis_cpu = _logins(few, amounts, say)
        blob, note = _sizes(few)
        _fill(few.redis, FEW, blob, note)
        before = _used(many.redis)
        _fill(many.redis, amounts.many, blob, note)
        each = (_used(many.redis) - before) / amounts.many
        say(f"filled  {amounts.many:,} sessions of {blob:,} bytes: {each:,.0f} bytes of Redis each")
        pairs = [_logout_pair(few, many, key, turn) for turn in range(amounts.logouts)]
    among_few, among_many = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    middle = [sorted(took for took, _redis in logouts)[len(pairs) // 2] for logouts in (among_few, among_many)]
    say(f"logout  {middle[0]:.2f} ms among {FEW:,}, {middle[1]:.2f} ms among {amounts.many:,}")
    return Sessions(
        others=amounts.many,
        login_cpu=login_cpu,
        login_redis_cpu=redis_cpu,
        blob=blob,
        bytes_each=each,
        few=[took for took, _redis in among_few],
        many=[took for took, _redis in among_many],
        few_redis=[redis for _took, redis in among_few],
        many_redis=[redis for _took, redis in among_many],
        hanging=_hangs(amounts, folder, say),
    )


@contextmanager
def _provider(folder: Path) -> Iterator[tuple[IdentityProvider, dict[str, str]]]:
    file = folder / "key.json"
    with identity(authority(folder), options=["--key-file", str(file)]) as provider:
        yield provider, json.loads(file.read_text())


@contextmanager
def _site(folder: Path, provider: IdentityProvider) -> Iterator[Site]:
    folder.mkdir()
    with bench_redis(folder) as redis, app(folder / "app", provider, redis=redis, **_SETTINGS) as served:
        site = Site(served, redis, AppBrowser(served))
        pin(site.worker, WORKER_CORE)
        site.browser.sign_in_as()
        yield site
        site.browser.http.close()


_SETTINGS = {"AUTH0_SCOPE": "openid profile email offline_access", "LOG_LEVEL": "info"}


def _logins(site: Site, amounts: Amounts, say: Callable[[str], None]) -> tuple[list[float], list[float]]:
    # By CPU time: the wall's is the provider's, which is as slow as it likes.
    assert site.redis.process is not None
    worker, redis = [], []
    for number in range(amounts.rounds):
        before = cpu_seconds(site.worker), cpu_seconds(site.redis.process.pid)
        for _ in range(amounts.logins):
            site.log_in()
        worker.append((cpu_seconds(site.worker) - before[0]) / amounts.logins * 1000)
        redis.append((cpu_seconds(site.redis.process.pid) - before[1]) / amounts.logins * 1000)
        say(f"round {number + 1}  a login: {worker[-1]:.2f} ms of the worker, {redis[-1]:.2f} ms of Redis")
    return worker, redis


def _sizes(site: Site) -> tuple[int, int]:
    # Of one that the app has written, whatever is in it.
    site.redis.client.flushall()
    site.log_in()
    [session] = [key for key in site.redis.client.keys("session:*") if site.redis.client.type(key) == b"string"]  # type: ignore[union-attr]
    notes = site.redis.client.keys("session:notes:*")
    [note] = site.redis.client.hvals(notes[0])  # type: ignore[index,misc]
    return int(site.redis.client.strlen(session)), len(note)  # type: ignore[arg-type]


def _fill(redis: RedisServer, count: int, blob: int, note: int) -> None:
    given = (secrets.token_bytes(blob), secrets.token_bytes(note), 28_800)
    for first in range(0, count, _CHUNK):
        redis.client.eval(_FILL, 0, *given, first, min(first + _CHUNK, count) - 1)
    assert redis.client.dbsize() >= 5 * count  # type: ignore[operator]


def _used(redis: RedisServer) -> int:
    return int(redis.client.info("memory")["used_memory"])  # type: ignore[index]


def _logout_pair(few: Site, many: Site, key: dict[str, str], turn: int) -> tuple[Took, Took]:
    # Every other turn the other one first.
    took = {id(site): _logout(site, key) for site in ((few, many) if turn % 2 else (many, few))}
    return took[id(few)], took[id(many)]


def _logout(site: Site, key: dict[str, str]) -> Took:
    token = _logout_token(site.app.provider, key, site.begin_anew())
    body, headers = urlencode({"logout_token": token}), {"Content-Type": "application/x-www-form-urlencoded"}
    trust = ssl.create_default_context(cafile=str(site.app.provider.ca.path))
    connection = http.client.HTTPSConnection("localhost", site.app.server.port, context=trust, timeout=60)
    # What is measured is the logout, not the handshake.
    connection.request("GET", "/healthz/live")
    connection.getresponse().read()
    scripts = _script_us(site.redis)
    start = time.perf_counter()
    connection.request("POST", "/backchannel-logout", body, headers)
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - start) * 1000, _script_us(site.redis) - scripts
    connection.close()
    assert answer.status == 200
    assert site.browser.user is None, "the session has not ended"
    return took


def _script_us(redis: RedisServer) -> float:
    # Whatever else the machine does, Redis has one thread, and a script has it to itself.
    stats = redis.client.info("commandstats")
    return float(stats["cmdstat_eval"]["usec"])  # type: ignore[index]


def _logout_token(provider: IdentityProvider, key: dict[str, str], sid: str) -> str:
    now = int(time.time())
    claims = {"iss": provider.issuer, "aud": CLIENT["client_id"], "iat": now, "exp": now + 120}
    named = {"jti": secrets.token_hex(8), "events": {_EVENT: {}}, "sid": sid}
    signing = jwt.PyJWK.from_dict(key, algorithm="RS256").key
    return jwt.encode({**claims, **named}, signing, "RS256", {"typ": "logout+jwt", "kid": key["kid"]})


def _hangs(amounts: Amounts, folder: Path, say: Callable[[str], None]) -> list[Hanging]:
    found = []
    with bench_redis(folder) as redis, serving(HANGING, redis.url, folder) as server:
        for number in range(amounts.rounds):
            user = next(iter(USERS.values()))
            cookie = server.sign_in(user)
            usual, answers = _anonymous(server, cookie, amounts.seconds)
            assert 200 in {status for status, _took in answers}
            redis.hang()
            try:
                hung, refused = _anonymous(server, cookie, amounts.seconds)
            finally:
                redis.resume()
            assert {status for status, _took in refused} == {503}
            found.append(Hanging(usual, hung, [took for _status, took in refused]))
            longest = max(took for _status, took in refused)
            say(f"round {number + 1}  p99 {usual:.1f} ms, {hung:.1f} ms while Redis hangs; 503 in {longest:.0f} ms")
            deadline = time.monotonic() + 60
            while _ask(server, cookie)[0] != 200:
                assert time.monotonic() < deadline, "Redis is back, and the app does not use it"
                time.sleep(_PAUSE_SECONDS)
    return found


def _anonymous(server: Serving, cookie: str, seconds: int) -> tuple[float, list[tuple[int, float]]]:
    # The p99 of those who have no session, while somebody who has one asks again and again.
    answers: list[tuple[int, float]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(_PAUSE_SECONDS):
            answers.append(_ask(server, cookie))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        load = wrk(f"http://127.0.0.1:{server.port}/", HEADERS, seconds, LOAD_CORE)
    finally:
        over.set()
        asking.join()
    assert load.errors == 0
    return load.p99_ms, answers


def _ask(server: Serving, cookie: str) -> tuple[int, float]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    start = time.perf_counter()
    connection.request("GET", "/profile", headers={**HEADERS, "Cookie": cookie})
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - start) * 1000
    connection.close()
    return answer.status, took
