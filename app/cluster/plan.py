"""Writes the SQL that spreads the tables over a cluster, each step with its reason."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ForeignKeyConstraint, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy import UniqueConstraint as Unique

from app.cluster.placement import (
    DIRECTORY,
    EDGE_COPY,
    GUARDED,
    KEPT_BY,
    LISTED,
    Distributed,
    Local,
    Place,
    Reference,
)
from app.core.directory import KEY


@dataclass(frozen=True, slots=True)
class Step:
    """One statement.

    Attributes:
        why: What it is for, or what the cluster would refuse without it.
        sql: The statement, without a semicolon.
    """

    why: str
    sql: str


def steps(metadata: MetaData, places: Mapping[str, Place]) -> list[Step]:
    """Write all steps, in their order; they belong into one transaction.

    Tables come after those that they refer to, as Citus asks.
    """
    tables = metadata.sorted_tables
    return [
        Step(
            "reference tables are changed on all nodes over one connection each",
            "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'",
        ),
        *_without_foreign_keys(tables, places),
        *_with_other_keys(tables, places),
        *_without_triggers(),
        *_lot_ids(),
        *_edge_copy(),
        *_directory(),
        *_placed(tables, places),
    ]


def _without_foreign_keys(tables: Iterable[Table], places: Mapping[str, Place]) -> Iterator[Step]:
    for table in tables:
        for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
            if why := why_not(key, places):
                yield Step(why, f"ALTER TABLE {table.name} DROP CONSTRAINT {key.name}")


def why_not(key: ForeignKeyConstraint, places: Mapping[str, Place]) -> str | None:
    """Say why a cluster cannot keep a foreign key; None if it can."""
    here, there = places[key.table.name], places[key.referred_table.name]
    match here, there:
        case (_, Reference()) | (Local(), Local()):
            return None
        case (Local() | Reference(), _):
            kind = "local" if isinstance(here, Local) else "reference"
            return f"a {kind} table cannot refer to {_told(key.referred_table, there)}"
        case (Distributed(), Local()):
            return f"a distributed table cannot refer to {_told(key.referred_table, there)}"
        case (Distributed(), Distributed()):
            pairs = {(one.parent.name, one.column.name) for one in key.elements}
            if here.group == there.group and (here.column, there.column) in pairs:
                return None
            columns = ", ".join(one.parent.name for one in key.elements)
            return (
                f"{key.table.name} lies by {here.column}: the {key.referred_table.name} that "
                f"{columns} names may lie on another node"
            )
    raise AssertionError((here, there))


def _told(table: Table, place: Place) -> str:
    return f"{table.name}, which is {type(place).__name__.lower()}"


def _with_other_keys(tables: Iterable[Table], places: Mapping[str, Place]) -> Iterator[Step]:
    for table in tables:
        place = places[table.name]
        if not isinstance(place, Distributed):
            continue
        for key in sorted(table.constraints, key=lambda key: str(key.name)):
            if not isinstance(key, PrimaryKeyConstraint | Unique):
                continue
            columns = [column.name for column in key.columns]
            if place.column in columns:
                continue
            lacks = f"a key of {table.name} must contain {place.column}"
            yield Step(
                f"{lacks}; {_keeper(key)}", f"ALTER TABLE {table.name} DROP CONSTRAINT {key.name}"
            )
            yield _instead(table, key, columns, place)


def _keeper(key: PrimaryKeyConstraint | Unique) -> str:
    if isinstance(key, PrimaryKeyConstraint):
        return "ids stay unique because one sequence hands them out"
    return f"kept unique by {KEPT_BY[str(key.name)]}"


def _instead(
    table: Table, key: PrimaryKeyConstraint | Unique, columns: list[str], place: Distributed
) -> Step:
    if isinstance(key, PrimaryKeyConstraint):
        wider = ", ".join([place.column, *columns])
        return Step(
            "a row must have a name by which it can be moved to another node",
            f"ALTER TABLE {table.name} ADD CONSTRAINT {key.name} PRIMARY KEY ({wider})",
        )
    return Step(
        "rows are still looked for by it",
        f"CREATE INDEX ix_{str(key.name).removeprefix('uq_')} "
        f"ON {table.name} ({', '.join(columns)})",
    )


def _without_triggers() -> Iterator[Step]:
    for table in GUARDED:
        yield Step(
            "Citus refuses triggers on tables it places; the server's role still has no right to "
            "change these rows",
            f"DROP TRIGGER refuse_rewriting ON {table}",
        )
    why = "on one server a trigger sees that an edge's lots are there; here, foreign keys"
    yield Step(why, "DROP TRIGGER edges_join_lots ON lot_edge")
    yield Step(
        why,
        "ALTER TABLE lot_edge ADD CONSTRAINT fk_lot_edge_dst FOREIGN KEY (dst) REFERENCES lot (id)",
    )


def _lot_ids() -> Iterator[Step]:
    """Have lots numbered by whoever knows of the cluster, and by nobody else."""
    why = (
        "a server without YPT_CLUSTER must not make lots (it would write no copy of the edges), "
        "and a node that numbered lots by itself could number a younger one lower"
    )
    yield Step(why, "ALTER TABLE lot ALTER COLUMN id DROP IDENTITY")
    yield Step(why, "CREATE SEQUENCE lot_id_seq")
    yield Step(why, "SELECT setval('lot_id_seq', coalesce(max(id), 0) + 1, false) FROM lot")
    yield Step(why, "GRANT USAGE ON SEQUENCE lot_id_seq TO ypt_app")


def _edge_copy() -> Iterator[Step]:
    why = "a walk forward asks by src, and lot_edge lies by dst"
    yield Step(why, f"CREATE TABLE {EDGE_COPY} (LIKE lot_edge INCLUDING CONSTRAINTS)")
    yield Step(why, f"INSERT INTO {EDGE_COPY} SELECT * FROM lot_edge")  # noqa: S608
    yield Step(
        why,
        f"ALTER TABLE {EDGE_COPY} ADD CONSTRAINT pk_{EDGE_COPY} PRIMARY KEY (src, dst)",
    )
    yield Step(
        "the older lot is checked here, the younger one by lot_edge",
        f"ALTER TABLE {EDGE_COPY} ADD CONSTRAINT fk_{EDGE_COPY}_src "
        "FOREIGN KEY (src) REFERENCES lot (id)",
    )
    yield Step(why, f"GRANT SELECT, INSERT, UPDATE ON {EDGE_COPY} TO ypt_app")


def _directory() -> Iterator[Step]:
    why = "a key that a table cannot keep unique is kept here"
    yield Step(
        why,
        f"CREATE TABLE {DIRECTORY} (name text NOT NULL, kind text NOT NULL, id bigint NOT NULL, "
        f"CONSTRAINT {KEY} PRIMARY KEY (name, kind))",
    )
    for kind, table, column in LISTED:
        yield Step(
            why,
            f"INSERT INTO {DIRECTORY} SELECT CAST({column} AS text), '{kind}', id FROM {table}",  # noqa: S608
        )
    yield Step(why, f"GRANT SELECT, INSERT ON {DIRECTORY} TO ypt_app")


def _placed(tables: Iterable[Table], places: Mapping[str, Place]) -> Iterator[Step]:
    names = [table.name for table in tables if not isinstance(places[table.name], Local)]
    of_kind = {
        kind: [name for name in names if isinstance(places[name], kind)]
        for kind in (Reference, Distributed)
    }
    for name in of_kind[Reference]:
        yield Step("a copy on every node", f"SELECT create_reference_table('{name}')")
    spread = [*of_kind[Distributed], EDGE_COPY, DIRECTORY]
    for name in sorted(spread, key=lambda name: _first_of_group(name, places)):
        place = places[name]
        assert isinstance(place, Distributed), "nothing else was chosen"
        with_ = "none" if place.group == name else place.group
        yield Step(
            f"by {place.column}" + ("" if with_ == "none" else f", beside {with_}"),
            f"SELECT create_distributed_table('{name}', '{place.column}', "
            f"colocate_with => '{with_}')",
        )


def _first_of_group(name: str, places: Mapping[str, Place]) -> bool:
    place = places[name]
    return not (isinstance(place, Distributed) and place.group == name)


def script(planned: Iterable[Step]) -> str:
    """Write the steps as a file that can be read and run."""
    lines = ["BEGIN;"]
    said = None
    for step in planned:
        if step.why != said:
            lines.append(f"\n-- {step.why}")
            said = step.why
        lines.append(f"{step.sql};")
    return "\n".join([*lines, "\nCOMMIT;", ""])
