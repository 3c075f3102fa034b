"""The breaks that try our tests can still be made; `scripts/mutants.py` makes them."""

import re
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", MUTANTS)
def test_a_break_applies_exactly_once(name: str) -> None:
    mutant = MUTANTS[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert mutant.apply(text) != text
    for test in mutant.tests:
        assert (ROOT / test.partition("::")[0]).is_file()


@pytest.mark.parametrize(
    ("text", "new"), [("x = 1\nx = 1\n", "y = 1"), ("y = 1\n", "z = 1"), ("x = 1\n", "y = (")]
)
def test_a_break_that_does_not_fit_is_refused(text: str, new: str) -> None:
    with pytest.raises(ValueError, match=r"file\.py"):
        Mutant("file.py", "x = 1", new, ()).apply(text)
