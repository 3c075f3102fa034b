"""Who may call what: one table, asked by every route.

A route names an action; this table says which audiences may take it at all. Whether the very object
is theirs (own party, counterpart of a ticket, jurisdiction) is a rule of the package that owns it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar
from uuid import UUID

from app.core import dated
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


class Department(StrEnum):
    """Which of two offices answers for goods (domain.md §1.4): where they are in the chain decides.

    Agriculture answers until goods enter a market or a processor, market regulation from then on.
    """

    AGRICULTURE = "agriculture"
    MARKET_REGULATION = "market_regulation"


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


BEYOND_THE_GATE = frozenset(
    {
        RoleKind.PROCESSOR,
        RoleKind.MARKET,
        RoleKind.STALL,
        RoleKind.SUPERMARKET,
        RoleKind.GROUP_BUYER,
        RoleKind.CATERER,
        RoleKind.IMPORTER,
    }
)
"""Whose goods have entered a market, or the works of a processor (APQSL art. 60 and 77)."""


OFFICES = frozenset({RoleKind.MARKET, RoleKind.REGULATOR, RoleKind.OPERATOR})
"""Roles that give power over others' data; only an operator may give them."""

GIVEN_BY_MARKETS = frozenset(
    {
        RoleKind.FARMER,
        RoleKind.FAMILY_FARM,
        RoleKind.COOP,
        RoleKind.COLLECTOR,
        RoleKind.STALL,
        RoleKind.SUPERMARKET,
        RoleKind.GROUP_BUYER,
        RoleKind.CATERER,
        RoleKind.CARRIER,
    }
)
"""Roles of those who come to a market to sell, buy and carry."""

GIVEN_BY_REGULATORS = frozenset(RoleKind) - OFFICES - {RoleKind.LAB, RoleKind.CONSUMER}
"""Roles of the trade. A laboratory is accredited (CMA), which the operator checks."""

GIVEN_BY_INVITATION = frozenset(
    {
        RoleKind.STALL,
        RoleKind.SUPERMARKET,
        RoleKind.GROUP_BUYER,
        RoleKind.CATERER,
        RoleKind.COLLECTOR,
    }
)
"""Roles of those who buy: any seller may invite them, so none of them brings lots into being."""


class Audience(StrEnum):
    """What somebody is to the platform."""

    PUBLIC = "public"
    TRADER = "trader"
    MARKET = "market"
    REGULATOR = "regulator"
    OPERATOR = "operator"


_COUNTY_DIGITS = 6
_EVERYONE = frozenset(Audience)
_SIGNED_IN = _EVERYONE - {Audience.PUBLIC}
_OFFICE = frozenset({Audience.MARKET, Audience.REGULATOR, Audience.OPERATOR})
# Whoever runs the platform sees what offices see; what becomes of goods it does not decide.
_DECIDE = frozenset({Audience.MARKET, Audience.REGULATOR})
_REGULATORS = frozenset({Audience.REGULATOR})
_TRADE = frozenset({Audience.TRADER, Audience.MARKET})
_SAMPLERS = frozenset({Audience.TRADER, Audience.MARKET, Audience.REGULATOR})

POLICY: dict[str, frozenset[Audience]] = {
    "account.create": frozenset({Audience.MARKET, Audience.OPERATOR}),
    "account.manage": _SIGNED_IN,
    "account.read": _SIGNED_IN,
    "agreement.read": _SIGNED_IN,
    "agreement.record": _OFFICE,
    "api-key.manage": _SIGNED_IN,
    "certificate.issue": _TRADE,
    "certificate.read": _SIGNED_IN,
    "evidence.read": _SIGNED_IN,
    "evidence.store": _SIGNED_IN,
    "form.read": _EVERYONE,
    "gate-case.answer": frozenset({Audience.MARKET}),
    "gate-case.handle": _DECIDE,
    "gate-case.read": _OFFICE,
    # Whoever acts proves itself by a code or a signature, which the package checks.
    "gate-device.act": _EVERYONE,
    "gate-device.enrol": _OFFICE,
    "hold.place": _DECIDE,
    "hold.read": _SIGNED_IN,
    "hold.release": _DECIDE,
    "inspection.record": _OFFICE,
    "inspection.rule": _DECIDE,
    "invitation.create": _TRADE,
    "invitation.claim": _EVERYONE,
    "limit.read": _EVERYONE,
    "label.print": _SIGNED_IN,
    "label.write": _TRADE,
    "ledger.read": _SIGNED_IN,
    "lot.read": _SIGNED_IN,
    "lot.write": _TRADE,
    "paper.record": _OFFICE,
    # To have read something is no change of the books: whoever only reads them marks it, too.
    "notice.read": _SIGNED_IN,
    # Whoever forgot a password proves itself by a code that somebody handed over.
    "password.reset": _EVERYONE,
    "party.read": _SIGNED_IN,
    "party.register": frozenset({Audience.MARKET, Audience.REGULATOR, Audience.OPERATOR}),
    "place.read": _SIGNED_IN,
    "place.write": _SIGNED_IN,
    "product.read": _EVERYONE,
    "public.read": _EVERYONE,
    "recall.annul": _REGULATORS,
    "recall.close": _SIGNED_IN,
    "recall.follow": _SIGNED_IN,
    "recall.open": _SIGNED_IN,
    "recall.read": _SIGNED_IN,
    "referral.ask": _REGULATORS,
    # Read by operators, too; that the office which was asked answers, the package checks.
    "referral.answer": frozenset({Audience.REGULATOR, Audience.OPERATOR}),
    "report.file": _EVERYONE,
    "report.handle": frozenset({Audience.REGULATOR, Audience.OPERATOR}),
    "sample.read": _SIGNED_IN,
    "sample.take": _SAMPLERS,
    "scan.record": _SIGNED_IN,
    "session.create": _EVERYONE,
    "session.end": _EVERYONE,
    "test.follow-up": _REGULATORS,
    "test.object": _TRADE,
    # Whoever pushes proves itself by its signature, which the package checks.
    "test.push": _EVERYONE,
    "test.record": _SAMPLERS,
    "test-source.manage": _SAMPLERS,
    "ticket.decide": _TRADE,
    "ticket.issue": _TRADE,
    "ticket.read": _SIGNED_IN,
    "trace.read": _SIGNED_IN,
    "treatment.read": _SIGNED_IN,
    "treatment.record": _TRADE,
    "warning.handle": _OFFICE,
    "warning.read": _OFFICE,
}


NOT_FOR_KEYS = frozenset(
    {
        "account.create",
        "account.manage",
        "api-key.manage",
        "gate-device.enrol",
        "test-source.manage",
    }
)
"""Actions that make credentials: a key that leaks must not be able to leave another one behind."""


class Duty(StrEnum):
    """What somebody does for a party; the party's roles say what may be done at all.

    A head does everything and answers for the staff. Staff does the daily work. The gate lets goods
    in. The books are read only.
    """

    HEAD = "head"
    STAFF = "staff"
    GATE = "gate"
    BOOKS = "books"


_READING = frozenset(action for action in POLICY if action.endswith(".read")) | {"label.print"}

ACTIONS_OF: Mapping[Duty, frozenset[str]] = MappingProxyType(
    {
        Duty.HEAD: frozenset(POLICY),
        # A key goes on when nobody is signed in.
        Duty.STAFF: frozenset(POLICY) - {"api-key.manage"},
        # It stops goods, too; what it stopped, and what it is asked about, others let go.
        Duty.GATE: _READING
        | {
            "evidence.store",
            "hold.place",
            "inspection.record",
            "paper.record",
            "sample.take",
            "scan.record",
            "test.record",
        },
        Duty.BOOKS: _READING,
    }
)
"""What each duty leaves of the party's actions; what is open to the public is open to all."""


@dataclass(frozen=True, slots=True)
class SessionLife:
    """How long a sign-in lasts.

    Attributes:
        idle: After the last request.
        absolute: After the sign-in, however busy.
    """

    idle: timedelta
    absolute: timedelta


# The strictest comes first (trust.md §4.2; ASVS 5.0 7.3.1 and 7.3.2 ask for both limits).
_SESSION_LIVES = (
    (
        frozenset({Audience.REGULATOR, Audience.OPERATOR}),
        SessionLife(timedelta(minutes=30), timedelta(hours=12)),
    ),
    (frozenset({Audience.MARKET}), SessionLife(timedelta(hours=8), timedelta(days=7))),
)
_SESSION_LIFE_OF_TRADERS = SessionLife(timedelta(days=30), timedelta(days=180))


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
        "请用有权限的账号登录，或联系市场管理方",
        "Use an account with that role, or ask your market office",
    )


class OtherParty(DomainError):
    """The object belongs to another party."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "other-party"
    title: ClassVar[Text] = Text("这是其他主体的数据", "This belongs to another party")
    next_step: ClassVar[Text] = Text(
        "只能操作本主体的批次、合格证和票据",
        "Act only on your own party's lots, certificates and tickets",
    )


class RoleNotYours(DomainError):
    """The caller may register parties, and not with this role, or not here."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "role-not-yours"
    title: ClassVar[Text] = Text(
        "您无权授予或终止该角色", "This role, at this place, is not yours to give or end"
    )
    next_step: ClassVar[Text] = Text(
        "请联系平台运营方或辖区监管部门办理",
        "Ask the platform's operator, or the regulator of the area",
    )


class ScopeNotYours(DomainError):
    """A key can do no more than whoever makes it, and cannot make credentials."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "scope-not-yours"
    title: ClassVar[Text] = Text("不能授予密钥该权限项", "This scope is not yours to give to a key")
    next_step: ClassVar[Text] = Text(
        "只能授予本主体自身拥有的权限，且不含账号与密钥管理",
        "Give only what your own party may do, and neither accounts nor keys",
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
        departments: Of a regulator: the stages of the chain it answers for.
        duty: What the account does for the party; None for the public and for machines.
    """

    party_id: int | None
    party_public_id: UUID | None
    account_id: int | None
    audiences: frozenset[Audience]
    roles: frozenset[RoleKind]
    jurisdiction: str | None
    scopes: frozenset[str] | None
    departments: frozenset[Department] = frozenset(Department)
    duty: Duty | None = None

    @property
    def acting_party(self) -> int:
        """The party of a caller that `POLICY` has let through as signed in."""
        assert self.party_id is not None, "the policy admits nobody without a party here"
        return self.party_id

    @property
    def acting_public_id(self) -> UUID:
        """The public id of that party."""
        assert self.party_public_id is not None, "the policy admits nobody without a party here"
        return self.party_public_id

    @property
    def supervises(self) -> bool:
        """Whether the caller sees other parties' data: an office, or whoever runs the platform."""
        return bool(self.audiences & {Audience.REGULATOR, Audience.OPERATOR})

    @property
    def is_office(self) -> bool:
        """Whether the caller decides about others' goods by office: it has an area to answer for.

        Whoever runs the platform only sees what offices see.
        """
        return Audience.REGULATOR in self.audiences and self.jurisdiction is not None


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


_AUDIENCE_OF_OFFICE: Mapping[RoleKind, Audience] = MappingProxyType(
    {
        RoleKind.MARKET: Audience.MARKET,
        RoleKind.REGULATOR: Audience.REGULATOR,
        RoleKind.OPERATOR: Audience.OPERATOR,
    }
)


def audiences_of(roles: frozenset[RoleKind]) -> frozenset[Audience]:
    """Say what a party's roles of the day make it to the platform."""
    found = {Audience.PUBLIC}
    found |= {audience for role, audience in _AUDIENCE_OF_OFFICE.items() if role in roles}
    if roles - OFFICES:
        found.add(Audience.TRADER)
    return frozenset(found)


def session_life(audiences: frozenset[Audience]) -> SessionLife:
    """Answer how long a sign-in lasts: the more it can do, the shorter."""
    for strict, life in _SESSION_LIVES:
        if audiences & strict:
            return life
    return _SESSION_LIFE_OF_TRADERS


def jurisdiction_of(codes: Iterable[str | None]) -> str | None:
    """Answer the prefix that a regulator's divisions share with all that lies in the widest.

    GB/T 2260 writes a city as `320600` and a province as `320000`: the zeros stand for all below.
    """
    prefixes = [_prefix(code) for code in codes if code]
    return min(prefixes, key=lambda prefix: (len(prefix), prefix), default=None)


def _prefix(code: str) -> str:
    # Only a code of the county level is padded: a township (9 digits) may really end in 00.
    return code.removesuffix("00").removesuffix("00") if len(code) == _COUNTY_DIGITS else code


def in_force(roles: list[DatedRole], on: date) -> list[DatedRole]:
    """Keep the roles in force on a day: from `valid_from`, before `valid_to`."""
    return [role for role in roles if dated.in_force(role.valid_from, role.valid_to, on)]


def authorize(caller: Caller, action: str) -> None:
    """Let a caller take an action, or refuse.

    What is open to the public is open to everybody, to a key of narrow scope too: without the key
    it would be let through.

    Raises:
        NotSignedIn: the action is not open to the public, and nobody is signed in.
        NotAllowed: the caller's roles, its key's scopes or its duty do not include the action.
    """
    allowed = POLICY[action]
    if not caller.audiences & allowed:
        raise NotSignedIn if caller.party_id is None else NotAllowed(action=action)
    if Audience.PUBLIC in allowed:
        return
    granted = caller.scopes if caller.duty is None else ACTIONS_OF[caller.duty]
    if granted is not None and action not in granted:
        raise NotAllowed(action=action)


def governs(caller: Caller, division_code: str | None) -> bool:
    """Whether the caller is the office of a division: asked wherever something is decided."""
    area = caller.jurisdiction if caller.is_office else None
    return area is not None and (division_code or "").startswith(area)


def may_supervise(caller: Caller, division_code: str | None) -> bool:
    """Whether the caller sees what is in a division: its office does, and operators see all."""
    return Audience.OPERATOR in caller.audiences or governs(caller, division_code)


def departments_of(named: Iterable[str | None]) -> frozenset[Department]:
    """Answer the departments of a regulator's roles; a role that names none is for both."""
    found = set(named)
    if not found or None in found:
        return frozenset(Department)
    return frozenset(Department(name) for name in found if name is not None)


def check_may_give(
    caller: Caller, kind: RoleKind, *, divisions: Iterable[str | None], own_place: bool
) -> None:
    """Refuse to let a caller give, or end, a role of another party.

    Args:
        caller: Who gives.
        kind: The role.
        divisions: Where the party, the role and the place are; all that are known must lie in a
            regulator's jurisdiction, and one must be known.
        own_place: Whether the role is for everywhere, or for a place of the caller's own.

    Raises:
        RoleNotYours: only an operator gives offices; a market gives roles of trade at its own
            places, a regulator in its jurisdiction.
    """
    if Audience.OPERATOR in caller.audiences:
        return
    if Audience.MARKET in caller.audiences and kind in GIVEN_BY_MARKETS and own_place:
        return
    known = [division for division in divisions if division]
    within = bool(known) and all(may_supervise(caller, division) for division in known)
    if kind in GIVEN_BY_REGULATORS and within:
        return
    raise RoleNotYours(role=kind)


def check_may_invite(kind: RoleKind) -> None:
    """Refuse an invitation with a role that a seller cannot vouch for.

    Raises:
        RoleNotYours: the role is none of a buyer.
    """
    if kind not in GIVEN_BY_INVITATION:
        raise RoleNotYours(role=kind)


def check_may_scope(caller: Caller, scopes: Iterable[str]) -> None:
    """Refuse a key that could do more than its maker, or that a key makes.

    Raises:
        NotAllowed: the caller is a key itself.
        ScopeNotYours: the caller's own party may not do this, or no key may.
    """
    if caller.scopes is not None:
        raise NotAllowed(action="api-key.manage")
    for scope in scopes:
        if scope in NOT_FOR_KEYS or not caller.audiences & POLICY[scope]:
            raise ScopeNotYours(scope=scope)
