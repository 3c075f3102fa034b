"""Sources of devices, and what they push: each record by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.errors import DomainError, IdReused
from app.core.sealing import Vault
from app.lot import service as lots
from app.lot.rules import digest as digest_of
from app.party import credentials
from app.party.access import Caller
from app.place import service as places
from app.testing import push, rules, service
from app.testing.models import PushNonce, Sample, TestRow, TestSource
from app.testing.push import Algorithm, Convention
from app.testing.rules import Authority, Layer, Outcome, Status, TestKind
from app.testing.schemas import (
    DeviceIn,
    ReadingIn,
    RecordIn,
    RecordOut,
    SampleIn,
    SourceIn,
    TestIn,
)
from app.testing.service import AnswersFor, FromDevice

KEY_PURPOSE = "test-source.key"
WORD_CHARS = 100
POINTERS_MOST = 5
"""How much is kept of what a refused record calls itself and its members, whatever it says."""
_SCOPES = frozenset({"sample.take", "test.record"})


# --- sources --------------------------------------------------------------------------------------


async def register(
    session: AsyncSession,
    public_id: UUID,
    body: SourceIn,
    caller: Caller,
    *,
    vault: Vault,
    now: datetime,
) -> tuple[TestSource, str | None]:
    """Let a maker's devices push for the caller's party.

    Returns:
        The source, and the secret of HMAC, which is told this once and kept sealed.

    Raises:
        LayerNotYours: see `rules.check_layer`.
        UnknownPlace: there is no such place.
        KeyUnfit: the public key does not fit the algorithm.
        IdReused: the id names a source; a repeat too, for the secret cannot be told again.
    """
    rules.check_layer(body.layer, body.authority, caller.roles)
    place_id = None if body.place is None else (await places.find_place(session, body.place)).id
    secret, key = None, _public_key(body)
    if body.algorithm is Algorithm.HMAC_SHA256:
        secret = ids.secret().hex()
        key = vault.seal(secret, purpose=KEY_PURPOSE)
    source = await session.scalar(
        insert(TestSource)
        .values(
            public_id=public_id,
            party_id=caller.acting_party,
            name=body.name,
            maker=body.maker,
            convention=body.convention,
            layer=body.layer,
            authority=body.authority,
            algorithm=body.algorithm,
            place_id=place_id,
            key=key,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=[TestSource.public_id])
        .returning(TestSource)
    )
    if source is None:
        raise IdReused(source=str(public_id))
    return source, secret


def _public_key(body: SourceIn) -> bytes:
    try:
        key = bytes.fromhex(body.public_key or "")
    except ValueError:
        raise push.KeyUnfit(pointer="/public_key") from None
    wanted = push.PUBLIC_KEY_BYTES if body.algorithm is Algorithm.ED25519 else 0
    if len(key) != wanted:
        raise push.KeyUnfit(pointer="/public_key")
    return key


async def sources_of(session: AsyncSession, party_id: int) -> Sequence[TestSource]:
    """List a party's sources, revoked ones too."""
    found = await session.scalars(
        select(TestSource).where(TestSource.party_id == party_id).order_by(TestSource.id)
    )
    return found.all()


async def _own(session: AsyncSession, public_id: UUID, caller: Caller) -> TestSource:
    source = await session.scalar(
        select(TestSource).where(
            TestSource.public_id == public_id, TestSource.party_id == caller.acting_party
        )
    )
    if source is None:
        raise push.UnknownSource(source=str(public_id))
    return source


async def move(
    session: AsyncSession, public_id: UUID, place: UUID | None, caller: Caller
) -> TestSource:
    """Say where the devices of a source stand from now on; what they pushed stays where it was.

    Raises:
        UnknownSource: the party has none of this id, or it has ended.
        UnknownPlace: there is no such place.
    """
    source = await _own(session, public_id, caller)
    if source.revoked_at is not None:
        raise push.UnknownSource(source=str(public_id))
    source.place_id = None if place is None else (await places.find_place(session, place)).id
    await session.flush()
    return source


async def revoke(session: AsyncSession, public_id: UUID, caller: Caller, *, now: datetime) -> None:
    """End a source at once; one that has ended stays ended when it did.

    Raises:
        UnknownSource: the party has none of this id.
    """
    source = await _own(session, public_id, caller)
    if source.revoked_at is None:
        source.revoked_at = now
        await session.flush()


async def forget_nonces(session: AsyncSession, *, now: datetime) -> int:
    """Forget the nonces whose time stamps are refused anyway, and answer how many."""
    gone = await session.scalars(
        delete(PushNonce)
        .where(PushNonce.seen_at < now - 2 * push.SKEW)
        .returning(PushNonce.source_id)
    )
    return len(gone.all())


# --- pushes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signed:
    """What came in the headers of a push, and the very bytes that were signed."""

    timestamp: str
    nonce: str
    signature: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Source:
    id: int
    public_id: UUID
    maker: str
    convention: Convention
    layer: Layer
    authority: Authority | None
    party_id: int
    place: UUID | None


async def _verified(
    session: AsyncSession, public_id: UUID, signed: Signed, *, vault: Vault, now: datetime
) -> _Source:
    """Find the source of a push, and believe it.

    Raises:
        UnknownSource: there is none, or it was revoked.
        PushNotSigned: see `push.check_signed`.
        PushReplayed: this very push came before.
    """
    row = await session.scalar(select(TestSource).where(TestSource.public_id == public_id))
    if row is None or row.revoked_at is not None:
        raise push.UnknownSource(source=str(public_id))
    algorithm = Algorithm(row.algorithm)
    key = row.key
    if algorithm is Algorithm.HMAC_SHA256:
        key = bytes.fromhex(vault.open(row.key, purpose=KEY_PURPOSE))
    push.check_signed(
        source=public_id,
        algorithm=algorithm,
        key=key,
        timestamp=signed.timestamp,
        nonce=signed.nonce,
        signature=signed.signature,
        body=signed.body,
        now=now,
    )
    seen = await session.scalar(
        insert(PushNonce)
        .values(source_id=row.id, nonce=signed.nonce, seen_at=now)
        .on_conflict_do_nothing()
        .returning(PushNonce.source_id)
    )
    if seen is None:
        raise push.PushReplayed
    place = None
    if row.place_id is not None:
        place = (await places.by_ids(session, [row.place_id]))[row.place_id].public_id
    return _Source(
        id=row.id,
        public_id=row.public_id,
        maker=row.maker,
        convention=Convention(row.convention),
        layer=Layer(row.layer),
        authority=None if row.authority is None else Authority(row.authority),
        party_id=row.party_id,
        place=place,
    )


async def receive(
    session: AsyncSession,
    source_id: UUID,
    signed: Signed,
    records: Sequence[dict[str, Any]],
    *,
    answers_for: AnswersFor,
    vault: Vault,
    now: datetime,
) -> list[RecordOut]:
    """Take a batch: what is wrong with one record leaves the others alone.

    Returns:
        What became of each record, in their order.

    Raises:
        UnknownSource, PushNotSigned, PushReplayed: nothing of the push is believed.
    """
    source = await _verified(session, source_id, signed, vault=vault, now=now)
    caller = await credentials.caller_of_party(session, source.party_id, scopes=_SCOPES, now=now)
    if caller.party_id is None:
        raise push.UnknownSource(source=str(source_id))
    read = [_parsed(number, raw) for number, raw in enumerate(records, start=1)]
    await _lock_all(session, source, [item for item in read if isinstance(item, RecordIn)])
    answers = []
    for number, item in enumerate(read, start=1):
        if isinstance(item, RecordOut):
            answers.append(item)
            continue
        try:
            async with session.begin_nested():
                answer = await _take(
                    session,
                    source,
                    number,
                    item,
                    caller,
                    answers_for=answers_for,
                    vault=vault,
                    now=now,
                )
        except DomainError as refusal:
            answer = _refused(number, item.record_id, refusal)
        answers.append(answer)
    # Last, after all lots: two batches of a source wait for each other here and nowhere crosswise.
    await session.execute(
        update(TestSource)
        .where(TestSource.id == source.id)
        .values(last_push_at=now, last_push=_told(answers))
    )
    return answers


def _told(answers: Sequence[RecordOut]) -> dict[str, Any]:
    """Write what became of a batch, for whoever keeps its source; without what the records say."""
    states = [answer.state for answer in answers]
    return {
        "taken": states.count("taken"),
        "repeated": states.count("repeated"),
        "refused": [
            {
                "row": answer.row,
                "record_id": None if answer.record_id is None else answer.record_id[:WORD_CHARS],
                "pointers": [
                    blamed["pointer"][:WORD_CHARS]
                    for blamed in answer.problem["pointers"][:POINTERS_MOST]
                ],
                **{name: answer.problem[name] for name in ("code", "zh", "en")},
            }
            for answer in answers
            if answer.problem is not None
        ],
    }


def _parsed(number: int, raw: dict[str, Any]) -> RecordIn | RecordOut:
    try:
        return RecordIn.model_validate(raw)
    except ValidationError as error:
        told = raw.get("record_id")
        return RecordOut(
            row=number,
            record_id=told if isinstance(told, str) else None,
            state="refused",
            problem={
                "code": "malformed-record",
                "zh": "记录格式不正确，请改正所指各项",
                "en": "The record is malformed: correct the parts that are named",
                "pointers": [
                    {"pointer": "/" + "/".join(map(str, item["loc"])), "message": item["msg"]}
                    for item in error.errors()
                ],
            },
        )


def _refused(number: int, record_id: str, refusal: DomainError) -> RecordOut:
    return RecordOut(
        row=number,
        record_id=record_id,
        state="refused",
        problem={
            "code": refusal.code,
            "zh": f"{refusal.title.zh}。{refusal.next_step.zh}",
            "en": f"{refusal.title.en}. {refusal.next_step.en}",
            "pointers": [{"pointer": refusal.pointer}] if refusal.pointer else [],
            "facts": refusal.facts,
        },
    )


_LOTS = text("""
    SELECT id FROM lot WHERE public_id = ANY(CAST(:lots AS uuid[])) OR id IN (
        SELECT lot_id FROM sample WHERE taken_by = :party AND number = ANY(CAST(:numbers AS text[]))
    )
""")


async def _lock_all(session: AsyncSession, source: _Source, read: Sequence[RecordIn]) -> None:
    """Lock at once all lots that a batch can hold, oldest first: two batches never deadlock."""
    rows = await session.execute(
        _LOTS,
        {
            "lots": [item.lot for item in read if item.lot is not None],
            "party": source.party_id,
            "numbers": [item.sample_no for item in read],
        },
    )
    await lots.lock_with_kept(session, rows.scalars())


async def _take(
    session: AsyncSession,
    source: _Source,
    number: int,
    item: RecordIn,
    caller: Caller,
    *,
    answers_for: AnswersFor,
    vault: Vault,
    now: datetime,
) -> RecordOut:
    digest = digest_of(item.model_dump(mode="json"))
    existing = await session.scalar(
        select(TestRow).where(
            TestRow.source_id == source.id, TestRow.maker_record_id == item.record_id
        )
    )
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(record_id=item.record_id)
        sample = await session.get_one(Sample, existing.sample_id)
        return _answer(number, item, existing, sample, repeated=True)
    told = push.told_positive(source.convention, item.result)
    sample = await _sample(
        session, source, item, caller, answers_for=answers_for, vault=vault, now=now
    )
    extra = {
        "limit_printed": item.limit,
        "latitude": None if item.latitude is None else str(item.latitude),
        "longitude": None if item.longitude is None else str(item.longitude),
        "result_code": item.result,
    }
    device = FromDevice(source.id, item.record_id, told, extra, digest)
    test, sample, _ = await service.record(
        session,
        ids.uuid7(),
        sample.public_id,
        _test_of(source, item),
        caller,
        vault=vault,
        now=now,
        device=device,
    )
    return _answer(number, item, test, sample, repeated=False)


def _test_of(source: _Source, item: RecordIn) -> TestIn:
    return TestIn(
        kind=TestKind.QUICK,
        method=item.method,
        tested_at=item.tested_at,
        device=DeviceIn(maker=source.maker, serial=item.device_sn),
        reagent=item.reagent,
        reagent_batch=item.reagent_batch,
        reading=ReadingIn(
            substance=item.substance,
            value=item.value,
            control_line=item.control_line,
            test_line=item.test_line,
        ),
        testers=item.operators,
        place=source.place,
    )


async def _sample(
    session: AsyncSession,
    source: _Source,
    item: RecordIn,
    caller: Caller,
    *,
    answers_for: AnswersFor,
    vault: Vault,
    now: datetime,
) -> Sample:
    """Find the sample of a record by its number, or take it out of the lot that is named.

    Devices count their bags anew every morning: a result under a number that was used before must
    not be told of the goods of that day, and those that are named stay unheld.

    Raises:
        UnknownSample: the number is new, and no lot with grams is named.
        SampleNumberTaken: it stands for a sample of another lot than the one that is named.
    """
    found = await service.numbered(session, item.sample_no, party_id=source.party_id)
    if found is not None:
        if item.lot is not None:
            named = (await lots.lock(session, [item.lot]))[item.lot]
            if named.id != found.lot_id:
                raise rules.SampleNumberTaken(pointer="/sample_no", lot=str(item.lot))
        return found
    if item.lot is None or item.mass_g is None:
        raise rules.UnknownSample(pointer="/sample_no", sample=item.sample_no)
    body = SampleIn(
        lot=item.lot,
        number=item.sample_no,
        mass_g=item.mass_g,
        layer=source.layer,
        authority=source.authority,
        purpose=item.purpose,
        taken_at=item.taken_at or item.tested_at,
        samplers=item.operators,
        place=source.place,
    )
    sample, _ = await service.take(
        session, ids.uuid7(), body, caller, answers_for=answers_for, vault=vault, now=now
    )
    return sample


def _answer(
    number: int, item: RecordIn, test: TestRow, sample: Sample, *, repeated: bool
) -> RecordOut:
    return RecordOut(
        row=number,
        record_id=item.record_id,
        state="repeated" if repeated else "taken",
        sample=sample.public_id,
        test=test.public_id,
        outcome=Outcome(test.outcome),
        status=Status(sample.status),
    )
