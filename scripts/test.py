"""Check and test everything: `python3 scripts/test.py`, which is also what CI runs.

    python3 scripts/test.py                       all of it
    python3 scripts/test.py --only lint           a part: lint, unit, integration, model, contract,
                                                  scenarios, browser, epcis; may be repeated
    python3 scripts/test.py --only unit -- -k lot further arguments go to pytest

The tests run even when a check has failed, so that one run tells everything; the exit code is zero
only if nothing failed. The last line is pytest's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import bootstrap

CHECKS = {
    "format": ["ruff", "format", "--check"],
    "style": ["ruff", "check"],
    "ladder": ["lint-imports", "--no-cache"],
    "types": ["mypy"],
    "screens": ["python", "scripts/screens.py", "--types"],
}
PARTS = ("unit", "integration", "model", "contract", "scenarios", "browser", "epcis")
WORKERS = 2
NO_BROWSER = """\
浏览器测试需要 Chromium 和中文字体。在 Debian 上请以 root 输入：
The browser tests need Chromium and Chinese fonts. On Debian, as root, type:
    apt-get install -y chromium fonts-noto-cjk
其他系统：请用系统的包管理器安装 Chromium 和 Noto Sans CJK（或 Source Han Sans）字体，
并让命令 chromium 可以直接运行，然后重试。
Elsewhere: install Chromium and the Noto Sans CJK fonts with the system's package manager, so that
the command `chromium` is found on the PATH, then try again.
(test.py --only unit --only integration … 可跳过浏览器测试 / runs the other parts)"""


@dataclass(frozen=True)
class Outcome:
    """How a check went."""

    name: str
    passed: bool
    seconds: float
    output: str


def parse(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Answer the parts to run and what is meant for pytest."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        description="Check and test everything.",
        usage="%(prog)s [-h] [--only PART]... [-- ARGUMENT_OF_PYTEST...]",
    )
    parser.add_argument("--only", action="append", choices=["lint", *PARTS], metavar="PART")
    return parser.parse_args(arguments[:cut]).only or ["lint", *PARTS], arguments[cut + 1 :]


def check() -> bool:
    """Run the checks, two at a time, and print a table; tell whether all passed."""
    with ThreadPoolExecutor(WORKERS) as pool:
        # The slowest first; the table keeps the order in which a person would run them.
        running = {name: pool.submit(_run, name) for name in reversed(CHECKS)}
        outcomes = [running[name].result() for name in CHECKS]
    for outcome in outcomes:
        if not outcome.passed:
            print(f"--- {outcome.name}: {' '.join(CHECKS[outcome.name])}\n{outcome.output}")
    print(f"{'check':<12}{'seconds':>8}")
    for outcome in outcomes:
        print(f"{outcome.name:<12}{outcome.seconds:>8.1f}  {'ok' if outcome.passed else 'FAILED'}")
    return all(outcome.passed for outcome in outcomes)


def _run(name: str) -> Outcome:
    began = time.monotonic()
    done = subprocess.run(
        CHECKS[name],
        check=False,
        cwd=bootstrap.ROOT,
        env=bootstrap.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Outcome(name, done.returncode == 0, time.monotonic() - began, done.stdout.strip())


def prepare_browser() -> None:
    """See that there is a Chromium for the browser tests; install it where that is ours to do.

    Leaves the process with a message when it is missing: no browser test is skipped in silence.
    """
    if shutil.which("chromium"):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(NO_BROWSER)
    bootstrap.say("test: installing Chromium and Chinese fonts for the browser tests")
    variables = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    wanted = ["--yes", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", *wanted]):
        done = subprocess.run(command, check=False, env=variables, stdout=sys.stderr)
        if done.returncode:
            sys.exit(NO_BROWSER)


def run_tests(python: Path, parts: list[str], arguments: list[str]) -> int:
    """Run pytest once over the parts that hold tests; answer its exit code."""
    folders = [bootstrap.ROOT / "tests" / part for part in parts]
    held = [str(folder) for folder in folders if any(folder.rglob("test_*.py"))]
    if not held:
        print(f"no tests in {', '.join(parts)} yet")
        return 0
    # A second worker costs two seconds to start: worth it for more than one part.
    workers = ["-n", str(WORKERS), "--dist", "worksteal"] if len(held) > 1 else []
    variables = bootstrap.environment()
    variables.setdefault("HYPOTHESIS_PROFILE", "ci")
    command = [str(python), "-m", "pytest", *workers, *held, *arguments]
    stdin = None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL
    return subprocess.run(
        command, check=False, cwd=bootstrap.ROOT, env=variables, stdin=stdin
    ).returncode


def main() -> int:
    """Run what was asked for; answer the exit code."""
    only, arguments = parse(sys.argv[1:])
    python = bootstrap.prepare()
    bootstrap.build_screens(python)
    parts = [part for part in PARTS if part in only]
    if "browser" in parts:
        prepare_browser()
    passed = check() if "lint" in only else True
    if not passed and parts:
        print("A check FAILED (above). The tests run all the same; the exit code will be 1.")
    print(flush=True)
    code = run_tests(python, parts, arguments) if parts else 0
    return code or int(not passed)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
