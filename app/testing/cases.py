"""What follows from tests: a case's status, holds, clocks, notices; objections and measures."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids, jobs
from app.core.clock import local_date
from app.core.errors import IdReused
from app.event.rules import check_occurred
from app.hold import service as holds
from app.hold.models import Hold
from app.hold.rules import HoldCause, NoticeKind, Order
from app.lot import service as lots
from app.lot.rules import LotState
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller, OtherParty
from app.testing import rules
from app.testing.calendar import ClockKind, ExtensionRule
from app.testing.models import Deadline, Extension, Measure, Objection, Sample, SampleStep, TestRow
from app.testing.rules import (
    HOLDING,
    Authority,
    Fact,
    ItemVerdict,
    Layer,
    MeasureStep,
    Outcome,
    Status,
    TestKind,
)
from app.testing.schemas import ExtensionIn, MeasureIn, ObjectionIn
from app.testing.standards import clocks
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

FAILED_JOB = "test.failed"
"""Asks for what follows a confirmed failure; the payload is the 16 bytes of the sample's id."""

_REASONS = {
    Status.SUSPECT: "快检可疑，样品 {number}",
    Status.POSITIVE: "快检阳性，样品 {number}",
    Status.PRESUMPTIVE: "复测仍为阳性，样品 {number}",
    Status.CONFIRMED_FAIL: "实验室检测不合格，样品 {number}",
}
_CLEARED = "检测合格，样品 {number}"
_DECIDED = frozenset({Status.CONFIRMED_FAIL, Status.CLEARED, Status.PASSED})


async def tests_of(session: AsyncSession, sample_id: int) -> list[TestRow]:
    """List the tests of a sample in the order in which they were recorded."""
    found = await session.scalars(
        select(TestRow).where(TestRow.sample_id == sample_id).order_by(TestRow.id)
    )
    return list(found)


async def note_step(
    session: AsyncSession, sample: Sample, test: TestRow | None, *, now: datetime
) -> None:
    """Note where a case stands from now on."""
    session.add(
        SampleStep(
            sample_id=sample.id,
            status=sample.status,
            test_id=None if test is None else test.id,
            at=now,
        )
    )
    await session.flush()


def fact_of(test: TestRow) -> Fact:
    """Answer what a case needs to know of a test."""
    if test.kind == TestKind.LAB:
        return Fact(
            kind=TestKind.LAB,
            outcome=Outcome(test.outcome),
            series=test.method,
            substances=frozenset(item["substance"] for item in test.items),
            failed=frozenset(
                item["substance"] for item in test.items if item["verdict"] == ItemVerdict.FAIL
            ),
            retest=test.retest,
        )
    covers = test.raw["covers"]
    series = f"{test.method} {test.raw['reading'].get('substance', '')}"
    return Fact(
        kind=TestKind.QUICK,
        outcome=Outcome(test.outcome),
        series=series,
        substances=frozenset(covers),
        repeats_due=test.repeats_due,
    )


async def settle(
    session: AsyncSession,
    sample: Sample,
    lot: LotState,
    tests: Sequence[TestRow],
    caller: Caller,
    *,
    now: datetime,
) -> None:
    """Bring a case to where its tests leave it, in the transaction of the last of them.

    Its lot is locked with all that was made of it: see `lots.lock_with_kept`.
    """
    before, test = Status(sample.status), tests[-1]
    after = rules.assess([fact_of(known) for known in tests])
    await _finish_clocks(session, sample, _ended_by(test, after), now=now)
    if after is not before:
        sample.status = after
        await note_step(session, sample, test, now=now)
    if after in HOLDING:
        await _hold(session, sample, lot, caller, now=now)
    elif after in rules.GOOD:
        await _let_go(session, sample, lot, caller, now=now)
    if after is before:
        return
    for kind in _begun_by(sample, test, after):
        await _begin_clock(session, sample, kind, test, now=now)
    await _tell(session, sample, lot, before, now=now)
    if after is Status.CONFIRMED_FAIL:
        await jobs.enqueue(session, FAILED_JOB, sample.public_id.bytes)


# --- holds ----------------------------------------------------------------------------------------


def _order(sample: Sample, lot: LotState, caller: Caller, reason: str, public_id: UUID) -> Order:
    return Order(
        public_id=public_id,
        lot=lot.public_id,
        party_id=caller.acting_party,
        party=caller.acting_public_id,
        reason=reason.format(number=sample.number),
        cause=HoldCause.TEST,
        subject=sample.public_id,
    )


async def _hold(
    session: AsyncSession, sample: Sample, lot: LotState, caller: Caller, *, now: datetime
) -> None:
    if sample.hold_id is not None:
        hold = await session.get_one(Hold, sample.hold_id, populate_existing=True)
        if hold.released_at is None:
            return
    reason = _REASONS[Status(sample.status)]
    order = _order(sample, lot, caller, reason, ids.uuid7())
    sample.hold_id = (await holds.place(session, order, lot, now=now)).id
    await session.flush()
    # What its holder split off, merged or moved meanwhile is the same goods under another number.
    for part in await lots.kept(session, lot):
        name = uuid5(order.public_id, str(part.public_id))
        await holds.place(session, _order(sample, part, caller, reason, name), part, now=now)


async def _let_go(
    session: AsyncSession, sample: Sample, lot: LotState, caller: Caller, *, now: datetime
) -> None:
    if sample.hold_id is None:
        return
    held = {part.id: part for part in (lot, *await lots.kept(session, lot))}
    for hold in await holds.in_force_of(session, sample.public_id, held):
        order = _order(sample, held[hold.lot_id], caller, _CLEARED, hold.public_id)
        await holds.release(session, hold, order, now=now)


# --- clocks ---------------------------------------------------------------------------------------


def _begun_by(sample: Sample, test: TestRow, after: Status) -> Iterable[ClockKind]:
    by_office = sample.authority is not None
    by_lab = test.kind == TestKind.LAB
    if after is Status.PRESUMPTIVE and by_office:
        yield ClockKind.OBJECTION_QUICK
    if after is Status.CONFIRMED_FAIL:
        if by_office and not test.retest:
            yield ClockKind.OBJECTION_LAB
        yield ClockKind.LAB_REPORT
        yield ClockKind.HANDLING_START
        yield ClockKind.HANDLING_FINISH
    if by_office and by_lab and after in _DECIDED:
        yield ClockKind.PUBLICATION


def _ended_by(test: TestRow, after: Status) -> frozenset[ClockKind]:
    """Say which clocks a test stops: a re-test its report, a pass all that a failure had begun."""
    ended = {ClockKind.RETEST_REPORT} if test.kind == TestKind.LAB else set()
    if test.kind == TestKind.LAB:
        ended.add(ClockKind.OBJECTION_QUICK)
    if after in rules.GOOD:
        ended |= {
            ClockKind.OBJECTION_QUICK,
            ClockKind.OBJECTION_LAB,
            ClockKind.HANDLING_START,
            ClockKind.HANDLING_FINISH,
            ClockKind.PUBLICATION,  # of the result that stood before
        }
    return frozenset(ended)


async def _begin_clock(
    session: AsyncSession, sample: Sample, kind: ClockKind, test: TestRow | None, *, now: datetime
) -> None:
    known = await clocks(session)
    authority = None if sample.authority is None else Authority(sample.authority)
    rule = known.rule(kind, authority, local_date(now))
    if rule is None:
        return
    # A laboratory has two days from its finding; by when it stands here, it has reported.
    reported = kind is ClockKind.LAB_REPORT and test is not None
    began_at = test.tested_at if reported and test is not None else now
    due = known.working_days.due(rule, began_at)
    session.add(
        Deadline(
            sample_id=sample.id,
            kind=kind,
            began_at=began_at,
            due_at=due.at,
            assumed=due.assumed,
            source=rule.source,
            verified=rule.verified,
            done_at=now if reported else None,
        )
    )
    await session.flush()


async def _finish_clocks(
    session: AsyncSession, sample: Sample, kinds: frozenset[ClockKind], *, now: datetime
) -> None:
    for deadline in await deadlines_of(session, sample.id):
        if deadline.kind in kinds and deadline.done_at is None:
            deadline.done_at = now
    await session.flush()


async def deadlines_of(session: AsyncSession, sample_id: int) -> Sequence[Deadline]:
    """List the clocks of a sample, oldest first."""
    found = await session.scalars(
        select(Deadline).where(Deadline.sample_id == sample_id).order_by(Deadline.id)
    )
    return found.all()


async def extensions_of(
    session: AsyncSession, sample_id: int
) -> Sequence[tuple[Extension, Deadline]]:
    """List how often times of a sample were put off, oldest first, each with its clock."""
    found = await session.execute(
        select(Extension, Deadline)
        .join(Deadline, Deadline.id == Extension.deadline_id)
        .where(Deadline.sample_id == sample_id)
        .order_by(Extension.id)
    )
    return [(row[0], row[1]) for row in found]


async def put_off(
    session: AsyncSession,
    public_id: UUID,
    sample: Sample,
    body: ExtensionIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[Extension, bool]:
    """Put a time off, as the office that follows a result up; the sample's lot is locked.

    By how much and how often is what the law says on the day of the extension.

    Returns:
        The extension, and whether it is new.

    Raises:
        IdReused: the id names another extension.
        ClockNotExtendable: the law knows none of this time.
        ClockNotRunning: it has not begun, or has ended.
        ExtensionLate: the time is over.
        ExtendedAlready: it was put off as often as it may be.
    """
    digest = digest_of(
        {
            **body.model_dump(mode="json"),
            "sample": str(sample.public_id),
            "by": str(caller.party_public_id),
        }
    )
    existing = await session.scalar(select(Extension).where(Extension.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(extension=str(public_id))
        return existing, False
    known = await clocks(session)
    authority = None if sample.authority is None else Authority(sample.authority)
    rule = known.extension(body.kind, authority, local_date(now))
    if rule is None:
        raise rules.ClockNotExtendable(clock=body.kind)
    deadline = await _extendable(session, sample, rule, now=now)
    due = known.working_days.put_off(rule, deadline.due_at)
    extension = Extension(
        public_id=public_id,
        digest=digest,
        deadline_id=deadline.id,
        reason=body.reason,
        approved_by=body.approved_by,
        due_before=deadline.due_at,
        due_at=due.at,
        source=rule.source,
        verified=rule.verified,
        made_by=caller.acting_party,
        made_at=now,
    )
    session.add(extension)
    deadline.due_at = due.at
    deadline.assumed = deadline.assumed or due.assumed
    await session.flush()
    more = {
        "clock": deadline.kind,
        "due_before": extension.due_before.isoformat(),
        "due_at": extension.due_at.isoformat(),
    }
    said = {"words": body.reason, "approved_by": body.approved_by}
    await _log_words(session, "test.extended", public_id, sample, caller, said, more, now=now)
    return extension, True


async def _extendable(
    session: AsyncSession, sample: Sample, rule: ExtensionRule, *, now: datetime
) -> Deadline:
    running = [
        deadline
        for deadline in await deadlines_of(session, sample.id)
        if deadline.kind == rule.kind and deadline.done_at is None
    ]
    if not running:
        raise rules.ClockNotRunning(clock=rule.kind)
    deadline = running[-1]
    if now >= deadline.due_at:
        raise rules.ExtensionLate(until=deadline.due_at.isoformat())
    earlier = await extensions_of(session, sample.id)
    if sum(of.id == deadline.id for _, of in earlier) >= rule.most:
        raise rules.ExtendedAlready(most=rule.most, until=deadline.due_at.isoformat())
    return deadline


# --- notices --------------------------------------------------------------------------------------

_TOLD = {
    Status.PRESUMPTIVE: NoticeKind.TEST_PRESUMPTIVE,
    Status.CONFIRMED_FAIL: NoticeKind.TEST_FAILED,
    Status.CLEARED: NoticeKind.TEST_CLEARED,
}


async def _tell(
    session: AsyncSession, sample: Sample, lot: LotState, before: Status, *, now: datetime
) -> None:
    """Tell whoever holds the goods, and whoever delivered or produced them."""
    kind = _TOLD.get(Status(sample.status))
    if kind is None:
        return
    facts = {"lot": lot.public_id, "sample": sample.public_id, "before": before}
    for deadline in await deadlines_of(session, sample.id):
        if deadline.kind.startswith("objection") and deadline.done_at is None:
            facts["object_until"] = deadline.due_at.isoformat()
    told = [lot.holder_id, sample.holder_id, lot.from_party_id, lot.producer_id]
    await holds.tell(session, kind, sample.public_id, told, facts, now)


# --- objections -----------------------------------------------------------------------------------


async def open_objection(session: AsyncSession, sample_id: int) -> Objection | None:
    """Find the objection that waits for its re-test."""
    found: Objection | None = await session.scalar(
        select(Objection).where(Objection.sample_id == sample_id, Objection.answered_by.is_(None))
    )
    return found


async def objections_of(session: AsyncSession, sample_id: int) -> Sequence[Objection]:
    """List the objections to a sample's results."""
    found = await session.scalars(
        select(Objection).where(Objection.sample_id == sample_id).order_by(Objection.id)
    )
    return found.all()


async def object_to(
    session: AsyncSession,
    public_id: UUID,
    sample: Sample,
    body: ObjectionIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[Objection, bool]:
    """Object to a result, as the holder of the goods; the sample's lot is locked.

    Returns:
        The objection, and whether it is new.

    Raises:
        IdReused: the id names another objection.
        OtherParty: the goods were not the caller's.
        ObjectionByContract: no office took the sample.
        NothingToObject: no result stands against the goods, or it was objected to before.
        ObjectionLate: the time is over.
    """
    digest = digest_of(
        {
            "sample": str(sample.public_id),
            "reason": body.reason,
            "by": str(caller.party_public_id),
        }
    )
    existing = await session.scalar(select(Objection).where(Objection.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(objection=str(public_id))
        return existing, False
    if sample.holder_id != caller.party_id:
        raise OtherParty(sample=str(sample.public_id))
    if sample.authority is None:
        raise rules.ObjectionByContract(layer=Layer(sample.layer))
    against = await _against(session, sample, now=now)
    objection = Objection(
        public_id=public_id,
        digest=digest,
        sample_id=sample.id,
        against=against,
        made_by=caller.acting_party,
        reason=body.reason,
        made_at=now,
    )
    session.add(objection)
    await session.flush()
    clock = ClockKind.OBJECTION_QUICK if against is TestKind.QUICK else ClockKind.OBJECTION_LAB
    await _finish_clocks(session, sample, frozenset({clock}), now=now)
    await _begin_clock(session, sample, ClockKind.RETEST_REPORT, None, now=now)
    await _log_words(
        session, "test.objected", public_id, sample, caller, {"words": body.reason}, now=now
    )
    return objection, True


async def _against(session: AsyncSession, sample: Sample, *, now: datetime) -> TestKind:
    of_status = {
        Status.PRESUMPTIVE: (TestKind.QUICK, ClockKind.OBJECTION_QUICK),
        Status.CONFIRMED_FAIL: (TestKind.LAB, ClockKind.OBJECTION_LAB),
    }
    if Status(sample.status) not in of_status:
        raise rules.NothingToObject(status=sample.status)
    against, clock = of_status[Status(sample.status)]
    if any(known.against == against for known in await objections_of(session, sample.id)):
        raise rules.NothingToObject(status=sample.status)
    running = [known for known in await deadlines_of(session, sample.id) if known.kind == clock]
    if not running:
        raise rules.NothingToObject(status=sample.status)
    if now >= running[-1].due_at:
        raise rules.ObjectionLate(until=running[-1].due_at.isoformat())
    return against


# --- measures -------------------------------------------------------------------------------------

_ENDS = {
    MeasureStep.STARTED: frozenset({ClockKind.HANDLING_START}),
    MeasureStep.FINISHED: frozenset({ClockKind.HANDLING_START, ClockKind.HANDLING_FINISH}),
    MeasureStep.PUBLISHED: frozenset({ClockKind.PUBLICATION}),
}


async def measures_of(session: AsyncSession, sample_id: int) -> Sequence[Measure]:
    """List what offices did about a sample's result."""
    found = await session.scalars(
        select(Measure).where(Measure.sample_id == sample_id).order_by(Measure.id)
    )
    return found.all()


async def measure(
    session: AsyncSession,
    public_id: UUID,
    sample: Sample,
    body: MeasureIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[Measure, bool]:
    """Record what an office did about a result; the sample's lot is locked.

    Returns:
        The measure, and whether it is new.

    Raises:
        IdReused: the id names another measure.
        ImpossibleDate: it cannot have been done then.
        SampleNotFailed: 核查处置 without a confirmed failure.
        NothingToPublish: a publication without a laboratory's result for an office.
    """
    digest = digest_of(
        {
            **body.model_dump(mode="json"),
            "sample": str(sample.public_id),
            "by": str(caller.party_public_id),
        }
    )
    existing = await session.scalar(select(Measure).where(Measure.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(measure=str(public_id))
        return existing, False
    made_at = body.made_at or now
    check_occurred(made_at, now=now, pointer="/made_at")
    if body.step is MeasureStep.PUBLISHED:
        kinds = {deadline.kind for deadline in await deadlines_of(session, sample.id)}
        if ClockKind.PUBLICATION not in kinds:
            raise rules.NothingToPublish(sample=str(sample.public_id))
    elif sample.status != Status.CONFIRMED_FAIL:
        raise rules.SampleNotFailed(sample=str(sample.public_id))
    made = Measure(
        public_id=public_id,
        digest=digest,
        sample_id=sample.id,
        step=body.step,
        words=body.words,
        made_by=caller.acting_party,
        made_at=made_at,
    )
    session.add(made)
    await session.flush()
    await _finish_clocks(session, sample, _ENDS[body.step], now=made_at)
    kind = f"test.{body.step}"
    await _log_words(session, kind, public_id, sample, caller, {"words": body.words}, now=now)
    return made, True


async def _log_words(
    session: AsyncSession,
    kind: str,
    public_id: UUID,
    sample: Sample,
    caller: Caller,
    said: Mapping[str, str],
    more: Mapping[str, str] = MappingProxyType({}),
    *,
    now: datetime,
) -> None:
    # What somebody typed may name a person, and the log is for ever: it keeps a commitment.
    party = (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party]
    document = {
        "sample": str(sample.public_id),
        "by": str(caller.party_public_id),
        **more,
        **{f"{name}_commit": commitment(party.commit_salt, words) for name, words in said.items()},
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement(kind, public_id, document)], now=now)
