"""Many clients and two server processes on the same few lots: no deadlock, no 5xx, nothing over."""

import asyncio
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.conftest import TEST_SECRET
from tests.factories import CHIVES, Actor, Json, Trade, line, new_id
from tests.integration.conftest import audit

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 16
ACTS = 12
LOTS = 6
LOT_KG = 40
START_S_MAX = 90
SEED = 20260618


@pytest.fixture
def ports() -> list[int]:
    found = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found.append(probe.getsockname()[1])
    return found


@pytest.fixture
def servers(own_trade: Trade, database_url: str, ports: list[int]) -> Iterator[list[int]]:
    """Two processes of the server on the test's database."""
    env = {
        **os.environ,
        "YPT_DATABASE_URL": database_url,
        "YPT_SECRET_KEY": TEST_SECRET,
        "YPT_LOG_LEVEL": "ERROR",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]
    yield ports
    for process in processes:
        process.terminate()
        process.wait()


@pytest.fixture
async def clients(servers: list[int]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients, half of them of each server; both answer."""
    made = [
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{servers[number % 2]}", timeout=60, trust_env=False
        )
        for number in range(CLIENTS)
    ]
    for client in made[:2]:
        async with asyncio.timeout(START_S_MAX):
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get("/healthz")).is_success:
                        break
                await asyncio.sleep(0.1)
    yield made
    for client in made:
        await client.aclose()


@pytest.mark.slow
async def test_overlapping_lots_in_any_order(
    own_trade: Trade, clients: list[httpx.AsyncClient]
) -> None:
    farmer, stall = await own_trade.farmer(), await own_trade.stall()
    lots = [await farmer.opens(kg=LOT_KG) for _ in range(LOTS)]
    chance = Random(SEED)
    answers: Counter[str] = Counter()

    async def act(client: httpx.AsyncClient) -> None:
        what, method, path, body = _deed(chance, lots, stall)
        answer = await client.request(method, path, json=body, headers=farmer.headers)
        if "bulk" in path and answer.is_success:
            for row in answer.json()["rows"]:
                answers[f"{what} {row['problem']['code'] if row['problem'] else 'ok'}"] += 1
        else:
            code = "ok" if answer.is_success else answer.json()["code"]
            answers[f"{what} {code}"] += 1
        assert answer.status_code < 500, f"{what}: {answer.text}"

    async def client_of(client: httpx.AsyncClient) -> None:
        for _ in range(ACTS):
            await act(client)

    await asyncio.gather(*(client_of(client) for client in clients))
    outcomes = {answer.split()[1] for answer in answers}
    assert outcomes <= {"ok", "lot-exhausted"}, answers
    assert {answer.split()[0] for answer in answers if answer.endswith("ok")} == {
        "ticket",
        "bulk",
        "merge",
    }, answers
    assert any(answer.endswith("lot-exhausted") for answer in answers), "they were rivals"
    await audit(own_trade)


def _deed(chance: Random, lots: list[str], stall: Actor) -> tuple[str, str, str, Json]:
    """Choose what a client does next, to some of the lots in any order."""
    some = chance.sample(lots, chance.randint(2, len(lots)))
    kind = chance.choice(["ticket", "bulk", "merge"])
    if kind == "merge":
        inputs = [{"lot": lot, "mass_g": 1_000} for lot in some]
        return kind, "PUT", f"/merges/{new_id()}", {"inputs": inputs, "lot": new_id()}
    lines = [line(CHIVES, 1, (lot, 1_000)) for lot in some]
    side = chance.choice(["one_sided", "two_sided"])
    if kind == "ticket":
        body: Json = {"buyer": stall.as_buyer, "lines": lines, "hand_over": side}
        return kind, "PUT", f"/tickets/{new_id()}", body
    rows = [
        {"id": new_id(), "body": {"buyer": stall.as_buyer, "lines": [each], "hand_over": side}}
        for each in lines
    ]
    return kind, "POST", "/tickets/bulk", {"rows": rows}
