"""Who acts for a business: on the phone of whoever heads it, and at a desk by keyboard."""

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, Page, expect

from app.core.ids import uuid7
from app.demo.main_job import QR_ONLY
from app.demo.scenario import HELPERS, MARKET, PASSWORD, REGULATOR, SECOND_STALL, STALL
from tests.browser.conftest import SHOTS, Site, Visitor
from tests.browser.test_admin import DESK, go, settled, tab_to
from tests.browser.test_m import _check_large, enter

HELPER, CLERK = HELPERS[0], HELPERS[1]


def new_phone() -> str:
    """Make up a phone that nobody has."""
    return f"1992{uuid7().int % 10**7:07}"


@asynccontextmanager
async def another(chromium: Browser, site: Site) -> AsyncIterator[Visitor]:
    """Somebody else, with a phone of their own."""
    context = await chromium.new_context(
        viewport={"width": 390, "height": 800}, locale="zh-CN", reduced_motion="reduce"
    )
    visitor = Visitor(context, await context.new_page(), site)
    visitor.watch(visitor.page)
    yield visitor
    await context.close()
    assert (visitor.foreign, visitor.faults) == ([], [])


async def scanned(page: Page) -> str:
    """Read the code on the screen with another reader."""
    picture = await page.get_by_role("img", name="带认领码的二维码").screenshot()
    with Image.open(io.BytesIO(picture)) as image:
        (found,) = zxingcpp.read_barcodes(image.convert("L"), formats=QR_ONLY)
    return str(found.text)


async def claim(visitor: Visitor, url: str, phone: str) -> None:
    """Open what the code says, and take the account over."""
    assert url.startswith(visitor.site.url), "the code leads to us"
    await visitor.open(url.removeprefix(visitor.site.url))
    assert len(await visitor.page.get_by_label("认领码").input_value()) == 8
    await visitor.page.get_by_label("手机号").fill(phone)
    await visitor.page.get_by_label("设一个密码").fill(PASSWORD)
    await visitor.page.get_by_role("button", name="认领并登录").click()


# --- on a phone -----------------------------------------------------------------------------------


async def test_a_head_lets_somebody_in_and_shuts_them_out(
    visitor: Visitor, site: Site, chromium: Browser
) -> None:
    name, phone = f"苗{uuid7().hex[-6:]}", new_phone()
    page = await enter(visitor, STALL.login, "/m/more")
    await page.locator(".van-cell", has_text="添加、调岗、停用").tap()
    await page.get_by_role("button", name=re.compile(HELPER.name)).wait_for()
    await page.get_by_role("button", name="添加员工").tap()
    await page.get_by_label("姓名").fill(name)
    # What is typed survives a killed app.
    await visitor.open("/m/staff")
    await expect(page.get_by_label("姓名")).to_have_value(name)
    await page.get_by_label("本人手机号").fill(phone)
    await visitor.check_axe()
    await visitor.shoot("m-staff-add")
    await page.get_by_role("button", name="添加，给出认领码").tap()
    code = page.get_by_test_id("claim-code")
    await code.wait_for()
    await visitor.check_axe()
    url = await scanned(page)
    assert url.endswith(f"#code={(await code.inner_text()).replace(' ', '')}")
    assert phone not in url
    async with another(chromium, site) as helper:
        await claim(helper, url, phone)
        await expect(helper.page.get_by_role("heading", name="再来一单")).to_be_visible()
        await helper.open("/m/more")
        await expect(helper.page.get_by_text(f"{name} 员工")).to_be_visible()
        assert await helper.page.get_by_text("添加、调岗、停用").count() == 0
        await helper.open("/m/staff")
        await expect(helper.page.get_by_text("只有负责人才能管理员工")).to_be_visible()
        await page.get_by_role("button", name="取消").tap()
        await visitor.open("/m/staff")
        row = page.get_by_role("button", name=re.compile(name))
        await expect(row).to_contain_text("✔ 可以登录")
        await expect(row).to_contain_text("上次登录")
        await row.tap()
        await page.get_by_role("button", name=re.compile("^记账")).tap()
        async with page.expect_response(lambda one: one.url.endswith("/duty")) as moved:
            await page.get_by_role("button", name="改为记账").tap()
        assert (await moved.value).ok
        await page.get_by_role("button", name="停用", exact=True).tap()
        await page.get_by_text("会立即退出").wait_for()
        await visitor.check_axe()
        await page.get_by_role("button", name="确认停用").tap()
        await page.get_by_role("button", name="重新启用").wait_for()
        await helper.open("/m")
        await helper.page.locator("input[autocomplete=current-password]").wait_for()
    await page.get_by_role("button", name="取消").first.tap()
    await expect(row).to_contain_text("✘ 已停用")
    await expect(row).to_contain_text("记账")


async def test_the_last_head_stays(visitor: Visitor) -> None:
    page = await enter(visitor, SECOND_STALL.login, "/m/staff")
    await page.get_by_role("button", name=re.compile("您本人")).tap()
    await page.get_by_role("button", name="停用", exact=True).tap()
    await page.get_by_text("这是您自己").wait_for()
    await page.get_by_role("button", name="确认停用").tap()
    await page.get_by_role("alert").get_by_text("这是最后一名能登录的负责人").wait_for()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_staff_is_readable_by_everybody(visitor: Visitor, language: str) -> None:
    page = await enter(visitor, STALL.login, "/m/more")
    if language == "en":
        await page.get_by_role("button", name="English").tap()
    await visitor.open("/m/staff")
    clerk = page.get_by_role("button", name=re.compile(CLERK.name))
    await clerk.wait_for()
    assert not re.search(r"\b(staff|duty|dutyHint)\.[a-z]", await page.locator("body").inner_text())
    for step in ("", "-member"):
        if step:
            await clerk.tap()
            await page.get_by_test_id("claim-code").wait_for()
        await page.emulate_media(color_scheme="dark")
        await visitor.check_axe()
        await page.emulate_media(color_scheme="light")
        await visitor.check_axe()
        await visitor.shoot(f"m-staff{step}-{language}")
        await _check_large(page, f"m-staff{step}-{language}")
    # What a phone shows after scrolling within the sheet.
    await page.set_viewport_size({"width": 390, "height": 1500})
    await page.screenshot(path=SHOTS / f"m-staff-member-{language}-whole.png")


# --- at a desk ------------------------------------------------------------------------------------


async def test_a_keyboard_is_enough_for_an_office_s_people(
    visitor: Visitor, site: Site, chromium: Browser
) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    name, phone = f"季{uuid7().hex[-6:]}", new_phone()
    await page.set_viewport_size(DESK)
    await visitor.open("/admin")
    await visitor.sign_in(REGULATOR.login)
    await page.get_by_role("heading", name="查询").wait_for()
    await tab_to(page, "人员")
    await keys.press("Enter")
    await page.get_by_role("button", name=f"管理 {HELPERS[-1].name}").wait_for()
    # Let somebody in: the code is read out at once.
    await tab_to(page, "姓名")
    await keys.type(name)
    await tab_to(page, "本人手机号")
    await keys.type(phone)
    await tab_to(page, "岗位")
    await keys.press("ArrowDown")
    await tab_to(page, "添加，给出认领码")
    await keys.press("Enter")
    await page.get_by_test_id("claim-code").wait_for()
    url = await scanned(page)
    row = page.locator("tr", has_text=name)
    await expect(row).to_contain_text("记账")
    await visitor.shoot("admin-staff-code")
    async with another(chromium, site) as officer:
        await claim(officer, url, phone)
        await officer.page.get_by_role("heading", name="查询").wait_for()
        assert officer.page.url.startswith(f"{site.url}/admin")
        # Close it: the focus is back at the row.
        await keys.press("Escape")
        await page.wait_for_function("() => document.activeElement.id.startsWith('member-')")
        await keys.press("Enter")
        await tab_to(page, "岗位")
        await keys.press("ArrowUp")
        await tab_to(page, "保存")
        await keys.press("Enter")
        await page.get_by_text("✔ 已保存").wait_for()
        await expect(row).to_contain_text("员工")
        await tab_to(page, "停用")
        await keys.press("Enter")
        await page.get_by_role("alertdialog").wait_for()
        await visitor.check_axe()
        await tab_to(page, "确认停用")
        await keys.press("Enter")
        await row.get_by_text("已停用").wait_for()
        await officer.open("/admin/recalls")
        await officer.page.locator("input[autocomplete=current-password]").wait_for()
    await tab_to(page, "重新启用")
    await keys.press("Enter")
    await row.get_by_text("可以登录").wait_for()


async def test_a_market_lets_the_heads_of_its_stalls_in(visitor: Visitor) -> None:
    page = visitor.page
    name = f"尤{uuid7().hex[-6:]}"
    await page.set_viewport_size(DESK)
    await visitor.open("/admin")
    await visitor.sign_in(MARKET.login)
    await go(visitor, "/staff")
    guard = page.locator("tr", has_text=HELPERS[2].name)
    await expect(guard).to_contain_text("门岗")
    await page.get_by_role("button", name=f"负责人 {SECOND_STALL.name}").click()
    business = page.locator("#business")
    # Those who work for a stall are the stall's business.
    await business.get_by_role("button", name=f"管理 {SECOND_STALL.head}").wait_for()
    await business.get_by_label("姓名").first.fill(name)
    await business.get_by_label("本人手机号").fill(new_phone())
    await business.get_by_role("button", name="添加，给出认领码").click()
    await business.get_by_test_id("claim-code").wait_for()
    businesses = page.locator("section", has=page.get_by_role("heading", name="由本单位登记"))
    await businesses.get_by_role("cell", name=re.compile(name)).wait_for()
    await business.get_by_text("负责人没有手机？").click()
    form = business.locator("details form")
    await form.get_by_label("姓名").fill("卞示范")
    await form.get_by_label("账号或手机号").fill(f"bian-{uuid7().hex[-8:]}")
    await form.get_by_label("初始密码").fill(PASSWORD)
    await form.get_by_role("button", name="开户").click()
    await business.get_by_role("button", name="管理 卞示范").wait_for()
    # Shut the invited one out again: a market may, without another head.
    await business.get_by_role("button", name=f"管理 {name}").click()
    await business.get_by_role("button", name="停用", exact=True).click()
    await business.get_by_role("button", name="确认停用").click()
    await business.locator("tr", has_text=name).get_by_text("已停用").wait_for()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_people_s_screen_is_fit_to_use(visitor: Visitor, language: str) -> None:
    page = visitor.page
    await page.set_viewport_size(DESK)
    await visitor.open("/admin")
    await visitor.sign_in(MARKET.login)
    if language == "en":
        await page.get_by_role("button", name="English").click()
    await visitor.open("/admin/staff")
    await page.get_by_role("button", name=re.compile(STALL.name)).click()
    await page.locator("#business tbody").wait_for()
    await page.get_by_role("button", name=re.compile(f"(管理|Manage) {HELPERS[2].name}")).click()
    await page.get_by_role("heading", name=HELPERS[2].name).wait_for()
    await settled(page)
    assert not re.search(r"\b(staff|duty|dutyHint)\.[a-z]", await page.locator("body").inner_text())
    await visitor.check_axe()
    await page.emulate_media(color_scheme="dark")
    await visitor.check_axe()
    await page.emulate_media(color_scheme="light")
    await visitor.shoot(f"admin-staff-{language}")
    await page.evaluate("document.documentElement.classList.add('elder')")
    await visitor.shoot(f"admin-staff-{language}-elder")
