"""Parties, accounts, sessions, keys and invitations over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from app.core.clock import local_date
from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.core.schemas import Line
from app.core.sealing import Vault
from app.party import (
    access,
    codes,
    credentials,
    identifiers,
    queries,
    rules,
    schemas,
    service,
    staff,
)
from app.party.access import Caller
from app.party.auth import allow, session_cookie
from app.party.models import Party

router = APIRouter(tags=["parties"])

NUMBERS = (
    identifiers.UsccInvalid,
    identifiers.ResidentIdInvalid,
    identifiers.PhoneInvalid,
    rules.NumberUnfit,
    rules.NumberMissing,
)
ROLES = (
    rules.RoleDatesInvalid,
    rules.JurisdictionMissing,
    rules.UnknownRolePlace,
    access.RoleNotYours,
)
GUARDED = (access.NotSignedIn, access.NotAllowed)
MANAGED = (rules.UnknownParty, rules.NotHead, access.OtherParty, access.RoleNotYours)


def _new(response: Response, *, new: bool) -> None:
    response.status_code = status.HTTP_201_CREATED if new else status.HTTP_200_OK


# Parties


@router.put(
    "/parties/{party_id}",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": schemas.PartyOut, "description": "The same again."},
        **declare(*GUARDED, *NUMBERS, *ROLES, IdReused, rules.NumberTaken),
    },
)
async def register_party(
    party_id: UUID,
    body: schemas.PartyIn,
    caller: Annotated[Caller, Depends(allow("party.register"))],
    session: DbSession,
    request: Request,
    response: Response,
) -> schemas.PartyOut:
    """Register a party with its roles.

    An operator may give every role; a regulator those of the trade, in its jurisdiction; a market
    those of the people who come to it. `notes` tells what was changed in the numbers as typed.
    """
    now = request.app.state.clock()
    numbers = rules.read_numbers(
        body.form,
        uscc=body.uscc,
        id_number=body.id_number,
        phone=body.phone,
        today=local_date(now),
    )
    draft = service.PartyDraft(
        public_id=party_id,
        form=body.form,
        name=body.name,
        uscc=numbers.uscc,
        id_number=numbers.id_number,
        phone=numbers.phone,
        address=body.address,
        division_code=body.division_code,
    )
    wanted = [_wanted(role) for role in body.roles]
    party, new = await service.register_by(
        session, caller, draft, wanted, vault=request.app.state.vault, now=now
    )
    _new(response, new=new)
    shown = await queries.view(session, caller, party, on=local_date(now))
    return schemas.PartyOut.of(shown, numbers.notes)


def _wanted(role: schemas.RoleIn) -> service.RoleWanted:
    return service.RoleWanted(
        kind=role.kind,
        valid_from=role.valid_from,
        valid_to=role.valid_to,
        place=role.place,
        division_code=role.division_code,
        department=role.department,
    )


@router.get("/parties/{party_id}", responses=declare(*GUARDED, rules.UnknownParty))
async def read_party(
    party_id: UUID,
    caller: Annotated[Caller, Depends(allow("party.read"))],
    session: DbSession,
    request: Request,
) -> schemas.PartyOut:
    """Read a party: strangers see its name (a person's masked), what it is, and its county."""
    today = local_date(request.app.state.clock())
    return schemas.PartyOut.of(await queries.read(session, caller, party_id, on=today))


@router.get("/parties", responses=declare(*GUARDED))
async def search_parties(
    q: Annotated[Line, Query(min_length=2, max_length=50, description="A name, or part of one.")],
    caller: Annotated[Caller, Depends(allow("party.read"))],
    session: DbSession,
    request: Request,
) -> schemas.PartiesOut:
    """Find a buyer: organisations by a part of the name, natural persons by the whole of it."""
    today = local_date(request.app.state.clock())
    found = await queries.search(session, caller, q, on=today)
    return schemas.PartiesOut(parties=[schemas.PartyOut.of(party) for party in found])


@router.post(
    "/parties/{party_id}/roles",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": schemas.PartyOut, "description": "The same again."},
        **declare(
            *GUARDED,
            *ROLES,
            rules.UnknownParty,
            access.OtherParty,
            rules.PartyNotActive,
            IdReused,
        ),
    },
)
async def give_role(
    party_id: UUID,
    body: schemas.RoleIn,
    caller: Annotated[Caller, Depends(allow("party.register"))],
    session: DbSession,
    request: Request,
    response: Response,
) -> schemas.PartyOut:
    """Give a party one more role: kind, place and first day name it, so a repeat is harmless."""
    party, new = await service.give_role(session, caller, party_id, _wanted(body))
    _new(response, new=new)
    today = local_date(request.app.state.clock())
    return schemas.PartyOut.of(await queries.view(session, caller, party, on=today))


@router.put(
    "/parties/{party_id}/roles/{number}/end",
    responses=declare(
        *GUARDED,
        rules.UnknownParty,
        access.OtherParty,
        rules.UnknownRole,
        access.RoleNotYours,
        rules.RoleDatesInvalid,
    ),
)
async def end_role(
    party_id: UUID,
    number: Annotated[int, Path(ge=1, le=1000)],
    body: schemas.RoleEndIn,
    caller: Annotated[Caller, Depends(allow("party.register"))],
    session: DbSession,
    request: Request,
) -> schemas.PartyOut:
    """End a role on a day; what the party was on days gone by stays as it was."""
    now = request.app.state.clock()
    party = await service.end_role(
        session, caller, party_id, number, valid_to=body.valid_to, now=now
    )
    return schemas.PartyOut.of(await queries.view(session, caller, party, on=local_date(now)))


# Accounts and sessions


@router.put(
    "/accounts/{account_id}",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": schemas.AccountOut, "description": "The same again."},
        **declare(
            *GUARDED,
            rules.UnknownParty,
            access.OtherParty,
            access.RoleNotYours,
            rules.PartyNotActive,
            rules.DutyUnfit,
            rules.PasswordWeak,
            rules.LoginNotOwnPhone,
            IdReused,
            rules.LoginTaken,
        ),
    },
)
async def open_account(
    account_id: UUID,
    body: schemas.AccountIn,
    caller: Annotated[Caller, Depends(allow("account.create"))],
    session: DbSession,
    request: Request,
    response: Response,
) -> schemas.AccountOut:
    """Open an account: an operator for any party, a market for those that it registered."""
    state = request.app.state
    draft = service.AccountDraft(
        account_id, body.login, body.password.get_secret_value(), body.name, body.duty
    )
    account, party, new = await service.open_account_by(
        session,
        caller,
        draft,
        party_public_id=body.party,
        vault=state.vault,
        now=state.clock(),
    )
    _new(response, new=new)
    return schemas.AccountOut(id=account.public_id, party=party.public_id)


@router.post(
    "/sessions",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Depends(allow("session.create"))],
    responses=declare(rules.WrongCredentials),
)
async def sign_in(
    body: schemas.SessionIn,
    session: DbSession,
    request: Request,
    response: Response,
) -> schemas.SessionOut:
    """Sign in. The cookie carries the session; a former one of the same browser ends."""
    state = request.app.state
    now = state.clock()
    token, _account, expires_at = await credentials.sign_in(
        session,
        login=body.login,
        password=body.password.get_secret_value(),
        vault=state.vault,
        now=now,
    )
    cookie = session_cookie(request)
    if former := request.cookies.get(cookie):
        await credentials.sign_out(session, former)
    signed_in = await credentials.caller_of_session(session, token, now=now)
    response.set_cookie(
        cookie,
        token,
        max_age=int(access.session_life(signed_in.audiences).absolute.total_seconds()),
        path="/",
        secure=state.settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )
    me = await _me(session, signed_in, state.vault)
    return schemas.SessionOut(**me.model_dump(), expires_at=expires_at)


@router.delete(
    "/sessions/current",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(allow("session.end"))],
)
async def sign_out(
    session: DbSession,
    request: Request,
    response: Response,
) -> None:
    """Sign out; who is not signed in is told the same."""
    cookie = session_cookie(request)
    if token := request.cookies.get(cookie):
        await credentials.sign_out(session, token)
    response.delete_cookie(
        cookie,
        path="/",
        secure=request.app.state.settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )


@router.get("/me", responses=declare(*GUARDED))
async def read_me(
    caller: Annotated[Caller, Depends(allow("account.read"))],
    session: DbSession,
    request: Request,
) -> schemas.MeOut:
    """Say who is calling, and what they are today."""
    return await _me(session, caller, request.app.state.vault)


async def _me(session: DbSession, caller: Caller, vault: Vault) -> schemas.MeOut:
    parties: dict[int, Party] = await service.by_ids(session, [caller.acting_party])
    party = parties[caller.acting_party]
    account, person = None, None
    if caller.account_id is not None:
        account, person = await staff.myself(session, caller, vault)
    return schemas.MeOut(
        party=party.public_id,
        name=party.name,
        roles=sorted(caller.roles),
        audiences=sorted(caller.audiences),
        jurisdiction=caller.jurisdiction,
        scopes=None if caller.scopes is None else sorted(caller.scopes),
        account=account,
        person=person,
        duty=caller.duty,
    )


# Staff

Manager = Annotated[Caller, Depends(allow("account.manage"))]


def _around(request: Request, caller: Caller, party_id: UUID) -> staff.Around:
    state = request.app.state
    return staff.Around(caller, party_id, state.vault, state.clock())


def _told(request: Request, member: staff.Member) -> schemas.MemberOut:
    return schemas.MemberOut.of(member, request.app.state.settings.public_url)


@router.get("/parties/{party_id}/staff", responses=declare(*GUARDED, *MANAGED))
async def list_staff(
    party_id: UUID, caller: Manager, session: DbSession, request: Request
) -> schemas.StaffOut:
    """List who acts for a party: a head all of its own, an office the heads that it lets in.

    An operator lets heads in everywhere, a market for the parties that it registered.
    """
    members = await staff.list_of(session, _around(request, caller, party_id))
    return schemas.StaffOut(party=party_id, staff=[_told(request, member) for member in members])


@router.put(
    "/parties/{party_id}/staff/{account_id}",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": schemas.MemberOut, "description": "The same again."},
        **declare(
            *GUARDED,
            identifiers.PhoneInvalid,
            *MANAGED,
            rules.PartyNotActive,
            rules.DutyUnfit,
            IdReused,
        ),
    },
)
async def invite_member(
    party_id: UUID,
    account_id: UUID,
    body: schemas.MemberIn,
    caller: Manager,
    session: DbSession,
    request: Request,
    response: Response,
) -> schemas.MemberOut:
    """Invite somebody to act for a party; they take the account up with `POST /claims`.

    A repeat answers the same code, and renews one that has ended.
    """
    phone = rules.read_phone(body.phone)
    member, new = await staff.invite(
        session,
        _around(request, caller, party_id),
        account_id,
        name=body.name,
        phone=phone,
        duty=body.duty,
    )
    _new(response, new=new)
    return _told(request, member)


@router.put(
    "/parties/{party_id}/staff/{account_id}/duty",
    responses=declare(*GUARDED, *MANAGED, rules.UnknownMember, rules.DutyUnfit, rules.LastHead),
)
async def give_duty(
    party_id: UUID,
    account_id: UUID,
    body: schemas.DutyIn,
    caller: Manager,
    session: DbSession,
    request: Request,
) -> schemas.MemberOut:
    """Change what somebody does for a party; it holds from their next request on."""
    around = _around(request, caller, party_id)
    return _told(request, await staff.give_duty(session, around, account_id, body.duty))


@router.put(
    "/parties/{party_id}/staff/{account_id}/name",
    responses=declare(*GUARDED, *MANAGED, rules.UnknownMember),
)
async def give_name(
    party_id: UUID,
    account_id: UUID,
    body: schemas.NameIn,
    caller: Manager,
    session: DbSession,
    request: Request,
) -> schemas.MemberOut:
    """Write down what somebody is called."""
    around = _around(request, caller, party_id)
    return _told(request, await staff.give_name(session, around, account_id, body.name))


@router.put(
    "/parties/{party_id}/staff/{account_id}/sign-in",
    responses=declare(*GUARDED, *MANAGED, rules.UnknownMember, rules.LastHead),
)
async def let_in_or_shut_out(
    party_id: UUID,
    account_id: UUID,
    body: schemas.SignInIn,
    caller: Manager,
    session: DbSession,
    request: Request,
) -> schemas.MemberOut:
    """Shut somebody out, or let them in again.

    With whoever is shut out end at once all their sessions and the keys that they made; they do not
    come back.
    """
    around = _around(request, caller, party_id)
    member = await staff.let_in_or_shut_out(session, around, account_id, enabled=body.enabled)
    return _told(request, member)


@router.put(
    "/parties/{party_id}/staff/{account_id}/claim-codes/{code_id}",
    responses=declare(
        *GUARDED,
        identifiers.PhoneInvalid,
        *MANAGED,
        rules.UnknownMember,
        rules.PartyNotActive,
        rules.NothingToClaim,
        IdReused,
        rules.CodeReplaced,
    ),
)
async def give_claim_code(
    party_id: UUID,
    account_id: UUID,
    code_id: UUID,
    body: schemas.ClaimCodeIn,
    caller: Manager,
    session: DbSession,
    request: Request,
) -> schemas.MemberOut:
    """Give somebody who was invited another code; the one before ends."""
    phone = rules.read_phone(body.phone)
    around = _around(request, caller, party_id)
    member = await codes.give_claim_code(session, around, account_id, code_id, phone=phone)
    return _told(request, member)


@router.put(
    "/parties/{party_id}/staff/{account_id}/reset-codes/{code_id}",
    responses=declare(
        *GUARDED,
        *MANAGED,
        rules.UnknownMember,
        rules.PartyNotActive,
        rules.OwnReset,
        rules.NothingToReset,
        IdReused,
        rules.CodeReplaced,
    ),
)
async def give_reset_code(
    party_id: UUID,
    account_id: UUID,
    code_id: UUID,
    caller: Manager,
    session: DbSession,
    request: Request,
) -> schemas.HandedCodeOut:
    """Give somebody who forgot the password a code for `POST /password-resets`.

    A head gives it to the staff of its own party; a market to the heads of parties that it
    registered; an operator to the heads of all parties but other operators.
    """
    around = _around(request, caller, party_id)
    given = await codes.give_reset_code(session, around, account_id, code_id)
    url = f"{request.app.state.settings.public_url}/m/reset"
    return schemas.HandedCodeOut.of(given.code, given.expires_at, url)


@router.post(
    "/password-resets",
    dependencies=[Depends(allow("password.reset"))],
    responses=declare(rules.ResetRefused, rules.PasswordWeak),
)
async def reset_password(
    body: schemas.ResetIn, session: DbSession, request: Request
) -> schemas.AccountOut:
    """Set a new password with a reset code; all sessions of the account end.

    A code lasts a day and bears ten tries, right or wrong (dated data).
    """
    state = request.app.state
    async with state.database.transaction() as counting:
        await codes.count_try(counting, body.login, vault=state.vault)
    account, party = await codes.reset_password(
        session,
        login=body.login,
        code=body.code,
        password=body.password.get_secret_value(),
        vault=state.vault,
        now=state.clock(),
    )
    return schemas.AccountOut(id=account, party=party)


@router.get("/registered-parties", responses=declare(*GUARDED, rules.UnknownParty))
async def list_registered(
    caller: Annotated[Caller, Depends(allow("account.create"))],
    session: DbSession,
    request: Request,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> schemas.RegisteredPageOut:
    """List the parties that the caller's registered, with the heads whom it lets in."""
    state = request.app.state
    found = await staff.registered_by(
        session, caller, after=after, limit=limit, vault=state.vault, now=state.clock()
    )
    url = state.settings.public_url
    return schemas.RegisteredPageOut(
        parties=[schemas.RegisteredOut.of(party, url) for party in found],
        next=found[-1].public_id if len(found) == limit else None,
    )


# Keys


@router.put(
    "/api-keys/{key_id}",
    status_code=status.HTTP_201_CREATED,
    responses=declare(*GUARDED, rules.UnknownScope, access.ScopeNotYours, IdReused),
)
async def make_api_key(
    key_id: UUID,
    body: schemas.ApiKeyIn,
    caller: Annotated[Caller, Depends(allow("api-key.manage"))],
    session: DbSession,
    request: Request,
) -> schemas.NewApiKeyOut:
    """Make a key for a machine of the caller's party; its secret is answered this once.

    A repeat is refused as `id-reused`, unlike everywhere else: only a hash of the secret is kept,
    so the same answer cannot be given again. Whoever lost the answer revokes this key and makes
    another under a new id. A key cannot make keys, and ends when its maker is shut out.
    """
    secret, key = await credentials.make_key_by(
        session,
        caller,
        public_id=key_id,
        name=body.name,
        scopes=body.scopes,
        now=request.app.state.clock(),
    )
    made_by = None
    if caller.account_id is not None:
        made_by, _ = await staff.myself(session, caller, request.app.state.vault)
    return schemas.NewApiKeyOut(**schemas.ApiKeyOut.of(key, made_by).model_dump(), secret=secret)


@router.get("/api-keys", responses=declare(*GUARDED))
async def list_api_keys(
    caller: Annotated[Caller, Depends(allow("api-key.manage"))], session: DbSession
) -> schemas.ApiKeysOut:
    """List the keys of the caller's party, those that have ended too."""
    keys = await credentials.keys_of(session, caller.acting_party)
    return schemas.ApiKeysOut(keys=[schemas.ApiKeyOut.of(key, made_by) for key, made_by in keys])


@router.delete(
    "/api-keys/{key_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=declare(*GUARDED, rules.UnknownKey),
)
async def revoke_api_key(
    key_id: UUID,
    caller: Annotated[Caller, Depends(allow("api-key.manage"))],
    session: DbSession,
    request: Request,
) -> None:
    """End a key at once; one that has ended already stays ended."""
    await credentials.revoke_key(
        session, key_id, party_id=caller.acting_party, now=request.app.state.clock()
    )


# Invitations


@router.put(
    "/invitations/{invitation_id}",
    responses=declare(*GUARDED, identifiers.PhoneInvalid, access.RoleNotYours, IdReused),
)
async def invite(
    invitation_id: UUID,
    body: schemas.InvitationIn,
    caller: Annotated[Caller, Depends(allow("invitation.create"))],
    session: DbSession,
    request: Request,
) -> schemas.InvitationOut:
    """Invite a buyer who has no account: tickets can name it at once, and it claims them later.

    The id becomes the invited party's, unless the phone is known. A repeat answers the same code.
    """
    state = request.app.state
    phone = rules.read_phone(body.phone)
    party, code = await service.invite(
        session,
        public_id=invitation_id,
        name=body.name,
        phone=phone,
        role=body.role,
        by=caller.acting_party,
        vault=state.vault,
        now=state.clock(),
    )
    return schemas.InvitationOut(
        party=party.public_id, phone_masked=identifiers.mask_phone(phone), claim_code=code
    )


@router.post(
    "/claims",
    dependencies=[Depends(allow("invitation.claim"))],
    responses=declare(
        identifiers.PhoneInvalid,
        rules.ClaimRefused,
        rules.PasswordWeak,
        IdReused,
        rules.LoginTaken,
    ),
)
async def claim(
    body: schemas.ClaimIn,
    session: DbSession,
    request: Request,
) -> schemas.AccountOut:
    """Take over what was recorded under one's phone; the phone becomes the login.

    So does whoever was invited to a party's staff.
    """
    state = request.app.state
    account, party = await service.claim(
        session,
        phone=rules.read_phone(body.phone),
        code=body.code,
        account_id=body.account,
        password=body.password.get_secret_value(),
        vault=state.vault,
        now=state.clock(),
    )
    return schemas.AccountOut(id=account, party=party.public_id)
