"""Farmers, stallholders and buyers on a phone: the targets of each task, counted and measured."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Page, async_playwright, expect
from python_calamine import CalamineWorkbook

from app.core.ids import uuid7
from app.demo.main_job import QR_ONLY
from app.demo.scenario import COLLECTOR, FARMS, OPERATOR, PASSWORD, PRODUCT, SCHOOL, STALL
from app.signing import shortcode
from app.web.screens import BUILT
from tests.browser.camera import camera_that_shows, film
from tests.browser.conftest import ARGUMENTS, CHROMIUM, SHOTS, Site, Visitor

Json = dict[str, Any]

JS_BYTES_MAX = 120 * 1024
# Fingers that go down and keys that are pressed; fields that would bring up a keyboard.
COUNT_TAPS = """
    window.taps = 0; window.fields = 0;
    addEventListener('pointerdown', () => taps++, true);
    addEventListener('keydown', () => taps++, true);
    addEventListener('focusin', (e) => { if (e.target.matches('input, textarea')) fields++ }, true);
"""


class Hand(httpx.Client):
    """Somebody who works through the API, to prepare a test and to look at what came of it."""

    def __init__(self, site: Site, login: str) -> None:
        """Know who it is; a `with` signs in."""
        super().__init__(base_url=site.url, timeout=30, trust_env=False)
        self._login = login
        self.party = ""

    def __enter__(self) -> Self:
        """Sign in."""
        super().__enter__()
        answer = self.post("/sessions", json={"login": self._login, "password": PASSWORD})
        self.party = answer.raise_for_status().json()["party"]
        return self

    def make(self, path: str, body: Json) -> Json:
        """Write something that must be taken."""
        answer = self.put(path, json=body)
        assert answer.is_success, answer.text
        made: Json = answer.json()
        return made

    def listed(self, path: str, **query: Any) -> list[Json]:
        """Read a list."""
        found: list[Json] = self.get(path, params=query).raise_for_status().json()
        return found

    def chives(self) -> int:
        """Answer the number of chives in the catalogue."""
        found = self.listed("/products", q=PRODUCT)
        return next(int(product["id"]) for product in found if product["name"] == PRODUCT)

    def harvest(self, kilograms: int) -> str:
        """Open a lot of chives with its certificate."""
        lot = str(uuid7())
        much = {"quantity": str(kilograms), "unit": "公斤"}
        opened = {"origin": "harvest", "product": self.chives(), **much, "division_code": "320682"}
        self.make(f"/lots/{lot}", opened)
        certificate = {"kind": "conformity_producer", "lot": lot, **much}
        self.make(f"/certificates/{uuid7()}", {**certificate, "bases": ["quality_control"]})
        return lot

    def sell(self, lot: str, buyer: str, kilograms: int) -> Json:
        """Issue a ticket for a part of a lot."""
        line = {"product": self.chives(), "quantity": str(kilograms), "unit": "公斤"}
        body = {"buyer": {"party": buyer}, "lines": [{**line, "draws": [{"lot": lot}]}]}
        return self.make(f"/tickets/{uuid7()}", body)


def new_farmer(site: Site) -> str:
    """Register a farmer who has done nothing yet; answers her login."""
    login = f"farmer-{uuid7()}"
    phone = f"1990{uuid7().int % 10**7:07}"
    with Hand(site, OPERATOR.login) as operator:
        party = str(uuid7())
        farmer = {
            "form": "natural",
            "name": "张示范",
            "phone": phone,
            "division_code": FARMS[0].village,
            "roles": [{"kind": "FARMER", "valid_from": "2024-01-01"}],
        }
        operator.make(f"/parties/{party}", farmer)
        account = {"party": party, "login": login, "password": PASSWORD}
        operator.make(f"/accounts/{uuid7()}", account)
    return login


@pytest.fixture
def farmer(site: Site) -> str:
    """A farmer of this test alone, who sold 150 kg to the collector once and has nothing left."""
    login = new_farmer(site)
    with Hand(site, login) as hand, Hand(site, COLLECTOR.login) as collector:
        hand.sell(hand.harvest(150), collector.party, 150)
    return login


def sold_by(site: Site, login: str) -> list[Json]:
    """Answer what somebody sold, newest first."""
    with Hand(site, login) as hand:
        return hand.listed("/tickets", side="sold")


async def enter(visitor: Visitor, login: str, path: str = "/m") -> Page:
    """Open the program as somebody, and begin to count taps."""
    await visitor.open(path)
    await visitor.sign_in(login)
    await visitor.page.wait_for_load_state("networkidle")
    await visitor.page.evaluate(COUNT_TAPS)
    return visitor.page


async def taps(page: Page) -> int:
    """Answer how many taps and keys it took since."""
    return int(await page.evaluate("taps"))


async def read_code(page: Page, file: Path) -> str:
    """Photograph the code on the screen and read it with another reader."""
    await page.locator("img[src$='code.svg']").screenshot(path=file)
    with Image.open(file) as image:
        (found,) = zxingcpp.read_barcodes(image.convert("L"), formats=QR_ONLY)
    return str(found.text)


async def test_the_same_ticket_again_takes_three_taps(
    visitor: Visitor, site: Site, farmer: str, tmp_path: Path
) -> None:
    page = await enter(visitor, farmer)
    began = time.monotonic()
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="我承诺，并开票").tap()
    await page.locator("img[src$='code.svg']").wait_for()
    assert time.monotonic() - began < 10
    assert await taps(page) <= 3
    assert await page.evaluate("fields") == 0, "a keyboard came up"

    newest, first = sold_by(site, farmer)
    assert await read_code(page, tmp_path / "code.png") == newest["url"]
    await expect(page.get_by_text(shortcode.show(newest["code"]), exact=True)).to_be_visible()
    assert newest["mass_g"] == first["mass_g"] == 150_000
    assert newest["buyer"] == first["buyer"]
    # What was cut today is another lot, with a certificate of its own.
    (draw,) = newest["lines"][0]["draws"]
    assert draw["lot"] != first["lines"][0]["draws"][0]["lot"]
    assert len(draw["certificates"]) == 1


async def test_what_is_in_stock_is_sold_from_stock(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand:
        lot = hand.harvest(160)
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    await expect(page.get_by_role("radio", name="用库存")).to_have_attribute("aria-checked", "true")
    await page.get_by_role("button", name="开票", exact=True).tap()
    await page.locator("img[src$='code.svg']").wait_for()
    newest = sold_by(site, farmer)[0]
    assert [draw["lot"] for draw in newest["lines"][0]["draws"]] == [lot]


async def test_the_first_ticket_of_a_new_farmer_takes_ten_taps(
    visitor: Visitor, site: Site
) -> None:
    login = new_farmer(site)
    page = await enter(visitor, login)
    began = time.monotonic()
    await page.get_by_role("button", name="开第一张票").tap()
    await page.get_by_role("button", name="J", exact=True).tap()
    await page.get_by_role("button", name=PRODUCT, exact=True).tap()
    for digit in "300":
        await page.get_by_role("button", name=digit, exact=True).tap()
    await expect(page.get_by_text("150 公斤（300 斤）")).to_be_visible()
    await page.get_by_role("button", name="下一步").tap()
    await page.get_by_role("button", name="散客").tap()
    await page.get_by_role("button", name="我承诺，并开票").tap()
    await page.locator("img[src$='code.svg']").wait_for()
    assert time.monotonic() - began < 60
    assert await taps(page) <= 10
    (ticket,) = sold_by(site, login)
    assert ticket["mass_g"] == 150_000
    assert ticket["lines"][0]["unit"] == "斤"
    assert ticket["lines"][0]["draws"][0]["certificates"]


async def test_a_mix_up_of_units_is_seen_and_mended(visitor: Visitor, farmer: str) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="改数量").tap()
    keypad = page.locator(".keypad")
    await keypad.get_by_role("button", name="公斤", exact=True).tap()
    for digit in "300":
        await keypad.get_by_role("button", name=digit, exact=True).tap()
    await keypad.get_by_role("button", name="确定").tap()
    warning = page.get_by_role("alert").filter(has_text="平时一次 150 公斤（300 斤）")
    await expect(warning).to_be_visible()
    await visitor.shoot("m-check-mix-up")
    await warning.get_by_role("button", name="改成平时的数量").tap()
    await expect(warning).to_have_count(0)
    await expect(page.locator(".sheet .number").get_by_text("150 公斤（300 斤）")).to_be_visible()


async def test_a_scanned_ticket_is_accepted_with_one_tap(
    visitor: Visitor, site: Site, farmer: str, tmp_path: Path
) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        ticket = hand.sell(hand.harvest(40), collector.party, 40)
        photo = tmp_path / "ticket.png"
        photo.write_bytes(hand.get(f"/tickets/{ticket['ticket']}/code.png").content)
        page = await enter(visitor, COLLECTOR.login, "/m/receive")
        await page.locator("input[type=file]").set_input_files(photo)
        await page.get_by_role("button", name="全部收货").tap()
        await expect(page.get_by_text("已收货")).to_be_visible()
        assert await taps(page) == 1
        assert collector.get(f"/tickets/{ticket['ticket']}").json()["status"] == "accepted"


async def test_a_crooked_blurred_code_is_read_by_the_camera_too(
    site: Site, farmer: str, tmp_path: Path
) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        ticket = hand.sell(hand.harvest(40), collector.party, 40)
    target = tmp_path / "film.mjpeg"
    film([ticket["url"]], target)
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=CHROMIUM,
            args=[*ARGUMENTS, *camera_that_shows(target)],
            viewport={"width": 390, "height": 800},
            locale="zh-CN",
            has_touch=True,
            reduced_motion="reduce",
            permissions=["camera"],
        )
        visitor = Visitor(context, context.pages[0], site)
        visitor.watch(visitor.page)
        page = await enter(visitor, COLLECTOR.login, "/m/receive")
        await page.get_by_role("button", name="全部收货").wait_for()
        assert f"/receive/{ticket['ticket']}" in page.url
        await page.go_back()
        await page.get_by_role("button", name="全部收货").wait_for()
        assert len(page.workers) == 1, "the reader and its wasm are loaded once"
        await context.close()
    assert (visitor.foreign, visitor.faults) == ([], [])


async def test_a_hardware_scanner_is_a_keyboard(visitor: Visitor, site: Site, farmer: str) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        ticket = hand.sell(hand.harvest(40), collector.party, 40)
    page = await enter(visitor, COLLECTOR.login, "/m/receive")
    await page.keyboard.type(ticket["url"])
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="全部收货").wait_for()
    await visitor.check_axe()
    await visitor.shoot("m-decide")


async def test_another_s_ticket_is_shown_as_what_it_is(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    code = sold_by(site, farmer)[0]["code"]
    page = await enter(visitor, STALL.login, "/m/receive")
    await page.get_by_label("或输入票上的短码").fill(code)
    await page.get_by_role("button", name="查询").tap()
    await expect(page.get_by_text("这张票不是开给您的")).to_be_visible()
    await visitor.check_axe()
    await visitor.shoot("m-receive-others")


async def test_what_lacks_a_certificate_gets_one_and_is_sold(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        ticket = hand.sell(hand.harvest(30), collector.party, 30)
        path = f"/tickets/{ticket['ticket']}/decision"
        accepted = collector.make(path, {"outcome": "accepted"})
        whole, part = accepted["lines"][0]["draws"][0]["received_lot"], str(uuid7())
        parts = [{"lot": part, "quantity": "30", "unit": "公斤"}]
        collector.make(f"/splits/{uuid7()}", {"lot": whole, "parts": parts})
        page = await enter(visitor, COLLECTOR.login, f"/m/stock/{part}")
        await page.get_by_role("button", name="卖这一批").tap()
        await page.get_by_role("button", name="公斤", exact=True).tap()
        for digit in "30":
            await page.get_by_role("button", name=digit, exact=True).tap()
        await page.get_by_role("button", name="下一步").tap()
        await page.get_by_role("button", name="散客").tap()
        await page.get_by_role("button", name="开票", exact=True).tap()
        await page.get_by_role("alert").get_by_role("link", name="开合格证").tap()
        await page.get_by_role("button", name="我承诺，并开证").tap()
        await page.get_by_role("button", name="开票", exact=True).tap()
        await page.locator("img[src$='code.svg']").wait_for()
        (draw,) = sold_by(site, COLLECTOR.login)[0]["lines"][0]["draws"]
        assert draw["lot"] == part
        (own,) = collector.listed("/certificates", limit=1)
        assert own["kind"] == "conformity_purchaser"
        assert own["certificate"] in draw["certificates"]


async def test_goods_become_other_goods(visitor: Visitor, site: Site) -> None:
    login = new_farmer(site)
    with Hand(site, login) as hand:
        (rice,) = [one for one in hand.listed("/products", q="稻谷") if one["name"] == "稻谷"]
        lot = str(uuid7())
        much = {"quantity": "1000", "unit": "公斤", "division_code": "320682"}
        hand.make(f"/lots/{lot}", {"origin": "harvest", "product": rice["id"], **much})
        page = await enter(visitor, login, f"/m/stock/{lot}")
        await (
            page.get_by_role("link", name="加工").or_(page.get_by_role("button", name="加工")).tap()
        )
        await page.get_by_label("品名、拼音或首字母").fill("dami")
        await page.get_by_role("button", name="大米", exact=True).tap()
        await page.get_by_role("button", name="公斤", exact=True).tap()
        for digit in "650":
            await page.get_by_role("button", name=digit, exact=True).tap()
        await page.get_by_role("button", name="确定").tap()
        await visitor.check_axe()
        await visitor.shoot("m-process")
        await page.get_by_role("button", name="记录加工").tap()
        await expect(page).to_have_url(re.compile("/m/stock$"))
        (made,) = hand.listed("/lots")
        assert (made["product_name"], made["mass_g"]) == ("大米", 650_000)


async def test_a_plot_is_registered(visitor: Visitor, site: Site) -> None:
    login = new_farmer(site)
    page = await enter(visitor, login, "/m/places")
    await page.get_by_role("button", name="登记一处").tap()
    await page.get_by_label("名称").fill("河边一亩半")
    await page.get_by_label("面积").fill("1.5")
    # Where she lives is filled in already.
    await expect(page.get_by_label("村（社区）")).to_have_value(FARMS[0].village)
    await visitor.check_axe()
    await visitor.shoot("m-places-new")
    await page.get_by_role("button", name="登记", exact=True).tap()
    await expect(page.get_by_text("河边一亩半")).to_be_visible()
    with Hand(site, login) as hand:
        (place,) = hand.listed("/places", own=True)
        assert (place["area_m2"], place["division_code"]) == (1000, FARMS[0].village)


async def test_a_part_is_accepted_and_the_rest_goes_back(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        ticket = hand.sell(hand.harvest(40), collector.party, 40)
        page = await enter(visitor, COLLECTOR.login, "/m/receive")
        await page.get_by_label("或输入票上的短码").fill(ticket["code"])
        await page.get_by_role("button", name="查询").tap()
        await page.get_by_role("button", name="只收一部分").tap()
        hint = page.get_by_text("请先点“更改”")
        await expect(hint).to_be_visible()
        await visitor.shoot("m-decide-part-first")
        await page.get_by_role("button", name="更改").tap()
        await page.get_by_role("button", name="公斤", exact=True).tap()
        for digit in "30":
            await page.locator(".keypad").get_by_role("button", name=digit, exact=True).tap()
        await page.get_by_role("button", name="确定").tap()
        await expect(hint).to_have_count(0)
        await page.get_by_role("button", name="腐烂变质").tap()
        await visitor.shoot("m-decide-part")
        await page.get_by_role("button", name="收下这些，其余退回").tap()
        await expect(page.get_by_text("部分收货")).to_be_visible()
        decided = collector.get(f"/tickets/{ticket['ticket']}").json()
        assert decided["status"] == "accepted_in_part"
        assert decided["lines"][0]["draws"][0]["accepted_g"] == 30_000


async def test_goods_are_refused_with_a_reason_and_a_photo(
    visitor: Visitor, site: Site, farmer: str, tmp_path: Path
) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        ticket = hand.sell(hand.harvest(40), collector.party, 40)
        photo = tmp_path / "rotten.jpg"
        Image.new("RGB", (2000, 1500), "darkgreen").save(photo)
        page = await enter(visitor, COLLECTOR.login, f"/m/receive/{ticket['ticket']}")
        # Back leaves what was begun, and not the ticket.
        for begun in ("只收一部分", "拒收"):
            await page.get_by_role("button", name=begun).tap()
            await page.get_by_role("button", name="腐烂变质").tap()
            await page.go_back()
            await page.get_by_role("button", name="全部收货").wait_for()
            await expect(page).to_have_url(re.compile(f"/{ticket['ticket']}$"))
        await page.get_by_role("button", name="拒收").tap()
        await page.get_by_role("button", name="腐烂变质").tap()
        await page.locator("input[type=file]").set_input_files(photo)
        await page.get_by_alt_text("留证照片").wait_for()
        await visitor.check_axe()
        await visitor.shoot("m-decide-refuse")
        await page.get_by_role("button", name="确定拒收").tap()
        await expect(page.get_by_text("已拒收")).to_be_visible()
        refused = collector.get(f"/tickets/{ticket['ticket']}").json()
        assert refused["status"] == "refused"
        (evidence,) = refused["evidence"]
        assert refused["reason"] == "腐烂变质"
        kept = hand.get(f"/tickets/{ticket['ticket']}/evidence/{evidence['evidence']}")
        assert kept.headers["content-type"].startswith("image/")
        # Whoever looks at the ticket sees what was wrong with the goods.
        picture = page.get_by_alt_text("未收货物的照片")
        await picture.scroll_into_view_if_needed()
        await expect(picture).to_have_js_property("complete", value=True)
        assert await picture.evaluate("image => image.naturalWidth") == 1600


async def test_what_is_gone_is_told(visitor: Visitor, site: Site, farmer: str) -> None:
    with Hand(site, farmer) as hand:
        lot = hand.harvest(40)
        page = await enter(visitor, farmer, f"/m/stock/{lot}")
        await page.get_by_text("损耗、自家吃、抽样").tap()
        gone = page.get_by_role("button", name="记下来")
        await expect(gone).to_be_disabled()
        await page.get_by_role("button", name="坏了", exact=True).tap()
        much = page.get_by_label("少了多少（不填就是全部）")
        await much.fill("81")
        await expect(page.get_by_text("这批只剩 40 公斤（80 斤）")).to_be_visible()
        await expect(gone).to_be_disabled()
        await much.fill("20")
        await expect(page.get_by_text("10 公斤（20 斤）")).to_be_visible()
        await visitor.check_axe()
        await visitor.shoot("m-loss")
        await gone.tap()
        await expect(page).to_have_url(re.compile("/m/stock$"))
        assert hand.get(f"/lots/{lot}").json()["remaining_g"] == 30_000


async def test_whatever_is_kept_on_paper_is_one_tap_away(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand:
        (certificate,) = hand.listed("/certificates")
    ticket = sold_by(site, farmer)[0]["ticket"]
    page = await enter(visitor, farmer, f"/m/ticket/{ticket}")
    names = ("80 毫米小票", "58 毫米小票", "A4 纸", "第 1 张证")
    links = [await page.get_by_role("link", name=name).get_attribute("href") for name in names]
    await visitor.open("/m/certificates")
    links.append(await page.get_by_role("link", name="打印（PDF）").get_attribute("href"))
    assert links[-1] == links[-2] == f"/certificates/{certificate['certificate']}/print"
    for link in links:
        answer = await visitor.context.request.get(f"{site.url}{link}")
        assert (answer.status, (await answer.body())[:5]) == (200, b"%PDF-"), link


async def test_crates_get_labels_and_blank_ones_are_bound(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer, "/m/labels")
    await page.get_by_role("button", name="生成 PDF").wait_for()
    await expect(page.get_by_label("几枚")).to_have_value("24")
    await visitor.check_axe()
    await visitor.shoot("m-labels-blank")
    await page.get_by_label("几枚").fill("２")  # as a Chinese keyboard types it
    async with page.expect_response(lambda one: "/label-rolls/" in one.url) as answered:
        await page.get_by_role("button", name="生成 PDF").tap()
    made = await (await answered.value).json()
    link = await page.get_by_role("link", name="打开标签").get_attribute("href")
    printed = await visitor.context.request.get(f"{site.url}{link}")
    assert (printed.status, (await printed.body())[:5]) == (200, b"%PDF-")
    # They are on the crates, and the goods are known now.
    code = made["codes"][1]
    with Hand(site, farmer) as hand:
        lot = hand.harvest(12)
    await visitor.open(f"/m/stock/{lot}")
    await page.get_by_role("button", name="标签").tap()
    await page.get_by_role("button", name="生成 PDF").wait_for()
    await page.keyboard.type(f"{site.url}/b/{code}")
    await page.keyboard.press("Enter")
    await page.get_by_text(f"已绑定 {shortcode.show(code)}").wait_for()
    await page.keyboard.type(f"{site.url}/b/0000000000000")
    await page.keyboard.press("Enter")
    await page.get_by_role("alert").get_by_text("没有这个标签码").wait_for()
    await visitor.check_axe()
    await visitor.shoot("m-labels-lot")
    await page.get_by_role("button", name="生成 PDF").tap()
    async with page.expect_download() as started:
        await page.get_by_role("link", name="打开标签").tap()
    assert (await (await started.value).path()).read_bytes()[:5] == b"%PDF-"
    bound = await visitor.context.request.get(f"{site.url}/b/{code}")
    assert "批次重量" in await bound.text()


async def test_a_lot_is_split_into_five_with_four_taps(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand:
        lot = hand.harvest(101)
        page = await enter(visitor, farmer)
        await page.get_by_role("navigation").get_by_text("库存").tap()
        await page.locator(f"a[href$='{lot}']").tap()
        await page.get_by_role("button", name="5", exact=True).tap()
        await page.get_by_role("button", name="分成 5 批").tap()
        await expect(page).to_have_url(re.compile("/m/stock$"))
        assert await taps(page) <= 4
        parts = [one for one in hand.listed("/lots") if one["origin"] == "split"]
        assert [part["remaining_g"] for part in parts] == [20_200] * 5


async def test_goods_move_between_ones_own_places(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand:
        lot = hand.harvest(30)
        store = {"kind": "warehouse", "name": "村口冷库", "division_code": FARMS[0].village}
        hand.make(f"/places/{uuid7()}", {**store, "valid_from": "2024-01-01"})
        page = await enter(visitor, farmer, f"/m/stock/{lot}")
        await page.get_by_role("button", name="卖这一批").tap()
        await page.get_by_role("button", name="2", exact=True).tap()
        await page.get_by_role("button", name="0", exact=True).tap()
        await page.get_by_role("button", name="下一步").tap()
        await page.get_by_role("button", name="自己的摊位或仓库").tap()
        await page.get_by_role("button", name="村口冷库").wait_for()
        await visitor.check_axe()
        await visitor.shoot("m-transfer-where")
        await page.get_by_role("button", name="村口冷库").tap()
        await page.get_by_text("调拨到 村口冷库").wait_for()
        await visitor.check_axe()
        await visitor.shoot("m-transfer-check")
        await page.get_by_role("button", name="开调拨票").tap()
        await page.get_by_role("button", name="货已到，确认收货").wait_for()
        await visitor.check_axe()
        await visitor.shoot("m-transfer-ticket")
        await page.get_by_role("button", name="货已到，确认收货").tap()
        await visitor.shoot("m-transfer-arrived")
        await page.get_by_role("button", name="全部收货").tap()
        await expect(page).to_have_url(re.compile("/m/ticket/"))
        ticket = sold_by(site, farmer)[0]
        assert (ticket["kind"], ticket["note"]) == ("transfer", "村口冷库")
        assert ticket["status"] == "accepted"
        # Nothing was sold, and it goes on from there: the home screen moves as much once more.
        assert sum(one["remaining_g"] for one in hand.listed("/lots")) == 30_000
        await visitor.open("/m")
        await page.get_by_role("button", name="调拨到 村口冷库").tap()
        await page.get_by_role("button", name="开调拨票").tap()
        await page.get_by_role("button", name="货已到，确认收货").wait_for()
        again = sold_by(site, farmer)[0]
        assert (again["kind"], again["note"]) == ("transfer", "村口冷库")


async def test_a_purchaser_who_splits_certifies_each_part(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        ticket = hand.sell(hand.harvest(50), collector.party, 50)
        accepted = collector.make(f"/tickets/{ticket['ticket']}/decision", {"outcome": "accepted"})
        lot = accepted["lines"][0]["draws"][0]["received_lot"]
        page = await enter(visitor, COLLECTOR.login, f"/m/stock/{lot}")
        await page.get_by_role("button", name="2", exact=True).tap()
        await expect(page.get_by_text("收购者式样（式样二）")).to_be_visible()
        await visitor.check_axe()
        await visitor.shoot("m-lot-split")
        await page.get_by_role("button", name="我承诺，分批并开证").tap()
        await expect(page).to_have_url(re.compile("/m/stock$"))
        assert collector.get(f"/lots/{lot}").json()["remaining_g"] == 0
        newest = collector.listed("/certificates", limit=2)
        assert {one["kind"] for one in newest} == {"conformity_purchaser"}
        assert [one["mass_g"] for one in newest] == [25_000, 25_000]


async def test_mixing_producers_asks_for_the_second_form(visitor: Visitor, site: Site) -> None:
    lots = []
    with Hand(site, COLLECTOR.login) as collector:
        for kilograms in (11, 12):
            with Hand(site, new_farmer(site)) as hand:
                ticket = hand.sell(hand.harvest(kilograms), collector.party, kilograms)
            path = f"/tickets/{ticket['ticket']}/decision"
            accepted = collector.make(path, {"outcome": "accepted"})
            lots.append(accepted["lines"][0]["draws"][0]["received_lot"])
        page = await enter(visitor, COLLECTOR.login, "/m/merge")
        for lot in lots:
            await page.locator(f"input[value='{lot}']").check()
        await expect(page.get_by_text("收购者式样（式样二）")).to_be_visible()
        await visitor.check_axe()
        await visitor.shoot("m-merge")
        await page.get_by_role("button", name="我承诺，合并并开证").tap()
        await expect(page).to_have_url(re.compile("/m/stock$"))
        (certificate,) = collector.listed("/certificates", limit=1)
        assert (certificate["kind"], certificate["mass_g"]) == ("conformity_purchaser", 23_000)


async def test_a_ticket_survives_a_dead_server_and_a_closed_tab(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    issue = page.get_by_role("button", name="我承诺，并开票")
    await expect(issue).to_be_enabled()
    site.kill()
    try:
        await issue.tap()
        await expect(page).to_have_url(re.compile("/m/waiting$"))
        await expect(page.get_by_text("还没发出：1")).to_be_visible()
        await visitor.check_axe()
        await visitor.shoot("m-waiting")
        await page.get_by_role("button", name="再试一次").tap()
        await expect(page.get_by_text("还没发出：1")).to_be_visible()
        await page.close()
    finally:
        site.start()
    again = await visitor.context.new_page()
    visitor.watch(again)
    await again.goto(f"{site.url}/m/waiting")
    # It may be gone already, or we see it go and are led on to the ticket.
    sent = again.get_by_text("全部已发送").or_(again.locator("img[src$='code.svg']"))
    await sent.wait_for()
    assert len(sold_by(site, farmer)) == 2
    with Hand(site, farmer) as hand:
        assert len(hand.listed("/certificates")) == 2


async def test_the_app_opens_without_a_network(visitor: Visitor, site: Site, farmer: str) -> None:
    page = await enter(visitor, farmer)
    await page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    await page.goto(f"{site.url}/m/tickets")
    first = page.locator("a.sheet").first
    code = shortcode.show(sold_by(site, farmer)[0]["code"])
    await first.tap()
    await expect(page.get_by_text(code, exact=True)).to_be_visible()
    picture = "img[src$='code.svg']"
    await expect(page.locator(picture)).not_to_have_js_property("naturalWidth", 0)
    await page.goto(f"{site.url}/m")
    await page.locator("button.card").first.tap()
    await expect(page.get_by_role("button", name="我承诺，并开票")).to_be_enabled()
    site.kill()
    try:
        # The app is killed too: nothing but what is on the phone is left.
        await page.close()
        page = await visitor.context.new_page()
        visitor.watch(page)
        await page.goto(f"{site.url}/m/tickets")
        await page.locator("a.sheet").first.tap()
        await expect(page.get_by_text(code, exact=True)).to_be_visible()
        await expect(page.locator(picture)).not_to_have_js_property("naturalWidth", 0)
        await expect(page.get_by_text("连不上服务器：显示的是上次的内容")).to_be_visible()
        visitor.page = page
        await visitor.check_axe()
        await visitor.shoot("m-without-network")
        await page.goto(f"{site.url}/m")
        await page.get_by_text("继续没开完的票").tap()
        await page.get_by_role("button", name="我承诺，并开票").tap()
        await expect(page).to_have_url(re.compile("/m/waiting$"))
        await expect(page.get_by_text("还没发出：1")).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("还没发出：1")).to_be_visible()
    finally:
        site.start()
    await page.reload()
    sent = page.get_by_text("全部已发送").or_(page.locator("img[src$='code.svg']"))
    await sent.wait_for()
    assert len(sold_by(site, farmer)) == 2
    with Hand(site, farmer) as hand:
        assert len(hand.listed("/certificates")) == 2


async def test_a_ticket_that_did_arrive_is_not_issued_twice(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()

    async def lose_the_answer(route: Any) -> None:
        await route.fetch()
        await route.abort()

    await page.route(re.compile("/tickets/[0-9a-f-]{36}$"), lose_the_answer)
    await page.get_by_role("button", name="我承诺，并开票").tap()
    await expect(page.get_by_text("还没发出：1")).to_be_visible()
    assert len(sold_by(site, farmer)) == 2
    await page.unroute(re.compile("/tickets/[0-9a-f-]{36}$"))
    await page.get_by_role("button", name="现在再发一次").tap()
    await page.locator("img[src$='code.svg']").wait_for()
    assert len(sold_by(site, farmer)) == 2


async def test_a_session_that_ended_loses_nothing(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    issue = page.get_by_role("button", name="我承诺，并开票")
    await expect(issue).to_be_enabled()
    await visitor.context.clear_cookies()
    await issue.tap()
    await visitor.sign_in(farmer)
    await page.locator("img[src$='code.svg']").wait_for()
    assert len(sold_by(site, farmer)) == 2


async def test_an_unfinished_ticket_is_still_there(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="我承诺，并开票").wait_for()
    await page.close()
    again = await visitor.context.new_page()
    visitor.watch(again)
    await again.goto(f"{site.url}/m")
    await again.get_by_text("继续没开完的票").tap()
    await again.get_by_role("button", name="我承诺，并开票").tap()
    await again.locator("img[src$='code.svg']").wait_for()
    assert len(sold_by(site, farmer)) == 2


async def test_a_draft_is_of_whoever_typed_it(visitor: Visitor, farmer: str) -> None:
    page = await enter(visitor, farmer, "/m/staff")
    await page.get_by_role("button", name="添加员工").tap()
    await page.get_by_label("姓名").fill("苗示范")
    await visitor.open("/m")
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="我承诺，并开票").wait_for()
    # The sign-in ends by its time, and somebody else takes this very phone.
    await page.evaluate("localStorage.setItem('m-bases', '[]')")
    await visitor.context.clear_cookies()
    await visitor.open("/m")
    await visitor.sign_in(STALL.login)
    await page.get_by_role("heading", name="再来一单").wait_for()
    # Nor do the books and habits of one party stand there for another.
    assert await page.evaluate("localStorage.getItem('m-bases')") is None
    await expect(page.get_by_text("继续没开完的票")).to_have_count(0)
    await visitor.open("/m/staff")
    await expect(page.get_by_role("button", name="添加员工")).to_be_visible()
    await visitor.open("/m/more")
    await page.get_by_role("button", name="退出登录").tap()
    await visitor.sign_in(farmer)
    # Whoever signs out takes only what is their own.
    await page.get_by_text("继续没开完的票").wait_for()
    await visitor.open("/m/staff")
    await expect(page.get_by_label("姓名")).to_have_value("苗示范")
    await visitor.open("/m/more")
    await page.get_by_role("button", name="退出登录").tap()
    await page.get_by_text("没开完的票会丢掉").wait_for()
    await page.get_by_role("button", name="退出登录").tap()
    await page.locator("input[autocomplete=username]").wait_for()
    assert "苗示范" not in await page.evaluate("JSON.stringify(localStorage)")


async def test_own_products_are_chosen_first(visitor: Visitor, site: Site, farmer: str) -> None:
    with Hand(site, farmer) as hand:
        hand.harvest(40)
    page = await enter(visitor, farmer, "/m/places")
    own = page.get_by_role("button", name=re.compile(PRODUCT))
    await expect(own).to_contain_text("40 公斤（80 斤）")
    await expect(own).to_contain_text("上次")
    await visitor.check_axe()
    await visitor.shoot("m-places")
    await own.tap()
    # The product is known: the next thing is how much.
    await expect(page.locator("[aria-current=step]")).to_have_text("多少")
    # A phone on which nothing was chosen yet offers them too.
    await page.get_by_role("button", name="更改", exact=True).tap()
    await page.get_by_role("button", name=PRODUCT, exact=True).tap()
    await expect(page.locator("[aria-current=step]")).to_have_text("多少")


async def test_an_invited_buyer_takes_over(visitor: Visitor, site: Site) -> None:
    phone = f"1991{uuid7().int % 10**7:07}"
    page = await enter(visitor, STALL.login, "/m/invite")
    await page.get_by_label("姓名或名称").fill("李示范")
    await page.get_by_label("手机号").fill(phone)
    await page.get_by_role("button", name="邀请", exact=True).tap()
    code = await page.locator(".sheet .number").inner_text()
    await visitor.shoot("m-invite-code")
    await visitor.open("/m/more")
    await page.get_by_role("button", name="退出登录").tap()
    await page.get_by_role("link", name="收到邀请？在这里认领账号").tap()
    await visitor.check_axe()
    await visitor.shoot("m-claim")
    await page.get_by_label("手机号").fill(phone)
    await page.get_by_label("认领码").fill(code)
    await page.get_by_label("设一个密码").fill("shiyong-yipiaotong")
    await page.get_by_role("button", name="认领并登录").tap()
    await expect(page.get_by_role("heading", name="再来一单")).to_be_visible()


SCREENS = {
    "": "button.card",
    "/new": ".letters",
    "/receive": ".scanner",
    "/stock": ".sheet",
    "/tickets": "a.sheet",
    "/certificates": ".sheet",
    "/places": ".sheet",
    "/invite": "form",
    "/more": ".van-cell",
}
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


async def test_every_screen_is_readable_by_everybody(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand:
        lot = hand.harvest(60)
        ticket = sold_by(site, farmer)[0]["ticket"]
        place = {
            "kind": "plot",
            "name": "屋后三分地",
            "division_code": FARMS[0].village,
            "area_m2": 1000,
            "valid_from": "2024-01-01",
        }
        hand.make(f"/places/{uuid7()}", place)
    page = await enter(visitor, farmer)
    paths = {
        **SCREENS,
        f"/ticket/{ticket}": "img",
        f"/stock/{lot}": ".counts",
        f"/certify/{lot}": ".sheet",
    }
    for path, sign in paths.items():
        name = f"m{re.sub(r'/[0-9a-f-]{36}', '-one', path).replace('/', '-')}"
        await visitor.open(f"/m{path}")
        await page.locator(sign).first.wait_for()
        await visitor.check_axe()
        await page.emulate_media(color_scheme="dark")
        await visitor.check_axe()
        await page.emulate_media(color_scheme="light")
        await visitor.shoot(name if path else "m-again")
        await _check_large(page, name if path else "m-again")

    await visitor.open("/m")
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="我承诺，并开票").wait_for()
    await visitor.check_axe()
    await visitor.shoot("m-check")
    await _check_large(page, "m-check")
    await page.get_by_role("button", name="改数量").tap()
    await page.locator(".keypad").wait_for()
    await visitor.check_axe()
    await visitor.shoot("m-keypad")


async def test_a_new_farmer_is_led_from_nothing_to_a_ticket(visitor: Visitor, site: Site) -> None:
    page = await enter(visitor, new_farmer(site))
    for path in ("", "/stock", "/tickets", "/certificates", "/places", "/merge", "/waiting"):
        await visitor.open(f"/m{path}")
        await page.get_by_text("正在读取").wait_for(state="detached")
        await visitor.check_axe()
        await visitor.shoot(f"m{path.replace('/', '-') or '-again'}-empty")
    await visitor.open("/m/new")
    await page.get_by_role("button", name="J", exact=True).tap()
    await page.get_by_role("button", name=PRODUCT, exact=True).wait_for()
    await visitor.shoot("m-new-product")
    await page.get_by_role("button", name=PRODUCT, exact=True).tap()
    for digit in "300":
        await page.get_by_role("button", name=digit, exact=True).tap()
    await visitor.check_axe()
    await visitor.shoot("m-new-quantity")
    await page.get_by_role("button", name="下一步").tap()
    await page.get_by_role("button", name="散客").wait_for()
    await visitor.check_axe()
    await visitor.shoot("m-new-buyer")


async def _check_large(page: Page, name: str) -> None:
    """A browser's text of 200 % may make a page longer, never wider."""
    before = page.viewport_size
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.evaluate("document.documentElement.style.fontSize = '36px'")
    await page.screenshot(path=SHOTS / f"{name}-200-360.png", full_page=True)
    assert await page.evaluate(FITS), f"{name} scrolls sideways at 200 %"
    await page.evaluate("document.documentElement.style.fontSize = ''")
    if before:
        await page.set_viewport_size(before)


async def test_elder_mode_and_language_are_kept(visitor: Visitor, farmer: str) -> None:
    page = await enter(visitor, farmer, "/m/more")
    await page.get_by_role("button", name="切换到长辈版").tap()
    await page.get_by_role("button", name="English").tap()
    await visitor.open("/m")
    await expect(page.get_by_role("heading", name="Same again")).to_be_visible()
    size = await page.evaluate("getComputedStyle(document.documentElement).fontSize")
    assert size == "30px"
    await expect(page.get_by_text("150 kg (300 jin)")).to_be_visible()
    await visitor.check_axe()
    await visitor.shoot("m-again-english-elder")


async def test_the_purchase_ledger_as_a_spreadsheet_takes_two_taps(visitor: Visitor) -> None:
    page = await enter(visitor, SCHOOL.login)
    await page.get_by_role("navigation").get_by_text("我的").tap()
    async with page.expect_download() as started:
        await page.get_by_text("本月进货台账（Excel）").tap()
    assert await taps(page) == 2
    book = CalamineWorkbook.from_path(await (await started.value).path())
    assert PRODUCT in str(book.get_sheet_by_index(0).to_python())


async def test_the_ledgers_open_with_the_same_session(visitor: Visitor) -> None:
    page = await enter(visitor, SCHOOL.login, "/m/more")
    await page.get_by_text("进货台账", exact=True).tap()
    await expect(page).to_have_url(re.compile("/books/purchases$"))
    await expect(page.get_by_text(PRODUCT).first).to_be_visible()


async def test_nothing_of_a_party_stays_on_the_phone(visitor: Visitor, farmer: str) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").wait_for()
    await visitor.open("/m/more")
    await page.get_by_role("button", name="退出登录").tap()
    await page.locator("input[autocomplete=username]").wait_for()
    kept = await page.evaluate("JSON.stringify(localStorage)")
    assert COLLECTOR.name not in kept
    assert not [name for name in json.loads(kept) if name.startswith("m-")]


async def test_a_wrong_clock_is_told_and_does_no_harm(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    await visitor.context.clock.install(time=datetime.now(UTC).timestamp() + 3600)
    page = await enter(visitor, farmer)
    await expect(page.get_by_text("这部手机的时间不准")).to_be_visible()
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="我承诺，并开票").tap()
    await page.locator("img[src$='code.svg']").wait_for()
    newest = sold_by(site, farmer)[0]
    ahead = datetime.fromisoformat(newest["device_at"]) - datetime.fromisoformat(newest["sold_at"])
    assert 3500 < ahead.total_seconds() < 3700


def test_the_program_is_small() -> None:
    page = (BUILT / "m.html").read_text()
    wanted = set(re.findall(r'(?:src|href)="/screens/(assets/[^"]+\.js)"', page))
    assert wanted
    loaded: set[str] = set()
    while wanted:
        file = wanted.pop()
        loaded.add(file)
        source = (BUILT / file).read_text()
        # The other screens too: they are fetched while the first one is being read.
        imported = re.findall(r"(?:from|import)\s*\(?[\"'`]\./([^\"'`]+\.js)", source)
        wanted |= {f"assets/{name}" for name in imported} - loaded
    sizes = {}
    for file in loaded:
        compressed = BUILT / f"{file}.br"
        sizes[file] = (compressed if compressed.exists() else BUILT / file).stat().st_size
    assert sum(sizes.values()) <= JS_BYTES_MAX, sizes
