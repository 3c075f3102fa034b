"""The bench runs, and finds every answer right; how fast it was is not asked here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.measure import Row, Target, percentile

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"name", "floor", "ours", "ratio", "target", "ok"}
SECONDS_MAX = 240
"""Generous: the machine may be busy, and speed is not what this test is about."""


@pytest.mark.slow
def test_smoke(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("bench")
    # The peers are another environment, and a download: CI runs `bench.py --smoke` with them, on
    # the graph of 100,000 edges.
    from benchmarks import rows

    names = [name for name in rows.SUBJECTS if name != "peers"]
    options = ["--smoke", "--json", "--edges", "1e4", "--data-dir"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *names, *options, str(directory)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == {}
    assert all(row.keys() == KEYS for row in found["rows"])
    broken = [row for row in found["rows"] if isinstance(row["ours"], str)]
    assert all(row["ours"].startswith("not built") for row in broken), broken
    measured = {row["name"] for row in found["rows"] if isinstance(row["ours"], float)}
    assert {"scan, read only", "trace back, data layer", "issue over HTTP"} <= measured


def test_a_ratio_is_judged_by_its_direction() -> None:
    faster = Row("tickets", floor=100.0, ours=60.0, target=Target(0.55, at_least=True))
    slower = Row("trace", floor=1.0, ours=1.5, target=Target(1.4, at_least=False))
    assert faster.ok is True
    assert slower.ok is False
    assert Row("memory", ours=150.0, target=Target(200, at_least=False)).ok is True


def test_a_wrong_answer_fails_whatever_its_speed() -> None:
    row = Row("trace", floor=1.0, ours=0.1, target=Target(1.4, at_least=False), wrong="a lot")
    assert row.ok is False


def test_what_is_not_built_is_said_and_not_judged() -> None:
    row = Row("log", target=Target(0.85, at_least=True), failed="not built")
    assert row.as_json() == {
        "name": "log",
        "floor": None,
        "ours": "not built",
        "ratio": None,
        "target": ">= 0.85x",
        "ok": None,
    }


@pytest.mark.parametrize(("rank", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_percentiles_are_values_that_were_measured(rank: float, value: int) -> None:
    assert percentile(list(range(1, 101)), rank) == value
