"""Who acts for a party: invites people, names them, gives them duties, shuts them out, lists them.

Whoever heads a party says so for its staff. An office that lets heads in (`service.check_may_open`)
sees and moves the heads of that party alone: its staff is their business.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import case, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.party import access, credentials, rules, service
from app.party.access import Caller, Duty, RoleKind
from app.party.models import Account, AccountCode, Invitation, Party
from app.party.rules import Post
from app.transparency import service as transparency
from app.transparency.service import Statement


class MemberState(StrEnum):
    """Whether somebody can sign in."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class ClaimCode:
    """What an invited person is handed, besides whom it works for: the phone is theirs to know."""

    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who acts for a party.

    Attributes:
        name: None where the account is from before names were asked for.
        claim: While the invitation waits to be taken up.
        reset_until: Until when a reset code is open, if one is.
        is_erased: Whether the name was erased because the person left long ago.
        is_caller: Whether this is who asks.
    """

    account: UUID
    name: str | None
    duty: Duty
    state: MemberState
    created_at: datetime
    signed_in_at: datetime | None
    claim: ClaimCode | None
    reset_until: datetime | None
    is_erased: bool
    is_caller: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """A party that the caller's registered, and who heads it."""

    public_id: UUID
    name: str
    kinds: tuple[RoleKind, ...]
    heads: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What every act here needs.

    Attributes:
        caller: Who acts.
        party: For whom the staff acts.
        now: The present instant.
    """

    caller: Caller
    party: UUID
    vault: Vault
    now: datetime


async def list_of(session: AsyncSession, around: Around) -> list[Member]:
    """List who acts for a party: all of one's own, the heads of others; the eldest first.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`.
    """
    party = await service.find(session, around.party)
    accounts = await _accounts(session, around, party)
    return await _members(session, around.caller, around.vault, accounts)


async def invite(
    session: AsyncSession, around: Around, account_id: UUID, *, name: str, phone: str, duty: Duty
) -> tuple[Member, bool]:
    """Make an account that waits for its person, who takes it up with phone and claim code.

    A repeat answers the same account; after the code has ended it renews it.

    Returns:
        The member, and whether it is new.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`.
        PartyNotActive: nobody has claimed the party, or it is disabled.
        DutyUnfit: the party has no such duty.
        IdReused: the id names another account, or was asked for with other content.
    """
    party, _ = await locked(session, around, duty)
    if party.status != "active":
        raise rules.PartyNotActive
    kinds = await service.role_kinds(session, party.id, local_date(around.now))
    rules.check_duty(duty, kinds)
    asked = service.asked_index(around.vault, name, duty, phone)
    account = await session.scalar(
        insert(Account)
        .values(
            public_id=account_id,
            party_id=party.id,
            duty=duty,
            name_sealed=service.sealed_name(around.vault, name),
            asked_index=asked,
            created_at=around.now,
        )
        .on_conflict_do_nothing(index_elements=[Account.public_id])
        .returning(Account)
    )
    new = account is not None
    if account is None:
        account = await session.scalar(select(Account).where(Account.public_id == account_id))
        assert account is not None, "accounts are never removed"
        if (account.party_id, account.asked_index) != (party.id, asked):
            raise IdReused
    if account.password_hash is None and account.disabled_at is None:
        await _send_for(session, around, account, phone)
    if new:
        await service.record(
            session, around.caller, "account.invited", account, party, now=around.now
        )
    return await show(session, around.caller, around.vault, account), new


async def _send_for(session: AsyncSession, around: Around, account: Account, phone: str) -> None:
    """Let a phone take an account up for a while, and again once that has passed."""
    until = around.now + service.CLAIM_LIFE
    code = _code(around.vault, account)
    # A repeat leaves the code alone that the invitation has now, which may be a newer one.
    await session.execute(
        insert(Invitation)
        .values(
            party_id=account.party_id,
            account_id=account.id,
            invited_by=around.caller.acting_party,
            claim_hash=service.claim_hash(around.vault, phone, code),
            created_at=around.now,
            expires_at=until,
        )
        .on_conflict_do_update(
            index_elements=[Invitation.account_id],
            set_={
                "expires_at": case(
                    (Invitation.expires_at <= around.now, until), else_=Invitation.expires_at
                )
            },
        )
    )


def _code(vault: Vault, account: Account) -> str:
    # It follows from the account, so that whoever lost it is told the same again.
    return rules.claim_code(vault.index(str(account.public_id), purpose="account.code"))


def later_code(vault: Vault, account: Account, code: UUID) -> str:
    """Answer a code that was given later; it follows from its id, and is told again likewise."""
    return rules.claim_code(vault.index(f"{account.public_id}\0{code}", purpose="account.code"))


async def give_duty(session: AsyncSession, around: Around, account_id: UUID, duty: Duty) -> Member:
    """Change what somebody does for a party; a repeat changes nothing.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`.
        UnknownMember: the party has no such account, or no head of this id.
        DutyUnfit: the party has no such duty.
        LastHead: the party would be left without a head who can sign in.
    """
    party, accounts = await locked(session, around, duty)
    account = one_of(accounts, account_id)
    kinds = await service.role_kinds(session, party.id, local_date(around.now))
    rules.check_duty(duty, kinds)
    if account.duty != duty:
        _check_head_left(around, party, accounts, replace(_post(account), duty=duty))
        account.duty = duty
        await session.flush()
        await service.record(session, around.caller, "account.duty", account, party, now=around.now)
    return await show(session, around.caller, around.vault, account)


async def give_name(session: AsyncSession, around: Around, account_id: UUID, name: str) -> Member:
    """Write down what somebody is called; of a name the log says nothing.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`.
        UnknownMember: the party has no such account, or no head of this id.
    """
    _, accounts = await locked(session, around)
    account = one_of(accounts, account_id)
    if _name(around.vault, account) != name:
        account.name_sealed = service.sealed_name(around.vault, name)
        await session.flush()
    return await show(session, around.caller, around.vault, account)


async def let_in_or_shut_out(
    session: AsyncSession, around: Around, account_id: UUID, *, enabled: bool
) -> Member:
    """Shut somebody out, or let them in again; a repeat changes nothing.

    With whoever is shut out end their sessions, the keys that they made and the reset code that
    they were given, and none of these comes back. Devices at gates are the party's, and stay. An
    office may shut out the last head of a business, whose phone was
    stolen: it can let another in.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`.
        UnknownMember: the party has no such account, or no head of this id.
        LastHead: the party would be left without a head who can sign in.
    """
    party, accounts = await locked(session, around)
    account = one_of(accounts, account_id)
    if (account.disabled_at is None) != enabled:
        changed = replace(_post(account), is_disabled=not enabled)
        if not enabled:
            _check_head_left(around, party, accounts, changed)
        account.disabled_at = None if enabled else around.now
        account.erased_at = None
        await session.flush()
        await credentials.end_sessions(session, account.id)
        if not enabled:
            await credentials.end_keys(session, account.id, now=around.now)
            if account.password_hash is not None:
                await credentials.end_codes(session, account.id, now=around.now)
        kind = "account.enabled" if enabled else "account.disabled"
        await service.record(session, around.caller, kind, account, party, now=around.now)
    return await show(session, around.caller, around.vault, account)


async def erase(session: AsyncSession, account: Account, *, now: datetime) -> None:
    """Erase the name and the login of somebody who left; the account's id remains.

    Whoever comes back all the same is let in again, and takes the account up with a claim code.
    """
    account.name_sealed = account.asked_index = None
    account.login_index = account.password_hash = None
    account.erased_at = now
    await session.flush()
    party = await session.get_one(Party, account.party_id)
    document = {"party": str(party.public_id), "duty": account.duty, "by": None}
    await transparency.append(
        session, [Statement("account.erased", account.public_id, document)], now=now
    )


async def registered_by(
    session: AsyncSession,
    caller: Caller,
    *,
    after: UUID | None,
    limit: int,
    vault: Vault,
    now: datetime,
) -> list[Registered]:
    """List the parties that the caller's registered, and whose heads it lets in, by pages.

    Raises:
        UnknownParty: there is no party `after`.
    """
    start = 0 if after is None else (await service.find(session, after)).id
    found = await session.scalars(
        select(Party)
        .where(
            Party.created_by == caller.acting_party, Party.id > start, ~service.came_by_invitation()
        )
        .order_by(Party.id)
        .limit(limit)
    )
    parties = found.all()
    ids = [party.id for party in parties]
    roles = await service.roles_by_party(session, ids)
    accounts = await session.scalars(
        select(Account)
        .where(Account.party_id.in_(ids), Account.duty == Duty.HEAD)
        .order_by(Account.id)
    )
    every = accounts.all()
    members = await _members(session, caller, vault, every)
    heads: dict[int, list[Member]] = defaultdict(list)
    for account, member in zip(every, members, strict=True):
        heads[account.party_id].append(member)
    today = local_date(now)
    return [
        Registered(
            public_id=party.public_id,
            name=party.name,
            kinds=tuple(sorted(service.kinds_in_force(roles.get(party.id, ()), today))),
            heads=tuple(heads[party.id]),
        )
        for party in parties
    ]


async def myself(session: AsyncSession, caller: Caller, vault: Vault) -> tuple[UUID, str | None]:
    """Answer the id and the name of the account that is calling."""
    account = await session.get_one(Account, caller.account_id)
    return account.public_id, _name(vault, account)


# --- who may, and whom it concerns ----------------------------------------------------------------


async def locked(
    session: AsyncSession, around: Around, duty: Duty = Duty.HEAD
) -> tuple[Party, Sequence[Account]]:
    """Read the accounts that the caller answers for, with rivals put in order.

    Raises:
        UnknownParty: there is no such party.
        NotHead: it is the caller's own, and the caller no head.
        OtherParty: see `service.check_may_open`.
        RoleNotYours: see `service.check_may_open`.
    """
    party = await service.locked(session, around.party)
    return party, await _accounts(session, around, party, duty)


async def _accounts(
    session: AsyncSession, around: Around, party: Party, duty: Duty = Duty.HEAD
) -> Sequence[Account]:
    """Read the accounts of a party that the caller answers for, or refuse."""
    caller = around.caller
    wanted = select(Account).where(Account.party_id == party.id).order_by(Account.id)
    if party.id != caller.party_id:
        today = local_date(around.now)
        await service.check_may_open(session, caller, party, duty, today=today)
        wanted = wanted.where(Account.duty == Duty.HEAD)
    elif caller.duty is not Duty.HEAD:
        raise rules.NotHead
    accounts = (await session.scalars(wanted)).all()
    if party.id == caller.party_id:
        # A rival who held the lock before us may have shut the caller out, or moved it.
        (mine,) = (account for account in accounts if account.id == caller.account_id)
        if mine.disabled_at is not None:
            raise access.NotSignedIn
        if mine.duty != Duty.HEAD:
            raise rules.NotHead
    return accounts


def one_of(accounts: Iterable[Account], public_id: UUID) -> Account:
    """Find an account among those that the caller answers for.

    Raises:
        UnknownMember: it is none of them.
    """
    for account in accounts:
        if account.public_id == public_id:
            return account
    raise rules.UnknownMember(account=str(public_id))


def _check_head_left(
    around: Around, party: Party, accounts: Iterable[Account], changed: Post
) -> None:
    if party.id == around.caller.party_id:
        rules.check_head_left([_post(account) for account in accounts], changed)


def _post(account: Account) -> Post:
    return Post(
        account_id=account.id,
        duty=Duty(account.duty),
        has_come=account.password_hash is not None,
        is_disabled=account.disabled_at is not None,
    )


# --- how they are shown ---------------------------------------------------------------------------


async def show(session: AsyncSession, caller: Caller, vault: Vault, account: Account) -> Member:
    """Show a member."""
    (member,) = await _members(session, caller, vault, [account])
    return member


async def _members(
    session: AsyncSession, caller: Caller, vault: Vault, accounts: Sequence[Account]
) -> list[Member]:
    waiting = [account.id for account in accounts if _state(account) is MemberState.INVITED]
    ends: dict[int, datetime] = {}
    open_codes = await _open_codes(session, accounts)
    if waiting:
        # Whoever sent for somebody hands the code over, and nobody else.
        sent = select(Invitation).where(
            Invitation.account_id.in_(waiting), Invitation.invited_by == caller.acting_party
        )
        for invitation in await session.scalars(sent):
            assert invitation.account_id is not None, "it was asked for by account"
            ends[invitation.account_id] = invitation.expires_at
    return [
        Member(
            account=account.public_id,
            name=_name(vault, account),
            duty=Duty(account.duty),
            state=_state(account),
            created_at=account.created_at,
            signed_in_at=account.signed_in_at,
            claim=(
                ClaimCode(
                    later_code(vault, account, open_codes[account.id].public_id)
                    if account.id in open_codes
                    else _code(vault, account),
                    ends[account.id],
                )
                if account.id in ends
                else None
            ),
            reset_until=(
                open_codes[account.id].expires_at
                if account.id in open_codes and account.id not in waiting
                else None
            ),
            is_erased=account.erased_at is not None,
            is_caller=account.id == caller.account_id,
        )
        for account in accounts
    ]


async def _open_codes(session: AsyncSession, accounts: Sequence[Account]) -> dict[int, AccountCode]:
    found = await session.scalars(
        select(AccountCode).where(
            AccountCode.account_id.in_([account.id for account in accounts]), AccountCode.is_open
        )
    )
    return {code.account_id: code for code in found}


def _state(account: Account) -> MemberState:
    if account.disabled_at is not None:
        return MemberState.DISABLED
    return MemberState.INVITED if account.password_hash is None else MemberState.ACTIVE


def _name(vault: Vault, account: Account) -> str | None:
    if account.name_sealed is None:
        return None
    return vault.open(account.name_sealed, purpose="account.name")
