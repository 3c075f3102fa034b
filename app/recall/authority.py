"""Asks the books who answers for a lot, and which offices answer for places."""

from collections.abc import Iterable, Mapping
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.lot.rules import LotState
from app.party import service as parties
from app.party.access import (
    Audience,
    Caller,
    Department,
    departments_of,
    jurisdiction_of,
)
from app.recall import rules
from app.recall.rules import HoldNotYours, Office
from app.trace import queries as traces

# Where a lot came in through a ticket of a market, and where it is sold on in one.
_IN_MARKETS = text("""
    SELECT p.division_code, true FROM lot_edge e
    JOIN ticket_receipt r ON r.lot_id = e.src AND r.received_lot_id = e.dst
    JOIN ticket t ON t.id = r.ticket_id JOIN place p ON p.id = t.market_id
    WHERE e.dst = :lot
    UNION
    SELECT p.division_code, false FROM ticket_draw d
    JOIN ticket t ON t.id = d.ticket_id JOIN place p ON p.id = t.market_id
    WHERE d.lot_id = :lot
""")


async def answering(session: AsyncSession, lot: LotState) -> Mapping[Department, frozenset[str]]:
    """Say which department of which places answers for a lot."""
    rows = (await session.execute(_IN_MARKETS, {"lot": lot.id})).all()
    involved = {party for party in (lot.holder_id, lot.from_party_id) if party is not None}
    known = await parties.by_ids(session, involved)
    on = local_date(lot.created_at)
    holder = None if lot.holder_id is None else known[lot.holder_id]
    site = holder or (None if lot.from_party_id is None else known[lot.from_party_id])
    return rules.answering(
        holder_roles=(
            frozenset() if holder is None else await parties.role_kinds(session, holder.id, on)
        ),
        consumed=holder is None,
        lot_division=lot.division_code,
        site_division=None if site is None else site.division_code,
        came_through=frozenset(code for code, came in rows if came),
        sold_in=frozenset(code for code, came in rows if not came),
    )


async def answers_for(session: AsyncSession, lot: LotState, caller: Caller) -> bool:
    """Whether an office answers for a lot, by its department and area.

    Of goods that nobody knows the place of, a city's office does, or nobody would.
    """
    if caller.jurisdiction is None or not caller.is_office:
        return False
    places = await answering(session, lot)
    if not any(places.values()):
        right = not caller.departments.isdisjoint(places)
        return right and len(caller.jurisdiction) <= rules.CITY_DIGITS
    office = Office(caller.acting_party, caller.jurisdiction, caller.departments)
    return office.answers_for(places)


async def runs_market_of(session: AsyncSession, lot: LotState, caller: Caller) -> bool:
    """Whether a lot is in the books of a market that the caller runs."""
    if Audience.MARKET not in caller.audiences:
        return False
    party = caller.acting_party
    return lot.id in await traces.lots_in_market(session, party, lots=[lot.id], asked=[lot.id])


async def check_may_hold(session: AsyncSession, lot: LotState, caller: Caller) -> None:
    """Refuse whoever answers neither for where a lot is in the chain, nor for its market.

    Raises:
        HoldNotYours: another department, another place, or nobody's office at all.
    """
    if await answers_for(session, lot, caller) or await runs_market_of(session, lot, caller):
        return
    raise HoldNotYours(lot=str(lot.public_id))


async def check_may_recall(
    session: AsyncSession, found: Iterable[LotState], caller: Caller
) -> None:
    """Refuse whoever may not call goods back.

    A business calls back what it made, holds or sold (FSL art. 63), a market what is in it, an
    office what it answers for.

    Raises:
        HoldNotYours: one of the lots is not theirs.
    """
    for lot in found:
        own = {lot.holder_id, lot.producer_id, lot.from_party_id} - {None}
        if caller.party_id not in own:
            await check_may_hold(session, lot, caller)


_OFFICES = text("""
    SELECT party_id, division_code, department FROM party_role
    WHERE kind = 'REGULATOR' AND division_code IS NOT NULL
        AND valid_from <= :day AND (valid_to IS NULL OR :day < valid_to)
""")


async def offices_of(
    session: AsyncSession,
    codes: Iterable[str],
    *,
    on: date,
    department: Department | None = None,
) -> set[int]:
    """Find the regulators that answer for any of these places on a day.

    Args:
        session: The caller's session.
        codes: Divisions of places; a city or county that is asked as a whole counts too.
        on: The day.
        department: Only those of this department.
    """
    wanted = sorted(set(codes))
    return {
        office.party_id
        for office in await offices_on(session, on)
        if department is None or department in office.departments
        if any(code.startswith(office.area) for code in wanted)
    }


async def offices_on(session: AsyncSession, on: date) -> list[Office]:
    """List the offices of a day: an area and departments each, a party's twice if it has two."""
    found = []
    for party, division, named in await session.execute(_OFFICES, {"day": on}):
        area = jurisdiction_of([division])
        assert area is not None, "the statement asks for a division"
        found.append(Office(party, area, departments_of([named])))
    return found
