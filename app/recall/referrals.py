"""Questions to the offices that answer for other places (协查), and how they end."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import IdReused
from app.hold import service as holds
from app.hold.rules import NoticeKind
from app.lot import service as lots
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller, Department, governs
from app.place import service as places
from app.place.rules import DivisionNotInForce, Gazetteer, UnknownDivision, resolve
from app.recall import authority, following, queries, rules, terms
from app.recall.models import Recall, RecallLot, Referral
from app.recall.opening import commit_to
from app.recall.schemas import ReferralIn, ReferralOut
from app.testing import standards
from app.transparency import service as transparency
from app.transparency.service import Statement


async def ask(
    session: AsyncSession, public_id: UUID, body: ReferralIn, caller: Caller, *, now: datetime
) -> tuple[Referral, bool]:
    """Ask the office that answers for another place; its clock begins.

    Returns:
        The referral, and whether it is new.

    Raises:
        UnknownLot, UnknownRecall: there is none, or the case is not for the caller.
        IdReused: the id names another referral.
        NotInScope: the lot is not in the case.
        RecallClosed: the case is closed: nothing waits for the answer.
        NoOfficeThere: there is nobody who may answer.
    """
    lot = await lots.find(session, body.lot)
    recall = None
    if body.recall is not None:
        # Whoever ends the case waits, and counts this question, or it is asked too late.
        recall = await following.open_case(session, body.recall)
        await queries.check_may_see(session, recall, caller)
    digest = digest_of({**body.model_dump(mode="json"), "by": str(caller.party_public_id)})
    existing = await session.scalar(select(Referral).where(Referral.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(referral=str(public_id))
        return existing, False
    if recall is not None:
        if await session.get(RecallLot, (recall.id, lot.id)) is None:
            raise rules.NotInScope(lot=str(body.lot))
        following.check_open(recall)
    told = await _asked(session, body.division_code, body.department, on=local_date(now))
    if not told:
        raise rules.NoOfficeThere(pointer="/division_code", division=body.division_code)
    days = (await standards.clocks(session)).working_days
    referral = Referral(
        public_id=public_id,
        digest=digest,
        lot_id=lot.id,
        recall_id=None if recall is None else recall.id,
        asked_by=caller.acting_party,
        division_code=body.division_code,
        department=body.department,
        question=body.question,
        asked_at=now,
        due_on=rules.due_on(await terms.terms(session), "referral", now, days).on,
    )
    session.add(referral)
    await session.flush()
    facts = {"lot": lot.public_id, "due_on": referral.due_on}
    await holds.tell(session, NoticeKind.REFERRED, public_id, told, facts, now)
    document = {
        "lot": str(body.lot),
        "recall": None if body.recall is None else str(body.recall),
        "division": body.division_code,
        "department": body.department,
        "by": str(caller.acting_public_id),
        "question_commit": await commit_to(session, caller, body.question),
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement("referral.asked", public_id, document)], now=now)
    return referral, True


async def _asked(
    session: AsyncSession, division: str, department: str | None, *, on: date
) -> set[int]:
    asked = None if department is None else Department(department)
    return await authority.offices_of(session, [division], on=on, department=asked)


async def _lock(session: AsyncSession, public_id: UUID) -> Referral:
    found = await session.scalar(
        select(Referral).where(Referral.public_id == public_id).with_for_update()
    )
    if found is None:
        raise rules.UnknownReferral(referral=str(public_id))
    return found


def _may_answer(referral: Referral, caller: Caller) -> bool:
    fits = referral.department is None or Department(referral.department) in caller.departments
    return fits and governs(caller, referral.division_code)


async def answer(
    session: AsyncSession, public_id: UUID, said: str, caller: Caller, *, now: datetime
) -> tuple[Referral, bool]:
    """Answer a referral, as the office that was asked.

    Returns:
        The referral, and whether it was open until now.

    Raises:
        UnknownReferral: there is none, or it is not for the caller.
        HoldNotYours: another office was asked.
        ReferralAnswered: it was answered otherwise before.
        ReferralWithdrawn: whoever asked does not want to know any more.
    """
    referral = await _lock(session, public_id)
    if not _may_answer(referral, caller):
        if referral.asked_by == caller.party_id:
            raise rules.HoldNotYours(division=referral.division_code)
        raise rules.UnknownReferral(referral=str(public_id))
    if referral.answered_at is not None:
        if (referral.answer, referral.answered_by) != (said, caller.acting_party):
            raise rules.ReferralAnswered
        return referral, False
    if referral.withdrawn_at is not None:
        raise rules.ReferralWithdrawn
    referral.answer = said
    referral.answered_at = now
    referral.answered_by = caller.acting_party
    await session.flush()
    told = [referral.asked_by]
    facts = {"answered_by": caller.acting_public_id}
    await holds.tell(session, NoticeKind.REFERRAL_ANSWERED, public_id, told, facts, now)
    document = {
        "by": str(caller.acting_public_id),
        "answer_commit": await commit_to(session, caller, said),
        "t": now.isoformat(),
    }
    statement = Statement("referral.answered", public_id, document)
    await transparency.append(session, [statement], now=now)
    return referral, True


async def withdraw(
    session: AsyncSession, public_id: UUID, reason: str, caller: Caller, *, now: datetime
) -> tuple[Referral, bool]:
    """Withdraw a referral that has no answer: it keeps no case open any more.

    Whoever asked may be gone, and its question would keep the case open for ever: the office in
    charge of the case withdraws it, too.

    Returns:
        The referral, and whether it was open until now.

    Raises:
        UnknownReferral: there is none, or it is not for the caller.
        ReferralNotYours: the caller was asked.
        ReferralAnswered: it was answered before.
        ReferralWithdrawn: it was withdrawn by another office, or for another reason.
    """
    referral = await _lock(session, public_id)
    if not await _may_withdraw(session, referral, caller, on=local_date(now)):
        if _may_answer(referral, caller):
            raise rules.ReferralNotYours(referral=str(public_id))
        raise rules.UnknownReferral(referral=str(public_id))
    if referral.answered_at is not None:
        raise rules.ReferralAnswered
    if referral.withdrawn_at is not None:
        if (referral.withdrawal_reason, referral.withdrawn_by) != (reason, caller.acting_party):
            raise rules.ReferralWithdrawn
        return referral, False
    referral.withdrawn_at = now
    referral.withdrawn_by = caller.acting_party
    referral.withdrawal_reason = reason
    await session.flush()
    asked = await _asked(session, referral.division_code, referral.department, on=local_date(now))
    told = {referral.asked_by, *asked} - {caller.acting_party}
    facts = {"withdrawn_by": caller.acting_public_id, "reason": reason}
    await holds.tell(session, NoticeKind.REFERRAL_WITHDRAWN, public_id, told, facts, now)
    document = {
        "by": str(caller.acting_public_id),
        "reason_commit": await commit_to(session, caller, reason),
        "t": now.isoformat(),
    }
    statement = Statement("referral.withdrawn", public_id, document)
    await transparency.append(session, [statement], now=now)
    return referral, True


async def _may_withdraw(
    session: AsyncSession, referral: Referral, caller: Caller, *, on: date
) -> bool:
    if referral.asked_by == caller.party_id:
        return True
    if referral.recall_id is None:
        return False
    recall = await session.get_one(Recall, referral.recall_id)
    return await queries.in_charge(session, recall, caller, on=on)


_MINE = text("""
    SELECT id FROM referral r
    WHERE (CAST(:recall AS bigint) IS NULL OR r.recall_id = :recall)
        AND (CAST(:recall AS bigint) IS NOT NULL OR r.asked_by = :party
            OR (:supervises AND starts_with(r.division_code, :prefix)
                AND (r.department IS NULL OR r.department = ANY(CAST(:departments AS text[])))))
        AND (NOT :open_only OR coalesce(r.answered_at, r.withdrawn_at) IS NULL)
    ORDER BY coalesce(r.answered_at, r.withdrawn_at) IS NOT NULL, r.due_on, r.id LIMIT :most
""")


async def concerning(
    session: AsyncSession,
    caller: Caller,
    *,
    recall: Recall | None = None,
    open_only: bool = False,
    most: int,
) -> list[Referral]:
    """List the referrals that an office asked or is asked, or those of a case; open ones first."""
    found = await session.execute(
        _MINE,
        {
            "recall": None if recall is None else recall.id,
            "party": caller.party_id,
            "supervises": caller.supervises,
            "prefix": caller.jurisdiction or "",
            "departments": [str(department) for department in caller.departments],
            "open_only": open_only,
            "most": most,
        },
    )
    return [await session.get_one(Referral, referral_id) for referral_id in found.scalars()]


async def describe(
    session: AsyncSession, found: Sequence[Referral], *, today: date
) -> list[ReferralOut]:
    """Write referrals as they go out."""
    involved = {
        party for row in found for party in (row.asked_by, row.answered_by, row.withdrawn_by)
    }
    known = await parties.by_ids(session, {party for party in involved if party is not None})
    states = await lots.states_by_id(session, (row.lot_id for row in found))
    gazetteer = await places.gazetteer(session)
    cases = {
        row.recall_id: (await session.get_one(Recall, row.recall_id)).public_id
        for row in found
        if row.recall_id is not None
    }
    return [
        ReferralOut(
            referral=row.public_id,
            lot=states[row.lot_id].public_id,
            recall=None if row.recall_id is None else cases[row.recall_id],
            asked_by=known[row.asked_by].public_id,
            asked_by_name=known[row.asked_by].name,
            division_code=row.division_code,
            division_name=_place(row, gazetteer),
            department=None if row.department is None else Department(row.department),
            question=row.question,
            asked_at=row.asked_at,
            due_on=row.due_on,
            overdue=row.answered_at is None and row.withdrawn_at is None and row.due_on < today,
            answered_by=None if row.answered_by is None else known[row.answered_by].public_id,
            answer=row.answer,
            answered_at=row.answered_at,
            withdrawn_by=None if row.withdrawn_by is None else known[row.withdrawn_by].public_id,
            withdrawal_reason=row.withdrawal_reason,
            withdrawn_at=row.withdrawn_at,
        )
        for row in found
    ]


def _place(referral: Referral, gazetteer: Gazetteer) -> str:
    """Name the place that a referral was sent to, as it was called on that day."""
    # A city's office answers for the first four digits, of which the city's own code is made.
    code = referral.division_code.ljust(6, "0")
    try:
        return resolve(code, local_date(referral.asked_at), gazetteer).full_name
    except (UnknownDivision, DivisionNotInForce):
        return code


async def escalate(session: AsyncSession, *, now: datetime) -> int:
    """Remind whoever asked, and whoever was asked, of what is overdue; once each.

    Returns:
        How many referrals were found late.
    """
    today = local_date(now)
    late = (
        await session.scalars(
            update(Referral)
            .where(
                Referral.due_on < today,
                Referral.answered_at.is_(None),
                Referral.withdrawn_at.is_(None),
                Referral.escalated_at.is_(None),
            )
            .values(escalated_at=now)
            .returning(Referral)
        )
    ).all()
    for referral in late:
        asked = await _asked(session, referral.division_code, referral.department, on=today)
        told = {referral.asked_by, *asked}
        facts = {"due_on": referral.due_on}
        await holds.tell(session, NoticeKind.REFERRAL_OVERDUE, referral.public_id, told, facts, now)
    return len(late)
