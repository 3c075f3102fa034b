"""Reading places with what they lie in and who runs them."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.party.models import Party
from app.place.models import Place
from app.place.rules import PlaceKind, UnknownPlace

_PARENT = aliased(Place)


@dataclass(frozen=True, slots=True)
class Listed:
    """A place, with public ids for what it points at."""

    place: Place
    parent: UUID | None
    party: UUID | None


async def read(session: AsyncSession, public_id: UUID) -> Listed:
    """Read one place.

    Raises:
        UnknownPlace: there is none.
    """
    found = await _rows(session, _statement().where(Place.public_id == public_id))
    if not found:
        raise UnknownPlace(place=str(public_id))
    return found[0]


async def find(
    session: AsyncSession,
    *,
    kind: PlaceKind | None,
    q: str,
    parent: UUID | None,
    party_id: int | None,
    limit: int,
) -> list[Listed]:
    """Find places by kind, part of the name, what they lie in and who runs them, oldest first."""
    statement = _statement().order_by(Place.id).limit(limit)
    if kind is not None:
        statement = statement.where(Place.kind == kind)
    if q:
        statement = statement.where(Place.name.icontains(q, autoescape=True))
    if parent is not None:
        statement = statement.where(_PARENT.public_id == parent)
    if party_id is not None:
        statement = statement.where(Place.party_id == party_id)
    return await _rows(session, statement)


def _statement() -> Select[Place, UUID, UUID]:
    return (
        select(Place, _PARENT.public_id, Party.public_id)
        .outerjoin(_PARENT, _PARENT.id == Place.parent_id)
        .outerjoin(Party, Party.id == Place.party_id)
    )


async def _rows(session: AsyncSession, statement: Select[Place, UUID, UUID]) -> list[Listed]:
    rows = await session.execute(statement)
    return [Listed(place, parent, party) for place, parent, party in rows]
