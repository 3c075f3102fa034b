"""HTTP for devices at gates: enrolment, bundles, checks and uploads."""

import hashlib
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from app.admission import gate
from app.admission import service as admission
from app.admission.inspections import Circumstances
from app.admission.schemas import VerdictOut
from app.admission.service import ScanDraft
from app.bundle import device as rules
from app.bundle import devices, quicktests, service
from app.bundle.devices import SignedRequest
from app.bundle.models import Device, KeysetRow, MetaRow
from app.bundle.schemas import (
    BundleOut,
    CheckIn,
    DeviceIn,
    DeviceOut,
    EnrolledOut,
    EnrolmentIn,
    EnrolmentOut,
    RecentOut,
    SignedOut,
    UploadIn,
    UploadOut,
)
from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.lot.routes import repeated
from app.party.access import Caller
from app.party.auth import allow
from app.place import service as places
from app.place.rules import UnknownPlace
from app.signing.qr import draw_svg
from app.testing import queries

router = APIRouter(tags=["gate devices"])

Enroller = Annotated[Caller, Depends(allow("gate-device.enrol"))]

# Whoever presents a code or a signature proves itself by that.
proved = Depends(allow("gate-device.act"))


async def believed(
    request: Request,
    session: DbSession,
    device: Annotated[str, Header(alias="X-Ypt-Device")] = "",
    timestamp: Annotated[str, Header(alias="X-Ypt-Timestamp")] = "",
    signature: Annotated[str, Header(alias="X-Ypt-Signature")] = "",
) -> Device:
    """Find the device that signed the request."""
    signed = SignedRequest(
        device, timestamp, signature, request.method, request.url.path, await request.body()
    )
    return await devices.believe(session, signed, now=request.app.state.clock())


Believed = Annotated[Device, Depends(believed)]


@router.put(
    "/gate/enrolments/{enrolment_id}",
    status_code=HTTPStatus.CREATED,
    responses=declare(UnknownPlace, gate.NotAGate, gate.GateNotYours, IdReused),
)
async def open_enrolment(
    enrolment_id: UUID, body: EnrolmentIn, request: Request, session: DbSession, caller: Enroller
) -> EnrolmentOut:
    """Make a code for one device, for ten minutes."""
    state = request.app.state
    enrolment, code = await devices.open_enrolment(
        session, enrolment_id, body.place, caller, serial=state.new_serial(), now=state.clock()
    )
    url = f"{state.settings.public_url}/gate"
    return EnrolmentOut(
        enrolment=enrolment.public_id,
        code=code,
        url=url,
        qr_svg=draw_svg(f"{url}#code={code}", ""),
        place=body.place,
        expires_at=enrolment.expires_at,
    )


@router.put(
    "/gate/devices/{device_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(EnrolledOut),
        **declare(rules.EnrolmentCodeWrong, rules.DeviceKeyUnfit, IdReused, rules.BundleNotReady),
    },
    dependencies=[proved],
)
async def enrol_device(
    device_id: UUID, body: DeviceIn, request: Request, response: Response, session: DbSession
) -> EnrolledOut:
    """Enrol a browser with its code; it pins the root key that comes back."""
    state = request.app.state
    now: datetime = state.clock()
    device, created = await devices.enrol(session, device_id, body, vault=state.vault, now=now)
    if not created:
        response.status_code = HTTPStatus.OK
    shown = (await devices.describe(session, [device]))[0]
    keyset = await service.newest_keyset(session)
    return EnrolledOut(
        **dict(shown),
        root_key=keyset.root_key.hex(),
        public_url=state.settings.public_url,
        server_at=now,
    )


@router.get("/gate/devices")
async def list_devices(session: DbSession, caller: Enroller) -> list[DeviceOut]:
    """List your party's devices at gates, revoked ones too."""
    return await devices.describe(session, await devices.of_party(session, caller))


@router.put("/gate/devices/{device_id}/revoke", responses=declare(rules.UnknownDevice))
async def revoke_device(
    device_id: UUID, request: Request, session: DbSession, caller: Enroller
) -> DeviceOut:
    """Stop believing a device that was lost, at once."""
    device = await devices.revoke(session, device_id, caller, now=request.app.state.clock())
    return (await devices.describe(session, [device]))[0]


@router.get(
    "/gate/bundle",
    responses=declare(rules.DeviceNotBelieved, rules.BundleNotReady),
    dependencies=[proved],
)
async def read_bundle(request: Request, session: DbSession, device: Believed) -> BundleOut:
    """Read the newest bundle of the device's market: its keyset and its meta."""
    keyset, meta = await service.newest(session, device.market_id)
    await service.note_fetched(session, device, meta)
    return _shown(keyset, meta, request.app.state.clock())


def _shown(keyset: KeysetRow, meta: MetaRow, now: datetime) -> BundleOut:
    return BundleOut(
        keyset=SignedOut(document=keyset.document, signature=keyset.signature.hex(), kid=0),
        meta=SignedOut(document=meta.document, signature=meta.signature.hex(), kid=meta.kid),
        server_at=now,
    )


@router.get(
    "/gate/bundle/shards/{sha256}",
    response_class=Response,
    responses={
        HTTPStatus.OK.value: {
            "content": {"application/octet-stream": {}},
            "description": "Gzip of the shard, as it was hashed.",
        },
        **declare(rules.DeviceNotBelieved, rules.BundleNotReady),
    },
    dependencies=[proved],
)
async def read_shard(sha256: str, session: DbSession, _device: Believed) -> Response:
    """Read a shard by its hash; it never changes."""
    content = await service.content(session, rules.bytes_of(sha256))
    if content is None:
        raise rules.BundleNotReady
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Cache-Control": "private, max-age=604800, immutable"},
    )


@router.get(
    "/gate/tests",
    response_model=RecentOut,
    responses={
        HTTPStatus.NOT_MODIFIED.value: {"description": "Nothing changed since."},
        **declare(rules.DeviceNotBelieved),
    },
    dependencies=[proved],
)
async def list_tests(
    request: Request,
    session: DbSession,
    device: Believed,
    known: Annotated[str, Header(alias="If-None-Match")] = "",
) -> Response:
    """List what waits for a test at the market, and what it tested lately, by hand or by devices.

    A screen asks every few seconds with the tag of the last answer; mostly nothing has changed.
    """
    since, most = request.app.state.clock() - rules.RECENT, rules.RECENT_MAX
    content = (
        RecentOut(
            waiting=await quicktests.waiting(session, device, since=since, most=most),
            samples=await queries.recent(
                session, device.party_id, device.market_id, since=since, most=most
            ),
        )
        .model_dump_json()
        .encode()
    )
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if known == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


@router.post(
    "/gate/checks",
    responses=declare(rules.DeviceNotBelieved, IdReused),
    dependencies=[proved],
)
async def check_code(
    body: CheckIn, request: Request, session: DbSession, device: Believed
) -> VerdictOut:
    """Say what a code is worth by the books; for a device with a network, or a typed code."""
    state = request.app.state
    now: datetime = state.clock()
    caller = await devices.caller_of(session, device, now=now)
    place = (await places.by_ids(session, [device.place_id]))[device.place_id]
    verdict, _ = await admission.scan(
        session,
        ScanDraft(body.id, body.text, place.public_id, body.device_at, body.plate),
        caller,
        verifier=await state.ring.keyset(session, now),
        base_urls=[state.settings.public_url],
        now=now,
        reading=session,
    )
    return verdict


@router.post(
    "/gate/uploads",
    responses=declare(rules.DeviceNotBelieved),
    dependencies=[proved],
)
async def upload(
    body: UploadIn, request: Request, session: DbSession, device: Believed
) -> UploadOut:
    """Take what a device decided without a network, each statement once.

    Sent again, a statement answers what it answered before. One that is refused says why, and
    leaves the others alone.
    """
    state = request.app.state
    now: datetime = state.clock()
    circumstances = Circumstances(
        vault=state.vault,
        verifier=await state.ring.keyset(session, now),
        base_urls=[state.settings.public_url],
        new_id=state.new_id,
        now=now,
    )
    outcomes = await devices.take(
        session, device, body.statements, circumstances, sent_at=body.sent_at
    )
    return UploadOut(
        outcomes=outcomes, missing=await devices.missing(session, device), server_at=now
    )
