"""Every rule of the settings: what is accepted, and what a person is told about what is not."""

import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.settings import Settings, SettingsError, load_settings
from app.settings_rules import PROTOCOL_PARAMETERS

SECRET = "5d0e6dcb6fb6b9be4a6ed3df0ba4d7b4c0ef1f2a2f8b6c1f7c5a9ac8f2ab14de"
STARTS = "must start with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
OTHER_SECRET = "b86ac21bd4a6c24d02ac9cb5b2d4a2f0d6d6b3a6c1a74a3e9f57e0ccf0e4a9b1"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: a developer's own `.env` is not read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(variables: dict[str, str]) -> list[str]:
    """The sentences that these variables get; an empty list if they are accepted."""
    try:
        load_settings(variables)
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


def only_problem(variables: dict[str, str]) -> str:
    (sentence,) = problems(variables)
    return sentence


def test_five_variables_and_a_backend_make_a_production_deployment(variables: dict[str, str]) -> None:
    settings = load_settings(variables)
    assert settings.production
    assert settings.auth0_domain == "acme.eu.auth0.com"
    assert settings.origin == "https://app.example.com"
    assert settings.secrets == (SECRET,)
    assert settings.session_cookie_secure is True
    assert settings.trusted_proxies == ()


def test_settings_cannot_be_changed(settings: Settings) -> None:
    with pytest.raises(ValidationError):
        settings.app_env = "test"


def test_nothing_set_lists_every_required_variable_with_an_example() -> None:
    sentences = problems({})
    assert [sentence.split()[0] for sentence in sentences] == [
        "AUTH0_DOMAIN",
        "AUTH0_CLIENT_ID",
        "AUTH0_CLIENT_SECRET",
        "AUTH0_SECRET",
        "AUTH0_REDIRECT_URI",
        "REDIS_URL",
    ]
    assert all("is missing" in sentence and "(for example: " in sentence for sentence in sentences)


def test_all_problems_are_listed_at_once(variables: dict[str, str], directory: Path) -> None:
    variables |= {
        "APP_ENV": "prod",
        "AUTH0_DOMAIN": "https://acme.eu.auth0.com",
        "AUTH0_SECRET": "short",
        "AUTH0_REDIRECT_URI": "https://app.example.com/auth",
        "AUTH0_CLIENT_SECRET": "",
        "AUTH0_CLIENT_SECRET_FILE": str(directory / "gone"),
        "SESSION_BAKEND": "cookie",
        "SERVER_WORKERS": "two",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(variables)
    assert str(caught.value).splitlines()[0] == "The settings have 7 problems:"
    assert {problem.variable for problem in caught.value.problems} == {
        "APP_ENV",
        "AUTH0_DOMAIN",
        "AUTH0_SECRET",
        "AUTH0_REDIRECT_URI",
        "AUTH0_CLIENT_SECRET",
        "SESSION_BAKEND",
        "SERVER_WORKERS",
    }


def test_one_problem_is_called_one_problem(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"^The settings have one problem:\n  - APP_ENV ") as caught:
        load_settings(variables | {"APP_ENV": "prod"})
    assert "production or development or test" in str(caught.value)


def test_a_misspelt_variable_alone_stops_the_start(variables: dict[str, str]) -> None:
    assert only_problem(variables | {"AUTH0_AUDIENC": "x"}) == (
        "AUTH0_AUDIENC is no setting of this app: probably AUTH0_AUDIENCE is meant."
    )


def test_a_mounted_file_gives_a_setting(variables: dict[str, str], directory: Path) -> None:
    (directory / "ring").write_text(f"{SECRET},{OTHER_SECRET}\n")
    del variables["AUTH0_SECRET"]
    assert load_settings(variables | {"AUTH0_SECRET_FILE": "ring"}).secrets == (SECRET, OTHER_SECRET)


def test_an_unreadable_file_is_reported_once_and_not_as_missing_too(variables: dict[str, str]) -> None:
    del variables["AUTH0_SECRET"]
    sentence = only_problem(variables | {"AUTH0_SECRET_FILE": "gone"})
    assert sentence.startswith("AUTH0_SECRET cannot be read from 'gone'")


def test_an_unreadable_file_for_an_optional_setting_stops_the_start(variables: dict[str, str]) -> None:
    assert only_problem(variables | {"AUTH0_AUDIENCE_FILE": "gone"}).startswith("AUTH0_AUDIENCE cannot be read")


def test_a_dotenv_file_that_production_ignores_is_mentioned_when_something_is_missing(directory: Path) -> None:
    (directory / ".env").write_text("AUTH0_DOMAIN=acme.auth0.com\n")
    assert problems({})[-1] == (
        "APP_ENV is production, so the `.env` file here is not read (for example: APP_ENV=development)."
    )


@pytest.mark.parametrize(
    ("given_domain", "kept"),
    [
        ("my-tenant.us.auth0.com", "my-tenant.us.auth0.com"),
        ("Login.Example.COM", "login.example.com"),
        ("localhost:9443", "localhost:9443"),
    ],
)
def test_a_bare_domain_is_accepted(variables: dict[str, str], given_domain: str, kept: str) -> None:
    assert load_settings(variables | {"AUTH0_DOMAIN": given_domain}).auth0_domain == kept


@pytest.mark.parametrize(
    ("domain", "sentence"),
    [
        ("https://acme.eu.auth0.com", "is a URL, but must be the bare domain: write 'acme.eu.auth0.com'"),
        ("https://acme.eu.auth0.com/", "is a URL, but must be the bare domain: write 'acme.eu.auth0.com'"),
        ("http://", "is a URL, but must be the bare domain: write 'the domain'"),
        ("https://[", "is not a URL"),
        ("acme.eu.auth0.com/", "is not a domain name"),
        ("acme..com", "is not a domain name"),
        ("-acme.com", "is not a domain name"),
        ("acme com", "is not a domain name"),
        ("acme.com:port", "is not a domain name"),
        ("acme.com:٩٩", "is not a domain name"),
        (f"{'a' * 64}.com", "is not a domain name"),
        ("a." * 127 + "com", "is not a domain name"),
        ("acme.com:65536", "has a port that is not between 0 and 65535"),
        ("your-tenant.us.auth0.com", "still has the placeholder of the guide"),
    ],
)
def test_another_domain_is_refused(variables: dict[str, str], domain: str, sentence: str) -> None:
    assert only_problem(variables | {"AUTH0_DOMAIN": domain}) == (
        f"AUTH0_DOMAIN {sentence} (for example: my-tenant.us.auth0.com)."
    )


@pytest.mark.parametrize("name", ["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (" ", "is empty or has spaces around it"),
        (" pasted", "is empty or has spaces around it"),
        ("pasted\n", "is empty or has spaces around it"),
        ("your_client_id", "still has the placeholder of the guide"),
    ],
)
def test_a_credential_that_was_not_copied_whole_is_refused(
    variables: dict[str, str], name: str, value: str, sentence: str
) -> None:
    assert only_problem(variables | {name: value}).startswith(f"{name} {sentence} (for example: ")


def test_a_key_ring_keeps_its_order(variables: dict[str, str]) -> None:
    settings = load_settings(variables | {"AUTH0_SECRET": f" {OTHER_SECRET} , {SECRET},"})
    assert settings.secrets == (OTHER_SECRET, SECRET)


@pytest.mark.parametrize(
    ("ring", "sentence"),
    [
        (",", "is empty"),
        ("a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p", "is shorter than 32 characters"),
        (f"{SECRET},short", "is shorter than 32 characters"),
        ("your_generated_app_secret", "still has the placeholder of the guide"),
        ("a" * 64, "repeats a short pattern and could be guessed"),
        ("0123456789abcdef" * 4, "repeats a short pattern and could be guessed"),
        ("aabbccddeeffaabcdefabcdeffedcbaabc", "repeats a short pattern and could be guessed"),
        (f"{SECRET},{SECRET}", "lists the same secret twice"),
    ],
)
def test_a_weak_key_ring_is_refused(variables: dict[str, str], ring: str, sentence: str) -> None:
    assert only_problem(variables | {"AUTH0_SECRET": ring}) == (
        f"AUTH0_SECRET {sentence} (for example: the output of `python -m app keys`)."
    )


def test_the_client_secret_is_no_key_for_sessions(variables: dict[str, str]) -> None:
    sentence = only_problem(variables | {"AUTH0_CLIENT_SECRET": SECRET})
    assert "is the same as AUTH0_CLIENT_SECRET; it must be one of its own" in sentence


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("https://app.example.com/", "has the path '/', but the callback of this app is at '/callback'"),
        ("https://app.example.com", "has the path '/', but the callback of this app is at '/callback'"),
        ("https://app.example.com/callback/", "has the path '/callback/', but the callback of this app is at"),
        ("https://app.example.com/auth/callback", "has the path '/auth/callback', but the callback of this app is at"),
        ("http://app.example.com/callback", "is plain http, which production refuses"),
        ("http://localhost:5000/callback", "is plain http, which production refuses"),
        ("https://app.example.com/callback?next=/", "is not a plain URL"),
        ("https://app.example.com/callback#top", "is not a plain URL"),
        ("https://user:password@app.example.com/callback", "is not a plain URL"),
        ("https://@app.example.com/callback", "is not a plain URL"),
        ("https:///callback", "is not a plain URL"),
        ("app.example.com/callback", "is not a plain URL"),
        ("ftp://app.example.com/callback", "is not a plain URL"),
        ("https://[/callback", "is not a URL"),
        ("https://app.example.com:65536/callback", "has a port that is not between 0 and 65535"),
    ],
)
def test_a_callback_that_is_not_ours_is_refused(variables: dict[str, str], uri: str, sentence: str) -> None:
    assert only_problem(variables | {"AUTH0_REDIRECT_URI": uri}).startswith(f"AUTH0_REDIRECT_URI {sentence}")


@pytest.mark.parametrize("env", ["development", "test"])
@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_plain_http_is_for_this_machine_outside_production(variables: dict[str, str], env: str, host: str) -> None:
    settings = load_settings(variables | {"APP_ENV": env, "AUTH0_REDIRECT_URI": f"http://{host}/callback"})
    assert settings.origin == f"http://{host}"
    assert settings.session_cookie_secure is False


def test_plain_http_elsewhere_is_refused_outside_production_too(variables: dict[str, str]) -> None:
    sentence = only_problem(
        variables | {"APP_ENV": "development", "AUTH0_REDIRECT_URI": "http://app.example.com/callback"}
    )
    assert "is plain http, which is accepted for localhost only" in sentence


def test_secure_cookies_cannot_be_turned_off_in_production(variables: dict[str, str]) -> None:
    sentence = only_problem(variables | {"SESSION_COOKIE_SECURE": "false"})
    assert sentence.startswith("SESSION_COOKIE_SECURE is false, which production refuses")
    relaxed = load_settings(variables | {"SESSION_COOKIE_SECURE": "false", "APP_ENV": "development"})
    assert relaxed.session_cookie_secure is False


def test_an_unknown_app_env_counts_as_production_for_the_other_rules(variables: dict[str, str]) -> None:
    sentences = problems(variables | {"APP_ENV": "staging", "AUTH0_REDIRECT_URI": "http://localhost/callback"})
    assert [sentence.split(" (")[0] for sentence in sentences] == [
        "APP_ENV is not valid: input should be 'production', 'development' or 'test'",
        "AUTH0_REDIRECT_URI is plain http, which production refuses",
    ]


def test_the_scope_contains_openid_and_has_single_spaces(variables: dict[str, str]) -> None:
    assert load_settings(variables | {"AUTH0_SCOPE": " openid  email "}).auth0_scope == "openid email"
    assert "must contain `openid`" in only_problem(variables | {"AUTH0_SCOPE": "profile openid2"})


def test_login_parameters_are_an_allow_list(variables: dict[str, str]) -> None:
    settings = load_settings(variables | {"AUTH0_LOGIN_PARAMETERS": "screen_hint, organization"})
    assert settings.auth0_login_parameters == ("screen_hint", "organization")


@pytest.mark.parametrize("name", sorted(PROTOCOL_PARAMETERS))
def test_no_link_may_set_what_protects_the_login(variables: dict[str, str], name: str) -> None:
    sentence = only_problem(variables | {"AUTH0_LOGIN_PARAMETERS": f"screen_hint,{name}"})
    assert f"has {name!r}, which no link may set" in sentence


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "rediss://user:password@redis.example.com:6379/0",
        "unix:///run/redis/redis.sock?db=0",
    ],
)
def test_a_redis_url_is_kept_as_it_is(variables: dict[str, str], url: str) -> None:
    settings = load_settings(variables | {"SESSION_BACKEND": "redis", "REDIS_URL": url})
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("localhost:6379", STARTS),
        ("http://localhost:6379", STARTS),
        ("redis://user:password@[localhost", "is not a URL"),
        ("redis://user:password@\u2100:6379", "is not a URL"),
        ("redis://user:password@localhost:port", "has a port that is not between 0 and 65535"),
        ("rediss://user:password@a/0?ssl_cert_reqs=none", "has a parameter that is not known"),
        ("rediss://user:password@a/0?db=1&ssl_check_hostname=false", "has a parameter that is not known"),
        ("redis://user:password@a/0?socket_timeout=3600", "has a parameter that is not known"),
        ("redis+sentinel://user:password@a,b:port/m", "has a port that is not between 0 and 65535"),
        (
            "redis+sentinel://user:password@a,b",
            "does not name the master, as redis+sentinel://host:26379/mymaster does",
        ),
        ("redis+sentinel://user:password@,/m", "has a host without a name"),
        ("redis+sentinel://user:password@a/m/x", "has a database that is not a number"),
        ("redis+sentinel://user:password@a/m?sentinel_passwd=x", "has a parameter that is not known"),
        ("redis+sentinel://user:password@a/m?sentinel_password", "is not a URL"),
        ("redis+cluster://user:password@a/1", "has a database, which a cluster has not"),
        ("redis+cluster://user:password@[a", "is not a URL"),
    ],
)
def test_another_redis_url_is_refused_without_its_password(variables: dict[str, str], url: str, sentence: str) -> None:
    assert only_problem(variables | {"REDIS_URL": url}) == (
        f"REDIS_URL {sentence} (for example: rediss://user:password@redis.example.com:6379/0)."
    )


def test_redis_sessions_need_a_redis_url(variables: dict[str, str]) -> None:
    del variables["SESSION_BACKEND"]
    assert only_problem(variables).startswith("REDIS_URL is missing: SESSION_BACKEND is redis; set it, or ")


@pytest.mark.parametrize("name", ["SERVER_BIND", "METRICS_BIND"])
@pytest.mark.parametrize("address", ["0.0.0.0:8000", "127.0.0.1:0", "[::]:8000", "app.internal:65535"])
def test_an_address_to_listen_on(variables: dict[str, str], name: str, address: str) -> None:
    assert getattr(load_settings(variables | {name: address}), name.lower()) == address


@pytest.mark.parametrize("name", ["SERVER_BIND", "METRICS_BIND"])
@pytest.mark.parametrize("address", ["8000", ":8000", "localhost", "localhost:65536", "::1:8000", "a b:80", "unix:"])
def test_what_is_no_address_to_listen_on(variables: dict[str, str], name: str, address: str) -> None:
    assert only_problem(variables | {name: address}).startswith(f"{name} has ")


def test_the_app_may_listen_on_a_unix_socket_but_metrics_may_not(variables: dict[str, str]) -> None:
    assert load_settings(variables | {"SERVER_BIND": "unix:/run/app.sock"}).server_bind == "unix:/run/app.sock"
    assert "has the wrong form" in only_problem(variables | {"METRICS_BIND": "unix:/run/app.sock"})


@pytest.mark.parametrize(
    "pair", [{"SERVER_TLS_CERTIFICATE": "/run/tls/tls.crt"}, {"SERVER_TLS_KEY": "/run/tls/tls.key"}]
)
def test_half_of_a_tls_pair_is_refused(variables: dict[str, str], pair: dict[str, str]) -> None:
    assert only_problem(variables | pair).startswith(
        "SERVER_TLS_KEY and SERVER_TLS_CERTIFICATE must be set together (for example: "
    )


def test_a_whole_tls_pair_is_accepted(variables: dict[str, str]) -> None:
    settings = load_settings(variables | {"SERVER_TLS_CERTIFICATE": "/run/tls.crt", "SERVER_TLS_KEY": "/run/tls.key"})
    assert (settings.server_tls_certificate, settings.server_tls_key) == ("/run/tls.crt", "/run/tls.key")


def test_trusted_proxies_are_addresses_networks_or_the_unix_socket(variables: dict[str, str]) -> None:
    settings = load_settings(variables | {"TRUSTED_PROXIES": "unix, 10.0.0.0/8,192.0.2.1,2001:db8::/32"})
    assert settings.trusted_proxies == ("unix", "10.0.0.0/8", "192.0.2.1", "2001:db8::/32")


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0", "10.0.0.1,0.0.0.0/0"])
def test_trust_of_everybody_is_refused(variables: dict[str, str], everybody: str) -> None:
    assert "would trust everybody's forwarded headers" in only_problem(variables | {"TRUSTED_PROXIES": everybody})


@pytest.mark.parametrize("name", ["*", "nginx", "10.0.0.0/33", "10.0.0.1/8"])
def test_what_is_no_network_is_refused(variables: dict[str, str], name: str) -> None:
    assert f"has {name!r}, which is no address, no network" in only_problem(variables | {"TRUSTED_PROXIES": name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_PAGES", "my-package.pages"),
        ("APP_PAGES", "pages.py/"),
        ("AUTH0_TIMEOUT_SECONDS", "0"),
        ("AUTH0_TIMEOUT_SECONDS", "nan"),
        ("AUTH0_TIMEOUT_SECONDS", "soon"),
        ("SESSION_BACKEND", "memcached"),
        ("SESSION_COOKIE_SECURE", "maybe"),
        ("SESSION_ABSOLUTE_SECONDS", "59"),
        ("SESSION_ABSOLUTE_SECONDS", "1.5"),
        ("REDIS_TIMEOUT_SECONDS", "inf"),
        ("SERVER_WORKERS", "0"),
        ("SERVER_WORKERS", "257"),
        ("SERVER_THREADS", "-1"),
        ("SERVER_CONCURRENCY", "0"),
        ("SERVER_REQUEST_TIMEOUT_SECONDS", "-1"),
        ("SERVER_MAX_BODY_BYTES", "-1"),
        ("SERVER_GRACE_SECONDS", "0"),
        ("SERVER_DRAIN_SECONDS", "-0.1"),
        ("LOG_LEVEL", "trace"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused_by_name(
    variables: dict[str, str], name: str, value: str
) -> None:
    variables["REDIS_URL"] = "redis://localhost"
    sentence = only_problem(variables | {name: value})
    assert sentence.startswith(f"{name} is not valid: ") or sentence.startswith(f"{name} has the wrong form")
    assert "(for example: " in sentence


def test_every_default_and_example_that_is_a_value_is_valid(variables: dict[str, str]) -> None:
    variables |= {"SERVER_TLS_CERTIFICATE": "/run/tls.crt", "SERVER_TLS_KEY": "/run/tls.key", "REDIS_URL": "redis://r"}
    variables |= {"REDIS_TLS_CERTIFICATE": "/run/redis.pem", "REDIS_TLS_KEY": "/run/redis-key.pem"}
    variables |= {
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/run/otel.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/run/otel-key.pem",
    }
    in_words = {"auth0_secret", "auth0_client_secret", "auth0_client_assertion_key"}
    # One or the other authenticates the app.
    certificate = {
        "AUTH0_CLIENT_CERTIFICATE": "/run/auth0/tls.crt",
        "AUTH0_CLIENT_CERTIFICATE_KEY": "/run/auth0/tls.key",
    }
    load_settings(variables | certificate | {"AUTH0_CLIENT_SECRET": ""})
    for attribute, field in Settings.model_fields.items():
        for example in field.examples or []:
            if attribute not in in_words and attribute.upper() not in CERTIFICATE:
                load_settings(variables | {attribute.upper(): str(example)})


CERTIFICATE = {"AUTH0_CLIENT_CERTIFICATE": "c.pem", "AUTH0_CLIENT_CERTIFICATE_KEY": "k.pem"}


def rsa_key(bits: int) -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()


def test_a_key_or_a_certificate_takes_the_place_of_the_client_secret(variables: dict[str, str]) -> None:
    del variables["AUTH0_CLIENT_SECRET"]
    assert load_settings(variables | {"AUTH0_CLIENT_ASSERTION_KEY": rsa_key(2048)}).auth0_client_secret is None
    assert load_settings(variables | CERTIFICATE).client_certificate == ("c.pem", "k.pem")
    assert only_problem(variables).startswith("AUTH0_CLIENT_SECRET is missing")


@pytest.mark.parametrize("secret", ["", "R2Vb1XhVvJY0vCqKdW8fYVJwNn3KcQy7"])
def test_of_several_ways_to_authenticate_one_has_to_go(variables: dict[str, str], secret: str) -> None:
    several = CERTIFICATE | {"AUTH0_CLIENT_ASSERTION_KEY": rsa_key(2048), "AUTH0_CLIENT_SECRET": secret}
    assert "AUTH0_CLIENT_ASSERTION_KEY, AUTH0_CLIENT_CERTIFICATE): keep one of them" in only_problem(
        variables | several
    )


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("marked-no-key", "is not a private key in PEM, without a passphrase"),
        (rsa_key(1024), "is not an RSA key of at least 2048 bits"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_without_being_shown(
    variables: dict[str, str], key: str, sentence: str
) -> None:
    problem = only_problem(variables | {"AUTH0_CLIENT_SECRET": "", "AUTH0_CLIENT_ASSERTION_KEY": key})
    assert problem.startswith(f"AUTH0_CLIENT_ASSERTION_KEY {sentence}")
    assert key not in problem


@pytest.mark.parametrize("url", ["socks5://p:1", "proxy.example.com:3128", "http://", "http://p/x", "http://p:99999"])
def test_a_proxy_that_is_no_url_of_one_is_refused_without_being_shown(variables: dict[str, str], url: str) -> None:
    problem = only_problem(variables | {"AUTH0_PROXY_URL": url})
    assert problem.startswith(("AUTH0_PROXY_URL is not a URL", "AUTH0_PROXY_URL has a port"))


LEAK_FREE = hypothesis_settings(
    # The fixtures hold nothing that one example could change for the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=200,
)
# Whatever an environment variable can hold, around a mark that no message has by chance.
MARK = "Xk7vQ2mB"
_TEXT = st.text(st.characters(exclude_characters="\0,", exclude_categories=["Cs"]), max_size=40)
SECRETS = st.builds(lambda before, after: f"{before}{MARK}{after}", _TEXT, _TEXT)
STRONG_SECRETS = st.text(
    st.characters(exclude_characters="\0,", exclude_categories=["Cs", "Z", "Cc"]), min_size=32, max_size=80
).map(lambda text: f"{MARK}{text}")
URL_SAFE_SECRETS = st.text("abcdefghkmnpqrstuvwxyz23456789-_", min_size=12, max_size=40)


@LEAK_FREE
@given(secret=SECRETS, name=st.sampled_from(["AUTH0_CLIENT_SECRET", "AUTH0_SECRET", "REDIS_URL"]))
def test_no_error_shows_a_secret(variables: dict[str, str], secret: str, name: str) -> None:
    value = f"redis://user:{secret}@host" if name == "REDIS_URL" else secret
    with pytest.raises(SettingsError) as caught:
        load_settings(variables | {name: value, "APP_ENV": "wrong"})
    error = caught.value
    printed = "\n".join([str(error), repr(error), repr(error.problems), "".join(traceback.format_exception(error))])
    assert MARK not in printed


@LEAK_FREE
@given(client_secret=STRONG_SECRETS, ring=st.lists(STRONG_SECRETS, min_size=1, unique=True), password=URL_SAFE_SECRETS)
def test_no_representation_of_the_settings_shows_a_secret(
    variables: dict[str, str], client_secret: str, ring: list[str], password: str
) -> None:
    assume(client_secret not in ring)
    variables |= {"AUTH0_CLIENT_SECRET": client_secret, "AUTH0_SECRET": ",".join(ring)}
    settings = load_settings(variables | {"REDIS_URL": f"redis://:{password}@redis.example.com"})
    assert settings.secrets == tuple(ring)
    shown = "\n".join([repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()])
    for secret in (client_secret, password, *ring):
        assert secret not in shown


def test_back_channel_logout_follows_where_sessions_are_and_is_refused_out_of_reach(variables: dict[str, str]) -> None:
    assert load_settings(variables).auth0_backchannel_logout is False
    in_redis = variables | {"SESSION_BACKEND": "redis", "REDIS_URL": "redis://r"}
    assert load_settings(in_redis).auth0_backchannel_logout is True
    assert load_settings(in_redis | {"AUTH0_BACKCHANNEL_LOGOUT": "false"}).auth0_backchannel_logout is False
    sentence = only_problem(variables | {"AUTH0_BACKCHANNEL_LOGOUT": "true"})
    assert sentence.startswith("AUTH0_BACKCHANNEL_LOGOUT is true, but sessions in cookies cannot be ended from outside")
