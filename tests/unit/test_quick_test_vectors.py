"""Readings that the server and the gate's screen judge alike; the screen's test reads them too."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Text
from app.testing import rules
from app.testing.rules import (
    Fact,
    Method,
    Outcome,
    QuickReading,
    Reading,
    assess,
    read_off,
    repeats_left,
)

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((ROOT / "schemas" / "quick-test-vectors.json").read_text("utf-8"))


def method(name: str) -> Method:
    told = DOCUMENT["methods"][name]
    bands = {
        key: None if told[key] is None else Decimal(told[key])
        for key in ("suspect_from", "positive_from")
    }
    return Method(
        code=name,
        name=Text("", ""),
        reading=Reading(told["reading"]),
        covers=(),
        repeats=told["repeats"],
        interferes=frozenset(),
        advice=None,
        valid_from=date(2020, 1, 1),
        valid_to=None,
        source="",
        verified=False,
        **bands,
    )


@pytest.mark.parametrize("vector", DOCUMENT["readings"])
def test_readings(vector: dict[str, Any]) -> None:
    told = dict(vector["reading"])
    if "value" in told:
        told["value"] = Decimal(told["value"])
    if "test_line" in told:
        told["test_line"] = rules.TestLine(told["test_line"])
    assert read_off(method(vector["method"]), QuickReading(**told)) == vector["outcome"]


@pytest.mark.parametrize("vector", DOCUMENT["cases"])
def test_cases(vector: dict[str, Any]) -> None:
    facts = [
        Fact(rules.TestKind.QUICK, Outcome(outcome), series, frozenset({series}), repeats_due=2)
        for series, outcome in vector["tests"]
    ]
    assert assess(facts) == vector["status"]
    assert repeats_left(facts) == vector["repeats_left"]
