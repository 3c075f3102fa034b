"""Tickets as people read them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import service as certificates
from app.lot import service as lots
from app.lot.schemas import Spelled
from app.party import identifiers
from app.party import service as parties
from app.party.access import Audience, Caller, OtherParty, may_supervise
from app.party.models import Party
from app.place import service as places
from app.place.models import Place
from app.product import service as products
from app.product.rules import Catalogue
from app.product.units import spell_mass
from app.signing import token
from app.ticket import service
from app.ticket.models import (
    Ticket,
    TicketDraw,
    TicketLine,
    TicketReceipt,
    TicketState,
)
from app.ticket.rules import BuyerKind, HandOver, TicketKind, TicketStatus
from app.ticket.schemas import DrawOut, LineOut, PartyRef, TicketOut


class Side(StrEnum):
    """From whose side a list of tickets is read."""

    SOLD = "sold"
    BOUGHT = "bought"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that the rows of a ticket refer to, read in bulk."""

    catalogue: Catalogue
    parties: dict[int, Party]
    places: dict[int, Place]
    lots: dict[int, UUID]
    certificates: dict[int, UUID]
    corrected: dict[int, UUID]
    draws: dict[int, list[tuple[TicketDraw, TicketReceipt | None]]]
    base_url: str
    with_prices: bool
    with_names: bool


async def read(
    session: AsyncSession, public_id: UUID, caller: Caller, *, base_url: str
) -> TicketOut:
    """Read one ticket for somebody who may see it; prices are for its two parties alone.

    Raises:
        UnknownTicket: there is none.
        OtherParty: the caller is neither party of it, nor answers for its market or seller.
    """
    ticket, state = await service.find(session, public_id)
    involved = caller.party_id in {ticket.seller_id, ticket.buyer_id}
    if not involved and not await _answers_for(session, ticket, caller):
        raise OtherParty(ticket=str(public_id))
    return await describe(session, ticket, state, base_url=base_url, with_prices=involved)


async def _answers_for(session: AsyncSession, ticket: Ticket, caller: Caller) -> bool:
    known = await parties.by_ids(session, [ticket.seller_id])
    market = (
        (await places.by_ids(session, [ticket.market_id])).get(ticket.market_id)
        if ticket.market_id
        else None
    )
    if market is not None:
        if Audience.MARKET in caller.audiences and market.party_id == caller.party_id:
            return True
        return may_supervise(caller, market.division_code)
    return may_supervise(caller, known[ticket.seller_id].division_code)


async def own(
    session: AsyncSession,
    caller: Caller,
    *,
    side: Side,
    before: datetime | None,
    most: int,
    base_url: str,
) -> list[TicketOut]:
    """List the tickets that the caller's party sold or bought on, newest first."""
    party = caller.acting_party
    condition = {
        Side.SOLD: Ticket.seller_id == party,
        Side.BOUGHT: Ticket.buyer_id == party,
        Side.BOTH: or_(Ticket.seller_id == party, Ticket.buyer_id == party),
    }[side]
    statement = (
        select(Ticket, TicketState)
        .join(TicketState, TicketState.ticket_id == Ticket.id)
        .where(condition)
        .order_by(Ticket.id.desc())
        .limit(most)
    )
    if before is not None:
        statement = statement.where(Ticket.issued_at < before)
    found = (await session.execute(statement)).all()
    return [
        await describe(session, ticket, state, base_url=base_url, with_prices=True)
        for ticket, state in found
    ]


async def describe(
    session: AsyncSession,
    ticket: Ticket,
    state: TicketState,
    *,
    base_url: str,
    with_prices: bool,
    with_names: bool = True,
) -> TicketOut:
    """Write a ticket as it goes out.

    Args:
        session: The caller's session.
        ticket: The ticket.
        state: What became of it.
        base_url: What its code begins with.
        with_prices: Whether the reader is one of the two parties.
        with_names: Whether natural persons stand by their full names.
    """
    lines = await service.lines_of(session, ticket.id)
    draws = await service.draws_of(session, ticket.id)
    receipts = {
        (receipt.line_no, receipt.lot_id): receipt
        for receipt in await service.receipts_of(session, ticket.id)
    }
    by_line: dict[int, list[tuple[TicketDraw, TicketReceipt | None]]] = defaultdict(list)
    for drawn in draws:
        by_line[drawn.line_no].append((drawn, receipts.get((drawn.line_no, drawn.lot_id))))
    corrected = [ticket.corrects_id] if ticket.corrects_id else []
    known = _Known(
        catalogue=await products.catalogue(session),
        parties=await parties.by_ids(
            session, {party for party in (ticket.seller_id, ticket.buyer_id) if party}
        ),
        places=await places.by_ids(
            session, {place for place in (ticket.market_id, ticket.stall_id) if place}
        ),
        lots=await _lot_ids(session, draws, list(receipts.values())),
        certificates={
            row.id: row.public_id
            for row in await certificates.by_ids(
                session, (known for drawn in draws for known in drawn.certificate_ids)
            )
        },
        corrected={
            ticket_id: (await service.by_id(session, ticket_id))[0].public_id
            for ticket_id in corrected
        },
        draws=by_line,
        base_url=base_url,
        with_prices=with_prices,
        with_names=with_names,
    )
    return _ticket(ticket, state, lines, known)


async def _lot_ids(
    session: AsyncSession, draws: Sequence[TicketDraw], receipts: Sequence[TicketReceipt]
) -> dict[int, UUID]:
    wanted = {drawn.lot_id for drawn in draws}
    wanted |= {
        lot_id
        for receipt in receipts
        for lot_id in (receipt.received_lot_id, receipt.returned_lot_id)
        if lot_id is not None
    }
    states = await lots.states_by_id(session, wanted)
    return {lot_id: lot.public_id for lot_id, lot in states.items()}


def _ticket(
    ticket: Ticket, state: TicketState, lines: Sequence[TicketLine], known: _Known
) -> TicketOut:
    return TicketOut(
        ticket=ticket.public_id,
        kind=TicketKind(ticket.kind),
        status=TicketStatus(state.status),
        code=ticket.code,
        url=token.url(known.base_url, ticket.token),
        seller=_party(known.parties[ticket.seller_id], known),
        buyer=None if ticket.buyer_id is None else _party(known.parties[ticket.buyer_id], known),
        buyer_kind=BuyerKind(ticket.buyer_kind),
        hand_over=HandOver(ticket.hand_over),
        market=_place(ticket.market_id, known),
        stall=_place(ticket.stall_id, known),
        sold_at=ticket.sold_at,
        device_at=ticket.device_at,
        issued_at=ticket.issued_at,
        expires_at=ticket.expires_at,
        mass_g=ticket.mass_g,
        mass=_spelled(ticket.mass_g),
        lines=[_line(line, known) for line in lines],
        plate=ticket.plate,
        note=ticket.note,
        documents=ticket.documents,
        corrects=known.corrected.get(ticket.corrects_id or 0),
        decided_at=state.decided_at,
        voided_at=state.voided_at,
        reason=state.reason,
    )


def _party(party: Party, known: _Known) -> PartyRef:
    masked = party.form == "natural" and not known.with_names
    return PartyRef(
        party=party.public_id,
        name=identifiers.mask_name(party.name) if masked else party.name,
    )


def _place(place_id: int | None, known: _Known) -> UUID | None:
    return None if place_id is None else known.places[place_id].public_id


def _spelled(mass_g: int) -> Spelled:
    spelled = spell_mass(mass_g)
    return Spelled(zh=spelled.zh, en=spelled.en)


def _line(line: TicketLine, known: _Known) -> LineOut:
    return LineOut(
        no=line.no,
        product=line.product_id,
        product_name=known.catalogue.product(line.product_id).name,
        trade_name=line.trade_name,
        quantity=f"{line.quantity.normalize():f}",
        unit=line.unit,
        pack_net_g=line.pack_net_g,
        mass_g=line.mass_g,
        mass=_spelled(line.mass_g),
        pieces=line.pieces,
        price_fen=line.price_fen if known.with_prices else None,
        price_unit=line.price_unit if known.with_prices else None,
        draws=[_draw(drawn, receipt, known) for drawn, receipt in known.draws[line.no]],
    )


def _draw(drawn: TicketDraw, receipt: TicketReceipt | None, known: _Known) -> DrawOut:
    received = None if receipt is None else receipt.received_lot_id
    returned = None if receipt is None else receipt.returned_lot_id
    return DrawOut(
        lot=known.lots[drawn.lot_id],
        mass_g=drawn.mass_g,
        accepted_g=None if receipt is None else receipt.accepted_g,
        received_lot=None if received is None else known.lots[received],
        returned_lot=None if returned is None else known.lots[returned],
        certificates=[known.certificates[row] for row in drawn.certificate_ids],
    )
