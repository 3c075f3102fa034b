"""The import contracts in pyproject.toml hold, and would not if somebody broke them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BREACHES = {
    "app/core/errors.py": ("import app.party.rules", "Imports only go down the ladder"),
    "app/lot/rules.py": ("import sqlalchemy", "rules.py decides and touches nothing"),
    "app/ticket/routes.py": ("import sqlalchemy", "routes.py speaks HTTP and no SQL"),
    "app/ticket/service.py": ("import fastapi", "service.py and jobs.py know no HTTP"),
}


def lint(root: Path) -> tuple[int, str]:
    """Run import-linter on a tree; answer its exit code and what it said."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_imports_only_go_down_the_ladder() -> None:
    code, said = lint(ROOT)
    assert code == 0, said


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the tree, to break."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("data", "web"))
    (tmp_path / "app" / "web").mkdir()
    (tmp_path / "app" / "web" / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_each_contract_notices_its_breach(copied: Path) -> None:
    for name, (statement, _) in BREACHES.items():
        with (copied / name).open("a") as file:
            file.write(f"\n{statement}\n")
    code, said = lint(copied)
    assert code != 0
    for _, contract in BREACHES.values():
        assert f"{contract} BROKEN" in said, said


def test_a_package_outside_the_ladder_is_noticed(copied: Path) -> None:
    (copied / "app" / "gossip").mkdir()
    (copied / "app" / "gossip" / "__init__.py").touch()
    code, said = lint(copied)
    assert code != 0
    assert "gossip" in said
