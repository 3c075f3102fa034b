"""Whoever bought the goods reports a problem with a phone, and the office's answer comes back."""

import re
from pathlib import Path

from playwright.async_api import FilePayload, Page, Route

from app.demo.scenario import PASSWORD
from tests.browser.conftest import Visitor
from tests.gate import photo

TEXT = "韭菜有农药味，吃后头晕"
FILMED = "青菜里有虫，拍了两段"
SICK = "豆芽有异味，孩子吃了肚子疼"


async def attach(page: Page) -> None:
    """Choose two photos on the form."""
    taken = [FilePayload(name=f"{at}.jpg", mimeType="image/jpeg", buffer=photo()) for at in "12"]
    await page.locator("#photos").set_input_files(taken)


async def ticket_at_hand(visitor: Visitor) -> str:
    """Answer the address of a ticket of the stall's, and leave nobody signed in."""
    await visitor.open("/m")
    await visitor.sign_in("stall", PASSWORD)
    url: str = await visitor.page.evaluate(
        "fetch('/tickets').then(r => r.json()).then(t => t[0].url)"
    )
    await visitor.context.clear_cookies()
    return url


async def answer_it(visitor: Visitor) -> None:
    """Read the report as the office, take it up and answer it."""
    page = visitor.page
    await visitor.open("/admin")
    await visitor.sign_in("regulator", PASSWORD)
    await page.get_by_role("link", name="投诉举报").click()
    await page.get_by_text(TEXT).wait_for()
    assert "13800138000" in await page.inner_text("main")
    report = page.locator("section", has=page.get_by_text(TEXT)).last
    shown = report.locator(".photos img")
    assert await shown.count() == 2
    await report.scroll_into_view_if_needed()  # what is not in sight is not fetched
    for photo_shown in await shown.all():
        await photo_shown.scroll_into_view_if_needed()
        handle = await photo_shown.element_handle()
        await page.wait_for_function("image => image.naturalWidth > 0", arg=handle)
    await report.get_by_role("button", name="受理", exact=True).click()
    await report.get_by_role("button", name="受理", exact=True).wait_for(state="detached")
    await visitor.check_axe()
    await visitor.shoot("admin-reports-one")
    # The head puts the answer off: by keyboard, and the new day is told with the code.
    await report.get_by_text("延长答复期限").focus()
    await page.keyboard.press("Enter")
    await report.get_by_label("批准的负责人").fill("王处长")
    await report.get_by_label("延期理由").fill("等待检验结果")
    await visitor.check_axe()
    await visitor.shoot("admin-report-extend")
    await report.get_by_role("button", name="延期", exact=True).press("Enter")
    await report.get_by_text("已延期").wait_for()
    assert await report.get_by_text("延长答复期限").count() == 0
    # As much may be written as the books take, and it is counted.
    answer = "已抽样检验，结果合格。" * 50
    await report.get_by_label("答复内容").fill(answer)
    await report.get_by_text(f"已写 {len(answer)} 字，最多 2000 字").wait_for()
    await visitor.shoot("admin-reports-answer")
    await report.get_by_role("button", name="答复", exact=True).click()
    await report.get_by_text("已答复 ·").wait_for()


async def test_photos_that_are_too_large_lose_no_word(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    url = await ticket_at_hand(visitor)
    await visitor.open("/report?document=" + url.rpartition("/")[2])
    await page.locator("#problem").select_option("ill")
    await page.locator("#text").fill(FILMED)
    await page.locator("#contact").fill("13800138000")
    # Two films of a phone: more than the server reads, and more goes on coming while it answers.
    films = [tmp_path / f"{at}.jpg" for at in "12"]
    for film in films:
        film.write_bytes(b"\0" * (24 << 20))
    await page.locator("#photos").set_input_files(films)
    async with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        await page.locator("form.s button").click()
    assert (await answered.value).status == 413
    alert = page.get_by_role("alert")
    assert "少选几张" in await alert.inner_text()
    assert "send it once more" in await alert.inner_text()
    assert await page.locator("#text").input_value() == FILMED
    assert await page.locator("#contact").input_value() == "13800138000"
    assert await page.locator("#problem").input_value() == "ill"
    await visitor.check_axe()
    await visitor.shoot("report-too-large")
    await attach(page)
    await page.locator("form.s button").click()
    await page.wait_for_url(re.compile(r"/report/[A-Z2-7-]{19}$"))


async def test_who_goes_back_to_the_form_does_not_report_twice(visitor: Visitor) -> None:
    page = visitor.page
    url = await ticket_at_hand(visitor)
    await visitor.open("/report?document=" + url.rpartition("/")[2])
    await page.locator("#problem").select_option("ill")
    await page.locator("#text").fill(SICK)
    received = re.compile(r"/report/[A-Z2-7-]{19}$")

    async def lose(route: Route) -> None:
        await route.fetch(max_redirects=0)
        await route.abort()

    # The report arrives and its answer does not; then again, and back once more.
    await page.route("**/report", lose, times=1)
    await page.locator("form.s button").click()
    await page.wait_for_url("chrome-error://**")
    await page.go_back()
    assert await page.locator("#text").input_value() == SICK
    await page.locator("form.s button").click()
    await page.wait_for_url(received)
    first = page.url
    await page.go_back()
    await page.locator("form.s button").dblclick()
    await page.wait_for_url(received)
    assert page.url == first
    # Other words are another report, and that is said before.
    await page.go_back()
    await page.locator("#text").fill(f"{SICK}，已就医")
    await page.locator("form.s button").click()
    alert = page.get_by_role("alert")
    assert "先前填写的内容已经收到" in await alert.inner_text()
    assert await page.locator("#text").input_value() == f"{SICK}，已就医"
    await visitor.check_axe()
    await visitor.shoot("report-arrived-before")
    await page.locator("form.s button").click()
    await page.wait_for_url(received)
    assert page.url != first


async def test_a_problem_is_reported_and_answered(visitor: Visitor) -> None:
    page = visitor.page
    url = await ticket_at_hand(visitor)
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
    await attach(page)
    await page.locator("#document").fill("0000000000000")
    await page.locator("form.s button").click()
    await page.get_by_role("alert").wait_for()
    assert await page.locator("#text").input_value() == TEXT
    assert "照片需要重新选择" in await page.get_by_role("alert").inner_text()
    await visitor.check_axe()
    await visitor.shoot("report-refused")
    await page.locator("#document").fill(url)
    await attach(page)
    await page.locator("form.s button").click()
    await page.wait_for_url(re.compile(r"/report/[A-Z2-7-]{19}$"))
    await visitor.check_axe()
    await visitor.shoot("report-received")
    tracked = page.url
    assert await page.locator("img").count() == 0
    await answer_it(visitor)
    await visitor.open("/report")
    await page.locator("#code").fill(tracked.rpartition("/")[2].lower())
    await page.locator("form[method=get] button").click()
    await page.wait_for_url(tracked)
    assert "已抽样检验" in await page.inner_text("main")
    assert "13800138000" not in await page.content()
    await visitor.check_axe()
    await visitor.shoot("report-answered")
