"""Quick tests that a gate enters: finds the lots that the goods are of, and tests each of them."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission.gate import Clocking, UnknownInspection, happened_at
from app.admission.models import Inspection, InspectionLine
from app.admission.policy import Decision
from app.bundle.device import NoLotToTest
from app.bundle.models import Device, GateSample
from app.bundle.schemas import QuickTestIn, QuickTestOut, WaitingLine
from app.certificate import service as certificates
from app.core.sealing import Vault
from app.lot import service as lots
from app.lot.rules import LotState
from app.party.access import Caller
from app.place import service as places
from app.product import service as products
from app.testing import cases
from app.testing import service as testing
from app.testing.allowances import Portion
from app.testing.models import Sample, TestRow
from app.testing.rules import (
    Outcome,
    SampleNumberTaken,
    SamplePurpose,
    Status,
    TestKind,
    UnknownSample,
    gravest,
    repeats_left,
)
from app.testing.schemas import SampleIn, TestIn
from app.ticket import service as tickets
from app.ticket.models import TicketDraw


async def record(
    session: AsyncSession,
    device: Device,
    public_id: UUID,
    body: QuickTestIn,
    caller: Caller,
    *,
    sent_at: datetime,
    vault: Vault,
    new_id: Callable[[], UUID],
    now: datetime,
) -> QuickTestOut:
    """Record a sample of a line's goods, and what a quick method showed of it.

    What is mixed on a ticket is tested together: each lot of it gets a sample of its own, for a
    finding holds them all.

    Raises:
        UnknownInspection: the device's market inspected no such line.
        UnknownSample: no line is named, and the number is new.
        NoLotToTest: the goods have no lot in the books.
        SampleNumberTaken: the number stands for a sample of other goods.
        LayerNotYours, SampleLimit, HeldSampleLimit, UnknownMethod, UnknownSubstance,
        ReadingMissing, RetestNotQuick: as for any sample and test.
    """
    line = None if body.line is None else await _line(session, device, body.line)
    goods = await _goods(session, line, body, caller)
    place = (await places.by_ids(session, [device.place_id]))[device.place_id]
    at = happened_at(Clocking(now, body.device_at, sent_at))
    ids = [public_id, *(new_id() for _ in goods[1:])]
    for no, (lot, test_id) in enumerate(zip(goods, ids, strict=True), start=1):
        number = numbered(body.number, no)
        sample = await testing.numbered(session, number, party_id=caller.acting_party)
        if sample is None:
            taken = SampleIn(
                lot=lot.public_id,
                number=number,
                mass_g=body.mass_g,
                layer=body.layer,
                purpose=SamplePurpose.ENTRY,
                place=place.public_id,
                taken_at=at,
                samplers=[body.tester],
            )
            assert line is not None, "goods without a line are those of a sample"
            sample = await _take(session, line, new_id(), taken, caller, vault=vault, now=now)
        elif sample.lot_id != lot.id:
            raise SampleNumberTaken(pointer="/number")
        if body.measured is None:
            continue
        # Clocks are set right anew with every upload, a moment this way or that.
        tested_at = max(at, sample.taken_at)
        test = TestIn(
            kind=TestKind.QUICK,
            method=body.measured.method,
            tested_at=tested_at,
            device=body.measured.device,
            reading=body.measured.reading,
            testers=[body.tester],
        )
        await testing.record(session, test_id, sample.public_id, test, caller, vault=vault, now=now)
    return await told(session, public_id, body, caller)


# What stands there is what the device did, or the last ruling; a sample of any of its lots will do.
_WAITING = text("""
    SELECT l.public_id, l.product_id, i.plate, i.inspected_at,
        coalesce(r.decision, l.decided_offline, l.decision) AS stands_at
    FROM inspection i
    JOIN inspection_line l ON l.inspection_id = i.id
    LEFT JOIN LATERAL (
        SELECT decision FROM ruling WHERE line_id = l.id ORDER BY id DESC LIMIT 1
    ) r ON true
    WHERE i.market_id = :market AND i.party_id = :party AND i.inspected_at >= :since
        AND l.ticket_id IS NOT NULL
        AND coalesce(r.decision, l.decided_offline, l.decision) IN ('HOLD', 'ADMIT_AFTER_TEST')
        AND NOT EXISTS (
            SELECT FROM ticket_draw d JOIN sample s ON s.lot_id = d.lot_id
            WHERE d.ticket_id = l.ticket_id AND s.taken_by = :party
                AND s.recorded_at >= i.received_at
        )
    ORDER BY i.inspected_at DESC, l.id DESC LIMIT :most
""")


async def waiting(
    session: AsyncSession, device: Device, *, since: datetime, most: int
) -> list[WaitingLine]:
    """List the goods at a market that wait for a test, the latest first."""
    rows = await session.execute(
        _WAITING,
        {"market": device.market_id, "party": device.party_id, "since": since, "most": most},
    )
    catalogue = await products.catalogue(session)
    return [
        WaitingLine(
            line=line,
            product=product,
            product_name="" if product is None else catalogue.product(product).name,
            plate=plate,
            decision=Decision(decision),
            inspected_at=at,
        )
        for line, product, plate, at, decision in rows
    ]


def numbered(number: str, no: int) -> str:
    """Write a sample's number for one of the lots that were mixed."""
    return number if no == 1 else f"{number}/{no}"


async def told(
    session: AsyncSession, public_id: UUID, body: QuickTestIn, caller: Caller
) -> QuickTestOut:
    """Say where the goods of a test stand by now."""
    samples = await _samples(session, body.number, caller)
    left = [
        repeats_left([cases.fact_of(test) for test in await cases.tests_of(session, sample.id)])
        for sample in samples
    ]
    outcome = await session.scalar(select(TestRow.outcome).where(TestRow.public_id == public_id))
    return QuickTestOut(
        number=body.number,
        outcome=None if outcome is None else Outcome(outcome),
        status=gravest(Status(sample.status) for sample in samples),
        repeats_left=max(left),
    )


async def _samples(session: AsyncSession, number: str, caller: Caller) -> list[Sample]:
    """Find the samples of a number: one for each lot that was mixed."""
    found: list[Sample] = []
    while True:
        called = numbered(number, len(found) + 1)
        sample = await testing.numbered(session, called, party_id=caller.acting_party)
        if sample is None:
            return found
        found.append(sample)


async def _line(session: AsyncSession, device: Device, public_id: UUID) -> InspectionLine:
    line: InspectionLine | None = await session.scalar(
        select(InspectionLine)
        .join(Inspection, Inspection.id == InspectionLine.inspection_id)
        .where(
            InspectionLine.public_id == public_id,
            Inspection.market_id == device.market_id,
            Inspection.party_id == device.party_id,
        )
    )
    if line is None:
        raise UnknownInspection(line=str(public_id))
    return line


async def _goods(
    session: AsyncSession, line: InspectionLine | None, body: QuickTestIn, caller: Caller
) -> list[LotState]:
    """Lock the lots that the goods of a line or of a former sample are of, oldest first."""
    if line is None:
        former = await _samples(session, body.number, caller)
        if not former:
            raise UnknownSample(pointer="/number", sample=body.number)
        held = await lots.lock_with_kept(session, {one.lot_id for one in former})
        return list(held.values())
    product = body.product or line.product_id
    found: set[int] = set()
    if line.ticket_id is not None:
        found = {draw.lot_id for draw in await _draws(session, line.ticket_id, product)}
    elif line.certificate_id is not None:
        (certificate,) = await certificates.by_ids(session, [line.certificate_id])
        found = {certificate.lot_id}
    if not found:
        raise NoLotToTest(line=str(line.public_id))
    return list((await lots.lock_with_kept(session, found)).values())


async def _take(
    session: AsyncSession,
    line: InspectionLine,
    public_id: UUID,
    body: SampleIn,
    caller: Caller,
    *,
    vault: Vault,
    now: datetime,
) -> Sample:
    """Take a sample of goods that stand at the gate, whoever holds their lot."""
    stands, *more = await _standing(session, line, body.lot)
    if line.ticket_id is not None:
        sample = await testing.take_on_the_way(
            session, public_id, body, caller, portions=[stands, *more], vault=vault, now=now
        )
    else:

        async def stands_here(_session: AsyncSession, _lot: LotState, _caller: Caller) -> None:
            """Let the market sample what was inspected at its own gate."""

        sample, _ = await testing.take(
            session,
            public_id,
            body,
            caller,
            answers_for=stands_here,
            vault=vault,
            now=now,
            stands=stands,
        )
    session.add(GateSample(sample_id=sample.id, line_id=line.id))
    await session.flush()
    return sample


# What was sampled of a line, and of all loads that came on its ticket; the lots' locks let samplers
# count one by one, for all lots of a product are locked together.
_SAMPLED = text("""
    SELECT coalesce(sum(s.mass_g) FILTER (WHERE g.line_id = :line), 0),
        coalesce(sum(s.mass_g) FILTER (WHERE s.lot_id = :lot), 0)
    FROM gate_sample g
    JOIN inspection_line l ON l.id = g.line_id
    JOIN sample s ON s.id = g.sample_id
    WHERE s.product_id = :product AND (l.id = :line OR l.ticket_id = :ticket)
""")


async def _standing(session: AsyncSession, line: InspectionLine, lot_id: UUID) -> list[Portion]:
    """Say what stands on a line of a lot's product, and what its ticket brings of the lot.

    An inspector may write down any grams, and inspect a document as often as he likes: all loads of
    a ticket stand for no more than it drew, and a line of a certificate for no more than that.
    """
    lot = (await lots.lock(session, [lot_id]))[lot_id]
    sampled = await session.execute(
        _SAMPLED,
        {
            "line": line.id,
            "lot": lot.id,
            "product": lot.product_id,
            "ticket": line.ticket_id,
        },
    )
    of_line_g, of_lot_g = map(int, sampled.one())
    assert line.mass_g is not None, "a document of ours says for how many grams it is"
    if line.ticket_id is None:
        assert line.certificate_id is not None, "goods without a lot are not sampled here"
        (certificate,) = await certificates.by_ids(session, [line.certificate_id])
        return [Portion(min(line.mass_g, certificate.mass_g), of_line_g)]
    draws = await _draws(session, line.ticket_id, lot.product_id)
    drawn_g = sum(draw.mass_g for draw in draws if draw.lot_id == lot.id)
    return [Portion(line.mass_g, of_line_g), Portion(drawn_g, of_lot_g)]


async def _draws(session: AsyncSession, ticket_id: int, product: int | None) -> list[TicketDraw]:
    """List what a ticket drew of a product."""
    lines = await tickets.lines_of(session, ticket_id)
    of_product = {sold.no for sold in lines if sold.product_id == product}
    draws = await tickets.draws_of(session, ticket_id)
    return [draw for draw in draws if draw.line_no in of_product]
