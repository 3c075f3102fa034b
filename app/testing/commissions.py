"""To whom samples were sent: nobody else reports on them but whoever took them.

A sample's id stands on reports and in findings. Whoever knows it must not be able to decide the
case with a report of his own, accredited or not.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import IdReused
from app.event.rules import check_occurred
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller, RoleKind
from app.party.models import Party
from app.testing import rules
from app.testing.models import Sample, SampleCommission
from app.testing.schemas import CommissionIn
from app.transparency import service as transparency
from app.transparency.service import Statement

TESTERS_BY_TRADE = frozenset({RoleKind.LAB, RoleKind.QUICKTEST_POINT})


async def of_sample(session: AsyncSession, sample_id: int) -> Sequence[SampleCommission]:
    """List to whom a sample was sent, in the order in which it was told."""
    found = await session.scalars(
        select(SampleCommission)
        .where(SampleCommission.sample_id == sample_id)
        .order_by(SampleCommission.id)
    )
    return found.all()


async def is_addressed(session: AsyncSession, sample: Sample, party_id: int) -> bool:
    """Whether a party took a sample, or was sent it."""
    return sample.taken_by == party_id or any(
        sent.lab_id == party_id for sent in await of_sample(session, sample.id)
    )


async def laboratory(session: AsyncSession, public_id: UUID, *, now: datetime) -> Party:
    """Find whom a sample may be sent to.

    Raises:
        UnknownParty: there is no such party.
        NotALaboratory: it is neither a laboratory nor a test point today.
    """
    lab = await parties.find(session, public_id)
    if not await parties.role_kinds(session, lab.id, local_date(now)) & TESTERS_BY_TRADE:
        raise rules.NotALaboratory(pointer="/lab", lab=str(public_id))
    return lab


async def send(
    session: AsyncSession,
    public_id: UUID,
    sample: Sample,
    body: CommissionIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[SampleCommission, bool]:
    """Record that a sample goes to a laboratory; the sample's lot is locked.

    A re-test goes to another laboratory than the first test: a sample can be sent to several.

    Returns:
        The commission, and whether it is new.

    Raises:
        IdReused: the id names another commission.
        UnknownParty, NotALaboratory: nobody is there to send it to.
        ImpossibleDate, TestedTooEarly: it cannot have been sent then.
        AlreadyCommissioned: it was sent there before.
    """
    digest = digest_of(
        {
            **body.model_dump(mode="json"),
            "sample": str(sample.public_id),
            "by": str(caller.party_public_id),
        }
    )
    existing = await session.scalar(
        select(SampleCommission).where(SampleCommission.public_id == public_id)
    )
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(commission=str(public_id))
        return existing, False
    lab = await laboratory(session, body.lab, now=now)
    sent_at = body.sent_at or now
    check_occurred(sent_at, now=now, pointer="/sent_at")
    if sent_at < sample.taken_at:
        raise rules.TestedTooEarly(pointer="/sent_at")
    if any(sent.lab_id == lab.id for sent in await of_sample(session, sample.id)):
        raise rules.AlreadyCommissioned(sample=str(sample.public_id), lab=str(body.lab))
    made = await write(
        session, public_id, sample, lab, caller, digest=digest, sent_at=sent_at, now=now
    )
    return made, True


async def write(
    session: AsyncSession,
    public_id: UUID,
    sample: Sample,
    lab: Party,
    caller: Caller,
    *,
    digest: bytes,
    sent_at: datetime,
    now: datetime,
) -> SampleCommission:
    """Keep a commission that was found to be in order."""
    made = SampleCommission(
        public_id=public_id,
        digest=digest,
        sample_id=sample.id,
        lab_id=lab.id,
        sent_by=caller.acting_party,
        sent_at=sent_at,
        recorded_at=now,
    )
    session.add(made)
    await session.flush()
    document = {
        "sample": str(sample.public_id),
        "lab": str(lab.public_id),
        "by": str(caller.party_public_id),
        "t": sent_at.isoformat(),
    }
    await transparency.append(session, [Statement("sample.sent", public_id, document)], now=now)
    return made
