"""Another engine with the same graph, asked over standard input, one question a line.

    python peers.py kuzu|ladybug DIRECTORY
    python peers.py tryton DATABASE DIRECTORY

Runs in the peers' environment and imports nothing of ours. `DIRECTORY` holds `lots.csv` (id) and
`edges.csv` (src, dst, grams); `DATABASE` is Tryton's own in the server that `PGHOST` names. A
question is `{"direction": "back"|"forward", "lot": 1}`; the answer is `{"us": ..., "lots": [...]}`:
the time that the engine took in this process, and what it found.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LEVELS_MAX = 30
_BUFFER_BYTES = 1 << 30

Ask = Callable[[str, int], "list[int]"]


def graph_engine(name: str, directory: Path) -> Ask:
    """Load the graph into an embedded graph database; kuzu and its successor speak alike."""
    module = importlib.import_module(name)
    place = directory / f"{name}.db"
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    database = module.Database(str(place), buffer_pool_size=_BUFFER_BYTES)
    connection = module.Connection(database)
    connection.execute("CREATE NODE TABLE Lot (id INT64, PRIMARY KEY (id))")
    connection.execute("CREATE REL TABLE Went (FROM Lot TO Lot, mass_g INT64)")
    connection.execute(f"COPY Lot FROM '{directory / 'lots.csv'}'")
    connection.execute(f"COPY Went FROM '{directory / 'edges.csv'}'")
    # Which lots are reached: the shortest way to each is enough, and the fastest it has.
    statements = {
        "back": connection.prepare(
            f"MATCH (a:Lot)-[e:Went* SHORTEST 1..{LEVELS_MAX}]->(b:Lot) "
            "WHERE b.id = $lot RETURN a.id"
        ),
        "forward": connection.prepare(
            f"MATCH (b:Lot)-[e:Went* SHORTEST 1..{LEVELS_MAX}]->(a:Lot) "
            "WHERE b.id = $lot RETURN a.id"
        ),
    }

    def ask(direction: str, lot: int) -> list[int]:
        answer = connection.execute(statements[direction], {"lot": lot})
        found = [lot]
        while answer.has_next():
            found.append(answer.get_next()[0])
        return found

    return ask


def serve(ask: Ask, deeds: Mapping[str, Callable[[], None]]) -> None:
    """Answer questions until standard input ends; `{"do": name}` does something else."""
    _say({"ready": True})
    for line in sys.stdin:
        question = json.loads(line)
        if "do" in question:
            deeds[question["do"]]()
            _say({"done": question["do"]})
            continue
        began = time.perf_counter()
        lots = ask(question["direction"], question["lot"])
        _say({"us": (time.perf_counter() - began) * 1e6, "lots": lots})


def _say(answer: dict[str, Any]) -> None:
    # Piece by piece: an unbuffered text stream loses the rest of a large write.
    rest = json.dumps(answer).encode() + b"\n"
    while rest:
        rest = rest[os.write(1, rest) :]


class Tryton:
    """Tryton's `stock.lot.trace`, in process, with a database of its own in the same server.

    Every hand-over is a production: what went in are its inputs, the new lot its output. Rows are
    written past its models, for those would take hours; the questions go through them.
    """

    MODULES = ("production", "stock_lot")

    def __init__(self, name: str, directory: Path) -> None:
        """Open the database of a graph; make it if there is none, which takes minutes."""
        from trytond import config
        from trytond.pool import Pool

        config.set("database", "uri", "postgresql://")
        Pool.start()
        if not self._exists("tryton_base"):
            self._create("tryton_base_new")
            self._install("tryton_base_new")
            self._rename("tryton_base_new", "tryton_base")
        if not self._exists(name):
            self._create(f"{name}_new", "tryton_base")
            self._fill(f"{name}_new", directory)
            self._rename(f"{name}_new", name)
        self.name = name
        self.pool = Pool(name)
        self.pool.init()

    def ask(self, direction: str, lot: int) -> list[int]:
        """Walk from the move that brought a lot into being, as a user unfolds the tree."""
        from trytond.transaction import Transaction

        field = "downward_traces" if direction == "back" else "upward_traces"
        with Transaction().start(self.name, 0, readonly=True, context={"company": 1}):
            model = self.pool.get("stock.lot.trace")
            moves = self.pool.get("stock.move")
            frontier = [
                move.id
                for move in moves.search([("lot", "=", lot), ("to_location", "=", _STORAGE)])
            ]
            met = set(frontier)
            lots = {lot}
            while frontier:
                traces = model.browse(frontier)
                lots |= {trace.lot.id for trace in traces}
                beyond = {further.id for trace in traces for further in getattr(trace, field)}
                frontier = sorted(beyond - met)
                met |= beyond
            return sorted(lots)

    def index_lots(self) -> None:
        """Add the index that its moves lack."""
        import psycopg

        with psycopg.connect(dbname=self.name, autocommit=True) as connection:
            connection.execute("CREATE INDEX IF NOT EXISTS move_lot ON stock_move (lot)")
            connection.execute("ANALYZE stock_move")

    def drop_index(self) -> None:
        """Take the index away again: this is how it is shipped."""
        import psycopg

        with psycopg.connect(dbname=self.name, autocommit=True) as connection:
            connection.execute("DROP INDEX IF EXISTS move_lot")

    def _install(self, name: str) -> None:
        from trytond.pool import Pool
        from trytond.transaction import Transaction

        with Transaction().start(name, 0, readonly=False) as transaction:
            transaction.database.init()
        pool = Pool(name)
        pool.init(update=["ir", "res"], lang=["en"])
        with Transaction().start(name, 0, readonly=False):
            module = pool.get("ir.module")
            module.update_list()
            module.activate(module.search([("name", "in", self.MODULES)]))
        pool.init(update=list(self.MODULES), lang=["en"])
        with Transaction().start(name, 0, readonly=False):
            currency = self._made(pool, "currency.currency", name="Yuan", symbol="¥", code="CNY")
            party = self._made(pool, "party.party", name="Bench")
            company = self._made(pool, "company.company", party=party, currency=currency)
            assert company == 1, "the first one"
            with Transaction().set_context(company=company):
                self._made(
                    pool,
                    "product.template",
                    name="Leek",
                    type="goods",
                    default_uom=_GRAM,
                    products=[("create", [{}])],
                )

    @staticmethod
    def _made(pool: Any, model: str, **values: Any) -> int:
        (record,) = pool.get(model).create([values])
        return int(record.id)

    @staticmethod
    def _fill(name: str, directory: Path) -> None:
        import psycopg

        with psycopg.connect(dbname=name) as connection, connection.cursor() as cursor:
            with (directory / "lots.csv").open() as file:
                lots = [int(row[0]) for row in csv.reader(file)]
            with cursor.copy("COPY stock_lot (id, number, product, active) FROM STDIN") as copy:
                for lot in lots:
                    copy.write_row((lot, str(lot), 1, True))
            moves = (
                "COPY stock_move (company, product, unit, quantity, internal_quantity, state, "
                "effective_date, from_location, to_location, lot, production_input, "
                "production_output) FROM STDIN"
            )
            with (directory / "edges.csv").open() as file:
                edges = [(int(src), int(dst), int(grams)) for src, dst, grams in csv.reader(file)]
            made = {dst for _, dst, _ in edges}
            head = "COPY production (id, company, type, state, warehouse, location) FROM STDIN"
            with cursor.copy(head) as copy:
                for lot in made:
                    copy.write_row((lot, 1, "assembly", "done", _WAREHOUSE, _PRODUCTION))
            with cursor.copy(moves) as copy:
                for lot in lots:
                    begun = _PRODUCTION if lot in made else _SUPPLIER
                    output = lot if lot in made else None
                    copy.write_row(
                        (1, 1, _GRAM, 1.0, 1.0, "done", _DAY, begun, _STORAGE, lot, None, output)
                    )
                for src, dst, grams in edges:
                    copy.write_row(
                        (
                            1,
                            1,
                            _GRAM,
                            grams,
                            grams,
                            "done",
                            _DAY,
                            _STORAGE,
                            _PRODUCTION,
                            src,
                            dst,
                            None,
                        )
                    )
            for table in ("stock_lot", "production", "stock_move"):
                cursor.execute(f"ANALYZE {table}")

    @staticmethod
    def _admin(statement: str, *values: str) -> list[Any]:
        import psycopg

        with psycopg.connect(dbname="postgres", autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def _rename(self, former: str, name: str) -> None:
        # Tryton keeps the connections by which it installed its modules.
        self._admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", former
        )
        self._admin(f"ALTER DATABASE {former} RENAME TO {name}")

    def _exists(self, name: str) -> bool:
        return name in {row[0] for row in self._admin("SELECT datname FROM pg_database")}

    def _create(self, name: str, template: str = "template0") -> None:
        self._admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._admin(f"CREATE DATABASE {name} TEMPLATE {template}")


# What Tryton's own data calls its first locations and units.
_STORAGE, _WAREHOUSE, _SUPPLIER, _PRODUCTION, _GRAM = 3, 5, 6, 9, 3
_DAY = "2026-01-01"


def main(arguments: list[str]) -> None:
    """Load the graph and answer questions."""
    if arguments[0] == "tryton":
        tryton = Tryton(arguments[1], Path(arguments[2]))
        serve(tryton.ask, {"index": tryton.index_lots, "plain": tryton.drop_index})
    else:
        serve(graph_engine(arguments[0], Path(arguments[1])), {})
    # The engines' own ends, in whatever order the interpreter takes, have been seen to crash.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
