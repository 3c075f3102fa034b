"""HTTP for holds, destructions, recalls, referrals and notices."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.core.clock import local_date
from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.core.schemas import BIGINT_MAX
from app.event.rules import ImpossibleDate
from app.evidence.rules import EvidenceReused, UnknownEvidence
from app.hold import service as holds
from app.hold.rules import (
    HoldReleased,
    MarksArePersonal,
    NoticeKind,
    UnknownHold,
    UnknownNotice,
)
from app.lot.routes import CHANGE_REFUSALS, describe_changes, removal, repeated
from app.lot.rules import (
    ChangeKind,
    DestructionNeedsProof,
    LotExhausted,
    LotUnderRecall,
    UnknownLot,
)
from app.lot.schemas import ChangeOut, DestructionIn
from app.paper.rules import PressBusy
from app.party.access import Caller
from app.party.auth import allow
from app.party.rules import UnknownParty
from app.recall import (
    annulments,
    following,
    opening,
    printing,
    queries,
    referrals,
    rules,
    schemas,
    service,
)
from app.recall.queries import Sight
from app.recall.schemas import (
    HoldIn,
    HoldOut,
    HoldReleaseIn,
    HoldReleaseOut,
    NoticeOut,
    ReleaseIn,
    UnreadOut,
)
from app.testing.rules import UnknownSample
from app.ticket.rules import UnknownTicket

LIMIT_MAX = 200
UNREAD_MAX = 99
MARKING_REFUSALS = (MarksArePersonal, UnknownNotice)

router = APIRouter(tags=["holds"])

Destroyer = Annotated[Caller, Depends(allow("lot.write"))]
Placer = Annotated[Caller, Depends(allow("hold.place"))]
Releaser = Annotated[Caller, Depends(allow("hold.release"))]
Reader = Annotated[Caller, Depends(allow("hold.read"))]
Marker = Annotated[Caller, Depends(allow("notice.read"))]
NoticeId = Annotated[int, Path(ge=1, le=BIGINT_MAX)]


def _now(request: Request) -> datetime:
    now: datetime = request.app.state.clock()
    return now


def _today(request: Request) -> date:
    return local_date(_now(request))


@router.put(
    "/holds/{hold_id}",
    status_code=HTTPStatus.CREATED,
    responses={**repeated(HoldOut), **declare(UnknownLot, IdReused, rules.HoldNotYours)},
)
async def place_hold(
    hold_id: UUID,
    body: HoldIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Placer,
) -> HoldOut:
    """Stop a lot from moving, as the market it is in or the regulator who answers for it."""
    hold, created = await service.place(
        session, hold_id, body, caller, now=request.app.state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await service.describe(session, [hold]))[0]


@router.put(
    "/holds/{hold_id}/release",
    responses=declare(UnknownHold, rules.HoldRestsOnTest, rules.HoldNotYours, HoldReleased),
)
async def release_hold(
    hold_id: UUID, body: ReleaseIn, request: Request, session: DbSession, caller: Releaser
) -> HoldOut:
    """Let a lot move again, as far as this hold goes."""
    hold, _ = await service.release(
        session, hold_id, body.reason, caller, now=request.app.state.clock()
    )
    return (await service.describe(session, [hold]))[0]


@router.put(
    "/hold-releases/{release_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(HoldReleaseOut),
        **declare(
            UnknownSample,
            IdReused,
            rules.HoldRestsOnTest,
            rules.NothingHeld,
            rules.HoldNotYours,
        ),
    },
)
async def release_finding(
    release_id: UUID,
    body: HoldReleaseIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Releaser,
) -> HoldReleaseOut:
    """Let all go that a finding holds, in one transaction, as an office; all of it or nothing."""
    release, created = await service.release_all(
        session, release_id, body, caller, now=_now(request)
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await service.describe_release(session, release)


@router.get("/holds")
async def list_holds(
    session: DbSession,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[HoldOut]:
    """List the holds that your party placed, or that are on lots it holds."""
    return await service.describe(session, await service.concerning(session, caller, most=limit))


@router.get("/notices")
async def list_notices(
    session: DbSession,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[NoticeOut]:
    """List what your party was told about goods that it holds or held."""
    found = await holds.notices_of(session, caller, most=limit)
    goods = await queries.goods_of(session, [notice.id for notice, _ in found])
    return [
        NoticeOut(
            id=notice.id,
            kind=NoticeKind(notice.kind),
            subject=notice.subject,
            facts=notice.facts,
            goods=goods.get(notice.id, []),
            created_at=notice.created_at,
            read_at=read_at,
        )
        for notice, read_at in found
    ]


async def _unread(session: DbSession, caller: Caller) -> UnreadOut:
    count = await holds.unread_of(session, caller, most=UNREAD_MAX + 1)
    return UnreadOut(count=min(count, UNREAD_MAX), more=count > UNREAD_MAX)


@router.get("/notices/unread")
async def count_unread_notices(session: DbSession, caller: Reader) -> UnreadOut:
    """Count the notices that you have not read; whoever else works for your party counts alone."""
    return await _unread(session, caller)


@router.put("/notices/{notice_id}/read", responses=declare(*MARKING_REFUSALS))
async def mark_notice_read(
    notice_id: NoticeId,
    request: Request,
    session: DbSession,
    caller: Marker,
    *,
    earlier: Annotated[
        bool, Query(description="All that came before it, too; what came later stays unread.")
    ] = False,
) -> UnreadOut:
    """Mark a notice as read by you, and tell what is left; sent again it changes nothing."""
    await holds.mark_read(session, notice_id, caller, earlier=earlier, now=_now(request))
    return await _unread(session, caller)


@router.put(
    "/destructions/{change_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(ChangeOut),
        **declare(
            *CHANGE_REFUSALS,
            UnknownEvidence,
            LotUnderRecall,
            DestructionNeedsProof,
            EvidenceReused,
        ),
    },
    tags=["lots"],
)
async def destroy(
    change_id: UUID,
    body: DestructionIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Destroyer,
) -> ChangeOut:
    """Record that goods were rendered harmless; of a recalled lot, its recall records it."""
    now = _now(request)
    said = {"reason": body.reason, "receipt": body.receipt, "witness": body.witness}
    words = {name: words for name, words in said.items() if words is not None}
    draft = removal(
        change_id, ChangeKind.DESTROY, body, caller, {"method": body.method}, words, now=now
    )
    change, created = await service.destroy(session, draft, body.evidence, now=now)
    if not created:
        response.status_code = HTTPStatus.OK
    return (await describe_changes(session, [change]))[0]


# --- recalls ----------------------------------------------------------------------------------

PAGE_LOTS_MAX = 1_000
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Opener = Annotated[Caller, Depends(allow("recall.open"))]
Viewer = Annotated[Caller, Depends(allow("recall.read"))]
Follower = Annotated[Caller, Depends(allow("recall.follow"))]
Annuller = Annotated[Caller, Depends(allow("recall.annul"))]
Closer = Annotated[Caller, Depends(allow("recall.close"))]

_SCOPE_REFUSALS = (
    UnknownLot,
    rules.HoldNotYours,
    rules.NoSuspectSource,
    rules.RecallTooLarge,
)
_IN_A_CASE = (rules.UnknownRecall, rules.RecallNotYours, rules.RecallClosed)


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
    }
    return Response(content, media_type=media_type, headers=headers)


def _download(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


@router.post("/recall-scopes", responses=declare(*_SCOPE_REFUSALS), tags=["recalls"])
async def preview_scope(
    body: schemas.ScopeIn, session: DbSession, caller: Opener
) -> schemas.ScopeOut:
    """Answer how far a recall would reach; nothing is held and nobody is told."""
    scope = await opening.preview(session, body, caller)
    spans: dict[rules.Relation, list[int]] = {}
    for stock in scope.stocks:
        spans.setdefault(scope.relations[stock.lot], []).append(stock.mass_g)
    return schemas.ScopeOut(
        lots=len(scope.stocks),
        holders=len({stock.holder_id for stock in scope.stocks} - {None}),
        on_hand_g=sum(stock.remaining_g for stock in scope.stocks),
        relations=[
            schemas.SpanOut(relation=relation, lots=len(masses), mass_g=sum(masses))
            for relation, masses in sorted(spans.items())
        ],
    )


@router.put(
    "/recalls/{recall_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(schemas.RecallOut),
        **declare(*_SCOPE_REFUSALS, IdReused, ImpossibleDate, rules.KnownBeforeGoods),
    },
    tags=["recalls"],
)
async def open_recall(
    recall_id: UUID,
    body: schemas.RecallIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Opener,
) -> schemas.RecallOut:
    """Call goods back: once this is answered, no lot in scope gives anything away."""
    recall, created = await opening.open_case(session, recall_id, body, caller, now=_now(request))
    if not created:
        response.status_code = HTTPStatus.OK
    return await queries.describe(session, recall, caller, today=_today(request))


@router.get("/recalls", tags=["recalls"])
async def list_recalls(
    request: Request,
    session: DbSession,
    caller: Viewer,
    open_only: bool = False,  # noqa: FBT001, FBT002 (a query parameter)
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[schemas.RecallOut]:
    """List the recalls that your party opened or was told of, with their clocks."""
    return await queries.listed(
        session, caller, open_only=open_only, most=limit, today=_today(request)
    )


@router.get(
    "/recalls.xlsx", response_class=Response, responses=_download(SPREADSHEET), tags=["recalls"]
)
async def export_deadlines(request: Request, session: DbSession, caller: Viewer) -> Response:
    """Write the deadlines of recalls and referrals into a spreadsheet."""
    today = _today(request)
    cases = await queries.listed(session, caller, open_only=False, most=LIMIT_MAX, today=today)
    asked = await referrals.concerning(session, caller, most=LIMIT_MAX)
    told = await referrals.describe(session, asked, today=today)
    content = await printing.deadlines(cases, told)
    return _file(content, SPREADSHEET, f"recalls-{today}.xlsx")


@router.get("/recalls/{recall_id}", responses=declare(rules.UnknownRecall), tags=["recalls"])
async def read_recall(
    recall_id: UUID, request: Request, session: DbSession, caller: Viewer
) -> schemas.RecallOut:
    """Read a recall: its clocks, and, for whoever answers for it, its sums."""
    recall = await queries.find(session, recall_id)
    return await queries.describe(session, recall, caller, today=_today(request))


@router.get("/recalls/{recall_id}/lots", responses=declare(rules.UnknownRecall), tags=["recalls"])
async def list_recall_lots(
    recall_id: UUID,
    session: DbSession,
    caller: Viewer,
    after: Annotated[int, Query(ge=0, le=BIGINT_MAX)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_LOTS_MAX)] = 200,
) -> schemas.LotsPage:
    """List the lots in scope, oldest first; a trader's own lots only."""
    recall = await queries.find(session, recall_id)
    sight = await queries.check_may_see(session, recall, caller)
    holder = None if sight is Sight.ALL else caller.acting_party
    return await queries.lots_of(session, recall, holder=holder, after=after, most=limit)


@router.get(
    "/recalls/{recall_id}/notices", responses=declare(rules.UnknownRecall), tags=["recalls"]
)
async def list_recall_notices(
    recall_id: UUID, request: Request, session: DbSession, caller: Viewer
) -> list[schemas.RecallNoticeOut]:
    """List who was told and who has answered; a trader sees its own notice only."""
    recall = await queries.find(session, recall_id)
    sight = await queries.check_may_see(session, recall, caller)
    party = None if sight is Sight.ALL else caller.acting_party
    return await queries.notices_of(session, recall, party=party, now=_now(request))


@router.put(
    "/recalls/{recall_id}/acknowledgements/{party_id}",
    responses=declare(
        *_IN_A_CASE,
        UnknownParty,
        UnknownLot,
        rules.NotInScope,
        rules.RecallAcknowledged,
        rules.GramsDiffer,
    ),
    tags=["recalls"],
)
async def acknowledge_recall(
    recall_id: UUID,
    party_id: UUID,
    body: schemas.AcknowledgementIn,
    request: Request,
    session: DbSession,
    caller: Follower,
) -> schemas.RecallNoticeOut:
    """Say that the notice arrived and the goods stand still; an office can say it after a visit."""
    now = _now(request)
    notice = await following.acknowledge(session, recall_id, party_id, body, caller, now=now)
    recall = await queries.find(session, recall_id)
    return (await queries.notices_of(session, recall, party=notice.party_id, now=now))[0]


@router.put(
    "/recalls/{recall_id}/steps/{step_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(schemas.StepOut),
        **declare(
            *_IN_A_CASE,
            UnknownLot,
            rules.NotInScope,
            IdReused,
            rules.ConsumedByOwnWord,
            rules.HoldersOwnWord,
            rules.MockOnly,
            rules.GramsDiffer,
            LotExhausted,
        ),
    },
    tags=["recalls"],
)
async def record_step(
    recall_id: UUID,
    step_id: UUID,
    body: schemas.StepIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Follower,
) -> schemas.StepOut:
    """Record grams of a lot that were located, recovered, or turned out to be consumed."""
    step, created = await following.record_step(
        session, recall_id, step_id, body, caller, now=_now(request)
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await queries.steps_of(session, step.recall_id, step=step.public_id))[0]


@router.put(
    "/recalls/{recall_id}/disposals/{disposal_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(schemas.DisposalOut),
        **declare(
            *_IN_A_CASE,
            UnknownLot,
            rules.NotInScope,
            IdReused,
            ImpossibleDate,
            rules.NotAnnounced,
            UnknownEvidence,
            rules.MockOnly,
            rules.NotRemediable,
            rules.GramsDiffer,
            LotExhausted,
            EvidenceReused,
        ),
    },
    tags=["recalls"],
)
async def record_disposal(
    recall_id: UUID,
    disposal_id: UUID,
    body: schemas.DisposalIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Follower,
) -> schemas.DisposalOut:
    """Record how recovered goods were dealt with, with photos and a witness."""
    disposal, created = await following.record_disposal(
        session, recall_id, disposal_id, body, caller, now=_now(request)
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await queries.disposals_of(session, disposal.recall_id, only=disposal))[0]


@router.get(
    "/recalls/{recall_id}/hand-overs", responses=declare(rules.UnknownRecall), tags=["recalls"]
)
async def list_hand_overs(
    recall_id: UUID,
    session: DbSession,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[schemas.HandOverOut]:
    """List the hand-overs of goods in scope that nobody has decided about; a trader's own only."""
    recall = await queries.find(session, recall_id)
    sight = await queries.check_may_see(session, recall, caller)
    party = None if sight is Sight.ALL else caller.acting_party
    return await annulments.on_their_way(session, recall, party=party, most=limit)


@router.put(
    "/recalls/{recall_id}/annulments/{ticket_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(schemas.AnnulmentOut),
        **declare(
            *_IN_A_CASE,
            UnknownTicket,
            IdReused,
            rules.MockOnly,
            rules.NotInScope,
            rules.NothingToAnnul,
        ),
    },
    tags=["recalls"],
)
async def annul_hand_over(
    recall_id: UUID,
    ticket_id: UUID,
    body: schemas.AnnulmentIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Annuller,
) -> schemas.AnnulmentOut:
    """Take back a hand-over of goods on their way, in the seller's place, as office in charge."""
    annulment, created = await annulments.annul(
        session, recall_id, ticket_id, body, caller, now=_now(request)
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await annulments.annulments_of(session, annulment.recall_id, only=annulment))[0]


@router.put(
    "/recalls/{recall_id}/forwardings/{forwarding_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(schemas.ForwardingOut),
        **declare(*_IN_A_CASE, IdReused, ImpossibleDate),
    },
    tags=["recalls"],
)
async def record_forwarding(
    recall_id: UUID,
    forwarding_id: UUID,
    body: schemas.ForwardingIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Follower,
) -> schemas.ForwardingOut:
    """Record that buyers outside the platform were told."""
    told, created = await following.record_forwarding(
        session, recall_id, forwarding_id, body, caller, now=_now(request)
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await queries.forwardings_of(session, told.recall_id, only=told))[0]


@router.put(
    "/recalls/{recall_id}/sign-offs/{request_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(schemas.SignOffOut),
        **declare(*_IN_A_CASE, IdReused, rules.SignOffYours, rules.GramsOpen, rules.StepsOpen),
    },
    tags=["recalls"],
)
async def ask_sign_off(
    recall_id: UUID,
    request_id: UUID,
    body: schemas.SignOffIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Closer,
) -> schemas.SignOffOut:
    """Say that a recall is finished, and ask the offices in charge to sign it off."""
    asked, created = await following.ask_sign_off(
        session, recall_id, request_id, body, caller, now=_now(request)
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await queries.sign_offs_of(session, asked.recall_id, only=asked))[0]


@router.put(
    "/recalls/{recall_id}/closure",
    responses=declare(
        *_IN_A_CASE,
        rules.SignOffNotYours,
        rules.GramsOpen,
        rules.StepsOpen,
        rules.SamplesUnsigned,
    ),
    tags=["recalls"],
)
async def close_recall(
    recall_id: UUID, body: schemas.ClosureIn, request: Request, session: DbSession, caller: Closer
) -> schemas.RecallOut:
    """Sign a recall off when every gram is accounted for, or lift it; what is left moves again."""
    recall, _ = await following.close(session, recall_id, body, caller, now=_now(request))
    return await queries.describe(session, recall, caller, today=_today(request))


# --- what is exported and printed -------------------------------------------------------------


@router.get("/recalls/{recall_id}/record", responses=declare(rules.UnknownRecall), tags=["recalls"])
async def read_record(
    recall_id: UUID, request: Request, session: DbSession, caller: Viewer
) -> schemas.RecordOut:
    """Read all that is recorded in a case; its lots come by pages (`/recalls/{id}/lots`)."""
    recall = await queries.find(session, recall_id)
    return await printing.record(session, recall, caller, now=_now(request))


@router.get(
    "/recalls/{recall_id}/record.xlsx",
    response_class=Response,
    responses={**_download(SPREADSHEET), **declare(rules.UnknownRecall)},
    tags=["recalls"],
)
async def export_record(
    recall_id: UUID, request: Request, session: DbSession, caller: Viewer
) -> Response:
    """Write all that is recorded in a case into a spreadsheet, with its first 20,000 lots."""
    recall = await queries.find(session, recall_id)
    written = await printing.record(session, recall, caller, now=_now(request))
    holder = None if written.recall.totals is not None else caller.acting_party
    page = await queries.lots_of(
        session, recall, holder=holder, after=0, most=printing.SPREADSHEET_LOTS_MAX
    )
    content = await printing.spreadsheet(written, page.lots)
    return _file(content, SPREADSHEET, f"recall-{recall_id}.xlsx")


@router.get(
    "/recalls/{recall_id}/record.pdf",
    response_class=Response,
    responses={
        **_download("application/pdf"),
        **declare(rules.UnknownRecall, PressBusy),
    },
    tags=["recalls"],
)
async def print_record(
    recall_id: UUID, request: Request, session: DbSession, caller: Viewer
) -> Response:
    """Print a case: its report, its clocks, and the first lots and notices."""
    now = _now(request)
    recall = await queries.find(session, recall_id)
    written = await printing.record(session, recall, caller, now=now)
    holder = None if written.recall.totals is not None else caller.acting_party
    page = await queries.lots_of(
        session, recall, holder=holder, after=0, most=printing.PRINTED_LOTS_MAX
    )
    content = await printing.report(request.app.state.press, written, page.lots, now=now)
    return _file(content, "application/pdf", f"recall-{recall_id}.pdf")


@router.get("/recalls/{recall_id}/letter", responses=declare(rules.UnknownRecall), tags=["recalls"])
async def read_letter(recall_id: UUID, session: DbSession, caller: Follower) -> schemas.LetterOut:
    """Read what to tell buyers outside the platform, and which sales it concerns."""
    recall = await queries.find(session, recall_id)
    await queries.check_may_see(session, recall, caller)
    return await queries.letter(session, recall, caller.acting_party)


@router.get(
    "/recalls/{recall_id}/letter.pdf",
    response_class=Response,
    responses={
        **_download("application/pdf"),
        **declare(rules.UnknownRecall, PressBusy),
    },
    tags=["recalls"],
)
async def print_letter(
    recall_id: UUID, request: Request, session: DbSession, caller: Follower
) -> Response:
    """Print the notice that goes to buyers outside the platform, and on the wall of a stall."""
    recall = await queries.find(session, recall_id)
    await queries.check_may_see(session, recall, caller)
    letter = await queries.letter(session, recall, caller.acting_party)
    content = await printing.notice(request.app.state.press, letter, now=_now(request))
    return _file(content, "application/pdf", f"recall-notice-{recall_id}.pdf")


# --- referrals --------------------------------------------------------------------------------

Asker = Annotated[Caller, Depends(allow("referral.ask"))]
Answerer = Annotated[Caller, Depends(allow("referral.answer"))]


@router.put(
    "/referrals/{referral_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(schemas.ReferralOut),
        **declare(
            UnknownLot,
            rules.UnknownRecall,
            IdReused,
            rules.NotInScope,
            rules.RecallClosed,
            rules.NoOfficeThere,
        ),
    },
    tags=["referrals"],
)
async def ask_referral(
    referral_id: UUID,
    body: schemas.ReferralIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Asker,
) -> schemas.ReferralOut:
    """Ask the office that answers for another place (协查)."""
    referral, created = await referrals.ask(session, referral_id, body, caller, now=_now(request))
    if not created:
        response.status_code = HTTPStatus.OK
    return (await referrals.describe(session, [referral], today=_today(request)))[0]


@router.put(
    "/referrals/{referral_id}/answer",
    responses=declare(
        rules.UnknownReferral,
        rules.HoldNotYours,
        rules.ReferralAnswered,
        rules.ReferralWithdrawn,
    ),
    tags=["referrals"],
)
async def answer_referral(
    referral_id: UUID,
    body: schemas.AnswerIn,
    request: Request,
    session: DbSession,
    caller: Answerer,
) -> schemas.ReferralOut:
    """Answer a referral, as the office that was asked."""
    referral, _ = await referrals.answer(
        session, referral_id, body.answer, caller, now=_now(request)
    )
    return (await referrals.describe(session, [referral], today=_today(request)))[0]


@router.put(
    "/referrals/{referral_id}/withdrawal",
    responses=declare(
        rules.UnknownReferral,
        rules.ReferralNotYours,
        rules.ReferralAnswered,
        rules.ReferralWithdrawn,
    ),
    tags=["referrals"],
)
async def withdraw_referral(
    referral_id: UUID,
    body: schemas.WithdrawalIn,
    request: Request,
    session: DbSession,
    caller: Asker,
) -> schemas.ReferralOut:
    """Withdraw a referral without an answer, as whoever asked or is in charge of its recall."""
    referral, _ = await referrals.withdraw(
        session, referral_id, body.reason, caller, now=_now(request)
    )
    return (await referrals.describe(session, [referral], today=_today(request)))[0]


@router.get("/referrals", tags=["referrals"])
async def list_referrals(
    request: Request,
    session: DbSession,
    caller: Answerer,
    open_only: bool = False,  # noqa: FBT001, FBT002 (a query parameter)
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[schemas.ReferralOut]:
    """List the referrals that your office asked or is asked; open ones first, by their clock."""
    found = await referrals.concerning(session, caller, open_only=open_only, most=limit)
    return await referrals.describe(session, found, today=_today(request))
