"""HTTP for the gate: scan a code, and read one's own scans."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.admission import service
from app.admission.schemas import ScanIn, ScanListed, VerdictOut
from app.admission.service import ScanDraft
from app.core.db import DbSession, ReplicaSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.party.access import Caller, NotAllowed, NotSignedIn
from app.party.auth import allow
from app.place.rules import UnknownPlace

LIMIT_MAX = 100

router = APIRouter(tags=["scans"])

Scanner = Annotated[Caller, Depends(allow("scan.record"))]


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
