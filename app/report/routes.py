"""HTTP for reports: anybody files one, an office handles it."""

from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import BodyTooLarge, declare
from app.evidence import service as evidence
from app.evidence.routes import answer as answer_image
from app.evidence.rules import MEDIA_TYPE, ImageSizeUnfit, NotAnImage, UnknownEvidence
from app.party.access import Caller
from app.party.auth import allow
from app.place.rules import DivisionNotInForce, UnknownDivision
from app.report import rules, service
from app.report.models import Report
from app.report.rules import ReportState
from app.report.schemas import (
    PHOTOS_READ_MAX,
    ReportIn,
    ReportOut,
    ReportStepIn,
    ReportTaken,
)
from app.report.service import Around
from app.testing.rules import ExtendedAlready, ExtensionLate

PATH: Final = "/report/"
"""Under it, the page of each tracking code."""
LISTED_MAX: Final = 200

router = APIRouter(tags=["reports"])

FILING_REFUSALS: Final = (
    IdReused,
    rules.NoSuchDocument,
    rules.TooManyReports,
    rules.PhotosUnfit,
    NotAnImage,
    ImageSizeUnfit,
)
_IMAGE: dict[str, Any] = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}

Handler = Annotated[Caller, Depends(allow("report.handle"))]


def around(request: Request) -> Around:
    """Say where a request came from, and what reports are sealed with."""
    state = request.app.state
    return Around(
        address="" if request.client is None else request.client.host,
        base_url=state.settings.public_url,
        vault=state.vault,
        now=state.clock(),
    )


@router.put(
    "/reports/{report_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        HTTPStatus.OK.value: {"model": ReportTaken, "description": "It was taken already."},
        **declare(BodyTooLarge, *FILING_REFUSALS),
    },
    dependencies=[Depends(allow("report.file"))],
)
async def file_report(
    report_id: UUID, body: ReportIn, request: Request, response: Response, session: DbSession
) -> ReportTaken:
    """Report a problem with the goods of a ticket or certificate, without an account (投诉举报).

    It goes to the office that answers for them. The answer's `code` is all that leads back to it.
    """
    report, created = await service.file(session, report_id, body, body.photos, around(request))
    if not created:
        response.status_code = HTTPStatus.OK
    return ReportTaken(
        report=report.public_id,
        code=report.code,
        track=PATH + report.code,
        received_at=report.received_at,
        due_on=report.due_on,
        answer_due_on=report.answer_due_on,
    )


async def _told(request: Request, session: DbSession, report: Report) -> ReportOut:
    state = request.app.state
    return (await service.describe(session, [report], vault=state.vault, now=state.clock()))[0]


@router.get("/reports")
async def list_reports(
    request: Request,
    session: DbSession,
    caller: Handler,
    state: ReportState | None = None,
    limit: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 50,
) -> list[ReportOut]:
    """List the reports that lie with the caller's office, the most urgent first."""
    found = await service.lying_with(session, caller, state=state, most=limit)
    held = request.app.state
    return await service.describe(session, found, vault=held.vault, now=held.clock())


@router.get("/reports/{report_id}", responses=declare(rules.UnknownReport))
async def read_report(
    report_id: UUID, request: Request, session: DbSession, caller: Handler
) -> ReportOut:
    """Read a report that lies with the caller's office."""
    return await _told(request, session, await service.find(session, report_id, caller))


@router.get(
    "/reports/{report_id}/photos/{no}",
    response_class=Response,
    responses={
        HTTPStatus.OK.value: {"content": _IMAGE},
        **declare(rules.UnknownReport, UnknownEvidence),
    },
)
async def read_photo(
    report_id: UUID,
    no: Annotated[int, Path(ge=1, le=PHOTOS_READ_MAX)],
    request: Request,
    session: DbSession,
    caller: Handler,
) -> Response:
    """Show a photo of a report to the office that it lies with; nobody else sees it."""
    found = await service.photo(session, report_id, no, caller)
    vault = request.app.state.vault
    return answer_image(await evidence.content(session, found.content_sha256, vault=vault))


@router.put(
    "/reports/{report_id}/steps/{step_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        HTTPStatus.OK.value: {"model": ReportOut, "description": "It was taken already."},
        **declare(
            rules.UnknownReport,
            IdReused,
            rules.ReportMovedOn,
            UnknownDivision,
            DivisionNotInForce,
            rules.ReportNotMoved,
            ExtensionLate,
            ExtendedAlready,
        ),
    },
)
async def take_step(
    report_id: UUID,
    step_id: UUID,
    body: ReportStepIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Handler,
) -> ReportOut:
    """Take a report up, answer it (whoever has its code reads that), refer it, or put it off."""
    now = request.app.state.clock()
    report, created = await service.step(session, report_id, step_id, body, caller, now=now)
    if not created:
        response.status_code = HTTPStatus.OK
    return await _told(request, session, report)
