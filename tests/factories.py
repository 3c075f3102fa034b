"""A trade of made-up people: parties with keys, who act through HTTP as anybody else does.

Everything goes in by the front door (`PUT /lots/…`); only parties and the signing key are written
by the services that an operator's command would call.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from app.core import ids
from app.core.db import Database
from app.core.settings import Settings
from app.main import create_app
from app.party import credentials
from app.party import service as parties
from app.party.access import NOT_FOR_KEYS, POLICY, RoleKind
from app.place import service as places
from app.signing import service as signing
from app.signing.keys import IssuerClass
from tests.conftest import START, TEST_SECRET, FakeClock

CHIVES, RICE, PADDY, MUNG_BEANS, SPROUTS, PIGS, CARCASSES, EGGS, FISH = (
    18,
    1,
    111,
    122,
    35,
    101,
    102,
    49,
    50,
)
GREENS, TOMATOES = 13, 25
VILLAGE = "320682001001"
OTHER_VILLAGE = "320682105004"

OWNER = "none"
"""The role that PostgreSQL reads as: stay whoever connected, who owns the tables."""

SINCE = date(2019, 1, 1)
KEY_FROM = datetime(2021, 1, 1, tzinfo=UTC)
KEY_DAYS = 4000

Json = dict[str, Any]
_numbers = itertools.count(1)


def new_id() -> str:
    """Make an id as a client does."""
    return str(ids.uuid7())


def line(
    product: int = CHIVES, kg: float | str = 1, *draws: str | tuple[str, int], **more: Any
) -> Json:
    """Write a ticket's line; a draw is a lot, or a lot and its grams."""
    named = [
        {"lot": drawn} if isinstance(drawn, str) else {"lot": drawn[0], "mass_g": drawn[1]}
        for drawn in draws
    ]
    return {"product": product, "quantity": str(kg), "unit": "公斤", "draws": named, **more}


def received(ticket: Json, no: int = 1, draw: int = 0) -> str:
    """Answer the buyer's lot of a ticket's draw."""
    return str(ticket["lines"][no - 1]["draws"][draw]["received_lot"])


def returned(ticket: Json, no: int = 1, draw: int = 0) -> str:
    """Answer the lot that came back of a ticket's draw."""
    return str(ticket["lines"][no - 1]["draws"][draw]["returned_lot"])


def code_of(answer: httpx.Response) -> str:
    """Answer the code of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["code"])


@dataclass
class Actor:
    """A party that acts through HTTP with a key of its own."""

    trade: "Trade"
    id: int
    public_id: UUID
    headers: dict[str, str]

    @property
    def as_buyer(self) -> Json:
        """Name the party as a ticket's buyer."""
        return {"party": str(self.public_id)}

    async def send(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        """Send a request, and note an answer that would be our fault."""
        answer = await self.trade.client.request(method, path, json=body, headers=self.headers)
        if answer.status_code >= 500:
            self.trade.faults.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    async def get(self, path: str) -> httpx.Response:
        """Send GET."""
        return await self.send("GET", path)

    async def put(self, path: str, body: Json) -> httpx.Response:
        """Send PUT."""
        return await self.send("PUT", path, body)

    async def read(self, path: str) -> Any:
        """Read something that must be there."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def make(self, path: str, body: Json, *, status: int = 201) -> Json:
        """Send PUT, which must succeed."""
        answer = await self.put(path, body)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        made: Json = answer.json()
        return made

    async def opens(
        self, product: int = CHIVES, kg: float | str = 100, *, origin: str = "harvest", **more: Any
    ) -> str:
        """Open a lot and answer its id."""
        lot = more.pop("lot", None) or new_id()
        body = {
            "origin": origin,
            "product": product,
            "quantity": str(kg),
            "unit": "公斤",
            "division_code": VILLAGE,
            **more,
        }
        await self.make(f"/lots/{lot}", body)
        return str(lot)

    async def lot(self, lot: str) -> Json:
        """Read a lot."""
        found: Json = await self.read(f"/lots/{lot}")
        return found

    async def certifies(self, lot: str, kg: float | str = 100, **more: Any) -> str:
        """Issue a certificate for a lot and answer its id."""
        certificate = new_id()
        body = {
            "kind": "conformity_producer",
            "lot": lot,
            "quantity": str(kg),
            "unit": "公斤",
            "bases": ["self_tested"],
            **more,
        }
        await self.make(f"/certificates/{certificate}", body)
        return certificate

    async def sells(self, buyer: "Actor | None", *lines: Json, **more: Any) -> Json:
        """Issue a ticket, to a walk-in if nobody is named; answer it."""
        named = {"walk_in": True} if buyer is None else buyer.as_buyer
        body = {"buyer": named, "lines": list(lines), **more}
        return await self.make(f"/tickets/{new_id()}", body)

    async def decides(self, ticket: str, outcome: str = "accepted", **more: Any) -> Json:
        """Decide about a ticket; `lines` are grams by number."""
        lines = [{"no": no, "mass_g": mass_g} for no, mass_g in more.pop("lines", {}).items()]
        body: Json = {"outcome": outcome, **({"lines": lines} if lines else {}), **more}
        if outcome != "accepted":
            body.setdefault("reason", "wilted")
        return await self.make(f"/tickets/{ticket}/decision", body, status=200)

    async def voids(self, what: str, public_id: str, reason: str = "typed wrongly") -> Json:
        """Void a ticket or a certificate."""
        return await self.make(f"/{what}/{public_id}/void", {"reason": reason}, status=200)


@dataclass
class Trade:
    """The application on a database of its own, and the people who use it.

    Attributes:
        database: As the server's role.
        owner: As the owner of the tables.
        faults: Answers of 500 and above; a test that wants one takes it out.
    """

    app: FastAPI
    client: httpx.AsyncClient
    clock: FakeClock
    settings: Settings
    database: Database
    owner: Database
    faults: list[str] = field(default_factory=list)
    samplers: "dict[str, Actor]" = field(default_factory=dict)

    async def party(
        self,
        *roles: RoleKind,
        name: str | None = None,
        answers_for: str | None = None,
        at: UUID | None = None,
        **more: Any,
    ) -> Actor:
        """Register a party of these roles, with a key for everything that keys may do.

        Args:
            roles: What it is in the trade, since 2020.
            name: What it is called; somebody of the Zhangs if left out.
            answers_for: The division that its roles are tied to.
            at: The place that its roles are tied to.
            more: Further fields of the party, a natural person of Rugao unless they say otherwise.
        """
        usual = {
            "public_id": ids.uuid7(),
            "form": "natural",
            "name": name or f"张三{next(_numbers)}",
            "division_code": "320682102",
        }
        draft = parties.PartyDraft(**{**usual, **more})
        async with self.database.transaction() as session:
            place = None if at is None else (await places.find_place(session, at)).id
            role_drafts = [
                parties.RoleDraft(kind, SINCE, place_id=place, division_code=answers_for)
                for kind in roles
            ]
            party, _ = await parties.register(
                session, draft, role_drafts, vault=self.app.state.vault, by=None, now=KEY_FROM
            )
            secret, key = await credentials.make_key(
                session,
                public_id=ids.uuid7(),
                party_id=party.id,
                name="test",
                scopes=sorted(set(POLICY) - NOT_FOR_KEYS),
                now=self.clock(),
            )
            # A test may turn the clock back or forth by years.
            key.created_at = KEY_FROM
            key.expires_at = KEY_FROM + timedelta(days=KEY_DAYS)
        return Actor(self, party.id, party.public_id, {"authorization": f"Bearer {secret}"})

    async def farmer(self, **more: Any) -> Actor:
        """Register a farmer, who need not certify."""
        return await self.party(RoleKind.FARMER, **more)

    async def coop(self, **more: Any) -> Actor:
        """Register a cooperative, which must certify what it sells."""
        return await self.party(RoleKind.COOP, **more)

    async def collector(self, **more: Any) -> Actor:
        """Register a collector, who buys from farms and must certify."""
        return await self.party(RoleKind.COLLECTOR, **more)

    async def stall(self, **more: Any) -> Actor:
        """Register a stall of a market, which need not certify."""
        return await self.party(RoleKind.STALL, **more)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Read as the owner."""
        async with self.owner.reading() as session:
            return list((await session.execute(text(query), values)).all())

    async def value(self, query: str, **values: Any) -> Any:
        """Read one value as the owner."""
        return (await self.rows(query, **values))[0][0]

    async def execute(self, statement: str, **values: Any) -> None:
        """Write as the owner, past the rules."""
        async with self.owner.transaction() as session:
            await session.execute(text(statement), values)

    async def hold(self, lot: str, holds: int = 1) -> None:
        """Put a lot on hold, or release it with 0, without an office."""
        await self.execute(
            "UPDATE lot_balance SET holds = :holds "
            "WHERE lot_id = (SELECT id FROM lot WHERE public_id = :lot)",
            holds=holds,
            lot=UUID(lot),
        )


def settings_of(database_url: str, *, pool_size: int = 5, **more: Any) -> Settings:
    """Write settings that log nothing but faults; `more` are further fields."""
    return Settings(
        database_url=database_url,
        secret_key=SecretStr(TEST_SECRET),
        pool_size=pool_size,
        log_level="ERROR",
        **more,
    )


@asynccontextmanager
async def open_trade(
    database_url: str, clock: FakeClock | None = None, *, pool_size: int = 5, **more: Any
) -> AsyncIterator[Trade]:
    """Build the application on a database that has the reference data, with a key that signs."""
    clock = clock or FakeClock(START)
    settings = settings_of(database_url, pool_size=pool_size, **more)
    app = create_app(settings, clock=clock)
    owner = Database(settings, role=OWNER)
    async with owner.transaction() as session:
        await signing.create_key(
            session,
            vault=app.state.vault,
            now=KEY_FROM,
            issuer_class=IssuerClass.TICKET,
            ttl_h_max=9000,
            days=KEY_DAYS,
            publish_ahead_days=0,
        )
    # A fault of ours shall be answered as the outside sees it, not raised into the test.
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://test") as client,
    ):
        yield Trade(app, client, clock, settings, app.state.database, owner)
    await owner.close()
