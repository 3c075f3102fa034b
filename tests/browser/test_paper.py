"""Every paper as a picture beside those of the screens: nothing on it runs off its edge."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np
import pytest
import typst
from PIL import Image
from pypdf import PdfReader

from app.label.rules import STOCKS
from app.party.access import RoleKind
from tests.browser.conftest import SHOTS
from tests.conftest import FakeClock
from tests.factories import Actor, Json, Trade, new_id, open_trade
from tests.market import Market, open_market
from tests.recalls import Morning, recalled

DOTS_PER_INCH = 110
EDGE_MM = 2.0
"""No printer prints nearer to the edge of an A4 sheet or a roll than this."""


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as market:
        await market.add("grower", "李小河", RoleKind.COOP, phone="13812345678")
        await market.add("kitchen", "如东实验小学食堂", RoleKind.GROUP_BUYER, phone="13987654321")
        yield market


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    async with open_trade(database_url, pool_size=12) as trade:
        yield trade


def pictures_of(pdf: bytes) -> list[Image.Image]:
    """Draw the pages of a PDF as a viewer does."""
    folder = SHOTS.parent / "paper"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "paper.pdf").write_bytes(pdf)
    page = folder / "page.typ"
    pictures = []
    for number in range(1, len(PdfReader(io.BytesIO(pdf)).pages) + 1):
        page.write_text(
            "#set page(width: auto, height: auto, margin: 0pt)\n"
            f'#image("paper.pdf", page: {number})\n'
        )
        drawn = typst.compile(page, root=folder, format="png", ppi=DOTS_PER_INCH)
        pictures.append(Image.open(io.BytesIO(drawn)).convert("L"))
    return pictures


async def keep(actor: Actor, path: str, name: str, *, body: Json | None = None) -> None:
    """Print something, keep a picture of each page, and see that its edge is blank."""
    answer = await (actor.get(path) if body is None else actor.send("POST", path, body))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    SHOTS.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(await asyncio.to_thread(pictures_of, answer.content), 1):
        picture.save(SHOTS / f"paper-{name}-{number}.png")
        dark = np.asarray(picture) < 200
        assert dark.any(), f"page {number} of {name} is empty"
        edge = round(EDGE_MM / 25.4 * DOTS_PER_INCH)
        inner = dark[:, edge:-edge]
        assert dark.sum() == inner.sum(), f"page {number} of {name} runs off its edge"


async def test_tickets_and_labels(market: Market) -> None:
    ticket = (await market.chives_of_three())["ticket"]
    for paper in ("80mm", "58mm", "a4"):
        await keep(market.collector, f"/tickets/{ticket}/print?format={paper}", f"ticket-{paper}")
    for stock in STOCKS:
        body = {"items": [{"ticket": ticket, "count": 5}], "dpi": 300, "stock": stock}
        await keep(market.collector, "/label-sheets", f"labels-{stock}", body=body)
    roll = new_id()
    await market.coop.make(f"/label-rolls/{roll}", {"labels": 30})
    await keep(market.coop, f"/label-rolls/{roll}/print", "roll")


@pytest.mark.parametrize("at", ["2024-03-01", "2026-06-18"])
async def test_certificates(market: Market, at: str) -> None:
    market.clock.set(datetime.fromisoformat(at).replace(tzinfo=UTC))
    lot = await market.grower.opens(kg=150)
    first = (await market.certify(market.grower, lot, 150))["certificate"]
    await keep(market.grower, f"/certificates/{first}/print", f"certificate-{at[:4]}-producer")
    await market.chives_of_three()
    (second,) = await market.collector.read("/certificates")
    name = f"certificate-{at[:4]}-purchaser"
    await keep(market.collector, f"/certificates/{second['certificate']}/print", name)


async def test_a_month_of_a_ledger(market: Market) -> None:
    stall, kitchen = market.stall, market.kitchen
    lot = await stall.opens(kg=500, origin="declare")
    whole = await market.sell(stall, kitchen, lot, 10)
    await kitchen.decides(whole["ticket"])
    part = await market.sell(stall, kitchen, lot, 20)
    await kitchen.decides(part["ticket"], "accepted_in_part", lines={1: 15_000})
    refused = await market.sell(stall, kitchen, lot, 30)
    await kitchen.decides(refused["ticket"], "refused", reason="发黄")
    await market.sell(stall, kitchen, lot, 40)
    for kind, owner in (("purchases", kitchen), ("sales", stall)):
        await keep(owner, f"/ledgers/{kind}.pdf?month=2026-06", f"ledger-{kind}")
    await keep(kitchen, "/ledgers/sales.pdf?month=2026-06", "ledger-empty")


async def test_a_recall_and_the_letter_to_buyers(trade: Trade) -> None:
    morning = await Morning(trade).begin()
    office, stall = morning.office, morning.first
    at = f"/recalls/{(await recalled(office, morning.at_first))['recall']}"
    step = {"lot": morning.at_first, "kind": "located", "mass_g": 18_000, "note": "过秤"}
    await stall.make(f"{at}/steps/{new_id()}", step)
    await keep(office, f"{at}/record.pdf", "recall")
    await keep(stall, f"{at}/record.pdf", "recall-holder")
    await keep(stall, f"{at}/letter.pdf", "recall-letter")
