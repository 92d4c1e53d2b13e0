"""Sessions, the keys that they are encrypted with, and Redis, from the app's side and from its own."""

from .expressions import a_minute, quantile, rate, share
from .model import BLUE, GREEN, ORANGE, RED, Dashboard, Limit, Row, Stat, Table, TimeSeries

OPENED = "session_opened_total{APP}"
UNDECRYPTABLE = "session_undecryptable_total{APP}"
BATCHES = "session_store_request_duration_seconds_count{APP}"
REFUSED = 'session_store_request_duration_seconds_count{APP, outcome="refused"}'
ANSWERED = 'session_store_request_duration_seconds_bucket{APP, outcome="ok"}'
OUTCOMES = {"ok": GREEN, "refused": ORANGE, "unavailable": RED}

SESSIONS = Row(
    "What happens to sessions?",
    [
        TimeSeries(
            "Begun",
            "Sessions that were written for the first time, a minute.",
            "none",
            {"begun": a_minute("session_created_total{APP}")},
            colours={"begun": GREEN},
        ),
        TimeSeries(
            "Ended before their time",
            "A minute, by cause. Replaced ones went on under another id, as at a login.",
            "none",
            {"{{cause}}": a_minute("session_ended_total{APP}", "cause")},
            stacked=True,
        ),
        TimeSeries(
            "Cannot be decrypted",
            "The share of what was read. Strangers send rubbish; a rise means that a key is gone, and people are "
            "signed out.",
            "percentunit",
            {"{{where}}": f"{rate(UNDECRYPTABLE, 'where')} / scalar({rate(OPENED)} + {rate(UNDECRYPTABLE)})"},
            limits=[Limit(0.05, "UndecryptableSessions")],
        ),
    ],
)
KEYS = Row(
    "Do all processes have the same key?",
    [
        Stat(
            "Keys that are written with",
            "More than one for longer than a rotation takes: it has not reached every process.",
            "none",
            {"": "count(count by (key_id) (session_key_info{APP} == 1))"},
            width=6,
            height=6,
            limits=[Limit(2, "KeyRotationStuck", ORANGE)],
            decimals=0,
        ),
        Table(
            "Which process writes with which",
            "The id of the first key, as it stands in what is encrypted.",
            "none",
            {"": "max by (key_id, instance) (session_key_info{APP} == 1)"},
            width=6,
            height=6,
            rows={"instance": "Process", "key_id": "Key"},
            flag=True,
        ),
        TimeSeries(
            "Opened with an older key",
            "The share of sessions that still wait to be written with the first key: at 0 the older ones can go.",
            "percentunit",
            {"older": share(rate('session_opened_total{APP, key="older"}'), rate(OPENED))},
            width=6,
            height=6,
            maximum=1,
        ),
        TimeSeries(
            "Key files that could not be used",
            "Attempts a minute. The app goes on with the keys that it has, and would not start again.",
            "none",
            {"failed": a_minute("session_key_reload_failures_total{APP}")},
            width=6,
            height=6,
            limits=[Limit(None, "SecretFileUnusable")],
        ),
    ],
)
STORE = Row(
    "The session store, as the app sees it",
    [
        Stat(
            "Circuit",
            "Open: requests do not wait for Redis for now, and pages that need a session are not available.",
            "none",
            {"": "max(session_store_circuit_open{APP})"},
            height=8,
            words={0: ("closed", GREEN), 1: ("open", RED)},
        ),
        TimeSeries(
            "Batches of commands",
            "Commands of one turn of the event loop go together. Refused is an error of Redis', unavailable none at "
            "all.",
            "reqps",
            {"{{outcome}}": rate(BATCHES, "outcome")},
            width=7,
            colours=OUTCOMES,
            stacked=True,
        ),
        TimeSeries(
            "How long they take",
            "Of those that were answered.",
            "s",
            {"half of them": quantile(0.5, ANSWERED), "99 in 100": quantile(0.99, ANSWERED)},
            width=7,
            limits=[Limit(0.1, "SessionStoreSlow", ORANGE)],
        ),
        TimeSeries(
            "Refused",
            "The share that Redis answers with an error: mostly a user who may not, or memory that is full.",
            "percentunit",
            {"refused": share(rate(REFUSED), rate(BATCHES))},
            width=6,
            limits=[Limit(0.01, "SessionStoreRefusing", ORANGE)],
        ),
    ],
)
REDIS = Row(
    "Redis itself",
    [
        Stat(
            "Redis",
            "Whether it answers its exporter.",
            "none",
            {"": "min(redis_up{NAMESPACE})"},
            height=8,
            words={0: ("down", RED), 1: ("up", GREEN)},
        ),
        TimeSeries(
            "Memory",
            "When the limit is reached, the sessions that would end next end now.",
            "bytes",
            {
                "used": "sum(redis_memory_used_bytes{NAMESPACE})",
                "limit": "sum(redis_memory_max_bytes{NAMESPACE}) > 0",
            },
            width=7,
            colours={"used": BLUE, "limit": RED},
        ),
        TimeSeries(
            "Keys",
            "Sessions, their index and locks; almost all of them have an end.",
            "none",
            {"keys": "sum(redis_db_keys{NAMESPACE})", "with an end": "sum(redis_db_keys_expiring{NAMESPACE})"},
            width=7,
        ),
        TimeSeries(
            "Keys that went, a minute",
            "Expired is their time's end. Evicted is for want of memory: people are signed out early.",
            "none",
            {
                "expired": a_minute("redis_expired_keys_total{NAMESPACE}"),
                "evicted": a_minute("redis_evicted_keys_total{NAMESPACE}"),
            },
            width=6,
            colours={"expired": BLUE, "evicted": RED},
        ),
        TimeSeries(
            "Commands",
            "The eight that are sent most.",
            "reqps",
            {"{{cmd}}": f"topk(8, {rate('redis_commands_total{NAMESPACE}', 'cmd')})"},
            stacked=True,
        ),
        TimeSeries(
            "Time of a command inside Redis",
            "On average. What the app waits beyond it is the network's and its own.",
            "s",
            {
                "{{cmd}}": f"topk(8, {rate('redis_commands_duration_seconds_total{NAMESPACE}', 'cmd')} / "
                f"({rate('redis_commands_total{NAMESPACE}', 'cmd')} > 0))"
            },
        ),
        TimeSeries(
            "Clients",
            "Connections, and how many more were refused a minute.",
            "none",
            {
                "connected": "sum(redis_connected_clients{NAMESPACE})",
                "refused": a_minute("redis_rejected_connections_total{NAMESPACE}"),
            },
            colours={"connected": BLUE, "refused": RED},
        ),
    ],
)
DASHBOARD = Dashboard(
    "sessions",
    "auth0-flask / Sessions and Redis",
    "Sessions begun, ended and not decrypted; the keys; the session store from the app's side and from Redis'.",
    [SESSIONS, KEYS, STORE, REDIS],
)
