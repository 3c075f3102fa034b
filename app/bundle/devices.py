"""Enrols devices, believes their requests, and takes what they decided without a network."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import inspections, papers
from app.admission.inspections import Circumstances
from app.admission.models import GateCase, Inspection, InspectionLine
from app.admission.policy import Decision
from app.admission.schemas import InspectionIn
from app.bundle import device as rules
from app.bundle import quicktests, service
from app.bundle.device import Algorithm
from app.bundle.models import Device, Enrolment, Upload
from app.bundle.schemas import (
    DeviceIn,
    DeviceOut,
    OutcomeOut,
    QuickTestIn,
    QuickTestOut,
    SiteOut,
    StatementIn,
)
from app.core.errors import DomainError, IdReused, Kind
from app.core.sealing import Vault
from app.party import credentials
from app.party.access import Caller
from app.party.models import Account
from app.place import service as places
from app.signing import shortcode
from app.signing.shortcode import BadCodeError

STATEMENT: Final = "gate_upload.statement"
SCOPES: Final = frozenset({"inspection.record", "scan.record"})
MISSING_MAX: Final = 100


# --- enrolment ------------------------------------------------------------------------------------


async def open_enrolment(
    session: AsyncSession,
    public_id: UUID,
    place_id: UUID,
    caller: Caller,
    *,
    serial: int,
    now: datetime,
) -> tuple[Enrolment, str]:
    """Make a code for a device at a gate; it is kept as a hash, and told this once.

    Raises:
        UnknownPlace, NotAGate: there is no such gate.
        GateNotYours: the caller does not answer for it.
        IdReused: the id names an enrolment; a repeat too, for the code cannot be told again.
    """
    place = await places.find_place(session, place_id)
    papers.check_answers_for(caller, await papers.market_of(session, place))
    if await session.scalar(select(Enrolment.id).where(Enrolment.public_id == public_id)):
        raise IdReused(enrolment=str(public_id))
    code = shortcode.encode(serial)
    enrolment = Enrolment(
        public_id=public_id,
        code_hash=_hashed(code),
        place_id=place.id,
        party_id=caller.acting_party,
        account_id=caller.account_id,
        made_at=now,
        expires_at=now + rules.CODE_LIFE,
        used_at=None,
    )
    session.add(enrolment)
    await session.flush()
    return enrolment, shortcode.show(code)


async def enrol(
    session: AsyncSession,
    public_id: UUID,
    body: DeviceIn,
    *,
    vault: Vault,
    now: datetime,
) -> tuple[Device, bool]:
    """Let a browser stand at a gate.

    Returns:
        The device, and whether it is new: a browser that got no answer asks again with its code.

    Raises:
        EnrolmentCodeWrong: the code is none, too old, or served another device, or whoever made it
            was shut out.
        IdReused: the id names another device.
        DeviceKeyUnfit: the public key is none.
        BundleNotReady: nobody published a keyset that the device could pin.
    """
    try:
        code = shortcode.parse(body.code).code
    except BadCodeError:
        raise rules.EnrolmentCodeWrong(pointer="/code") from None
    enrolment = await session.scalar(
        select(Enrolment).where(Enrolment.code_hash == _hashed(code)).with_for_update()
    )
    if enrolment is None:
        raise rules.EnrolmentCodeWrong(pointer="/code")
    key = rules.check_key(body.algorithm, body.public_key)
    existing = await session.scalar(select(Device).where(Device.public_id == public_id))
    if existing is not None:
        if (existing.enrolment_id, existing.public_key) != (enrolment.id, key):
            raise IdReused(device=str(public_id))
        return existing, False
    if enrolment.used_at is not None or now >= enrolment.expires_at:
        raise rules.EnrolmentCodeWrong(pointer="/code")
    maker = enrolment.account_id
    # Whoever was shut out a moment ago takes no code along.
    if maker is not None and await credentials.kept_in(session, maker) is None:
        raise rules.EnrolmentCodeWrong(pointer="/code")
    place = (await places.by_ids(session, [enrolment.place_id]))[enrolment.place_id]
    market = await papers.market_of(session, place)
    await service.build(session, market, vault=vault, now=now)
    enrolment.used_at = now
    device = Device(
        public_id=public_id,
        enrolment_id=enrolment.id,
        market_id=market.id,
        place_id=place.id,
        party_id=enrolment.party_id,
        name=body.name,
        algorithm=body.algorithm,
        public_key=key,
        enrolled_at=now,
        revoked_at=None,
        seen_at=now,
    )
    session.add(device)
    await session.flush()
    return device, True


async def of_party(session: AsyncSession, caller: Caller) -> Sequence[Device]:
    """List the devices of the caller's party, revoked ones too."""
    found = await session.scalars(
        select(Device).where(Device.party_id == caller.acting_party).order_by(Device.id)
    )
    return found.all()


async def revoke(
    session: AsyncSession, public_id: UUID, caller: Caller, *, now: datetime
) -> Device:
    """Stop believing a device, at once; one that was revoked stays so since then.

    Raises:
        UnknownDevice: the caller's party has none of this id.
    """
    device = await session.scalar(
        select(Device)
        .where(Device.public_id == public_id, Device.party_id == caller.acting_party)
        .with_for_update()
    )
    if device is None:
        raise rules.UnknownDevice(device=str(public_id))
    if device.revoked_at is None:
        device.revoked_at = now
        await session.flush()
    return device


async def describe(session: AsyncSession, devices: Sequence[Device]) -> list[DeviceOut]:
    """Show devices with the names of where they stand."""
    sites = await places.by_ids(
        session, {number for one in devices for number in (one.market_id, one.place_id)}
    )
    found = await session.execute(
        select(Enrolment.id, Account.public_id)
        .join(Account, Account.id == Enrolment.account_id)
        .where(Enrolment.id.in_([one.enrolment_id for one in devices]))
    )
    makers = {row.id: row.public_id for row in found}
    return [
        DeviceOut(
            device=one.public_id,
            name=one.name,
            market=SiteOut(place=sites[one.market_id].public_id, name=sites[one.market_id].name),
            gate=SiteOut(place=sites[one.place_id].public_id, name=sites[one.place_id].name),
            algorithm=Algorithm(one.algorithm),
            enrolled_by=makers.get(one.enrolment_id),
            enrolled_at=one.enrolled_at,
            revoked_at=one.revoked_at,
            seen_at=one.seen_at,
            list_at=one.list_at,
        )
        for one in devices
    ]


def _hashed(code: str) -> bytes:
    return hashlib.sha256(b"ypt/gate/enrolment/v1\0" + code.encode()).digest()


# --- requests -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What came, as far as its signature covers it."""

    device: str
    timestamp: str
    signature: str
    method: str
    path: str
    body: bytes


async def believe(session: AsyncSession, request: SignedRequest, *, now: datetime) -> Device:
    """Find the device that signed a request just now.

    Raises:
        DeviceNotBelieved: there is none, or it did not.
    """
    try:
        public_id = UUID(request.device)
    except ValueError:
        raise rules.DeviceNotBelieved(server_at=now.isoformat()) from None
    device = await session.scalar(select(Device).where(Device.public_id == public_id))
    if device is None or device.revoked_at is not None:
        raise rules.DeviceNotBelieved(server_at=now.isoformat())
    message = rules.request_message(
        public_id, request.timestamp, request.method, request.path, request.body
    )
    signature = rules.bytes_of(request.signature)
    if not rules.verifies(Algorithm(device.algorithm), device.public_key, message, signature):
        raise rules.DeviceNotBelieved(server_at=now.isoformat())
    rules.check_time(request.timestamp, now)
    if device.seen_at is None or now - device.seen_at >= rules.SEEN_EVERY:
        device.seen_at = now
    return device


async def caller_of(session: AsyncSession, device: Device, *, now: datetime) -> Caller:
    """Act for the party that the device was enrolled by, at the gate only.

    Raises:
        DeviceNotBelieved: that party was disabled.
    """
    caller = await credentials.caller_of_party(session, device.party_id, scopes=SCOPES, now=now)
    if caller.party_id is None:
        raise rules.DeviceNotBelieved(server_at=now.isoformat())
    return caller


# --- uploads --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Statement:
    subject: UUID
    sequence: int
    body: InspectionIn | QuickTestIn
    digest: bytes
    sent_at: datetime


async def take(
    session: AsyncSession,
    device: Device,
    statements: Sequence[StatementIn],
    circumstances: Circumstances,
    *,
    sent_at: datetime,
) -> list[OutcomeOut]:
    """Take a batch: each statement is kept once, and one that is refused leaves the others alone.

    Raises:
        DeviceNotBelieved: the device's party was disabled.
        DomainError: of kind BUSY; nothing was taken, and all of it can be sent again.
    """
    caller = await caller_of(session, device, now=circumstances.now)
    # A batch that is sent twice at once is looked for after the first has come in.
    turn = inspections.turn_of_device(caller, str(device.public_id))
    await inspections.take_turns(session, [turn])
    place = (await places.by_ids(session, [device.place_id]))[device.place_id]
    outcomes = []
    for row, signed in enumerate(statements, start=1):
        try:
            read = _read(device, place.public_id, signed, sent_at)
            outcome = await _take(session, device, row, signed, read, caller, circumstances)
        except rules.StatementNotBelieved as refusal:
            outcome = _refused(row, None, None, _told(refusal))
        outcomes.append(outcome)
    return outcomes


def _read(device: Device, place: UUID, signed: StatementIn, sent_at: datetime) -> _Statement:
    """Check who signed a statement, and read it.

    Raises:
        StatementNotBelieved: another key signed it, or it is none.
    """
    content = signed.statement.encode()
    if not rules.verifies(
        Algorithm(device.algorithm),
        device.public_key,
        rules.STATEMENT + content,
        rules.bytes_of(signed.signature),
    ):
        raise rules.StatementNotBelieved(reason="signature")
    try:
        told: dict[str, Any] = json.loads(content)
        sequence = told["sequence"]
        if told["device"] != str(device.public_id) or type(sequence) is not int or sequence < 0:
            raise rules.StatementNotBelieved(reason="device")
        body: InspectionIn | QuickTestIn
        if "test" in told:
            subject, body = UUID(told["test"]), QuickTestIn.model_validate(told["body"])
        else:
            subject = UUID(told["inspection"])
            body = InspectionIn.model_validate(
                {
                    **told["body"],
                    "place": str(place),
                    "device": str(device.public_id),
                    "sequence": sequence,
                    "sent_at": sent_at.isoformat(),
                },
            )
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise rules.StatementNotBelieved(reason="form") from error
    return _Statement(subject, sequence, body, hashlib.sha256(content).digest(), sent_at)


async def _take(
    session: AsyncSession,
    device: Device,
    row: int,
    signed: StatementIn,
    read: _Statement,
    caller: Caller,
    circumstances: Circumstances,
) -> OutcomeOut:
    kept = await session.scalar(select(Upload).where(Upload.subject == read.subject))
    if kept is not None:
        if (kept.device_id, kept.digest) != (device.id, read.digest):
            return _refused(row, read.subject, read.sequence, _told(IdReused()))
        if kept.problem is not None:
            return _refused(row, read.subject, read.sequence, kept.problem)
        return await _taken(session, row, read, caller, state="repeated")
    problem = None
    try:
        async with session.begin_nested():
            await _record(session, device, read, caller, circumstances)
    except DomainError as refusal:
        if refusal.kind is Kind.BUSY:
            raise
        problem = _told(refusal)
    session.add(
        Upload(
            subject=read.subject,
            device_id=device.id,
            sequence=read.sequence,
            statement_sealed=circumstances.vault.seal(signed.statement, purpose=STATEMENT),
            digest=read.digest,
            signature=rules.bytes_of(signed.signature),
            received_at=circumstances.now,
            state="taken" if problem is None else "refused",
            problem=problem,
        )
    )
    await session.flush()
    if problem is not None:
        return _refused(row, read.subject, read.sequence, problem)
    return await _taken(session, row, read, caller, state="taken")


async def _record(
    session: AsyncSession,
    device: Device,
    read: _Statement,
    caller: Caller,
    circumstances: Circumstances,
) -> None:
    if isinstance(read.body, InspectionIn):
        await inspections.record(session, read.subject, read.body, caller, circumstances)
        return
    await quicktests.record(
        session,
        device,
        read.subject,
        read.body,
        caller,
        sent_at=read.sent_at,
        vault=circumstances.vault,
        new_id=circumstances.new_id,
        now=circumstances.now,
    )


async def _taken(
    session: AsyncSession, row: int, read: _Statement, caller: Caller, *, state: Any
) -> OutcomeOut:
    if isinstance(read.body, QuickTestIn):
        test = await quicktests.told(session, read.subject, read.body, caller)
        return _outcome(row, read, state=state, test=test)
    inspection = await session.scalar(
        select(Inspection).where(Inspection.public_id == read.subject)
    )
    assert inspection is not None, "what was taken is in the books"
    cases = await session.scalar(
        select(func.count())
        .select_from(GateCase)
        .join(InspectionLine, InspectionLine.id == GateCase.line_id)
        .where(InspectionLine.inspection_id == inspection.id)
    )
    decision = Decision(inspection.decision)
    return _outcome(row, read, state=state, decision=decision, cases=cases or 0)


def _outcome(
    row: int,
    read: _Statement,
    *,
    state: Any,
    decision: Decision | None = None,
    cases: int = 0,
    test: QuickTestOut | None = None,
) -> OutcomeOut:
    return OutcomeOut(
        row=row,
        inspection=read.subject,
        sequence=read.sequence,
        state=state,
        decision=decision,
        cases=cases,
        test=test,
        problem=None,
    )


def _refused(
    row: int, subject: UUID | None, sequence: int | None, problem: dict[str, Any]
) -> OutcomeOut:
    return OutcomeOut(
        row=row,
        inspection=subject,
        sequence=sequence,
        state="refused",
        decision=None,
        cases=0,
        test=None,
        problem=problem,
    )


_FACTS: Final = TypeAdapter(dict[str, Any])


def _told(refusal: DomainError) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "zh": {"title": refusal.title.zh, "next_step": refusal.next_step.zh},
        "en": {"title": refusal.title.en, "next_step": refusal.next_step.en},
        "facts": _FACTS.dump_python(refusal.facts, mode="json"),
    }


_MISSING = text("""
    SELECT n FROM generate_series(
        1, (SELECT max(sequence) FROM gate_upload WHERE device_id = :device)
    ) n
    WHERE NOT EXISTS (SELECT FROM gate_upload u WHERE u.device_id = :device AND u.sequence = n)
    ORDER BY n LIMIT :most
""")


async def missing(session: AsyncSession, device: Device) -> list[int]:
    """List the sequence numbers of a device that never came: something was thrown away."""
    rows = await session.scalars(_MISSING, {"device": device.id, "most": MISSING_MAX})
    return list(rows)
