"""Desks of offices: whose drafts they are, what a lost answer leaves, large letters, keys alone."""

import re
import secrets
from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, Route, expect

from app.core.ids import uuid7
from app.demo.scenario import FARMS, MARKET, MARKET_SITE, MERGED_LOT, OPERATOR, SCHOOL, STALL
from app.signing import token
from tests.browser.conftest import HEIGHT, MISFITS, SETTLED_SIZE, SHOTS, Visitor
from tests.browser.test_admin import (
    DESK,
    Spoiled,
    enter_as,
    go,
    harvest,
    let_in_voided,
    sell,
    settled,
    sign_in_as,
    signed_in,
    tab_to,
)
from tests.browser.test_admin import spoiled as _spoiled
from tests.browser.test_feeds import push
from tests.browser.test_staff import new_phone
from tests.factories import new_id, received

spoiled = _spoiled
# 200 % of 18 px.
LARGE_PX = 36
LARGE_WIDTHS = (1440, 768)
# Tables that are wider than their box.
SIDEWAYS = """() => [...document.querySelectorAll('.scroll')]
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => box.getAttribute('aria-label'))"""


# --- whose drafts they are ------------------------------------------------------------------------


async def test_drafts_are_of_whoever_typed_them(visitor: Visitor) -> None:
    page, words = visitor.page, f"查到超标 {secrets.token_hex(3)}"
    await page.set_viewport_size(DESK)
    await sign_in_as(visitor, "regulator", "/holds")
    reason = page.get_by_label("理由").first
    await reason.fill(words)
    # The sign-in ends by its time, and somebody else sits down at this very tab.
    await visitor.context.clear_cookies()
    await page.get_by_role("link", name="检测").click()
    await page.locator("input[autocomplete=current-password]").wait_for()
    await visitor.sign_in(MARKET.login)
    await page.get_by_role("link", name="暂控").click()
    await settled(page)
    await expect(reason).to_have_value("")
    await reason.fill("市场自查")
    await visitor.context.clear_cookies()
    await page.get_by_role("link", name="检测").click()
    await page.locator("input[autocomplete=current-password]").wait_for()
    await visitor.sign_in("regulator")
    await page.get_by_role("link", name="暂控").click()
    await expect(reason).to_have_value(words)
    # Whoever signs out takes only what is their own.
    await page.get_by_role("button", name="退出登录").click()
    await page.locator("input[autocomplete=current-password]").wait_for()
    kept = await page.evaluate("JSON.stringify(localStorage)")
    assert words not in kept
    assert "市场自查" in kept


async def test_a_tab_is_of_whoever_signed_in_last_at_the_desk(visitor: Visitor) -> None:
    page = visitor.page
    await page.set_viewport_size(DESK)
    await sign_in_as(visitor, "regulator", "/holds")
    reason = page.get_by_label("理由").first
    await reason.fill("监管的话")
    other = await visitor.context.new_page()
    visitor.watch(other)
    await other.goto(f"{visitor.site.url}/admin")
    await visitor.context.clear_cookies()
    await other.reload()
    await other.locator("input[autocomplete=username]").fill(MARKET.login)
    await other.locator("input[autocomplete=current-password]").fill("yipiaotong-demo")
    await other.locator("form button").click()
    await other.get_by_role("heading", name="查询").wait_for()
    await page.bring_to_front()
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.locator("header").get_by_text(MARKET.name).wait_for()
    await expect(reason).to_have_value("")


# --- a feed whose key was lost --------------------------------------------------------------------


async def lose(route: Route) -> None:
    """Let the server do it, and its answer be lost."""
    await route.fetch()
    await route.abort()


async def test_a_feed_whose_key_was_lost_is_told_and_gets_another(visitor: Visitor) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    name = f"快检仪 {secrets.token_hex(3)}"
    await page.set_viewport_size(DESK)
    await sign_in_as(visitor, MARKET.login, "/market")
    rows = page.locator("tr[data-feed]", has_text=name)
    in_use = rows.filter(has_text="使用中")
    await page.route("**/test-sources/*", lose, times=1)
    await tab_to(page, "登记来源")
    await keys.press("Enter")
    await tab_to(page, "名称")
    await keys.type(name)
    await tab_to(page, "厂家")
    await keys.type("ACME")
    await keys.press("Enter")
    told = page.locator(".keyless")
    await expect(told).to_be_focused()
    await expect(told).to_contain_text("密钥没有送到您手里")
    await expect(in_use).to_have_count(1)
    await visitor.check_axe()
    await visitor.shoot("admin-feed-keyless")
    # Whoever comes back later is told, too, and the form does not register it a second time.
    await go(visitor, "/market")
    await told.get_by_text(name).wait_for()
    # The answer is lost once more; the second press ends what came of the first.
    await tab_to(page, "换新密钥")
    await keys.press("Enter")
    sure = page.get_by_role("alertdialog")
    await sure.get_by_text("新的推送地址").wait_for()
    await keys.press("Escape")
    await expect(sure).to_have_count(0)
    await expect(page.get_by_role("button", name=f"给“{name}”换新密钥")).to_be_focused()
    await keys.press("Enter")
    await visitor.shoot("admin-feed-key")
    await page.route("**/test-sources/*", lose, times=1)
    await tab_to(page, "停用旧的，换新密钥")
    await keys.press("Enter")
    await sure.get_by_text("连不上服务器").wait_for()
    await sure.get_by_role("button", name="停用旧的，换新密钥").press("Enter")
    await expect(page.get_by_role("heading", name=f"“{name}”已登记")).to_be_focused()
    address = await page.get_by_test_id("feed-address").inner_text()
    secret = await page.get_by_test_id("feed-secret").inner_text()
    await expect(in_use).to_have_count(1)
    await expect(rows).to_have_count(3)
    assert (await push(address, secret)).json()["refused"] == 1
    await tab_to(page, "已抄下")
    await keys.press("Enter")
    await go(visitor, "/market")
    await in_use.first.wait_for()
    await expect(told).to_have_count(0)


async def test_a_key_that_nobody_wrote_down_counts_as_lost(visitor: Visitor) -> None:
    page, name = visitor.page, f"快检仪 {secrets.token_hex(3)}"
    await page.set_viewport_size(DESK)
    await sign_in_as(visitor, MARKET.login, "/market")
    await page.locator("summary", has_text="登记来源").click()
    feeds = page.get_by_role("region", name="检测数据来源").first
    await feeds.get_by_label("名称").fill(name)
    await feeds.get_by_role("textbox", name="厂家").fill("ACME")
    await feeds.get_by_role("button", name="登记来源").click()
    await page.get_by_test_id("feed-secret").wait_for()
    await go(visitor, "/market")
    told = page.locator(".keyless")
    await told.get_by_text(name).wait_for()
    await told.get_by_role("button", name="停用").click()
    await page.get_by_role("button", name="确认停用").click()
    await expect(told).to_have_count(0)


# --- every page: large letters, axe, no word of another language ----------------------------------

# What is called so in Chinese too.
LATIN = {
    *("English", "Excel", "PDF", "CSV", "NDJSON", "HMAC", "SHA", "Ed", "ACME", "QR"),
    *("kg", "mg", "MB", "GB", "NY", "API", "RFC", "TEST", "jiucai", "Home"),
}
# A ticket's code that has no digit by chance.
CODE = re.compile("[A-Z]{4}-[A-Z]{4}-[A-Z]{4}-[A-Z]")
# Words of Latin letters that whoever reads Chinese is shown; commands and ids are copied.
FOREIGN = """() => {
    const WORD = /(?<![\\w\\/:.-])[A-Za-z]{2,}(?:[-_.][A-Za-z]+)*(?![\\w-]|:\\/)/g
    const words = []
    const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (nodes.nextNode()) {
        const element = nodes.currentNode.parentElement
        if (element.closest('script, style, option, code, pre, .id, .x, [lang=en]')) continue
        if (!element.checkVisibility()) continue
        for (const [word] of nodes.currentNode.data.matchAll(WORD))
            words.push([word, nodes.currentNode.data.trim().slice(0, 60)])
    }
    return words
}"""


async def check_words(page: Page) -> None:
    """Fail on words of another language, keys of texts, and codes nobody reads."""
    found = [
        (word, said)
        for word, said in await page.evaluate(FOREIGN)
        if word not in LATIN and not CODE.fullmatch(word)
    ]
    assert not found, found[:20]


async def check_large(page: Page, name: str) -> list[str]:
    """Answer what does not fit where the browser shows text twice as large."""
    found = []
    before = page.viewport_size
    await page.evaluate(f"document.documentElement.style.fontSize = '{LARGE_PX}px'")
    for width in LARGE_WIDTHS:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        height, overflow = await page.evaluate(SETTLED_SIZE)
        await page.set_viewport_size({"width": width, "height": max(height, HEIGHT)})
        await page.evaluate(SETTLED_SIZE)
        await page.screenshot(path=SHOTS / f"{name}-200-{width}.png", full_page=True)
        found += [
            f"{name} at {width} px: {one}" for one in await page.evaluate(MISFITS.read_text())
        ]
        found += [
            f"{name} at {width} px: sideways in its box: {table}"
            for table in await page.evaluate(SIDEWAYS)
        ]
        if overflow > 0:
            found.append(f"{name} scrolls sideways by {overflow} px at {width} px")
    await page.evaluate("document.documentElement.style.fontSize = ''")
    if before:
        await page.set_viewport_size(before)
    return found


async def case_of(spoiled: Spoiled, visitor: Visitor) -> str:
    """Open a recall that has not been closed; answer its id."""
    recall = new_id()
    async with signed_in(visitor.site, "regulator") as office:
        body = {
            "found": [spoiled.lot],
            "grade": 1,
            "trigger": "test",
            "reason": "克百威 0.31 mg/kg",
            "known_at": datetime.now(UTC).isoformat(),
        }
        await office.put(f"/recalls/{recall}", body)
    return recall


PAGES = [
    ("regulator", "/"),
    ("regulator", "/?q=韭菜"),
    ("regulator", f"/lots/{MERGED_LOT}"),
    ("regulator", "/tests"),
    ("regulator", "/tests/SAMPLE"),
    ("regulator", "/holds"),
    ("regulator", "/recalls"),
    ("regulator", "/recalls/new"),
    ("regulator", "/recalls/RECALL"),
    ("regulator", "/tickets/TICKET"),
    ("regulator", "/warnings"),
    ("regulator", "/reports"),
    ("regulator", "/gate-cases"),
    ("regulator", "/parties?q=示范"),
    ("regulator", f"/parties/{STALL.party}"),
    ("regulator", "/limits"),
    ("regulator", "/staff"),
    (MARKET.login, "/"),
    (MARKET.login, "/market"),
    (MARKET.login, "/staff"),
    (OPERATOR.login, "/staff"),
]


@pytest.mark.parametrize(("login", "path"), PAGES)
async def test_every_page_in_large_letters_and_both_languages(
    visitor: Visitor, spoiled: Spoiled, login: str, path: str
) -> None:
    page = visitor.page
    name = f"admin-{login}-" + (re.sub(r"\W+", "-", path).strip("-")[:20] or "home")
    if "RECALL" in path:
        path = path.replace("RECALL", await case_of(spoiled, visitor))
    if "TICKET" in path:
        async with signed_in(visitor.site, SCHOOL.login) as school:
            (ticket, *_) = await school.get("/tickets?side=bought")
        path = path.replace("TICKET", ticket["ticket"])
    await page.set_viewport_size(DESK)
    await sign_in_as(visitor, login, path.replace("SAMPLE", spoiled.sample))
    await page.wait_for_load_state("networkidle")
    # What is folded away is looked at, too.
    await page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
    await page.wait_for_load_state("networkidle")
    await check_words(page)
    found = await check_large(page, name)
    for language in ("zh", "en"):
        for colours in ("light", "dark"):
            await page.emulate_media(color_scheme=colours)
            await visitor.check_axe()
        await page.emulate_media(color_scheme="light")
        if language == "zh":
            await page.get_by_role("button", name="English").click()
            found += await check_large(page, f"{name}-en")
    shown = await page.locator("body").inner_text()
    found += re.findall(r"\b[a-z]+[A-Za-z]*\.[a-z]+[A-Za-z_]*\b(?! *@)", shown)
    assert not found, "\n".join(found)


PUBLIC = ["/", "/verify", "/keys", "/report", "/t/DIGITS", "/t/DIGITS/proof", "/books/purchases"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_every_public_page_says_in_chinese_what_it_says(visitor: Visitor, path: str) -> None:
    async with signed_in(visitor.site, STALL.login) as stall:
        sold = await stall.get("/tickets?side=sold")
    digits = str(sold[0]["url"]).rpartition(token.PATH)[2]
    await visitor.open(path.replace("DIGITS", digits))
    await check_words(visitor.page)


# --- keys alone, on the newer pages ---------------------------------------------------------------

SHOWS_FOCUS = """() => {
    const it = document.activeElement
    if (!it || it === document.body) return true
    const style = getComputedStyle(it)
    const box = it.getBoundingClientRect()
    const isDrawn = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
    const isSeen = box.bottom > 0 && box.top < innerHeight && box.width > 0
    return isDrawn && isSeen || it.outerHTML.slice(0, 120) + style.outline + JSON.stringify(box)
}"""


async def walk(page: Page, *, most: int = 150) -> int:
    """Press Tab through a whole page; whatever has the focus shows it. Answers how many had it."""
    await page.reload()
    await settled(page)
    for count in range(most):
        await page.keyboard.press("Tab")
        assert await page.evaluate(SHOWS_FOCUS) is True
        if await page.evaluate("document.activeElement === document.body"):
            return count
    return most


@pytest.mark.parametrize(
    ("login", "screen"),
    [
        (MARKET.login, "市场管理"),
        (MARKET.login, "人员"),
        ("regulator", "预警"),
        ("regulator", "投诉举报"),
        ("regulator", "限量"),
    ],
)
async def test_whatever_a_key_reaches_is_seen(visitor: Visitor, login: str, screen: str) -> None:
    page = await enter_as(visitor, login, screen)
    assert await walk(page) > 10


async def test_a_gate_s_device_is_let_in_and_out_by_keyboard(visitor: Visitor) -> None:
    page = await enter_as(visitor, MARKET.login, "市场管理")
    keys = page.keyboard
    await tab_to(page, "生成登记码")
    await keys.press("Enter")
    await expect(page.get_by_role("heading", name=re.compile("的登记码"))).to_be_focused()
    await tab_to(page, "关闭登记码")
    await keys.press("Enter")
    await expect(page.get_by_role("button", name="生成登记码")).to_be_focused()


async def test_a_market_answers_a_case_of_the_gate_by_keyboard(visitor: Visitor) -> None:
    site = visitor.site
    words = f"断网放行，已追回 {secrets.token_hex(3)}"
    async with (
        signed_in(site, FARMS[0].farmer.login) as farmer,
        signed_in(site, STALL.login) as stall,
        signed_in(site, MARKET.login) as market,
    ):
        await let_in_voided(farmer, stall, market, 7)
    page = await enter_as(visitor, MARKET.login, "门岗事项")
    await tab_to(page, "情况说明")
    await page.keyboard.type(words)
    await page.keyboard.press("Enter")
    await page.get_by_text(words).wait_for()


async def test_a_sign_off_is_asked_and_given_by_keyboard(visitor: Visitor) -> None:
    site, recall = visitor.site, new_id()
    reason, said = (f"{word} {secrets.token_hex(3)}" for word in ("标签不符", "已更正"))
    async with (
        signed_in(site, FARMS[0].farmer.login) as farmer,
        signed_in(site, STALL.login) as stall,
        signed_in(site, MARKET.login) as market,
    ):
        lot = await harvest(farmer, 8)
        decided = await sell(farmer, lot, 8, stall, market=MARKET_SITE.id)
        case = {
            "found": [received(decided)],
            "grade": 3,
            "trigger": "self_check",
            "reason": reason,
            "known_at": datetime.now(UTC).isoformat(),
        }
        await market.put(f"/recalls/{recall}", case)
    for login, label, button in (
        (MARKET.login, "情况说明", "误报，申请解除"),
        ("regulator", "理由", "误报，解除召回"),
    ):
        await visitor.context.clear_cookies()
        page = await enter_as(visitor, login, "召回")
        await tab_to(page, reason)
        await page.keyboard.press("Enter")
        closing = page.locator("section", has=page.get_by_role("heading", name="结案"))
        await closing.wait_for()
        await settled(page)
        field = closing.get_by_label(label)
        for _ in range(60):
            await tab_to(page, label)
            if await field.evaluate("it => it === document.activeElement"):
                break
        await page.keyboard.type(said)
        await tab_to(page, button)
        await page.keyboard.press("Enter")
        await page.get_by_text(said).first.wait_for()
    await closing.wait_for(state="detached")


async def test_a_reset_code_is_given_and_left_by_keyboard(visitor: Visitor) -> None:
    page = await enter_as(visitor, MARKET.login, "人员")
    keys = page.keyboard
    name = f"倪{uuid7().hex[-6:]}"
    await tab_to(page, "姓名")
    await keys.type(name)
    await tab_to(page, "本人手机号")
    await keys.type(new_phone())
    await tab_to(page, "添加，给出认领码")
    await keys.press("Enter")
    await page.get_by_test_id("claim-code").wait_for()
    await tab_to(page, "停用")
    await keys.press("Enter")
    await page.get_by_role("alertdialog").wait_for()
    # Nobody is shut out, and the keyboard goes on where it came from; then back to the row.
    await keys.press("Escape")
    await expect(page.get_by_role("button", name="停用", exact=True)).to_be_focused()
    await keys.press("Escape")
    await expect(page.get_by_role("button", name=f"管理 {name}")).to_be_focused()


# --- people of the businesses, on a phone ---------------------------------------------------------


async def test_the_people_of_a_business_open_where_they_are_seen(visitor: Visitor) -> None:
    page = visitor.page
    await page.set_viewport_size({"width": 360, "height": HEIGHT})
    await sign_in_as(visitor, OPERATOR.login, "/staff")
    last = page.locator("[id^='business-']").last
    await last.scroll_into_view_if_needed()
    await last.tap()
    people = page.locator("#business")
    await people.get_by_role("heading").first.wait_for()
    await expect(people.get_by_role("heading").first).to_be_in_viewport()
    await visitor.shoot("admin-staff-business")
    await people.get_by_role("button", name="收起，回到名单").tap()
    await expect(last).to_be_focused()
    await expect(last).to_be_in_viewport()
