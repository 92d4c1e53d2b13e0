"""People at the app, from inside the cluster: `python visitors.py ORIGIN ISSUER AUTHORITY`, until standard input ends.

Some are signed in, and ask for pages all the time, each on a connection of its own; somebody new signs in and out again
and again. Others had a connection reset, and come again from the same port. Nothing is tried twice. A line of JSON says
twice a second what came of it: how many answers were as they should be, and how often each other outcome came.
"""

import asyncio
import json
import socket
import ssl
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import cycle
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
from browser import Browser, location

SIGNED_IN = 10
# Seconds between two requests of one, so that the machine has time for the rest.
PAUSE = 0.02
TIMEOUT = 30
REPORT_SECONDS = 0.5
# Everybody here has one address. None of these ports comes again within two minutes; the kernel gives out others.
PORTS = range(10_000, 60_000)
# Ports that do come again. A node leads a port to the same pod for 10 s after that has reset its connection: the only
# end after which a new connection does not make it look where the Service leads to now.
RESET_PORTS = range(2_000, 10_000)
RESET_SECONDS = 0.1
AGAIN_SECONDS = 9
# A record that is no TLS, and more than anybody reads before it is found out: what is closed unread is reset.
NO_HELLO = b"\x16\x03\x01\x40\x00" + bytes(256 * 1024)


class Asked(NamedTuple):
    """A request, and what its answer has to be."""

    method: str
    path: str
    status: int
    content: bytes


HOME = Asked("GET", "/", 200, b"<html")
# Pages of somebody who is signed in; the step that nginx never sends twice, which leads them to "/"; a form.
REQUESTS = (
    Asked("GET", "/profile", 200, b"Jane Doe"),
    HOME,
    Asked("GET", "/callback?code=x&state=y", 302, b""),
    Asked("POST", "/profile", 405, b""),
)


class Person(Browser):
    """Somebody with a browser, and cookies."""

    def __init__(self, origin: str, issuer: str, authority: str) -> None:
        super().__init__(issuer, authority)
        self.app = origin

    def sign_in_at_the_app(self, username: str, password: str) -> None:
        """From /login to the page after the callback; raises AssertionError where it does not lead there."""
        answer = self.http.get(f"{self.app}/login")
        answer = self.http.get(self.sign_in(location(answer), username, password))
        assert answer.status_code in (302, 303), f"callback {answer.status_code}"

    def cookies(self) -> dict[str, str]:
        """The app's."""
        return {str(name): str(value) for name, value in self.http.cookies.items() if name.startswith("__Host-")}

    def sees(self, path: str) -> int:
        """The status of a page."""
        return self.http.get(self.app + path).status_code


class Visitors:
    """All of them, and what came of their requests."""

    def __init__(self, origin: str, issuer: str, authority: str) -> None:
        self._where = (origin, issuer, authority)
        self._host = urlsplit(origin).hostname or ""
        # One look-up: names are not what is tested, and a Service's address stays.
        self._address = socket.getaddrinfo(self._host, urlsplit(origin).port or 443, type=socket.SOCK_STREAM)[0][4][:2]
        self._trust = ssl.create_default_context(cafile=authority)
        self._outcomes: Counter[str] = Counter()
        self._answered = 0
        self._logins = 0
        self._returned = 0
        self._ports = cycle(PORTS)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Begin, report, end with standard input."""
        jars = [await asyncio.to_thread(self._signed_in) for _ in range(SIGNED_IN)]
        tasks = [asyncio.create_task(self._ask(jar)) for jar in jars]
        tasks += [asyncio.create_task(work()) for work in (self._come_and_go, self._return, self._report)]
        await asyncio.to_thread(sys.stdin.read)
        self._stopping.set()
        await asyncio.gather(*tasks)
        self._say(ended=True)

    def _signed_in(self) -> dict[str, str]:
        with Person(*self._where) as person:
            person.sign_in_at_the_app("jane@example.com", "correct-horse")
            return person.cookies()

    async def _come_and_go(self) -> None:
        while not self._stopping.is_set():
            outcome = await asyncio.to_thread(self._once)
            if outcome:
                self._outcomes[f"sign-in: {outcome}"] += 1
            else:
                self._logins += 1
            await asyncio.sleep(0.5)

    def _once(self) -> str:
        try:
            with Person(*self._where) as person:
                person.sign_in_at_the_app("john@example.com", "battery-staple")
                statuses = (person.sees("/profile"), person.sees("/logout"), person.sees("/profile"))
                return "" if statuses == (200, 302, 303) else str(statuses)
        except (httpx.HTTPError, AssertionError) as error:
            return f"{type(error).__name__} {str(error)[:200]}"

    async def _ask(self, jar: dict[str, str]) -> None:
        while not self._stopping.is_set():
            for asked in REQUESTS:
                outcome = await self._outcome(asked, jar, next(self._ports))
                if outcome:
                    self._outcomes[f"{time.strftime('%T')} {asked.method} {asked.path}: {outcome}"] += 1
                else:
                    self._answered += 1
                await asyncio.sleep(PAUSE)

    async def _return(self) -> None:
        async with asyncio.TaskGroup() as people:
            for port in cycle(RESET_PORTS):
                people.create_task(self._come_again(port))
                if await self._stops_within(RESET_SECONDS):
                    return

    async def _come_again(self, port: int) -> None:
        try:
            if not await self._is_reset(port) or await self._stops_within(AGAIN_SECONDS):
                return
        except OSError as error:
            outcome = f"{type(error).__name__} {error}"
        else:
            outcome = await self._outcome(HOME, {}, port)
        if outcome:
            self._outcomes[f"{time.strftime('%T')} from a port that was reset: {outcome}"] += 1
        else:
            self._returned += 1

    async def _is_reset(self, port: int) -> bool:
        connection = await self._connected(port)
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            writer.write(NO_HELLO)
            async with asyncio.timeout(TIMEOUT):
                await reader.read(-1)
        except ConnectionError:
            return True
        finally:
            writer.transport.abort()
        return False

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def _outcome(self, asked: Asked, jar: dict[str, str], port: int) -> str:
        cookies = "; ".join(f"{name}={value}" for name, value in jar.items())
        head = (
            f"{asked.method} {asked.path} HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\nCookie: {cookies}\r\n"
        )
        if asked.method == "POST":
            head += "Content-Length: 0\r\n"
        try:
            answer = await self._exchange(f"{head}\r\n".encode(), port)
        except (OSError, EOFError) as error:
            # TimeoutError is an OSError.
            return f"{type(error).__name__} {error}".strip()
        if not answer:
            return "closed without an answer"
        headers, _, body = answer.partition(b"\r\n\r\n")
        lines = headers.decode("latin-1").split("\r\n")
        self._keep(lines, jar)
        found = int(lines[0].split()[1])
        if found != asked.status:
            return str(found)
        return "" if asked.content in body else "another page"

    async def _exchange(self, request: bytes, port: int) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            connection = await self._connected(port)
            reader, writer = await asyncio.open_connection(sock=connection, ssl=self._trust, server_hostname=self._host)
            try:
                writer.write(request)
                return await reader.read(-1)
            finally:
                writer.transport.abort()

    async def _connected(self, port: int) -> socket.socket:
        with ExitStack() as stack:
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            connection.bind(("", port))
            try:
                await asyncio.get_running_loop().sock_connect(connection, self._address)
            except OSError as error:
                raise type(error)(f"from port {port}") from error
            stack.pop_all()
            return connection

    @staticmethod
    def _keep(lines: list[str], jar: dict[str, str]) -> None:
        """What the app sets anew, and what it takes away."""
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() == "set-cookie":
                cookie, _, attributes = value.strip().partition(";")
                key, _, text = cookie.partition("=")
                if "max-age=0" in attributes.lower().replace(" ", ""):
                    jar.pop(key, None)
                else:
                    jar[key] = text

    async def _report(self) -> None:
        while not self._stopping.is_set():
            self._say(ended=False)
            await asyncio.sleep(REPORT_SECONDS)

    def _say(self, *, ended: bool) -> None:
        state = {
            "answered": self._answered,
            "logins": self._logins,
            "returned": self._returned,
            "failures": self._outcomes,
            "ended": ended,
        }
        print(json.dumps(state), flush=True)


if __name__ == "__main__":
    asyncio.run(Visitors(*sys.argv[1:4]).run())
