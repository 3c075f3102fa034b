"""What the pictures are searched for is found where it is, and not where it is not."""

import pytest
from playwright.async_api import Browser

from tests.browser.conftest import MISFITS

ID = "1a11e8a2-ffac-5381-ac2f-248ca5fa2624"
PAGE = '<body style="font: 18px/1.5 sans-serif; overflow-wrap: anywhere"><div id="app">%s</div>'
MISFITTING = {
    "cut, or beyond": '<p style="width: 4em; overflow: clip; text-wrap: nowrap">南通的市场</p>',
    "beyond its frame": '<button style="width: 4rem; white-space: nowrap">Keep and start</button>',
    "broken within Admit": '<p style="width: 2rem">Admit</p>',
    "a column of single letters": '<p style="width: 1.2em">一号门南通</p>',
    "over each other": "<p>上面</p><p style='margin-top: -2.5rem'>下面</p>",
    "cut in its field: East gate": '<input style="width: 3rem" placeholder="East gate, phone 1">',
    "an id": f"<p>市场 {ID}</p>",
    "an instant nobody reads": "<p>2026-11-26T07:10:00Z</p>",
    "no value": "<p>共 undefined 件</p>",
    "px to hit": '<button style="height: 1rem; padding: 0; border: 0">好</button>',
}
FITTING = {
    "wrapped": '<p style="width: 8rem">Keep this list and start checking</p>',
    "scrolled": '<div style="width: 4rem; overflow-x: auto; white-space: nowrap">市场的名称</div>',
    "covered": "<p>上面</p><p style='margin-top: -2.5rem; background: white'><b>下面</b></p>",
    "id to copy": f'<p class="id">{ID}</p>',
    "code": '<p style="width: 3rem">W8-ABCDEF-12</p>',
}


@pytest.mark.parametrize("misfit", MISFITTING)
async def test_a_misfit_is_found(chromium: Browser, misfit: str) -> None:
    found = await _search(chromium, MISFITTING[misfit])
    assert any(misfit in one for one in found), found


@pytest.mark.parametrize("name", FITTING)
async def test_what_fits_is_left_alone(chromium: Browser, name: str) -> None:
    assert await _search(chromium, FITTING[name]) == []


async def _search(chromium: Browser, content: str) -> list[str]:
    page = await chromium.new_page(viewport={"width": 390, "height": 800})
    await page.set_content(PAGE % content)
    found: list[str] = await page.evaluate(MISFITS.read_text())
    await page.close()
    return found
