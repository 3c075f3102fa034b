"""Scenarios of domain.md §8 in which tests decide; each through HTTP, from beginning to end."""

from collections.abc import AsyncIterator

import pytest

from app.party.access import RoleKind
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
    returned,
)
from tests.laboratory import inhibition, judged, lab, office, report, sampled
from tests.recalls import do_jobs
from tests.scenarios.chives import chives_of_three_at_five_stalls


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url) as trade:
        yield trade
        assert trade.faults == []


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
    await do_jobs(trade)
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
    """(1) 3 farmers' 韭菜, form 2, 5 stalls, a school rejects part, quick test 58 % → CLEARED."""
    chives = await chives_of_three_at_five_stalls(trade)
    stall, school, [lot, *others] = chives.stalls[0], chives.school, chives.at_stalls
    assert chives.form_2["kind"] == "conformity_purchaser"
    assert chives.form_2["mass_g"] == 90_000
    back = await stall.read(f"/lots/{lot}/trace?direction=back")
    assert {source["lot"]: source["mass_g"] for source in back["sources"]} == dict.fromkeys(
        chives.harvests, pytest.approx(16_000 / 3, abs=1)
    )

    # The first stall brings 10 kg to a school, which takes 7 and sends 3 wilted ones back.
    brought = await stall.sells(school, line(CHIVES, 10, lot))
    kept = await school.decides(brought["ticket"], "accepted_in_part", lines={1: 7_000})
    in_kitchen, sent_back = received(kept), returned(kept)
    assert (await stall.lot(lot))["remaining_g"] == 6_000
    assert (await stall.lot(sent_back))["remaining_g"] == 3_000

    # The office takes what came back for its sample, and the quick test reads 58 %.
    sample = await sampled(chives.supervisors, sent_back)
    found = await judged(chives.supervisors, sample, inhibition(58))
    assert found["status"] == "positive"
    assert [finding["code"] for finding in found["tests"][0]["findings"]] == ["false-positive-crop"]
    again = {"buyer": school.as_buyer, "lines": [line(CHIVES, 2, sent_back)]}
    assert code_of(await stall.put(f"/tickets/{new_id()}", again)) == "lot-on-hold"
    # A reading of chives is a reason to look closer, and none to stop the other four stalls.
    for neighbour, other in zip(chives.stalls[1:], others, strict=True):
        await neighbour.sells(None, line(CHIVES, 1, other))

    # Twice again, and still: now it is presumptive, and the seller has four hours to object.
    assert (await judged(chives.supervisors, sample, inhibition(55)))["status"] == "positive"
    thrice = await judged(chives.supervisors, sample, inhibition(61))
    assert thrice["status"] == "presumptive"
    [clock] = thrice["deadlines"]
    assert (clock["kind"], clock["due_at"]) == ("objection_quick", "2026-06-18T00:00:00Z")

    # The laboratory finds nothing of what the quick method looks for: the hold is lifted.
    cleared = await judged(
        chives.laboratory, sample, report(("克百威", None), ("毒死蜱", "0.01"), ("甲胺磷", None))
    )
    assert (cleared["status"], cleared["verdict"]) == ("cleared", "passed")
    assert (await stall.lot(sent_back))["on_hold"] is False
    kinds = [notice["kind"] for notice in await stall.read("/notices")]
    assert kinds == ["test_cleared", "released", "test_presumptive", "held"]
    # The school takes two of them after all, and half a kilogram stayed with the laboratory.
    sold = await stall.make(f"/tickets/{new_id()}", again)
    await school.decides(sold["ticket"])
    assert (await stall.lot(sent_back))["remaining_g"] == 3_000 - 500 - 2_000
    assert (await school.lot(in_kitchen))["on_hold"] is False
