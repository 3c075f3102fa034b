"""`kill -9` in the middle of an issue storm and an import: nothing acknowledged is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 300
"""Generous: the machine may be busy, and speed is not what this test is about."""


@pytest.mark.slow
def test_smoke() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drills.crash", "--smoke", "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == {"import": 1, "server": 1, "postgresql": 1}
    assert found["acknowledged"] > 100
    assert found["refused"].keys() <= {"lot-exhausted"}
    wrong = ("lost", "double", "half_written", "oversold", "unanswered", "audit_faults")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert found["import"]["made"] == found["import"]["rows"]
    assert found["import"]["wrong"] == 0
