"""Finds tickets and what became of them; knows how long they speak for goods."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import service as certificates
from app.core import dated, directory
from app.core.db import on_cluster
from app.core.snapshot import Snapshot
from app.ticket import rules
from app.ticket.models import (
    Ticket,
    TicketDraw,
    TicketLine,
    TicketReceipt,
    TicketState,
    TicketValidity,
)
from app.transparency.service import Statement

EVERY_GROUP = "*"
DIRECTORY_KIND = "ticket"


async def load_validity(session: AsyncSession) -> None:
    """Load how long tickets speak for goods; rows that exist are brought up to date."""
    source = resources.files("app.ticket").joinpath("data/validity.json")
    rows = json.loads(source.read_text(encoding="utf-8"))
    for row in rows:
        row["valid_from"] = date.fromisoformat(row["valid_from"])
        row["valid_to"] = row["valid_to"] and date.fromisoformat(row["valid_to"])
    statement = insert(TicketValidity)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["product_group", "valid_from"],
            set_={name: statement.excluded[name] for name in ("valid_to", "ttl_h", "source")},
        ),
        rows,
    )
    validity.forget(session)


@dataclass(frozen=True, slots=True)
class _Validity:
    group: str
    valid_from: date
    valid_to: date | None
    ttl_h: int


async def _read_validity(session: AsyncSession) -> list[_Validity]:
    rows = await session.scalars(select(TicketValidity))
    return [_Validity(row.product_group, row.valid_from, row.valid_to, row.ttl_h) for row in rows]


validity = Snapshot(_read_validity, lasts_s=certificates.LAW_LASTS_S)
"""Answers how long tickets speak for goods."""


async def ttl_h(session: AsyncSession, groups: Iterable[str], on: date) -> int:
    """Answer the shortest validity of the product groups on a ticket, in hours."""
    hours = {
        row.group: row.ttl_h
        for row in await validity(session)
        if dated.in_force(row.valid_from, row.valid_to, on)
    }
    return min(hours.get(group, hours[EVERY_GROUP]) for group in groups)


async def lock(session: AsyncSession, public_id: UUID) -> tuple[Ticket, TicketState]:
    """Find a ticket and lock what became of it until the transaction ends.

    Raises:
        UnknownTicket: there is none.
    """
    found = await lock_found(session, [public_id])
    if public_id not in found:
        raise rules.UnknownTicket(ticket=str(public_id))
    return found[public_id]


async def lock_found(
    session: AsyncSession, public_ids: Iterable[UUID]
) -> dict[UUID, tuple[Ticket, TicketState]]:
    """Lock whatever tickets there are, in one order for all; one by one on a cluster."""
    wanted = set(public_ids)
    locking = (
        select(Ticket, TicketState)
        .join(TicketState, TicketState.ticket_id == Ticket.id)
        .order_by(Ticket.id)
        .with_for_update(of=TicketState, key_share=True)
    )
    if not on_cluster(session):
        found = await session.execute(locking.where(Ticket.public_id.in_(wanted)))
        return {ticket.public_id: (ticket, state) for ticket, state in found}
    ids = await directory.find(session, DIRECTORY_KIND, map(str, wanted))
    locked = [
        (await session.execute(locking.where(Ticket.id == ticket_id))).one()
        for ticket_id in sorted(ids.values())
    ]
    return {ticket.public_id: (ticket, state) for ticket, state in locked}


def change_of(
    ticket: Ticket, previous: str, following: str, more: Mapping[str, Any], now: datetime
) -> Statement:
    """Write for the log that a ticket went from one status to the next."""
    document = {"prev_state": previous, "next_state": following, "t": now.isoformat(), **more}
    return Statement(f"ticket.{following}", ticket.public_id, document)


async def find(session: AsyncSession, public_id: UUID) -> tuple[Ticket, TicketState]:
    """Find a ticket and what became of it by its public id.

    Raises:
        UnknownTicket: there is none.
    """
    return await _find(session, Ticket.public_id == public_id, ticket=str(public_id))


async def by_serials(
    session: AsyncSession, serials: Collection[int]
) -> Sequence[tuple[Ticket, TicketState]]:
    """Find tickets by the serials of their tokens."""
    return await _found(session, Ticket.serial.in_(serials)) if serials else ()


async def by_codes(
    session: AsyncSession, codes: Collection[str]
) -> Sequence[tuple[Ticket, TicketState]]:
    """Find tickets by their short codes."""
    return await _found(session, Ticket.code.in_(codes)) if codes else ()


async def by_ids(
    session: AsyncSession, ticket_ids: Iterable[int]
) -> dict[int, tuple[Ticket, TicketState]]:
    """Read several tickets by their internal ids."""
    wanted = set(ticket_ids)
    found = await _found(session, Ticket.id.in_(wanted)) if wanted else ()
    return {ticket.id: (ticket, state) for ticket, state in found}


async def by_id(session: AsyncSession, ticket_id: int) -> tuple[Ticket, TicketState]:
    """Read a ticket by its internal id."""
    return await _find(session, Ticket.id == ticket_id)


async def _find(session: AsyncSession, condition: Any, **facts: str) -> tuple[Ticket, TicketState]:
    found = await _found(session, condition)
    if not found:
        raise rules.UnknownTicket(**facts)
    return found[0]


async def _found(session: AsyncSession, condition: Any) -> Sequence[tuple[Ticket, TicketState]]:
    rows = await session.execute(
        select(Ticket, TicketState)
        .join(TicketState, TicketState.ticket_id == Ticket.id)
        .where(condition)
    )
    return [(row[0], row[1]) for row in rows]


async def public_ids(session: AsyncSession, ticket_ids: Iterable[int]) -> dict[int, UUID]:
    """Answer the public ids of several tickets."""
    wanted = sorted(set(ticket_ids))
    if not wanted:
        return {}
    rows = await session.execute(select(Ticket.id, Ticket.public_id).where(Ticket.id.in_(wanted)))
    return {row[0]: row[1] for row in rows}


async def lines_of(session: AsyncSession, ticket_id: int) -> Sequence[TicketLine]:
    """List a ticket's lines."""
    found = await session.scalars(
        select(TicketLine).where(TicketLine.ticket_id == ticket_id).order_by(TicketLine.no)
    )
    return found.all()


async def draws_of(session: AsyncSession, *ticket_ids: int) -> Sequence[TicketDraw]:
    """List the draws of tickets, by ticket and line."""
    if not ticket_ids:
        return []
    found = await session.scalars(
        select(TicketDraw)
        .where(TicketDraw.ticket_id.in_(ticket_ids))
        .order_by(TicketDraw.ticket_id, TicketDraw.line_no, TicketDraw.lot_id)
    )
    return found.all()


async def receipts_of(session: AsyncSession, *ticket_ids: int) -> Sequence[TicketReceipt]:
    """List what the buyer's side made of the draws of tickets."""
    if not ticket_ids:
        return []
    found = await session.scalars(
        select(TicketReceipt)
        .where(TicketReceipt.ticket_id.in_(ticket_ids))
        .order_by(TicketReceipt.ticket_id, TicketReceipt.line_no, TicketReceipt.lot_id)
    )
    return found.all()


_THROUGH_MARKET = text("""
    SELECT EXISTS (
        SELECT 1 FROM lot_edge e
        JOIN ticket_receipt r ON r.lot_id = e.src AND r.received_lot_id = e.dst
        JOIN ticket t ON t.id = r.ticket_id AND t.market_id IS NOT NULL
        WHERE e.dst = ANY(CAST(:lots AS bigint[]))
    )
""")


async def came_through_market(session: AsyncSession, lot_ids: Iterable[int]) -> bool:
    """Whether any of these lots was bought in a market by whoever holds it now."""
    return bool(await session.scalar(_THROUGH_MARKET, {"lots": sorted(set(lot_ids))}))
