"""Paper with codes: printed as a printer would, one bit a dot, and read back."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image
from pypdf import PdfReader

from app.demo.main_job import QR_ONLY
from app.label.rules import STOCKS, StockName
from app.party.access import RoleKind
from app.signing import qr
from tests.conftest import FakeClock
from tests.factories import CHIVES, GREENS, Actor, Json, code_of, line, new_id, received
from tests.market import Market, open_market

BASE = "http://127.0.0.1:8000"
PHONE = "13812345678"
HTML = {"accept": "text/html"}
Dots = NDArray[np.bool_]


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as market:
        await market.add("grower", "李小河", RoleKind.COOP, phone=PHONE)
        yield market


def sheets_of(picture: bytes) -> list[Dots]:
    """Cut a picture into A4 pages, or leave a strip whole; dark is True."""
    image = Image.open(io.BytesIO(picture))
    assert image.mode == "1"
    dots = ~np.asarray(image)
    height = round(image.info["dpi"][0] * 297 / 25.4)
    pages = max(1, round(dots.shape[0] / height))
    return list(np.array_split(dots, pages))


def codes_in(dots: Dots) -> list[zxingcpp.Barcode]:
    """Read all codes of a page."""
    picture = np.where(dots, 0, 255).astype(np.uint8)
    return list(zxingcpp.read_barcodes(picture, formats=QR_ONLY))


def modules_are_whole(dots: Dots, found: zxingcpp.Barcode, module_dots: int) -> bool:
    """Whether every module of a code is a square of exactly so many equal dots."""
    corner, end = found.position.top_left, found.position.bottom_right
    near = dots[corner.y - 3 : end.y + 4, corner.x - 3 : end.x + 4]
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    code = near[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = code.shape[0]
    if code.shape != (side, side) or side % module_dots:
        return False
    modules = code[::module_dots, ::module_dots]
    return bool((np.kron(modules, np.ones((module_dots,) * 2, bool)) == code).all())


def dots_of(answer: httpx.Response) -> int:
    """Answer the dots a module that an answer tells."""
    return int(answer.headers["code-print"].rpartition("=")[2])


def said(pdf: bytes) -> str:
    """Read a PDF's text, without blanks."""
    pages = PdfReader(io.BytesIO(pdf)).pages
    return re.sub(r"\s", "", "".join(page.extract_text() for page in pages))


async def printed(actor: Actor, path: str) -> httpx.Response:
    """Print something that may be printed."""
    answer = await actor.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def sheet(actor: Actor, *items: Json, file: str = "png", **more: object) -> httpx.Response:
    """Ask for sheets of labels."""
    body = {"items": list(items), "dpi": 203, **more}
    return await actor.send("POST", f"/label-sheets?file={file}", body)


async def roll(actor: Actor, labels: int = 3) -> Json:
    """Make a roll."""
    return await actor.make(f"/label-rolls/{new_id()}", {"labels": labels})


# --- tickets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dpi", [203, 300])
@pytest.mark.parametrize("paper", ["80mm", "58mm", "a4"])
async def test_a_printed_ticket_is_read_back(market: Market, paper: str, dpi: int) -> None:
    ticket = await market.sound_ticket(plate="苏F12345")
    path = f"/tickets/{ticket['ticket']}/print?format={paper}&dpi={dpi}"
    answer = await printed(market.stall, f"{path}&file=png")
    assert answer.headers["content-type"] == "image/png"
    (page,) = sheets_of(answer.content)
    (found,) = codes_in(page)
    assert found.text == ticket["url"]
    assert answer.headers["code-print"].startswith("safe; ")
    assert modules_are_whole(page, found, dots_of(answer))


async def test_a_ticket_tells_both_units_and_neither_prices_nor_phones(market: Market) -> None:
    grower, stall = market.grower, market.stall
    lot = await grower.opens(kg=100)
    await grower.certifies(lot)
    sold = line(CHIVES, 10, lot, price_fen=1234, price_unit="公斤")
    ticket = await grower.sells(stall, sold, note="找老王 13900000000", market=str(market.site))
    for paper in ("80mm", "58mm", "a4"):
        answer = await printed(grower, f"/tickets/{ticket['ticket']}/print?format={paper}")
        assert answer.headers["content-type"] == "application/pdf"
        words = said(answer.content)
        code = ticket["code"]
        grouped = "-".join((code[:4], code[4:8], code[8:12], code[12:]))
        certificate = await grower.read(
            f"/certificates/{ticket['lines'][0]['draws'][0]['certificates'][0]}"
        )
        wanted = (
            "10公斤（20斤）",
            "10kg(20jin)",
            grouped,
            "李小河",
            "王记蔬菜",
            "南通市场",
            "韭菜",
        )
        for part in (*wanted, "如皋市", certificate["code"][:4], "2026-06-1804:00"):
            assert part in words, part
        for part in ("1234", "12.34", PHONE, "13900000000"):
            assert part not in words.replace(certificate["code"], ""), part


async def test_paper_of_a_demonstration_says_so(database_url: str, clock: FakeClock) -> None:
    async with open_market(database_url, clock) as market:
        market.trade.app.state.settings = market.trade.settings.model_copy(update={"demo": True})
        ticket = await market.sound_ticket()
        for paper in ("80mm", "a4"):
            answer = await printed(market.coop, f"/tickets/{ticket['ticket']}/print?format={paper}")
            assert "演示数据，不是真实票据" in said(answer.content)
        labels = await sheet(market.coop, {"ticket": ticket["ticket"]}, file="pdf")
        assert "演示DEMO" in said(labels.content)


async def test_refusals_of_printing_a_ticket_in_order(market: Market) -> None:
    voided = await market.sound_ticket()
    await market.coop.voids("tickets", voided["ticket"])
    cases = [
        (market.stranger, new_id(), 404, "unknown-ticket"),
        (market.stranger, voided["ticket"], 403, "other-party"),
        (market.regulator, voided["ticket"], 403, "other-party"),
        (market.coop, voided["ticket"], 409, "ticket-voided"),
    ]
    for actor, ticket, status, code in cases:
        answer = await actor.get(f"/tickets/{ticket}/print")
        assert (answer.status_code, code_of(answer)) == (status, code)
    wrong = await market.coop.get(f"/tickets/{voided['ticket']}/print?dpi=600")
    assert (wrong.status_code, code_of(wrong)) == (422, "malformed-request")


# --- certificates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "promise", "label", "boxes"),
    [
        ("2024-03-01", "不使用禁用农药", "生产者盖章或签名", "内部质量控制"),
        ("2026-06-18", "未使用禁用农药、兽药及其他化合物", "承诺主体", "质量安全控制符合要求"),
    ],
    ids=["2021", "2026"],
)
async def test_a_producers_certificate_is_on_the_form_of_its_day(
    market: Market, at: str, promise: str, label: str, boxes: str
) -> None:
    market.clock.set(datetime.fromisoformat(at).replace(tzinfo=UTC))
    grower = market.grower
    lot = await grower.opens(kg=150)
    certificate = await market.certify(grower, lot, 150)
    path = f"/certificates/{certificate['certificate']}/print?dpi=203"
    words = said((await printed(grower, path)).content)
    year, month, day = (int(part) for part in at.split("-"))
    issued = f"{year}年{month}月{day}日"
    for part in ("承诺达标合格证", promise, "承诺依据", boxes, label, "李小河", PHONE, issued):
        assert part in words, part
    assert "150公斤（300斤）" in words
    assert "如皋市" in words
    assert "未登记" not in words
    answer = await printed(grower, f"{path}&file=png")
    (page,) = sheets_of(answer.content)
    (found,) = codes_in(page)
    assert found.text == certificate["url"]
    assert modules_are_whole(page, found, dots_of(answer))


async def test_a_purchasers_certificate_has_a_promise_of_its_own_and_no_origin(
    market: Market,
) -> None:
    await market.chives_of_three()
    (certificate,) = await market.collector.read("/certificates")
    path = f"/certificates/{certificate['certificate']}/print"
    words = said((await printed(market.collector, path)).content)
    assert "已按规定收取并保存该批次农产品承诺达标合格证" in words
    assert "产地" not in words
    # The form asks for it, and nobody registered one: there is a line for a pen.
    assert "联系方式" in words
    assert "未登记，请手写" in words
    (page,) = sheets_of((await printed(market.collector, path + "?file=png")).content)
    assert [found.text for found in codes_in(page)] == [certificate["url"]]


async def test_who_bought_under_a_certificate_prints_it_and_nobody_else(market: Market) -> None:
    grower, stall = market.grower, market.stall
    lot = await grower.opens(kg=100)
    certificate = (await market.certify(grower, lot, 100))["certificate"]
    path = f"/certificates/{certificate}/print"
    cases = [(market.stranger, new_id(), 404, "unknown-certificate")]
    cases += [
        (actor, certificate, 403, "other-party")
        for actor in (market.stranger, stall, market.office, market.regulator)
    ]
    for actor, asked, status, code in cases:
        answer = await actor.get(f"/certificates/{asked}/print")
        assert (answer.status_code, code_of(answer)) == (status, code)
    refused = await market.sell(grower, market.collector, lot, 5)
    await market.collector.decides(refused["ticket"], "refused")
    assert code_of(await market.collector.get(path)) == "other-party"
    await market.buy(grower, stall, lot, 10)
    assert PHONE in said((await printed(stall, path)).content)
    await grower.voids("certificates", certificate)
    for actor in (grower, stall):
        answer = await actor.get(path)
        assert (answer.status_code, code_of(answer)) == (409, "certificate-voided")
    assert code_of(await market.stranger.get(path)) == "other-party"


# --- sheets of labels -----------------------------------------------------------------------------


async def test_crate_labels_carry_the_short_address_alone(market: Market) -> None:
    ticket = await market.sound_ticket()
    for name, stock in STOCKS.items():
        answer = await sheet(
            market.stall, {"ticket": ticket["ticket"], "count": stock.places + 2}, stock=name
        )
        assert answer.status_code == 200, answer.text
        pages = sheets_of(answer.content)
        read = [codes_in(page) for page in pages]
        assert [len(codes) for codes in read] == [stock.places, 2]
        assert {code.text for codes in read for code in codes} == {f"{BASE}/c/{ticket['code']}"}
        assert answer.headers["code-print"].startswith("safe; ")
        for page, codes in zip(pages, read, strict=True):
            assert all(modules_are_whole(page, code, dots_of(answer)) for code in codes)


async def test_labels_of_many_things_in_their_order_after_those_that_are_gone(
    market: Market,
) -> None:
    coop = market.coop
    lot = await market.certified(kilograms=150)
    certificates = await coop.read("/certificates")
    bare = await coop.opens(GREENS, kg=50)
    label = (await roll(coop, 1))["codes"][0]
    await coop.make(f"/label-bindings/{label}", {"lot": bare})
    ticket = await market.sell(coop, market.stall, lot, 10)
    items: list[Json] = [
        {"lot": lot},
        {"lot": bare, "count": 2},
        {"certificate": certificates[0]["certificate"]},
        {"ticket": ticket["ticket"]},
    ]
    answer = await sheet(coop, *items, stock="70x37", skip=23)
    pages = sheets_of(answer.content)
    placed = [
        [code.text for code in sorted(codes_in(page), key=lambda c: c.position.top_left.x)]
        for page in pages
    ]
    certificate = f"{BASE}/c/{certificates[0]['code']}"
    assert placed[0] == [certificate]
    assert sorted(placed[1]) == sorted(
        [f"{BASE}/b/{label}"] * 2 + [certificate, f"{BASE}/c/{ticket['code']}"]
    )
    words = said((await sheet(coop, *items, file="pdf")).content)
    assert "50公斤（100斤）" in words
    assert "海门示范合作社" not in words


async def test_a_code_that_would_not_scan_is_refused_and_a_poor_one_announced(
    market: Market,
) -> None:
    ticket = await market.sound_ticket()
    item = {"ticket": ticket["ticket"]}
    poor = await sheet(market.coop, item, stock="48x25", code="signed")
    assert poor.headers["code-print"] == "marginal; dots=3"
    (page,) = sheets_of(poor.content)
    assert [code.text for code in codes_in(page)] == [ticket["url"]]
    refused = await sheet(market.coop, item, stock="38x21", code="signed")
    assert (refused.status_code, code_of(refused)) == (422, "label-too-small")
    assert refused.json()["facts"] | {"dots": 2, "dots_least": 3} == refused.json()["facts"]
    fine = await sheet(market.coop, item, stock="48x25", code="signed", dpi=300)
    assert fine.headers["code-print"] == "safe; dots=4"
    told = {
        (stock["stock"], fit["code"]): (fit["dots"], fit["print"])
        for stock in await market.coop.read("/label-stocks?dpi=203")
        for fit in stock["fits"]
    }
    assert told["48x25", "signed"] == (3, "marginal")
    assert told["38x21", "signed"] == (2, "refused")
    assert told["38x21", "short"] == (4, "safe")
    assert len(told) == 2 * len(STOCKS)


async def test_refusals_of_labels_in_order(market: Market) -> None:
    coop, stranger = market.coop, market.stranger
    bare = await coop.opens(kg=5)
    ticket = await market.sound_ticket()
    await coop.voids("tickets", ticket["ticket"])
    lot = await coop.opens(kg=100)
    certificate = await coop.certifies(lot)
    await coop.voids("certificates", certificate)
    cases = [
        (coop, {"ticket": new_id()}, 404, "unknown-ticket"),
        (coop, {"certificate": new_id()}, 404, "unknown-certificate"),
        (coop, {"lot": new_id()}, 404, "unknown-lot"),
        (stranger, {"ticket": ticket["ticket"]}, 403, "other-party"),
        (stranger, {"certificate": certificate}, 403, "other-party"),
        (stranger, {"lot": bare}, 403, "not-holder"),
        (coop, {"ticket": ticket["ticket"]}, 409, "ticket-voided"),
        (coop, {"certificate": certificate}, 409, "certificate-voided"),
        (coop, {"lot": bare}, 409, "lot-without-code"),
        (coop, {"lot": lot}, 409, "lot-without-code"),
    ]
    for actor, item, status, code in cases:
        answer = await sheet(actor, item, stock="38x21", code="signed")
        assert (answer.status_code, code_of(answer)) == (status, code), item
    wrong: tuple[list[Json], ...] = (
        [],
        [{}],
        [{"lot": lot, "ticket": lot}],
        [{"lot": lot, "count": 121}] * 2,
    )
    for body in wrong:
        answer = await sheet(coop, *body)
        assert (answer.status_code, code_of(answer)) == (422, "malformed-request")


# --- rolls of blank labels ------------------------------------------------------------------------


async def test_a_roll_is_made_once_and_every_label_of_it_is_read_back(market: Market) -> None:
    path = f"/label-rolls/{new_id()}"
    made = await asyncio.gather(*(market.coop.put(path, {"labels": 30}) for _ in range(4)))
    assert sorted(answer.status_code for answer in made) == [200, 200, 200, 201]
    codes = made[0].json()["codes"]
    assert {tuple(answer.json()["codes"]) for answer in made} == {tuple(codes)}
    assert len(set(codes)) == 30
    answer = await printed(market.coop, f"{path}/print?dpi=203&file=png&stock=70x37")
    pages = sheets_of(answer.content)
    read = [code for page in pages for code in codes_in(page)]
    assert {code.text for code in read} == {f"{BASE}/b/{code}" for code in codes}
    assert dots_of(answer) >= qr.DOTS_SAFE
    words = said((await printed(market.coop, f"{path}/print")).content)
    assert "品名Goods" in words
    assert all(f"{code[:4]}-{code[4:8]}-{code[8:12]}-{code[12:]}" in words for code in codes)


async def test_refusals_of_rolls_in_order(market: Market) -> None:
    made = await roll(market.coop)
    path = f"/label-rolls/{made['roll']}"
    for actor, labels in ((market.coop, 4), (market.stall, 3)):
        answer = await actor.put(path, {"labels": labels})
        assert (answer.status_code, code_of(answer)) == (409, "id-reused")
    for asked in (path, f"{path}/print"):
        answer = await market.stall.get(asked)
        assert (answer.status_code, code_of(answer)) == (404, "unknown-label-roll")
    unfit: tuple[int | str, ...] = (0, 241, "3")
    for length in unfit:
        answer = await market.coop.put(f"/label-rolls/{new_id()}", {"labels": length})
        assert code_of(answer) == "malformed-request"


async def test_a_label_leads_to_its_ticket_and_says_so_while_it_does_not(market: Market) -> None:
    code = (await roll(market.coop))["codes"][1]
    client = market.trade.client
    page = await client.get(f"/b/{code}", headers=HTML)
    assert page.status_code == 200
    assert "此标签尚未绑定" in page.text
    assert "This label is not yet bound" in page.text
    told = await client.get(f"/b/{code}", headers={"accept": "application/json"})
    assert (told.json()["bound"], told.json()["product"]) == (False, None)
    scanned = await market.scan(f"{BASE}/b/{code}")
    assert scanned["ticket"] is None
    ticket = await market.sound_ticket()
    bound = await market.coop.make(f"/label-bindings/{code}", {"ticket": ticket["ticket"]})
    assert bound["url"] == f"{BASE}/b/{code}"
    typed = f"{code[:4]}-{code[4:]}".lower()
    for method in ("GET", "HEAD"):
        answer = await client.request(method, f"/b/{typed}", headers=HTML)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/t/" + ticket["url"].rpartition("/")[2]
    looked_up = await client.get(f"/c?code={typed}", headers=HTML, follow_redirects=True)
    assert str(looked_up.url).endswith(ticket["url"].rpartition("/")[2])
    scanned = await market.scan(f"{BASE}/b/{code}")
    assert scanned["ticket"]["code"] == ticket["code"]
    assert (await market.coop.read(f"/label-rolls/{await roll_of(market, code)}"))["bound"] == 1


async def roll_of(market: Market, code: str) -> str:
    """Answer the roll of a label."""
    found = await market.trade.value(
        "SELECT r.public_id FROM label l JOIN label_roll r ON r.id = l.roll_id "
        "WHERE l.code = :code",
        code=code,
    )
    return str(found)


async def test_a_label_of_a_lot_tells_the_lot_and_its_hold(market: Market) -> None:
    code = (await roll(market.coop))["codes"][0]
    lot = await market.certified(kilograms=80)
    await market.coop.make(f"/label-bindings/{code}", {"lot": lot})
    client = market.trade.client
    page = await client.get(f"/b/{code}", headers=HTML)
    (certificate,) = await market.coop.read("/certificates")
    for part in ("韭菜", "80\u00a0公斤（160\u00a0斤）", "如皋市", "/t/"):
        assert part in page.text, part
    assert "海门示范合作社" not in page.text
    scanned = await market.scan(f"{BASE}/b/{code}")
    assert scanned["certificate"]["code"] == certificate["code"]
    await market.trade.hold(lot)
    told = (await client.get(f"/b/{code}", headers={"accept": "application/json"})).json()
    assert told["held"] is True
    assert "已被控制" in (await client.get(f"/b/{code}", headers=HTML)).text


async def test_goods_that_are_held_again_are_told_alike_wherever_one_looks(market: Market) -> None:
    """Held, released and held again: label, pages, gate, list, paper and stock say the same."""
    source = await market.certified()
    lot = await market.buy(market.coop, market.stall, source, 60)
    onward = await market.sell(market.stall, market.collector, lot, 10)
    (certificate,) = await market.coop.read("/certificates")
    code = (await roll(market.stall))["codes"][0]
    await market.stall.make(f"/label-bindings/{code}", {"lot": lot})
    client = market.trade.client
    as_json = {"accept": "application/json"}

    async def looks() -> list[bool]:
        label = (await client.get(f"/b/{code}", headers=as_json)).json()
        pages = [
            (await client.get("/t/" + one["url"].rpartition("/")[2], headers=as_json)).json()
            for one in (onward, certificate)
        ]
        scans = [await market.scan(one) for one in (onward["url"], certificate["url"])]
        scans.append(await market.scan(f"{BASE}/b/{code}"))
        stock = await market.coop.lot(source)
        certifies = await market.coop.put(f"/certificates/{new_id()}", {
            "kind": "conformity_producer", "lot": source, "quantity": "1", "unit": "公斤",
            "bases": ["self_tested"],
        })  # fmt: skip
        assert certifies.is_error
        sells = await market.coop.put(
            f"/tickets/{new_id()}",
            {"buyer": market.stall.as_buyer, "lines": [line(CHIVES, 0.1, source)]},
        )
        return [
            label["held"],
            *(page["state"] == "held" for page in pages),
            *(
                any(one["code"] in {"lot-on-hold", "source-on-hold"} for one in scan["findings"])
                for scan in scans
            ),
            stock["on_hold"],
            code_of(certifies) == "certificate-lot-on-hold",
            sells.is_error and code_of(sells) == "lot-on-hold",
        ]

    assert not any(await looks())
    for _ in range(2):
        hold = new_id()
        await market.regulator.make(f"/holds/{hold}", {"lot": source, "reason": "待查"})
        assert all(await looks())
        # Paper may be printed again: it leads to the page that says so.
        printed = await market.stall.get(f"/tickets/{onward['ticket']}/print")
        assert printed.status_code == 200
        await market.regulator.make(f"/holds/{hold}/release", {"reason": "合格"}, status=200)
        assert not any(await looks())


@pytest.mark.parametrize("code", ["0000000000000", "nonsense", "%00", "a" * 500])
async def test_no_such_label(market: Market, code: str) -> None:
    answer = await market.trade.client.get(f"/b/{code}", headers=HTML)
    assert answer.status_code == 404
    assert "没有这个标签码" in answer.text


async def test_a_binding_is_made_once_and_stays(market: Market) -> None:
    made = await roll(market.coop)
    code, ticket = made["codes"][0], await market.sound_ticket()
    body = {"ticket": ticket["ticket"]}
    first = await market.coop.make(f"/label-bindings/{code}", body)
    # Sent again much later, when the ticket is gone: it was bound, and the answer is the same.
    await market.coop.voids("tickets", ticket["ticket"])
    market.clock.advance(hours=3)
    again = await market.coop.put(f"/label-bindings/{code}", body)
    assert (again.status_code, again.json()) == (200, first)
    entries = await market.trade.rows(
        "SELECT convert_from(leaf, 'UTF8') FROM entry WHERE kind = 'label.bound'"
    )
    assert len(entries) == 1
    assert code in entries[0][0]
    assert ticket["ticket"] in entries[0][0]


async def test_refusals_of_binding_in_order(market: Market) -> None:
    coop, stall = market.coop, market.stall
    first, second, third = (await roll(coop))["codes"]
    strangers = (await roll(market.stranger, 1))["codes"][0]
    ticket = await market.sound_ticket()
    voided = await market.sound_ticket()
    await coop.voids("tickets", voided["ticket"])
    theirs = await market.sell(
        market.stranger, stall, await market.stranger.opens(kg=9, origin="declare"), 3
    )
    lot, gone = await coop.opens(kg=5), await market.stranger.opens(kg=9, origin="declare")
    await coop.make(f"/label-bindings/{first}", {"lot": lot})
    cases = [
        ("0" * 13, {"ticket": new_id()}, 404, "unknown-label"),
        ("nonsense", {"ticket": new_id()}, 404, "unknown-label"),
        (strangers, {"ticket": new_id()}, 403, "other-party"),
        (first, {"ticket": new_id()}, 404, "unknown-ticket"),
        (first, {"lot": new_id()}, 404, "unknown-lot"),
        (first, {"ticket": voided["ticket"]}, 409, "label-bound"),
        (first, {"lot": gone}, 409, "label-bound"),
        (second, {"ticket": theirs["ticket"]}, 403, "other-party"),
        (second, {"ticket": voided["ticket"]}, 409, "ticket-voided"),
        (second, {"lot": gone}, 403, "not-holder"),
        (third, {}, 422, "malformed-request"),
        (third, {"lot": lot, "ticket": ticket["ticket"]}, 422, "malformed-request"),
    ]
    for code, body, status, refusal in cases:
        answer = await coop.put(f"/label-bindings/{code}", body)
        assert (answer.status_code, code_of(answer)) == (status, refusal), (code, body)


async def test_rivals_bind_a_label_once(market: Market) -> None:
    for code in (await roll(market.coop, 4))["codes"]:
        one, other = await market.coop.opens(kg=5), await market.coop.opens(kg=6)
        answers = await asyncio.gather(
            *(
                market.coop.put(f"/label-bindings/{code}", {"lot": lot})
                for lot in (one, other, one, other)
            )
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 201, 409, 409]
        refused = {code_of(answer) for answer in answers if answer.status_code == 409}
        assert refused == {"label-bound"}
    bound = await market.trade.value("SELECT count(*) FROM label_binding")
    logged = await market.trade.value("SELECT count(*) FROM entry WHERE kind = 'label.bound'")
    assert (bound, logged) == (4, 4)


async def test_the_buyers_label_may_stand_for_the_ticket_and_then_the_lot(market: Market) -> None:
    first, second, _ = (await roll(market.stall))["codes"]
    ticket = await market.sound_ticket()
    await market.stall.make(f"/label-bindings/{first}", {"ticket": ticket["ticket"]})
    lot = received(await market.stall.decides(ticket["ticket"]))
    await market.stall.make(f"/label-bindings/{second}", {"lot": lot})
    answer = await sheet(market.stall, {"lot": lot}, stock=StockName.SMALL)
    assert [code.text for page in sheets_of(answer.content) for code in codes_in(page)] == [
        f"{BASE}/b/{second}"
    ]
