"""HTTP for holds and notices."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.hold import service as holds
from app.hold.rules import NoticeKind, UnknownHold
from app.lot.routes import repeated
from app.lot.rules import UnknownLot
from app.party.access import Caller
from app.party.auth import allow
from app.recall import rules, service
from app.recall.schemas import HoldIn, HoldOut, NoticeOut, ReleaseIn

LIMIT_MAX = 200

router = APIRouter(tags=["holds"])

Placer = Annotated[Caller, Depends(allow("hold.place"))]
Reader = Annotated[Caller, Depends(allow("hold.read"))]


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
    responses=declare(UnknownHold, rules.HoldRestsOnTest, rules.HoldNotYours),
)
async def release_hold(
    hold_id: UUID, body: ReleaseIn, request: Request, session: DbSession, caller: Placer
) -> HoldOut:
    """Let a lot move again, as far as this hold goes."""
    hold, _ = await service.release(
        session, hold_id, body.reason, caller, now=request.app.state.clock()
    )
    return (await service.describe(session, [hold]))[0]


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
    return [
        NoticeOut(
            id=notice.id,
            kind=NoticeKind(notice.kind),
            subject=notice.subject,
            facts=notice.facts,
            created_at=notice.created_at,
        )
        for notice in await holds.notices_of(session, caller.acting_party, most=limit)
    ]
