"""Loads the catalogue into its tables, and reads it out of them."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import RowMapping, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Base
from app.core.errors import Text
from app.core.snapshot import Snapshot
from app.product import seed
from app.product.models import (
    CatalogueVersionRow,
    ProcessRow,
    ProductRequirementRow,
    ProductRow,
    ProductSynonymRow,
    ProductUnitRow,
    ToleranceRow,
    UnitRow,
    YieldBandRow,
)
from app.product.rules import (
    Catalogue,
    DatedRequirement,
    Group,
    Process,
    Product,
    Production,
    ProductUnit,
    Requirement,
    Synonym,
    Tolerance,
    Unit,
    UnitKind,
    YieldBand,
)

CATALOGUE_LASTS_S = 600


async def load_catalogue(session: AsyncSession) -> bool:
    """Bring the tables to the content of the files that come with the program.

    Products and units are kept for ever, because tickets name them; rows of rules that are no
    longer in the files are removed. Idempotent.

    Returns:
        Whether anything was written.

    Raises:
        ValueError: the files contradict themselves.
    """
    content = seed.read()
    loaded = await session.scalar(select(CatalogueVersionRow.digest).with_for_update())
    if loaded == content.digest:
        return False
    kept: list[tuple[type[Base], list[seed.Row]]] = [
        (UnitRow, content.units),
        (ProductRow, content.products),
        (ProcessRow, content.processes),
    ]
    replaced: list[tuple[type[Base], list[seed.Row]]] = [
        (ProductSynonymRow, content.synonyms),
        (ProductUnitRow, content.product_units),
        (ProductRequirementRow, content.requirements),
        (YieldBandRow, content.bands),
        (ToleranceRow, content.tolerances),
    ]
    for table, rows in kept + replaced:
        await _put(session, table, rows)
    for table, rows in replaced:
        await _remove_others(session, table, rows)
    version = insert(CatalogueVersionRow).values(only_row=True, digest=content.digest)
    await session.execute(
        version.on_conflict_do_update(
            index_elements=["only_row"], set_={"digest": content.digest, "loaded_at": func.now()}
        )
    )
    catalogue.forget(session)
    return True


async def refresh(session: AsyncSession) -> Catalogue:
    """Answer the catalogue, read again if another process has loaded another version."""
    found = await catalogue(session)
    if found.version != await session.scalar(select(CatalogueVersionRow.digest)):
        catalogue.forget(session)
        found = await catalogue(session)
    return found


async def requirement(
    session: AsyncSession, product_id: int, production: Production, on: date
) -> DatedRequirement | None:
    """Answer the proof that goods of a product need on a day; None before the first rule.

    Raises:
        UnknownProduct: there is no such product.
    """
    return (await catalogue(session)).requirement(product_id, production, on)


def _key(table: type[Base]) -> list[Any]:
    return list(table.__table__.primary_key)


async def _put(session: AsyncSession, table: type[Base], rows: Sequence[seed.Row]) -> None:
    statement = insert(table)
    keys = _key(table)
    changed = {
        column: statement.excluded[column]
        for column in rows[0]
        if column not in {key.name for key in keys}
    }
    await session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


async def _remove_others(
    session: AsyncSession, table: type[Base], rows: Iterable[seed.Row]
) -> None:
    keys = _key(table)
    kept = [tuple(row[key.name] for key in keys) for row in rows]
    await session.execute(delete(table).where(tuple_(*keys).not_in(kept)))


async def _all(session: AsyncSession, table: type[Base], *order: Any) -> Sequence[RowMapping]:
    """Read a table's rows without tracking them; nothing here is ever written back."""
    columns = table.__table__.columns
    return (
        (await session.execute(select(*columns).order_by(*order or _key(table)))).mappings().all()
    )


async def _read_all(session: AsyncSession) -> Catalogue:
    version = await session.scalar(select(CatalogueVersionRow.digest))
    assert version is not None, "the catalogue is loaded by `ypt migrate` before anything reads it"
    synonyms: dict[int, list[Synonym]] = {}
    for row in await _all(session, ProductSynonymRow):
        synonyms.setdefault(row["product_id"], []).append(
            Synonym(row["name"], row["pinyin"], row["initials"])
        )
    return Catalogue(
        version=version,
        products=[
            _product(row, synonyms.get(row["id"], [])) for row in await _all(session, ProductRow)
        ],
        units=[
            Unit(row["code"], row["en"], UnitKind(row["kind"]), row["grams"], tuple(row["aliases"]))
            for row in await _all(session, UnitRow, UnitRow.sort_order)
        ],
        product_units=[ProductUnit(**row) for row in await _all(session, ProductUnitRow)],
        requirements=[_requirement(row) for row in await _all(session, ProductRequirementRow)],
        processes=[
            Process(row["code"], Text(row["zh"], row["en"]))
            for row in await _all(session, ProcessRow)
        ],
        bands=[_band(row) for row in await _all(session, YieldBandRow)],
        tolerances=[_tolerance(row) for row in await _all(session, ToleranceRow)],
    )


catalogue = Snapshot(_read_all, lasts_s=CATALOGUE_LASTS_S)
"""Answers the whole catalogue."""


def _product(row: RowMapping, synonyms: list[Synonym]) -> Product:
    values = dict(row)
    return Product(
        **{key: value for key, value in values.items() if key != "product_group"},
        group=Group(row["product_group"]),
        # The product's own name is the first of its names.
        synonyms=tuple(sorted(synonyms, key=lambda synonym: synonym.name != row["name"])),
    )


def _requirement(row: RowMapping) -> DatedRequirement:
    values = dict(row)
    values["production"] = Production(row["production"])
    values["requirement"] = Requirement(row["requirement"])
    return DatedRequirement(**values)


def _band(row: RowMapping) -> YieldBand:
    values = dict(row)
    values["input_group"] = Group(row["input_group"]) if row["input_group"] else None
    return YieldBand(**values)


def _tolerance(row: RowMapping) -> Tolerance:
    values = dict(row)
    group = values.pop("product_group")
    return Tolerance(**values, group=Group(group) if group else None)
