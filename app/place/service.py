"""Loads divisions, and registers and finds places."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Base, fetch, prepared
from app.core.errors import IdReused
from app.core.snapshot import Snapshot
from app.party import service as parties
from app.place import rules, seed
from app.place.models import DivisionRow, Place, ReportingUnitDivisionRow, ReportingUnitRow
from app.place.rules import (
    Division,
    DivisionRecord,
    Gazetteer,
    Level,
    PlaceDraft,
    PlaceKind,
    ReportingUnit,
    UnitKind,
)

_BATCH = 500
DIVISIONS_LAST_S = 600


async def load_divisions(session: AsyncSession) -> int:
    """Bring divisions and reporting units to the content of the files that come with the program.

    Nothing points at these rows by key, so a row that is no longer in the files goes. Idempotent:
    rows that are right already are not touched.

    Returns:
        How many rows were written or removed.

    Raises:
        ValueError: the files contradict themselves.
    """
    changed = await _sync(session, DivisionRow, seed.divisions())
    # A reporting unit's divisions go before it and come after it.
    units, members = seed.reporting_units(), seed.reporting_unit_divisions()
    changed += await _remove_others(session, ReportingUnitDivisionRow, members)
    changed += await _sync(session, ReportingUnitRow, units)
    changed += await _sync(session, ReportingUnitDivisionRow, members)
    gazetteer.forget(session)
    return changed


async def _read_divisions(session: AsyncSession) -> Gazetteer:
    columns = DivisionRow.__table__.columns
    wanted = [columns[field.name] for field in fields(DivisionRecord)]
    rows = (await session.execute(select(*wanted))).mappings()
    found = Gazetteer(DivisionRecord(**{**row, "level": Level(row["level"])}) for row in rows)
    assert len(found), "divisions are loaded by `ypt migrate` before anything reads them"
    return found


gazetteer = Snapshot(_read_divisions, lasts_s=DIVISIONS_LAST_S)
"""Answers all divisions."""


async def division(session: AsyncSession, code: str, on: date) -> Division:
    """Say what a division code named on a day.

    Raises:
        DivisionCodeInvalid: it has not 6, 9 or 12 digits.
        UnknownDivision: no division ever had it.
        DivisionNotInForce: it began after that day, or ended before it without a successor.
    """
    return rules.resolve(code, on, await gazetteer(session))


async def division_name(session: AsyncSession, code: str, on: date) -> str:
    """Name a division as it stands on a ticket: 如东县丰利镇…; refusals as of `division`."""
    return (await division(session, code, on)).name


async def divisions_below(session: AsyncSession, parent: str | None, on: date) -> list[Division]:
    """List the divisions right below one (None: the provinces) on a day, by code.

    Raises:
        DivisionCodeInvalid: the parent has not 6, 9 or 12 digits.
        UnknownDivision: no division ever had the parent's code.
    """
    known = await gazetteer(session)
    if parent is not None:
        parent = rules.canonical(parent)
        if not known.of(parent):
            raise rules.UnknownDivision(code=parent)
    return [rules.resolve(record.code, on, known) for record in known.below(parent, on)]


async def reporting_units(session: AsyncSession, on: date) -> list[ReportingUnit]:
    """List who reports on a day, in the order in which they were founded."""
    members: dict[str, list[str]] = {}
    for unit_code, division_code in await session.execute(
        select(ReportingUnitDivisionRow.unit_code, ReportingUnitDivisionRow.division_code).order_by(
            ReportingUnitDivisionRow.division_code
        )
    ):
        members.setdefault(unit_code, []).append(division_code)
    rows = await session.scalars(
        select(ReportingUnitRow).order_by(ReportingUnitRow.valid_from, ReportingUnitRow.code)
    )
    units = [
        ReportingUnit(
            code=row.code,
            name=row.name,
            kind=UnitKind(row.kind),
            population_2020=row.population_2020,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            divisions=tuple(members.get(row.code, ())),
            source=row.source,
            verified=row.verified,
        )
        for row in rows
    ]
    return [unit for unit in units if unit.in_force(on)]


async def reporting_unit_of(session: AsyncSession, code: str, on: date) -> ReportingUnit | None:
    """Answer who reports for a division on a day; refusals as of `division`."""
    current = (await division(session, code, on)).current_code
    return rules.reporting_unit(current, on, await reporting_units(session, on))


async def find_place(session: AsyncSession, public_id: UUID) -> Place:
    """Find a place by its public id.

    Raises:
        UnknownPlace: there is none.
    """
    place = await session.scalar(select(Place).where(Place.public_id == public_id))
    if place is None:
        raise rules.UnknownPlace(place=str(public_id))
    return place


_ID = prepared("SELECT id FROM place WHERE public_id = :place")


async def id_of(session: AsyncSession, public_id: UUID) -> int:
    """Answer the internal id of a place, for whoever asks all day and wants nothing else.

    Raises:
        UnknownPlace: there is none.
    """
    rows = await fetch(session, _ID, {"place": public_id})
    if not rows:
        raise rules.UnknownPlace(place=str(public_id))
    return int(rows[0][0])


async def by_ids(session: AsyncSession, place_ids: Iterable[int]) -> dict[int, Place]:
    """Read several places at once."""
    wanted = set(place_ids)
    if not wanted:
        return {}
    found = await session.scalars(select(Place).where(Place.id.in_(wanted)))
    return {place.id: place for place in found}


class Whereabouts(NamedTuple):
    """How a place is told.

    Attributes:
        name: With what it lies in: the market, then its gate or stall.
    """

    public_id: UUID
    name: str


async def whereabouts(
    session: AsyncSession, place_ids: Iterable[int | None]
) -> dict[int, Whereabouts]:
    """Name places, by their internal ids; None among these is passed over."""
    found = await by_ids(session, {one for one in place_ids if one is not None})
    within = await by_ids(session, {one.parent_id for one in found.values() if one.parent_id})
    return {
        place.id: Whereabouts(
            place.public_id,
            f"{within[place.parent_id].name} · {place.name}" if place.parent_id else place.name,
        )
        for place in found.values()
    }


async def put_place(session: AsyncSession, draft: PlaceDraft) -> tuple[Place, bool]:
    """Register a place; the same content under the same id again changes nothing.

    Args:
        session: The caller's transaction.
        draft: The place; its geometry need not be checked yet.

    Returns:
        The place, and whether it is new.

    Raises:
        DivisionCodeInvalid: the division code has not 6, 9 or 12 digits.
        UnknownDivision: no division ever had it.
        GeometryInvalid: not a GeoJSON point or closed polygon.
        GeometryOutside: not in Jiangsu.
        UnknownParentPlace: the parent is not registered.
        ParentPlaceUnfit: a gate or stall does not lie in a market.
        UnknownParty: the party is not registered.
        IdReused: the id already names a place with other content.
    """
    code = rules.canonical(draft.division_code)
    if not (await gazetteer(session)).of(code):
        raise rules.UnknownDivision(pointer="/division_code", code=code)
    geometry = None if draft.geometry is None else rules.check_geometry(draft.geometry)
    draft = replace(draft, division_code=code, geometry=geometry)
    parent = await _parent(session, draft.parent)
    rules.check_parent(draft.kind, PlaceKind(parent.kind) if parent else None)
    party = await parties.find(session, draft.party) if draft.party else None
    values = {
        "kind": draft.kind,
        "name": draft.name,
        "parent_id": parent.id if parent else None,
        "party_id": party.id if party else None,
        "division_code": draft.division_code,
        "address": draft.address,
        "area_m2": draft.area_m2,
        "geometry": draft.geometry,
        "valid_from": draft.valid_from,
        "valid_to": draft.valid_to,
    }
    # Two that register the same place at once meet in the index; the later one finds the row.
    created = await session.scalar(
        insert(Place)
        .values(public_id=draft.public_id, **values)
        .on_conflict_do_nothing(index_elements=["public_id"])
        .returning(Place)
    )
    if created is not None:
        return created, True
    existing = await find_place(session, draft.public_id)
    if any(getattr(existing, name) != value for name, value in values.items()):
        raise IdReused(place=str(draft.public_id))
    return existing, False


async def _parent(session: AsyncSession, public_id: UUID | None) -> Place | None:
    if public_id is None:
        return None
    parent = await session.scalar(select(Place).where(Place.public_id == public_id))
    if parent is None:
        raise rules.UnknownParentPlace(pointer="/parent", place=str(public_id))
    return parent


async def _sync(session: AsyncSession, table: type[Base], rows: Sequence[seed.Row]) -> int:
    """Make a table hold exactly these rows; answer how many were written or removed."""
    columns = [table.__table__.columns[name] for name in rows[0]]
    held = {tuple(row) for row in await session.execute(select(*columns))}
    missing = [row for row in rows if tuple(row.values()) not in held]
    removed = await _remove_others(session, table, rows)
    keys = list(table.__table__.primary_key)
    for start in range(0, len(missing), _BATCH):
        statement = insert(table).values(missing[start : start + _BATCH])
        changed = {column.name: statement.excluded[column.name] for column in columns}
        await session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))
    return removed + len(missing)


async def _remove_others(session: AsyncSession, table: type[Base], rows: Sequence[seed.Row]) -> int:
    keys: list[Any] = list(table.__table__.primary_key)
    kept = {tuple(row[key.name] for key in keys) for row in rows}
    held = {tuple(row) for row in await session.execute(select(*keys))}
    stale = list(held - kept)
    if stale:
        await session.execute(delete(table).where(tuple_(*keys).in_(stale)))
    return len(stale)
