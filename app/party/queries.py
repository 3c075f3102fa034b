"""Reads parties as a caller may see them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import and_, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sealing import Vault
from app.party import access, identifiers, service
from app.party.access import Audience, Caller, Department, RoleKind
from app.party.models import Party, PartyRole

SEARCH_LIMIT = 20
_COUNTY_DIGITS = 6


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role, by its number among the party's roles, its place by public id."""

    number: int
    kind: RoleKind
    valid_from: date
    valid_to: date | None
    place: UUID | None
    division_code: str | None
    department: Department | None


@dataclass(frozen=True, slots=True)
class PartyView:
    """A party as one caller may see it.

    Attributes:
        name: In full, or masked for those to whom a natural person is a stranger.
        kinds: What the party is on the day.
        file: What only the party itself and offices see; None for everybody else.
    """

    public_id: UUID
    form: str
    name: str
    county: str | None
    kinds: tuple[RoleKind, ...]
    file: "FileView | None"


@dataclass(frozen=True, slots=True)
class FileView:
    """The part of a party that strangers do not see; numbers of persons are masked even here."""

    status: str
    uscc: str | None
    id_number_masked: str | None
    phone_masked: str | None
    division_code: str | None
    roles: tuple[RoleView, ...]


async def read(session: AsyncSession, caller: Caller, public_id: UUID, *, on: date) -> PartyView:
    """Read one party.

    Raises:
        UnknownParty: there is none.
    """
    return await view(session, caller, await service.find(session, public_id), on=on)


async def view(session: AsyncSession, caller: Caller, party: Party, *, on: date) -> PartyView:
    """Show a party that is at hand."""
    roles = await service.roles_of(session, party.id)
    if not _sees_file(caller, party):
        return _card(party, roles, on=on)
    places = await _place_ids(session, (role.place_id for role in roles))
    file = FileView(
        status=party.status,
        uscc=party.uscc,
        id_number_masked=party.id_number_masked,
        phone_masked=party.phone_masked,
        division_code=party.division_code,
        roles=tuple(
            RoleView(
                number=number,
                kind=RoleKind(role.kind),
                valid_from=role.valid_from,
                valid_to=role.valid_to,
                place=None if role.place_id is None else places[role.place_id],
                division_code=role.division_code,
                department=None if role.department is None else Department(role.department),
            )
            for number, role in enumerate(roles, start=1)
        ),
    )
    return _card(party, roles, on=on, file=file)


def _sees_file(caller: Caller, party: Party) -> bool:
    if party.id == caller.party_id or Audience.MARKET in caller.audiences:
        return True
    return access.may_supervise(caller, party.division_code)


def name_for(caller: Caller, party: Party) -> str:
    """Answer what a party is called; a person's name is masked for who is a stranger to it."""
    stranger = party.form == "natural" and not _sees_file(caller, party)
    return identifiers.mask_name(party.name) if stranger else party.name


def _card(
    party: Party, roles: Iterable[PartyRole], *, on: date, file: FileView | None = None
) -> PartyView:
    kinds = service.kinds_in_force(roles, on)
    stranger = file is None and party.form == "natural"
    return PartyView(
        public_id=party.public_id,
        form=party.form,
        name=identifiers.mask_name(party.name) if stranger else party.name,
        county=party.division_code and party.division_code[:_COUNTY_DIGITS],
        kinds=tuple(sorted(kinds)),
        file=file,
    )


async def search(
    session: AsyncSession, caller: Caller, name: str, *, on: date
) -> Sequence[PartyView]:
    """Find parties by name, as one chooses a buyer: 20 at most, and nothing but their cards.

    An organisation is found by a part of its name. A natural person is found by the whole name
    only, which the caller must know already, or else two letters would list people.
    """
    found = await session.scalars(
        select(Party)
        .where(
            or_(
                and_(Party.form == "legal", Party.name.icontains(name, autoescape=True)),
                and_(Party.form == "natural", Party.name == name),
            ),
            or_(Party.status == "active", Party.created_by == caller.party_id),
            Party.status != "disabled",
        )
        .order_by(Party.name, Party.id)
        .limit(SEARCH_LIMIT)
    )
    parties = found.all()
    roles: dict[int, list[PartyRole]] = {party.id: [] for party in parties}
    for role in await session.scalars(select(PartyRole).where(PartyRole.party_id.in_(roles))):
        roles[role.party_id].append(role)
    return [_card(party, roles[party.id], on=on) for party in parties]


# Places stand above parties in the ladder, so their table is read by name.
_PLACE_IDS = text("SELECT id, public_id FROM place WHERE id = ANY(:place_ids)")


async def _place_ids(session: AsyncSession, place_ids: Iterable[int | None]) -> dict[int, UUID]:
    wanted = sorted({place_id for place_id in place_ids if place_id is not None})
    if not wanted:
        return {}
    found = await session.execute(_PLACE_IDS, {"place_ids": wanted})
    return {row[0]: row[1] for row in found}


@dataclass(frozen=True, slots=True)
class Contact:
    """Where somebody can be reached, as far as it is on file.

    Attributes:
        phone: In full or masked, as it was asked for.
        address: None too where it was asked for masked: of an address no part is harmless.
    """

    party_id: int
    public_id: UUID
    name: str
    form: str
    division_code: str | None
    phone: str | None
    address: str | None


async def contacts(
    session: AsyncSession, party_ids: Iterable[int], *, vault: Vault | None
) -> dict[int, Contact]:
    """Read how parties can be reached; whoever opens this records it.

    Args:
        session: The transaction.
        party_ids: Whom.
        vault: Opens what is sealed; None shows masked phones and no addresses.
    """

    def opened(sealed: bytes | None, purpose: str, instead: str | None) -> str | None:
        if vault is None or sealed is None:
            return instead
        return vault.open(sealed, purpose=purpose)

    return {
        party.id: Contact(
            party_id=party.id,
            public_id=party.public_id,
            name=party.name,
            form=party.form,
            division_code=party.division_code,
            phone=opened(party.phone_sealed, "party.phone", party.phone_masked),
            address=opened(party.address_sealed, "party.address", None),
        )
        for party in (await service.by_ids(session, party_ids)).values()
    }
