"""Metrics of several workers: a private folder that they write to, and a port of the master's that serves the sum.

Import nothing of prometheus_client before `prepare_directory` has run: it looks for the folder when it is imported.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer

from app.health import where

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from prometheus_client.registry import Collector

    from .metric_files import MetricFiles

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_prepared: Path | None = None
_server: WSGIServer | None = None
_files: "MetricFiles | None" = None


def prepare_directory(parent: str | None) -> None:
    """Set `PROMETHEUS_MULTIPROC_DIR` to a folder that is empty and nobody else's, removed when the master ends.

    A folder that the variable names already is made private and emptied instead, and stays.

    :param parent: where to make it; None for the system's folder for temporary files.
    """
    global _prepared  # noqa: PLW0603 - of the process, as the variable is
    if _prepared is not None:
        # gunicorn reads its configuration again on SIGHUP, while the workers write there.
        return
    given = os.environ.get(VARIABLE)
    _prepared = Path(given) if given else Path(tempfile.mkdtemp(prefix="metrics-", dir=parent))
    if given:
        _prepared.mkdir(parents=True, exist_ok=True)
        _prepared.chmod(0o700)
    os.environ[VARIABLE] = str(_prepared)
    _empty(_prepared)
    atexit.register(_remove, _prepared, os.getpid(), whole=not given)


def _empty(folder: Path) -> None:
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)


def _remove(folder: Path, master: int, *, whole: bool) -> None:
    # The workers inherit this.
    if os.getpid() != master:
        return
    _empty(folder)
    if whole:
        shutil.rmtree(folder, ignore_errors=True)


def serve(bind: str, around: "Callable[[WSGIApplication], WSGIApplication]", *collectors: "Collector") -> str:
    """Serve all workers' metrics on `bind` (`host:port`), from a thread of the master's; returns the URL.

    :param around: middleware for what else the port serves.
    :param collectors: of what the master knows by itself.
    :raises OSError: the address cannot be bound.
    """
    from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server  # noqa: PLC0415

    from .metric_files import MetricFiles  # noqa: PLC0415

    global _files, _server  # noqa: PLW0603 - of the process, as the port is
    host, port = where(bind)
    registry = CollectorRegistry()
    _files = MetricFiles(Path(os.environ[VARIABLE]))
    for collector in (_files, *collectors):
        registry.register(collector)
    _server, _ = start_http_server(port, host, registry)
    _server.set_app(around(_without_query(make_wsgi_app(registry))))
    return f"http://{bind.rpartition(':')[0]}:{_server.server_port}/metrics"


def unreadable_files() -> int:
    """How many of the workers' files the last answer had to leave out."""
    return 0 if _files is None else _files.unreadable


def _without_query(application: "WSGIApplication") -> "WSGIApplication":
    # `?name[]=` picks metrics by name, which the multiprocess collector answers with an exception.
    def call(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return application({**environ, "QUERY_STRING": ""}, start_response)

    return call


def leave_to_the_master() -> None:
    """Close a worker's copy of the port, so that it is free as soon as the master ends."""
    if _server is not None:
        _server.socket.close()


def worker_ended(pid: int) -> None:
    """Keep what it has counted, and drop what counts for live workers only, such as a gauge of requests in flight."""
    if _files is not None:
        _files.worker_ended(pid)
