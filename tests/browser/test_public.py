"""The pages that anybody may open: goods, proof, how to verify, a label that stands for nothing."""

import re

from app.core.ids import uuid7
from app.demo.scenario import FARMS, PASSWORD, SCHOOL, STALL
from app.signing import token
from tests.browser.conftest import Visitor
from tests.browser.test_m import Hand


def digits_of(visitor: Visitor) -> str:
    """Answer the token of a ticket of the demonstration."""
    with Hand(visitor.site, STALL.login) as stall:
        return str(stall.listed("/tickets", side="sold")[0]["url"]).rpartition(token.PATH)[2]


async def look_at(visitor: Visitor, name: str) -> None:
    """Check the page in light and in dark, and keep its pictures."""
    await visitor.page.emulate_media(color_scheme="dark")
    await visitor.check_axe()
    await visitor.page.emulate_media(color_scheme="light")
    await visitor.check_axe()
    await visitor.shoot(name)


async def test_from_the_goods_to_their_proof_and_to_how_one_verifies(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open(token.PATH + digits_of(visitor))
    await look_at(visitor, "public-goods")
    await page.get_by_role("link", name=re.compile("Technical proof")).click()
    await page.get_by_text("BEGIN PUBLIC KEY").wait_for()
    assert await page.get_by_text("ticket.issued").count() == 1
    await look_at(visitor, "public-proof")
    await page.get_by_role("link", name=re.compile("How to verify")).click()
    await page.get_by_text("Copies and forgeries").wait_for()
    await look_at(visitor, "public-verify")


# The network of Lighthouse's phone, "slow 4G".
SLOW_NET = {
    "offline": False,
    "latency": 562.5,
    "downloadThroughput": 1_474_560 / 8,
    "uploadThroughput": 675_000 / 8,
}
# What its score is made of, in ms; each bound is where that part gets 90 of 100.
PAINT_MS_MAX, LARGEST_MS_MAX, SHIFT_MAX = 1_800, 2_500, 0.1
MEASURE = """() => new Promise((resolve) => {
    const found = { largest: 0, shift: 0 }
    const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take))
        .observe({ type, buffered: true })
    watch('largest-contentful-paint', (one) => (found.largest = one.startTime))
    watch('layout-shift', (one) => (found.shift += one.value))
    const [first] = performance.getEntriesByName('first-contentful-paint')
    setTimeout(() => resolve({ ...found, first: first.startTime }), 300)
})"""


async def test_a_slow_phone_shows_the_goods_at_once(visitor: Visitor) -> None:
    tools = await visitor.context.new_cdp_session(visitor.page)
    await tools.send("Network.enable")
    await tools.send("Network.emulateNetworkConditions", SLOW_NET)
    await visitor.open(token.PATH + digits_of(visitor))
    took = await visitor.page.evaluate(MEASURE)
    print(f"goods on a slow phone: {took}")  # noqa: T201 (the figures themselves)
    assert took["first"] <= PAINT_MS_MAX
    assert 0 < took["largest"] <= LARGEST_MS_MAX
    assert took["shift"] <= SHIFT_MAX


async def test_what_became_of_goods_stands_above_them(visitor: Visitor) -> None:
    with (
        Hand(visitor.site, FARMS[0].farmer.login) as farmer,
        Hand(visitor.site, SCHOOL.login) as school,
        Hand(visitor.site, "regulator") as office,
    ):
        lot = farmer.harvest(50)
        held, voided, refused = (farmer.sell(lot, school.party, 10) for _ in range(3))
        farmer.make(f"/tickets/{voided['ticket']}/void", {"reason": "数量写错"})
        decision = {"outcome": "refused", "reason": "发黄"}
        school.make(f"/tickets/{refused['ticket']}/decision", decision)
        certificate = farmer.listed("/certificates")[0]
        pages = {
            "voided": (voided, "已作废"),
            "refused": (refused, "买方已拒收"),
            "certificate": (certificate, "承诺达标合格证"),
        }
        for name, (document, said) in pages.items():
            await visitor.open(token.PATH + document["url"].rpartition(token.PATH)[2])
            await visitor.page.get_by_text(said).first.wait_for()
            await look_at(visitor, f"public-{name}")
        office.make(f"/holds/{uuid7()}", {"lot": lot, "reason": "快检阳性"})
    await visitor.open(token.PATH + held["url"].rpartition(token.PATH)[2])
    await visitor.page.get_by_text("相关批次已被控制").first.wait_for()
    await look_at(visitor, "public-held")


async def test_text_of_200_per_cent_does_not_break_the_pages(visitor: Visitor) -> None:
    digits = digits_of(visitor)
    for path in (f"/t/{digits}/proof", "/verify", "/"):
        await visitor.open(path)
        await visitor.page.add_style_tag(content="html{font-size:200%}")
        name = path.rpartition("/")[2] or "home"
        await visitor.shoot(f"public-large-{name}")


async def test_the_first_page_and_a_forged_code_are_told_apart(visitor: Visitor) -> None:
    await visitor.open("/")
    await visitor.check_axe()
    await visitor.shoot("public-home")
    digits = digits_of(visitor)
    forged = digits[:-1] + ("1" if digits[-1] != "1" else "2")
    await visitor.open(f"/t/{forged}/proof")
    await visitor.page.get_by_text("Wrong signature").wait_for()
    assert await visitor.page.get_by_text("BEGIN PUBLIC KEY").count() == 0
    await visitor.check_axe()
    await visitor.open(f"/t/{forged}")
    await visitor.page.get_by_text("Wrong signature").wait_for()
    await look_at(visitor, "public-forged")
    await visitor.open("/c?code=0000-0000-0000-0")
    await look_at(visitor, "public-unknown")


async def test_a_buyer_reads_its_ledgers_without_a_script(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open("/books/purchases")
    await page.locator("#login").fill(SCHOOL.login)
    await page.locator("#password").fill("wrong")
    await page.locator("form.s button").click()
    await page.get_by_role("alert").wait_for()
    await look_at(visitor, "books-sign-in")
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form.s button").click()
    await page.locator("td.p").first.wait_for()
    await look_at(visitor, "books-purchases")
    await visitor.open("/books/sales?month=2024-01")
    await page.get_by_text("本月没有记录").wait_for()
    await look_at(visitor, "books-empty")
    await visitor.open("/books/sales?month=2026-13")
    await page.get_by_role("alert").wait_for()
    await look_at(visitor, "books-refused")
    await page.get_by_role("link", name="回到台账").click()
    await page.locator("td.p").first.wait_for()


async def test_a_label_that_stands_for_nothing_says_so(visitor: Visitor) -> None:
    with Hand(visitor.site, STALL.login) as stall:
        code = stall.make(f"/label-rolls/{uuid7()}", {"labels": 3})["codes"][0]
    await visitor.open(f"/b/{code}")
    await visitor.page.get_by_text("此标签尚未绑定").wait_for()
    await look_at(visitor, "public-label")


async def test_a_label_that_stands_for_a_lot_tells_of_it(visitor: Visitor) -> None:
    with Hand(visitor.site, FARMS[0].farmer.login) as farmer:
        code = farmer.make(f"/label-rolls/{uuid7()}", {"labels": 1})["codes"][0]
        farmer.make(f"/label-bindings/{code}", {"lot": farmer.harvest(5)})
    await visitor.open(f"/b/{code}")
    await visitor.page.get_by_text("批次重量").wait_for()
    await look_at(visitor, "public-label-lot")
