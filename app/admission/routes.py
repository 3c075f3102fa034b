"""HTTP for the gate: scans, inspections, rulings, cases, papers, agreements, rules of a day."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.admission import gate, inspections, papers, rulings, sampling, seed, service
from app.admission.gate import CaseState
from app.admission.inspections import Circumstances
from app.admission.schemas import (
    AgreementIn,
    AgreementOut,
    CaseAnswerIn,
    CaseCloseIn,
    CaseOut,
    EndIn,
    EntryPolicyOut,
    EntryRuleOut,
    InspectionIn,
    InspectionListed,
    InspectionOut,
    LatenessOut,
    PaperIn,
    PaperKindOut,
    PaperOut,
    RulingIn,
    RulingOut,
    SamplingRuleOut,
    ScanIn,
    ScanListed,
    SeedOut,
    VerdictOut,
)
from app.admission.service import ScanDraft
from app.core.clock import local_date
from app.core.db import DbSession, ReplicaSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.event.rules import ImpossibleDate
from app.event.seed import lateness
from app.evidence.rules import UnknownEvidence
from app.lot.routes import repeated
from app.party.access import Caller, NotAllowed, NotSignedIn
from app.party.auth import allow
from app.party.rules import UnknownParty
from app.place.rules import UnknownPlace
from app.product.rules import UnknownProduct

LIMIT_MAX = 100

router = APIRouter(tags=["gate"])

Scanner = Annotated[Caller, Depends(allow("scan.record"))]
Inspector = Annotated[Caller, Depends(allow("inspection.record"))]
Ruler = Annotated[Caller, Depends(allow("inspection.rule"))]
CaseReader = Annotated[Caller, Depends(allow("gate-case.read"))]
Handler = Annotated[Caller, Depends(allow("gate-case.handle"))]
Answering = Annotated[Caller, Depends(allow("gate-case.answer"))]
Recorder = Annotated[Caller, Depends(allow("paper.record"))]
Agreer = Annotated[Caller, Depends(allow("agreement.record"))]
AgreementReader = Annotated[Caller, Depends(allow("agreement.read"))]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Day = Annotated[date | None, Query(description="Today, if left out.")]

public = Depends(allow("public.read"))


@router.post(
    "/scans",
    status_code=HTTPStatus.CREATED,
    responses={
        HTTPStatus.OK.value: {"model": VerdictOut, "description": "It was scanned already."},
        **declare(NotSignedIn, NotAllowed, UnknownPlace, IdReused),
    },
)
async def record_scan(
    body: ScanIn,
    request: Request,
    response: Response,
    session: DbSession,
    reading: ReplicaSession,
    caller: Scanner,
) -> VerdictOut:
    """Say what a scanned or typed code is worth: one decision, and every finding.

    A forged, voided or unknown code is no error of the request: it is a finding in a verdict. Sent
    again under the same id, a scan answers what it answered before and is not counted twice.
    """
    state = request.app.state
    now: datetime = state.clock()
    verdict, created = await service.scan(
        session,
        ScanDraft(body.id, body.text, body.place, body.device_at, body.plate),
        caller,
        verifier=await state.ring.keyset(session, now),
        base_urls=[state.settings.public_url],
        now=now,
        reading=reading,
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return verdict


@router.get("/scans", responses=declare(NotSignedIn, NotAllowed))
async def list_scans(
    session: ReplicaSession,
    caller: Scanner,
    before: Annotated[
        UUID | None, Query(description="The last scan of the page before; older ones follow.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[ScanListed]:
    """List what your party scanned, newest first."""
    return await service.own(session, caller, before=before, most=limit)


# --- inspections ----------------------------------------------------------------------------------


@router.put(
    "/inspections/{inspection_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(InspectionOut),
        **declare(
            IdReused,
            UnknownPlace,
            gate.NotAGate,
            gate.GateNotYours,
            ImpossibleDate,
            gate.UnknownPaper,
            UnknownParty,
            UnknownProduct,
        ),
    },
)
async def record_inspection(
    inspection_id: UUID,
    body: InspectionIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Inspector,
) -> InspectionOut:
    """Inspect a vehicle: one verdict for each line, one for all of it.

    Made without a network it may arrive hours later, in any order and more than once: it is kept
    once, placed in time by the evidence, and a case is opened where it contradicts another one.
    """
    state = request.app.state
    now = state.clock()
    circumstances = Circumstances(
        vault=state.vault,
        verifier=await state.ring.keyset(session, now),
        base_urls=[state.settings.public_url],
        new_id=state.new_id,
        now=now,
    )
    inspection, created = await inspections.record(
        session, inspection_id, body, caller, circumstances
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await rulings.describe(session, inspection, vault=state.vault)


@router.get("/inspections")
async def list_inspections(
    session: DbSession, caller: Inspector, limit: Limit = 50
) -> list[InspectionListed]:
    """List what your party inspected, the latest first, in the order of the evidence."""
    return await rulings.own(session, caller, most=limit)


@router.get("/inspections/{inspection_id}", responses=declare(gate.UnknownInspection))
async def read_inspection(
    inspection_id: UUID, request: Request, session: DbSession, caller: Inspector
) -> InspectionOut:
    """Read an inspection of a market that you run or supervise, with its rulings."""
    inspection = await rulings.find(session, inspection_id, caller)
    return await rulings.describe(session, inspection, vault=request.app.state.vault)


@router.put(
    "/rulings/{ruling_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(RulingOut),
        **declare(
            IdReused,
            gate.UnknownInspection,
            gate.RulingChangesNothing,
            gate.RulingNotYours,
            gate.TestMissing,
            gate.TestNotPassed,
        ),
    },
)
async def make_ruling(
    ruling_id: UUID,
    body: RulingIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Ruler,
) -> RulingOut:
    """Overrule a verdict, with a reason and somebody who answers for it.

    The market's food-safety officer lets in what was held or waits for a test; what was refused or
    is on hold is released by the regulator alone. The verdict stays beside every ruling.
    """
    state = request.app.state
    ruling, created = await rulings.rule(
        session,
        ruling_id,
        body,
        caller,
        vault=state.vault,
        new_id=state.new_id,
        now=state.clock(),
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return rulings.describe_ruling(ruling, body.line, caller.acting_public_id, vault=state.vault)


# --- cases ----------------------------------------------------------------------------------------


@router.get("/gate-cases")
async def list_cases(
    session: DbSession, caller: CaseReader, state: CaseState | None = None, limit: Limit = 50
) -> list[CaseOut]:
    """List what somebody has to look into at the markets that you run or supervise."""
    return await rulings.cases(session, caller, state=state, most=limit)


@router.put(
    "/gate-cases/{case_id}/close",
    responses=declare(gate.UnknownCase, gate.CaseOfTheMarket, gate.CaseNotYours, gate.CaseClosed),
)
async def close_case(
    case_id: UUID, body: CaseCloseIn, request: Request, session: DbSession, caller: Handler
) -> CaseOut:
    """Say how a case ended: handled, or a false alarm, and why."""
    case = await rulings.close_case(session, case_id, body, caller, now=request.app.state.clock())
    return (await rulings.describe_cases(session, [case], caller))[0]


@router.put(
    "/gate-cases/{case_id}/answer",
    responses=declare(gate.UnknownCase, gate.CaseAnswered, gate.CaseClosed),
)
async def answer_case(
    case_id: UUID, body: CaseAnswerIn, request: Request, session: DbSession, caller: Answering
) -> CaseOut:
    """State what happened and what was done, as the market; the office in charge reads it."""
    now = request.app.state.clock()
    case = await rulings.answer_case(session, case_id, body.answer, caller, now=now)
    return (await rulings.describe_cases(session, [case], caller))[0]


# --- papers and agreements ------------------------------------------------------------------------


@router.put(
    "/papers/{paper_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(PaperOut),
        **declare(IdReused, ImpossibleDate, gate.UnknownPaperKind, UnknownProduct, UnknownEvidence),
    },
)
async def record_paper(
    paper_id: UUID,
    body: PaperIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Recorder,
) -> PaperOut:
    """Keep a paper document: its photo, the fields typed from it, and who compared the two."""
    state = request.app.state
    paper, created = await papers.record_paper(
        session, paper_id, body, caller, vault=state.vault, now=state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await papers.describe_paper(session, paper, vault=state.vault)


@router.get("/papers/{paper_id}", responses=declare(gate.UnknownPaper))
async def read_paper(
    paper_id: UUID, request: Request, session: DbSession, caller: Recorder
) -> PaperOut:
    """Read a paper that your party recorded, or that lies in your jurisdiction."""
    paper = await papers.find_paper(session, paper_id, caller)
    return await papers.describe_paper(session, paper, vault=request.app.state.vault)


@router.put(
    "/agreements/{agreement_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(AgreementOut),
        **declare(
            IdReused,
            UnknownPlace,
            gate.NotAGate,
            gate.GateNotYours,
            UnknownParty,
            ImpossibleDate,
            UnknownEvidence,
        ),
    },
)
async def record_agreement(
    agreement_id: UUID,
    body: AgreementIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Agreer,
) -> AgreementOut:
    """Record that a seller signed the market's quality and safety agreement (质量安全协议)."""
    agreement, created = await papers.agree(
        session, agreement_id, body, caller, now=request.app.state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await papers.describe_agreements(session, [agreement]))[0]


@router.put(
    "/agreements/{agreement_id}/end",
    responses=declare(gate.UnknownAgreement, gate.GateNotYours, gate.AgreementEnded),
)
async def end_agreement(
    agreement_id: UUID, body: EndIn, request: Request, session: DbSession, caller: Agreer
) -> AgreementOut:
    """End an agreement (退市); from the next day the seller's goods are refused at the gate."""
    agreement = await papers.end_agreement(
        session, agreement_id, body.reason, caller, now=request.app.state.clock()
    )
    return (await papers.describe_agreements(session, [agreement]))[0]


@router.get("/agreements")
async def list_agreements(
    session: DbSession, caller: AgreementReader, limit: Limit = 50
) -> list[AgreementOut]:
    """List the agreements that your party signed, or recorded as a market."""
    return await papers.agreements_of(session, caller, most=limit)


# --- the rules of a day ---------------------------------------------------------------------------


@router.get("/entry-policy", dependencies=[public])
async def read_policy(request: Request, session: DbSession, on: Day = None) -> EntryPolicyOut:
    """Read the rules of entry, sampling and lateness of a day, with their sources."""
    day = on or local_date(request.app.state.clock())
    return EntryPolicyOut(
        on=day,
        rules=[
            EntryRuleOut.model_validate(rule)
            for rule in (await seed.policy(session)).rules
            if rule.in_force(day)
        ],
        sampling=[
            SamplingRuleOut.model_validate(rule)
            for rule in await seed.sampling(session)
            if rule.in_force(day)
        ],
        lateness=[
            LatenessOut.model_validate(rule)
            for rule in await lateness(session)
            if rule.in_force(day)
        ],
    )


@router.get("/paper-kinds", dependencies=[public])
async def list_paper_kinds(
    request: Request, session: DbSession, on: Day = None
) -> list[PaperKindOut]:
    """List the kinds of papers in use on a day, and for how long each counts."""
    day = on or local_date(request.app.state.clock())
    return [
        PaperKindOut.model_validate(kind)
        for kind in await seed.paper_kinds(session)
        if kind.in_force(day)
    ]


@router.get("/sampling/{day}", dependencies=[public], responses=declare(gate.UnknownDraw))
async def read_seed(day: date, session: DbSession) -> SeedOut:
    """Read what was committed to before a day's draw, and its seed once the day is over."""
    found = await sampling.find_seed(session, day)
    if found is None:
        raise gate.UnknownDraw(day=day.isoformat())
    return SeedOut(
        day=found.day,
        commitment=found.commitment.hex(),
        committed_at=found.committed_at,
        seed=None if found.seed is None else found.seed.hex(),
        revealed_at=found.revealed_at,
    )
