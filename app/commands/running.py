"""Commands that run something: the server, the worker, the migration, the demonstration."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import typer
import uvicorn
from alembic.script import ScriptDirectory
from pydantic import ValidationError
from rich.console import Console

from app import server, worker
from app.commands import spreading
from app.commands.console import (
    MISUSED,
    OUT_OF_REACH,
    REFUSED,
    AsJson,
    ComplaintError,
    about_settings,
    answer,
    complaining,
    screen,
    settings,
    write_json,
)
from app.core.errors import Text
from app.core.migrate import config, revision
from app.core.sealing import Vault
from app.core.settings import Settings
from app.install import install

PORT_MAX: Final = 65_535
INTERRUPTED: Final = 130

Port = Annotated[int, typer.Option(min=1, max=PORT_MAX, help="Where to listen.")]

log = structlog.get_logger()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    proxy_headers: Annotated[
        bool,
        typer.Option(
            "--proxy-headers",
            help="Believe X-Forwarded-* of the proxies named in FORWARDED_ALLOW_IPS.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the API and the pages."""
    with complaining(as_json):
        settings()
        # Held only for a moment, to complain in words; uvicorn takes it for itself.
        _listen(host, port)
        if as_json:
            write_json({"host": host, "port": port, "workers": workers})
    log.info("serving", host=host, port=port, workers=workers)
    uvicorn.run(
        "app.server:application",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        **(server.OPTIONS | {"proxy_headers": proxy_headers}),
    )


def _listen(host: str, port: int) -> None:
    try:
        server.listen(host, port).close()
    except server.PortTakenError as taken:
        raise ComplaintError(
            Text(f"无法监听 {host}:{port}", f"Cannot listen on {host}:{port}"),
            Text("请更换 --host 或 --port", "Choose another --host or --port"),
            exit_code=OUT_OF_REACH,
            facts={"reason": str(taken.__cause__)},
            code="port-taken",
        ) from taken


def work(as_json: AsJson = False) -> None:
    """Do jobs and chores until told to stop; what has begun is finished."""
    with complaining(as_json):
        chosen = settings()
        if as_json:
            write_json(
                {
                    "kinds": sorted(worker.HANDLERS),
                    "chores": sorted(worker.chores_of(Vault(chosen.secret_bytes))),
                }
            )
        worker.run_until_signalled(chosen)


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether the schema is the newest.")
    ] = False,
    citus: Annotated[
        bool,
        typer.Option("--citus", help="Print the SQL that spreads the tables over a Citus cluster."),
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="With --citus: run it, with all servers stopped.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the schema and the reference data to this version; as the database's owner."""
    with complaining(as_json):
        if citus or apply:
            spreading.spread(citus=citus, apply=apply, check=check, as_json=as_json)
            return
        chosen = settings()
        head = ScriptDirectory.from_config(config(chosen.database_url)).get_current_head()
        found = asyncio.run(revision(chosen.database_url))
        if not check:
            install(chosen.database_url)
        now = found if check else head
        value = {"from": found, "revision": now, "head": head, "current": now == head}

        def tell(console: Console) -> None:
            state = "已是最新 · the newest" if now == head else "需要迁移 · behind: ypt migrate"
            console.print(f"{found} → {now} ({state})")

        answer(value, as_json, tell)
        if now != head:
            raise typer.Exit(REFUSED)


def demo(
    port: Port = 8000,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where the data stays; /var/lib/yipiaotong or ~/.local/share else."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Leave after the main job.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin with an empty demo database.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play the main job on made-up data, in a database of its own; then serve it."""
    with complaining(as_json), _terminated():
        try:
            _play(port, data_dir, once=once, fresh=fresh, as_json=as_json)
        except KeyboardInterrupt:
            screen().print("\n已停止 · stopped")
            raise typer.Exit(INTERRUPTED) from None


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """Tidy up on SIGTERM as on Ctrl-C."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _play(port: int, data_dir: Path | None, *, once: bool, fresh: bool, as_json: bool) -> None:
    try:
        # The demonstration's own packages (httpx, zxing-cpp) are no part of the product.
        from app.demo import performance  # noqa: PLC0415
    except ImportError as missing:
        raise ComplaintError(
            Text(f"缺少演示所需的软件包 {missing.name}", f"The demo needs {missing.name}"),
            Text("请安装: pip install 'yipiaotong[demo]'", "pip install 'yipiaotong[demo]'"),
            exit_code=MISUSED,
            code="demo-not-installed",
        ) from missing
    console = screen()
    try:
        with performance.played(console, port, data_dir, fresh=fresh) as shown:
            if as_json:
                write_json(shown.value)
            if not once:
                shown.invite(console)
                _serve_until_signalled(shown.settings, console)
    except performance.StageError as error:
        raise ComplaintError(
            error.title, error.next_step, code=error.code, exit_code=OUT_OF_REACH
        ) from error
    except performance.MainJobError as error:
        raise _about_main_job(error) from error
    except ValidationError as error:
        raise about_settings(error) from None


def _about_main_job(error: Any) -> ComplaintError:
    problem = error.problem
    unknown = {"title": problem.get("code", ""), "next_step": ""}
    zh, en = problem.get("zh", unknown), problem.get("en", unknown)
    return ComplaintError(
        Text(f"演示中断：{zh['title']}", f"The main job stopped: {en['title']}"),
        Text(
            f"{zh['next_step']} 若演示数据已被改动，请用 --fresh 重来",
            f"{en['next_step']} If the demo's data was changed, begin with --fresh",
        ),
        code=problem.get("code", "main-job-failed"),
        facts={"request": error.request, **problem.get("facts", {})},
    )


def _serve_until_signalled(chosen: Settings, console: Console) -> None:
    """Keep the server's thread company, with the worker, until somebody has had enough."""
    console.print("按 Ctrl-C 结束 · Ctrl-C ends it")
    worker.run_until_signalled(chosen)
    console.print("已停止 · stopped")
