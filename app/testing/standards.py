"""Loads what tests are judged by into its tables, and reads it out of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Base
from app.core.errors import Text
from app.core.snapshot import Snapshot
from app.product import service as products
from app.testing import seed
from app.testing.allowances import Allowance
from app.testing.calendar import ClockKind, ClockRule, ClockUnit, ExtensionRule, WorkingDays
from app.testing.limits import Limit, Scope, Standards, Substance, SubstanceGroup
from app.testing.models import (
    ClockRuleRow,
    ExtensionRuleRow,
    FoodCategoryRow,
    QuickMethodRow,
    ResidueLimitRow,
    SampleAllowance,
    SubstanceRow,
    WorkingDayRow,
)
from app.testing.rules import Authority, Layer, Method, Reading, State
from app.testing.seed import Numbered, ReadRow

STANDARDS_LAST_S = 60


async def load(session: AsyncSession) -> None:
    """Bring the tables to what comes with the program; what was imported stays. Idempotent.

    Raises:
        ValueError: the files contradict themselves.
    """
    content = seed.read()
    for table, rows in (
        (SubstanceRow, content.substances),
        (FoodCategoryRow, content.categories),
        (QuickMethodRow, content.methods),
        (ClockRuleRow, content.clocks),
        (ExtensionRuleRow, content.extensions),
        (WorkingDayRow, content.working_days),
        (SampleAllowance, content.allowances),
    ):
        await _put(session, table, rows)
    read = await read_table(session, content.limits)
    wrong = [f"row {row.number}: {problem.en}" for row in read for problem in row.problems]
    if wrong:
        raise ValueError("; ".join(wrong))
    rows = [{**row.values, "imported": False} for row in read]
    await _put(session, ResidueLimitRow, rows, only_ours=True)
    keys = _keys(ResidueLimitRow)
    kept = [tuple(row[key.name] for key in keys) for row in rows]
    await session.execute(
        delete(ResidueLimitRow).where(
            ResidueLimitRow.imported.is_(False), tuple_(*keys).not_in(kept)
        )
    )
    _forget(session)


def _forget(session: AsyncSession) -> None:
    standards.forget(session)
    clocks.forget(session)
    allowances.forget(session)


def _keys(table: type[Base]) -> list[Any]:
    return list(table.__table__.primary_key)


async def _put(
    session: AsyncSession, table: type[Base], rows: Sequence[seed.Row], *, only_ours: bool = False
) -> None:
    if not rows:
        return
    statement = insert(table)
    names = {key.name for key in _keys(table)}
    changed = {name: statement.excluded[name] for name in rows[0] if name not in names}
    condition = ResidueLimitRow.imported.is_(False) if only_ours else None
    await session.execute(
        statement.on_conflict_do_update(index_elements=_keys(table), set_=changed, where=condition),
        rows,
    )


# --- importing limits -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do.

    Attributes:
        new: Rows that are new.
        changed: Rows whose limit, source or end differs from what was there.
        same: Rows that were there already.
        refused: Rows that cannot be taken; as long as there are some, nothing is written.
        notes: What is worth knowing, by row.
        written: Whether it was written.
    """

    new: list[int]
    changed: list[int]
    same: list[int]
    refused: dict[int, tuple[Text, ...]]
    notes: dict[int, tuple[Text, ...]]
    written: bool


async def read_table(session: AsyncSession, rows: Sequence[Numbered]) -> list[ReadRow]:
    """Read a table of limits against the names that are known.

    Raises:
        TableUnreadable: there is no row, or a column that nobody knows.
    """
    return seed.read_limits(
        rows,
        substances=(await session.scalars(select(SubstanceRow.name))).all(),
        categories=(await session.scalars(select(FoodCategoryRow.name))).all(),
        catalogue=await products.catalogue(session),
    )


async def import_limits(
    session: AsyncSession, table: Sequence[Numbered], *, dry_run: bool
) -> ImportReport:
    """Import a table of limits, all of it or nothing; as the database's owner.

    Raises:
        TableUnreadable: there is no row, or a column that nobody knows.
    """
    read = await read_table(session, table)
    known = {
        tuple(getattr(row, key.name) for key in _keys(ResidueLimitRow)): row
        for row in await session.scalars(select(ResidueLimitRow))
    }
    report = ImportReport(
        new=[],
        changed=[],
        same=[],
        refused={row.number: row.problems for row in read if row.problems},
        notes={row.number: row.notes for row in read if row.notes},
        written=False,
    )
    for row in read:
        if row.problems:
            continue
        there = known.get(tuple(row.values[key.name] for key in _keys(ResidueLimitRow)))
        if there is None:
            report.new.append(row.number)
        elif all(getattr(there, name) == value for name, value in row.values.items()):
            report.same.append(row.number)
        else:
            report.changed.append(row.number)
    if dry_run or report.refused:
        return report
    unknown = {row.values["substance"]: row.new_substance for row in read if row.new_substance}
    await _put(
        session,
        SubstanceRow,
        [
            {
                "name": name,
                "en": "",
                "substance_group": group,
                "aliases": [],
                "plant": None,
                "animal": None,
            }
            for name, group in unknown.items()
        ],
    )
    wanted = {*report.new, *report.changed}
    rows = [{**row.values, "imported": True} for row in read if row.number in wanted]
    await _put(session, ResidueLimitRow, rows)
    _forget(session)
    return ImportReport(
        report.new, report.changed, report.same, report.refused, report.notes, written=True
    )


async def set_working_day(session: AsyncSession, day: date, *, working: bool, source: str) -> None:
    """Say that a day is, or is not, a working day; as the database's owner."""
    row = {"day": day, "working": working, "source": source, "verified": True}
    await _put(session, WorkingDayRow, [row])
    _forget(session)


# --- reading it -----------------------------------------------------------------------------------


async def _read_standards(session: AsyncSession) -> Standards:
    return Standards(
        substances=[
            Substance(
                row.name,
                row.en,
                SubstanceGroup(row.substance_group),
                tuple(row.aliases),
                row.plant,
                row.animal,
            )
            for row in await session.scalars(select(SubstanceRow).order_by(SubstanceRow.name))
        ],
        categories={row.name: row.parent for row in await session.scalars(select(FoodCategoryRow))},
        limits=[_limit(row) for row in await session.scalars(select(ResidueLimitRow))],
        methods=[
            _method(row)
            for row in await session.scalars(
                select(QuickMethodRow).order_by(QuickMethodRow.code, QuickMethodRow.valid_from)
            )
        ],
    )


def _limit(row: ResidueLimitRow) -> Limit:
    return Limit(
        substance=row.substance,
        food=row.food,
        scope=Scope(row.scope),
        product_ids=frozenset(row.product_ids),
        except_ids=frozenset(row.except_ids),
        state=None if row.state == "any" else State(row.state),
        amount=row.amount,
        unit=row.unit,
        temporary=row.temporary,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        source=row.source,
        verified=row.verified,
    )


def _method(row: QuickMethodRow) -> Method:
    told = row.advice_zh is not None and row.advice_en is not None
    return Method(
        code=row.code,
        name=Text(row.zh, row.en),
        reading=Reading(row.reading),
        covers=tuple(row.covers),
        suspect_from=row.suspect_from,
        positive_from=row.positive_from,
        repeats=row.repeats,
        interferes=frozenset(row.interferes),
        advice=Text(row.advice_zh or "", row.advice_en or "") if told else None,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        source=row.source,
        verified=row.verified,
    )


standards = Snapshot(_read_standards, lasts_s=STANDARDS_LAST_S)
"""Answers all limits and methods."""


RuleT = TypeVar("RuleT", bound=ClockRule)


def _fitting(
    rules: Iterable[RuleT], kind: ClockKind, authority: Authority | None, on: date
) -> RuleT | None:
    """Choose among rules in force on a day; one for the authority itself before one for any."""
    found = [
        rule
        for rule in rules
        if rule.kind is kind and rule.in_force(on) and rule.authority in {"any", authority}
    ]
    return min(found, key=lambda rule: rule.authority == "any", default=None)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The time limits of the law, how they are put off, and the calendar they are counted on."""

    rules: Sequence[ClockRule]
    extensions: Sequence[ExtensionRule]
    working_days: WorkingDays

    def rule(self, kind: ClockKind, authority: Authority | None, on: date) -> ClockRule | None:
        """Answer the time limit for an authority on a day."""
        return _fitting(self.rules, kind, authority, on)

    def extension(
        self, kind: ClockKind, authority: Authority | None, on: date
    ) -> ExtensionRule | None:
        """Answer how an authority may put a time off on a day; None where it may not."""
        return _fitting(self.extensions, kind, authority, on)


async def _read_clocks(session: AsyncSession) -> Clocks:
    rows = await session.scalars(select(ClockRuleRow))
    put_off = await session.scalars(select(ExtensionRuleRow))
    days = await session.scalars(select(WorkingDayRow))
    return Clocks(
        rules=[ClockRule(**_terms(row)) for row in rows],
        extensions=[ExtensionRule(**_terms(row), most=row.most) for row in put_off],
        working_days=WorkingDays({row.day: row.working for row in days}),
    )


def _terms(row: ClockRuleRow | ExtensionRuleRow) -> dict[str, Any]:
    return {
        "kind": ClockKind(row.kind),
        "authority": row.authority,
        "amount": row.amount,
        "unit": ClockUnit(row.unit),
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "source": row.source,
        "verified": row.verified,
    }


clocks = Snapshot(_read_clocks, lasts_s=STANDARDS_LAST_S)
"""Answers the time limits and the calendar."""


async def _read_allowances(session: AsyncSession) -> list[Allowance]:
    return [
        Allowance(
            Layer(row.layer),
            row.held,
            row.valid_from,
            row.valid_to,
            row.lot_g,
            row.permille,
            row.source,
            row.verified,
        )
        for row in await session.scalars(select(SampleAllowance))
    ]


allowances = Snapshot(_read_allowances, lasts_s=STANDARDS_LAST_S)
"""Answers how much of goods may be sampled without the office in charge."""
