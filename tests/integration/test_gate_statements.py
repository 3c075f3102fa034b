"""How many statements a vehicle costs, and that its lines are judged as one by one."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from tests.factories import Json, Trade, new_id
from tests.gate import agrees, brought, inspects, paper, scanned, GRANDMOTHER
from tests.market import PORK, Market
from datetime import date


@pytest.fixture
async def market(trade: Trade) -> Market:
    market = Market(trade)
    await market.begin()
    await agrees(market, market.stall)
    return market


@contextmanager
def counted(trade: Trade) -> Iterator[list[str]]:
    engine = trade.database.engine.sync_engine
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def test_measure(market: Market) -> None:
    lines = [scanned(await market.sound_ticket()) for _ in range(40)]
    one = scanned(await market.sound_ticket())
    await inspects(market, one)
    for n in (1, 40, 40, 40):
        use = [{**l, "id": new_id(), "mass_g": 100} for l in lines[:n]]
        with counted(market.trade) as seen:
            w, c = time.perf_counter(), time.process_time()
            await inspects(market, *use)
            w, c = time.perf_counter() - w, time.process_time() - c
        print(n, len(seen), f"wall {w * 1000:.0f} cpu {c * 1000:.0f} load {os.getloadavg()[0]:.1f}")
    walls, cpus = [], []
    for _ in range(60):
        body = {"id": new_id(), "text": lines[3]["text"], "place": str(market.gate)}
        with counted(market.trade) as seen:
            w, c = time.perf_counter(), time.process_time()
            await market.office.trade.client.post(
                "/scans", json=body, headers=market.office.headers
            )
            walls.append(time.perf_counter() - w)
            cpus.append(time.process_time() - c)
    walls.sort()
    cpus.sort()
    print(
        "scan",
        len(seen),
        f"median wall {walls[30] * 1000:.1f} cpu {cpus[30] * 1000:.1f} load {os.getloadavg()[0]:.1f}",
    )
