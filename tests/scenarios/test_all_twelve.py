"""The ready scenarios of domain.md §8 are all here, each under one name."""

import re
from pathlib import Path


def test_each_of_the_twelve_scenarios_is_one_test() -> None:
    numbers = [
        int(number)
        for file in Path(__file__).parent.glob("test_*.py")
        for number in re.findall(r"^async def test_(\d+)_", file.read_text(), re.MULTILINE)
    ]
    assert sorted(numbers) == list(range(1, 13))
