"""What the books say about a party: for itself and its supervisors, and nobody else."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.conftest import FakeClock
from tests.factories import Actor, Json, new_id
from tests.gate import agrees, inspects, scanned
from tests.laboratory import inhibition, judged, office, sampled
from tests.market import Market, open_market
from tests.recalls import recalled


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    """A market before dawn, on a database of the test's own."""
    async with open_market(database_url, clock) as opened:
        yield opened


async def file_of(party: Actor, reader: Actor, query: str = "") -> Json:
    said: Json = await reader.read(f"/parties/{party.public_id}/credit-file{query}")
    return said


async def test_what_happened_is_put_side_by_side(market: Market) -> None:
    farmer, stall, supervisor = market.farmer, market.stall, await office(market.trade)
    lot = await market.lot(farmer, 100)
    await market.certify(farmer, lot, 100)
    ticket = await market.sell(farmer, stall, lot, 30)
    refused = await market.sell(farmer, stall, lot, 20)
    await stall.decides(refused["ticket"], "refused", reason="发黄")
    await agrees(market, farmer, grade="B")
    sample = await sampled(supervisor, lot)
    for _ in range(2):  # suspect, then positive
        await judged(supervisor, sample, inhibition(82))
    line = await inspects(market, scanned(ticket))
    # What was refused came back as a lot of its own.
    recall = await recalled(supervisor, lot)
    await recalled(supervisor, lot, mock=True)

    found = await file_of(farmer, supervisor)
    assert found["sales"] == {"issued": 1, "refused": 1}
    assert found["samples"] == {"positive": 1}
    assert [(one["sample"], one["status"]) for one in found["failed"]] == [(sample, "positive")]
    assert [(one["recall"], one["lots"]) for one in found["recalls"]] == [(recall["recall"], 2)]
    assert [(one["market"], one["grade"]) for one in found["agreements"]] == [("南通市场", "B")]
    (seen,) = line["lines"]
    assert found["gates"] == {seen["decision"]: 1}
    assert seen["findings"], "held goods are noticed at a gate"
    told = {(one["code"], one["zh"], one["count"]) for one in found["findings"]}
    assert told == {(one["code"], one["zh"], 1) for one in seen["findings"]}
    # A buyer's own file tells what it was told of, not what its seller sold.
    other = await file_of(stall, stall)
    assert (other["sales"], other["samples"], other["failed"]) == ({}, {}, [])
    assert len(other["recalls"]) == 1
    # What lies before the day that is asked for is left out.
    tomorrow = (market.clock() + timedelta(days=2)).date().isoformat()
    later = await file_of(farmer, supervisor, f"?since={tomorrow}")
    assert (later["sales"], later["failed"], later["recalls"]) == ({}, [], [])


async def test_it_is_for_the_party_itself_and_its_supervisors(market: Market) -> None:
    away = await office(market.trade, "3205")
    path = f"/parties/{market.farmer.public_id}/credit-file"
    for reader in (market.farmer, await office(market.trade)):
        assert (await reader.get(path)).status_code == 200
    for stranger in (market.stall, market.office, away):
        answer = await stranger.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "other-party")
    answer = await away.get(f"/parties/{new_id()}/credit-file")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-party")
