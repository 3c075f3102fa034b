"""Takes reports of anybody; the office that one lies with takes it up, answers it or refers it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.admission import books
from app.admission.books import Found
from app.admission.rules import recognise
from app.certificate.service import LAW_LASTS_S
from app.core import ids
from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.core.snapshot import Snapshot
from app.evidence import service as evidence
from app.evidence.rules import Picture, UnknownEvidence
from app.hold import service as holds
from app.hold.rules import NoticeKind
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller, Department, NotAllowed, governs, may_supervise
from app.place import service as places
from app.recall import authority
from app.report import rules, seed
from app.report.models import Report, ReportPhoto, ReportRule, ReportStep
from app.report.rules import Office, ReportClock, ReportState, ReportStepKind, Rule, Running
from app.report.schemas import (
    ReportIn,
    ReportOut,
    ReportPhotoOut,
    ReportStepIn,
    ReportStepOut,
    ReportTrack,
)
from app.ticket import service as tickets
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

_TEXT = "report.text"
_CONTACT = "report.contact"


async def load_rules(session: AsyncSession) -> None:
    """Load the rules of this release; rows that exist are brought up to date."""
    statement = insert(ReportRule)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "valid_from"],
            set_={
                name: statement.excluded[name]
                for name in ("valid_to", "amount", "source", "verified")
            },
        ),
        [entry.model_dump() for entry in seed.read_rules()],
    )
    _rules.forget(session)


async def _read_rules(session: AsyncSession) -> list[Rule]:
    return [
        Rule(row.kind, row.valid_from, row.valid_to, row.amount, row.source, row.verified)
        for row in await session.scalars(select(ReportRule))
    ]


_rules = Snapshot(_read_rules, lasts_s=LAW_LASTS_S)


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds a report that comes in.

    Attributes:
        address: Where the request came from; it is never kept as it is.
        base_url: Of the platform, which the address in a QR code begins with.
    """

    address: str
    base_url: str
    vault: Vault
    now: datetime


async def file(
    session: AsyncSession,
    public_id: UUID,
    body: ReportIn,
    photos: Sequence[bytes],
    around: Around,
) -> tuple[Report, bool]:
    """Take a report with its photos as they were sent, and tell the office that answers.

    Returns:
        The report, and whether it is new.

    Raises:
        IdReused: the id names another report.
        NoSuchDocument: neither a ticket nor a certificate of the books.
        TooManyReports: the day has seen enough of this address, or about this document.
        PhotosUnfit: there are too many photos, or too large ones.
        NotAnImage, ImageSizeUnfit: one of them shows nothing.
    """
    vault, now = around.vault, around.now
    # Keyed: whoever reads the table cannot try phone numbers until one fits.
    told = [body.model_dump_json(exclude={"photos"}), *(sha256(one).hexdigest() for one in photos)]
    digest = vault.index("\n".join(told), purpose="report.digest")
    existing = await session.scalar(select(Report).where(Report.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(report=str(public_id))
        return existing, False
    # No signature is asked for: only the very token that the books hold is found.
    (found,) = await books.find_all(session, [recognise(body.document, [around.base_url])])
    document, token, office = await _route(session, found, now=now)
    on, known = local_date(now), await _rules(session)
    sender = vault.index(f"{on} {around.address}", purpose="report.sender")
    await _check_not_flooded(session, known, sender, document, now=now)
    rules.check_photos(known, on=on, sizes_bytes=[len(one) for one in photos])
    kept = [await evidence.keep(session, one, vault=vault) for one in photos]
    report = Report(
        public_id=public_id,
        digest=digest,
        code=rules.write_code(ids.secret(rules.CODE_BYTES)),
        document=document,
        token=token,
        problem=body.problem,
        text_sealed=vault.seal(body.text, purpose=_TEXT),
        contact_sealed=(
            None if body.contact is None else vault.seal(body.contact, purpose=_CONTACT)
        ),
        sender=sender,
        received_on=on,
        received_at=now,
        due_on=rules.due_on(known, ReportClock.DECIDE, now),
        answer_due_on=rules.due_on(known, ReportClock.ANSWER, now),
        division_code=office.division_code,
        department=office.department,
        state=ReportState.RECEIVED,
    )
    session.add(report)
    await session.flush()
    await _attach(session, report, kept)
    await _tell(session, report, public_id, now=now)
    said = {"commit": digest.hex(), "t": now.isoformat()}
    if kept:
        # Keyed too: whoever took a photo and shared it would else be found by its hash.
        hashes = " ".join(one.sha256.hex() for one in kept)
        said["photos_commit"] = vault.index(hashes, purpose="report.photos").hex()
    await transparency.append(session, [Statement("report.filed", public_id, said)], now=now)
    return report, True


async def _attach(session: AsyncSession, report: Report, kept: Sequence[Picture]) -> None:
    session.add_all(
        ReportPhoto(
            report_id=report.id,
            no=no,
            content_sha256=one.sha256,
            width_px=one.width_px,
            height_px=one.height_px,
            size_bytes=len(one.content),
        )
        for no, one in enumerate(kept, start=1)
    )
    await session.flush()


async def photo_limits(session: AsyncSession, now: datetime) -> tuple[int, int]:
    """Answer how many photos a report may have today, and how many KiB together."""
    known, on = await _rules(session), local_date(now)
    return rules.amount_of(known, "photos", on), rules.amount_of(known, "photos_kib", on)


async def _route(session: AsyncSession, found: Found, *, now: datetime) -> tuple[UUID, str, Office]:
    """Answer a document's id, its token, and whose office answers for its goods."""
    market = None
    if found.ticket is not None:
        ticket = found.ticket.ticket
        public_id, token, sender = ticket.public_id, ticket.token, ticket.seller_id
        lot_ids = {draw.lot_id for draw in await tickets.draws_of(session, ticket.id)}
        if ticket.market_id is not None:
            market = (await places.by_ids(session, [ticket.market_id]))[ticket.market_id]
    elif found.certificate is not None:
        certificate = found.certificate
        public_id, token = certificate.public_id, certificate.token
        sender, lot_ids = certificate.issuer_id, {certificate.lot_id}
    else:
        raise rules.NoSuchDocument(pointer="/document")
    party = (await parties.by_ids(session, [sender]))[sender]
    office = rules.office_of(
        market_division=None if market is None else market.division_code,
        # Goods of who is registered nowhere are for the operator to refer.
        seller_division=party.division_code or "",
        seller_roles=await parties.role_kinds(session, sender, local_date(now)),
        through_market=await tickets.came_through_market(session, lot_ids),
    )
    return public_id, token, office


_LOCK = text("SELECT pg_advisory_xact_lock(:key)")


async def _check_not_flooded(
    session: AsyncSession, known: Sequence[Rule], sender: bytes, document: UUID, *, now: datetime
) -> None:
    # Two that come at once wait for each other here, and the second counts the first.
    for key in sorted(
        int.from_bytes(name[:8], signed=True) for name in (sender, document.bytes[8:])
    ):
        await session.execute(_LOCK, {"key": key})
    on = local_date(now)
    count = select(func.count()).select_from(Report)
    rules.check_not_flooded(
        known,
        on=on,
        from_address=await session.scalar(count.where(Report.sender == sender)) or 0,
        about_document=await session.scalar(
            count.where(Report.document == document, Report.received_on == on)
        )
        or 0,
    )


async def _tell(
    session: AsyncSession,
    report: Report,
    subject: UUID,
    *,
    now: datetime,
    kind: NoticeKind = NoticeKind.REPORTED,
) -> None:
    told = await authority.offices_of(
        session,
        [report.division_code],
        on=local_date(now),
        department=Department(report.department),
    )
    clock = _running(report)
    assert clock is not None, "nobody is told of a report that is answered"
    facts = {"report": report.public_id, "problem": report.problem, "due_on": clock.due_on}
    await holds.tell(session, kind, subject, told, facts, now)


async def remind(session: AsyncSession, *, now: datetime) -> tuple[int, int]:
    """Remind offices of the clock of a report on its last day, and once it has run out; once each.

    Returns:
        How many were due today, and how many were found late.
    """
    today = local_date(now)
    due = late = 0
    for state, due_on, is_due, is_late in (
        (
            ReportState.RECEIVED,
            Report.due_on,
            NoticeKind.REPORT_DUE,
            NoticeKind.REPORT_OVERDUE,
        ),
        (
            ReportState.TAKEN_UP,
            Report.answer_due_on,
            NoticeKind.REPORT_ANSWER_DUE,
            NoticeKind.REPORT_ANSWER_OVERDUE,
        ),
    ):
        waiting = Report.state == state
        due += await _remind(
            session, is_due, Report.due_told_at, waiting & (due_on == today), now=now
        )
        late += await _remind(
            session, is_late, Report.late_told_at, waiting & (due_on < today), now=now
        )
    return due, late


async def _remind(
    session: AsyncSession,
    kind: NoticeKind,
    told_at: InstrumentedAttribute[datetime | None],
    is_time: ColumnElement[bool],
    *,
    now: datetime,
) -> int:
    # Two workers that come at once wait here, and the second finds it done; a report that an
    # office takes up meanwhile is asked again whether it waits.
    claimed = (
        update(Report).where(told_at.is_(None), is_time).values({told_at: now}).returning(Report)
    )
    found = (await session.scalars(claimed)).all()
    for report in found:
        # A clock that was put off is another one: what was told of it before does not count.
        await _tell(session, report, report.extended_by or report.public_id, now=now, kind=kind)
    return len(found)


async def track(session: AsyncSession, typed: str, *, now: datetime) -> ReportTrack:
    """Tell whoever has the tracking code what became of a report.

    Raises:
        UnknownReport: no report has this code.
    """
    found = await session.scalar(select(Report).where(Report.code == rules.read_code(typed)))
    if found is None:
        raise rules.UnknownReport
    name = ""
    if found.division_code:
        name = await places.division_name(session, found.division_code, found.received_on)
    return ReportTrack(
        code=found.code,
        problem=rules.ReportProblem(found.problem),
        state=ReportState(found.state),
        division_code=found.division_code,
        division_name=name,
        department=Department(found.department),
        received_at=found.received_at,
        due_on=found.due_on,
        answer_due_on=found.answer_due_on,
        extended=found.extended_by is not None,
        overdue=(clock := _running(found)) is not None and clock.due_on < local_date(now),
        taken_up_at=found.taken_up_at,
        answer=found.answer,
        answered_at=found.answered_at,
    )


def _running(report: Report) -> Running | None:
    return rules.running(
        ReportState(report.state), due_on=report.due_on, answer_due_on=report.answer_due_on
    )


def _lies_with(report: Report, caller: Caller) -> bool:
    return Department(report.department) in caller.departments and may_supervise(
        caller, report.division_code
    )


def _check_decides(kind: ReportStepKind, report: Report, caller: Caller) -> None:
    """Refuse an operator who would do more than send a report to an office.

    Raises:
        NotAllowed: the caller is not the office that answers.
    """
    if kind is not ReportStepKind.REFER and not governs(caller, report.division_code):
        raise NotAllowed(action="report.handle")


async def step(
    session: AsyncSession,
    public_id: UUID,
    step_id: UUID,
    body: ReportStepIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[Report, bool]:
    """Take a report up, answer it, refer it, or put its answer off, as the office it lies with.

    Returns:
        The report, and whether the step is new.

    Raises:
        UnknownReport: there is none, or it lies with another office.
        IdReused: the id names another step.
        NotAllowed: the caller runs the platform: it refers reports, and offices answer them.
        ReportMovedOn: it is past this step.
        ReportNotMoved: it lies already where it is to be referred to.
        UnknownDivision: there is no such county.
        ExtensionLate, ExtendedAlready: see `rules.put_off`.
    """
    report = await session.scalar(
        select(Report).where(Report.public_id == public_id).with_for_update()
    )
    digest = digest_of(
        {**body.model_dump(mode="json"), "on": str(public_id), "by": str(caller.party_public_id)}
    )
    existing = await session.scalar(select(ReportStep).where(ReportStep.public_id == step_id))
    # Whoever referred it may repeat that, although it lies elsewhere now.
    if report is not None and existing is not None and existing.digest == digest:
        return report, False
    if report is None or not _lies_with(report, caller):
        raise rules.UnknownReport(report=str(public_id))
    if existing is not None:
        raise IdReused(step=str(step_id))
    _check_decides(body.kind, report, caller)
    await _move_on(session, report, step_id, body, now=now)
    session.add(
        ReportStep(
            public_id=step_id,
            digest=digest,
            report_id=report.id,
            kind=body.kind,
            words=body.words,
            division_code=body.division_code,
            department=body.department,
            approved_by=body.approved_by,
            party_id=caller.acting_party,
            made_at=now,
        )
    )
    await session.flush()
    if body.kind is ReportStepKind.REFER:
        await _tell(session, report, step_id, now=now)
    salt = (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party].commit_salt
    said = {
        "step": str(step_id),
        "did": body.kind,
        "by": str(caller.acting_public_id),
        "said_commit": commitment(salt, orjson.dumps(body.model_dump(mode="json")).decode()),
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement("report.step", public_id, said)], now=now)
    return report, True


async def _move_on(
    session: AsyncSession, report: Report, step_id: UUID, body: ReportStepIn, *, now: datetime
) -> None:
    report.state = rules.state_after(ReportState(report.state), body.kind)
    if body.kind is ReportStepKind.TAKE_UP:
        report.taken_up_at = now
        _begin_clock(report)
    elif body.kind is ReportStepKind.ANSWER:
        report.answer, report.answered_at = body.words, now
    elif body.kind is ReportStepKind.EXTEND:
        await _put_off(session, report, step_id, now=now)
    else:
        await _refer(session, report, body, now=now)


def _begin_clock(report: Report) -> None:
    """Let nothing be told yet of the clock that runs from now on."""
    report.due_told_at = report.late_told_at = None


async def _put_off(session: AsyncSession, report: Report, step_id: UUID, *, now: datetime) -> None:
    already = await session.scalar(
        select(func.count()).where(
            ReportStep.report_id == report.id, ReportStep.kind == ReportStepKind.EXTEND
        )
    )
    report.answer_due_on = rules.put_off(
        await _rules(session),
        due_on=report.answer_due_on,
        already=already or 0,
        on=local_date(now),
    )
    report.extended_by = step_id
    if report.state == ReportState.TAKEN_UP:
        _begin_clock(report)


async def _refer(
    session: AsyncSession, report: Report, body: ReportStepIn, *, now: datetime
) -> None:
    """Let a report lie with another office; its clock goes on, for it is the reporter's."""
    assert body.division_code is not None, "the schema asks for it"
    assert body.department is not None, "the schema asks for it"
    await places.division(session, body.division_code, local_date(now))
    if (report.division_code, report.department) == (body.division_code, body.department):
        raise rules.ReportNotMoved
    report.division_code, report.department = body.division_code, body.department
    report.taken_up_at = None
    _begin_clock(report)


async def lying_with(
    session: AsyncSession, caller: Caller, *, state: ReportState | None, most: int
) -> Sequence[Report]:
    """List the reports that lie with an office: unanswered ones first, the most urgent on top."""
    prefix = "" if caller.jurisdiction is None else caller.jurisdiction
    statement = select(Report).where(
        Report.division_code.startswith(prefix, autoescape=True),
        Report.department.in_([str(department) for department in caller.departments]),
    )
    if state is not None:
        statement = statement.where(Report.state == state)
    runs_out_on = case(
        (Report.state == ReportState.RECEIVED, Report.due_on), else_=Report.answer_due_on
    )
    ordered = statement.order_by(Report.state == ReportState.ANSWERED, runs_out_on, Report.id)
    found = (await session.scalars(ordered.limit(most))).all()
    return [report for report in found if _lies_with(report, caller)]


async def find(session: AsyncSession, public_id: UUID, caller: Caller) -> Report:
    """Find a report that lies with an office.

    Raises:
        UnknownReport: there is none, or it lies with another office.
    """
    report = await session.scalar(select(Report).where(Report.public_id == public_id))
    if report is None or not _lies_with(report, caller):
        raise rules.UnknownReport(report=str(public_id))
    return report


async def photo(session: AsyncSession, public_id: UUID, no: int, caller: Caller) -> ReportPhoto:
    """Find a photo of a report that lies with an office.

    Raises:
        UnknownReport: there is no such report, or it lies with another office.
        UnknownEvidence: it has no such photo.
    """
    report = await find(session, public_id, caller)
    found = await session.get(ReportPhoto, (report.id, no))
    if found is None:
        raise UnknownEvidence(report=str(public_id), no=no)
    return found


async def describe(
    session: AsyncSession, found: Sequence[Report], *, vault: Vault, now: datetime
) -> list[ReportOut]:
    """Write reports for the office that they lie with."""
    rows = await session.scalars(
        select(ReportStep)
        .where(ReportStep.report_id.in_([report.id for report in found]))
        .order_by(ReportStep.id)
    )
    taken = rows.all()
    known = await parties.by_ids(session, {row.party_id for row in taken})
    photos = defaultdict(list)
    for shown in await session.scalars(
        select(ReportPhoto)
        .where(ReportPhoto.report_id.in_([report.id for report in found]))
        .order_by(ReportPhoto.report_id, ReportPhoto.no)
    ):
        photos[shown.report_id].append(shown)
    today = local_date(now)
    return [
        ReportOut(
            report=report.public_id,
            document=report.document,
            token=report.token,
            problem=rules.ReportProblem(report.problem),
            text=vault.open(report.text_sealed, purpose=_TEXT),
            contact=(
                None
                if report.contact_sealed is None
                else vault.open(report.contact_sealed, purpose=_CONTACT)
            ),
            photos=[
                ReportPhotoOut(
                    no=shown.no,
                    path=f"/reports/{report.public_id}/photos/{shown.no}",
                    width_px=shown.width_px,
                    height_px=shown.height_px,
                    size_bytes=shown.size_bytes,
                )
                for shown in photos[report.id]
            ],
            state=ReportState(report.state),
            division_code=report.division_code,
            department=Department(report.department),
            received_at=report.received_at,
            due_on=report.due_on,
            answer_due_on=report.answer_due_on,
            extended=report.extended_by is not None,
            clock=None if (next_due := _running(report)) is None else next_due.clock,
            due_today=next_due is not None and next_due.due_on == today,
            overdue=next_due is not None and next_due.due_on < today,
            taken_up_at=report.taken_up_at,
            answer=report.answer,
            answered_at=report.answered_at,
            steps=[
                _step_out(row, by_name=known[row.party_id].name)
                for row in taken
                if row.report_id == report.id
            ],
        )
        for report in found
    ]


def _step_out(row: ReportStep, *, by_name: str) -> ReportStepOut:
    return ReportStepOut(
        step=row.public_id,
        kind=ReportStepKind(row.kind),
        words=row.words,
        division_code=row.division_code,
        department=None if row.department is None else Department(row.department),
        approved_by=row.approved_by,
        by_name=by_name,
        made_at=row.made_at,
    )
