"""Inspections over HTTP: verdicts, papers, rulings, cases, the draw, and what arrives late."""

import asyncio
import json
from datetime import date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from app.admission import sampling, seed
from app.core.clock import local_date
from app.ledger.queries import asked_since
from app.party.access import RoleKind
from app.place.rules import PlaceKind
from tests.factories import (
    CARCASSES,
    CHIVES,
    EGGS,
    GREENS,
    PIGS,
    VILLAGE,
    Actor,
    Json,
    Trade,
    code_of,
    new_id,
    received,
)
from tests.gate import (
    GRANDMOTHER,
    agrees,
    brought,
    came_to,
    codes,
    evidence,
    inspection,
    inspects,
    paper,
    rules,
    scanned,
)
from tests.laboratory import OF_MARKET, OWN, inhibition, judged, lab, report, sampled
from tests.market import PORK, Market
from tests.recalls import order

TODAY = date(2026, 6, 18)


@pytest.fixture
async def market(trade: Trade) -> Market:
    """A market whose stall has signed the agreement, in the module's trade."""
    market = Market(trade)
    await market.begin()
    await agrees(market, market.stall)
    return market


@pytest.fixture
async def lone_market(own_trade: Trade) -> Market:
    """A market on a database of its own."""
    market = Market(own_trade)
    await market.begin()
    await agrees(market, market.stall)
    return market


# --- a vehicle ------------------------------------------------------------------------------------


async def test_a_truck_is_one_inspection_with_a_verdict_for_each_line(market: Market) -> None:
    sound = await market.sound_ticket()
    small = await market.sell(market.farmer, market.stall, await market.lot(market.farmer, 20), 5)
    lines = [
        scanned(sound),
        scanned(small),
        {"id": new_id(), "text": "32068200100112345678"},
        {"id": new_id(), "text": sound["url"][:-1] + str((int(sound["url"][-1]) + 1) % 10)},
    ]
    told = await inspects(market, *lines)
    assert [came_to(line) for line in told["lines"]] == [
        ("ADMIT", ["in-the-books"]),
        ("ADMIT_AFTER_TEST", ["in-the-books", "certificate-advised"]),
        ("HOLD", ["foreign-code"]),
        ("REFUSE", ["bad-signature"]),
    ]
    assert told["decision"] == told["stands_at"] == "REFUSE"
    advised = told["lines"][1]
    assert advised["would_be"] == "ADMIT"
    found = {finding["code"]: finding for finding in advised["findings"]}  # perhaps a draw, too
    missing = found["certificate-advised"]
    assert (missing["rule"], missing["policy"]) == ("apqsl-39-advised", "apqsl-2022")
    assert "test_passed" in missing["satisfied_by"]
    assert told["inspector"] == "周检查"
    # Each code was scanned, too, and the check is in the events and in the log.
    scans = await market.office.read("/scans")
    assert {line["id"] for line in lines} <= {scan["scan"] for scan in scans}
    kinds = await market.trade.rows(
        "SELECT kind FROM event WHERE public_id = CAST(:id AS uuid)", id=told["inspection"]
    )
    assert kinds == [("entry_check",)]
    assert await market.office.read(f"/inspections/{told['inspection']}") == told
    assert (await market.regulator.get(f"/inspections/{told['inspection']}")).status_code == 200
    listed = await market.office.read("/inspections")
    assert (listed[0]["inspection"], listed[0]["lines"]) == (told["inspection"], 4)


async def test_who_sells_in_the_market_has_signed_its_agreement(market: Market) -> None:
    newcomer = await market.add("newcomer", "新来菜行", RoleKind.STALL, at=market.booth)

    async def line() -> Json:
        ticket = await market.sell(market.coop, newcomer, await market.certified(), 10)
        told: Json = (await inspects(market, scanned(ticket)))["lines"][0]
        return told

    assert came_to(await line()) == ("REFUSE", ["in-the-books", "agreement-missing"])
    agreement = await agrees(market, newcomer)
    assert came_to(await line()) == ("ADMIT", ["in-the-books"])
    ended = {"reason": "三次不合格"}
    for _ in range(2):
        await market.office.make(f"/agreements/{agreement}/end", ended, status=200)
    other = await market.office.put(f"/agreements/{agreement}/end", {"reason": "退市"})
    assert code_of(other) == "agreement-ended"
    assert (await line())["decision"] == "ADMIT"  # until the day is over
    market.clock.advance(days=1)
    assert (await line())["decision"] == "REFUSE"


async def test_refusals_of_an_inspection_in_order(market: Market) -> None:
    known, ticket = new_id(), await market.sound_ticket()
    line = scanned(ticket)
    await inspects(market, line, inspection=known)
    far = (market.clock() - timedelta(days=4000)).isoformat()
    elsewhere = await market.place("别家市场", PlaceKind.MARKET, run_by=market.stranger)
    stranger = str(market.stranger.public_id)
    # Each row breaks every later rule as well.
    everything: Json = {
        "device_at": far,
        "lines": [{**line, "papers": [new_id()], "seller": new_id(), "product": 9_999_999}],
    }
    fresh = {**everything["lines"][0], "id": new_id()}
    for more, status, code in (
        ({**everything, "place": new_id(), "lines": []}, 422, "malformed-request"),
        ({**everything, "place": new_id()}, 409, "id-reused"),
        ({**everything, "place": new_id(), "new": True}, 404, "unknown-place"),
        ({**everything, "place": str(market.booth), "new": True}, 409, "not-a-gate"),
        ({**everything, "place": str(elsewhere), "new": True}, 403, "gate-not-yours"),
        ({**everything, "new": True}, 422, "impossible-date"),
        ({"lines": everything["lines"], "new": True}, 409, "id-reused"),
        ({"lines": [fresh], "new": True}, 404, "unknown-paper"),
        (
            {"lines": [{**fresh, "papers": [], "product": 9_999_999}], "new": True},
            404,
            "unknown-product",
        ),
        ({"lines": [{**fresh, "papers": [], "product": CHIVES}], "new": True}, 404, None),
        ({"lines": [{**fresh, "papers": [], "product": 1, "seller": stranger}]}, 409, "id-reused"),
    ):
        path = new_id() if more.pop("new", False) else known
        answer = await market.office.put(
            f"/inspections/{path}", {**inspection(market, line), **more}
        )
        assert answer.status_code == status, (code, answer.text)
        assert code_of(answer) == (code or "unknown-party")


async def test_rivals_with_one_id_leave_one_inspection(market: Market) -> None:
    ticket = await market.sound_ticket()
    public_id, body = new_id(), inspection(market, scanned(ticket), device="a", sequence=1)
    answers = await asyncio.gather(
        *(
            market.office.put(
                f"/inspections/{public_id}",
                {**body, "sent_at": (market.clock() + timedelta(seconds=s)).isoformat()},
            )
            for s in range(6)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["lines"][0]["decision"] == "ADMIT"
    assert answers[0].json()["cases"] == []
    changed = await market.office.put(f"/inspections/{public_id}", {**body, "plate": "苏F99999"})
    assert code_of(changed) == "id-reused"


# --- papers ---------------------------------------------------------------------------------------


async def test_what_papers_prove_and_what_is_wrong_with_them(market: Market) -> None:
    seller = {"seller": str(market.stall.public_id)}
    voucher = await paper(market, "purchase_voucher", TODAY)
    report_ = await paper(market, "lab_report", TODAY, product=GREENS, mass_g=50_000)
    bare = await paper(market, "conformity_certificate", TODAY, product=GREENS)
    based = await paper(
        market, "conformity_certificate", TODAY, product=GREENS, bases=["self_tested"]
    )
    former = await paper(market, "conformity_certificate", date(2026, 1, 20), product=GREENS)
    ahead = await paper(market, "lab_report", TODAY + timedelta(days=1), product=GREENS)
    customs = await paper(market, "import_inspection", TODAY)
    meat = await paper(market, "meat_inspection", TODAY)
    expired = await paper(market, "product_a", TODAY - timedelta(days=8))
    lasts = await paper(market, "product_a", TODAY - timedelta(days=7))
    same_day = await paper(market, "product_b", TODAY - timedelta(days=1))
    rows: list[tuple[Json, str, list[str]]] = [
        (brought(GREENS, 1_000, voucher, report_), "ADMIT", ["test-not-verified"]),
        (brought(GREENS, 1_000, voucher, based), "ADMIT", []),
        (brought(GREENS, 1_000, voucher, bare), "ADMIT_AFTER_TEST", ["certificate-without-basis"]),
        (brought(GREENS, 1_000, voucher, former), "ADMIT", []),  # on the form of its day
        (brought(GREENS, 1_000, voucher), "ADMIT_AFTER_TEST", ["certificate-missing"]),
        (
            brought(GREENS, 1_000, report_),
            "REFUSE",
            ["test-not-verified", "no-source-proof"],
        ),
        (
            brought(GREENS, 1_000, voucher, ahead),
            "HOLD",
            ["test-not-verified", "paper-dated-ahead", "certificate-missing"],
        ),
        (
            brought(EGGS, 1_000, voucher, report_),
            "HOLD",
            ["test-not-verified", "paper-product-differs", "certificate-missing"],
        ),
        (
            brought(GREENS, 1_000, voucher, based, imported=True),
            "REFUSE",
            ["import-inspection-missing"],
        ),
        (brought(GREENS, 1_000, customs, based, imported=True), "ADMIT", []),
        (brought(PORK, 1_000, voucher, lasts, meat), "ADMIT", []),
        (
            brought(PORK, 1_000, voucher, expired, meat),
            "REFUSE",
            ["paper-expired", "quarantine-missing"],
        ),
        (
            brought(PORK, 1_000, voucher, same_day),
            "REFUSE",
            ["paper-expired", "quarantine-missing", "meat-inspection-missing"],
        ),
        (
            brought(GREENS, 49_000, voucher, report_),
            "HOLD",
            ["test-not-verified", "paper-mass-short"],
        ),
    ]
    told = await inspects(market, *({**line, **seller} for line, _, _ in rows))
    for line, (_, decision, found) in zip(told["lines"], rows, strict=True):
        assert came_to(line) == (decision, found), line["no"]


async def test_a_paper_must_count_on_the_day_it_is_shown_not_of_the_sale(market: Market) -> None:
    lot = await market.lot(
        market.stranger, 50, origin="declare", product=PORK, producer=market.coop
    )
    ticket = await market.sell(market.stranger, market.stall, lot, 10, product=PORK)
    papers = [await paper(market, kind, TODAY) for kind in ("product_b", "meat_inspection")]
    assert (await inspects(market, scanned(ticket, mass_g=1_000, papers=papers)))["decision"] == (
        "ADMIT"
    )
    market.clock.advance(days=1)
    late = await inspects(market, scanned(ticket, mass_g=1_000, papers=papers))
    assert "paper-expired" in codes(late["lines"][0])


async def test_one_paper_for_more_than_its_grams_is_found_by_its_number(market: Market) -> None:
    seller = {"seller": str(market.stall.public_id)}
    voucher = await paper(market, "purchase_voucher", TODAY)
    number = f"合格证-{new_id()[-6:]}"
    more: Json = {"number": number, "mass_g": 10_000, "bases": ["self_tested"]}
    for mass_g, decision in ((6_000, "ADMIT"), (4_000, "ADMIT"), (1_000, "HOLD")):
        # Photographed anew at every gate, it is the same sheet.
        again = await paper(market, "conformity_certificate", TODAY, product=GREENS, **more)
        line = brought(GREENS, mass_g, voucher, again, **seller)
        told = (await inspects(market, line))["lines"][0]
        assert told["decision"] == decision, mass_g
    assert codes(told) == ["paper-mass-short"]
    assert told["findings"][0]["facts"]["left_g"] == 0


async def test_refusals_of_a_paper_and_of_an_agreement_in_order(market: Market) -> None:
    photo_ = await evidence(market.office)
    known = await paper(market, "purchase_voucher", TODAY)
    body: Json = {
        "kind": "purchase_voucher",
        "number": "1",
        "issuer": "x",
        "issued_on": TODAY.isoformat(),
        "evidence": photo_,
        "checked_by": "周检查",
    }
    bad: Json = {"product": 9_999_999, "evidence": new_id()}
    for path, more, code in (
        (known, {**bad, "issued_on": "2027-01-01"}, "id-reused"),
        (None, {**bad, "issued_on": "2027-01-01", "kind": "x"}, "impossible-date"),
        (None, {**bad, "kind": "x"}, "unknown-paper-kind"),
        (None, bad, "unknown-product"),
        (None, {"evidence": new_id()}, "unknown-evidence"),
        (None, {"evidence": await evidence(market.regulator)}, "unknown-evidence"),
    ):
        answer = await market.office.put(f"/papers/{path or new_id()}", {**body, **more})
        assert code_of(answer) == code
    assert (await market.stall.get(f"/papers/{known}")).status_code == 403
    assert (await market.regulator.read(f"/papers/{known}"))["checked_by"] == "周检查"

    agreement = await agrees(market, market.stranger)
    wrong: Json = {"seller": new_id(), "signed_on": "2027-01-01", "evidence": new_id()}
    stranger = str(market.stranger.public_id)
    base = {"market": str(market.site), "seller": stranger, "signed_on": "2026-01-05"}
    for path, more, code in (
        (agreement, {**wrong, "market": new_id()}, "id-reused"),
        (None, {**wrong, "market": new_id()}, "unknown-place"),
        (None, {**wrong, "market": str(market.booth)}, "not-a-gate"),
        (None, wrong, "unknown-party"),
        (None, {**wrong, "seller": stranger}, "impossible-date"),
        (None, {"evidence": new_id()}, "unknown-evidence"),
    ):
        answer = await market.office.put(f"/agreements/{path or new_id()}", {**base, **more})
        assert code_of(answer) == code
    rival = await market.add("rival", "别家市场", RoleKind.MARKET)
    assert code_of(await rival.put(f"/agreements/{new_id()}", base)) == "gate-not-yours"
    assert code_of(await rival.put(f"/agreements/{agreement}/end", {"reason": "x"})) == (
        "gate-not-yours"
    )
    assert code_of(await rival.put(f"/agreements/{new_id()}/end", {"reason": "x"})) == (
        "unknown-agreement"
    )
    assert [found["agreement"] for found in await market.stranger.read("/agreements")] == [
        agreement
    ]


async def test_who_comes_without_papers_is_recorded_sealed_and_tested(market: Market) -> None:
    line = brought(GREENS, 8_000, self_producer=GRANDMOTHER)
    told = (await inspects(market, line))["lines"][0]
    assert came_to(told) == ("ADMIT_AFTER_TEST", ["certificate-missing"])
    assert told["self_producer"] == {
        "name": "陈**",
        "id_number": "11***************X",
        "contact": "*" * 14 + "78",
    }
    kept = await market.trade.value(
        "SELECT self_producer_sealed FROM inspection_line WHERE public_id = CAST(:id AS uuid)",
        id=line["id"],
    )
    logged = await market.trade.rows("SELECT convert_from(leaf, 'UTF8') FROM entry")
    for private in (GRANDMOTHER["name"], GRANDMOTHER["id_number"], "13912345678"):
        assert str(private).encode() not in kept
        assert not any(str(private) in leaf for (leaf,) in logged)
    unsigned = brought(GREENS, 1, self_producer={**GRANDMOTHER, "agreement_signed": False})
    assert "agreement-missing" in codes((await inspects(market, unsigned))["lines"][0])


# --- tests ----------------------------------------------------------------------------------------


async def test_what_tests_say_decides_at_the_gate(market: Market) -> None:
    office = market.office

    async def gate_after(value: int | None, substances: Any = None) -> Json:
        lot = await market.lot(market.farmer, 20)
        ticket = await market.sell(market.farmer, market.stall, lot, 5)
        sample = await sampled(market.regulator, lot)
        if value is not None:
            await judged(market.regulator, sample, inhibition(value))
        if substances is not None:
            await judged(await lab(market.trade), sample, report(substances))
        told: Json = (await inspects(market, scanned(ticket), by=office))["lines"][0]
        return told

    passed = await gate_after(12)
    assert came_to(passed) == ("ADMIT", ["in-the-books", "test-passed"])
    suspect = await gate_after(45)
    assert suspect["decision"] == "HOLD"
    assert {"lot-on-hold", "test-suspect"} <= set(codes(suspect))
    failed = await gate_after(None, ("克百威", "0.5"))
    assert failed["decision"] == "REFUSE"
    assert "test-failed" in codes(failed)
    # What failed is not the market's to let in.
    body = {"line": failed["line"], "decision": "ADMIT", "reason": "x", "accountable": "吴"}
    assert code_of(await office.put(f"/rulings/{new_id()}", body)) == "ruling-not-yours"
    released = await rules(market.regulator, failed, "RELEASED_BY_REGULATOR", "误检，已复检")
    assert released["former"] == "REFUSE"


async def test_a_number_is_held_against_the_books_whoever_typed_it(market: Market) -> None:
    """The farmer's lot was tested by an office; the number on his paper tells of that lot alone."""
    tested, other = await market.lot(market.farmer, 20), await market.lot(market.farmer, 20)
    sample = await sampled(market.regulator, tested)
    await judged(market.regulator, sample, inhibition(12))
    number = (await market.regulator.read(f"/samples/{sample}"))["number"]
    papers = [{"kind": "lab_report", "number": number}]

    async def shown(lot: str, documents: list[Json]) -> Json:
        ticket = await market.sell(market.farmer, market.stall, lot, 2, documents=documents)
        told: Json = (await inspects(market, scanned(ticket)))["lines"][0]
        return told

    assert came_to(await shown(tested, papers)) == (
        "ADMIT",
        ["in-the-books", "test-passed", "test-verified"],
    )
    borrowed = await shown(other, papers)
    assert came_to(borrowed) == (
        "HOLD",
        ["in-the-books", "test-does-not-fit", "certificate-advised"],
    )
    misfit = next(f for f in borrowed["findings"] if f["code"] == "test-does-not-fit")
    assert (misfit["facts"], misfit["rule"]) == (
        {"number": number, "misfits": ["lot"]},
        "gate-test-misfit",
    )
    unknown = await shown(other, [{"kind": "lab_report", "number": "NT-2026-17"}])
    assert came_to(unknown) == ("ADMIT", ["in-the-books", "test-not-verified"])
    rules_of = {finding["code"]: finding["rule"] for finding in unknown["findings"]}
    assert rules_of["test-not-verified"] == "o81-test-not-verified"
    # Another sampler's bag with the same number, of the other lot: the one that fits is meant.
    own = await sampled(market.farmer, other, number=number, **OWN)
    assert "test-does-not-fit" in codes(await shown(other, papers))  # nobody has tested it yet
    await judged(market.farmer, own, inhibition(10))
    assert "test-verified" in codes(await shown(other, papers))
    # On paper at the gate, typed by the market: the same, and for no more than its own product.
    seller = {"seller": str(market.farmer.public_id)}
    voucher = await paper(market, "purchase_voucher", TODAY)
    await agrees(market, market.farmer)
    typed = await paper(market, "lab_report", TODAY, number=number)
    early = await paper(market, "self_test", TODAY - timedelta(days=1), number=number)
    for line, decision, found in (
        (brought(CHIVES, 1_000, voucher, typed, **seller), "ADMIT", ["test-verified"]),
        (
            brought(GREENS, 1_000, voucher, typed, **seller),
            "HOLD",
            ["test-does-not-fit", "certificate-missing"],
        ),
        (
            brought(CHIVES, 1_000, voucher, early, **seller),
            "HOLD",
            ["test-does-not-fit", "certificate-missing"],
        ),
        (
            brought(CHIVES, 1_000, voucher, typed, seller=str(market.stall.public_id)),
            "HOLD",
            ["test-does-not-fit", "certificate-missing"],
        ),
    ):
        assert came_to((await inspects(market, line))["lines"][0]) == (decision, found)


async def test_a_ruling_names_a_test_of_these_goods(market: Market) -> None:
    lot, other = await market.lot(market.farmer, 20), await market.lot(market.farmer, 20)
    small = await market.sell(market.farmer, market.stall, lot, 5)
    (waiting,) = (await inspects(market, scanned(small)))["lines"]
    body = {"line": waiting["line"], "decision": "ADMIT", "reason": "x", "accountable": "吴"}
    foreign = await sampled(market.regulator, other, mass_g=100)
    await judged(market.regulator, foreign, inhibition(10))
    mine = await sampled(market.regulator, lot, mass_g=100)

    async def ruled(test: str) -> Any:
        return await market.office.put(f"/rulings/{new_id()}", {**body, "test": test})

    borrowed = await ruled(foreign)
    assert (borrowed.status_code, code_of(borrowed)) == (409, "test-does-not-fit")
    assert borrowed.json()["facts"]["misfits"] == ["lot"]
    assert code_of(await ruled(mine)) == "test-not-passed"
    await market.trade.execute(
        "UPDATE entry_rule SET consequence = 'hold' WHERE finding = 'test-not-verified'"
    )
    await _law_is_read_anew(market)
    assert code_of(await ruled("KJ-1")) == "test-not-verified"
    await market.trade.execute(
        "UPDATE entry_rule SET consequence = 'warn' WHERE finding = 'test-not-verified'"
    )
    await _law_is_read_anew(market)
    await judged(market.regulator, mine, inhibition(10))
    good = await ruled(mine)
    assert good.status_code == 201
    assert [found["code"] for found in good.json()["findings"]] == ["test-verified"]


async def _law_is_read_anew(market: Market) -> None:
    async with market.trade.database.transaction() as session:
        seed.policy.forget(session)


# --- rulings --------------------------------------------------------------------------------------


async def test_a_ruling_stands_beside_the_verdict(market: Market) -> None:
    small = await market.sell(market.farmer, market.stall, await market.lot(market.farmer, 20), 5)
    told = await inspects(market, scanned(small))
    (line,) = told["lines"]
    ruling = await rules(market.office, line, "ADMIT", "快检合格", test="KJ-20260618-001")
    again = await market.office.read(f"/inspections/{told['inspection']}")
    assert again["lines"][0]["decision"] == "ADMIT_AFTER_TEST"
    assert (again["lines"][0]["stands_at"], again["stands_at"]) == ("ADMIT", "ADMIT")
    assert again["lines"][0]["rulings"] == [ruling]
    assert ruling["accountable"] == "吴食安"
    (known,) = ruling["findings"]
    assert (known["code"], known["rule"]) == ("test-not-verified", "o81-test-not-verified")
    (leaf,) = await market.trade.rows(
        "SELECT convert_from(leaf, 'UTF8') FROM entry WHERE subject = CAST(:id AS uuid)",
        id=ruling["ruling"],
    )
    assert json.loads(leaf[0])["former"] == "ADMIT_AFTER_TEST"
    assert "吴食安" not in leaf[0]


async def test_refusals_of_a_ruling_in_order(market: Market) -> None:
    small = await market.sell(market.farmer, market.stall, await market.lot(market.farmer, 20), 5)
    (waiting, refused) = (
        await inspects(
            market, scanned(small), brought(PORK, 1_000, seller=str(market.stall.public_id))
        )
    )["lines"]
    known = await rules(market.office, waiting, "HOLD")
    rival = await market.add("rival", "别家市场", RoleKind.MARKET)
    base = {"line": waiting["line"], "reason": "x", "accountable": "吴"}
    for actor, path, more, code in (
        (market.office, known["ruling"], {"line": new_id(), "decision": "HOLD"}, "id-reused"),
        (market.office, None, {"line": new_id(), "decision": "HOLD"}, "unknown-inspection"),
        (rival, None, {"decision": "HOLD"}, "unknown-inspection"),
        (market.office, None, {"decision": "HOLD"}, "ruling-changes-nothing"),
        (market.office, None, {"decision": "RELEASED_BY_REGULATOR"}, "ruling-not-yours"),
        (market.office, None, {"line": refused["line"], "decision": "ADMIT"}, "ruling-not-yours"),
        (market.regulator, None, {"decision": "ADMIT"}, "ruling-not-yours"),
    ):
        answer = await actor.put(f"/rulings/{path or new_id()}", {**base, **more})
        assert code_of(answer) == code
    await rules(market.office, waiting, "ADMIT_AFTER_TEST")
    untested = await market.office.put(f"/rulings/{new_id()}", {**base, "decision": "ADMIT"})
    assert code_of(untested) == "test-missing"
    assert (await market.stall.put(f"/rulings/{new_id()}", base)).status_code == 403


async def test_what_a_regulator_has_stopped_no_market_lets_in(market: Market) -> None:
    small = await market.sell(market.farmer, market.stall, await market.lot(market.farmer, 20), 5)
    (line,) = (await inspects(market, scanned(small)))["lines"]
    await rules(market.regulator, line, "HOLD", "留待复核")
    body = {"line": line["line"], "reason": "x", "accountable": "吴", "test": "KJ-1"}
    for decision in ("ADMIT", "ADMIT_AFTER_TEST"):
        answer = await market.office.put(f"/rulings/{new_id()}", {**body, "decision": decision})
        assert code_of(answer) == "ruling-not-yours"
    await rules(market.regulator, line, "RELEASED_BY_REGULATOR", "复核无误")
    await rules(market.office, line, "REFUSE", "车厢有异味")


async def test_the_office_of_the_right_department_rules(market: Market) -> None:
    farms, shops, both = [
        await market.add(name, name, RoleKind.REGULATOR, division="320600")
        for name in ("farms", "shops", "both")
    ]
    for office, department in ((farms, "agriculture"), (shops, "market_regulation")):
        await market.trade.execute(
            "UPDATE party_role SET department = :department WHERE party_id = :party",
            department=department,
            party=office.id,
        )
    from_farm = scanned(await market.sound_ticket())
    lot = received(await market.stall.decides((await market.sound_ticket())["ticket"]))
    resold = scanned(await market.sell(market.stall, market.stranger, lot, 5))
    papers = brought(GREENS, 1_000, seller=str(market.stall.public_id))
    own = brought(GREENS, 8_000, self_producer=GRANDMOTHER)
    told = await inspects(market, from_farm, resold, papers, own)
    fresh, traded, nobodys, grown = told["lines"]

    async def code(actor: Actor, line: Json, decision: str) -> str:
        body = {"line": line["line"], "decision": decision, "reason": "x", "accountable": "吴"}
        answer = await actor.put(f"/rulings/{new_id()}", body)
        return "" if answer.is_success else code_of(answer)

    release = "RELEASED_BY_REGULATOR"
    # Beyond the gate, or of nobody's growing: agriculture has no say.
    for line in (traded, nobodys):
        assert await code(farms, line, release) == "ruling-not-yours"
        assert await code(shops, line, release) == ""
    # What comes from whoever grew it is both's, until it is in the market.
    assert await code(farms, grown, "HOLD") == ""
    assert await code(farms, grown, release) == ""
    assert await code(farms, grown, "HOLD") == "ruling-not-yours"
    assert await code(shops, grown, "HOLD") == ""
    assert fresh["decision"] == "ADMIT"
    assert await code(farms, fresh, "HOLD") == "ruling-not-yours"
    assert await code(shops, fresh, "HOLD") == ""
    assert await code(both, fresh, release) == ""


async def test_the_office_of_the_right_department_closes_a_case(market: Market) -> None:
    farms, shops = [
        await market.add(name, name, RoleKind.REGULATOR, division="320600")
        for name in ("farmland", "shopfronts")
    ]
    for office, department in ((farms, "agriculture"), (shops, "market_regulation")):
        await market.trade.execute(
            "UPDATE party_role SET department = :department WHERE party_id = :party",
            department=department,
            party=office.id,
        )
    closed = {"state": "handled", "reason": "已查处"}

    async def let_in() -> Json:
        voided = await market.sound_ticket()
        await market.coop.voids("tickets", voided["ticket"])
        return await inspects(market, scanned(voided, decided_offline="ADMIT"))

    # What was let in is market regulation's, whoever grew it.
    (found,) = (await let_in())["cases"]
    path = f"/gate-cases/{found}/close"
    refused = await farms.put(path, closed)
    assert (refused.status_code, code_of(refused)) == (403, "case-not-yours")
    assert refused.json()["facts"]["departments"] == ["market_regulation"]
    far = await market.add("far", "外市", RoleKind.REGULATOR, division="320500")
    assert code_of(await far.put(path, closed)) == "unknown-case"
    done = await shops.make(path, closed, status=200)
    assert await shops.make(path, closed, status=200) == done
    assert code_of(await farms.put(path, closed)) == "case-not-yours"
    # Kept out since, it stands on both sides of the gate: agriculture has a say too.
    told = await let_in()
    (found,) = told["cases"]
    await rules(shops, told["lines"][0], "REFUSE", "退回")
    await farms.make(f"/gate-cases/{found}/close", closed, status=200)


async def test_holding_goods_first_is_no_way_around_their_test(market: Market) -> None:
    small = await market.sell(market.farmer, market.stall, await market.lot(market.farmer, 20), 5)
    (line,) = (await inspects(market, scanned(small)))["lines"]
    await rules(market.office, line, "HOLD", "待查")
    body = {"line": line["line"], "reason": "x", "accountable": "吴", "decision": "ADMIT"}
    assert code_of(await market.office.put(f"/rulings/{new_id()}", body)) == "test-missing"
    await market.office.make(f"/rulings/{new_id()}", {**body, "test": "KJ-20260618-001"})


async def test_what_failed_since_the_verdict_is_not_the_markets_to_let_in(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    small = await market.sell(market.farmer, market.stall, lot, 5)
    (waiting,) = (await inspects(market, scanned(small)))["lines"]
    assert waiting["decision"] == "ADMIT_AFTER_TEST"
    await market.stall.decides(small["ticket"])
    # The test that the verdict asked for is suspect, and the farmer's lot is on hold.
    sample = await sampled(market.regulator, lot, mass_g=100)
    await judged(market.regulator, sample, inhibition(45))
    body = {"decision": "ADMIT", "reason": "x", "accountable": "吴", "test": "KJ-1"}
    answer = await market.office.put(f"/rulings/{new_id()}", {**body, "line": waiting["line"]})
    assert code_of(answer) == "ruling-not-yours"
    await judged(await lab(market.trade), sample, report(("克百威", None)))
    await rules(market.office, waiting, "ADMIT", "复检合格", test="KJ-1")

    # Goods without any document, of which the market has taken a sample: its number says it all.
    basket = brought(GREENS, 8_000, self_producer=GRANDMOTHER)
    (waiting,) = (await inspects(market, basket, plate=None))["lines"]
    goods = await market.office.opens(GREENS, 8, origin="declare")
    own = await sampled(market.office, goods, mass_g=100, **OF_MARKET)
    number = (await market.office.read(f"/samples/{own}"))["number"]
    body = {**body, "line": waiting["line"], "test": number}
    answer = await market.office.put(f"/rulings/{new_id()}", body)
    assert (code_of(answer), answer.json()["facts"]) == ("test-not-passed", {"misfits": ["result"]})
    await judged(market.office, own, inhibition(11))
    await market.office.make(f"/rulings/{new_id()}", body)


async def test_a_detour_over_the_device_or_a_ruling_lets_nothing_in(market: Market) -> None:
    async def code(line: Json, decision: str) -> str:
        body = {"line": line["line"], "decision": decision, "reason": "x", "accountable": "吴"}
        answer = await market.office.put(f"/rulings/{new_id()}", {**body, "test": "KJ-1"})
        return "" if answer.is_success else code_of(answer)

    # What the rules refuse a device held: the market has no more of a say.
    voided = await market.sound_ticket()
    await market.coop.voids("tickets", voided["ticket"])
    (line,) = (await inspects(market, scanned(voided, decided_offline="HOLD")))["lines"]
    assert (line["decision"], line["stands_at"]) == ("REFUSE", "HOLD")
    assert await code(line, "ADMIT") == "ruling-not-yours"
    # What a regulator wants tested the market may hold, and not let in untested after that.
    (line,) = (await inspects(market, scanned(await market.sound_ticket())))["lines"]
    await rules(market.regulator, line, "ADMIT_AFTER_TEST", "抽检")
    assert await code(line, "HOLD") == ""
    assert await code(line, "ADMIT") == "ruling-not-yours"
    # A ticket that its seller took back since is a ticket for nothing.
    small = await market.sell(market.farmer, market.stall, await market.lot(market.farmer, 20), 5)
    (line,) = (await inspects(market, scanned(small)))["lines"]
    await market.farmer.voids("tickets", small["ticket"])
    assert await code(line, "ADMIT") == "ruling-not-yours"


async def test_rivals_with_one_ruling_leave_one(market: Market) -> None:
    line = brought(GREENS, 8_000, self_producer=GRANDMOTHER)
    (told,) = (await inspects(market, line))["lines"]
    ruling = new_id()
    body = {"line": told["line"], "decision": "HOLD", "reason": "待查", "accountable": "吴食安"}
    answers = await asyncio.gather(
        *(market.office.put(f"/rulings/{ruling}", body) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    other = await market.office.put(f"/rulings/{ruling}", {**body, "reason": "别的"})
    assert code_of(other) == "id-reused"


# --- one ticket, several gates --------------------------------------------------------------------


async def _second_gate(market: Market) -> str:
    return str(await market.place("西门", PlaceKind.GATE, within=market.site))


async def test_one_ticket_shown_at_two_gates_at_once_is_admitted_once(market: Market) -> None:
    ticket, west = await market.sound_ticket(), await _second_gate(market)
    # The day's first inspection commits to its draw, which would make rivals wait by itself; and
    # a rival that has to open a connection comes too late to be one.
    await asyncio.gather(
        *[inspects(market, scanned(await market.sound_ticket())) for _ in range(5)]
    )
    told = await asyncio.gather(
        *(
            inspects(market, scanned(ticket), place=place)
            for place in (str(market.gate), west, str(market.gate), west, west)
        )
    )
    decisions = sorted(one["decision"] for one in told)
    assert decisions == ["ADMIT", *["HOLD"] * 4]
    held = next(one for one in told if one["decision"] == "HOLD")
    assert {"mass-exceeds-ticket", "admitted-before"} <= set(codes(held["lines"][0]))
    # Letting the copy in after all is a decision that somebody looks into.
    await rules(market.office, held["lines"][0], "ADMIT", "司机说是第二车")
    cases = await market.office.read("/gate-cases?state=open")
    assert {case["line"] for case in cases} == {held["lines"][0]["line"]}
    # It names the goods: nobody tells a truck by an id.
    line = held["lines"][0]
    assert (cases[0]["product_name"], cases[0]["mass_g"]) == (line["product_name"], line["mass_g"])
    assert cases[0]["mass_g"] > 0
    assert cases[0]["seller"] == line["seller"] == str(market.stall.public_id)
    assert cases[0]["seller_name"] == (await market.stall.read("/me"))["name"]


async def test_a_ticket_may_come_in_two_loads(market: Market) -> None:
    ticket, west = await market.sound_ticket(), await _second_gate(market)
    first = await inspects(market, scanned(ticket, mass_g=6_000))
    second = await inspects(market, scanned(ticket, mass_g=4_000), place=west)
    assert [one["decision"] for one in (first, second)] == ["ADMIT", "ADMIT"]
    third = await inspects(market, scanned(ticket, mass_g=1_000))
    assert third["decision"] == "HOLD"
    # The ticket is the stall's to accept all the same: a gate lets goods in and buys nothing.
    decided = await market.stall.decides(ticket["ticket"])
    assert decided["status"] == "accepted"
    late = await inspects(market, scanned(ticket, mass_g=1))
    assert "already-accepted" in codes(late["lines"][0])


async def test_a_certificate_alone_comes_in_once_for_its_grams(market: Market) -> None:
    lot = await market.lot(market.coop, 10)
    certificate = await market.certify(market.coop, lot, 10)
    await agrees(market, market.coop)
    west = await _second_gate(market)
    line: Json = {"text": certificate["url"], "mass_g": 6_000}
    told = await asyncio.gather(
        *(inspects(market, {**line, "id": new_id()}, place=p) for p in (str(market.gate), west))
    )
    assert sorted(one["decision"] for one in told) == ["ADMIT", "HOLD"]
    held = next(one for one in told if one["decision"] == "HOLD")
    assert codes(held["lines"][0]) == ["in-the-books", "mass-exceeds-ticket", "admitted-before"]
    # On one truck, too; and letting it in after all is somebody's to look into.
    rest = {**line, "mass_g": 3_000}
    twice = await inspects(market, *({**rest, "id": new_id()} for _ in range(2)))
    assert [one["decision"] for one in twice["lines"]] == ["ADMIT", "HOLD"]
    await rules(market.office, held["lines"][0], "ADMIT", "司机说是第二车")
    cases = await market.office.read("/gate-cases?state=open")
    assert (cases[0]["line"], cases[0]["ticket"]) == (held["lines"][0]["line"], None)


async def test_a_certificate_alone_brings_in_no_more_than_its_holder_has(market: Market) -> None:
    """Sold, rotten or destroyed goods leave their certificate behind, and copies of it."""
    await agrees(market, market.coop)
    lot = await market.lot(market.coop, 10)
    certificate = await market.certify(market.coop, lot, 10)

    def shown(mass_g: int) -> Json:
        return {"id": new_id(), "text": certificate["url"], "mass_g": mass_g}

    at_the_gate = market.clock().isoformat()
    market.clock.advance(minutes=30)
    sold = await market.sell(market.coop, market.stall, lot, 6)
    told = (await inspects(market, shown(5_000)))["lines"][0]
    assert (told["decision"], codes(told)) == ("HOLD", ["in-the-books", "goods-sold"])
    facts = next(one["facts"] for one in told["findings"] if one["code"] == "goods-sold")
    assert facts == {"mass_g": 5_000, "left_g": 4_000}
    # What was there when a device without a network saw it was there.
    sent = market.clock().isoformat()
    late = await inspects(market, shown(10_000), device_at=at_the_gate, sent_at=sent)
    assert (late["decision"], late["cases"]) == ("ADMIT", [])
    # Split, it is the same goods; what comes back is there again.
    part = {"lot": new_id(), "quantity": "3", "unit": "公斤"}
    await market.coop.make(f"/splits/{new_id()}", {"lot": lot, "parts": [part]})
    other = await market.certify(market.coop, await market.lot(market.coop, 8), 8)
    assert "goods-sold" not in codes((await inspects(market, shown(4_000)))["lines"][0])
    await market.stall.decides(sold["ticket"], "refused")
    assert "goods-sold" not in codes((await inspects(market, shown(10_000)))["lines"][0])
    rotten = {"lot": other["lot"], "mass_g": 8_000, "reason": "spoiled"}
    await market.coop.make(f"/losses/{new_id()}", rotten)
    line = {"id": new_id(), "text": other["code"], "mass_g": 8_000}
    gone = (await inspects(market, line))["lines"][0]
    assert (gone["decision"], "goods-sold" in codes(gone)) == ("HOLD", True)
    # Whoever scans the label on a crate that he bought is told nothing of the sort.
    assert "goods-sold" not in codes(await market.scan(other["url"]))


async def test_what_was_let_in_offline_before_a_recall_is_looked_into(market: Market) -> None:
    """Days without a network at two gates, and goods that were called back meanwhile."""
    west = await _second_gate(market)
    lot = await market.lot(market.farmer, 20)
    ticket, early = await _before(market, lot)
    sent_back = await market.sell(market.farmer, market.stall, lot, 4)
    opened = order(market.trade, lot, siblings=False)
    recall = new_id()
    await market.regulator.make(f"/recalls/{recall}", opened)
    market.clock.advance(days=2)
    told: Json = {"device_at": early, "sent_at": market.clock().isoformat()}
    line = scanned(ticket, decided_offline="ADMIT")
    first = await inspects(market, line, **told)
    assert (first["lines"][0]["decision"], first["lines"][0]["stands_at"]) == ("HOLD", "ADMIT")
    assert "lot-on-hold" in codes(first["lines"][0])
    again = await inspects(market, scanned(ticket, decided_offline="ADMIT"), place=west, **told)
    kinds = {
        case["kind"]: case["case"]
        for case in await market.office.read("/gate-cases?state=open")
        if case["case"] in again["cases"]
    }
    assert set(kinds) == {"let_in_against_verdict", "admitted_at_two_gates"}
    # The recall goes on beside it: what stands in the market can go back, or be accounted for.
    words = {"reason": "召回", "accountable": "王五"}
    for one in (ticket, sent_back):
        await market.regulator.make(f"/recalls/{recall}/annulments/{one['ticket']}", words)
    last = (await inspects(market, scanned(ticket, decided_offline="ADMIT"), **told))["lines"][0]
    assert last["decision"] == "REFUSE"
    assert {"voided", "lot-on-hold"} <= set(codes(last))
    lifted = {"outcome": "lifted", "reason": "误报"}
    await market.regulator.make(f"/recalls/{recall}/closure", lifted, status=200)


async def test_one_ticket_twice_on_one_truck_and_on_several(market: Market) -> None:
    ticket = await market.sound_ticket()
    told = await inspects(market, *(scanned(ticket, mass_g=4_000) for _ in range(3)))
    assert [line["decision"] for line in told["lines"]] == ["ADMIT", "ADMIT", "HOLD"]
    # 8 of 10 kg are in: a truck with 3 is one too many, and a truck with 2 is not.
    assert (await inspects(market, scanned(ticket, mass_g=3_000)))["decision"] == "HOLD"
    assert (await inspects(market, scanned(ticket, mass_g=2_000)))["decision"] == "ADMIT"
    assert (await inspects(market, scanned(ticket, mass_g=1_000)))["decision"] == "HOLD"


async def test_what_was_read_offline_was_not_read_before_it_was_issued(market: Market) -> None:
    """A device whose clock is a year behind, and does not say what it shows now."""
    market.clock.advance(hours=1)
    ticket = await market.sound_ticket()
    issued = market.clock().isoformat()
    market.clock.advance(hours=1)
    slow = (market.clock() - timedelta(days=365)).isoformat()
    told = await inspects(market, scanned(ticket), device_at=slow)
    assert datetime.fromisoformat(told["inspected_at"]) == datetime.fromisoformat(issued)
    assert "clock-skew" in codes(told["lines"][0])
    # A certificate that goods come with was no more there to read.
    certificate = await market.certify(market.coop, await market.lot(market.coop, 10), 10)
    told = await inspects(market, {"id": new_id(), "text": certificate["code"]}, device_at=slow)
    issued = certificate["issued_at"]
    assert datetime.fromisoformat(told["inspected_at"]) == datetime.fromisoformat(issued)


async def _before(market: Market, lot: str) -> tuple[Json, str]:
    """Sell of a lot; answer the ticket, and the clock of a device that reads it at once."""
    ticket = await market.sell(market.farmer, market.stall, lot, 5)
    market.clock.advance(minutes=5)
    early = market.clock().isoformat()
    market.clock.advance(minutes=30)
    return ticket, early


async def test_an_early_clock_makes_nobody_forget_a_test(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    ticket, early = await _before(market, lot)
    sample = await sampled(market.regulator, lot)
    hold = (await judged(market.regulator, sample, inhibition(45)))["hold"]
    market.clock.advance(minutes=30)
    told = (await inspects(market, scanned(ticket), device_at=early))["lines"][0]
    assert told["decision"] == "HOLD"
    assert {"lot-on-hold", "test-suspect"} <= set(codes(told))
    # The office lets the goods move; what was found of them is known as before.
    let_go = {"reason": "送实验室, 先行放行"}
    await market.regulator.make(f"/holds/{hold}/release", let_go, status=200)
    public_id = new_id()
    line = scanned(ticket, decided_offline="ADMIT")
    truck = await inspects(market, line, inspection=public_id, device_at=early)
    (late,) = truck["lines"]
    assert (late["decision"], late["stands_at"]) == ("HOLD", "ADMIT")
    assert "test-suspect" in codes(late)
    assert "lot-on-hold" not in codes(late)
    # Let in on a clock that is wrong, or before it was found: somebody looks into it.
    kinds = {
        case["kind"]
        for case in await market.office.read("/gate-cases?state=open")
        if case["case"] in truck["cases"]
    }
    assert kinds == {"let_in_against_verdict"}
    again = await inspects(market, line, inspection=public_id, status=200, device_at=early)
    assert again["lines"][0]["findings"] == late["findings"]
    market.clock.advance(minutes=30)
    await judged(await lab(market.trade), sample, report(("克百威", "0.5")))
    failed = (await inspects(market, scanned(ticket), device_at=early))["lines"][0]
    assert (failed["decision"], "test-failed" in codes(failed)) == ("REFUSE", True)


async def test_what_was_suspect_at_the_gate_stays_so_beside_what_cleared_it(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    ticket, early = await _before(market, lot)
    sample = await sampled(market.regulator, lot)
    await judged(market.regulator, sample, inhibition(45))
    market.clock.advance(minutes=5)
    between = market.clock().isoformat()
    market.clock.advance(minutes=30)
    await judged(await lab(market.trade), sample, report(("克百威", None)))
    # Who was there when it was suspect shall not have let it in; who came before could not know.
    found = (await inspects(market, scanned(ticket), device_at=between))["lines"][0]
    assert found["decision"] == "HOLD"
    assert {"test-suspect", "test-passed"} <= set(codes(found))
    first = (await inspects(market, scanned(ticket), device_at=early))["lines"][0]
    assert came_to(first) == ("ADMIT", ["in-the-books", "test-passed", "clock-skew"])


async def test_an_early_clock_revives_no_report_and_no_document(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    sample = await sampled(market.regulator, lot)
    number = (await market.regulator.read(f"/samples/{sample}"))["number"]
    await judged(market.regulator, sample, inhibition(12))
    document = {"kind": "lab_report", "number": number, "issued_on": TODAY.isoformat()}
    ticket = await market.sell(market.farmer, market.stall, lot, 5, documents=[document])
    taken_back = await market.sell(market.farmer, market.stall, lot, 5)
    market.clock.advance(minutes=5)
    early = market.clock().isoformat()
    told = (await inspects(market, scanned(ticket)))["lines"][0]
    assert (told["decision"], "test-verified" in codes(told)) == ("ADMIT", True)
    market.clock.advance(minutes=30)
    await judged(await lab(market.trade), sample, report(("克百威", "0.5")))
    await market.farmer.voids("tickets", taken_back["ticket"])
    told = (await inspects(market, scanned(ticket), device_at=early))["lines"][0]
    assert told["decision"] == "REFUSE"
    assert {"test-failed", "test-does-not-fit"} <= set(codes(told))
    assert "test-verified" not in codes(told)
    told = (await inspects(market, scanned(taken_back), device_at=early))["lines"][0]
    assert (told["decision"], "voided" in codes(told)) == ("REFUSE", True)


# --- a clock that chooses the law -----------------------------------------------------------------

OF_ORDER_20 = "2022-06-18T04:00:00+08:00"


def _of_policies(line: Json) -> dict[str, set[str]]:
    """Answer what a line was found to lack, by the order that asks for it."""
    found: dict[str, set[str]] = {}
    for finding in line["findings"]:
        if finding["satisfied_by"]:
            found.setdefault(finding["policy"], set()).add(finding["code"])
    return found


@pytest.mark.parametrize("sends_its_clock", [False, True])
async def test_a_clock_chooses_no_law_for_goods_without_a_code(
    market: Market, *, sends_its_clock: bool
) -> None:
    """By Order 20 a test let in what Order 81 refuses: no source, no entry."""
    seller = await market.add("seller", "老摊位", RoleKind.STALL, at=market.booth)
    await agrees(market, seller, signed_on="2022-01-05")
    line = brought(GREENS, 1_000, seller=str(seller.public_id))
    told: Json = {"device_at": OF_ORDER_20}
    if sends_its_clock:
        told["sent_at"] = market.clock().isoformat()
    truck = await inspects(market, {**line, "decided_offline": "ADMIT"}, **told)
    (late,) = truck["lines"]
    assert late["decision"] == "REFUSE"
    lacking = {"no-source-proof", "certificate-missing"}
    assert _of_policies(late) == {"order-20": lacking, "order-81": lacking}
    assert "told-late" in codes(late)
    # A device that says what it shows now may have been right then; of the other nobody knows.
    assert ("clock-skew" in codes(late)) is not sends_its_clock
    # It is kept at the instant that it claims, beside the one at which it came ...
    assert datetime.fromisoformat(truck["inspected_at"]) == datetime.fromisoformat(OF_ORDER_20)
    facts = next(found["facts"] for found in late["findings"] if found["code"] == "told-late")
    assert datetime.fromisoformat(facts["at"]) == datetime.fromisoformat(OF_ORDER_20)
    assert datetime.fromisoformat(facts["told_at"]) == market.clock()
    # ... and what was let in on it is looked into, and no market's to set right.
    kinds = [
        case["kind"]
        for case in await market.office.read("/gate-cases?state=open")
        if case["case"] in truck["cases"]
    ]
    assert kinds == ["let_in_against_verdict"]
    body = {"line": late["line"], "decision": "ADMIT", "reason": "x", "accountable": "吴"}
    held = await inspects(market, {**line, "id": new_id(), "decided_offline": "HOLD"}, **told)
    body["line"] = held["lines"][0]["line"]
    answer = await market.office.put(f"/rulings/{new_id()}", {**body, "test": "KJ-1"})
    assert code_of(answer) == "ruling-not-yours"


async def test_an_hour_too_late_is_judged_by_both_days(market: Market) -> None:
    line = brought(GREENS, 1_000, seller=str(market.stall.public_id))
    (limit,) = (await market.trade.client.get("/entry-policy")).json()["lateness"]
    assert (limit["hours"], limit["verified"]) == (72, False)
    in_time = (market.clock() - timedelta(hours=72)).isoformat()
    too_late = (market.clock() - timedelta(hours=72, seconds=1)).isoformat()
    sent = market.clock().isoformat()
    for device_at, found in ((in_time, False), (too_late, True)):
        told = await inspects(market, {**line, "id": new_id()}, device_at=device_at, sent_at=sent)
        assert ("told-late" in codes(told["lines"][0])) is found
    # In time, too, a clock that nobody can set right is told of, with a code and without.
    early = (market.clock() - timedelta(minutes=6)).isoformat()
    told = await inspects(
        market, {**line, "id": new_id()}, scanned(await market.sound_ticket()), device_at=early
    )
    assert ["clock-skew" in codes(each) for each in told["lines"]] == [True, True]


async def test_neighbours_of_an_old_clock_choose_no_law_either(market: Market) -> None:
    line = brought(GREENS, 1_000, seller=str(market.stall.public_id))
    counted: Json = {"device": "pad", "sent_at": market.clock().isoformat()}
    await inspects(market, line, **counted, sequence=2, device_at=OF_ORDER_20)
    before = await inspects(market, {**line, "id": new_id()}, **counted, sequence=1)
    assert before["inspected_at"][:4] == "2022"
    assert came_to(before["lines"][0])[0] == "REFUSE"
    assert "order-81" in _of_policies(before["lines"][0])


async def test_an_old_clock_revives_no_paper_ticket_or_agreement(market: Market) -> None:
    newcomer = await market.add("newcomer", "新来菜行", RoleKind.STALL, at=market.booth)
    agreement = await agrees(market, newcomer)
    ticket = await market.sell(market.coop, newcomer, await market.certified(), 10)
    seller = {"seller": str(market.stall.public_id)}
    voucher = await paper(market, "purchase_voucher", TODAY)
    quarantine = await paper(market, "product_b", TODAY, product=CARCASSES)
    meat = await paper(market, "meat_inspection", TODAY, product=CARCASSES)
    pork = brought(CARCASSES, 1_000, voucher, quarantine, meat, **seller)
    assert (await inspects(market, pork))["decision"] == "ADMIT"
    at_the_gate = market.clock().isoformat()
    await market.office.make(f"/agreements/{agreement}/end", {"reason": "退市"}, status=200)
    market.clock.advance(days=30)
    told = await inspects(
        market,
        {**pork, "id": new_id()},
        scanned(ticket),
        device_at=at_the_gate,
        sent_at=market.clock().isoformat(),
    )
    expired, of_ticket = told["lines"]
    assert (expired["decision"], "paper-expired" in codes(expired)) == ("REFUSE", True)
    assert of_ticket["decision"] == "REFUSE"
    assert {"expired", "agreement-missing"} <= set(codes(of_ticket))


async def test_an_old_clock_makes_no_old_test_one_of_these_goods(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    sample = await sampled(market.regulator, lot)
    await judged(market.regulator, sample, inhibition(10))
    await agrees(market, market.farmer)
    voucher = await paper(market, "purchase_voucher", TODAY)
    at_the_gate = (market.clock() - timedelta(minutes=5)).isoformat()
    market.clock.advance(days=4)
    line = brought(CHIVES, 1_000, voucher, seller=str(market.farmer.public_id))
    told = await inspects(market, line, device_at=at_the_gate, sent_at=market.clock().isoformat())
    assert told["decision"] == "ADMIT_AFTER_TEST"
    ruling = {
        "line": told["lines"][0]["line"],
        "decision": "ADMIT",
        "reason": "x",
        "accountable": "吴",
        "test": sample,
    }
    answer = await market.office.put(f"/rulings/{new_id()}", ruling)
    assert (code_of(answer), answer.json()["facts"]["misfits"]) == ("test-does-not-fit", ["date"])


async def test_a_seller_who_tells_late_of_a_sale_chooses_no_law_either(market: Market) -> None:
    """Goods of nobody, by Order 20 for a test, are refused by Order 81 whenever they were sold."""
    lot = await market.lot(market.farmer, 20, origin="declare", made_on="2022-06-17")
    old = await market.sell(market.farmer, market.stall, lot, 5, sold_at=OF_ORDER_20)
    told = await market.scan(old["url"])
    assert (told["decision"], "told-late" in codes(told)) == ("REFUSE", True)
    lacking = _of_policies(told)
    assert "no-source-proof" in lacking["order-20"] & lacking["order-81"]
    # Told in time, from a notebook, it is judged by its own day.
    evening = (market.clock() - timedelta(hours=71)).isoformat()
    noted = await market.scan(
        (await market.sell(market.farmer, market.stall, lot, 5, sold_at=evening))["url"]
    )
    assert "told-late" not in codes(noted)
    assert "order-20" not in _of_policies(noted)


async def test_a_device_that_sends_two_of_one_number_at_once_is_noticed(market: Market) -> None:
    texts = [scanned(await market.sound_ticket()) for _ in range(4)]
    told = await asyncio.gather(
        *(inspects(market, text, device="twin", sequence=1) for text in texts)
    )
    assert sorted(len(one["cases"]) for one in told) == [0, 1, 1, 1]


async def test_offline_copies_open_a_case_whatever_order_they_arrive_in(
    lone_market: Market,
) -> None:
    market = lone_market  # What other tests leave open asks about years.
    ticket, west = await market.sound_ticket(), await _second_gate(market)
    first = (market.clock() + timedelta(minutes=10)).isoformat()
    second = (market.clock() + timedelta(minutes=50)).isoformat()
    market.clock.advance(hours=3)
    sent = market.clock().isoformat()
    offline: Json = {"decided_offline": "ADMIT"}
    later = await inspects(
        market, scanned(ticket, **offline), place=west, device_at=second, sent_at=sent
    )
    assert (later["decision"], later["cases"]) == ("ADMIT", [])
    earlier = await inspects(market, scanned(ticket, **offline), device_at=first, sent_at=sent)
    # It was the first by the evidence: nothing was wrong with it when it happened.
    assert came_to(earlier["lines"][0]) == ("ADMIT", ["in-the-books"])
    (case,) = [
        case
        for case in await market.office.read("/gate-cases?state=open")
        if case["case"] in earlier["cases"]
    ]
    assert case["kind"] == "admitted_at_two_gates"
    assert case["ticket"] == ticket["ticket"]
    assert [one["inspection"] for one in case["facts"]["admitted"]] == [later["inspection"]]
    async with market.trade.database.reading() as session:
        asked = await asked_since(session)
        assert asked is not None
        assert asked.isoformat() in {first, second}
    closed = {"state": "handled", "reason": "复印件，已处罚"}
    for _ in range(2):
        told = await market.office.make(f"/gate-cases/{case['case']}/close", closed, status=200)
    assert (told["state"], told["closed_by"]) == ("handled", str(market.office.public_id))
    async with market.trade.database.reading() as session:
        assert await asked_since(session) is None
    other = await market.regulator.put(
        f"/gate-cases/{case['case']}/close", {"state": "false", "reason": "误报"}
    )
    assert code_of(other) == "case-closed"
    rival = await market.add("rival", "别家市场", RoleKind.MARKET)
    for path in (case["case"], new_id()):
        assert code_of(await rival.put(f"/gate-cases/{path}/close", closed)) == "unknown-case"
    assert await rival.read("/gate-cases") == []


async def test_what_was_let_in_against_the_verdict_is_a_case(market: Market) -> None:
    voided = await market.sound_ticket()
    await market.coop.voids("tickets", voided["ticket"])
    told = await inspects(market, scanned(voided, decided_offline="ADMIT"))
    assert told["decision"] == "REFUSE"
    kinds = {case["kind"] for case in await market.office.read("/gate-cases?state=open")}
    assert "let_in_against_verdict" in kinds
    # Two inspections that a device counts as one cannot both be.
    for _ in range(2):
        again = await inspects(market, scanned(await market.sound_ticket()), device="d", sequence=7)
    (twice,) = again["cases"]
    # Both are told against the market: it says what happened, and the office closes them.
    closed, said = {"state": "false", "reason": "误报"}, {"answer": "断网放行, 已追回"}
    operator = await market.add("operator", "平台", RoleKind.OPERATOR)
    rival = await market.add("rival", "别家市场", RoleKind.MARKET)
    for case in (*told["cases"], twice):
        path = f"/gate-cases/{case}"
        refused = await market.office.put(f"{path}/close", closed)
        assert (refused.status_code, code_of(refused)) == (403, "case-of-the-market")
        assert refused.json()["facts"]["departments"] == ["market_regulation"]
        assert code_of(await operator.put(f"{path}/close", closed)) == "not-allowed"
        shown = await _case(market.office, case)
        assert (shown["may_close"], shown["may_answer"], shown["answer"]) == (False, True, None)
        for actor, code in (
            (operator, "not-allowed"),
            (market.regulator, "not-allowed"),
            (rival, "unknown-case"),
        ):
            assert code_of(await actor.put(f"{path}/answer", said)) == code
        answers = await asyncio.gather(
            *(market.office.put(f"{path}/answer", said) for _ in range(3))
        )
        assert [answer.status_code for answer in answers] == [200] * 3
        other = await market.office.put(f"{path}/answer", {"answer": "!"})
        assert code_of(other) == "case-answered"
        shown = await _case(market.regulator, case)
        assert (shown["may_close"], shown["may_answer"]) == (True, False)
        assert (shown["answer"], shown["answered_at"]) == (said["answer"], shown["answered_at"])
        assert (await _case(operator, case))["may_close"] is False
        done = await market.regulator.make(f"{path}/close", closed, status=200)
        assert (done["answer"], done["may_close"]) == (said["answer"], False)
        assert (await market.office.put(f"{path}/answer", said)).status_code == 200
        logged = "SELECT count(*) FROM entry WHERE kind = 'gate.case-answered' AND subject = :case"
        assert await market.trade.value(logged, case=UUID(case)) == 1


async def _case(actor: Actor, case: str) -> Json:
    (found,) = [one for one in await actor.read("/gate-cases?limit=100") if one["case"] == case]
    return cast("Json", found)


async def test_two_markets_do_not_close_what_lies_between_them(market: Market) -> None:
    ticket, twice = await market.sound_ticket(), await market.sound_ticket()
    rival = await market.add("rival", "别家市场", RoleKind.MARKET)
    theirs = str(await market.place("别家市场", PlaceKind.MARKET, run_by=rival))
    await inspects(market, scanned(ticket, decided_offline="ADMIT"), by=rival, place=theirs)
    told = await inspects(market, scanned(ticket, decided_offline="ADMIT"))
    kinds = {one["kind"]: one["case"] for one in await market.office.read("/gate-cases")}
    assert "admitted_at_two_gates" in kinds
    closed = {"state": "handled", "reason": "复印件"}
    for actor in (market.office, rival):
        for case in await actor.read("/gate-cases"):
            assert case["may_close"] is False
            refused = await actor.put(f"/gate-cases/{case['case']}/close", closed)
            assert code_of(refused) == "case-of-the-market"
    for case in told["cases"]:
        await market.regulator.make(f"/gate-cases/{case}/close", closed, status=200)
        late = await market.office.put(f"/gate-cases/{case}/answer", {"answer": "晚了"})
        assert code_of(late) == "case-closed"
    # Goods that came twice through its own gates a market clears up itself.
    west = await _second_gate(market)
    for place in (west, None):
        where: Json = {} if place is None else {"place": place}
        own = await inspects(market, scanned(twice, decided_offline="ADMIT"), **where)
    mine = [await _case(market.office, case) for case in own["cases"]]
    (found,) = [one for one in mine if one["kind"] == "admitted_at_two_gates"]
    assert (found["may_close"], found["may_answer"]) == (True, True)
    await market.office.make(f"/gate-cases/{found['case']}/close", closed, status=200)


async def test_whoever_runs_the_platform_judges_no_goods_at_a_gate(market: Market) -> None:
    small = await market.sell(market.farmer, market.stall, await market.lot(market.farmer, 20), 5)
    told = await inspects(market, scanned(small))
    operator = await market.add("operator", "平台", RoleKind.OPERATOR)
    body = {
        "line": told["lines"][0]["line"],
        "reason": "x",
        "accountable": "吴",
        "decision": "HOLD",
    }
    assert code_of(await operator.put(f"/rulings/{new_id()}", body)) == "not-allowed"
    vehicle = inspection(market, scanned(small))
    refused = await operator.put(f"/inspections/{new_id()}", vehicle)
    assert code_of(refused) == "gate-not-yours"
    await operator.read(f"/inspections/{told['inspection']}")


# --- the draw -------------------------------------------------------------------------------------


async def _draw_all(market: Market) -> None:
    await market.trade.execute("UPDATE sampling_rule SET value = 10000 WHERE code = 'base'")


async def test_a_draw_is_committed_before_the_day_and_can_be_recomputed(
    lone_market: Market,
) -> None:
    market = lone_market
    await _draw_all(market)
    told = await inspects(market, scanned(await market.sound_ticket()))
    (line,) = told["lines"]
    assert (line["drawn"], line["rate_bp"]) == (True, 10_000)
    assert line["findings"][-1]["code"] == "drawn-for-test"
    assert line["decision"] == "ADMIT"
    today, tomorrow = TODAY.isoformat(), (TODAY + timedelta(days=1)).isoformat()
    secret = await market.office.read(f"/sampling/{tomorrow}")
    assert (secret["seed"], secret["revealed_at"]) == (None, None)
    market.clock.advance(days=1)
    for _ in range(3):
        await inspects(market, scanned(await market.sound_ticket()))
    assert (await market.office.read(f"/sampling/{today}"))["seed"] is not None
    market.clock.advance(days=1)

    async def audit(day: date) -> sampling.DrawAudit:
        async with market.trade.database.transaction() as session:
            return await sampling.audit(
                session, day, vault=market.trade.app.state.vault, now=market.clock()
            )

    good = await audit(TODAY + timedelta(days=1))
    assert (good.lines, good.drawn, good.expected, good.faults) == (3, 3, 3.0, ())
    first = await audit(TODAY)
    assert first.faults == (f"{today}: committed on the day itself, not before",)
    assert (await audit(local_date(market.clock()))).faults[-1].endswith("not revealed")
    # Somebody with the owner's password makes a friend's line one that was never likely drawn.
    day = TODAY + timedelta(days=1)
    await market.trade.execute(
        "UPDATE inspection_line SET drawn = false, rate_bp = 0 WHERE draw_day = :day AND id = 2",
        day=day,
    )
    assert all("the table and the log differ" in fault for fault in (await audit(day)).faults)
    assert (await audit(day)).faults
    missing = await market.office.get("/sampling/2020-01-01")
    assert code_of(missing) == "unknown-draw"


async def test_a_bad_grade_is_drawn_more_often(market: Market) -> None:
    poor = await market.add("poor", "差评菜行", RoleKind.STALL, at=market.booth)
    await agrees(market, poor, grade="D")
    ticket = await market.sell(market.coop, poor, await market.certified(), 10)
    (line,) = (await inspects(market, scanned(ticket)))["lines"]
    # In June chives are drawn three times as often, and grade D five times; what failed in the
    # last ninety days may come on top.
    assert {"base", "grade-d", "season-chives"} <= set(line["rate_rules"])
    assert line["rate_bp"] >= 4_500


# --- the rules of a day ---------------------------------------------------------------------------


async def test_anybody_reads_the_rules_of_a_day(market: Market) -> None:
    async def orders(on: str) -> set[str]:
        answer = await market.trade.client.get(f"/entry-policy?on={on}")
        return {rule["policy"] for rule in answer.json()["rules"] if rule["proofs"]}

    assert await orders("2019-06-01") == {"order-20", "animal-law"}
    assert await orders("2024-06-01") == {"order-81", "apqsl-2022", "animal-law"}
    assert await orders("2026-06-01") >= {"order-81", "certificate-2026"}
    kinds = (await market.trade.client.get("/paper-kinds?on=2020-06-01")).json()
    titles = {kind["code"]: kind["zh"] for kind in kinds}
    assert titles["conformity_certificate"] == "食用农产品合格证 (试行)"


async def test_a_lot_that_is_on_hold_is_released_by_the_regulator_alone(market: Market) -> None:
    lot = await market.certified()
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    await market.trade.hold(lot)
    (line,) = (await inspects(market, scanned(ticket)))["lines"]
    assert came_to(line) == ("HOLD", ["in-the-books", "lot-on-hold"])
    body = {"line": line["line"], "decision": "ADMIT", "reason": "x", "accountable": "吴"}
    assert code_of(await market.office.put(f"/rulings/{new_id()}", body)) == "ruling-not-yours"
    await rules(market.regulator, line, "RELEASED_BY_REGULATOR", "复检合格")
    await market.trade.hold(lot, 0)


@pytest.mark.parametrize("product", [PIGS])
async def test_live_animals_need_quarantine_and_no_meat_inspection(
    market: Market, product: int
) -> None:
    voucher = await paper(market, "purchase_voucher", TODAY)
    sound = await paper(market, "animal_a", TODAY - timedelta(days=5), product=product)
    line = brought(product, 500_000, voucher, sound, seller=str(market.stall.public_id))
    assert came_to((await inspects(market, line))["lines"][0]) == ("ADMIT", [])


# --- what cannot well be so -----------------------------------------------------------------------

SINCE_2020 = {"division_code": VILLAGE, "valid_from": "2020-01-01"}


@pytest.mark.parametrize(("kilograms", "beyond"), [(3300, False), (3310, True)])
async def test_more_than_a_plot_yields_waits_for_a_test(
    market: Market, kilograms: int, beyond: bool
) -> None:
    await agrees(market, market.stall)
    body = {"kind": PlaceKind.PLOT, "name": "东棚", "area_m2": 667, **SINCE_2020}
    plot = new_id()
    await market.coop.make(f"/places/{plot}", body)
    lot = await market.lot(
        market.coop, kilograms, plot=plot, division_code=None, made_on="2026-06-17"
    )
    await market.coop.certifies(lot, kilograms)
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    told = (await inspects(market, scanned(ticket, mass_g=10_000)))["lines"][0]
    assert ("beyond-yield" in codes(told)) is beyond
    assert told["decision"] == ("ADMIT_AFTER_TEST" if beyond else "ADMIT")


@pytest.mark.parametrize(("days", "early"), [(7, False), (8, True)])
async def test_goods_harvested_too_soon_are_held(market: Market, days: int, early: bool) -> None:
    await agrees(market, market.stall)
    body = {"kind": PlaceKind.PLOT, "name": "西棚", **SINCE_2020}
    plot = new_id()
    await market.coop.make(f"/places/{plot}", body)
    treatment = {
        "plot": plot,
        "substance": "草木灰",
        "dose": "20 克/亩",
        "applied_at": "2026-06-10T04:00:00Z",
        "label_days": days,
    }
    await market.coop.make(f"/treatments/{new_id()}", treatment)
    lot = await market.lot(market.coop, 10, plot=plot, division_code=None, made_on="2026-06-17")
    await market.coop.certifies(lot, 10)
    # Who buys and sells on makes it no older.
    ticket = await market.sell(market.coop, market.stall, lot, 5)
    told = (await inspects(market, scanned(ticket, mass_g=5_000)))["lines"][0]
    assert ("harvested-early" in codes(told)) is early
    assert told["decision"] == ("HOLD" if early else "ADMIT")


@pytest.mark.parametrize(("hours", "late"), [(1, False), (24, True)])
async def test_a_certificate_dated_after_the_sale_waits_for_a_test(
    market: Market, hours: int, late: bool
) -> None:
    await agrees(market, market.stall)
    now = market.clock()
    lot = await market.lot(market.coop, 10, made_on=(now - timedelta(days=2)).date().isoformat())
    await market.certify(market.coop, lot, 10, issued_at=now.isoformat())
    sold_at = (now - timedelta(hours=hours)).isoformat()
    ticket = await market.sell(market.coop, market.stall, lot, 5, sold_at=sold_at)
    told = (await inspects(market, scanned(ticket, mass_g=5_000)))["lines"][0]
    assert ("certified-late" in codes(told)) is late
    assert told["decision"] == ("ADMIT_AFTER_TEST" if late else "ADMIT")
