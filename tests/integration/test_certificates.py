"""Certificates through HTTP: which form, for whom, for how much, taken back and replaced."""

from datetime import date, datetime, timedelta

import pytest

from app.party.access import RoleKind
from app.signing import service as signing
from app.signing import token
from app.signing.keys import IssuerClass, SignatureVerdict
from tests.factories import CHIVES, PADDY, VILLAGE, Actor, Trade, code_of, line, new_id, received


async def certified(coop: Actor, kg: float = 100) -> tuple[str, str]:
    lot = await coop.opens(kg=kg)
    return lot, await coop.certifies(lot, kg)


async def sale(seller: Actor, buyer: Actor, lot: str, kg: float) -> str | None:
    """Try a sale; answer the code of its refusal."""
    body = {"buyer": buyer.as_buyer, "lines": [line(CHIVES, kg, lot)]}
    answer = await seller.put(f"/tickets/{new_id()}", body)
    return None if answer.is_success else code_of(answer)


async def test_a_producer_issues_form_1_by_itself(trade: Trade) -> None:
    coop = await trade.coop()
    lot = await coop.opens(kg=100)
    certificate = new_id()
    made = await coop.make(
        f"/certificates/{certificate}",
        {
            "kind": "conformity_producer",
            "lot": lot,
            "quantity": "120",
            "unit": "斤",
            "bases": ["self_tested", "quality_control", "self_tested"],
        },
    )
    claims = token.parse(made["url"].rpartition("/t/")[2]).claims
    assert (claims.type, claims.product) == (token.TokenType.ORIGIN_CERTIFICATE, CHIVES)
    assert claims.quantity_dg == token.quantity_dg_of(60_000)
    assert (claims.origin, claims.issuer) == (VILLAGE, coop.id)
    assert claims.flags == (token.Flags.SELF_TESTED | token.Flags.INTERNAL_QUALITY_CONTROL)
    assert made.pop("code").isalnum()
    made.pop("url")
    assert made == {
        "certificate": certificate,
        "kind": "conformity_producer",
        "form": "2026",
        "lot": lot,
        "issuer": str(coop.public_id),
        "product": CHIVES,
        "product_name": "韭菜",
        "mass_g": 60_000,
        "quantity": "120",
        "unit": "斤",
        "division_code": VILLAGE,
        "bases": ["self_tested", "quality_control"],
        "issued_on": "2026-06-18",
        "issued_at": "2026-06-17T20:00:00Z",
        "expires_at": made["expires_at"],
        "voided_at": None,
    }
    assert (await coop.lot(lot))["certified_g"] == 60_000
    read = await coop.read(f"/certificates/{certificate}")
    assert read.items() >= made.items()


@pytest.mark.parametrize(
    ("day", "kind", "edition", "basis"),
    [
        ("2024-03-01", "conformity_producer", "2021", "self_promise"),
        ("2026-01-31", "conformity_producer", "2021", "self_promise"),
        ("2026-02-01", "conformity_producer", "2026", "entrusted_test"),
        ("2024-03-01", "conformity_purchaser", "2021", "self_promise"),
        ("2026-02-01", "conformity_purchaser", "2026", "quality_control"),
        ("2024-03-01", "origin_proof", "2016", None),
        ("2026-06-18", "origin_proof", "2016", None),
    ],
)
async def test_the_form_is_the_one_of_the_day(
    trade: Trade, day: str, kind: str, edition: str, basis: str | None
) -> None:
    instant = f"{day}T02:00+08:00"
    coop, collector = await trade.coop(), await trade.collector()
    holder = coop
    lot = await coop.opens(occurred_at=instant)
    if kind == "conformity_purchaser":
        holder = collector
        lot = await collector.opens(origin="declare", occurred_at=instant)
    body = {
        "kind": kind,
        "lot": lot,
        "quantity": "1",
        "unit": "公斤",
        "bases": [basis] if basis else [],
        "issued_at": instant,
    }
    made = await holder.make(f"/certificates/{new_id()}", body)
    assert (made["form"], made["issued_on"]) == (edition, day)
    covered_g = 0 if kind == "origin_proof" else 1_000
    assert (await holder.lot(lot))["certified_g"] == covered_g


async def test_papers_dated_last_week_are_signed_now_by_a_key_of_this_minute(
    own_trade: Trade,
) -> None:
    # A reader takes a token for one of today's key only if it was signed in the key's time: what a
    # paper's own date is has no part in it.
    last_week = "2026-06-11T06:00+08:00"
    coop, stall = await own_trade.coop(), await own_trade.stall()
    lot = await coop.opens(kg=100, occurred_at=last_week)
    async with own_trade.owner.transaction() as session:
        kid = await signing.create_key(
            session,
            vault=own_trade.app.state.vault,
            now=own_trade.clock(),
            issuer_class=IssuerClass.TICKET,
            ttl_h_max=9000,
            publish_ahead_days=0,
        )
    now = own_trade.clock.advance(minutes=1)
    certificate = await coop.certifies(lot, 100, issued_at=last_week)
    paper = await coop.read(f"/certificates/{certificate}")
    ticket = await coop.sells(stall, line(CHIVES, 10, lot), sold_at=last_week)
    async with own_trade.database.transaction() as session:
        keyset = await signing.load_keyset(session)
    for url in (paper["url"], ticket["url"]):
        parsed = token.parse(url.rpartition("/t/")[2])
        assert parsed.claims.kid == kid
        assert parsed.claims.issued_at == token.tick_floor(now)
        assert keyset.verify(parsed, now) is SignatureVerdict.VALID
        page = await own_trade.client.get(url, headers={"accept": "application/json"})
        assert (page.status_code, page.json()["state"]) == (200, "valid")
    assert (paper["issued_on"], paper["form"]) == ("2026-06-11", "2026")
    # Its hours begin with the signature, so that no paper is born expired.
    assert datetime.fromisoformat(paper["expires_at"]) > now + timedelta(days=100)


async def test_a_clock_before_2024_signs_nothing_and_says_so(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    trade.clock.set(datetime.fromisoformat("2023-12-31T23:59:59+00:00"))
    lot = await coop.opens(kg=100)
    papers = {
        "kind": "conformity_producer",
        "lot": lot,
        "quantity": "50",
        "unit": "公斤",
        "bases": ["self_tested"],
    }
    mine = await trade.farmer()
    sold = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 10, await mine.opens(kg=20))]}
    for who, path, body in (
        (coop, "certificates", papers),
        (mine, "tickets", sold),
    ):
        document = new_id()
        answer = await who.put(f"/{path}/{document}", body)
        assert (answer.status_code, code_of(answer)) == (503, "clock-before-tokens")
        assert answer.headers["retry-after"]
        # The same request is good as soon as the clock is right.
        trade.clock.set(datetime.fromisoformat("2024-01-01T00:00:00+00:00"))
        await who.make(f"/{path}/{document}", body)
        trade.clock.set(datetime.fromisoformat("2023-12-31T23:59:59+00:00"))
    # Answers of 500 and above count as faults of a test; these two were asked for.
    assert len(trade.faults) == 2
    trade.faults.clear()


async def test_a_basis_that_only_the_former_form_had_is_refused(trade: Trade) -> None:
    coop = await trade.coop()
    lot = await coop.opens(occurred_at="2026-01-31T02:00+08:00")
    body = {
        "kind": "conformity_producer",
        "lot": lot,
        "quantity": "1",
        "unit": "公斤",
        "bases": ["self_promise"],
    }
    former = {**body, "issued_at": "2026-01-31T23:59+08:00"}
    assert (await coop.put(f"/certificates/{new_id()}", former)).status_code == 201
    new = {**body, "issued_at": "2026-02-01T00:00+08:00"}
    assert code_of(await coop.put(f"/certificates/{new_id()}", new)) == "basis-not-on-form"


@pytest.mark.parametrize(
    ("day", "forms"),
    [
        ("2016-03-01", {("origin_proof", "2016")}),
        ("2020-01-01", {("origin_proof", "2016"), ("conformity_producer", "2019")}),
        (
            "2026-06-18",
            {
                ("origin_proof", "2016"),
                ("conformity_producer", "2026"),
                ("conformity_purchaser", "2026"),
            },
        ),
    ],
)
async def test_forms_are_listed_for_a_day_in_their_own_words(
    trade: Trade, day: str, forms: set[tuple[str, str]]
) -> None:
    anybody = await trade.farmer()
    found = await anybody.read(f"/certificate-forms?on={day}")
    assert {(form["kind"], form["edition"]) for form in found} == forms
    for form in found:
        assert form["valid_from"] <= day
        assert form["valid_to"] is None or day < form["valid_to"]
        assert {"zh", "en"} <= form["wording"]["title"].keys()
    if day == date(2026, 6, 18).isoformat():
        assert await anybody.read("/certificate-forms") == found


async def test_an_origin_proof_is_for_anything_with_an_origin(trade: Trade) -> None:
    farmer = await trade.farmer()
    paddy = await farmer.opens(PADDY, 500)
    proof = await farmer.certifies(paddy, 500, kind="origin_proof", bases=[])
    assert (await farmer.read(f"/certificates/{proof}"))["kind"] == "origin_proof"
    assert (await farmer.lot(paddy))["certified_g"] == 0


async def test_what_a_coop_sells_is_covered_by_a_certificate(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    lot = await coop.opens(kg=100)
    assert await sale(coop, stall, lot, 10) == "certificate-missing"
    await coop.certifies(lot, 40, kind="origin_proof", bases=[])
    assert await sale(coop, stall, lot, 10) == "certificate-missing"
    await coop.certifies(lot, 40)
    assert await sale(coop, stall, lot, 30) is None
    assert await sale(coop, stall, lot, 11) == "certificate-missing"
    assert await sale(coop, stall, lot, 10) is None
    await coop.certifies(lot, 60)
    assert await sale(coop, stall, lot, 60) is None


async def test_nobody_chooses_a_law_without_certificates_by_an_early_sale(
    own_trade: Trade,
) -> None:
    await own_trade.execute("UPDATE certificate_duty SET valid_from = '2026-06-16'")
    coop, stall = await own_trade.coop(), await own_trade.stall()
    too_late, in_time = "2026-06-14T04:00+08:00", "2026-06-15T04:00+08:00"
    lot = await coop.opens(kg=100, occurred_at=too_late)
    body = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 10, lot)]}
    refused = await coop.put(f"/tickets/{new_id()}", {**body, "sold_at": too_late})
    assert code_of(refused) == "certificate-missing"
    # Of a sale that is told within three days its own day alone decides.
    await coop.make(f"/tickets/{new_id()}", {**body, "sold_at": in_time})


async def test_a_farmer_is_only_encouraged_to_certify(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    assert await sale(farmer, stall, await farmer.opens(kg=10), 10) is None


async def test_a_voided_certificate_is_replaced_by_a_new_one(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    lot, former = await certified(coop)
    trade.clock.advance(hours=1)
    voided = await coop.voids("certificates", former, "张三写错了重量")
    assert voided["voided_at"] == "2026-06-17T21:00:00Z"
    trade.clock.advance(hours=1)
    assert await coop.voids("certificates", former, "again, in other words") == voided
    assert (await coop.lot(lot))["certified_g"] == 0
    assert await sale(coop, stall, lot, 10) == "certificate-voided"
    new = await coop.certifies(lot, 100, replaces=former)
    assert await sale(coop, stall, lot, 100) is None
    listed = await coop.read("/certificates")
    assert [item["certificate"] for item in listed] == [new, former]
    assert await trade.value(
        "SELECT f.public_id FROM certificate c JOIN certificate f ON f.id = c.replaces_id "
        "WHERE c.public_id = CAST(:new AS uuid)",
        new=new,
    ) == await trade.value(
        "SELECT public_id FROM certificate WHERE public_id = CAST(:former AS uuid)", former=former
    )


async def test_what_left_under_a_voided_certificate_does_not_use_up_the_next(trade: Trade) -> None:
    """A lot of 100 kg: 60 sold under the first certificate, the other 40 under the second."""
    coop, stall = await trade.coop(), await trade.stall()
    lot, former = await certified(coop)
    ticket = await coop.sells(stall, line(CHIVES, 60, lot))
    await coop.voids("certificates", former)
    await coop.certifies(lot, 40, replaces=former)
    assert await sale(coop, stall, lot, 40) is None
    await coop.voids("tickets", ticket["ticket"])
    assert await sale(coop, stall, lot, 1) is None, "the cover that the voided ticket used is back"
    assert (await coop.lot(lot))["remaining_g"] == 59_000


async def test_voiding_leaves_the_other_certificates_of_a_lot_in_force(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    lot = await coop.opens(kg=100)
    first, _ = await coop.certifies(lot, 30), await coop.certifies(lot, 50)
    await coop.voids("certificates", first)
    assert (await coop.lot(lot))["certified_g"] == 50_000
    assert await sale(coop, stall, lot, 50) is None
    assert await sale(coop, stall, lot, 1) == "certificate-missing"


async def test_goods_that_were_handed_on_keep_the_voided_certificate_in_sight(
    trade: Trade,
) -> None:
    coop, collector, stall = await trade.coop(), await trade.collector(), await trade.stall()
    lot, certificate = await certified(coop)
    ticket = await coop.sells(collector, line(CHIVES, 100, lot))
    bought = received(await collector.decides(ticket["ticket"]))
    assert (await collector.lot(bought))["certified_g"] == 100_000
    await coop.voids("certificates", certificate)
    assert await sale(collector, stall, bought, 10) == "certificate-voided"
    await collector.certifies(bought, 100, kind="conformity_purchaser")
    assert await sale(collector, stall, bought, 100) is None


async def test_certificates_are_read_by_their_issuer_and_by_the_office_of_their_origin(
    trade: Trade,
) -> None:
    coop, stranger = await trade.coop(), await trade.coop()
    _, certificate = await certified(coop)
    here = await trade.party(RoleKind.REGULATOR, answers_for="320682")
    elsewhere = await trade.party(RoleKind.REGULATOR, answers_for="320685")
    assert (await here.get(f"/certificates/{certificate}")).status_code == 200
    for other in (stranger, elsewhere):
        assert code_of(await other.get(f"/certificates/{certificate}")) == "other-party"
        assert await other.read("/certificates") == []
