"""Samples, limits and methods as people read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sealing import Vault
from app.hold.models import Hold
from app.lot import service as lots
from app.lot.models import Lot
from app.party import queries as party_queries
from app.party import service as parties
from app.party.access import Audience, Caller, may_supervise
from app.party.models import Party
from app.place import service as places
from app.place.models import Place
from app.place.service import Whereabouts
from app.product import service as products
from app.testing import cases, commissions, service
from app.testing.calendar import ClockKind
from app.testing.limits import Food, Ground, Limit, Ruling
from app.testing.models import (
    Deadline,
    Extension,
    Objection,
    Sample,
    SampleCommission,
    SampleStep,
    TestRow,
    TestSource,
)
from app.testing.push import Algorithm, Convention
from app.testing.rules import (
    VERDICT_OF,
    Authority,
    Layer,
    MeasureStep,
    Method,
    Outcome,
    SamplePurpose,
    Standing,
    State,
    Status,
    TestKind,
    clamped,
    repeats_left,
)
from app.testing.schemas import (
    CommissionOut,
    DeadlineOut,
    ExtensionOut,
    Finding,
    ItemOut,
    LastPushOut,
    LimitAnswer,
    LimitRef,
    MeasureOut,
    MethodOut,
    ObjectionOut,
    RecentSample,
    RecentTest,
    SampleLine,
    SampleOut,
    SourceOut,
    StepOut,
    TestOut,
    Words,
)
from app.testing.service import SAMPLERS, TESTERS, AnswersFor, opened, spelled
from app.testing.standards import standards

# --- samples --------------------------------------------------------------------------------------


async def read(
    session: AsyncSession,
    public_id: UUID,
    caller: Caller,
    *,
    answers_for: AnswersFor,
    vault: Vault,
    now: datetime,
) -> SampleOut:
    """Read a sample with all that followed, for somebody whose business it is.

    Raises:
        UnknownSample: there is none.
        HoldNotYours: the caller neither held the goods, nor tested them, nor answers for them.
    """
    sample = await service.find(session, public_id)
    tests = await cases.tests_of(session, sample.id)
    sent = await commissions.of_sample(session, sample.id)
    involved = {sample.holder_id, sample.taken_by, *(test.tested_by for test in tests)}
    involved |= {one.lab_id for one in sent}
    holder = (await parties.by_ids(session, [sample.holder_id]))[sample.holder_id]
    if caller.party_id not in involved and not may_supervise(caller, holder.division_code):
        lot = (await lots.states_by_id(session, [sample.lot_id]))[sample.lot_id]
        await service.check_reader(session, lot, caller, answers_for)
    return await _describe(session, sample, sent, tests, caller, vault=vault, now=now)


async def _describe(
    session: AsyncSession,
    sample: Sample,
    sent: Sequence[SampleCommission],
    tests: Sequence[TestRow],
    caller: Caller,
    *,
    vault: Vault,
    now: datetime,
) -> SampleOut:
    lot = (await lots.states_by_id(session, [sample.lot_id]))[sample.lot_id]
    catalogue = await products.catalogue(session)
    shown = await _names(session, sample, sent, tests, caller)
    named = shown.parties
    place = None if sample.place_id is None else shown.places[sample.place_id]
    hold = None if sample.hold_id is None else await session.get_one(Hold, sample.hold_id)
    steps = await session.scalars(
        select(SampleStep).where(SampleStep.sample_id == sample.id).order_by(SampleStep.id)
    )
    return SampleOut(
        sample=sample.public_id,
        number=sample.number,
        lot=lot.public_id,
        product=sample.product_id,
        product_name=catalogue.product(sample.product_id).name,
        state=State(sample.state),
        mass_g=sample.mass_g,
        layer=Layer(sample.layer),
        authority=None if sample.authority is None else Authority(sample.authority),
        purpose=SamplePurpose(sample.purpose),
        holder=named[sample.holder_id].public_id,
        taken_by=named[sample.taken_by].public_id,
        taken_by_name=shown.names[sample.taken_by],
        place=None if place is None else place.public_id,
        place_name=None if place is None else place.name,
        taken_at=sample.taken_at,
        recorded_at=sample.recorded_at,
        samplers=_people(vault, sample.samplers, sample.taken_by, caller, purpose=SAMPLERS),
        status=Status(sample.status),
        verdict=VERDICT_OF[Status(sample.status)],
        hold=None if hold is None else hold.public_id,
        sent_to=[_commission(one, shown) for one in sent],
        tests=[_test(test, shown, caller, vault) for test in tests],
        steps=[StepOut(status=Status(step.status), at=step.at) for step in steps],
        deadlines=[_deadline(known, now) for known in await cases.deadlines_of(session, sample.id)],
        extensions=[
            _extension(made, known, caller)
            for made, known in await cases.extensions_of(session, sample.id)
        ],
        objections=[_objection(known) for known in await cases.objections_of(session, sample.id)],
        measures=[
            MeasureOut(
                measure=known.public_id,
                step=MeasureStep(known.step),
                words=known.words,
                made_at=known.made_at,
            )
            for known in await cases.measures_of(session, sample.id)
        ],
    )


@dataclass(frozen=True, slots=True)
class _Named:
    """What the internal ids of a sample's tests are called."""

    parties: Mapping[int, Party]
    names: Mapping[int, str]
    places: Mapping[int, Whereabouts]
    sources: Mapping[int, str]


def _commission(sent: SampleCommission, named: _Named) -> CommissionOut:
    return CommissionOut(
        commission=sent.public_id,
        lab=named.parties[sent.lab_id].public_id,
        lab_name=named.names[sent.lab_id],
        sent_by=named.parties[sent.sent_by].public_id,
        sent_by_name=named.names[sent.sent_by],
        sent_at=sent.sent_at,
    )


def _extension(made: Extension, known: Deadline, caller: Caller) -> ExtensionOut:
    return ExtensionOut(
        extension=made.public_id,
        kind=ClockKind(known.kind),
        reason=made.reason,
        approved_by=made.approved_by if caller.supervises else None,
        due_before=made.due_before,
        due_at=made.due_at,
        source=made.source,
        verified=made.verified,
        made_at=made.made_at,
    )


def _people(
    vault: Vault, names: bytes | None, party_id: int, caller: Caller, *, purpose: str
) -> list[str] | None:
    """Show the names of people to their own party and to offices of supervision."""
    if caller.party_id != party_id and not caller.supervises:
        return None
    return opened(vault, names, purpose=purpose)


async def _names(
    session: AsyncSession,
    sample: Sample,
    sent: Sequence[SampleCommission],
    tests: Sequence[TestRow],
    caller: Caller,
) -> _Named:
    named = await parties.by_ids(
        session,
        {sample.holder_id, sample.taken_by, *(test.tested_by for test in tests)}
        | {party for one in sent for party in (one.lab_id, one.sent_by)},
    )
    where = await places.whereabouts(session, {sample.place_id, *(one.place_id for one in tests)})
    pushed = await session.execute(
        select(TestSource.id, TestSource.name).where(
            TestSource.id.in_([one.source_id for one in tests if one.source_id])
        )
    )
    called = {known: party_queries.name_for(caller, party) for known, party in named.items()}
    return _Named(named, called, where, {row.id: row.name for row in pushed})


def _test(test: TestRow, named: _Named, caller: Caller, vault: Vault) -> TestOut:
    reading: dict[str, Any] | None = test.raw.get("reading")
    value = None if reading is None else reading.get("value")
    return TestOut(
        test=test.public_id,
        kind=TestKind(test.kind),
        retest=test.retest,
        method=test.method,
        outcome=Outcome(test.outcome),
        reading=reading,
        value_shown=None if value is None else spelled(clamped(Decimal(value))),
        items=[
            ItemOut(
                substance=item["substance"],
                amount=item["amount"],
                unit=item["unit"],
                verdict=item["verdict"],
                limit=None if item["limit"] is None else LimitRef(**item["limit"]),
            )
            for item in test.items
        ],
        findings=[Finding(**finding) for finding in test.findings],
        details={key: value for key, value in test.raw.items() if key != "reading"},
        tested_by=named.parties[test.tested_by].public_id,
        tested_by_name=named.names[test.tested_by],
        place_name=None if test.place_id is None else named.places[test.place_id].name,
        source=None if test.source_id is None else named.sources[test.source_id],
        tested_at=test.tested_at,
        recorded_at=test.recorded_at,
        testers=_people(vault, test.testers, test.tested_by, caller, purpose=TESTERS),
    )


def _deadline(known: Deadline, now: datetime) -> DeadlineOut:
    ended_at = now if known.done_at is None else known.done_at
    return DeadlineOut(
        kind=ClockKind(known.kind),
        began_at=known.began_at,
        due_at=known.due_at,
        assumed=known.assumed,
        source=known.source,
        verified=known.verified,
        done_at=known.done_at,
        overdue=ended_at > known.due_at,
    )


def _objection(known: Objection) -> ObjectionOut:
    return ObjectionOut(
        objection=known.public_id,
        against=TestKind(known.against),
        made_at=known.made_at,
        answered=known.answered_by is not None,
    )


# Whose goods a market answers for: whoever had a place in it when the goods came to him.
_IN_MARKET = text("""
    EXISTS (
        SELECT 1 FROM party_role h
        JOIN place stall ON stall.id = h.place_id
        JOIN place market ON market.id IN (stall.id, stall.parent_id) AND market.kind = 'market'
        WHERE h.party_id = sample.holder_id
            AND h.valid_from <= CAST(lot.created_at AT TIME ZONE 'Asia/Shanghai' AS date)
            AND (h.valid_to IS NULL
                OR CAST(lot.created_at AT TIME ZONE 'Asia/Shanghai' AS date) < h.valid_to)
            AND (market.party_id = :market_of OR EXISTS (
                SELECT 1 FROM party_role r
                WHERE r.party_id = :market_of AND r.kind = 'MARKET' AND r.place_id = market.id
            ))
    )
""")


async def samples(
    session: AsyncSession, caller: Caller, *, status: Status | None, most: int
) -> list[SampleLine]:
    """List samples of a party's goods, that it took or was sent, or of its market or jurisdiction.

    A jurisdiction's are those of goods that come from it, and of goods that lie in it.
    """
    mine: list[ColumnElement[bool]] = [
        Sample.holder_id == caller.party_id,
        Sample.taken_by == caller.party_id,
        Sample.id.in_(
            select(SampleCommission.sample_id).where(SampleCommission.lab_id == caller.party_id)
        ),
    ]
    if caller.jurisdiction is not None and may_supervise(caller, caller.jurisdiction):
        mine += [
            column.startswith(caller.jurisdiction, autoescape=True)
            for column in (Lot.division_code, Party.division_code)
        ]
    if Audience.MARKET in caller.audiences:
        in_market = _IN_MARKET.bindparams(market_of=caller.acting_party)
        mine.append(cast("ColumnElement[bool]", in_market))
    chosen = [] if status is None else [Sample.status == status]
    rows = await session.execute(
        select(Sample, Lot.public_id)
        .join(Lot, Lot.id == Sample.lot_id)
        .join(Party, Party.id == Sample.holder_id)
        .where(or_(*mine), *chosen)
        .order_by(Sample.id.desc())
        .limit(most)
    )
    found = rows.all()
    catalogue = await products.catalogue(session)
    where = await places.whereabouts(session, [sample.place_id for sample, _ in found])
    takers = await parties.by_ids(session, {sample.taken_by for sample, _ in found})
    return [
        SampleLine(
            sample=sample.public_id,
            number=sample.number,
            lot=lot,
            product=sample.product_id,
            product_name=catalogue.product(sample.product_id).name,
            layer=Layer(sample.layer),
            taken_by_name=party_queries.name_for(caller, takers[sample.taken_by]),
            place_name=None if sample.place_id is None else where[sample.place_id].name,
            taken_at=sample.taken_at,
            status=Status(sample.status),
            verdict=VERDICT_OF[Status(sample.status)],
        )
        for sample, lot in found
    ]


async def recent(
    session: AsyncSession,
    party_id: int,
    market_id: int,
    *,
    since: datetime,
    most: int,
) -> list[RecentSample]:
    """List what an office sampled lately in one of its markets, the latest first, with its tests.

    Of a device of which nobody said where it stands, what it pushed counts for all markets of its
    office.
    """
    within = select(Place.id).where(or_(Place.id == market_id, Place.parent_id == market_id))
    found = await session.scalars(
        select(Sample)
        .where(
            Sample.taken_by == party_id,
            Sample.recorded_at >= since,
            or_(Sample.place_id.is_(None), Sample.place_id.in_(within)),
        )
        .order_by(Sample.id.desc())
        .limit(most)
    )
    samples = found.all()
    rows = await session.execute(
        select(TestRow, TestSource.name)
        .outerjoin(TestSource, TestSource.id == TestRow.source_id)
        .where(TestRow.sample_id.in_([sample.id for sample in samples]))
        .order_by(TestRow.id)
    )
    tests: dict[int, list[tuple[TestRow, str | None]]] = {sample.id: [] for sample in samples}
    for test, source in rows:
        tests[test.sample_id].append((test, source))
    catalogue = await products.catalogue(session)
    every = [test for of_sample in tests.values() for test, _ in of_sample]
    stood = [*(one.place_id for one in samples), *(test.place_id for test in every)]
    where = await places.whereabouts(session, stood)
    testers = await parties.by_ids(session, {test.tested_by for test in every})
    return [
        RecentSample(
            sample=sample.public_id,
            number=sample.number,
            product=sample.product_id,
            product_name=catalogue.product(sample.product_id).name,
            status=Status(sample.status),
            repeats_left=repeats_left([cases.fact_of(test) for test, _ in tests[sample.id]]),
            place_name=None if sample.place_id is None else where[sample.place_id].name,
            taken_at=sample.taken_at,
            tests=[
                _recent(
                    test,
                    source,
                    by=testers[test.tested_by].name,
                    at=None if test.place_id is None else where[test.place_id].name,
                )
                for test, source in tests[sample.id]
            ],
        )
        for sample in samples
    ]


def _recent(test: TestRow, source: str | None, *, by: str, at: str | None) -> RecentTest:
    reading = test.raw.get("reading", {})
    return RecentTest(
        test=test.public_id,
        method=test.method,
        outcome=Outcome(test.outcome),
        substance=reading.get("substance"),
        value=reading.get("value"),
        source=source,
        device=test.raw.get("device_sn"),
        tested_by_name=by,
        place_name=at,
        tested_at=test.tested_at,
    )


async def sources(session: AsyncSession, found: Sequence[TestSource]) -> list[SourceOut]:
    """Write feeds as they go out, never with their keys."""
    where = await places.whereabouts(session, [row.place_id for row in found])
    return [
        SourceOut(
            source=row.public_id,
            name=row.name,
            maker=row.maker,
            convention=Convention(row.convention),
            layer=Layer(row.layer),
            authority=None if row.authority is None else Authority(row.authority),
            algorithm=Algorithm(row.algorithm),
            place=None if row.place_id is None else where[row.place_id].public_id,
            place_name=None if row.place_id is None else where[row.place_id].name,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
            last_push=(
                None
                if row.last_push is None
                else LastPushOut.model_validate({**row.last_push, "at": row.last_push_at})
            ),
        )
        for row in found
    ]


async def overdue(
    session: AsyncSession, now: datetime, *, most: int
) -> Sequence[tuple[Deadline, Sample]]:
    """List what should have happened by now and has not, the longest overdue first."""
    rows = await session.execute(
        select(Deadline, Sample)
        .join(Sample, Sample.id == Deadline.sample_id)
        .where(
            Deadline.done_at.is_(None),
            Deadline.due_at <= now,
            Deadline.kind.not_in([ClockKind.OBJECTION_QUICK, ClockKind.OBJECTION_LAB]),
        )
        .order_by(Deadline.due_at, Deadline.id)
        .limit(most)
    )
    return [(row[0], row[1]) for row in rows]


def latest_first(
    found: Mapping[int, Iterable[Standing]], at: datetime
) -> list[tuple[int, Standing]]:
    """List what the samples of lots came to, each with its lot, the latest first; for anybody."""
    pairs = [(lot, standing) for lot, of_lot in found.items() for standing in of_lot]
    return sorted(pairs, key=lambda pair: (pair[1].sampled_at or at, pair[0]), reverse=True)


# --- limits and methods ---------------------------------------------------------------------------


async def limit(
    session: AsyncSession, *, substance: str, product_id: int, state: State, on: date
) -> LimitAnswer:
    """Answer the limit of a substance in a product on a day, and why that one.

    Raises:
        UnknownSubstance: nothing is called that.
        UnknownProduct: there is no such product.
    """
    known = await standards(session)
    named = known.substance(substance)
    product = (await products.catalogue(session)).product(product_id)
    ruling = known.ruling(named.name, Food(product.id, product.gb2763_category), state, on)
    return LimitAnswer(
        substance=named.name,
        group=named.group,
        product=product.id,
        product_name=product.name,
        state=state,
        on=on,
        ground=ruling.ground,
        limit=None if ruling.limit is None else _limit(ruling.limit),
        because=ruling.because,
        told=_told(ruling),
        beaten=[_limit(beaten) for beaten in ruling.beaten],
    )


def _limit(found: Limit) -> LimitRef:
    return LimitRef(**service.limit_facts(found))


def _told(ruling: Ruling) -> Words:
    if ruling.limit is None:
        return Words(zh="无限量规定，不等于合格", en="No limit is set; that is no pass by itself")
    if ruling.ground is Ground.BANNED:
        return Words(zh="不得检出", en="Must not be detected")
    assert ruling.limit.amount is not None, "what is not banned has an amount"
    most = f"{spelled(ruling.limit.amount)} {ruling.limit.unit}"
    return Words(zh=f"限量 {most}", en=f"At most {most}")


async def methods(session: AsyncSession, on: date) -> list[MethodOut]:
    """List the quick methods in force on a day."""
    known = await standards(session)
    return [_method(method) for method in known.methods if method.in_force(on)]


def _method(method: Method) -> MethodOut:
    return MethodOut(
        code=method.code,
        name=Words(zh=method.name.zh, en=method.name.en),
        reading=method.reading,
        covers=list(method.covers),
        suspect_from=None if method.suspect_from is None else spelled(method.suspect_from),
        positive_from=None if method.positive_from is None else spelled(method.positive_from),
        repeats=method.repeats,
        interferes=sorted(method.interferes),
        advice=(None if method.advice is None else Words(zh=method.advice.zh, en=method.advice.en)),
        valid_from=method.valid_from,
        valid_to=method.valid_to,
        source=method.source,
        verified=method.verified,
    )
