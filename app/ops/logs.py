"""Logs: one JSON object a line in production, text elsewhere; no value can begin a line of its own."""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from flask import has_request_context

from app.web import request_id, trace_id

_EMPTY = vars(logging.makeLogRecord({}))
# What other formatters leave on a record.
_FORMATTED = frozenset({"message", "asctime", "color_message", "taskName"}) | _EMPTY.keys()
_STANDARD_COUNT = len(_EMPTY)
# What `relativeCreated` counts from.
_STARTED = _EMPTY["created"] - _EMPTY["relativeCreated"] / 1000
# Formatting the number takes as long as writing the line.
_MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]
# Line ends and terminal controls beyond ASCII, which JSON leaves as they are.
_LATE_CONTROL = {code: f"\\u{code:04x}" for code in (*range(127, 160), 0x2028, 0x2029)}
_CONTROL = {code: f"\\u{code:04x}" for code in range(32)} | _LATE_CONTROL
_encoder = msgspec.json.Encoder(enc_hook=str)


def configuration(level: str, production: bool) -> dict[str, Any]:
    """The process's logging, for `logging.config.dictConfig`: everything to standard error, in one format."""
    formatter = f"{__name__}.{'JsonFormatter' if production else 'TextFormatter'}"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "handlers": {"stderr": {"class": f"{__package__}.standard_error.StandardError", "formatter": "line"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        # httpx logs each call's URL, and authlib what it sends.
        "loggers": {name: {"level": "WARNING"} for name in ("httpx", "httpcore", "authlib", "urllib3")}
        # It says the same for each batch that cannot be sent, with headers and URLs; collector.py says it once.
        | {"opentelemetry": {"level": "CRITICAL"}}
        | {name: {"handlers": [], "propagate": True} for name in ("gunicorn.error", "gunicorn.access")},
    }


class LineRecord(logging.LogRecord):
    """What `log.info(message, extra=fields)` would make, for a line that is written very often.

    `LogRecord` takes the path of a file apart, and looks for the names of thread and process, each time anew.
    """

    fields: Mapping[str, Any] = {}

    def __init__(self, alike: dict[str, Any], fields: Mapping[str, Any]) -> None:
        created = time.time()
        values = alike.copy()
        values["created"] = created
        values["msecs"] = created % 1 * 1000
        values["relativeCreated"] = (created - _STARTED) * 1000
        values["process"] = os.getpid()
        values["thread"] = threading.get_ident()
        values.update(fields)
        values["fields"] = fields
        self.__dict__ = values

    @classmethod
    def like(cls, logger: str, message: str, names: Sequence[str]) -> Callable[[Mapping[str, Any]], "LineRecord"]:
        """What makes such records of *logger*, at level INFO and with this *message*, of fields with these *names*."""
        alike = vars(logging.LogRecord(logger, logging.INFO, __file__, 0, message, (), None))
        # As with `logging.logThreads` and `logging.logMultiprocessing` off.
        alike["threadName"] = alike["processName"] = None
        return functools.partial(cls, alike | dict.fromkeys((*names, "fields")))


class JsonFormatter(logging.Formatter):
    """`{"time": …, "level": …, "logger": …, "message": …, "request_id": …}` and what the call gave as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; JSON escapes whatever could end it."""
        if isinstance(record, LineRecord):
            text = f'{{"time":"{_time(record)}"{_head(record.name, record.msg)}{_json(record.fields)[1:]}'
            return _in_one_line(text)
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(_context(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _in_one_line(_json(line))


class TextFormatter(logging.Formatter):
    """`12:00:00 info app.request request method=GET path=/ …`, for a person in front of a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, control characters written out; then the traceback, if there is one."""
        context = " ".join(f"{name}={value}" for name, value in _context(record).items())
        text = f"{_time(record)[11:19]} {record.levelname.lower():7} {record.name} {record.getMessage()} {context}"
        line = text.rstrip().translate(_CONTROL)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


@functools.lru_cache(8)
def _head(logger: str, message: str) -> str:
    # What lines that are alike have between their time and their fields.
    return f",{_json({'level': 'info', 'logger': logger, 'message': message})[1:-1]},"


def _json(fields: Mapping[str, Any]) -> str:
    try:
        return _encoder.encode(fields).decode()
    except UnicodeEncodeError:
        return _encoder.encode(_encodable(fields)).decode()


def _in_one_line(text: str) -> str:
    return text if text.isascii() and "\x7f" not in text else text.translate(_LATE_CONTROL)


def _encodable(value: Any) -> Any:
    # Half of a surrogate pair, which JSON may bring (`"\\ud800"`), is written out: UTF-8 has none.
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {_encodable(name): _encodable(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_encodable(one) for one in value]
    return str(value).encode(errors="backslashreplace").decode()


def _time(record: logging.LogRecord) -> str:
    return _second(int(record.created)) + _MILLISECONDS[int(record.msecs)]


@functools.lru_cache(2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _context(record: logging.LogRecord) -> Mapping[str, Any]:
    if isinstance(record, LineRecord):
        return record.fields
    # What the call gave comes after what every record has.
    context = dict(islice(vars(record).items(), _STANDARD_COUNT, None))
    if not _FORMATTED.isdisjoint(context):
        context = {name: value for name, value in context.items() if name not in _FORMATTED}
    if "request_id" not in context and has_request_context():
        context["request_id"] = request_id()
        context["trace_id"] = trace_id()
    return context
