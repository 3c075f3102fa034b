"""Runs the HTTP application under uvicorn."""

import ctypes
import gc
import socket
from typing import Any

from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app

STOP_S_MAX = 10
BACKLOG = 2048
# A process that is still importing answers no health check. On a busy machine that takes longer
# than uvicorn's five seconds, after which it would be killed and begin again, for ever.
START_S_MAX = 60

# Access lines are the application's own (`core.http`), which name routes and never what was asked
# for; uvicorn's would hold tickets and search words.
OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": "httptools",
    "ws": "none",
    "lifespan": "on",
    "access_log": False,
    "proxy_headers": False,
    "log_config": None,
    "server_header": False,
    "timeout_graceful_shutdown": STOP_S_MAX,
    "timeout_worker_healthcheck": START_S_MAX,
    "backlog": BACKLOG,
}


# What `mallopt` of glibc calls them.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
APART_BYTES_MIN = 1 << 19
IDLE_BYTES_MAX = 1 << 22


class PortTakenError(Exception):
    """Somebody else listens there already."""


def application() -> FastAPI:
    """Build the application from the environment: what each serving process calls."""
    _give_back()
    app = create_app(Settings())
    # What there is now stays: no search for garbage need look it through again.
    gc.freeze()
    return app


def _give_back() -> None:
    """Have what is large given back to the system as soon as it is free.

    Left alone, glibc takes ever larger pieces out of the heap once such a piece was freed, where
    small ones settle in the gaps: 18 MB lay idle after some hundred large traces. A trace of 360
    lots is less than half a megabyte and stays in the heap: it need not be mapped each time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have no such thing
        mallopt(_MMAP_THRESHOLD, APART_BYTES_MIN)
        mallopt(_TRIM_THRESHOLD, IDLE_BYTES_MAX)


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything else is done: nothing is worse than failing at the very end.

    Raises:
        PortTakenError: it is in use, or not ours to use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    # A port whose last connections linger is free; one that somebody listens on is not.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(BACKLOG)
    except OSError as cause:
        taken.close()
        raise PortTakenError(port) from cause
    return taken
