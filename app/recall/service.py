"""Places and releases holds, destroys goods, and tells the parties concerned."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import service as certificates
from app.core.clock import local_date
from app.core.errors import IdReused
from app.evidence import service as evidence
from app.hold import service as holds
from app.hold.models import Hold, HoldRelease
from app.hold.rules import HoldCause, HoldReleased, NoticeKind, Order
from app.lot import changes
from app.lot import service as lots
from app.lot.changes import ChangeDraft, Policy
from app.lot.models import Lot, LotChange
from app.lot.rules import LotState
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Audience, Caller
from app.product import service as products
from app.recall import authority, rules
from app.recall.opening import SCOPE_LOTS_MAX, be_patient
from app.recall.schemas import HoldIn, HoldOut, HoldReleaseIn, HoldReleaseOut
from app.testing import service as samples
from app.trace import queries as traces


async def place(
    session: AsyncSession, public_id: UUID, body: HoldIn, caller: Caller, *, now: datetime
) -> tuple[Hold, bool]:
    """Hold a lot, as whoever answers for it.

    The balance is locked first, so that a hand-over either was complete before the hold, or is
    refused by it.

    Returns:
        The hold, and whether it is new.

    Raises:
        UnknownLot: there is no such lot.
        IdReused: the id names another hold.
        HoldNotYours: the caller does not answer for the lot.
    """
    lot = (await lots.lock(session, [body.lot]))[body.lot]
    order = _order(public_id, body.lot, body.reason, caller)
    existing = await holds.repeated(session, order)
    if existing is not None:
        return existing, False
    await authority.check_may_hold(session, lot, caller)
    return await holds.place(session, order, lot, now=now), True


async def release(
    session: AsyncSession, public_id: UUID, reason: str, caller: Caller, *, now: datetime
) -> tuple[Hold, bool]:
    """End a hold; the lot moves again once the last one on it has ended.

    Returns:
        The hold, and whether it was in force until now.

    Raises:
        UnknownHold: there is none.
        HoldRestsOnTest: a test holds the lot, and the caller is no office of supervision.
        HoldNotYours: the caller neither placed it nor answers for the lot.
        HoldReleased: it was released by somebody else, or for another reason.
    """
    hold = await holds.lock(session, public_id)
    lot = (await lots.states_by_id(session, [hold.lot_id]))[hold.lot_id]
    if hold.cause == HoldCause.TEST and Audience.REGULATOR not in caller.audiences:
        raise rules.HoldRestsOnTest(hold=str(public_id), sample=str(hold.subject))
    if not await _may_release(session, hold, lot, caller):
        raise rules.HoldNotYours(lot=str(lot.public_id))
    if hold.released_at is not None and (hold.released_by, hold.release_reason) != (
        caller.acting_party,
        reason,
    ):
        raise HoldReleased(hold=str(public_id), released_at=hold.released_at.isoformat())
    order = _order(public_id, lot.public_id, reason, caller)
    return hold, await holds.release(session, hold, order, now=now)


async def _may_release(session: AsyncSession, hold: Hold, lot: LotState, caller: Caller) -> bool:
    """Whether somebody placed a hold, or is the office that answers for its lot."""
    return hold.placed_by == caller.party_id or await authority.answers_for(session, lot, caller)


async def release_all(
    session: AsyncSession, public_id: UUID, body: HoldReleaseIn, caller: Caller, *, now: datetime
) -> tuple[HoldRelease, bool]:
    """End all holds of a finding at once, or none of them.

    A finding holds its lot and what the holder split off it, merged or moved. All of these are
    locked first, so that what is held is what is looked at.

    Returns:
        The release, and whether it is new.

    Raises:
        UnknownSample: there is none.
        IdReused: the id names another release.
        HoldRestsOnTest: the caller is no office of supervision.
        NothingHeld: the finding holds nothing, or nothing more.
        HoldNotYours: the caller answers for some of the lots only; `refused` names the others.
    """
    sample, lot = await samples.lock(session, body.sample)
    digest = digest_of({**body.model_dump(mode="json"), "by": str(caller.acting_public_id)})
    existing = await session.scalar(select(HoldRelease).where(HoldRelease.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(release=str(public_id))
        return existing, False
    if Audience.REGULATOR not in caller.audiences:
        raise rules.HoldRestsOnTest(sample=str(body.sample))
    held = {part.id: part for part in (lot, *await lots.kept(session, lot))}
    found = await holds.in_force_of(session, sample.public_id, held)
    if not found:
        raise rules.NothingHeld(sample=str(body.sample))
    refused = [
        {"hold": str(hold.public_id), "lot": str(held[hold.lot_id].public_id)}
        for hold in found
        if not await _may_release(session, hold, held[hold.lot_id], caller)
    ]
    if refused:
        raise rules.HoldNotYours(sample=str(body.sample), holds=len(found), refused=refused)
    release = HoldRelease(
        public_id=public_id,
        digest=digest,
        subject=sample.public_id,
        party_id=caller.acting_party,
        reason=body.reason,
        released_at=now,
    )
    session.add(release)
    await session.flush()
    for hold in found:
        hold.release_id = release.id
        order = _order(hold.public_id, held[hold.lot_id].public_id, body.reason, caller)
        await holds.release(session, hold, order, now=now)
    return release, True


async def describe_release(session: AsyncSession, release: HoldRelease) -> HoldReleaseOut:
    """Write a release as it goes out, with the holds that it ended, oldest first."""
    found = await session.scalars(
        select(Hold).where(Hold.release_id == release.id).order_by(Hold.id)
    )
    by = (await parties.by_ids(session, [release.party_id]))[release.party_id]
    return HoldReleaseOut(
        release=release.public_id,
        sample=release.subject,
        by=by.public_id,
        reason=release.reason,
        released_at=release.released_at,
        holds=await describe(session, found.all()),
    )


# --- destructions -----------------------------------------------------------------------------

_RECALL_OF = text("""
    SELECT r.public_id FROM recall_lot s JOIN recall r ON r.id = s.recall_id
    WHERE s.lot_id = ANY(CAST(:lots AS bigint[])) AND r.closed_at IS NULL AND NOT r.mock
    ORDER BY r.id LIMIT 1
""")


async def destroy(
    session: AsyncSession, draft: ChangeDraft, photos: Collection[UUID], *, now: datetime
) -> tuple[LotChange, bool]:
    """Destroy goods outside any recall, as their holder.

    The balance is locked before the cases are looked at: a recall that is being opened either finds
    the goods gone, or refuses to let them go without proof of their disposal.

    Returns:
        The change, and whether it is new.

    Raises:
        UnknownLot: there is no such lot.
        UnknownEvidence: there is no such photo of the holder's.
        LotUnderRecall: an open case has to say what becomes of it.
        DestructionNeedsProof: it is on hold, and photos or the witness are missing.
        IdReused, ImpossibleDate, MadeTooEarly, NotHolder, LotExhausted: see `changes.apply`.
        EvidenceReused: a photo proved another disposal before.
    """
    found = await lots.lock(session, (item.lot for item in draft.inputs))
    if await changes.is_made(session, draft.public_id):
        photos = ()  # Whether they are the caller's is not asked again of what was taken already.
    images = await evidence.of_party(session, photos, draft.holder_id)
    recall = await session.scalar(_RECALL_OF, {"lots": [lot.id for lot in found.values()]})
    hashes = sorted(image.content_sha256.hex() for image in images.values())
    shown = replace(draft, details={**draft.details, "evidence": hashes}) if hashes else draft
    policy = Policy(recall=recall, proved=bool(hashes) and "witness" in draft.words)
    catalogue = await products.catalogue(session)
    request = changes.removing(shown, policy)
    change, created = await changes.apply(session, request, catalogue=catalogue, now=now)
    await evidence.prove(session, images.values(), draft.public_id)
    return change, created


def _order(public_id: UUID, lot: UUID, reason: str, caller: Caller) -> Order:
    return Order(
        public_id=public_id,
        lot=lot,
        party_id=caller.acting_party,
        party=caller.acting_public_id,
        reason=reason,
    )


# Whoever holds any of the lots, and whoever has been sold some of them and not answered yet.
_CONCERNED = text("""
    SELECT holder_id FROM lot
    WHERE id = ANY(CAST(:lots AS bigint[])) AND holder_id IS NOT NULL
    UNION
    SELECT t.buyer_id FROM ticket_draw d
    JOIN ticket t ON t.id = d.ticket_id
    JOIN ticket_state s ON s.ticket_id = t.id AND s.status = 'issued'
    WHERE d.lot_id = ANY(CAST(:lots AS bigint[])) AND t.buyer_id IS NOT NULL
""")


async def _reached(session: AsyncSession, lot_id: int) -> tuple[Collection[int], set[int]]:
    """Answer everything that a lot went into, and the parties concerned."""
    await be_patient(session)
    reached = await traces.ahead(session, [lot_id], limit=SCOPE_LOTS_MAX)
    rows = await session.execute(_CONCERNED, {"lots": list(reached)})
    return reached, set(rows.scalars())


async def tell_of_failed_test(session: AsyncSession, sample_id: UUID, *, now: datetime) -> int:
    """Tell of a sample that is confirmed to have failed.

    Everybody is told who holds goods out of its lot, or is about to get some; and the offices that
    answer for the lot, with how far a recall would reach, for it is theirs to open one.

    Returns:
        How many parties hold such goods.
    """
    sample = await samples.find(session, sample_id)
    reached, concerned = await _reached(session, sample.lot_id)
    facts = {"product": sample.product_id, "number": sample.number}
    await holds.tell(session, NoticeKind.TEST_FAILED, sample_id, concerned, facts, now)
    lot = (await lots.states_by_id(session, [sample.lot_id]))[sample.lot_id]
    offices: set[int] = set()
    for department, codes in (await authority.answering(session, lot)).items():
        offices |= await authority.offices_of(
            session, codes, on=local_date(now), department=department
        )
    due = {**facts, "lot": lot.public_id, "lots": len(reached), "parties": len(concerned)}
    await holds.tell(session, NoticeKind.RECALL_DUE, sample_id, offices, due, now)
    return len(concerned)


async def tell_of_voided_certificate(
    session: AsyncSession, certificate_id: UUID, *, now: datetime
) -> int:
    """Tell everybody who holds goods under a certificate, or is about to, that it was taken back.

    Returns:
        How many parties hold such goods.
    """
    certificate = await certificates.find(session, certificate_id)
    _, concerned = await _reached(session, certificate.lot_id)
    told = concerned - {certificate.issuer_id}
    facts = {"product": certificate.product_id, "code": certificate.code}
    await holds.tell(session, NoticeKind.CERTIFICATE_VOIDED, certificate_id, told, facts, now)
    return len(told)


async def describe(session: AsyncSession, found: Sequence[Hold]) -> list[HoldOut]:
    """Write holds as they go out."""
    states = await lots.states_by_id(session, (hold.lot_id for hold in found))
    named = await parties.by_ids(
        session,
        {party for hold in found for party in (hold.placed_by, hold.released_by) if party},
    )
    return [
        HoldOut(
            hold=hold.public_id,
            lot=states[hold.lot_id].public_id,
            placed_by=named[hold.placed_by].public_id,
            reason=hold.reason,
            cause=HoldCause(hold.cause),
            subject=hold.subject,
            placed_at=hold.placed_at,
            released_by=None if hold.released_by is None else named[hold.released_by].public_id,
            release_reason=hold.release_reason,
            released_at=hold.released_at,
        )
        for hold in found
    ]


async def concerning(session: AsyncSession, caller: Caller, *, most: int) -> Sequence[Hold]:
    """List the holds that a party placed, or that are on lots it holds, newest first."""
    party = caller.acting_party
    holdings = select(Lot.id).where(Lot.holder_id == party)
    found = await session.scalars(
        select(Hold)
        .where((Hold.placed_by == party) | Hold.lot_id.in_(holdings))
        .order_by(Hold.id.desc())
        .limit(most)
    )
    return found.all()
