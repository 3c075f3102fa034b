"""The two commands speak before anything is installed, to old Pythons too."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
COMMANDS = ("run", "test")

# Runs a script as if by an older Python, and without any installed package (-S).
AS_IF_OLD = """
import runpy, sys
sys.version_info = (3, 9, 2, "final", 0)
script = sys.argv[1]
sys.argv = sys.argv[1:]
sys.path.insert(0, script.rpartition("/")[0])
runpy.run_path(script, run_name="__main__")
"""


def bare(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with its standard library only, in an environment of next to nothing."""
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        env={"PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_needs_no_package(name: str) -> None:
    answer = bare(str(SCRIPTS / f"{name}.py"), "--help")
    assert answer.returncode == 0, answer.stderr
    assert "usage:" in answer.stdout


def test_every_option_of_run_is_explained() -> None:
    answer = bare(str(SCRIPTS / "run.py"), "--help")
    for option in ("--once", "--json", "--fresh", "--port", "--data-dir"):
        assert option in answer.stdout


@pytest.mark.parametrize(
    "arguments", [["run.py", "--port", "0"], ["run.py", "--slow"], ["test.py", "--only", "luck"]]
)
def test_wrong_options_are_refused_before_anything_is_installed(arguments: list[str]) -> None:
    answer = bare(str(SCRIPTS / arguments[0]), *arguments[1:])
    assert answer.returncode == 2
    assert "error:" in answer.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_an_old_python_is_told_what_to_install(name: str) -> None:
    answer = bare("-c", AS_IF_OLD, str(SCRIPTS / f"{name}.py"))
    assert answer.returncode == 1
    assert "3.9.2" in answer.stderr
    assert "需要 Python 3.11" in answer.stderr
    assert "apt-get install -y python3" in answer.stderr


# Asks test.py to see to a browser where none is, as somebody on a system with or without apt-get.
WITHOUT_BROWSER = """
import os, shutil, subprocess, sys
sys.path.insert(0, sys.argv[1])
import test
has_apt, user = sys.argv[2] == "apt", int(sys.argv[3])
test.shutil.which = lambda name: "/usr/bin/apt-get" if name == "apt-get" and has_apt else None
test.os.geteuid = lambda: user
def fail(command, **_):
    print(*command)
    return subprocess.CompletedProcess(command, 100)
test.subprocess.run = fail
test.prepare_browser()
"""


@pytest.mark.parametrize(
    ("system", "user", "tried"),
    [("other", 0, ""), ("apt", 1000, ""), ("apt", 0, "apt-get update -qq\n")],
)
def test_where_no_browser_is_or_comes_it_is_said_what_to_install(
    system: str, user: int, tried: str
) -> None:
    answer = bare("-c", WITHOUT_BROWSER, str(SCRIPTS), system, str(user))
    assert answer.returncode == 1
    assert answer.stdout == tried
    for said in ("apt-get install -y chromium fonts-noto-cjk", "其他系统", "on the PATH"):
        assert said in answer.stderr


@pytest.mark.parametrize("name", [*COMMANDS, "bootstrap"])
def test_an_old_python_can_read_the_script(name: str) -> None:
    ast.parse((SCRIPTS / f"{name}.py").read_text(), feature_version=(3, 8))
