# ruff: noqa: N999 - the name that gunicorn looks for
"""gunicorn's configuration, from the app's settings: `gunicorn -c app/server/gunicorn.conf.py app.server.main:app`."""

import gc
import os
import sys
from typing import Any

from app.server import metrics, probes
from app.settings import SettingsError, load_settings

try:
    settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))

# A heartbeat and counters that are written all the time must not wait for a disk.
_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
metrics.prepare_directory(_memory)

from app import __version__  # noqa: E402
from app.ops import logs  # noqa: E402 - it imports prometheus_client
from app.ops.metrics import Master  # noqa: E402

bind = settings.server_bind
workers = settings.server_workers
worker_class = "app.server.worker.Worker"
worker_tmp_dir = _memory
# A mistake shows once, in the master, and the workers share the memory of what is loaded.
preload_app = True
graceful_timeout = settings.server_grace_seconds
# A worker that stops sends no heartbeats, and one that is merely being replaced has the same grace.
timeout = settings.server_grace_seconds + 30
# Longer than nginx keeps a connection (60 s), so that it is never the app that closes one as a request comes.
keepalive = 75
# On a unix socket, whoever may open it may connect: its folder's permissions say who.
umask = 0o007
certfile = settings.server_tls_certificate
keyfile = settings.server_tls_key
# Nothing may command the master but signals.
control_socket_disable = True
logconfig_dict = logs.configuration(settings.log_level, settings.production)
loglevel = settings.log_level
# The app writes the access log, with what it knows of the request.
accesslog = None


def on_starting(server: Any) -> None:
    """Serve metrics and probes; before the app's own port opens, so that a port which is taken stops the start."""

    def listeners() -> list[Any]:
        # Those that the stop has closed have none.
        return [listener.sock for listener in server.LISTENERS if listener.sock]

    def with_probes(app: Any) -> probes.Probes:
        return probes.Probes(app, listeners, tls=server.cfg.is_ssl)

    # Of the arbiter, as this file is read anew on SIGHUP.
    server.observer = Master(
        lambda: list(server.WORKERS), __version__, settings.session_backend, metrics.unreadable_files
    )
    try:
        server.log.info("Metrics at: %s", metrics.serve(settings.metrics_bind, with_probes, server.observer))
    except OSError as error:
        server.log.critical("METRICS_BIND %s cannot be listened on: %s", settings.metrics_bind, error.strerror)
        sys.exit(1)


def when_ready(server: Any) -> None:
    """In the master: keep the collector from writing to memory that the workers share."""
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """In the new worker: the metrics' port is the master's."""
    metrics.leave_to_the_master()


def child_exit(server: Any, worker: Any) -> None:
    """In the master, after a worker's end."""
    metrics.worker_ended(worker.pid)
    server.observer.worker_ended(asked=worker.was_asked_to_end)
