"""Logs: one JSON object a line, with no personal data in it."""

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

import orjson
import structlog

log = structlog.get_logger()


def _write(line: Any, default: Callable[[Any], Any]) -> bytes:
    return orjson.dumps(line, default=default, option=orjson.OPT_NON_STR_KEYS)


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
