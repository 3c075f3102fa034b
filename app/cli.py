"""`ypt`: the operator's command line."""

import typer

from app.commands import (
    books,
    gate,
    importing,
    key,
    ledger,
    party,
    recall,
    running,
    standards,
    tracing,
    warning,
)

app = typer.Typer(
    name="ypt",
    help="一票通 One Ticket: serve, migrate, look after parties and keys, trace and verify.",
    no_args_is_help=True,
    add_completion=False,
    # Local variables of a failing command may hold secrets; a plain traceback tells enough.
    pretty_exceptions_enable=False,
)
for name, command in (
    ("serve", running.serve),
    ("worker", running.work),
    ("migrate", running.migrate),
    ("demo", running.demo),
    ("trace", tracing.trace),
    ("common-source", tracing.common_source),
    ("verify", books.verify),
    ("audit", books.audit),
    ("problems", books.problems),
):
    app.command(name)(command)
app.add_typer(party.app, name="party")
app.add_typer(key.app, name="key")
app.add_typer(recall.app, name="recall")
app.add_typer(gate.app, name="gate")
app.add_typer(warning.app, name="warning")
app.add_typer(standards.limits, name="limits")
app.command("workday")(standards.workday)
app.add_typer(ledger.app, name="ledger")
app.add_typer(importing.app, name="import")


def main() -> None:
    """Run a command."""
    app(prog_name="ypt")


if __name__ == "__main__":
    main()
