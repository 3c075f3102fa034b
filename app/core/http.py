"""What every request passes through: pure ASGI, because a middleware that wraps the request in a
task of its own cancels it on a client's disconnect and orphans connections that hold row locks.
"""

import time
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import ids, problems
from app.core.errors import DomainError, Kind, Text

BODY_BYTES_MAX = 1 << 20
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}

log = structlog.get_logger()


class CrossSiteRequest(DomainError):
    """A page of another site tried to act with the reader's session."""

    kind = Kind.FORBIDDEN
    code = "cross-site-request"
    title = Text("拒绝来自其他网站的操作", "A request from another site is refused")
    next_step = Text("请在本平台页面内操作", "Act from a page of this platform")


class RequestContext:
    """Gives each request an identifier, one log line and the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = str(ids.uuid7())
        scope["ypt_request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_on)
        finally:
            route: Any = scope.get("route")
            log.info(
                "request",
                method=scope["method"],
                route=getattr(route, "path", None),  # never the path: it may hold what is private
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
            structlog.contextvars.unbind_contextvars("request_id")


class BodyLimit:
    """Refuses a body of more than 1 MiB before it is read into memory."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > BODY_BYTES_MAX:
            refusal = problems.answer(Request(scope), problems.BodyTooLarge())
            await refusal(scope, receive, send)
            return
        seen = 0

        async def receive_some() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES_MAX:
                raise problems.BodyTooLarge
            return message

        await self.app(scope, receive_some, send)


class CrossSiteGuard:
    """Refuses a writing request that a browser sends on behalf of another site.

    The rule is that of Go 1.25 `CrossOriginProtection`: `Sec-Fetch-Site` decides; without it the
    `Origin` must be the host itself; a request with neither does not come from a browser.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or _same_site(scope):
            await self.app(scope, receive, send)
            return
        refusal = problems.answer(Request(scope), CrossSiteRequest())
        await refusal(scope, receive, send)


def _same_site(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    fetch_site = headers.get("sec-fetch-site")
    if fetch_site is not None:
        return fetch_site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
