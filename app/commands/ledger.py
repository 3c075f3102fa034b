"""`ypt ledger`: a party's statutory ledgers, and what their retention lets go."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
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
from app.commands.key import OWNER
from app.core.clock import local_date, system_clock
from app.core.errors import Text
from app.core.sealing import Vault
from app.ledger import files, service, wording
from app.ledger import retention as keeping
from app.ledger.rules import Contacts, LedgerKind, Month
from app.ledger.service import Ledger, Request
from app.paper.press import Press

app = typer.Typer(no_args_is_help=True, help="Statutory ledgers, and how long they are kept.")


@app.command("show")
def show(
    party: Annotated[UUID, typer.Argument(help="Whose ledger.")],
    kind: Annotated[LedgerKind, typer.Argument(help="Which of the two.")],
    month: Annotated[str, typer.Option(help="As in 2026-06; this month if left out.")] = "",
    xlsx: Annotated[Path | None, typer.Option(help="Write an Excel workbook here.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a PDF here.")] = None,
    volume: Annotated[int, typer.Option(min=1, help="Which PDF of a long month.")] = 1,
    reason: Annotated[
        str | None, typer.Option(help="Open phones and addresses, and record why.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a month's ledger, or write it into files. Each look is recorded."""
    with complaining(as_json):
        chosen = settings()
        now = system_clock()
        asked = Request(
            AT_THE_TERMINAL,
            kind,
            Month.read(month) if month else Month.of(now),
            "terminal",
            owner=party,
            contacts=Contacts.MASKED if reason is None else Contacts.FULL,
            reason=reason,
        )

        async def work(session: AsyncSession) -> dict[str, Any]:
            vault = Vault(chosen.secret_bytes)
            ledger = await service.open_ledger(session, asked, vault=vault, now=now)
            written = []
            if xlsx is not None:
                xlsx.write_bytes(await files.workbook(session, ledger, now=now))
                written.append(str(xlsx))
            if pdf is not None:
                made = await files.paper(session, ledger, Press(), volume=volume, now=now)
                pdf.write_bytes(made)
                written.append(str(pdf))
            return {**await _shown(session, ledger, told=not written), "written": written}

        value = with_books(work, chosen)
        answer(value, as_json, lambda console: _tell(console, value))


async def _shown(session: AsyncSession, ledger: Ledger, *, told: bool) -> dict[str, Any]:
    """Answer the head, and the entries unless they went into files."""
    rows = []
    if told:
        async for page in service.all_pages(session, ledger):
            rows += [row.model_dump(mode="json") for row in page]
        await service.record_access(session, ledger, now=system_clock())
    return {**ledger.head.model_dump(mode="json"), "rows": rows}


def _tell(console: Console, value: dict[str, Any]) -> None:
    title = wording.TITLES[LedgerKind(value["ledger"])]
    console.print(f"{title.zh} · {title.en} · {value['month']} · {value['owner']['name']}")
    if value["rows"]:
        rows = (
            (
                row["dated_on"],
                row["entry"],
                row["standing"],
                row["trade_name"],
                wording.kilograms(row["counted_g"]),
                row["partner_name"],
                row["ticket"],
                row["keep_until"],
            )
            for row in value["rows"]
        )
        columns = ("day", "entry", "standing", "product", "kg", "with", "ticket", "keep until")
        console.print(table(title, columns, rows))
    totals = value["totals"]
    console.print(f"{totals['entries']}: {totals['counted']['zh']} · {totals['counted']['en']}")
    for name in value["written"]:
        console.print(f"→ {name}", soft_wrap=True)


@app.command("retention")
def retention(
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Detach what nothing needs, as the owner.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which months of events and log entries may be set aside, and what keeps the others.

    Nothing is removed: a month that is set aside is a table of its own, to be archived.
    """
    with complaining(as_json):
        today = local_date(system_clock())

        async def work(session: AsyncSession) -> dict[str, Any]:
            plans = await keeping.plans(session, today=today)
            detached = await keeping.set_aside(session, today=today) if set_aside else []
            return {"plans": [asdict(plan) for plan in plans], "set_aside": detached}

        value = with_books(work, settings(), role=OWNER if set_aside else None)

        def tell(console: Console) -> None:
            rows = (
                (
                    plan["table"],
                    f"{plan['months']} months: {plan['source']}",
                    plan["rule_from"],
                    plan["hold_from"],
                    " ".join(f"{month:%Y-%m}" for month in plan["may_go"]),
                    " ".join(f"{month:%Y-%m}" for month in plan["held_back"]),
                )
                for plan in value["plans"]
            )
            columns = ("table", "rule", "needed from", "holds need from", "may go", "held back")
            console.print(table(Text("保存期", "Retention"), columns, rows))
            for name in value["set_aside"]:
                console.print(f"→ {name}")

        answer(value, as_json, tell)
