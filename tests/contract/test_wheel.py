"""A wheel holds whatever runs, the built screens too, and not what they are built from."""

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import Server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this very tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    [built] = folder.glob("*.whl")
    return built


def _written(*paths: str) -> set[str]:
    ours = ["git", "ls-files", *paths]
    listed = subprocess.run(ours, check=True, cwd=ROOT, capture_output=True, text=True)
    return set(listed.stdout.split())


def test_a_wheel_holds_the_screens_and_all_that_lies_in_the_packages(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    assert _written("app", ":!app/web/frontend") - held == set()
    assert {f"app/{one}" for one in _written("migrations")} - held == set()
    built = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "app" / "web" / "screens").rglob("*")
        if file.is_file()
    }
    assert {f"app/web/screens/{name}.html" for name in ("m", "gate", "admin")} <= built
    assert built - held == set()
    assert [one for one in held if one.startswith("app/web/frontend/")] == []


async def test_an_installed_wheel_migrates_an_empty_database(
    wheel: Path, server: Server, tmp_path: Path
) -> None:
    home = tmp_path / "100 %"  # A folder's name is no setting of Alembic's.
    await asyncio.to_thread(venv.create, home)
    [packages] = home.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    # What it needs is this environment's; that one's own links to this tree are not followed.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    name = f"wheel_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(server.admin_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    try:
        surroundings = {
            **os.environ,
            "YPT_DATABASE_URL": server.url(name),
            "YPT_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
        }
        surroundings.pop("PYTHONPATH", None)

        def ypt(*arguments: str) -> dict[str, object]:
            command = [str(home / "bin" / "python"), "-m", "app.cli", *arguments, "--json"]
            run = subprocess.run(
                command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, run.stdout + run.stderr
            told: dict[str, object] = json.loads(run.stdout)
            return told

        first = await asyncio.to_thread(ypt, "migrate")
        assert (first["from"], first["current"]) == (None, True)
        again = await asyncio.to_thread(ypt, "migrate", "--check")
        assert (again["from"], again["current"]) == (first["head"], True)
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()
