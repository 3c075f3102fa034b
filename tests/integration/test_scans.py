"""Scans over HTTP: real codes, every kind of finding, and what is recorded."""

import ast
import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.admission.findings import OBSERVATIONS
from app.party.access import RoleKind
from app.signing import shortcode, token
from app.signing.keys import IssuerClass, TokenSigner
from app.signing.token import TokenType
from tests.conftest import START, FakeClock
from tests.factories import CHIVES, Actor, Json, new_id
from tests.market import PORK, Market, open_market


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as market:
        yield market


def codes(verdict: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in verdict["findings"]]


def finding(verdict: dict[str, Any], code: str) -> dict[str, Any]:
    (found,) = (item for item in verdict["findings"] if item["code"] == code)
    return dict(found)


async def verdict(
    market: Market, scanned: str, actor: Actor | None = None, **more: Any
) -> tuple[str, list[str]]:
    answer = await market.scan(scanned, actor, **more)
    return answer["decision"], codes(answer)


# --- what may come in -----------------------------------------------------------------------------


async def test_sound_goods_are_admitted(market: Market) -> None:
    ticket = await market.sound_ticket(plate="苏F·12345")
    answer = await market.scan(ticket["url"], place=str(market.gate), plate="苏f 12345")
    assert answer["decision"] == "ADMIT"
    assert codes(answer) == ["in-the-books"]
    assert answer["kind"] == "token"
    assert answer["place"] == str(market.gate)
    shown = answer["ticket"]
    assert shown["id"] == ticket["ticket"]
    assert shown["status"] == "issued"
    assert shown["seller"]["name"] == "海门示范合作社"
    assert shown["lines"][0]["mass"]["zh"] == "10 公斤（20 斤）"
    assert shown["lines"][0]["origins"] == ["如皋市如城街道迎新居委会"]
    assert "price" not in str(answer)


async def test_every_finding_says_what_it_is_in_both_languages(market: Market) -> None:
    answer = await market.scan("not a code")
    (found,) = answer["findings"]
    assert found["zh"]
    assert found["en"]
    assert found["source"]
    assert found["severity"] == "hold"


async def test_digits_alone_and_the_short_code_lead_to_the_same_ticket(market: Market) -> None:
    ticket = await market.sound_ticket()
    digits = ticket["url"].rpartition("/")[2]
    assert await verdict(market, digits + "\r\n") == ("ADMIT", ["in-the-books"])
    typed = shortcode.show(ticket["code"]).lower()
    answer = await market.scan(typed)
    assert (answer["decision"], codes(answer)) == ("ADMIT", ["typed-code", "in-the-books"])
    assert finding(answer, "typed-code")["facts"] == {
        "short_code": shortcode.show(ticket["code"]),
        "tidied": ["case"],
    }
    assert answer["ticket"]["id"] == ticket["ticket"]
    label = f"{market.trade.settings.public_url}/c/{ticket['code']}"
    assert codes(await market.scan(label)) == ["typed-code", "in-the-books"]


# --- codes of others ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scanned", "decision", "expected", "kind"),
    [
        ("https://ypt.example.evil/t/" + "1" * 246, "REFUSE", ["foreign-host"], "address"),
        ("https://elsewhere.example/page", "HOLD", ["foreign-code"], "address"),
        ("32068200100112345678", "HOLD", ["foreign-code"], "foreign_trace_code"),
        ("http://trace.example/q?c=32068200100112345678", "HOLD", ["foreign-code"], None),
        ("1" * 24, "HOLD", ["foreign-code"], "vet_drug_code"),
        ("https://id.gs1.example/01/06901234567892/10/A1", "HOLD", ["foreign-code"], "gs1"),
        (
            "https://id.gs1.example/01/06901234567893",
            "HOLD",
            ["foreign-code", "check-digit-wrong"],
            "gs1",
        ),
        ("hello", "HOLD", ["unrecognised"], "unrecognised"),
        ("1" * 100, "HOLD", ["unreadable"], "token"),
        (shortcode.encode(5), "REFUSE", ["unknown-code"], "short_code"),
    ],
)
async def test_what_is_not_ours_is_kept_and_never_resolved(
    market: Market, scanned: str, decision: str, expected: list[str], kind: str | None
) -> None:
    answer = await market.scan(scanned)
    assert (answer["decision"], codes(answer)) == (decision, expected)
    assert answer["ticket"] is None
    assert kind in {None, answer["kind"]}
    assert (answer["reference"] is not None) == ("foreign-code" in expected)


async def test_a_gs1_link_keeps_its_elements(market: Market) -> None:
    link = "https://id.gs1.example/01/6901234567892/10/LOT%2F1?3103=001500&x=1"
    answer = await market.scan(link)
    assert answer["reference"]["elements"] == {
        "01": "06901234567892",
        "10": "LOT/1",
        "3103": "001500",
    }


# --- signatures -----------------------------------------------------------------------------------


async def test_an_altered_token_is_forged_and_shows_nothing(market: Market) -> None:
    ticket = await market.sound_ticket()
    start, _, digits = ticket["url"].rpartition("/")
    altered = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    answer = await market.scan(f"{start}/{altered}")
    assert (answer["decision"], codes(answer)) == ("REFUSE", ["bad-signature"])
    assert finding(answer, "bad-signature")["alarm"] is True
    assert answer["ticket"] is None


async def test_what_no_key_vouches_for_is_not_even_looked_up(market: Market) -> None:
    """The books hold this very token, and its key is another one now: the signature comes first."""
    ticket = await market.sound_ticket()
    await market.trade.execute("UPDATE signing_key SET public_key = :other", other=bytes(32))
    market.read_keys_again()
    answer = await market.scan(ticket["url"])
    assert (answer["decision"], codes(answer)) == ("REFUSE", ["bad-signature"])
    assert answer["ticket"] is None


async def test_an_unknown_key_cannot_be_verified(market: Market) -> None:
    private_key = Ed25519PrivateKey.generate().private_bytes_raw()
    digits = market.token(TokenSigner(999, IssuerClass.TICKET, private_key))
    assert await verdict(market, digits) == ("HOLD", ["needs-online-check"])


async def test_an_unknown_version_cannot_be_verified(market: Market) -> None:
    ticket = await market.sound_ticket()
    number = int(ticket["url"].rpartition("/")[2])
    newer = number + (1 << 8 * 101)  # the byte after the leading one becomes 0x22
    newer += (1 << 8 * 101 + 4) - (1 << 8 * 101)
    answer = await market.scan(str(newer))
    assert (answer["decision"], codes(answer)) == ("HOLD", ["needs-online-check"])
    assert finding(answer, "needs-online-check")["facts"] == {"reason": "unknown-version"}


async def test_a_test_token_is_never_green(market: Market) -> None:
    digits = market.token(await market.signer(IssuerClass.TEST), TokenType.TEST)
    assert await verdict(market, digits) == ("REFUSE", ["test-ticket"])


async def test_a_key_of_another_class_signs_no_ticket(market: Market) -> None:
    digits = market.token(await market.signer(IssuerClass.TEST), TokenType.TICKET)
    assert await verdict(market, digits) == ("REFUSE", ["wrong-key-class"])


async def test_a_signed_ticket_that_the_books_do_not_know_rings_the_alarm(
    market: Market,
) -> None:
    digits = market.token(await market.signer())
    answer = await market.scan(digits)
    assert (answer["decision"], codes(answer)) == ("REFUSE", ["off-log"])
    assert finding(answer, "off-log")["alarm"] is True
    assert answer["ticket"] is None


async def test_other_content_under_a_known_serial_is_not_in_the_books(market: Market) -> None:
    """With a stolen key somebody could sign a ton under the serial of ten kilograms."""
    signer = await market.signer()
    ticket = await market.sound_ticket()
    serial = token.parse(ticket["url"].rpartition("/")[2]).claims.serial
    more = market.token(signer, serial=serial, quantity_dg=10_000)
    assert await verdict(market, more) == ("REFUSE", ["off-log"])
    as_certificate = market.token(signer, TokenType.ORIGIN_CERTIFICATE, serial=serial)
    assert await verdict(market, as_certificate) == ("REFUSE", ["off-log"])
    assert await verdict(market, ticket["url"]) == ("ADMIT", ["in-the-books"])


async def test_honest_tickets_survive_a_withdrawn_key(market: Market) -> None:
    ticket = await market.sound_ticket()
    forged = market.token(await market.signer())
    await market.trade.execute("UPDATE signing_key SET dropped_at = :now", now=market.clock())
    market.read_keys_again()
    assert await verdict(market, ticket["url"]) == ("ADMIT", ["key-dropped", "in-the-books"])
    assert await verdict(market, forged) == ("REFUSE", ["key-dropped", "off-log"])


async def test_the_dates_of_a_key_count(market: Market) -> None:
    ticket = await market.sound_ticket()
    for from_days, until_days, code in ((1, 2, "key-not-yet-valid"), (-2, -1, "key-expired")):
        await market.trade.execute(
            "UPDATE signing_key SET use_from = :since, sign_until = :until, verify_until = :until",
            since=START + timedelta(days=from_days),
            until=START + timedelta(days=until_days),
        )
        market.read_keys_again()
        assert await verdict(market, ticket["url"]) == ("REFUSE", [code, "in-the-books"])


# --- what became of it ----------------------------------------------------------------------------


async def test_a_used_ticket_admits_nothing_more(market: Market) -> None:
    ticket = await market.sound_ticket()
    await market.stall.decides(ticket["ticket"])
    answer = await market.scan(ticket["url"], market.stall)
    assert (answer["decision"], codes(answer)) == ("REFUSE", ["in-the-books", "already-accepted"])
    assert answer["ticket"]["status"] == "accepted"


async def test_voided_refused_and_expired(market: Market) -> None:
    voided, refused, old = [await market.sound_ticket() for _ in range(3)]
    await market.coop.voids("tickets", voided["ticket"])
    await market.stall.decides(refused["ticket"], "refused")
    assert await verdict(market, voided["url"]) == ("REFUSE", ["in-the-books", "voided"])
    assert await verdict(market, refused["url"]) == ("REFUSE", ["in-the-books", "refused"])
    market.clock.advance(hours=97)
    assert await verdict(market, old["url"]) == ("REFUSE", ["in-the-books", "expired"])
    assert codes(await market.scan(voided["url"])) == ["in-the-books", "voided", "expired"]


async def test_a_ticket_expires_on_the_tick(market: Market) -> None:
    ticket = await market.sound_ticket()
    end = token.parse(ticket["url"].rpartition("/")[2]).claims.expires_at
    market.clock.set(end - timedelta(seconds=1))
    assert codes(await market.scan(ticket["url"])) == ["in-the-books"]
    market.clock.set(end)
    assert codes(await market.scan(ticket["url"])) == ["in-the-books", "expired"]


async def test_who_a_ticket_is_made_out_to(market: Market) -> None:
    ticket = await market.sound_ticket()
    for actor in (market.coop, market.stall, market.office, market.regulator):
        assert "not-addressed" not in codes(await market.scan(ticket["url"], actor))
    answer = await market.scan(ticket["url"], market.stranger)
    assert (answer["decision"], codes(answer)) == ("HOLD", ["in-the-books", "not-addressed"])
    elsewhere = await market.add("elsewhere", "别处市场", RoleKind.MARKET, division="320682")
    assert "not-addressed" in codes(await market.scan(ticket["url"], elsewhere))


async def test_a_walk_ins_ticket_is_for_everybody(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    ticket = await market.sell(market.farmer, None, lot, 2)
    answer = await market.scan(ticket["url"], market.stranger)
    assert "not-addressed" not in codes(answer)
    assert answer["ticket"]["seller"] == {"party": None, "name": "张**"}
    assert answer["ticket"]["buyer"] is None


async def test_strangers_read_natural_persons_masked(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    ticket = await market.sell(market.farmer, market.stall, lot, 5)
    named = (await market.scan(ticket["url"], market.stall))["ticket"]["seller"]
    assert named["name"] == "张三丰"
    masked = (await market.scan(ticket["url"], market.stranger))["ticket"]["seller"]
    assert masked == {"party": None, "name": "张**"}


# --- the goods ------------------------------------------------------------------------------------


async def test_goods_on_hold_are_held_before_and_after_acceptance(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    await market.certify(market.coop, lot, 100)
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    accepted = await market.sell(market.coop, market.stall, lot, 10)
    decided = await market.stall.decides(accepted["ticket"])
    received = decided["lines"][0]["draws"][0]["received_lot"]
    await market.trade.hold(received)
    answer = await market.scan(accepted["url"])
    assert finding(answer, "lot-on-hold")["facts"] == {"lots": [received]}
    assert codes(await market.scan(ticket["url"])) == ["in-the-books"]
    await market.trade.hold(lot)
    assert await verdict(market, ticket["url"]) == ("HOLD", ["in-the-books", "lot-on-hold"])


async def test_a_hold_further_back_is_found(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    await market.certify(market.coop, lot, 100)
    bought = await market.buy(market.coop, market.stall, lot, 50)
    onward = await market.sell(market.stall, market.stranger, bought, 10)
    await market.trade.hold(lot)
    answer = await market.scan(onward["url"])
    assert answer["decision"] == "HOLD"
    assert finding(answer, "source-on-hold")["facts"] == {"lots": [lot]}


async def test_no_proof_of_source_is_refused_however_far_back(market: Market) -> None:
    unknown = await market.lot(market.stranger, 50, origin="declare", division_code=None)
    ticket = await market.sell(market.stranger, market.stall, unknown, 10)
    assert await verdict(market, ticket["url"]) == (
        "REFUSE",
        ["in-the-books", "no-source-proof", "certificate-missing"],
    )
    bought = await market.buy(market.stranger, market.stall, unknown, 10)
    onward = await market.sell(market.stall, market.coop, bought, 1)
    assert "no-source-proof" in codes(await market.scan(onward["url"], market.coop))


async def test_a_voucher_or_a_named_producer_is_a_proof_of_source(market: Market) -> None:
    for given in (
        {"papers": {"purchase_voucher": "NT-1"}},
        {"papers": {"foreign_trace_code": "32068200100112345678"}},
        {"producer": market.farmer},
    ):
        lot = await market.lot(market.stranger, 50, origin="declare", **given)
        ticket = await market.sell(market.stranger, market.stall, lot, 10)
        assert codes(await market.scan(ticket["url"])) == ["in-the-books", "certificate-missing"]


async def test_a_smallholder_is_advised_and_his_goods_are_tested(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    ticket = await market.sell(market.farmer, market.stall, lot, 5)
    answer = await market.scan(ticket["url"])
    assert (answer["decision"], codes(answer)) == (
        "ADMIT_AFTER_TEST",
        ["in-the-books", "certificate-advised"],
    )
    found = finding(answer, "certificate-advised")
    assert found["facts"] == {"lot": lot, "product": CHIVES, "mass_g": 5_000}
    assert "APQSL" in found["source"]  # from the dated catalogue, not from code
    await market.certify(market.farmer, lot, 20)
    certified = await market.sell(market.farmer, market.stall, lot, 5)
    assert await verdict(market, certified["url"]) == ("ADMIT", ["in-the-books"])


async def test_a_certificate_for_part_of_the_goods_is_not_enough(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    await market.certify(market.farmer, lot, 4)
    ticket = await market.sell(market.farmer, market.stall, lot, 5)
    assert codes(await market.scan(ticket["url"])) == ["in-the-books", "certificate-advised"]


async def test_a_voided_certificate_is_found_on_tickets_that_went_out(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    await market.coop.voids("certificates", certificate["certificate"])
    answer = await market.scan(ticket["url"])
    assert (answer["decision"], codes(answer)) == (
        "HOLD",
        ["in-the-books", "certificate-voided", "certificate-missing"],
    )
    facts = finding(answer, "certificate-voided")["facts"]
    assert facts == {"certificates": [certificate["certificate"]]}


async def test_meat_needs_its_papers(market: Market) -> None:
    papers = {"quarantine": "NT-B-1", "meat_inspection": "RP-1"}
    for given, missing in (
        ({}, ["quarantine-missing", "meat-inspection-missing"]),
        ({"quarantine": "NT-B-1"}, ["meat-inspection-missing"]),
        (papers, []),
    ):
        lot = await market.lot(
            market.stranger,
            50,
            origin="declare",
            product=PORK,
            producer=market.coop,
            papers=given,
        )
        ticket = await market.sell(market.stranger, market.stall, lot, 10, product=PORK)
        answer = await market.scan(ticket["url"])
        assert codes(answer) == ["in-the-books", *missing]
        assert answer["decision"] == ("REFUSE" if missing else "ADMIT")


async def test_what_goes_back_needs_no_certificate(market: Market) -> None:
    lot = await market.lot(market.farmer, 20)
    bought = await market.buy(market.farmer, market.stall, lot, 5)
    back = await market.sell(market.stall, market.farmer, bought, 5, kind="return")
    assert codes(await market.scan(back["url"], market.farmer)) == ["in-the-books"]


# --- certificates ---------------------------------------------------------------------------------


async def test_a_producers_certificate_admits_his_goods(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    answer = await market.scan(certificate["url"])
    assert (answer["decision"], codes(answer)) == ("ADMIT", ["in-the-books"])
    shown = answer["certificate"]
    assert shown["title"]["zh"] == "承诺达标合格证"
    assert shown["origin"] == "如皋市如城街道迎新居委会"
    assert shown["voided"] is False
    await market.coop.voids("certificates", certificate["certificate"])
    answer = await market.scan(certificate["url"])
    assert (answer["decision"], codes(answer)) == ("REFUSE", ["in-the-books", "voided"])
    assert answer["certificate"]["voided"] is True


async def test_a_purchasers_certificate_or_a_proof_of_origin_is_not_enough(
    market: Market,
) -> None:
    first = await market.lot(market.coop, 30)
    await market.certify(market.coop, first, 30)
    second = await market.lot(market.farmer, 20)
    bought = [
        await market.buy(market.coop, market.collector, first, 30),
        await market.buy(market.farmer, market.collector, second, 20),
    ]
    await market.merge(market.collector, bought)
    (row,) = await market.trade.rows(
        "SELECT token FROM certificate WHERE kind = 'conformity_purchaser'"
    )
    assert await verdict(market, row[0]) == ("HOLD", ["in-the-books", "ticket-missing"])
    third = await market.lot(market.farmer, 20)
    proof = await market.certify(market.farmer, third, 20, kind="origin_proof", bases=())
    assert await verdict(market, proof["url"]) == (
        "ADMIT_AFTER_TEST",
        ["in-the-books", "certificate-missing"],
    )


# --- how it was scanned ---------------------------------------------------------------------------


async def test_another_vehicle_and_a_wrong_clock_are_warnings(market: Market) -> None:
    ticket = await market.sound_ticket(plate="苏F12345")
    late = (market.clock() - timedelta(minutes=5, seconds=1)).isoformat()
    answer = await market.scan(ticket["url"], plate="苏F54321", device_at=late)
    assert (answer["decision"], codes(answer)) == (
        "ADMIT",
        ["in-the-books", "plate-mismatch", "clock-skew"],
    )
    assert finding(answer, "clock-skew")["facts"] == {"skew_s": -301}
    in_time = (market.clock() + timedelta(minutes=5)).isoformat()
    assert codes(await market.scan(ticket["url"], device_at=in_time)) == ["in-the-books"]


async def test_all_findings_come_in_order(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    ticket = await market.sell(market.coop, market.stall, lot, 10, plate="苏F12345")
    await market.coop.voids("certificates", certificate["certificate"])
    await market.coop.voids("tickets", ticket["ticket"])
    await market.trade.hold(lot)
    market.clock.advance(hours=97)
    answer = await market.scan(
        ticket["url"],
        market.stranger,
        plate="苏F1",
        device_at="2026-06-18T04:00:00+08:00",
    )
    assert codes(answer) == [
        "in-the-books",
        "voided",
        "expired",
        "not-addressed",
        "lot-on-hold",
        "certificate-voided",
        "certificate-missing",
        "plate-mismatch",
        "clock-skew",
    ]
    order = list(OBSERVATIONS)
    assert codes(answer) == sorted(codes(answer), key=order.index)


# --- what is recorded -----------------------------------------------------------------------------


async def test_the_same_scan_again_answers_the_same_and_counts_once(market: Market) -> None:
    ticket = await market.sound_ticket()
    body = {"id": new_id(), "text": ticket["url"], "plate": "苏F12345"}
    first = await market.stall.send("POST", "/scans", body)
    assert first.status_code == 201
    await market.stall.decides(ticket["ticket"])
    market.clock.advance(hours=200)
    again = await market.stall.send("POST", "/scans", body)
    assert again.status_code == 200
    assert again.json() == first.json()
    assert again.json()["ticket"]["status"] == "issued"
    for actor, other in ((market.stall, {**body, "plate": "苏F1"}), (market.stranger, body)):
        refusal = await actor.send("POST", "/scans", other)
        assert refusal.status_code == 409
        assert refusal.json()["code"] == "id-reused"
    assert await market.trade.value("SELECT count(*) FROM scan") == 1


async def test_rivals_with_one_id_leave_one_scan(market: Market) -> None:
    ticket = await market.sound_ticket()
    body = {"id": new_id(), "text": ticket["url"]}
    answers = await asyncio.gather(*(market.stall.send("POST", "/scans", body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert await market.trade.value("SELECT count(*) FROM scan") == 1


async def test_who_scanned_where_and_when_is_recorded(market: Market) -> None:
    ticket = await market.sound_ticket()
    await market.scan(ticket["url"], place=str(market.gate))
    await market.scan("6222 0212 3456 7890 123")
    rows = await market.trade.rows(
        "SELECT s.party_id, p.name, s.scanned_at, s.kind, s.code, s.decision FROM scan s "
        "LEFT JOIN place p ON p.id = s.place_id ORDER BY s.id"
    )
    digits = ticket["url"].rpartition("/")[2]
    assert rows[0] == (market.office.id, "东门", market.clock(), "token", digits, "ADMIT")
    # Whatever was on that card stays on it.
    assert rows[1][3] == "unrecognised"
    assert rows[1][4].startswith("sha256:")


async def test_a_party_lists_its_own_scans_page_by_page(market: Market) -> None:
    ticket = await market.sound_ticket()
    made = [(await market.scan(ticket["url"]))["scan"] for _ in range(3)]
    await market.scan(ticket["url"], market.stranger)
    listed = await market.office.read("/scans?limit=2")
    assert [row["scan"] for row in listed] == made[:0:-1]
    assert listed[0]["findings"] == ["in-the-books"]
    assert listed[0]["ticket"] == ticket["ticket"]
    rest = await market.office.read(f"/scans?before={listed[-1]['scan']}")
    assert [row["scan"] for row in rest] == made[:1]


async def test_what_bad_input_gets(market: Market) -> None:
    nowhere = {"id": new_id(), "text": "x", "place": new_id()}
    answer = await market.office.send("POST", "/scans", nowhere)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-place")
    bad: list[Json] = [{}, {"id": "x", "text": "y"}, {"id": new_id(), "text": ""}]
    for body in bad:
        answer = await market.office.send("POST", "/scans", body)
        assert answer.status_code == 422
        assert answer.json()["errors"]
    nobody = await market.trade.client.post("/scans", json={"id": new_id(), "text": "x"})
    assert nobody.status_code == 401


@pytest.mark.parametrize(
    "text",
    ["\x00", "\u202e", "𝟙" * 246, "１" * 246, "https://[", "https://h/01/1/1", "%", "a" * 2000],
)
async def test_nothing_that_is_scanned_can_break_it(market: Market, text: str) -> None:
    answer = await market.scan(text)
    assert answer["decision"] == "HOLD"


def test_every_kind_of_finding_is_met_here() -> None:
    """A kind that no scan and no inspection produces would be a promise that nobody keeps."""
    written = {
        node.value
        for name in ("test_scans.py", "test_inspections.py", "test_doubts.py")
        for node in ast.walk(ast.parse(Path(__file__).with_name(name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(OBSERVATIONS) <= written
