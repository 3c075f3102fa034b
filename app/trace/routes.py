"""Traces over HTTP: the whole graph in one call, in pages, as a picture, or as a stream."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp

from app.core import problems
from app.core.db import Database, ReplicaSession
from app.core.errors import DomainError
from app.core.http import JSON_HEADERS, Shortcut, Written
from app.core.problems import declare
from app.core.replica import DATABASE_FAULTS, NoConnection
from app.lot.rules import UnknownLot
from app.party.access import Caller, NotAllowed, NotSignedIn, OtherParty
from app.party.auth import allow, credential_of
from app.party.credentials import Credential
from app.ticket.rules import UnknownTicket
from app.trace import export, search, service
from app.trace.rules import Direction, TraceTimedOut, TraceTooLarge, UnknownPosition
from app.trace.schemas import (
    CommonSourceOut,
    LotsPageOut,
    NeighboursOut,
    PathOut,
    PictureOut,
    SamplesIn,
    SearchOut,
    TraceOut,
)

LINES = "application/x-ndjson"
PAGE_LOTS_MAX = 2_000
DRAWN_MAX = 300
UNFOLDED_MAX = 20
RANKED_MAX = 200

router = APIRouter(tags=["trace"])

_TRACE = "/lots/{lot_id}/trace"
_ACTION = "trace.read"
MayTrace = Annotated[Caller, Depends(allow(_ACTION))]
Limit = Annotated[
    int, Query(ge=1, le=service.LOTS_MAX, description="Refuse a graph of more lots than this.")
]
_REFUSALS = (NotSignedIn, NotAllowed, OtherParty, TraceTooLarge, TraceTimedOut)
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": TraceOut,
        "description": f"With `Accept: {LINES}` a stream: `trace`, then `lot`, `edge` and "
        "`in_transit` lines, then `end`; a stream without `end` is not complete.",
        "content": {LINES: {"schema": {"type": "string"}}},
    }
}


_PLAIN = {f"direction={direction}".encode(): direction for direction in Direction}


async def _trace_at_once(request: Request) -> ASGIApp | None:
    """Trace a lot in the plain case; see `service.write_at_once`."""
    direction = _PLAIN.get(request.scope["query_string"])
    if direction is None or _wants_lines(request):
        return None
    credential, secret = credential_of(request)
    if credential is Credential.NONE:
        return None
    try:
        lot_id = UUID(request.path_params["lot_id"])
    except ValueError:
        return None
    try:
        written = await service.write_at_once(
            _database(request),
            credential,
            secret,
            lot_id,
            direction,
            action=_ACTION,
            limit=service.LOTS_MAX,
            now=request.app.state.clock(),
        )
    except (TraceTimedOut, NoConnection) as error:
        # Whoever has waited for so long need not wait as long again to hear the same.
        waited = error if isinstance(error, TraceTimedOut) else problems.Busy()
        return problems.answer(request, waited)
    except DATABASE_FAULTS:
        return None
    return None if written is None else Written(written, JSON_HEADERS)


shortcut = Shortcut(_TRACE, _trace_at_once)
"""The trace of a lot is asked for most; see `http.Shortcuts`."""


@router.get(
    _TRACE,
    response_model=TraceOut,
    responses={**_STREAMED, **declare(UnknownLot, *_REFUSALS)},
)
async def trace_lot(
    lot_id: UUID,
    direction: Direction,
    request: Request,
    caller: MayTrace,
    session: ReplicaSession,
    limit: Limit = service.LOTS_MAX,
) -> Response:
    """Trace a lot back to its sources, or forward to every holder."""
    if _wants_lines(request):
        reader = _database(request).reader()
        lines = await export.lots(session, [lot_id], direction, caller=caller, reader=reader)
        return _stream(request, lines)
    question = await service.question_about(session, [lot_id], caller)
    return _json(await service.write(session, question, direction, caller=caller, limit=limit))


@router.get("/lots/{lot_id}/trace/lots", responses=declare(UnknownLot, UnknownPosition, *_REFUSALS))
async def trace_lot_by_pages(
    lot_id: UUID,
    direction: Direction,
    caller: MayTrace,
    session: ReplicaSession,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LOTS_MAX)] = 500,
) -> LotsPageOut:
    """List the lots of a trace page by page, oldest first, with the edges into them."""
    return await service.page(session, lot_id, direction, caller=caller, after=after, most=limit)


@router.get("/lots/{lot_id}/trace/picture", responses=declare(UnknownLot, *_REFUSALS))
async def draw_trace(
    lot_id: UUID,
    direction: Direction,
    caller: MayTrace,
    session: ReplicaSession,
    unfold: Annotated[
        list[UUID] | None,
        Query(max_length=UNFOLDED_MAX, description="Nodes to open, each by its `lot`."),
    ] = None,
    most: Annotated[int, Query(ge=10, le=DRAWN_MAX, description="Nodes at most.")] = DRAWN_MAX,
) -> PictureOut:
    """Draw a trace with few enough nodes to be read: what is alike becomes one node "× n"."""
    return await service.picture(
        session, lot_id, direction, caller=caller, unfold=unfold or (), most=most
    )


@router.get("/lots/{lot_id}/path", responses=declare(UnknownLot, *_REFUSALS))
async def find_path(
    lot_id: UUID,
    to: Annotated[UUID, Query(description="The younger lot: yours, or one you may trace back.")],
    caller: MayTrace,
    session: ReplicaSession,
) -> PathOut:
    """Show every way on which goods of one lot came into another, and the shortest by name."""
    return await service.path(session, lot_id, to, caller=caller)


@router.post("/traces/common-source", responses=declare(UnknownLot, *_REFUSALS))
async def find_common_source(
    body: SamplesIn,
    caller: MayTrace,
    session: ReplicaSession,
    limit: Annotated[int, Query(ge=1, le=RANKED_MAX, description="Entries of each list.")] = 20,
) -> CommonSourceOut:
    """Say what explains several bad samples: sources, producers, plots and lots, ranked."""
    return await service.common_source(session, body.lots, caller=caller, most=limit)


@router.get("/lots/{lot_id}/neighbours", responses=declare(UnknownLot, *_REFUSALS))
async def lot_neighbours(lot_id: UUID, caller: MayTrace, session: ReplicaSession) -> NeighboursOut:
    """Show what a lot came from and where it went, one step each way."""
    return await service.neighbours(session, lot_id, caller=caller)


@router.get(
    "/tickets/{ticket_id}/trace",
    response_model=TraceOut,
    responses={**_STREAMED, **declare(UnknownTicket, *_REFUSALS)},
)
async def trace_ticket(
    ticket_id: UUID,
    direction: Direction,
    request: Request,
    caller: MayTrace,
    session: ReplicaSession,
    limit: Limit = service.LOTS_MAX,
) -> Response:
    """Trace a ticket's goods: back from what it draws on, forward from what the buyer received."""
    if _wants_lines(request):
        reader = _database(request).reader()
        lines = await export.ticket(session, ticket_id, direction, caller=caller, reader=reader)
        return _stream(request, lines)
    question = await service.question_of_ticket(session, ticket_id, direction, caller)
    return _json(await service.write(session, question, direction, caller=caller, limit=limit))


@router.get("/search", responses=declare(NotSignedIn, NotAllowed))
async def search_everything(
    request: Request,
    caller: MayTrace,
    session: ReplicaSession,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=100,
            description="Words that all must fit: a code, an id, a product's name or pinyin, a "
            "party, a plate, a day.",
        ),
    ],
) -> SearchOut:
    """Find tickets, lots and parties by whatever is in hand; a month back unless a day is named."""
    return await search.search(session, q, caller, now=request.app.state.clock())


def _json(written: bytes) -> Response:
    return Response(written, media_type="application/json")


def _wants_lines(request: Request) -> bool:
    return LINES in request.headers.get("accept", "")


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _stream(request: Request, lines: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(_to_the_end(request, lines), media_type=LINES)


async def _to_the_end(request: Request, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass lines on; when something fails on the way, say so in the last one.

    The status has left long ago: without that line an interrupted stream would look like a short
    answer to whoever does not wait for `end`.
    """
    try:
        async for line in lines:
            yield line
    except DomainError as error:
        yield _problem(request, error)
    except DATABASE_FAULTS:
        yield _problem(request, problems.Busy())


def _problem(request: Request, error: DomainError) -> bytes:
    document = problems.document(
        error,
        english=problems.speaks_english(request),
        request_id=request.scope.get("ypt_request_id"),
    )
    return orjson.dumps({"problem": document.model_dump(mode="json")}) + b"\n"
