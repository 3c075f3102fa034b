"""Logs: one JSON object a line, with no personal data in it."""

import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

log = structlog.get_logger()


def _write(line: Any, default: Callable[[Any], Any]) -> bytes:
    return orjson.dumps(line, default=default, option=orjson.OPT_NON_STR_KEYS)


class RequestLines:
    """Writes the one line that each request leaves, as structlog would, at a third of the time.

    It is written for every request that there is, and always has the same members: what structlog
    does for lines of any kind takes three times as long. No member may name what was asked for.
    """

    def __init__(self) -> None:
        """Begin with a log that nobody has configured."""
        self._write: Callable[[bytes], None] | None = None

    def send_to(self, write: Callable[[bytes], None] | None) -> None:
        """Write lines from now on with this; None keeps them back, as the level asks."""
        self._write = write

    def write(
        self, *, method: str, route: str | None, status: int, ms: float, request_id: str
    ) -> None:
        """Write a line.

        Args:
            method: The request's.
            route: The pattern that it matched, and never its path: that may hold what is private.
            status: What it was answered, or 0.
            ms: How long it took, in milliseconds.
            request_id: What finds the other lines of this request.
        """
        if self._write is not None:
            line = {
                "method": method,
                "route": route,
                "status": status,
                "ms": ms,
                "event": "request",
                "request_id": request_id,
                "level": "info",
                "timestamp": datetime.now(UTC),
            }
            self._write(orjson.dumps(line, option=orjson.OPT_UTC_Z))


request_lines = RequestLines()


def configure(level: str) -> None:
    """Send structured logs to standard error, which is where containers collect them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            # Its type says text; bytes go on as they are, to a logger that wants no others.
            structlog.processors.JSONRenderer(_write),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    wanted = logging.getLevelName(level) <= logging.INFO
    request_lines.send_to(structlog.BytesLogger(sys.stderr.buffer).msg if wanted else None)


def report_fault(error: Exception) -> None:
    """Log a bug of ours as an error, so that its place in the code is found.

    The message of an exception may quote what a user typed (PostgreSQL's DETAIL does); only its
    type, its state and its place in the code are logged.
    """
    log.error(
        "fault",
        error=type(error).__name__,
        sqlstate=getattr(getattr(error, "orig", error), "sqlstate", None),
        stack=traceback.format_tb(error.__traceback__),
    )
