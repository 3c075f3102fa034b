"""Tickets that are asked for at the same moment are issued together; nobody notices but the clock.

What the counter does not plainly issue goes on to the route, so each test holds the answers against
what the route says.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from sqlalchemy import text
from structlog.testing import capture_logs

from app.core import logging
from app.core.db import LOCK_TIMEOUT_MS
from app.party import credentials
from app.ticket import counter
from tests.factories import CHIVES, TOMATOES, Actor, Json, Trade, line, new_id
from tests.laboratory import signed_in

TICKETS = 12


def sale(buyer: Actor | None, *lines: Json, **more: Any) -> Json:
    named = {"walk_in": True} if buyer is None else buyer.as_buyer
    return {"buyer": named, "lines": list(lines), **more}


async def transactions(trade: Trade, tickets: list[str]) -> int:
    """Count the transactions that tickets were issued in."""
    return int(
        await trade.value(
            "SELECT count(DISTINCT xid) FROM entry "
            "WHERE kind = 'ticket.issued' AND subject = ANY(:tickets)",
            tickets=[UUID(ticket) for ticket in tickets],
        )
    )


async def put_all(actor: Actor, bodies: dict[str, Json]) -> list[httpx.Response]:
    return list(
        await asyncio.gather(
            *(actor.put(f"/tickets/{ticket}", body) for ticket, body in bodies.items())
        )
    )


async def test_those_of_a_moment_share_transactions_and_each_is_told_of_its_own(
    trade: Trade,
) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=100)
    bodies = {new_id(): sale(stall, line(CHIVES, no + 1, lot)) for no in range(TICKETS)}
    answers = await put_all(farmer, bodies)
    assert {answer.status_code for answer in answers} == {201}
    assert await transactions(trade, list(bodies)) < TICKETS / 2
    for ticket, answer in zip(bodies, answers, strict=True):
        assert answer.json()["ticket"] == ticket
        again = await farmer.put(f"/tickets/{ticket}", bodies[ticket])
        assert again.status_code == 200, "the route knows the request by what the counter noted"
        assert answer.content == again.content, "byte by byte what the route writes"
    assert (await farmer.lot(lot))["remaining_g"] == 1000 * (100 - sum(range(TICKETS + 1)))


async def test_the_counter_writes_whatever_a_ticket_can_hold_as_the_route_does(
    trade: Trade,
) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    tomatoes = await coop.opens(TOMATOES, kg=50, made_on=None)
    lots = [await coop.opens(kg=30) for _ in range(2)]
    for lot in lots:
        await coop.certifies(lot, kg=30)
    await coop.certifies(tomatoes, kg=50)
    priced = line(CHIVES, "12.50") | {"price_fen": 450, "price_unit": "斤", "trade_name": "头刀"}
    rich = sale(
        stall,
        priced,
        line(TOMATOES, 3, tomatoes),
        line(CHIVES, 40),
        plate="苏F12345",
        note="“早市” 𠮷",
        sold_at=trade.clock().isoformat(),
        device_at=(trade.clock() + timedelta(microseconds=120)).isoformat(),
        documents=[{"kind": "other", "number": "A-1", "issued_on": "2026-01-02"}],
    )
    voided = await coop.sells(stall, line(TOMATOES, 1, tomatoes))
    await coop.voids("tickets", voided["ticket"])
    bodies = {
        new_id(): rich,
        new_id(): sale(None, line(TOMATOES, 1, tomatoes)),
        new_id(): sale(stall, line(TOMATOES, 2, tomatoes), hand_over="one_sided"),
        new_id(): sale(stall, line(TOMATOES, 1, tomatoes), corrects=voided["ticket"]),
        new_id(): sale(stall, line(TOMATOES, 1, tomatoes), kind="sale"),
    }
    answers = await put_all(coop, bodies)
    assert [answer.status_code for answer in answers] == [201] * len(bodies)
    assert await transactions(trade, list(bodies)) < len(bodies)
    for (ticket, body), answer in zip(bodies.items(), answers, strict=True):
        again = await coop.put(f"/tickets/{ticket}", body)
        assert (again.status_code, again.content) == (200, answer.content)
    assert answers[0].json()["lines"][0]["draws"][0]["certificates"]
    assert answers[2].json()["lines"][0]["draws"][0]["received_lot"]


async def test_who_is_refused_hears_it_from_the_route_and_the_others_are_served(
    trade: Trade,
) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    stranger, lot = await trade.stall(), await farmer.opens(kg=10)
    held = await farmer.opens(kg=10)
    await trade.hold(held)
    kept = new_id()
    asked: list[tuple[Actor, str, Json, str | None]] = [
        (farmer, kept, sale(stall, line(CHIVES, 4, lot)), None),
        (farmer, new_id(), sale(stall, line(CHIVES, 11, lot)), "lot-exhausted"),
        (farmer, new_id(), sale(stall, line(CHIVES, 1, held)), "lot-on-hold"),
        (stranger, new_id(), sale(stall, line(CHIVES, 1, lot)), "self-sale"),
        (farmer, new_id(), sale(stall, line(CHIVES, 1, new_id())), "unknown-lot"),
        (farmer, new_id(), sale(stall, line(999_999, 1, lot)), "unknown-product"),
        (farmer, new_id(), sale(stall, line(CHIVES, 1, lot) | {"a": 1}), "malformed-request"),
        (farmer, new_id(), sale(farmer, line(CHIVES, 1, lot)), "self-sale"),
        (farmer, new_id(), sale(stall, line(CHIVES, 5, lot)), None),
    ]
    asked[3] = (stranger, asked[3][1], sale(farmer, line(CHIVES, 1, lot)), "not-holder")
    answers = await asyncio.gather(
        *(actor.put(f"/tickets/{ticket}", body) for actor, ticket, body, _ in asked)
    )
    told = [answer.json().get("code") if answer.status_code >= 400 else None for answer in answers]
    assert told == [code for *_, code in asked]
    assert (await farmer.lot(lot))["remaining_g"] == 1_000


async def test_a_bug_that_one_of_a_group_meets_fails_nobody_else(
    own_trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade, state = own_trade, own_trade.app.state
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=100)

    def none_left() -> UUID:
        raise RuntimeError(farmer.headers)

    state.new_id = none_left  # asked for the lots of hand-overs that nobody confirms
    state.counter = counter.Counter(
        trade.database,
        state.ring,
        clock=trade.clock,
        new_id=none_left,
        new_serial=state.new_serial,
        base_url=trade.settings.public_url,
    )
    bodies = {new_id(): sale(stall, line(CHIVES, 1, lot)) for _ in range(TICKETS)}
    spoilt = list(bodies)[TICKETS // 2]
    bodies[spoilt] = sale(stall, line(CHIVES, 1, lot), hand_over="one_sided")
    with capture_logs() as lines:
        monkeypatch.setattr(logging, "log", structlog.get_logger())  # the old one keeps its way
        answers = dict(zip(bodies, await put_all(farmer, bodies), strict=True))
    trade.faults.clear()
    assert answers.pop(spoilt).status_code == 500
    assert {answer.status_code for answer in answers.values()} == {201}
    assert (await farmer.lot(lot))["remaining_g"] == 1000 * (100 - TICKETS + 1)
    faults = [line for line in lines if line["event"] == "fault"]
    assert [line["error"] for line in faults] == ["RuntimeError"] * 2, "the group's, and its own"
    for fault in faults:
        assert fault["log_level"] == "error"
        assert "none_left" in "".join(fault["stack"])
        assert farmer.headers["authorization"] not in repr(fault)


async def test_one_lot_is_sold_once_however_many_want_it(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=5)
    bodies = {new_id(): sale(stall, line(CHIVES, 1, lot)) for _ in range(TICKETS)}
    answers = await put_all(farmer, bodies)
    assert Counter(answer.status_code for answer in answers) == {201: 5, 409: TICKETS - 5}
    assert (await farmer.lot(lot))["remaining_g"] == 0


async def test_the_same_id_at_the_same_moment_is_one_ticket(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot, ticket = await farmer.opens(kg=10), new_id()
    same, other = sale(stall, line(CHIVES, 1, lot)), sale(stall, line(CHIVES, 2, lot))
    answers = await asyncio.gather(
        *(farmer.put(f"/tickets/{ticket}", body) for body in (same, same, other, same))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201, 409]
    assert (await farmer.lot(lot))["remaining_g"] == 9_000


async def test_a_key_that_was_taken_back_and_a_session_that_ended_hold_no_longer(
    trade: Trade,
) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=10)
    async with signed_in(trade, farmer) as browser:
        first = await browser.put(f"/tickets/{new_id()}", json=sale(stall, line(CHIVES, 1, lot)))
        assert first.status_code == 201, first.text
        await trade.execute("DELETE FROM session")
        late = await browser.put(f"/tickets/{new_id()}", json=sale(stall, line(CHIVES, 1, lot)))
        assert (late.status_code, late.json()["code"]) == (401, "not-signed-in")
    assert await farmer.sells(stall, line(CHIVES, 1, lot))
    await trade.execute(
        "UPDATE api_key SET revoked_at = now() WHERE party_id = :party", party=farmer.id
    )
    refused = await farmer.put(f"/tickets/{new_id()}", sale(stall, line(CHIVES, 1, lot)))
    assert (refused.status_code, refused.json()["code"]) == (401, "not-signed-in")


async def test_a_session_that_was_not_seen_for_a_while_lives_on(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=10)
    async with signed_in(trade, farmer) as browser:
        trade.clock.advance(seconds=credentials.SESSION_SEEN_EVERY.total_seconds() + 1)
        made = await browser.put(f"/tickets/{new_id()}", json=sale(stall, line(CHIVES, 1, lot)))
        assert made.status_code == 201, made.text
    assert await trade.value("SELECT max(seen_at) FROM session") == trade.clock()


async def test_a_key_of_narrow_scope_issues_nothing(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=10)
    await trade.execute(
        "UPDATE api_key SET scopes = ARRAY['lot.read'] WHERE party_id = :party", party=farmer.id
    )
    refused = await farmer.put(f"/tickets/{new_id()}", sale(stall, line(CHIVES, 1, lot)))
    assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")


async def test_who_waits_for_locked_goods_keeps_nobody_else_waiting(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    locked, free = await farmer.opens(kg=10), await farmer.opens(kg=10)
    async with trade.owner.transaction() as session:
        await session.execute(
            text(
                "SELECT 1 FROM lot_balance WHERE lot_id = "
                "(SELECT id FROM lot WHERE public_id = :lot) FOR UPDATE"
            ),
            {"lot": UUID(locked)},
        )
        waiting = asyncio.create_task(
            farmer.put(f"/tickets/{new_id()}", sale(stall, line(CHIVES, 1, locked)))
        )
        async with asyncio.timeout(LOCK_TIMEOUT_MS / 1000 - 0.1):
            served = await put_all(
                farmer, {new_id(): sale(stall, line(CHIVES, 1, free)) for _ in range(3)}
            )
        assert {answer.status_code for answer in served} == {201}
        assert not waiting.done(), "its goods are still locked"
    assert (await waiting).status_code == 201


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain"])
async def test_what_a_body_is_called_is_judged_as_the_route_judges(
    trade: Trade, content_type: str
) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=10)
    body = httpx.Request("PUT", "http://x", json=sale(stall, line(CHIVES, "1.10", lot))).content
    ticket = new_id()
    answer = await trade.client.put(
        f"/tickets/{ticket}",
        content=body,
        headers={**farmer.headers, "content-type": content_type},
    )
    assert answer.status_code == (201 if "json" in content_type else 422), answer.text
