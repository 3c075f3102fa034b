"""Imports tickets from a file, a chunk a transaction, and resumes where a killed import was."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from uuid import NAMESPACE_OID, UUID, uuid5

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate.service import Issuer
from app.core.clock import Clock, local_date
from app.core.db import Database
from app.core.errors import DomainError, Kind, Text
from app.core.ids import NewId, NewSerial
from app.core.problems import may_pass
from app.core.sealing import Vault
from app.exchange import rules, sheets
from app.exchange.models import ImportRefusal, ImportRun
from app.exchange.rules import Field, Row, Sale
from app.exchange.sheets import Numbered
from app.lot import rules as lot_rules
from app.lot.service import Withdrawal
from app.party import identifiers
from app.party import service as parties
from app.party.access import RoleKind
from app.party.models import Party
from app.product import search
from app.product import service as products
from app.product.rules import Catalogue, Product
from app.signing.ring import Ring
from app.ticket import issue
from app.ticket.drafts import Circumstances, TicketDraft, line_of
from app.ticket.rules import HandOver, TicketKind
from app.ticket.schemas import BuyerIn, DrawIn, LineIn, TicketIn

CHUNK_ROWS = 500
KNOWN_MAX = 10_000
USCC_CHARACTERS = 18
SIMILAR_MAX = 5


# Members of a ticket that a file's columns call otherwise.
_FIELD_OF = {"trade_name": "product", "price_fen": "price", "draws": "lots", "lines": "lots"}


class ImportBegun(DomainError):
    """An import of this very file was interrupted."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "import-begun"
    title: ClassVar[Text] = Text(
        "该文件的导入曾中断", "An import of this file was begun and not finished"
    )
    next_step: ClassVar[Text] = Text(
        "请加 --resume 从中断处继续，不会重复开票",
        "Continue it with --resume; nothing is issued twice",
    )


class ImportElsewhere(DomainError):
    """Another process imports this very file."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "import-elsewhere"
    title: ClassVar[Text] = Text(
        "另一个进程正在导入该文件", "Another process is importing this file"
    )
    next_step: ClassVar[Text] = Text(
        "请等它结束后用 --resume 查看结果", "Wait until it ends, then look with --resume"
    )


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that was refused; what it says is nothing where it is no row."""

    row_no: int
    row: Row
    code: str
    pointer: str | None
    facts: dict[str, Any]


@dataclass(slots=True)
class Progress:
    """How far an import is.

    Attributes:
        skipped: The rows of the last chunk that were refused.
    """

    rows_done: int = 0
    made: int = 0
    repeated: int = 0
    refused: int = 0
    finished: bool = False
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, chunk: Sequence[Numbered], outcomes: Sequence[bool | DomainError]) -> None:
        """Count a chunk: for each row whether its ticket is new, or why it was refused."""
        self.skipped = [
            Skipped(number, _content_of(row), outcome.code, outcome.pointer, outcome.facts)
            for (number, row), outcome in zip(chunk, outcomes, strict=True)
            if isinstance(outcome, DomainError)
        ]
        made = sum(outcome is True for outcome in outcomes)
        self.rows_done += len(outcomes)
        self.made += made
        self.refused += len(self.skipped)
        self.repeated += len(outcomes) - made - len(self.skipped)


def _content_of(row: Row | DomainError) -> Row:
    return {} if isinstance(row, DomainError) else row


@dataclass(slots=True)
class Desk:
    """What an import works with; parties that rows name are remembered.

    Attributes:
        seller: Who sells where a row does not say.
    """

    database: Database
    vault: Vault
    clock: Clock
    new_id: NewId
    new_serial: NewSerial
    seller: str | None = None
    _known: dict[str, tuple[int, UUID]] = field(default_factory=dict)
    _roles: dict[tuple[int, date], frozenset[RoleKind]] = field(default_factory=dict)
    _ring: Ring | None = None

    async def around(self, session: AsyncSession) -> Circumstances:
        """Answer what decisions rest on at this moment."""
        self._ring = self._ring or Ring(self.vault)
        now = self.clock()
        return Circumstances(
            catalogue=await products.catalogue(session),
            signer=await self._ring.signer(session, now),
            now=now,
            new_id=self.new_id,
            new_serial=self.new_serial,
        )

    async def party(self, session: AsyncSession, named: str, column: str) -> tuple[int, UUID]:
        """Find a party by id, phone or credit code; answer its internal and its public id.

        Raises:
            PartyNotRecognised: nobody is known by that. What was typed may be a phone: not said.
        """
        if named not in self._known:
            found = await _party(session, named, self.vault)
            if found is None:
                raise rules.PartyNotRecognised(pointer=f"/{column}")
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[named] = (found.id, found.public_id)
        return self._known[named]

    async def roles(self, session: AsyncSession, party_id: int, on: date) -> frozenset[RoleKind]:
        """Answer what a party is on a day."""
        if (party_id, on) not in self._roles:
            if len(self._roles) >= KNOWN_MAX:
                self._roles.clear()
            self._roles[party_id, on] = await parties.role_kinds(session, party_id, on)
        return self._roles[party_id, on]


async def _party(session: AsyncSession, named: str, vault: Vault) -> Party | None:
    try:
        condition = Party.public_id == UUID(named)
    except ValueError:
        uscc = identifiers.normalise_uscc(named).value
        if len(uscc) != USCC_CHARACTERS:
            phone = identifiers.normalise_phone(named).value
            return await parties.by_phone(session, phone, vault=vault)
        condition = Party.uscc == uscc
    found: Party | None = await session.scalar(select(Party).where(condition))
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is imported.

    Attributes:
        digest: Tells this file, for this seller, from every other.
        fields: Which heading holds which field.
    """

    path: Path
    digest: bytes
    headings: Sequence[str]
    fields: dict[Field, str]

    def place_of(self, pointer: str | None) -> str | None:
        """Answer the heading of what a pointer into a ticket's line means."""
        member = (pointer or "").removeprefix("/lines/0/")
        field = _FIELD_OF.get(member, member)
        if member == pointer or field not in self.fields:
            return pointer
        return f"/{self.fields[Field(field)]}"

    def chunks(self, *, after: int = 0) -> Iterator[list[Numbered]]:
        """Read the rows that follow the first so many, a chunk at a time."""
        rows = islice(sheets.rows(self.path), after, None)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield chunk


def open_source(path: Path, seller: str | None) -> Source:
    """Look at a file before anything is done with it.

    Raises:
        FileUnreadable: it cannot be read.
        HeadingsMissing: it lacks a column that every ticket needs.
    """
    headings = sheets.headings(path)
    fields = rules.fields_of(headings)
    if Field.SELLER not in fields and seller is None:
        raise rules.HeadingsMissing(missing=[Field.SELLER])
    digest = lot_rules.digest({"file": sheets.digest(path).hex(), "seller": seller})
    return Source(path, digest, headings, fields)


async def check(desk: Desk, source: Source, tell: Callable[[Progress], None]) -> Progress:
    """Say what an import would do, and do nothing: each row is decided as if all before it held."""
    progress, spent = Progress(), Withdrawal()
    for chunk in source.chunks():

        async def work(
            session: AsyncSession, chunk: Sequence[Numbered] = chunk
        ) -> list[bool | DomainError]:
            around = await desk.around(session)
            drafts = await _understood(session, desk, source, chunk, around)
            asked = [draft for draft in drafts if isinstance(draft, TicketDraft)]
            refused = iter(await issue.preview_all(session, asked, around, spent))
            return [
                draft if isinstance(draft, DomainError) else next(refused) or True
                for draft in drafts
            ]

        progress.add(chunk, await desk.database.persist(work, may_pass=may_pass, attempts=1))
        tell(progress)
    progress.finished = True
    return progress


async def run(
    desk: Desk, source: Source, tell: Callable[[Progress], None], *, resume: bool = False
) -> Progress:
    """Import a file: a chunk a transaction, and how far it is in the same transaction.

    Args:
        desk: What to work with.
        source: The file.
        tell: Is told after every chunk.
        resume: Whether to continue an import of this file that was interrupted.

    Raises:
        ImportBegun: one was interrupted, and `resume` is not given.
        ImportElsewhere: another process imports the same file.
    """
    progress = await desk.database.persist(
        lambda session: _begin(session, source, desk.clock()), may_pass=may_pass
    )
    if progress.finished:
        tell(progress)
        return progress
    if progress.rows_done and not resume:
        raise ImportBegun(rows_done=progress.rows_done)
    tell(progress)
    async with aclosing(_read_ahead(desk, source, after=progress.rows_done)) as chunks:
        async for chunk, drafts in chunks:
            done = progress.rows_done

            async def work(
                session: AsyncSession,
                chunk: Sequence[Numbered] = chunk,
                drafts: Sequence[_Draft] = drafts,
                done: int = done,
            ) -> Progress:
                return await _import_chunk(session, desk, source, chunk, drafts, done)

            progress = await desk.database.persist(work, may_pass=may_pass)
            tell(progress)
    await desk.database.persist(
        lambda session: _finish(session, source, desk.clock()), may_pass=may_pass
    )
    progress.finished = True
    return progress


_Draft: TypeAlias = TicketDraft | DomainError
_Understood: TypeAlias = tuple[list[Numbered], list[_Draft]]


async def _read_ahead(
    desk: Desk, source: Source, *, after: int
) -> AsyncGenerator[_Understood, None]:
    """Understand each chunk while the database writes the one before.

    What is understood does not rest on what earlier chunks leave: that is decided with the chunk's
    lots locked.
    """
    chunks = source.chunks(after=after)

    async def understand() -> _Understood | None:
        chunk = next(chunks, None)
        if chunk is None:
            return None

        async def work(session: AsyncSession) -> list[_Draft]:
            return await _understood(session, desk, source, chunk, await desk.around(session))

        return chunk, await desk.database.persist(work, may_pass=may_pass)

    ahead = asyncio.create_task(understand())
    try:
        while (ready := await ahead) is not None:
            ahead = asyncio.create_task(understand())
            yield ready
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


async def _begin(session: AsyncSession, source: Source, now: datetime) -> Progress:
    empty = {"rows_done": 0, "made": 0, "repeated": 0, "refused": 0}
    begun = insert(ImportRun).values(digest=source.digest, began_at=now, changed_at=now, **empty)
    await session.execute(begun.on_conflict_do_nothing(index_elements=["digest"]))
    return _progress(await _locked(session, source))


async def _locked(session: AsyncSession, source: Source) -> ImportRun:
    return (
        await session.scalars(
            select(ImportRun).where(ImportRun.digest == source.digest).with_for_update()
        )
    ).one()


def _progress(known: ImportRun) -> Progress:
    return Progress(
        known.rows_done,
        known.made,
        known.repeated,
        known.refused,
        finished=known.finished_at is not None,
    )


async def _finish(session: AsyncSession, source: Source, now: datetime) -> None:
    known = await _locked(session, source)
    known.finished_at = known.changed_at = now


async def _import_chunk(
    session: AsyncSession,
    desk: Desk,
    source: Source,
    chunk: Sequence[Numbered],
    drafts: Sequence[_Draft],
    done: int,
) -> Progress:
    known = await _locked(session, source)
    progress = _progress(known)
    if known.rows_done == done + len(chunk):
        return progress  # It was done, and the answer to its commit was lost.
    if known.rows_done != done:
        raise ImportElsewhere(rows_done=known.rows_done)
    around = await desk.around(session)
    asked = [draft for draft in drafts if isinstance(draft, TicketDraft)]
    answers = iter(await issue.issue_all(session, asked, around))
    outcomes: list[bool | DomainError] = []
    for draft in drafts:
        outcome = draft if isinstance(draft, DomainError) else next(answers)
        outcomes.append(outcome if isinstance(outcome, DomainError) else outcome[1])
    progress.add(chunk, outcomes)
    known.rows_done, known.made = progress.rows_done, progress.made
    known.repeated, known.refused = progress.repeated, progress.refused
    known.changed_at = around.now
    session.add_all(
        ImportRefusal(
            run_id=known.id,
            row_no=skipped.row_no,
            code=skipped.code,
            pointer=skipped.pointer,
            facts=skipped.facts,
        )
        for skipped in progress.skipped
    )
    return progress


async def skipped_of(
    session: AsyncSession, source: Source, chunk: Sequence[Numbered]
) -> list[Skipped]:
    """Answer which of these rows were skipped, and why."""
    rows = {number: _content_of(row) for number, row in chunk}
    found = await session.scalars(
        select(ImportRefusal)
        .join(ImportRun, ImportRun.id == ImportRefusal.run_id)
        .where(ImportRun.digest == source.digest, ImportRefusal.row_no.in_(rows))
        .order_by(ImportRefusal.row_no)
    )
    return [
        Skipped(row.row_no, rows[row.row_no], row.code, row.pointer, row.facts) for row in found
    ]


# --- rows -----------------------------------------------------------------------------------------


async def _understood(
    session: AsyncSession,
    desk: Desk,
    source: Source,
    chunk: Sequence[Numbered],
    around: Circumstances,
) -> list[TicketDraft | DomainError]:
    """Make a ticket of every row, or say why none can be made."""
    drafts: list[TicketDraft | DomainError] = []
    for number, row in chunk:
        try:
            if isinstance(row, DomainError):
                raise row
            drafts.append(await _draft(session, desk, source, number, row, around))
        except DomainError as refusal:
            refusal.pointer = source.place_of(refusal.pointer)
            drafts.append(refusal)
    return drafts


async def _draft(
    session: AsyncSession,
    desk: Desk,
    source: Source,
    number: int,
    row: Row,
    around: Circumstances,
) -> TicketDraft:
    """Make a ticket of a row, as the route makes one of a request."""
    sale = rules.understand(row, source.fields)
    column = source.fields
    on = local_date(sale.sold_at)
    seller_name = sale.seller or desk.seller
    if seller_name is None:
        raise rules.PartyNotRecognised(pointer=f"/{column[Field.SELLER]}")
    seller = await desk.party(session, seller_name, column.get(Field.SELLER, "seller"))
    buyer = None
    if sale.buyer is not None:
        buyer = await desk.party(session, sale.buyer, column[Field.BUYER])
    product = _product(around.catalogue, sale.product, column[Field.PRODUCT])
    body = _body(sale, product, buyer, source)
    return TicketDraft(
        public_id=_public_id(source, seller[1], sale, number),
        digest=_content(sale, seller[1]),
        kind=TicketKind.SALE,
        seller=Issuer(*seller, await desk.roles(session, seller[0], on)),
        buyer=buyer[1] if buyer else None,
        hand_over=HandOver.TWO_SIDED if buyer else HandOver.ONE_SIDED,
        lines=tuple(
            line_of(number, line, around.catalogue, on=on) for number, line in enumerate(body.lines)
        ),
        sold_at=sale.sold_at,
        market=body.market,
        plate=body.plate,
        note=body.note,
    )


def _body(sale: Sale, product: Product, buyer: tuple[int, UUID] | None, source: Source) -> TicketIn:
    """Write a row as the request that it stands for, so that the same limits hold.

    Raises:
        CellUnreadable: a cell holds more, or something else, than a request may.
    """
    try:
        return TicketIn(
            buyer=BuyerIn(party=buyer[1]) if buyer else BuyerIn(walk_in=True),
            lines=[
                LineIn(
                    product=product.id,
                    trade_name=None if sale.product.isdigit() else sale.product,
                    quantity=sale.quantity,
                    unit=sale.unit,
                    pack_net_g=sale.pack_net_g,
                    price_fen=sale.price_fen,
                    draws=[DrawIn(lot=lot) for lot in sale.lots],
                )
            ],
            market=sale.market,
            plate=sale.plate,
            note=sale.note,
        )
    except ValidationError as error:
        member = str(error.errors()[0]["loc"][-1])
        field = _FIELD_OF.get(member, member)
        raise rules.CellUnreadable(
            pointer=f"/{source.fields.get(Field(field), field)}", column=field
        ) from None


def _product(catalogue: Catalogue, named: str, column: str) -> Product:
    if named.isdigit() and int(named) in catalogue.products:
        return catalogue.products[int(named)]
    found = search.find(named, catalogue.products.values(), limit=SIMILAR_MAX)
    if found and search.is_called(found[0], named):
        return found[0]
    raise rules.ProductNotRecognised(
        pointer=f"/{column}", similar=[product.name for product in found]
    )


def _public_id(source: Source, seller: UUID, sale: Sale, number: int) -> UUID:
    """Answer the id of a row's ticket: that of its number, or else of its place in the file."""
    if sale.number is not None:
        return uuid5(NAMESPACE_OID, f"{seller}/{sale.number}")
    return uuid5(NAMESPACE_OID, f"{source.digest.hex()}/{number}")


def _content(sale: Sale, seller: UUID) -> bytes:
    return lot_rules.digest(
        {
            "seller": str(seller),
            "buyer": sale.buyer,
            "product": sale.product,
            "quantity": str(sale.quantity.normalize()),
            "unit": sale.unit,
            "sold_at": sale.sold_at.isoformat(),
            "pack_net_g": None if sale.pack_net_g is None else str(sale.pack_net_g),
            "lots": [str(lot) for lot in sale.lots],
            "market": None if sale.market is None else str(sale.market),
            "plate": sale.plate,
            "price_fen": None if sale.price_fen is None else str(sale.price_fen),
            "note": sale.note,
        }
    )
