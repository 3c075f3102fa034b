"""Where people stumble on a phone: a lost answer, the way back, another language, a wrong field."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from app.core.ids import uuid7
from app.demo.scenario import COLLECTOR, HELPERS, REGULATOR, SCHOOL, STALL
from tests.browser.conftest import Site, Visitor
from tests.browser.test_m import Hand, enter, sold_by
from tests.browser.test_m import farmer as farmer  # noqa: PLC0414 (a fixture of there)
from tests.browser.test_staff import added, another, claim, new_phone, scanned

STORED = "第一次已经存下了"
LOST = "连不上服务器"
# Under which name the phone keeps the ticket that is being written.
DRAFT = r"Object.keys(localStorage).find(key => /^draft\..*\.ticket$/.test(key))"


async def lose_answer(page: Page, path: str) -> None:
    """Let the next request to a path arrive, and its answer get lost."""

    async def lose(route: Any) -> None:
        await route.fetch()
        await route.abort()

    await page.route(re.compile(path), lose, times=1)


# --- a lost answer, and other words since ---------------------------------------------------------


@pytest.mark.parametrize("choice", ["就用第一次的", "改成现在填的", "另外再存一份"])
async def test_who_was_added_first_is_told_and_can_be_corrected(
    visitor: Visitor, site: Site, choice: str
) -> None:
    first, now = f"卫{uuid7().hex[-6:]}", f"蒋{uuid7().hex[-6:]}"
    old, phone = new_phone(), new_phone()
    page = await enter(visitor, STALL.login, "/m/staff")
    await page.get_by_role("button", name=re.compile(HELPERS[0].name)).wait_for()
    await page.get_by_role("button", name="添加员工").tap()
    await page.get_by_label("姓名").fill(first)
    await page.get_by_label("本人手机号").fill(old)
    await lose_answer(page, "/staff/[0-9a-f-]{36}$")
    await page.get_by_role("button", name="添加，给出认领码").tap()
    await page.get_by_role("alert").get_by_text(LOST).wait_for()
    # The program is closed, and another name is typed a while later.
    await visitor.open("/m/staff")
    await page.get_by_label("姓名").fill(now)
    await page.get_by_label("本人手机号").fill(phone)
    await page.get_by_role("button", name=re.compile("^记账")).tap()
    await page.get_by_role("button", name="添加，给出认领码").tap()
    note = page.get_by_role("alert").filter(has_text=STORED)
    await expect(note).to_contain_text(f"{first} · {old} · 员工")
    await visitor.check_axe()
    if choice == "改成现在填的":
        await visitor.shoot("m-staff-first")
    await note.get_by_role("button", name=choice).tap()
    await page.get_by_test_id("claim-code").wait_for()
    code = await scanned(page)
    assert code.startswith(f"{site.url}/m/claim#code=")
    with Hand(site, STALL.login) as head:
        staff = head.get(f"/parties/{STALL.party}/staff").raise_for_status().json()["staff"]
    duties = {one["name"]: one["duty"] for one in staff if one["name"] in {first, now}}
    assert (
        duties
        == {
            "就用第一次的": {first: "staff"},
            "改成现在填的": {now: "books"},
            "另外再存一份": {first: "staff", now: "books"},
        }[choice]
    )
    # Nothing of it is left over for the next one.
    await page.get_by_role("button", name="关闭").tap()
    await page.get_by_role("button", name="添加员工").tap()
    await expect(page.get_by_label("姓名")).to_have_value("")


async def test_a_buyer_who_was_invited_first_is_told(visitor: Visitor, site: Site) -> None:
    page = await enter(visitor, STALL.login, "/m/invite")
    phone = new_phone()
    await page.get_by_label("姓名或名称").fill("陶示范")
    await page.get_by_label("手机号").fill(phone)
    await lose_answer(page, "/invitations/")
    await page.get_by_role("button", name="邀请", exact=True).tap()
    await page.get_by_role("alert").get_by_text(LOST).wait_for()
    await page.get_by_label("姓名或名称").fill("陶示范食堂")
    await page.get_by_role("button", name="邀请", exact=True).tap()
    await page.get_by_text(f"存下的是：陶示范 {phone}").wait_for()
    await visitor.check_axe()
    await page.get_by_role("button", name="就用第一次的").tap()
    await page.get_by_text("请把认领码告诉陶示范：").wait_for()
    code = await page.locator(".sheet .number").inner_text()
    assert re.fullmatch(r"[0-9A-Z]{8}", code)


async def test_a_code_for_the_wrong_phone_is_replaced(
    visitor: Visitor, site: Site, chromium: Browser
) -> None:
    name, wrong, phone = f"沈{uuid7().hex[-6:]}", new_phone(), new_phone()
    page = await enter(visitor, STALL.login, "/m/staff")
    await page.get_by_role("button", name=re.compile(HELPERS[0].name)).wait_for()
    await added(page, name, new_phone())
    await page.get_by_role("button", name="换一个认领码").tap()
    await page.get_by_label("本人手机号").fill(wrong)
    await lose_answer(page, "/claim-codes/")
    await page.get_by_role("button", name="给出新认领码").tap()
    await page.get_by_role("alert").get_by_text(LOST).wait_for()
    await page.get_by_label("本人手机号").fill(phone)
    await page.get_by_role("button", name="给出新认领码").tap()
    await page.get_by_text(f"存下的是：{wrong}").wait_for()
    await visitor.check_axe()
    await page.get_by_role("button", name="改成现在填的").tap()
    await page.get_by_role("button", name="换一个认领码").wait_for()
    url = await scanned(page)
    async with another(chromium, site) as helper:
        await claim(helper, url, phone)
        await helper.page.get_by_role("heading", name="再来一单").wait_for()


async def test_who_claimed_with_another_password_comes_in_with_the_first(
    visitor: Visitor, site: Site, chromium: Browser
) -> None:
    name, phone = f"韩{uuid7().hex[-6:]}", new_phone()
    page = await enter(visitor, STALL.login, "/m/staff")
    await page.get_by_role("button", name=re.compile(HELPERS[0].name)).wait_for()
    url = await added(page, name, phone)
    async with another(chromium, site) as helper:
        await lose_answer(helper.page, "/claims$")
        await claim(helper, url, phone)
        await helper.page.get_by_role("alert").get_by_text(LOST).wait_for()
        await helper.page.get_by_label("设一个密码").fill("yi-ge-xin-de-mima")
        await helper.page.get_by_role("button", name="认领并登录").click()
        await helper.page.get_by_text("密码是第一次设的那个").wait_for()
        await helper.check_axe()
        await helper.page.get_by_role("button", name="就用第一次的").click()
        await helper.page.get_by_role("heading", name="再来一单").wait_for()


@pytest.mark.parametrize("choice", ["就用第一次的", "另外再存一份"])
async def test_a_ticket_that_was_issued_unheard_of_is_shown(
    visitor: Visitor, site: Site, farmer: str, choice: str
) -> None:
    with Hand(site, farmer) as hand:
        lot = hand.harvest(400)
        page = await enter(visitor, farmer)
        await page.locator("button.card").first.tap()
        await page.get_by_role("button", name="开票", exact=True).wait_for()
        draft = await page.evaluate(f"JSON.parse(localStorage.getItem({DRAFT}))")
        line = {"product": hand.chives(), "quantity": "30", "unit": "公斤"}
        body = {"buyer": {"walk_in": True}, "lines": [{**line, "draws": [{"lot": lot}]}]}
        hand.make(f"/tickets/{draft['id']}", body)
    await page.get_by_role("button", name="开票", exact=True).tap()
    note = page.get_by_role("alert").filter(has_text=STORED)
    await expect(note).to_contain_text("30 公斤（60 斤）")
    await visitor.check_axe()
    if choice == "另外再存一份":
        await visitor.shoot("m-check-first")
    await note.get_by_role("button", name=choice).tap()
    await page.locator("img[src$='code.svg']").wait_for()
    issued = sorted(one["mass_g"] for one in sold_by(site, farmer))
    both = [30_000, 150_000, 150_000]
    assert issued == ([30_000, 150_000] if choice == "就用第一次的" else both)
    assert await page.evaluate(f"{DRAFT} ?? null") is None


async def test_a_draft_that_was_sent_is_no_draft_any_more(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="我承诺，并开票").wait_for()
    draft = await page.evaluate(f"[{DRAFT}, localStorage.getItem({DRAFT})]")
    await page.route(re.compile("/lots/[0-9a-f-]{36}$"), lambda route: route.abort())
    await page.get_by_role("button", name="我承诺，并开票").tap()
    await expect(page.get_by_text("还没发出：1")).to_be_visible()
    # As if the program had been killed between the two: written down, and still a draft.
    await page.evaluate("([key, draft]) => localStorage.setItem(key, draft)", draft)
    await visitor.open("/m")
    await expect(page.get_by_text("还没发出：1")).to_be_visible()
    await expect(page.get_by_text("继续没开完的票")).to_have_count(0)
    assert await page.evaluate(f"{DRAFT} ?? null") is None


async def test_what_waits_under_a_used_id_is_looked_at_or_sent_anew(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="我承诺，并开票").wait_for()
    draft = await page.evaluate(f"JSON.parse(localStorage.getItem({DRAFT}))")
    pattern = re.compile("/(tickets|lots|certificates)/[0-9a-f-]{36}$")
    await page.route(pattern, lambda route: route.abort())
    await page.get_by_role("button", name="我承诺，并开票").tap()
    await expect(page.get_by_text("还没发出：1")).to_be_visible()
    with Hand(site, farmer) as hand:
        hand_made = {"product": hand.chives(), "quantity": "20", "unit": "公斤"}
        lot = hand.harvest(20)
        body = {"buyer": {"walk_in": True}, "lines": [{**hand_made, "draws": [{"lot": lot}]}]}
        hand.make(f"/tickets/{draft['id']}", body)
    await page.unroute(pattern)
    await page.get_by_role("button", name="现在再发一次").tap()
    await page.get_by_role("alert").get_by_text("先前已提交过").wait_for()
    await visitor.check_axe()
    await visitor.shoot("m-waiting-first")
    await page.get_by_role("link", name="看看第一次的").tap()
    await page.get_by_text("20 公斤（40 斤）").wait_for()
    await page.go_back()
    await page.get_by_role("button", name="另外再存一份").tap()
    await page.locator("img[src$='code.svg']").wait_for()
    assert sorted(one["mass_g"] for one in sold_by(site, farmer)) == [20_000, 150_000, 150_000]


# --- the way back ---------------------------------------------------------------------------------


async def test_going_back_closes_the_sheet_and_then_leaves(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    sheet = page.locator("dialog[open]")
    for button in ("改数量", "更改", "再加一种"):
        await page.get_by_role("button", name=button, exact=True).tap()
        await sheet.wait_for()
        await page.go_back()
        await expect(sheet).to_have_count(0)
        await expect(page).to_have_url(re.compile("/m/check$"))
    # A keypad above the list of products: one step back each.
    await page.get_by_role("button", name="再加一种").tap()
    await page.get_by_role("button", name="J", exact=True).tap()
    await sheet.locator(".choice.large").first.tap()
    await page.locator(".keypad").wait_for()
    await page.go_back()
    await page.locator(".letters, .choice.large").first.wait_for()
    await page.go_back()
    await expect(sheet).to_have_count(0)
    # Closed by its own button it leaves no step behind.
    await page.get_by_role("button", name="改数量").tap()
    await sheet.get_by_role("button", name="关闭").tap()
    await expect(sheet).to_have_count(0)
    await page.wait_for_function("() => !history.state.over")
    await page.go_back()
    await expect(page.get_by_role("heading", name="再来一单")).to_be_visible()


async def test_a_page_opened_from_a_sheet_leads_back_below_it(
    visitor: Visitor, farmer: str
) -> None:
    page = await enter(visitor, farmer)
    await page.locator("button.card").first.tap()
    await page.get_by_role("button", name="更改", exact=True).tap()
    await page.get_by_role("button", name=re.compile("自己的摊位或仓库")).tap()
    await page.locator("dialog").get_by_role("link", name="地块和场所").tap()
    await expect(page).to_have_url(re.compile("/m/places$"))
    await page.go_back()
    await page.get_by_role("button", name="我承诺，并开票").wait_for()
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await page.wait_for_function("() => !history.state.over")
    await page.go_back()
    await expect(page.get_by_role("heading", name="再来一单")).to_be_visible()


async def test_going_back_from_a_member_of_the_staff_stays_at_the_staff(visitor: Visitor) -> None:
    page = await enter(visitor, STALL.login, "/m/more")
    await page.locator(".van-cell", has_text="添加、调岗、停用").tap()
    row = page.get_by_role("button", name=re.compile(HELPERS[0].name))
    for _ in range(2):
        await row.tap()
        await page.locator("dialog[open]").wait_for()
        await page.go_back()
        await expect(page.locator("dialog[open]")).to_have_count(0)
        await expect(row).to_be_visible()
    # Loaded anew with a sheet open, the page is there without it, and one step leaves it.
    await row.tap()
    await page.locator("dialog[open]").wait_for()
    await page.reload()
    await row.wait_for()
    await page.wait_for_function("() => !history.state.over")
    await page.go_back()
    await expect(page).to_have_url(re.compile("/m/more$"))


# --- another language -----------------------------------------------------------------------------

# As if another window of this browser had chosen it.
CHOOSE = """language =>
    dispatchEvent(new StorageEvent('storage', { key: 'language', newValue: language }))"""


async def test_what_went_wrong_follows_the_language(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open("/m")
    await page.locator("input[autocomplete=username]").fill("13800000000")
    await page.locator("input[autocomplete=current-password]").fill("nothing-of-the-kind")
    await page.locator("form button").click()
    await page.get_by_role("alert").get_by_text("登录名或密码不正确").wait_for()
    await page.get_by_role("button", name="English").tap()
    await page.get_by_role("alert").get_by_text("Login and password do not match").wait_for()
    await expect(page.get_by_role("alert")).not_to_contain_text("登录名")


@pytest.mark.parametrize(
    ("path", "login"), [("/m/tickets", SCHOOL.login), ("/admin/holds", REGULATOR.login)]
)
async def test_every_failure_follows_the_language(visitor: Visitor, path: str, login: str) -> None:
    page = visitor.page
    await visitor.open(path)
    await visitor.sign_in(login)
    await page.wait_for_load_state("networkidle")
    asked = re.compile(r":\d+/(lots|holds)(\?|$)")
    await page.route(asked, lambda route: route.abort())
    goal = "/m/stock" if path.startswith("/m") else "/admin/holds"
    await page.goto(visitor.site.url + goal)
    await page.get_by_role("alert").get_by_text(LOST).wait_for()
    await page.evaluate(CHOOSE, "en")
    await page.get_by_role("alert").get_by_text("The server cannot be reached").wait_for()
    await page.evaluate(CHOOSE, "zh")
    await page.get_by_role("alert").get_by_text(LOST).wait_for()


# --- which field, and how much --------------------------------------------------------------------


async def test_the_field_to_blame_is_named_and_marked(visitor: Visitor) -> None:
    page = await enter(visitor, STALL.login, "/m/invite")
    name, phone = page.get_by_label("姓名或名称"), page.get_by_label("手机号")
    await name.fill(" ")
    await phone.fill("13912345678")
    await page.get_by_role("button", name="邀请", exact=True).tap()
    alert = page.get_by_role("alert")
    await alert.get_by_text("请检查：姓名或名称").wait_for()
    await expect(name).to_have_attribute("aria-invalid", "true")
    assert not re.search(r"pointer|errors|JSON", await alert.inner_text())
    await visitor.check_axe()
    await visitor.shoot("m-invite-wrong")
    await name.fill("贺示范")
    await phone.fill("1391234")
    await page.get_by_role("button", name="邀请", exact=True).tap()
    await alert.get_by_text("电话号码不正确").wait_for()
    await expect(phone).to_have_attribute("aria-invalid", "true")
    await expect(name).not_to_have_attribute("aria-invalid", "true")


async def test_how_much_is_missing_is_told_in_both_units(
    visitor: Visitor, site: Site, farmer: str
) -> None:
    with Hand(site, farmer) as hand, Hand(site, COLLECTOR.login) as collector:
        lot = hand.harvest(160)
        page = await enter(visitor, farmer)
        await page.locator("button.card").first.tap()
        await page.get_by_role("button", name="开票", exact=True).wait_for()
        # Somebody at another phone of the farm was faster.
        hand.sell(lot, collector.party, 60)
    await page.get_by_role("button", name="开票", exact=True).tap()
    alert = page.get_by_role("alert").filter(has_text="库存不足")
    await expect(alert).to_contain_text("还缺：50 公斤（100 斤）")
    await expect(alert).to_contain_text("这次要：150 公斤（300 斤）")
    await visitor.check_axe()
    await visitor.shoot("m-check-short")
