"""HTTP for samples, tests, limits and devices."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from app.core.clock import local_date
from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.event.rules import ImpossibleDate
from app.lot.routes import repeated
from app.lot.rules import LotExhausted, LotOnHold, UnknownLot
from app.party.access import Caller, OtherParty
from app.party.auth import allow
from app.party.rules import UnknownParty
from app.place.rules import UnknownPlace
from app.product.rules import UnknownProduct
from app.product.schemas import ProductId
from app.testing import cases, commissions, devices, push, queries, rules, service
from app.testing.allowances import HeldSampleLimit, SampleLimit
from app.testing.devices import Signed
from app.testing.rules import State, Status
from app.testing.schemas import (
    CommissionIn,
    ExtensionIn,
    LimitAnswer,
    MeasureIn,
    MethodOut,
    ObjectionIn,
    PushIn,
    PushOut,
    SampleIn,
    SampleLine,
    SampleOut,
    SourceIn,
    SourceMade,
    SourceOut,
    SourcePlaceIn,
    TestIn,
)

LIMIT_MAX = 200

router = APIRouter(tags=["tests"])

Sampler = Annotated[Caller, Depends(allow("sample.take"))]
Tester = Annotated[Caller, Depends(allow("test.record"))]
Reader = Annotated[Caller, Depends(allow("sample.read"))]
Objector = Annotated[Caller, Depends(allow("test.object"))]
Office = Annotated[Caller, Depends(allow("test.follow-up"))]
Keeper = Annotated[Caller, Depends(allow("test-source.manage"))]
Anybody = Annotated[Caller, Depends(allow("limit.read"))]


async def _described(
    sample_id: UUID, request: Request, session: DbSession, caller: Caller
) -> SampleOut:
    state = request.app.state
    return await queries.read(
        session,
        sample_id,
        caller,
        answers_for=state.answers_for,
        vault=state.vault,
        now=state.clock(),
    )


@router.put(
    "/samples/{sample_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(SampleOut),
        **declare(
            UnknownLot,
            IdReused,
            rules.LayerNotYours,
            UnknownPlace,
            UnknownParty,
            rules.NotALaboratory,
            ImpossibleDate,
            rules.AlreadySampledAbove,
            rules.SampleNumberTaken,
            LotOnHold,
            LotExhausted,
            HeldSampleLimit,
            SampleLimit,
        ),
    },
)
async def take_sample(
    sample_id: UUID,
    body: SampleIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Sampler,
) -> SampleOut:
    """Take a sample out of a lot that you hold or answer for; its grams leave the lot."""
    state = request.app.state
    _, created = await service.take(
        session,
        sample_id,
        body,
        caller,
        answers_for=state.answers_for,
        vault=state.vault,
        now=state.clock(),
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await _described(sample_id, request, session, caller)


@router.get("/samples/{sample_id}", responses=declare(rules.UnknownSample))
async def read_sample(
    sample_id: UUID, request: Request, session: DbSession, caller: Reader
) -> SampleOut:
    """Read a sample of your goods, that you took or tested, or that you answer for by office."""
    return await _described(sample_id, request, session, caller)


@router.get("/samples")
async def list_samples(
    session: DbSession,
    caller: Reader,
    status: Annotated[Status | None, Query(description="In this status only.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[SampleLine]:
    """List the samples of your goods, those you took, and those of your market or jurisdiction."""
    return await queries.samples(session, caller, status=status, most=limit)


@router.put(
    "/samples/{sample_id}/commissions/{commission_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(SampleOut),
        **declare(
            rules.UnknownSample,
            OtherParty,
            IdReused,
            UnknownParty,
            rules.NotALaboratory,
            ImpossibleDate,
            rules.TestedTooEarly,
            rules.AlreadyCommissioned,
        ),
    },
)
async def send_sample(
    sample_id: UUID,
    commission_id: UUID,
    body: CommissionIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Sampler,
) -> SampleOut:
    """Send a sample that you took, or answer for by office, to a laboratory, which may then report.

    For a re-test it goes to another one.
    """
    state = request.app.state
    sample, lot = await service.lock(session, sample_id)
    await service.check_may_send(session, sample, lot, caller, state.answers_for)
    _, created = await commissions.send(
        session, commission_id, sample, body, caller, now=state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await _described(sample_id, request, session, caller)


@router.put(
    "/samples/{sample_id}/tests/{test_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(SampleOut),
        **declare(
            rules.UnknownSample,
            IdReused,
            rules.LabNotAccredited,
            rules.TestNotYours,
            UnknownPlace,
            ImpossibleDate,
            rules.TestedTooEarly,
            rules.RetestNotQuick,
            rules.NoObjection,
            rules.SameLab,
            rules.SampleDecided,
            rules.UnknownMethod,
            rules.UnknownSubstance,
            rules.ReadingMissing,
        ),
    },
)
async def record_test(
    sample_id: UUID,
    test_id: UUID,
    body: TestIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Tester,
) -> SampleOut:
    """Record a test; a suspect or failing one holds the lot at once, and tells its holder."""
    state = request.app.state
    _, _, created = await service.record(
        session, test_id, sample_id, body, caller, vault=state.vault, now=state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await _described(sample_id, request, session, caller)


@router.put(
    "/samples/{sample_id}/objections/{objection_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(SampleOut),
        **declare(
            rules.UnknownSample,
            IdReused,
            OtherParty,
            rules.ObjectionByContract,
            rules.NothingToObject,
            rules.ObjectionLate,
        ),
    },
)
async def object_to_result(
    sample_id: UUID,
    objection_id: UUID,
    body: ObjectionIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Objector,
) -> SampleOut:
    """Ask for a re-test of your goods: 4 hours after a quick test, 5 or 7 working days later on."""
    sample, _ = await service.lock(session, sample_id)
    _, created = await cases.object_to(
        session, objection_id, sample, body, caller, now=request.app.state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await _described(sample_id, request, session, caller)


@router.put(
    "/samples/{sample_id}/measures/{measure_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(SampleOut),
        **declare(
            rules.UnknownSample,
            IdReused,
            ImpossibleDate,
            rules.SampleNotFailed,
            rules.NothingToPublish,
        ),
    },
)
async def take_measure(
    sample_id: UUID,
    measure_id: UUID,
    body: MeasureIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Office,
) -> SampleOut:
    """Record 核查处置 after a failure, or that the result was published."""
    state = request.app.state
    sample, lot = await service.lock(session, sample_id)
    await service.check_decides(session, lot, caller, state.answers_for)
    _, created = await cases.measure(session, measure_id, sample, body, caller, now=state.clock())
    if not created:
        response.status_code = HTTPStatus.OK
    return await _described(sample_id, request, session, caller)


@router.put(
    "/samples/{sample_id}/extensions/{extension_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(SampleOut),
        **declare(
            rules.UnknownSample,
            IdReused,
            rules.ClockNotExtendable,
            rules.ClockNotRunning,
            rules.ExtensionLate,
            rules.ExtendedAlready,
        ),
    },
)
async def put_off(
    sample_id: UUID,
    extension_id: UUID,
    body: ExtensionIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Office,
) -> SampleOut:
    """Put off the end of 核查处置, as the office that follows it up, with its head's approval."""
    state = request.app.state
    sample, lot = await service.lock(session, sample_id)
    await service.check_decides(session, lot, caller, state.answers_for)
    _, created = await cases.put_off(session, extension_id, sample, body, caller, now=state.clock())
    if not created:
        response.status_code = HTTPStatus.OK
    return await _described(sample_id, request, session, caller)


# --- limits and methods ---------------------------------------------------------------------------


@router.get("/limits", responses=declare(rules.UnknownSubstance, UnknownProduct))
async def read_limit(
    request: Request,
    session: DbSession,
    _: Anybody,
    substance: Annotated[str, Query(min_length=1, max_length=50)],
    product: Annotated[ProductId, Query(description="Code of the catalogue.")],
    on: Annotated[date | None, Query(description="Day of the event; today else.")] = None,
    state: State = State.FRESH,
) -> LimitAnswer:
    """Say the limit of a substance in a product on a day, and by which rule."""
    day = on or local_date(request.app.state.clock())
    return await queries.limit(
        session, substance=substance, product_id=product, state=state, on=day
    )


@router.get("/test-methods")
async def list_methods(
    request: Request,
    session: DbSession,
    _: Anybody,
    on: Annotated[date | None, Query(description="Day of the sample; today else.")] = None,
) -> list[MethodOut]:
    """List the quick methods in force on a day, with their bands."""
    return await queries.methods(session, on or local_date(request.app.state.clock()))


# --- devices --------------------------------------------------------------------------------------


@router.put(
    "/test-sources/{source_id}",
    status_code=HTTPStatus.CREATED,
    responses=declare(rules.LayerNotYours, UnknownPlace, push.KeyUnfit, IdReused),
)
async def register_source(
    source_id: UUID, body: SourceIn, request: Request, session: DbSession, caller: Keeper
) -> SourceMade:
    """Let a maker's devices push tests for your party; the secret is told this once."""
    state = request.app.state
    source, secret = await devices.register(
        session, source_id, body, caller, vault=state.vault, now=state.clock()
    )
    [shown] = await queries.sources(session, [source])
    return SourceMade(**shown.model_dump(), secret=secret)


@router.get("/test-sources")
async def list_sources(session: DbSession, caller: Keeper) -> list[SourceOut]:
    """List your party's sources."""
    return await queries.sources(session, await devices.sources_of(session, caller.acting_party))


@router.put("/test-sources/{source_id}/place", responses=declare(push.UnknownSource, UnknownPlace))
async def move_source(
    source_id: UUID, body: SourcePlaceIn, session: DbSession, caller: Keeper
) -> SourceOut:
    """Say where the devices of a source stand from now on; what they pushed stays where it was."""
    source = await devices.move(session, source_id, body.place, caller)
    return (await queries.sources(session, [source]))[0]


@router.delete(
    "/test-sources/{source_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declare(push.UnknownSource),
)
async def revoke_source(
    source_id: UUID, request: Request, session: DbSession, caller: Keeper
) -> None:
    """Stop believing a source, at once."""
    await devices.revoke(session, source_id, caller, now=request.app.state.clock())


@router.post(
    "/test-sources/{source_id}/records",
    responses=declare(push.UnknownSource, push.PushNotSigned, push.PushReplayed),
    dependencies=[Depends(allow("test.push"))],
)
async def push_records(
    source_id: UUID,
    body: PushIn,
    request: Request,
    session: DbSession,
    timestamp: Annotated[str, Header(alias="X-Ypt-Timestamp")] = "",
    nonce: Annotated[str, Header(alias="X-Ypt-Nonce")] = "",
    signature: Annotated[str, Header(alias="X-Ypt-Signature")] = "",
) -> PushOut:
    """Push a signed batch of quick tests; a bad record is refused alone, with its row."""
    state = request.app.state
    now: datetime = state.clock()
    records = await devices.receive(
        session,
        source_id,
        Signed(timestamp, nonce, signature, await request.body()),
        body.records,
        answers_for=state.answers_for,
        vault=state.vault,
        now=now,
    )
    states = [record.state for record in records]
    return PushOut(
        taken=states.count("taken"),
        repeated=states.count("repeated"),
        refused=states.count("refused"),
        records=records,
    )
