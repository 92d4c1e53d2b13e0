"""`python -m scripts.stack up|down`: check, build, start, say where it is; or stop, with VOLUMES=1 the data as well."""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator

from scripts.certificates import authority
from scripts.containers import images
from scripts.demo.banner import Style, table, trust
from scripts.demo.services import CONFIGURATION

from . import options, preflight, rolling
from .docker import Docker
from .options import ROOT, Options, StackError

WAIT_SECONDS = "180"
LOG_LINES = "20"


def main(arguments: list[str]) -> int:
    """Run the verb; 1 with a sentence when that cannot be done, 2 when there is no such verb."""
    verbs = {"up": up, "down": down}
    if len(arguments) != 1 or arguments[0] not in verbs:
        print("usage: python -m scripts.stack up|down", file=sys.stderr)
        return 2
    try:
        with _alone():
            verbs[arguments[0]](options.read(os.environ))
    except StackError as error:
        print(Style(sys.stderr).bad(f"`make {arguments[0]}` cannot go on. ") + str(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One at a time: the second would give up, and then take away what the first has begun. Raises StackError."""
    path = ROOT / ".local" / "stack.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError("Another `make up` or `make down` of this checkout runs: wait for its end.") from None
        yield


def up(chosen: Options) -> None:
    """Bring everything to what the files say, and show it. Raises StackError."""
    # The demo's authority, so that a browser has to trust one only.
    ca = authority(ROOT / ".local" / "certificates")
    own = {"AUTHORITY_CERTIFICATE": str(ca.path), "AUTHORITY_KEY": str(ca.folder / "ca-key.pem")}
    docker = Docker(chosen, own | images.for_labels())
    preflight.check(chosen, docker)
    services = [service for service in docker.services() if service not in chosen.left_out]
    running = [replica for replica in rolling.REPLICAS if docker.container(replica)]
    _pull(docker, services)
    print("Building the images ...", flush=True)
    if not docker.compose("build", "--quiet", *services):
        raise StackError("The images could not be built: see above.")
    begin = time.monotonic()
    # The local provider, when there is a tenant now.
    docker.remove_others(services)
    print("Starting ...", flush=True)
    if docker.container("nginx") and len(running) == len(rolling.REPLICAS):
        rolling.upgrade(docker, services)
    elif not docker.compose("up", "--detach", "--wait", "--wait-timeout", WAIT_SECONDS, "--no-build", *services):
        _give_up(docker, services, keep=bool(running))
    if running:
        # Certificates may have been renewed. And an upgrade that was broken off has led it away from a replica.
        docker.ask("exec", docker.container("nginx"), "/srv/nginx/start.sh", "-s", "reload")
    _show(chosen, begin, ca.path)


def down(chosen: Options) -> None:
    """Stop and remove everything, data only with VOLUMES=1. Raises StackError."""
    docker = Docker(chosen, {"COMPOSE_PROFILES": "*"})
    docker.check()
    preflight.own(chosen, docker)
    volumes = ["--volumes"] if chosen.variables.get("VOLUMES") == "1" else []
    if not docker.compose("down", "--remove-orphans", *volumes):
        raise StackError("Not everything could be removed: see above.")
    kept = "" if volumes else " Sessions, keys and metrics are kept; `make down VOLUMES=1` removes them too."
    print(f"Stopped.{kept}")


def _pull(docker: Docker, services: list[str]) -> None:
    """Get what others have made, so that a start waits for no download. Raises StackError."""
    for service, image in docker.to_pull(services).items():
        print(f"Pulling {image} ...", flush=True)
        if reason := docker.pull(image):
            variable = f"{service.upper().replace('-', '_')}_IMAGE"
            raise StackError(
                f"{image} cannot be pulled ({reason}): go online, or name another with `make up {variable}=...`."
            )


def _give_up(docker: Docker, services: list[str], *, keep: bool) -> None:
    for service in services:
        state = docker.ask_compose("ps", "--all", "--format", "{{.State}} {{.Health}} {{.ExitCode}}", service).split()
        if state and state not in (["running", "healthy", "0"], ["exited", "0"], ["created", "0"]):
            docker.compose("logs", "--no-color", "--tail", LOG_LINES, service)
    if not keep:
        docker.compose("down", "--remove-orphans")
    raise StackError("Not everything got healthy; what was said last stands above.")


def _show(chosen: Options, begin: float, authority_path: os.PathLike[str]) -> None:
    style = Style(sys.stdout)
    print(style.good("All healthy") + f" after {time.monotonic() - begin:.1f} s.")
    user = CONFIGURATION["users"][0]
    at = {name.removesuffix("_PORT").title(): f"http://localhost:{port}" for name, port in chosen.ports.items()}
    who = (
        f"{style.bold(user['username'])}, password {style.bold(user['password'])}" if chosen.local else "at your tenant"
    )
    rows = [("Open", style.good(chosen.origin)), ("Sign in", who)]
    if not chosen.path("TLS_CERTIFICATE"):
        rows += zip(("Trust", *[""] * 9), trust(ROOT / os.fspath(authority_path), style), strict=False)
    looks = [name for name in ("Prometheus", "Alertmanager", "Grafana") if name.lower() not in chosen.left_out]
    if "observability" in chosen.profiles and looks:
        rows.append(("Look", ", ".join(f"{name} {at[name]}" for name in looks)))
    rows += [
        ("Logs", "docker compose --profile '*' logs --follow"),
        ("Stop", style.bold("make down") + "; with the data: make down VOLUMES=1"),
    ]
    table(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
