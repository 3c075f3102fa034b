"""`ypt gate`: what happened at the gates, checked."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import sampling
from app.admission.sampling import DrawAudit
from app.commands.console import (
    REFUSED,
    AsJson,
    answer,
    complaining,
    settings,
    table,
    with_books,
)
from app.core.clock import system_clock
from app.core.errors import Text
from app.core.sealing import Vault

app = typer.Typer(no_args_is_help=True, help="Inspections at the gates, checked.")


@app.callback()
def _gate() -> None:
    """Keep `audit-draw` a command of its own: typer would make a single one the whole."""


@app.command("audit-draw")
def audit_draw(
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The day, as 2026-06-18.")],
    as_json: AsJson = False,
) -> None:
    """Recompute which lines of a day had to be drawn for a test, from the log alone."""
    with complaining(as_json):
        chosen = settings()

        async def work(session: AsyncSession) -> DrawAudit:
            return await sampling.audit(
                session,
                date(day.year, day.month, day.day),
                vault=Vault(chosen.secret_bytes),
                now=system_clock(),
            )

        found = with_books(work, chosen)

        def tell(console: Console) -> None:
            counts = {name: value for name, value in asdict(found).items() if name != "faults"}
            console.print(table(Text("抽样核对", "The draw, checked"), ("", ""), counts.items()))
            if found.faults:
                faults = ((fault,) for fault in found.faults)
                console.print(table(Text("不符", "What does not add up"), ("fault",), faults))

        answer(asdict(found), as_json, tell)
        if found.faults:
            raise typer.Exit(REFUSED)
