"""Traces over HTTP: one call, the whole graph."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from app.core.db import ReplicaSession
from app.core.problems import declare
from app.lot.rules import UnknownLot
from app.party.access import Caller, NotAllowed, NotSignedIn, OtherParty
from app.party.auth import allow
from app.ticket.rules import UnknownTicket
from app.trace import service
from app.trace.rules import Direction, TraceTooLarge
from app.trace.schemas import NeighboursOut, TraceOut

router = APIRouter(tags=["trace"])

MayTrace = Annotated[Caller, Depends(allow("trace.read"))]
Limit = Annotated[
    int, Query(ge=1, le=service.LOTS_MAX, description="Refuse a graph of more lots than this.")
]
_REFUSALS = (NotSignedIn, NotAllowed, OtherParty, TraceTooLarge)


@router.get("/lots/{lot_id}/trace", responses=declare(UnknownLot, *_REFUSALS))
async def trace_lot(
    lot_id: UUID,
    direction: Direction,
    caller: MayTrace,
    session: ReplicaSession,
    limit: Limit = service.LOTS_MAX,
) -> TraceOut:
    """Trace a lot back to its sources, or forward to every holder."""
    return await service.trace(session, [lot_id], direction, caller=caller, limit=limit)


@router.get("/lots/{lot_id}/neighbours", responses=declare(UnknownLot, *_REFUSALS))
async def lot_neighbours(lot_id: UUID, caller: MayTrace, session: ReplicaSession) -> NeighboursOut:
    """Show what a lot came from and where it went, one step each way."""
    return await service.neighbours(session, lot_id, caller=caller)


@router.get("/tickets/{ticket_id}/trace", responses=declare(UnknownTicket, *_REFUSALS))
async def trace_ticket(
    ticket_id: UUID,
    direction: Direction,
    caller: MayTrace,
    session: ReplicaSession,
    limit: Limit = service.LOTS_MAX,
) -> TraceOut:
    """Trace a ticket's goods: back from what it draws on, forward from what the buyer received."""
    return await service.trace_ticket(session, ticket_id, direction, caller=caller, limit=limit)
