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
from app.demo.scenario import (
    GATE,
    HELPERS,
    MARKET,
    OPERATOR,
    PASSWORD,
    REGULATOR,
    SECOND_STALL,
    STALL,
)
from tests.browser.conftest import SHOTS, Site, Visitor
from tests.browser.test_admin import DESK, go, settled, tab_to
from tests.browser.test_m import _check_large, enter

HELPER, CLERK = HELPERS[0], HELPERS[1]
ANOTHER = "another-demo-7"


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


async def scanned(page: Page, name: str = "带认领码的二维码") -> str:
    """Read the code on the screen with another reader."""
    picture = await page.get_by_role("img", name=name).screenshot()
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
        await page.get_by_role("button", name="关闭").tap()
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
    await page.get_by_role("button", name="关闭").tap()
    await expect(row).to_contain_text("✘ 已停用")
    await expect(row).to_contain_text("记账")


async def added(page: Page, name: str, phone: str) -> str:
    """Let a head of a stall add somebody; answer what the code says."""
    await page.get_by_role("button", name="添加员工").tap()
    await page.get_by_label("姓名").fill(name)
    await page.get_by_label("本人手机号").fill(phone)
    await page.get_by_role("button", name="添加，给出认领码").tap()
    await page.get_by_test_id("claim-code").wait_for()
    return await scanned(page)


async def set_anew(visitor: Visitor, url: str, login: str) -> None:
    """Open what a reset code says, and set another password."""
    await visitor.open(url.removeprefix(visitor.site.url))
    await visitor.page.get_by_label("手机号或账号").fill(login)
    await visitor.page.get_by_label("新密码").fill(ANOTHER)


async def test_who_forgot_the_password_comes_in_with_a_code(
    visitor: Visitor, site: Site, chromium: Browser
) -> None:
    name, phone = f"祁{uuid7().hex[-6:]}", new_phone()
    page = await enter(visitor, STALL.login, "/m/staff")
    await page.get_by_role("button", name=re.compile(HELPER.name)).wait_for()
    url = await added(page, name, phone)
    async with another(chromium, site) as old, another(chromium, site) as new:
        await claim(old, url, phone)
        await old.page.get_by_role("heading", name="再来一单").wait_for()
        # She is at the sign-in of another phone, and does not know the password.
        await new.open("/m")
        await new.page.get_by_role("link", name="忘记密码？").click()
        await new.page.get_by_text("请向本单位负责人要一个重设码").wait_for()
        await new.check_axe()
        await new.shoot("m-reset")
        await visitor.open("/m/staff")
        await page.get_by_role("button", name=re.compile(name)).tap()
        await page.get_by_role("button", name="忘了密码？给重设码").tap()
        code = page.get_by_test_id("reset-code")
        await code.wait_for()
        await visitor.check_axe()
        await visitor.shoot("m-staff-reset")
        url = await scanned(page, "带重设码的二维码")
        assert url.endswith(f"/m/reset#code={(await code.inner_text()).replace(' ', '')}")
        await set_anew(new, url, phone)
        # What is refused keeps what was typed.
        good = await new.page.get_by_label("重设码").input_value()
        await new.page.get_by_label("重设码").fill("00000000")
        await new.page.get_by_role("button", name="改密码并登录").click()
        await new.page.get_by_text("账号与重设码不符").wait_for()
        await new.page.screenshot(path=SHOTS / "m-reset-refused.png", full_page=True)
        await new.page.get_by_label("重设码").fill(good)
        await new.page.get_by_role("button", name="改密码并登录").click()
        await new.page.get_by_role("heading", name="再来一单").wait_for()
        # The phone of before is out, and is told why.
        await old.open("/m")
        await old.page.get_by_text("用重设码改了密码").wait_for()
        await old.check_axe()
        await old.shoot("m-sign-in-reset")
        await old.sign_in(phone, ANOTHER)
        await old.page.get_by_role("heading", name="再来一单").wait_for()


async def test_who_has_not_come_gets_another_code(
    visitor: Visitor, site: Site, chromium: Browser
) -> None:
    name, phone = f"巫{uuid7().hex[-6:]}", new_phone()
    page = await enter(visitor, STALL.login, "/m/staff")
    await page.get_by_role("button", name=re.compile(HELPER.name)).wait_for()
    old = await added(page, name, new_phone())
    await page.get_by_role("button", name="换一个认领码").tap()
    await page.get_by_label("本人手机号").fill(phone)
    await visitor.check_axe()
    await visitor.shoot("m-staff-claim-again")
    await page.get_by_role("button", name="给出新认领码").tap()
    await page.get_by_role("button", name="换一个认领码").wait_for()
    url = await scanned(page)
    assert url != old
    async with another(chromium, site) as helper:
        await claim(helper, url, phone)
        await helper.page.get_by_role("heading", name="再来一单").wait_for()


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


ENROL = """async ([gate, ids]) => {
    const put = (path, body) => fetch(path, { method: 'PUT', body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' } })
    const key = await put(`/api-keys/${ids[0]}`, { name: '电子秤接口', scopes: ['lot.read'] })
    const code = await put(`/gate/enrolments/${ids[1]}`, { place: gate })
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
    const pair = await crypto.subtle.generateKey(algorithm, false, ['sign'])
    const raw = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
    const hex = [...raw].map((byte) => byte.toString(16).padStart(2, '0')).join('')
    const device = await put(`/gate/devices/${ids[2]}`, { code: (await code.json()).code,
        name: '西门平板', algorithm: 'ecdsa-p256', public_key: hex })
    return [key.status, code.status, device.status] }"""


async def test_what_a_head_made_is_told_before_it_ends(
    visitor: Visitor, site: Site, chromium: Browser
) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    name, phone = f"明{uuid7().hex[-6:]}", new_phone()
    await page.set_viewport_size(DESK)
    await visitor.open("/admin")
    await visitor.sign_in(MARKET.login)
    await go(visitor, "/staff")
    await page.get_by_label("姓名").first.fill(name)
    await page.get_by_label("本人手机号").first.fill(phone)
    await page.get_by_label("岗位").first.select_option(label="负责人")
    await page.get_by_role("button", name="添加，给出认领码").first.click()
    await page.get_by_test_id("claim-code").wait_for()
    url = await scanned(page)
    async with another(chromium, site) as head:
        await claim(head, url, phone)
        await head.page.get_by_role("heading", name="查询").wait_for()
        ids = [str(uuid7()) for _ in range(3)]
        assert await head.page.evaluate(ENROL, [str(GATE.id), ids]) == [201, 201, 201]
        await go(visitor, "/staff")
        row = page.locator("tr", has_text=name)
        await row.get_by_text("可以登录").wait_for()
        # From here on by keyboard alone: a code for the password, then the door.
        await tab_to(page, f"管理 {name}")
        await keys.press("Enter")
        await tab_to(page, "忘了密码？给重设码")
        await keys.press("Enter")
        await page.get_by_test_id("reset-code").wait_for()
        await visitor.check_axe()
        await visitor.shoot("admin-staff-reset")
        await tab_to(page, "停用")
        await keys.press("Enter")
        sure = page.get_by_role("alertdialog")
        await sure.get_by_text("电子秤接口").wait_for()
        await visitor.check_axe()
        await visitor.shoot("admin-staff-shut-out")
        await tab_to(page, "停用 西门平板")
        await keys.press("Enter")
        await sure.get_by_role("button", name=re.compile("西门平板")).wait_for(state="detached")
        await tab_to(page, "确认停用")
        await keys.press("Enter")
        await row.get_by_text("已停用").wait_for()
        await head.open("/admin")
        await head.page.locator("input[autocomplete=current-password]").wait_for()
    shown = await page.evaluate(
        "async () => [(await (await fetch('/api-keys')).json()).keys, "
        "await (await fetch('/gate/devices')).json()]"
    )
    (key,) = [one for one in shown[0] if one["id"] == ids[0]]
    (device,) = [one for one in shown[1] if one["device"] == ids[2]]
    assert key["revoked_at"]
    assert device["revoked_at"]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_operator_s_people_are_fit_to_manage(visitor: Visitor, language: str) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    await page.set_viewport_size(DESK)
    await visitor.open("/admin")
    await visitor.sign_in(OPERATOR.login)
    if language == "en":
        await page.get_by_role("button", name="English").click()
    await visitor.open("/admin/staff")
    heads = "负责人" if language == "zh" else "Heads"
    await page.get_by_role("button", name=re.compile(f"{heads} ")).first.wait_for()
    await visitor.check_axe()
    await visitor.shoot(f"admin-staff-operator-{language}")
    await tab_to(page, f"{heads} {MARKET.name}")
    await keys.press("Enter")
    business = page.locator("#business")
    await business.locator("tbody").wait_for()
    manage = "管理" if language == "zh" else "Manage"
    await tab_to(page, f"{manage} {MARKET.head}")
    await keys.press("Enter")
    await page.get_by_role("heading", name=MARKET.head).wait_for()
    # The first or another one: the demonstration's books are the same for both languages.
    await tab_to(page, "重设码" if language == "zh" else "reset code")
    await keys.press("Enter")
    await page.get_by_test_id("reset-code").wait_for()
    assert not re.search(r"\b(staff|duty|dutyHint)\.[a-z]", await page.locator("body").inner_text())
    await visitor.check_axe()
    await page.emulate_media(color_scheme="dark")
    await visitor.check_axe()
    await page.emulate_media(color_scheme="light")
    await visitor.shoot(f"admin-staff-operator-head-{language}")


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
