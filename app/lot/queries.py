"""Lots as people read them."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.lot import service
from app.lot.rules import LotState
from app.lot.schemas import LotOut, Spelled
from app.party import service as parties
from app.party.access import Caller, OtherParty, may_supervise
from app.party.models import Party
from app.place import service as places
from app.place.rules import Gazetteer, resolve
from app.product import service as products
from app.product.rules import Catalogue, Production
from app.product.units import spell_mass


async def read(session: AsyncSession, public_id: UUID, caller: Caller, *, today: date) -> LotOut:
    """Read one lot for somebody who may see it.

    Raises:
        UnknownLot: there is none.
        OtherParty: the caller neither holds nor sold it, and does not answer for its origin.
    """
    lot = await service.state_of(session, public_id)
    involved = {lot.holder_id, lot.producer_id, lot.from_party_id}
    if caller.acting_party not in involved and not may_supervise(caller, lot.division_code):
        raise OtherParty(lot=str(public_id))
    return (await _describe(session, [lot], today))[0]


async def stock(
    session: AsyncSession, caller: Caller, *, product_id: int | None, most: int, today: date
) -> list[LotOut]:
    """List what the caller's party has left, oldest first."""
    found = await service.stock(
        session, holder_id=caller.acting_party, product_id=product_id, most=most
    )
    return await _describe(session, found, today)


async def _describe(session: AsyncSession, found: Sequence[LotState], today: date) -> list[LotOut]:
    catalogue = await products.catalogue(session)
    gazetteer = await places.gazetteer(session)
    known = await parties.by_ids(
        session,
        {party for lot in found for party in (lot.holder_id, lot.producer_id) if party},
    )
    return [_out(lot, catalogue, gazetteer, known, today) for lot in found]


def _out(
    lot: LotState,
    catalogue: Catalogue,
    gazetteer: Gazetteer,
    known: dict[int, Party],
    today: date,
) -> LotOut:
    remaining = spell_mass(lot.remaining_g)
    division = (
        None
        if lot.division_code is None
        else resolve(lot.division_code, lot.made_on or today, gazetteer)
    )
    return LotOut(
        lot=lot.public_id,
        origin=lot.origin,
        product=lot.product_id,
        product_name=catalogue.product(lot.product_id).name,
        holder=None if lot.holder_id is None else known[lot.holder_id].public_id,
        producer=None if lot.producer_id is None else known[lot.producer_id].public_id,
        mixed=lot.mixed,
        production=None if lot.production is None else Production(lot.production),
        mass_g=lot.mass_g,
        remaining_g=lot.remaining_g,
        remaining=Spelled(zh=remaining.zh, en=remaining.en),
        pieces=lot.remaining_pieces,
        quantity=f"{lot.quantity.normalize():f}",
        unit=lot.unit,
        division_code=lot.division_code,
        division_name=None if division is None else division.full_name,
        made_on=lot.made_on,
        certified_g=lot.certified_g,
        on_hold=lot.holds > 0,
        documents=[dict(document) for document in lot.documents],
        created_at=lot.created_at,
    )
