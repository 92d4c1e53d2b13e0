"""Requests all the time, each on a connection of its own, and what came of them."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.compose.stack import Stack, Visitor, wait_until

AT_ONCE = 4
# Pages of whoever is signed in; the step that nginx never sends twice, which leads them to "/"; a form.
REQUESTS = {
    ("GET", "/profile"): 200,
    ("GET", "/"): 200,
    ("GET", "/callback?code=x&state=y"): 302,
    ("POST", "/profile"): 405,
}


@dataclass
class Load:
    """How often each outcome came: the path's and the status, or the name of the exception."""

    outcomes: "Counter[tuple[str, str, str]]" = field(default_factory=Counter)
    answered: int = 0

    @property
    def failures(self) -> "dict[tuple[str, str, str], int]":
        """The outcomes that were not as they should be."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome[2] != "as expected"}

    def wait_for(self, more: int) -> None:
        """Wait until that many more requests have been answered as they should be."""
        enough = self.answered + more
        wait_until(lambda: self.answered >= enough, f"{more} more good answers, after {self.failures}")


@contextmanager
def load(stack: Stack, visitor: Visitor) -> Iterator[Load]:
    """Load of somebody who is signed in, for as long as the block lasts."""
    running = Load()
    stop = threading.Event()
    lock = threading.Lock()

    def send() -> None:
        with httpx.Client(verify=stack.trust, cookies=visitor.http.cookies, timeout=60, trust_env=False) as http:
            while not stop.is_set():
                for (method, path), expected in REQUESTS.items():
                    outcome = _outcome(http, method, stack.origin + path, expected)
                    with lock:
                        running.outcomes[method, path, outcome] += 1
                        running.answered += outcome == "as expected"

    threads = [threading.Thread(target=send) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        running.wait_for(AT_ONCE * len(REQUESTS))
        yield running
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _outcome(http: httpx.Client, method: str, url: str, expected: int) -> str:
    try:
        status = http.request(method, url, headers={"connection": "close"}).status_code
    except httpx.HTTPError as error:
        return type(error).__name__
    return "as expected" if status == expected else str(status)
