"""Samples and tests through HTTP: refusals in order, repeats, races, clocks, and who sees what."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.party.access import RoleKind
from app.recall.jobs import HANDLERS
from app.testing import queries, service
from app.testing.rules import Verdict
from app.ticket import audit
from tests.auditor import LOTS, TICKETS, Auditor, compare
from tests.conftest import FakeClock
from tests.factories import (
    CHIVES,
    EGGS,
    TOMATOES,
    Actor,
    Json,
    Trade,
    code_of,
    line,
    new_id,
    open_trade,
    received,
)
from tests.laboratory import (
    INHIBITION,
    OF_MARKET,
    OWN,
    STRIP,
    feed,
    inhibition,
    judged,
    lab,
    office,
    refused,
    report,
    sample_of,
    sampled,
    sent,
    strip,
)
from tests.market import Market, open_market

ROUNDS = 8


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key; afterwards the books are audited, twice over."""
    async with open_trade(database_url) as trade:
        yield trade
        assert trade.faults == []
        leaves = await trade.rows("SELECT leaf FROM entry ORDER BY id")
        auditor = Auditor().replay(bytes(leaf) for (leaf,) in leaves)
        compare(auditor, await trade.rows(LOTS), await trade.rows(TICKETS))
        async with trade.owner.transaction() as session:
            assert (await audit.audit(session)).faults == []


# --- samples --------------------------------------------------------------------------------------


async def test_the_grams_of_a_sample_leave_the_lot(trade: Trade) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    lot = await farmer.opens(CHIVES, 10)
    sample = new_id()
    made = await supervisors.make(
        f"/samples/{sample}", sample_of(lot, number="ntkfq20160603-001", samplers=["王小明"])
    )
    assert (made["status"], made["mass_g"], made["samplers"]) == ("sampled", 500, ["王小明"])
    assert (await farmer.lot(lot))["remaining_g"] == 9_500
    assert await trade.value("SELECT count(*) FROM lot_edge") == 0
    assert await trade.value("SELECT kind FROM event WHERE public_id = :id", id=UUID(sample)) == (
        "sample"
    )
    # Names of people are in no column that can be read, and in no leaf.
    assert b"\xe7\x8e\x8b" not in await trade.value("SELECT samplers FROM sample")
    leaves = b"".join([bytes(leaf) for (leaf,) in await trade.rows("SELECT leaf FROM entry")])
    assert "王小明".encode() not in leaves
    # The holder sees the case, and not who bent down for it.
    assert (await farmer.read(f"/samples/{sample}"))["samplers"] is None


async def test_a_sample_refused_in_order(trade: Trade) -> None:
    farmer, stall, supervisors = await trade.farmer(), await trade.stall(), await office(trade)
    elsewhere = await office(trade, "3205")
    lot = await farmer.opens(CHIVES, 1)
    number = sample_of(lot)["number"]
    taken = sample_of(lot, number=number)
    sample = new_id()
    await supervisors.make(f"/samples/{sample}", taken)

    async def code(who: Actor, **more: Any) -> str:
        answer = await who.put(f"/samples/{more.pop('id', new_id())}", {**taken, **more})
        assert answer.status_code >= 400
        return code_of(answer)

    # Each breaks every later rule too.
    bad: Json = {
        "mass_g": 10_000,
        "place": new_id(),
        "lab": new_id(),
        "taken_at": "2030-01-01T00:00:00Z",
    }
    assert await code(elsewhere, lot=new_id(), id=sample, layer="own", **bad) == "unknown-lot"
    assert await code(elsewhere, id=sample, layer="own", **bad) == "id-reused"
    assert await code(elsewhere, layer="own", **bad) == "layer-not-yours"
    assert await code(stall, **bad) == "layer-not-yours"
    assert await code(elsewhere, **bad) == "unknown-place"
    del bad["place"]
    assert await code(elsewhere, **bad) == "unknown-party"
    bad["lab"] = str(stall.public_id)
    assert await code(elsewhere, **bad) == "not-a-laboratory"
    del bad["lab"]
    assert await code(elsewhere, **bad) == "impossible-date"
    del bad["taken_at"]
    assert await code(elsewhere, **bad) == "hold-not-yours"
    assert await code(stall, **OWN, **bad) == "hold-not-yours"
    assert await code(supervisors, **bad) == "sample-number-taken"
    assert await code(supervisors, number="other", **bad) == "lot-exhausted"
    missing = await supervisors.put(f"/samples/{new_id()}", {**taken, "mass_g": 0})
    assert code_of(missing) == "malformed-request"


async def test_a_holder_carries_nothing_off_as_samples_of_what_is_on_hold(trade: Trade) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(farmer, lot, **OWN)
    await judged(farmer, sample, inhibition(45))
    all_of_it = sample_of(lot, mass_g=9_500, **OWN)
    answer = await farmer.put(f"/samples/{new_id()}", {**all_of_it, "mass_g": 99_999})
    assert code_of(answer) == "lot-on-hold"
    assert code_of(await farmer.put(f"/samples/{new_id()}", all_of_it)) == "lot-on-hold"
    # The first one can go on being tested, and an office takes what it needs.
    await judged(farmer, sample, inhibition(44))
    await sampled(supervisors, lot)
    assert (await farmer.lot(lot))["remaining_g"] == 9_000


async def test_a_market_does_not_choose_who_clears_what_an_office_sampled(
    database_url: str, clock: FakeClock
) -> None:
    async with open_market(database_url, clock) as market:
        supervisors, chosen = market.regulator, await lab(market.trade)
        grown = await market.lot(market.farmer, 20)
        ticket = await market.sell(market.farmer, market.stall, grown, 10, market=str(market.site))
        lot = received(await market.stall.decides(ticket["ticket"]))
        sample, own = (
            await sampled(supervisors, lot),
            await sampled(market.office, lot, **OF_MARKET),
        )
        for _ in range(3):
            await judged(supervisors, sample, inhibition(80))
        to = {"lab": str(chosen.public_id)}
        answer = await market.office.put(f"/samples/{sample}/commissions/{new_id()}", to)
        assert code_of(answer) == "other-party"
        assert await refused(chosen, sample, report(("克百威", None))) == "test-not-yours"
        # What it took itself it sends where it likes; so does the office.
        await sent(own, chosen, by=market.office)
        await sent(sample, chosen, by=supervisors)


async def test_a_market_that_holds_goods_itself_is_no_more_than_a_holder(trade: Trade) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    market = await trade.party(RoleKind.MARKET)
    ticket = await farmer.sells(market, line(CHIVES, 10, await farmer.opens(CHIVES, 10)))
    lot = received(await market.decides(ticket["ticket"]))
    await sampled(market, lot, **OF_MARKET)
    await supervisors.make(f"/holds/{new_id()}", {"lot": lot, "reason": "复查"})
    all_of_it = sample_of(lot, **{**OF_MARKET, "mass_g": 9_500})
    assert code_of(await market.put(f"/samples/{new_id()}", all_of_it)) == "lot-on-hold"
    await sampled(supervisors, lot)
    assert (await market.lot(lot))["remaining_g"] == 9_000


async def test_a_market_takes_little_of_what_is_on_hold_and_asks_the_office_for_more(
    database_url: str, clock: FakeClock
) -> None:
    async with open_market(database_url, clock) as market:
        lot = await at_the_stall(market, 10)
        before = await sampled(market.office, lot, **OF_MARKET, mass_g=2_000)
        await market.regulator.make(f"/holds/{new_id()}", {"lot": lot, "reason": "投诉"})
        # 8 kg are kept still, of which a tenth; what was sampled before the hold does not count.
        too_much = sample_of(lot, **OF_MARKET, mass_g=801)
        path = f"/samples/{new_id()}"
        answer = await market.office.put(path, {**too_much, "mass_g": 99_999})
        assert code_of(answer) == "lot-exhausted"
        answer = await market.office.put(path, too_much)
        assert (answer.status_code, code_of(answer)) == (409, "held-sample-limit")
        assert answer.json()["facts"] == {"wanted_g": 801, "taken_g": 0, "allowed_g": 800}
        once, body = new_id(), sample_of(lot, **OF_MARKET, mass_g=300)
        await market.office.make(f"/samples/{once}", body)
        await sampled(market.office, lot, **OF_MARKET, mass_g=500)
        # Bag by bag is no way around it, and an earlier date is none either.
        early = {"taken_at": (clock() - timedelta(minutes=5)).isoformat()}
        for more in ({}, early):
            bag = sample_of(lot, **OF_MARKET, mass_g=1, **more)
            refused = await market.office.put(f"/samples/{new_id()}", bag)
            assert refused.json()["facts"] == {"wanted_g": 1, "taken_g": 800, "allowed_g": 0}
        await market.office.make(f"/samples/{once}", body, status=200)
        # The office in charge takes what it needs, and that is none of the market's.
        await sampled(market.regulator, lot, mass_g=7_000)
        assert (await market.stall.lot(lot))["remaining_g"] == 200
        held = await market.trade.rows("SELECT mass_g FROM sample WHERE while_held ORDER BY id")
        assert [mass_g for (mass_g,) in held] == [300, 500, 7_000]
        assert before != once


async def test_samplers_at_once_take_no_more_of_held_goods_than_one(
    database_url: str, clock: FakeClock
) -> None:
    async with open_market(database_url, clock) as market:
        for _ in range(ROUNDS):
            lot = await at_the_stall(market, 10)
            await market.regulator.make(f"/holds/{new_id()}", {"lot": lot, "reason": "投诉"})
            answers = await asyncio.gather(
                *(
                    market.office.put(
                        f"/samples/{new_id()}", sample_of(lot, **OF_MARKET, mass_g=400)
                    )
                    for _ in range(5)
                )
            )
            assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 3
            assert {code_of(one) for one in answers if one.status_code == 409} == {
                "held-sample-limit"
            }
            assert (await market.stall.lot(lot))["remaining_g"] == 9_200


async def _written(trade: Trade) -> list[Any]:
    """Count what a sample would write."""
    tables = ("sample", "sample_step", "event", "entry", "hold")
    return [await trade.value(f"SELECT count(*) FROM {table}") for table in tables]


@pytest.mark.parametrize(("kg", "most_g"), [(10, 2_000), (100, 6_000)])
async def test_a_market_takes_what_a_test_needs_and_an_office_takes_more(
    database_url: str, clock: FakeClock, kg: int, most_g: int
) -> None:
    async with open_market(database_url, clock) as market:
        lot = await at_the_stall(market, kg)
        body = sample_of(lot, **OF_MARKET)
        before = await _written(market.trade)
        # All of it, a gram too much, and either on an earlier day.
        early = {"taken_at": (clock() - timedelta(minutes=1)).isoformat()}
        for mass_g, more in ((kg * 1_000, {}), (most_g + 1, {}), (most_g + 1, early)):
            refused = await market.office.put(
                f"/samples/{new_id()}", {**body, "mass_g": mass_g, **more}
            )
            assert (refused.status_code, code_of(refused)) == (409, "sample-limit")
            assert refused.json()["facts"] == {
                "wanted_g": mass_g,
                "taken_g": 0,
                "allowed_g": most_g,
            }
            for tongue in ("zh", "en"):
                assert all(refused.json()[tongue].values())
        assert await _written(market.trade) == before
        assert (await market.stall.lot(lot))["remaining_g"] == kg * 1_000
        # What was refused used up no number; what is allowed may be taken in two bags, and no more.
        once = new_id()
        bag = {**body, "mass_g": most_g - 500}
        await market.office.make(f"/samples/{once}", bag)
        await sampled(market.office, lot, **OF_MARKET, mass_g=500)
        last = await market.office.put(
            f"/samples/{new_id()}", sample_of(lot, **OF_MARKET, mass_g=1)
        )
        assert last.json()["facts"] == {"wanted_g": 1, "taken_g": most_g, "allowed_g": 0}
        await market.office.make(f"/samples/{once}", bag, status=200)
        await sampled(market.regulator, lot, mass_g=kg * 1_000 - most_g)
        assert (await market.stall.lot(lot))["remaining_g"] == 0


async def test_an_earlier_day_allows_no_more(own_trade: Trade) -> None:
    trade = own_trade
    farmer = await trade.farmer()
    lot = await farmer.opens(CHIVES, 10, made_on="2026-06-16")
    # From today on less may be taken; whoever samples tells the day.
    await trade.execute("UPDATE sample_allowance SET valid_to = '2026-06-18' WHERE NOT held")
    await trade.execute(
        "INSERT INTO sample_allowance"
        " (layer, held, valid_from, lot_g, permille, source, verified)"
        " SELECT layer, held, valid_to, 100, permille, source, verified"
        " FROM sample_allowance WHERE NOT held"
    )
    body = sample_of(lot, **OWN, mass_g=101, taken_at="2026-06-17T04:00:00+08:00")
    answer = await farmer.put(f"/samples/{new_id()}", body)
    assert answer.json()["facts"] == {"wanted_g": 101, "taken_g": 0, "allowed_g": 100}


async def test_what_is_sold_meanwhile_leaves_less_to_sample(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(CHIVES, 10)
    await farmer.sells(stall, line(CHIVES, 9, lot))
    # Whoever holds goods takes half of little, and no more than a test needs of much.
    too_much = await farmer.put(f"/samples/{new_id()}", sample_of(lot, **OWN, mass_g=501))
    assert too_much.json()["facts"]["allowed_g"] == 500
    await sampled(farmer, lot, **OWN, mass_g=500)
    large = await farmer.opens(CHIVES, 1_000)
    answer = await farmer.put(f"/samples/{new_id()}", sample_of(large, **OWN, mass_g=6_001))
    assert code_of(answer) == "sample-limit"
    await sampled(farmer, large, **OWN, mass_g=6_000)


async def test_a_holder_who_samples_first_keeps_no_market_from_a_test(
    database_url: str, clock: FakeClock
) -> None:
    async with open_market(database_url, clock) as market:
        lot = await at_the_stall(market, 10)
        await sampled(market.stall, lot, **OWN, mass_g=5_000)
        bag = sample_of(lot, **OF_MARKET, mass_g=1_001)
        answer = await market.office.put(f"/samples/{new_id()}", bag)
        assert answer.json()["facts"] == {"wanted_g": 1_001, "taken_g": 0, "allowed_g": 1_000}
        await sampled(market.office, lot, **OF_MARKET, mass_g=1_000)
        own = sample_of(lot, **OWN, mass_g=1)
        assert code_of(await market.stall.put(f"/samples/{new_id()}", own)) == "sample-limit"


async def test_what_was_sampled_of_held_goods_counts_once_they_move_again(
    database_url: str, clock: FakeClock
) -> None:
    async with open_market(database_url, clock) as market:
        lot, hold = await at_the_stall(market, 10), new_id()
        await market.regulator.make(f"/holds/{hold}", {"lot": lot, "reason": "投诉"})
        await sampled(market.office, lot, **OF_MARKET, mass_g=1_000)
        let_go = {"reason": "合格"}
        await market.regulator.make(f"/holds/{hold}/release", let_go, status=200)
        bag = sample_of(lot, **OF_MARKET, mass_g=1_001)
        answer = await market.office.put(f"/samples/{new_id()}", bag)
        assert answer.json()["facts"] == {"wanted_g": 1_001, "taken_g": 1_000, "allowed_g": 1_000}


async def test_samplers_at_once_take_no_more_than_one_may(
    database_url: str, clock: FakeClock
) -> None:
    async with open_market(database_url, clock) as market:
        for _ in range(ROUNDS):
            lot = await at_the_stall(market, 10)
            bags = [sample_of(lot, **OF_MARKET, mass_g=900) for _ in range(5)]
            answers = await asyncio.gather(
                *(market.office.put(f"/samples/{new_id()}", bag) for bag in bags)
            )
            assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 3
            assert {code_of(one) for one in answers if one.status_code == 409} == {"sample-limit"}
            assert (await market.stall.lot(lot))["remaining_g"] == 8_200


async def at_the_stall(market: Market, kg: int) -> str:
    """Bring goods to a stall of the market; answer their lot."""
    grown = await market.lot(market.farmer, kg)
    ticket = await market.sell(market.farmer, market.stall, grown, kg, market=str(market.site))
    return received(await market.stall.decides(ticket["ticket"]))


async def test_what_a_higher_office_sampled_is_not_sampled_again_below(trade: Trade) -> None:
    farmer = await trade.farmer()
    city, county = await office(trade), await office(trade, "320682")
    lot = await farmer.opens(CHIVES, 10)
    agriculture = {"authority": "agriculture", "purpose": "monitoring"}
    await sampled(city, lot, **agriculture)
    again = await county.put(f"/samples/{new_id()}", sample_of(lot, **agriculture))
    assert (again.status_code, code_of(again)) == (409, "already-sampled-above")
    # The rule is agriculture's, and it binds the lower office only.
    await sampled(county, lot)
    await sampled(city, lot, **agriculture)


async def test_sampling_twice_takes_once(trade: Trade) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    lot, sample = await farmer.opens(CHIVES, 10), new_id()
    body = sample_of(lot)
    answers = await asyncio.gather(*(supervisors.put(f"/samples/{sample}", body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert (await farmer.lot(lot))["remaining_g"] == 9_500


async def test_samples_and_sales_at_the_same_instant_take_no_more_than_there_is(
    trade: Trade,
) -> None:
    farmer, stall, supervisors = await trade.farmer(), await trade.stall(), await office(trade)
    lot = await farmer.opens(CHIVES, 3)
    sale = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 1, lot)]}
    answers = await asyncio.gather(
        *(farmer.put(f"/tickets/{new_id()}", sale) for _ in range(4)),
        *(supervisors.put(f"/samples/{new_id()}", sample_of(lot, mass_g=1_000)) for _ in range(4)),
    )
    assert sum(answer.status_code == 201 for answer in answers) == 3
    assert {code_of(answer) for answer in answers if answer.status_code != 201} == {"lot-exhausted"}
    assert (await farmer.lot(lot))["remaining_g"] == 0


async def test_a_lot_on_hold_is_sampled_by_an_office_and_only_a_test_lifts_its_own_hold(
    trade: Trade,
) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    lot = await farmer.opens(CHIVES, 10)
    own = await sampled(farmer, lot, **OWN)
    await supervisors.make(f"/holds/{new_id()}", {"lot": lot, "reason": "complaint"})
    await sampled(supervisors, lot)
    assert (await judged(farmer, own, inhibition(12)))["status"] == "passed"
    assert (await farmer.lot(lot))["on_hold"] is True  # That hold was not the test's.


# --- tests ----------------------------------------------------------------------------------------


async def test_a_test_refused_in_order(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    stall = await trade.stall()
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(supervisors, lot)
    test = new_id()
    await supervisors.make(f"/samples/{sample}/tests/{test}", inhibition(55))

    early: Json = {"tested_at": "2026-06-17T19:00:00Z"}
    late: Json = {"tested_at": "2026-06-18T19:00:00Z"}
    place: Json = {"place": new_id()}
    wrong = {"kind": "quick", "method": "dowsing", "reading": {}, "retest": True}
    unknown = await stall.put(f"/samples/{new_id()}/tests/{test}", {**wrong, **late, **place})
    assert code_of(unknown) == "unknown-sample"
    reused = await stall.put(f"/samples/{sample}/tests/{test}", {**wrong, **late, **place})
    assert code_of(reused) == "id-reused"
    assert await refused(stall, sample, {**wrong, **late, **place}) == "test-not-yours"
    body = report(("克百威", "1"))
    assert await refused(supervisors, sample, {**body, **late, **place}) == "lab-not-accredited"
    assert await refused(supervisors, sample, {**wrong, **late, **place}) == "unknown-place"
    assert await refused(supervisors, sample, {**wrong, **late}) == "impossible-date"
    assert await refused(supervisors, sample, {**wrong, **early}) == "tested-too-early"
    assert await refused(supervisors, sample, wrong) == "retest-not-quick"
    again = report(("石头", "1"), retest=True)
    # A laboratory that knows the id is no laboratory that was sent the sample.
    assert await refused(laboratory, sample, {**again, **place}) == "test-not-yours"
    await sent(sample, laboratory)
    assert await refused(laboratory, sample, again) == "no-objection"
    assert await refused(supervisors, sample, {**wrong, "retest": False}) == "unknown-method"
    assert await refused(supervisors, sample, strip("石头")) == "unknown-substance"
    assert await refused(laboratory, sample, report(("石头", "1"))) == "unknown-substance"
    empty = {**inhibition(1), "reading": {}}
    assert await refused(supervisors, sample, empty) == "reading-missing"
    both = {**inhibition(1), "items": body["items"]}
    assert await refused(supervisors, sample, both) == "malformed-request"
    await judged(laboratory, sample, body)
    assert await refused(laboratory, sample, body) == "sample-decided"


async def test_sending_a_sample_refused_in_order(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    elsewhere, stall = await office(trade, "3205"), await trade.stall()
    sample = await sampled(supervisors, await farmer.opens(CHIVES, 10))
    known = new_id()
    to = {"lab": str(laboratory.public_id)}
    await supervisors.make(f"/samples/{sample}/commissions/{known}", to)

    async def code(who: Actor, body: Json, of: str = sample, public_id: str | None = None) -> str:
        answer = await who.put(f"/samples/{of}/commissions/{public_id or new_id()}", body)
        assert answer.status_code >= 400, answer.text
        return code_of(answer)

    # Each breaks every later rule too.
    bad: Json = {"lab": new_id(), "sent_at": "2030-01-01T00:00:00Z"}
    assert await code(farmer, bad, of=new_id(), public_id=known) == "unknown-sample"
    # Whose goods they are does not choose who clears them, nor does whoever comes by.
    assert await code(farmer, bad, public_id=known) == "other-party"
    assert await code(stall, bad, public_id=known) == "hold-not-yours"
    assert await code(elsewhere, bad, public_id=known) == "hold-not-yours"
    assert await code(supervisors, bad, public_id=known) == "id-reused"
    assert await code(supervisors, bad) == "unknown-party"
    bad["lab"] = str(stall.public_id)
    assert await code(supervisors, bad) == "not-a-laboratory"
    assert await code(supervisors, {**bad, **to}) == "impossible-date"
    assert await code(supervisors, {**to, "sent_at": "2026-06-17T19:00:00Z"}) == "tested-too-early"
    assert await code(supervisors, to) == "already-commissioned"
    assert await code(laboratory, to) == "hold-not-yours"


async def test_a_sample_is_sent_once_and_only_that_laboratory_reports(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    county, other = await office(trade, "320682"), await lab(trade)
    point = await trade.party(RoleKind.QUICKTEST_POINT)
    lot = await farmer.opens(CHIVES, 10)
    sample, commission = await sampled(supervisors, lot), new_id()
    path, to = f"/samples/{sample}/commissions/{commission}", {"lab": str(laboratory.public_id)}
    answers = await asyncio.gather(*(supervisors.put(path, to) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    (told,) = answers[0].json()["sent_to"]
    assert (told["commission"], told["lab"]) == (commission, str(laboratory.public_id))
    # Two who send it there at once under two ids: one of them is told that it went already.
    rivals = await asyncio.gather(
        *(
            who.put(f"/samples/{sample}/commissions/{new_id()}", {"lab": str(other.public_id)})
            for who in (supervisors, county, supervisors, county)
        )
    )
    assert sorted(answer.status_code for answer in rivals) == [201, 409, 409, 409]
    # It sees what it was sent, and the log knows of it; nobody else's report counts.
    assert [one["sample"] for one in await laboratory.read("/samples")] == [sample]
    kinds = await trade.rows("SELECT kind FROM entry WHERE subject = :id", id=UUID(commission))
    assert kinds == [("sample.sent",)]
    assert await refused(point, sample, inhibition(10)) == "test-not-yours"
    stranger = await lab(trade)
    assert await refused(stranger, sample, report(("克百威", None))) == "test-not-yours"
    decided = await judged(laboratory, sample, report(("克百威", "0.5")))
    assert decided["status"] == "confirmed_fail"


async def test_the_name_of_a_person_who_took_a_sample_is_masked_for_strangers(
    trade: Trade,
) -> None:
    farmer, laboratory, supervisors = await trade.farmer(), await lab(trade), await office(trade)
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(farmer, lot, **OWN)
    await sent(sample, laboratory)
    name = (await farmer.read(f"/samples/{sample}"))["taken_by_name"]
    assert (await supervisors.read(f"/samples/{sample}"))["taken_by_name"] == name
    told = await laboratory.read(f"/samples/{sample}")
    (listed,) = await laboratory.read("/samples")
    shown = {told["taken_by_name"], told["sent_to"][0]["sent_by_name"], listed["taken_by_name"]}
    assert name not in shown
    assert len(shown) == 1
    assert all("*" in masked for masked in shown)


async def test_a_sampler_names_the_laboratory_as_the_sample_is_taken(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    lot = await farmer.opens(CHIVES, 10)
    body = sample_of(lot, lab=str(laboratory.public_id))
    sample = new_id()
    for status in (201, 200):
        made = await supervisors.make(f"/samples/{sample}", body, status=status)
    assert [one["lab"] for one in made["sent_to"]] == [str(laboratory.public_id)]
    assert made["sent_to"][0]["lab_name"]
    assert made["sent_to"][0]["sent_by_name"] == made["taken_by_name"]
    changed = await supervisors.put(f"/samples/{sample}", {**body, "lab": None})
    assert code_of(changed) == "id-reused"
    # A laboratory tests what it took itself, and is sent nothing for that.
    own = await sampled(laboratory, await laboratory.opens(CHIVES, 5, origin="declare"), **OWN)
    assert (await laboratory.make(f"/samples/{own}/tests/{new_id()}", report(("克百威", None))))[
        "status"
    ] == "passed"


async def test_a_finding_holds_the_lot_in_the_same_instant(trade: Trade) -> None:
    """Whoever sells beside the test either sold before it, or is refused."""
    farmer, stall, supervisors = await trade.farmer(), await trade.stall(), await office(trade)
    for _ in range(4):
        lot = await farmer.opens(CHIVES, 100)
        sample = await sampled(supervisors, lot)
        sale = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 1, lot)]}
        test = new_id()
        answers = await asyncio.gather(
            *(farmer.put(f"/tickets/{new_id()}", sale) for _ in range(3)),
            supervisors.put(f"/samples/{sample}/tests/{test}", inhibition(58)),
            *(farmer.put(f"/tickets/{new_id()}", sale) for _ in range(3)),
        )
        assert answers[3].status_code == 201
        sold = sum(answer.status_code == 201 for answer in answers) - 1
        assert {code_of(answer) for answer in answers if answer.status_code == 409} <= {
            "lot-on-hold"
        }
        late = await trade.value(
            "SELECT count(*) FROM entry t, entry h WHERE h.subject = :test "
            "AND t.kind = 'ticket.issued' AND t.id > h.id AND t.leaf::text LIKE :lot",
            test=UUID(test),
            lot=f"%{lot.encode().hex()}%",
        )
        assert late == 0
        assert (await farmer.lot(lot))["remaining_g"] == 99_500 - 1_000 * sold


def _split(lot: str, part: str, kg: float) -> Json:
    return {"lot": lot, "parts": [{"lot": part, "quantity": str(kg), "unit": "公斤"}]}


async def test_what_was_split_off_before_the_finding_is_held_as_well(trade: Trade) -> None:
    """Whoever sees a sample taken must not carry the goods past it under another number."""
    farmer, stall, by_office = await trade.farmer(), await trade.stall(), await office(trade)
    laboratory = await lab(trade)
    lot, part, of_part, mixed = await farmer.opens(CHIVES, 10), new_id(), new_id(), new_id()
    other = await farmer.opens(CHIVES, 3)
    sold = received(
        await stall.decides((await farmer.sells(stall, line(CHIVES, 1, lot)))["ticket"])
    )
    sample = await sampled(by_office, lot)
    await farmer.make(f"/splits/{new_id()}", _split(lot, part, 8))
    await farmer.make(f"/splits/{new_id()}", _split(part, of_part, 2))
    merged = {"inputs": [{"lot": of_part}, {"lot": other, "mass_g": 1_000}], "lot": mixed}
    await farmer.make(f"/merges/{new_id()}", merged)
    await judged(by_office, sample, inhibition(60))
    for kept in (lot, part, mixed):
        sale = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 0.1, kept)]}
        assert code_of(await farmer.put(f"/tickets/{new_id()}", sale)) == "lot-on-hold"
    # What others hold, and what did not come of it, is for a recall, or free.
    await stall.sells(None, line(CHIVES, 0.5, sold))
    await farmer.sells(stall, line(CHIVES, 1, other))
    held = [one for one in await farmer.read("/holds") if one["subject"] == sample]
    assert {one["lot"] for one in held} == {lot, part, of_part, mixed}
    cleared = await judged(laboratory, sample, report(("克百威", None), ("毒死蜱", None)))
    assert cleared["status"] in {"passed", "cleared"}
    for kept in (lot, part, mixed):
        await farmer.sells(stall, line(CHIVES, 0.1, kept))


async def test_a_split_and_a_finding_at_once_leave_no_part_free(trade: Trade) -> None:
    farmer, by_office = await trade.farmer(), await office(trade)
    for _ in range(ROUNDS):
        lot, part, of_part = await farmer.opens(CHIVES, 10), new_id(), new_id()
        sample = await sampled(by_office, lot)
        await farmer.make(f"/splits/{new_id()}", _split(lot, part, 8))
        again, _ = await asyncio.gather(
            farmer.put(f"/splits/{new_id()}", _split(part, of_part, 4)),
            judged(by_office, sample, inhibition(60)),
        )
        born = [part, of_part] if again.status_code == 201 else [part]
        for kept in born:
            answer = await farmer.put(f"/splits/{new_id()}", _split(kept, new_id(), 1))
            assert code_of(answer) == "lot-on-hold"


async def test_testing_twice_counts_once(trade: Trade) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    sample = await sampled(supervisors, await farmer.opens(CHIVES, 10))
    test, body = new_id(), inhibition(58)
    answers = await asyncio.gather(
        *(supervisors.put(f"/samples/{sample}/tests/{test}", body) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    found = await supervisors.read(f"/samples/{sample}")
    assert (len(found["tests"]), found["status"]) == (1, "positive")
    assert await trade.value("SELECT max(holds) FROM lot_balance") == 1


async def test_repeats_clear_or_confirm_and_invalid_strips_do_neither(trade: Trade) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    lot = await farmer.opens(TOMATOES, 10)
    sample = await sampled(supervisors, lot)
    invalid = await judged(supervisors, sample, strip("克百威", control=False))
    assert (invalid["status"], invalid["hold"]) == ("invalid", None)
    assert invalid["tests"][0]["findings"][0]["code"] == "strip-invalid"
    found = await judged(supervisors, sample, strip("克百威", line="none"))
    assert found["status"] == "positive"
    assert (await farmer.lot(lot))["on_hold"] is True
    await judged(supervisors, sample, strip("克百威", control=False))
    await judged(supervisors, sample, strip("克百威"))
    cleared = await judged(supervisors, sample, strip("克百威"))
    assert [step["status"] for step in cleared["steps"]] == [
        "sampled",
        "invalid",
        "positive",
        "cleared",
    ]
    assert (await farmer.lot(lot))["on_hold"] is False


async def test_a_value_beyond_all_is_kept_raw_and_shown_clamped(trade: Trade) -> None:
    farmer, supervisors = await trade.farmer(), await office(trade)
    sample = await sampled(supervisors, await farmer.opens(TOMATOES, 10))
    found = await judged(supervisors, sample, inhibition("118.25"))
    [test] = found["tests"]
    assert (test["reading"]["value"], test["value_shown"]) == ("118.25", "100")
    assert [finding["code"] for finding in test["findings"]] == [
        "false-positive-crop",
        "value-out-of-range",
    ]
    below = await sampled(supervisors, await farmer.opens(CHIVES, 10))
    found = await judged(supervisors, below, inhibition("-4"))
    assert (found["status"], found["tests"][0]["value_shown"]) == ("passed", "0")


async def test_no_limit_is_no_pass(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    lot = await farmer.opens(TOMATOES, 10)
    sample = await sampled(supervisors, lot)
    found = await judged(laboratory, sample, report(("腐霉利", "0.1"), ("克百威", None)))
    assert (found["status"], found["verdict"]) == ("undetermined", "undetermined")
    verdicts = {item["substance"]: item for item in found["tests"][0]["items"]}
    assert (verdicts["腐霉利"]["verdict"], verdicts["腐霉利"]["limit"]) == ("no_limit", None)
    assert verdicts["克百威"]["verdict"] == "pass"


async def test_a_markets_hold_of_a_test_is_lifted_by_a_test_or_an_office(trade: Trade) -> None:
    market = await trade.party(RoleKind.MARKET)
    place = new_id()
    await market.make(
        f"/places/{place}",
        {
            "kind": "market",
            "name": "通州农副产品批发市场",
            "division_code": "320612",
            "valid_from": "2020-01-01",
        },
    )
    farmer, stall, supervisors = await trade.farmer(), await trade.stall(), await office(trade)
    lot = await farmer.opens(CHIVES, 10)
    await farmer.sells(stall, line(CHIVES, 1, lot), market=place)
    sample = await sampled(market, lot, **OF_MARKET)
    hold = (await judged(market, sample, inhibition(58)))["hold"]
    assert [held["cause"] for held in await farmer.read("/holds")] == ["test"]
    answer = await market.put(f"/holds/{hold}/release", {"reason": "looks fine"})
    assert (answer.status_code, code_of(answer)) == (409, "hold-rests-on-test")
    await supervisors.make(f"/holds/{hold}/release", {"reason": "assessed"}, status=200)
    assert (await farmer.lot(lot))["on_hold"] is False
    # The next finding holds it again.
    await judged(market, sample, inhibition(59))
    assert (await farmer.lot(lot))["on_hold"] is True


# --- what is told late ----------------------------------------------------------------------------


def _later_found(sample: Json) -> list[str]:
    return [finding["code"] for finding in sample["tests"][-1]["findings"]]


@pytest.mark.parametrize(
    ("taken_at", "amount", "verdict", "status", "found"),
    [
        # Imidacloprid in chives has a limit, 1 mg/kg, since 2026-03-01; the test is of June.
        ("2026-02-28T08:00:00+08:00", "2", "fail", "confirmed_fail", ["told-late"]),
        ("2026-02-28T08:00:00+08:00", "1", "no_limit", "undetermined", ["told-late"]),
        ("2026-06-15T08:00:00+08:00", "1", "pass", "passed", []),
    ],
)
async def test_nobody_chooses_the_limits_by_an_early_sample(
    trade: Trade, taken_at: str, amount: str, verdict: str, status: str, found: list[str]
) -> None:
    market, laboratory = await trade.party(RoleKind.MARKET), await lab(trade)
    lot = await market.opens(CHIVES, 10, origin="declare", occurred_at=taken_at)
    sample = await sampled(market, lot, **OF_MARKET, taken_at=taken_at)
    judged_by = await judged(laboratory, sample, report(("吡虫啉", amount)))
    (item,) = judged_by["tests"][0]["items"]
    assert (item["verdict"], judged_by["status"]) == (verdict, status)
    assert _later_found(judged_by) == found


async def test_what_a_limit_was_before_it_was_loosened_counts_for_a_sample_of_then(
    trade: Trade,
) -> None:
    market, laboratory = await trade.party(RoleKind.MARKET), await lab(trade)
    lot = await market.opens(CHIVES, 10, origin="declare", occurred_at="2021-09-01T08:00:00+08:00")
    sample = await sampled(market, lot, **OF_MARKET, taken_at="2021-09-01T08:00:00+08:00")
    failed = await judged(laboratory, sample, report(("腐霉利", "0.3")))
    (item,) = failed["tests"][0]["items"]
    assert (item["verdict"], item["limit"]["limit"]) == ("fail", "0.2 mg/kg")


async def test_a_sample_told_in_time_is_judged_by_its_own_day(trade: Trade) -> None:
    trade.clock.set(datetime(2026, 3, 2, 6, tzinfo=UTC))
    market, laboratory = await trade.party(RoleKind.MARKET), await lab(trade)
    lot = await market.opens(CHIVES, 10, origin="declare", occurred_at="2026-02-28T08:00:00+08:00")
    sample = await sampled(market, lot, **OF_MARKET, taken_at="2026-02-28T08:00:00+08:00")
    # When the laboratory reports tells nothing about when the sample was known.
    trade.clock.advance(days=30)
    told = await judged(laboratory, sample, report(("吡虫啉", "2")))
    assert (told["status"], _later_found(told)) == ("undetermined", [])


async def test_nobody_chooses_the_bands_of_a_quick_test_by_an_early_sample(
    own_trade: Trade,
) -> None:
    trade = own_trade
    # Until the sixteenth of June the bands were wide, and a strip was in use that no longer is.
    await trade.execute(
        "UPDATE quick_method SET valid_to = '2026-06-16', suspect_from = 80, positive_from = 90"
        " WHERE code = :code",
        code=INHIBITION,
    )
    columns = (
        "code, zh, en, reading, covers, repeats, interferes, advice_zh, advice_en, source, verified"
    )
    await trade.execute(
        f"INSERT INTO quick_method (valid_from, suspect_from, positive_from, {columns})"
        f" SELECT valid_to, 40, 50, {columns} FROM quick_method WHERE code = :code",
        code=INHIBITION,
    )
    await trade.execute(
        "UPDATE quick_method SET valid_to = '2026-06-16' WHERE code = :code", code=STRIP
    )
    market = await trade.party(RoleKind.MARKET)
    lot = await market.opens(CHIVES, 10, origin="declare", occurred_at="2026-06-14T04:00:00+08:00")
    in_time, late = "2026-06-15T06:00:00+08:00", "2026-06-14T04:00:00+08:00"

    async def outcome(taken_at: str, body: Json) -> tuple[str, list[str]]:
        sample = await sampled(market, lot, **OF_MARKET, taken_at=taken_at, mass_g=50)
        told = await judged(market, sample, body)
        return told["tests"][0]["outcome"], _later_found(told)

    assert await outcome(in_time, strip("克百威")) == ("pass", [])
    assert await outcome(in_time, inhibition(60)) == ("pass", [])
    # By a strip that is none any more nobody is cleared, and what it found stays found.
    assert await outcome(late, strip("克百威")) == ("invalid", ["method-withdrawn", "told-late"])
    assert await outcome(late, inhibition(8)) == ("pass", ["told-late"])
    assert await outcome(late, inhibition(60)) == (
        "positive",
        ["false-positive-crop", "told-late"],
    )


async def test_a_device_chooses_no_bands_by_an_early_clock(own_trade: Trade) -> None:
    trade = own_trade
    await trade.execute(
        "UPDATE quick_method SET valid_to = '2026-06-16' WHERE code = :code", code=STRIP
    )
    market = await trade.party(RoleKind.MARKET)
    lot = await market.opens(CHIVES, 10, origin="declare", occurred_at="2025-06-14T04:00:00+08:00")
    device = await feed(trade, market)
    told = await device.pushes(
        {
            "record_id": "early",
            "sample_no": "early",
            "method": STRIP,
            "tested_at": "2025-06-14T04:00:00+08:00",
            "device_sn": "SN-1",
            "substance": "克百威",
            "control_line": True,
            "test_line": "stronger",
            "lot": lot,
            "mass_g": 50,
        }
    )
    assert told["records"][0]["outcome"] == "invalid"


# --- objections, clocks, measures -----------------------------------------------------------------


async def _presumptive(trade: Trade, **more: Any) -> tuple[Actor, Actor, str, str]:
    farmer, supervisors = await trade.farmer(), await office(trade)
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(supervisors, lot, **more)
    for value in (58, 55, 52):
        await judged(supervisors, sample, inhibition(value))
    return farmer, supervisors, lot, sample


async def test_four_hours_to_object_and_then_no_quick_method(trade: Trade) -> None:
    farmer, supervisors, lot, sample = await _presumptive(trade)
    laboratory, stranger = await lab(trade), await trade.farmer()
    reason, objection = {"reason": "大棚未用药"}, new_id()

    async def objects(who: Actor, public_id: str) -> Any:
        return await who.put(f"/samples/{sample}/objections/{public_id}", reason)

    assert code_of(await objects(stranger, new_id())) == "other-party"
    trade.clock.now += timedelta(hours=3, minutes=59)
    first = await objects(farmer, objection)
    assert first.status_code == 201
    assert (await objects(farmer, objection)).status_code == 200
    changed = {"reason": "另一个理由"}
    reused = await farmer.put(f"/samples/{sample}/objections/{objection}", changed)
    assert code_of(reused) == "id-reused"
    assert code_of(await objects(farmer, new_id())) == "nothing-to-object"
    assert await refused(supervisors, sample, inhibition(10)) == "retest-not-quick"
    cleared = await judged(laboratory, sample, report(("克百威", None), retest=True))
    assert cleared["status"] == "cleared"
    assert cleared["objections"][0]["answered"] is True
    assert (await farmer.lot(lot))["on_hold"] is False
    assert all(clock["done_at"] for clock in cleared["deadlines"] if clock["kind"] != "publication")


async def test_who_objects_too_late_is_told_until_when(trade: Trade) -> None:
    farmer, _, _, sample = await _presumptive(trade)
    trade.clock.now += timedelta(hours=4)
    late = await farmer.put(f"/samples/{sample}/objections/{new_id()}", {"reason": "x"})
    assert (late.status_code, code_of(late)) == (409, "objection-late")
    assert late.json()["facts"]["until"] == "2026-06-18T00:00:00+00:00"


async def test_against_a_markets_own_test_the_contract_decides(trade: Trade) -> None:
    farmer = await trade.farmer()
    sample = await sampled(farmer, await farmer.opens(CHIVES, 10), **OWN)
    for value in (58, 55, 52):
        found = await judged(farmer, sample, inhibition(value))
    assert (found["status"], found["deadlines"]) == ("presumptive", [])
    answer = await farmer.put(f"/samples/{sample}/objections/{new_id()}", {"reason": "x"})
    assert code_of(answer) == "objection-by-contract"


@pytest.mark.parametrize(
    ("authority", "until"),
    [
        # Thursday 18 June 2026; the 19th is the Dragon Boat Festival, a Friday.
        ("agriculture", "2026-06-26T16:00:00Z"),
        ("market_regulation", "2026-06-30T16:00:00Z"),
    ],
)
async def test_five_or_seven_working_days_after_a_laboratory(
    trade: Trade, authority: str, until: str
) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(supervisors, lot, authority=authority)
    assert code_of(
        await farmer.put(f"/samples/{sample}/objections/{new_id()}", {"reason": "x"})
    ) == ("nothing-to-object")
    failed = await judged(laboratory, sample, report(("克百威", "0.5")))
    clocks = {clock["kind"]: clock for clock in failed["deadlines"]}
    assert clocks["objection_lab"]["due_at"] == until
    assert clocks["publication"]["due_at"] == "2026-07-17T16:00:00Z"
    assert clocks["handling_start"]["verified"] is False
    trade.clock.now = datetime.fromisoformat(until) - timedelta(seconds=1)
    objected = await farmer.make(f"/samples/{sample}/objections/{new_id()}", {"reason": "x"})
    kinds = {clock["kind"] for clock in objected["deadlines"]}
    assert ("retest_report" in kinds) is (authority == "agriculture")
    # Another laboratory, and its word is final.
    again = report(("克百威", "0.4"), retest=True)
    assert await refused(laboratory, sample, again) == "same-lab"
    final = await judged(await lab(trade), sample, again)
    assert final["status"] == "confirmed_fail"
    answer = await farmer.put(f"/samples/{sample}/objections/{new_id()}", {"reason": "x"})
    assert code_of(answer) == "nothing-to-object"


async def test_a_retest_of_something_else_decides_nothing(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(supervisors, lot)
    await judged(laboratory, sample, report(("克百威", "0.5")))
    trade.clock.now += timedelta(days=1)
    await farmer.make(f"/samples/{sample}/objections/{new_id()}", {"reason": "x"})
    other = await judged(await lab(trade), sample, report(("铅", None), retest=True))
    assert other["status"] == "confirmed_fail"
    assert (await farmer.lot(lot))["on_hold"] is True
    third = await lab(trade)
    await sent(sample, third)
    assert await refused(third, sample, report(("克百威", None), retest=True)) == "no-objection"


async def test_a_retest_clears_and_its_result_is_published_instead(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(supervisors, lot)
    await judged(laboratory, sample, report(("克百威", "0.5")))
    trade.clock.now += timedelta(days=1)
    await farmer.make(f"/samples/{sample}/objections/{new_id()}", {"reason": "x"})
    cleared = await judged(await lab(trade), sample, report(("克百威", "0.01"), retest=True))
    assert cleared["status"] == "cleared"
    assert (await farmer.lot(lot))["on_hold"] is False
    running = [clock["kind"] for clock in cleared["deadlines"] if clock["done_at"] is None]
    assert running == ["publication"]


async def _race(
    trade: Trade, chance: random.Random, found: str | None
) -> tuple[str, bool, dict[str, int]]:
    """Let an office release a test's hold while a laboratory reports; both may do so.

    Returns:
        Who released the hold, whether the lot is on hold, and the log's order by kind of entry.
    """
    farmer, supervisors, lot, sample = await _presumptive(trade)
    laboratory = await lab(trade)
    await sent(sample, laboratory)
    await farmer.make(f"/samples/{sample}/objections/{new_id()}", {"reason": "大棚未用药"})
    (held,) = await farmer.read("/holds")
    path, test, reason = f"/holds/{held['hold']}/release", new_id(), {"reason": "另行核查"}
    body = report(("克百威", found), retest=True)

    async def late(request: Awaitable[httpx.Response]) -> httpx.Response:
        await asyncio.sleep(chance.random() * 0.03)
        return await request

    answers = await asyncio.gather(
        late(supervisors.put(path, reason)),
        late(laboratory.put(f"/samples/{sample}/tests/{test}", body)),
        late(supervisors.put(path, reason)),
    )
    assert answers[1].status_code == 201
    by = {
        str(actor.public_id): name for actor, name in ((supervisors, "office"), (laboratory, "lab"))
    }
    rows = await trade.rows(
        "SELECT kind, id, convert_from(leaf, 'UTF8') FROM entry "
        "WHERE subject IN (:hold, :test) ORDER BY id",
        hold=UUID(held["hold"]),
        test=UUID(test),
    )
    order = {kind: entry for kind, entry, _ in rows}
    assert sorted(order) == ["hold.hold", "hold.release", "test.recorded"]
    assert len(rows) == 3, "one hold is released once"
    said = json.loads(next(leaf for kind, _, leaf in rows if kind == "hold.release"))
    first = next(row for row in await farmer.read("/holds") if row["hold"] == held["hold"])
    assert first["released_by"] == said["by"]
    # An office that comes second is told that its word was not recorded.
    mine = by[said["by"]] == "office"
    for answer in (answers[0], answers[2]):
        assert answer.status_code == 200 if mine else code_of(answer) == "hold-released"
    notices = [row["kind"] for row in await farmer.read("/notices")]
    assert notices.count("released") == 1
    events = await trade.value(
        "SELECT count(*) FROM event WHERE kind = 'release' AND details ->> 'hold' = :hold",
        hold=held["hold"],
    )
    assert events == 1
    now = await farmer.lot(lot)
    holds = await trade.value(
        "SELECT b.holds FROM lot_balance b JOIN lot l ON l.id = b.lot_id WHERE l.public_id = :lot",
        lot=UUID(lot),
    )
    assert holds == int(now["on_hold"])
    return by[said["by"]], now["on_hold"], order


async def test_an_office_and_a_laboratory_release_the_same_lot_at_once(trade: Trade) -> None:
    """Whoever comes first ends the hold, in its own name; the other finds it ended."""
    chance = random.Random(7)
    ended = [await _race(trade, chance, None) for _ in range(ROUNDS)]
    assert {who for who, _, _ in ended} == {"office", "lab"}
    assert {held for _, held, _ in ended} == {False}


async def test_an_office_releases_while_a_laboratory_confirms_the_failure(trade: Trade) -> None:
    """A finding that comes after the release holds the lot anew; an office that knew it may."""
    chance = random.Random(8)
    ended = [await _race(trade, chance, "0.5") for _ in range(ROUNDS)]
    assert {who for who, _, _ in ended} == {"office"}
    for _, held, order in ended:
        assert held == (order["hold.release"] < order["test.recorded"])
    assert {held for _, held, _ in ended} == {True, False}


async def test_measures_stop_their_clocks(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    elsewhere = await office(trade, "3205")
    sample = await sampled(supervisors, await farmer.opens(CHIVES, 10))
    started = {"step": "started", "words": "立案调查"}
    path = f"/samples/{sample}/measures"
    early = await supervisors.put(f"{path}/{new_id()}", started)
    assert code_of(early) == "sample-not-failed"
    nothing = await supervisors.put(f"{path}/{new_id()}", {"step": "published", "words": "网站"})
    assert code_of(nothing) == "nothing-to-publish"
    await judged(laboratory, sample, report(("克百威", "0.5")))
    strange = await elsewhere.put(f"{path}/{new_id()}", started)
    assert code_of(strange) == "hold-not-yours"
    measure = new_id()
    await supervisors.make(f"{path}/{measure}", started)
    await supervisors.make(f"{path}/{measure}", started, status=200)
    reused = await supervisors.put(f"{path}/{measure}", {**started, "words": "另案"})
    assert code_of(reused) == "id-reused"
    future = {**started, "made_at": "2026-07-01T00:00:00Z"}
    assert code_of(await supervisors.put(f"{path}/{new_id()}", future)) == "impossible-date"
    trade.clock.now += timedelta(days=60)
    finished = await supervisors.make(
        f"{path}/{new_id()}", {"step": "finished", "words": "罚款，销毁"}
    )
    ended = {clock["kind"]: clock["overdue"] for clock in finished["deadlines"]}
    # The result was not published in twenty working days, and that shows.
    assert (ended["handling_start"], ended["handling_finish"]) == (False, False)
    assert ended["publication"] is True
    async with trade.database.reading() as session:
        late = await queries.overdue(session, trade.clock(), most=10)
    assert [(deadline.kind, str(found.public_id)) for deadline, found in late] == [
        ("publication", sample)
    ]
    await supervisors.make(f"{path}/{new_id()}", {"step": "published", "words": "市局网站"})
    async with trade.database.reading() as session:
        assert await queries.overdue(session, trade.clock(), most=10) == []


async def test_the_end_of_handling_is_put_off_once_with_the_heads_approval(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    elsewhere = await office(trade, "3205")
    sample = await sampled(supervisors, await farmer.opens(CHIVES, 10))
    path, body = f"/samples/{sample}/extensions", {"reason": "案情复杂", "approved_by": "赵局长"}

    async def refused_to(who: Actor, public_id: str | None = None, **more: Any) -> str:
        return code_of(await who.put(f"{path}/{public_id or new_id()}", {**body, **more}))

    assert await refused_to(farmer) == "not-allowed"
    assert code_of(await supervisors.put(f"/samples/{new_id()}/extensions/{new_id()}", body)) == (
        "unknown-sample"
    )
    objection = {"kind": "objection_lab"}
    assert await refused_to(elsewhere, **objection) == "hold-not-yours"
    assert await refused_to(supervisors, **objection) == "clock-not-extendable"
    assert await refused_to(supervisors) == "clock-not-running"
    failed = await judged(laboratory, sample, report(("克百威", "0.5")))
    before = {clock["kind"]: clock["due_at"] for clock in failed["deadlines"]}
    # The 90 days end on 16 September 2026 in Nantong, and 30 more on 16 October.
    assert before["handling_finish"] == "2026-09-16T16:00:00Z"
    nameless = await supervisors.put(f"{path}/{new_id()}", {"reason": "案情复杂"})
    assert code_of(nameless) == "malformed-request"
    trade.clock.now = datetime.fromisoformat(before["handling_finish"]) - timedelta(seconds=1)
    extension = new_id()
    answers = await asyncio.gather(
        *(supervisors.put(f"{path}/{extension}", body) for _ in range(3)),
        supervisors.put(f"{path}/{new_id()}", body),
    )
    codes = [answer.status_code for answer in answers]
    won = next(answer for answer in answers if answer.status_code == 201)
    assert sorted(codes) in ([200, 200, 201, 409], [201, 409, 409, 409])
    told = won.json()
    after = {clock["kind"]: clock["due_at"] for clock in told["deadlines"]}
    assert after == {**before, "handling_finish": "2026-10-16T16:00:00Z"}
    (made,) = told["extensions"]
    assert (made["due_before"], made["due_at"]) == (
        before["handling_finish"],
        after["handling_finish"],
    )
    assert (made["approved_by"], made["verified"]) == ("赵局长", False)
    assert (await farmer.read(f"/samples/{sample}"))["extensions"][0]["approved_by"] is None
    assert await refused_to(supervisors, made["extension"], reason="!") == "id-reused"
    assert await refused_to(supervisors) == "extended-already"
    kinds = await trade.rows("SELECT kind FROM entry WHERE kind = 'test.extended'")
    assert len(kinds) == 1
    trade.clock.now = datetime.fromisoformat(after["handling_finish"]) - timedelta(seconds=1)
    async with trade.database.reading() as session:
        late = await queries.overdue(session, trade.clock(), most=10)
    assert "handling_finish" not in {deadline.kind for deadline, _ in late}
    trade.clock.now += timedelta(seconds=1)
    assert await refused_to(supervisors) == "extension-late"
    done = {"step": "finished", "words": "罚款，销毁"}
    await supervisors.make(f"/samples/{sample}/measures/{new_id()}", done)
    assert await refused_to(supervisors) == "clock-not-running"


# --- who sees what, who is told -------------------------------------------------------------------


async def test_holders_of_what_came_out_of_a_failed_lot_are_told_once(trade: Trade) -> None:
    farmer, stall, laboratory = await trade.farmer(), await trade.stall(), await lab(trade)
    other, supervisors = await trade.stall(), await office(trade)
    lot = await farmer.opens(CHIVES, 10)
    buyer = await trade.stall()
    ticket = await farmer.sells(stall, line(CHIVES, 5, lot))
    at_stall = received(await stall.decides(ticket["ticket"]))
    await stall.sells(buyer, line(CHIVES, 2, at_stall))  # has not answered yet
    sample = await sampled(supervisors, lot)
    await judged(laboratory, sample, report(("克百威", "0.5")))
    [(kind, payload)] = await trade.rows("SELECT entrypoint, payload FROM pgqueuer")
    for _ in range(2):  # A job that is done twice tells once.
        async with trade.database.transaction() as session:
            await HANDLERS[kind](session, payload, trade.clock())
    for told_of in (stall, buyer):
        [told] = await told_of.read("/notices")
        assert (told["kind"], told["subject"], told["goods"]) == (
            "test_failed",
            sample,
            ["韭菜"],
        )
    # The office is told that a recall is due, of how many lots and parties.
    [due] = await supervisors.read("/notices")
    assert (due["kind"], due["subject"]) == ("recall_due", sample)
    assert (due["facts"]["lots"], due["facts"]["parties"]) == ("2", "3")
    assert await other.read("/notices") == []


async def test_a_case_is_read_by_those_whose_business_it_is(trade: Trade) -> None:
    farmer, stall, laboratory = await trade.farmer(), await trade.stall(), await lab(trade)
    supervisors, elsewhere = await office(trade), await office(trade, "3205")
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(supervisors, lot)
    assert code_of(await laboratory.get(f"/samples/{sample}")) == "hold-not-yours"
    await judged(laboratory, sample, report(("克百威", None), testers=["李化验"]))
    path = f"/samples/{sample}"
    assert (await laboratory.read(path))["tests"][0]["testers"] == ["李化验"]
    assert (await supervisors.read(path))["tests"][0]["testers"] == ["李化验"]
    assert (await farmer.read(path))["tests"][0]["testers"] is None
    for stranger in (stall, elsewhere):
        assert code_of(await stranger.get(path)) == "hold-not-yours"
        assert await stranger.read("/samples") == []
    # The office of the place where the goods come from, and that of the place where they lie.
    here = await trade.party(RoleKind.STALL, division_code="320500")
    ticket = await farmer.sells(here, line(CHIVES, 5, lot))
    there = await sampled(here, received(await here.decides(ticket["ticket"])), **OWN)
    for reader in (here, elsewhere, supervisors):
        assert there in [one["sample"] for one in await reader.read("/samples")]
        assert (await reader.read(f"/samples/{there}"))["sample"] == there
    for reader in (farmer, supervisors):
        listed = await reader.read("/samples?status=passed")
        assert [(one["sample"], one["verdict"]) for one in listed] == [(sample, "passed")]
    assert await farmer.read("/samples?status=sampled") == []
    assert code_of(await farmer.get(f"/samples/{new_id()}")) == "unknown-sample"


async def test_a_market_sees_what_others_sampled_at_its_stalls(
    database_url: str, clock: FakeClock
) -> None:
    async with open_market(database_url, clock) as market:
        goods = await market.buy(
            market.farmer, market.stall, await market.lot(market.farmer, 20), 9
        )
        sample = await sampled(market.regulator, goods)
        beside = await market.lot(market.stranger, 20, origin="declare")
        other = await sampled(market.regulator, beside)
        for reader, seen in ((market.office, [sample]), (market.regulator, [other, sample])):
            assert [one["sample"] for one in await reader.read("/samples")] == seen
        assert (await market.office.read(f"/samples/{sample}"))["sample"] == sample
        elsewhere = await market.add("rival", "别家市场", RoleKind.MARKET)
        assert await elsewhere.read("/samples") == []


async def test_standings_are_those_of_their_instant(trade: Trade) -> None:
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    lot, other = await farmer.opens(CHIVES, 10), await farmer.opens(CHIVES, 10)
    numbers = {
        str(public): number for number, public in await trade.rows("SELECT id, public_id FROM lot")
    }
    sample = await sampled(supervisors, lot)
    moments = []
    for body in (inhibition(45), None):
        trade.clock.now += timedelta(minutes=10)
        if body is not None:
            await judged(supervisors, sample, body)
        else:
            await judged(laboratory, sample, report(("克百威", None)))
        moments.append(trade.clock())
    async with trade.database.reading() as session:
        asked = [numbers[lot], numbers[other]]
        before = await service.standings(session, asked, moments[0] - timedelta(minutes=1))
        then = await service.standings(session, asked, moments[0])
        now = await service.standings(session, asked, moments[1])
    assert {standing.verdict for standing in before.values()} == {Verdict.UNTESTED}
    assert then[numbers[lot]].verdict is Verdict.SUSPECT
    assert not then[numbers[lot]].statutory
    assert now[numbers[lot]].verdict is Verdict.PASSED
    assert now[numbers[lot]].statutory
    assert str(now[numbers[lot]].sample) == sample
    assert now[numbers[other]].verdict is Verdict.UNTESTED


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("substance", "product", "on", "told"),
    [
        ("腐霉利", CHIVES, "2021-09-02", "限量 0.2 mg/kg"),
        ("腐霉利", CHIVES, "2021-09-03", "限量 5 mg/kg"),
        ("腐霉利", TOMATOES, "2021-09-03", "无限量规定，不等于合格"),
        ("克伦特罗", 45, "2026-06-18", "不得检出"),
        ("甲基对硫磷", 37, "2026-06-18", "限量 0.01 mg/kg"),
        ("甲基对硫磷", 39, "2026-06-18", "限量 0.02 mg/kg"),
        ("吡虫啉", 10, "2026-06-18", "限量 2 mg/kg"),
        ("吡虫啉", 11, "2026-06-18", "限量 0.1 mg/kg"),
        ("吡虫啉", EGGS, "2026-06-18", "限量 0.02 mg/kg"),
        ("土霉素", 45, "2020-03-31", "限量 100 μg/kg"),
        ("土霉素", 45, "2020-04-01", "限量 200 μg/kg"),
    ],
)
async def test_the_limit_of_a_substance_in_a_product_on_a_day(
    trade: Trade, substance: str, product: int, on: str, told: str
) -> None:
    path = f"/limits?substance={substance}&product={product}&on={on}"
    answer = (await trade.client.get(path)).json()
    assert answer["told"]["zh"] == told
    assert (answer["limit"] is None) is (answer["ground"] == "no_limit")


async def test_limits_and_methods_are_open_and_say_where_they_come_from(trade: Trade) -> None:
    answer = await trade.client.get("/limits?substance=imidacloprid&product=49")
    assert answer.json()["limit"] | {"valid_from": ""} == {
        "food": "蛋类",
        "scope": "category",
        "state": None,
        "limit": "0.02 mg/kg",
        "temporary": True,
        "valid_from": "",
        "valid_to": None,
        "source": "GB 2763-2026 §4.48 (third-party transcription)",
        "verified": False,
    }
    assert code_of(await trade.client.get("/limits?substance=x&product=49")) == "unknown-substance"
    assert code_of(await trade.client.get("/limits?substance=铅&product=9999")) == (
        "unknown-product"
    )
    methods = (await trade.client.get("/test-methods")).json()
    bands = {
        method["code"]: (method["suspect_from"], method["positive_from"]) for method in methods
    }
    assert bands["inhibition-gbt5009.199"] == ("40", "50")
    assert bands["inhibition-nyt448"] == (None, "70")
    assert (await trade.client.get("/test-methods?on=2000-01-01")).json() == []
