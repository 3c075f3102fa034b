"""Bodies about parties, accounts, sessions, keys and invitations."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, SecretStr, StringConstraints

from app.core.schemas import In, Line, Out
from app.party.access import Audience, Department, RoleKind
from app.party.models import ApiKey
from app.party.queries import FileView, PartyView, RoleView
from app.party.rules import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, Note

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


class SessionOut(MeOut):
    """A sign-in that succeeded; its secret is in the cookie only."""

    expires_at: datetime = Field(description="When it ends unless it is used.")


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
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """Write a key."""
        return cls(
            id=key.public_id,
            name=key.name,
            scopes=key.scopes,
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
    account: UUID
    password: Password
