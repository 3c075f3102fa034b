"""Takes samples, records tests, and says how lots stand."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.db import fetch, prepared
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.event import service as events
from app.event.lateness import judged_on, late
from app.event.rules import EventKind, check_made, check_occurred
from app.event.seed import lateness
from app.event.service import Happening
from app.lot import service as lots
from app.lot.rules import Draw, LotExhausted, LotState, check_draw
from app.lot.rules import digest as digest_of
from app.lot.service import Withdrawal
from app.party import service as parties
from app.party.access import Caller, OtherParty, RoleKind, governs, may_supervise
from app.place import service as places
from app.product import service as products
from app.testing import cases, commissions, rules
from app.testing.allowances import Portion, check_sample
from app.testing.limits import Food, Limit, Ruling, Standards, judge_all
from app.testing.models import Sample, TestRow
from app.testing.rules import (
    Authority,
    ItemVerdict,
    JudgedItem,
    Layer,
    Method,
    NamedTest,
    Outcome,
    QuickReading,
    Standing,
    State,
    Status,
    TestKind,
)
from app.testing.schemas import ItemIn, SampleIn, TestIn
from app.testing.standards import allowances, standards
from app.transparency import service as transparency
from app.transparency.service import Statement

SAMPLERS = "sample.samplers"
TESTERS = "test.testers"


class AnswersFor(Protocol):
    """Refuses whoever does not answer for a lot.

    Which market and which offices do is known further up, where tickets and traces are: the
    composition root hands it down.
    """

    async def __call__(self, session: AsyncSession, lot: LotState, caller: Caller, /) -> None:
        """Raise unless the caller answers for the lot."""


# --- samples --------------------------------------------------------------------------------------


async def take(
    session: AsyncSession,
    public_id: UUID,
    body: SampleIn,
    caller: Caller,
    *,
    answers_for: AnswersFor,
    vault: Vault,
    now: datetime,
    stands: Portion | None = None,
) -> tuple[Sample, bool]:
    """Take a sample out of a lot; out of one on hold, only as whoever answers for it.

    Its holder could else carry off as samples what may not be sold, be it a market. Others than
    offices take what a test needs, of what `stands` at a gate, and of goods on hold a little.

    Returns:
        The sample, and whether it is new.

    Raises:
        UnknownLot, IdReused: there is no such lot, or the id names another sample.
        LayerNotYours: see `rules.check_layer`.
        UnknownPlace, UnknownParty, NotALaboratory: there is no such place or laboratory.
        ImpossibleDate: it cannot have been taken then.
        HoldNotYours: the caller neither holds the lot nor answers for it.
        AlreadySampledAbove: a higher office of agriculture has sampled it.
        SampleNumberTaken: the number stands for another sample of the caller's.
        LotOnHold, HeldSampleLimit: it may not move: its holder takes none, its market little.
        LotExhausted, SampleLimit: less than that is left, or a test needs less.
    """
    lot = (await lots.lock(session, [body.lot]))[body.lot]
    # Where nothing is said of a laboratory the digest is what it was before one could be named.
    told = body.model_dump(mode="json", exclude={"lab"} if body.lab is None else None)
    digest = digest_of({**told, "by": str(caller.party_public_id)})
    existing = await session.scalar(select(Sample).where(Sample.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(sample=str(public_id))
        return existing, False
    rules.check_layer(body.layer, body.authority, caller.roles)
    place_id = None if body.place is None else (await places.find_place(session, body.place)).id
    lab = None if body.lab is None else await commissions.laboratory(session, body.lab, now=now)
    taken_at = body.taken_at or now
    check_occurred(taken_at, now=now, pointer="/taken_at")
    if lot.made_on is not None:
        check_made(lot.made_on, taken_at, pointer="/taken_at")
    if lot.holder_id != caller.acting_party:
        await answers_for(session, lot, caller)
    if body.authority is Authority.AGRICULTURE:
        await _check_not_above(session, lot, caller)
    await _check_number(session, body.number, caller)
    draw = _drawn(lot, body, by=caller.acting_party)
    await _check_lot(session, lot, body, stands, now=now)
    sample = await _take(
        session,
        public_id,
        body,
        caller,
        draw,
        place_id=place_id,
        vault=vault,
        now=now,
        digest=digest,
    )
    if lab is not None:
        # It bears the sample's own id: they were told of in one breath.
        await commissions.write(
            session, public_id, sample, lab, caller, digest=digest, sent_at=taken_at, now=now
        )
    return sample, True


async def take_on_the_way(
    session: AsyncSession,
    public_id: UUID,
    body: SampleIn,
    caller: Caller,
    *,
    portions: Sequence[Portion],
    vault: Vault,
    now: datetime,
) -> Sample:
    """Take a sample of goods that a ticket brings to a gate.

    Its grams were drawn from the lot with the ticket, and the lot may be sold out: they leave the
    vehicle, and the buyer weighs what arrives. Whether the goods stand at the caller's gate, and
    how much of them, is for whoever calls this to know.

    Raises:
        UnknownLot, LayerNotYours, UnknownPlace, ImpossibleDate, SampleNumberTaken, SampleLimit: see
            `take`.
    """
    lot = (await lots.lock(session, [body.lot]))[body.lot]
    rules.check_layer(body.layer, body.authority, caller.roles)
    place_id = None if body.place is None else (await places.find_place(session, body.place)).id
    check_occurred(body.taken_at or now, now=now, pointer="/taken_at")
    await _check_number(session, body.number, caller)
    await _check_portions(session, body, portions, held=False, now=now)
    return await _take(
        session,
        public_id,
        body,
        caller,
        Draw(lot, body.mass_g),
        place_id=place_id,
        vault=vault,
        now=now,
        digest=digest_of({**body.model_dump(mode="json"), "by": str(caller.party_public_id)}),
        on_the_way=True,
    )


def _drawn(lot: LotState, body: SampleIn, *, by: int) -> Draw:
    if lot.holder_id is None:  # a walk-in's goods are eaten
        raise LotExhausted(lot=str(lot.public_id), remaining_g=0)
    pieces = lot.remaining_pieces if body.mass_g == lot.remaining_g else body.pieces
    draw = Draw(lot, body.mass_g, pieces)
    # A market may hold goods too: of its own it is no more than their holder.
    check_draw(draw, holder_id=lot.holder_id, held_too=lot.holder_id != by)
    return draw


async def _check_lot(
    session: AsyncSession,
    lot: LotState,
    body: SampleIn,
    stands: Portion | None,
    *,
    now: datetime,
) -> None:
    """Refuse too large a sample of a lot; its lock lets samplers count one by one.

    Holders count for themselves and markets together: nobody shall keep a market from a test by
    sampling first. Of a lot on hold counts what was sampled while it was.

    Raises:
        SampleLimit, HeldSampleLimit: it is more than a test needs.
    """
    taken_g = await session.scalar(
        select(func.coalesce(func.sum(Sample.mass_g), 0)).where(
            Sample.lot_id == lot.id,
            Sample.while_held if lot.holds else ~Sample.on_the_way,
            Sample.authority.is_(None),
            (Sample.layer == Layer.OWN) == (body.layer is Layer.OWN),
        )
    )
    taken_g = int(taken_g or 0)
    whole = Portion(lot.remaining_g + taken_g, taken_g)
    portions = [whole] if stands is None else [whole, stands]
    await _check_portions(session, body, portions, held=lot.holds > 0, now=now)


async def _check_portions(
    session: AsyncSession,
    body: SampleIn,
    portions: Sequence[Portion],
    *,
    held: bool,
    now: datetime,
) -> None:
    """Refuse a sample that is more than a test needs of any of these; offices take what they need.

    Raises:
        SampleLimit, HeldSampleLimit: it is.
    """
    if body.authority is not None:
        return
    known = await allowances(session)
    days = {local_date(body.taken_at or now), local_date(now)}
    for portion in portions:
        check_sample(known, body.layer, days, held=held, wanted_g=body.mass_g, portion=portion)


async def _check_not_above(session: AsyncSession, lot: LotState, caller: Caller) -> None:
    above = await session.scalars(
        select(Sample.jurisdiction).where(
            Sample.lot_id == lot.id,
            Sample.authority == Authority.AGRICULTURE,
            Sample.jurisdiction.is_not(None),
        )
    )
    mine = caller.jurisdiction or ""
    for theirs in above:
        if theirs is not None and mine != theirs and mine.startswith(theirs):
            raise rules.AlreadySampledAbove(lot=str(lot.public_id))


async def _check_number(session: AsyncSession, number: str, caller: Caller) -> None:
    if await numbered(session, number, party_id=caller.acting_party) is not None:
        raise rules.SampleNumberTaken(pointer="/number")


async def numbered(session: AsyncSession, number: str, *, party_id: int) -> Sample | None:
    """Find a party's sample by the number on its bag."""
    found: Sample | None = await session.scalar(
        select(Sample).where(Sample.taken_by == party_id, Sample.number == number)
    )
    return found


async def _take(
    session: AsyncSession,
    public_id: UUID,
    body: SampleIn,
    caller: Caller,
    draw: Draw,
    *,
    place_id: int | None,
    vault: Vault,
    now: datetime,
    digest: bytes,
    on_the_way: bool = False,
) -> Sample:
    lot, taken_at = draw.lot, body.taken_at or now
    assert lot.holder_id is not None, "nothing is drawn from a walk-in's goods"
    if not on_the_way:
        withdrawal = Withdrawal()
        withdrawal.take(draw)
        await lots.draw(session, withdrawal)
    event_id = await events.record(
        session,
        Happening(
            public_id=public_id,
            kind=EventKind.SAMPLE,
            occurred_at=taken_at,
            party_id=caller.acting_party,
            place_id=place_id,
            details={"lot": str(lot.public_id), "mass_g": draw.mass_g, "layer": body.layer},
        ),
        now=now,
    )
    sample = Sample(
        public_id=public_id,
        digest=digest,
        number=body.number,
        lot_id=lot.id,
        product_id=lot.product_id,
        holder_id=lot.holder_id,
        state=body.state,
        mass_g=draw.mass_g,
        layer=body.layer,
        authority=body.authority,
        jurisdiction=caller.jurisdiction,
        purpose=body.purpose,
        taken_by=caller.acting_party,
        place_id=place_id,
        samplers=sealed(vault, body.samplers, purpose=SAMPLERS),
        taken_at=taken_at,
        recorded_at=now,
        event_id=event_id,
        status=Status.SAMPLED,
        on_the_way=on_the_way,
        while_held=lot.holds > 0 and not on_the_way,
    )
    session.add(sample)
    await session.flush()
    await cases.note_step(session, sample, None, now=now)
    holder = (await parties.by_ids(session, [lot.holder_id]))[lot.holder_id]
    document = {
        "lot": str(lot.public_id),
        "holder": str(holder.public_id),
        "by": str(caller.party_public_id),
        "mass_g": str(draw.mass_g),
        "layer": body.layer,
        "t": taken_at.isoformat(),
    }
    kind = "sample.taken-on-the-way" if on_the_way else "sample.taken"
    await transparency.append(session, [Statement(kind, public_id, document)], now=now)
    return sample


def sealed(vault: Vault, names: Sequence[str], *, purpose: str) -> bytes | None:
    """Seal the names of people; None where nobody is named."""
    return vault.seal(orjson.dumps(list(names)).decode(), purpose=purpose) if names else None


def opened(vault: Vault, names: bytes | None, *, purpose: str) -> list[str]:
    """Open the names of people."""
    found: list[str] = [] if names is None else orjson.loads(vault.open(names, purpose=purpose))
    return found


async def check_reader(
    session: AsyncSession, lot: LotState, caller: Caller, answers_for: AnswersFor
) -> None:
    """Refuse whoever does not answer for a lot by its origin, its holder or its market.

    Raises:
        HoldNotYours: that is so.
    """
    if not may_supervise(caller, lot.division_code):
        await answers_for(session, lot, caller)


async def check_decides(
    session: AsyncSession, lot: LotState, caller: Caller, answers_for: AnswersFor
) -> None:
    """Refuse whoever is no office of a lot's origin, and does not answer for where it is.

    Raises:
        HoldNotYours: that is so.
    """
    if not governs(caller, lot.division_code):
        await answers_for(session, lot, caller)


async def check_may_send(
    session: AsyncSession, sample: Sample, lot: LotState, caller: Caller, answers_for: AnswersFor
) -> None:
    """Refuse whoever neither took a sample nor, as an office or market, answers for its lot.

    The holder of the goods must not choose who clears them, if he did not take the sample; nor must
    their market, if an office took it.

    Raises:
        OtherParty: the caller holds the goods, and somebody else sampled them.
        HoldNotYours: the caller has nothing to do with them.
        OtherParty: an office sampled them, and the caller is their market.
    """
    if sample.taken_by == caller.acting_party:
        return
    if lot.holder_id == caller.acting_party:
        raise OtherParty
    await check_decides(session, lot, caller, answers_for)
    if sample.authority is not None and not caller.is_office:
        raise OtherParty


async def find(session: AsyncSession, public_id: UUID) -> Sample:
    """Find a sample by its public id.

    Raises:
        UnknownSample: there is none.
    """
    sample = await session.scalar(select(Sample).where(Sample.public_id == public_id))
    if sample is None:
        raise rules.UnknownSample(sample=str(public_id))
    return sample


async def lock(session: AsyncSession, public_id: UUID) -> tuple[Sample, LotState]:
    """Lock the lot of a sample, under which all of the case changes, and read both.

    What its holder made of the lot is locked with it: a finding holds and lets go of all of it.

    Raises:
        UnknownSample: there is none.
    """
    sample = await find(session, public_id)
    lot = (await lots.lock_with_kept(session, [sample.lot_id]))[sample.lot_id]
    # What was read before the lock was ours may be old by now.
    await session.refresh(sample)
    return sample, lot


# --- tests ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FromDevice:
    """That a device pushed a test.

    Attributes:
        told_positive: What the device itself says.
        extra: What it says beside: limit as printed, position.
        digest: Tells whether a repeated record is the same.
    """

    source_id: int
    record_id: str
    told_positive: bool | None
    extra: dict[str, Any]
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Judgement:
    outcome: Outcome
    raw: dict[str, Any]
    items: list[dict[str, Any]]
    findings: list[dict[str, str]]
    repeats_due: int


async def record(
    session: AsyncSession,
    public_id: UUID,
    sample_id: UUID,
    body: TestIn,
    caller: Caller,
    *,
    vault: Vault,
    now: datetime,
    device: FromDevice | None = None,
) -> tuple[TestRow, Sample, bool]:
    """Record a test of a sample; what it finds holds the lot, or lets it go, at once.

    Returns:
        The test, its sample as it stands then, and whether the test is new.

    Raises:
        UnknownSample: there is none.
        IdReused: the id names another test.
        LabNotAccredited: a laboratory's report by somebody else.
        TestNotYours: the caller neither took the sample nor was sent it.
        UnknownPlace: there is no such place.
        ImpossibleDate, TestedTooEarly: it cannot have been tested then.
        RetestNotQuick, NoObjection, SameLab, SampleDecided: see `rules.check_test`.
        UnknownMethod, UnknownSubstance, ReadingMissing: see `rules.read_off`.
    """
    sample, lot = await lock(session, sample_id)
    digest = digest_of(
        {
            **body.model_dump(mode="json"),
            "sample": str(sample_id),
            "by": str(caller.party_public_id),
        }
    )
    existing = await session.scalar(select(TestRow).where(TestRow.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(test=str(public_id))
        return existing, sample, False
    place_id = await _check(session, sample, body, caller, now=now)
    earlier = await cases.tests_of(session, sample.id)
    objection = await cases.open_objection(session, sample.id)
    _check_case(sample, body, earlier, caller, objected=objection is not None)
    judged = await _judge(session, sample, body, device)
    test = TestRow(
        public_id=public_id,
        digest=digest if device is None else device.digest,
        sample_id=sample.id,
        source_id=None if device is None else device.source_id,
        maker_record_id=None if device is None else device.record_id,
        kind=body.kind,
        retest=body.retest,
        method=body.method,
        tested_by=caller.acting_party,
        testers=sealed(vault, body.testers, purpose=TESTERS),
        place_id=place_id,
        tested_at=body.tested_at or now,
        recorded_at=now,
        **asdict(judged),
    )
    session.add(test)
    await session.flush()
    await _state(session, test, sample, caller, now=now)
    if objection is not None and test.kind == TestKind.LAB:
        objection.answered_by = test.id
    await cases.settle(session, sample, lot, [*earlier, test], caller, now=now)
    return test, sample, True


async def _check(
    session: AsyncSession, sample: Sample, body: TestIn, caller: Caller, *, now: datetime
) -> int | None:
    """Refuse a tester, a place or an instant that cannot be; answer the place's internal id."""
    if body.kind is TestKind.LAB and RoleKind.LAB not in caller.roles:
        raise rules.LabNotAccredited
    if not await commissions.is_addressed(session, sample, caller.acting_party):
        raise rules.TestNotYours(sample=str(sample.public_id))
    place_id = None if body.place is None else (await places.find_place(session, body.place)).id
    tested_at = body.tested_at or now
    check_occurred(tested_at, now=now, pointer="/tested_at")
    if tested_at < sample.taken_at:
        raise rules.TestedTooEarly(pointer="/tested_at")
    return place_id


def _check_case(
    sample: Sample, body: TestIn, earlier: Sequence[TestRow], caller: Caller, *, objected: bool
) -> None:
    rules.check_test(
        kind=body.kind,
        retest=body.retest,
        status=Status(sample.status),
        objected=objected,
        lab=caller.acting_party,
        earlier_labs=(test.tested_by for test in earlier if test.kind == TestKind.LAB),
    )


async def _judge(
    session: AsyncSession, sample: Sample, body: TestIn, device: FromDevice | None
) -> _Judgement:
    known = await standards(session)
    days = await _days(session, sample)
    extra = {} if device is None else device.extra
    details = {
        "device_maker": None if body.device is None else body.device.maker,
        "device_sn": None if body.device is None else body.device.serial,
        "reagent": body.reagent,
        "reagent_batch": body.reagent_batch,
        "report_number": body.report_number,
        **extra,
    }
    raw = {name: value for name, value in details.items() if value is not None}
    if body.kind is TestKind.LAB:
        return await _judge_report(session, sample, body, known, days, raw)
    assert body.reading is not None, "the schema gives a quick test its reading"
    substance = None
    if body.reading.substance is not None:
        named = known.substance(body.reading.substance, pointer="/reading/substance")
        substance = named.name
    reading = QuickReading(
        substance=substance,
        value=body.reading.value,
        control_line=body.reading.control_line,
        test_line=body.reading.test_line,
        detected=body.reading.detected,
        told_positive=None if device is None else device.told_positive,
    )
    method, outcome = known.read_off(body.method, reading, days)
    raw["reading"] = {
        **body.reading.model_dump(mode="json", exclude_none=True),
        **({"substance": substance} if substance else {}),
        **({} if reading.told_positive is None else {"told_positive": reading.told_positive}),
    }
    raw["covers"] = list(method.covers) if method.covers else [substance] if substance else []
    raw["band"] = _band(method)
    findings = [*_findings(method, reading, outcome, sample), *_told_late(days)]
    return _Judgement(outcome, raw, [], findings, method.repeats)


async def _days(session: AsyncSession, sample: Sample) -> tuple[date, ...]:
    """Answer the days by whose methods and limits a sample is judged; more than one if told late.

    When the test was made chooses nothing: a sample is judged by its own day, which the books
    knew on the day that they heard of it.
    """
    told_late = late(await lateness(session), sample.taken_at, sample.recorded_at)
    return judged_on(sample.taken_at, told_late)


def _told_late(days: Sequence[date]) -> list[dict[str, str]]:
    if len(days) == 1:
        return []
    taken, told = days
    return [
        {
            "code": "told-late",
            "zh": f"样品登记过晚：按取样日 {taken} 和登记日 {told} 的规定分别判定，取较严者",
            "en": f"The sample was told of late: judged by the rules of {taken}, on which it is "
            f"said to have been taken, and of {told}, on which it was told; the graver counts",
        }
    ]


def _band(method: Method) -> dict[str, Any]:
    return {
        "suspect_from": None if method.suspect_from is None else str(method.suspect_from),
        "positive_from": None if method.positive_from is None else str(method.positive_from),
        "source": method.source,
        "verified": method.verified,
    }


def _findings(
    method: Method, reading: QuickReading, outcome: Outcome, sample: Sample
) -> list[dict[str, str]]:
    found = []
    prone = sample.product_id in method.interferes and method.advice is not None
    if outcome in {Outcome.SUSPECT, Outcome.POSITIVE} and prone:
        assert method.advice is not None, "it was just asked"
        found.append(("false-positive-crop", method.advice.zh, method.advice.en))
    if reading.value is not None and reading.value != rules.clamped(reading.value):
        found.append(
            (
                "value-out-of-range",
                "读数超出 0-100, 原值保留，显示时截断",
                "The value lies outside 0 to 100: kept raw, clamped where it is shown",
            )
        )
    if outcome is Outcome.INVALID and reading.control_line is not False:
        found.append(
            (
                "method-withdrawn",
                "登记之日该快检方法已停用，合格结果不作数，请用现行方法重测",
                "The method was withdrawn before the sample was told of: its pass says nothing",
            )
        )
    elif outcome is Outcome.INVALID:
        found.append(
            (
                "strip-invalid",
                "质控线（C线）未显色，结果无效，请更换试纸重测",
                "The control line is missing: the strip is invalid; test again with another",
            )
        )
    if (
        reading.told_positive is not None
        and reading.told_positive != (outcome in {Outcome.SUSPECT, Outcome.POSITIVE})
    ) or (reading.told_positive and outcome is Outcome.SUSPECT):
        found.append(_DISAGREES)
    return [{"code": code, "zh": zh, "en": en} for code, zh, en in found]


_DISAGREES = (
    "device-disagrees",
    "设备判定与本平台判定区间不一致，按较严者处理",
    "The device says otherwise than the bands in force; the graver counts",
)


async def _judge_report(
    session: AsyncSession,
    sample: Sample,
    body: TestIn,
    known: Standards,
    days: Sequence[date],
    raw: dict[str, Any],
) -> _Judgement:
    catalogue = await products.catalogue(session)
    product = catalogue.product(sample.product_id)
    food = Food(product.id, product.gb2763_category)
    items, judged = [], []
    for number, item in enumerate(body.items):
        pointer = f"/items/{number}/substance"
        substance = known.substance(item.substance, pointer=pointer).name
        rulings = [known.ruling(substance, food, State(sample.state), on) for on in days]
        ruling, verdict = judge_all(rulings, item.amount, item.unit)
        judged.append(JudgedItem(substance, item.amount is not None, verdict))
        items.append(_item(substance, item, verdict, ruling))
    return _Judgement(rules.of_report(judged), raw, items, _told_late(days), 0)


def _item(substance: str, item: ItemIn, verdict: ItemVerdict, ruling: Ruling) -> dict[str, Any]:
    return {
        "substance": substance,
        "amount": None if item.amount is None else spelled(item.amount),
        "unit": item.unit,
        "detection_limit": None if item.detection_limit is None else spelled(item.detection_limit),
        "method": item.method,
        "verdict": verdict,
        "limit": None if ruling.limit is None else limit_facts(ruling.limit),
    }


def spelled(amount: Decimal) -> str:
    """Write a number as people do: no exponent, no trailing zeros."""
    return f"{amount.normalize():f}"


def limit_facts(limit: Limit) -> dict[str, Any]:
    """Write a limit as a result keeps it: the data may change, and what was decided stays."""
    return {
        "food": limit.food,
        "scope": limit.scope,
        "state": limit.state,
        "limit": "不得检出" if limit.amount is None else f"{spelled(limit.amount)} {limit.unit}",
        "temporary": limit.temporary,
        "valid_from": limit.valid_from.isoformat(),
        "valid_to": None if limit.valid_to is None else limit.valid_to.isoformat(),
        "source": limit.source,
        "verified": limit.verified,
    }


async def _state(
    session: AsyncSession, test: TestRow, sample: Sample, caller: Caller, *, now: datetime
) -> None:
    """Append a test to the log: what it came to, and of whom nothing but the party."""
    document = {
        "sample": str(sample.public_id),
        "test_kind": test.kind,
        "retest": test.retest,
        "method": test.method,
        "outcome": test.outcome,
        "items": [
            {"substance": item["substance"], "verdict": item["verdict"]} for item in test.items
        ],
        "by": str(caller.party_public_id),
        "t": test.tested_at.isoformat(),
    }
    await transparency.append(
        session, [Statement("test.recorded", test.public_id, document)], now=now
    )


# --- how lots stand -------------------------------------------------------------------------------


def standings_sql(lots: str) -> str:
    """Write the statement that answers what samples of lots had come to at `:at`.

    The last step of each sample up to an instant counts: steps are appended, so that any past
    standing can be told as it was.

    Args:
        lots: An array of internal ids, as SQL; other packages make this part of a statement.
    """
    return f"""
        SELECT s.lot_id, s.public_id, s.layer, s.taken_at, last.status, last.at, last.kind = 'lab'
        FROM sample s
        CROSS JOIN LATERAL (
            SELECT step.status, step.at, t.kind FROM sample_step step
            LEFT JOIN test t ON t.id = step.test_id
            WHERE step.sample_id = s.id AND step.at <= :at ORDER BY step.id DESC LIMIT 1
        ) last
        WHERE s.lot_id = ANY({lots})
        ORDER BY s.id
    """  # noqa: S608 (written by us)


_STANDINGS = prepared(standings_sql("CAST(:lots AS bigint[])"))


async def standings(
    session: AsyncSession, lot_ids: Collection[int], at: datetime
) -> dict[int, Standing]:
    """Say how lots stood at an instant by their own samples; see `rules.inherit` for ancestors'.

    Args:
        session: The caller's session; one statement, however many lots.
        lot_ids: Internal ids.
        at: The instant; what was recorded later is left out.

    Returns:
        A standing for every lot that was asked for.
    """
    found = await all_standings(session, lot_ids, at)
    return {lot: rules.worst(of_lot) for lot, of_lot in found.items()}


async def all_standings(
    session: AsyncSession, lot_ids: Collection[int], at: datetime
) -> dict[int, list[Standing]]:
    """Say what each sample of lots had come to at an instant, in the order they were recorded."""
    rows = await fetch(session, _STANDINGS, {"lots": list(lot_ids), "at": at})
    return grouped(rows, lot_ids)


def grouped(rows: Iterable[Iterable[Any]], lot_ids: Iterable[int]) -> dict[int, list[Standing]]:
    """Put rows of `standings_sql` to their lots; each that was asked about has its list."""
    found: dict[int, list[Standing]] = {lot: [] for lot in lot_ids}
    for lot_id, sample, layer, taken_at, status, since, by_lab in rows:
        found[lot_id].append(
            Standing(
                verdict=rules.VERDICT_OF[Status(status)],
                status=Status(status),
                sample=sample,
                layer=Layer(layer),
                statutory=bool(by_lab),
                sampled_at=taken_at,
                decided_at=since,
            )
        )
    return found


# --- tests by their numbers -----------------------------------------------------------------------

_NAMED = prepared("""
    SELECT x.number, s.public_id, s.lot_id, s.product_id, s.holder_id, s.taken_by, s.taken_at, (
        SELECT step.status FROM sample_step step
        WHERE step.sample_id = s.id AND step.at <= :at ORDER BY step.id DESC LIMIT 1
    )
    FROM unnest(CAST(:numbers AS text[]), CAST(:ids AS uuid[])) AS x (number, id)
    CROSS JOIN LATERAL (
        SELECT id FROM sample WHERE number = x.number
        UNION SELECT sample_id FROM test WHERE raw ->> 'report_number' = x.number
        UNION SELECT id FROM sample WHERE public_id = x.id
        UNION SELECT sample_id FROM test WHERE public_id = x.id
    ) named
    JOIN sample s ON s.id = named.id
    ORDER BY s.id
""")


async def named(
    session: AsyncSession, numbers: Collection[str], at: datetime
) -> dict[str, list[NamedTest]]:
    """Say what numbers on papers stand for: of samples, of reports, or their ids here.

    Two samplers may have used one number; all that bear it are told.

    Args:
        session: The caller's session; one statement, however many numbers.
        numbers: As somebody typed them.
        at: The instant as of which the cases are asked.
    """
    if not numbers:
        return {}
    wanted = sorted(set(numbers))
    found: dict[str, list[NamedTest]] = defaultdict(list)
    parameters = {"numbers": wanted, "ids": [_uuid(number) for number in wanted], "at": at}
    for number, sample, lot, product, holder, taken_by, taken_at, status in await fetch(
        session, _NAMED, parameters
    ):
        known = None if status is None else Status(status)
        test = NamedTest(sample, lot, product, holder, taken_by, taken_at, known)
        found[number].append(test)
    return found


def _uuid(number: str) -> UUID | None:
    try:
        return UUID(number)
    except ValueError:
        return None
