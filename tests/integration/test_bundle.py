"""The gate's bundles, its devices and what they upload, over HTTP."""

import asyncio
import gzip
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from app.bundle import rules, service
from app.bundle.device import BundleNotReady, request_message
from app.bundle.rules import Bundle, Kept, ShardKind, Signed, Status, UnfitError
from app.party.access import RoleKind
from app.place.rules import PlaceKind
from app.signing import token
from tests.device import ROOT, Device, code_for, enrolled, open_bundles, rebuild, sha256
from tests.factories import Json, Trade, code_of, new_id
from tests.gate import agrees, inspects, scanned
from tests.gate import rules as rules_on
from tests.laboratory import inhibition, judged, lab, report, sampled, signed_in
from tests.market import Market


@pytest.fixture
async def market(own_trade: Trade) -> Market:
    """A market on a database of its own, whose operator has published a keyset."""
    market = Market(own_trade)
    await market.begin()
    await agrees(market, market.stall)
    await open_bundles(own_trade)
    return market


async def fetched(device: Device, market: Market, kept: Kept | None = None) -> Bundle:
    """Fetch a bundle and read it as a device does."""
    answer = (await device.send("GET", "/gate/bundle")).json()
    meta = json.loads(answer["meta"]["document"])
    contents = {}
    for shard in meta["shards"]:
        path = f"/gate/bundle/shards/{shard['sha256']}"
        contents[shard["sha256"]] = (await device.send("GET", path)).content
        assert sha256(contents[shard["sha256"]]) == shard["sha256"]
        assert len(contents[shard["sha256"]]) == shard["bytes"]
    return rules.open_bundle(
        rules.root_public_key(ROOT),
        signed(answer["keyset"]),
        signed(answer["meta"]),
        contents,
        market=market.site,
        at=market.clock(),
        kept=kept or Kept(),
    )


def signed(told: Json) -> Signed:
    return Signed(told["document"], bytes.fromhex(told["signature"]), told["kid"])


def said(bundle: Bundle, ticket: Json) -> Status | None:
    claims = token.parse(token.from_url(ticket["url"], [ticket["url"].partition("/t/")[0]])).claims
    kind = ShardKind.TICKET if claims.type is token.TokenType.TICKET else ShardKind.CERTIFICATE
    return bundle.status(kind, claims.issued_at, claims.status_index)


# --- bundles --------------------------------------------------------------------------------------


async def test_a_bundle_says_what_the_books_say_of_every_ticket(market: Market) -> None:
    lots = [await market.certified() for _ in range(2)]
    sound, voided, consumed = [
        await market.sell(market.coop, market.stall, lots[0], 5, market=str(market.site))
        for _ in range(3)
    ]
    held = await market.sell(market.coop, market.stall, lots[1], 5)
    certificate = await market.certify(market.coop, await market.lot(market.coop, 10), 10)
    taken_back = await market.certify(market.coop, await market.lot(market.coop, 5), 5)
    await market.coop.voids("tickets", voided["ticket"])
    await market.coop.voids("certificates", taken_back["certificate"])
    await market.stall.decides(consumed["ticket"])
    await market.trade.hold(lots[1])
    device = await enrolled(market)
    bundle = await fetched(device, market)
    assert [said(bundle, one) for one in (sound, voided, held, consumed)] == [
        Status.VALID,
        Status.REVOKED,
        Status.HELD,
        Status.CONSUMED,
    ]
    assert [said(bundle, one) for one in (certificate, taken_back)] == [
        Status.VALID,
        Status.REVOKED,
    ]
    later = await market.sell(market.coop, market.stall, lots[0], 5)
    assert said(bundle, later) is None
    assert await rebuild(market.trade) == 1
    newer = await fetched(device, market, Kept(bundle.keyset_version, bundle.version))
    assert said(newer, later) is Status.VALID
    assert newer.version == bundle.version + 1
    with pytest.raises(UnfitError, match="rolled-back"):
        await fetched(device, market, Kept(bundle.keyset_version, newer.version + 1))


async def test_what_is_made_of_held_goods_is_held_too(market: Market) -> None:
    ticket = await market.chives_of_three()
    source = await market.trade.value("SELECT public_id FROM lot ORDER BY id LIMIT 1")
    device = await enrolled(market)
    assert said(await fetched(device, market), ticket) is Status.VALID
    await market.trade.hold(str(source))
    await rebuild(market.trade)
    assert said(await fetched(device, market), ticket) is Status.HELD
    await market.trade.hold(str(source), 0)
    await rebuild(market.trade)
    assert said(await fetched(device, market), ticket) is Status.VALID


async def test_what_a_test_is_against_is_held_whatever_an_office_lets_move(market: Market) -> None:
    """A list must not call valid what the gate would refuse with a network."""
    device = await enrolled(market)
    lot = await market.lot(market.farmer, 20)
    ticket = await market.sell(market.farmer, market.stall, lot, 5)
    sample = await sampled(market.regulator, lot)
    hold = (await judged(market.regulator, sample, inhibition(45)))["hold"]
    let_go = {"reason": "送实验室，先行放行"}
    await market.regulator.make(f"/holds/{hold}/release", let_go, status=200)
    await rebuild(market.trade)
    assert said(await fetched(device, market), ticket) is Status.HELD
    await judged(await lab(market.trade), sample, report(("克百威", None)))
    await rebuild(market.trade)
    assert said(await fetched(device, market), ticket) is Status.VALID


async def test_what_was_ruled_in_is_used_up_and_what_was_ruled_out_is_not(market: Market) -> None:
    device = await enrolled(market)
    lot = await market.lot(market.farmer, 20)
    await market.farmer.certifies(lot, 20)
    inside, outside = [
        await market.sell(market.farmer, market.stranger, lot, 5, market=str(market.site))
        for _ in range(2)
    ]
    (held,) = (await inspects(market, scanned(inside)))["lines"]
    assert held["decision"] == "REFUSE"  # the stranger has signed nothing
    await agrees(market, market.stranger)
    (admitted,) = (await inspects(market, scanned(outside)))["lines"]
    assert admitted["decision"] == "ADMIT"
    await rules_on(market.office, admitted, "REFUSE", "车厢有异味")
    await rules_on(market.regulator, held, "RELEASED_BY_REGULATOR", "已补签协议")
    await rebuild(market.trade)
    bundle = await fetched(device, market)
    assert [said(bundle, one) for one in (inside, outside)] == [Status.CONSUMED, Status.VALID]


async def test_what_was_used_up_elsewhere_is_not_this_markets_affair(market: Market) -> None:
    other = await market.place("别处市场", PlaceKind.MARKET, run_by=market.office)
    lot = await market.certified()
    ticket = await market.sell(market.coop, market.stall, lot, 5, market=str(other))
    await market.stall.decides(ticket["ticket"])
    device = await enrolled(market)
    assert said(await fetched(device, market), ticket) is Status.VALID


async def test_goods_that_came_in_are_used_up_for_the_next_bundle(market: Market) -> None:
    ticket = await market.sound_ticket()
    device = await enrolled(market)
    told = await device.uploads(
        device.decides(scanned(ticket, decided_offline="ADMIT")),
    )
    assert [one["state"] for one in told["outcomes"]] == ["taken"]
    await rebuild(market.trade)
    assert said(await fetched(device, market), ticket) is Status.CONSUMED


async def test_only_the_owner_publishes_keysets_and_nothing_is_built_before(
    own_trade: Trade,
) -> None:
    market = Market(own_trade)
    await market.begin()
    with pytest.raises(BundleNotReady):
        await rebuild(own_trade)
    answer = await Device(own_trade).enrols(await code_for(market))
    assert (answer.status_code, code_of(answer)) == (503, "bundle-not-ready")
    own_trade.faults.clear()
    await open_bundles(own_trade)
    device = await enrolled(market)
    assert (await device.send("GET", "/gate/bundle")).status_code == 200
    with pytest.raises(DBAPIError, match="permission denied"):
        await publish_as_the_server(own_trade)


async def publish_as_the_server(trade: Trade) -> None:
    async with trade.database.transaction() as session:
        await service.publish_keyset(session, ROOT, now=trade.clock())


async def test_shards_that_nobody_names_any_more_are_forgotten(market: Market) -> None:
    device = await enrolled(market)
    first = await fetched(device, market)
    ticket = await market.sound_ticket()
    market.clock.now += timedelta(hours=20)
    await rebuild(market.trade)
    await market.coop.voids("tickets", ticket["ticket"])
    market.clock.now += timedelta(hours=20)
    await rebuild(market.trade)
    market.clock.now += timedelta(hours=20)
    await rebuild(market.trade)
    kept = await market.trade.value("SELECT count(*) FROM bundle_shard")
    assert kept == 3 and len(first.shards) == 1  # noqa: PT018 (names; then tickets, certificates)


# --- enrolment ------------------------------------------------------------------------------------


async def test_a_code_makes_one_device_and_may_be_sent_again(market: Market) -> None:
    code = await code_for(market)
    device = Device(market.trade)
    first = await device.enrols(code.lower().replace("-", " "))
    again = await device.enrols(code)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["root_key"] == rules.root_public_key(ROOT).hex()
    other = await Device(market.trade).enrols(code)
    assert (other.status_code, code_of(other)) == (403, "enrolment-code-wrong")


async def test_refusals_of_an_enrolment_in_order(market: Market) -> None:
    code = await code_for(market)
    device = Device(market.trade)
    assert (
        code_of(await device.enrols("0000-0000-0000-0", public_key="00")) == "enrolment-code-wrong"
    )
    assert code_of(await device.enrols(code, public_key="00")) == "device-key-unfit"
    assert code_of(await device.enrols(code, algorithm="ed25519")) == "device-key-unfit"
    used = await enrolled(market)
    thief = Device(market.trade, public_id=used.public_id)
    assert code_of(await thief.enrols(code)) == "id-reused"
    market.clock.now += timedelta(minutes=10)
    assert code_of(await device.enrols(code)) == "enrolment-code-wrong"


async def test_two_browsers_with_one_code_make_one_device(market: Market) -> None:
    code = await code_for(market)
    answers = await asyncio.gather(*(Device(market.trade).enrols(code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    assert await market.trade.value("SELECT count(*) FROM gate_device") == 1


async def test_codes_are_made_by_who_answers_for_the_gate(market: Market) -> None:
    enrolment = f"/gate/enrolments/{new_id()}"
    async with signed_in(market.trade, market.office) as person:
        body = {"place": str(market.booth)}
        assert code_of(await person.put(enrolment, json=body)) == "not-a-gate"
        body = {"place": str(market.gate)}
        assert (await person.put(enrolment, json=body)).status_code == 201
        assert code_of(await person.put(enrolment, json=body)) == "id-reused"
    elsewhere = await market.add("far", "别市市监", RoleKind.REGULATOR, division="320500")
    async with signed_in(market.trade, elsewhere) as person:
        assert code_of(await person.put(enrolment, json=body)) == "gate-not-yours"
    assert code_of(await market.office.put(enrolment, body)) == "not-allowed"


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ed25519", [False, True])
async def test_only_an_enrolled_key_that_signs_just_now_is_believed(
    market: Market, *, ed25519: bool
) -> None:
    device = await enrolled(market, ed25519=ed25519)
    path = "/gate/bundle"
    assert (await device.send("GET", path)).status_code == 200
    for headers in (
        {"x-ypt-device": new_id()},
        {"x-ypt-device": "nobody"},
        {"x-ypt-signature": "00" * 64},
        {"x-ypt-signature": ""},
        {"x-ypt-timestamp": "1"},
        {"x-ypt-timestamp": "9" * 12},
    ):
        answer = await device.send("GET", path, headers=headers)
        assert (answer.status_code, code_of(answer)) == (401, "device-not-believed")
    elsewhere = await device.send("GET", "/gate/bundle/shards/00")
    assert code_of(elsewhere) == "bundle-not-ready"
    market.trade.faults.clear()
    async with signed_in(market.trade, market.office) as person:
        [listed] = (await person.get("/gate/devices")).json()
        assert (listed["gate"]["name"], listed["revoked_at"]) == ("东门", None)
        revoke = f"/gate/devices/{device.public_id}/revoke"
        first = (await person.put(revoke)).json()
        market.clock.now += timedelta(minutes=1)
        assert (await person.put(revoke)).json() == first
        assert code_of(await person.put(f"/gate/devices/{new_id()}/revoke")) == "unknown-device"
    assert code_of(await device.send("GET", path)) == "device-not-believed"


async def test_a_request_of_six_minutes_ago_is_answered_with_the_time(market: Market) -> None:
    device = await enrolled(market)
    stamp = str(int((market.clock() - timedelta(minutes=6)).timestamp()))
    message = request_message(UUID(device.public_id), stamp, "GET", "/gate/bundle", b"")
    answer = await device.send(
        "GET",
        "/gate/bundle",
        headers={"x-ypt-timestamp": stamp, "x-ypt-signature": device.sign(message)},
    )
    assert code_of(answer) == "device-not-believed"
    assert datetime.fromisoformat(answer.json()["facts"]["server_at"]) == market.clock()


async def test_a_typed_code_is_checked_in_the_books(market: Market) -> None:
    ticket = await market.sound_ticket()
    device = await enrolled(market)
    body = {"id": new_id(), "text": ticket["code"], "plate": "苏F12345"}
    answer = await device.send("POST", "/gate/checks", body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["kind"], told["ticket"]["id"]) == ("short_code", ticket["ticket"])
    assert (await device.send("POST", "/gate/checks", body)).json() == told
    assert await market.trade.value("SELECT count(*) FROM scan") == 1


# --- uploads --------------------------------------------------------------------------------------


def states(told: Json) -> list[Any]:
    return [(one["state"], (one["problem"] or {}).get("code")) for one in told["outcomes"]]


async def test_ten_trucks_are_taken_once_however_often_they_come(market: Market) -> None:
    lot = await market.certified()
    tickets = [await market.sell(market.coop, market.stall, lot, 5) for _ in range(10)]
    device = await enrolled(market)
    trucks = [device.decides(scanned(one, decided_offline="ADMIT")) for one in tickets]
    told = await device.uploads(*trucks[::-1])
    assert states(told) == [("taken", None)] * 10
    assert told["missing"] == []
    assert states(await device.uploads(*trucks)) == [("repeated", None)] * 10
    assert await market.trade.value("SELECT count(*) FROM inspection") == 10
    assert await market.trade.value("SELECT count(*) FROM gate_upload") == 10
    kept = await market.trade.rows("SELECT sequence, device FROM inspection ORDER BY sequence")
    assert [tuple(row) for row in kept] == [(no, device.public_id) for no in range(1, 11)]


async def test_the_same_batch_twice_at_once_is_taken_once(market: Market) -> None:
    ticket = await market.sound_ticket()
    device = await enrolled(market)
    truck = device.decides(scanned(ticket, decided_offline="ADMIT"))
    told = await asyncio.gather(*(device.uploads(truck) for _ in range(4)))
    assert sorted(states(one)[0][0] for one in told) == ["repeated"] * 3 + ["taken"]
    assert await market.trade.value("SELECT count(*) FROM inspection") == 1


async def test_a_bad_statement_is_refused_alone_and_says_why(market: Market) -> None:
    ticket = await market.sound_ticket()
    device = await enrolled(market)
    good = device.decides(scanned(ticket))
    forged = {**device.decides(scanned(ticket)), "signature": "00" * 64}
    edited = device.decides(scanned(ticket))
    edited["statement"] = edited["statement"].replace("周检查", "李检查")
    shapeless = device.signed({"v": 1})
    foreign = device.decides(scanned(ticket), device=new_id())
    unknown = device.decides({"id": new_id(), "product": 4_000_000, "mass_g": 5})
    told = await device.uploads(good, forged, edited, shapeless, foreign, unknown)
    wrong = ("refused", "statement-not-believed")
    assert states(told) == [
        ("taken", None), wrong, wrong, wrong, wrong, ("refused", "unknown-product"),
    ]  # fmt: skip
    assert told["missing"] == [2, 3, 4]
    # A refusal is remembered with its statement, and answers the same again.
    assert states(await device.uploads(unknown)) == [("refused", "unknown-product")]
    assert await market.trade.value("SELECT count(*) FROM gate_upload WHERE state = 'refused'") == 1
    reused = json.loads(good["statement"])
    reused["body"]["plate"] = "苏F99999"
    assert states(await device.uploads(device.signed(reused))) == [("refused", "id-reused")]


async def test_a_copy_at_two_gates_opens_a_case_once_both_have_sent(market: Market) -> None:
    ticket = await market.sound_ticket()
    one, other = await enrolled(market), await enrolled(market, ed25519=True)
    truck = one.decides(scanned(ticket, decided_offline="ADMIT"))
    market.clock.now += timedelta(minutes=20)
    copy = other.decides(scanned(ticket, decided_offline="ADMIT"))
    assert (await one.uploads(truck))["outcomes"][0]["cases"] == 0
    assert (await other.uploads(copy))["outcomes"][0]["cases"] >= 1


async def test_statements_lie_sealed(market: Market) -> None:
    device = await enrolled(market)
    await device.uploads(device.decides(scanned(await market.sound_ticket())))
    kept = await market.trade.value("SELECT statement_sealed FROM gate_upload")
    assert "周检查".encode() not in kept


def test_the_bits_are_exact_and_small() -> None:
    statuses = {number: Status(number % 4) for number in range(1_000, 2_000)}
    shard = rules.shard_of(ShardKind.TICKET, 5, 1_000, 1_999, statuses)
    assert len(gzip.decompress(shard.content)) == 250
    bundle = Bundle((), 1, 1, rules.EPOCH, rules.EPOCH, (shard,))
    at = rules.EPOCH + 5 * rules.WEEK
    for number in range(1_000, 2_000):
        assert bundle.status(ShardKind.TICKET, at, number) is statuses[number]
    assert bundle.status(ShardKind.TICKET, at, 999) is None
    assert bundle.status(ShardKind.TICKET, at, 2_000) is None
    assert bundle.status(ShardKind.TICKET, at - timedelta(seconds=1), 1_500) is None
    assert bundle.status(ShardKind.CERTIFICATE, at, 1_500) is None


def test_indexes_go_on_after_two_to_the_thirty_two() -> None:
    last = rules.INDEX_MODULUS + 5
    shard = rules.shard_of(ShardKind.TICKET, 0, last - 9, last, {last: Status.REVOKED})
    bundle = Bundle((), 1, 1, rules.EPOCH, rules.EPOCH, (shard,))
    assert bundle.status(ShardKind.TICKET, rules.EPOCH, 5) is Status.REVOKED
    assert bundle.status(ShardKind.TICKET, rules.EPOCH, rules.INDEX_MODULUS - 1) is Status.VALID
