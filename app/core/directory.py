"""Names that must be unique over a cluster, and which row each belongs to.

A table that is spread by its internal id cannot keep a second key unique: the node that a row lies
on knows nothing of the others. So such keys are entered here, in a table that is spread by the name
itself, in the transaction that writes the row. On one server there is no such table, and each table
keeps its keys itself.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

KEY = "pk_directory"
"""What the key of the table is called, and begins with on a node."""

_ENTER = text("""
    INSERT INTO directory (name, kind, id)
    SELECT name, :kind, id
    FROM unnest(CAST(:names AS text[]), CAST(:ids AS bigint[])) AS d (name, id)
""")
_FIND = text("""
    SELECT name, id FROM directory WHERE name = ANY(CAST(:names AS text[])) AND kind = :kind
""")


async def enter(session: AsyncSession, kind: str, named: Mapping[str, int]) -> None:
    """Enter names; one that is taken fails as a key of the table itself would.

    Args:
        session: The transaction that writes the rows.
        kind: Whose names they are, such as `ticket.code`.
        named: The internal id of each name's row.
    """
    # In one order, so that rivals who enter the same names wait for each other.
    names = sorted(named)
    await session.execute(
        _ENTER, {"kind": kind, "names": names, "ids": [named[name] for name in names]}
    )


async def find(session: AsyncSession, kind: str, names: Iterable[str]) -> dict[str, int]:
    """Answer the internal id of each name that is known."""
    rows = await session.execute(_FIND, {"kind": kind, "names": sorted(set(names))})
    return {row[0]: row[1] for row in rows}
