"""A real Chromium, the real server in a process of its own, the real database, the demo's people.

The world is made once a run and shared: a test makes what it needs and leaves the rest alone.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from app.demo.scenario import PASSWORD
from tests.conftest import Server, _execute

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / ".tools" / "screenshots"  # kept out of git
AXE = ROOT / "app" / "web" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = "/usr/bin/chromium"
# Without these Chromium looks up hosts of its maker.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (360, 390, 768, 1440)
START_S_MAX = 90


@dataclass
class Site:
    """The server, which a test may kill and start again.

    Attributes:
        url: Where it answers, whether or not it runs just now.
        main_job: What the demonstration said that it did.
        data: Where the demonstration keeps its files.
    """

    url: str
    environment: dict[str, str]
    main_job: dict[str, Any]
    data: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its first answer."""
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "app.cli", "serve", "--port", port]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment)
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server ended at once"
            try:
                if httpx.get(f"{self.url}/healthz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server did not answer")  # noqa: EM101, TRY003

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """End it in peace."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(15)
            self.process = None


@pytest.fixture(scope="session")
def site(
    server: Server, template: str, pytestconfig: pytest.Config, tmp_path_factory: Any
) -> Iterator[Site]:
    """The demonstration's main job, played once, and its server."""
    import asyncio

    name = f"{template}_browser_{os.getpid()}"
    asyncio.run(_execute(server.admin_url, f'CREATE DATABASE "{name}"'))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    environment = dict(os.environ, YPT_DATABASE_URL=server.url(name))
    options = ["--once", "--json", "--port", str(port), "--data-dir", str(data)]
    played = subprocess.run(
        [sys.executable, "-m", "app.cli", "demo", *options],
        check=True,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    environment |= {
        "YPT_SECRET_KEY": (data / "secret-key").read_text().strip(),
        "YPT_PUBLIC_URL": url,
        "YPT_COOKIE_SECURE": "false",
        "YPT_DEMO": "true",
        "YPT_LOG_LEVEL": "WARNING",
    }
    site = Site(url, environment, json.loads(played.stdout), data)
    site.start()
    yield site
    site.stop()
    asyncio.run(_execute(server.admin_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for the run; each test has a profile of its own in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Visitor:
    """Somebody at a browser, and what a test watches over."""

    context: BrowserContext
    page: Page
    site: Site
    foreign: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Note requests to other hosts, script errors and what the policy refused."""

        def requested(request: Request) -> None:
            if not re.match(rf"({re.escape(self.site.url)}/|data:|blob:|about:)", request.url):
                self.foreign.append(request.url)

        page.on("request", requested)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on(
            "console",
            lambda said: (
                self.faults.append(said.text)
                if said.type == "error" and "Failed to load resource" not in said.text
                else None
            ),
        )

    async def open(self, path: str) -> None:
        """Go to a page and let it settle."""
        await self.page.goto(self.site.url + path)
        await self.page.wait_for_load_state("networkidle")

    async def sign_in(self, login: str, password: str = PASSWORD) -> None:
        """Fill in the form that is there."""
        await self.page.locator("input[autocomplete=username]").fill(login)
        await self.page.locator("input[autocomplete=current-password]").fill(password)
        await self.page.locator("form button").click()
        await self.page.locator("input[autocomplete=current-password]").wait_for(state="detached")

    async def check_axe(self) -> None:
        """Fail on what axe-core calls serious or critical."""
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate("axe.run().then(r => r.violations)")
        bad = [
            (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
        assert not bad, bad

    async def shoot(self, name: str) -> None:
        """Keep pictures at phone and desktop widths; none of them may scroll sideways."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        before = self.page.viewport_size
        for width in WIDTHS:
            await self.page.set_viewport_size({"width": width, "height": 800})
            await self.page.wait_for_timeout(150)
            overflow = await self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            await self.page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)
            assert overflow <= 0, f"{name} scrolls sideways by {overflow} px at {width} px"
        if before:
            await self.page.set_viewport_size(before)


@pytest.fixture
async def visitor(chromium: Browser, site: Site) -> AsyncIterator[Visitor]:
    """Somebody with a phone and a fresh browser; asks other hosts nothing and meets no error."""
    context = await chromium.new_context(
        viewport={"width": 390, "height": 800},
        locale="zh-CN",
        timezone_id="America/New_York",  # times are Nantong's whatever the phone says
        has_touch=True,
    )
    page = await context.new_page()
    visitor = Visitor(context, page, site)
    visitor.watch(page)
    yield visitor
    await context.close()
    assert visitor.foreign == [], "asked other hosts"
    assert visitor.faults == [], "errors in the browser"
