"""Scenarios of domain.md §8 in which goods are called back; each through HTTP, to the end."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.party.access import RoleKind
from tests.factories import CHIVES, Trade, code_of, line, new_id, open_trade, received
from tests.laboratory import inhibition, judged, report, sampled
from tests.recalls import account_for, do_jobs, lots_of, office_of, order
from tests.scenarios.chives import chives_of_three_at_five_stalls

SHANGHAI = "310115"


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url) as trade:
        yield trade
        assert trade.faults == []


async def test_2_chives_with_carbofuran_are_called_back_from_five_stalls(  # noqa: PLR0915 (a story)
    trade: Trade,
) -> None:
    """(2) 43 % "suspect" → lab 克百威 fail → recall closure of 5 stalls + siblings."""
    chives = await chives_of_three_at_five_stalls(trade)
    farmers, collector, stalls = chives.farmers, chives.collector, chives.stalls
    school, office, laboratory = chives.school, chives.supervisors, chives.laboratory
    harvests, mixed, held = chives.harvests, chives.mixed, chives.at_stalls
    # The first stall sells 6 kg to a school, and 1 kg to somebody passing.
    ticket = await stalls[0].sells(school, line(CHIVES, 6, held[0]))
    in_kitchen = received(await school.decides(ticket["ticket"]))
    passer_by = await stalls[0].sells(None, line(CHIVES, 1, held[0]))

    # 02:10: the quick test at the first stall reads 43 %. The lot is held until the lab has spoken.
    sample = await sampled(office, held[0])
    suspect = await judged(office, sample, inhibition(43))
    assert suspect["status"] == "suspect"
    sale = {"buyer": school.as_buyer, "lines": [line(CHIVES, 1, held[0])]}
    assert code_of(await stalls[0].put(f"/tickets/{new_id()}", sale)) == "lot-on-hold"
    # The other stalls sell on in the meantime.
    await stalls[1].sells(None, line(CHIVES, 2, held[1]))

    # Next day the laboratory finds carbofuran: the sample has failed, and its clocks begin.
    trade.clock.advance(hours=20)
    failed = await judged(laboratory, sample, report(("克百威", "0.31"), ("腐霉利", "3")))
    assert failed["status"] == "confirmed_fail"
    verdicts = {item["substance"]: item["verdict"] for item in failed["tests"][1]["items"]}
    assert verdicts == {"克百威": "fail", "腐霉利": "pass"}
    assert {clock["kind"] for clock in failed["deadlines"]} == {
        "objection_lab",
        "lab_report",
        "handling_start",
        "handling_finish",
        "publication",
    }
    await do_jobs(trade)
    for actor in (stalls[0], collector, school):
        assert "test_failed" in [notice["kind"] for notice in await actor.read("/notices")]
    # It is the office's to act now, and it is told what a recall would reach from here.
    [due] = [row for row in await office.read("/notices") if row["kind"] == "recall_due"]
    assert (due["subject"], due["facts"]["lot"]) == (sample, held[0])
    assert (due["facts"]["lots"], due["facts"]["parties"]) == ("3", "2")

    # How far would a recall reach?
    seen = await office.send("POST", "/recall-scopes", {"found": [held[0]]})
    assert seen.json()["lots"] == 3 + 3 + 1 + 5 + 1 + 2
    recall = new_id()
    body = order(trade, held[0], reason="克百威 0.31 mg/kg, 限量 0.02 mg/kg")
    opened = await office.make(f"/recalls/{recall}", body)
    assert opened["clocks"]["started_late"] is False
    at = f"/recalls/{recall}"
    lots = await lots_of(office, recall)
    assert {lot for lot, row in lots.items() if row["relation"] == "source"} == set(harvests)
    assert {lot for lot, row in lots.items() if row["relation"] == "sibling"} >= set(held[1:])
    assert lots[in_kitchen]["relation"] == "descendant"

    # From this instant nobody sells any of it: not the five stalls, not the farmers' own rest.
    for seller, lot in ((stalls[3], held[3]), (collector, mixed), (farmers[2], harvests[2])):
        sale = {"buyer": {"walk_in": True}, "lines": [line(CHIVES, 1, lot)]}
        assert code_of(await seller.put(f"/tickets/{new_id()}", sale)) == "lot-on-hold"

    # All ten holders find a notice; the first stall prints one for whoever bought at its counter.
    told = [*farmers, collector, *stalls, school]
    for actor in told:
        assert (recall, "recalled") in [
            (row["subject"], row["kind"]) for row in await actor.read("/notices")
        ]
    letter = await stalls[0].read(f"{at}/letter")
    assert [row["ticket"] for row in letter["sales"]] == [passer_by["ticket"]]
    poster = {
        "channel": "poster",
        "buyers": 1,
        "mass_g": 1_000,
        "note": "摊位张贴",
        "told_at": trade.clock().isoformat(),
    }
    await stalls[0].make(f"{at}/forwardings/{new_id()}", poster)
    # The school answers first: 4 kg are in the cold store, 2 kg were eaten at noon.
    answer = {"note": "已封存", "located": [{"lot": in_kitchen, "mass_g": 4_000}]}
    await school.make(f"{at}/acknowledgements/{school.public_id}", answer, status=200)
    eaten = {"lot": in_kitchen, "kind": "consumed", "mass_g": 2_000, "note": "午餐已用"}
    own_word = await school.put(f"{at}/steps/{new_id()}", eaten)
    assert code_of(own_word) == "consumed-by-own-word"
    await office.make(f"{at}/steps/{new_id()}", eaten)
    assert (await school.lot(in_kitchen))["remaining_g"] == 4_000

    # It cannot be closed while goods are missing.
    done = {"outcome": "completed", "reason": "全部核清"}
    refused = await office.put(f"{at}/closure", done)
    assert code_of(refused) == "recall-grams-open"
    assert refused.json()["facts"]["left_g"] == 120_000 - 1_000 - 500 - 2_000 - 2_000

    # The office collects the rest, sees it destroyed, and signs off within the ten working days.
    trade.clock.advance(days=3)
    await account_for(office, recall)
    closed = await office.make(f"{at}/closure", done, status=200)
    totals = closed["totals"]
    assert totals["accounted_permille"] == 1000
    assert (totals["gone_g"], totals["consumed_g"], totals["destroyed_g"]) == (
        3_500,  # sold to people who passed, and half a kilogram for the laboratory
        2_000,
        114_500,
    )
    assert closed["clocks"]["overdue"] is False
    # The office has dealt with the failure: what it reports stops the clocks of the sample.
    for step in ("started", "finished", "published"):
        await office.make(
            f"/samples/{sample}/measures/{new_id()}", {"step": step, "words": "召回并销毁"}
        )
    after = await office.read(f"/samples/{sample}")
    running = {clock["kind"] for clock in after["deadlines"] if clock["done_at"] is None}
    assert running == {"objection_lab"}
    assert await trade.value("SELECT sum(remaining_g) FROM lot_balance") == 0


async def test_8_a_buyer_in_shanghai_is_reached_across_the_provinces(trade: Trade) -> None:
    """(8) Shanghai buyer: cross-province request."""
    farmer, home = await trade.farmer(), await office_of(trade, "3206")
    buyer = await trade.party(RoleKind.SUPERMARKET, division_code=f"{SHANGHAI}001")
    shanghai = await office_of(trade, SHANGHAI, division_code=SHANGHAI)

    # Qidong chives go to Shanghai at night.
    lot = await farmer.opens(kg=200)
    ticket = await farmer.sells(buyer, line(CHIVES, 150, lot))
    there = received(await buyer.decides(ticket["ticket"]))

    # In Nantong somebody complains. Nantong's office does not answer for a shop in Shanghai ...
    hold = {"lot": there, "reason": "投诉"}
    assert code_of(await home.put(f"/holds/{new_id()}", hold)) == "hold-not-yours"
    # ... so it calls back what it answers for, at the source; all that came of it stands still,
    # in Shanghai too, and Shanghai's office is told.
    recall = new_id()
    await home.make(f"/recalls/{recall}", order(trade, lot, trigger="complaint"))
    sale = {"buyer": {"walk_in": True}, "lines": [line(CHIVES, 1, there)]}
    assert code_of(await buyer.put(f"/tickets/{new_id()}", sale)) == "lot-on-hold"
    told = [(row["kind"], row["subject"]) for row in await shanghai.read("/notices")]
    assert told == [("recall_reported", recall)]

    # It asks Shanghai to look, within five working days.
    referral = new_id()
    question = {
        "lot": there,
        "recall": recall,
        "division_code": SHANGHAI,
        "question": "请核查门店库存并封存",
    }
    asked = await home.make(f"/referrals/{referral}", question)
    assert asked["overdue"] is False
    assert (await home.read(f"/recalls/{recall}"))["totals"]["unanswered"] == 1

    # Shanghai sees the case, counts the shelves, and answers; it speaks for the shop.
    trade.clock.advance(days=1)
    at = f"/recalls/{recall}"
    assert there in await lots_of(shanghai, recall)
    found = {"lot": there, "kind": "located", "mass_g": 150_000, "note": "现场核查"}
    await shanghai.make(f"{at}/steps/{new_id()}", found)
    visited = {"note": "现场送达"}
    await shanghai.make(f"{at}/acknowledgements/{buyer.public_id}", visited, status=200)
    reply = {"answer": "库存 150 公斤，已封存"}
    await shanghai.make(f"/referrals/{referral}/answer", reply, status=200)
    kinds = [row["kind"] for row in await home.read("/notices")]
    assert "referral_answered" in kinds
    # What it does not answer for it cannot say: the farm's rest, or that the case is closed.
    beyond = {**found, "lot": lot, "mass_g": 1}
    assert code_of(await shanghai.put(f"{at}/steps/{new_id()}", beyond)) == "recall-not-yours"
    lifted = {"outcome": "lifted", "reason": "复检合格"}
    assert code_of(await shanghai.put(f"{at}/closure", lifted)) == "recall-not-yours"

    # The laboratory finds nothing: the case is lifted, and the shop sells again.
    trade.clock.advance(hours=6)
    closed = await home.make(f"{at}/closure", lifted, status=200)
    assert closed["totals"]["unanswered"] == 0
    later = (trade.clock() - timedelta(minutes=1)).isoformat()
    await buyer.make(f"/tickets/{new_id()}", {**sale, "sold_at": later})
