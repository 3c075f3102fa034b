"""A small trade, written into the tables through the models: any shape of graph can be drawn.

What issuing and accepting write is tested where it belongs.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import TRACE_STRATEGY, Database
from app.core.ids import secret, serial63, uuid7
from app.lot.models import Lot, LotBalance, LotEdge
from app.lot.rules import LotOrigin, Proof
from app.party import credentials
from app.party.access import Audience, Caller, RoleKind
from app.party.models import Party, PartyRole
from app.place.models import Place
from app.ticket.models import (
    Ticket,
    TicketDraw,
    TicketLine,
    TicketReceipt,
    TicketState,
)
from app.trace import service
from app.trace.rules import Direction
from app.trace.schemas import TraceOut
from tests.conftest import START

BACK, FORWARD = Direction.BACK, Direction.FORWARD
CLAIMED, PROVED, OWN = Proof.CLAIMED, Proof.PROVED, Proof.OWN
DONGSHI, ZHONGBA = "320612001001", "320685100001"  # villages of 通州区 and 海安市
CHIVES = 1
PHONE, PRICE_FEN = "138****4711", 314_159


@dataclass
class Books:
    """Writes parties, lots and tickets down as they are told."""

    session: AsyncSession
    parties: dict[str, int] = field(default_factory=dict)
    public: dict[str, UUID] = field(default_factory=dict)
    lots: dict[str, int] = field(default_factory=dict)
    tickets: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    _minutes: Iterator[int] = field(default_factory=itertools.count)

    async def party(
        self,
        name: str,
        role: RoleKind,
        *,
        natural: bool = False,
        seat: str | None = None,
        at: str | None = None,
        answers_for: str | None = None,
    ) -> None:
        """Register a party; its role is tied to a place, or to a division it answers for."""
        party = Party(
            public_id=uuid7(),
            form="natural" if natural else "legal",
            name=name,
            status="active",
            phone_masked=PHONE,
            division_code=seat,
            commit_salt=secret(16),
            created_at=START,
        )
        self.session.add(party)
        await self.session.flush()
        self.session.add(
            PartyRole(
                party_id=party.id,
                kind=role,
                place_id=self.places[at] if at else None,
                division_code=answers_for,
                valid_from=date(2026, 1, 1),
            )
        )
        self.parties[name] = party.id
        self.public[name] = party.public_id

    async def place(
        self, name: str, kind: str, division: str, *, run_by: str | None, within: str | None = None
    ) -> None:
        place = Place(
            public_id=uuid7(),
            kind=kind,
            name=name,
            parent_id=self.places[within] if within else None,
            party_id=self.parties[run_by] if run_by else None,
            division_code=division,
            valid_from=date(2026, 1, 1),
        )
        self.session.add(place)
        await self.session.flush()
        self.places[name] = place.id

    async def lot(
        self,
        name: str,
        holder: str | None,
        mass_g: int,
        parents: dict[str, tuple[int, Proof]] | None = None,
        *,
        origin: LotOrigin = LotOrigin.HARVEST,
        producer: str | None = None,
        division: str | None = None,
        came_from: str | None = None,
        remaining_g: int = 0,
    ) -> None:
        """Bring a lot into being a minute after the one before."""
        at = START + timedelta(minutes=next(self._minutes))
        lot = Lot(
            public_id=uuid7(),
            digest=b"",
            product_id=CHIVES,
            holder_id=self.parties[holder] if holder else None,
            producer_id=self.parties[producer] if producer else None,
            from_party_id=self.parties[came_from] if came_from else None,
            mixed=origin is LotOrigin.MERGE,
            origin=origin,
            mass_g=mass_g,
            quantity=Decimal(mass_g) / 1000,
            unit="公斤",
            division_code=division,
            made_on=date(2026, 6, 17) if division else None,
            created_at=at,
        )
        self.session.add(lot)
        await self.session.flush()
        self.session.add(
            LotBalance(
                lot_id=lot.id,
                produced_g=mass_g,
                remaining_g=remaining_g,
                certified_g=0,
                cover_used_g=0,
                holds=0,
            )
        )
        for parent, (grams, proof) in (parents or {}).items():
            self.session.add(
                LotEdge(
                    dst=lot.id,
                    src=self.lots[parent],
                    mass_g=grams,
                    proof=proof,
                    event_id=1,
                    occurred_at=at,
                )
            )
        self.lots[name] = lot.id
        self.public[name] = lot.public_id

    async def ticket(
        self,
        name: str,
        seller: str,
        buyer: str | None,
        draws: dict[str, int],
        *,
        received: dict[str, str] | None = None,
        status: str = "accepted",
        market: str | None = None,
    ) -> None:
        """Issue a ticket; `received` names the buyer's lot for each lot drawn on."""
        serial = serial63()
        ticket = Ticket(
            public_id=uuid7(),
            digest=b"",
            kind="sale",
            code=str(serial),
            serial=serial,
            kid=1,
            token="",
            seller_id=self.parties[seller],
            buyer_id=self.parties[buyer] if buyer else None,
            buyer_kind="registered" if buyer else "walk_in",
            hand_over="two_sided" if buyer else "one_sided",
            market_id=self.places[market] if market else None,
            sold_at=START,
            issued_at=START,
            expires_at=START + timedelta(days=1),
            mass_g=sum(draws.values()),
            documents=[],
        )
        self.session.add(ticket)
        await self.session.flush()
        self.session.add(
            TicketLine(
                ticket_id=ticket.id,
                no=1,
                product_id=CHIVES,
                trade_name="韭菜",
                quantity=Decimal(1),
                unit="公斤",
                mass_g=ticket.mass_g,
                price_fen=PRICE_FEN,
                price_unit="公斤",
            )
        )
        self.session.add(TicketState(ticket_id=ticket.id, status=status))
        await self.session.flush()
        for lot, mass_g in draws.items():
            key = {"ticket_id": ticket.id, "line_no": 1, "lot_id": self.lots[lot]}
            self.session.add(TicketDraw(**key, mass_g=mass_g, cover_g=0, certificate_ids=[]))
            await self.session.flush()
            if received and lot in received:
                got = self.lots[received[lot]]
                self.session.add(TicketReceipt(**key, accepted_g=mass_g, received_lot_id=got))
        await self.session.flush()
        self.tickets[name] = ticket.id
        self.public[name] = ticket.public_id

    def caller(self, name: str, *audiences: Audience, jurisdiction: str | None = None) -> Caller:
        return Caller(
            party_id=self.parties[name],
            party_public_id=self.public[name],
            account_id=None,
            audiences=frozenset(audiences or {Audience.TRADER}) | {Audience.PUBLIC},
            roles=frozenset(),
            jurisdiction=jurisdiction,
            scopes=None,
        )

    async def trace(
        self, lot: str, direction: Direction, caller: Caller, *, limit: int = 10_000
    ) -> "Seen":
        lots = [self.public[lot]]
        found = await service.trace(self.session, lots, direction, caller=caller, limit=limit)
        return Seen(found, self)

    async def trace_ticket(self, ticket: str, direction: Direction, caller: Caller) -> "Seen":
        found = await service.trace_ticket(
            self.session, self.public[ticket], direction, caller=caller
        )
        return Seen(found, self)


class Seen:
    """An answer, in the words of the test's story."""

    def __init__(self, found: TraceOut, books: Books) -> None:
        self.found = found
        self.called = {public_id: name for name, public_id in books.public.items()}
        self.nodes = {self.called[node.lot]: node for node in found.nodes}
        self.edges = {(self.called[e.src], self.called[e.dst]): e for e in found.edges}
        self.sources = {self.called[source.lot]: source for source in found.sources}
        self.holders = {h.party.name if h.party else None: h for h in found.holders}
        self.transit = {self.called[t.ticket]: t for t in found.in_transit}
        # Prices and phone numbers are nobody's business, whoever asks.
        written = found.model_dump_json()
        assert PHONE not in written
        assert str(PRICE_FEN) not in written

    def names(self) -> set[str]:
        """Every party's name that the answer holds."""
        parties = [p for node in self.found.nodes for p in (node.holder, node.producer)]
        parties += [source.producer for source in self.found.sources]
        parties += [holder.party for holder in self.found.holders]
        parties += [transit.buyer for transit in self.found.in_transit]
        return {party.name for party in parties if party}


OPERATOR = Caller(
    party_id=None,
    party_public_id=None,
    account_id=None,
    audiences=frozenset({Audience.OPERATOR}),
    roles=frozenset(),
    jurisdiction=None,
    scopes=None,
)


async def tell(session: AsyncSession) -> Books:
    """Two farmers' chives become a cooperative's, a stall's, a school's and a walk-in's.

    A (张三, 100 kg) → A2 60 proved, B (李四, 50 kg) → B2 40 claimed; the cooperative merges them
    into M (100), the stall 王五 buys S (80), splits it into S1 (50) and S2 (30); the school buys C
    (50), a walk-in W (10), the kitchen's 5 kg of S2 are on their way; the school passes C3 (20) on
    to its branch.
    """
    books = Books(session)
    await books.party("南通市场", RoleKind.MARKET, seat="320611")
    await books.place("市场", "market", "320611001", run_by="南通市场")
    await books.place("摊位", "stall", "320611001", run_by=None, within="市场")
    await books.party("张三", RoleKind.FARMER, natural=True, seat=DONGSHI)
    await books.party("李四", RoleKind.FARMER, natural=True, seat=ZHONGBA)
    await books.party("合作社", RoleKind.COOP, seat="320612")
    await books.party("王五", RoleKind.STALL, natural=True, at="摊位")
    await books.party("学校", RoleKind.GROUP_BUYER)
    await books.party("分校", RoleKind.GROUP_BUYER)
    await books.party("食堂", RoleKind.CATERER)
    await books.party("路人", RoleKind.STALL)

    await books.lot("A", "张三", 100_000, producer="张三", division=DONGSHI, remaining_g=40_000)
    await books.lot("B", "李四", 50_000, producer="李四", division=ZHONGBA, remaining_g=10_000)
    bought: dict[str, Any] = {"origin": LotOrigin.PURCHASE}
    await books.lot(
        "A2",
        "合作社",
        60_000,
        {"A": (60_000, PROVED)},
        **bought,
        producer="张三",
        came_from="张三",
        division=DONGSHI,
    )
    await books.lot(
        "B2",
        "合作社",
        40_000,
        {"B": (40_000, CLAIMED)},
        **bought,
        producer="李四",
        came_from="李四",
    )
    await books.lot(
        "M",
        "合作社",
        100_000,
        {"A2": (60_000, OWN), "B2": (40_000, OWN)},
        origin=LotOrigin.MERGE,
        remaining_g=20_000,
    )
    await books.lot("S", "王五", 80_000, {"M": (80_000, PROVED)}, **bought, came_from="合作社")
    await books.lot("S1", "王五", 50_000, {"S": (50_000, OWN)}, origin=LotOrigin.SPLIT)
    await books.lot(
        "S2", "王五", 30_000, {"S": (30_000, OWN)}, origin=LotOrigin.SPLIT, remaining_g=15_000
    )
    await books.lot(
        "C",
        "学校",
        50_000,
        {"S1": (50_000, PROVED)},
        **bought,
        came_from="王五",
        remaining_g=30_000,
    )
    await books.lot("W", None, 10_000, {"S2": (10_000, CLAIMED)}, **bought, came_from="王五")
    await books.lot("C3", "分校", 20_000, {"C": (20_000, PROVED)}, **bought, came_from="学校")

    await books.ticket("t-A", "张三", "合作社", {"A": 60_000}, received={"A": "A2"})
    await books.ticket("t-M", "合作社", "王五", {"M": 80_000}, received={"M": "S"}, market="市场")
    await books.ticket("t-C", "王五", "学校", {"S1": 50_000}, received={"S1": "C"}, market="市场")
    await books.ticket("t-W", "王五", None, {"S2": 10_000}, received={"S2": "W"}, market="市场")
    await books.ticket("t-open", "王五", "食堂", {"S2": 5_000}, status="issued", market="市场")
    await books.ticket("t-void", "王五", "路人", {"S2": 5_000}, status="voided", market="市场")
    return books


@contextmanager
def statements(session: AsyncSession) -> Iterator[list[str]]:
    """Collect what is sent to the database."""
    sent: list[str] = []
    engine = session.get_bind().engine

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def key_of(database: Database, books: Books, name: str) -> dict[str, str]:
    async with database.transaction() as session:
        key, _ = await credentials.make_key(
            session,
            public_id=uuid7(),
            party_id=books.parties[name],
            name="test",
            scopes=["trace.read"],
            now=START,
        )
    return {"Authorization": f"Bearer {key}"}


def walked(session: AsyncSession, strategy: str) -> None:
    """Have graphs walked in one way in a session of tests, as `YPT_TRACE_STRATEGY` does."""
    connection = session.get_bind()
    assert isinstance(connection, Connection)
    connection.execution_options(**{TRACE_STRATEGY: strategy})
