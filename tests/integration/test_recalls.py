"""Recalls: how far they reach, what they stop, what adds up in them, and how they end."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from pypdf import PdfReader
from python_calamine import CalamineWorkbook

from app.ledger.queries import held_since
from app.party.access import Department, RoleKind
from app.signing import shortcode
from tests.factories import (
    CHIVES,
    Actor,
    Json,
    Trade,
    code_of,
    line,
    new_id,
    open_trade,
    received,
)
from tests.integration.conftest import audit
from tests.laboratory import OWN, sample_of, sampled
from tests.market import Market
from tests.recalls import (
    Morning,
    account_for,
    disposal,
    lots_of,
    of_department,
    office_of,
    order,
    photo,
    picture,
    recalled,
    run_chore,
)


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url, pool_size=12) as trade:
        yield trade
        assert trade.faults == []
        await audit(trade)


@pytest.fixture
async def morning(trade: Trade) -> Morning:
    return await Morning(trade).begin()


# --- scope ------------------------------------------------------------------------------------


async def test_the_scope_is_all_that_shares_a_source(morning: Morning) -> None:
    recall = await recalled(morning.office, morning.at_first)
    lots = await lots_of(morning.office, recall["recall"])
    relations = {lot: row["relation"] for lot, row in lots.items()}
    assert relations == {
        morning.grown: "source",
        morning.other: "source",
        morning.bought[0]: "upstream",
        morning.bought[1]: "upstream",
        morning.mixed: "upstream",
        morning.at_first: "found",
        morning.at_second: "sibling",
        morning.home: "descendant",
    }
    assert recall["siblings"] is True
    # What did not pass on adds up to what the sources were.
    totals = recall["totals"]
    assert totals["total_g"] == 100_000
    for row in lots.values():
        there = row["on_hand_g"] + row["in_transit_g"] + row["gone_g"] + row["passed_on_g"]
        assert there == row["mass_g"]
        assert row["exposed_g"] == row["mass_g"]
    assert lots[morning.at_second]["in_transit_g"] == 5_000
    assert lots[morning.home]["gone_g"] == 2_000
    assert totals["gone_g"] == 2_000
    assert totals["left_g"] == 98_000


async def test_one_suspect_narrows_the_scope_and_the_exposure(morning: Morning) -> None:
    recall = await recalled(morning.office, morning.mixed, suspects=[morning.grown])
    lots = await lots_of(morning.office, recall["recall"])
    assert morning.other not in lots
    assert lots[morning.grown]["relation"] == "source"
    assert lots[morning.at_first]["relation"] == "descendant"
    narrow = await recalled(
        morning.office, morning.bought[0], suspects=[morning.grown], siblings=True
    )
    rows = await lots_of(morning.office, narrow["recall"])
    # 50 of 80 kg of the mix are the farmer's.
    assert rows[morning.at_second]["exposed_g"] == 12_500
    assert rows[morning.at_second]["exposure"] == pytest.approx(0.625)


async def test_without_siblings_only_what_was_made_of_it(morning: Morning) -> None:
    recall = await recalled(morning.office, morning.at_first, siblings=False)
    assert set(await lots_of(morning.office, recall["recall"])) == {morning.at_first, morning.home}


async def test_a_preview_tells_the_same_and_holds_nothing(morning: Morning) -> None:
    body = {"found": [morning.at_first]}
    answer = await morning.office.send("POST", "/recall-scopes", body)
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert (seen["lots"], seen["holders"]) == (8, 5)
    assert {row["relation"]: row["lots"] for row in seen["relations"]} == {
        "descendant": 1,
        "found": 1,
        "sibling": 1,
        "source": 2,
        "upstream": 3,
    }
    assert await morning.trade.value("SELECT max(holds) FROM lot_balance") == 0


# --- the stop ---------------------------------------------------------------------------------


async def test_nothing_in_scope_moves_from_the_instant_of_the_opening(morning: Morning) -> None:
    await recalled(morning.office, morning.at_first)
    stall, school = morning.first, morning.school
    ticket = {"buyer": school.as_buyer, "lines": [line(CHIVES, 1, morning.at_first)]}
    assert code_of(await stall.put(f"/tickets/{new_id()}", ticket)) == "lot-on-hold"
    part = {"lot": new_id(), "quantity": "1", "unit": "公斤"}
    split = {"lot": morning.at_second, "parts": [part]}
    assert code_of(await morning.second.put(f"/splits/{new_id()}", split)) == "lot-on-hold"
    decision = {"outcome": "accepted"}
    refused = await school.put(f"/tickets/{morning.pending}/decision", decision)
    assert code_of(refused) == "lot-on-hold"
    # The neighbour's other harvest is none of it.
    free = {"buyer": school.as_buyer, "lines": [line(CHIVES, 1, morning.kept)]}
    await morning.neighbour.make(f"/tickets/{new_id()}", free)


async def test_a_walk_ins_return_does_not_bring_recalled_goods_back_into_sale(
    trade: Trade,
) -> None:
    stall, farmer, office = await trade.stall(), await trade.farmer(), await office_of(trade)
    lot = await farmer.opens()
    mine = received(
        await stall.decides((await farmer.sells(stall, line(CHIVES, 10, lot)))["ticket"])
    )
    sold = await stall.sells(None, line(CHIVES, 2, mine))
    await recalled(office, mine)
    answer = await stall.put(f"/tickets/{sold['ticket']}/void", {"reason": "brought back"})
    assert code_of(answer) == "lot-on-hold"
    assert (await stall.lot(mine))["remaining_g"] == 8_000


async def test_goods_on_their_way_can_go_back_to_the_seller(morning: Morning) -> None:
    recall = (await recalled(morning.office, morning.at_first))["recall"]
    await morning.second.voids("tickets", morning.pending)
    assert (await morning.second.lot(morning.at_second))["remaining_g"] == 20_000
    totals = (await morning.office.read(f"/recalls/{recall}"))["totals"]
    assert (totals["in_transit_g"], totals["left_g"]) == (0, 98_000)


async def test_an_office_sends_goods_back_that_their_seller_does_not(morning: Morning) -> None:
    office, seller, buyer = morning.office, morning.second, morning.school
    recall = (await recalled(office, morning.at_first))["recall"]
    at = f"/recalls/{recall}"
    waiting = await office.read(f"{at}/hand-overs")
    assert [(row["ticket"], row["mass_g"]) for row in waiting] == [(morning.pending, 5_000)]
    for actor, seen in ((seller, 1), (buyer, 1), (morning.first, 0)):
        assert len(await actor.read(f"{at}/hand-overs")) == seen
    path = f"{at}/annulments/{morning.pending}"
    body = {"reason": "卖方拒不作废", "accountable": "王五"}
    first = await office.make(path, body)
    assert first["mass_g"] == 5_000
    assert await office.make(path, body, status=200) == first
    assert code_of(await office.put(path, {**body, "reason": "!"})) == "id-reused"
    assert (await seller.lot(morning.at_second))["remaining_g"] == 20_000
    row = (await lots_of(office, recall))[morning.at_second]
    assert (row["located_g"], row["in_transit_g"]) == (5_000, 5_000)
    totals = (await office.read(at))["totals"]
    assert (totals["in_transit_g"], totals["left_g"], totals["located_g"]) == (0, 98_000, 5_000)
    assert await office.read(f"{at}/hand-overs") == []
    for actor in (seller, buyer):
        told = [row for row in await actor.read("/notices") if row["kind"] == "hand_over_annulled"]
        assert [(row["subject"], row["facts"]["recall"]) for row in told] == [
            (morning.pending, recall)
        ]
    accepted = await buyer.put(f"/tickets/{morning.pending}/decision", {"outcome": "accepted"})
    assert code_of(accepted) == "ticket-voided"
    await seller.put(f"/tickets/{morning.pending}/void", {"reason": "写错"})
    kinds = await morning.trade.rows(
        "SELECT kind FROM entry WHERE subject IN (:ticket, :recall) ORDER BY id",
        ticket=UUID(morning.pending),
        recall=UUID(recall),
    )
    assert [kind for (kind,) in kinds] == [
        "ticket.issued",
        "recall.opened",
        "ticket.voided",
        "recall.annulled",
    ]
    record = await office.read(f"{at}/record")
    assert [row["accountable"] for row in record["annulments"]] == ["王五"]
    assert (await seller.read(f"{at}/record"))["annulments"] == []
    # Nobody's word is needed any more: the case comes to its end.
    await account_for(office, recall)
    done = {"outcome": "completed", "reason": "全部销毁"}
    closed = await office.make(f"{at}/closure", done, status=200)
    assert closed["totals"]["destroyed_g"] == 98_000


async def test_what_was_located_on_its_way_is_not_located_again(morning: Morning) -> None:
    office, lot = morning.office, morning.at_second
    recall = (await recalled(office, lot))["recall"]
    step = {"lot": lot, "kind": "located", "mass_g": 18_000, "note": "车上 3 公斤"}
    await office.make(f"/recalls/{recall}/steps/{new_id()}", step)
    body = {"reason": "卖方拒不作废", "accountable": "王五"}
    await office.make(f"/recalls/{recall}/annulments/{morning.pending}", body)
    assert (await lots_of(office, recall))[lot]["located_g"] == 20_000


async def test_refusals_of_an_annulment_come_in_order(morning: Morning) -> None:
    trade, office = morning.trade, morning.office
    mine = await recalled(morning.second, morning.at_second)
    recall = (await recalled(office, morning.at_second))["recall"]
    exercise = (await recalled(office, morning.at_second, mock=True))["recall"]
    closed = (await recalled(office, morning.at_second))["recall"]
    lifted = {"outcome": "lifted", "reason": "误报"}
    await office.make(f"/recalls/{closed}/closure", lifted, status=200)
    free = (await morning.neighbour.sells(morning.first, line(CHIVES, 1, morning.kept)))["ticket"]
    elsewhere = await office_of(trade, "3205", division_code="320505")
    county = await office_of(trade, "320611", division_code="320611")
    body = {"reason": "卖方拒不作废", "accountable": "王五"}

    async def refused(actor: Actor, ticket: str, at: str = recall) -> str:
        return code_of(await actor.put(f"/recalls/{at}/annulments/{ticket}", body))

    assert await refused(morning.second, new_id(), new_id()) == "not-allowed"
    assert await refused(elsewhere, new_id(), new_id()) == "unknown-recall"
    assert await refused(elsewhere, new_id()) == "unknown-recall"
    await trade.execute(
        "INSERT INTO notice (party_id, kind, subject, facts, created_at) "
        "VALUES (:party, 'recall_reported', :recall, '{}', now())",
        party=county.id,
        recall=UUID(recall),
    )
    assert await refused(county, new_id()) == "recall-not-yours"
    assert await refused(office, new_id(), closed) == "unknown-ticket"
    assert await refused(office, free, closed) == "recall-closed"
    assert await refused(office, free, exercise) == "mock-recall"
    assert await refused(office, free) == "not-in-scope"
    nameless = await office.put(
        f"/recalls/{recall}/annulments/{morning.pending}", {"reason": "卖方拒不作废"}
    )
    assert code_of(nameless) == "malformed-request"
    # A trader's own case has an office over it too; in another case the ticket is done with.
    await office.make(f"/recalls/{mine['recall']}/annulments/{morning.pending}", body)
    assert await refused(office, morning.pending) == "id-reused"
    # What is with its buyer, or back with its seller, is not on its way.
    known = await trade.rows(
        "SELECT t.public_id, s.status FROM ticket t JOIN ticket_state s ON s.ticket_id = t.id "
        "WHERE t.hand_over = 'one_sided' OR s.status = 'accepted'"
    )
    assert {status for _, status in known} == {"issued", "accepted"}
    for ticket, _ in known:
        assert await refused(office, str(ticket)) == "nothing-to-annul"


async def test_opening_twice_has_one_effect(morning: Morning) -> None:
    recall = new_id()
    body = order(morning.trade, morning.at_first)
    answers = await asyncio.gather(
        *(morning.office.put(f"/recalls/{recall}", body) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
    assert await morning.trade.value("SELECT max(holds) FROM lot_balance") == 1
    other = await morning.office.put(f"/recalls/{recall}", {**body, "grade": 2})
    assert (other.status_code, code_of(other)) == (409, "id-reused")
    kinds = await morning.trade.rows("SELECT kind FROM entry WHERE subject = :id", id=UUID(recall))
    assert [kind for (kind,) in kinds] == ["recall.opened"]


async def test_refusals_of_an_opening_come_in_order(morning: Morning) -> None:
    trade, office = morning.trade, morning.office
    stranger = await trade.stall()
    elsewhere = await office_of(trade, "3205", division_code="320505")

    async def refused(actor: Actor, *found: str, **more: Any) -> str:
        return code_of(await actor.put(f"/recalls/{new_id()}", order(trade, *found, **more)))

    late = (trade.clock() + timedelta(hours=1)).isoformat()
    wrong = {"grade": 4, "suspects": [new_id()], "known_at": late}
    assert await refused(elsewhere, new_id(), **wrong) == "malformed-request"
    wrong["grade"] = 1
    assert await refused(elsewhere, new_id(), **wrong) == "unknown-lot"
    assert await refused(elsewhere, morning.at_first, **wrong) == "unknown-lot"
    wrong["suspects"] = [morning.kept]
    assert await refused(elsewhere, morning.at_first, **wrong) == "impossible-date"
    del wrong["known_at"]
    assert await refused(elsewhere, morning.at_first, **wrong) == "hold-not-yours"
    assert await refused(stranger, morning.at_first, **wrong) == "hold-not-yours"
    assert await refused(office, morning.at_first, **wrong) == "no-suspect-source"
    # A stall calls back what it sold, and not what others grew.
    stall = morning.first
    assert await refused(stall, morning.home, suspects=[morning.grown]) == "hold-not-yours"
    assert await refused(stall, morning.home, siblings=True) == "hold-not-yours"
    mine = await recalled(stall, morning.at_first)
    assert set(await lots_of(stall, mine["recall"])) == {morning.at_first, morning.home}
    # No danger was known before the goods, and what they were made of, were there.
    early = (trade.clock() - timedelta(hours=5)).isoformat()
    suspects = [morning.kept]
    assert await refused(office, morning.at_first, known_at=early, suspects=suspects) == (
        "no-suspect-source"
    )
    assert await refused(office, morning.at_first, known_at=early) == "known-before-goods"


async def test_a_danger_is_known_between_the_birth_of_the_goods_and_now(trade: Trade) -> None:
    farmer, stall, office = await trade.farmer(), await trade.stall(), await office_of(trade)
    old = await farmer.opens(made_on="2026-06-15")
    trade.clock.advance(days=2)
    today = await farmer.opens(made_on="2026-06-20")
    mixed = new_id()
    inputs = [{"lot": lot, "mass_g": 40_000} for lot in (old, today)]
    await farmer.make(f"/merges/{new_id()}", {"inputs": inputs, "lot": mixed})
    mine = received(
        await stall.decides((await farmer.sells(stall, line(CHIVES, 10, mixed)))["ticket"])
    )

    async def opened(known_at: datetime, *found: str, **more: Any) -> httpx.Response:
        body = order(trade, *found, known_at=known_at.isoformat(), **more)
        return await office.put(f"/recalls/{new_id()}", body)

    made = {lot: datetime.fromisoformat(f"2026-06-{day}T00:00+08:00")
            for lot, day in ((old, 15), (today, 20))}  # fmt: skip
    minute = timedelta(minutes=1)
    for lot, born in made.items():
        refused = await opened(born - minute, lot)
        assert (refused.status_code, code_of(refused)) == (422, "known-before-goods")
        assert datetime.fromisoformat(refused.json()["facts"]["not_before"]) == born
        assert refused.json()["errors"][0]["pointer"] == "/known_at"
        assert (await opened(born, lot)).status_code == 201
    # What was made of older goods is as old as these, whether or not they are called back, too.
    for more in ({}, {"siblings": False}, {"siblings": False, "mock": True}):
        assert code_of(await opened(made[old] - minute, mine, **more)) == "known-before-goods"
        late = (await opened(made[old], mine, **more)).json()
        assert late["clocks"]["started_late"] is True
    # A clock may run ahead a little; nothing is known later than now, nor a term begun then.
    now = trade.clock()
    ahead = (await opened(now + 5 * minute, mine)).json()["clocks"]
    assert datetime.fromisoformat(ahead["known_at"]) == now
    assert datetime.fromisoformat(ahead["start_due_at"]) == now + timedelta(hours=24)
    assert ahead["started_late"] is False
    assert code_of(await opened(now + 5 * minute + timedelta(seconds=1), mine)) == (
        "impossible-date"
    )


# --- who answers ------------------------------------------------------------------------------


async def test_agriculture_answers_before_the_gate_and_market_regulation_after_it(
    morning: Morning,
) -> None:
    trade = morning.trade
    farms = await office_of(trade)
    shops = await office_of(trade)
    for office, department in (
        (farms, Department.AGRICULTURE),
        (shops, Department.MARKET_REGULATION),
    ):
        await trade.execute(
            "UPDATE party_role SET department = :department WHERE party_id = :party",
            department=str(department),
            party=office.id,
        )
    reason = {"reason": "抽检"}
    for lot, mine, theirs in (
        (morning.grown, farms, shops),
        (morning.mixed, farms, shops),
        (morning.at_first, shops, farms),
        (morning.home, shops, farms),
    ):
        refused = await theirs.put(f"/holds/{new_id()}", {"lot": lot, **reason})
        assert code_of(refused) == "hold-not-yours"
        hold = new_id()
        await mine.make(f"/holds/{hold}", {"lot": lot, **reason})
        await mine.make(f"/holds/{hold}/release", reason, status=200)


async def test_the_county_of_the_responsible_site_answers_and_others_are_asked(
    trade: Trade,
) -> None:
    farmer = await trade.farmer(division_code="320682001")
    stall = await trade.stall(division_code="320602001")
    home, away = await office_of(trade, "320682"), await office_of(trade, "320602")
    lot = await farmer.opens()
    mine = received(
        await stall.decides((await farmer.sells(stall, line(CHIVES, 10, lot)))["ticket"])
    )
    body = {"lot": mine, "reason": "抽检"}
    assert code_of(await home.put(f"/holds/{new_id()}", body)) == "hold-not-yours"
    await away.make(f"/holds/{new_id()}", body)
    question = {"lot": mine, "division_code": "320602", "question": "请核查库存"}
    referral = new_id()
    asked = await home.make(f"/referrals/{referral}", question)
    assert asked["due_on"] == "2026-06-26"  # five working days, over the Dragon Boat Festival
    assert await home.make(f"/referrals/{referral}", question, status=200) == asked
    other = await home.put(f"/referrals/{referral}", {**question, "question": "?"})
    assert code_of(other) == "id-reused"
    assert [row["referral"] for row in await away.read("/referrals")] == [referral]
    told = await away.read("/notices")
    assert ("referred", referral, ["韭菜"]) in [
        (row["kind"], row["subject"], row["goods"]) for row in told
    ]
    reply = {"answer": "库存 8 公斤，已封存"}
    assert code_of(await home.put(f"/referrals/{referral}/answer", reply)) == "hold-not-yours"
    stranger = await office_of(trade, "3205")
    assert code_of(await stranger.put(f"/referrals/{referral}/answer", reply)) == (
        "unknown-referral"
    )
    trade.clock.advance(days=9)
    await run_chore(trade)
    late = [row["kind"] for row in await home.read("/notices")]
    assert "referral_overdue" in late
    answered = await away.make(f"/referrals/{referral}/answer", reply, status=200)
    assert answered["answer"] == reply["answer"]
    assert await away.make(f"/referrals/{referral}/answer", reply, status=200) == answered
    changed = await away.put(f"/referrals/{referral}/answer", {"answer": "!"})
    assert code_of(changed) == "referral-answered"
    assert await home.read("/referrals?open_only=true") == []
    assert code_of(await home.put(f"/referrals/{new_id()}", {**question, "lot": new_id()})) == (
        "unknown-lot"
    )


async def test_nobody_is_asked_who_is_not_there_or_about_goods_of_no_case(
    morning: Morning,
) -> None:
    """An unanswered question keeps a case open: there must be somebody who may answer it."""
    recall = (await recalled(morning.office, morning.grown))["recall"]
    question = {"lot": morning.grown, "recall": recall, "division_code": "110101", "question": "?"}
    strange = await morning.farmer.opens(kg=3)
    rows = [
        ({"lot": strange}, "not-in-scope"),
        ({}, "no-office-there"),
        ({"division_code": "999999"}, "no-office-there"),
    ]
    for changed, code in rows:
        answer = await morning.office.put(f"/referrals/{new_id()}", {**question, **changed})
        assert code_of(answer) == code
    agriculture = await of_department(morning.trade, Department.AGRICULTURE, "110101")
    asked = {**question, "department": "market_regulation"}
    answer = await morning.office.put(f"/referrals/{new_id()}", asked)
    assert code_of(answer) == "no-office-there"
    referral = new_id()
    await morning.office.make(f"/referrals/{referral}", question)
    await agriculture.make(f"/referrals/{referral}/answer", {"answer": "查无此事"}, status=200)


async def test_nothing_was_done_about_a_danger_before_anybody_knew(morning: Morning) -> None:
    opened = await recalled(morning.office, morning.grown)
    recall, known_at = opened["recall"], datetime.fromisoformat(opened["clocks"]["known_at"])
    for kind in ("located", "recovered"):
        step = {"lot": morning.at_first, "kind": kind, "mass_g": 18_000, "note": "过秤"}
        await morning.office.make(f"/recalls/{recall}/steps/{new_id()}", step)
    day = timedelta(days=1)
    body = await disposal(
        morning.office,
        (morning.at_first, 18_000),
        announced_at=(known_at - 2 * day).isoformat(),
        disposed_at=(known_at - day).isoformat(),
    )
    path = f"/recalls/{recall}/disposals/{new_id()}"
    assert code_of(await morning.office.put(path, body)) == "impossible-date"
    told = {"channel": "phone", "buyers": 3, "mass_g": 1_000, "note": "电话"}
    path = f"/recalls/{recall}/forwardings/{new_id()}"
    early = {**told, "told_at": (known_at - day).isoformat()}
    assert code_of(await morning.first.put(path, early)) == "impossible-date"
    await morning.first.make(path, {**told, "told_at": known_at.isoformat()})
    await morning.office.make(
        f"/recalls/{recall}/disposals/{new_id()}", {**body, "disposed_at": known_at.isoformat()}
    )


# --- who is told ------------------------------------------------------------------------------


async def test_every_holder_and_buyer_is_told_and_the_late_are_escalated_once(
    morning: Morning,
) -> None:
    trade, office = morning.trade, morning.office
    city = await office_of(trade)
    recall = (await recalled(office, morning.at_first))["recall"]
    notices = {row["party"]: row for row in await office.read(f"/recalls/{recall}/notices")}
    people = (
        morning.farmer,
        morning.neighbour,
        morning.collector,
        morning.first,
        morning.second,
        morning.school,
    )
    assert set(notices) == {str(actor.public_id) for actor in people}
    assert notices[str(morning.school.public_id)]["in_transit_g"] == 5_000
    assert notices[str(morning.second.public_id)]["on_hand_g"] == 15_000
    for actor in people:
        told = await actor.read("/notices")
        assert [(row["kind"], row["subject"]) for row in told] == [("recalled", recall)]
        assert [row["goods"] for row in told] == [["韭菜"]]
    told = await city.read("/notices")
    assert [(row["kind"], row["goods"]) for row in told] == [("recall_reported", ["韭菜"])]
    path = f"/recalls/{recall}/acknowledgements"
    first = await morning.first.make(
        f"{path}/{morning.first.public_id}",
        {"note": "已封存", "located": [{"lot": morning.at_first, "mass_g": 18_000}]},
        status=200,
    )
    assert first["late"] is False
    trade.clock.advance(hours=4, minutes=1)
    await run_chore(trade)
    await run_chore(trade)
    assert sum(row["kind"] == "recall_late" for row in await office.read("/notices")) == 1
    assert sum(row["kind"] == "recall_late" for row in await city.read("/notices")) == 1
    rows = await office.read(f"/recalls/{recall}/notices")
    assert sum(row["escalated_at"] is not None for row in rows) == 5
    # An office that went there speaks for the school.
    said = {"note": "上门核实"}
    done = await office.make(f"{path}/{morning.school.public_id}", said, status=200)
    assert (done["late"], done["acknowledged_by"]) == (True, str(office.public_id))
    trade.clock.advance(days=30)
    await run_chore(trade)
    assert sum(row["kind"] == "recall_overdue" for row in await city.read("/notices")) == 1
    assert (await office.read(f"/recalls/{recall}"))["clocks"]["overdue"] is True


async def test_refusals_of_an_acknowledgement_come_in_order(morning: Morning) -> None:
    recall = (await recalled(morning.office, morning.at_first))["recall"]
    stranger = await morning.trade.stall()
    path = f"/recalls/{recall}/acknowledgements"
    mine, theirs = morning.first, morning.second

    async def refused(actor: Actor, party: object, *grams: tuple[str, int], at: str = path) -> str:
        located = [{"lot": lot, "mass_g": mass_g} for lot, mass_g in grams]
        return code_of(await actor.put(f"{at}/{party}", {"located": located}))

    nowhere = f"/recalls/{new_id()}/acknowledgements"
    assert await refused(mine, new_id(), (new_id(), 1), at=nowhere) == "unknown-recall"
    assert await refused(mine, new_id(), (new_id(), 1)) == "unknown-party"
    assert await refused(mine, stranger.public_id, (new_id(), 1)) == "not-in-scope"
    assert await refused(mine, theirs.public_id, (new_id(), 1)) == "recall-not-yours"
    assert await refused(mine, mine.public_id, (new_id(), 1)) == "unknown-lot"
    assert await refused(mine, mine.public_id, (morning.kept, 1)) == "not-in-scope"
    assert await refused(mine, mine.public_id, (morning.at_second, 1)) == "recall-not-yours"
    too_much = (morning.at_first, 18_001)
    assert await refused(mine, mine.public_id, too_much) == "recall-grams-differ"
    await mine.make(f"{path}/{mine.public_id}", {}, status=200)
    lifted = {"outcome": "lifted", "reason": "误报"}
    await morning.office.make(f"/recalls/{recall}/closure", lifted, status=200)
    assert await refused(mine, mine.public_id, (new_id(), 1)) == "recall-acknowledged"
    assert await refused(theirs, theirs.public_id, (new_id(), 1)) == "recall-closed"


async def test_a_second_word_on_a_notice_is_refused_and_not_lost(morning: Morning) -> None:
    """Who counted again must not believe that it was written down."""
    trade, office, stall = morning.trade, morning.office, morning.first
    recall = (await recalled(office, morning.at_first))["recall"]
    at = f"/recalls/{recall}"
    path = f"{at}/acknowledgements/{stall.public_id}"
    grams = {"lot": morning.at_first, "mass_g": 10_000}
    said = {"note": "已封存", "located": [grams]}
    first = await stall.make(path, said, status=200)
    assert await stall.make(path, said, status=200) == first
    others = [
        (stall, {}),
        (stall, {**said, "note": "又清点了一遍"}),
        (stall, {**said, "located": [{**grams, "mass_g": 18_000}]}),
        (office, said),
    ]
    for actor, body in others:
        refused = await actor.put(path, body)
        assert (refused.status_code, code_of(refused)) == (409, "recall-acknowledged")
    # What was counted since is a step, as the refusal says.
    step = {"lot": morning.at_first, "kind": "located", "mass_g": 8_000, "note": "又清点了一遍"}
    await stall.make(f"{at}/steps/{new_id()}", step)
    row = (await lots_of(office, recall))[morning.at_first]
    assert row["located_g"] == 18_000
    kinds = await trade.rows("SELECT kind FROM entry WHERE subject = :id", id=UUID(recall))
    assert sum(kind == "recall.acknowledged" for (kind,) in kinds) == 1
    # Whoever opens a case knows of it, and has said no more than that.
    mine: Json = {"trigger": "self_check", "siblings": False}
    own = (await recalled(stall, morning.at_first, **mine))["recall"]
    path = f"/recalls/{own}/acknowledgements/{stall.public_id}"
    await stall.make(path, {}, status=200)
    assert code_of(await stall.put(path, said)) == "recall-acknowledged"


async def test_words_on_a_notice_at_once_leave_one_of_them(morning: Morning) -> None:
    recall = (await recalled(morning.office, morning.at_first))["recall"]
    path = f"/recalls/{recall}/acknowledgements/{morning.first.public_id}"
    said = [
        {"note": note, "located": [{"lot": morning.at_first, "mass_g": 1_000}]}
        for note in ("一", "二", "三")
    ]
    answers = await asyncio.gather(
        *(morning.first.put(path, body) for body in said for _ in range(3))
    )
    done = {answer.json()["note"] for answer in answers if answer.status_code == 200}
    assert len(done) == 1
    assert [answer.status_code for answer in answers].count(200) == 3
    assert {code_of(one) for one in answers if one.is_error} == {"recall-acknowledged"}
    assert (await lots_of(morning.office, recall))[morning.at_first]["located_g"] == 1_000


# --- grams ------------------------------------------------------------------------------------


async def test_grams_are_found_brought_back_and_destroyed_and_never_more_than_there_was(
    morning: Morning,
) -> None:
    office, stall, lot = morning.office, morning.first, morning.at_first
    recall = (await recalled(office, lot))["recall"]
    at = f"/recalls/{recall}"

    def said(kind: str, mass_g: int, of: str = lot) -> Json:
        return {"lot": of, "kind": kind, "mass_g": mass_g, "note": "过秤"}

    async def refused(actor: Actor, body: Json) -> str:
        return code_of(await actor.put(f"{at}/steps/{new_id()}", body))

    assert await refused(stall, said("recovered", 1)) == "recall-grams-differ"
    assert await refused(stall, said("located", 18_001)) == "recall-grams-differ"
    step = new_id()
    first = await stall.make(f"{at}/steps/{step}", said("located", 17_000))
    assert await stall.make(f"{at}/steps/{step}", said("located", 17_000), status=200) == first
    assert code_of(await stall.put(f"{at}/steps/{step}", said("located", 1))) == "id-reused"
    # A holder alone is not believed; whoever leads the case looks, and records it.
    assert await refused(stall, said("consumed", 1_000)) == "consumed-by-own-word"
    await office.make(f"{at}/steps/{new_id()}", said("consumed", 1_000))
    assert (await stall.lot(lot))["remaining_g"] == 17_000
    assert await refused(stall, said("located", 1)) == "recall-grams-differ"
    assert await refused(morning.second, said("recovered", 1)) == "recall-not-yours"
    await office.make(f"{at}/steps/{new_id()}", said("recovered", 16_000))
    assert await refused(office, said("recovered", 1_001)) == "recall-grams-differ"
    bad = await disposal(stall, (lot, 16_001))
    assert code_of(await stall.put(f"{at}/disposals/{new_id()}", bad)) == "recall-grams-differ"
    body, name = await disposal(stall, (lot, 16_000)), new_id()
    done = await stall.make(f"{at}/disposals/{name}", body)
    assert await stall.make(f"{at}/disposals/{name}", body, status=200) == done
    assert len(done["evidence_sha256"][0]) == 64
    assert (await stall.lot(lot))["remaining_g"] == 1_000
    # What an office takes as a sample is seen.
    await sampled(office, lot, mass_g=300)
    totals = (await office.read(at))["totals"]
    assert (totals["sampled_g"], totals["elsewhere_g"]) == (300, 0)
    assert (await lots_of(office, recall))[lot]["sampled_g"] == 300
    assert totals["destroyed_g"] == 16_000
    assert totals["left_g"] == 80_700
    # A walk-in brings some of it back to the stall.
    await stall.make(f"{at}/steps/{new_id()}", said("located", 500, morning.home))
    await stall.make(f"{at}/steps/{new_id()}", said("recovered", 500, morning.home))
    assert (await office.read(at))["totals"]["half_way_g"] == 500
    assert await refused(stall, said("located", 1_501, morning.home)) == "recall-grams-differ"
    back = await disposal(stall, (morning.home, 500))
    await stall.make(f"{at}/disposals/{new_id()}", back)
    assert (await office.read(at))["totals"]["half_way_g"] == 0


async def test_a_supplier_does_not_empty_the_stock_of_its_buyers(morning: Morning) -> None:
    """Whoever calls goods back leads the case, and has not looked into anybody's cold store."""
    trade, maker, lot = morning.trade, morning.collector, morning.at_first
    recall = (await recalled(maker, morning.mixed, trigger="self_check"))["recall"]
    at = f"/recalls/{recall}"
    eaten = {"lot": lot, "kind": "consumed", "mass_g": 18_000, "note": "据说已售完"}
    refused = await maker.put(f"{at}/steps/{new_id()}", eaten)
    assert (refused.status_code, code_of(refused)) == (403, "consumed-by-own-word")
    assert (await morning.first.lot(lot))["remaining_g"] == 18_000
    # What walk-ins took is in nobody's books: its seller has their word.
    eaten |= {"lot": morning.home, "mass_g": 2_000}
    await morning.first.make(f"{at}/steps/{new_id()}", eaten)
    # Grams are of what was there, however they are sent.
    for mass_g in (0, -1, 18_001, 10**10 + 1, 1.5, "1"):
        said = {"lot": lot, "kind": "located", "mass_g": mass_g, "note": "过秤"}
        answer = await maker.put(f"{at}/steps/{new_id()}", said)
        too_much = "holders-own-word" if mass_g == 18_001 else "malformed-request"
        assert code_of(answer) == too_much, mass_g
    twice = [{"lot": lot, "mass_g": 9_001}] * 2
    path = f"{at}/acknowledgements/{morning.first.public_id}"
    answer = await morning.first.put(path, {"located": twice})
    assert code_of(answer) == "recall-grams-differ"
    lots = await lots_of(maker, recall)
    assert (lots[lot]["located_g"], lots[lot]["consumed_g"]) == (0, 0)
    # Nor has it counted there, whether it says so for itself or in the holder's name.
    found = {"lot": lot, "kind": "located", "mass_g": 1_000, "note": "据说已封存"}
    refused = await maker.put(f"{at}/steps/{new_id()}", found)
    assert (refused.status_code, code_of(refused)) == (403, "holders-own-word")
    refused = await maker.put(path, {"located": [{"lot": lot, "mass_g": 1_000}]})
    assert (refused.status_code, code_of(refused)) == (403, "holders-own-word")
    # What came back to it, it says, and destroys no more than that; the rest is the holder's.
    await morning.first.make(f"{at}/steps/{new_id()}", found | {"mass_g": 5_000})
    back = found | {"kind": "recovered", "mass_g": 2_000}
    await maker.make(f"{at}/steps/{new_id()}", back)
    await morning.first.make(f"{at}/steps/{new_id()}", back | {"mass_g": 3_000})
    beyond = await disposal(maker, (lot, 2_001))
    refused = await maker.put(f"{at}/disposals/{new_id()}", beyond)
    assert (refused.status_code, code_of(refused)) == (403, "holders-own-word")
    assert refused.json()["facts"] == {"lot": lot, "left_g": 2_000}
    await maker.make(f"{at}/disposals/{new_id()}", await disposal(maker, (lot, 1_500)))
    refused = await maker.put(f"{at}/disposals/{new_id()}", await disposal(maker, (lot, 501)))
    assert refused.json()["facts"] == {"lot": lot, "left_g": 500}
    await morning.first.make(
        f"{at}/disposals/{new_id()}", await disposal(morning.first, (lot, 3_000))
    )
    lifted = {"outcome": "lifted", "reason": "误报"}
    await morning.office.make(f"{at}/closure", lifted, status=200)
    for actor, kind in ((maker, "located"), (morning.office, "consumed")):
        late = {"lot": lot, "kind": kind, "mass_g": 1, "note": "补记"}
        assert code_of(await actor.put(f"{at}/steps/{new_id()}", late)) == "recall-closed"
    assert await trade.value("SELECT max(holds) FROM lot_balance") == 0


async def test_of_goods_in_other_hands_one_of_two_disposals_at_once_is_believed(
    morning: Morning,
) -> None:
    maker, lot = morning.collector, morning.at_first
    at = f"/recalls/{(await recalled(maker, morning.mixed, trigger='self_check'))['recall']}"
    for actor, kind, mass_g in (
        (morning.first, "located", 10_000),
        (maker, "recovered", 5_000),
        (morning.first, "recovered", 5_000),
    ):
        body = {"lot": lot, "kind": kind, "mass_g": mass_g, "note": "过秤"}
        await actor.make(f"{at}/steps/{new_id()}", body)
    shown = [await disposal(maker, (lot, 3_000)) for _ in range(4)]
    answers = await asyncio.gather(
        *(maker.put(f"{at}/disposals/{new_id()}", body) for body in shown)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    assert {code_of(one) for one in answers if one.is_error} == {"holders-own-word"}


async def test_who_cannot_sign_in_yet_is_spoken_for_by_whoever_leads_the_recall(
    morning: Morning,
) -> None:
    maker, lot = morning.collector, morning.at_first
    at = f"/recalls/{(await recalled(maker, morning.mixed, trigger='self_check'))['recall']}"
    await morning.trade.execute(
        "UPDATE party SET status = 'invited' WHERE id = :id", id=morning.first.id
    )
    body = {"lot": lot, "kind": "located", "mass_g": 18_000, "note": "电话核实"}
    await maker.make(f"{at}/steps/{new_id()}", body)
    # Of its disposals, too, what came back to anybody is the only bound.
    early = await maker.put(f"{at}/disposals/{new_id()}", await disposal(maker, (lot, 1)))
    assert code_of(early) == "recall-grams-differ"


async def test_recalled_goods_do_not_vanish_without_proof(morning: Morning) -> None:
    office, stall, lot = morning.office, morning.first, morning.at_first
    before = (await stall.lot(lot))["remaining_g"]
    early, once = {"lot": lot, "mass_g": 100, "method": "buried", "reason": "烂"}, new_id()
    await stall.make(f"/destructions/{once}", early)
    exercise = (await recalled(office, lot, mock=True))["recall"]
    await stall.make(f"/destructions/{new_id()}", early)
    recall = (await recalled(office, lot))["recall"]
    # Sent again it is what it was; a further one is not.
    await stall.make(f"/destructions/{once}", early, status=200)
    refused = await stall.put(f"/destructions/{new_id()}", early)
    assert (refused.status_code, code_of(refused)) == (409, "lot-under-recall")
    assert refused.json()["facts"] == {"lot": lot, "recall": recall}
    some = {"inputs": [{"lot": lot, "mass_g": 100}]}
    out = {"lot": new_id(), "product": CHIVES, "quantity": "0.08", "unit": "公斤"}
    trimmed = {"process": "trim_leaf", **some, "outputs": [out]}
    for path, body in (
        ("/losses", {"lot": lot, "mass_g": 100, "reason": "spoiled"}),
        ("/transforms", trimmed),
        ("/samples", sample_of(lot, **OWN)),
    ):
        assert code_of(await stall.put(f"{path}/{new_id()}", body)) == "lot-on-hold", path
    rows = {"rows": [{"id": new_id(), "body": trimmed}]}
    many = await stall.send("POST", "/transforms/bulk", rows)
    assert [row["problem"]["code"] for row in many.json()["rows"]] == ["lot-on-hold"]
    assert (await stall.lot(lot))["remaining_g"] == before - 200
    assert (await office.read(f"/recalls/{recall}"))["totals"]["elsewhere_g"] == 0
    # What was booked out before the case began is gone, as the exercise may see later.
    assert (await lots_of(office, recall))[lot]["gone_g"] == 200
    for case in (exercise, recall):
        lifted = {"outcome": "lifted", "reason": "误报"}
        await office.make(f"/recalls/{case}/closure", lifted, status=200)
    await stall.make(f"/destructions/{new_id()}", early)


async def test_refusals_of_a_destruction_come_in_order(morning: Morning) -> None:
    await recalled(morning.office, morning.at_first)
    later = (morning.trade.clock() + timedelta(hours=1)).isoformat()
    stranger, stall = morning.second, morning.first

    async def refused(actor: Actor, lot: str, **more: Any) -> str:
        body = {"lot": lot, "mass_g": 90_000, "method": "buried", "reason": "烂", **more}
        return code_of(await actor.put(f"/destructions/{new_id()}", body))

    assert await refused(stranger, new_id(), occurred_at=later) == "unknown-lot"
    assert await refused(stranger, morning.at_first, occurred_at=later) == "impossible-date"
    assert await refused(stranger, morning.at_first) == "not-holder"
    assert await refused(stall, morning.at_first) == "lot-under-recall"
    assert await refused(morning.neighbour, morning.kept) == "lot-exhausted"
    # What was taken once is recognised before its photos are looked for.
    body = {"lot": morning.kept, "mass_g": 1, "method": "buried", "reason": "烂"}
    body |= {"witness": "李四", "evidence": [await photo(morning.neighbour)]}
    path = f"/destructions/{new_id()}"
    await morning.neighbour.make(path, body)
    assert code_of(await stall.put(path, body)) == "id-reused"


async def test_refusals_of_a_disposal_come_in_order(morning: Morning) -> None:
    trade, stall, lot = morning.trade, morning.first, morning.at_first
    recall = (await recalled(morning.office, lot))["recall"]
    good = await disposal(stall, (lot, 1))
    later = (trade.clock() + timedelta(hours=1)).isoformat()

    async def refused(actor: Actor, at: str = recall, **more: Any) -> str:
        return code_of(await actor.put(f"/recalls/{at}/disposals/{new_id()}", {**good, **more}))

    def of(name: str) -> list[Json]:
        return [{"lot": name, "mass_g": 1}]

    wrong: Json = {"disposed_at": later, "announced_at": later, "evidence": [new_id()]}
    stranger = await trade.stall()
    assert await refused(stranger, new_id(), lots=of(new_id()), **wrong) == "unknown-recall"
    assert await refused(stranger, lots=of(new_id()), **wrong) == "unknown-lot"
    assert await refused(stranger, lots=of(morning.kept), **wrong) == "not-in-scope"
    assert await refused(stranger, **wrong) == "recall-not-yours"
    assert await refused(stall, **wrong) == "impossible-date"
    wrong["disposed_at"] = good["disposed_at"]
    assert await refused(stall, **wrong) == "disposal-not-announced"
    del wrong["announced_at"]
    assert await refused(stall, **wrong) == "unknown-evidence"
    # Goods that harm people are not put right and sold, whatever photo shows it.
    assert await refused(stall, method="remedied") == "not-remediable"
    assert await refused(stall) == "recall-grams-differ"
    assert await refused(stall, evidence=[]) == "malformed-request"


async def test_the_tables_refuse_grams_that_cannot_be(morning: Morning) -> None:
    """The second line of defence, asked past the rules."""
    await recalled(morning.office, morning.at_first)
    lot = await morning.trade.value(
        "SELECT id FROM lot WHERE public_id = :l", l=UUID(morning.at_first)
    )
    for change in (
        "located_g = 18001 + 2000",
        "recovered_g = 1",
        "located_g = 5, recovered_g = 5, destroyed_g = 3, remedied_g = 3",
        "consumed_g = -1",
        "gone_g = gone_g + 1",
        "exposed_g = mass_g + 1",
    ):
        with pytest.raises(Exception, match="violates check constraint"):
            await morning.trade.execute(
                f"UPDATE recall_lot SET {change} WHERE lot_id = :lot", lot=lot
            )


async def test_two_scales_at_once_never_count_more_than_there_is(morning: Morning) -> None:
    recall = (await recalled(morning.office, morning.at_first))["recall"]
    body = {"lot": morning.at_first, "kind": "located", "mass_g": 5_000, "note": "过秤"}
    answers = await asyncio.gather(
        *(morning.first.put(f"/recalls/{recall}/steps/{new_id()}", body) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 5
    lots = await lots_of(morning.office, recall)
    assert lots[morning.at_first]["located_g"] == 15_000


# --- the sign-off -----------------------------------------------------------------------------


async def test_what_a_business_calls_back_the_office_in_charge_signs_off(
    morning: Morning,
) -> None:
    trade, stall = morning.trade, morning.first
    farms = await of_department(trade, Department.AGRICULTURE)
    shops = await of_department(trade, Department.MARKET_REGULATION, "320682")
    mine: Json = {"trigger": "self_check", "siblings": False}
    recall = (await recalled(stall, morning.at_first, **mine))["recall"]
    at = f"/recalls/{recall}"
    answers = ({"outcome": "lifted", "reason": "误报"}, {"outcome": "completed", "reason": "完"})
    for actor in (stall, farms):
        for body in answers:
            refused = await actor.put(f"{at}/closure", body)
            assert (refused.status_code, code_of(refused)) == (403, "recall-sign-off-not-yours")
    # Who does not lead it, or is not told, hears what it heard before.
    far = await office_of(trade, "3205")
    assert code_of(await far.put(f"{at}/closure", answers[0])) == "unknown-recall"
    refused = await shops.put(f"{at}/closure", answers[1])
    assert code_of(refused) == "recall-grams-open"
    await account_for(shops, recall)
    closed = await shops.make(f"{at}/closure", answers[1], status=200)
    assert closed["outcome"] == "completed"
    assert await shops.make(f"{at}/closure", answers[1], status=200) == closed
    # Of goods that never entered a market agriculture signs off.
    recall = (await recalled(morning.farmer, morning.grown, **mine))["recall"]
    refused = await shops.put(f"/recalls/{recall}/closure", answers[0])
    assert code_of(refused) == "recall-sign-off-not-yours"
    await farms.make(f"/recalls/{recall}/closure", answers[0], status=200)
    # An exercise holds nothing: who began it ends it.
    exercise = (await recalled(stall, morning.at_first, mock=True, **mine))["recall"]
    await stall.make(f"/recalls/{exercise}/closure", answers[1], status=200)


async def _named(*actors: Actor) -> list[str]:
    rows = await actors[0].trade.rows(
        "SELECT name FROM party WHERE id = ANY(CAST(:ids AS bigint[]))",
        ids=[actor.id for actor in actors],
    )
    return sorted(row[0] for row in rows)


async def _bought(seller: Actor, buyer: Actor, kg: int = 5) -> str:
    """Sell somebody chives of a new lot; answer the lot that came into being with the buyer."""
    sold = await seller.sells(buyer, line(CHIVES, kg, await seller.opens(kg=kg)))
    return received(await buyer.decides(sold["ticket"]))


async def test_whoever_runs_the_platform_sees_a_recall_and_decides_nothing(
    morning: Morning,
) -> None:
    trade, office = morning.trade, morning.office
    operator = await trade.party(RoleKind.OPERATOR)
    # An operator that trades, too, is none the more an office.
    both = await trade.party(RoleKind.OPERATOR, RoleKind.MARKET)
    hold = new_id()
    await office.make(f"/holds/{hold}", {"lot": morning.kept, "reason": "待查"})
    recall = (await recalled(morning.first, morning.at_first, trigger="self_check"))["recall"]
    at = f"/recalls/{recall}"
    lifted = {"outcome": "lifted", "reason": "误报"}
    step = {"lot": morning.at_first, "kind": "consumed", "mass_g": 1, "note": "x"}
    where = {"lot": morning.grown, "division_code": "320682", "question": "来源?"}
    asked = (await office.make(f"/referrals/{new_id()}", where))["referral"]
    for actor in (operator, both):
        assert (await actor.read(at))["totals"]["lots"] > 0
        await actor.read(f"{at}/lots")
        charge = (await actor.read(f"{at}/record"))["charge"]
        assert charge == {"offices": await _named(office), "may_close": False, "may_ask": False}
        scope = {"found": [morning.at_first]}
        assert (await actor.send("POST", "/recall-scopes", scope)).status_code == 200
        for path, body, code in (
            (f"{at}/closure", lifted, "recall-not-yours"),
            (f"{at}/sign-offs/{new_id()}", lifted, "recall-not-yours"),
            (f"{at}/steps/{new_id()}", step, "recall-not-yours"),
            (f"{at}/acknowledgements/{morning.first.public_id}", {"note": "x"},
             "recall-not-yours"),
            (f"{at}/annulments/{morning.pending}", {"reason": "x", "accountable": "吴"},
             "not-allowed"),
            (f"/recalls/{new_id()}", order(trade, morning.kept), "hold-not-yours"),
            (f"/referrals/{new_id()}", where, "not-allowed"),
            (f"/referrals/{asked}/answer", {"answer": "查无此事"}, "unknown-referral"),
        ):  # fmt: skip
            refused = await actor.put(path, body)
            assert code_of(refused) == code, path
        for path, body in (
            (f"/holds/{new_id()}", {"lot": morning.grown, "reason": "x"}),
            (f"/holds/{hold}/release", {"reason": "x"}),
        ):
            code = "not-allowed" if actor is operator else "hold-not-yours"
            assert code_of(await actor.put(path, body)) == code, path
    assert await trade.value("SELECT count(*) FROM hold WHERE released_at IS NOT NULL") == 0
    # A city's party that is an office and runs the platform is an office of its city alone.
    two = await trade.party(RoleKind.OPERATOR, RoleKind.REGULATOR, answers_for="3205")
    assert code_of(await two.put(f"{at}/closure", lifted)) == "recall-not-yours"
    await office.make(f"{at}/closure", lifted, status=200)


async def test_an_office_over_all_the_goods_in_question_ends_a_recall(trade: Trade) -> None:
    rules = Department.MARKET_REGULATION
    rugao, tongzhou = [await of_department(trade, rules, area) for area in ("320682", "320613")]
    city, farms = [await of_department(trade, one) for one in (rules, Department.AGRICULTURE)]
    farmer = await trade.farmer()
    far, near = await trade.stall(division_code="320613001"), await trade.stall()
    mine: Json = {"trigger": "self_check", "siblings": False}
    lifted = {"outcome": "lifted", "reason": "误报"}

    async def may_not(recall: str, *offices: Actor, whose: list[Actor]) -> None:
        for office in offices:
            refused = await office.put(f"/recalls/{recall}/closure", lifted)
            assert (refused.status_code, code_of(refused)) == (403, "recall-sign-off-not-yours")
            assert refused.json()["facts"]["offices"] == await _named(*whose)
            charge = (await office.read(f"/recalls/{recall}/record"))["charge"]
            assert (charge["may_close"], charge["may_ask"]) == (False, True)

    # It lies in Tongzhou, whoever called it back: the office over Rugao leads, and ends nothing.
    recall = (await recalled(farmer, await _bought(farmer, far), **mine))["recall"]
    await may_not(recall, farmer, rugao, farms, whose=[tongzhou, city])
    charge = (await tongzhou.read(f"/recalls/{recall}/record"))["charge"]
    assert (charge["may_close"], charge["may_ask"]) == (True, False)
    # And it speaks for whoever holds it, as the office in charge has to.
    await account_for(tongzhou, recall)
    done = {"outcome": "completed", "reason": "完"}
    await tongzhou.make(f"/recalls/{recall}/closure", done, status=200)
    # In two counties it is the office over both.
    lots = [await _bought(farmer, far), await _bought(farmer, near)]
    recall = (await recalled(farmer, *lots, **mine))["recall"]
    await may_not(recall, farmer, rugao, farms, whose=[city])
    refused = await tongzhou.put(f"/recalls/{recall}/closure", lifted)
    assert code_of(refused) == "recall-not-yours"
    # Where there is none, the one over the site of whoever calls them back, of those that answer.
    await trade.execute("UPDATE party_role SET valid_to = valid_from + 1 WHERE party_id = :party",
                        party=city.id)  # fmt: skip
    trade.clock.advance(minutes=10)
    await may_not(recall, farms, whose=[rugao])
    refused = await tongzhou.put(f"/recalls/{recall}/closure", lifted)
    assert code_of(refused) == "recall-not-yours"
    await rugao.make(f"/recalls/{recall}/closure", lifted, status=200)


async def test_what_lies_nowhere_that_is_known_is_for_the_citys_office(trade: Trade) -> None:
    rules = Department.MARKET_REGULATION
    county, city = [await of_department(trade, rules, area) for area in ("320682", "3206")]
    farms = await of_department(trade, Department.AGRICULTURE)
    farmer, stall = await trade.farmer(), await trade.stall(division_code=None)
    lot = await _bought(farmer, stall)
    for office in (county, farms):
        refused = await office.put(f"/holds/{new_id()}", {"lot": lot, "reason": "待查"})
        assert code_of(refused) == "hold-not-yours"
    hold = new_id()
    await city.make(f"/holds/{hold}", {"lot": lot, "reason": "待查"})
    await city.make(f"/holds/{hold}/release", {"reason": "合格"}, status=200)
    recall = (await recalled(stall, lot, trigger="self_check", siblings=False))["recall"]
    assert ("recall_reported", recall) in [
        (row["kind"], row["subject"]) for row in await city.read("/notices")
    ]
    lifted = {"outcome": "lifted", "reason": "误报"}
    assert code_of(await stall.put(f"/recalls/{recall}/closure", lifted)) == (
        "recall-sign-off-not-yours"
    )
    for office in (county, farms):
        assert (await office.put(f"/recalls/{recall}/closure", lifted)).is_error
    await city.make(f"/recalls/{recall}/closure", lifted, status=200)


async def test_whoever_leads_a_recall_asks_for_it_to_be_signed_off(morning: Morning) -> None:
    trade, stall, office = morning.trade, morning.first, morning.office
    mine: Json = {"trigger": "self_check", "siblings": False}
    recall = (await recalled(stall, morning.at_first, **mine))["recall"]
    at, request = f"/recalls/{recall}", new_id()
    done, lifted = ({"outcome": one, "reason": "已处理完毕"} for one in ("completed", "lifted"))

    async def code(actor: Actor, body: Json, name: str = "", where: str = at) -> str:
        return code_of(await actor.put(f"{where}/sign-offs/{name or new_id()}", body))

    stranger = await trade.stall()
    assert await code(stranger, done) == "unknown-recall"
    # Whoever only holds some of it does not lead.
    buyer = await trade.stall()
    sold = await morning.second.sells(buyer, line(CHIVES, 2, morning.at_second))
    await buyer.decides(sold["ticket"])
    wide = (await recalled(morning.second, morning.at_second, **mine))["recall"]
    assert await code(buyer, done, where=f"/recalls/{wide}") == "recall-not-yours"
    assert await code(office, done) == "recall-sign-off-yours"
    # What is not finished is not signed off.
    assert await code(stall, done) == "recall-grams-open"
    assert (await stall.read(at))["sign_off_asked_at"] is None
    await account_for(stall, recall)
    answers = await asyncio.gather(
        *(stall.put(f"{at}/sign-offs/{request}", done) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert await code(stall, lifted, request) == "id-reused"
    (said,) = (await office.read(f"{at}/record"))["sign_offs"]
    assert said == answers[0].json()
    assert (said["by"], said["outcome"]) == (str(stall.public_id), "completed")
    assert (await office.read(at))["sign_off_asked_at"] == said["asked_at"]
    told = [row for row in await office.read("/notices") if row["subject"] == request]
    assert [(row["kind"], row["facts"]["recall"]) for row in told] == [
        ("recall_sign_off_asked", recall)
    ]
    count = "SELECT count(*) FROM entry WHERE kind = 'recall.sign-off-asked'"
    assert await trade.value(count) == 1
    await office.make(f"{at}/closure", done, status=200)
    assert await code(stall, lifted) == "recall-closed"
    assert (await stall.put(f"{at}/sign-offs/{request}", done)).status_code == 200
    # Whoever began an exercise ends it.
    exercise = (await recalled(stall, morning.at_first, mock=True, **mine))["recall"]
    assert await code(stall, lifted, where=f"/recalls/{exercise}") == "recall-sign-off-yours"


async def test_the_market_in_which_goods_lie_unsold_is_told(trade: Trade) -> None:
    market = Market(trade)
    await market.begin()
    lot = await market.lot(market.farmer, 10)
    ticket = await market.sell(
        market.farmer, market.stall, lot, 10, market=str(market.site), stall=str(market.booth)
    )
    kept = received(await market.stall.decides(ticket["ticket"]))
    mine = {"trigger": "self_check", "reason": "自查"}
    recall = (await recalled(market.stall, kept, **mine))["recall"]
    told = [(row["kind"], row["subject"]) for row in await market.office.read("/notices")]
    assert told == [("recall_reported", recall)]
    assert (await market.office.read(f"/recalls/{recall}"))["recall"] == recall


async def test_one_photo_proves_one_disposal(morning: Morning) -> None:
    office, stall, lot = morning.office, morning.first, morning.at_first
    recall = (await recalled(office, lot))["recall"]
    at = f"/recalls/{recall}"
    for kind in ("located", "recovered"):
        body = {"lot": lot, "kind": kind, "mass_g": 5_000, "note": "过秤"}
        await stall.make(f"{at}/steps/{new_id()}", body)
    taken, once = picture(), new_id()
    first = await disposal(stall, (lot, 1_000), evidence=[await photo(stall, taken)])
    done = await stall.make(f"{at}/disposals/{once}", first)
    again = {**first, "lots": [{"lot": lot, "mass_g": 2_000}]}
    too_much = {**first, "lots": [{"lot": lot, "mass_g": 4_001}]}
    refused = await stall.put(f"{at}/disposals/{new_id()}", too_much)
    assert code_of(refused) == "recall-grams-differ"
    refused = await stall.put(f"{at}/disposals/{new_id()}", again)
    assert (refused.status_code, code_of(refused)) == (409, "evidence-reused")
    assert refused.json()["facts"] == {"evidence": first["evidence"][0]}
    assert await stall.make(f"{at}/disposals/{once}", first, status=200) == done
    assert (await lots_of(office, recall))[lot]["destroyed_g"] == 1_000
    # An id that it has with the other disposal makes goods of no recall no part of that one.
    shown = {"evidence": [await photo(morning.neighbour, taken)]}
    kept: Json = {"lot": morning.kept, "mass_g": 100, "method": "buried", "reason": "烂"}
    refused = await morning.neighbour.put(f"/destructions/{once}", {**kept, **shown})
    assert code_of(refused) == "evidence-reused"
    # The same picture under another id, shown by another party, of goods of no recall.
    for actor, path, body in (
        (stall, f"{at}/disposals", again),
        (morning.neighbour, "/destructions", kept),
    ):
        shown = {"evidence": [await photo(actor), await photo(actor, taken)]}
        refused = await actor.put(f"{path}/{new_id()}", {**body, **shown})
        assert code_of(refused) == "evidence-reused"
        assert refused.json()["facts"] == {"evidence": shown["evidence"][1]}
    assert (await morning.neighbour.lot(morning.kept))["remaining_g"] == 25_000
    # Nor the other way round; and one that was refused proves nothing yet.
    proof = {"evidence": [await photo(morning.neighbour)]}
    await morning.neighbour.make(f"/destructions/{new_id()}", {**kept, **proof})
    refused = await morning.neighbour.put(f"/destructions/{new_id()}", {**kept, **proof})
    assert code_of(refused) == "evidence-reused"
    await stall.make(f"{at}/disposals/{new_id()}", {**again, "evidence": [await photo(stall)]})


async def test_one_photo_shown_at_once_for_several_disposals_proves_one(morning: Morning) -> None:
    lot = morning.kept
    for _ in range(4):
        taken = picture()
        photos = [await photo(morning.neighbour, taken) for _ in range(4)]
        before = (await morning.neighbour.lot(lot))["remaining_g"]
        answers = await asyncio.gather(
            *(
                morning.neighbour.put(
                    f"/destructions/{new_id()}",
                    {
                        "lot": lot,
                        "mass_g": 100,
                        "method": "buried",
                        "reason": "烂",
                        "evidence": [one],
                    },
                )
                for one in photos
            )
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        assert {code_of(one) for one in answers if one.status_code == 409} == {"evidence-reused"}
        assert (await morning.neighbour.lot(lot))["remaining_g"] == before - 100


async def test_whoever_signs_off_answers_for_what_was_sampled(morning: Morning) -> None:
    office, lot = morning.office, morning.at_first
    # What another hold had sampled before the case began is not of this case.
    hold = new_id()
    await office.make(f"/holds/{hold}", {"lot": lot, "reason": "投诉"})
    await sampled(office, lot, mass_g=900)
    await office.make(f"/holds/{hold}/release", {"reason": "转召回"}, status=200)
    exercise = (await recalled(office, lot, mock=True))["recall"]
    recall = (await recalled(office, lot))["recall"]
    at = f"/recalls/{recall}"
    await sampled(office, lot, mass_g=300)
    await sampled(office, morning.at_second, mass_g=200)
    for case, sampled_g in ((recall, 500), (exercise, 0)):
        assert (await office.read(f"/recalls/{case}"))["totals"]["sampled_g"] == sampled_g
    await morning.second.voids("tickets", morning.pending)
    await account_for(office, recall)
    done: Json = {"outcome": "completed", "reason": "全部销毁"}
    for signed_g in (None, 300, 501):
        named = {} if signed_g is None else {"sampled_g": signed_g}
        refused = await office.put(f"{at}/closure", {**done, **named})
        assert (refused.status_code, code_of(refused)) == (409, "recall-samples-unsigned")
        assert refused.json()["facts"] == {"sampled_g": 500, "signed_g": signed_g or 0}
    signed = {**done, "sampled_g": 500}
    closed = await office.make(f"{at}/closure", signed, status=200)
    totals = closed["totals"]
    assert (totals["sampled_g"], totals["elsewhere_g"], totals["left_g"]) == (500, 0, 0)
    assert totals["accounted_permille"] == 1000
    assert await office.make(f"{at}/closure", signed, status=200) == closed
    assert code_of(await office.put(f"{at}/closure", done)) == "recall-closed"
    assert {row["sampled_g"] for row in (await lots_of(office, recall)).values()} == {0, 200, 300}
    sheet = (await office.get(f"{at}/record.xlsx")).content
    table = CalamineWorkbook.from_filelike(io.BytesIO(sheet)).get_sheet_by_index(0).to_python()
    rows = {row[0]: row[1] for row in table if len(row) > 1}
    assert rows["抽样 Taken as samples"] == "0.500 kg"
    assert "0.500 kg" in (await office.get(f"{at}/page")).text


async def test_a_recall_is_closed_when_every_gram_and_every_step_is_done(
    morning: Morning,
) -> None:
    office, trade = morning.office, morning.trade
    city = await office_of(trade)
    recall = (await recalled(office, morning.at_first))["recall"]
    at = f"/recalls/{recall}"
    done = {"outcome": "completed", "reason": "全部销毁"}
    refused = await office.put(f"{at}/closure", done)
    assert code_of(refused) == "recall-grams-open"
    assert refused.json()["facts"] == {
        "left_g": 98_000,
        "in_transit_g": 5_000,
        "half_way_g": 0,
    }
    assert code_of(await morning.first.put(f"{at}/closure", done)) == "recall-not-yours"
    stranger = await trade.stall()
    assert code_of(await stranger.put(f"{at}/closure", done)) == "unknown-recall"
    await morning.second.voids("tickets", morning.pending)
    referral = new_id()
    question = {
        "lot": morning.at_first,
        "recall": recall,
        "division_code": "3206",
        "question": "请核查",
    }
    await office.make(f"/referrals/{referral}", question)
    await account_for(office, recall)
    steps = await office.put(f"{at}/closure", done)
    assert code_of(steps) == "recall-steps-open"
    assert steps.json()["facts"] == {"unacknowledged": 0, "unanswered": 1}
    await office.make(f"/referrals/{referral}/answer", {"answer": "已核查"}, status=200)
    trade.clock.advance(hours=1)
    closed = await office.make(f"{at}/closure", done, status=200)
    assert closed["outcome"] == "completed"
    assert closed["totals"]["accounted_permille"] == 1000
    assert closed["totals"]["destroyed_g"] == 98_000
    assert await office.make(f"{at}/closure", done, status=200) == closed
    other = await office.put(f"{at}/closure", {**done, "reason": "!"})
    assert code_of(other) == "recall-closed"
    step = {"lot": morning.at_first, "kind": "located", "mass_g": 1, "note": "!"}
    assert code_of(await office.put(f"{at}/steps/{new_id()}", step)) == "recall-closed"
    held = await trade.rows(
        "SELECT l.public_id FROM lot_balance b JOIN lot l ON l.id = b.lot_id WHERE b.holds > 0"
    )
    assert [str(lot) for (lot,) in held] == [morning.home]
    assert await trade.value("SELECT sum(remaining_g) FROM lot_balance") == 25_000
    for actor in (morning.first, city):
        assert "recall_closed" in [row["kind"] for row in await actor.read("/notices")]


async def test_what_walk_ins_took_is_not_sold_after_its_recall(morning: Morning) -> None:
    office, stall = morning.office, morning.first
    ticket = await morning.trade.value(
        "SELECT t.public_id FROM ticket t WHERE t.buyer_kind = 'walk_in'"
    )

    async def back() -> str | None:
        answer = await stall.put(f"/tickets/{ticket}/void", {"reason": "退货"})
        return code_of(answer) if answer.is_error else None

    # What came back and was destroyed does not come back a second time, even of a false alarm.
    recall = (await recalled(office, morning.at_first))["recall"]
    for kind in ("located", "recovered"):
        step = {"lot": morning.home, "kind": kind, "mass_g": 500, "note": "退回"}
        await stall.make(f"/recalls/{recall}/steps/{new_id()}", step)
    body = await disposal(stall, (morning.home, 500))
    await stall.make(f"/recalls/{recall}/disposals/{new_id()}", body)
    lifted = {"outcome": "lifted", "reason": "误报"}
    await office.make(f"/recalls/{recall}/closure", lifted, status=200)
    assert await back() == "lot-on-hold"
    await stall.sells(morning.school, line(CHIVES, 1, morning.at_first))


async def test_after_a_completed_recall_nothing_is_taken_back_from_walk_ins(trade: Trade) -> None:
    stall, office = await trade.stall(), await office_of(trade)
    lot = await stall.opens(kg=10, origin="declare")
    sold = await stall.sells(None, line(CHIVES, 10, lot))
    opened = await recalled(office, lot, grade=3)
    at = f"/recalls/{opened['recall']}"
    await stall.make(f"{at}/acknowledgements/{stall.public_id}", {}, status=200)
    done = {"outcome": "completed", "reason": "已售完"}
    await office.make(f"{at}/closure", done, status=200)
    answer = await stall.put(f"/tickets/{sold['ticket']}/void", {"reason": "退货"})
    assert code_of(answer) == "lot-on-hold"


async def test_what_an_open_recall_needs_is_kept(morning: Morning) -> None:
    async def since() -> object:
        async with morning.trade.database.reading() as session:
            return await held_since(session)

    assert await since() is None
    await recalled(morning.office, morning.at_first, mock=True)
    assert await since() is None
    recall = (await recalled(morning.office, morning.at_first))["recall"]
    grown = await morning.trade.value(
        "SELECT created_at FROM lot WHERE public_id = :lot", lot=UUID(morning.grown)
    )
    assert await since() == grown
    lifted = {"outcome": "lifted", "reason": "误报"}
    await morning.office.make(f"/recalls/{recall}/closure", lifted, status=200)
    assert await since() is None


async def test_a_recall_that_was_a_false_alarm_is_lifted_and_everything_moves_again(
    morning: Morning,
) -> None:
    office = morning.office
    hold = new_id()
    await office.make(f"/holds/{hold}", {"lot": morning.at_second, "reason": "另案"})
    recall = (await recalled(office, morning.at_first))["recall"]
    lifted = {"outcome": "lifted", "reason": "实验室复检合格"}
    await office.make(f"/recalls/{recall}/closure", lifted, status=200)
    await morning.first.sells(morning.school, line(CHIVES, 1, morning.at_first))
    # Another hold stays.
    ticket = {"buyer": morning.school.as_buyer, "lines": [line(CHIVES, 1, morning.at_second)]}
    assert code_of(await morning.second.put(f"/tickets/{new_id()}", ticket)) == "lot-on-hold"
    await office.make(f"/holds/{hold}/release", {"reason": "查清"}, status=200)
    await morning.second.make(f"/tickets/{new_id()}", ticket)


async def test_remedied_goods_stay_and_move_again_after_the_sign_off(trade: Trade) -> None:
    stall, office = await trade.stall(), await office_of(trade)
    lot = await stall.opens(kg=10, origin="declare")
    recall = (await recalled(office, lot, grade=3))["recall"]
    at = f"/recalls/{recall}"
    for kind in ("located", "recovered"):
        body = {"lot": lot, "kind": kind, "mass_g": 10_000, "note": "标签错误"}
        await stall.make(f"{at}/steps/{new_id()}", body)
    remedied = await disposal(stall, (lot, 10_000), method="remedied")
    await stall.make(f"{at}/disposals/{new_id()}", remedied)
    await stall.make(f"{at}/acknowledgements/{stall.public_id}", {}, status=200)
    ticket = {"buyer": {"walk_in": True}, "lines": [line(CHIVES, 1, lot)]}
    assert code_of(await stall.put(f"/tickets/{new_id()}", ticket)) == "lot-on-hold"
    done = {"outcome": "completed", "reason": "重新贴标"}
    await office.make(f"{at}/closure", done, status=200)
    await stall.make(f"/tickets/{new_id()}", ticket)


# --- exercises --------------------------------------------------------------------------------


async def test_an_exercise_holds_nothing_and_tells_how_long_it_took(morning: Morning) -> None:
    office, trade = morning.office, morning.trade
    opened = await recalled(office, morning.at_first, mock=True)
    at = f"/recalls/{opened['recall']}"
    assert await trade.value("SELECT max(holds) FROM lot_balance") == 0
    assert opened["clocks"]["minutes_to_scope"] == 120
    assert opened["clocks"]["minutes_to_last_acknowledgement"] is None
    assert opened["totals"]["accounted_permille"] == 20  # what the walk-in took
    # Trade goes on.
    await morning.school.decides(morning.pending)
    assert [row["kind"] for row in await morning.first.read("/notices")] == ["mock_recall"]
    recovered = {"lot": morning.at_first, "kind": "recovered", "mass_g": 1, "note": "?"}
    assert code_of(await office.put(f"{at}/steps/{new_id()}", recovered)) == "mock-recall"
    destroyed = await disposal(office, (morning.at_first, 1))
    assert code_of(await office.put(f"{at}/disposals/{new_id()}", destroyed)) == "mock-recall"
    trade.clock.advance(minutes=35)
    for actor, lot, mass_g in (
        (morning.farmer, morning.grown, 10_000),
        (morning.neighbour, morning.other, 10_000),
        (morning.collector, morning.mixed, 40_000),
        (morning.first, morning.at_first, 18_000),
        (morning.second, morning.at_second, 20_000),
        (morning.school, None, 0),
    ):
        located = [] if lot is None else [{"lot": lot, "mass_g": mass_g}]
        path = f"{at}/acknowledgements/{actor.public_id}"
        await actor.make(path, {"located": located}, status=200)
    trade.clock.advance(minutes=5)
    done = {"outcome": "completed", "reason": "演练结束"}
    closed = await office.make(f"{at}/closure", done, status=200)
    assert closed["clocks"]["minutes_to_last_acknowledgement"] == 35
    assert closed["totals"]["accounted_permille"] == 1000
    assert closed["totals"]["left_g"] == 0


async def test_an_exercise_never_looks_like_a_recall(morning: Morning) -> None:
    """Nobody is sent out for it, nothing public tells of it, and no client makes it real."""
    trade, opener = morning.trade, morning.collector
    city = await office_of(trade)
    recall, mine = new_id(), {"trigger": "self_check", "mock": True}
    opened = order(trade, morning.mixed, **mine)
    await opener.make(f"/recalls/{recall}", opened)
    at = f"/recalls/{recall}"

    async def told(actor: Actor) -> list[tuple[str, Any]]:
        rows = await actor.read("/notices")
        return [(row["kind"], row["facts"].get("mock")) for row in rows]

    assert await told(city) == [("mock_recall", "true")]
    unsaid = {name: said for name, said in opened.items() if name != "mock"}
    for real in ({**opened, "mock": False}, unsaid):
        assert code_of(await opener.put(f"/recalls/{recall}", real)) == "id-reused"
    sold = await morning.first.sells(None, line(CHIVES, 1, morning.at_first))
    page = await trade.client.get(
        "/t/" + sold["url"].rpartition("/")[2], headers={"accept": "application/json"}
    )
    assert page.json()["state"] != "held"
    words = {"reason": "x", "accountable": "王五"}
    annulled = await morning.office.put(f"{at}/annulments/{morning.pending}", words)
    assert code_of(annulled) in {"mock-recall", "recall-not-yours"}
    eaten = {"lot": morning.at_second, "kind": "consumed", "mass_g": 1_000, "note": "演练"}
    await morning.office.put(f"{at}/steps/{new_id()}", eaten)
    assert (await morning.second.lot(morning.at_second))["remaining_g"] == 15_000
    trade.clock.advance(days=30)
    await run_chore(trade)
    done = {"outcome": "completed", "reason": "演练结束"}
    await opener.make(f"{at}/closure", done, status=200)
    assert sorted(await told(city)) == [
        ("mock_recall", "true"),
        ("recall_closed", "true"),
        ("recall_late", "true"),
        ("recall_overdue", "true"),
    ]
    assert await trade.value("SELECT max(holds) FROM lot_balance") == 0


# --- what goes out ----------------------------------------------------------------------------


async def test_a_case_is_exported_and_printed(morning: Morning) -> None:
    office, stall = morning.office, morning.first
    opened = await recalled(office, morning.at_first, reason="=HYPERLINK(1)")
    at = f"/recalls/{opened['recall']}"
    step = {"lot": morning.at_first, "kind": "located", "mass_g": 18_000, "note": "过秤"}
    await stall.make(f"{at}/steps/{new_id()}", step)
    record = await office.read(f"{at}/record")
    assert [row["mass_g"] for row in record["steps"]] == [18_000]
    assert len(record["notices"]) == 6
    book = CalamineWorkbook.from_filelike(
        io.BytesIO((await office.get(f"{at}/record.xlsx")).content)
    )
    rows = book.get_sheet_by_name("批次 Lots").to_python()
    assert len(rows) == 1 + 8
    assert {row[0] for row in rows[1:]} == set(await lots_of(office, opened["recall"]))
    case = {row[0]: row[1] for row in book.get_sheet_by_name("案件 Case").to_python()}
    assert case["原因 Reason"] == "'=HYPERLINK(1)"
    listed = CalamineWorkbook.from_filelike(io.BytesIO((await office.get("/recalls.xlsx")).content))
    assert len(listed.get_sheet_by_name("召回 Recalls").to_python()) == 2
    pdf = await office.get(f"{at}/record.pdf")
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.content)).pages)
    assert "召回报告" in text
    assert "98.000 kg" in text


async def test_a_trader_sees_its_own_part_and_a_stranger_nothing(morning: Morning) -> None:
    opened = await recalled(morning.office, morning.at_first)
    at, stall = f"/recalls/{opened['recall']}", morning.first
    seen = await stall.read(at)
    assert seen["totals"] is None
    assert set(await lots_of(stall, opened["recall"])) == {morning.at_first}
    assert [row["party"] for row in await stall.read(f"{at}/notices")] == [str(stall.public_id)]
    record = await stall.read(f"{at}/record")
    assert len(record["notices"]) == 1
    pdf = await stall.get(f"{at}/record.pdf")
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.content)).pages)
    assert "98.000" not in text
    stranger = await morning.trade.stall()
    for path in ("", "/lots", "/notices", "/record", "/record.pdf", "/record.xlsx", "/letter"):
        answer = await stranger.get(at + path)
        assert (answer.status_code, code_of(answer)) == (404, "unknown-recall")
    assert await stranger.read("/recalls") == []
    assert [row["recall"] for row in await stall.read("/recalls")] == [opened["recall"]]


async def test_the_page_of_a_case_says_in_both_languages_how_it_stands(morning: Morning) -> None:
    opened = await recalled(morning.office, morning.at_first, reason="<b>克百威</b>")
    at = f"/recalls/{opened['recall']}/page"
    page = (await morning.office.get(at)).text
    assert "&lt;b&gt;克百威&lt;/b&gt;" in page
    for said in ("范围内的货物不得流转", "Nothing in scope may move", "98.000 kg", "未确认 open"):
        assert said in page
    assert page.count("<tr><td>") == 8 + 6
    mine = (await morning.first.get(at)).text
    assert "98.000 kg" not in mine
    assert morning.at_second not in mine
    assert "给场外购买者的公告（1 笔销售）" in mine
    assert (await morning.trade.client.get(at)).status_code == 401
    exercise = await recalled(morning.office, morning.at_first, mock=True)
    mock = (await morning.office.get(f"/recalls/{exercise['recall']}/page")).text
    assert "演练：货物没有问题，未被控制" in mock
    assert "不得流转" not in mock


async def test_buyers_outside_the_platform_are_told_by_a_letter(morning: Morning) -> None:
    opened = await recalled(morning.office, morning.at_first)
    at, stall = f"/recalls/{opened['recall']}", morning.first
    letter = await stall.read(f"{at}/letter")
    assert [(sale["mass_g"], sale["buyer"]) for sale in letter["sales"]] == [(2_000, None)]
    assert letter["products"] == ["韭菜"]
    pdf = PdfReader(io.BytesIO((await stall.get(f"{at}/letter.pdf")).content))
    text = "".join(page.extract_text() for page in pdf.pages)
    assert "食用农产品召回公告" in text
    assert shortcode.show(letter["sales"][0]["code"]) in text
    told = {
        "channel": "poster",
        "buyers": 1,
        "mass_g": 2_000,
        "note": "摊位张贴",
        "told_at": morning.trade.clock().isoformat(),
    }
    name = new_id()
    first = await stall.make(f"{at}/forwardings/{name}", told)
    assert await stall.make(f"{at}/forwardings/{name}", told, status=200) == first
    assert (
        code_of(await stall.put(f"{at}/forwardings/{name}", {**told, "buyers": 2})) == "id-reused"
    )
    late = (morning.trade.clock() + timedelta(hours=1)).isoformat()
    assert code_of(await stall.put(f"{at}/forwardings/{new_id()}", {**told, "told_at": late})) == (
        "impossible-date"
    )
    stranger = await morning.trade.stall()
    assert code_of(await stranger.put(f"{at}/forwardings/{new_id()}", told)) == "unknown-recall"
    record = await morning.office.read(f"{at}/record")
    assert [row["forwarding"] for row in record["forwardings"]] == [name]
