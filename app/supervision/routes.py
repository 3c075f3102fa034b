"""HTTP for early warnings."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from app.core.db import DbSession
from app.core.problems import declare
from app.party.access import Caller
from app.party.auth import allow
from app.supervision import rules, service
from app.supervision.rules import RuleCode, WarningState
from app.supervision.schemas import HandlingIn, WarningOut

LIMIT_MAX = 200

router = APIRouter(tags=["warnings"])

Reader = Annotated[Caller, Depends(allow("warning.read"))]


@router.get("/warnings")
async def list_warnings(
    request: Request,
    session: DbSession,
    caller: Reader,
    state: Annotated[WarningState | None, Query(description="All of them if left out.")] = None,
    rule: RuleCode | None = None,
    before: Annotated[UUID | None, Query(description="The last one of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[WarningOut]:
    """List the warnings of your market or jurisdiction, newest first."""
    found = await service.listed(
        session,
        caller,
        state=state,
        rule=rule,
        before=before,
        most=limit,
        now=request.app.state.clock(),
    )
    return await service.describe(session, found)


@router.get("/warnings/{warning_id}", responses=declare(rules.UnknownWarning))
async def read_warning(
    warning_id: UUID, request: Request, session: DbSession, caller: Reader
) -> WarningOut:
    """Read a warning with its evidence."""
    row = await service.find(session, warning_id, caller, now=request.app.state.clock())
    return (await service.describe(session, [row]))[0]


@router.put(
    "/warnings/{warning_id}/handling",
    responses=declare(rules.UnknownWarning, rules.WarningConcernsYou, rules.WarningClosed),
)
async def handle_warning(
    warning_id: UUID,
    body: HandlingIn,
    request: Request,
    session: DbSession,
    caller: Annotated[Caller, Depends(allow("warning.handle"))],
) -> WarningOut:
    """Say what became of a warning: handled, or false; and why."""
    row = await service.close(session, warning_id, body, caller, now=request.app.state.clock())
    return (await service.describe(session, [row]))[0]
