"""The settings as a table: for the terminal (with what is set here) and for docs/settings.md."""

import shutil
import textwrap
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from .environment import FILE_SUFFIX, Environment
from .settings import Settings

_HEADING = """\
# Settings

Made by `make docs` from `app/settings.py`; change it there.

Each is an environment variable. `NAME_FILE` may name a mounted file that holds the value instead, which is the way for
secrets. Outside production a `.env` file in the working directory is read too. `python -m app settings` prints this
table with what is set on the machine, and checks it without starting anything.

| name | type | default | meaning | example |
|---|---|---|---|---|
"""


def markdown() -> str:
    """The page docs/settings.md."""
    rows = [
        f"| `{name.upper()}` | {_type(field)} | {_default(field)} | {field.description} | {_example(field)} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return _HEADING + "".join(rows)


def text() -> str:
    """The table for a terminal: name, type, default, whether and from where it is set here, meaning. No values."""
    environment = Environment.read(tuple(Settings.model_fields))
    width = max(shutil.get_terminal_size((100, 24)).columns, 60)
    lines = []
    for attribute, field in Settings.model_fields.items():
        name = attribute.upper()
        lines.append(f"{name}  ({_plain(_type(field))}; {_plain(_default(field))}; {_where(name, environment)})")
        lines += textwrap.wrap(str(field.description), width, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _plain(cell: str) -> str:
    return cell.replace("`", "")


def _where(name: str, environment: Environment) -> str:
    if environment.variables.get(name + FILE_SUFFIX):
        return f"set by {name}{FILE_SUFFIX}"
    return "set" if environment.variables.get(name) else "not set"


def _types(field: FieldInfo) -> list[Any]:
    return [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind not in (type(None), ...)]


def _type(field: FieldInfo) -> str:
    kinds = _types(field)
    if all(isinstance(kind, str) for kind in kinds):
        return " or ".join(f"`{kind}`" for kind in kinds)
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", SecretStr: "secret"}
    many = "list, comma-separated" if str(field.annotation).startswith("tuple") else ""
    return ", ".join(filter(None, [names[kinds[0]], many]))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None or field.default == ():
        return "none"
    value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{value}`"


def _example(field: FieldInfo) -> str:
    example = str(field.examples[0]) if field.examples else ""
    # An example in words may quote a command; it is text already.
    return example if not example or "`" in example else f"`{example}`"
