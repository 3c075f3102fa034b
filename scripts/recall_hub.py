"""Measure the recall of a hub: `python3 scripts/recall_hub.py [--lots 100000] [--json]`.

One wholesaler's lot went to as many buyers' lots as asked, three of ten by way of another stall. A
regulator opens a recall over HTTP, reads it, exports it and lifts it. What is printed: seconds, and
how many statements the server was sent. The exit code says whether the answers were right.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bootstrap

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

ROOT = Path(__file__).resolve().parents[1]
LOTS_LEAST = 10
HOLDERS_MAX = 2_000
NOW = datetime(2026, 6, 18, 4, tzinfo=UTC)
KG = 1_000

# Parties, then the farm's lot 1, the wholesaler's lot 2, seven tenths of the lots made of lot 2,
# and three tenths made of those, half of whose grams they take.
_FILL = """
INSERT INTO party (public_id, form, name, status, division_code, commit_salt, created_at)
SELECT gen_random_uuid(), 'natural', '张' || n, 'active', '320682', '\\x00', :now
FROM generate_series(1, :holders) AS n;
INSERT INTO lot (public_id, digest, product_id, holder_id, producer_id, from_party_id, mixed,
    origin, mass_g, quantity, unit, division_code, made_on, created_at)
SELECT gen_random_uuid(), '', 18, :first + CASE WHEN n < 3 THEN n - 1 ELSE n % :holders END,
    :first, NULL, false, CASE WHEN n = 1 THEN 'harvest' ELSE 'purchase' END,
    CASE WHEN n < 3 THEN :direct * 1000 WHEN n < 3 + :direct THEN 1000 ELSE 500 END, 1, '公斤',
    '320682', :day, :now
FROM generate_series(1, :lots + 2) AS n;
INSERT INTO lot_edge (dst, src, mass_g, proof, event_id, occurred_at)
SELECT n, CASE WHEN n = 2 THEN 1 WHEN n < 3 + :direct THEN 2 ELSE n - :direct END,
    CASE WHEN n = 2 THEN :direct * 1000 WHEN n < 3 + :direct THEN 1000 ELSE 500 END, 2, 1, :now
FROM generate_series(2, :lots + 2) AS n;
INSERT INTO lot_balance (lot_id, produced_g, remaining_g, certified_g, cover_used_g, holds)
SELECT l.id, l.mass_g,
    l.mass_g - coalesce((SELECT sum(e.mass_g) FROM lot_edge e WHERE e.src = l.id), 0), 0, 0, 0
FROM lot l
"""


@dataclass
class Counted:
    """What a request took."""

    seconds: float = 0.0
    statements: int = 0


@dataclass
class Hub:
    """The application on a database with a hub in it, and a regulator who signs in by key."""

    app: FastAPI
    client: httpx.AsyncClient
    headers: dict[str, str]
    root: str
    counts: dict[str, Counted] = field(default_factory=dict)

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """Count the statements and seconds of what happens inside."""
        from sqlalchemy import event

        counted = self.counts[name] = Counted()
        engine = self.app.state.database.engine.sync_engine

        def count(*_: Any) -> None:
            counted.statements += 1

        event.listen(engine, "before_cursor_execute", count)
        started = time.perf_counter()
        try:
            yield
        finally:
            counted.seconds = time.perf_counter() - started
            event.remove(engine, "before_cursor_execute", count)

    async def ask(self, name: str, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send a request, and count what it took."""
        with self.counting(name):
            answer = await self.client.request(method, path, json=body, headers=self.headers)
        if answer.is_error:
            message = f"{name}: {answer.status_code} {answer.text[:500]}"
            raise RuntimeError(message)
        return answer


async def _fill(database_url: str, lots: int) -> str:
    from sqlalchemy import text

    from app.core.db import Database
    from app.core.settings import Settings

    settings = Settings(database_url=database_url, secret_key=_secret())
    owner = Database(settings, role="none")
    holders = min(lots, HOLDERS_MAX)
    async with owner.transaction() as session:
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        first = (await session.execute(text("SELECT coalesce(max(id), 0) + 1 FROM party"))).scalar()
        values = {
            "now": NOW - timedelta(days=1),
            "day": date(2026, 6, 17),
            "holders": holders,
            "first": first,
            "lots": lots,
            "direct": lots - lots * 3 // 10,
        }
        for statement in _FILL.split(";"):
            wanted = {name: values[name] for name in values if f":{name}" in statement}
            await session.execute(text(_typed(statement)), wanted)
        root = (await session.execute(text("SELECT public_id FROM lot WHERE id = 1"))).scalar()
    async with owner.reading() as session:
        for table in ("lot", "lot_edge", "lot_balance", "party"):
            await session.execute(text(f"ANALYZE {table}"))
    await owner.close()
    return str(root)


def _typed(statement: str) -> str:
    for name in ("holders", "first", "lots", "direct"):
        statement = statement.replace(f":{name}", f"CAST(:{name} AS bigint)")
    return statement.replace(":now", "CAST(:now AS timestamptz)").replace(
        ":day", "CAST(:day AS date)"
    )


def _secret() -> Any:
    from pydantic import SecretStr

    return SecretStr(base64.b64encode(bytes(range(32))).decode())


@asynccontextmanager
async def _hub(database_url: str, lots: int) -> AsyncIterator[Hub]:
    import httpx

    from app.core import ids
    from app.core.settings import Settings
    from app.main import create_app
    from app.party import credentials
    from app.party import service as parties
    from app.party.access import RoleKind

    root = await _fill(database_url, lots)
    settings = Settings(database_url=database_url, secret_key=_secret(), log_level="ERROR")
    app = create_app(settings, clock=lambda: NOW)
    async with app.state.database.transaction() as session:
        office, _ = await parties.register(
            session,
            parties.PartyDraft(
                public_id=ids.uuid7(), form="legal", name="市场监管局", division_code="3206"
            ),
            [parties.RoleDraft(RoleKind.REGULATOR, date(2020, 1, 1), division_code="3206")],
            vault=app.state.vault,
            by=None,
            now=NOW,
        )
        secret, _ = await credentials.make_key(
            session,
            public_id=ids.uuid7(),
            party_id=office.id,
            name="hub",
            scopes=["recall.open", "recall.read", "recall.close"],
            now=NOW,
        )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://hub", timeout=600
    ) as client:
        yield Hub(app, client, {"authorization": f"Bearer {secret}"}, root)
    await app.state.database.close()


async def _measure(database_url: str, lots: int) -> dict[str, Any]:
    from app.core import ids

    async with _hub(database_url, lots) as hub:
        recall = f"/recalls/{ids.uuid7()}"
        body = {
            "found": [hub.root],
            "grade": 1,
            "trigger": "test",
            "reason": "克百威",
            "known_at": (NOW - timedelta(hours=1)).isoformat(),
        }
        scope = (await hub.ask("preview", "POST", "/recall-scopes", {"found": [hub.root]})).json()
        opened = (await hub.ask("open", "PUT", recall, body)).json()
        await hub.ask("read", "GET", recall)
        await hub.ask("first page of lots", "GET", f"{recall}/lots")
        sheet = await hub.ask("spreadsheet", "GET", f"{recall}/record.xlsx")
        await hub.ask("report as PDF", "GET", f"{recall}/record.pdf")
        lifted = {"outcome": "lifted", "reason": "误报"}
        closed = (await hub.ask("lift", "PUT", f"{recall}/closure", lifted)).json()
        direct = lots - lots * 3 // 10
        right = {
            "lots in scope": opened["totals"]["lots"] == scope["lots"] == lots + 2,
            "grams in scope": opened["totals"]["total_g"] == direct * KG,
            "grams left": opened["totals"]["left_g"] == direct * KG,
            "lifted": closed["outcome"] == "lifted",
        }
        return {
            "lots": lots + 2,
            "notices": opened["totals"]["notices"],
            "spreadsheet_bytes": len(sheet.content),
            "took": {
                name: {"seconds": round(counted.seconds, 3), "statements": counted.statements}
                for name, counted in hub.counts.items()
            },
            "right": right,
        }


def run(lots: int) -> dict[str, Any]:
    """Start a server of its own, fill it, and measure."""
    from app.core import embedded
    from app.install import install

    with tempfile.TemporaryDirectory(prefix="ypt-hub-") as directory:
        Path(directory).chmod(0o755)
        server = embedded.start(Path(directory) / "data", durable=True)
        try:
            url = server.url("postgres")
            install(url.replace("postgresql://", "postgresql+asyncpg://", 1))
            return asyncio.run(_measure(url, lots))
        finally:
            server.stop()


def main() -> int:
    """Measure, print, and answer 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(description="Measure the recall of a hub.")
    parser.add_argument("--lots", type=int, default=100_000, help="descendant lots (100000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    if chosen.lots < LOTS_LEAST:
        parser.error(f"--lots: {LOTS_LEAST} at least")
    python = bootstrap.prepare()
    if Path(sys.prefix).resolve() != python.parent.parent.resolve():
        os.execve(python, [str(python), __file__, *sys.argv[1:]], bootstrap.environment())
    sys.path.insert(0, str(ROOT))
    found = run(chosen.lots)
    if chosen.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print(f"{found['lots']:,} lots in scope, {found['notices']:,} holders told")
        for name, took in found["took"].items():
            print(f"  {name:<20}{took['seconds']:>9.2f} s{took['statements']:>6} statements")
        for name, right in found["right"].items():
            print(f"  {'✔' if right else '✘'} {name}")
    return 0 if all(found["right"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
