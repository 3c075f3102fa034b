"""HTTP for early warnings and credit files."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from app.core.clock import SHANGHAI, local_date
from app.core.db import DbSession
from app.core.problems import declare
from app.party import service as parties
from app.party.access import Caller, OtherParty
from app.party.auth import allow
from app.party.rules import UnknownParty
from app.supervision import credit, rules, service
from app.supervision.rules import Order, RuleCode, WarningState
from app.supervision.schemas import CreditFileOut, HandlingIn, WarningOut

LIMIT_MAX = 200
YEAR_DAYS = 365

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
    order: Annotated[Order, Query(description="`weight`: the most severe first.")] = Order.NEWEST,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[WarningOut]:
    """List the warnings of your market or jurisdiction."""
    found = await service.listed(
        session,
        caller,
        state=state,
        rule=rule,
        before=before,
        most=limit,
        order=order,
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


@router.get(
    "/parties/{party_id}/credit-file",
    responses=declare(UnknownParty, OtherParty),
    tags=["parties"],
)
async def read_credit_file(
    party_id: UUID,
    request: Request,
    session: DbSession,
    caller: Annotated[Caller, Depends(allow("party.read"))],
    since: Annotated[date | None, Query(description="A year ago, if left out.")] = None,
) -> CreditFileOut:
    """Read what the books say about a party: your own, or one of your jurisdiction."""
    party = await parties.find(session, party_id)
    first = since or local_date(request.app.state.clock()) - timedelta(days=YEAR_DAYS)
    begin = datetime.combine(first, time(), SHANGHAI)
    return await credit.read(session, caller, party, since=begin.astimezone(UTC))
