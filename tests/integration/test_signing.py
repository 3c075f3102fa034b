import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.sealing import CannotOpenError, Vault
from app.signing import service, token
from app.signing.keys import IssuerClass, SignatureVerdict, Signer
from app.signing.models import SigningKey
from app.signing.rules import NoSigningKey, SigningKeyUnknown
from app.signing.token import Claims, Flags, Parsed, TokenType

VAULT = Vault(bytes(range(32)))
OTHER_VAULT = Vault(bytes(range(1, 33)))


async def act_as_operator(session: AsyncSession) -> None:
    """Leave the server's role, which may only read keys, as `ypt key` does."""
    await session.execute(text("SET LOCAL ROLE NONE"))


@pytest.fixture
async def operator(session: AsyncSession) -> AsyncSession:
    await act_as_operator(session)
    return session


async def create(session: AsyncSession, now: datetime, **changes: Any) -> int:
    usual: dict[str, Any] = {
        "vault": VAULT,
        "now": now,
        "issuer_class": IssuerClass.TICKET,
        "ttl_h_max": 168,
        "publish_ahead_days": 0,
    }
    return await service.create_key(session, **usual | changes)


def issue(signer: Signer, now: datetime, kind: TokenType = TokenType.TICKET) -> Parsed:
    claims = Claims(
        type=kind,
        kid=signer.kid,
        serial=1,
        issued_at=now,
        ttl_h=72,
        product=1,
        quantity_dg=1,
        origin=None,
        issuer=1,
        flags=Flags.SELF_PROMISE,
        status_index=0,
    )
    payload = token.encode_payload(claims)
    return token.parse(token.digits(payload, signer.sign(payload)))


async def test_what_the_current_key_signs_is_valid(operator: AsyncSession, clock: Clock) -> None:
    kid = await create(operator, clock())
    signer = await service.load_signer(operator, VAULT, clock())
    assert (signer.kid, signer.issuer_class) == (kid, IssuerClass.TICKET)
    keyset = await service.load_keyset(operator)
    assert keyset.verify(issue(signer, clock()), clock()) is SignatureVerdict.VALID


@pytest.mark.parametrize("minute", range(0, 60, 7))
async def test_a_key_made_at_any_minute_carries_its_first_token(
    operator: AsyncSession, minute: int
) -> None:
    # A token rounds its instant down; the key's first day must begin no later than that.
    now = datetime(2026, 6, 18, 4, minute, 59, 999_999, tzinfo=UTC)
    await create(operator, now)
    signer = await service.load_signer(operator, VAULT, now)
    keyset = await service.load_keyset(operator)
    assert keyset.verify(issue(signer, now), now) is SignatureVerdict.VALID


async def test_kids_count_upwards(operator: AsyncSession, clock: Clock) -> None:
    kids = [await create(operator, clock()) for _ in range(3)]
    assert kids == [kids[0], kids[0] + 1, kids[0] + 2]
    assert [key.kid for key in await service.list_keys(operator)][-3:] == kids


async def test_a_key_has_the_dates_that_were_asked_for(
    operator: AsyncSession, clock: Clock
) -> None:
    now = clock()
    kid = await create(operator, now, publish_ahead_days=7, days=90, ttl_h_max=168)
    key = next(key for key in await service.list_keys(operator) if key.kid == kid)
    assert key.use_from == now + timedelta(days=7)
    assert key.sign_until == now + timedelta(days=97)
    assert key.verify_until == now + timedelta(days=104)
    assert key.dropped_at is None


async def test_a_new_key_takes_over_when_its_time_comes(
    operator: AsyncSession, clock: Clock
) -> None:
    now = clock()
    old = await create(operator, now)
    new = await create(operator, now, publish_ahead_days=7)
    week = timedelta(days=7)
    for instant, kid in [(now, old), (now + week - timedelta(seconds=1), old), (now + week, new)]:
        assert (await service.load_signer(operator, VAULT, instant)).kid == kid
    # What the old key signed before keeps its value.
    signer = await service.load_signer(operator, VAULT, now)
    keyset = await service.load_keyset(operator)
    assert keyset.verify(issue(signer, now), now + week) is SignatureVerdict.VALID


async def test_without_a_key_in_use_nothing_is_signed(operator: AsyncSession, clock: Clock) -> None:
    now = clock()
    with pytest.raises(NoSigningKey):
        await service.load_signer(operator, VAULT, now)
    await create(operator, now, publish_ahead_days=1, days=10)
    for instant in (now, now + timedelta(days=11)):
        with pytest.raises(NoSigningKey):
            await service.load_signer(operator, VAULT, instant)
    await service.load_signer(operator, VAULT, now + timedelta(days=11, seconds=-1))


async def test_a_signer_held_beyond_its_keys_time_signs_no_more(
    operator: AsyncSession, clock: Clock
) -> None:
    now = clock()
    await create(operator, now, days=10)
    signer = await service.load_signer(operator, VAULT, now)
    issue(signer, now + timedelta(days=10, seconds=-1))
    with pytest.raises(NoSigningKey):
        issue(signer, now + timedelta(days=10))


async def test_each_class_has_keys_of_its_own(operator: AsyncSession, clock: Clock) -> None:
    now = clock()
    kids = {kind: await create(operator, now, issuer_class=kind) for kind in IssuerClass}
    for kind, kid in kids.items():
        signer = await service.load_signer(operator, VAULT, now, issuer_class=kind)
        assert (signer.kid, signer.issuer_class) == (kid, kind)
    tests = await service.load_signer(operator, VAULT, now, issuer_class=IssuerClass.TEST)
    keyset = await service.load_keyset(operator)
    assert keyset.verify(issue(tests, now, TokenType.TEST), now) is SignatureVerdict.TEST


async def test_a_dropped_key_signs_no_more_and_the_one_before_takes_over(
    operator: AsyncSession, clock: Clock
) -> None:
    now = clock()
    first = await create(operator, now)
    second = await create(operator, now)
    signer = await service.load_signer(operator, VAULT, now)
    assert signer.kid == second
    ticket = issue(signer, now)
    await service.drop_key(operator, second, now=now)
    assert (await service.load_signer(operator, VAULT, now)).kid == first
    keyset = await service.load_keyset(operator)
    assert keyset.verify(ticket, now) is SignatureVerdict.KEY_DROPPED


async def test_dropping_again_changes_nothing(operator: AsyncSession, clock: Clock) -> None:
    now = clock()
    kid = await create(operator, now)
    for later in range(2):
        await service.drop_key(operator, kid, now=now + timedelta(hours=later))
    operator.expire_all()
    (key,) = [key for key in await service.list_keys(operator) if key.kid == kid]
    assert key.dropped_at == now


async def test_an_unknown_key_cannot_be_dropped(operator: AsyncSession, clock: Clock) -> None:
    with pytest.raises(SigningKeyUnknown):
        await service.drop_key(operator, 65535, now=clock())


async def test_a_key_that_lives_elsewhere_verifies_and_does_not_sign(
    operator: AsyncSession, clock: Clock
) -> None:
    now = clock()
    kid = await create(operator, now)
    ticket = issue(await service.load_signer(operator, VAULT, now), now)
    await operator.execute(
        update(SigningKey).where(SigningKey.kid == kid).values(private_key_sealed=None)
    )
    with pytest.raises(NoSigningKey):
        await service.load_signer(operator, VAULT, now)
    keyset = await service.load_keyset(operator)
    assert keyset.verify(ticket, now) is SignatureVerdict.VALID


async def test_a_private_key_opens_with_its_secret_and_in_its_row_only(
    operator: AsyncSession, clock: Clock
) -> None:
    now = clock()
    await create(operator, now)
    with pytest.raises(CannotOpenError):
        await service.load_signer(operator, OTHER_VAULT, now)
    row = await operator.get_one(SigningKey, await create(operator, now))
    other = await operator.get_one(SigningKey, row.kid - 1)
    row.private_key_sealed = other.private_key_sealed
    await operator.flush()
    with pytest.raises(CannotOpenError):
        await service.load_signer(operator, VAULT, now)


async def test_private_keys_are_stored_sealed(operator: AsyncSession, clock: Clock) -> None:
    row = await operator.get_one(SigningKey, await create(operator, clock()))
    assert row.private_key_sealed is not None
    opened = VAULT.open(row.private_key_sealed, purpose=f"signing-key/{row.kid}")
    for spelling in (opened.encode(), bytes.fromhex(opened), base64.b64encode(opened.encode())):
        assert spelling not in row.private_key_sealed


async def test_a_public_key_that_is_not_the_private_ones_stops_signing(
    operator: AsyncSession, clock: Clock
) -> None:
    row = await operator.get_one(SigningKey, await create(operator, clock()))
    row.public_key = bytes([row.public_key[0] ^ 1]) + row.public_key[1:]
    await operator.flush()
    with pytest.raises(AssertionError, match="public key"):
        await service.load_signer(operator, VAULT, clock())


DAY = timedelta(days=1)
USE_FROM = datetime(2026, 6, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"kid": 0}, "kid_range"),
        ({"kid": 65536}, "kid_range"),
        ({"algorithm": "rsa"}, "algorithm_known"),
        ({"issuer_class": "root"}, "issuer_class_known"),
        ({"public_key": bytes(31)}, "key_size"),
        ({"sign_until": USE_FROM}, "dates_in_order"),
        ({"verify_until": USE_FROM}, "dates_in_order"),
        ({"use_from": USE_FROM + timedelta(minutes=5)}, "dates_on_grid"),
        ({"sign_until": USE_FROM + timedelta(seconds=601)}, "dates_on_grid"),
        ({}, None),
    ],
)
async def test_the_table_keeps_its_own_rules(
    operator: AsyncSession, changes: dict[str, Any], constraint: str | None
) -> None:
    row = {
        "kid": 65535,
        "algorithm": "ed25519",
        "issuer_class": "ticket",
        "public_key": bytes(32),
        "private_key_sealed": None,
        "use_from": USE_FROM,
        "sign_until": USE_FROM + 90 * DAY,
        "verify_until": USE_FROM + 97 * DAY,
        "created_at": USE_FROM,
    }
    statement = insert(SigningKey).values(row | changes)
    if constraint is None:
        await operator.execute(statement)
        return
    with pytest.raises(IntegrityError, match=constraint):
        await operator.execute(statement)


async def test_keys_created_at_once_get_numbers_of_their_own(
    database: Database, clock: Clock
) -> None:
    async def one() -> int:
        async with database.transaction() as session:
            await act_as_operator(session)
            return await create(session, clock())

    kids = await asyncio.gather(*[one() for _ in range(8)])
    assert sorted(kids) == list(range(min(kids), min(kids) + 8))


async def test_the_server_reads_keys_and_cannot_change_them(
    session: AsyncSession, clock: Clock
) -> None:
    await act_as_operator(session)
    kid = await create(session, clock())
    await session.execute(text("SET LOCAL ROLE ypt_app"))
    assert (await service.load_signer(session, VAULT, clock())).kid == kid
    for verb in (create(session, clock()), service.drop_key(session, kid, now=clock())):
        savepoint = await session.begin_nested()
        with pytest.raises(ProgrammingError, match="permission denied"):
            await verb
        await savepoint.rollback()
