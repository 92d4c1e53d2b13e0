"""People at the app, from inside the cluster: `python visitors.py ORIGIN ISSUER AUTHORITY`, until standard input ends.

Some are signed in, and ask for pages all the time, each on a connection of its own; somebody new signs in and out again
and again. Nothing is tried twice. A line of JSON says twice a second what came of it: how many answers were as they
should be, and how often each other outcome came.
"""

import asyncio
import json
import math
import socket
import ssl
import sys
import time
from collections import Counter
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
from browser import Browser, location

SIGNED_IN = 10
# Seconds between two requests of one, so that the machine has time for the rest.
PAUSE = 0.02
TIMEOUT = 30
REPORT_SECONDS = 0.5
# Pages of somebody who is signed in; the step that nginx never sends twice, which leads them to "/"; a form.
REQUESTS = (
    ("GET", "/profile", 200, b"Jane Doe"),
    ("GET", "/", 200, b"<html"),
    ("GET", "/callback?code=x&state=y", 302, b""),
    ("POST", "/profile", 405, b""),
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
        # When each of this pod's ports was last used.
        self._ports: dict[int, float] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Begin, report, end with standard input."""
        jars = [await asyncio.to_thread(self._signed_in) for _ in range(SIGNED_IN)]
        tasks = [asyncio.create_task(self._ask(jar)) for jar in jars]
        tasks += [asyncio.create_task(self._come_and_go()), asyncio.create_task(self._report())]
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
            for method, path, status, content in REQUESTS:
                outcome = await self._outcome(method, path, status, content, jar)
                if outcome:
                    self._outcomes[f"{time.strftime('%T')} {method} {path}: {outcome}"] += 1
                else:
                    self._answered += 1
                await asyncio.sleep(PAUSE)

    async def _outcome(self, method: str, path: str, status: int, content: bytes, jar: dict[str, str]) -> str:
        cookies = "; ".join(f"{name}={value}" for name, value in jar.items())
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\nCookie: {cookies}\r\n"
        if method == "POST":
            head += "Content-Length: 0\r\n"
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._exchange(f"{head}\r\n".encode())
        except (OSError, EOFError) as error:
            # TimeoutError is an OSError.
            return f"{type(error).__name__} {error}".strip()
        if not answer:
            return "closed without an answer"
        headers, _, body = answer.partition(b"\r\n\r\n")
        lines = headers.decode("latin-1").split("\r\n")
        self._keep(lines, jar)
        found = int(lines[0].split()[1])
        if found != status:
            return str(found)
        return "" if content in body else "another page"

    async def _exchange(self, request: bytes) -> bytes:
        connection = await self._connected()
        reader, writer = await asyncio.open_connection(sock=connection, ssl=self._trust, server_hostname=self._host)
        try:
            writer.write(request)
            return await reader.read(-1)
        finally:
            writer.transport.abort()

    async def _connected(self) -> socket.socket:
        with ExitStack() as stack:
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(connection, self._address)
            except OSError as error:
                port = connection.getsockname()[1]
                # A network that remembers the port's last connection may lead it to a pod that is gone.
                age = time.monotonic() - self._ports.get(port, -math.inf)
                raise type(error)(f"from port {port}, last used {age:.1f} s before") from error
            self._ports[connection.getsockname()[1]] = time.monotonic()
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
        state = {"answered": self._answered, "logins": self._logins, "failures": self._outcomes, "ended": ended}
        print(json.dumps(state), flush=True)


if __name__ == "__main__":
    asyncio.run(Visitors(*sys.argv[1:4]).run())
