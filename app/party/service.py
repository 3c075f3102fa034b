"""Registers and invites parties, gives and ends their roles, opens their accounts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Exists, case, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.clock import local_date
from app.core.db import part_of
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.party import access, credentials, identifiers, rules
from app.party.access import Audience, Caller, Department, Duty, RoleKind
from app.party.models import Account, AccountCode, Invitation, Party, PartyRole
from app.transparency import service as transparency
from app.transparency.service import Statement

CLAIM_LIFE = timedelta(days=30)


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
    department: Department | None = None


@dataclass(frozen=True, slots=True)
class RoleWanted:
    """A role as somebody asks for it, its place by public id."""

    kind: RoleKind
    valid_from: date
    valid_to: date | None = None
    place: UUID | None = None
    division_code: str | None = None
    department: Department | None = None


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
        IdReused: the id names a party with other content.
        NumberTaken: another party is registered under this number.
    """
    by_id = select(Party).where(Party.public_id == draft.public_id)
    existing = await session.scalar(by_id)
    if existing is None:
        # A rival that registers the same id or number is waited for, and wins.
        party = await session.scalar(
            insert(Party)
            .values(
                public_id=draft.public_id,
                form=draft.form,
                name=draft.name,
                status=draft.status,
                uscc=draft.uscc,
                division_code=draft.division_code,
                commit_salt=ids.secret(16),
                created_at=now,
                created_by=by,
                **_sealed(vault, draft),
            )
            .on_conflict_do_nothing()
            .returning(Party)
        )
        if party is not None:
            await add_roles(session, party.id, roles)
            return party, True
        existing = await session.scalar(by_id)
    if existing is None:
        raise rules.NumberTaken
    _check_same(existing, draft, vault)
    stored = await roles_of(session, existing.id)
    if not all(any(_same_role(role, given) for role in stored) for given in roles):
        raise IdReused
    return existing, False


def _check_same(party: Party, draft: PartyDraft, vault: Vault) -> None:
    def opened(sealed: bytes | None, purpose: str) -> str | None:
        return None if sealed is None else vault.open(sealed, purpose=purpose)

    rules.check_same(
        (
            party.form,
            party.name,
            party.uscc,
            party.division_code,
            opened(party.id_number_sealed, "party.id_number"),
            opened(party.phone_sealed, "party.phone"),
            opened(party.address_sealed, "party.address"),
        ),
        (
            draft.form,
            draft.name,
            draft.uscc,
            draft.division_code,
            draft.id_number,
            draft.phone,
            draft.address,
        ),
    )


def _same_role(role: PartyRole, given: RoleDraft) -> bool:
    """Whether a role is the one given, even if it was ended since."""
    same = (
        role.kind,
        role.place_id,
        role.valid_from,
        role.division_code,
        role.department,
    ) == (
        given.kind,
        given.place_id,
        given.valid_from,
        given.division_code,
        given.department,
    )
    ended_since = role.valid_to is not None and (
        given.valid_to is None or role.valid_to < given.valid_to
    )
    return same and (role.valid_to == given.valid_to or ended_since)


async def register_by(
    session: AsyncSession,
    caller: Caller,
    draft: PartyDraft,
    wanted: Sequence[RoleWanted],
    *,
    vault: Vault,
    now: datetime,
) -> tuple[Party, bool]:
    """Register a party on behalf of a caller, with roles that are the caller's to give.

    Raises:
        RoleDatesInvalid: a role ends before it begins.
        JurisdictionMissing: a regulator without a division.
        UnknownRolePlace: a role is at a place that is not registered.
        RoleNotYours: the caller may not give one of the roles.
        IdReused: see `register`.
        NumberTaken: see `register`.
    """
    roles = [await _granted(session, caller, draft.division_code, role) for role in wanted]
    return await register(session, draft, roles, vault=vault, by=caller.acting_party, now=now)


async def _granted(
    session: AsyncSession, caller: Caller, party_division: str | None, wanted: RoleWanted
) -> RoleDraft:
    rules.check_role(
        wanted.kind,
        valid_from=wanted.valid_from,
        valid_to=wanted.valid_to,
        division_code=wanted.division_code,
        department=wanted.department,
    )
    site = None if wanted.place is None else await _site(session, public_id=wanted.place)
    _check_may_give(caller, wanted.kind, (party_division, wanted.division_code), site)
    return RoleDraft(
        kind=wanted.kind,
        valid_from=wanted.valid_from,
        valid_to=wanted.valid_to,
        place_id=None if site is None else site.place_id,
        division_code=wanted.division_code,
        department=wanted.department,
    )


@dataclass(frozen=True, slots=True)
class _Site:
    """What the decision on a role needs of its place.

    Attributes:
        owners: The parties of the place and of the market it lies in.
    """

    place_id: int
    division_code: str
    owners: frozenset[int | None]


# Places stand above parties in the ladder, so their table is read by name.
_SITE = text(
    "SELECT p.id, p.division_code, p.party_id, m.party_id FROM place p "
    "LEFT JOIN place m ON m.id = p.parent_id "
    "WHERE p.public_id = :public_id OR p.id = :place_id"
)


async def _site(
    session: AsyncSession, *, public_id: UUID | None = None, place_id: int | None = None
) -> _Site:
    found = await session.execute(_SITE, {"public_id": public_id, "place_id": place_id})
    row = found.one_or_none()
    if row is None:
        raise rules.UnknownRolePlace(place=str(public_id))
    return _Site(row[0], row[1], frozenset({row[2], row[3]}))


def _check_may_give(
    caller: Caller, kind: RoleKind, divisions: tuple[str | None, ...], site: _Site | None
) -> None:
    access.check_may_give(
        caller,
        kind,
        divisions=divisions if site is None else (*divisions, site.division_code),
        own_place=site is None or caller.party_id in site.owners,
    )


async def add_roles(session: AsyncSession, party_id: int, roles: Iterable[RoleDraft]) -> None:
    """Give a party further roles."""
    for role in roles:
        session.add(
            PartyRole(
                party_id=party_id,
                kind=role.kind,
                place_id=role.place_id,
                division_code=role.division_code,
                department=role.department,
                valid_from=role.valid_from,
                valid_to=role.valid_to,
            )
        )
    await session.flush()


async def give_role(
    session: AsyncSession, caller: Caller, party_public_id: UUID, wanted: RoleWanted
) -> tuple[Party, bool]:
    """Give a registered party one more role.

    Returns:
        The party, and whether the role is new to it.

    Raises:
        UnknownParty: there is no such party.
        OtherParty: the caller answers for this party in no way.
        RoleNotYours: the role, or the caller's own party.
        PartyNotActive: an office for somebody who has not claimed the party, or is disabled.
        IdReused: the party took up this role that day, with another end or division.
    """
    # The lock puts rivals in order: a role's number is its place in the order of ids.
    party = await locked(session, party_public_id)
    _check_answers_for(caller, party)
    role = await _granted(session, caller, party.division_code, wanted)
    if role.kind in access.OFFICES and party.status != "active":
        raise rules.PartyNotActive
    key = (role.kind, role.place_id, role.valid_from)
    for stored in await roles_of(session, party.id):
        if (stored.kind, stored.place_id, stored.valid_from) == key:
            if not _same_role(stored, role):
                raise IdReused
            return party, False
    await add_roles(session, party.id, [role])
    return party, True


async def end_role(
    session: AsyncSession,
    caller: Caller,
    party_public_id: UUID,
    number: int,
    *,
    valid_to: date,
    now: datetime,
) -> Party:
    """End a party's role on a day, which is the first without it; a repeat changes nothing.

    Args:
        session: The transaction.
        caller: Who ends it.
        party_public_id: Whose role.
        number: Which of the party's roles, from 1, in the order they were given.
        valid_to: First day without the role.
        now: The present instant.

    Raises:
        UnknownParty: there is no such party.
        OtherParty: the caller answers for this party in no way.
        UnknownRole: the party has no role of this number.
        RoleNotYours: the role, or the caller's own party.
        RoleDatesInvalid: see `rules.check_end`.
    """
    party = await locked(session, party_public_id)
    _check_answers_for(caller, party)
    stored = await roles_of(session, party.id)
    if not 1 <= number <= len(stored):
        raise rules.UnknownRole(number=number)
    role = stored[number - 1]
    site = None if role.place_id is None else await _site(session, place_id=role.place_id)
    _check_may_give(caller, RoleKind(role.kind), (party.division_code, role.division_code), site)
    if role.valid_to != valid_to:
        rules.check_end(role.valid_from, role.valid_to, new_end=valid_to, today=local_date(now))
        role.valid_to = valid_to
        await session.flush()
    return party


def _check_answers_for(caller: Caller, party: Party) -> None:
    if Audience.OPERATOR in caller.audiences:
        return
    if party.id == caller.party_id:
        # Whoever may give roles to others would otherwise raise itself.
        raise access.RoleNotYours
    registered = Audience.MARKET in caller.audiences and party.created_by == caller.party_id
    if not registered and not access.may_supervise(caller, party.division_code):
        raise access.OtherParty


async def locked(session: AsyncSession, public_id: UUID) -> Party:
    """Find a party and put rivals who would change what it is, or who acts for it, in order.

    Raises:
        UnknownParty: there is none.
    """
    party = await session.scalar(
        select(Party).where(Party.public_id == public_id).with_for_update(key_share=True)
    )
    if party is None:
        raise rules.UnknownParty(party=str(public_id))
    return party


async def find(session: AsyncSession, public_id: UUID) -> Party:
    """Find a party by its public id.

    Raises:
        UnknownParty: there is none.
    """
    party = await session.scalar(select(Party).where(Party.public_id == public_id))
    if party is None:
        raise rules.UnknownParty(party=str(public_id))
    return party


async def find_all(session: AsyncSession, public_ids: Collection[UUID]) -> dict[UUID, Party]:
    """Find several parties by their public ids.

    Raises:
        UnknownParty: one of them is not there; the first that was asked for is told.
    """
    if not public_ids:
        return {}
    rows = await session.scalars(select(Party).where(Party.public_id.in_(public_ids)))
    found = {party.public_id: party for party in rows}
    for public_id in public_ids:
        if public_id not in found:
            raise rules.UnknownParty(party=str(public_id))
    return found


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


async def roles_by_party(
    session: AsyncSession, party_ids: Collection[int]
) -> dict[int, list[PartyRole]]:
    """List the roles of several parties, past and coming ones too."""
    if not party_ids:
        return {}
    found: dict[int, list[PartyRole]] = defaultdict(list)
    for role in await session.scalars(
        select(PartyRole).where(PartyRole.party_id.in_(party_ids)).order_by(PartyRole.id)
    ):
        found[role.party_id].append(role)
    return found


async def role_kinds(session: AsyncSession, party_id: int, on: date) -> frozenset[RoleKind]:
    """Answer what a party is on a day."""
    return kinds_in_force(await roles_of(session, party_id), on)


def kinds_in_force(roles: Iterable[PartyRole], on: date) -> frozenset[RoleKind]:
    """Answer what a party with these roles is on a day."""
    dated = [
        access.DatedRole(RoleKind(role.kind), role.division_code, role.valid_from, role.valid_to)
        for role in roles
    ]
    return frozenset(role.kind for role in access.in_force(dated, on))


@dataclass(frozen=True, slots=True)
class AccountDraft:
    """An account as somebody asks for it.

    Attributes:
        name: What the person is called; None where nobody said.
    """

    public_id: UUID
    login: str
    password: str
    name: str | None = None
    duty: Duty = Duty.HEAD


async def open_account(
    session: AsyncSession,
    *,
    public_id: UUID,
    party_id: int,
    login: str,
    password: str,
    vault: Vault,
    now: datetime,
    name: str | None = None,
) -> Account:
    """Let somebody sign in as a head of a party; the same again answers the same account.

    Raises:
        PasswordWeak: see `rules.check_password`.
        LoginNotOwnPhone: the login is a phone number, and not the party's.
        IdReused: the id names another account.
        LoginTaken: the login is in use.
    """
    draft = AccountDraft(public_id, login, password, name)
    party = await session.get_one(Party, party_id)
    account, _ = await _opened(session, party, draft, vault=vault, now=now)
    return account


async def _opened(
    session: AsyncSession, party: Party, draft: AccountDraft, *, vault: Vault, now: datetime
) -> tuple[Account, bool]:
    rules.check_password(draft.password, login=draft.login)
    phone = rules.phone_in(draft.login)
    if phone is not None and party.phone_index != vault.index(phone, purpose="party.phone"):
        raise rules.LoginNotOwnPhone(pointer="/login")
    index = vault.index(rules.read_login(draft.login), purpose="account.login")
    asked = asked_index(vault, draft.name, draft.duty)
    existing = await session.scalar(select(Account).where(Account.public_id == draft.public_id))
    if existing is not None:
        same = (existing.party_id, existing.login_index) == (party.id, index)
        # Of accounts from before names were asked for it is not known with what.
        asked_same = existing.asked_index in {None, asked}
        stored = existing.password_hash
        if not same or not asked_same or stored is None:
            raise IdReused
        if not await credentials.password_matches(stored, draft.password):
            raise IdReused
        return existing, False
    account = await session.scalar(
        insert(Account)
        .values(
            public_id=draft.public_id,
            party_id=party.id,
            duty=draft.duty,
            name_sealed=sealed_name(vault, draft.name),
            asked_index=asked,
            login_index=index,
            password_hash=await credentials.hash_password(draft.password),
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=[Account.login_index])
        .returning(Account)
    )
    if account is None:
        raise rules.LoginTaken(pointer="/login")
    return account, True


def sealed_name(vault: Vault, name: str | None) -> bytes | None:
    """Seal what a person is called."""
    return None if name is None else vault.seal(name, purpose="account.name")


def asked_index(vault: Vault, name: str | None, duty: Duty, phone: str = "") -> bytes:
    """Answer what tells a repeat of a request for an account from another request."""
    return vault.index(f"{name or ''}\0{duty}\0{phone}", purpose="account.asked")


async def open_account_by(
    session: AsyncSession,
    caller: Caller,
    draft: AccountDraft,
    *,
    party_public_id: UUID,
    vault: Vault,
    now: datetime,
) -> tuple[Account, Party, bool]:
    """Open an account on behalf of a caller.

    Returns:
        The account, its party, and whether the account is new.

    Raises:
        UnknownParty: there is no such party.
        OtherParty: see `check_may_open`.
        RoleNotYours: see `check_may_open`.
        PartyNotActive: nobody has claimed the party, or it is disabled.
        DutyUnfit: the party has no such duty.
        PasswordWeak: see `open_account`.
        LoginNotOwnPhone: see `open_account`.
        IdReused: see `open_account`.
        LoginTaken: see `open_account`.
    """
    today = local_date(now)
    party = await find(session, party_public_id)
    await check_may_open(session, caller, party, draft.duty, today=today)
    if party.status != "active":
        raise rules.PartyNotActive
    rules.check_duty(draft.duty, await role_kinds(session, party.id, today))
    account, new = await _opened(session, party, draft, vault=vault, now=now)
    if new:
        await record(session, caller, "account.opened", account, party, now=now)
    return account, party, new


def came_by_invitation() -> Exists:
    """Write whether a party of the statement was itself invited, and so is its person's own."""
    return exists().where(Invitation.party_id == Party.id, Invitation.account_id.is_(None))


async def check_may_open(
    session: AsyncSession, caller: Caller, party: Party, duty: Duty, *, today: date
) -> None:
    """Refuse to let an office say who acts for another party.

    A market says so for the parties that it registered, while they are nothing that it could not
    make them: otherwise it could sign in as whatever an operator made of them later. It lets heads
    in, who choose their staff. An invited party is its person's own, who claims it.

    Raises:
        OtherParty: a market did not register this party, or it came by invitation.
        RoleNotYours: the party has a role that a market cannot give, or it is for anybody but a
            head.
    """
    if Audience.OPERATOR in caller.audiences:
        return
    invited = await session.scalar(
        select(came_by_invitation()).select_from(Party).where(Party.id == party.id)
    )
    registered = Audience.MARKET in caller.audiences and party.created_by == caller.party_id
    if not registered or invited:
        raise access.OtherParty
    for role in await roles_of(session, party.id):
        over = role.valid_to is not None and role.valid_to <= today
        if not over and role.kind not in access.GIVEN_BY_MARKETS:
            raise access.RoleNotYours(role=role.kind)
    if duty is not Duty.HEAD:
        raise access.RoleNotYours(role=duty)


async def record(
    session: AsyncSession,
    caller: Caller,
    kind: str,
    account: Account,
    party: Party,
    *,
    now: datetime,
) -> None:
    """Append to the log what became of an account: ids and its duty, never a name."""
    by = await session.scalar(select(Account.public_id).where(Account.id == caller.account_id))
    document = {
        "party": str(party.public_id),
        "duty": account.duty,
        "by": None if by is None else str(by),
    }
    await transparency.append(session, [Statement(kind, account.public_id, document)], now=now)


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

    The claim code follows from the request, so that its repeat answers the same, and a repeat
    after the code has ended renews it.

    Returns:
        The party (the registered one, if the phone belongs to one), and the claim code that the
        inviter hands over; None where the party needs none.

    Raises:
        RoleNotYours: a role that an invitation cannot give.
        IdReused: the id names another party.
    """
    access.check_may_invite(role)
    index = vault.index(phone, purpose="party.phone")
    # A phone is not unique (families share one), so nothing but this lock keeps two sellers, who
    # invite the same person at the same time, from making two of them.
    await session.execute(
        text("SELECT pg_advisory_xact_lock(:key)"),
        {"key": int.from_bytes(index[:8], "big", signed=True)},
    )
    known = await by_phone(session, phone, vault=vault)
    if known is None or known.public_id == public_id:
        draft = PartyDraft(
            public_id=public_id, form="natural", name=name, phone=phone, status="invited"
        )
        # The day of the first request is the role's; a repeat of another day is still a repeat.
        roles = [RoleDraft(role, valid_from=local_date(known.created_at if known else now))]
        known, _ = await register(session, draft, roles, vault=vault, by=by, now=now)
    if known.status != "invited":
        return known, None
    request = f"{public_id}\0{by}\0{phone}"
    code = rules.claim_code(vault.index(request, purpose="invitation.code"))
    invitation = insert(Invitation).values(
        party_id=known.id,
        invited_by=by,
        claim_hash=claim_hash(vault, phone, code),
        created_at=now,
        expires_at=now + CLAIM_LIFE,
    )
    over = Invitation.expires_at <= now
    await session.execute(
        invitation.on_conflict_do_update(
            index_elements=[Invitation.claim_hash],
            set_={"expires_at": case((over, now + CLAIM_LIFE), else_=Invitation.expires_at)},
        )
    )
    return known, code


def claim_hash(vault: Vault, phone: str, code: str) -> bytes:
    """Answer what is kept of a claim code."""
    # Forty bits would be searched through in minutes if the hash needed no key.
    return vault.index(f"{code}\0{phone}", purpose="invitation.claim")


async def claim(
    session: AsyncSession,
    *,
    phone: str,
    code: str,
    account_id: UUID,
    password: str,
    vault: Vault,
    now: datetime,
) -> tuple[UUID, Party]:
    """Let an invited person take over what was recorded for them; the phone is their login.

    The same again, with the same account and password, answers the same.

    Returns:
        The account, which is another one than was asked for where it waited for its person already,
        and its party.

    Raises:
        ClaimRefused: phone and code do not belong together, or the invitation has ended.
        PasswordWeak: see `open_account`.
        IdReused: the id names another account.
        LoginTaken: the phone is the login of another account already.
    """
    found = await session.execute(
        select(Invitation, Party)
        .join(Party, Party.id == Invitation.party_id)
        .where(Invitation.claim_hash == claim_hash(vault, phone, rules.read_claim_code(code)))
        .with_for_update()
    )
    invitation, party = found.one_or_none() or (None, None)
    if invitation is None or party is None:
        raise rules.ClaimRefused
    if invitation.account_id is not None:
        person = _Person(phone, password, vault, now)
        return await _take_up(session, invitation, invitation.account_id, party, person), party
    if invitation.claimed_at is None:
        if party.status != "invited" or invitation.expires_at <= now:
            raise rules.ClaimRefused
        invitation.claimed_at = now
        party.status = "active"
    elif not await _acts_for(session, party.id, account_id):
        raise rules.ClaimRefused
    draft = AccountDraft(account_id, phone, password, party.name)
    account, new = await _opened(session, party, draft, vault=vault, now=now)
    if new:
        await _note_taken_up(session, account, party, now)
    return account_id, party


async def _note_taken_up(
    session: AsyncSession, account: Account, party: Party, now: datetime
) -> None:
    document = {"party": str(party.public_id), "duty": account.duty}
    statement = Statement("account.taken-up", account.public_id, document)
    await transparency.append(session, [statement], now=now)


class _Person(NamedTuple):
    """Who takes an invitation up."""

    phone: str
    password: str
    vault: Vault
    now: datetime


async def _take_up(
    session: AsyncSession, invitation: Invitation, account_id: int, party: Party, person: _Person
) -> UUID:
    """Let a person have the account that was made for them."""
    account = await session.get_one(Account, account_id)
    if account.disabled_at is not None or party.status != "active":
        raise rules.ClaimRefused
    index = person.vault.index(rules.read_login(person.phone), purpose="account.login")
    if account.password_hash is not None:
        again = account.login_index == index
        if not again or not await credentials.password_matches(
            account.password_hash, person.password
        ):
            raise rules.ClaimRefused
        return account.public_id
    if invitation.expires_at <= person.now:
        raise rules.ClaimRefused
    rules.check_password(person.password, login=person.phone)
    password_hash = await credentials.hash_password(person.password)
    invitation.claimed_at = person.now
    await session.execute(
        update(AccountCode)
        .where(AccountCode.account_id == account.id, AccountCode.is_open)
        .values(used_at=person.now)
    )
    try:
        # Somebody else may sign in with this phone since a moment ago.
        async with part_of(session):
            account.login_index, account.password_hash = index, password_hash
            await session.flush()
    except IntegrityError as error:
        raise rules.LoginTaken(pointer="/phone") from error
    await _note_taken_up(session, account, party, person.now)
    return account.public_id


async def _acts_for(session: AsyncSession, party_id: int, account: UUID) -> bool:
    found = await session.scalar(
        select(Account.id).where(Account.public_id == account, Account.party_id == party_id)
    )
    return found is not None
