"""HTTP for lots: what a holder does with its own goods.

Merging and splitting stand with the certificates, and destroying with the recalls, because the law
ties them together.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.core import bulk
from app.core.bulk import BulkOut, RowsIn
from app.core.clock import local_date
from app.core.db import DbSession
from app.core.errors import DomainError, IdReused
from app.core.problems import MalformedRequest, declare, speaks_english
from app.event.rules import ImpossibleDate
from app.lot import changes, queries, rules, service
from app.lot.changes import ChangeDraft, ChangeRequest, Input, Output, Policy
from app.lot.models import LotChange
from app.lot.rules import ChangeKind, LotState
from app.lot.schemas import (
    ChangeOut,
    DestructionIn,
    LossIn,
    LotIn,
    LotOut,
    TransformIn,
    content_of,
)
from app.party.access import Caller, OtherParty
from app.party.auth import allow
from app.party.rules import UnknownParty
from app.place.rules import DivisionCodeInvalid, DivisionNotInForce, UnknownDivision, UnknownPlace
from app.product import service as products
from app.product.rules import Catalogue, UnitNotForProduct, UnknownProduct, UnknownUnit
from app.product.schemas import ProductId

STOCK_MAX = 200

router = APIRouter(tags=["lots"])

Writer = Annotated[Caller, Depends(allow("lot.write"))]
Reader = Annotated[Caller, Depends(allow("lot.read"))]

DRAW_REFUSALS = (rules.UnknownLot, rules.NotHolder, rules.LotOnHold, rules.LotExhausted)
CHANGE_REFUSALS = (*DRAW_REFUSALS, rules.Cycle, rules.MadeTooEarly, ImpossibleDate, IdReused)
UNIT_REFUSALS = (UnknownProduct, UnknownUnit, UnitNotForProduct)


def repeated(model: type[Any]) -> dict[int | str, dict[str, Any]]:
    """Describe the answer to a request that had been made before."""
    return {HTTPStatus.OK.value: {"model": model, "description": "It was made already."}}


@router.put(
    "/lots/{lot_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(LotOut),
        **declare(
            *UNIT_REFUSALS,
            rules.WrongRole,
            rules.ProducerMissing,
            rules.OriginMissing,
            UnknownPlace,
            UnknownParty,
            UnknownDivision,
            DivisionCodeInvalid,
            DivisionNotInForce,
            OtherParty,
            ImpossibleDate,
            IdReused,
        ),
    },
)
async def open_lot(
    lot_id: UUID,
    body: LotIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Writer,
) -> LotOut:
    """Bring a lot into being: a harvest, a catch, animals in, or goods bought elsewhere."""
    now: datetime = request.app.state.clock()
    _, created = await changes.open_lot(
        session, lot_id, body, caller, digest=content_of(body, caller), now=now
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await queries.read(session, lot_id, caller, today=local_date(now))


@router.get("/lots/{lot_id}", responses=declare(rules.UnknownLot, OtherParty))
async def read_lot(lot_id: UUID, request: Request, session: DbSession, caller: Reader) -> LotOut:
    """Read a lot that you hold, sold on, or answer for by office."""
    today = local_date(request.app.state.clock())
    return await queries.read(session, lot_id, caller, today=today)


@router.get("/lots")
async def list_stock(
    request: Request,
    session: DbSession,
    caller: Reader,
    product: Annotated[ProductId | None, Query(description="Of this product only.")] = None,
    limit: Annotated[int, Query(ge=1, le=STOCK_MAX)] = 50,
) -> list[LotOut]:
    """List what your party has left, oldest first."""
    today = local_date(request.app.state.clock())
    return await queries.stock(session, caller, product_id=product, most=limit, today=today)


@router.put(
    "/transforms/{change_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(ChangeOut),
        **declare(*CHANGE_REFUSALS, *UNIT_REFUSALS, rules.UnknownProcess),
    },
)
async def transform(
    change_id: UUID,
    body: TransformIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Writer,
) -> ChangeOut:
    """Record that goods became other goods; an unusual yield is a warning, never a refusal."""
    now: datetime = request.app.state.clock()
    catalogue = await products.catalogue(session)
    asked = _transform_request(change_id, body, caller, catalogue, now=now)
    return await answer_change(session, asked, response, now=now)


@router.post("/transforms/bulk", responses=declare(MalformedRequest))
async def transform_many(
    body: RowsIn[TransformIn], request: Request, session: DbSession, caller: Writer
) -> BulkOut[ChangeOut]:
    """Record many transforms in one go; each row as `PUT /transforms/{id}` would answer it."""
    now: datetime = request.app.state.clock()
    catalogue = await products.catalogue(session)

    def asked(change_id: UUID, content: TransformIn) -> ChangeRequest:
        return _transform_request(change_id, content, caller, catalogue, now=now)

    outcomes = await apply_rows(session, body.read(asked), now=now)
    return bulk.answer(outcomes, english=speaks_english(request))


def _transform_request(
    change_id: UUID, body: TransformIn, caller: Caller, catalogue: Catalogue, *, now: datetime
) -> ChangeRequest:
    occurred_at = body.occurred_at or now
    content = content_of(body, caller)

    def plan(_stock: Mapping[UUID, LotState]) -> tuple[ChangeDraft, Policy]:
        outputs = []
        for item in body.outputs:
            reckoned = item.reckon(item.product, local_date(occurred_at), catalogue)
            outputs.append(
                Output(
                    item.lot,
                    reckoned.mass_g,
                    reckoned.quantity,
                    reckoned.unit,
                    item.product,
                    reckoned.pieces,
                )
            )
        draft = ChangeDraft(
            public_id=change_id,
            kind=ChangeKind.TRANSFORM,
            digest=content,
            holder_id=caller.acting_party,
            holder=caller.acting_public_id,
            occurred_at=occurred_at,
            inputs=tuple(Input(item.lot, item.mass_g) for item in body.inputs),
            outputs=tuple(outputs),
            details={"process": body.process},
        )
        return draft, Policy()

    return ChangeRequest(
        change_id,
        content,
        inputs=tuple(item.lot for item in body.inputs),
        outputs=tuple(item.lot for item in body.outputs),
        plan=plan,
    )


@router.put(
    "/losses/{change_id}",
    status_code=HTTPStatus.CREATED,
    responses={**repeated(ChangeOut), **declare(*CHANGE_REFUSALS)},
)
async def lose(
    change_id: UUID,
    body: LossIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Writer,
) -> ChangeOut:
    """Record that goods are gone: rotten, dried out, taken as a sample, eaten at home."""
    now: datetime = request.app.state.clock()
    draft = removal(change_id, ChangeKind.LOSS, body, caller, {"reason": body.reason}, {}, now=now)
    return await answer_change(session, changes.removing(draft, Policy()), response, now=now)


def removal(
    change_id: UUID,
    kind: ChangeKind,
    body: LossIn | DestructionIn,
    caller: Caller,
    details: dict[str, Any],
    words: dict[str, str],
    *,
    now: datetime,
) -> ChangeDraft:
    """Write what a holder says about goods that are there no more."""
    return ChangeDraft(
        public_id=change_id,
        kind=kind,
        digest=content_of(body, caller),
        holder_id=caller.acting_party,
        holder=caller.acting_public_id,
        occurred_at=body.occurred_at or now,
        inputs=(Input(body.lot, body.mass_g),),
        details=details,
        words=words,
    )


async def answer_change(
    session: DbSession, asked: ChangeRequest, response: Response, *, now: datetime
) -> ChangeOut:
    """Make a change and answer it: 201, or 200 where it had been made before."""
    catalogue = await products.catalogue(session)
    change, created = await changes.apply(session, asked, catalogue=catalogue, now=now)
    if not created:
        response.status_code = HTTPStatus.OK
    return (await describe_changes(session, [change]))[0]


async def apply_rows(
    session: DbSession, rows: Sequence[ChangeRequest | DomainError], *, now: datetime
) -> list[tuple[ChangeOut, bool] | DomainError]:
    """Make the changes of a bulk, and write each as it goes out."""
    catalogue = await products.catalogue(session)
    asked = [row for row in rows if not isinstance(row, DomainError)]
    made = await changes.apply_all(session, asked, catalogue=catalogue, now=now)
    told = await describe_changes(
        session, [outcome[0] for outcome in made if not isinstance(outcome, DomainError)]
    )
    return bulk.merged(rows, made, told)


async def describe_changes(session: DbSession, found: Sequence[LotChange]) -> list[ChangeOut]:
    """Write changes as they go out."""
    states = await service.states_by_id(
        session, (lot_id for change in found for lot_id in change.lot_ids)
    )
    return [
        ChangeOut(
            change=change.public_id,
            kind=ChangeKind(change.kind),
            lots=[states[lot_id].public_id for lot_id in change.lot_ids],
            findings=change.findings,
            occurred_at=change.occurred_at,
        )
        for change in found
    ]
