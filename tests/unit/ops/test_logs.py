"""Log lines: one each, whatever is in them, in JSON or as text."""

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ops.logs import JsonFormatter, LineRecord, TextFormatter, configuration


def record(message: str, **extra: Any) -> logging.LogRecord:
    """A record as a call with `extra` makes it."""
    return logging.getLogger("test").makeRecord("test", logging.INFO, "f", 1, message, (), None, extra=extra)


@given(message=st.text(), value=st.text())
def test_no_value_begins_a_line_of_its_own(message: str, value: str) -> None:
    for formatter in (JsonFormatter(), TextFormatter()):
        line = formatter.format(record(message, path=value))
        assert len(line.splitlines()) == 1


@given(message=st.text(st.characters(codec="utf-8")), value=st.text(st.characters(codec="utf-8")))
def test_a_json_line_reads_back_as_what_was_logged(message: str, value: str) -> None:
    line = json.loads(JsonFormatter().format(record(message, path=value, status=200)))
    assert (line["message"], line["path"], line["status"]) == (message, value, 200)
    assert (line["level"], line["logger"]) == ("info", "test")


def test_a_terminal_is_not_steered_by_a_log_line() -> None:
    assert "\x1b" not in TextFormatter().format(record("title", path="\x1b]0;owned\x07"))


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_an_exception_is_in_the_line_with_its_traceback(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("what happened")
    except ValueError:
        failed = logging.getLogger("test").makeRecord("test", logging.ERROR, "f", 1, "m", (), sys.exc_info())
    assert "ValueError: what happened" in formatter.format(failed)


def test_a_value_that_json_does_not_know_is_written_as_text() -> None:
    assert json.loads(JsonFormatter().format(record("m", thing=ValueError("x"))))["thing"] == "x"


@pytest.mark.parametrize("whole", ["\ud800", "a\udfffb", "\ud800\udc00"])
def test_half_of_a_surrogate_pair_is_written_out_wherever_it_is(whole: str) -> None:
    class Thing:
        def __str__(self) -> str:
            return whole

    values = {
        "text": whole,
        "list": [1, (whole,), None],
        "dict": {whole: {"deep": whole}},
        "thing": Thing(),
        "true": True,
    }
    written = whole.encode("utf-8", "backslashreplace").decode()
    line = json.loads(JsonFormatter().format(record(whole, **values)))
    assert {name: line[name] for name in ("message", *values)} == {
        "message": written,
        "text": written,
        "list": [1, [written], None],
        "dict": {written: {"deep": written}},
        "thing": written,
        "true": True,
    }


def test_time_is_utc_with_milliseconds() -> None:
    at = record("m")
    at.created, at.msecs = 1_700_000_000.123, 123
    assert json.loads(JsonFormatter().format(at))["time"] == "2023-11-14T22:13:20.123Z"


def test_production_logs_json_and_everything_goes_one_way() -> None:
    config = configuration("info", production=True)
    assert config["formatters"]["line"]["()"] == "app.ops.logs.JsonFormatter"
    assert configuration("info", production=False)["formatters"]["line"]["()"] == "app.ops.logs.TextFormatter"
    assert config["root"]["handlers"] == ["stderr"]


def test_a_line_that_is_written_often_is_as_any_other(caplog: pytest.LogCaptureFixture) -> None:
    fields = {"status": 200, "path": "/one"}
    logger = logging.getLogger("test.lines")
    with caplog.at_level(logging.INFO, "test.lines"):
        logger.info("request", extra=fields)
        logger.handle(LineRecord.like("test.lines", "request", ("path", "status"))(fields))
    usual, quick = caplog.records
    # Who asks for the names is told that nobody has looked, as `logging.logThreads` has it.
    assert vars(usual).keys() | {"fields"} == vars(quick).keys()
    alike = ("name", "msg", "args", "levelname", "levelno", "process", "thread", "exc_info", "status", "path")
    assert {name: vars(quick)[name] for name in alike} == {name: vars(usual)[name] for name in alike}
    # Seconds since 1970 are kept to a quarter of a microsecond.
    between = (quick.created - usual.created) * 1000
    assert quick.relativeCreated - usual.relativeCreated == pytest.approx(between, abs=1e-3)
    assert quick.msecs == pytest.approx(quick.created % 1 * 1000)
    for formatter in (JsonFormatter(), TextFormatter()):
        quick.created, quick.msecs = usual.created, usual.msecs
        assert formatter.format(quick) == formatter.format(usual)
