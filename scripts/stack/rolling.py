"""Replaces the app's replicas one after the other: at each moment one of them serves, and no request is lost.

nginx is led away from a replica before that is stopped. Its own way around a replica that is gone is not enough: it
never sends `/callback` twice, because the code in it works once.
"""

import time

from .docker import Docker
from .options import StackError

REPLICAS = ("app-1", "app-2")
# nginx waits ten seconds for a request's head (NGINX_CLIENT_TIMEOUT_SECONDS): after that, whatever a worker that stops
# has accepted is on its way.
OLD_WORKERS_SECONDS = 12
_UP = ("up", "--detach", "--no-build")
_PATIENCE = ("--wait-timeout", "90")


def upgrade(docker: Docker, services: list[str]) -> None:
    """Bring a stack that serves to what the files say. Raises StackError for what does not get healthy.

    One part after another: Compose replaces, with what has changed, also all that depends on it and is named with it.
    Not with --no-deps, which to Compose 2.26 is another configuration.
    """
    if not docker.compose(*_UP, "init") or docker.ask("wait", docker.container("init", ended=True)) != "0\n":
        raise StackError("The certificates and secrets could not be made: `docker compose logs init`.")
    others = [service for service in services if service not in (*REPLICAS, "init", "nginx")]
    if not docker.compose(*_UP, "--wait", *_PATIENCE, *others):
        raise StackError("Not everything got healthy; the app goes on: see above, and `docker compose logs`.")
    for replica in REPLICAS:
        if not _is_current(docker, replica):
            print(f"Replacing {replica} ...", flush=True)
            _replace(docker, replica)
    if not docker.compose(*_UP, "--wait", *_PATIENCE, "nginx"):
        raise StackError("nginx does not get healthy: `docker compose logs nginx`.")


def _is_current(docker: Docker, replica: str) -> bool:
    """Whether the replica runs what the image, the compose file and the variables say now."""
    container = docker.container(replica)
    if not container:
        return False
    hash_label = '{{index .Config.Labels "com.docker.compose.config-hash"}}'
    found = docker.ask("inspect", "--format", hash_label + " {{.Image}} {{.Config.Image}}", container).split()
    wanted = docker.ask_compose("config", "--hash", replica).split()[-1]
    image = docker.ask("image", "inspect", "--format", "{{.Id}}", found[2]).strip()
    return found[:2] == [wanted, image]


def _replace(docker: Docker, replica: str) -> None:
    """Replace one replica. Raises StackError when the new one does not get healthy: nginx stays with the others."""
    _lead_nginx_to(docker, [other for other in REPLICAS if other != replica])
    if not docker.compose(*_UP, "--wait", *_PATIENCE, replica):
        raise StackError(
            f"The new {replica} does not get healthy; the other replica serves: `docker compose logs {replica}`."
        )
    _lead_nginx_to(docker, REPLICAS)


def _lead_nginx_to(docker: Docker, replicas: tuple[str, ...] | list[str]) -> None:
    """Make nginx send requests to these alone, and wait until those that it sent elsewhere are on their way."""
    container = docker.container("nginx")
    before = set(_workers(docker, container))
    upstream = " ".join(f"unix:/run/app/{replica}.sock" for replica in replicas)
    docker.ask("exec", "--env", f"NGINX_UPSTREAM={upstream}", container, "/srv/nginx/start.sh", "-s", "reload")
    deadline = time.monotonic() + OLD_WORKERS_SECONDS
    while True:
        now = _workers(docker, container)
        new = [pid for pid in now if pid not in before]
        accepting = [pid for pid in before if pid in now and "shutting down" not in now[pid]]
        if new and not before.intersection(now):
            return
        if time.monotonic() > deadline:
            if not new or accepting:
                raise StackError("nginx does not take its new configuration: `docker compose logs nginx`.")
            return
        time.sleep(0.1)


def _workers(docker: Docker, container: str) -> dict[str, str]:
    """The titles of nginx's worker processes by process id."""
    listed = docker.ask("top", container, "-eo", "pid,args").splitlines()[1:]
    processes = dict(line.split(maxsplit=1) for line in listed)
    return {pid: title for pid, title in processes.items() if "nginx: worker process" in title}
