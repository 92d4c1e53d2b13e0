"""Where settings come from: environment variables, files that `NAME_FILE` names, and `.env` outside production."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FILE_SUFFIX = "_FILE"
DOTENV = ".env"
# Variables with these prefixes are ours alone, so one that we do not know is a misspelling.
OWN_PREFIXES = ("AUTH0_", "SESSION_")
# OpenTelemetry has many variables, most of which do not concern the app and may be set for everything that runs
# somewhere. One that is nearly one of ours is a misspelling, unless it is about something else than traces.
_OTEL = "OTEL_"
_OTEL_TRACES = "OTEL_EXPORTER_OTLP_TRACES_"
_OTEL_OTHERS = re.compile(r".*_(METRICS|LOGS|PROFILES|BLRP|METRIC|ZIPKIN)_.*|OTEL_TRACES_EXPORTER")
_NEARLY = 0.85
# Except what others set under these prefixes: X11's session manager on a desktop, and in Kubernetes the addresses of
# the namespace's services, one called `auth0-flask` among them.
_FOREIGN = re.compile(r"SESSION_MANAGER|.*_SERVICE_(HOST|PORT(_\w+)?)|.*_PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?")


@dataclass(frozen=True)
class Problem:
    """What is wrong with one variable, and a value that would be right."""

    variable: str
    sentence: str
    example: str = ""

    def __str__(self) -> str:
        hint = f" (for example: {self.example})" if self.example else ""
        return f"{self.variable} {self.sentence}{hint}."


@dataclass
class Environment:
    """What was found: `values` by attribute name, as text, the `files` they stand in, and the problems with that."""

    variables: Mapping[str, str]
    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    ignored_dotenv: bool = False

    @classmethod
    def read(cls, attributes: Iterable[str], environ: Mapping[str, str] | None = None) -> "Environment":
        """Look each attribute up as `NAME`, then as `NAME_FILE`. An empty variable counts as not set."""
        variables = dict(os.environ if environ is None else environ)
        dotenv, problems = _read_dotenv()
        ignored = (variables.get("APP_ENV") or dotenv.get("APP_ENV", "production")) == "production"
        if ignored:
            environment = cls(variables, ignored_dotenv=bool(dotenv or problems))
        else:
            environment = cls({**dotenv, **variables}, problems=problems)
        for attribute in attributes:
            environment._look_up(attribute)
        return environment

    def _look_up(self, attribute: str) -> None:
        name = attribute.upper()
        value, path = self.variables.get(name), self.variables.get(name + FILE_SUFFIX)
        if value and path:
            self.problems.append(Problem(name, f"is set, and so is {name}{FILE_SUFFIX}: keep one of them"))
        elif path:
            self._read_file(attribute, name, Path(path))
        elif value:
            self.values[attribute] = value

    def _read_file(self, attribute: str, name: str, path: Path) -> None:
        try:
            # Mounted files usually end in a newline that is not part of the secret.
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            where = f"from {str(path)!r}, which {name}{FILE_SUFFIX} names"
            self.problems.append(Problem(name, f"cannot be read {where}: {_reason(error)}"))
            return
        if text:
            self.values[attribute] = text
            self.files[attribute] = path
        else:
            self.problems.append(Problem(name, f"is empty in {str(path)!r}, which {name}{FILE_SUFFIX} names"))


def _read_dotenv() -> tuple[dict[str, str], list[Problem]]:
    # Seldom there, so its library is imported only then: every health check of a container comes through here.
    if not Path(DOTENV).exists():
        return {}, []
    from dotenv import dotenv_values  # noqa: PLC0415

    try:
        return {name: value for name, value in dotenv_values(DOTENV).items() if value}, []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [Problem(DOTENV, f"cannot be read: {_reason(error)}")]


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "not UTF-8 text"


def unknown_variables(variables: Mapping[str, str], attributes: Iterable[str]) -> list[Problem]:
    """Name the variables that look like ours but are not, each with the closest one that is."""
    known = {name for attribute in attributes for name in (attribute.upper(), attribute.upper() + FILE_SUFFIX)}
    problems = []
    for name in sorted(variables):
        if name.startswith(OWN_PREFIXES) and name not in known and not _FOREIGN.fullmatch(name):
            closest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
            meant = f"probably {closest[0]} is meant" if closest else "remove it"
            problems.append(Problem(name, f"is no setting of this app: {meant}"))
        elif name.startswith(_OTEL) and name not in known and variables[name]:
            problems += _of_traces(name, known)
    return problems


def _of_traces(name: str, known: set[str]) -> list[Problem]:
    if name.startswith(_OTEL_TRACES):
        general = "OTEL_EXPORTER_OTLP_" + name.removeprefix(_OTEL_TRACES)
        return [Problem(name, f"is not taken, since the app sends nothing but traces: set {general}")]
    closest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_NEARLY)
    if not closest or _OTEL_OTHERS.fullmatch(name):
        return []
    return [Problem(name, f"is no setting of this app: probably {closest[0]} is meant")]
