"""Finds tickets and lots by whatever is in hand: a code, a product, a name, a plate, a day.

Every word must fit, in any of the ways in which it can be read. Without a day, a code or an id the
last month is searched: a case older than that has a day. What is found is what the caller may open.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from unicodedata import normalize
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.core.clock import SHANGHAI, local_date
from app.lot.models import Lot, LotBalance
from app.lot.rules import LotOrigin
from app.party import queries as parties
from app.party.access import Audience, Caller
from app.party.identifiers import mask_name
from app.party.models import Party, PartyRole
from app.party.schemas import PartyOut
from app.place.models import Place
from app.product import search as names
from app.product import service as products
from app.product.rules import Catalogue
from app.signing import shortcode
from app.ticket.models import Ticket, TicketLine, TicketState
from app.ticket.rules import TicketStatus
from app.trace.schemas import FoundLot, FoundTicket, SearchOut, TracedParty

WORDS_MAX: Final = 5
DAYS: Final = 31
"""How far back a search goes that names no day."""
_ALIKE_MAX: Final = 50
_PLATE = re.compile("[\u4e00-\u9fff]?[A-Z][0-9A-Z\u4e00-\u9fff]*|[0-9A-Z\u4e00-\u9fff]{3,}")
_FULL_DAY = re.compile(r"(20\d\d)[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?")
_DAY = re.compile(r"(\d{1,2})[-/.月](\d{1,2})日?")
_NOT_IN_PLATES = "[^0-9A-Z\u4e00-\u9fff]"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a word may mean.

    Attributes:
        product_ids: Products that are called or spelled so.
        party_ids: Parties of that name.
        plate: Letters and digits of a plate, or of a part of one such as 苏F; empty if it is none.
    """

    public_id: UUID | None = None
    code: str | None = None
    day: date | None = None
    product_ids: tuple[int, ...] = ()
    party_ids: tuple[int, ...] = ()
    plate: str = ""


def read_day(word: str, today: date) -> date | None:
    """Read a day as people write it; without a year, the last one that has been.

    2026-06-18, 20260618, 2026年6月18日, 6-18 and 6月18日 are days.
    """
    with suppress(ValueError):
        if full := _FULL_DAY.fullmatch(word):
            return date(*map(int, full.groups()))
        if short := _DAY.fullmatch(word):
            month, day = map(int, short.groups())
            this_year = date(today.year, month, day)
            return this_year if this_year <= today else date(today.year - 1, month, day)
    return None


async def search(session: AsyncSession, q: str, caller: Caller, *, now: datetime) -> SearchOut:
    """Find what a person may mean.

    Args:
        session: The caller's session.
        q: Words with blanks between them; more than `WORDS_MAX` are not looked at.
        caller: On whose behalf.
        now: When it is asked.
    """
    catalogue = await products.catalogue(session)
    typed = normalize("NFKC", q).split()[:WORDS_MAX]
    readings = [await _read(session, word, catalogue, local_date(now)) for word in typed]
    begin, end = _window(readings, now)
    found: list[PartyOut] = []
    for word in typed:
        views = await parties.search(session, caller, word, on=local_date(now))
        found += [PartyOut.of(view) for view in views]
    within = await _within(session, caller, now)
    return SearchOut(
        since=begin,
        parties=list({party.id: party for party in found}.values()),
        tickets=await _tickets(session, readings, within, (begin, end), catalogue)
        if readings
        else [],
        lots=await _lots(session, readings, within, (begin, end), catalogue) if readings else [],
    )


async def _read(session: AsyncSession, word: str, catalogue: Catalogue, today: date) -> Reading:
    with suppress(ValueError):
        return Reading(public_id=UUID(word))
    if (day := read_day(word, today)) is not None:
        return Reading(day=day)
    code = None
    with suppress(shortcode.BadCodeError):
        code = shortcode.parse(word).code
    plate = re.sub(_NOT_IN_PLATES, "", word.upper())
    named = await session.scalars(
        select(Party.id)
        .where(
            or_(
                and_(Party.form == "legal", Party.name.icontains(word, autoescape=True)),
                and_(Party.form == "natural", Party.name == word),
            )
        )
        .limit(_ALIKE_MAX)
    )
    alike = names.find(word, catalogue.products.values(), limit=_ALIKE_MAX)
    return Reading(
        code=code,
        product_ids=tuple(product.id for product in alike),
        party_ids=tuple(named),
        plate=plate if _PLATE.fullmatch(plate) else "",
    )


def _window(readings: Sequence[Reading], now: datetime) -> tuple[datetime | None, datetime | None]:
    days = [reading.day for reading in readings if reading.day is not None]
    if days:
        begin = datetime.combine(max(days), time.min, SHANGHAI)
        return begin, datetime.combine(min(days), time.min, SHANGHAI) + timedelta(days=1)
    if any(reading.code or reading.public_id for reading in readings):
        return None, None
    return now - timedelta(days=DAYS), None


@dataclass(frozen=True, slots=True)
class _Within:
    """What the caller answers for.

    Attributes:
        party_id: Its own party.
        prefix: Division prefix that it supervises; empty for an operator, None for others.
        market_ids: Markets that it runs.
        holder_ids: Who has a place in them today.
    """

    party_id: int
    prefix: str | None
    market_ids: tuple[int, ...] = ()
    holder_ids: tuple[int, ...] = ()


async def _within(session: AsyncSession, caller: Caller, now: datetime) -> _Within:
    me = caller.acting_party
    if Audience.OPERATOR in caller.audiences:
        return _Within(me, "")
    prefix = caller.jurisdiction if Audience.REGULATOR in caller.audiences else None
    if Audience.MARKET not in caller.audiences:
        return _Within(me, prefix)
    own = select(Place.id).where(Place.kind == "market", Place.party_id == me)
    markets = tuple(await session.scalars(own))
    inside = select(Place.id).where(or_(Place.id.in_(markets), Place.parent_id.in_(markets)))
    today = local_date(now)
    holders = await session.scalars(
        select(PartyRole.party_id).where(
            PartyRole.place_id.in_(inside),
            PartyRole.valid_from <= today,
            or_(PartyRole.valid_to.is_(None), PartyRole.valid_to > today),
        )
    )
    return _Within(me, prefix, markets, tuple(set(holders)))


async def _tickets(
    session: AsyncSession,
    readings: Sequence[Reading],
    within: _Within,
    window: tuple[datetime | None, datetime | None],
    catalogue: Catalogue,
) -> list[FoundTicket]:
    seller, buyer, market = aliased(Party), aliased(Party), aliased(Place)
    mine: ColumnElement[bool] = or_(
        Ticket.seller_id == within.party_id,
        Ticket.buyer_id == within.party_id,
        Ticket.market_id.in_(within.market_ids),
    )
    if within.prefix is not None:
        # As `app.ticket.queries.read` has it: what is found can be opened.
        where = func.coalesce(market.division_code, seller.division_code)
        mine = or_(mine, where.startswith(within.prefix, autoescape=True))
    rows = await session.execute(
        select(Ticket, TicketState.status, seller, buyer)
        .join(TicketState, TicketState.ticket_id == Ticket.id)
        .join(seller, seller.id == Ticket.seller_id)
        .outerjoin(buyer, buyer.id == Ticket.buyer_id)
        .outerjoin(market, market.id == Ticket.market_id)
        .where(mine, *_inside(Ticket.sold_at, window), *map(_of_ticket, readings))
        .order_by(Ticket.sold_at.desc(), Ticket.id.desc())
        .limit(_ALIKE_MAX)
    )
    found = rows.all()
    lines: dict[int, list[str]] = {ticket.id: [] for ticket, *_ in found}
    for line in await session.scalars(
        select(TicketLine)
        .where(TicketLine.ticket_id.in_(lines))
        .order_by(TicketLine.ticket_id, TicketLine.no)
    ):
        lines[line.ticket_id].append(catalogue.product(line.product_id).name)
    return [
        FoundTicket(
            ticket=ticket.public_id,
            code=ticket.code,
            status=TicketStatus(status),
            sold_at=ticket.sold_at,
            seller=_party(sold, within),
            buyer=_somebody(bought, within),
            products=list(dict.fromkeys(lines[ticket.id])),
            mass_g=ticket.mass_g,
            plate=ticket.plate,
        )
        for ticket, status, sold, bought in found
    ]


def _inside(
    column: Any, window: tuple[datetime | None, datetime | None]
) -> list[ColumnElement[bool]]:
    begin, end = window
    return [
        true() if begin is None else column >= begin,
        true() if end is None else column < end,
    ]


def _of_ticket(reading: Reading) -> ColumnElement[bool]:
    if reading.day is not None:
        return true()  # the window has it
    ways: list[ColumnElement[bool]] = [
        Ticket.public_id == reading.public_id if reading.public_id else false(),
        Ticket.code == reading.code if reading.code else false(),
        Ticket.seller_id.in_(reading.party_ids),
        Ticket.buyer_id.in_(reading.party_ids),
        select(TicketLine.no)
        .where(TicketLine.ticket_id == Ticket.id, TicketLine.product_id.in_(reading.product_ids))
        .exists(),
    ]
    if reading.plate:
        bare = func.regexp_replace(func.upper(Ticket.plate), _NOT_IN_PLATES, "", "g")
        ways.append(bare.contains(reading.plate, autoescape=True))
    return or_(*ways)


async def _lots(
    session: AsyncSession,
    readings: Sequence[Reading],
    within: _Within,
    window: tuple[datetime | None, datetime | None],
    catalogue: Catalogue,
) -> list[FoundLot]:
    holder = aliased(Party)
    mine: ColumnElement[bool] = or_(
        Lot.holder_id == within.party_id, Lot.holder_id.in_(within.holder_ids)
    )
    if within.prefix is not None:
        mine = or_(
            mine,
            Lot.division_code.startswith(within.prefix, autoescape=True),
            holder.division_code.startswith(within.prefix, autoescape=True),
            true() if not within.prefix else false(),
        )
    rows = await session.execute(
        select(Lot, LotBalance, holder)
        .join(LotBalance, LotBalance.lot_id == Lot.id)
        .outerjoin(holder, holder.id == Lot.holder_id)
        .where(mine, *_inside(Lot.created_at, window), *map(_of_lot, readings))
        .order_by(Lot.created_at.desc(), Lot.id.desc())
        .limit(_ALIKE_MAX)
    )
    return [
        FoundLot(
            lot=lot.public_id,
            product_name=catalogue.product(lot.product_id).name,
            origin=LotOrigin(lot.origin),
            holder=_somebody(held, within),
            made_on=lot.made_on,
            created_at=lot.created_at,
            mass_g=lot.mass_g,
            remaining_g=balance.remaining_g,
            on_hold=balance.holds > 0,
        )
        for lot, balance, held in rows
    ]


def _of_lot(reading: Reading) -> ColumnElement[bool]:
    if reading.day is not None:
        return true()
    return or_(
        Lot.public_id == reading.public_id if reading.public_id else false(),
        Lot.holder_id.in_(reading.party_ids),
        Lot.producer_id.in_(reading.party_ids),
        Lot.product_id.in_(reading.product_ids),
    )


def _somebody(party: Party | None, within: _Within) -> TracedParty | None:
    """Name a party, where there is one."""
    return None if party is None else _party(party, within)


def _party(party: Party, within: _Within) -> TracedParty:
    """Name a party: a person's name in full to itself and to offices of supervision alone."""
    stranger = party.id != within.party_id and within.prefix is None
    masked = stranger and party.form == "natural"
    return TracedParty(
        party=None if masked else party.public_id,
        name=mask_name(party.name) if masked else party.name,
        masked=masked,
    )
