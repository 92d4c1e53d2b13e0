"""Every setting: its type, default and meaning, read in one place.

A setting comes from the environment (`AUTH0_DOMAIN`), from a mounted file named by the same variable with `_FILE`
(`AUTH0_SECRET_FILE=/run/secrets/auth0_secret`), or, outside production, from a `.env` file. `load_settings` fails with
all problems at once; no message, repr or table shows a secret's value.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from . import settings_rules
from .environment import Environment, Problem, unknown_variables
from .health import METRICS_BIND


class SettingsError(Exception):
    """The settings cannot be used. `problems` holds one sentence each; the text lists them all."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"The settings have {count}:", *(f"  - {problem}" for problem in problems)]))


def _split(value: object) -> object:
    return _parts(value) if isinstance(value, str) else value


def _lines(value: object) -> object:
    # In a file, one a line is what people write.
    return _parts(value.replace("\n", ",")) if isinstance(value, str) else value


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_lines)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(BaseSettings):
    """The settings, valid and immutable. A variable's name is the attribute's in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    _files: dict[str, Path] = PrivateAttr(default_factory=dict)

    app_env: Literal["production", "development", "test"] = Field(
        "production", description="Where this runs. Only outside production may a `.env` file or plain HTTP be used."
    )
    app_pages: str = Field(
        "app.pages",
        description="Module with the pages: it has `init_app(app)`. Put your own here.",
        examples=["mypackage.pages"],
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
    )

    auth0_domain: str = Field(
        description="The Auth0 tenant's domain, or its custom domain, without `https://`.",
        examples=["my-tenant.us.auth0.com"],
    )
    auth0_client_id: str = Field(
        description="Client ID of the Regular Web Application in Auth0.", examples=["k5u3o2fiAA8XweXEEX604KCwCjzjtMU6"]
    )
    auth0_client_assertion_key: SecretStr | None = Field(
        None,
        description="Private key (PKCS #8 PEM) of the application, in place of a client secret: each call is signed "
        "with it (`private_key_jwt`).",
        examples=["a file, by AUTH0_CLIENT_ASSERTION_KEY_FILE"],
    )
    auth0_client_assertion_algorithm: Literal["RS256", "RS384", "PS256"] = Field(
        "RS256", description="How that key signs, as entered at Auth0."
    )
    auth0_client_certificate: str | None = Field(
        None,
        description="Certificate chain (PEM) of the application, in place of a client secret: it is shown at each call "
        "(mTLS).",
        examples=["/run/auth0/tls.crt"],
    )
    auth0_client_certificate_key: str | None = Field(
        None, description="Its private key (PEM).", examples=["/run/auth0/tls.key"]
    )
    auth0_client_secret: SecretStr | None = Field(
        None,
        description="Client secret of the same application; required, unless there is a key or a certificate.",
        examples=["the value under Applications → Settings in Auth0"],
    )
    auth0_secret: Secrets = Field(
        description="Secret that sessions are encrypted with; several while rotating, separated by commas, or one a "
        "line in a file: the first writes, all read. A changed `AUTH0_SECRET_FILE` is read without a restart.",
        examples=["the output of `python -m app keys`"],
    )
    auth0_redirect_uri: str = Field(
        description="The callback's full URL, as entered at Auth0 under Allowed Callback URLs.",
        examples=["https://app.example.com/callback"],
    )
    auth0_scope: str = Field(
        "openid profile email",
        description="Scopes asked for at login; add `offline_access` for a refresh token.",
        examples=["openid profile email offline_access"],
    )
    auth0_audience: str | None = Field(
        None, description="Identifier of the API that access tokens are for.", examples=["https://api.example.com"]
    )
    auth0_login_parameters: Names = Field(
        ("screen_hint", "login_hint", "connection", "organization", "invitation", "ui_locales"),
        description="Authorization parameters that a `/login` link may carry; any other is ignored.",
        examples=["screen_hint,organization,invitation"],
    )
    auth0_pushed_authorization_requests: bool = Field(
        False, description="Send a login's parameters to Auth0 directly, not through the browser (PAR)."
    )
    auth0_silent_login: bool = Field(
        False,
        description="Sign in, at a browser's first visit, who has a session at Auth0 already, without asking "
        "(`prompt=none`).",
    )
    auth0_logout_federated: bool = Field(
        False, description="A logout also ends the session at the identity provider behind Auth0."
    )
    auth0_token_margin_seconds: float = Field(
        60.0,
        description="An access token that is good for less than that is renewed before it is handed out.",
        examples=["60"],
        ge=0,
        le=3600,
    )
    auth0_revoke_at_logout: bool = Field(
        True,
        description="A logout revokes the session's refresh token. A tenant with *Refresh Token Revocation Deletes "
        "Grant*, as those from before 2021 have it, then takes back those of the user's other sessions too.",
    )
    auth0_timeout_seconds: Seconds = Field(5.0, description="How long one request to Auth0 may take.", examples=["5"])
    auth0_keys_seconds: Seconds = Field(
        600.0,
        description="How long Auth0's metadata and keys are used before they are fetched again. A new key is fetched "
        "when it is met, and while Auth0 is down the last ones stay in use for a day.",
        examples=["600"],
    )
    auth0_clock_leeway_seconds: float = Field(
        10.0, description="By how much Auth0's clock and ours may differ.", examples=["10"], ge=0, le=300
    )
    auth0_proxy_url: SecretStr | None = Field(
        None,
        description="Proxy for calls to Auth0 and, by `auth0.http_client()`, to APIs. Unless set, `HTTPS_PROXY` and "
        "`NO_PROXY` count.",
        examples=["http://user:password@proxy.example.com:3128"],
    )

    session_backend: Literal["redis", "cookie"] = Field(
        "redis", description="Where sessions are kept: in Redis, or encrypted in the browser's cookies."
    )
    auth0_backchannel_logout: bool | None = Field(
        None,
        description="Answer `POST /backchannel-logout`, by which Auth0 ends sessions here. On where sessions are kept "
        "in Redis; in cookies they are out of reach.",
        examples=["false"],
    )
    session_cookie_secure: bool | None = Field(
        None,
        description="Cookies travel over HTTPS only. Follows the scheme of `AUTH0_REDIRECT_URI` unless set; "
        "cannot be false in production.",
        examples=["true"],
    )
    session_absolute_seconds: int = Field(
        86_400, description="A session ends this long after its login.", examples=["86400"], ge=60, le=31_536_000
    )
    session_idle_seconds: int = Field(
        28_800,
        description="A session ends when it was not used for this long; up to a minute earlier, since its use is noted "
        "once a minute.",
        examples=["28800"],
        ge=120,
        le=31_536_000,
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Where Redis is; required when sessions are kept there.",
        examples=["rediss://user:password@redis.example.com:6379/0"],
    )
    redis_tls_ca: str | None = Field(
        None,
        description="Authority (PEM) that signed the certificate of a `rediss://` Redis; the system's, unless set.",
        examples=["/run/tls/redis-ca.pem"],
    )
    redis_tls_certificate: str | None = Field(
        None, description="Certificate (PEM) to show to Redis.", examples=["/run/tls/redis-client.pem"]
    )
    redis_tls_key: str | None = Field(
        None, description="Its private key (PEM).", examples=["/run/tls/redis-client-key.pem"]
    )
    redis_timeout_seconds: Seconds = Field(
        0.25, description="How long Redis may take to answer, connecting included.", examples=["0.25"]
    )

    server_bind: str = Field(
        "0.0.0.0:8000",
        description="Address that gunicorn listens on: `host:port` or `unix:/path`.",
        examples=["unix:/run/app/app.sock"],
        pattern=r"^(unix:/.+|(\[[0-9a-fA-F:]+\]|[^\s:/]+):[0-9]{1,5})$",
    )
    server_workers: int = Field(
        2, description="Worker processes, about one for each core.", examples=["2"], ge=1, le=256
    )
    server_threads: int = Field(
        8,
        description="Threads a worker has for plain `def` views; `async def` views need none.",
        examples=["8"],
        ge=1,
        le=256,
    )
    server_concurrency: int = Field(
        128, description="Requests in flight a worker; further ones get 503.", examples=["128"], ge=1, le=65_536
    )
    server_request_timeout_seconds: Seconds = Field(
        30.0, description="A request that takes longer is answered with 504.", examples=["30"]
    )
    server_max_body_bytes: int = Field(
        1_048_576, description="Largest request body; a larger one gets 413.", examples=["1048576"], ge=0
    )
    server_grace_seconds: int = Field(
        25, description="How long running requests may take to finish after SIGTERM.", examples=["25"], ge=1, le=3600
    )
    server_drain_seconds: float = Field(
        0.0,
        description="How long, after SIGTERM, new requests are still taken while readiness already says no.",
        examples=["5"],
        ge=0,
        le=600,
    )
    server_tls_certificate: str | None = Field(
        None, description="Certificate chain (PEM) when gunicorn itself serves TLS.", examples=["/run/tls/tls.crt"]
    )
    server_tls_key: str | None = Field(None, description="Its private key (PEM).", examples=["/run/tls/tls.key"])

    metrics_bind: str = Field(
        METRICS_BIND,
        description="Address of `/metrics`, `[::]:9464` for every one of both families; never published through nginx.",
        examples=["127.0.0.1:9464"],
        pattern=r"^(\[[0-9a-fA-F:]+\]|[^\s:/]+):[0-9]{1,5}$",
    )
    trusted_proxies: Names = Field(
        (),
        description="Who may set `X-Forwarded-For` and `X-Forwarded-Proto`: addresses, networks, or `unix` for a proxy "
        "on a unix socket. Nobody, unless set.",
        examples=["unix,10.0.0.0/8"],
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )

    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        description="Where traces are sent, by OTLP over HTTP; `/v1/traces` is appended. None are made, unless set.",
        examples=["http://collector:4318"],
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        None,
        description="Headers of what is sent there, such as credentials: `name=value`, separated by commas, values "
        "percent-encoded.",
        examples=["authorization=Bearer%20token"],
    )
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = Field(
        "http/protobuf", description="How traces are sent; there is no gRPC here, which usually has the port 4317."
    )
    otel_exporter_otlp_certificate: str | None = Field(
        None,
        description="Authority (PEM) that signed the collector's certificate; that of `SSL_CERT_FILE`, else the usual "
        "ones, unless set.",
        examples=["/run/tls/collector-ca.pem"],
    )
    otel_exporter_otlp_client_certificate: str | None = Field(
        None, description="Certificate (PEM) to show to the collector.", examples=["/run/tls/collector-client.pem"]
    )
    otel_exporter_otlp_client_key: str | None = Field(
        None, description="Its private key (PEM).", examples=["/run/tls/collector-client-key.pem"]
    )
    otel_exporter_otlp_compression: Literal["none", "gzip", "deflate"] = Field(
        "none", description="How what is sent is compressed."
    )
    otel_exporter_otlp_timeout: int = Field(
        10_000, description="How long sending may take, in milliseconds.", examples=["10000"], ge=100, le=60_000
    )
    otel_service_name: str = Field(
        "auth0-flask",
        description="What the app is called in traces.",
        examples=["shop"],
        pattern=r"^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$",
    )
    otel_resource_attributes: Names = Field(
        (),
        description="What else is said of it in traces: `name=value`.",
        examples=["deployment.environment.name=production,team=shop"],
    )
    otel_traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field(
        "parentbased_always_on",
        description="Which requests are traced; with `parentbased_…` a trusted proxy that traces them too decides.",
    )
    otel_traces_sampler_arg: float = Field(
        1.0, description="The share of requests, with `…traceidratio`.", examples=["0.1"], ge=0, le=1
    )
    otel_bsp_schedule_delay: int = Field(
        5_000, description="Spans are sent this often, in milliseconds.", examples=["5000"], ge=10, le=3_600_000
    )
    otel_bsp_max_queue_size: int = Field(
        2_048,
        description="How many spans a worker keeps while they cannot be sent; further ones are lost.",
        examples=["2048"],
        ge=1,
        le=65_536,
    )
    otel_sdk_disabled: bool = Field(False, description="Makes no traces, whatever else is set.")

    @field_validator("auth0_domain")
    @classmethod
    def _bare_domain(cls, value: str) -> str:
        return settings_rules.bare_domain(value)

    @field_validator("auth0_redirect_uri")
    @classmethod
    def _our_callback(cls, value: str, info: ValidationInfo) -> str:
        return settings_rules.callback_url(value, production=_in_production(info))

    @field_validator("auth0_client_id")
    @classmethod
    def _client_id(cls, value: str) -> str:
        settings_rules.credential(value)
        return value

    @field_validator("auth0_client_assertion_key")
    @classmethod
    def _assertion_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            settings_rules.private_key(value.get_secret_value())
        return value

    @field_validator("auth0_client_certificate_key")
    @classmethod
    def _client_key_with_certificate(cls, value: str | None, info: ValidationInfo) -> str | None:
        if bool(value) != bool(info.data.get("auth0_client_certificate")):
            raise ValueError("and AUTH0_CLIENT_CERTIFICATE must be set together")
        return value

    @field_validator("auth0_client_secret")
    @classmethod
    def _client_secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # One that is there but wrong is not in the data, and has a problem of its own.
        others = ("auth0_client_assertion_key", "auth0_client_certificate")
        settings_rules.one_credential(value is not None, [name.upper() for name in others if info.data.get(name, name)])
        if value is not None:
            settings_rules.credential(value.get_secret_value())
        return value

    @field_validator("auth0_proxy_url")
    @classmethod
    def _proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            settings_rules.proxy_url(value.get_secret_value())
        return value

    @field_validator("auth0_secret")
    @classmethod
    def _key_ring(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        client_secret = info.data.get("auth0_client_secret")
        settings_rules.key_ring(
            [secret.get_secret_value() for secret in value],
            client_secret=client_secret.get_secret_value() if client_secret else None,
        )
        return value

    @field_validator("auth0_scope")
    @classmethod
    def _openid(cls, value: str) -> str:
        return settings_rules.scope(value)

    @field_validator("auth0_login_parameters")
    @classmethod
    def _harmless_parameters(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return settings_rules.login_parameters(value)

    @field_validator("auth0_backchannel_logout")
    @classmethod
    def _within_reach(cls, value: bool | None, info: ValidationInfo) -> bool:
        in_redis = info.data.get("session_backend", "redis") == "redis"
        if value and not in_redis:
            raise ValueError("is true, but sessions in cookies cannot be ended from outside: set SESSION_BACKEND=redis")
        return in_redis if value is None else value

    @field_validator("session_cookie_secure")
    @classmethod
    def _secure_in_production(cls, value: bool | None, info: ValidationInfo) -> bool:
        if value is False and _in_production(info):
            raise ValueError("is false, which production refuses: cookies would travel over plain HTTP")
        if value is None:
            return bool(info.data.get("auth0_redirect_uri", "https:").startswith("https:"))
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_when_needed(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            settings_rules.redis_url(value.get_secret_value())
        elif info.data.get("session_backend") == "redis":
            raise ValueError("is missing: SESSION_BACKEND is redis; set it, or SESSION_BACKEND=cookie")
        return value

    @field_validator("server_bind", "metrics_bind")
    @classmethod
    def _address(cls, value: str) -> str:
        return settings_rules.address(value)

    @field_validator("redis_tls_key")
    @classmethod
    def _redis_key_with_certificate(cls, value: str | None, info: ValidationInfo) -> str | None:
        if bool(value) != bool(info.data.get("redis_tls_certificate")):
            raise ValueError("and REDIS_TLS_CERTIFICATE must be set together")
        return value

    @field_validator("server_tls_key")
    @classmethod
    def _key_with_certificate(cls, value: str | None, info: ValidationInfo) -> str | None:
        if bool(value) != bool(info.data.get("server_tls_certificate")):
            raise ValueError("and SERVER_TLS_CERTIFICATE must be set together")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return settings_rules.proxies(value)

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _collector(cls, value: str | None) -> str | None:
        return value if value is None else settings_rules.collector_url(value)

    @field_validator("otel_exporter_otlp_headers")
    @classmethod
    def _headers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            settings_rules.headers(value.get_secret_value())
        return value

    @field_validator("otel_exporter_otlp_client_key")
    @classmethod
    def _collector_key_with_certificate(cls, value: str | None, info: ValidationInfo) -> str | None:
        if bool(value) != bool(info.data.get("otel_exporter_otlp_client_certificate")):
            raise ValueError("and OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE must be set together")
        return value

    @field_validator("otel_resource_attributes")
    @classmethod
    def _attributes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        settings_rules.resource_attributes(value)
        return value

    @property
    def traced(self) -> bool:
        """Whether traces are made."""
        return self.otel_exporter_otlp_endpoint is not None and not self.otel_sdk_disabled

    @property
    def collector_headers(self) -> dict[str, str]:
        """Headers of what is sent to the collector, in plain."""
        given = self.otel_exporter_otlp_headers
        return settings_rules.headers(given.get_secret_value()) if given else {}

    @property
    def resource_attributes(self) -> dict[str, str]:
        """What is said of the app in traces, beside its name."""
        return settings_rules.resource_attributes(self.otel_resource_attributes)

    @property
    def production(self) -> bool:
        """Whether this is production, where nothing insecure is accepted."""
        return self.app_env == "production"

    @property
    def origin(self) -> str:
        """The app's own origin, `scheme://host[:port]`: the callback URL without its path."""
        return self.auth0_redirect_uri.removesuffix(settings_rules.CALLBACK_PATH)

    @property
    def client_certificate(self) -> tuple[str, str] | None:
        """Paths of the certificate that is shown to Auth0, and of its key."""
        certificate, key = self.auth0_client_certificate, self.auth0_client_certificate_key
        return (certificate, key) if certificate and key else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key ring's secrets in plain: the first writes, all read."""
        return tuple(secret.get_secret_value() for secret in self.auth0_secret)

    @property
    def secret_file(self) -> Path | None:
        """Where `secrets` were read, if that was a file; `secrets_in` reads it again."""
        return self._files.get("auth0_secret")

    def secrets_in(self, file: Path) -> tuple[str, ...]:
        """The key ring's secrets in *file*.

        :raises ValueError: they cannot be used.
        :raises OSError: the file cannot be read.
        """
        texts = _parts(file.read_text(encoding="utf-8").replace("\n", ","))
        client_secret = self.auth0_client_secret
        settings_rules.key_ring(texts, client_secret.get_secret_value() if client_secret else None)
        return texts

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values as `load_settings` found them; nothing is read from the process behind its back."""
        return (init_settings,)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    :param environ: variables to read in place of the process's own.
    :raises SettingsError: with every problem there is, not only the first.
    """
    environment = Environment.read(tuple(Settings.model_fields), environ)
    problems = [*environment.problems, *unknown_variables(environment.variables, tuple(Settings.model_fields))]
    try:
        settings = Settings.model_validate(environment.values)
    except ValidationError as error:
        problems += list(_explained(error, unreadable={problem.variable for problem in environment.problems}))
        if environment.ignored_dotenv:
            problems.append(
                Problem("APP_ENV", "is production, so the `.env` file here is not read", "APP_ENV=development")
            )
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    settings._files = environment.files
    return settings


def _explained(error: ValidationError, unreadable: set[str]) -> Iterator[Problem]:
    for detail in error.errors(include_input=False, include_url=False):
        attribute = str(detail["loc"][0])
        variable = attribute.upper()
        if variable in unreadable:
            continue
        yield Problem(variable, _sentence(detail["type"], detail["msg"]), _example(attribute))


def _in_production(info: ValidationInfo) -> bool:
    # An APP_ENV that is itself wrong counts as production, the stricter of the two.
    return bool(info.data.get("app_env", "production") == "production")


def _sentence(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        return "has the wrong form"
    return "is not valid: " + message[0].lower() + message[1:]


def _example(attribute: str) -> str:
    field = Settings.model_fields[attribute]
    if field.examples:
        return str(field.examples[0])
    return " or ".join(str(choice) for choice in get_args(field.annotation))
