"""HTTP for the record of treatments."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.event.rules import ImpossibleDate
from app.farming import rules, service
from app.farming.schemas import TreatmentIn, TreatmentOut
from app.party.access import Caller, OtherParty
from app.party.auth import allow
from app.place.rules import UnknownPlace
from app.product.rules import UnknownProduct

LIMIT_MAX = 200

router = APIRouter(tags=["farming"])


@router.put(
    "/treatments/{treatment_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        HTTPStatus.OK.value: {"model": TreatmentOut, "description": "It was recorded already"},
        **declare(
            IdReused, ImpossibleDate, UnknownPlace, rules.NotAPlot, OtherParty, UnknownProduct
        ),
    },
)
async def record_treatment(
    treatment_id: UUID,
    body: TreatmentIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Annotated[Caller, Depends(allow("treatment.record"))],
) -> TreatmentOut:
    """Record a pesticide on your plot, and learn from when its crop may be harvested."""
    row, created = await service.record(
        session, treatment_id, body, caller, now=request.app.state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await service.describe(session, [row]))[0]


@router.get("/treatments", responses=declare(UnknownPlace, OtherParty))
async def list_treatments(
    session: DbSession,
    caller: Annotated[Caller, Depends(allow("treatment.read"))],
    plot: Annotated[UUID, Query(description="A plot of yours, or in your jurisdiction.")],
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[TreatmentOut]:
    """List what was applied on a plot, newest first."""
    found = await service.of_plot(session, plot, caller, most=limit)
    return await service.describe(session, found)
