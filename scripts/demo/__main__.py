"""`python -m scripts.demo`: check, start, say where it is, wait for Ctrl-C, leave nothing behind."""

import os
import signal
import sys
import threading
import time
from types import FrameType

import redis

from scripts import node
from scripts.certificates import authority

from . import banner, options, ports, redirect, services
from .children import Children, Stopped
from .options import DemoError, Options


def main() -> int:
    """Run the demo; 0 when a signal ended it, 1 with a sentence when it cannot run."""
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    services.FOLDER.mkdir(parents=True, exist_ok=True)
    children = Children(services.FOLDER, stopping)
    style = banner.Style(sys.stdout)
    try:
        chosen = options.read(os.environ)
        ports.check(chosen)
        if chosen.redis_url:
            _check_redis(chosen.redis_url)
        start(children, chosen, style)
        children.watch()
        _say_goodbye()
    except Stopped:
        pass
    except (DemoError, node.InstallationError) as error:
        print(banner.Style(sys.stderr).bad("The demo cannot run. ") + str(error), file=sys.stderr)
        return 1
    finally:
        children.stop()
    return 0


def start(children: Children, chosen: Options, style: banner.Style) -> None:
    """Start all services and say so. Raises DemoError, InstallationError or Stopped."""
    executable = node.node()
    node.install_packages(executable)
    ca = authority(services.ROOT / ".local" / "certificates")
    ipv6 = ports.has_ipv6()
    begin = time.monotonic()
    redis_url = chosen.redis_url
    if chosen.starts_redis:
        print("Starting Redis ...", flush=True)
        redis_url = services.start_redis(children)
    print("Starting the identity provider ...", flush=True)
    services.start_identity(children, chosen, ca, executable)
    print("Starting the app ...", flush=True)
    services.start_app(children, chosen, ca, redis_url, ipv6=ipv6)
    redirect.serve(chosen.ports["DEMO_HTTP_PORT"], chosen.origin, ipv6=ipv6)
    print(style.good("Ready") + f" after {time.monotonic() - begin:.1f} s.")
    banner.show(chosen, ca.path, style)


def _say_goodbye() -> None:
    try:
        print("\nStopping ...", flush=True)
    except OSError:
        # The terminal has been closed, and Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise DemoError(
            f"REDIS_URL is set, but Redis does not answer there ({error}): start it, or unset REDIS_URL."
        ) from None


if __name__ == "__main__":
    sys.exit(main())
