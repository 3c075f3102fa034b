"""The gate: enrol, scan in every way, decide, without a network too; nothing lost, nothing double.

The browser is started anew where a test closes it, with the same profile: what counts is what the
device has kept. The server is the real one, and is killed as a power cut would.
"""

import asyncio
import hashlib
import hmac
import io
import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import httpx
import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import BrowserContext, Locator, Page, Route, async_playwright, expect

from app.core import ids
from app.demo.main_job import QR_ONLY
from app.demo.scenario import FARMS, GATE, MARKET, MARKET_SITE, PASSWORD, REGULATOR, STALL
from app.label.rules import PATH as LABEL_PATH
from app.signing import shortcode
from app.signing.qr import draw_png
from tests.browser.camera import camera_that_shows, darkness, film
from tests.browser.conftest import ARGUMENTS, CHROMIUM, ROOT, Site, Visitor

RICE, CHIVES = 1, 18
PATIENCE_MS = 20_000
VERDICT_P95_MS = 1_000
VERDICT_MS_MAX = 50
COLD_OPEN_S_MAX = 3.0
JS_BYTES_MAX = 60_000
WASM_BYTES_MAX = 330_000
TRUCKS = 10
CYCLES = 12
HOUR_MS = 3_600_000


# --- people ---------------------------------------------------------------------------------------


@dataclass
class People:
    """Those whose work a gate looks at; they act through HTTP."""

    site: Site

    @contextmanager
    def as_(self, login: str) -> Iterator[httpx.Client]:
        """Sign somebody in."""
        with httpx.Client(base_url=self.site.url, timeout=30) as client:
            credentials = {"login": login, "password": PASSWORD}
            assert client.post("/sessions", json=credentials).is_success
            yield client

    def put(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Write, which must succeed."""
        answer = client.put(path, json=body)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def tickets(self, count: int, product: int = RICE) -> list[dict[str, Any]]:
        """Let a farmer sell goods to the stall, a ticket each; they share a lot."""
        with self.as_(FARMS[0].farmer.login) as farmer:
            lot = str(ids.uuid7())
            goods = {"product": product, "quantity": str(50 * count), "unit": "公斤"}
            body = {"origin": "harvest", "division_code": "320682001001", **goods}
            self.put(farmer, f"/lots/{lot}", body)
            return [
                {
                    **self.put(
                        farmer,
                        f"/tickets/{ids.uuid7()}",
                        {
                            "buyer": {"party": str(STALL.party)},
                            "market": str(MARKET_SITE.id),
                            "lines": [
                                {
                                    "product": product,
                                    "quantity": "50",
                                    "unit": "公斤",
                                    "draws": [{"lot": lot}],
                                }
                            ],
                        },
                    ),
                    "lot": lot,
                }
                for _ in range(count)
            ]

    def code(self) -> str:
        """Let the market's office make an enrolment code for its gate."""
        with self.as_(MARKET.login) as office:
            body = {"place": str(GATE.id)}
            return str(self.put(office, f"/gate/enrolments/{ids.uuid7()}", body)["code"])

    def hold(self, lot: str) -> None:
        """Let the market hold a lot."""
        with self.as_(MARKET.login) as office:
            self.put(office, f"/holds/{ids.uuid7()}", {"lot": lot, "reason": "抽检不合格"})

    def recall(self, lot: str) -> None:
        """Let the regulator call a lot back."""
        with self.as_(REGULATOR.login) as office:
            body = {
                "found": [lot],
                "grade": 1,
                "trigger": "test",
                "reason": "克百威超标",
                "known_at": datetime.now(UTC).isoformat(),
            }
            self.put(office, f"/recalls/{ids.uuid7()}", body)

    def publish(self) -> None:
        """Do what the worker does every five minutes, and the operator every month."""
        command = [sys.executable, "-m", "app.cli", "key", "publish"]
        key = str(self.site.data / "root-key")
        subprocess.run(
            [*command, key, "--json"],
            check=True,
            cwd=ROOT,
            env=self.site.environment,
            stdout=subprocess.DEVNULL,
        )

    async def rows(self, query: str, *values: Any) -> list[Any]:
        """Look into the database itself."""
        url = self.site.environment["YPT_DATABASE_URL"].replace("+asyncpg", "")
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()


@pytest.fixture
def people(site: Site) -> People:
    """Everybody, at a server that runs."""
    if site.process is None:
        site.start()
    return People(site)


# --- the device -----------------------------------------------------------------------------------


@dataclass
class Phone:
    """A phone at a gate, whose browser can be closed and opened again."""

    site: Site
    profile: Path
    extra: list[str] = field(default_factory=list)
    script: str = ""
    visitor: Visitor | None = None

    @property
    def page(self) -> Page:
        """The page that is open."""
        assert self.visitor is not None
        return self.visitor.page

    @asynccontextmanager
    async def on(self) -> AsyncIterator["Phone"]:
        """Have the browser run for the while."""
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                self.profile,
                executable_path=CHROMIUM,
                args=[*ARGUMENTS, *self.extra],
                viewport={"width": 390, "height": 800},
                locale="zh-CN",
                timezone_id="America/New_York",
                has_touch=True,
                permissions=["camera"] if self.extra else [],
            )
            if self.script:
                await context.add_init_script(self.script)
            self.visitor = await self._visit(context)
            yield self
            assert self.visitor.foreign == [], "asked other hosts"
            told = "\n".join(["errors in the browser", *self.visitor.faults])
            assert self.visitor.faults == [], told
            await context.close()

    async def _visit(self, context: BrowserContext) -> Visitor:
        page = context.pages[0] if context.pages else await context.new_page()
        visitor = Visitor(context, page, self.site)
        visitor.watch(page)
        return visitor

    async def open(self) -> None:
        """Open the gate's page."""
        await self.page.goto(self.site.url + "/gate")
        await self.page.locator("h1, [data-testid=to-upload]").first.wait_for()

    async def enrol(self, code: str) -> None:
        """Enrol as a guard does, and wait until the page opens without a network."""
        await self.open()
        await self.page.locator("input[name=code]").fill(code)
        await self.page.locator("input[name=name]").fill("一号门手机")
        await self.page.locator("button.main").click()
        await self.page.locator("input[name=inspector]").fill("周检查")
        await self.page.locator("button.main").click()
        await self.page.locator("#typed").wait_for()
        await self.page.evaluate("navigator.serviceWorker.ready")
        await self.list_is("green")

    async def list_is(self, colour: str) -> None:
        """Wait until the list's age has a colour."""
        await expect(self.page.get_by_test_id("list-age")).to_have_class(
            re.compile(rf"\b{colour}\b"), timeout=PATIENCE_MS
        )

    async def refresh(self) -> None:
        """Fetch the newest list, as somebody who does not wait for it."""
        await self.page.locator("[data-tab=settings]").click()
        await self.page.get_by_test_id("refresh").click()
        await expect(self.page.get_by_test_id("refresh")).to_be_enabled(timeout=PATIENCE_MS)
        await self.page.locator("[data-tab=check]").click()

    async def wedge(self, text: str) -> None:
        """Scan with a scanner that types."""
        await self.page.locator("#typed").wait_for()
        await self.page.evaluate("document.activeElement.blur()")
        await self.page.keyboard.type(text)
        await self.page.keyboard.press("Enter")

    async def verdict(self, colour: str, code: str) -> None:
        """Wait for a verdict."""
        shown = self.page.locator(".verdict")
        await expect(shown).to_have_attribute("data-code", code, timeout=PATIENCE_MS)
        await expect(shown).to_have_attribute("data-colour", colour)

    async def decide(self, decision: str) -> None:
        """Decide, and see the next scan begin by itself."""
        await self.page.locator(f"[data-decision={decision}]").click()
        await self.page.get_by_test_id("done").wait_for()
        await self.page.get_by_test_id("done").wait_for(state="detached", timeout=PATIENCE_MS)
        await self.page.locator("#typed").wait_for()

    async def waits_to_upload(self, count: int) -> None:
        """Wait until so many are to be uploaded."""
        await expect(self.page.get_by_test_id("to-upload")).to_contain_text(
            re.compile(rf"\b{count}$"), timeout=PATIENCE_MS
        )

    async def uploads(self) -> None:
        """Learn that there is a network again, until nothing waits any more.

        An exchange that is under way when the browser tells of the network may still fail.
        """
        for _ in range(20):
            await self.page.evaluate("dispatchEvent(new Event('online'))")
            await self.page.wait_for_timeout(500)
            if (await self.page.get_by_test_id("to-upload").inner_text()).endswith(" 0"):
                return
        await self.waits_to_upload(0)

    async def kept(self) -> dict[str, Any]:
        """Read what the device keeps about itself."""
        found: dict[str, Any] = await self.page.evaluate(
            """() => new Promise((resolve) => {
                const opening = indexedDB.open('gate')
                opening.onsuccess = () => {
                    const kept = opening.result.transaction('kept').objectStore('kept')
                    const asked = kept.get('device')
                    asked.onsuccess = () => resolve(asked.result)
                }
            })"""
        )
        return found


@pytest.fixture
def phone(site: Site, tmp_path: Path) -> Phone:
    """A phone with a fresh profile."""
    return Phone(site, tmp_path / "profile")


def forge(url: str) -> str:
    """Change one digit of a ticket's signature."""
    return url[:-1] + str((int(url[-1]) + 1) % 10)


# --- without a network ----------------------------------------------------------------------------


# From the scanner's last key to a verdict for which nobody is asked any more.
WATCH_SCANNER = """
() => {
    const took = (window.took = [])
    let since = null
    const heard = ({ key }) => { if (key === 'Enter') since = performance.now() }
    addEventListener('keydown', heard, true)
    new MutationObserver(() => {
        const shown = document.querySelector('.verdict')
        if (!shown || shown.querySelector('.asking') || since === null) return
        took.push(performance.now() - since)
        since = null
    }).observe(document.body, { childList: true, subtree: true })
}
"""


async def test_ten_trucks_without_a_server_are_all_uploaded_once(
    people: People, phone: Phone
) -> None:
    tickets = people.tickets(TRUCKS)
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        people.site.kill()
        await phone.page.evaluate(WATCH_SCANNER)
        for number, ticket in enumerate(tickets, start=1):
            await phone.wedge(ticket["url"])
            await phone.verdict("green", "valid")
            await phone.decide("ADMIT")
            await phone.waits_to_upload(number)
        took = await phone.page.evaluate("window.took")
        print(f"scanned to verdict: median {median(took):.0f} ms, most {max(took):.0f} ms")  # noqa: T201 (the figure itself)
        assert len(took) == TRUCKS
        assert median(took) <= VERDICT_MS_MAX
        device = (await phone.kept())["id"]
    async with phone.on():
        begun = time.monotonic()
        await phone.open()
        await phone.page.locator("#typed").wait_for()
        cold_s = time.monotonic() - begun
        print(f"cold open offline: {cold_s:.2f} s")  # noqa: T201 (the figure itself)
        assert cold_s <= COLD_OPEN_S_MAX
        await phone.waits_to_upload(TRUCKS)
        await phone.page.locator("[data-tab=today]").click()
        await expect(phone.page.locator("[data-testid=today] > li")).to_have_count(TRUCKS)
        people.site.start()
        lost = await lose_first_answer(phone.page)
        await phone.page.evaluate("dispatchEvent(new Event('online'))")
        await asyncio.wait_for(lost.wait(), PATIENCE_MS / 1000)
        await phone.waits_to_upload(TRUCKS)
        await phone.uploads()
        await expect(phone.page.locator(".state.green")).to_have_count(TRUCKS)
    rows = await people.rows(
        "SELECT i.sequence, l.code, l.decided_offline FROM inspection i "
        "JOIN inspection_line l ON l.inspection_id = i.id WHERE i.device = $1 ORDER BY 1",
        device,
    )
    assert [row["sequence"] for row in rows] == list(range(1, TRUCKS + 1))
    assert [row["code"] for row in rows] == [one["url"].rpartition("/")[2] for one in tickets]
    assert {row["decided_offline"] for row in rows} == {"ADMIT"}


async def lose_first_answer(page: Page) -> asyncio.Event:
    """Let the first upload reach the server, and its answer not come back."""
    lost = asyncio.Event()

    async def lose(route: Route) -> None:
        if lost.is_set():
            await route.continue_()
            return
        response = await route.fetch()
        assert response.status == HTTPStatus.OK
        await route.abort()
        lost.set()

    await page.route("**/gate/uploads", lose)
    return lost


async def test_a_vehicle_of_several_tickets_survives_a_killed_browser(
    people: People, phone: Phone
) -> None:
    tickets = people.tickets(3)
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        people.site.kill()
        await phone.page.get_by_test_id("start-truck").click()
        await phone.page.locator("input[name=plate]").fill("苏F88888")
        await phone.page.locator("input[name=plate]").blur()
        for ticket, decision in zip(tickets[:2], ["ADMIT", "HOLD"], strict=True):
            await phone.wedge(ticket["url"])
            await phone.decide(decision)
    async with phone.on():
        await phone.open()
        await expect(phone.page.locator(".truck li")).to_have_count(2)
        await phone.wedge(tickets[2]["url"])
        await phone.decide("REFUSE")
        assert phone.visitor is not None
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-truck")
        await phone.page.get_by_test_id("finish-truck").click()
        await phone.waits_to_upload(1)
        device = (await phone.kept())["id"]
        people.site.start()
        await phone.uploads()
    rows = await people.rows(
        "SELECT i.plate, l.decided_offline FROM inspection i "
        "JOIN inspection_line l ON l.inspection_id = i.id WHERE i.device = $1 ORDER BY l.no",
        device,
    )
    assert [tuple(row) for row in rows] == [
        ("苏F88888", decision) for decision in ("ADMIT", "HOLD", "REFUSE")
    ]


async def test_each_kind_of_code_is_shown_as_what_it_is(people: People, phone: Phone) -> None:
    sound, copied, later = people.tickets(3)
    [held] = people.tickets(1)
    async with phone.on():
        await phone.enrol(people.code())
        people.hold(held["lot"])
        people.publish()
        await phone.refresh()
        [after] = people.tickets(1)
        people.site.kill()
        assert phone.visitor is not None
        cases = (
            (sound["url"], "green", "valid", "ADMIT"),
            (forge(sound["url"]), "red", "forged", "REFUSE"),
            (held["url"], "red", "held", "HOLD"),
            (after["url"], "amber", "after-list", "ADMIT_AFTER_TEST"),
            ("https://example.com/t/123456", "grey", "foreign", "HOLD"),
            (people.site.url + "/t/0123", "red", "unreadable", "REFUSE"),
        )
        for text, colour, code, decision in cases:
            await phone.wedge(text)
            await phone.verdict(colour, code)
            suggested = phone.page.locator(".buttons .main")
            assert await suggested.get_attribute("data-decision") == decision
            await phone.visitor.check_axe()
            await phone.visitor.shoot(f"gate-{code}")
            await phone.decide(decision)
        for colour, code in (("green", "valid"), ("red", "came-before")):
            await phone.wedge(copied["url"])
            await phone.verdict(colour, code)
            await phone.decide("ADMIT" if colour == "green" else "REFUSE")
        await phone.page.locator("#typed").fill(later["code"])
        await phone.page.locator(".typed button").click()
        await phone.verdict("grey", "typed-code")
        await phone.decide("HOLD")
        # Labels of crates carry no more than a short address: ours, and only the books can read it.
        for path in (shortcode.PATH, LABEL_PATH):
            await phone.wedge(people.site.url + path + later["code"])
            await phone.verdict("grey", "typed-code")
            await phone.decide("HOLD")
        people.site.start()
        await phone.uploads()
        await phone.page.locator("#typed").fill(later["code"].lower())
        await phone.page.locator(".typed button").click()
        await phone.page.locator("[data-code^='books.']").wait_for(timeout=PATIENCE_MS)
        await expect(phone.page.locator(".product")).to_have_text("大米")
        await phone.visitor.shoot("gate-typed-online")
        await phone.decide("ADMIT")
        await phone.waits_to_upload(0)
        await phone.page.locator("[data-tab=today]").click()
        await expect(phone.page.locator("[data-testid=today] > li")).to_have_count(12)
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-today")


async def test_a_recalled_lot_is_shown_as_what_it_is(people: People, phone: Phone) -> None:
    [ticket] = people.tickets(1)
    async with phone.on():
        await phone.enrol(people.code())
        people.recall(ticket["lot"])
        people.publish()
        await phone.refresh()
        await phone.wedge(ticket["url"])
        await phone.verdict("red", "held")
        await phone.page.locator(".asking").wait_for(state="detached", timeout=PATIENCE_MS)
        await expect(phone.page.locator(".findings li.red")).not_to_have_count(0)
        suggested = phone.page.locator(".buttons .main")
        assert await suggested.get_attribute("data-decision") == "HOLD"
        assert phone.visitor is not None
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-recalled")
        await phone.decide("HOLD")
        people.site.kill()
        await phone.wedge(ticket["url"])
        await phone.verdict("red", "held")
        await expect(phone.page.get_by_test_id("headline")).to_contain_text("召回")
        await phone.decide("HOLD")
        people.site.start()


async def test_a_copy_at_two_gates_without_a_network_is_found_when_they_upload(
    people: People, phone: Phone, visitor: Visitor, tmp_path: Path
) -> None:
    [ticket] = people.tickets(1)
    second = Phone(people.site, tmp_path / "second")
    async with phone.on(), second.on():
        for one in (phone, second):
            await one.enrol(people.code())
        people.publish()
        for one in (phone, second):
            await one.refresh()
        people.site.kill()
        for one in (phone, second):
            await one.wedge(ticket["url"])
            await one.verdict("green", "valid")
            await one.decide("ADMIT")
        people.site.start()
        for one in (phone, second):
            await one.uploads()
        await second.page.locator("[data-tab=today]").click()
        await expect(second.page.locator("[data-testid=today] .note.amber")).to_contain_text("矛盾")
        assert second.visitor is not None
        await second.visitor.shoot("gate-today-case")
    [row] = await people.rows(
        "SELECT count(*) AS cases FROM gate_case c JOIN ticket t ON t.id = c.ticket_id "
        "WHERE t.code = $1 AND c.kind = 'admitted_more_than_issued'",
        ticket["code"].replace("-", ""),
    )
    assert row["cases"] == 1
    await visitor.open("/admin/gate-cases")
    await visitor.sign_in(MARKET.login)
    await visitor.page.get_by_text("已放行").first.wait_for()
    assert "issued_g" not in await visitor.page.locator("#content").inner_text()
    await visitor.check_axe()
    await visitor.shoot("admin-gate-case")


async def test_an_old_list_says_so_and_a_much_older_one_asks_for_a_network(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1)
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        people.site.kill()
    for hours, colour, code in ((30, "amber", "list-old"), (80, "grey", "list-too-old")):
        phone.script = f"{{ const now = Date.now; Date.now = () => now() + {hours * HOUR_MS}; }}"
        async with phone.on():
            await phone.open()
            await phone.list_is(colour)
            await phone.wedge(ticket["url"])
            await phone.verdict(colour, code)
            assert phone.visitor is not None
            await phone.visitor.shoot(f"gate-{code}")
            await phone.decide("HOLD")
    phone.script = f"{{ const now = Date.now; Date.now = () => now() - {2 * HOUR_MS}; }}"
    async with phone.on():
        await phone.open()
        await phone.wedge(ticket["url"])
        await phone.verdict("amber", "clock-behind")
    people.site.start()


async def test_a_list_that_was_tampered_with_is_left_and_said(people: People, phone: Phone) -> None:
    async with phone.on():
        await phone.enrol(people.code())
        # Something must change in the list: shards that stay the same are not fetched again.
        people.hold(people.tickets(1)[0]["lot"])
        people.publish()

        async def tamper(route: Route) -> None:
            response = await route.fetch()
            body = bytearray(await response.body())
            body[-1] ^= 1
            await route.fulfill(response=response, body=bytes(body))

        await phone.page.route("**/gate/bundle/shards/*", tamper)
        await phone.refresh()
        unfit = phone.page.get_by_test_id("unfit")
        await expect(unfit).to_have_text("新名单可能有假，未采用。请报告市场办公室。")
        await expect(unfit).to_have_attribute("data-reason", "shard-tampered")
        await phone.page.unroute("**/gate/bundle/shards/*")

        async def stale(route: Route) -> None:
            response = await route.fetch()
            told = await response.json()
            told["meta"]["document"] = told["meta"]["document"].replace('"version":', '"version":1')
            await route.fulfill(response=response, body=json.dumps(told))

        await phone.page.route("**/gate/bundle", stale)
        await phone.refresh()
        await expect(unfit).to_have_attribute("data-reason", "bad-signature")
        await phone.page.unroute("**/gate/bundle")
        await phone.refresh()
        await expect(unfit).to_have_count(0)


# --- the camera -----------------------------------------------------------------------------------


WATCH = """
() => {
    const video = document.querySelector('video')
    const pen = Object.assign(document.createElement('canvas'), { width: 8, height: 8 })
        .getContext('2d', { willReadFrequently: true })
    const seen = (window.seen = [])
    let bright = true
    let since = null
    const look = () => {
        if (video.videoWidth && document.contains(video)) {
            pen.drawImage(video, 0, 0, 8, 8)
            const is = pen.getImageData(0, 0, 8, 8).data[0] > 100
            if (is && !bright) since = performance.now()
            bright = is
        }
        requestAnimationFrame(look)
    }
    look()
    new MutationObserver(() => {
        const shown = document.querySelector('.verdict')
        // With a network it is the books' verdict that counts.
        if (!shown || shown.querySelector('.asking') || since === null) return
        seen.push(performance.now() - since)
        since = null
    }).observe(document.body, { childList: true, subtree: true })
}
"""


async def test_a_crooked_blurred_code_becomes_a_verdict_within_a_second(
    people: People, phone: Phone
) -> None:
    tickets = people.tickets(2)
    target = phone.profile.parent / "film.mjpeg"
    film([one["url"] for one in tickets], target)
    phone.extra = camera_that_shows(target)
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        people.site.kill()
        await phone.page.evaluate(WATCH)
        await film_becomes_verdicts(phone, "offline")
        people.site.start()
        await phone.uploads()
        await phone.page.evaluate("window.seen.length = 0")
        await film_becomes_verdicts(phone, "online")
        await phone.page.locator("[data-tab=settings]").click()


async def film_becomes_verdicts(phone: Phone, how: str) -> None:
    """Decide about what the camera sees, again and again, and measure how soon it is known.

    A dozen times: their p95 is the slowest of them.
    """
    page = phone.page
    for _ in range(CYCLES):
        await page.locator(".verdict").wait_for(timeout=PATIENCE_MS)
        await page.locator(".verdict .asking").wait_for(state="detached", timeout=PATIENCE_MS)
        await page.locator("[data-decision=ADMIT]").click()
        await page.locator(".verdict").wait_for(state="detached")
    await page.get_by_test_id("done").wait_for(state="detached", timeout=PATIENCE_MS)
    seen = sorted(await page.evaluate("window.seen"))
    p95 = seen[ceil(0.95 * len(seen)) - 1]
    print(f"code visible to verdict, {how}: {len(seen)} times, p95 {p95:.0f} ms")  # noqa: T201 (the figure itself)
    assert len(seen) >= CYCLES // 2
    assert p95 <= VERDICT_P95_MS


async def test_what_the_camera_sees_fits_every_screen(people: People, phone: Phone) -> None:
    target = phone.profile.parent / "dark.mjpeg"
    darkness(target)
    phone.extra = camera_that_shows(target)
    async with phone.on():
        await phone.enrol(people.code())
        visitor = phone.visitor
        assert visitor is not None
        for program, path in (("gate", "/gate"), ("m", "/m/receive")):
            await visitor.open(path)
            if program == "m":
                await visitor.sign_in(STALL.login)
            await visitor.page.locator("video").wait_for()
            await visitor.check_axe()
            await visitor.shoot(f"{program}-camera")


async def test_a_photo_is_read_too(people: People, phone: Phone, tmp_path: Path) -> None:
    [ticket] = people.tickets(1)
    start, _, digits = ticket["url"].rpartition("/")
    photo = tmp_path / "photo.jpg"
    picture = Image.open(io.BytesIO(draw_png(start + "/", digits, module_px=10))).convert("RGB")
    picture.rotate(7, expand=True, fillcolor="white").save(photo)
    empty = tmp_path / "empty.jpg"
    Image.new("RGB", (600, 400), "gray").save(empty)
    async with phone.on():
        await phone.enrol(people.code())
        await phone.page.locator("input[type=file]").set_input_files(empty)
        await expect(phone.page.locator("[role=alert]")).to_contain_text("没有认出")
        await phone.page.locator("input[type=file]").set_input_files(photo)
        await phone.page.locator("[data-code^='books.']").wait_for(timeout=PATIENCE_MS)
        await expect(phone.page.locator(".product")).to_have_text("大米")


# --- pages and sizes ------------------------------------------------------------------------------


async def test_pages_bear_large_text_both_languages_and_small_screens(
    people: People, phone: Phone
) -> None:
    async with phone.on():
        await phone.open()
        assert phone.visitor is not None
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-enrol")
        await phone.page.locator("input[name=code]").fill("0000-0000-0000-0")
        await phone.page.locator("input[name=name]").fill("一号门手机")
        await phone.page.locator("button.main").click()
        await expect(phone.page.locator("[role=alert]")).to_contain_text("登记码")
        await phone.enrol(people.code())
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-check")
        await phone.page.locator("[data-tab=settings]").click()
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-settings")
        await phone.page.get_by_test_id("elder").click()
        await phone.visitor.shoot("gate-settings-elder")
        await phone.page.locator("[data-tab=check]").click()
        await phone.wedge(people.tickets(1)[0]["url"])
        await phone.page.locator("[data-code^='books.']").wait_for(timeout=PATIENCE_MS)
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-verdict-elder")
        await phone.decide("ADMIT")
        await phone.page.locator("[data-tab=settings]").click()
        await phone.page.get_by_test_id("elder").click()
        await phone.page.get_by_test_id("language").click()
        await expect(phone.page.locator("h1")).to_have_text("Settings")
        await phone.page.evaluate("document.documentElement.style.fontSize = '36px'")
        await phone.visitor.shoot("gate-settings-200-percent")
        for tab in ("check", "test", "today"):
            await phone.page.locator(f"[data-tab={tab}]").click()
            await phone.visitor.shoot(f"gate-{tab}-200-percent")
        await phone.page.emulate_media(color_scheme="dark")
        await phone.page.locator("[data-tab=check]").click()
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-check-dark")
        for button in await phone.page.locator("button:visible").all():
            box = await button.bounding_box()
            assert box is not None
            assert box["height"] >= 71, await button.inner_text()


# A web view of before 2025, which knows the older curve alone.
WITHOUT_ED25519 = """
    for (const name of ['generateKey', 'importKey', 'sign', 'verify']) {
        const own = SubtleCrypto.prototype[name]
        SubtleCrypto.prototype[name] = function (...given) {
            const asked = given.some((one) => one === 'Ed25519' || one?.name === 'Ed25519')
            return asked
                ? Promise.reject(new DOMException('Unrecognized name.', 'NotSupportedError'))
                : own.apply(this, given)
        }
    }
"""


async def test_an_old_web_view_verifies_and_signs_with_what_it_has(
    people: People, phone: Phone
) -> None:
    sound, other = people.tickets(2)
    phone.script = WITHOUT_ED25519
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        assert (await phone.kept())["algorithm"] == "ecdsa-p256"
        people.site.kill()
        await phone.wedge(sound["url"])
        await phone.verdict("green", "valid")
        await phone.decide("ADMIT")
        await phone.wedge(forge(other["url"]))
        await phone.verdict("red", "forged")
        await phone.decide("REFUSE")
        device = (await phone.kept())["id"]
        people.site.start()
        await phone.uploads()
    rows = await people.rows(
        "SELECT l.decided_offline FROM inspection i JOIN inspection_line l "
        "ON l.inspection_id = i.id WHERE i.device = $1 ORDER BY i.sequence",
        device,
    )
    assert [row["decided_offline"] for row in rows] == ["ADMIT", "REFUSE"]


HOLD_ON = """
() => {
    window.next = null
    window.setTimeout = (what, ms) => ms === 1200 ? (window.next = what) : window.later(what, ms)
}
"""


async def test_a_verdict_is_felt_and_the_next_scan_begins_by_itself(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1)
    phone.script = """
        window.felt = []
        navigator.vibrate = (how) => window.felt.push(how)
        window.later = setTimeout
        window.heard = []
        const start = OscillatorNode.prototype.start
        OscillatorNode.prototype.start = function (at) {
            window.heard.push(this.frequency.value)
            start.call(this, at)
        }
    """
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        page, done = phone.page, phone.page.get_by_test_id("done")
        assert phone.visitor is not None
        cases = ((ticket["url"], "ADMIT"), (forge(ticket["url"]), "REFUSE"), ("typed", "HOLD"))
        colours = []
        for text, decision in cases:
            await phone.wedge(ticket["code"] if text == "typed" else text)
            await page.locator(".verdict").wait_for(timeout=PATIENCE_MS)
            await page.locator(".asking").wait_for(state="detached", timeout=PATIENCE_MS)
            colours.append(await page.locator(".verdict").get_attribute("data-colour"))
            # What was decided fills the screen for a moment, and here until it was looked at.
            await page.evaluate(HOLD_ON)
            await page.locator(f"[data-decision={decision}]").click()
            await done.wait_for()
            await page.wait_for_function("() => window.next !== null")
            await phone.visitor.check_axe()
            await phone.visitor.shoot(f"gate-done-{decision.lower()}")
            await page.evaluate("window.next()")
            await page.locator("#typed").wait_for()
        felt, heard = await page.evaluate("[window.felt, window.heard]")
    assert felt[:2] == [[80], [350, 100, 80, 100, 350]]
    # A high note lets in; three low ones stop, or say that somebody must look.
    assert colours[:2] == ["green", "red"]
    assert heard == [
        pitch for colour in colours for pitch in ([880] if colour == "green" else [220] * 3)
    ]


async def test_wechat_on_an_iphone_is_sent_to_the_browser(people: People, tmp_path: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(
            user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) MicroMessenger/8.0", locale="zh-CN"
        )
        visitor = Visitor(page.context, page, people.site)
        visitor.watch(page)
        await visitor.open("/gate")
        await expect(page.locator("h1")).to_have_text("请在浏览器中打开")
        await visitor.check_axe()
        await visitor.shoot("gate-wechat")
        await browser.close()
        assert (visitor.foreign, visitor.faults) == ([], [])


def test_the_gate_stays_small() -> None:
    built = ROOT / "app" / "web" / "screens"
    worker = (built / "gate-sw.js").read_text()
    listed = re.search(r"FILES = (\[.*?\])", worker)
    assert listed is not None
    files = [built / one.removeprefix("/screens/") for one in json.loads(listed[1])]
    sizes = {file.name: file.with_name(file.name + ".br").stat().st_size for file in files}
    scripts = sum(size for name, size in sizes.items() if name.endswith(".js"))
    wasm = sum(size for name, size in sizes.items() if name.endswith(".wasm"))
    print(f"gate: {scripts} bytes of JavaScript, {wasm} of wasm")  # noqa: T201 (the figure itself)
    assert 0 < scripts <= JS_BYTES_MAX
    assert 0 < wasm <= WASM_BYTES_MAX


# --- quick tests ----------------------------------------------------------------------------------


class Photometer:
    """A device of the market's laboratory: pushes what it measures, signed as its maker does."""

    def __init__(self, people: People) -> None:
        """Let the market's office register it."""
        self.site = people.site
        self.source = str(ids.uuid7())
        body = {
            "name": "农残快检仪",
            "maker": "ACME",
            "convention": "one_pass_two_fail",
            "layer": "wholesale_market",
            "place": str(GATE.id),
        }
        with people.as_(MARKET.login) as office:
            made = people.put(office, f"/test-sources/{self.source}", body)
        self.secret = bytes.fromhex(made["secret"])

    def pushes(self, number: str, value: float) -> dict[str, Any]:
        """Push one record of a sample, which must be taken."""
        record = {
            "record_id": str(ids.uuid7()),
            "sample_no": number,
            "method": "inhibition-gbt5009.199",
            "tested_at": datetime.now(UTC).isoformat(),
            "value": str(value),
            "device_sn": "PR-7",
        }
        body = json.dumps({"records": [record]}).encode()
        at, nonce = str(int(time.time())), secrets.token_hex(16)
        digest = hashlib.sha256(body).hexdigest()
        message = f"ypt-push-1\n{self.source}\n{at}\n{nonce}\n{digest}".encode()
        headers = {
            "content-type": "application/json",
            "X-Ypt-Timestamp": at,
            "X-Ypt-Nonce": nonce,
            "X-Ypt-Signature": hmac.new(self.secret, message, hashlib.sha256).hexdigest(),
        }
        path = f"{self.site.url}/test-sources/{self.source}/records"
        answer = httpx.post(path, content=body, headers=headers, timeout=30)
        assert answer.is_success, answer.text
        [told] = answer.json()["records"]
        assert told["state"] == "taken", told["problem"]
        return dict(told)


async def send_to_test(phone: Phone, ticket: dict[str, Any]) -> str:
    """Send a ticket's goods to the test, and open the form for it; answer the bag's number."""
    await phone.wedge(ticket["url"])
    await phone.page.locator(".verdict").wait_for(timeout=PATIENCE_MS)
    await phone.decide("ADMIT_AFTER_TEST")
    await phone.page.locator("[data-tab=test]").click()
    await phone.page.get_by_test_id("waiting").locator("button").first.click()
    return await proposed_number(phone)


async def proposed_number(phone: Phone) -> str:
    """Answer the number that the form proposes for the bag."""
    number = phone.page.locator("input[name=number]")
    await expect(number).not_to_have_value("")
    return await number.input_value()


async def sample_is(phone: Phone, number: str, status: str) -> Locator:
    """Wait until a sample stands somewhere."""
    shown = phone.page.locator(f"[data-number='{number}']")
    await expect(shown).to_have_attribute("data-status", status, timeout=PATIENCE_MS)
    return shown


async def test_a_quick_test_without_a_network_holds_the_goods_and_counts_once(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1, CHIVES)
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        people.site.kill()
        number = await send_to_test(phone, ticket)
        page = phone.page
        await page.locator("input[name=value]").fill("39")
        await expect(page.get_by_test_id("outcome")).to_have_attribute("data-outcome", "pass")
        await page.locator("input[name=value]").fill("62")
        await expect(page.get_by_test_id("outcome")).to_have_attribute("data-status", "positive")
        assert phone.visitor is not None
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-test-form")
        await page.get_by_test_id("keep-test").click()
        await expect(page.get_by_test_id("entered")).to_have_class(re.compile("red"))
        await sample_is(phone, number, "positive")
        await phone.waits_to_upload(2)
        await page.locator("[data-tab=check]").click()
        await phone.wedge(ticket["url"])
        await phone.verdict("red", "test-against")
        suggested = page.locator(".buttons .main")
        assert await suggested.get_attribute("data-decision") == "HOLD"
        await phone.visitor.shoot("gate-test-against")
    async with phone.on():
        await phone.open()
        await phone.page.locator("[data-tab=test]").click()
        shown = await sample_is(phone, number, "positive")
        await expect(shown).to_contain_text("还要复测 2 次")
        await phone.waits_to_upload(2)
        people.site.start()
        lost = await lose_first_answer(phone.page)
        await phone.page.evaluate("dispatchEvent(new Event('online'))")
        await asyncio.wait_for(lost.wait(), PATIENCE_MS / 1000)
        await phone.uploads()
        await expect(phone.page.get_by_test_id("live")).to_have_attribute("data-live", "true")
        assert phone.visitor is not None
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-tests")
    rows = await people.rows(
        "SELECT s.status, t.outcome, b.holds FROM sample s JOIN test t ON t.sample_id = s.id "
        "JOIN lot_balance b ON b.lot_id = s.lot_id WHERE s.number = $1",
        number,
    )
    assert [tuple(row) for row in rows] == [("positive", "positive", 1)]


async def test_a_sample_that_is_too_large_says_how_much_may_be_taken(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1, CHIVES)
    async with phone.on():
        assert phone.visitor is not None
        await phone.enrol(people.code())
        number = await send_to_test(phone, ticket)
        page = phone.page
        await page.locator("summary").click()
        await page.locator("input[name=mass]").fill("9000")
        await page.locator("input[name=value]").fill("5")
        await page.get_by_test_id("keep-test").click()
        shown = page.locator(f"[data-number='{number}']")
        await expect(shown).to_contain_text("抽样累计超过", timeout=PATIENCE_MS)
        await expect(shown).to_contain_text("还可以取：6 公斤（12 斤）")
        await expect(shown).to_contain_text("这次要：9 公斤（18 斤）")
        await expect(shown).to_contain_text("请少取样品")
        # What was measured counts for nothing: nobody is told to let the goods in.
        await expect(shown).to_contain_text("未入库")
        await expect(shown).not_to_contain_text("请再扫一次票放行")
        await expect(page.get_by_test_id("entered")).to_have_count(0)
        # It is said again in the language of whoever looks next.
        await page.evaluate(
            "dispatchEvent(new StorageEvent('storage', { key: 'language', newValue: 'en' }))"
        )
        await expect(shown).to_contain_text("May still be taken: 6 kg (12 jin)")
        await expect(shown).not_to_contain_text("还可以取")
        await page.evaluate(
            "dispatchEvent(new StorageEvent('storage', { key: 'language', newValue: 'zh' }))"
        )
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-sample-limit")
        # The goods still wait: less is taken, and that is in order.
        await page.get_by_test_id("waiting").locator("button").first.click()
        number = await proposed_number(phone)
        await page.locator("summary").click()
        await page.locator("input[name=mass]").fill("900")
        await page.locator("input[name=value]").fill("5")
        await page.get_by_test_id("keep-test").click()
        await sample_is(phone, number, "passed")
        await phone.uploads()
        await expect(page.get_by_test_id("entered")).to_have_text("已登记。")
    rows = await people.rows("SELECT mass_g FROM sample WHERE number = $1", number)
    assert [row["mass_g"] for row in rows] == [900]


async def test_going_back_closes_what_is_open_and_leaves_no_vehicle_undecided(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1, CHIVES)
    async with phone.on():
        assert phone.visitor is not None
        await phone.enrol(people.code())
        page = phone.page
        for tab in ("test", "today", "settings"):
            await page.locator(f"[data-tab={tab}]").click()
            await page.go_back()
            await page.locator("#typed").wait_for()
        await phone.wedge(ticket["url"])
        await page.locator(".verdict").wait_for(timeout=PATIENCE_MS)
        for _ in range(2):
            await page.go_back()
            await expect(page.locator(".verdict")).to_contain_text("请先处理这一票")
        await phone.decide("ADMIT_AFTER_TEST")
        await page.locator("[data-tab=test]").click()
        await page.get_by_test_id("waiting").locator("button").first.click()
        await proposed_number(phone)
        await page.go_back()
        await page.get_by_test_id("waiting").wait_for()
        await page.go_back()
        await page.locator("#typed").wait_for()


async def test_an_enrolment_whose_answer_was_lost_survives_a_mistyped_code(
    people: People, phone: Phone
) -> None:
    code = people.code()

    async def lose(route: Any) -> None:
        await route.fetch()
        await route.abort()

    async with phone.on():
        await phone.open()
        page = phone.page
        await page.route("**/gate/devices/*", lose, times=1)
        await page.locator("input[name=name]").fill("一号门手机")
        for typed, said in ((code, "连不上服务器"), ("0000-0000-0000-0", "登记码不正确")):
            await page.locator("input[name=code]").fill(typed)
            await page.locator("button.main").click()
            await expect(page.get_by_role("alert")).to_contain_text(said, timeout=PATIENCE_MS)
        await expect(page.locator("input[name=code]")).to_have_attribute("aria-invalid", "true")
        await page.get_by_test_id("language").click()
        await expect(page.get_by_role("alert")).to_contain_text("The enrolment code is wrong")
        await page.locator("input[name=code]").fill(code)
        await page.locator("button.main").click()
        await page.locator("input[name=inspector]").wait_for()


async def reach(page: Page, wanted: str) -> None:
    """Press Tab until what has the focus is this."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("s => document.activeElement.matches(s)", wanted):
            return
    raise AssertionError(f"Tab never reached {wanted}")  # noqa: EM102, TRY003


async def test_a_quick_test_is_entered_without_touching_the_screen(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1)
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        page, keys = phone.page, phone.page.keyboard
        await phone.wedge(ticket["url"])
        await page.locator(".verdict").wait_for(timeout=PATIENCE_MS)
        await reach(page, "[data-decision=ADMIT_AFTER_TEST]")
        await keys.press("Enter")
        await page.locator("#typed").wait_for(timeout=PATIENCE_MS)
        await reach(page, "[data-tab=test]")
        await keys.press("Enter")
        await page.get_by_test_id("waiting").locator("button").first.wait_for()
        await reach(page, "[data-testid=waiting] button")
        await keys.press("Enter")
        number = await proposed_number(phone)
        await reach(page, "input[name=value]")
        await keys.type("62")
        await reach(page, "[data-testid=keep-test]")
        await keys.press("Enter")
        await sample_is(phone, number, "positive")
        # Its repeat too: the finding counts after that.
        await phone.waits_to_upload(0)
        await reach(page, f"[data-number='{number}'] button")
        await keys.press("Enter")
        await reach(page, "input[name=value]")
        await keys.type("58")
        await keys.press("Enter")
        shown = await sample_is(phone, number, "positive")
        await expect(shown).to_contain_text("58 %", timeout=PATIENCE_MS)
        await expect(shown).to_contain_text("还要复测 1 次", timeout=PATIENCE_MS)


async def test_what_a_device_pushes_appears_by_itself_and_after_an_outage(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1)
    photometer = Photometer(people)
    async with phone.on():
        await phone.enrol(people.code())
        people.publish()
        await phone.refresh()
        number = await send_to_test(phone, ticket)
        page = phone.page
        await page.get_by_test_id("only-sample").click()
        await phone.waits_to_upload(0)
        # A record names a number that the books know: what is told by them no longer waits here.
        taken = await sample_is(phone, number, "sampled")
        await expect(taken).not_to_contain_text("待上传", timeout=PATIENCE_MS)
        photometer.pushes(number, 118)
        shown = await sample_is(phone, number, "positive")
        await expect(shown).to_contain_text("118 %")
        where = f"{MARKET_SITE.name} · {GATE.name}"
        await expect(shown).to_contain_text(f"农残快检仪 · PR-7 · {where}")
        await shown.get_by_role("button").click()
        await page.locator("input[name=value]").fill("41")
        await page.get_by_test_id("keep-test").click()
        await expect(shown).to_contain_text("还要复测 1 次", timeout=PATIENCE_MS)
        await phone.waits_to_upload(0)
        people.site.kill()
        live = page.get_by_test_id("live")
        await expect(live).to_have_attribute("data-live", "false", timeout=PATIENCE_MS)
        await expect(shown).to_contain_text("41 %")
        people.site.start()
        photometer.pushes(number, 57)
        shown = await sample_is(phone, number, "presumptive")
        await expect(live).to_have_attribute("data-live", "true")
        await expect(shown).to_contain_text("送实验室")
        await expect(shown.get_by_role("button")).to_have_count(0)
        assert phone.visitor is not None
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-tests-live")
        await page.emulate_media(color_scheme="dark")
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-tests-dark")
        await page.evaluate("document.documentElement.classList.add('elder')")
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-tests-elder")
    assert (
        len(
            await people.rows(
                "SELECT 1 FROM test JOIN sample s ON s.id = sample_id WHERE s.number = $1", number
            )
        )
        == 3
    )


async def test_a_tester_s_own_device_sees_what_a_guard_sent_to_the_test(
    people: People, phone: Phone, tmp_path: Path
) -> None:
    [ticket] = people.tickets(1)
    tester = Phone(people.site, tmp_path / "tester")
    async with phone.on(), tester.on():
        await phone.enrol(people.code())
        await tester.enrol(people.code())
        await tester.page.locator("[data-tab=settings]").click()
        await tester.page.get_by_test_id("language").click()
        await phone.wedge(ticket["url"])
        await phone.page.locator(".verdict").wait_for(timeout=PATIENCE_MS)
        await phone.decide("ADMIT_AFTER_TEST")
        await phone.page.locator("[data-tab=test]").click()
        await phone.waits_to_upload(0)
        sent = phone.page.get_by_test_id("waiting").locator("li").first
        line = f"[data-line='{await sent.get_attribute('data-line')}']"
        page = tester.page
        await page.locator("[data-tab=test]").click()
        await page.locator(f"{line} button").click()
        await expect(page.locator("h1")).to_have_text("Quick test: 大米")
        number = await proposed_number(tester)
        await page.locator("input[name=value]").fill("-2")
        await expect(page.get_by_test_id("outcome")).to_have_attribute("data-status", "passed")
        assert tester.visitor is not None
        await tester.visitor.shoot("gate-test-form-english")
        await page.get_by_test_id("keep-test").click()
        await sample_is(tester, number, "passed")
        await sample_is(phone, number, "passed")
        await expect(phone.page.locator(line)).to_have_count(0)


async def test_a_strip_is_read_line_by_line_and_two_good_repeats_let_go(
    people: People, phone: Phone
) -> None:
    [ticket] = people.tickets(1)
    async with phone.on():
        await phone.enrol(people.code())
        number = await send_to_test(phone, ticket)
        page = phone.page
        for line, outcome, status in (
            ("invalid", "invalid", "invalid"),
            ("weaker", "positive", "positive"),
            ("stronger", "pass", "positive"),
            ("equal", "pass", "cleared"),
        ):
            await page.locator("select[name=method]").select_option("strip-pesticide")
            await page.locator("select[name=substance]").select_option("克百威")
            await page.locator(f"input[name=strip][value={line}]").check()
            shown = page.get_by_test_id("outcome")
            await expect(shown).to_have_attribute("data-outcome", outcome)
            await expect(shown).to_have_attribute("data-status", status)
            if line == "weaker":
                assert phone.visitor is not None
                await phone.visitor.shoot("gate-test-strip")
            await page.get_by_test_id("keep-test").click()
            await phone.waits_to_upload(0)
            card = await sample_is(phone, number, status)
            if status != "cleared":
                await card.get_by_role("button").click()
        await expect(card).to_contain_text("请再扫一次票放行")
    [row] = await people.rows("SELECT status FROM sample WHERE number = $1", number)
    assert row["status"] == "cleared"


async def test_today_is_filtered_and_added_up(people: People, phone: Phone) -> None:
    tickets = people.tickets(4)
    async with phone.on():
        await phone.enrol(people.code())
        for ticket, decision in zip(tickets, ["ADMIT", "ADMIT", "HOLD", "REFUSE"], strict=True):
            await phone.wedge(ticket["url"])
            await phone.page.locator("[data-code^='books.']").wait_for(timeout=PATIENCE_MS)
            await phone.decide(decision)
        await phone.waits_to_upload(0)
        page = phone.page
        await page.locator("[data-tab=today]").click()
        await expect(page.get_by_test_id("totals")).to_have_text("4 车，4 票")
        listed = page.locator("[data-testid=today] > li")
        for decision, count in (("ADMIT", 2), ("HOLD", 1), ("REFUSE", 1)):
            chip = page.locator(f"[data-filter={decision}]")
            await expect(chip.locator("strong")).to_have_text(str(count))
            await chip.click()
            await expect(listed).to_have_count(count)
        await page.locator("input[name=find]").fill("没有的货")
        await expect(listed).to_have_count(0)
        assert phone.visitor is not None
        await phone.visitor.check_axe()
        await phone.visitor.shoot("gate-today-filtered")


async def test_lamp_and_waking_are_used_where_there_are_any(people: People, phone: Phone) -> None:
    target = phone.profile.parent / "dark.mjpeg"
    film(["https://example.com/t/1"], target)
    phone.extra = camera_that_shows(target)
    # Chromium's pretended camera has no lamp, and headless it keeps no screen awake.
    phone.script = """
        window.asked = []
        MediaStreamTrack.prototype.getCapabilities = () => ({ torch: true })
        MediaStreamTrack.prototype.applyConstraints = async function (wanted) {
            window.asked.push(wanted.advanced[0].torch)
        }
        Object.defineProperty(Navigator.prototype, 'wakeLock', { get: () => ({
            request: async (kind) => {
                window.asked.push(kind)
                return { release: async () => window.asked.push('released') }
            },
        }) })
    """
    async with phone.on():
        await phone.enrol(people.code())
        page = phone.page
        lamp = page.get_by_test_id("torch")
        await page.locator(".verdict").wait_for(timeout=PATIENCE_MS)
        await phone.decide("HOLD")
        await lamp.click()
        await expect(lamp).to_have_attribute("aria-pressed", "true")
        await lamp.click()
        await expect(lamp).to_have_attribute("aria-pressed", "false")
        await page.locator("[data-tab=today]").click()
        assert await page.evaluate("window.asked") == ["screen", True, False, "released"]
        await page.locator("[data-tab=check]").click()
        await lamp.wait_for(timeout=PATIENCE_MS)
        assert len(page.workers) == 1, "the reader and its wasm are loaded once"


# --- the office -----------------------------------------------------------------------------------


async def test_an_office_lets_a_device_in_by_a_picture_and_shuts_it_out_by_keyboard(
    people: People, phone: Phone, visitor: Visitor
) -> None:
    await visitor.open("/admin/market")
    await visitor.sign_in(MARKET.login)
    desk = visitor.page
    panel = desk.locator("section").filter(has=desk.get_by_role("heading", name="门岗设备"))
    await panel.get_by_role("button", name="生成登记码").focus()
    await desk.keyboard.press("Enter")
    await panel.get_by_test_id("enrolment-code").wait_for()
    picture = Image.open(io.BytesIO(await panel.locator("img").screenshot()))
    [read] = zxingcpp.read_barcodes(picture, formats=QR_ONLY)
    code = await panel.get_by_test_id("enrolment-code").inner_text()
    assert read.text == f"{people.site.url}/gate#code={code}"
    await visitor.check_axe()
    await visitor.shoot("admin-devices-code")
    name = f"手机 {code[-4:]}"
    async with phone.on():
        await phone.page.goto(read.text)
        await expect(phone.page.locator("input[name=code]")).to_have_value(code)
        assert code not in phone.page.url
        await phone.page.locator("input[name=name]").fill(name)
        await phone.page.locator("button.main").click()
        await phone.page.locator("input[name=inspector]").wait_for()
        await phone.list_is("green")
        await panel.get_by_role("button", name="关闭登记码").press("Enter")
        row = panel.get_by_role("row").filter(has_text=name)
        await expect(row).to_contain_text("使用中")
        await visitor.shoot("admin-devices")
        await row.get_by_role("button", name="停用").press("Enter")
        await desk.get_by_role("alertdialog").wait_for()
        await visitor.check_axe()
        await desk.keyboard.press("Escape")
        await expect(desk.get_by_role("alertdialog")).to_have_count(0)
        await row.get_by_role("button", name="停用").press("Enter")
        await desk.keyboard.press("Tab")
        await desk.keyboard.press("Enter")
        await expect(row).to_contain_text("已停用")
        await expect(row.get_by_role("button")).to_have_count(0)
        await phone.page.get_by_test_id("refresh").click()
        await expect(phone.page.locator(".note.red")).to_contain_text("已停用", timeout=PATIENCE_MS)
        assert phone.visitor is not None
        await phone.visitor.shoot("gate-revoked")
