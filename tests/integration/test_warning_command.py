"""`ypt warning run` and `ypt warning list`, for people and for machines."""

import asyncio
import json

import pytest

from tests.conftest import TEST_SECRET, FakeClock
from tests.market import open_market
from tests.terminal import say


@pytest.fixture
def environment(database_url: str, clock: FakeClock) -> dict[str, str]:
    """The books of a farmer who sold ten times what his certificate says."""

    async def trade() -> None:
        async with open_market(database_url, clock) as market:
            lot = await market.lot(market.farmer, 100)
            await market.certify(market.farmer, lot, 10)
            await market.sell(market.farmer, market.stall, lot, 100)

    asyncio.run(trade())
    return {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}


def test_run_and_list(environment: dict[str, str]) -> None:
    rule = ("--rule", "certificate-oversold")
    for opened in (1, 0):
        told = json.loads(say("warning", "run", *rule, "--json", env=environment).out)
        assert [(row["rule"], row["opened"]) for row in told] == [(rule[1], opened)]
    every = json.loads(say("warning", "run", "--json", env=environment).out)
    assert len(every) == 14
    assert sum(row["opened"] for row in every) == 0
    (found,) = json.loads(say("warning", "list", "--json", env=environment).out)
    assert (found["rule"], found["figure"], found["limit"]) == (rule[1], 100_000, 15_000)
    for filtered in (("--state", "handled"), ("--rule", "off-log")):
        assert json.loads(say("warning", "list", *filtered, "--json", env=environment).out) == []
    assert "certificate-oversold" in say("warning", "list", env=environment).out
    assert "certificate-oversold" in say("warning", "run", env=environment).out
