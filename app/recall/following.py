"""What follows the opening of a recall: acknowledgements, grams, disposals, and the sign-off.

Whoever writes locks the case for sharing, then its lots, then their balances; whoever closes it
locks the case alone. So nothing is recorded in a case that is being closed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid5

from sqlalchemy import func, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.schemas import In
from app.event import service as events
from app.event.rules import EventKind, ImpossibleDate, check_occurred
from app.event.service import Happening
from app.evidence import service as evidence
from app.hold import service as holds
from app.hold.rules import NoticeKind
from app.lot import changes
from app.lot import service as lots
from app.lot.changes import ChangeDraft, Input, Policy
from app.lot.models import Lot
from app.lot.rules import ChangeKind, UnknownLot
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller, governs
from app.product import service as products
from app.recall import authority, queries, rules
from app.recall.models import (
    Recall,
    RecallDisposal,
    RecallDisposalLot,
    RecallForwarding,
    RecallLot,
    RecallNotice,
    RecallSignOff,
    RecallStep,
)
from app.recall.opening import be_patient, commit_to, exercise
from app.recall.rules import LotAccount, Method, Outcome, StepKind
from app.recall.schemas import (
    AcknowledgementIn,
    ClosureIn,
    DisposalIn,
    ForwardingIn,
    SignOffIn,
    StepIn,
)
from app.transparency import service as transparency
from app.transparency.service import Statement

Record = TypeVar("Record", RecallStep, RecallDisposal, RecallForwarding, RecallSignOff)


async def open_case(session: AsyncSession, public_id: UUID, *, alone: bool = False) -> Recall:
    """Lock a case: for sharing with others who record in it, or alone to close it.

    Raises:
        UnknownRecall: there is none.
    """
    recall = await session.scalar(
        select(Recall)
        .where(Recall.public_id == public_id)
        .with_for_update(read=not alone)
        .execution_options(populate_existing=True)
    )
    if recall is None:
        raise rules.UnknownRecall(recall=str(public_id))
    return recall


def _digest(body: In, recall: UUID, caller: Caller) -> bytes:
    content = {**body.model_dump(mode="json"), "recall": str(recall)}
    return digest_of({**content, "by": str(caller.acting_public_id)})


async def _repeated(
    session: AsyncSession, table: type[Record], public_id: UUID, digest: bytes
) -> Record | None:
    found = await session.scalar(select(table).where(table.public_id == public_id))
    if found is not None and found.digest != digest:
        raise IdReused(id=str(public_id))
    return found


def check_open(recall: Recall) -> None:
    """Refuse to record anything more in a case that was signed off.

    Raises:
        RecallClosed: it was.
    """
    if recall.closed_at is not None:
        raise rules.RecallClosed(outcome=recall.outcome)


def _check_in_case(recall: Recall, at: datetime, *, pointer: str) -> None:
    """Refuse what is said to have been done about a danger before anybody knew of it.

    Raises:
        ImpossibleDate: that is so.
    """
    # People tell the minute.
    if at < recall.known_at.replace(second=0, microsecond=0):
        raise ImpossibleDate(pointer=pointer)


async def _check_speaks_for(
    session: AsyncSession,
    recall: Recall,
    caller: Caller,
    holders: Iterable[int | None],
    *,
    on: date,
) -> None:
    """Refuse whoever neither holds the goods, nor leads the case, nor is the office over them.

    Raises:
        RecallNotYours: the goods are another's.
    """
    others = set(holders) - {caller.party_id}
    if not others or await queries.leads(session, recall, caller, on=on):
        return
    known = await parties.by_ids(session, {party for party in others if party is not None})
    for party in others:
        if party is None or not governs(caller, known[party].division_code):
            raise rules.RecallNotYours(recall=str(recall.public_id))


@dataclass(frozen=True, slots=True)
class _Found:
    """A lot of a case, locked, and who speaks for it: its holder, or who sold it to a walk-in."""

    lot: RecallLot
    speaker: int | None


async def _anothers(
    session: AsyncSession, scope: Iterable[RecallLot], caller: Caller
) -> set[int | None]:
    """Answer the holders of lots whose word, and an office's, counts, and not the caller's.

    Nobody holds what walk-ins took, and whoever was only invited cannot sign in yet.
    """
    if caller.is_office:
        return set()
    others = {lot.holder_id for lot in scope if lot.holder_id is not None} - {caller.party_id}
    known = await parties.by_ids(session, others)
    return {party.id for party in known.values() if party.status != "invited"}


async def _check_own_disposal(
    session: AsyncSession,
    recall: Recall,
    caller: Caller,
    found: dict[UUID, _Found],
    grams: dict[UUID, int],
) -> None:
    """Refuse a business that disposes of more of another's goods than came back to it.

    Raises:
        HoldersOwnWord: that is so.
    """
    holders = await _anothers(session, (one.lot for one in found.values()), caller)
    anothers = {
        public_id: one.lot.lot_id
        for public_id, one in found.items()
        if one.lot.holder_id in holders
    }
    if not anothers:
        return
    back = select(RecallStep.lot_id, RecallStep.mass_g).where(
        RecallStep.recall_id == recall.id,
        RecallStep.lot_id.in_(anothers.values()),
        RecallStep.kind == StepKind.RECOVERED,
        RecallStep.party_id == caller.party_id,
    )
    done = (
        select(RecallDisposalLot.lot_id, -RecallDisposalLot.mass_g)
        .join(RecallDisposal, RecallDisposal.id == RecallDisposalLot.disposal_id)
        .where(
            RecallDisposalLot.recall_id == recall.id,
            RecallDisposalLot.lot_id.in_(anothers.values()),
            RecallDisposal.party_id == caller.party_id,
        )
    )
    left_g: Counter[int] = Counter()
    for lot_id, mass_g in (await session.execute(union_all(back, done))).all():
        left_g[lot_id] += mass_g
    for public_id, lot_id in anothers.items():
        if grams[public_id] > left_g[lot_id]:
            raise rules.HoldersOwnWord(lot=str(public_id), left_g=left_g[lot_id])


async def _lots(
    session: AsyncSession, recall: Recall, public_ids: Iterable[UUID]
) -> dict[UUID, _Found]:
    """Lock lots of a case, oldest first.

    Raises:
        UnknownLot: there is no such lot.
        NotInScope: it is not in the case.
    """
    wanted = list(dict.fromkeys(public_ids))
    speaker = func.coalesce(Lot.holder_id, Lot.from_party_id)
    rows = await session.execute(
        select(Lot.public_id, Lot.id, speaker).where(Lot.public_id.in_(wanted))
    )
    known: dict[UUID, tuple[int, int | None]] = {row[0]: (row[1], row[2]) for row in rows}
    for public_id in wanted:
        if public_id not in known:
            raise UnknownLot(lot=str(public_id))
    scope = await session.scalars(
        select(RecallLot)
        .where(
            RecallLot.recall_id == recall.id,
            RecallLot.lot_id.in_(lot_id for lot_id, _ in known.values()),
        )
        .order_by(RecallLot.lot_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    by_id = {row.lot_id: row for row in scope}
    for public_id in wanted:
        if known[public_id][0] not in by_id:
            raise rules.NotInScope(lot=str(public_id))
    return {
        public_id: _Found(by_id[known[public_id][0]], known[public_id][1]) for public_id in wanted
    }


def account(lot: RecallLot) -> LotAccount:
    """Answer what there was of a lot, and what became of it."""
    return LotAccount(
        on_hand_g=lot.on_hand_g,
        in_transit_g=lot.in_transit_g,
        gone_g=lot.gone_g,
        located_g=lot.located_g,
        recovered_g=lot.recovered_g,
        destroyed_g=lot.destroyed_g,
        remedied_g=lot.remedied_g,
        consumed_g=lot.consumed_g,
        held=lot.holder_id is not None,
    )


# --- acknowledgements -------------------------------------------------------------------------


async def acknowledge(
    session: AsyncSession,
    public_id: UUID,
    party: UUID,
    body: AcknowledgementIn,
    caller: Caller,
    *,
    now: datetime,
) -> RecallNotice:
    """Note that a notice arrived, said by whoever got it, or by an office that went there.

    Raises:
        UnknownRecall: there is none.
        NotInScope: the party, or a lot, is not in the case.
        RecallNotYours: the caller speaks for another party, or names lots of others.
        RecallAcknowledged: it was acknowledged before, by somebody else or with other words.
        RecallClosed: the case is closed.
        HoldersOwnWord: a business says what another holder has located.
        GramsDiffer: more would be located than there was.
    """
    recall = await open_case(session, public_id)
    told = await parties.find(session, party)
    notice = await session.scalar(
        select(RecallNotice)
        .where(RecallNotice.recall_id == recall.id, RecallNotice.party_id == told.id)
        .with_for_update()
    )
    if notice is None:
        raise rules.NotInScope(party=str(party))
    await _check_speaks_for(session, recall, caller, {told.id}, on=local_date(now))
    digest = _digest(body, public_id, caller)
    if notice.acknowledged_at is not None:
        if not _is_acknowledged_so(notice, body, caller, digest):
            raise rules.RecallAcknowledged(
                party=str(party), acknowledged_at=notice.acknowledged_at.isoformat()
            )
        return notice
    check_open(recall)
    found = await _lots(session, recall, (item.lot for item in body.located))
    others = await _anothers(session, (one.lot for one in found.values()), caller)
    for item in body.located:
        if found[item.lot].speaker != told.id:
            raise rules.RecallNotYours(lot=str(item.lot))
        if found[item.lot].lot.holder_id in others:
            raise rules.HoldersOwnWord(lot=str(item.lot))
    notice.acknowledged_at = now
    notice.acknowledged_by = caller.acting_party
    notice.digest = digest
    notice.words = body.note
    for item in body.located:
        lot = found[item.lot].lot
        rules.check_step(account(lot), StepKind.LOCATED, item.mass_g, mock=recall.mock)
        lot.located_g += item.mass_g
    await session.flush()
    document = {
        "party": str(party),
        "by": str(caller.acting_public_id),
        "located": [{"lot": str(item.lot), "mass_g": str(item.mass_g)} for item in body.located],
        "t": now.isoformat(),
    }
    await _log(session, "acknowledged", recall, document, now=now)
    return notice


def _is_acknowledged_so(
    notice: RecallNotice, body: AcknowledgementIn, caller: Caller, digest: bytes
) -> bool:
    """Whether a notice was acknowledged as it is asked for now."""
    if notice.digest is not None:
        return notice.digest == digest
    # By opening the case, or before digests were kept.
    same = (notice.acknowledged_by, notice.words) == (caller.acting_party, body.note)
    return same and not body.located


async def _log(
    session: AsyncSession, verb: str, recall: Recall, document: dict[str, Any], *, now: datetime
) -> None:
    statement = Statement(f"recall.{verb}", recall.public_id, document)
    await transparency.append(session, [statement], now=now)


# --- grams ------------------------------------------------------------------------------------


async def record_step(
    session: AsyncSession,
    public_id: UUID,
    step_id: UUID,
    body: StepIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[RecallStep, bool]:
    """Record grams that were located, recovered, or turned out to be consumed.

    Consumed goods leave the books at once; recovered ones when they are disposed of.

    Returns:
        The step, and whether it is new.

    Raises:
        UnknownRecall, UnknownLot, NotInScope, IdReused: it is none, not in it, or another step's.
        RecallNotYours: the lot is another's, and the caller is not responsible for the case.
        RecallClosed: the case is closed.
        ConsumedByOwnWord: a business says that goods in its hands, or another's, are eaten.
        HoldersOwnWord: a business says that goods were found in another's hands.
        MockOnly, GramsDiffer: see `rules.check_step`.
        LotExhausted: the goods left the books in another way, or are on their way to a buyer.
    """
    recall = await open_case(session, public_id)
    found = (await _lots(session, recall, [body.lot]))[body.lot]
    lot = found.lot
    digest = _digest(body, public_id, caller)
    if existing := await _repeated(session, RecallStep, step_id, digest):
        return existing, False
    await _check_speaks_for(session, recall, caller, {found.speaker}, on=local_date(now))
    check_open(recall)
    held = lot.holder_id is not None
    rules.check_consumed(body.kind, held=held, by_office=caller.is_office, mock=recall.mock)
    if body.kind is StepKind.LOCATED and await _anothers(session, [lot], caller):
        raise rules.HoldersOwnWord(lot=str(body.lot))
    rules.check_step(account(lot), body.kind, body.mass_g, mock=recall.mock)
    if body.kind is StepKind.LOCATED:
        lot.located_g += body.mass_g
    elif body.kind is StepKind.RECOVERED:
        lot.recovered_g += body.mass_g
    else:
        lot.consumed_g += body.mass_g
        if not recall.mock:
            await _take_out(session, ChangeKind.LOSS, recall, step_id, {lot: body.mass_g}, now=now)
    step = RecallStep(
        public_id=step_id,
        digest=digest,
        recall_id=recall.id,
        lot_id=lot.lot_id,
        kind=body.kind,
        mass_g=body.mass_g,
        party_id=caller.acting_party,
        words=body.note,
        recorded_at=now,
    )
    session.add(step)
    await session.flush()
    document = {
        "step": str(step_id),
        "lot": str(body.lot),
        "step_kind": body.kind,
        "mass_g": str(body.mass_g),
        "by": str(caller.acting_public_id),
        "note_commit": await commit_to(session, caller, body.note),
        "t": now.isoformat(),
    }
    await _log(session, "step", recall, document, now=now)
    return step, True


async def _take_out(
    session: AsyncSession,
    kind: ChangeKind,
    recall: Recall,
    cause: UUID,
    grams: dict[RecallLot, int],
    *,
    now: datetime,
) -> None:
    """Book goods out of the lots of their holders; what walk-ins took is booked out already.

    The change of each holder's lots is named after the step or disposal that caused it.

    Raises:
        LotExhausted: less is left in the books.
    """
    by_holder: dict[int, list[RecallLot]] = defaultdict(list)
    for lot in grams:
        if lot.holder_id is not None:
            by_holder[lot.holder_id].append(lot)
    if not by_holder:
        return
    holders = await parties.by_ids(session, by_holder)
    states = await lots.states_by_id(session, (lot.lot_id for lot in grams))
    catalogue = await products.catalogue(session)
    why = "recall_consumed" if kind is ChangeKind.LOSS else "recall_disposal"
    for holder_id, own in sorted(by_holder.items()):
        draft = ChangeDraft(
            public_id=uuid5(cause, str(holders[holder_id].public_id)),
            kind=kind,
            digest=b"",
            holder_id=holder_id,
            holder=holders[holder_id].public_id,
            occurred_at=now,
            inputs=tuple(Input(states[lot.lot_id].public_id, grams[lot]) for lot in own),
            details={"reason": why, "recall": str(recall.public_id)},
        )
        request = changes.removing(draft, Policy(held_too=True))
        await changes.apply(session, request, catalogue=catalogue, now=now)


# --- disposals --------------------------------------------------------------------------------


async def record_disposal(
    session: AsyncSession,
    public_id: UUID,
    disposal_id: UUID,
    body: DisposalIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[RecallDisposal, bool]:
    """Record how recovered goods were dealt with, with images and a witness.

    What is destroyed leaves the books; what is remedied stays, and moves again after the sign-off.

    Returns:
        The disposal, and whether it is new.

    Raises:
        UnknownRecall, UnknownLot, NotInScope: there is none, or a lot is not in it.
        IdReused: the id names another disposal.
        RecallNotYours: a lot is another's, and the caller is not responsible for the case.
        RecallClosed, HoldersOwnWord: the case is closed; see `_check_own_disposal`.
        ImpossibleDate, NotAnnounced: it cannot have happened then, or nobody was told beforehand.
        UnknownEvidence, EvidenceReused: an image is not the caller's, or proved another disposal.
        MockOnly, NotRemediable, GramsDiffer: see `rules.check_disposal`.
        LotExhausted: the goods left the books in another way.
    """
    recall = await open_case(session, public_id)
    found = await _lots(session, recall, (item.lot for item in body.lots))
    digest = _digest(body, public_id, caller)
    if existing := await _repeated(session, RecallDisposal, disposal_id, digest):
        return existing, False
    speakers = {one.speaker for one in found.values()}
    await _check_speaks_for(session, recall, caller, speakers, on=local_date(now))
    check_open(recall)
    grams = rules.merged([(item.lot, item.mass_g) for item in body.lots])
    await _check_own_disposal(session, recall, caller, found, grams)
    check_occurred(body.disposed_at, now=now, pointer="/disposed_at")
    _check_in_case(recall, body.disposed_at, pointer="/disposed_at")
    if body.announced_at >= body.disposed_at:
        raise rules.NotAnnounced(pointer="/announced_at")
    images = await evidence.of_party(session, body.evidence, caller.acting_party)
    accounts = {public: account(one.lot) for public, one in found.items()}
    rules.check_disposal(accounts, grams, body.method, grade=recall.grade, mock=recall.mock)
    await _dispose(session, recall, disposal_id, body.method, found, grams, now=now)
    await evidence.prove(session, images.values(), disposal_id)
    disposal = RecallDisposal(
        public_id=disposal_id,
        digest=digest,
        recall_id=recall.id,
        method=body.method,
        place=body.place,
        witness=body.witness,
        announced_at=body.announced_at,
        disposed_at=body.disposed_at,
        evidence_ids=[image.id for image in images.values()],
        party_id=caller.acting_party,
        recorded_at=now,
    )
    await _write_disposal(session, disposal, found, grams)
    document = {
        "disposal": str(disposal_id),
        "method": body.method,
        "lots": [{"lot": str(lot), "mass_g": str(mass_g)} for lot, mass_g in grams.items()],
        "evidence": sorted(image.content_sha256.hex() for image in images.values()),
        "witness_commit": await commit_to(session, caller, body.witness),
        "by": str(caller.acting_public_id),
        "t": body.disposed_at.isoformat(),
    }
    await _log(session, "disposal", recall, document, now=now)
    return disposal, True


async def _write_disposal(
    session: AsyncSession,
    disposal: RecallDisposal,
    found: dict[UUID, _Found],
    grams: dict[UUID, int],
) -> None:
    session.add(disposal)
    await session.flush()
    session.add_all(
        RecallDisposalLot(
            disposal_id=disposal.id,
            recall_id=disposal.recall_id,
            lot_id=found[public].lot.lot_id,
            mass_g=mass_g,
        )
        for public, mass_g in grams.items()
    )
    await session.flush()


async def _dispose(
    session: AsyncSession,
    recall: Recall,
    cause: UUID,
    method: Method,
    found: dict[UUID, _Found],
    grams: dict[UUID, int],
    *,
    now: datetime,
) -> None:
    if method is Method.REMEDIED:
        for public, mass_g in grams.items():
            found[public].lot.remedied_g += mass_g
    else:
        for public, mass_g in grams.items():
            found[public].lot.destroyed_g += mass_g
        taken = {found[public].lot: mass_g for public, mass_g in grams.items()}
        await _take_out(session, ChangeKind.DESTROY, recall, cause, taken, now=now)
    await session.flush()


# --- forwarding -------------------------------------------------------------------------------


async def record_forwarding(
    session: AsyncSession,
    public_id: UUID,
    forwarding_id: UUID,
    body: ForwardingIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[RecallForwarding, bool]:
    """Record a holder's word that it told its buyers outside the platform.

    Returns:
        The record, and whether it is new.

    Raises:
        UnknownRecall: there is none, or the caller was not told of it.
        IdReused: the id names another record.
        RecallClosed: the case is closed.
        ImpossibleDate: it cannot have happened then.
    """
    recall = await open_case(session, public_id)
    await queries.check_may_see(session, recall, caller)
    digest = _digest(body, public_id, caller)
    if existing := await _repeated(session, RecallForwarding, forwarding_id, digest):
        return existing, False
    check_open(recall)
    check_occurred(body.told_at, now=now, pointer="/told_at")
    _check_in_case(recall, body.told_at, pointer="/told_at")
    forwarding = RecallForwarding(
        public_id=forwarding_id,
        digest=digest,
        recall_id=recall.id,
        party_id=caller.acting_party,
        channel=body.channel,
        buyers=body.buyers,
        mass_g=body.mass_g,
        words=body.note,
        told_at=body.told_at,
        recorded_at=now,
    )
    session.add(forwarding)
    await session.flush()
    document = {
        "forwarding": str(forwarding_id),
        "channel": body.channel,
        "buyers": body.buyers,
        "mass_g": str(body.mass_g),
        "by": str(caller.acting_public_id),
        "t": body.told_at.isoformat(),
    }
    await _log(session, "forwarded", recall, document, now=now)
    return forwarding, True


# --- the sign-off -----------------------------------------------------------------------------


async def ask_sign_off(
    session: AsyncSession,
    public_id: UUID,
    request_id: UUID,
    body: SignOffIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[RecallSignOff, bool]:
    """Say that a case is finished, as whoever leads it, and ask the offices in charge to end it.

    Returns:
        The request, and whether it is new.

    Raises:
        UnknownRecall: there is none, or it is not for the caller.
        RecallNotYours: the caller does not lead it.
        IdReused: the id names another request.
        RecallClosed: it was signed off.
        SignOffYours: the caller may end it.
        GramsOpen, StepsOpen: it is not finished; see `rules.check_closure`.
    """
    recall = await open_case(session, public_id)
    await queries.check_may_see(session, recall, caller)
    on = local_date(now)
    if not await queries.leads(session, recall, caller, on=on):
        raise rules.RecallNotYours(recall=str(public_id))
    digest = _digest(body, public_id, caller)
    if existing := await _repeated(session, RecallSignOff, request_id, digest):
        return existing, False
    check_open(recall)
    if recall.mock or await queries.in_charge(session, recall, caller, on=on):
        raise rules.SignOffYours(recall=str(public_id))
    totals = await queries.totals(session, recall)
    # The samples are for whoever signs off to answer for.
    rules.check_closure(totals, body.outcome, signed_g=totals.sampled_g, mock=False)
    asked = RecallSignOff(
        public_id=request_id,
        digest=digest,
        recall_id=recall.id,
        party_id=caller.acting_party,
        outcome=body.outcome,
        words=body.reason,
        asked_at=now,
    )
    session.add(asked)
    await session.flush()
    told = set(await queries.offices_in_charge(session, recall, on=on)) | {recall.opened_by}
    facts = {"recall": public_id, "outcome": body.outcome, "reason": body.reason}
    kind = NoticeKind.RECALL_SIGN_OFF_ASKED
    await holds.tell(session, kind, request_id, told - {caller.party_id}, facts, now)
    document = {
        "request": str(request_id),
        "outcome": body.outcome,
        "reason_commit": await commit_to(session, caller, body.reason),
        "by": str(caller.acting_public_id),
        "t": now.isoformat(),
    }
    await _log(session, "sign-off-asked", recall, document, now=now)
    return asked, True


# What walk-ins took home is not sold again when it turns up later, nor counted twice where some of
# it was brought back: it stays on hold, and whoever scans its code is told so.
_SCOPE = text("""
    SELECT lot_id FROM recall_lot
    WHERE recall_id = :recall AND NOT (holder_id IS NULL AND (:completed OR recovered_g > 0))
    ORDER BY lot_id
""")
_TOLD = text("""
    SELECT party_id FROM recall_notice WHERE recall_id = :recall
    UNION SELECT party_id FROM notice
    WHERE subject = :subject AND kind = ANY(CAST(:told_as AS text[]))
""")
_LET_GO = text(lots.HOLD_SQL)


async def close(
    session: AsyncSession, public_id: UUID, body: ClosureIn, caller: Caller, *, now: datetime
) -> tuple[Recall, bool]:
    """Sign a recall off, or lift it; goods that are left move again, and all who knew are told.

    An exercise, in which nothing is held, is ended by whoever began it, too.

    Returns:
        The recall, and whether it was open until now.

    Raises:
        UnknownRecall: there is none, or it is not for the caller.
        RecallNotYours: the caller is not responsible for it.
        SignOffNotYours: the caller is not the office in charge of it.
        RecallClosed: it was closed otherwise before.
        GramsOpen, StepsOpen, SamplesUnsigned: see `rules.check_closure`.
    """
    recall = await open_case(session, public_id, alone=True)
    await queries.check_may_see(session, recall, caller)
    on = local_date(now)
    if not await queries.leads(session, recall, caller, on=on):
        raise rules.RecallNotYours(recall=str(public_id))
    if not recall.mock and not await queries.in_charge(session, recall, caller, on=on):
        charge = await queries.charge(session, recall, caller, on=on)
        raise rules.SignOffNotYours(recall=str(public_id), offices=charge.offices)
    if recall.closed_at is not None:
        if not _is_closed_so(recall, body, caller):
            raise rules.RecallClosed(outcome=recall.outcome)
        return recall, False
    await be_patient(session)
    totals = await queries.totals(session, recall)
    rules.check_closure(totals, body.outcome, signed_g=body.sampled_g, mock=recall.mock)
    if not recall.mock:
        await _let_go(session, recall, body.outcome, caller, now=now)
    recall.closed_at = now
    recall.closed_by = caller.acting_party
    recall.outcome = body.outcome
    recall.closing_reason = body.reason
    recall.report = queries.report_of(recall, totals)
    await session.flush()
    told_as = [NoticeKind.RECALL_REPORTED, NoticeKind.MOCK_RECALL]
    parameters = {"recall": recall.id, "subject": public_id, "told_as": told_as}
    told = (await session.execute(_TOLD, parameters)).scalars()
    facts = {"outcome": body.outcome, "reason": body.reason, **exercise(recall)}
    await holds.tell(session, NoticeKind.RECALL_CLOSED, public_id, told, facts, now)
    document = {
        "outcome": body.outcome,
        "reason_commit": await commit_to(session, caller, body.reason),
        "by": str(caller.acting_public_id),
        "report": recall.report,
        "t": now.isoformat(),
    }
    await _log(session, "closed", recall, document, now=now)
    return recall, True


def _is_closed_so(recall: Recall, body: ClosureIn, caller: Caller) -> bool:
    """Whether a case was closed as it is asked for now."""
    asked = (body.outcome, body.reason, caller.acting_party)
    if (recall.outcome, recall.closing_reason, recall.closed_by) != asked:
        return False
    assert recall.report is not None, "a closed case has its report"
    signs = recall.outcome == Outcome.COMPLETED and not recall.mock
    return not signs or int(recall.report.get("sampled_g", "0")) == body.sampled_g


async def _let_go(
    session: AsyncSession, recall: Recall, outcome: Outcome, caller: Caller, *, now: datetime
) -> None:
    parameters = {"recall": recall.id, "completed": outcome is Outcome.COMPLETED}
    scope: Sequence[int] = (await session.execute(_SCOPE, parameters)).scalars().all()
    await lots.lock_balances(session, scope)
    await session.execute(_LET_GO, {"hold_lots": scope, "hold_change": -1})
    await events.record(
        session,
        Happening(
            public_id=ids.uuid7(),
            kind=EventKind.RELEASE,
            occurred_at=now,
            party_id=caller.acting_party,
            details={"recall": str(recall.public_id), "lots": len(scope)},
        ),
        now=now,
    )


# --- late -------------------------------------------------------------------------------------


async def escalate(session: AsyncSession, *, now: datetime) -> int:
    """Tell who answers for a recall, and the offices over the late, what is overdue; once each.

    Returns:
        How many notices and cases were found late.
    """
    today = local_date(now)
    late = (
        await session.execute(
            update(RecallNotice)
            .where(
                RecallNotice.due_at < now,
                RecallNotice.acknowledged_at.is_(None),
                RecallNotice.escalated_at.is_(None),
                RecallNotice.recall_id.in_(select(Recall.id).where(Recall.closed_at.is_(None))),
            )
            .values(escalated_at=now)
            .returning(RecallNotice.recall_id, RecallNotice.party_id)
        )
    ).all()
    by_case: dict[int, set[int]] = defaultdict(set)
    for recall_id, party_id in late:
        by_case[recall_id].add(party_id)
    for recall_id, names in sorted(by_case.items()):
        recall = await session.get_one(Recall, recall_id)
        known = await parties.by_ids(session, names)
        codes = {party.division_code for party in known.values() if party.division_code}
        offices = await authority.offices_of(session, codes, on=today)
        facts = {"late": len(names), "due_at": recall.acknowledge_due_at.isoformat()}
        facts |= exercise(recall)
        told = {recall.opened_by, *offices}
        await holds.tell(session, NoticeKind.RECALL_LATE, recall.public_id, told, facts, now)
    overdue = (
        await session.scalars(
            update(Recall)
            .where(
                Recall.finish_due_on < today,
                Recall.closed_at.is_(None),
                Recall.escalated_at.is_(None),
            )
            .values(escalated_at=now)
            .returning(Recall)
        )
    ).all()
    for recall in overdue:
        codes = set((await session.execute(queries.PLACES, {"recall": recall.id})).scalars())
        offices = await authority.offices_of(session, codes, on=today)
        facts = {"finish_due_on": recall.finish_due_on.isoformat(), **exercise(recall)}
        told = {recall.opened_by, *offices}
        await holds.tell(session, NoticeKind.RECALL_OVERDUE, recall.public_id, told, facts, now)
    return len(late) + len(overdue)
