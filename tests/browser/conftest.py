"""A real Chromium, the real server in a process of its own, the real database, the demo's people.

The world is made once a run and shared: a test makes what it needs and leaves the rest alone.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from app.demo.scenario import PASSWORD
from tests.conftest import Server, _execute

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / ".tools" / "screenshots"  # kept out of git
MISFITS = Path(__file__).with_name("misfits.js")
AXE = ROOT / "app" / "web" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
# The one that test.py looked for; without any, this address is what the refusal names.
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
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
HEIGHT = 800
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


# What the page looks like now; the public pages say everything in both languages at once.
LOOKS = """() => ({
    language: document.documentElement.lang.slice(0, 2),
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    elder: document.documentElement.classList.contains('elder'),
    program: Boolean(document.getElementById('app')),
})"""
# As if another window of this browser had chosen the language.
WEAR = """([language, elder]) => {
    document.documentElement.classList.toggle('elder', elder)
    dispatchEvent(new StorageEvent('storage', { key: 'language', newValue: language }))
}"""
# How high the page is and by how much it is too wide, once the change of its size has been drawn.
SETTLED_SIZE = """async () => {
    const drawn = () => new Promise(requestAnimationFrame)
    await drawn().then(drawn)
    const root = document.documentElement
    return [root.scrollHeight, root.scrollWidth - root.clientWidth]
}"""


@dataclass(frozen=True)
class Looks:
    """How a page is shown: language, colours, size of its letters.

    Attributes:
        program: Whether it has a language and an elder mode to choose.
    """

    language: str
    dark: bool
    elder: bool
    program: bool
    widths: tuple[int, ...] = WIDTHS

    def variants(self, *, every: bool) -> list["Looks"]:
        """Answer itself and, at a width each, what differs from it in one thing."""
        other = replace(self, language="en" if self.language == "zh" else "zh")
        changed = [(replace(self, dark=not self.dark), 390)]
        if self.program:
            changed += [(other, 390), (replace(self, elder=not self.elder), 360)]
        if self.program and every:
            changed += [(replace(other, dark=not self.dark), 390)]
            changed += [(replace(other, elder=not self.elder), 360)]
        return [self] + [
            looks if every else replace(looks, widths=(width,)) for looks, width in changed
        ]

    def suffix(self, usual: "Looks") -> str:
        """Answer what the picture's name tells beyond how the test shows the page."""
        told = [
            self.language if self.language != usual.language else "",
            ("dark" if self.dark else "light") if self.dark != usual.dark else "",
            ("elder" if self.elder else "plain") if self.elder != usual.elder else "",
        ]
        return "".join(f"-{word}" for word in told if word)


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

    async def check_axe(self, *rules: str) -> None:
        """Fail on what axe-core calls serious or critical, by all of its rules or by these."""
        await self.page.evaluate(AXE.read_text())
        options = {"runOnly": list(rules)} if rules else {}
        found = await self.page.evaluate("asked => axe.run(asked).then(r => r.violations)", options)
        bad = [
            (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
        assert not bad, bad

    async def shoot(self, name: str) -> None:
        """Keep pictures of the screen as it is now; what does not fit in them is a fault.

        As it is shown at every width; then dark and in English at a phone's, in elder mode at the
        smallest. With `PICTURES=all`, all of these at every width and in both languages.
        """
        SHOTS.mkdir(parents=True, exist_ok=True)
        before = self.page.viewport_size
        shown = Looks(**await self.page.evaluate(LOOKS))
        for looks in shown.variants(every=os.environ.get("PICTURES") == "all"):
            await self._wear(looks)
            for width in looks.widths:
                await self._photograph(f"{name}{looks.suffix(shown)}", width)
            if looks.dark != shown.dark:
                await self.check_axe("color-contrast")
        await self._wear(shown)
        if before:
            await self.page.set_viewport_size(before)

    async def _wear(self, looks: "Looks") -> None:
        """Show the page so, without loading it anew."""
        await self.page.emulate_media(color_scheme="dark" if looks.dark else "light")
        await self.page.evaluate(WEAR, [looks.language, looks.elder])

    async def _photograph(self, name: str, width: int) -> None:
        await self.page.set_viewport_size({"width": width, "height": HEIGHT})
        height, overflow = await self.page.evaluate(SETTLED_SIZE)
        if height > HEIGHT:
            # In a window as high as the page what sticks to its edges covers nothing.
            await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)
        misfits = await self.page.evaluate(MISFITS.read_text())
        self.faults += [f"{name} at {width} px: {misfit}" for misfit in misfits]
        if overflow > 0:
            self.faults.append(f"{name} scrolls sideways by {overflow} px at {width} px")


@pytest.fixture
async def visitor(chromium: Browser, site: Site) -> AsyncIterator[Visitor]:
    """Somebody with a phone and a fresh browser; asks other hosts nothing and meets no error."""
    context = await chromium.new_context(
        viewport={"width": 390, "height": 800},
        locale="zh-CN",
        timezone_id="America/New_York",  # times are Nantong's whatever the phone says
        has_touch=True,
        reduced_motion="reduce",  # a button that fades in has no contrast for a moment
    )
    page = await context.new_page()
    visitor = Visitor(context, page, site)
    visitor.watch(page)
    yield visitor
    await context.close()
    assert visitor.foreign == [], "asked other hosts"
    # One by one, because pytest tells the first of them only.
    assert visitor.faults == [], "\n".join(["errors in the browser", *visitor.faults])
