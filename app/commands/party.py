"""`ypt party`: parties, their roles, accounts and keys, as whoever runs the platform keeps them.

The first operator can come into being nowhere else: over HTTP only an operator makes operators.
"""

import sys
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.commands.console import (
    AT_THE_TERMINAL,
    AsJson,
    answer,
    complaining,
    settings,
    table,
    with_books,
)
from app.core import ids
from app.core.clock import local_date, system_clock
from app.core.errors import Text
from app.core.sealing import Vault
from app.party import access, credentials, queries, rules, schemas, service
from app.party.access import Caller, Department, RoleKind
from app.party.models import Party, PartyRole
from app.party.rules import Note, Numbers
from app.party.service import PartyDraft, RoleDraft, RoleWanted
from app.place import service as places

LIST_MAX = 1_000

app = typer.Typer(no_args_is_help=True, help="Parties, their roles, accounts and keys.")
role = typer.Typer(no_args_is_help=True, help="Give a role, or end it.")
app.add_typer(role, name="role")

PartyId = Annotated[UUID, typer.Argument(help="The party's id.")]
NewId = Annotated[UUID | None, typer.Option("--id", help="Its id; a new one if left out.")]
From = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
To = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="First day without it.")
]
PlaceId = Annotated[UUID | None, typer.Option("--place", help="Where; everywhere if left out.")]
Jurisdiction = Annotated[
    str | None, typer.Option(help="What a regulator answers for: 3206, 320682 …")
]

OfDepartment = Annotated[
    Department | None, typer.Option("--department", help="Of a regulator; both if left out.")
]


class Form(StrEnum):
    """What a party is in law."""

    NATURAL = "natural"
    LEGAL = "legal"


def _today() -> date:
    return local_date(system_clock())


def _day(given: datetime | None) -> date | None:
    return None if given is None else given.date()


def _line(prompt: str, *, hidden: bool) -> str:
    """Ask somebody for a line, or read it from a pipe."""
    if sys.stdin.isatty():
        asked: str = typer.prompt(prompt, hide_input=hidden, confirmation_prompt=hidden, err=True)
        return asked
    return sys.stdin.readline().rstrip("\r\n")


@app.command("add")
def add(
    name: Annotated[str, typer.Option(help="Full name.")],
    roles: Annotated[list[RoleKind], typer.Option("--role", help="What it is; may be repeated.")],
    form: Annotated[Form, typer.Option(help="A person or an organisation.")] = Form.LEGAL,
    uscc: Annotated[str | None, typer.Option(help="统一社会信用代码.")] = None,
    ask_id_number: Annotated[
        bool, typer.Option("--ask-id-number", help="Ask for a person's 身份证号, or read a line.")
    ] = False,
    phone: Annotated[str | None, typer.Option(help="Phone.")] = None,
    address: Annotated[str | None, typer.Option(help="Address.")] = None,
    division: Annotated[str | None, typer.Option(help="6, 9 or 12 digits.")] = None,
    jurisdiction: Jurisdiction = None,
    department: OfDepartment = None,
    place: PlaceId = None,
    valid_from: From = None,
    party_id: NewId = None,
    as_json: AsJson = False,
) -> None:
    """Register a party; repeated with the same --id it changes nothing."""
    with complaining(as_json):
        chosen = settings()
        first_day = _day(valid_from) or _today()
        numbers = rules.read_numbers(
            form,
            uscc=uscc,
            id_number=_line("身份证号", hidden=False) if ask_id_number else None,
            phone=phone,
            today=_today(),
        )
        for kind in roles:
            rules.check_role(
                kind,
                valid_from=first_day,
                valid_to=None,
                division_code=jurisdiction,
                department=department,
            )
        draft = _draft(party_id, form, name, numbers, address=address, division=division)

        async def work(session: AsyncSession) -> dict[str, Any]:
            at = None if place is None else (await places.find_place(session, place)).id
            given = [
                RoleDraft(
                    kind,
                    first_day,
                    place_id=at,
                    division_code=jurisdiction,
                    department=department,
                )
                for kind in roles
            ]
            party, new = await service.register(
                session,
                draft,
                given,
                vault=Vault(chosen.secret_bytes),
                by=None,
                now=system_clock(),
            )
            return {"new": new, **await _shown(session, party, numbers.notes)}

        value = with_books(work, chosen)
        answer(value, as_json, lambda console: _tell(console, value))


def _draft(
    party_id: UUID | None,
    form: Form,
    name: str,
    numbers: Numbers,
    *,
    address: str | None,
    division: str | None,
) -> PartyDraft:
    return PartyDraft(
        public_id=party_id or ids.uuid7(),
        form=form.value,
        name=name,
        uscc=numbers.uscc,
        id_number=numbers.id_number,
        phone=numbers.phone,
        address=address,
        division_code=division,
    )


async def _shown(
    session: AsyncSession, party: Party, notes: tuple[Note, ...] = ()
) -> dict[str, Any]:
    view = await queries.view(session, AT_THE_TERMINAL, party, on=_today())
    return schemas.PartyOut.of(view, notes).model_dump(mode="json")


def _tell(console: Console, party: dict[str, Any]) -> None:
    file = party["file"]
    rows = [("id", party["id"]), ("name", party["name"]), ("form", party["form"])]
    rows += [
        (name, file[name])
        for name in ("status", "uscc", "id_number_masked", "phone_masked", "division_code")
    ]
    console.print(table(Text("主体", "Party"), ("", ""), rows))
    columns = ("number", "kind", "valid_from", "valid_to", "place", "division_code")
    console.print(
        table(
            Text("角色", "Roles"),
            columns,
            ([held[column] for column in columns] for held in file["roles"]),
        )
    )
    for note in party["notes"]:
        console.print(f"  {note['member']}: {note['zh']} · {note['en']}")


@app.command("list")
def show_all(
    name: Annotated[str | None, typer.Option(help="Part of the name.")] = None,
    kind: Annotated[RoleKind | None, typer.Option("--role", help="What it is today.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=LIST_MAX, help="How many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List parties, the newest first."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> list[dict[str, Any]]:
            wanted = select(Party).order_by(Party.id.desc()).limit(most)
            if name is not None:
                wanted = wanted.where(Party.name.icontains(name, autoescape=True))
            if kind is not None:
                held = select(PartyRole.party_id).where(
                    PartyRole.kind == kind,
                    PartyRole.valid_from <= _today(),
                    or_(PartyRole.valid_to.is_(None), PartyRole.valid_to > _today()),
                )
                wanted = wanted.where(Party.id.in_(held))
            return [await _shown(session, party) for party in (await session.scalars(wanted)).all()]

        found = with_books(work, settings())

        def tell(console: Console) -> None:
            rows = (
                (party["id"], party["name"], party["file"]["status"], ", ".join(party["kinds"]))
                for party in found
            )
            console.print(table(Text("主体", "Parties"), ("id", "name", "status", "is"), rows))

        answer(found, as_json, tell)


@app.command("show")
def show(party: PartyId, as_json: AsJson = False) -> None:
    """Show a party, its personal numbers masked."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> dict[str, Any]:
            return await _shown(session, await service.find(session, party))

        value = with_books(work, settings())
        answer(value, as_json, lambda console: _tell(console, value))


@role.command("give")
def give(
    party: PartyId,
    kind: Annotated[RoleKind, typer.Argument(help="The role.")],
    valid_from: From = None,
    valid_to: To = None,
    place: PlaceId = None,
    jurisdiction: Jurisdiction = None,
    department: OfDepartment = None,
    as_json: AsJson = False,
) -> None:
    """Give a party one more role."""
    with complaining(as_json):
        first_day = _day(valid_from) or _today()
        wanted = RoleWanted(kind, first_day, _day(valid_to), place, jurisdiction, department)

        async def work(session: AsyncSession) -> dict[str, Any]:
            found, new = await service.give_role(session, AT_THE_TERMINAL, party, wanted)
            return {"new": new, **await _shown(session, found)}

        value = with_books(work, settings())
        answer(value, as_json, lambda console: _tell(console, value))


@role.command("end")
def end(
    party: PartyId,
    number: Annotated[int, typer.Argument(min=1, help="Which role; see `ypt party show`.")],
    valid_to: To = None,
    as_json: AsJson = False,
) -> None:
    """End a role, today if no day is given; what it was on days gone by stays."""
    with complaining(as_json):
        last = _day(valid_to) or _today()

        async def work(session: AsyncSession) -> dict[str, Any]:
            found = await service.end_role(
                session, AT_THE_TERMINAL, party, number, valid_to=last, now=system_clock()
            )
            return await _shown(session, found)

        value = with_books(work, settings())
        answer(value, as_json, lambda console: _tell(console, value))


@app.command("account")
def account(
    party: PartyId,
    login: Annotated[str, typer.Argument(help="A word, or the party's own phone.")],
    account_id: NewId = None,
    name: Annotated[str | None, typer.Option(help="What the person is called.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open a head's account; the password is asked for, or read from a pipe."""
    with complaining(as_json):
        chosen = settings()
        password = _line("密码 password", hidden=True)

        async def work(session: AsyncSession) -> dict[str, Any]:
            found = await service.find(session, party)
            if found.status != "active":
                raise rules.PartyNotActive
            opened = await service.open_account(
                session,
                public_id=account_id or ids.uuid7(),
                party_id=found.id,
                login=login,
                password=password,
                name=name,
                vault=Vault(chosen.secret_bytes),
                now=system_clock(),
            )
            return {"id": opened.public_id, "party": found.public_id}

        value = with_books(work, chosen)
        answer(value, as_json, lambda console: console.print(f"✔ {value['id']}"))


@app.command("api-key")
def api_key(
    party: PartyId,
    name: Annotated[str, typer.Option(help="What the machine is called.")],
    scopes: Annotated[
        list[str], typer.Option("--scope", help="An action, such as ticket.issue; repeatable.")
    ],
    key_id: NewId = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for a machine of a party; its secret is told this once."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> dict[str, Any]:
            found = await service.find(session, party)
            kinds = await service.role_kinds(session, found.id, _today())
            owner = Caller(
                party_id=found.id,
                party_public_id=found.public_id,
                account_id=None,
                audiences=access.audiences_of(kinds),
                roles=kinds,
                jurisdiction=None,
                scopes=None,
            )
            secret, key = await credentials.make_key_by(
                session,
                owner,
                public_id=key_id or ids.uuid7(),
                name=name,
                scopes=scopes,
                now=system_clock(),
            )
            told = schemas.ApiKeyOut.of(key, made_by=None).model_dump(mode="json")
            return {**told, "secret": secret}

        value = with_books(work, settings())

        def tell(console: Console) -> None:
            console.print(table(Text("密钥", "Key"), ("", ""), value.items()))

        answer(value, as_json, tell)
