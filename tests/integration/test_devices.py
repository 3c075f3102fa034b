"""What devices push: who signed it, once each, and each record by itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.party.access import RoleKind
from app.testing import devices, push
from tests.factories import CHIVES, TOMATOES, VILLAGE, Actor, Trade, code_of, new_id, open_trade
from tests.laboratory import (
    OF_MARKET,
    STRIP,
    Feed,
    feed,
    office,
    record_of,
    sample_of,
    sampled,
    signed_in,
    source_of,
)


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url) as trade:
        yield trade
        assert trade.faults == []


@pytest.fixture
async def market(trade: Trade) -> Actor:
    """A market, with goods that it holds itself."""
    return await trade.party(RoleKind.MARKET, RoleKind.STALL)


async def _bagged(market: Actor, number: str, product: int = TOMATOES) -> str:
    lot = await market.opens(product, 10, origin="declare")
    return await sampled(market, lot, number=number, **OF_MARKET)


# --- where devices stand --------------------------------------------------------------------------


async def test_what_a_device_pushes_names_the_gate_that_it_stands_at(
    trade: Trade, market: Actor
) -> None:
    site, gate = new_id(), new_id()
    common = {"division_code": VILLAGE, "valid_from": "2020-01-01"}
    await market.make(f"/places/{site}", {"kind": "market", "name": "农贸市场", **common})
    await market.make(
        f"/places/{gate}", {"kind": "gate", "name": "一号门", "parent": site, **common}
    )
    placed, nowhere = await feed(trade, market, place=gate), await feed(trade, market)
    lot = await market.opens(TOMATOES, 10, origin="declare")
    await placed.pushes(record_of("1", lot=lot, mass_g=100))
    await nowhere.pushes(record_of("2", lot=lot, mass_g=100))
    shown = {one["number"]: one for one in await market.read("/samples")}
    assert shown["1"]["place_name"] == "农贸市场 · 一号门"
    assert shown["2"]["place_name"] is None
    sample = await market.read(f"/samples/{shown['1']['sample']}")
    (test,) = sample["tests"]
    name = shown["1"]["taken_by_name"]
    assert (sample["place"], sample["place_name"]) == (gate, "农贸市场 · 一号门")
    assert (test["place_name"], test["source"]) == ("农贸市场 · 一号门", source_of()["name"])
    assert (test["tested_by_name"], sample["taken_by_name"]) == (name, name)
    async with signed_in(trade, market) as person:
        told = (await person.get("/test-sources")).json()
    assert {one["source"]: one["place_name"] for one in told} == {
        placed.source: "农贸市场 · 一号门",
        nowhere.source: None,
    }


# --- one record -----------------------------------------------------------------------------------


async def test_a_record_finds_its_sample_by_the_number_on_the_bag(
    trade: Trade, market: Actor
) -> None:
    sample = await _bagged(market, "20260618-001")
    device = await feed(trade, market)
    record = record_of(
        "20260618-001",
        43,
        result=1,
        device_sn="SN-9",
        reagent_batch="B7",
        limit="50%",
        latitude="31.98",
        longitude="120.89",
        operators=["王检测"],
    )
    told = await device.pushes(record)
    assert (told["taken"], told["repeated"], told["refused"]) == (1, 0, 0)
    assert told["records"][0] | {"test": ""} == {
        "row": 1,
        "record_id": record["record_id"],
        "state": "taken",
        "sample": sample,
        "test": "",
        "outcome": "suspect",
        "status": "suspect",
        "problem": None,
    }
    found = await market.read(f"/samples/{sample}")
    [test] = found["tests"]
    # The device calls 43 a pass, by its own limit: the bands in force are stricter.
    assert [finding["code"] for finding in test["findings"]] == [
        "false-positive-crop",
        "device-disagrees",
    ]
    assert test["testers"] == ["王检测"]
    assert test["details"]["device_maker"] == "ACME"
    assert test["details"]["limit_printed"] == "50%"
    assert found["hold"] is not None


async def test_a_record_can_take_its_sample_out_of_a_lot(trade: Trade, market: Actor) -> None:
    lot = await market.opens(CHIVES, 10, origin="declare")
    device = await feed(trade, market)
    told = await device.pushes(record_of("new-1", 8, lot=lot, mass_g=250))
    assert told["records"][0]["status"] == "passed"
    assert (await market.lot(lot))["remaining_g"] == 9_750
    # The second record of the bag repeats nothing but the number.
    again = await device.pushes(record_of("new-1", 9))
    assert again["records"][0]["sample"] == told["records"][0]["sample"]
    assert (await market.lot(lot))["remaining_g"] == 9_750


async def test_a_record_that_takes_too_much_is_refused_alone(trade: Trade, market: Actor) -> None:
    lot = await market.opens(CHIVES, 10, origin="declare")
    device = await feed(trade, market)
    told = await device.pushes(
        record_of("n-1", 8, lot=lot, mass_g=1_500),
        record_of("n-2", 8, lot=lot, mass_g=10_000_000),
        record_of("n-3", 8, lot=lot, mass_g=501),
        record_of("n-4", 8, lot=lot, mass_g=500),
    )
    assert [one["state"] for one in told["records"]] == ["taken", "refused", "refused", "taken"]
    problems = [one["problem"] for one in told["records"] if one["problem"]]
    assert [problem["code"] for problem in problems] == ["lot-exhausted", "sample-limit"]
    assert problems[1]["facts"] == {"wanted_g": 501, "taken_g": 1_500, "allowed_g": 500}
    assert (await market.lot(lot))["remaining_g"] == 8_000
    numbers = "SELECT string_agg(number, ' ' ORDER BY id) FROM sample WHERE lot_id IN"
    of_lot = f"{numbers} (SELECT id FROM lot WHERE public_id = CAST(:lot AS uuid))"
    assert await trade.value(of_lot, lot=lot) == "n-1 n-4"


async def test_a_source_samples_only_what_its_party_answers_for(
    trade: Trade, market: Actor
) -> None:
    farmer = await trade.farmer()
    lot = await farmer.opens(CHIVES, 10)
    told = await (await feed(trade, market)).pushes(record_of("x", 90, lot=lot, mass_g=250))
    assert told["records"][0]["problem"]["code"] == "hold-not-yours"
    found = await farmer.lot(lot)
    assert (found["remaining_g"], found["on_hold"]) == (10_000, False)


@pytest.mark.parametrize(
    ("convention", "result", "outcome"),
    [
        ("one_pass_two_fail", 1, "pass"),
        ("one_pass_two_fail", 2, "positive"),
        ("one_negative_zero_positive", 1, "pass"),
        ("one_negative_zero_positive", 0, "positive"),
    ],
)
async def test_numbers_mean_what_the_source_was_registered_with(
    trade: Trade, market: Actor, convention: str, result: int, outcome: str
) -> None:
    await _bagged(market, "1")
    device = await feed(trade, market, convention=convention)
    strip = {"method": STRIP, "substance": "克百威", "value": None, "result": result}
    told = await device.pushes({**record_of("1"), **strip})
    assert told["records"][0]["outcome"] == outcome


# --- a batch --------------------------------------------------------------------------------------


async def test_a_bad_record_is_refused_alone_with_its_row(trade: Trade, market: Actor) -> None:
    for number in ("1", "2", "3"):
        await _bagged(market, number)
    device = await feed(trade, market)
    good = [record_of("1", 10), record_of("2", 60), record_of("3", 20)]
    bad = {
        2: {**record_of("1"), "value": "a lot"},
        3: record_of("nobody's"),
        5: record_of("1", 10, result=3),
        9: record_of("1", 10, result=10**30),
        6: record_of("1", 10, method="dowsing"),
        7: record_of("1", 10, surprise=True),
        8: {"no": "record"},
    }
    batch = iter(good)
    records = [bad.get(row) or next(batch) for row in range(1, 11)]
    told = await device.pushes(*records)
    assert (told["taken"], told["refused"]) == (3, 7)
    codes = {
        record["row"]: record["problem"]["code"]
        for record in told["records"]
        if record["state"] == "refused"
    }
    assert codes == {
        2: "malformed-record",
        3: "unknown-sample",
        5: "unknown-result-code",
        6: "unknown-method",
        7: "malformed-record",
        8: "malformed-record",
        9: "malformed-record",
    }
    pointers = {record["row"]: record["problem"] for record in told["records"] if record["problem"]}
    assert [told["pointer"] for told in pointers[2]["pointers"]] == ["/value"]
    assert [told["pointer"] for told in pointers[7]["pointers"]] == ["/surprise"]
    assert await trade.value("SELECT count(*) FROM test") == 3
    # What was refused comes again, corrected, and is taken.
    corrected = await device.pushes({**bad[2], "value": "11"})
    assert corrected["taken"] == 1


async def test_a_record_counts_once_however_often_it_is_sent(trade: Trade, market: Actor) -> None:
    await _bagged(market, "1")
    device, record = await feed(trade, market), record_of("1", 60)
    answers = await asyncio.gather(*(device.pushes(record) for _ in range(5)))
    states = sorted(answer["records"][0]["state"] for answer in answers)
    assert states == ["repeated"] * 4 + ["taken"]
    assert await trade.value("SELECT count(*) FROM test") == 1
    other = await device.pushes({**record, "value": "61"})
    assert other["records"][0]["problem"]["code"] == "id-reused"
    # Another maker's record of the same id is another record.
    second = await feed(trade, market)
    assert (await second.pushes(record))["taken"] == 1


async def test_batches_that_cross_each_other_all_arrive(trade: Trade, market: Actor) -> None:
    for number in range(6):
        await _bagged(market, str(number))
    device = await feed(trade, market)
    there = [record_of(str(number)) for number in range(6)]
    back = [record_of(str(number)) for number in reversed(range(6))]
    answers = await asyncio.gather(device.pushes(*there), device.pushes(*back))
    assert [answer["taken"] for answer in answers] == [6, 6]


async def test_a_bag_number_of_yesterday_tells_nothing_of_other_goods(
    trade: Trade, market: Actor
) -> None:
    """Devices count from 1 every morning; what is found is of the goods that are named."""
    cleared, bad = [await market.opens(CHIVES, 10, origin="declare") for _ in range(2)]
    device = await feed(trade, market)
    first = record_of("1", 8, lot=cleared, mass_g=100)
    assert (await device.pushes(first))["taken"] == 1
    told = await device.pushes(
        record_of("1", 90, lot=bad, mass_g=100),
        record_of("1", 90, lot=new_id()),
        record_of("1", 9, lot=cleared),
    )
    problems = [one["problem"] and one["problem"]["code"] for one in told["records"]]
    assert problems == ["sample-number-taken", "unknown-lot", None]
    held = [(await market.lot(lot))["on_hold"] for lot in (cleared, bad)]
    assert held == [False, False]
    # Under a number of its own it is found, and held.
    assert (await device.pushes(record_of("2", 90, lot=bad, mass_g=100)))["taken"] == 1
    assert (await market.lot(bad))["on_hold"] is True


async def test_one_name_for_two_bags_at_once_names_one(trade: Trade, market: Actor) -> None:
    """Rivals with the same record or bag, of lots that do not wait for each other."""
    lots = [await market.opens(CHIVES, 10, origin="declare") for _ in range(4)]
    device, record = await feed(trade, market), new_id()
    pushed = await asyncio.gather(
        *(
            device.pushes({**record_of(f"r{no}", 8, lot=lot, mass_g=100), "record_id": record})
            for no, lot in enumerate(lots)
        )
    )
    states = [told["records"][0] for told in pushed]
    assert sorted(one["state"] for one in states) == ["refused"] * 3 + ["taken"]
    assert {one["problem"]["code"] for one in states if one["problem"]} == {"id-reused"}
    pushed = await asyncio.gather(
        *(device.pushes(record_of("one bag", 8, lot=lot, mass_g=100)) for lot in lots)
    )
    states = [told["records"][0] for told in pushed]
    assert sorted(one["state"] for one in states) == ["refused"] * 3 + ["taken"]
    assert {one["problem"]["code"] for one in states if one["problem"]} == {"sample-number-taken"}
    answers = await asyncio.gather(
        *(
            market.put(f"/samples/{new_id()}", sample_of(lot, number="by hand", **OF_MARKET))
            for lot in lots
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await trade.value("SELECT count(*) FROM sample") == 3


async def test_a_device_of_the_future_or_of_another_country_is_refused_alone(
    trade: Trade, market: Actor
) -> None:
    lot = await market.opens(CHIVES, 10, origin="declare")
    sound: dict[str, Any] = {"lot": lot, "mass_g": 100}
    strip = {"method": STRIP, "substance": "克百威", "value": None, "result": 1}
    device = await feed(trade, market)
    wrong: list[dict[str, Any]] = [
        {"tested_at": "9999-12-31T23:59:59-23:59"},
        {"tested_at": "0001-01-01T00:00:00+23:59"},
        {"tested_at": "2036-06-18T04:00:00+08:00"},
        {"taken_at": "0001-01-01T00:00:00+23:59"},
        {"taken_at": "9999-12-31T23:59:59-23:59"},
        {"mass_g": 0},
        {"mass_g": -100},
        {"value": "1e400"},
        {"value": "NaN"},
    ]
    records = [{**record_of(str(no)), **sound, **one} for no, one in enumerate(wrong)]
    # Both conventions in one batch: a number that this source's lacks is refused, not guessed.
    records += [
        {**record_of("s1", **sound), **strip, "result": 2},
        {**record_of("s2", **sound), **strip, "result": 0},
        {**record_of("s3", **sound), **strip, "result": 1},
    ]
    told = await device.pushes(*records)
    codes = [
        one["problem"]["code"] if one["problem"] else one["outcome"] for one in told["records"]
    ]
    assert codes == [
        *["impossible-date"] * 5,
        *["malformed-record"] * 4,
        "positive",
        "unknown-result-code",
        "lot-on-hold",
    ]
    assert (await market.lot(lot))["remaining_g"] == 9_900


# --- who signed it --------------------------------------------------------------------------------


async def test_a_push_that_is_not_signed_is_not_believed(trade: Trade, market: Actor) -> None:
    await _bagged(market, "1")
    device = await feed(trade, market)
    body = json.dumps({"records": [record_of("1")]}).encode()
    good = device.signed(body)
    other = Feed(trade, device.source, b"not the secret")
    forged: list[dict[str, str]] = [
        {name: value for name, value in good.items() if not name.startswith("X-Ypt")},
        {**good, "X-Ypt-Signature": "00" * 32},
        {**good, "X-Ypt-Signature": "zz"},
        {**good, "X-Ypt-Nonce": "short"},
        {**good, "X-Ypt-Nonce": "another-nonce-000001"},
        {**good, "X-Ypt-Timestamp": "soon"},
        {**good, "X-Ypt-Timestamp": "9" * 11},
        {**good, "X-Ypt-Timestamp": "9" * 12},
        {**good, "X-Ypt-Timestamp": str(int(good["X-Ypt-Timestamp"]) + 1)},
        device.signed(body + b" "),
        device.signed(body, minutes=-5.1),
        device.signed(body, minutes=5.1),
        other.signed(body),
    ]
    for headers in forged:
        answer = await device.send(body, headers)
        assert (answer.status_code, code_of(answer)) == (401, "push-not-signed"), headers
    assert await trade.value("SELECT count(*) FROM test") == 0
    assert await trade.value("SELECT count(*) FROM push_nonce") == 0
    assert (await device.send(body, good)).status_code == 200


async def test_a_push_is_good_once(trade: Trade, market: Actor) -> None:
    await _bagged(market, "1")
    device = await feed(trade, market)
    body = json.dumps({"records": [record_of("1")]}).encode()
    headers = device.signed(body)
    answers = await asyncio.gather(*(device.send(body, headers) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {"push-replayed"}
    # The nonce is remembered for as long as its time stamp would be believed, and no longer.
    async with trade.database.transaction() as session:
        assert await devices.forget_nonces(session, now=trade.clock()) == 0
        later = trade.clock() + push.SKEW * 2.1
        assert await devices.forget_nonces(session, now=later) == 1


async def test_a_maker_may_sign_with_a_key_that_nobody_else_has(
    trade: Trade, market: Actor
) -> None:
    await _bagged(market, "1")
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    source = new_id()
    async with signed_in(trade, market) as person:
        made = await person.put(
            f"/test-sources/{source}", json=source_of(algorithm="ed25519", public_key=public)
        )
    assert made.json()["secret"] is None
    device = Feed(trade, source, b"")
    body = json.dumps({"records": [record_of("1")]}).encode()
    headers = device.signed(body)
    assert code_of(await device.send(body, headers)) == "push-not-signed"
    at, nonce = headers["X-Ypt-Timestamp"], headers["X-Ypt-Nonce"]
    message = push.message(UUID(source), at, nonce, body)
    headers["X-Ypt-Signature"] = key.sign(message).hex()
    assert (await device.send(body, headers)).status_code == 200


async def test_sources_are_made_by_people_and_end_at_once(trade: Trade, market: Actor) -> None:
    await _bagged(market, "1")
    device = await feed(trade, market)
    body = json.dumps({"records": [record_of("1")]}).encode()
    # A key that leaks must not be able to leave another one behind.
    assert code_of(await market.put(f"/test-sources/{new_id()}", source_of())) == "not-allowed"
    async with signed_in(trade, market) as person:
        await _check_refusals(person, device.source)
        [listed] = (await person.get("/test-sources")).json()
        assert (listed["source"], listed["revoked_at"]) == (device.source, None)
        assert "secret" not in listed
        assert (await person.delete(f"/test-sources/{device.source}")).status_code == 204
        assert (await person.delete(f"/test-sources/{device.source}")).status_code == 204
    async with signed_in(trade, await office(trade)) as stranger:
        answer = await stranger.delete(f"/test-sources/{device.source}")
        assert code_of(answer) == "unknown-source"
    answer = await device.send(body, device.signed(body))
    assert (answer.status_code, code_of(answer)) == (404, "unknown-source")


async def _check_refusals(person: Any, taken: str) -> None:
    async def code(source: str, **more: Any) -> str:
        return code_of(await person.put(f"/test-sources/{source}", json=source_of(**more)))

    unfit = {"algorithm": "ed25519", "public_key": "00"}
    assert await code(taken, layer="joint_quick", **unfit) == "layer-not-yours"
    assert await code(taken, place=new_id(), **unfit) == "unknown-place"
    assert await code(taken, **unfit) == "key-unfit"
    assert await code(taken, public_key="00" * 32) == "key-unfit"
    assert await code(taken, algorithm="ed25519", public_key="xyz") == "key-unfit"
    assert await code(taken) == "id-reused"


async def test_a_source_of_a_party_that_was_disabled_is_nobodys(
    trade: Trade, market: Actor
) -> None:
    device = await feed(trade, market)
    body = json.dumps({"records": [record_of("1")]}).encode()
    await trade.execute("UPDATE party SET status = 'disabled' WHERE id = :id", id=market.id)
    assert code_of(await device.send(body, device.signed(body))) == "unknown-source"


async def test_the_secret_is_sealed(trade: Trade, market: Actor) -> None:
    device = await feed(trade, market)
    kept = await trade.value("SELECT key FROM test_source")
    assert device.secret not in kept
    assert device.secret.hex().encode() not in kept


# --- what its keeper sees -------------------------------------------------------------------------


async def _shown(person: Any, source: str) -> Any:
    rows = (await person.get("/test-sources")).json()
    return next(row for row in rows if row["source"] == source)


async def test_its_keeper_sees_what_became_of_the_last_push(trade: Trade, market: Actor) -> None:
    device = await feed(trade, market)
    sample = new_id()[:12]
    await _bagged(market, sample)
    good = record_of(sample)
    async with signed_in(trade, market) as person:
        assert (await _shown(person, device.source))["last_push"] is None
        await device.pushes(good, record_of("nowhere"), {"record_id": "x" * 5000, "secret": 1})
        told = (await _shown(person, device.source))["last_push"]
        assert (told["taken"], told["repeated"]) == (1, 0)
        assert [(row["row"], row["code"]) for row in told["refused"]] == [
            (2, "unknown-sample"),
            (3, "malformed-record"),
        ]
        assert told["refused"][1]["record_id"] == "x" * 100
        assert told["refused"][0]["zh"]
        assert [row["pointers"][:1] for row in told["refused"]] == [["/sample_no"], ["/record_id"]]
        await device.pushes(good)
        told = (await _shown(person, device.source))["last_push"]
        assert (told["taken"], told["repeated"], told["refused"]) == (0, 1, [])
        # What is not believed leaves no trace there.
        before = told
        body = json.dumps({"records": [good]}).encode()
        forged = device.signed(body) | {"X-Ypt-Signature": "00" * 32}
        assert (await device.send(body, forged)).status_code == 401
        assert (await _shown(person, device.source))["last_push"] == before


async def test_devices_move_and_what_they_push_is_of_where_they_stand(
    trade: Trade, market: Actor
) -> None:
    site = new_id()
    common = {"division_code": VILLAGE, "valid_from": "2020-01-01"}
    await market.make(f"/places/{site}", {"kind": "market", "name": "农贸市场", **common})
    device = await feed(trade, market)
    path = f"/test-sources/{device.source}/place"
    async with signed_in(trade, market) as person:
        for _ in range(2):
            answer = await person.put(path, json={"place": site})
            assert (answer.status_code, answer.json()["place"]) == (200, site)
        assert answer.json()["place_name"] == "农贸市场"
        sample = new_id()[:12]
        await _bagged(market, sample)
        [told] = (await device.pushes(record_of(sample)))["records"]
        tests = (await market.read(f"/samples/{told['sample']}"))["tests"]
        assert tests[-1]["place_name"] == "农贸市场"
        assert (await person.put(path, json={"place": None})).json()["place"] is None


async def test_moves_are_refused_in_order(trade: Trade, market: Actor) -> None:
    device = await feed(trade, market)
    nowhere = {"place": new_id()}
    answer = await market.put(f"/test-sources/{device.source}/place", nowhere)
    assert (answer.status_code, code_of(answer)) == (403, "not-allowed")
    async with signed_in(trade, await trade.party(RoleKind.MARKET)) as stranger:
        answer = await stranger.put(f"/test-sources/{device.source}/place", json=nowhere)
        assert (answer.status_code, code_of(answer)) == (404, "unknown-source")
    async with signed_in(trade, market) as person:
        answer = await person.put(f"/test-sources/{device.source}/place", json=nowhere)
        assert (answer.status_code, code_of(answer)) == (404, "unknown-place")
        await person.delete(f"/test-sources/{device.source}")
        answer = await person.put(f"/test-sources/{device.source}/place", json=nowhere)
        assert (answer.status_code, code_of(answer)) == (404, "unknown-source")
