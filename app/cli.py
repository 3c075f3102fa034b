"""`ypt`: the operator's command line."""

import typer

from app.commands import running

app = typer.Typer(
    name="ypt",
    help="一票通 One Ticket: serve, migrate, look after parties and keys, trace and verify.",
    no_args_is_help=True,
    add_completion=False,
    # Local variables of a failing command may hold secrets; a plain traceback tells enough.
    pretty_exceptions_enable=False,
)
app.command("serve")(running.serve)
app.command("worker")(running.work)
app.command("migrate")(running.migrate)
app.command("demo")(running.demo)


def main() -> None:
    """Run a command."""
    app()


if __name__ == "__main__":
    main()
