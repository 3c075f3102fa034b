"""The line of a request is written past structlog, and is what structlog would write."""

import logging as levels
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
import structlog

from app.core import logging
from app.core.logging import request_lines

FIELDS: dict[str, Any] = {"method": "GET", "route": "/t/{digits}", "status": 200, "ms": 1.2}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(request_lines, "_write", None)
    yield
    structlog.reset_defaults()


def test_it_is_the_line_that_structlog_writes(capfd: pytest.CaptureFixture[str]) -> None:
    logging.configure("INFO")
    request_lines.write(**FIELDS, request_id="r")
    with structlog.contextvars.bound_contextvars(request_id="r"):
        structlog.get_logger().info("request", **FIELDS)
    ours, theirs = (orjson.loads(line) for line in capfd.readouterr().err.splitlines())
    assert [*ours] == [*theirs]
    instants = [datetime.fromisoformat(line.pop("timestamp")) for line in (ours, theirs)]
    assert ours == theirs
    assert instants[1] - instants[0] < timedelta(seconds=10)
    assert instants[0].utcoffset() == timedelta(0)


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_level_keeps_it_back(capfd: pytest.CaptureFixture[str], level: str) -> None:
    logging.configure(level)
    request_lines.write(**FIELDS, request_id="r")
    assert bool(capfd.readouterr().err) is (levels.getLevelName(level) <= levels.INFO)
