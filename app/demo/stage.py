"""What the demonstration plays on: a data directory, a secret, a database and a server."""

import base64
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import uvicorn
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from app import server
from app.bundle import root
from app.bundle import service as bundles
from app.core import embedded, ids
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Text
from app.core.sealing import KEY_BYTES, CannotOpenError, Vault
from app.core.settings import Settings
from app.demo.scenario import OPERATOR, PASSWORD, SINCE
from app.install import install
from app.main import create_app
from app.party import service as parties
from app.party.service import PartyDraft, RoleDraft
from app.signing import service as signing
from app.signing.keys import IssuerClass
from app.signing.rules import NoSigningKey
from app.ticket import audit

HOST: Final = "127.0.0.1"
PORT_MAX: Final = 65_535
DATABASE: Final = "yipiaotong_demo"
KEY_DAYS: Final = 365
KEY_TTL_H_MAX: Final = 8_784
"""Longest life of anything that is signed: a certificate's 366 days, in hours."""

_START_S_MAX: Final = 30.0
_POLL_S: Final = 0.01


class StageError(Exception):
    """The demonstration cannot begin, or go on; says what to do, in both languages.

    Attributes:
        code: Stable name.
        title: What is wrong.
        next_step: What the reader can do.
    """

    def __init__(self, title: Text, next_step: Text, *, code: str) -> None:
        """Build the refusal."""
        super().__init__(code)
        self.code = code
        self.title = title
        self.next_step = next_step


# --- the data directory ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where the demonstration keeps what is to last."""

    path: Path

    @property
    def codes(self) -> Path:
        """Where the pictures of the tickets' codes are written."""
        return self.path / "codes"

    @property
    def postgresql(self) -> Path:
        """Where the embedded server keeps its data."""
        return self.path / "postgresql"

    @property
    def secret(self) -> Path:
        """The file of the secret that seals personal data and signing keys."""
        return self.path / "secret-key"

    @property
    def root_key(self) -> Path:
        """The file of the root key that signs the gates' keyset."""
        return self.path / "root-key"


def open_directory(path: Path | None) -> DataDirectory:
    """Make the data directory, unless it is there.

    Raises:
        StageError: it cannot be made, or not be written to.
    """
    directory = DataDirectory((path or embedded.default_directory("demo")).expanduser().resolve())
    try:
        directory.codes.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory.path, os.W_OK) and os.access(directory.codes, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise StageError(
            Text(f"数据目录无法写入: {directory.path}", f"Cannot write to {directory.path}"),
            Text("请用 --data-dir 指定其他目录", "Choose another directory with --data-dir"),
            code="data-directory-unfit",
        )
    return directory


def root_key(directory: DataDirectory) -> bytes:
    """Answer the root key of the demonstration, which is no secret of anybody's.

    An operator's lies on no server: see `ypt key root`.
    """
    with contextlib.suppress(FileExistsError):
        root.make(directory.root_key)
    return root.read(directory.root_key)


def _secret(directory: DataDirectory) -> str:
    """Answer the directory's secret; the first call draws it, for its owner's eyes only."""
    with contextlib.suppress(FileExistsError):
        drawn = base64.b64encode(ids.secret(KEY_BYTES))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(directory.secret, flags, mode=0o600), "wb") as file:
            file.write(drawn)
    return directory.secret.read_text(encoding="ascii").strip()


# --- the port -------------------------------------------------------------------------------------


def listen(port: int) -> socket.socket:
    """Take the port before anything else is done.

    Raises:
        StageError: somebody else has it.
    """
    try:
        return server.listen(HOST, port)
    except server.PortTakenError as taken:
        other = port + 1 if port < PORT_MAX else port - 1
        raise StageError(
            Text(f"端口 {port} 已被占用", f"Port {port} is in use"),
            Text(f"请换一个端口, 例如 --port {other}", f"Choose another, such as --port {other}"),
            code="port-taken",
        ) from taken


# --- the database ---------------------------------------------------------------------------------


@contextlib.contextmanager
def database(directory: DataDirectory, *, fresh: bool) -> Iterator[str]:
    """Have a PostgreSQL for the while: `YPT_DATABASE_URL`, or the embedded one.

    Raises:
        StageError: the embedded server does not start.
    """
    if given := os.environ.get("YPT_DATABASE_URL"):
        yield given
        return
    try:
        running = embedded.start(directory.postgresql)
    except embedded.EmbeddedServerError as error:
        raise StageError(
            Text("内嵌 PostgreSQL 无法启动", f"The embedded PostgreSQL does not start: {error}"),
            Text(
                "请按上述说明处理, 或用 YPT_DATABASE_URL 指定 PostgreSQL 15 及以上",
                "See above, or set YPT_DATABASE_URL to a PostgreSQL 15 or newer",
            ),
            code="database-unavailable",
        ) from error
    try:
        if fresh:
            running.drop_database(DATABASE)
        if not running.has_database(DATABASE):
            running.create_database(DATABASE)
        yield running.url(DATABASE)
    finally:
        running.stop()


def settings(directory: DataDirectory, database_url: str, port: int) -> Settings:
    """Answer the demonstration's settings; what the environment says goes before our defaults."""
    defaults: dict[str, Any] = {"public_url": f"http://{HOST}:{port}", "log_level": "WARNING"}
    if "YPT_SECRET_KEY" not in os.environ:
        defaults["secret_key"] = _secret(directory)
    unset = {
        name: value for name, value in defaults.items() if f"YPT_{name.upper()}" not in os.environ
    }
    return Settings(database_url=database_url, demo=True, cookie_secure=False, **unset)


async def check_is_ours(chosen: Settings, *, wipe: bool) -> None:
    """Refuse a database that holds anything but a demonstration; empty it if that is asked for.

    Everybody knows the demonstration's passwords: among real parties they would be a back door.

    Raises:
        StageError: there are tables of others, or parties and our operator is not among them.
    """
    engine = create_async_engine(chosen.database_url)
    try:
        async with engine.begin() as connection:
            if not await _is_ours(connection):
                raise StageError(
                    Text(
                        "该数据库中有非演示数据, 演示不会在其中运行",
                        "This database holds other data: no demonstration is played in it",
                    ),
                    Text(
                        "请为演示另建一个空数据库, 或取消 YPT_DATABASE_URL",
                        "Make an empty database for it, or unset YPT_DATABASE_URL",
                    ),
                    code="not-a-demonstration",
                )
            if wipe:
                for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
                    await connection.execute(text(statement))
    finally:
        await engine.dispose()


async def _is_ours(connection: AsyncConnection) -> bool:
    tables = text(
        "SELECT count(*), to_regclass('public.party') FROM pg_tables WHERE schemaname = 'public'"
    )
    count, party = (await connection.execute(tables)).one()
    if party is None:
        return bool(count == 0)
    parties_ = text("SELECT count(*), count(*) FILTER (WHERE public_id = :operator) FROM party")
    total, ours = (await connection.execute(parties_, {"operator": OPERATOR.party})).one()
    return bool(total == 0 or ours == 1)


def prepare(chosen: Settings) -> None:
    """Bring the database to the newest schema and reference data."""
    install(chosen.database_url)


async def open_books(chosen: Settings, clock: Clock, root_key: bytes) -> None:
    """Make what nobody could make over HTTP: the signing keys, the keyset, and the operator.

    Raises:
        StageError: the database was made with another secret.
    """
    owner = Database(chosen, role="none")
    try:
        async with owner.transaction() as session:
            await _sign_and_operate(session, Vault(chosen.secret_bytes), clock, root_key)
    except CannotOpenError as error:
        raise StageError(
            Text("数据库与密钥不匹配", "The database was made with another secret"),
            Text(
                "请恢复原来的 secret-key 文件或 YPT_SECRET_KEY, 或用 --fresh 重建演示数据",
                "Bring the former secret-key file or YPT_SECRET_KEY back, or begin with --fresh",
            ),
            code="another-secret",
        ) from error
    finally:
        await owner.close()


async def _sign_and_operate(
    session: AsyncSession, vault: Vault, clock: Clock, root_key: bytes
) -> None:
    now = clock()
    for issuer_class in (IssuerClass.TICKET, IssuerClass.STATUS):
        try:
            await signing.load_signer(session, vault, now, issuer_class=issuer_class)
        except NoSigningKey:
            await signing.create_key(
                session,
                vault=vault,
                now=now,
                issuer_class=issuer_class,
                ttl_h_max=KEY_TTL_H_MAX,
                days=KEY_DAYS,
                publish_ahead_days=0,
            )
    # The gates' devices pin this root; at each start they are given a month.
    await bundles.publish_keyset(session, root_key, now=now)
    await bundles.build_all(session, now, vault=vault)
    party, _ = await parties.register(
        session,
        PartyDraft(
            public_id=OPERATOR.party,
            form=OPERATOR.form,
            name=OPERATOR.name,
            uscc=OPERATOR.uscc,
            division_code=OPERATOR.division_code,
        ),
        [RoleDraft(OPERATOR.role, date.fromisoformat(SINCE))],
        vault=vault,
        by=None,
        now=now,
    )
    await parties.open_account(
        session,
        public_id=OPERATOR.account,
        party_id=party.id,
        login=OPERATOR.login,
        password=PASSWORD,
        name=OPERATOR.person,
        vault=vault,
        now=now,
    )


async def check_books(chosen: Settings) -> audit.Report:
    """Audit all of it, as the worker does every night."""
    books = Database(chosen)
    try:
        async with books.transaction() as session:
            return await audit.audit(session)
    finally:
        await books.close()


# --- the server -----------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(chosen: Settings, taken: socket.socket) -> Iterator[None]:
    """Serve the application on a port that is ours already, in a thread, for the while.

    A process of its own would outlive ours if that were killed.

    Raises:
        StageError: it did not start.
    """
    running = uvicorn.Server(uvicorn.Config(create_app(chosen), **server.OPTIONS))
    thread = threading.Thread(
        target=running.run, kwargs={"sockets": [taken]}, name="server", daemon=True
    )
    thread.start()
    deadline = time.monotonic() + _START_S_MAX
    while thread.is_alive() and not running.started and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    try:
        if not running.started:
            raise StageError(
                Text("服务未能启动", "The server did not start"),
                Text("请查看上面的日志", "See the log above"),
                code="server-did-not-start",
            )
        yield
    finally:
        running.should_exit = True
        thread.join(server.STOP_S_MAX + 1)
