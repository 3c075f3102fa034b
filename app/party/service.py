"""Registers parties and accounts, signs people in, and says who is calling."""

import asyncio
import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.party import access, identifiers, rules
from app.party.access import PUBLIC, Caller, RoleKind
from app.party.models import Account, ApiKey, Invitation, Party, PartyRole, Session

__all__ = ["PUBLIC"]

SESSION_IDLE = timedelta(days=30)
SESSION_SEEN_EVERY = timedelta(minutes=5)
API_KEY_LIFE = timedelta(days=365)
CLAIM_LIFE = timedelta(days=30)
API_KEY_PREFIX = "ypt_"

# OWASP's profile (19 MiB, 2 passes) takes 20 ms; as many at a time as there are cores, for hashing
# is what an attacker would load the server with (trust.md §4.1).
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashing = asyncio.Semaphore(os.cpu_count() or 1)
_NOBODY = _hasher.hash(ids.secret().hex())


@dataclass(frozen=True, slots=True)
class PartyDraft:
    """What a party is registered with; numbers and phone already normalised and checked."""

    public_id: UUID
    form: str
    name: str
    uscc: str | None = None
    id_number: str | None = None
    phone: str | None = None
    address: str | None = None
    division_code: str | None = None
    status: str = "active"


@dataclass(frozen=True, slots=True)
class RoleDraft:
    """A role that a party takes on."""

    kind: RoleKind
    valid_from: date
    valid_to: date | None = None
    place_id: int | None = None
    division_code: str | None = None


def _sealed(vault: Vault, draft: PartyDraft) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if draft.id_number is not None:
        values["id_number_sealed"] = vault.seal(draft.id_number, purpose="party.id_number")
        values["id_number_index"] = vault.index(draft.id_number, purpose="party.id_number")
        values["id_number_masked"] = identifiers.mask_resident_id(draft.id_number)
    if draft.phone is not None:
        values["phone_sealed"] = vault.seal(draft.phone, purpose="party.phone")
        values["phone_index"] = vault.index(draft.phone, purpose="party.phone")
        values["phone_masked"] = identifiers.mask_phone(draft.phone)
    if draft.address is not None:
        values["address_sealed"] = vault.seal(draft.address, purpose="party.address")
    return values


async def register(
    session: AsyncSession,
    draft: PartyDraft,
    roles: Sequence[RoleDraft],
    *,
    vault: Vault,
    by: int | None,
    now: datetime,
) -> tuple[Party, bool]:
    """Register a party with its roles, or find that it already is.

    Returns:
        The party, and whether it is new.

    Raises:
        IdReused: the id names a party with another name or number.
        NumberTaken: another party is registered under this number.
    """
    existing = await session.scalar(select(Party).where(Party.public_id == draft.public_id))
    sealed = _sealed(vault, draft)
    if existing is not None:
        rules.check_same(existing.name, draft.name)
        rules.check_same(existing.uscc, draft.uscc)
        rules.check_same(existing.id_number_index, sealed.get("id_number_index"))
        rules.check_same(existing.phone_index, sealed.get("phone_index"))
        return existing, False
    await _check_free(session, draft.uscc, sealed.get("id_number_index"))
    party = Party(
        public_id=draft.public_id,
        form=draft.form,
        name=draft.name,
        status=draft.status,
        uscc=draft.uscc,
        division_code=draft.division_code,
        commit_salt=ids.secret(16),
        created_at=now,
        created_by=by,
        **sealed,
    )
    session.add(party)
    await session.flush()
    await add_roles(session, party.id, roles)
    return party, True


async def _check_free(session: AsyncSession, uscc: str | None, number: bytes | None) -> None:
    if uscc is not None and await session.scalar(select(Party.id).where(Party.uscc == uscc)):
        raise rules.NumberTaken(number="uscc")
    if number is not None and await session.scalar(
        select(Party.id).where(Party.id_number_index == number)
    ):
        raise rules.NumberTaken(number="resident-id")


async def add_roles(session: AsyncSession, party_id: int, roles: Iterable[RoleDraft]) -> None:
    """Give a party further roles."""
    for role in roles:
        session.add(
            PartyRole(
                party_id=party_id,
                kind=role.kind,
                place_id=role.place_id,
                division_code=role.division_code,
                valid_from=role.valid_from,
                valid_to=role.valid_to,
            )
        )
    await session.flush()


async def find(session: AsyncSession, public_id: UUID) -> Party:
    """Find a party by its public id.

    Raises:
        UnknownParty: there is none.
    """
    party = await session.scalar(select(Party).where(Party.public_id == public_id))
    if party is None:
        raise rules.UnknownParty(party=str(public_id))
    return party


async def by_ids(session: AsyncSession, party_ids: Iterable[int]) -> dict[int, Party]:
    """Read several parties at once."""
    wanted = set(party_ids)
    if not wanted:
        return {}
    found = await session.scalars(select(Party).where(Party.id.in_(wanted)))
    return {party.id: party for party in found}


async def roles_of(session: AsyncSession, party_id: int) -> Sequence[PartyRole]:
    """List a party's roles, past and coming ones too."""
    found = await session.scalars(
        select(PartyRole).where(PartyRole.party_id == party_id).order_by(PartyRole.id)
    )
    return found.all()


async def role_kinds(session: AsyncSession, party_id: int, on: date) -> frozenset[RoleKind]:
    """Answer what a party is on a day."""
    dated = [_dated(role) for role in await roles_of(session, party_id)]
    return frozenset(role.kind for role in access.in_force(dated, on))


def _dated(role: PartyRole) -> access.DatedRole:
    return access.DatedRole(
        RoleKind(role.kind), role.division_code, role.valid_from, role.valid_to
    )


async def open_account(
    session: AsyncSession,
    *,
    public_id: UUID,
    party_id: int,
    login: str,
    password: str,
    vault: Vault,
    now: datetime,
) -> Account:
    """Let somebody sign in for a party.

    Raises:
        LoginTaken: the login is in use, or the id is.
    """
    index = vault.index(login.casefold(), purpose="account.login")
    taken = await session.scalar(
        select(Account).where((Account.login_index == index) | (Account.public_id == public_id))
    )
    if taken is not None:
        raise rules.LoginTaken
    account = Account(
        public_id=public_id,
        party_id=party_id,
        login_index=index,
        password_hash=await _hash(password),
        created_at=now,
    )
    session.add(account)
    await session.flush()
    return account


async def _hash(password: str) -> str:
    async with _hashing:
        return await asyncio.to_thread(_hasher.hash, password)


async def _matches(stored: str, password: str) -> bool:
    def check() -> bool:
        try:
            return _hasher.verify(stored, password)
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
        WrongCredentials: no such account, a wrong password, or a disabled account.
    """
    index = vault.index(login.casefold(), purpose="account.login")
    account = await session.scalar(select(Account).where(Account.login_index == index))
    matches = await _matches(account.password_hash if account else _NOBODY, password)
    if account is None or not matches or account.disabled_at is not None:
        raise rules.WrongCredentials
    token = _secret_text()
    expires_at = now + SESSION_IDLE
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
    return len(ended.all())


def _secret_text() -> str:
    return base64.urlsafe_b64encode(ids.secret()).decode().rstrip("=")


def _hashed(secret: str) -> bytes:
    # A random secret of 256 bits needs no slow hash (ASVS 5.0 6.5.2).
    return hashlib.sha256(secret.encode()).digest()


_CALLER_COLUMNS = """
    p.id, p.public_id,
    coalesce(
        (SELECT jsonb_agg(jsonb_build_array(r.kind, r.division_code))
         FROM party_role r
         WHERE r.party_id = p.id AND r.valid_from <= :today
           AND (r.valid_to IS NULL OR r.valid_to > :today)),
        '[]')
"""
# One statement a request: the credential, the party and its roles of the day.
_BY_SESSION = text(
    f"SELECT s.account_id, s.seen_at, NULL::text[], {_CALLER_COLUMNS} "  # noqa: S608 (constants)
    "FROM session s JOIN account a ON a.id = s.account_id JOIN party p ON p.id = a.party_id "
    "WHERE s.token_hash = :hash AND s.expires_at > :now AND a.disabled_at IS NULL "
    "AND p.status = 'active'"
)
_BY_KEY = text(
    f"SELECT NULL::bigint, k.created_at, k.scopes, {_CALLER_COLUMNS} "  # noqa: S608
    "FROM api_key k JOIN party p ON p.id = k.party_id "
    "WHERE k.secret_hash = :hash AND k.expires_at > :now AND k.revoked_at IS NULL "
    "AND p.status = 'active'"
)


async def caller_of_session(session: AsyncSession, token: str, *, now: datetime) -> Caller:
    """Say who a session belongs to; somebody whose session ended is the public."""
    hashed = _hashed(token)
    row = (
        await session.execute(
            _BY_SESSION, {"hash": hashed, "now": now, "today": local_date(now)}
        )
    ).one_or_none()
    if row is None:
        return PUBLIC
    if now - row[1] > SESSION_SEEN_EVERY:
        await session.execute(
            update(Session)
            .where(Session.token_hash == hashed)
            .values(seen_at=now, expires_at=now + SESSION_IDLE)
        )
    return _caller(row)


async def caller_of_key(session: AsyncSession, key: str, *, now: datetime) -> Caller:
    """Say which party a machine's key acts for; a key that is not valid now is the public."""
    row = (
        await session.execute(
            _BY_KEY, {"hash": _hashed(key), "now": now, "today": local_date(now)}
        )
    ).one_or_none()
    return PUBLIC if row is None else _caller(row)


def _caller(row: Any) -> Caller:
    account_id, _seen, scopes, party_id, public_id, roles = row
    kinds = frozenset(RoleKind(kind) for kind, _ in roles)
    jurisdictions = [code for kind, code in roles if kind == RoleKind.REGULATOR]
    return Caller(
        party_id=party_id,
        party_public_id=public_id,
        account_id=account_id,
        audiences=access.audiences_of(kinds),
        roles=kinds,
        jurisdiction=jurisdictions[0] if jurisdictions else None,
        scopes=None if scopes is None else frozenset(scopes),
    )


async def make_key(
    session: AsyncSession,
    *,
    public_id: UUID,
    party_id: int,
    name: str,
    scopes: Sequence[str],
    now: datetime,
) -> tuple[str, ApiKey]:
    """Make a machine's credential; the secret is answered once and stored as a hash.

    Raises:
        UnknownScope: a scope that is no action of the policy.
        IdReused: the id already names a key.
    """
    for scope in scopes:
        if scope not in access.POLICY:
            raise rules.UnknownScope(scope=scope)
    if await session.scalar(select(ApiKey.id).where(ApiKey.public_id == public_id)):
        raise IdReused
    secret = API_KEY_PREFIX + _secret_text()
    key = ApiKey(
        public_id=public_id,
        party_id=party_id,
        name=name,
        secret_hash=_hashed(secret),
        scopes=list(scopes),
        created_at=now,
        expires_at=now + API_KEY_LIFE,
    )
    session.add(key)
    await session.flush()
    return secret, key


async def revoke_key(
    session: AsyncSession, public_id: UUID, *, party_id: int, now: datetime
) -> None:
    """End a machine's credential at once.

    Raises:
        UnknownParty: the caller's party has no such key.
    """
    revoked = await session.scalar(
        update(ApiKey)
        .where(ApiKey.public_id == public_id, ApiKey.party_id == party_id)
        .values(revoked_at=now)
        .returning(ApiKey.id)
    )
    if revoked is None:
        raise rules.UnknownParty(key=str(public_id))


async def by_phone(session: AsyncSession, phone: str, *, vault: Vault) -> Party | None:
    """Find the party that is known under a phone; the eldest, should several share it."""
    index = vault.index(phone, purpose="party.phone")
    found: Party | None = await session.scalar(
        select(Party).where(Party.phone_index == index).order_by(Party.id).limit(1)
    )
    return found


async def invite(
    session: AsyncSession,
    *,
    public_id: UUID,
    name: str,
    phone: str,
    role: RoleKind,
    by: int,
    vault: Vault,
    now: datetime,
) -> tuple[Party, str | None]:
    """Make a party of somebody who has no account yet, known by phone.

    Returns:
        The party (the registered one, if the phone belongs to one), and the claim code that the
        inviter hands over; None where the party needs none.
    """
    known = await by_phone(session, phone, vault=vault)
    if known is None:
        draft = PartyDraft(
            public_id=public_id, form="natural", name=name, phone=phone, status="invited"
        )
        roles = [RoleDraft(role, valid_from=local_date(now))]
        known, _ = await register(session, draft, roles, vault=vault, by=by, now=now)
    if known.status != "invited":
        return known, None
    claim = rules.claim_code(ids.secret(8))
    await session.execute(
        insert(Invitation).values(
            party_id=known.id,
            invited_by=by,
            claim_hash=_hashed(claim + phone),
            created_at=now,
            expires_at=now + CLAIM_LIFE,
        )
    )
    return known, claim


async def claim(
    session: AsyncSession,
    *,
    phone: str,
    code: str,
    account_id: UUID,
    password: str,
    vault: Vault,
    now: datetime,
) -> Party:
    """Let an invited person take over what was recorded for them; the phone is their login.

    Raises:
        ClaimRefused: phone and code do not belong together, or the invitation has ended.
    """
    index = vault.index(phone, purpose="party.phone")
    party = await session.scalar(
        select(Party).where(Party.phone_index == index, Party.status == "invited").with_for_update()
    )
    invitation = None
    if party is not None:
        invitation = await session.scalar(
            select(Invitation).where(
                Invitation.claim_hash == _hashed(code + phone),
                Invitation.party_id == party.id,
                Invitation.expires_at > now,
                Invitation.claimed_at.is_(None),
            )
        )
    if party is None or invitation is None:
        raise rules.ClaimRefused
    invitation.claimed_at = now
    party.status = "active"
    await open_account(
        session,
        public_id=account_id,
        party_id=party.id,
        login=phone,
        password=password,
        vault=vault,
        now=now,
    )
    return party


def commitment_source(party: Party) -> tuple[bytes, str]:
    """Answer the salt and the value that stand for a party's identity in the log."""
    return party.commit_salt, "\0".join([party.name, party.uscc or "", party.id_number_masked or ""])
