"""Scenarios of domain.md §8 that are decided at a market's gate; each through HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from app.party.access import RoleKind
from app.place.rules import PlaceKind
from app.supervision import service as warnings
from app.supervision.rules import RuleCode
from tests.conftest import FakeClock
from tests.factories import (
    CARCASSES,
    CHIVES,
    GREENS,
    PIGS,
    VILLAGE,
    Actor,
    Json,
    code_of,
    line,
    new_id,
    received,
)
from tests.gate import (
    GRANDMOTHER,
    agrees,
    brought,
    came_to,
    codes,
    inspects,
    paper,
    rules,
    scanned,
)
from tests.laboratory import OF_MARKET, inhibition, judged, sampled
from tests.market import Market, open_market

TODAY = date(2026, 6, 18)
CUTS = 45


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    """A wholesale market before dawn; stall and farmer have signed its agreement."""
    async with open_market(database_url, clock) as market:
        for seller in (market.stall, market.farmer):
            await agrees(market, seller)
        yield market


async def test_3_a_pig_herd_whose_quarantine_certificate_has_expired_is_refused(
    market: Market,
) -> None:
    """(3) pig herd 动物A expired at gate → REFUSE."""
    # Forty pigs from another province; form animal A counts for five days, and this is the sixth.
    expired = await paper(market, "animal_a", TODAY - timedelta(days=6), product=PIGS)
    voucher = await paper(market, "purchase_voucher", TODAY - timedelta(days=6))
    dealer = {"seller": str(market.stall.public_id)}
    told = await inspects(
        market, brought(PIGS, 4_400_000, voucher, expired, **dealer), plate="皖A88888"
    )
    [herd] = told["lines"]
    assert came_to(herd) == ("REFUSE", ["paper-expired", "quarantine-missing"])
    # The officer is told since when, by which law, that it must be reported, and what would help.
    found = herd["findings"][0]
    assert found["facts"]["valid_through"] == "2026-06-17"
    assert found["alarm"] is True
    assert found["source"].startswith("动物防疫法")
    assert herd["findings"][1]["satisfied_by"] == ["quarantine"]
    assert herd["would_be"] == "ADMIT"

    # The market may not let it in; a valid certificate does.
    answer = await market.office.put(
        f"/rulings/{new_id()}",
        {"line": herd["line"], "decision": "ADMIT", "reason": "熟人", "accountable": "吴食安"},
    )
    assert code_of(answer) == "ruling-not-yours"
    renewed = await paper(market, "animal_a", TODAY, product=PIGS)
    again = await inspects(market, brought(PIGS, 4_400_000, voucher, renewed, **dealer))
    assert again["decision"] == "ADMIT"


async def test_4_a_herd_becomes_carcasses_and_cuts_and_every_gram_is_known(
    market: Market,
) -> None:
    """(4) 120 heads → carcasses → cuts to supermarket & hospital, mass balance 0.74."""
    butcher = await market.add("butcher", "如皋定点屠宰厂", RoleKind.SLAUGHTER)
    supermarket = await market.add("supermarket", "文峰超市", RoleKind.SUPERMARKET)
    hospital = await market.add("hospital", "市第一医院食堂", RoleKind.GROUP_BUYER)

    # 120 heads of 110 kg come to the slaughterhouse, and become carcasses of 74 %.
    herd, carcasses, found = await _slaughtered(market, butcher, heads=120, kilograms=9_768)
    assert found == []
    assert (await butcher.lot(herd))["remaining_g"] == 0
    sold = await butcher.sells(market.stall, line(CARCASSES, 5_000, carcasses))

    # One truck: with both certificates, without the meat inspection, without any.
    quarantine = await paper(market, "product_b", TODAY, product=CARCASSES)
    inspected = await paper(market, "meat_inspection", TODAY, product=CARCASSES)
    loads: list[list[str]] = [[quarantine, inspected], [quarantine], []]
    told = await inspects(
        market, *(scanned(sold, mass_g=1_000_000, papers=papers) for papers in loads)
    )
    assert [came_to(load) for load in told["lines"]] == [
        ("ADMIT", ["in-the-books"]),
        ("REFUSE", ["in-the-books", "meat-inspection-missing"]),
        ("REFUSE", ["in-the-books", "quarantine-missing", "meat-inspection-missing"]),
    ]
    assert told["decision"] == "REFUSE"

    # The stall accepts, cuts, and sells on to the supermarket and the hospital.
    at_stall = received(await market.stall.decides(sold["ticket"]))
    cuts = new_id()
    await market.stall.make(
        f"/transforms/{new_id()}",
        {
            "process": "cut_carcass",
            "inputs": [{"lot": at_stall}],
            "outputs": [{"lot": cuts, "product": CUTS, "quantity": "4850", "unit": "公斤"}],
        },
    )
    papers = [
        {"kind": "quarantine", "number": "NT-B-1"},
        {"kind": "meat_inspection", "number": "RP-1"},
    ]
    delivered = {}
    for buyer, kilograms in ((supermarket, 3_000), (hospital, 1_800)):
        ticket = await market.stall.sells(
            buyer, line(CUTS, kilograms, cuts), documents=papers, market=str(market.site)
        )
        assert (await market.scan(ticket["url"], buyer))["decision"] == "ADMIT"
        delivered[buyer.public_id] = received(await buyer.decides(ticket["ticket"]))

    # Whatever became of the herd lies somewhere: 74 % of it as carcasses, 97 % of those as cuts.
    ahead = await market.regulator.read(f"/lots/{herd}/trace?direction=forward")
    left = {node["lot"]: node["remaining_g"] for node in ahead["nodes"]}
    assert left == {
        herd: 0,
        carcasses: 4_768_000,
        at_stall: 0,
        cuts: 50_000,
        delivered[supermarket.public_id]: 3_000_000,
        delivered[hospital.public_id]: 1_800_000,
    }
    assert sum(left.values()) == round(13_200_000 * 0.74) - (5_000_000 - 4_850_000)
    # The hospital's kitchen finds the herd behind what it cooks, and nothing else.
    in_kitchen = delivered[hospital.public_id]
    back = await market.regulator.read(f"/lots/{in_kitchen}/trace?direction=back")
    assert [(source["lot"], source["mass_g"]) for source in back["sources"]] == [(herd, 1_800_000)]
    assert back["completeness"]["proved_share"] == 1

    # More meat than pigs can give is told to whoever writes it down.
    *_, found = await _slaughtered(market, butcher, heads=10, kilograms=900)
    assert [(finding["code"], finding["permille"]) for finding in found] == [
        ("yield-out-of-band", 818)
    ]


async def _slaughtered(
    market: Market, butcher: Actor, *, heads: int, kilograms: int
) -> tuple[str, str, list[Json]]:
    """Slaughter pigs of 110 kg each; answer the herd, its carcasses, and what was found."""
    herd, carcasses = new_id(), new_id()
    await butcher.opens(
        PIGS,
        heads,
        lot=herd,
        origin="slaughter_in",
        unit="头",
        pack_net_g=110_000,
        producer=str(market.farmer.public_id),
    )
    output = {
        "lot": carcasses,
        "product": CARCASSES,
        "quantity": str(kilograms),
        "unit": "公斤",
    }
    made = await butcher.make(
        f"/transforms/{new_id()}",
        {"process": "slaughter_pig", "inputs": [{"lot": herd}], "outputs": [output]},
    )
    return herd, carcasses, made["findings"]


async def test_7_a_certificate_that_is_used_four_times_is_noticed(market: Market) -> None:
    """(7) certificate re-used 4× its kg."""

    def forty(seller: Actor, lot: str) -> Json:
        buyer = market.stall.as_buyer
        return {"buyer": buyer, "lines": [line(CHIVES, 40, lot)], "market": str(market.site)}

    # A cooperative has cut 160 kg and certified 40 of them. The next 40 do not go out under it ...
    grown = await market.lot(market.coop, 160)
    await market.coop.certifies(grown, 40)
    await market.coop.make(f"/tickets/{new_id()}", forty(market.coop, grown))
    again = await market.coop.put(f"/tickets/{new_id()}", forty(market.coop, grown))
    assert code_of(again) == "certificate-missing"
    assert again.json()["facts"] == {"lot": grown, "covered_g": 0, "wanted_g": 40_000}
    # ... nor does it vouch for more than there is.
    beyond = {
        "kind": "conformity_producer",
        "lot": grown,
        "quantity": "121",
        "unit": "公斤",
        "bases": ["self_tested"],
    }
    answer = await market.coop.put(f"/certificates/{new_id()}", beyond)
    assert code_of(answer) == "certificate-exceeds-lot"

    # A farmer need not certify. She shows one certificate of 40 kg with four loads of 40 kg.
    own = await market.lot(market.farmer, 160)
    certificate = await market.farmer.certifies(own, 40)
    loads = [
        await market.farmer.make(f"/tickets/{new_id()}", forty(market.farmer, own))
        for _ in range(4)
    ]
    # The gate lets the first one in, and tests the others: nothing vouches for them.
    told = await inspects(market, *(scanned(load) for load in loads))
    assert [came_to(load) for load in told["lines"]] == [
        ("ADMIT", ["in-the-books"]),
        *[("ADMIT_AFTER_TEST", ["in-the-books", "certificate-advised"])] * 3,
    ]
    # Early warning adds them up, for the market and for the office of the place.
    market.clock.advance(minutes=5)
    async with market.trade.database.transaction() as session:
        await warnings.run(session, RuleCode.CERTIFICATE_OVERSOLD, now=market.clock())
    for who in (market.office, market.regulator):
        [warning] = await who.read("/warnings?state=open")
        assert (warning["rule"], warning["severity"]) == ("certificate-oversold", "high")
        assert (warning["figure"], warning["limit"]) == (160_000, 60_000)
        assert warning["evidence"]["certificates"] == [certificate]
        assert set(warning["evidence"]["tickets"]) == {load["ticket"] for load in loads}
        assert warning["party"] == str(market.farmer.public_id)
    # On paper it is no better: a copied sheet of 40 kg is no proof of conformity for 160.
    sheet = await paper(
        market,
        "conformity_certificate",
        TODAY,
        product=CHIVES,
        mass_g=40_000,
        bases=["self_tested"],
    )
    voucher = await paper(market, "purchase_voucher", TODAY)
    seller = {"seller": str(market.stall.public_id)}
    copied = await inspects(
        market, *(brought(CHIVES, 40_000, voucher, sheet, **seller) for _ in range(4))
    )
    assert [came_to(load) for load in copied["lines"]] == [
        ("ADMIT", []),
        *[("HOLD", ["paper-mass-short"])] * 3,
    ]
    # Whoever looked says what came of it, once.
    said = {"state": "handled", "reason": "已约谈，补开合格证"}
    at = f"/warnings/{warning['warning']}"
    await market.office.make(f"{at}/handling", said, status=200)
    assert (await market.regulator.read(at))["state"] == "handled"


async def test_9_a_grandmother_without_a_phone_sells_what_she_grew(market: Market) -> None:
    """(9) self-producing grandmother with no phone: paper ticket issued by market staff."""
    # She has no certificate and no phone. Who she is, what and how much she brings is recorded.
    told = await inspects(market, brought(GREENS, 8_000, self_producer=GRANDMOTHER), plate=None)
    [basket] = told["lines"]
    assert came_to(basket) == ("ADMIT_AFTER_TEST", ["certificate-missing"])
    assert basket["self_producer"]["name"] == "陈**"
    assert GRANDMOTHER["id_number"] not in str(told)

    # The market registers her, takes her greens in, and tests them.
    grandmother = new_id()
    role = {"kind": "FARMER", "valid_from": "2026-06-18", "place": str(market.site)}
    person = {
        "form": "natural",
        "name": GRANDMOTHER["name"],
        "id_number": GRANDMOTHER["id_number"],
        "division_code": VILLAGE,
        "roles": [role],
    }
    await market.office.make(f"/parties/{grandmother}", person)
    lot = await market.office.opens(GREENS, 8, origin="declare", producer=grandmother)
    sample = await sampled(market.office, lot, mass_g=200, **OF_MARKET)
    tested = await judged(market.office, sample, inhibition(11))
    assert tested["status"] == "passed"
    passed = await rules(market.office, basket, "ADMIT", "快检合格", test=tested["number"])
    assert (passed["former"], passed["decision"]) == ("ADMIT_AFTER_TEST", "ADMIT")

    # Her buyer gets a ticket on paper from the market's printer: a code, and letters to type.
    ticket = await market.office.sells(None, line(GREENS, 3, lot), market=str(market.site))
    printed = await market.office.get(f"/tickets/{ticket['ticket']}/code.png")
    assert printed.headers["content-type"] == "image/png"
    checked = await market.scan(ticket["code"], market.stranger)
    assert checked["decision"] == "ADMIT"
    assert "test-passed" in [finding["code"] for finding in checked["findings"]]


async def test_10_a_foreign_code_is_kept_as_it_is_and_never_resolved(market: Market) -> None:
    """(10) 20-digit foreign code scanned: stored as external ref, not resolved."""
    foreign = "32068200100112345678"
    seller = {"seller": str(market.stall.public_id)}
    told = await inspects(
        market, {"id": new_id(), "text": foreign, "product": GREENS, "mass_g": 9_000, **seller}
    )
    [held] = told["lines"]
    # It may be a meat or a drug code: both have 20 digits. Nobody guesses, and nobody asks.
    assert held["kind"] == "foreign_trace_code"
    assert (held["ticket"], held["certificate"]) == (None, None)
    assert held["decision"] == "REFUSE"
    assert codes(held) == ["foreign-code", "no-source-proof", "certificate-missing"]
    kept = await market.trade.value("SELECT code FROM inspection_line")
    assert kept == foreign

    # Its paper slip is a proof of where it comes from, once somebody has looked at it.
    slip = await paper(market, "purchase_voucher", TODAY, number=foreign)
    with_slip = await inspects(
        market,
        {
            "id": new_id(),
            "text": foreign,
            "product": GREENS,
            "mass_g": 9_000,
            "papers": [slip],
            **seller,
        },
    )
    [line_] = with_slip["lines"]
    assert came_to(line_) == ("HOLD", ["foreign-code", "certificate-missing"])
    await rules(market.office, line_, "ADMIT_AFTER_TEST", "纸质凭证已核对")


async def test_11_terminals_whose_clocks_are_wrong_are_put_in_order(market: Market) -> None:
    """(11) clock-skewed offline terminal."""
    west = str(await market.place("西门", PlaceKind.GATE, within=market.site))
    opened = market.clock()

    def told_by(off: timedelta, minutes: int) -> str:
        """Answer what a clock that is off shows some minutes after the gates opened."""
        return (opened + timedelta(minutes=minutes) + off).isoformat()

    # The east terminal is three hours ahead, the west one two years behind; the network is down.
    east_off, west_off = timedelta(hours=3), timedelta(days=-730)
    tickets = [await market.sound_ticket() for _ in range(4)]
    passed = [
        ("east", str(market.gate), east_off, 1, 10, tickets[0]),
        ("west", west, west_off, 1, 20, tickets[1]),
        ("east", str(market.gate), east_off, 2, 30, tickets[2]),
        ("west", west, west_off, 2, 40, tickets[3]),
    ]
    sent: list[tuple[str, Json]] = []
    for device, place, off, sequence, minutes, ticket in passed:
        body: Json = {
            "place": place,
            "inspector": "周检查",
            "device": device,
            "sequence": sequence,
            "device_at": told_by(off, minutes),
            "lines": [scanned(ticket, decided_offline="ADMIT")],
        }
        sent.append((new_id(), body))

    # At seven the network is back. They arrive in the wrong order, and each of them twice.
    market.clock.advance(hours=3)
    for turn in range(2):
        for place_in_line in (3, 0, 2, 1):
            public_id, body = sent[place_in_line]
            off = passed[place_in_line][2]
            body = {**body, "sent_at": (market.clock() + off).isoformat()}
            answer = await market.office.put(f"/inspections/{public_id}", body)
            assert answer.status_code == (201 if turn == 0 else 200), answer.text
            market.clock.advance(minutes=1)

    # Each is kept once, at the instant at which it happened, in the order in which it happened.
    listed = await market.office.read("/inspections")
    assert [one["inspection"] for one in reversed(listed)] == [public_id for public_id, _ in sent]
    for one, (*_, minutes, _ticket) in zip(reversed(listed), passed, strict=True):
        at = datetime.fromisoformat(one["inspected_at"])
        assert at == opened + timedelta(minutes=minutes)
    first = await market.office.read(f"/inspections/{sent[0][0]}")
    assert came_to(first["lines"][0]) == ("ADMIT", ["in-the-books", "clock-skew"])
    assert first["clock_offset_ms"] == -3 * 3600 * 1000

    # A copy that both had let in is a case, not a correction.
    copied = tickets[0]
    late = await inspects(
        market,
        scanned(copied, decided_offline="ADMIT"),
        place=west,
        device="west",
        sequence=3,
        device_at=told_by(west_off, 50),
        sent_at=(market.clock() + west_off).isoformat(),
    )
    cases = await market.office.read("/gate-cases?state=open")
    assert {case["case"] for case in cases} == set(late["cases"])
    assert {case["kind"] for case in cases} == {"admitted_at_two_gates", "let_in_against_verdict"}
    untouched = await market.office.read(f"/inspections/{sent[0][0]}")
    assert untouched["lines"][0]["stands_at"] == "ADMIT"


async def test_12_a_document_of_2019_is_read_by_the_rules_and_names_of_2019(
    database_url: str, clock: FakeClock
) -> None:
    """(12) 海门市 document from 2019 shown with old code 320684."""
    then = date(2019, 6, 3)
    clock.set(datetime(2019, 6, 2, 20, 30, tzinfo=UTC))
    async with open_market(database_url, clock) as market:
        await agrees(market, market.stall, signed_on="2019-02-01")
        seller = {"seller": str(market.stall.public_id)}
        origin = await paper(
            market, "origin_proof", then, product=GREENS, division_code="320684106001"
        )
        trial = await paper(market, "conformity_certificate", then, product=GREENS)

        def loads() -> list[Json]:
            papers: list[list[str]] = [[origin, trial], [trial], [origin], []]
            return [brought(GREENS, 1_000, *laid, **seller) for laid in papers]

        # By Order 20 a proof of origin was a proof of source, and the trial certificate one too.
        of_2019 = [
            ("ADMIT", []),
            ("ADMIT", []),
            ("ADMIT_AFTER_TEST", ["certificate-missing"]),
            ("ADMIT_AFTER_TEST", ["no-source-proof", "certificate-missing"]),
        ]
        told = await inspects(market, *loads())
        assert [came_to(line_) for line_ in told["lines"]] == of_2019
        assert {finding["policy"] for finding in told["lines"][3]["findings"]} >= {"order-20"}

        # In January 2024 it is what it was, and the paper bears the names of its day.
        clock.set(datetime(2024, 1, 15, 1, tzinfo=UTC))
        assert await market.office.read(f"/inspections/{told['inspection']}") == told
        shown = await market.office.read(f"/papers/{origin}")
        assert shown["division_code"] == "320684106001"
        assert shown["origin"] == "海门市常乐镇状元街居委会"

        # Goods of 2024 without a source do not come in, and 产地证明 is none.
        recent = await paper(
            market, "origin_proof", date(2024, 1, 14), product=GREENS, division_code="320614103001"
        )
        today = await inspects(market, brought(GREENS, 1_000, recent, **seller))
        assert came_to(today["lines"][0]) == (
            "REFUSE",
            ["no-source-proof", "certificate-missing"],
        )
        assert today["lines"][0]["findings"][0]["policy"] == "order-81"

        # A market that says in 2024 what it saw in 2019 may say so, with the rules of both days
        # side by side. The graver stands, for else it would choose the law that it is judged by.
        late = await inspects(market, *loads(), device_at="2019-06-03T04:30:00+08:00")
        assert {line_["decision"] for line_ in late["lines"]} == {"REFUSE"}
        for line_, (_, found) in zip(late["lines"], of_2019, strict=True):
            then_found = [one for one in line_["findings"] if one["policy"] == "order-20"]
            assert [one["code"] for one in then_found] == found
            assert {"told-late", "clock-skew"} <= set(codes(line_))
