"""Holds: who may place them, what they stop, and who is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.party.access import RoleKind
from app.recall.jobs import HANDLERS
from tests.factories import CHIVES, Actor, Trade, code_of, line, new_id, open_trade
from tests.recalls import photo


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url) as trade:
        yield trade
        assert trade.faults == []


async def _regulator(trade: Trade, prefix: str = "3206") -> Actor:
    return await trade.party(RoleKind.REGULATOR, answers_for=prefix)


def _hold(lot: str, reason: str = "quick test 58 %") -> dict[str, str]:
    return {"lot": lot, "reason": reason}


async def test_a_lot_on_hold_gives_nothing_away_until_the_last_release(trade: Trade) -> None:
    farmer, stall, office = await trade.farmer(), await trade.stall(), await _regulator(trade)
    lot = await farmer.opens()
    first, second = new_id(), new_id()
    await office.make(f"/holds/{first}", _hold(lot))
    await office.make(f"/holds/{second}", _hold(lot, "complaint"))
    assert (await farmer.lot(lot))["on_hold"] is True
    ticket = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 1, lot)]}
    refused = await farmer.put(f"/tickets/{new_id()}", ticket)
    assert (refused.status_code, code_of(refused)) == (409, "lot-on-hold")
    # Stock that is held is not offered either.
    unnamed = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 1)]}
    assert code_of(await farmer.put(f"/tickets/{new_id()}", unnamed)) == "stock-short"
    loss = {"lot": lot, "reason": "spoiled"}
    assert code_of(await farmer.put(f"/losses/{new_id()}", loss)) == "lot-on-hold"
    await office.make(f"/holds/{first}/release", {"reason": "cleared"}, status=200)
    assert code_of(await farmer.put(f"/tickets/{new_id()}", ticket)) == "lot-on-hold"
    await office.make(f"/holds/{second}/release", {"reason": "cleared"}, status=200)
    await farmer.make(f"/tickets/{new_id()}", ticket)


async def test_held_goods_leave_only_to_be_destroyed(trade: Trade) -> None:
    farmer, office = await trade.farmer(), await _regulator(trade)
    lot = await farmer.opens(kg=100)
    await office.make(f"/holds/{new_id()}", _hold(lot))
    body = {"lot": lot, "mass_g": 40_000, "method": "buried", "reason": "residues"}
    shown = {"evidence": [await photo(farmer)], "witness": "李四，市场监管所"}

    async def refused(**more: Any) -> str:
        return code_of(await farmer.put(f"/destructions/{new_id()}", {**body, **more}))

    # Nobody is believed alone that goods are gone which were to be kept.
    assert await refused() == "destruction-needs-proof"
    assert await refused(evidence=shown["evidence"]) == "destruction-needs-proof"
    assert await refused(witness=shown["witness"], mass_g=200_000) == "destruction-needs-proof"
    assert await refused(**shown, mass_g=200_000) == "lot-exhausted"
    assert await refused(evidence=[new_id()]) == "unknown-evidence"
    assert await refused(evidence=[await photo(office)]) == "unknown-evidence"
    change = new_id()
    await farmer.make(f"/destructions/{change}", {**body, **shown})
    await farmer.make(f"/destructions/{change}", {**body, **shown}, status=200)
    assert (await farmer.lot(lot))["remaining_g"] == 60_000
    leaf = await trade.value(
        "SELECT convert_from(leaf, 'UTF8') FROM entry WHERE subject = :change", change=UUID(change)
    )
    said = json.loads(leaf)
    assert len(said["details"]["evidence"]) == 1
    assert set(said["commits"]) == {"reason", "witness"}
    assert "李四" not in leaf


async def test_placing_and_releasing_twice_has_one_effect(trade: Trade) -> None:
    farmer, office = await trade.farmer(), await _regulator(trade)
    lot, hold = await farmer.opens(), new_id()
    answers = await asyncio.gather(*(office.put(f"/holds/{hold}", _hold(lot)) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    other = await office.put(f"/holds/{hold}", _hold(lot, "another reason"))
    assert (other.status_code, code_of(other)) == (409, "id-reused")
    reason = {"reason": "cleared"}
    first = await office.make(f"/holds/{hold}/release", reason, status=200)
    assert await office.make(f"/holds/{hold}/release", reason, status=200) == first
    # Who says something else of it, or is somebody else, is told that it was not recorded.
    county = await _regulator(trade, "320682")
    for actor, said in ((office, {"reason": "误报"}), (county, reason)):
        again = await actor.put(f"/holds/{hold}/release", said)
        assert (again.status_code, code_of(again)) == (409, "hold-released")
    assert await trade.value("SELECT max(holds) FROM lot_balance") == 0
    kinds = await trade.rows(
        "SELECT kind FROM entry WHERE subject = :id ORDER BY id", id=UUID(hold)
    )
    assert [kind for (kind,) in kinds] == ["hold.hold", "hold.release"]


async def test_only_who_answers_for_a_lot_holds_it(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens()
    body = _hold(lot)
    assert code_of(await stall.put(f"/holds/{new_id()}", body)) == "not-allowed"
    elsewhere = await _regulator(trade, "3205")
    assert code_of(await elsewhere.put(f"/holds/{new_id()}", body)) == "hold-not-yours"
    market = await trade.party(RoleKind.MARKET)
    assert code_of(await market.put(f"/holds/{new_id()}", body)) == "hold-not-yours"
    county = await _regulator(trade, "320682")
    hold = new_id()
    await county.make(f"/holds/{hold}", body)
    release = await elsewhere.put(f"/holds/{hold}/release", {"reason": "no"})
    assert code_of(release) == "hold-not-yours"
    assert code_of(await county.put(f"/holds/{new_id()}/release", {"reason": "x"})) == (
        "unknown-hold"
    )
    assert code_of(await county.put(f"/holds/{new_id()}", _hold(new_id()))) == "unknown-lot"


async def test_a_market_holds_what_is_sold_in_it(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
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
    lot = await farmer.opens()
    ticket = await farmer.sells(stall, line(CHIVES, 10, lot), market=place)
    decided = await stall.decides(ticket["ticket"])
    received = decided["lines"][0]["draws"][0]["received_lot"]
    hold = await market.make(f"/holds/{new_id()}", _hold(received))
    assert hold["placed_by"] == str(market.public_id)
    assert [found["hold"] for found in await stall.read("/holds")] == [hold["hold"]]
    [told] = await stall.read("/notices")
    assert (told["kind"], told["goods"]) == ("held", ["韭菜"])


async def test_a_hold_and_a_sale_at_the_same_instant_leave_no_sale_after_the_hold(
    trade: Trade,
) -> None:
    """Whoever comes second sees what the first did; the log tells the order."""
    farmer, stall, office = await trade.farmer(), await trade.stall(), await _regulator(trade)
    for _ in range(6):
        lot = await farmer.opens(kg=100)
        body = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 1, lot)]}
        hold = new_id()
        answers = await asyncio.gather(
            *(farmer.put(f"/tickets/{new_id()}", body) for _ in range(3)),
            office.put(f"/holds/{hold}", _hold(lot)),
            *(farmer.put(f"/tickets/{new_id()}", body) for _ in range(3)),
        )
        sold = sum(answer.status_code == 201 for answer in answers) - 1
        refused = [code_of(answer) for answer in answers if answer.status_code == 409]
        assert answers[3].status_code == 201
        assert sold + len(refused) == 6
        assert set(refused) <= {"lot-on-hold"}
        late = await trade.value(
            "SELECT count(*) FROM entry t, entry h WHERE h.subject = :hold "
            "AND t.kind = 'ticket.issued' AND t.id > h.id AND t.leaf::text LIKE :lot",
            hold=UUID(hold),
            lot=f"%{lot.encode().hex()}%",
        )
        assert late == 0
        assert (await farmer.lot(lot))["remaining_g"] == 100_000 - 1_000 * sold


async def test_nobody_vouches_anew_for_held_or_recalled_goods(trade: Trade) -> None:
    coop, office = await trade.coop(), await _regulator(trade)
    lot, hold = await coop.opens(kg=100), new_id()
    paper, body = new_id(), _certificate(lot)
    before = await coop.make(f"/certificates/{paper}", body)
    await office.make(f"/holds/{hold}", _hold(lot))
    for kind in ("conformity_producer", "origin_proof"):
        more = {"kind": kind, "bases": [] if kind == "origin_proof" else body["bases"]}
        refused = await coop.put(f"/certificates/{new_id()}", {**body, **more})
        assert (refused.status_code, code_of(refused)) == (409, "certificate-lot-on-hold")
    # Dated before the hold it is no other; what was issued then stands, and is taken back.
    early = {**body, "issued_at": (trade.clock() - timedelta(minutes=9)).isoformat()}
    refused = await coop.put(f"/certificates/{new_id()}", early)
    assert code_of(refused) == "certificate-lot-on-hold"
    assert await coop.make(f"/certificates/{paper}", body, status=200) == before
    await coop.voids("certificates", paper)
    recall = {
        "found": [lot],
        "grade": 1,
        "trigger": "complaint",
        "reason": "投诉",
        "known_at": trade.clock().isoformat(),
    }
    case = new_id()
    await office.make(f"/recalls/{case}", recall)
    await office.make(f"/holds/{hold}/release", {"reason": "转召回"}, status=200)
    refused = await coop.put(f"/certificates/{new_id()}", {**body, "replaces": paper})
    assert code_of(refused) == "certificate-lot-on-hold"
    lifted = {"outcome": "lifted", "reason": "误报"}
    await office.make(f"/recalls/{case}/closure", lifted, status=200)
    await coop.make(f"/certificates/{new_id()}", {**body, "replaces": paper})


async def test_a_hold_and_certificates_at_the_same_instant_leave_none_after_the_hold(
    trade: Trade,
) -> None:
    coop, office = await trade.coop(), await _regulator(trade)
    for _ in range(6):
        lot, hold = await coop.opens(kg=100), new_id()
        papers = [new_id() for _ in range(6)]
        asked = [coop.put(f"/certificates/{paper}", _certificate(lot)) for paper in papers]
        answers = await asyncio.gather(
            *asked[:3], office.put(f"/holds/{hold}", _hold(lot)), *asked[3:]
        )
        assert answers.pop(3).status_code == 201
        refused = {code_of(answer) for answer in answers if answer.status_code != 201}
        assert refused <= {"certificate-lot-on-hold"}
        late = await trade.value(
            "SELECT count(*) FROM entry c, entry h WHERE h.subject = :hold "
            "AND c.kind = 'certificate.issued' AND c.id > h.id AND c.subject = ANY(:papers)",
            hold=UUID(hold),
            papers=[UUID(paper) for paper in papers],
        )
        assert late == 0


def _certificate(lot: str) -> dict[str, Any]:
    return {
        "kind": "conformity_producer",
        "lot": lot,
        "quantity": "10",
        "unit": "公斤",
        "bases": ["self_tested"],
    }


async def test_goods_of_a_held_lot_are_not_accepted(trade: Trade) -> None:
    farmer, stall, office = await trade.farmer(), await trade.stall(), await _regulator(trade)
    lot = await farmer.opens()
    ticket = await farmer.sells(stall, line(CHIVES, 10, lot))
    hold = new_id()
    await office.make(f"/holds/{hold}", _hold(lot))
    refused = await stall.put(f"/tickets/{ticket['ticket']}/decision", {"outcome": "accepted"})
    assert code_of(refused) == "lot-on-hold"
    await office.make(f"/holds/{hold}/release", {"reason": "cleared"}, status=200)
    assert (await stall.decides(ticket["ticket"]))["status"] == "accepted"


async def test_holders_of_goods_under_a_voided_certificate_are_told(trade: Trade) -> None:
    coop, stall, other = await trade.coop(), await trade.stall(), await trade.stall()
    lot = await coop.opens()
    certificate = await coop.certifies(lot)
    ticket = await coop.sells(stall, line(CHIVES, 10, lot))
    await stall.decides(ticket["ticket"])
    waiting = await trade.stall()
    await coop.sells(waiting, line(CHIVES, 10, lot))
    await coop.voids("certificates", certificate)
    kind, payload = (await trade.rows("SELECT entrypoint, payload FROM pgqueuer"))[0]
    assert await stall.read("/notices") == []
    for _ in range(2):  # A job that is done twice tells once.
        async with trade.database.transaction() as session:
            await HANDLERS[kind](session, payload, trade.clock())
    for told in (stall, waiting):  # it has the goods, or is about to accept them
        notices = await told.read("/notices")
        assert [(notice["kind"], notice["subject"], notice["goods"]) for notice in notices] == [
            ("certificate_voided", certificate, ["韭菜"])
        ]
    assert await other.read("/notices") == []
