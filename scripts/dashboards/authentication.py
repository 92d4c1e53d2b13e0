"""Signing in, from the first redirect to the session; the provider; tokens; the ways out."""

from app.auth.failures import PEOPLES

from .expressions import a_minute, quantile, rate, share
from .model import BLUE, GREEN, GREY, ORANGE, RED, Bars, Dashboard, Limit, Row, Stat, TimeSeries

STARTED = "auth_logins_started_total{APP}"
COMPLETED = "auth_logins_completed_total{APP}"
RETURNED = "auth_callback_age_seconds_count{APP}"
OURS = f'auth_logins_failed_total{{APP, cause!~"{"|".join(PEOPLES)}"}}'
THEIRS = f'auth_logins_failed_total{{APP, cause=~"{"|".join(PEOPLES)}"}}'
CALLS = "auth_provider_request_duration_seconds_count{APP}"
UNANSWERED = 'auth_provider_request_duration_seconds_count{APP, outcome=~"slow|down"}'
REFRESHES = "auth_token_refreshes_total{APP}"

FUNNEL = Row(
    "Do people get in?",
    [
        Bars(
            "From the start to the session",
            "Within the time that is shown. Who starts and never comes back has closed the provider's form, or could "
            "not use it.",
            "none",
            {
                "sent to the provider": f"sum(increase({STARTED}[$__range]))",
                "came back": f"sum(increase({RETURNED}[$__range]))",
                "signed in": f"sum(increase({COMPLETED}[$__range]))",
            },
            decimals=0,
        ),
        TimeSeries(
            "Logins a minute",
            "Browsers that were sent to the provider, and sessions that came of it.",
            "none",
            {"sent to the provider": a_minute(STARTED), "signed in": a_minute(COMPLETED)},
            colours={"sent to the provider": BLUE, "signed in": GREEN},
        ),
        TimeSeries(
            "How long people take at the provider",
            "From the way to the provider to the return. After ten minutes a login has expired.",
            "s",
            {
                "half of them": quantile(0.5, "auth_callback_age_seconds_bucket{APP}"),
                "19 in 20": quantile(0.95, "auth_callback_age_seconds_bucket{APP}"),
            },
        ),
        Stat(
            "Who came back got in",
            "The share of those who came back and were signed in, within the time that is shown.",
            "percentunit",
            {"": f"sum(increase({COMPLETED}[$__range])) / sum(increase({RETURNED}[$__range]))"},
            height=8,
            maximum=1,
            decimals=1,
        ),
        Stat(
            "Failing by our fault",
            "Of all logins that ended in the last minutes: by ours or the provider's. The objective allows 0.5 %.",
            "percentunit",
            {"": share(rate(OURS), f"({rate(COMPLETED)} + ({rate(OURS)} or vector(0)))")},
            height=8,
            limits=[Limit(0.005, colour=ORANGE), Limit(0.072, "LoginsFailing")],
            decimals=2,
        ),
        TimeSeries(
            "Failed by us or the provider",
            "By cause, a minute: an operator has to look. What each means is in docs/metrics.md.",
            "none",
            {"{{step}}: {{cause}}": f"{a_minute(OURS, 'step, cause')} > 0"},
            limits=[Limit(None, "LoginsFailing")],
            stacked=True,
        ),
        TimeSeries(
            "Ended by the person, or by a rule",
            "By cause, a minute: cancelled, too late, used twice, not a member. A rise may be an attack or a form that "
            "people do not understand.",
            "none",
            {"{{step}}: {{cause}}": f"{a_minute(THEIRS, 'step, cause')} > 0"},
            stacked=True,
        ),
    ],
)
PROVIDER = Row(
    "How is the identity provider?",
    [
        TimeSeries(
            "Calls by outcome",
            "Refused is an answer, and mostly right; slow is none in time, down is none at all or a 5xx.",
            "reqps",
            {"{{outcome}}": rate(CALLS, "outcome")},
            colours={"ok": GREEN, "refused": BLUE, "slow": ORANGE, "down": RED},
            stacked=True,
        ),
        TimeSeries(
            "Calls without an answer",
            "The share of calls that is slow or down.",
            "percentunit",
            {"{{call}}": share(rate(UNANSWERED, "call"), rate(CALLS, "call"))},
            limits=[Limit(0.2, "ProviderFailing")],
            maximum=1,
        ),
        TimeSeries(
            "How long calls take, 19 in 20",
            "By what was asked for. Metadata and keys are asked for once in ten minutes.",
            "s",
            {"{{call}}": quantile(0.95, "auth_provider_request_duration_seconds_bucket{APP}", "call")},
        ),
    ],
)
TOKENS = Row(
    "Are tokens renewed?",
    [
        TimeSeries(
            "Renewals by outcome",
            "A minute. Reused is the provider's invalid_grant: a refresh token that was used before, revoked, or "
            "expired.",
            "none",
            {"{{outcome}}": a_minute(REFRESHES, "outcome")},
            colours={"renewed": GREEN, "refused": ORANGE, "reused": RED, "provider_down": GREY},
            stacked=True,
        ),
        TimeSeries(
            "Refused as used before",
            "The share of renewals that the provider refuses so. More than a few mean that tokens are stolen, or "
            "renewed twice.",
            "percentunit",
            {"reused": share(rate('auth_token_refreshes_total{APP, outcome="reused"}'), rate(REFRESHES))},
            limits=[Limit(0.02, "RefreshTokensReused")],
        ),
        TimeSeries(
            "Waiting for another request's renewal",
            "One renewal serves all requests of a session: the time that the others waited.",
            "s",
            {
                "half of them": quantile(0.5, "auth_token_lock_wait_seconds_bucket{APP}"),
                "99 in 100": quantile(0.99, "auth_token_lock_wait_seconds_bucket{APP}"),
            },
        ),
    ],
)
OUT = Row(
    "Do people get out?",
    [
        TimeSeries(
            "Logouts by people",
            "A minute: at /logout, everywhere at once, or of one other device.",
            "none",
            {"{{kind}}": a_minute("auth_logouts_total{APP}", "kind")},
            width=12,
            stacked=True,
        ),
        TimeSeries(
            "Logouts that the provider announced",
            "Back-channel logout, a minute. Unavailable: the session store did not answer, so the session lives on "
            "until the provider announces it again.",
            "none",
            {"{{outcome}}": a_minute("auth_backchannel_logouts_total{APP}", "outcome")},
            width=12,
            limits=[Limit(None, "BackchannelLogoutsLost")],
            colours={"ended": GREEN, "refused": ORANGE, "unavailable": RED, "unsupported": GREY},
            stacked=True,
        ),
    ],
)
DASHBOARD = Dashboard(
    "authentication",
    "auth0-flask / Authentication",
    "Logins from the first redirect to the session, why they fail, how the identity provider does, tokens, logouts.",
    [FUNNEL, PROVIDER, TOKENS, OUT],
)
