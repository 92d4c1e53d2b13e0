"""Processes: the app's workers, their event loops, threads, memory; and nginx in front of them."""

from .expressions import a_minute, quantile, rate
from .model import BLUE, GREEN, ORANGE, RED, Dashboard, Limit, Row, Stat, Table, TimeSeries
from .panels import certificate

LAG = "server_event_loop_lag_seconds_bucket{APP}"

WORKERS = Row(
    "What runs?",
    [
        Table(
            "Processes",
            "Version, Python and workers of each replica.",
            "none",
            {
                "Workers": "sum by (instance, version, python, session_backend) "
                "(app_info{APP} * 0 + on (instance) group_left () sum by (instance) (server_workers{APP}))",
                "Up": "max by (instance, version, python, session_backend) "
                "(app_info{APP} * 0 + on (instance) group_left () (time() - max by (instance) "
                "(server_start_time_seconds{APP})))",
            },
            rows={"instance": "Replica", "version": "Version", "python": "Python", "session_backend": "Sessions"},
            units={"Up": "s"},
        ),
        TimeSeries(
            "Workers",
            "Running worker processes of each replica.",
            "none",
            {"{{instance}}": "sum by (instance) (server_workers{APP})"},
        ),
        TimeSeries(
            "Workers that ended, in 15 minutes",
            "Asked: a reload or a replacement. Crashed: killed, hung, out of memory.",
            "none",
            {"{{reason}}": "sum by (reason) (increase(server_worker_ends_total{APP}[15m]))"},
            limits=[Limit(2.5, "WorkersCrashing", ORANGE)],
            colours={"asked": BLUE, "crashed": RED},
        ),
    ],
)
LOAD = Row(
    "Is there room?",
    [
        TimeSeries(
            "How late the event loop is, 99 in 100",
            "Requests wait that long for their turn: something does not await, or the CPU is short.",
            "s",
            {"{{instance}}": quantile(0.99, LAG, "instance")},
            limits=[Limit(0.25, "EventLoopBlocked", ORANGE)],
        ),
        TimeSeries(
            "Threads for plain views",
            "Busy ones, and all that there are.",
            "none",
            {
                "busy": "sum(server_pool_threads_busy{APP})",
                "there are": "sum(server_pool_threads{APP})",
            },
            colours={"busy": ORANGE, "there are": BLUE},
        ),
        TimeSeries(
            "Calls that wait for a thread",
            "Of plain views; async ones need none.",
            "none",
            {"{{instance}}": "sum by (instance) (server_pool_calls_queued{APP})"},
            limits=[Limit(None, "CallsQueueing")],
        ),
        TimeSeries(
            "Requests and connections",
            "Requests in progress, streaming ones too; connections from nginx, idle ones too.",
            "none",
            {
                "requests": "sum(http_requests_in_flight{APP})",
                "connections": "sum(server_connections_open{APP})",
            },
        ),
        TimeSeries(
            "CPU",
            "Cores in use, by replica: master and workers together.",
            "none",
            {"{{instance}}": rate("server_cpu_seconds_total{APP}", "instance")},
        ),
        TimeSeries(
            "Memory",
            "The largest worker of each replica. What workers share counts for each.",
            "bytes",
            {"{{instance}}": "max by (instance) (server_worker_resident_bytes{APP})"},
        ),
    ],
)
NGINX = Row(
    "nginx in front",
    [
        Stat(
            "nginx",
            "Whether it answers its exporter.",
            "none",
            {"": "min(nginx_up{NAMESPACE})"},
            words={0: ("down", RED), 1: ("up", GREEN)},
            width=6,
        ),
        Stat(
            "From outside",
            "Whether a handshake for the public name works, and metrics are not to be had there.",
            "none",
            {"": "min(nginx_probe_success{NAMESPACE})"},
            words={0: ("wrong", RED), 1: ("right", GREEN)},
            width=6,
        ),
        certificate(width=6),
        Stat(
            "Turned away by nginx",
            "Connections that it had to close because it had too many, a minute.",
            "none",
            {
                "": f"{a_minute('nginx_connections_accepted{NAMESPACE}')}"
                f" - {a_minute('nginx_connections_handled{NAMESPACE}')}"
            },
            limits=[Limit(1, colour=RED)],
            width=6,
        ),
        TimeSeries(
            "Requests at nginx and at the app",
            "What nginx answers itself is the difference: redirects to https, limits, its own error pages.",
            "reqps",
            {
                "nginx": rate("nginx_http_requests_total{NAMESPACE}"),
                "app": rate("http_request_duration_seconds_count{APP}"),
            },
            width=12,
        ),
        TimeSeries(
            "Connections of clients",
            "Reading a request, writing an answer, or waiting for the next request.",
            "none",
            {
                "reading": "sum(nginx_connections_reading{NAMESPACE})",
                "writing": "sum(nginx_connections_writing{NAMESPACE})",
                "waiting": "sum(nginx_connections_waiting{NAMESPACE})",
            },
            stacked=True,
            width=12,
        ),
    ],
)
DASHBOARD = Dashboard(
    "runtime",
    "auth0-flask / Runtime",
    "Workers, event loops, threads, memory, and nginx in front of them.",
    [WORKERS, LOAD, NGINX],
)
