"""The drill: a storm of clients, an import, kills in the middle, and the reckoning."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import crash as command
import httpx
from pydantic import SecretStr

from app.core import embedded, ids
from app.core.clock import local_date, system_clock
from app.core.db import Database
from app.core.sealing import Vault
from app.core.settings import Settings
from app.install import install
from app.party import credentials
from app.party import service as parties
from app.party.access import NOT_FOR_KEYS, POLICY, RoleKind
from app.signing import service as signing
from app.signing.keys import IssuerClass
from app.ticket import audit

CLIENTS = 32
LOTS = 8
SCARCE_KG = 60
"""What a scarce lot holds: every storm wants more of it."""
PLENTY_KG = 1_000_000
PRODUCT = 18
IMPORT_ROWS_A_SECOND = 400
VICTIMS = ("import", "server", "postgresql")
ANSWER_S_MAX = 90
PAUSE_S = 0.1
SECRET = base64.b64encode(bytes(range(32))).decode()
ROOT = Path(__file__).resolve().parents[2]
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

# What must not be there, each with the promise that it would break.
_HALF = """
    SELECT count(*) FROM ticket t
    WHERE (SELECT count(*) FROM ticket_line l WHERE l.ticket_id = t.id) <> 1
        OR (SELECT coalesce(sum(d.mass_g), 0) FROM ticket_draw d WHERE d.ticket_id = t.id)
            <> t.mass_g
        OR (SELECT count(*) FROM ticket_state s WHERE s.ticket_id = t.id) <> 1
        OR (SELECT count(*) FROM event e WHERE e.public_id = t.public_id) < 1
        OR (SELECT count(*) FROM entry e WHERE e.subject = t.public_id) < 1
        OR t.hand_over = 'one_sided'
            AND (SELECT count(*) FROM ticket_receipt r WHERE r.ticket_id = t.id)
                <> (SELECT count(*) FROM ticket_draw d WHERE d.ticket_id = t.id)
"""
_DOUBLE = """
    SELECT count(*) FROM ticket t
    WHERE (SELECT count(*) FROM event e WHERE e.public_id = t.public_id) > 1
        OR (SELECT count(*) FROM entry e WHERE e.subject = t.public_id) > 1
"""
_OVERSOLD = """
    SELECT count(*) FROM lot_balance b
    WHERE b.remaining_g < 0 OR b.remaining_g <> b.produced_g
        - (SELECT coalesce(sum(d.mass_g), 0) FROM ticket_draw d WHERE d.lot_id = b.lot_id)
"""


@dataclass
class Tally:
    """What clients were told.

    Attributes:
        tokens: What each acknowledged ticket's code says, by the ticket's id.
        changed: Tickets that were answered in two ways.
        unanswered: Requests that nobody answered for so long that their client gave up.
        recoveries_s: From each kill to the next acknowledged ticket, by victim.
    """

    tokens: dict[str, str] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    faults: int = 0
    changed: int = 0
    unanswered: int = 0
    recoveries_s: list[tuple[str, float]] = field(default_factory=list)
    waiting: list[tuple[str, float]] = field(default_factory=list)

    def acknowledge(self, ticket: str, url: str) -> None:
        """Take note of an answer that says that a ticket is issued."""
        if self.tokens.setdefault(ticket, url) != url:
            self.changed += 1
        now = time.perf_counter()
        self.recoveries_s += [(victim, now - at) for victim, at in self.waiting]
        self.waiting.clear()


class Stage:
    """A database, a server, an import, and ways to kill each of them."""

    def __init__(self, directory: Path) -> None:
        """Start PostgreSQL and install the platform in it."""
        self.directory = directory
        self.postgresql = embedded.start(directory / "pg", durable=True)
        self.postgresql.create_database("drill")
        self.url = self.postgresql.url("drill")
        self.settings = Settings(
            database_url=self.url, secret_key=SecretStr(SECRET), cookie_secure=False, pool_size=8
        )
        install(self.settings.database_url)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "YPT_DATABASE_URL": self.url,
            "YPT_SECRET_KEY": SECRET,
            "YPT_COOKIE_SECURE": "false",
            "YPT_LOG_LEVEL": "ERROR",
            "YPT_POOL_SIZE": "16",
        }
        self.log = (directory / "log").open("ab")
        self.server = self._start("serve", "--port", str(self.port))
        self.importing: subprocess.Popen[bytes] | None = None

    def _start(self, *words: str, output: Any = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", *words],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=output or self.log,
            stderr=self.log,
        )

    def start_import(self, file: Path, seller: str) -> None:
        """Start the import, or continue it."""
        with (self.directory / "import.json").open("wb") as output:
            self.importing = self._start(
                "import",
                "tickets",
                str(file),
                "--seller",
                seller,
                "--resume",
                "--json",
                output=output,
            )

    def imported(self) -> dict[str, Any]:
        """Answer what the import said at its end."""
        said: dict[str, Any] = json.loads((self.directory / "import.json").read_text())
        return said

    def kill(self, victim: str) -> bool:
        """Kill -9 one of the three and start it again; tell whether it ran."""
        if victim == "server":
            self.server.kill()
            self.server.wait()
            self.server = self._start("serve", "--port", str(self.port))
        elif victim == "postgresql":
            pid_file = self.directory / "pg" / "cluster" / "postmaster.pid"
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
            # The former holds the guard that stops the server at the end; both are stopped then.
            former, self.postgresql = (
                self.postgresql,
                embedded.start(self.directory / "pg", durable=True),
            )
            former.stop()
        else:
            if self.importing is None or self.importing.poll() is not None:
                return False
            self.importing.kill()
            self.importing.wait()
        return True

    def close(self) -> None:
        """Stop all that was started."""
        for process in (self.server, self.importing):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait()
        self.postgresql.stop()
        self.log.close()


@dataclass(frozen=True)
class People:
    """Who acts: headers of the seller, and public ids."""

    headers: dict[str, str]
    seller: str
    buyer: str


async def cast(stage: Stage) -> People:
    """Register a seller with a key, and a buyer; make the key that signs."""
    database = Database(stage.settings, role="none")
    vault, now = Vault(stage.settings.secret_bytes), system_clock()
    found = []
    try:
        async with database.transaction() as session:
            await signing.create_key(
                session,
                vault=vault,
                now=now,
                issuer_class=IssuerClass.TICKET,
                ttl_h_max=9_000,
                publish_ahead_days=0,
            )
            for name in ("卖菜的", "买菜的"):
                party, _ = await parties.register(
                    session,
                    parties.PartyDraft(public_id=ids.uuid7(), form="legal", name=name),
                    [parties.RoleDraft(RoleKind.STALL, date(2020, 1, 1))],
                    vault=vault,
                    by=None,
                    now=now,
                )
                found.append(party)
            secret, _ = await credentials.make_key(
                session,
                public_id=ids.uuid7(),
                party_id=found[0].id,
                name="drill",
                scopes=sorted(set(POLICY) - NOT_FOR_KEYS),
                now=now,
            )
    finally:
        await database.close()
    seller, buyer = (str(party.public_id) for party in found)
    return People({"authorization": f"Bearer {secret}"}, seller, buyer)


class Storm:
    """Clients that issue tickets, and send again whatever was not answered."""

    def __init__(self, stage: Stage, people: People, chance: Random) -> None:
        """Prepare; `stock` fills up with `open_lots`."""
        self.stage = stage
        self.people = people
        self.chance = chance
        self.tally = Tally()
        self.stock: list[str] = []
        self.over = asyncio.Event()

    async def open_lots(self) -> str:
        """Open the lots that everybody draws on, most of them scarce; answer the import's own."""
        async with self._client() as client:
            for kg in [PLENTY_KG] * (LOTS // 2) + [SCARCE_KG] * (LOTS // 2) + [PLENTY_KG]:
                lot = str(ids.uuid7())
                body = {
                    "origin": "declare", "product": PRODUCT, "quantity": str(kg), "unit": "公斤"
                }  # fmt: skip
                answer = await self._until_answered(client, f"/lots/{lot}", body)
                assert answer is not None, "the server starts"
                assert answer.status_code == 201, answer.text
                self.stock.append(lot)
        return self.stock.pop()

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.stage.port}",
            headers=self.people.headers,
            timeout=15,
            trust_env=False,
        )

    async def client(self) -> None:
        """Issue tickets one after the other; the last one is waited for."""
        async with self._client() as client:
            while not self.over.is_set():
                lots = self.chance.sample(self.stock, self.chance.randint(1, 3))
                body = {
                    "buyer": {"party": self.people.buyer},
                    "hand_over": self.chance.choice(["one_sided", "two_sided"]),
                    "lines": [
                        {
                            "product": PRODUCT,
                            "quantity": str(len(lots)),
                            "unit": "公斤",
                            "draws": [{"lot": lot, "mass_g": 1_000} for lot in lots],
                        }
                    ],
                }
                ticket = str(ids.uuid7())
                answer = await self._until_answered(client, f"/tickets/{ticket}", body)
                if answer is None:
                    self.tally.unanswered += 1
                elif answer.is_success:
                    self.tally.acknowledge(ticket, answer.json()["url"])
                else:
                    self.tally.refusals[answer.json()["code"]] += 1

    async def _until_answered(
        self, client: httpx.AsyncClient, path: str, body: dict[str, Any]
    ) -> httpx.Response | None:
        """Send a request again and again until somebody says yes or no."""
        until = time.perf_counter() + ANSWER_S_MAX
        while time.perf_counter() < until:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.put(path, json=body)
                if answer.status_code < 500:
                    return answer
                self.tally.faults += answer.status_code == 500
            self.tally.retries += 1
            await asyncio.sleep(PAUSE_S * (0.5 + self.chance.random()))
        return None


def write_file(path: Path, people: People, lot: str, rows: int) -> None:
    """Write the file that is imported: a kilogram a row."""
    today = local_date(system_clock()).isoformat()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["买方", "品名", "数量", "日期", "批次"])
        writer.writerows([people.buyer, PRODUCT, "2斤", today, lot] for _ in range(rows))


async def drill(options: Any, say: Any) -> dict[str, Any]:
    """Play everything, and answer what was found."""
    directory = Path(tempfile.mkdtemp(prefix="ypt-crash-", dir="/var/tmp"))
    directory.chmod(0o755)
    chance = Random(options.seed)  # noqa: S311 (the same drill every time)
    stage = await asyncio.to_thread(Stage, directory)
    try:
        people = await cast(stage)
        storm = Storm(stage, people, chance)
        lot = await storm.open_lots()
        rows = options.seconds * IMPORT_ROWS_A_SECOND
        file = directory / "tickets.csv"
        write_file(file, people, lot, rows)
        say(f"{CLIENTS} clients for {options.seconds} s, {rows} rows, {options.kills} kills")
        began = time.perf_counter()
        clients = [asyncio.create_task(storm.client()) for _ in range(CLIENTS)]
        stage.start_import(file, people.seller)
        kills = await _kill(stage, storm, people, file, options, say)
        await asyncio.sleep(began + options.seconds - time.perf_counter())
        storm.over.set()
        await asyncio.gather(*clients)
        await _end_import(stage, file, people)
        return await _reckon(stage, storm, rows, kills, seed=options.seed)
    finally:
        await asyncio.to_thread(stage.close)
        shutil.rmtree(directory, ignore_errors=True)


async def _kill(
    stage: Stage, storm: Storm, people: People, file: Path, options: Any, say: Any
) -> Counter[str]:
    kills: Counter[str] = Counter()
    for number in range(options.kills):
        pause_s = options.seconds / (options.kills + 1)
        await asyncio.sleep(pause_s * (0.7 + 0.6 * storm.chance.random()))
        victim = VICTIMS[number % len(VICTIMS)]
        # In the middle of work: of something that has not come back yet nothing can be lost.
        await _at_work(stage, storm)
        at = time.perf_counter()
        kills[victim] += await asyncio.to_thread(stage.kill, victim)
        if victim != "import":
            storm.tally.waiting.append((victim, at))
        if stage.importing is not None and stage.importing.poll() not in {None, 0}:
            stage.start_import(file, people.seller)
        say(f"kill -9 {victim}: {len(storm.tally.tokens)} acknowledged so far")
    await _at_work(stage, storm)
    return kills


async def _at_work(stage: Stage, storm: Storm) -> None:
    """Wait until clients are answered again, and the import has something done."""
    before, until = len(storm.tally.tokens), time.perf_counter() + ANSWER_S_MAX
    while len(storm.tally.tokens) < before + CLIENTS:
        assert time.perf_counter() < until, "nobody is answered any more"
        await asyncio.sleep(PAUSE_S)
    connection = await asyncpg.connect(stage.url)
    try:
        while not await connection.fetchval("SELECT sum(rows_done) FROM import_run"):
            assert time.perf_counter() < until, "the import does not begin"
            await asyncio.sleep(PAUSE_S)
    finally:
        await connection.close()


async def _end_import(stage: Stage, file: Path, people: People) -> None:
    """Let the import end, continuing it should a kill have ended it."""
    for _ in range(5):
        assert stage.importing is not None, "it was started"
        if await asyncio.to_thread(stage.importing.wait, 300) == 0:
            return
        stage.start_import(file, people.seller)
    message = "the import does not end"
    raise RuntimeError(message)


async def _reckon(
    stage: Stage, storm: Storm, rows: int, kills: Counter[str], *, seed: int
) -> dict[str, Any]:
    tally = storm.tally
    connection = await asyncpg.connect(stage.url)
    try:
        settings = {
            name: await connection.fetchval("SELECT current_setting($1)", name) for name in DURABLE
        }
        assert settings == DURABLE, settings
        tokens: dict[str, str] = {
            row["ticket"]: row["token"]
            for row in await connection.fetch("SELECT public_id::text AS ticket, token FROM ticket")
        }
        half, double, oversold = [
            await connection.fetchval(query) for query in (_HALF, _DOUBLE, _OVERSOLD)
        ]
        run = await connection.fetchrow("SELECT * FROM import_run")
    finally:
        await connection.close()
    assert run is not None, "the import began"
    lost = sum(
        ticket not in tokens or not url.endswith(tokens[ticket])
        for ticket, url in tally.tokens.items()
    )
    database = Database(stage.settings)
    try:
        async with database.reading() as session:
            faults = (await audit.audit(session)).fault_count
    finally:
        await database.close()
    imported = len(tokens) - len(set(tokens) & set(tally.tokens)) - tally.unanswered
    found = {
        "kills": dict(kills),
        "acknowledged": len(tally.tokens),
        "retries": tally.retries,
        "refused": dict(tally.refusals),
        "unanswered": tally.unanswered,
        "internal_faults": tally.faults,
        "lost": lost,
        "double": double + tally.changed + abs(run["repeated"]),
        "half_written": half,
        "oversold": oversold,
        "audit_faults": faults,
        "import": {
            "rows": rows,
            "made": run["made"],
            "in_the_books": imported,
            "wrong": abs(rows - run["made"]) + abs(rows - imported),
        },
        "recovery_s": {
            victim: [round(took, 2) for name, took in tally.recoveries_s if name == victim]
            for victim in VICTIMS[1:]
        },
        "seed": seed,
    }
    must_be_none = ("lost", "double", "half_written", "oversold", "audit_faults", "unanswered")
    found["ok"] = not any(found[name] for name in must_be_none) and not found["import"]["wrong"]
    return found


def main() -> int:
    """Run; 1 when anything was lost, doubled, half written or oversold."""
    options = command.parse(sys.argv[1:])

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    found = asyncio.run(drill(options, say))
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<16}{value}")
    return int(not found["ok"])


if __name__ == "__main__":
    sys.exit(main())
