"""Whoever bought the goods reports a problem with a phone, and the office's answer comes back."""

import re

from app.demo.scenario import PASSWORD
from tests.browser.conftest import Visitor

TEXT = "韭菜有农药味，吃后头晕"


async def test_a_problem_is_reported_and_answered(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open("/m")
    await visitor.sign_in("stall", PASSWORD)
    url = await page.evaluate("fetch('/tickets').then(r => r.json()).then(t => t[0].url)")
    await visitor.context.clear_cookies()
    await visitor.open("/t/" + url.rpartition("/")[2])
    await page.locator("a[href^='/report']").click()
    await visitor.check_axe()
    await visitor.shoot("report-form")
    # What is missing is said, by the browser and without a script; what was typed stays.
    await page.locator("#text").fill(TEXT)
    await page.locator("form.s button").click()
    assert await page.evaluate("document.querySelector('#problem:invalid') !== null")
    await page.locator("#problem").select_option("unsafe")
    await page.locator("#contact").fill("13800138000")
    await page.locator("#document").fill("0000000000000")
    await page.locator("form.s button").click()
    await page.get_by_role("alert").wait_for()
    assert await page.locator("#text").input_value() == TEXT
    await visitor.check_axe()
    await visitor.shoot("report-refused")
    await page.locator("#document").fill(url)
    await page.locator("form.s button").click()
    await page.wait_for_url(re.compile(r"/report/[A-Z2-7-]{19}$"))
    await visitor.check_axe()
    await visitor.shoot("report-received")
    tracked = page.url
    await visitor.open("/admin")
    await visitor.sign_in("regulator", PASSWORD)
    await page.get_by_role("link", name="投诉举报").click()
    await page.get_by_text(TEXT).wait_for()
    assert "13800138000" in await page.inner_text("main")
    await page.get_by_role("button", name="受理", exact=True).click()
    await page.get_by_role("button", name="受理", exact=True).wait_for(state="detached")
    await visitor.check_axe()
    await visitor.shoot("admin-reports-one")
    await page.get_by_label("答复内容").fill("已抽样检验，结果合格。")
    await page.get_by_role("button", name="答复", exact=True).click()
    await page.get_by_text("已答复 ·").wait_for()
    await visitor.open("/report")
    await page.locator("#code").fill(tracked.rpartition("/")[2].lower())
    await page.locator("form[method=get] button").click()
    await page.wait_for_url(tracked)
    assert "已抽样检验" in await page.inner_text("main")
    assert "13800138000" not in await page.content()
    await visitor.check_axe()
    await visitor.shoot("report-answered")
