"""What people were told: a counter says how much is new, and each marks what he has read."""

import secrets
from datetime import UTC, datetime

from playwright.async_api import Page, expect

from app.core.ids import uuid7
from app.demo.scenario import MARKET, PASSWORD
from tests.browser.conftest import Site, Visitor
from tests.browser.test_m import Hand


def hold_twice(site: Site) -> tuple[list[str], str]:
    """Put a lot of the stall on hold twice, after it has read all that it was told before.

    Returns:
        The holds, and what the goods are called.
    """
    with Hand(site, "stall") as stall:
        lot = next(lot for lot in stall.listed("/lots") if lot["remaining_g"])
        for notice in stall.listed("/notices")[:1]:
            stall.put(f"/notices/{notice['id']}/read", params={"earlier": True}).raise_for_status()
    with Hand(site, "regulator") as office:
        held = [str(uuid7()), str(uuid7())]
        for hold in held:
            office.make(f"/holds/{hold}", {"lot": lot["lot"], "reason": "抽样待检"})
    return held, lot["product_name"]


async def test_a_stall_sees_what_is_new_and_marks_it(visitor: Visitor) -> None:
    page = visitor.page
    held, goods = hold_twice(visitor.site)
    await visitor.open("/m")
    await visitor.sign_in("stall", PASSWORD)
    await page.get_by_role("navigation").get_by_role("img", name="2 条未读").wait_for()
    await page.get_by_role("link", name="我的").click()
    await page.get_by_text("通知", exact=True).wait_for()
    await visitor.shoot("m-more-unread")
    await page.get_by_text("通知", exact=True).click()
    fresh = page.locator("section", has_text="● 未读")
    await expect(fresh).to_have_count(2)
    for one in await fresh.all():
        await expect(one).to_contain_text(f"单独存放 · {goods}")
    await visitor.check_axe()
    await visitor.shoot("m-notices")
    # To look at a thing is to have read of it.
    await fresh.first.get_by_role("link", name="查看").click()
    await page.wait_for_url("**/m/stock/*")
    await page.get_by_role("img", name="1 条未读").wait_for()
    await page.go_back()
    await expect(fresh).to_have_count(1)
    await page.get_by_role("button", name="全部标为已读").click()
    await expect(fresh).to_have_count(0)
    assert await page.get_by_role("navigation").get_by_role("img").count() == 0
    # It is kept by the server, not by this phone.
    await page.reload()
    await page.get_by_text("没有未读").wait_for()
    await visitor.shoot("m-notices-read")
    with Hand(visitor.site, "regulator") as office:
        for hold in held:
            office.make(f"/holds/{hold}/release", {"reason": "检验合格"})


async def press(page: Page, name: str) -> None:
    """Press a button without a mouse."""
    button = page.get_by_role("button", name=name).first
    await button.focus()
    await page.keyboard.press("Enter")


async def test_an_office_sees_what_is_new_and_marks_it_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    with Hand(visitor.site, "regulator") as office:
        for notice in office.listed("/notices")[:1]:
            office.put(f"/notices/{notice['id']}/read", params={"earlier": True})
    with Hand(visitor.site, "stall") as stall:
        code = stall.listed("/tickets")[0]["code"]
        for number in range(3):
            said = {"document": code, "problem": "other", "text": f"第{number}次"}
            stall.make(f"/reports/{uuid7()}", said)
    await visitor.open("/admin")
    await visitor.sign_in("regulator", PASSWORD)
    await page.get_by_role("navigation").get_by_role("img", name="3 条未读").wait_for()
    await page.get_by_role("link", name="预警").click()
    fresh = page.locator("li.unread")
    await expect(fresh).to_have_count(3)
    await visitor.check_axe()
    await visitor.shoot("admin-notices-unread")
    await press(page, "标为已读：收到投诉举报")
    await expect(fresh).to_have_count(2)
    await press(page, "全部标为已读")
    await expect(fresh).to_have_count(0)
    await page.get_by_text("没有未读").wait_for()
    assert await page.get_by_role("navigation").get_by_role("img").count() == 0


async def test_an_office_reads_which_case_and_which_goods_a_notice_is_about(
    visitor: Visitor,
) -> None:
    reason = f"演练 {secrets.token_hex(3)}"
    with Hand(visitor.site, "stall") as stall:
        lot = next(lot for lot in stall.listed("/lots") if lot["remaining_g"])
    with Hand(visitor.site, "regulator") as office:
        case = {
            "found": [lot["lot"]],
            "grade": 2,
            "trigger": "self_check",
            "reason": reason,
            "known_at": datetime.now(UTC).isoformat(),
            "mock": True,
        }
        office.make(f"/recalls/{uuid7()}", case)
    await visitor.open("/admin/warnings")
    await visitor.sign_in(MARKET.login, PASSWORD)
    told = visitor.page.locator("[data-notice=mock_recall]", has_text=reason)
    await expect(told).to_contain_text(f"{lot['product_name']} · {reason}")
    await visitor.check_axe()
    await visitor.shoot("admin-notices-goods")
