"""Bare frameworks with the same rows: what HTTP costs before any of our rules.

Each application runs in a process of its own (`serve.py`).
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_POOL = 32
_TOKEN_BYTES = 103
_PAYLOAD = slice(1, 39)
_SERIAL = slice(4, 12)
_DOMAIN = b"JSNY-TICKET-v1\0"
_LOOK_UP = """
    SELECT code, seller, buyer, trade_name, quantity::text AS quantity, unit, mass_g, sold_at,
        expires_at, status, held
    FROM floor.paper WHERE serial = $1
"""

if TYPE_CHECKING:
    # Generic for type checkers only.
    _Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    _Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class _Unreset(_Connection):
    """Spares the round trip that cleans a connection up: these applications leave nothing."""

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # asyncpg's
        """Do nothing."""


class _Floor:
    """What the floors' routes share: connections and keys."""

    pool: "_Pool"
    keys: dict[int, Ed25519PublicKey]

    async def open(self) -> None:
        """Connect, and read the public keys."""
        self.pool = await asyncpg.create_pool(
            os.environ["YPT_DATABASE_URL"],
            min_size=_POOL,
            max_size=_POOL,
            connection_class=_Unreset,
            server_settings={"jit": "off"},
        )
        self.keys = {
            row["kid"]: Ed25519PublicKey.from_public_bytes(row["public_key"])
            for row in await self.pool.fetch("SELECT kid, public_key FROM signing_key")
        }

    async def paper(self, content: bytes) -> dict[str, Any] | None:
        """Look a ticket up by the serial in its token."""
        row = await self.pool.fetchrow(_LOOK_UP, int.from_bytes(content[_SERIAL], "big"))
        return None if row is None else dict(row)

    def verify(self, content: bytes) -> str | None:
        """Check a token's signature; answer what is wrong with it."""
        payload = content[_PAYLOAD]
        key = self.keys.get(int.from_bytes(payload[1:3], "big"))
        if key is None:
            return "unknown-key"
        try:
            key.verify(content[_PAYLOAD.stop :], _DOMAIN + payload)
        except InvalidSignature:
            return "bad-signature"
        return None


_floor = _Floor()


@asynccontextmanager
async def _lifespan(_app: Any) -> AsyncIterator[None]:
    await _floor.open()
    yield
    await _floor.pool.close()


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


async def _static(_request: Request) -> Response:
    return _json({"status": "ok"})


async def _scan(request: Request) -> Response:
    content = int(request.path_params["digits"]).to_bytes(_TOKEN_BYTES, "big")
    paper = await _floor.paper(content)
    return _json({"state": "unknown"}, 404) if paper is None else _json(paper)


async def _decide(request: Request) -> Response:
    content = int(request.path_params["digits"]).to_bytes(_TOKEN_BYTES, "big")
    if (wrong := _floor.verify(content)) is not None:
        return _json({"decision": "REFUSE", "findings": [wrong]}, 400)
    paper = await _floor.paper(content)
    if paper is None:
        return _json({"decision": "REFUSE", "findings": ["unknown"]}, 404)
    findings = ["in-the-books"]
    if paper["status"] == "voided":
        findings.append("voided")
    if paper["held"]:
        findings.append("held")
    if paper["expires_at"] <= datetime.now(UTC):
        findings.append("expired")
    decision = "ADMIT" if len(findings) == 1 else "REFUSE"
    return _json({"decision": decision, "findings": findings, **paper})


bare = Starlette(
    routes=[
        Route("/static", _static),
        Route("/t/{digits}", _scan),
        Route("/decide/{digits}", _decide),
    ],
    lifespan=_lifespan,
)
"""Starlette, asyncpg and orjson: the fastest that Python does without leaving the framework."""


class Paper(BaseModel):
    """The ticket, as FastAPI checks and writes it."""

    code: str
    seller: str
    buyer: str
    trade_name: str
    quantity: str
    unit: str
    mass_g: int
    sold_at: datetime
    expires_at: datetime
    status: str
    held: bool


framework = FastAPI(lifespan=_lifespan)
"""FastAPI and pydantic over the same look-up."""


@framework.get("/t/{digits}")
async def scan(digits: str) -> Paper | None:
    """Look a ticket up."""
    paper = await _floor.paper(int(digits).to_bytes(_TOKEN_BYTES, "big"))
    return None if paper is None else Paper(**paper)
