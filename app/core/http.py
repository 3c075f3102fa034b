"""What every request passes through, as pure ASGI.

A middleware that wraps the request in a task of its own cancels it on a client's disconnect, and
orphans connections that hold row locks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import Request
from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import ids, problems
from app.core.db import MAY_ASK_REPLICA
from app.core.errors import DomainError, Kind, Text
from app.core.logging import request_lines
from app.core.replica import Replica

BODY_BYTES_MAX = 1 << 20
ATTEMPTS = 4
READING_ATTEMPTS = 2
PAUSE_S = 0.02
CUT = "ypt_body_cut"
"""Key in the ASGI scope of a request that was larger than it may be: its body is the beginning."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


def wired(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Write headers as they go over the wire: once, for answers that all have them."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_SECURITY_HEADERS = wired(SECURITY_HEADERS)
_SECURED = frozenset(name for name, _ in _SECURITY_HEADERS)


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
        request_id = ids.text7()
        scope["ypt_request_id"] = request_id
        given = (b"x-request-id", request_id.encode())
        started = time.perf_counter()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                own = _SECURED.intersection([name for name, _ in headers])
                added = _SECURITY_HEADERS
                if own:
                    added = [each for each in _SECURITY_HEADERS if each[0] not in own]
                message = {**message, "headers": [*headers, given, *added]}
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_on)
        except Exception as error:
            # Past this nobody would give the answer its headers and its line a status.
            answer = await problems.fault(Request(scope), error)
            if not status:
                await answer(scope, receive, send_on)
            raise
        finally:
            route: Any = scope.get("route")
            request_lines.write(
                method=scope["method"],
                route=getattr(route, "path", None),
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                request_id=request_id,
            )
            structlog.contextvars.unbind_contextvars("request_id")


class Unit:
    """Runs a request as a whole, and again when the database asks for it.

    Two writing requests can deadlock, or carry the same new id at the same instant. The database
    lets one of them win and rolls the other back; run again, the loser finds what the winner wrote
    and answers as if it had come second. For that the body is read before: at most 1 MiB, or what
    `larger_bodies` allows under a path. What is larger is refused, or, of a form that a person
    filled in, cut off and left to the route, which answers with a page (`cut_forms`).

    A replica may answer the first run. It can be gone in the middle, and it does not know what was
    written a moment ago: so a refusal or an error of that run is kept back, and the primary is
    asked.
    """

    def __init__(
        self,
        app: ASGIApp,
        larger_bodies: Mapping[str, int] | None = None,
        cut_forms: Collection[str] = (),
    ) -> None:
        """Wrap an application.

        Args:
            app: What is wrapped.
            larger_bodies: How many bytes a body may have, by what its path begins with.
            cut_forms: Paths of forms whose route answers by itself to one that is too large; the
                scope then has `CUT`.
        """
        self.app = app
        self._larger_bodies = larger_bodies or {}
        self._cut_forms = cut_forms

    def _bytes_max(self, path: str) -> int:
        larger = (most for start, most in self._larger_bodies.items() if path.startswith(start))
        return max(larger, default=BODY_BYTES_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, is_whole, attempts = None, True, READING_ATTEMPTS
        if scope["method"] not in SAFE_METHODS:
            body, is_whole = await _read(receive, self._bytes_max(scope["path"]))
            attempts = ATTEMPTS
            if not is_whole and scope["path"] not in self._cut_forms:
                refusal = problems.answer(Request(scope), problems.BodyTooLarge())
                await refusal(scope, receive, send)
                return
        for attempt in range(attempts):
            run = _Run(body, receive, send, last=attempt == attempts - 1)
            attempt_scope = {**scope, problems.COLLIDED: run.collided, CUT: not is_whole}
            if attempt == 0:
                attempt_scope[MAY_ASK_REPLICA] = run.ask_replica
            await self.app(attempt_scope, run.receive, run.send)
            scope["route"] = attempt_scope.get("route")  # for the log line of the request
            if not run.again:
                return
            if run.has_collided:
                await asyncio.sleep(ids.jitter(PAUSE_S * 2**attempt))


class _Run:
    """One attempt: plays the body back, and keeps an answer to itself that is not the last word."""

    def __init__(self, body: bytes | None, receive: Receive, send: Send, *, last: bool) -> None:
        self._body = body
        self._receive = receive
        self._send = send
        self._last = last
        self._replica: Replica | None = None
        self.again = False
        self.has_collided = False

    def collided(self) -> None:
        """Take note that the database asked for another attempt."""
        self.again = self.has_collided = not self._last

    def ask_replica(self, replica: Replica) -> None:
        """Take note that a replica has its part in the answer."""
        self._replica = replica

    async def receive(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if (
            self._replica is not None
            and not self._last
            and message["type"] == "http.response.start"
            and message["status"] >= HTTPStatus.BAD_REQUEST
        ):
            self._replica.answers["again"] += 1
            self.again = True
        if not self.again:
            await self._send(message)


async def _read(receive: Receive, bytes_max: int) -> tuple[bytes, bool]:
    """Read a body; of one that is too large its beginning, and that this is not the whole."""
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > bytes_max:
            return b"".join(parts), False
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(parts), True


class Written:
    """An answer that is written already, as it goes over the wire."""

    __slots__ = ("_body", "_headers", "_status")

    def __init__(
        self, body: bytes, headers: Sequence[tuple[bytes, bytes]], status: int = HTTPStatus.OK
    ) -> None:
        """Hold an answer.

        Args:
            body: All of it.
            headers: Those of the route, as `wired` writes them; without its length.
            status: The HTTP status.
        """
        self._body = body
        self._headers = headers
        self._status = status

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        size = (b"content-length", b"%d" % len(self._body))
        headers = [size, *self._headers]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


JSON_HEADERS = wired({"Content-Type": "application/json"})

Plain = Callable[[Request], Awaitable[ASGIApp | None]]
"""Answers a request by itself, or leaves it to the route that it stands in front of.

It raises nothing that a client should read: a refusal is the route's business.
"""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A plain function in front of a route.

    Attributes:
        path: The route's; its log line bears it.
        plain: What is asked first.
        method: The route's.
    """

    path: str
    plain: Plain
    method: str = "GET"


class Shortcuts:
    """Asks plain functions before the routes.

    A route that is called all the time spends most of its time on being a route: it is looked for
    among two hundred, and parameters, dependencies and the model of its answer are solved and
    checked anew for each request. A plain function answers the requests that are as they should be.
    Whatever else comes (a parameter that cannot be read, somebody who may not ask, a database that
    is gone) it leaves to the route, which says why; and it is the route that the OpenAPI document
    describes.
    """

    def __init__(self, app: ASGIApp, shortcuts: Iterable[Shortcut]) -> None:
        """Wrap an application.

        Args:
            app: What is wrapped.
            shortcuts: Compared in this order.
        """
        self.app = app
        # By method and by what their paths begin with, which sorts almost everything out.
        self._shortcuts = [
            (each.method, each.path.partition("{")[0], compile_path(each.path)[0].match, each)
            for each in shortcuts
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = scope["path"]
            for method, begins, matches, shortcut in self._shortcuts:
                if scope["method"] != method or not path.startswith(begins):
                    continue
                if (match := matches(path)) is None:
                    continue
                request = Request({**scope, "path_params": match.groupdict()}, receive, send)
                if method not in SAFE_METHODS:
                    # The route reads the body once more, should it come to that.
                    receive = _again(await request.body(), receive)
                if (answer := await shortcut.plain(request)) is not None:
                    scope["route"] = shortcut
                    await answer(scope, receive, send)
                    return
                break
        await self.app(scope, receive, send)


def _again(body: bytes, receive: Receive) -> Receive:
    """Play a body back that was read, and go on with whatever follows it."""
    parts = [body]

    async def receive_again() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        return await receive()

    return receive_again


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
