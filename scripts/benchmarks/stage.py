"""Sets the stage: a durable server, the graph in our tables and in the floor's, and actors."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import asyncpg
import numpy as np
from pydantic import SecretStr

from app.core import embedded, ids
from app.core.clock import system_clock
from app.core.db import Database
from app.core.sealing import Vault
from app.core.settings import Settings
from app.install import install
from app.party import service as parties
from app.party.access import RoleKind
from app.signing import service as signing
from app.signing.keys import IssuerClass, Signer
from app.signing.stamp import stamp
from app.signing.token import Flags, TokenType
from benchmarks import floors, graph
from benchmarks.graph import Oracle, Wave

# In quotes: the class is generic for type checkers only.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ROOT = Path(__file__).resolve().parents[2]
SECRET = base64.b64encode(bytes(range(32))).decode()
PASSWORD = "correct horse battery staple"  # noqa: S105  # made-up people have made-up passwords
SELLERS = 8
STOCK_LOTS = 1_024
STOCK_G = 10**12
PRODUCT = 18
DIVISION = "320682102"
CITY = "320600"
PAPERS_MAX = 20_000
EDGES_A_PAPER = 10
"""A graph of a size gets so many tickets to scan that scanning them stays the point."""
CONNECTIONS = 32

_BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
_ORIGINS = ("harvest", "merge", "purchase", "transform", "purchase", "purchase", "merge", "split")
_OWN_WORK, _PROVED = 3, 2
_ROLES = (
    RoleKind.FARMER,
    RoleKind.COOP,
    RoleKind.COLLECTOR,
    RoleKind.PROCESSOR,
    RoleKind.STALL,
    RoleKind.SUPERMARKET,
    RoleKind.CATERER,
    RoleKind.GROUP_BUYER,
)
_NAMES = ("农户", "合作社", "批发商行", "加工厂", "摊位", "便民店", "中央厨房", "学校食堂")


@dataclass(frozen=True, slots=True)
class Actors:
    """Who acts in the bench.

    Attributes:
        sellers: Internal and public ids of stall holders with stock.
        buyer: Internal and public id of their buyer.
        stock: Internal and public ids of the lots that tickets draw on.
        hot: The one lot that everybody draws on in "one hot lot".
    """

    sellers: tuple[tuple[int, UUID], ...]
    buyer: tuple[int, UUID]
    stock: tuple[tuple[int, UUID], ...]
    hot: tuple[int, UUID]

    def seller_of(self, stock: int) -> int:
        """Answer whose the lot at a place in `stock` is, as a place in `sellers`."""
        return stock % len(self.sellers)


@dataclass(frozen=True, slots=True)
class Book:
    """A database with a graph in it, and the same graph in memory."""

    url: str
    oracle: Oracle
    actors: Actors

    def settings(self) -> Settings:
        """Answer the settings that our processes use on this database."""
        return Settings(
            database_url=self.url,
            secret_key=SecretStr(SECRET),
            cookie_secure=False,
            pool_size=CONNECTIONS,
        )

    def environment(self) -> dict[str, str]:
        """Answer the same settings as environment variables, for processes of their own."""
        return {
            "YPT_DATABASE_URL": self.url,
            "YPT_SECRET_KEY": SECRET,
            "YPT_COOKIE_SECURE": "false",
            "YPT_POOL_SIZE": str(CONNECTIONS),
        }

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Open a connection as the superuser."""
        connection = await asyncpg.connect(self.url, server_settings={"jit": "off"})
        try:
            yield connection
        finally:
            await connection.close()


def default_directory() -> Path:
    """Answer where the bench keeps its data: on a disk, for memory would flatter every write."""
    lasting = Path("/var/tmp")  # noqa: S108  # a directory of our user's own is made in it
    parent = lasting if lasting.is_dir() else Path(tempfile.gettempdir())
    return parent / f"yipiaotong-bench-{os.geteuid()}"


class Stage:
    """The server, and a database for each size of graph."""

    def __init__(self, directory: Path) -> None:
        """Start the server of a directory, or join it."""
        self.server = embedded.start(directory, durable=True)
        self.directory = directory
        self._books: dict[tuple[int, int], Book] = {}

    def close(self) -> None:
        """Give the server back."""
        self.server.stop()

    async def book(self, edges: int, seed: int) -> Book:
        """Answer the database with the graph of a size; made once, and kept between runs."""
        if (edges, seed) not in self._books:
            self._books[edges, seed] = await self._open(edges, seed)
        return self._books[edges, seed]

    async def _open(self, edges: int, seed: int) -> Book:
        # Whatever shapes the tables or the graph is part of the name: nothing stale is reused.
        name = f"bench_{edges}_{seed}_{_fingerprint()}"
        if not self.server.has_database(name):
            content = await self._make(name, edges, seed)
        else:
            content = list(graph.waves(edges, seed))
        url = self.server.url(name)
        connection = await asyncpg.connect(url)
        try:
            await floors.rebuild(connection)
            actors = await _actors(connection)
        finally:
            await connection.close()
        return Book(url, Oracle(content), actors)

    async def _make(self, name: str, edges: int, seed: int) -> list[Wave]:
        unfinished = f"{name}_new"
        await self._drop_former(edges, seed)
        self.server.create_database(unfinished, template=await self._template())
        url = self.server.url(unfinished)
        connection = await asyncpg.connect(url)
        try:
            content = await _fill(connection, edges, seed)
            await _cast(connection, url, Oracle(content))
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()
        await self._rename(unfinished, name)
        return content

    async def _template(self) -> str:
        """Answer a database with our schema and reference data, of which others are copies."""
        name = f"template_{_fingerprint()}"
        if not self.server.has_database(name):
            unfinished = f"{name}_new"
            self.server.drop_database(unfinished)
            self.server.create_database(unfinished)
            url = self.server.url(unfinished).replace("postgresql", "postgresql+asyncpg", 1)
            await asyncio.to_thread(install, url)
            await self._rename(unfinished, name)
        return name

    async def _rename(self, former: str, name: str) -> None:
        admin = await asyncpg.connect(self.server.url())
        try:
            await admin.execute(f'ALTER DATABASE "{former}" RENAME TO "{name}"')
        finally:
            await admin.close()

    async def _drop_former(self, edges: int, seed: int) -> None:
        """Remove what former schemas and interrupted runs left of this graph."""
        admin = await asyncpg.connect(self.server.url())
        try:
            former = await admin.fetch(
                "SELECT datname FROM pg_database WHERE starts_with(datname, $1)",
                f"bench_{edges}_{seed}_",
            )
        finally:
            await admin.close()
        for row in former:
            self.server.drop_database(row["datname"])


def graph_fingerprint() -> str:
    """Answer what changes whenever the graph may."""
    return _digest([Path(graph.__file__)])


def _fingerprint() -> str:
    files = [Path(__file__), Path(graph.__file__), Path(floors.__file__)]
    return _digest([*files, *sorted((ROOT / "migrations" / "versions").glob("*.py"))])


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


# --- the graph ------------------------------------------------------------------------------------


async def _fill(connection: Connection, edges: int, seed: int) -> list[Wave]:
    """Stream the graph into the tables, a wave at a time."""
    await connection.execute(floors.GRAPH_TABLES)
    # The generator guarantees what the foreign keys would look up twenty million times.
    await connection.execute("SET session_replication_role = replica")
    content: list[Wave] = []
    parties_made = 0
    for wave in graph.waves(edges, seed):
        most = int(wave.lots[:, 5].max()) + 1
        most = -(-most // graph.PARTIES_OF_A_CELL) * graph.PARTIES_OF_A_CELL
        await _copy(connection, "party", _PARTY, _party_lines(parties_made, most))
        await _copy(connection, "party_role", _ROLE, _role_lines(parties_made, most))
        parties_made = max(parties_made, most)
        await _copy(connection, "lot", _LOT, _lot_lines(wave))
        await _copy(connection, "lot_balance", _BALANCE, _balance_lines(wave))
        lines = list(_edge_lines(wave))
        await _copy(connection, "lot_edge", _EDGE, lines)
        await _copy(connection, "edge", _EDGE, lines, schema="floor")
        content.append(wave)
    await connection.execute("SET session_replication_role = origin")
    for table in ("party", "party_role", "lot"):
        await connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "  # noqa: S608
            f"(SELECT max(id) FROM {table}))"
        )
    return content


_PARTY = ("id", "public_id", "form", "name", "status", "division_code", "commit_salt", "created_at")
_ROLE = ("party_id", "kind", "valid_from")
_LOT = [
    "id",
    "public_id",
    "digest",
    "product_id",
    "holder_id",
    "producer_id",
    "from_party_id",
    "mixed",
    "origin",
    "mass_g",
    "quantity",
    "unit",
    "division_code",
    "made_on",
    "created_at",
]
_BALANCE = ["lot_id", "produced_g", "remaining_g", "certified_g", "cover_used_g", "holds"]
_EDGE = ["dst", "src", "mass_g", "proof", "event_id", "occurred_at"]
_NULL = "\\N"


def party_id(holder: int) -> int:
    """Answer the internal id of a holder of the graph."""
    return holder + 1


def _stage_of(holder: int) -> int:
    place = holder % graph.PARTIES_OF_A_CELL
    for stage, count in enumerate(graph.PARTIES_OF_A_STAGE):
        if place < count:
            return stage
        place -= count
    raise AssertionError(holder)


def _party_lines(first: int, most: int) -> Iterator[str]:
    for holder in range(first, most):
        stage = _stage_of(holder)
        form = "natural" if stage == graph.FARM else "legal"
        public_id = UUID(int=(0x0190 << 112) | (7 << 76) | (2 << 62) | holder)
        yield (
            f"{party_id(holder)}\t{public_id}\t{form}\t{_NAMES[stage]}{holder}\tactive\t{DIVISION}"
            f"\t\\\\x{holder:032x}\t{_BEGAN.isoformat()}\n"
        )


def _role_lines(first: int, most: int) -> Iterator[str]:
    for holder in range(first, most):
        yield f"{party_id(holder)}\t{_ROLES[_stage_of(holder)]}\t2020-01-01\n"


def lot_of(public_id: str) -> int:
    """Answer the internal id of a lot of the graph, which its public id holds."""
    return UUID(public_id).int & ((1 << 62) - 1)


def public_id_of(lot: int, at: datetime) -> UUID:
    """Make the public id of a lot of the graph: a UUIDv7, ascending as the lots do."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | lot)


def _instants(wave: Wave) -> list[datetime]:
    began = _BEGAN + timedelta(seconds=wave.month * graph.MONTH_S)
    return [began + timedelta(seconds=at_s) for at_s in wave.lots[:, 2].tolist()]


def _lot_lines(wave: Wave) -> Iterator[str]:
    rows = zip(wave.lots.tolist(), _instants(wave), strict=True)
    for lot, ((_, _, _, stage, mass_g, holder), at) in enumerate(rows, start=wave.first_id):
        producer = party_id(holder) if stage == graph.FARM else _NULL
        mixed = "f" if stage == graph.FARM else "t"
        made_on = at.date().isoformat() if stage == graph.FARM else _NULL
        origin = DIVISION if stage == graph.FARM else _NULL
        yield (
            f"{lot}\t{public_id_of(lot, at)}\t\t{PRODUCT}\t{party_id(holder)}\t{producer}\t{_NULL}"
            f"\t{mixed}\t{_ORIGINS[stage]}\t{mass_g}\t{mass_g / 1000}\t公斤\t{origin}\t{made_on}"
            f"\t{at.isoformat()}\n"
        )


def _balance_lines(wave: Wave) -> Iterator[str]:
    out = np.bincount(
        wave.edges[:, 1] - wave.first_id, weights=wave.edges[:, 2], minlength=len(wave.lots)
    )
    rows = zip(wave.lots[:, 4].tolist(), out.astype(np.int64).tolist(), strict=True)
    for lot, (mass_g, given) in enumerate(rows, start=wave.first_id):
        yield f"{lot}\t{mass_g}\t{max(mass_g - given, 0)}\t0\t0\t0\n"


def _edge_lines(wave: Wave) -> Iterator[str]:
    instants = [at.isoformat() for at in _instants(wave)]
    own = {graph.COOPERATIVE, graph.PROCESSOR, graph.SCHOOL}
    proofs = [_OWN_WORK if stage in own else _PROVED for stage in wave.lots[:, 3].tolist()]
    for dst, src, mass_g in wave.edges.tolist():
        place = dst - wave.first_id
        yield f"{dst}\t{src}\t{mass_g}\t{proofs[place]}\t{dst}\t{instants[place]}\n"


async def _copy(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    lines: Iterator[str] | Sequence[str],
    *,
    schema: str = "public",
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        waiting: list[str] = []
        for line in lines:
            waiting.append(line)
            if len(waiting) == 10_000:  # a megabyte or so at a time
                yield "".join(waiting).encode()
                waiting.clear()
        if waiting:
            yield "".join(waiting).encode()

    await connection.copy_to_table(
        table, schema_name=schema, columns=list(columns), source=chunks(), format="text"
    )


# --- actors and papers ----------------------------------------------------------------------------


async def _cast(connection: Connection, url: str, oracle: Oracle) -> None:
    """Register who acts, give them stock, and write the tickets that are scanned."""
    settings = Settings(
        database_url=url, secret_key=SecretStr(SECRET), cookie_secure=False, pool_size=2
    )
    vault = Vault(settings.secret_bytes)
    now = system_clock()
    database = Database(settings, role="none")
    people = [(f"seller-{number}", RoleKind.STALL) for number in range(SELLERS)]
    people += [("buyer", RoleKind.GROUP_BUYER), ("regulator", RoleKind.REGULATOR)]
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
            for login, kind in people:
                party, _ = await parties.register(
                    session,
                    parties.PartyDraft(
                        public_id=ids.uuid7(),
                        form="legal",
                        name=f"压测 {login}",
                        division_code=DIVISION,
                    ),
                    [parties.RoleDraft(kind, date(2020, 1, 1), division_code=CITY)],
                    vault=vault,
                    by=None,
                    now=now,
                )
                await parties.open_account(
                    session,
                    public_id=ids.uuid7(),
                    party_id=party.id,
                    login=f"bench-{login}",
                    password=PASSWORD,
                    vault=vault,
                    now=now,
                )
            signer = await signing.load_signer(session, vault, now)
    finally:
        await database.close()
    actors = await _stock_up(connection, now)
    await _write_papers(connection, oracle, actors, signer, now)


async def _stock_up(connection: Connection, now: datetime) -> Actors:
    sellers = await connection.fetch(
        "SELECT id FROM party WHERE name LIKE '压测 seller%' ORDER BY id"
    )
    lots = [(ids.uuid7(), sellers[number % SELLERS]["id"]) for number in range(STOCK_LOTS + 1)]
    await connection.executemany(
        "INSERT INTO lot (public_id, digest, product_id, holder_id, mixed, origin, mass_g, "
        "quantity, unit, created_at) VALUES ($1, '', $2, $3, true, 'purchase', $4, $5, '公斤', $6)",
        [(lot, PRODUCT, seller, STOCK_G, STOCK_G // 1000, now) for lot, seller in lots],
    )
    await connection.execute(
        "INSERT INTO lot_balance (lot_id, produced_g, remaining_g, certified_g, cover_used_g, "
        "holds) SELECT id, mass_g, mass_g, 0, 0, 0 FROM lot WHERE mass_g = $1",
        STOCK_G,
    )
    return await _actors(connection)


async def _actors(connection: Connection) -> Actors:
    people = await connection.fetch(
        "SELECT id, public_id, name FROM party WHERE name LIKE '压测 %' ORDER BY id"
    )
    found = {row["name"].removeprefix("压测 "): (row["id"], row["public_id"]) for row in people}
    stock = await connection.fetch(
        "SELECT id, public_id FROM lot WHERE holder_id = ANY($1::bigint[]) AND mass_g = $2 "
        "ORDER BY id",
        [found[f"seller-{number}"][0] for number in range(SELLERS)],
        STOCK_G,
    )
    lots = tuple((row["id"], row["public_id"]) for row in stock)
    return Actors(
        sellers=tuple(found[f"seller-{number}"] for number in range(SELLERS)),
        buyer=found["buyer"],
        stock=lots[:STOCK_LOTS],
        hot=lots[STOCK_LOTS],
    )


_TICKET = [
    "id",
    "public_id",
    "digest",
    "kind",
    "code",
    "serial",
    "kid",
    "token",
    "seller_id",
    "buyer_id",
    "buyer_kind",
    "hand_over",
    "sold_at",
    "issued_at",
    "expires_at",
    "mass_g",
    "documents",
]
_LINE = ["ticket_id", "no", "product_id", "trade_name", "quantity", "unit", "mass_g"]
_DRAW = ["ticket_id", "line_no", "lot_id", "mass_g", "cover_g", "certificate_ids"]


async def _write_papers(
    connection: Connection, oracle: Oracle, actors: Actors, signer: Signer, now: datetime
) -> None:
    """Write tickets that sell a little of lots at the end of their way: what gates scan."""
    leaves = oracle.in_ordinary_cells(oracle.leaves())
    chosen = np.random.default_rng(1).permutation(leaves)[
        : min(PAPERS_MAX, oracle.edges // EDGES_A_PAPER)
    ]
    tickets: list[str] = []
    lines: list[str] = []
    draws: list[str] = []
    for number, lot in enumerate(chosen.tolist(), start=1):
        mass_g = max(int(oracle.mass_g[lot]) // 2, 1)
        seller = party_id(int(oracle.holder[lot]))
        serial = ids.serial63()
        made = stamp(
            signer,
            TokenType.TICKET,
            serial=serial,
            signed_at=now,
            ttl_h=24 * 365,
            product=PRODUCT,
            mass_g=mass_g,
            origin=DIVISION,
            issuer=seller,
            flags=Flags(0),
            status_index=number,
        )
        tickets.append(
            f"{number}\t{ids.uuid7()}\t\tsale\t{made.code}\t{serial}\t{made.kid}\t{made.token}"
            f"\t{seller}\t{actors.buyer[0]}\tregistered\ttwo_sided\t{now.isoformat()}"
            f"\t{now.isoformat()}\t{made.expires_at.isoformat()}\t{mass_g}\t[]\n"
        )
        lines.append(f"{number}\t1\t{PRODUCT}\t青菜\t{mass_g / 1000}\t公斤\t{mass_g}\n")
        draws.append(f"{number}\t1\t{lot}\t{mass_g}\t0\t{{}}\n")
    await _copy(connection, "ticket", _TICKET, tickets)
    await _copy(connection, "ticket_line", _LINE, lines)
    await _copy(connection, "ticket_draw", _DRAW, draws)
    await connection.execute(
        "INSERT INTO ticket_state (ticket_id, status) SELECT id, 'issued' FROM ticket;"
        "UPDATE lot_balance b SET remaining_g = b.remaining_g - d.mass_g FROM ticket_draw d "
        "WHERE d.lot_id = b.lot_id AND b.remaining_g >= d.mass_g;"
        "SELECT setval(pg_get_serial_sequence('ticket', 'id'), (SELECT max(id) FROM ticket))"
    )
