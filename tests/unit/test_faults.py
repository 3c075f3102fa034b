"""A bug of ours is answered like everything else: with its number, its headers and its line."""

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app.core import http, logging, problems
from app.core.http import SECURITY_HEADERS
from app.core.logging import request_lines


def _broken() -> FastAPI:
    app = FastAPI()
    problems.install(app)

    @app.get("/broken")
    async def broken() -> None:
        msg = "no such thing"
        raise LookupError(msg)

    app.add_middleware(http.RequestContext)
    return app


async def test_a_fault_is_told_with_its_number(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_lines, "_write", None)
    logging.configure("INFO")
    transport = httpx.ASGITransport(_broken(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-fault")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    lines = [orjson.loads(line) for line in capfd.readouterr().err.splitlines()]
    told = {line["event"]: line for line in lines}
    assert told["request"]["status"] == 500
    assert {line["request_id"] for line in lines} == {answer.headers["x-request-id"]}
    assert len(lines) == 2
    assert "no such thing" not in str(lines), "a message may bear what somebody typed"


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        msg = "two"
        raise LookupError(msg)

    async def broken(_request: object) -> StreamingResponse:
        return StreamingResponse(parts())

    app = Starlette(routes=[Route("/broken", broken)], middleware=[Middleware(http.RequestContext)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/broken")
    assert (answer.status_code, answer.content) == (200, b"one")
