"""The recall of a hub runs, and its answers are right; how fast it was is not asked here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 240
STATEMENTS_MAX = 60
"""However many lots: a statement a lot would be thousands here."""


@pytest.mark.slow
def test_smoke() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/recall_hub.py", "--lots", "3000", "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(found["right"].values()), found
    assert found["lots"] == 3_002
    assert found["took"]["open"]["statements"] <= STATEMENTS_MAX
    assert found["took"]["lift"]["statements"] <= STATEMENTS_MAX
