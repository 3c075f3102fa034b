"""The ledgers in a browser: signing in, two clicks to the month's Excel, signing out."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from io import BytesIO

import httpx
import pytest
from python_calamine import CalamineWorkbook

from app.core import ids
from app.party import service as parties
from app.party.access import RoleKind
from app.party.models import Party
from tests.conftest import FakeClock
from tests.factories import CHIVES, line
from tests.market import Market, open_market

PASSWORD = "six paper lanterns"
BROWSER = {
    "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "sec-fetch-site": "same-origin",
    "origin": "https://test",
}


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    """A market in which a school's kitchen has an account, and has bought something."""
    async with open_market(database_url, clock) as market:
        await market.add(
            "kitchen", "如东<b>小学</b>食堂", RoleKind.GROUP_BUYER, phone="13987654321"
        )
        state = market.trade.app.state
        async with market.trade.database.transaction() as session:
            party = await session.get_one(Party, market.kitchen.id)
            await parties.open_account(
                session,
                public_id=ids.uuid7(),
                party_id=party.id,
                login="canteen",
                password=PASSWORD,
                vault=state.vault,
                now=market.clock(),
            )
        lot = await market.stall.opens(kg=90, origin="declare")
        ticket = await market.stall.sells(market.kitchen, line(CHIVES, 12, lot))
        await market.kitchen.decides(ticket["ticket"])
        await market.stall.sells(
            market.kitchen, line(CHIVES, 5, lot, trade_name="<script>alert(1)</script>")
        )
        yield market


@pytest.fixture
async def browser(market: Market) -> AsyncIterator[httpx.AsyncClient]:
    """A browser: it sends what browsers send, follows redirects and keeps cookies."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(market.trade.app),
        base_url="https://test",
        headers=BROWSER,
        follow_redirects=True,
    ) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, **fields: str) -> httpx.Response:
    """Fill the form in and send it."""
    return await browser.post("/sign-in", data={"login": "canteen", "password": PASSWORD, **fields})


class Links(HTMLParser):
    """Collects where a page's links lead, by what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._href = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        if self._href is not None and data.strip():
            self.found[data.strip()] = self._href
            self._href = None


def links(page: httpx.Response) -> dict[str, str]:
    """Answer a page's links."""
    parser = Links()
    parser.feed(page.text)
    return parser.found


async def test_two_clicks_from_signing_in_to_the_excel_of_the_month(
    browser: httpx.AsyncClient,
) -> None:
    form = await browser.get("/sign-in")
    assert form.status_code == 200
    page = await sign_in(browser)  # the first click
    assert page.url.path == "/books/purchases"
    assert "12 公斤（24 斤）" in page.text
    file = await browser.get(links(page)["下载 Excel"])  # the second
    rows = CalamineWorkbook.from_filelike(BytesIO(file.content)).get_sheet_by_index(0).to_python()
    assert rows[0][0] == "食用农产品进货查验记录（2026-06）"
    assert rows[-1][0] == "合计"
    paper = await browser.get(links(page)["打印 PDF"])
    assert paper.content.startswith(b"%PDF")


async def test_what_people_typed_is_text_on_the_page(browser: httpx.AsyncClient) -> None:
    page = await sign_in(browser)
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "如东&lt;b&gt;小学&lt;/b&gt;食堂" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "13987654321" not in page.text
    # A browser that is told so runs nothing and sends forms nowhere else.
    assert "form-action 'self'" in page.headers["content-security-policy"]


async def test_every_link_of_the_page_leads_somewhere(browser: httpx.AsyncClient) -> None:
    page = await sign_in(browser)
    found = set(links(page).values()) | set(re.findall(r'href="(/[^"]+)"', page.text))
    assert len(found) >= 7
    for address in found:
        assert (await browser.get(address.replace("&amp;", "&"))).status_code == 200, address


async def test_a_wrong_password_is_told_and_the_login_kept(browser: httpx.AsyncClient) -> None:
    page = await sign_in(browser, password="seven paper lanterns")
    assert page.status_code == 401
    assert "登录名或密码不正确" in page.text
    assert 'value="canteen"' in page.text
    assert "lanterns" not in page.text
    assert not browser.cookies


@pytest.mark.parametrize(
    "body", ["", "login=%FF%FE", "x" * 70, "login=" + "y" * 500, "&".join("abcdefghijk")]
)
async def test_what_is_no_sign_in_is_one_that_fails(browser: httpx.AsyncClient, body: str) -> None:
    page = await browser.post("/sign-in", content=body)
    assert page.status_code == 401


async def test_whoever_is_not_signed_in_is_led_there_and_back(browser: httpx.AsyncClient) -> None:
    wanted = "/books/sales?month=2026-05"
    form = await browser.get(wanted)
    assert form.url.path == "/sign-in"
    (following,) = re.findall(r'name="next" value="([^"]+)"', form.text)
    page = await sign_in(browser, next=following)
    assert str(page.url) == "https://test" + wanted
    assert "本月没有记录" in page.text


async def test_a_sign_in_leads_to_no_other_site(browser: httpx.AsyncClient) -> None:
    form = await browser.get("/sign-in", params={"next": "https://evil.example/books/sales"})
    assert "evil" not in form.text
    page = await sign_in(browser, next="//evil.example/books/sales")
    assert str(page.url) == "https://test/books/purchases"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
async def test_another_site_cannot_send_the_forms(browser: httpx.AsyncClient, path: str) -> None:
    await sign_in(browser)
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        answer = await browser.post(path, headers=headers, data={"login": "x", "password": "y"})
        assert (answer.status_code, answer.json()["code"]) == (403, "cross-site-request")
    assert (await browser.get("/me")).status_code == 200  # still signed in


async def test_signing_out_ends_it(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    page = await browser.post("/sign-out")
    assert page.url.path == "/sign-in"
    assert (await browser.get("/books/purchases")).url.path == "/sign-in"
    assert (await browser.get("/me")).status_code == 401


async def test_refusals_are_pages_for_people_and_problems_for_programs(
    browser: httpx.AsyncClient, market: Market
) -> None:
    await sign_in(browser)
    page = await browser.get("/books/sales?month=2026-13")
    assert page.status_code == 422
    assert "月份格式不正确" in page.text
    assert "This is not a month" in page.text
    other = await browser.get(f"/books/sales?party={market.stall.public_id}")
    assert other.status_code == 403
    assert "王记" not in other.text
    problem = await browser.get(
        "/books/sales?month=2026-13", headers={"accept": "application/json"}
    )
    assert problem.json()["code"] == "month-invalid"
    stranger = httpx.AsyncClient(
        transport=httpx.ASGITransport(market.trade.app), base_url="https://test"
    )
    async with stranger:
        answer = await stranger.get("/books/sales")
    assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in")


async def test_an_office_looks_at_a_page_and_is_recorded(market: Market) -> None:
    path = f"/books/purchases?party={market.kitchen.public_id}"
    page = await market.regulator.get(path)
    assert page.status_code == 200
    assert f"&amp;party={market.kitchen.public_id}" in page.text
    seen = await market.trade.rows("SELECT caller_id, owner_id, form FROM ledger_access")
    assert [tuple(row) for row in seen] == [(market.regulator.id, market.kitchen.id, "page")]


async def test_a_long_page_goes_on(
    browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.routes.PAGE_ROWS", 1)
    first = await sign_in(browser)
    (following,) = [href for href in links(first).values() if "after=" in href]
    second = await browser.get(following)
    assert "待验收" in second.text
    assert not [href for href in links(second).values() if "after=" in href]
