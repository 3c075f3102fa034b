"""Codes that a head or an office hands over: to come at last, or to set a forgotten password anew.

There is no mail and no text message on this platform. Whoever answers for an account knows its
person, gives the code by word of mouth, and what it did is in the log for good.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.resources import files
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.core.snapshot import Snapshot
from app.party import access, credentials, rules, service, staff
from app.party.access import RoleKind
from app.party.models import Account, AccountCode, AccountRule, Invitation, Party
from app.party.staff import Around, Member
from app.transparency import service as transparency
from app.transparency.service import Statement

RULES_LAST_S = 600


# --- the limits -----------------------------------------------------------------------------------


async def load_rules(session: AsyncSession) -> None:
    """Load the limits of this release; rows that exist are brought up to date."""
    source = files("app.party").joinpath("data/account_rules.json")
    statement = insert(AccountRule)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "valid_from"],
            set_={
                name: statement.excluded[name]
                for name in ("valid_to", "amount", "source", "verified")
            },
        ),
        [
            row
            | {
                name: row[name] and date.fromisoformat(row[name])
                for name in ("valid_from", "valid_to")
            }
            for row in json.loads(source.read_text(encoding="utf-8"))
        ],
    )
    _rules.forget(session)


async def _read_rules(session: AsyncSession) -> list[rules.AccountRule]:
    return [
        rules.AccountRule(row.kind, row.valid_from, row.valid_to, row.amount)
        for row in await session.scalars(select(AccountRule))
    ]


_rules = Snapshot(_read_rules, lasts_s=RULES_LAST_S)


# --- giving ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResetCode:
    """What somebody who forgot the password is handed."""

    code: str
    expires_at: datetime


async def give_claim_code(
    session: AsyncSession, around: Around, account_id: UUID, code_id: UUID, *, phone: str
) -> Member:
    """Give somebody who was invited, and has not come, another code; the former one ends.

    The phone is typed again, for of an invited person's only a hash is kept; another one than
    before mends what was mistyped. The same again answers the same.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`.
        UnknownMember: the party has no such account, or no head of this id.
        PartyNotActive: the party is disabled.
        NothingToClaim: the person has come, or is shut out.
        IdReused: the id names another code.
        CodeReplaced: another code took the place of this one.
    """
    party, accounts = await staff.locked(session, around)
    account = staff.one_of(accounts, account_id)
    if party.status != "active":
        raise rules.PartyNotActive
    if account.password_hash is not None or account.disabled_at is not None:
        raise rules.NothingToClaim
    code = staff.later_code(around.vault, account, code_id)
    given = AccountCode(
        public_id=code_id,
        account_id=account.id,
        purpose="claim",
        code_hash=service.claim_hash(around.vault, phone, code),
        given_by=around.caller.acting_party,
        created_at=around.now,
        expires_at=around.now + service.CLAIM_LIFE,
        tries=0,
        tries_max=0,
    )
    _, new = await _given(session, given)
    if new:
        values = {
            "invited_by": given.given_by,
            "claim_hash": given.code_hash,
            "expires_at": given.expires_at,
        }
        await session.execute(
            insert(Invitation)
            .values(party_id=party.id, account_id=account.id, created_at=around.now, **values)
            .on_conflict_do_update(index_elements=[Invitation.account_id], set_=values)
        )
        await service.record(
            session, around.caller, "account.claim-code", account, party, now=around.now
        )
    return await staff.show(session, around.caller, around.vault, account)


async def give_reset_code(
    session: AsyncSession, around: Around, account_id: UUID, code_id: UUID
) -> ResetCode:
    """Give somebody a code to set a new password with; the former one ends.

    The same again answers the same. The password of now goes on until the code is used.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`; or another operator's people.
        UnknownMember: the party has no such account, or no head of this id.
        PartyNotActive: the party is disabled.
        OwnReset: it is the caller's own account.
        NothingToReset: the person has not come yet, or is shut out.
        IdReused: the id names another code.
        CodeReplaced: the code was used, or another took the place of this one.
    """
    today = local_date(around.now)
    party, accounts = await staff.locked(session, around)
    if party.id != around.caller.party_id:
        # Only their own heads answer for who runs the platform.
        kinds = await service.role_kinds(session, party.id, today)
        if RoleKind.OPERATOR in kinds:
            raise access.RoleNotYours(role=RoleKind.OPERATOR)
    account = staff.one_of(accounts, account_id)
    if party.status != "active":
        raise rules.PartyNotActive
    if account.id == around.caller.account_id:
        raise rules.OwnReset
    if account.login_index is None or account.disabled_at is not None:
        raise rules.NothingToReset
    known = await _rules(session)
    code = _reset_code(around.vault, account, code_id)
    hours = rules.amount_of(known, "reset_hours", today)
    given, new = await _given(
        session,
        AccountCode(
            public_id=code_id,
            account_id=account.id,
            purpose="reset",
            code_hash=_reset_hash(around.vault, account.login_index, code),
            given_by=around.caller.acting_party,
            created_at=around.now,
            expires_at=around.now + timedelta(hours=hours),
            tries=0,
            tries_max=rules.amount_of(known, "reset_tries", today),
        ),
    )
    if new:
        await service.record(
            session, around.caller, "account.reset-code", account, party, now=around.now
        )
    return ResetCode(code, given.expires_at)


async def _given(session: AsyncSession, code: AccountCode) -> tuple[AccountCode, bool]:
    """Keep a code, unless it is kept already, and end the one before it.

    Raises:
        IdReused: the id names another code.
        CodeReplaced: this very code was used, or ended.
    """
    existing = await session.scalar(
        select(AccountCode).where(AccountCode.public_id == code.public_id)
    )
    if existing is not None:
        if (existing.account_id, existing.purpose, existing.code_hash) != (
            code.account_id,
            code.purpose,
            code.code_hash,
        ):
            raise IdReused
        if not existing.is_open:
            raise rules.CodeReplaced
        return existing, False
    await credentials.end_codes(session, code.account_id, now=code.created_at)
    columns = [column.key for column in AccountCode.__table__.columns if column.key != "id"]
    given = await session.scalar(
        insert(AccountCode)
        .values({name: getattr(code, name) for name in columns})
        .on_conflict_do_nothing(index_elements=[AccountCode.public_id])
        .returning(AccountCode)
    )
    if given is None:
        # Another party took the id at this very moment.
        raise IdReused
    return given, True


def _reset_code(vault: Vault, account: Account, code_id: UUID) -> str:
    # It follows from its id, so that a head whose answer was lost is told the same again.
    return rules.claim_code(
        vault.index(f"{account.public_id}\0{code_id}", purpose="account.reset-code")
    )


def _reset_hash(vault: Vault, login_index: bytes, code: str) -> bytes:
    # Forty bits would be searched through in minutes if the hash needed no key.
    return vault.index(f"{code}\0{login_index.hex()}", purpose="account.reset")


# --- using ----------------------------------------------------------------------------------------


async def count_try(session: AsyncSession, login: str, *, vault: Vault) -> None:
    """Count that somebody types a reset code for a login, right or wrong.

    It is a transaction of its own, before the code is looked at: the refusal of a wrong code takes
    its own transaction back, and of many that come at once none may slip through uncounted.
    """
    account = (
        select(Account.id)
        .where(Account.login_index == _login_index(vault, login))
        .scalar_subquery()
    )
    await session.execute(
        update(AccountCode)
        .where(
            AccountCode.account_id == account,
            AccountCode.purpose == "reset",
            AccountCode.is_open,
            AccountCode.tries <= AccountCode.tries_max,
        )
        .values(tries=AccountCode.tries + 1)
    )


async def reset_password(
    session: AsyncSession, *, login: str, code: str, password: str, vault: Vault, now: datetime
) -> tuple[UUID, UUID]:
    """Set a new password with a code, which is used up; all sessions of the account end.

    The same again answers the same, and ends nothing. An unknown login costs as much time as a
    wrong code, in the queue of those who sign in.

    Returns:
        The account and its party.

    Raises:
        ResetRefused: there is no such account or code, it was tried too often, has ended or was
            used, or the person or the party is shut out.
        PasswordWeak: see `rules.check_password`.
    """
    login_index = _login_index(vault, login)
    hashed = _reset_hash(vault, login_index, rules.read_claim_code(code))
    async with credentials.signing_in:
        password_hash = await credentials.hash_password(password)
    # Whoever shuts the account out at this moment is waited for, or waits.
    found = await session.execute(
        select(Account, Party)
        .join(Party, Party.id == Account.party_id)
        .where(
            Account.login_index == login_index,
            Account.disabled_at.is_(None),
            Party.status == "active",
        )
        .with_for_update(of=Account, key_share=True)
    )
    account, party = found.one_or_none() or (None, None)
    given = None if account is None else await _code_of(session, account, hashed)
    if account is None or party is None or given is None:
        raise rules.ResetRefused
    if given.used_at is not None:
        if not await credentials.password_matches(account.password_hash, password):
            raise rules.ResetRefused
        return account.public_id, party.public_id
    if given.ended_at is not None or given.expires_at <= now or given.tries > given.tries_max:
        raise rules.ResetRefused
    rules.check_password(password, login=login)
    account.password_hash, given.used_at = password_hash, now
    await session.flush()
    await credentials.end_sessions_by_reset(session, account.id, now=now)
    document = {"party": str(party.public_id), "duty": account.duty}
    statement = Statement("account.password-reset", account.public_id, document)
    await transparency.append(session, [statement], now=now)
    return account.public_id, party.public_id


def _login_index(vault: Vault, login: str) -> bytes:
    return vault.index(rules.read_login(login), purpose="account.login")


async def _code_of(session: AsyncSession, account: Account, hashed: bytes) -> AccountCode | None:
    found: AccountCode | None = await session.scalar(
        select(AccountCode)
        .where(
            AccountCode.account_id == account.id,
            AccountCode.purpose == "reset",
            AccountCode.code_hash == hashed,
        )
        .with_for_update()
    )
    return found
