"""A market office lets devices push their results: by keyboard, with a key that is shown once."""

import hashlib
import hmac
import json
import secrets
import time

import httpx
from playwright.async_api import Page, expect

from app.demo.scenario import MARKET, STALL
from tests.browser.conftest import Visitor
from tests.browser.test_admin import DESK, go, tab_to


async def push(address: str, secret: str) -> httpx.Response:
    """Push a row of a sample that nobody took, signed as the maker of the devices does."""
    source = address.rpartition("/test-sources/")[2].partition("/")[0]
    record = {"record_id": "R-1", "sample_no": secrets.token_hex(6), "method": "x", "value": "1"}
    body = json.dumps({"records": [record]}).encode()
    at, nonce = str(int(time.time())), secrets.token_hex(16)
    digest = hashlib.sha256(body).hexdigest()
    message = f"ypt-push-1\n{source}\n{at}\n{nonce}\n{digest}".encode()
    headers = {
        "content-type": "application/json",
        "X-Ypt-Timestamp": at,
        "X-Ypt-Nonce": nonce,
        "X-Ypt-Signature": hmac.new(bytes.fromhex(secret), message, hashlib.sha256).hexdigest(),
    }
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(address, content=body, headers=headers)


async def register(page: Page, name: str) -> tuple[str, str]:
    """Register a feed without a mouse, and answer its address and its key."""
    await tab_to(page, "登记来源")
    await page.keyboard.press("Enter")
    await tab_to(page, "名称")
    await page.keyboard.type(name)
    await tab_to(page, "厂家")
    await page.keyboard.type("ACME")
    await page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name=f"“{name}”已登记")
    await expect(heading).to_be_focused()
    address = await page.get_by_test_id("feed-address").inner_text()
    return address, await page.get_by_test_id("feed-secret").inner_text()


async def test_a_market_lets_devices_push_moves_them_and_ends_it(visitor: Visitor) -> None:
    page = visitor.page
    await page.set_viewport_size(DESK)
    await visitor.open("/admin")
    await visitor.sign_in(MARKET.login)
    await go(visitor, "/market")
    # Whoever keeps a stall is named.
    await page.get_by_role("link", name=STALL.name).first.wait_for()
    name = f"快检仪 {secrets.token_hex(3)}"
    address, secret = await register(page, name)
    assert len(secret) == 64
    await visitor.check_axe()
    await visitor.shoot("admin-feed-secret")
    await tab_to(page, "已抄下")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("feed-secret")).to_have_count(0)
    assert (await push(address, secret)).json()["refused"] == 1
    await go(visitor, "/market")
    assert secret not in await page.content()
    row = page.locator("tr[data-feed]", has_text=name)
    await row.get_by_text("收下 0 行，重复 0 行，退回 1 行").wait_for()
    await row.get_by_text("退回原因").click()
    await row.get_by_text("第 1 行（记录 R-1）").wait_for()
    await visitor.check_axe()
    await visitor.shoot("admin-feeds")
    place = row.locator("td").nth(1)
    before = await place.inner_text()
    await tab_to(page, f"给“{name}”换位置")
    await page.keyboard.press("Enter")
    await tab_to(page, "所在位置")
    await page.keyboard.press("ArrowDown")
    await visitor.shoot("admin-feed-move")
    await page.get_by_role("button", name="换到这里").press("Enter")
    await expect(place).not_to_have_text(before)
    # The keyboard goes on where it was.
    await expect(row.get_by_role("button", name=f"给“{name}”换位置")).to_be_focused()
    await tab_to(page, f"停用“{name}”")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    await expect(row.get_by_role("button", name=f"停用“{name}”")).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, "确认停用")
    await page.keyboard.press("Enter")
    await row.get_by_text("已停用").wait_for()
    await expect(row).to_be_focused()
    assert (await push(address, secret)).status_code == 404
