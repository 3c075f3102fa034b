"""Scenarios of domain.md §8 in which tests decide; each through HTTP, from beginning to end."""

from collections.abc import AsyncIterator

import pytest

from app.party.access import RoleKind
from app.recall.jobs import HANDLERS
from tests.factories import (
    CHIVES,
    EGGS,
    MUNG_BEANS,
    SPROUTS,
    Trade,
    code_of,
    line,
    new_id,
    open_trade,
    received,
)
from tests.laboratory import INHIBITION, inhibition, judged, lab, office, report, sampled


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url) as trade:
        yield trade
        assert trade.faults == []


async def _do_jobs(trade: Trade) -> None:
    for kind, payload in await trade.rows("SELECT entrypoint, payload FROM pgqueuer ORDER BY id"):
        async with trade.database.transaction() as session:
            await HANDLERS[kind](session, payload, trade.clock())


async def test_5_sprouts_with_a_growth_regulator_lead_back_to_the_workshop(trade: Trade) -> None:
    """(5) 豆芽 4-氯苯氧乙酸钠, tickets back to a workshop."""
    workshop = await trade.party(RoleKind.PROCESSOR)
    stall, kitchen = await trade.stall(), await trade.party(RoleKind.GROUP_BUYER)
    supervisors, laboratory = await office(trade), await lab(trade)

    # A workshop sprouts 10 kg of mung beans into 80 kg, and a stall sells 30 kg of it to a kitchen.
    beans = await workshop.opens(MUNG_BEANS, 10, origin="declare")
    sprouts = new_id()
    await workshop.make(
        f"/transforms/{new_id()}",
        {
            "process": "sprout_mung",
            "inputs": [{"lot": beans}],
            "outputs": [{"lot": sprouts, "product": SPROUTS, "quantity": "80", "unit": "公斤"}],
        },
    )
    sold = await workshop.sells(stall, line(SPROUTS, 80, sprouts))
    at_stall = received(await stall.decides(sold["ticket"]))
    resold = await stall.sells(kitchen, line(SPROUTS, 30, at_stall))
    in_kitchen = received(await kitchen.decides(resold["ticket"]))

    # An office takes a sample at the stall; the laboratory finds what may not be in sprouts at all.
    sample = await sampled(supervisors, at_stall)
    found = await judged(laboratory, sample, report(("对氯苯氧乙酸钠", "0.05")))
    assert found["status"] == "confirmed_fail"
    [item] = found["tests"][0]["items"]
    assert (item["substance"], item["verdict"]) == ("4-氯苯氧乙酸钠", "fail")
    assert item["limit"]["limit"] == "不得检出"

    # What the stall has left is on hold at once; the office follows the tickets back.
    refused = await stall.put(
        f"/tickets/{new_id()}", {"buyer": kitchen.as_buyer, "lines": [line(SPROUTS, 1, at_stall)]}
    )
    assert code_of(refused) == "lot-on-hold"
    back = await supervisors.read(f"/lots/{at_stall}/trace?direction=back")
    assert {node["lot"] for node in back["nodes"]} >= {beans, sprouts, at_stall}
    holders = {node["holder"]["party"] for node in back["nodes"] if node["lot"] == sprouts}
    assert holders == {str(workshop.public_id)}
    # The kitchen that holds some of it is told, and so is the workshop that delivered it.
    await _do_jobs(trade)
    for who in (stall, kitchen, workshop):
        kinds = [notice["kind"] for notice in await who.read("/notices")]
        assert "test_failed" in kinds
    forward = await supervisors.read(f"/lots/{at_stall}/trace?direction=forward")
    assert in_kitchen in {node["lot"] for node in forward["nodes"]}


async def test_6_eggs_with_florfenicol_are_judged_by_the_limits_of_their_day(trade: Trade) -> None:
    """(6) 鸡蛋 氟苯尼考, limits by date."""
    layers, market = await trade.party(RoleKind.FAMILY_FARM), await office(trade)
    laboratory = await lab(trade)

    async def outcome_on(day: str, amount: str) -> tuple[str, str | None]:
        at = f"{day}T06:00:00+08:00"
        eggs = await layers.opens(EGGS, 50, origin="lay", occurred_at=at, made_on=day)
        sample = await sampled(market, eggs, taken_at=at)
        body = report(("氟苯尼考", amount), unit="μg/kg", tested_at=at)
        found = await judged(laboratory, sample, body)
        return found["status"], found["tests"][0]["items"][0]["limit"]["source"]

    # Laying hens were not to get it at all; since 2023 ten micrograms are tolerated.
    assert await outcome_on("2022-12-01", "8") == (
        "confirmed_fail",
        "GB 31650-2019 (banned in laying hens)",
    )
    assert await outcome_on("2023-02-01", "8") == ("passed", "GB 31650.1-2022")
    assert await outcome_on("2026-06-01", "10") == ("passed", "GB 31650.1-2022")
    assert await outcome_on("2026-06-01", "10.1") == ("confirmed_fail", "GB 31650.1-2022")
    answer = await market.read("/limits?substance=florfenicol&product=49&on=2022-12-01")
    assert (answer["ground"], answer["told"]["zh"]) == ("banned", "不得检出")


async def test_1_chives_that_only_seem_to_fail_are_cleared_by_the_laboratory(trade: Trade) -> None:
    """(1), its end: quick test 58 % → lab CLEARED (false positive crop)."""
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    school = await trade.party(RoleKind.GROUP_BUYER)
    chives = await farmer.opens(CHIVES, 60)
    sample = await sampled(supervisors, chives)

    found = await judged(supervisors, sample, inhibition(58))
    assert found["status"] == "positive"
    assert [finding["code"] for finding in found["tests"][0]["findings"]] == ["false-positive-crop"]
    ticket = {"buyer": school.as_buyer, "lines": [line(CHIVES, 10, chives)]}
    assert code_of(await farmer.put(f"/tickets/{new_id()}", ticket)) == "lot-on-hold"

    # Twice again, and still: now it is presumptive, and the seller has four hours to object.
    assert (await judged(supervisors, sample, inhibition(55)))["status"] == "positive"
    again = await judged(supervisors, sample, inhibition(61))
    assert again["status"] == "presumptive"
    [clock] = again["deadlines"]
    assert (clock["kind"], clock["due_at"]) == ("objection_quick", "2026-06-18T00:00:00Z")

    # The laboratory finds nothing of what the quick method looks for: the hold is lifted.
    cleared = await judged(
        laboratory, sample, report(("克百威", None), ("毒死蜱", "0.01"), ("甲胺磷", None))
    )
    assert (cleared["status"], cleared["verdict"]) == ("cleared", "passed")
    assert (await farmer.lot(chives))["on_hold"] is False
    await farmer.make(f"/tickets/{new_id()}", ticket)
    kinds = [notice["kind"] for notice in await farmer.read("/notices")]
    assert kinds == ["test_cleared", "released", "test_presumptive", "held"]


async def test_2_chives_that_are_merely_suspect_fail_in_the_laboratory(trade: Trade) -> None:
    """(2), its beginning: 43 % "suspect" → lab 克百威 fail."""
    farmer, supervisors, laboratory = await trade.farmer(), await office(trade), await lab(trade)
    chives = await farmer.opens(CHIVES, 60)
    sample = await sampled(supervisors, chives)
    found = await judged(supervisors, sample, inhibition(43))
    assert (found["status"], found["tests"][0]["method"]) == ("suspect", INHIBITION)
    assert (await farmer.lot(chives))["on_hold"] is True
    failed = await judged(laboratory, sample, report(("克百威", "0.021"), ("腐霉利", "3")))
    assert failed["status"] == "confirmed_fail"
    verdicts = {item["substance"]: item["verdict"] for item in failed["tests"][1]["items"]}
    assert verdicts == {"克百威": "fail", "腐霉利": "pass"}
    kinds = {clock["kind"] for clock in failed["deadlines"]}
    assert kinds == {
        "objection_lab",
        "lab_report",
        "handling_start",
        "handling_finish",
        "publication",
    }
