"""HTTP for divisions, reporting units and places."""

from datetime import date
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.core.clock import local_date
from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.party.access import Audience, Caller, OtherParty
from app.party.auth import allow
from app.party.rules import UnknownParty
from app.place import queries, rules, service
from app.place.queries import Listed
from app.place.rules import Division, Gazetteer, PlaceDraft, PlaceKind, ReportingUnit
from app.place.schemas import DivisionOut, PlaceIn, PlaceOut, ReportingUnitOut

LIMIT_MAX = 200

router = APIRouter(tags=["places"])

OnDay = Annotated[date | None, Query(description="Day the names are read for; today if left out.")]
Reader = Annotated[Caller, Depends(allow("place.read"))]
Writer = Annotated[Caller, Depends(allow("place.write"))]


@router.get("/divisions", dependencies=[Depends(allow("product.read"))])
async def list_divisions(
    request: Request,
    session: DbSession,
    parent: Annotated[str | None, Query(description="Code above; provinces if left out.")] = None,
    on: OnDay = None,
) -> list[DivisionOut]:
    """List the divisions right below one: 320600 answers Nantong's counties."""
    found = await service.divisions_below(session, parent, on or _today(request))
    return [_division(division) for division in found]


@router.get(
    "/divisions/{code}",
    dependencies=[Depends(allow("product.read"))],
    responses=declare(rules.DivisionCodeInvalid, rules.UnknownDivision, rules.DivisionNotInForce),
)
async def read_division(
    code: str, request: Request, session: DbSession, on: OnDay = None
) -> DivisionOut:
    """Say what a code of 6, 9 or 12 digits named on a day; retired codes lead to successors."""
    return _division(await service.division(session, code, on or _today(request)))


@router.get("/reporting-units", dependencies=[Depends(allow("product.read"))])
async def list_reporting_units(
    request: Request, session: DbSession, on: OnDay = None
) -> list[ReportingUnitOut]:
    """List who reports indicators to the city; functional areas report for themselves."""
    found = await service.reporting_units(session, on or _today(request))
    return [_reporting_unit(unit) for unit in found]


@router.put(
    "/places/{place_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        HTTPStatus.OK.value: {"model": PlaceOut, "description": "It was registered already"},
        **declare(
            rules.DivisionCodeInvalid,
            rules.UnknownDivision,
            rules.GeometryInvalid,
            rules.GeometryOutside,
            rules.UnknownParentPlace,
            rules.ParentPlaceUnfit,
            IdReused,
            UnknownParty,
            OtherParty,
        ),
    },
)
async def put_place(
    place_id: UUID,
    body: PlaceIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Writer,
) -> PlaceOut:
    """Register a place. Traders register their own; market offices and regulators, anybody's."""
    party = body.party or caller.party_public_id
    if party != caller.party_public_id and not _keeps_register(caller):
        raise OtherParty(pointer="/party")
    draft = PlaceDraft(public_id=place_id, **{**dict(body), "party": party})
    _, created = await service.put_place(session, draft)
    if not created:
        response.status_code = HTTPStatus.OK
    listed = await queries.read(session, place_id)
    return _place(listed, caller, await service.gazetteer(session), _today(request))


@router.get("/places/{place_id}", responses=declare(rules.UnknownPlace))
async def read_place(
    place_id: UUID, request: Request, session: DbSession, caller: Reader
) -> PlaceOut:
    """Read a place."""
    listed = await queries.read(session, place_id)
    return _place(listed, caller, await service.gazetteer(session), _today(request))


@router.get("/places")
async def find_places(
    request: Request,
    session: DbSession,
    caller: Reader,
    kind: PlaceKind | None = None,
    q: Annotated[str, Query(max_length=50, description="Part of the name.")] = "",
    parent: Annotated[UUID | None, Query(description="The place they lie in.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
    *,
    own: Annotated[bool, Query(description="Only those that your party runs.")] = False,
) -> list[PlaceOut]:
    """Find places by kind, part of the name, the place they lie in, and whether they are yours."""
    party_id = caller.acting_party if own else None
    found = await queries.find(
        session, kind=kind, q=q.strip(), parent=parent, party_id=party_id, limit=limit
    )
    gazetteer = await service.gazetteer(session)
    return [_place(listed, caller, gazetteer, _today(request)) for listed in found]


def _today(request: Request) -> date:
    return local_date(request.app.state.clock())


def _keeps_register(caller: Caller) -> bool:
    return caller.supervises or Audience.MARKET in caller.audiences


def _division(division: Division) -> DivisionOut:
    return DivisionOut.model_validate(division)


def _reporting_unit(unit: ReportingUnit) -> ReportingUnitOut:
    return ReportingUnitOut(
        code=unit.code,
        name=unit.name,
        kind=unit.kind,
        population_2020=unit.population_2020,
        divisions=list(unit.divisions),
        valid_from=unit.valid_from,
        valid_to=unit.valid_to,
        source=unit.source,
        verified=unit.verified,
    )


def _place(listed: Listed, caller: Caller, gazetteer: Gazetteer, today: date) -> PlaceOut:
    place = listed.place
    # A farmer's plot and door tell where a person lives and works (PIPL art. 6: no more than
    # needed); others need the village only.
    near = caller.supervises or (caller.party_id is not None and caller.party_id == place.party_id)
    return PlaceOut(
        id=place.public_id,
        kind=PlaceKind(place.kind),
        name=place.name,
        division_code=place.division_code,
        division=rules.resolve(place.division_code, today, gazetteer).name,
        parent=listed.parent,
        party=listed.party,
        address=place.address if near else None,
        area_m2=place.area_m2,
        geometry=place.geometry if near else None,
        valid_from=place.valid_from,
        valid_to=place.valid_to,
    )
