"""Bodies about parties, accounts, sessions, keys and invitations."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, SecretStr, StringConstraints

from app.core.schemas import In, Line, Out
from app.party.access import Audience, Department, Duty, RoleKind
from app.party.models import ApiKey
from app.party.queries import FileView, PartyView, RoleView
from app.party.rules import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, Note
from app.party.staff import Member, MemberState, Registered
from app.signing.qr import draw_svg

DivisionCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{6}([0-9]{3}([0-9]{3})?)?$"),
    Field(description="6 digits for a county, 9 for a township, 12 for a village."),
]
Jurisdiction = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}([0-9]{2}([0-9]{3}([0-9]{3})?)?)?$"),
    Field(description="Where the role holds; 4 digits for a whole city, such as 3206."),
]
# Whatever is typed reaches the rule that can say what is wrong with it, up to a length that no
# honest number has.
Typed = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Login = Annotated[Line, StringConstraints(min_length=3, max_length=64)]
PersonName = Annotated[
    Line,
    StringConstraints(max_length=50),
    Field(description="What the person is called; kept sealed, told to who manages the account."),
]
Password = Annotated[
    SecretStr,
    Field(
        max_length=1000,
        description=(
            f"{PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters, any of them; at least 4 "
            "different ones, and not the login."
        ),
    ),
]


# Parties


class RoleIn(In):
    """A role to give."""

    kind: RoleKind
    valid_from: date = Field(description="First day of the role.")
    valid_to: date | None = Field(default=None, description="First day without it, if known.")
    place: UUID | None = Field(default=None, description="Where; everywhere if left out.")
    division_code: Jurisdiction | None = None
    department: Department | None = Field(
        default=None, description="Of a regulator: the stage it answers for; both if left out."
    )


class RoleEndIn(In):
    """When a role ends."""

    valid_to: date = Field(description="First day without the role; today at the earliest.")


class PartyIn(In):
    """A party to register."""

    form: Literal["natural", "legal"]
    name: Line
    uscc: Typed | None = Field(default=None, description="统一社会信用代码 (GB 32100).")
    id_number: Typed | None = Field(default=None, description="居民身份证号 (GB 11643).")
    phone: Typed | None = None
    address: Line | None = None
    division_code: DivisionCode | None = None
    roles: Annotated[list[RoleIn], Field(min_length=1, max_length=20)]


class NoteOut(Out):
    """What was changed in what was typed, or looks odd in it."""

    member: str
    zh: str
    en: str

    @classmethod
    def of(cls, note: Note) -> Self:
        """Write a note."""
        return cls(member=note.member, zh=note.text.zh, en=note.text.en)


class RoleOut(Out):
    """A role of a party."""

    number: int = Field(description="Which of the party's roles, from 1; ends are addressed by it.")
    kind: RoleKind
    valid_from: date
    valid_to: date | None
    place: UUID | None
    division_code: str | None
    department: Department | None

    @classmethod
    def of(cls, role: RoleView) -> Self:
        """Write a role."""
        return cls.model_validate(role)


class PartyFile(Out):
    """What the party itself and offices see; numbers of persons stay masked."""

    status: str
    uscc: str | None
    id_number_masked: str | None
    phone_masked: str | None
    division_code: str | None
    roles: list[RoleOut]

    @classmethod
    def of(cls, file: FileView) -> Self:
        """Write a file."""
        return cls.model_validate(file)


class PartyOut(Out):
    """A party as the caller may see it."""

    id: UUID
    form: str
    name: str = Field(description="Masked where the party is a natural person and a stranger.")
    county: str | None = Field(description="Six digits.")
    kinds: list[RoleKind] = Field(description="What it is today.")
    file: PartyFile | None = Field(
        default=None, description="For the party itself and for offices; null for strangers."
    )
    notes: list[NoteOut] = Field(
        default=[], description="At registration: what was changed in what was typed."
    )

    @classmethod
    def of(cls, view: PartyView, notes: tuple[Note, ...] = ()) -> Self:
        """Write a party."""
        return cls(
            id=view.public_id,
            form=view.form,
            name=view.name,
            county=view.county,
            kinds=list(view.kinds),
            file=None if view.file is None else PartyFile.of(view.file),
            notes=[NoteOut.of(note) for note in notes],
        )


class PartiesOut(Out):
    """Parties that were found, at most 20 of them."""

    parties: list[PartyOut]


# Accounts and sessions


class AccountIn(In):
    """An account to open."""

    party: UUID
    login: Login = Field(description="A word, or the party's own phone number.")
    password: Password
    name: PersonName | None = None
    duty: Duty = Duty.HEAD


class AccountOut(Out):
    """An account; its login is not repeated, for it may be a phone number."""

    id: UUID
    party: UUID


class SessionIn(In):
    """A sign-in."""

    login: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    password: Password


class MeOut(Out):
    """Who is calling."""

    party: UUID
    name: str
    roles: list[RoleKind]
    audiences: list[Audience]
    jurisdiction: str | None = Field(description="Division prefix that a regulator answers for.")
    scopes: list[str] | None = Field(description="What a key is limited to; null for people.")
    account: UUID | None = Field(description="The account that signed in; null for keys.")
    person: str | None = Field(description="What its person is called, if that is known.")
    duty: Duty | None = Field(description="What it does for the party; null for keys.")


class SessionOut(MeOut):
    """A sign-in that succeeded; its secret is in the cookie only."""

    expires_at: datetime = Field(description="When it ends unless it is used.")


# Staff


class MemberIn(In):
    """Somebody to invite to a party's staff."""

    name: PersonName
    phone: Typed = Field(description="Their own phone, which becomes their login.")
    duty: Duty = Duty.STAFF


class DutyIn(In):
    """What a member of staff does from now on."""

    duty: Duty


class NameIn(In):
    """What a member of staff is called."""

    name: PersonName


class SignInIn(In):
    """Whether a member of staff may sign in."""

    enabled: bool


class ClaimCodeIn(In):
    """Whom a new claim code is for."""

    phone: Typed = Field(description="Their own phone; another one than before replaces it.")


class HandedCodeOut(Out):
    """A code that somebody is handed: to come, or to set a new password."""

    code: str = Field(description="To be typed together with the phone, or the login.")
    url: str = Field(description="Where it is typed.")
    qr_svg: str = Field(description="Opens that page with the code behind a #, kept from logs.")
    expires_at: datetime

    @classmethod
    def of(cls, code: str, expires_at: datetime, url: str) -> Self:
        """Write a code, which leads to a page of ours."""
        return cls(
            code=code, url=url, qr_svg=draw_svg(f"{url}#code={code}", ""), expires_at=expires_at
        )


class ResetIn(In):
    """A new password, by a code that somebody handed over."""

    login: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=20)]
    password: Password


class MemberOut(Out):
    """Somebody who acts for a party."""

    account: UUID
    name: str | None = Field(description="Null where nobody has written it down yet.")
    duty: Duty
    state: MemberState
    created_at: datetime
    signed_in_at: datetime | None = Field(description="Last sign-in.")
    claim: HandedCodeOut | None = Field(
        description="While the invitation waits; told to the party that sent it."
    )
    reset_until: datetime | None = Field(
        description="Until when a reset code can be used, if one was given; its code is not told."
    )
    is_erased: bool = Field(description="The name was erased: the person left long ago.")
    is_caller: bool

    @classmethod
    def of(cls, member: Member, public_url: str) -> Self:
        """Write a member; the code leads to a page of ours."""
        claim = member.claim
        return cls(
            account=member.account,
            name=member.name,
            duty=member.duty,
            state=member.state,
            created_at=member.created_at,
            signed_in_at=member.signed_in_at,
            claim=None
            if claim is None
            else HandedCodeOut.of(claim.code, claim.expires_at, f"{public_url}/m/claim"),
            reset_until=member.reset_until,
            is_erased=member.is_erased,
            is_caller=member.is_caller,
        )


class StaffOut(Out):
    """Who acts for a party: of one's own all, of others the heads."""

    party: UUID
    staff: list[MemberOut]


class RegisteredOut(Out):
    """A party that the caller's registered, and who heads it."""

    id: UUID
    name: str
    kinds: list[RoleKind]
    heads: list[MemberOut]

    @classmethod
    def of(cls, party: Registered, public_url: str) -> Self:
        """Write a party with its heads."""
        return cls(
            id=party.public_id,
            name=party.name,
            kinds=list(party.kinds),
            heads=[MemberOut.of(head, public_url) for head in party.heads],
        )


class RegisteredPageOut(Out):
    """A page of the parties that the caller's registered."""

    parties: list[RegisteredOut]
    next: UUID | None = Field(description="What to send as `after` for the next page, if any.")


# Keys


class ApiKeyIn(In):
    """A key to make for a machine of the caller's party."""

    name: Line
    scopes: Annotated[list[str], Field(min_length=1, max_length=50)] = Field(
        description="Actions of the access policy, such as `ticket.issue`."
    )


class ApiKeyOut(Out):
    """A key without its secret."""

    id: UUID
    name: str
    scopes: list[str]
    made_by: UUID | None = Field(
        description="The account that made it, with which it ends; null for keys of before."
    )
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey, made_by: UUID | None) -> Self:
        """Write a key."""
        return cls(
            id=key.public_id,
            name=key.name,
            scopes=key.scopes,
            made_by=made_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )


class NewApiKeyOut(ApiKeyOut):
    """A key that was just made."""

    secret: str = Field(description="Told this once. Send it as `Authorization: Bearer …`.")


class ApiKeysOut(Out):
    """All keys of a party."""

    keys: list[ApiKeyOut]


# Invitations


class InvitationIn(In):
    """Somebody to invite: a buyer without an account."""

    name: Line
    phone: Typed
    role: RoleKind = RoleKind.GROUP_BUYER


class InvitationOut(Out):
    """An invitation."""

    party: UUID = Field(description="The invited party, or the one that has this phone already.")
    phone_masked: str
    claim_code: str | None = Field(
        description="What the inviter hands over; null where the party has its account already."
    )


class ClaimIn(In):
    """An invited person's taking over."""

    phone: Typed
    code: Annotated[str, StringConstraints(min_length=1, max_length=20)]
    account: UUID = Field(
        description=(
            "The id of the account to open. Who was invited to a party's staff has one already, "
            "which the answer names."
        )
    )
    password: Password
