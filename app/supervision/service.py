"""Looks at what is new, opens warnings, and keeps what people make of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Double, case, cast, func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.clock import local_date
from app.core.db import Base
from app.farming import service as farming
from app.party import service as parties
from app.party.access import Audience, Caller, NotAllowed
from app.signing import shortcode
from app.supervision import queries, rules, seed
from app.supervision.models import (
    CountyCentre,
    PlotYield,
    WarningRow,
    WarningRule,
    WarningWatermark,
)
from app.supervision.queries import Around, Stream, Window
from app.supervision.rules import Measure, Order, Rule, RuleCode, Severity, Spot, WarningState
from app.supervision.schemas import HandlingIn, RunOut, WarningOut
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

ROWS_MAX: Final = 2_000
"""New rows that one job looks at: well within the time that a statement may take."""

_CITING: Final = frozenset({RuleCode.CERTIFICATE_OVERSOLD, RuleCode.PRODUCT_CHANGED})


async def load_rules(session: AsyncSession) -> None:
    """Load the rules, yields and centres that this release knows; rows that exist are updated.

    Rows of later dates, by which an authority has set thresholds of its own, stay as they are.
    """
    tables: Sequence[tuple[type[Base], list[seed.Row]]] = (
        (WarningRule, seed.warning_rules()),
        (PlotYield, seed.plot_yields()),
        (CountyCentre, seed.county_centres()),
    )
    for table, rows in tables:
        statement = insert(table)
        keys = [column.name for column in table.__table__.primary_key]
        changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        await session.execute(
            statement.on_conflict_do_update(index_elements=keys, set_=changed), rows
        )


async def _around(session: AsyncSession, code: RuleCode, now: datetime) -> Around:
    # Of two that overlap, the one that was set later counts.
    known = await session.scalars(
        select(WarningRule).where(WarningRule.code == code).order_by(WarningRule.valid_from.desc())
    )
    # A place keeps the code that it was registered under; the ground did not move.
    centres = await session.scalars(
        select(CountyCentre)
        .where(CountyCentre.valid_from <= local_date(now))
        .order_by(CountyCentre.valid_from)
    )
    return Around(
        now=now,
        rules=[
            Rule(
                RuleCode(row.code),
                row.valid_from,
                row.valid_to,
                Severity(row.severity),
                row.parameters,
            )
            for row in known
        ],
        centres={row.code: Spot(row.latitude, row.longitude, row.radius_km) for row in centres},
        intervals=await farming.intervals(session),
    )


# --- looking --------------------------------------------------------------------------------------


async def run(
    session: AsyncSession, code: RuleCode, *, now: datetime, most: int = ROWS_MAX
) -> RunOut:
    """Look at the new rows of a rule's streams, and open warnings about what exceeds its limit.

    A rule that another worker is just looking at is left to it.

    Args:
        session: The caller's transaction.
        code: The rule.
        now: The present instant.
        most: How many new rows of each stream to look at.
    """
    around = await _around(session, code, now)
    measured = opened = grown = 0
    more = False
    for stream, measure in queries.MEASURES[code].items():
        watermark = await _locked(session, code, stream)
        if watermark is None:
            continue
        window = await queries.window(session, stream, watermark.position, most=most, now=now)
        if window is None:
            continue
        if code in _CITING and stream is Stream.LOTS:
            await _cite(session, window)
        found = await measure(session, window, around)
        measured += len(found)
        fresh, further = await _warn(session, found, around)
        opened += fresh
        grown += further
        more = more or (window.settled == window.upto and window.settled > watermark.position)
        watermark.position = window.settled
        await session.flush()
    return RunOut(rule=code, measured=measured, opened=opened, grown=grown, more=more)


async def _locked(session: AsyncSession, code: RuleCode, stream: Stream) -> WarningWatermark | None:
    key = {"rule": code, "stream": stream}
    await session.execute(
        insert(WarningWatermark).values(**key, position=0).on_conflict_do_nothing()
    )
    found: WarningWatermark | None = await session.scalar(
        select(WarningWatermark).filter_by(**key).with_for_update(skip_locked=True)
    )
    return found


async def _cite(session: AsyncSession, window: Window) -> None:
    cited = []
    for lot_id, number in await queries.papers(session, window):
        try:
            cited.append((lot_id, shortcode.parse(number).code))
        except shortcode.BadCodeError:
            continue  # a paper of somebody else's
    await queries.cite(session, cited)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A measure beyond its limit."""

    measure: Measure
    rule: Rule
    limit: int


def _judge(found: Iterable[Measure], known: Sequence[Rule]) -> list[_Judged]:
    """Keep what exceeds the rule of its day; of several figures of one subject, the greatest."""
    worst: dict[tuple[str, str], _Judged] = {}
    for measure in found:
        rule = rules.in_force(known, measure.on)
        if rule is None or not rules.exceeds(rule, measure):
            continue
        key = (measure.subject, measure.period)
        if key not in worst or worst[key].measure.figure < measure.figure:
            worst[key] = _Judged(measure, rule, rules.limit_of(rule, measure))
    return list(worst.values())


async def _warn(session: AsyncSession, found: Iterable[Measure], around: Around) -> tuple[int, int]:
    """Open a warning for each subject, or let an open one grow; answer how many of each."""
    judged = _judge(found, around.rules)
    if not judged:
        return 0, 0
    code = judged[0].rule.code
    latest: dict[tuple[str, str], WarningRow] = {}
    for row in await session.scalars(
        select(WarningRow)
        .where(
            WarningRow.rule == code,
            WarningRow.subject.in_({item.measure.subject for item in judged}),
        )
        .order_by(WarningRow.id)
        .with_for_update()
    ):
        latest[row.subject, row.period] = row
    statements: list[Statement] = []
    opened = grown = 0
    for item in judged:
        known = latest.get((item.measure.subject, item.measure.period))
        if known is not None and known.state == WarningState.OPEN:
            if item.measure.figure > known.figure:
                _grow(known, item, around.now)
                statements.append(_statement("warning.grown", known))
                grown += 1
        elif known is None or rules.opens_anew(
            item.rule, item.measure.figure, closed_figure=known.figure
        ):
            row = _opened(item, around.now)
            session.add(row)
            statements.append(_statement("warning.opened", row))
            opened += 1
    await session.flush()
    if statements:
        await transparency.append(session, statements, now=around.now)
    return opened, grown


def _opened(item: _Judged, now: datetime) -> WarningRow:
    measure = item.measure
    return WarningRow(
        public_id=ids.uuid7(),
        rule=item.rule.code,
        rule_valid_from=item.rule.valid_from,
        severity=item.rule.severity,
        subject=measure.subject,
        period=measure.period,
        occurred_on=measure.on,
        figure=measure.figure,
        limit=item.limit,
        evidence=dict(measure.evidence),
        party_id=measure.party_id,
        market_ids=list(measure.market_ids),
        divisions=list(measure.divisions),
        opened_at=now,
        seen_at=now,
        state=WarningState.OPEN,
    )


def _grow(row: WarningRow, item: _Judged, now: datetime) -> None:
    row.figure = item.measure.figure
    row.limit = item.limit
    row.rule_valid_from = item.rule.valid_from
    row.evidence = dict(item.measure.evidence)
    row.market_ids = sorted({*row.market_ids, *item.measure.market_ids})
    row.divisions = sorted({*row.divisions, *item.measure.divisions})
    row.seen_at = now


def _statement(kind: str, row: WarningRow) -> Statement:
    """Write what the log keeps of a warning; its evidence holds public ids and figures only."""
    document: dict[str, Any] = {
        "rule": row.rule,
        "rule_valid_from": row.rule_valid_from.isoformat(),
        "about": row.subject,
        "period": row.period,
        "figure": str(row.figure),
        "limit": str(row.limit),
        "evidence": row.evidence,
        "t": row.seen_at.isoformat(),
    }
    return Statement(kind, row.public_id, document)


# --- what people make of it -----------------------------------------------------------------------

_OWN_MARKETS = text("""
    SELECT id FROM place WHERE party_id = :party AND kind = 'market'
    UNION
    SELECT place_id FROM party_role
    WHERE party_id = :party AND kind = 'MARKET' AND place_id IS NOT NULL
        AND valid_from <= :on AND (valid_to IS NULL OR :on < valid_to)
""")


async def _visible(session: AsyncSession, caller: Caller, on: date) -> Any:
    """Answer the condition that a warning is the caller's to see."""
    if Audience.OPERATOR in caller.audiences:
        return WarningRow.id.is_not(None)
    conditions = []
    if Audience.REGULATOR in caller.audiences and caller.jurisdiction is not None:
        lies_within = text(
            "EXISTS (SELECT 1 FROM unnest(warning.divisions) d WHERE d LIKE :within)"
        ).bindparams(within=f"{caller.jurisdiction}%")
        conditions.append(lies_within)
    if Audience.MARKET in caller.audiences:
        rows = await session.scalars(_OWN_MARKETS, {"party": caller.acting_party, "on": on})
        conditions.append(WarningRow.market_ids.overlap(list(rows)))
    return or_(*conditions) if conditions else WarningRow.id.is_(None)


# How severe it is, and how many times beyond its limit; a limit of nothing counts as one.
_WEIGHT: Final[Sequence[ColumnElement[Any]]] = (
    case(
        {severity: -rank for rank, severity in enumerate(Severity)},
        value=WarningRow.severity,
    ),
    cast(WarningRow.figure, Double) / func.greatest(WarningRow.limit, 1),
)


async def listed(
    session: AsyncSession,
    caller: Caller,
    *,
    state: WarningState | None,
    rule: RuleCode | None,
    before: UUID | None,
    most: int,
    now: datetime,
    order: Order = Order.NEWEST,
) -> Sequence[WarningRow]:
    """List the warnings of a market or jurisdiction in an order, from after one of them on."""
    statement = select(WarningRow).where(await _visible(session, caller, local_date(now)))
    if state is not None:
        statement = statement.where(WarningRow.state == state)
    if rule is not None:
        statement = statement.where(WarningRow.rule == rule)
    keys = (*(_WEIGHT if order is Order.WEIGHT else ()), WarningRow.id)
    if before is not None:
        last = select(*keys).where(WarningRow.public_id == before).scalar_subquery()
        statement = statement.where(tuple_(*keys) < last)
    found = await session.scalars(statement.order_by(*(key.desc() for key in keys)).limit(most))
    return found.all()


async def find(
    session: AsyncSession, public_id: UUID, caller: Caller, *, now: datetime
) -> WarningRow:
    """Find a warning that the caller may see.

    Raises:
        UnknownWarning: there is none.
    """
    row: WarningRow | None = await session.scalar(
        select(WarningRow).where(
            WarningRow.public_id == public_id,
            await _visible(session, caller, local_date(now)),
        )
    )
    if row is None:
        raise rules.UnknownWarning(warning=str(public_id))
    return row


async def close(
    session: AsyncSession, public_id: UUID, body: HandlingIn, caller: Caller, *, now: datetime
) -> WarningRow:
    """Say what became of a warning; the same again changes nothing.

    Raises:
        UnknownWarning: there is none that the caller may see.
        NotAllowed: an office or a market answers for it, and the caller runs the platform.
        WarningConcernsYou: it is about the caller's own party.
        WarningClosed: somebody has said something else of it.
    """
    row = await find(session, public_id, caller, now=now)
    await session.refresh(row, with_for_update=True)
    decides = caller.is_office or Audience.MARKET in caller.audiences
    if not decides and (row.divisions or row.market_ids):
        raise NotAllowed(action="warning.handle")
    # An office sees to its own clocks: often there is none above it.
    own_clock = row.rule == RuleCode.DEADLINE_OVERDUE and caller.is_office
    if row.party_id == caller.acting_party and not own_clock:
        raise rules.WarningConcernsYou(warning=str(public_id))
    if row.state != WarningState.OPEN:
        said = (row.state, row.reason, row.closed_by)
        if said != (body.state, body.reason, caller.acting_party):
            raise rules.WarningClosed(warning=str(public_id), state=row.state)
        return row
    row.state = body.state
    row.reason = body.reason
    row.closed_by = caller.acting_party
    row.closed_at = now
    await session.flush()
    # What somebody typed may name a person, and the log is for ever: it keeps a commitment.
    salt = (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party].commit_salt
    document = {
        "state": row.state,
        "by": str(caller.acting_public_id),
        "reason_commit": commitment(salt, body.reason),
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement("warning.closed", public_id, document)], now=now)
    return row


async def describe(session: AsyncSession, found: Sequence[WarningRow]) -> list[WarningOut]:
    """Write warnings as they go out."""
    texts: Mapping[tuple[str, date], WarningRule] = {
        (row.code, row.valid_from): row for row in await session.scalars(select(WarningRule))
    }
    named = await parties.by_ids(
        session, {party for row in found for party in (row.party_id, row.closed_by) if party}
    )
    written = []
    for row in found:
        rule = texts[row.rule, row.rule_valid_from]
        written.append(
            WarningOut(
                warning=row.public_id,
                rule=RuleCode(row.rule),
                rule_valid_from=row.rule_valid_from,
                rule_source=rule.source,
                rule_verified=rule.verified,
                severity=Severity(row.severity),
                zh=rule.zh,
                en=rule.en,
                subject=row.subject,
                period=row.period,
                occurred_on=row.occurred_on,
                figure=row.figure,
                limit=row.limit,
                evidence=row.evidence,
                party=None if row.party_id is None else named[row.party_id].public_id,
                divisions=row.divisions,
                state=WarningState(row.state),
                opened_at=row.opened_at,
                seen_at=row.seen_at,
                closed_at=row.closed_at,
                closed_by=None if row.closed_by is None else named[row.closed_by].public_id,
                reason=row.reason,
            )
        )
    return written
