"""Passwords, sessions and keys: what proves who is calling."""

import asyncio
import base64
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

import orjson
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.clock import local_date
from app.core.db import fetch, prepared
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.party import access, rules
from app.party.access import PUBLIC, Caller, Duty, RoleKind
from app.party.models import (
    Account,
    AccountCode,
    ApiKey,
    EndedSession,
    Party,
    PartyRole,
    Session,
)

SESSION_SEEN_EVERY = timedelta(minutes=5)
API_KEY_LIFE = timedelta(days=365)
API_KEY_PREFIX = "ypt_"

# OWASP's profile (19 MiB, 2 passes) takes 20 ms; as many at a time as there are cores, for hashing
# is what an attacker would load the server with (trust.md §4.1).
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashing = asyncio.Semaphore(os.cpu_count() or 1)
# Held before a sign-in takes a database connection, so that a flood of them waits here and leaves
# the pool to everybody else.
signing_in = asyncio.Semaphore(os.cpu_count() or 1)


@cache
def _nobody() -> str:
    """Answer a hash that no password has: whoever does not exist is refused as slowly."""
    return _hasher.hash(ids.secret().hex())


class Credential(Enum):
    """What a request can prove its sender with."""

    KEY = "key"
    SESSION = "session"
    NONE = "none"


def _one_spelling(password: str) -> str:
    # One keyboard sends é as one character and another as two (NIST SP 800-63B-4 §3.1.1.2).
    return unicodedata.normalize("NFKC", password)


async def hash_password(password: str) -> str:
    """Hash a password with argon2id, in a thread."""
    async with _hashing:
        return await asyncio.to_thread(_hasher.hash, _one_spelling(password))


async def password_matches(stored: str | None, password: str) -> bool:
    """Compare a password with a hash, in a thread; without a hash it takes as long."""

    def check() -> bool:
        known = _nobody() if stored is None else stored
        try:
            return _hasher.verify(known, _one_spelling(password))
        except (VerifyMismatchError, InvalidHashError):
            return False

    async with _hashing:
        return await asyncio.to_thread(check)


async def sign_in(
    session: AsyncSession, *, login: str, password: str, vault: Vault, now: datetime
) -> tuple[str, Account, datetime]:
    """Check a password and open a session.

    An unknown login costs as much time as a wrong password, so that neither tells which it was.

    Returns:
        The secret for the cookie, the account, and when the session ends if unused.

    Raises:
        WrongCredentials: no such account, a wrong password, or a disabled account or party.
    """
    index = vault.index(rules.read_login(login), purpose="account.login")
    async with signing_in:
        found = await session.execute(
            select(Account, Party.status)
            .join(Party, Party.id == Account.party_id)
            .where(Account.login_index == index)
        )
        account, status = found.one_or_none() or (None, None)
        matches = await password_matches(account.password_hash if account else None, password)
    enabled = account is not None and account.disabled_at is None and status == "active"
    if account is None or not matches or not enabled:
        raise rules.WrongCredentials
    # Whoever is shut out at this moment, or given another password, is waited for, or waits and
    # ends this session too.
    let_in = await session.scalar(
        update(Account)
        .where(
            Account.id == account.id,
            Account.disabled_at.is_(None),
            Account.password_hash == account.password_hash,
        )
        .values(signed_in_at=now)
        .returning(Account.id)
    )
    if let_in is None:
        raise rules.WrongCredentials
    today = local_date(now)
    kinds = await session.scalars(
        select(PartyRole.kind).where(
            PartyRole.party_id == account.party_id,
            PartyRole.valid_from <= today,
            or_(PartyRole.valid_to.is_(None), PartyRole.valid_to > today),
        )
    )
    audiences = access.audiences_of(frozenset(RoleKind(kind) for kind in kinds))
    token = _secret_text()
    expires_at = now + access.session_life(audiences).idle
    session.add(
        Session(
            token_hash=_hashed(token),
            account_id=account.id,
            created_at=now,
            seen_at=now,
            expires_at=expires_at,
        )
    )
    await session.flush()
    return token, account, expires_at


async def sign_out(session: AsyncSession, token: str) -> None:
    """End a session; one that does not exist is ended already."""
    await session.execute(delete(Session).where(Session.token_hash == _hashed(token)))


async def end_expired_sessions(session: AsyncSession, *, now: datetime) -> int:
    """Remove sessions that nobody can use any more, and answer how many."""
    ended = await session.scalars(
        delete(Session).where(Session.expires_at <= now).returning(Session.account_id)
    )
    await session.execute(delete(EndedSession).where(EndedSession.expires_at <= now))
    return len(ended.all())


async def end_sessions(session: AsyncSession, account_id: int) -> None:
    """End all sessions of an account at once."""
    await session.execute(delete(Session).where(Session.account_id == account_id))


async def end_sessions_by_reset(session: AsyncSession, account_id: int, *, now: datetime) -> None:
    """End all sessions of an account, and remember which: their devices are told why."""
    ended = await session.execute(
        delete(Session)
        .where(Session.account_id == account_id)
        .returning(Session.token_hash, Session.expires_at)
    )
    for token_hash, expires_at in ended.all():
        session.add(EndedSession(token_hash=token_hash, ended_at=now, expires_at=expires_at))
    await session.flush()


async def reset_since(session: AsyncSession, token: str) -> datetime | None:
    """Answer when a new password ended a session, if that is what ended it."""
    found: datetime | None = await session.scalar(
        select(EndedSession.ended_at).where(EndedSession.token_hash == _hashed(token))
    )
    return found


async def end_codes(session: AsyncSession, account_id: int, *, now: datetime) -> None:
    """End whatever code of an account is open."""
    await session.execute(
        update(AccountCode)
        .where(AccountCode.account_id == account_id, AccountCode.is_open)
        .values(ended_at=now)
    )


async def kept_in(session: AsyncSession, account_id: int) -> Duty | None:
    """Answer what somebody may do, and keep whoever would shut them out waiting; None if out.

    What is made in the rest of the transaction is seen by whoever waits, and ended with the rest.
    """
    duty = await session.scalar(
        select(Account.duty)
        .where(Account.id == account_id, Account.disabled_at.is_(None))
        .with_for_update(read=True)
    )
    return None if duty is None else Duty(duty)


def _secret_text() -> str:
    return base64.urlsafe_b64encode(ids.secret()).decode().rstrip("=")


def _hashed(secret: str) -> bytes:
    # A random secret of 256 bits needs no slow hash (ASVS 5.0 6.5.2).
    return hashlib.sha256(secret.encode()).digest()


# Roles as text: what can be compared need not be read again.
_CALLER_COLUMNS = """
    p.id, p.public_id,
    coalesce(
        (SELECT CAST(jsonb_agg(jsonb_build_array(r.kind, r.division_code, r.department)) AS text)
         FROM party_role r
         WHERE r.party_id = p.id AND r.valid_from <= :today
           AND (r.valid_to IS NULL OR r.valid_to > :today)),
        '[]')
"""


# One statement a request: the credential, the party and its roles of the day.
def _by_session(matching: str, also: str = "") -> str:
    return (
        f"SELECT s.account_id, a.duty, NULL::text[], {_CALLER_COLUMNS}, s.created_at, s.seen_at"  # noqa: S608
        f"{also} "
        "FROM session s JOIN account a ON a.id = s.account_id JOIN party p ON p.id = a.party_id "
        f"WHERE s.token_hash = {matching} AND s.expires_at > :now AND a.disabled_at IS NULL "
        "AND p.status = 'active'"
    )


def _by_key(matching: str, also: str = "") -> str:
    return (
        f"SELECT NULL::bigint, NULL::text, k.scopes, {_CALLER_COLUMNS}, NULL::timestamptz, "  # noqa: S608
        f"NULL::timestamptz{also} FROM api_key k JOIN party p ON p.id = k.party_id "
        f"WHERE k.secret_hash = {matching} AND k.expires_at > :now AND k.revoked_at IS NULL "
        "AND p.status = 'active'"
    )


BY_SESSION, BY_KEY = _by_session(":hash"), _by_key(":hash")
"""How a credential is looked up, for statements that ask for more at the same time.

`proffered` has their parameters, and `read_caller` reads their row.
"""
_BY_SESSION, _BY_KEY = prepared(BY_SESSION), prepared(BY_KEY)
_ANY = "ANY(CAST(:hashes AS bytea[]))"
_OF_SEVERAL = {
    Credential.SESSION: prepared(_by_session(_ANY, ", s.token_hash")),
    Credential.KEY: prepared(_by_key(_ANY, ", k.secret_hash")),
}

_BY_PARTY = prepared(
    f"SELECT NULL::bigint, NULL::text, NULL::text[], {_CALLER_COLUMNS} "  # noqa: S608
    "FROM party p WHERE p.id = :party AND p.status = 'active'"
)


async def caller_of_session(session: AsyncSession, token: str, *, now: datetime) -> Caller:
    """Say who a session belongs to; somebody whose session ended is the public."""
    rows = await fetch(session, _BY_SESSION, proffered(token, now))
    if not rows:
        return PUBLIC
    caller, fresh = read_caller(rows[0], now)
    if not fresh:
        *_, created_at, _ = rows[0]
        life = access.session_life(caller.audiences)
        await session.execute(
            update(Session)
            .where(Session.token_hash == _hashed(token))
            .values(seen_at=now, expires_at=min(now + life.idle, created_at + life.absolute))
        )
    return caller


async def caller_of_key(session: AsyncSession, key: str, *, now: datetime) -> Caller:
    """Say which party a machine's key acts for; a key that is not valid now is the public."""
    rows = await fetch(session, _BY_KEY, proffered(key, now))
    return read_caller(rows[0], now)[0] if rows else PUBLIC


async def callers(
    session: AsyncSession, proffers: Iterable[tuple[Credential, str]], *, now: datetime
) -> dict[tuple[Credential, str], Caller]:
    """Say who several credentials belong to, in one statement for each kind.

    Those that are not valid now are left out, and so are sessions of which is to be noted that they
    were seen.
    """
    found: dict[tuple[Credential, str], Caller] = {}
    wanted: dict[Credential, dict[bytes, str]] = {kind: {} for kind in _OF_SEVERAL}
    for kind, secret in proffers:
        if kind in wanted:
            wanted[kind][_hashed(secret)] = secret
    for kind, secrets in wanted.items():
        if not secrets:
            continue
        parameters = {"hashes": list(secrets), "now": now, "today": local_date(now)}
        for *row, hashed in await fetch(session, _OF_SEVERAL[kind], parameters):
            caller, noted = read_caller(row, now)
            if noted:
                found[kind, secrets[hashed]] = caller
    return found


def proffered(secret: str, now: datetime) -> dict[str, Any]:
    """Answer the parameters with which a credential is looked up."""
    return {"hash": _hashed(secret), "now": now, "today": local_date(now)}


def read_caller(row: Iterable[Any], now: datetime) -> tuple[Caller, bool]:
    """Read the row of a credential that is valid.

    Returns:
        Whoever it belongs to, and whether nothing has to be noted: a session that was not seen for
        five minutes is to live on.
    """
    account_id, duty, scopes, party_id, public_id, roles, _, seen_at = row
    scopes = None if scopes is None else tuple(scopes)
    caller = _caller(account_id, duty, scopes, party_id, public_id, roles)
    return caller, seen_at is None or now - seen_at <= SESSION_SEEN_EVERY


async def caller_of_party(
    session: AsyncSession, party_id: int, *, scopes: frozenset[str], now: datetime
) -> Caller:
    """Act for a party whose machine proved itself otherwise; a disabled party is the public.

    Args:
        session: The caller's session.
        party_id: For whom.
        scopes: What it may do, and nothing else.
        now: The present.
    """
    rows = await fetch(session, _BY_PARTY, {"party": party_id, "today": local_date(now)})
    return replace(_caller(*rows[0]), scopes=scopes) if rows else PUBLIC


# Asked of the database for every request, and mostly what it was for the last one.
@lru_cache(1_024)
def _caller(
    account_id: int | None,
    duty: str | None,
    scopes: tuple[str, ...] | None,
    party_id: int,
    public_id: UUID,
    roles_text: str,
) -> Caller:
    roles = orjson.loads(roles_text)
    kinds = frozenset(RoleKind(kind) for kind, _, _ in roles)
    offices = [role[1:] for role in roles if role[0] == RoleKind.REGULATOR]
    return Caller(
        party_id=party_id,
        party_public_id=public_id,
        account_id=account_id,
        audiences=access.audiences_of(kinds),
        roles=kinds,
        jurisdiction=access.jurisdiction_of(code for code, _ in offices),
        scopes=None if scopes is None else frozenset(scopes),
        departments=access.departments_of(department for _, department in offices),
        duty=None if duty is None else Duty(duty),
    )


async def make_key(
    session: AsyncSession,
    *,
    public_id: UUID,
    party_id: int,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    made_by: int | None = None,
) -> tuple[str, ApiKey]:
    """Make a machine's credential; the secret is answered once and stored as a hash.

    Raises:
        UnknownScope: a scope that is no action of the policy.
        IdReused: the id already names a key.
    """
    _check_scopes(scopes)
    secret = API_KEY_PREFIX + _secret_text()
    key = await session.scalar(
        insert(ApiKey)
        .values(
            public_id=public_id,
            party_id=party_id,
            made_by=made_by,
            name=name,
            secret_hash=_hashed(secret),
            scopes=sorted(set(scopes)),
            created_at=now,
            expires_at=now + API_KEY_LIFE,
        )
        .on_conflict_do_nothing(index_elements=[ApiKey.public_id])
        .returning(ApiKey)
    )
    if key is None:
        raise IdReused
    return secret, key


def _check_scopes(scopes: Iterable[str]) -> None:
    for scope in scopes:
        if scope not in access.POLICY:
            raise rules.UnknownScope(pointer="/scopes", scope=scope)


async def make_key_by(
    session: AsyncSession,
    caller: Caller,
    *,
    public_id: UUID,
    name: str,
    scopes: Sequence[str],
    now: datetime,
) -> tuple[str, ApiKey]:
    """Make a machine's credential for the caller's own party.

    Raises:
        UnknownScope: see `make_key`.
        NotAllowed: the caller is a machine itself, or was moved a moment ago.
        NotSignedIn: the caller was shut out a moment ago.
        ScopeNotYours: the caller's party may not do this, or no key may.
        IdReused: see `make_key`; a repeat too, for the secret cannot be told again.
    """
    _check_scopes(scopes)
    access.check_may_scope(caller, scopes)
    if caller.account_id is not None:
        duty = await kept_in(session, caller.account_id)
        if duty is None:
            raise access.NotSignedIn
        access.authorize(replace(caller, duty=duty), "api-key.manage")
    return await make_key(
        session,
        public_id=public_id,
        party_id=caller.acting_party,
        name=name,
        scopes=scopes,
        now=now,
        made_by=caller.account_id,
    )


async def keys_of(session: AsyncSession, party_id: int) -> list[tuple[ApiKey, UUID | None]]:
    """List a party's keys, revoked and expired ones too, each with the account that made it."""
    found = await session.execute(
        select(ApiKey, Account.public_id)
        .outerjoin(Account, Account.id == ApiKey.made_by)
        .where(ApiKey.party_id == party_id)
        .order_by(ApiKey.id)
    )
    return [(key, made_by) for key, made_by in found]


async def end_keys(session: AsyncSession, account_id: int, *, now: datetime) -> None:
    """End at once the keys that somebody made: who is shut out knows their secrets."""
    await session.execute(
        update(ApiKey)
        .where(ApiKey.made_by == account_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def revoke_key(
    session: AsyncSession, public_id: UUID, *, party_id: int, now: datetime
) -> None:
    """End a machine's credential at once; one that has ended stays ended when it did.

    Raises:
        UnknownKey: the party has no such key.
    """
    key = await session.scalar(
        select(ApiKey).where(ApiKey.public_id == public_id, ApiKey.party_id == party_id)
    )
    if key is None:
        raise rules.UnknownKey(key=str(public_id))
    if key.revoked_at is None:
        key.revoked_at = now
        await session.flush()
