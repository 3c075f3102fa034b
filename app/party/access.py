"""Who may call what: one table, asked by every route.

A route names an action; this table says which audiences may take it at all. Whether the very object
is theirs (own party, counterpart of a ticket, jurisdiction) is a rule of the package that owns it.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from app.core.errors import DomainError, Kind, Text


class RoleKind(StrEnum):
    """What a party can be in the trade (domain.md §1.1), and who runs the platform."""

    FARMER = "FARMER"
    FAMILY_FARM = "FAMILY_FARM"
    COOP = "COOP"
    AGRI_ENT = "AGRI_ENT"
    VILLAGE_COLLECTIVE = "VILLAGE_COLLECTIVE"
    COLLECTOR = "COLLECTOR"
    SLAUGHTER = "SLAUGHTER"
    FISHER = "FISHER"
    PROCESSOR = "PROCESSOR"
    MARKET = "MARKET"
    STALL = "STALL"
    SUPERMARKET = "SUPERMARKET"
    GROUP_BUYER = "GROUP_BUYER"
    CATERER = "CATERER"
    CARRIER = "CARRIER"
    STORE = "STORE"
    IMPORTER = "IMPORTER"
    LAB = "LAB"
    QUICKTEST_POINT = "QUICKTEST_POINT"
    REGULATOR = "REGULATOR"
    DISPOSER = "DISPOSER"
    INFORMANT = "INFORMANT"
    CONSUMER = "CONSUMER"
    OPERATOR = "OPERATOR"


PRODUCERS = frozenset(
    {
        RoleKind.FARMER,
        RoleKind.FAMILY_FARM,
        RoleKind.COOP,
        RoleKind.AGRI_ENT,
        RoleKind.VILLAGE_COLLECTIVE,
        RoleKind.FISHER,
        RoleKind.SLAUGHTER,
        RoleKind.PROCESSOR,
    }
)
"""Roles that bring lots into being by harvest, catch, slaughter or making."""


class Audience(StrEnum):
    """What somebody is to the platform."""

    PUBLIC = "public"
    TRADER = "trader"
    MARKET = "market"
    REGULATOR = "regulator"
    OPERATOR = "operator"


_EVERYONE = frozenset(Audience)
_SIGNED_IN = _EVERYONE - {Audience.PUBLIC}
_OFFICE = frozenset({Audience.MARKET, Audience.REGULATOR, Audience.OPERATOR})
_TRADE = frozenset({Audience.TRADER, Audience.MARKET})

POLICY: dict[str, frozenset[Audience]] = {
    "account.create": frozenset({Audience.MARKET, Audience.OPERATOR}),
    "account.read": _SIGNED_IN,
    "api-key.manage": _SIGNED_IN,
    "certificate.issue": _TRADE,
    "certificate.read": _SIGNED_IN,
    "form.read": _EVERYONE,
    "hold.place": _OFFICE,
    "hold.read": _SIGNED_IN,
    "invitation.create": _TRADE,
    "invitation.claim": _EVERYONE,
    "lot.read": _SIGNED_IN,
    "lot.write": _TRADE,
    "party.read": _SIGNED_IN,
    "party.register": frozenset({Audience.MARKET, Audience.REGULATOR, Audience.OPERATOR}),
    "place.read": _SIGNED_IN,
    "place.write": _SIGNED_IN,
    "product.read": _EVERYONE,
    "public.read": _EVERYONE,
    "scan.record": _SIGNED_IN,
    "session.create": _EVERYONE,
    "session.end": _EVERYONE,
    "ticket.decide": _TRADE,
    "ticket.issue": _TRADE,
    "ticket.read": _SIGNED_IN,
    "trace.read": _SIGNED_IN,
}


class NotSignedIn(DomainError):
    """No credential came with the request, or none that is valid now."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "not-signed-in"
    title: ClassVar[Text] = Text("未登录或登录已失效", "Not signed in, or the sign-in has ended")
    next_step: ClassVar[Text] = Text("请重新登录", "Sign in again")


class NotAllowed(DomainError):
    """The caller is known, and its roles do not include this action."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "not-allowed"
    title: ClassVar[Text] = Text("您的角色不能进行此操作", "Your roles do not include this action")
    next_step: ClassVar[Text] = Text(
        "请用有权限的账号登录, 或联系市场管理方", "Use an account with that role, or ask your market office"
    )


class OtherParty(DomainError):
    """The object belongs to another party."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "other-party"
    title: ClassVar[Text] = Text("这是其他主体的数据", "This belongs to another party")
    next_step: ClassVar[Text] = Text(
        "只能操作本主体的批次、合格证和票据", "Act only on your own party's lots, certificates and tickets"
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request.

    Attributes:
        party_id: Internal id of the party they act for; None for the public.
        party_public_id: Its public id.
        account_id: The account; None for the public and for machines.
        audiences: What they may be for `POLICY`.
        roles: The party's roles on the day of the request.
        jurisdiction: Division prefix a regulator answers for (`3206` for the city); else None.
        scopes: Actions a machine's key is limited to; None means all of its audiences'.
    """

    party_id: int | None
    party_public_id: UUID | None
    account_id: int | None
    audiences: frozenset[Audience]
    roles: frozenset[RoleKind]
    jurisdiction: str | None
    scopes: frozenset[str] | None

    @property
    def acting_party(self) -> int:
        """The party of a caller that `POLICY` has let through as signed in."""
        assert self.party_id is not None, "the policy admits nobody without a party here"
        return self.party_id

    @property
    def supervises(self) -> bool:
        """Whether the caller sees other parties' data by office."""
        return bool(self.audiences & {Audience.REGULATOR, Audience.OPERATOR})


PUBLIC = Caller(
    party_id=None,
    party_public_id=None,
    account_id=None,
    audiences=frozenset({Audience.PUBLIC}),
    roles=frozenset(),
    jurisdiction=None,
    scopes=None,
)


@dataclass(frozen=True, slots=True)
class DatedRole:
    """A role as the decision needs it."""

    kind: RoleKind
    division_code: str | None
    valid_from: date
    valid_to: date | None


def audiences_of(roles: frozenset[RoleKind]) -> frozenset[Audience]:
    """Say what a party's roles of the day make it to the platform."""
    found = {Audience.PUBLIC}
    offices = {
        RoleKind.MARKET: Audience.MARKET,
        RoleKind.REGULATOR: Audience.REGULATOR,
        RoleKind.OPERATOR: Audience.OPERATOR,
    }
    found |= {audience for role, audience in offices.items() if role in roles}
    if roles - offices.keys():
        found.add(Audience.TRADER)
    return frozenset(found)


def in_force(roles: list[DatedRole], on: date) -> list[DatedRole]:
    """Keep the roles in force on a day: from `valid_from`, before `valid_to`."""
    return [
        role
        for role in roles
        if role.valid_from <= on and (role.valid_to is None or on < role.valid_to)
    ]


def authorize(caller: Caller, action: str) -> None:
    """Let a caller take an action, or refuse.

    Raises:
        NotSignedIn: the action is not open to the public, and nobody is signed in.
        NotAllowed: the caller's roles, or its key's scopes, do not include the action.
    """
    allowed = POLICY[action]
    if not caller.audiences & allowed:
        raise NotSignedIn if caller.party_id is None else NotAllowed(action=action)
    if caller.scopes is not None and action not in caller.scopes:
        raise NotAllowed(action=action)


def may_supervise(caller: Caller, division_code: str | None) -> bool:
    """Whether a division lies in the caller's jurisdiction; operators answer for all."""
    if Audience.OPERATOR in caller.audiences:
        return True
    if Audience.REGULATOR not in caller.audiences or caller.jurisdiction is None:
        return False
    return (division_code or "").startswith(caller.jurisdiction)
