"""What early warnings, and the papers' own dates, do to goods at a gate."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.admission import doubts
from app.supervision import service
from app.supervision.rules import RuleCode
from tests.conftest import FakeClock
from tests.factories import CHIVES, VILLAGE, Json, new_id
from tests.gate import agrees, inspects, scanned
from tests.laboratory import inhibition, judged, sampled
from tests.market import Market, open_market


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    """A market whose stall has signed the agreement, on a database of the test's own."""
    async with open_market(database_url, clock) as opened:
        await agrees(opened, opened.stall)
        await agrees(opened, opened.coop)
        await agrees(opened, opened.collector)
        yield opened


async def look(market: Market, code: RuleCode) -> None:
    """Run a rule as the worker does, a while later."""
    market.clock.advance(minutes=5)
    async with market.trade.database.transaction() as session:
        await service.run(session, code, now=market.clock())


async def shown(market: Market, line: Json) -> tuple[str, list[Json]]:
    """Show one line at the gate; answer the decision, and what doubts were told."""
    (told,) = (await inspects(market, line))["lines"]
    found = [one for one in told["findings"] if one["code"] == "implausible"]
    for one in found:
        assert (one["rule"], one["verified"]) == ("gate-implausible", False)
        assert (one["severity"], one["satisfied_by"]) == ("test", ["test_passed"])
    return told["decision"], [doubt for one in found for doubt in one["facts"]["doubts"]]


async def close(market: Market, state: str) -> str:
    """Say of the only open warning what became of it; answer its id."""
    (warning,) = await market.regulator.read("/warnings?state=open")
    said = {"state": state, "reason": "已到现场核查"}
    await market.regulator.make(f"/warnings/{warning['warning']}/handling", said, status=200)
    return str(warning["warning"])


async def oversold(market: Market) -> tuple[str, Json]:
    """Certify a lot and sell it; somebody declares as much under the certificate's number."""
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    ticket = await market.sell(market.coop, market.stall, lot, 90, market=str(market.site))
    papers = [{"kind": "other", "number": certificate["code"]}]
    await market.collector.opens(kg=90, origin="declare", documents=papers)
    return lot, ticket


@pytest.mark.parametrize("state", ["false", "handled"])
async def test_an_open_warning_asks_for_a_test_and_a_closed_one_for_nothing(
    market: Market, state: str
) -> None:
    _, ticket = await oversold(market)
    other = await market.sound_ticket()
    assert await shown(market, scanned(ticket, mass_g=1_000)) == ("ADMIT", [])
    await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    decision, told = await shown(market, scanned(ticket, mass_g=1_000))
    assert (decision, len(told)) == ("ADMIT_AFTER_TEST", 1)
    assert await shown(market, scanned(other, mass_g=1_000)) == ("ADMIT", [])
    warning = await close(market, state)
    assert told == [{"kind": "certificate-oversold", "warning": warning}]
    assert await shown(market, scanned(ticket, mass_g=1_000)) == ("ADMIT", [])


async def test_a_test_that_passed_answers_the_warning(market: Market) -> None:
    lot, ticket = await oversold(market)
    await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    assert (await shown(market, scanned(ticket, mass_g=1_000)))[0] == "ADMIT_AFTER_TEST"
    sample = await sampled(market.regulator, lot)
    await judged(market.regulator, sample, inhibition(10))
    assert await shown(market, scanned(ticket, mass_g=1_000)) == ("ADMIT", [])


async def test_a_warning_about_a_plot_is_about_the_crop_of_its_season(market: Market) -> None:
    plot = new_id()
    body = {"kind": "plot", "name": "东头地", "division_code": VILLAGE, "valid_from": "2020-01-01"}
    await market.coop.make(f"/places/{plot}", {**body, "area_m2": 667})

    async def harvest(kilograms: float, day: str) -> Json:
        lot = await market.lot(market.coop, kilograms, plot=plot, division_code=None, made_on=day)
        return await market.certify(market.coop, lot, kilograms)

    def line(certificate: Json) -> Json:
        return {"id": new_id(), "text": certificate["url"], "mass_g": 1_000}

    before = await harvest(100, "2026-03-01")
    first, second = await harvest(3_000, "2026-05-10"), await harvest(3_000, "2026-06-10")
    await look(market, RuleCode.PLOT_OVER_YIELD)
    assert await shown(market, line(before)) == ("ADMIT", [])
    for certificate in (first, second):
        decision, told = await shown(market, line(certificate))
        assert (decision, [one["kind"] for one in told]) == (
            "ADMIT_AFTER_TEST",
            ["plot-over-yield"],
        )
    # Whoever buys it, and whoever buys it from him, has goods of that crop.
    bought = await market.buy(market.coop, market.stall, second["lot"], 100)
    resold = await market.sell(market.stall, market.stranger, bought, 10)
    assert (await market.scan(resold["url"], market.stranger))["decision"] == "ADMIT_AFTER_TEST"


async def test_a_harvest_before_its_time_is_doubted_in_whatever_it_went_into(
    market: Market,
) -> None:
    plot = new_id()
    body = {"kind": "plot", "name": "东头地", "division_code": VILLAGE, "valid_from": "2020-01-01"}
    await market.coop.make(f"/places/{plot}", body)
    treatment = {
        "plot": plot,
        "substance": "吡虫啉",
        "dose": "20 克/亩",
        "applied_at": "2026-06-01T08:00+08:00",
        "product": CHIVES,
    }
    await market.coop.make(f"/treatments/{new_id()}", treatment)
    early = await market.lot(market.coop, 50, plot=plot, division_code=None, made_on="2026-06-14")
    await market.certify(market.coop, early, 50)
    sound = await market.certified(50)
    bought = [await market.buy(market.coop, market.collector, lot, 40) for lot in (early, sound)]
    mixed = await market.merge(market.collector, bought)
    await look(market, RuleCode.PREHARVEST_INTERVAL)
    doubted = await market.sell(market.collector, market.stall, mixed, 60, market=str(market.site))
    other = await market.sell(market.coop, market.stall, sound, 10, market=str(market.site))
    decision, told = await shown(market, scanned(doubted))
    assert (decision, [one["kind"] for one in told]) == (
        "ADMIT_AFTER_TEST",
        ["preharvest-interval"],
    )
    assert await shown(market, scanned(other)) == ("ADMIT", [])


async def test_a_certificate_younger_than_the_sale_waits_for_no_job(market: Market) -> None:
    """Until somebody has called the warning about it false: then it is not raised again."""
    now = market.clock()
    day = (now - timedelta(days=3)).date().isoformat()
    lot = await market.lot(market.coop, 100, made_on=day)
    certificate = await market.certify(market.coop, lot, 100)
    async with market.trade.database.transaction() as session:
        (grace,) = await doubts.graces(session)
    market.clock.advance(minutes=1)
    sound = await market.sell(
        market.coop, market.stall, lot, 10, sold_at=(now - timedelta(minutes=1)).isoformat()
    )
    assert await shown(market, scanned(sound)) == ("ADMIT", [])
    # The lot was in the books long before it was certified.
    late = grace.lasts + timedelta(minutes=1)
    await market.trade.execute("UPDATE lot SET created_at = created_at - make_interval(days => 2)")
    ticket = await market.sell(
        market.coop,
        market.stall,
        lot,
        10,
        sold_at=(now - late).isoformat(),
        market=str(market.site),
    )
    decision, told = await shown(market, scanned(ticket, mass_g=1_000))
    assert (decision, told) == (
        "ADMIT_AFTER_TEST",
        [{"kind": "certificate-after-sale", "certificate": certificate["certificate"]}],
    )
    await look(market, RuleCode.CERTIFICATE_AFTER_SALE)
    decision, (warned,) = await shown(market, scanned(ticket, mass_g=1_000))
    assert decision == "ADMIT_AFTER_TEST"
    assert warned == {
        "kind": "certificate-after-sale",
        "warning": await close(market, "false"),
    }
    assert await shown(market, scanned(ticket, mass_g=1_000)) == ("ADMIT", [])
