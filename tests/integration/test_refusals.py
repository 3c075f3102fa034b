"""Refusals come in a fixed order: requests that break every rule are mended rule by rule.

Each step names the refusal of a request that breaks this rule and all that follow, and then mends
what it was refused for. At the end the request is good, and happens once.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.party.access import RoleKind
from tests.factories import (
    CHIVES,
    GREENS,
    PADDY,
    Actor,
    Json,
    Trade,
    code_of,
    line,
    new_id,
    received,
)

Mending = Json | Callable[[], Awaitable[Any]]
LAST_CENTURY, NEXT_CENTURY = "1999-06-18T04:00+08:00", "2100-06-18T04:00+08:00"
BEFORE_THE_HARVEST = "2026-06-10T04:00+08:00"


async def mend(
    actor: Actor, path: str, body: Json, steps: list[tuple[str, Mending]], *, other: Json
) -> None:
    """Send a request, mend what it is refused for, and so on; then once more, and with `other`."""
    for code, mending in steps:
        answer = await actor.put(path, body)
        assert not answer.is_success, f"not refused as {code}"
        said = answer.json()
        assert code_of(answer) == code, said
        assert all(said[language]["next_step"] for language in ("zh", "en"))
        if callable(mending):
            await mending()
        else:
            body = {name: value for name, value in (body | mending).items() if value is not None}
    made = await actor.make(path, body)
    again = await actor.put(path, body)
    assert (again.status_code, again.json()) == (200, made)
    reused = await actor.put(path, body | other)
    assert (reused.status_code, code_of(reused)) == (409, "id-reused")


async def test_a_ticket(trade: Trade) -> None:
    coop, stall, gone = await trade.coop(), await trade.stall(), await trade.stall()
    foreign = await (await trade.coop()).opens(GREENS, 5)
    held, chives = await coop.opens(GREENS, 5), await coop.opens(kg=10)
    for lot in (foreign, held):
        await trade.hold(lot)
    await trade.execute(
        "UPDATE party SET status = 'disabled' WHERE public_id = :id", id=gone.public_id
    )
    await coop.voids("certificates", await coop.certifies(chives, 10))

    async def release() -> None:
        await trade.hold(held, 0)

    async def certify_but_a_gram() -> None:
        await coop.certifies(chives, "9.999")

    async def certify_the_gram() -> None:
        await coop.certifies(chives, "0.001")

    body = {
        "kind": "sale",
        "buyer": {"party": new_id()},
        "market": new_id(),
        "corrects": new_id(),
        "hand_over": "two_sided",
        "sold_at": NEXT_CENTURY,
        "lines": [line(CHIVES, 20, new_id())],
    }
    steps: list[tuple[str, Mending]] = [
        ("unknown-lot", {"lines": [line(CHIVES, 20, foreign)]}),
        ("impossible-date", {"sold_at": LAST_CENTURY}),
        ("impossible-date", {"sold_at": BEFORE_THE_HARVEST}),
        ("unknown-party", {"buyer": gone.as_buyer}),
        ("unknown-place", {"market": None}),
        ("buyer-disabled", {"buyer": coop.as_buyer}),
        ("self-sale", {"kind": "transfer", "buyer": {"walk_in": True}}),
        ("transfer-to-other", {"kind": "return"}),
        ("hand-over-impossible", {"buyer": stall.as_buyer}),
        ("corrects-other", {"corrects": None}),
        ("not-holder", {"lines": [line(CHIVES, 20, held)]}),
        ("lot-on-hold", release),
        ("products-differ", {"lines": [line(CHIVES, 20, (chives, 10_001))]}),
        ("lot-exhausted", {"lines": [line(CHIVES, 20, (chives, 10_000))]}),
        ("masses-differ", {"lines": [line(CHIVES, "10.001")]}),
        ("stock-short", {"lines": [line(CHIVES, 10, chives)]}),
        ("return-to-stranger", {"kind": "sale"}),
        ("made-too-early", {"sold_at": None}),
        ("certificate-voided", certify_but_a_gram),
        ("certificate-missing", certify_the_gram),
    ]
    path = f"/tickets/{new_id()}"
    await mend(coop, path, body, steps, other={"note": "another"})
    assert (await coop.lot(chives))["remaining_g"] == 0
    assert len(await trade.rows("SELECT 1 FROM entry WHERE kind = 'ticket.issued'")) == 1


async def test_a_decision_and_a_void(trade: Trade) -> None:
    farmer, stall, stranger = await trade.farmer(), await trade.stall(), await trade.stall()
    lot = await farmer.opens(kg=10)
    ticket = (await farmer.sells(stall, line(CHIVES, 4, lot)))["ticket"]
    voided = (await farmer.sells(stall, line(CHIVES, 6, lot)))["ticket"]
    await farmer.voids("tickets", voided)
    accept: Json = {"outcome": "accepted"}

    def part(mass_g: int, no: int = 1) -> Json:
        lines = [{"no": no, "mass_g": mass_g}]
        return {"outcome": "accepted_in_part", "lines": lines, "reason": "wilted"}

    async def decide(actor: Actor, which: str, body: Json) -> str | int:
        answer = await actor.put(f"/tickets/{which}/decision", body)
        return answer.status_code if answer.is_success else code_of(answer)

    async def void(actor: Actor, which: str) -> str | int:
        answer = await actor.put(f"/tickets/{which}/void", {"reason": "typed wrongly"})
        return answer.status_code if answer.is_success else code_of(answer)

    assert await decide(stall, new_id(), part(5_000)) == "unknown-ticket"
    assert await decide(stranger, voided, part(9_000)) == "not-buyer"
    assert await decide(stall, voided, part(9_000)) == "ticket-voided"
    await trade.hold(lot)
    for impossible in (part(4_001), part(4_000), part(0), part(1_000, no=2)):
        assert await decide(stall, ticket, impossible) == "accepted-mass-impossible"
    assert await decide(stall, ticket, part(3_999)) == "lot-on-hold"
    await trade.hold(lot, 0)
    assert await decide(stall, ticket, part(3_999)) == 200
    assert await decide(stall, ticket, part(3_999)) == 200
    assert await decide(stall, ticket, accept) == "ticket-already-decided"
    (drawn,) = (await farmer.read(f"/tickets/{ticket}"))["lines"][0]["draws"]
    assert (await farmer.lot(drawn["returned_lot"]))["mass_g"] == 1

    assert await void(farmer, new_id()) == "unknown-ticket"
    assert await void(stranger, ticket) == "not-seller"
    assert await void(farmer, ticket) == "ticket-already-decided"
    for _ in range(2):
        assert await void(farmer, voided) == 200
    assert (await farmer.lot(lot))["remaining_g"] == 6_000


async def test_a_merge(trade: Trade) -> None:
    collector = await trade.collector()

    async def bought(kg: float) -> str:
        coop = await trade.coop()
        lot = await coop.opens(kg=kg)
        await coop.certifies(lot, kg)
        ticket = await coop.sells(collector, line(CHIVES, kg, lot))
        return received(await collector.decides(ticket["ticket"]))

    first, second, held = await bought(5), await bought(5), await bought(5)
    greens = await collector.opens(GREENS, 5, origin="declare")
    foreign = await (await trade.coop()).opens(kg=5)
    for lot in (held, foreign):
        await trade.hold(lot)

    async def release() -> None:
        await trade.hold(held, 0)

    def inputs(*named: str | tuple[str, int]) -> Json:
        every = [(name, None) if isinstance(name, str) else name for name in named]
        return {"inputs": [{"lot": lot, "mass_g": mass_g} for lot, mass_g in every]}

    merged = new_id()
    body = {**inputs(new_id(), (foreign, 5_001)), "lot": foreign, "occurred_at": NEXT_CENTURY}
    steps: list[tuple[str, Mending]] = [
        ("unknown-lot", inputs((first, 5_001), (foreign, 5_001))),
        ("cycle", {"lot": first, **inputs((foreign, 5_001), (held, 5_001))}),
        ("impossible-date", {"occurred_at": BEFORE_THE_HARVEST}),
        ("not-holder", inputs((held, 5_001), greens)),
        ("lot-on-hold", release),
        ("lot-exhausted", inputs((held, 5_000), greens)),
        ("made-too-early", {"occurred_at": None}),
        ("products-differ", inputs(second, held)),
        ("merge-needs-certificate", {"certificate": _form_2()}),
        ("id-reused", {"lot": merged}),
    ]
    await mend(collector, f"/merges/{new_id()}", body, steps, other=inputs(first, held))
    made = await collector.lot(merged)
    assert (made["mass_g"], made["certified_g"], made["mixed"]) == (10_000, 10_000, True)


def _form_2() -> Json:
    return {"certificate": new_id(), "bases": ["quality_control"]}


async def test_a_certificate(trade: Trade) -> None:
    coop, lot = await trade.coop(), ""
    foreign = await (await trade.coop()).opens(PADDY, 10)
    paddy, lot = await coop.opens(PADDY, 10), await coop.opens(kg=10)
    in_force = await coop.certifies(lot, 1)
    body = {
        "kind": "conformity_producer",
        "lot": new_id(),
        "quantity": "9.001",
        "unit": "公斤",
        "bases": [],
        "issued_at": NEXT_CENTURY,
        "replaces": in_force,
    }

    office, hold = await trade.party(RoleKind.REGULATOR, answers_for="3206"), new_id()
    for name, held in ((new_id(), foreign), (hold, paddy)):
        await office.make(f"/holds/{name}", {"lot": held, "reason": "投诉"})

    async def void() -> None:
        await coop.voids("certificates", in_force)

    async def release() -> None:
        await office.make(f"/holds/{hold}/release", {"reason": "查无问题"}, status=200)

    steps: list[tuple[str, Mending]] = [
        ("unknown-lot", {"lot": foreign}),
        ("impossible-date", {"issued_at": BEFORE_THE_HARVEST}),
        ("not-holder", {"lot": paddy}),
        ("certificate-lot-on-hold", release),
        ("wrong-certificate", {"lot": lot, "kind": "conformity_purchaser"}),
        ("wrong-certificate", {"kind": "conformity_producer"}),
        ("made-too-early", {"issued_at": None}),
        ("basis-missing", {"bases": ["self_promise"]}),
        ("basis-not-on-form", {"bases": ["self_tested"]}),
        ("certificate-exceeds-lot", {"quantity": "9"}),
        ("certificate-not-replaceable", void),
    ]
    path = f"/certificates/{new_id()}"
    await mend(coop, path, body, steps, other={"quantity": "8"})
    stranger = await trade.coop()
    for actor, which in ((coop, new_id()), (stranger, path.rpartition("/")[2])):
        answer = await actor.put(f"/certificates/{which}/void", {"reason": "typed wrongly"})
        assert code_of(answer) == "unknown-certificate"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"product": 99_999}, "unknown-product"),
        ({"unit": "lightyear"}, "unknown-unit"),
        ({"unit": "头"}, "unit-not-for-product"),
        ({"quantity": "0"}, "quantity-not-positive"),
        ({"quantity": "-1"}, "quantity-not-positive"),
        ({"quantity": "100000000"}, "quantity-absurd"),
        ({"occurred_at": NEXT_CENTURY}, "impossible-date"),
        ({"made_on": "2026-06-19"}, "impossible-date"),
        ({"division_code": None}, "origin-missing"),
        ({"division_code": "329999"}, "unknown-division"),
        ({"plot": new_id()}, "unknown-place"),
        ({"producer": new_id()}, "unknown-party"),
        ({"origin": "slaughter_in"}, "wrong-role"),
        ({"quantity": "much"}, "malformed-request"),
        ({"origin": "found"}, "malformed-request"),
        ({"colour": "green"}, "malformed-request"),
    ],
)
async def test_a_lot(trade: Trade, change: Json, code: str) -> None:
    farmer = await trade.farmer()
    good = {
        "origin": "harvest",
        "product": CHIVES,
        "quantity": "10",
        "unit": "公斤",
        "division_code": "320682001001",
    }
    path = f"/lots/{new_id()}"
    body = {name: value for name, value in (good | change).items() if value is not None}
    answer = await farmer.put(path, body)
    assert code_of(answer) == code, answer.text
    if code == "malformed-request":
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{min(change)}"]
    await farmer.make(path, good)
    assert code_of(await farmer.put(path, good | {"quantity": "11"})) == "id-reused"


async def test_nothing_is_left_after_the_last_gram(trade: Trade) -> None:
    farmer = await trade.farmer()
    lot = await farmer.opens(kg=10)

    async def loses(mass_g: int) -> Any:
        body = {"lot": lot, "mass_g": mass_g, "reason": "spoiled"}
        return await farmer.put(f"/losses/{new_id()}", body)

    refused = await loses(10_001)
    assert (refused.status_code, code_of(refused)) == (409, "lot-exhausted")
    assert refused.json()["facts"]["remaining_g"] == 10_000
    assert (await loses(10_000)).status_code == 201
    assert code_of(await loses(1)) == "lot-exhausted"


async def test_other_peoples_goods_are_nobodys_business(trade: Trade) -> None:
    farmer, stranger = await trade.farmer(), await trade.farmer()
    lot = await farmer.opens(kg=10)
    for path in (f"/lots/{lot}", f"/lots/{lot}/trace?direction=back", f"/lots/{lot}/neighbours"):
        refused = await stranger.get(path)
        assert (refused.status_code, code_of(refused)) == (403, "other-party"), path


async def test_lots_named_for_more_than_their_line_are_not_made_good_by_another(
    trade: Trade,
) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    first, second, third = [await coop.opens(kg=10) for _ in range(3)]
    # A gram too much of the first lot leaves nothing open, and not a gram less than nothing.
    for lines in (
        [line(CHIVES, 5, (first, 5_001), second)],
        [line(CHIVES, 5, (first, 5_001), second, third)],
    ):
        body = {"buyer": stall.as_buyer, "lines": lines}
        refused = await coop.put(f"/tickets/{new_id()}", body)
        assert (refused.status_code, code_of(refused)) == (422, "masses-differ")
    left = {(await coop.lot(lot))["remaining_g"] for lot in (first, second, third)}
    assert left == {10_000}
