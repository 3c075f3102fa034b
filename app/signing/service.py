"""The registry of signing keys: create, find, drop."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sealing import Vault
from app.signing.keys import (
    TOKEN_TYPES,
    Algorithm,
    IssuerClass,
    Keyset,
    PublicKey,
    Signer,
    StatementSigner,
    TokenSigner,
)
from app.signing.models import SigningKey
from app.signing.rules import NoSigningKey, SigningKeyUnknown
from app.signing.token import tick_floor

_KID_LOCK: Final = 0x6B6964  # "kid": any number that no other advisory lock of ours has


async def create_key(
    session: AsyncSession,
    *,
    vault: Vault,
    now: datetime,
    issuer_class: IssuerClass,
    ttl_h_max: int,
    days: int = 90,
    publish_ahead_days: int = 7,
) -> int:
    """Create the next key of a class and answer its kid; the vault seals its private half.

    Publishing a key before its first use lets readers learn of it that have been offline since.

    Args:
        session: The caller's transaction.
        vault: Seals the private half.
        now: The present instant.
        issuer_class: What the key may sign.
        ttl_h_max: Longest life of what will be signed, in hours; verification ends that much
            after signing does.
        days: For how long the key signs.
        publish_ahead_days: How long it is public before it signs; the longest time that a reader
            may stay offline. 0 for the first key of a class and in an emergency.
    """
    assert days > 0, "a key without a period of use"
    assert publish_ahead_days >= 0, "a key cannot have been published in the past"
    assert ttl_h_max >= 0, "nothing expires before it was signed"
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _KID_LOCK})
    last = await session.scalar(select(func.max(SigningKey.kid)))
    kid = (last or 0) + 1
    use_from = tick_floor(now + timedelta(days=publish_ahead_days))
    sign_until = use_from + timedelta(days=days)
    private_key = Ed25519PrivateKey.generate()
    session.add(
        SigningKey(
            kid=kid,
            algorithm=Algorithm.ED25519,
            issuer_class=issuer_class,
            public_key=private_key.public_key().public_bytes_raw(),
            private_key_sealed=vault.seal(
                private_key.private_bytes_raw().hex(), purpose=_purpose(kid)
            ),
            use_from=use_from,
            sign_until=sign_until,
            verify_until=sign_until + timedelta(hours=ttl_h_max),
            created_at=now,
        )
    )
    await session.flush()
    return kid


async def load_keyset(session: AsyncSession) -> Keyset:
    """Take a snapshot of all public keys, dropped ones and old ones too."""
    return Keyset(await list_keys(session))


async def load_signer(
    session: AsyncSession,
    vault: Vault,
    now: datetime,
    *,
    issuer_class: IssuerClass = IssuerClass.TICKET,
) -> Signer:
    """Open the key that signs now: of those in use, the one that came into use last.

    Raises:
        NoSigningKey: no key of this class is in use whose private half is here.
        CannotOpenError: the key was sealed with another secret.
    """
    row = await session.scalar(
        select(SigningKey)
        .where(
            SigningKey.issuer_class == issuer_class,
            SigningKey.algorithm == Algorithm.ED25519,
            SigningKey.use_from <= now,
            SigningKey.sign_until > now,
            SigningKey.dropped_at.is_(None),
            SigningKey.private_key_sealed.is_not(None),
        )
        .order_by(SigningKey.use_from.desc(), SigningKey.kid.desc())
        .limit(1)
    )
    if row is None or row.private_key_sealed is None:
        raise NoSigningKey(issuer_class=issuer_class)
    private_key = bytes.fromhex(vault.open(row.private_key_sealed, purpose=_purpose(row.kid)))
    signer = (
        TokenSigner(
            row.kid,
            issuer_class,
            private_key,
            use_from=row.use_from,
            sign_until=row.sign_until,
        )
        if TOKEN_TYPES[issuer_class]
        else StatementSigner(row.kid, issuer_class, private_key)
    )
    # A token signed with another key than the registry publishes would be worthless on paper.
    assert signer.public_key == row.public_key, "the registry's public key is not this one"
    return signer


async def drop_key(session: AsyncSession, kid: int, *, now: datetime) -> None:
    """Stop trusting a key by itself: what it signed needs the log's word from now on.

    Dropping it again changes nothing.

    Raises:
        SigningKeyUnknown: there is no such key.
    """
    row = await session.get(SigningKey, kid, with_for_update=True)
    if row is None:
        raise SigningKeyUnknown(kid=kid)
    if row.dropped_at is None:
        row.dropped_at = now
        await session.flush()


async def list_keys(session: AsyncSession) -> Sequence[PublicKey]:
    """List the public halves of all keys by kid."""
    rows = await session.scalars(select(SigningKey).order_by(SigningKey.kid))
    return [
        PublicKey(
            kid=row.kid,
            algorithm=Algorithm(row.algorithm),
            issuer_class=IssuerClass(row.issuer_class),
            public_key=row.public_key,
            use_from=row.use_from,
            sign_until=row.sign_until,
            verify_until=row.verify_until,
            dropped_at=row.dropped_at,
        )
        for row in rows
    ]


def _purpose(kid: int) -> str:
    """Bind a sealed key to its row, so that the keys of two rows cannot be exchanged."""
    return f"signing-key/{kid}"
