"""Every metric of the app: name, kind, meaning, labels with all the values that they can have.

What is not declared here is not exposed, and docs/metrics.md is made of it. Names and units are by Prometheus'
conventions; a label never has a value that a stranger chooses, nor one that says who somebody is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.auth import events as auth
from app.auth.failures import CAUSES
from app.sessions import events as sessions

Values = tuple[str, ...] | str

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
# From a page out of the cache to the time limit of a request.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# A batch of commands takes some 200 µs, and all of its time limit when Redis hangs.
_STORE_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5)
# A healthy loop is late by fractions of a millisecond; a view that blocks it, by as long as it blocks.
_LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
# A person signs in within seconds or minutes; after ten minutes the login has expired.
_AGE_BUCKETS = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True)
class Metric:
    """One metric; a histogram has *buckets*, in its unit."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, Values] = field(default_factory=dict)
    """Each label with all its values, or with a sentence on what bounds them."""
    buckets: tuple[float, ...] = ()
    across: Literal["livesum", "livemax"] = "livesum"
    """What becomes of a gauge's values in several workers; those of a worker that has ended are left out."""
    backend: Literal["redis", "cookie"] | None = None
    """The only SESSION_BACKEND with which it is there, if it is not there with both."""


REQUEST_DURATION = Metric(
    "http_request_duration_seconds",
    "histogram",
    "Time from the start of a request to its response, by route.",
    {
        "method": METHODS,
        "url_rule": "the rules of the app's route table, and unmatched",
        "status": "the statuses that the app answers with",
    },
    _BUCKETS,
)
REQUESTS_IN_FLIGHT = Metric(
    "http_requests_in_flight", "gauge", "Requests that are being answered, also those whose response is being streamed."
)
THREADS = Metric("server_pool_threads", "gauge", "Threads that plain views may run in, at most.")
THREADS_BUSY = Metric("server_pool_threads_busy", "gauge", "Threads that a plain view runs in.")
CALLS_QUEUED = Metric("server_pool_calls_queued", "gauge", "Calls that wait for a thread.")
CONNECTIONS = Metric("server_connections_open", "gauge", "Connections to the app's own port, idle ones among them.")
REFUSED = Metric(
    "server_requests_refused_total",
    "counter",
    "Requests answered with 503 because there were too many at once: at the door, where they have no route and no "
    "duration yet, or for want of a thread, where they have both.",
    {"at": ("door", "pool")},
)
TIMED_OUT = Metric(
    "server_requests_timed_out_total",
    "counter",
    "Requests answered with 504 because they took too long; each has its route and its duration too.",
)
LOOP_LAG = Metric(
    "server_event_loop_lag_seconds",
    "histogram",
    "How late the event loop was for a task that is due ten times a second.",
    buckets=_LAG_BUCKETS,
)
WORKERS = Metric("server_workers", "gauge", "Workers that are running.")
WORKER_ENDS = Metric(
    "server_worker_ends_total",
    "counter",
    "Workers that have ended, as they were asked to or by a crash, a kill or a hang.",
    {"reason": ("asked", "crashed")},
)
FILES_UNREADABLE = Metric(
    "server_metric_files_unreadable",
    "gauge",
    "Files of workers that are damaged, so that what they have counted is missing here; the log has their names.",
)
WORKER_RESIDENT = Metric("server_worker_resident_bytes", "gauge", "Resident memory of the largest worker.")
RESIDENT = Metric(
    "server_resident_bytes",
    "gauge",
    "Resident memory of the master and all workers; what they share counts once for each.",
)
CPU = Metric("server_cpu_seconds_total", "counter", "CPU time of the master and of all workers that there ever were.")
STARTED = Metric("server_start_time_seconds", "gauge", "When the master started, in Unix seconds.")
INFO = Metric(
    "app_info",
    "gauge",
    "Always 1: what runs here.",
    {"version": "the app's version", "python": "Python's version", "session_backend": ("redis", "cookie")},
)

LOGINS_STARTED = Metric("auth_logins_started_total", "counter", "Browsers that were sent to the provider to sign in.")
LOGINS_COMPLETED = Metric("auth_logins_completed_total", "counter", "Logins that ended in a session.")
LOGINS_FAILED = Metric(
    "auth_logins_failed_total",
    "counter",
    "Logins that ended in something else, by the step at which they did and by the cause.",
    {"step": auth.LOGIN_STEPS, "cause": CAUSES},
)
CALLBACK_AGE = Metric(
    "auth_callback_age_seconds",
    "histogram",
    "Time from a browser's way to the provider to its return.",
    buckets=_AGE_BUCKETS,
)
PROVIDER_DURATION = Metric(
    "auth_provider_request_duration_seconds",
    "histogram",
    "Time of calls to the provider, by what was asked for and how it answered.",
    {"call": auth.PROVIDER_CALLS, "outcome": auth.PROVIDER_OUTCOMES},
    _BUCKETS,
)
REFRESHES = Metric(
    "auth_token_refreshes_total",
    "counter",
    "Renewals of access tokens; reused is the provider's invalid_grant, its answer to a refresh token that was used "
    "before, was revoked or has expired.",
    {"outcome": auth.REFRESH_OUTCOMES},
)
LOCK_WAIT = Metric(
    "auth_token_lock_wait_seconds",
    "histogram",
    "Time that requests waited for another one which renews the tokens of their session.",
    buckets=_BUCKETS,
)
BACKCHANNEL = Metric(
    "auth_backchannel_logouts_total",
    "counter",
    "Logout tokens of the provider, by how they were answered.",
    {"outcome": auth.BACKCHANNEL_OUTCOMES},
)
LOGOUTS = Metric(
    "auth_logouts_total",
    "counter",
    "Logouts by people: at /logout, everywhere, or of one other device.",
    {"kind": auth.LOGOUTS},
)

SESSIONS_CREATED = Metric("session_created_total", "counter", "Sessions that were written for the first time.")
SESSIONS_ENDED = Metric(
    "session_ended_total",
    "counter",
    "Sessions that were ended before their time; replaced ones went on under another id, as at a login, and expired "
    "ones had reached the limit that the provider sets.",
    {"cause": sessions.ENDS},
)
UNDECRYPTABLE = Metric(
    "session_undecryptable_total",
    "counter",
    "What was kept and could not be decrypted: sessions, logins in progress, notes on sessions.",
    {"where": sessions.PLACES},
)
SESSIONS_OPENED = Metric(
    "session_opened_total",
    "counter",
    "Sessions that were read, by which key of AUTH0_SECRET had written them.",
    {"key": ("first", "older")},
)
KEY_INFO = Metric(
    "session_key_info",
    "gauge",
    "1 for the id of the key that workers write sessions with; two ids mean that they do not agree.",
    {"key_id": "the ids of the keys that were first since the server's start, eight hexadecimal digits"},
    across="livemax",
)
KEY_FAILURES = Metric(
    "session_key_reload_failures_total",
    "counter",
    "Looks at the file AUTH0_SECRET_FILE, every five seconds, that found keys which cannot be used.",
)
STORE_DURATION = Metric(
    "session_store_request_duration_seconds",
    "histogram",
    "Time of a batch of commands to Redis, by its outcome; refused is a command that Redis answered with an error.",
    {"outcome": sessions.STORE_OUTCOMES},
    _STORE_BUCKETS,
    backend="redis",
)
CIRCUIT_OPEN = Metric(
    "session_store_circuit_open",
    "gauge",
    "Whether a worker has given Redis up for now, so that requests fail at once (1) or none has (0).",
    across="livemax",
    backend="redis",
)

ALL: Mapping[str, tuple[Metric, ...]] = {
    "Requests": (REQUEST_DURATION, REQUESTS_IN_FLIGHT, REFUSED, TIMED_OUT),
    "Server": (
        *(THREADS, THREADS_BUSY, CALLS_QUEUED, CONNECTIONS, LOOP_LAG),
        *(WORKERS, WORKER_ENDS, FILES_UNREADABLE, WORKER_RESIDENT, RESIDENT, CPU, STARTED, INFO),
    ),
    "Authentication": (
        *(LOGINS_STARTED, LOGINS_COMPLETED, LOGINS_FAILED, CALLBACK_AGE, PROVIDER_DURATION),
        *(REFRESHES, LOCK_WAIT, BACKCHANNEL, LOGOUTS),
    ),
    "Sessions": (
        *(SESSIONS_CREATED, SESSIONS_ENDED, UNDECRYPTABLE, SESSIONS_OPENED, KEY_INFO, KEY_FAILURES),
        *(STORE_DURATION, CIRCUIT_OPEN),
    ),
}
"""All of them, by what they are about."""
