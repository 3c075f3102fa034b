"""How commands speak: answers, complaints, exit codes; and how they get at settings and books."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar

import asyncpg
import orjson
import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text as Plain
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import logging
from app.core.db import Database
from app.core.errors import DomainError, Text
from app.core.settings import Settings
from app.party.access import Audience, Caller

T = TypeVar("T")
Form = TypeVar("Form", bound=BaseModel)

REFUSED: Final = 1
MISUSED: Final = 2
OUT_OF_REACH: Final = 3

# A table for a person is as wide as it needs to be; a pipe has no width of its own.
_WIDTH_OF_A_PIPE: Final = 160

AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON value on standard output, for programs.")
]

PublicUrl = Annotated[
    list[str] | None,
    typer.Option("--public-url", help="What codes begin with; YPT_PUBLIC_URL if left out."),
]

AT_THE_TERMINAL: Final = Caller(
    party_id=None,
    party_public_id=None,
    account_id=None,
    audiences=frozenset({Audience.OPERATOR}),
    roles=frozenset(),
    jurisdiction=None,
    scopes=None,
)
"""Whoever holds the database's address and the secret can see everything anyway."""

_EXAMPLES: Final = {
    "database_url": "export YPT_DATABASE_URL=postgresql://user:password@host:5432/database",
    "secret_key": "export YPT_SECRET_KEY=$(ypt key secret)",
}
# No table, no role, no column: the schema is not there, or not ours yet.
_NOT_MIGRATED: Final = frozenset({"42P01", "22023", "42704", "42703"})


class ComplaintError(Exception):
    """A command cannot do what it was asked for; says what to do, in both languages.

    Attributes:
        code: Stable name.
        title: What is wrong.
        next_step: What the reader can do.
        exit_code: See the package's invariants.
        facts: Values of this very complaint.
    """

    def __init__(
        self,
        title: Text,
        next_step: Text,
        *,
        code: str,
        exit_code: int = REFUSED,
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Build the complaint."""
        super().__init__(code)
        self.code = code
        self.title = title
        self.next_step = next_step
        self.exit_code = exit_code
        self.facts = dict(facts)


def screen() -> Console:
    """Answer the console for people, which is standard error: standard output is for answers."""
    width = None if sys.stderr.isatty() else _WIDTH_OF_A_PIPE
    return Console(stderr=True, width=width, highlight=False)


def answer(value: Any, as_json: bool, tell: Callable[[Console], None]) -> None:
    """Give an answer: as one JSON value, or as a person reads it.

    Args:
        value: What JSON says.
        as_json: Whether JSON is wanted.
        tell: Prints it for people.
    """
    if as_json:
        write_json(value)
    else:
        width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
        tell(Console(width=width, highlight=False))


def write_json(value: Any) -> None:
    """Write one JSON value on standard output."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str) + b"\n")
    sys.stdout.buffer.flush()


def table(title: Text, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """Lay rows out; what is in them is shown as it is, whatever it looks like."""
    made = Table(title=f"{title.zh} · {title.en}", title_justify="left", title_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Plain("" if cell is None else str(cell)) for cell in row))
    return made


@contextlib.contextmanager
def complaining(as_json: bool) -> Iterator[None]:
    """Turn what goes wrong in foreseeable ways into a complaint and an exit code.

    Raises:
        typer.Exit: with the exit code.
    """
    try:
        yield
    except ComplaintError as complaint:
        raise _told(complaint, as_json) from None
    except DomainError as refusal:
        raise _told(_about_refusal(refusal), as_json) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        raise _told(_about_database(error), as_json) from None


def filled_in(form: type[Form], **fields: Any) -> Form:
    """Fill in the form that a route takes with what was typed.

    Raises:
        ComplaintError: a field does not fit: too long, empty, named twice.
    """
    try:
        return form(**fields)
    except ValidationError as refusal:
        raise ComplaintError(
            Text("填写的内容不符合要求", "What was typed does not fit"),
            Text("请按下列各项改正后重试", "Correct what is listed and try again"),
            code="malformed-request",
            exit_code=MISUSED,
            facts={
                ".".join(map(str, error["loc"])) or form.__name__: error["msg"]
                for error in refusal.errors()
            },
        ) from None


def _told(complaint: ComplaintError, as_json: bool) -> typer.Exit:
    if as_json:
        spoken = {
            language: {"title": title, "next_step": next_step}
            for language, title, next_step in zip(
                Text._fields, complaint.title, complaint.next_step, strict=True
            )
        }
        write_json({"code": complaint.code, **spoken, "facts": complaint.facts})
    console = screen()
    lines = [
        Plain.assemble(("✘ ", "red"), f"{complaint.title.zh} · {complaint.title.en}"),
        Plain(f"  [{complaint.code}]", style="dim"),
        Plain(f"  → {complaint.next_step.zh}"),
        Plain(f"  → {complaint.next_step.en}"),
    ]
    for name, fact in complaint.facts.items():
        told = str(fact).replace("\n", "\n      ")
        lines.append(Plain(f"    {name}: {told}"))
    for line in lines:
        console.print(line, soft_wrap=True)  # so that what it says can be copied
    return typer.Exit(complaint.exit_code)


def _about_refusal(refusal: DomainError) -> ComplaintError:
    return ComplaintError(refusal.title, refusal.next_step, code=refusal.code, facts=refusal.facts)


def _about_database(error: Exception) -> ComplaintError:
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    if state in _NOT_MIGRATED:
        return ComplaintError(
            Text("数据库尚未建表或版本过旧", "The database has no schema, or an old one"),
            Text("请先运行 ypt migrate", "Run ypt migrate first"),
            code="not-migrated",
            exit_code=OUT_OF_REACH,
        )
    connecting = isinstance(error, OSError) or (state or "").startswith(("08", "28", "3D", "57P"))
    if not connecting and not getattr(error, "connection_invalidated", False):
        raise error  # a bug of ours, which its traceback helps to find
    return ComplaintError(
        Text("无法连接数据库", "The database cannot be reached"),
        Text(
            "请检查 YPT_DATABASE_URL, 以及数据库是否在运行",
            "Check YPT_DATABASE_URL, and whether the database runs",
        ),
        code="database-out-of-reach",
        exit_code=OUT_OF_REACH,
        facts={"reason": str(cause) or type(cause).__name__},
    )


def settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ComplaintError: one is missing or unfit; names all of them and how to set them.
    """
    try:
        chosen = Settings()
    except ValidationError as error:
        raise about_settings(error) from None
    logging.configure(chosen.log_level)
    return chosen


def about_settings(error: ValidationError) -> ComplaintError:
    """Say which settings are missing or unfit, and how to set them."""
    # A setting's value may be a secret: only its name is told, and what it should be.
    unfit: dict[str, str] = {}
    for item in error.errors():
        name = str(item["loc"][0]).lower() if item["loc"] else "secret_key"
        field = Settings.model_fields[name]
        example = _EXAMPLES.get(name)
        wrong = "not set" if item["type"] == "missing" else item["msg"]
        unfit[f"YPT_{name.upper()}"] = "\n".join(
            part for part in (wrong, field.description, example) if part
        )
    return ComplaintError(
        Text(
            f"缺少或无效的设置: {', '.join(unfit)}",
            f"Settings that are missing or unfit: {', '.join(unfit)}",
        ),
        Text("请设置以下环境变量后重试", "Set these environment variables and try again"),
        code="settings-unfit",
        exit_code=MISUSED,
        facts=unfit,
    )


def with_books(
    work: Callable[[AsyncSession], Awaitable[T]],
    chosen: Settings,
    *,
    role: str | None = None,
) -> T:
    """Do something in one transaction on the books.

    Args:
        work: What to do.
        chosen: Where the books are.
        role: Act as somebody else than the server: `none` is the database's owner.
    """

    async def do() -> T:
        database = Database(chosen, role=role)
        try:
            async with database.transaction() as session:
                return await work(session)
        finally:
            await database.close()

    return asyncio.run(do())
