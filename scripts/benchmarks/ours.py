"""What is measured of ours: the one place that knows how the application is called."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from uuid import UUID

import httpx
import orjson

from app.certificate.service import Issuer
from app.core import ids
from app.core.clock import system_clock
from app.core.db import Database
from app.core.errors import DomainError
from app.core.gathering import Gathering
from app.core.sealing import Vault
from app.exchange import service as exchange
from app.exchange.service import Desk, Progress
from app.lot import service as lots
from app.lot.rules import LotOrigin, Proof
from app.lot.service import Birth, LotDraft, Parent
from app.party.access import RoleKind
from app.product import service as products
from app.product.rules import Catalogue
from app.signing import service as signing
from app.signing.keys import Signer
from app.ticket import counter
from app.ticket.drafts import Circumstances, LineDraft, TicketDraft
from app.ticket.issue import Issued, issue_all
from app.ticket.rules import HandOver, PlannedDraw, TicketKind
from app.trace import queries, rules
from app.trace.queries import Walk
from app.trace.rules import Direction, Reckoning, SubGraph
from benchmarks import stage
from benchmarks.floors import DRAW_G
from benchmarks.stage import Book
from benchmarks.wire import Server

LOTS_MAX = 1_000_000
READY = "/healthz"
_COOKIE = "ypt_session"


@dataclass(frozen=True)
class Ours:
    """Our data layer, called as the routes call it."""

    book: Book
    database: Database
    catalogue: Catalogue
    signer: Signer

    async def trace(self, lot: int, direction: Direction) -> tuple[SubGraph, Reckoning]:
        """Trace a lot: the sub-graph with its grams, and the shares.

        Like the floor, without what is left of each lot now.
        """
        graph = await self.walk(lot, direction)
        if direction is Direction.BACK:
            return graph, rules.back(graph, {lot: graph.nodes[lot].mass_g})
        return graph, rules.forward(graph, [lot])

    async def walk(self, lot: int, direction: Direction) -> SubGraph:
        """Answer which lots are behind or ahead of one, and the edges among them with grams."""
        books = queries.books_beside(self.database)
        return await queries.walk_at_once(
            books, [lot], Walk(direction), limit=LOTS_MAX, stocked=False
        )

    def forget(self) -> None:
        """Let the next trace meet its lots for the first time."""
        queries.books_beside(self.database).memory.lots.forget()

    async def scope(self, lot: int) -> Collection[int]:
        """Answer every lot that a recall of one reaches."""
        async with self.database.reading() as session:
            return await queries.ahead(session, [lot], limit=LOTS_MAX)

    async def stop_sale(self, lot: int) -> int:
        """Find every lot that a recall reaches and put a hold on each, in one transaction."""
        async with self.database.transaction() as session:
            reached = await queries.ahead(session, [lot], limit=LOTS_MAX)
            await lots.count_hold(session, list(reached), +1)
        return len(reached)

    async def issue(self, stock: int, *, hot: bool = False, grams: int = DRAW_G) -> None:
        """Issue a ticket on the lot at a place in the stock, or on the one that all draw on."""
        await self.issue_on(*self._of(stock, hot=hot), grams=grams)

    async def issue_on(self, lot: UUID, seller: tuple[int, UUID], *, grams: int = DRAW_G) -> None:
        """Issue a ticket of one line on one lot."""
        now = system_clock()
        draft = TicketDraft(
            public_id=ids.uuid7(),
            digest=ids.secret(),
            kind=TicketKind.SALE,
            seller=Issuer(*seller, frozenset({RoleKind.STALL})),
            buyer=self.book.actors.buyer[1],
            hand_over=HandOver.TWO_SIDED,
            lines=(
                LineDraft(
                    product_id=stage.PRODUCT,
                    trade_name="青菜",
                    quantity=Decimal(grams) / 1000,
                    unit="公斤",
                    mass_g=grams,
                    draws=(PlannedDraw(lot, grams),),
                ),
            ),
            sold_at=now,
        )
        outcome = await self._issuing.ask(draft)
        if isinstance(outcome, DomainError):
            raise outcome

    @cached_property
    def _issuing(self) -> Gathering[TicketDraft, Issued | DomainError]:
        """Issue what is asked for at the same moment together, as the counter does."""

        async def work(drafts: Sequence[TicketDraft]) -> Sequence[Issued | DomainError]:
            around = Circumstances(
                self.catalogue, self.signer, system_clock(), ids.uuid7, ids.serial63
            )
            async with counter.together(self.database) as session:
                return await issue_all(session, drafts, around)

        return Gathering(work, most=counter.TOGETHER_MAX, at_once=counter.AT_ONCE)

    async def import_file(self, path: Path, tell: Callable[[], None]) -> Progress:
        """Import tickets from a file, with all rules applied."""
        seller = str(self.book.actors.sellers[0][1])
        vault = Vault(self.book.settings().secret_bytes)
        desk = Desk(self.database, vault, system_clock, ids.uuid7, ids.serial63, seller)
        return await exchange.run(desk, exchange.open_source(path, seller), lambda _: tell())

    async def make_lots(self, count: int, parents: Sequence[int], mark: bytes) -> None:
        """Bring lots into being that each have all of the parents, in one transaction."""
        now = system_clock()
        drafts = [
            LotDraft(
                public_id=ids.uuid7(),
                product_id=stage.PRODUCT,
                holder_id=self.book.actors.buyer[0],
                origin=LotOrigin.MERGE,
                mass_g=len(parents) * DRAW_G,
                quantity=Decimal(len(parents) * DRAW_G) / 1000,
                unit="公斤",
                mixed=True,
                parents=tuple(Parent(parent, DRAW_G, Proof.OWN) for parent in parents),
                digest=mark,
            )
            for _ in range(count)
        ]
        async with self.database.transaction() as session:
            await lots.make(session, [Birth(1, now, drafts)])

    def issue_request(self, stock: int, *, hot: bool = False) -> tuple[int, str, bytes]:
        """Write the same as a request: whose session it needs, its path and its body."""
        lot, _ = self._of(stock, hot=hot)
        actors = self.book.actors
        body = {
            "buyer": {"party": str(actors.buyer[1])},
            "lines": [
                {
                    "product": stage.PRODUCT,
                    "quantity": "1",
                    "unit": "公斤",
                    "draws": [{"lot": str(lot)}],
                }
            ],
        }
        seller = 0 if hot else actors.seller_of(stock)
        return seller, f"/tickets/{ids.uuid7()}", orjson.dumps(body)

    def _of(self, stock: int, *, hot: bool) -> tuple[UUID, tuple[int, UUID]]:
        actors = self.book.actors
        if hot:
            return actors.hot[1], actors.sellers[0]
        return actors.stock[stock][1], actors.sellers[actors.seller_of(stock)]


@asynccontextmanager
async def opened(book: Book) -> AsyncIterator[Ours]:
    """Open our data layer on a database."""
    settings = book.settings()
    database = Database(settings)
    try:
        async with database.reading() as session:
            catalogue = await products.catalogue(session)
            vault = Vault(settings.secret_bytes)
            signer = await signing.load_signer(session, vault, system_clock())
        yield Ours(book, database, catalogue, signer)
    finally:
        await database.close()


async def sign_in(server: Server, login: str) -> dict[str, str]:
    """Sign in over HTTP; answer the headers that requests of this session carry."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post(
            "/sessions", json={"login": f"bench-{login}", "password": stage.PASSWORD}
        )
        answer.raise_for_status()
    return {"Cookie": f"{_COOKIE}={answer.cookies[_COOKIE]}", "Accept": "application/json"}
