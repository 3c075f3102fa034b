"""Work after the commit: a row in the job table, written by the transaction that asks for it.

pgqueuer keeps the table and runs the jobs (`app/worker.py`).
"""

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_PREFIX = "pgqueuer"


def is_job_table(name: str | None) -> bool:
    """Whether a table is pgqueuer's, whose schema is its own affair."""
    return name is not None and name.startswith(_PREFIX)


async def enqueue(session: AsyncSession, kind: str, payload: bytes) -> None:
    """Ask for a job, to be done once the caller's transaction has committed.

    SQLAlchemy sends BEGIN with the first statement that goes through it: a job put straight on the
    driver's connection before that would commit by itself, and be done even when the request fails.
    Hence the statement first, and the assertion.
    """
    await session.execute(text("SELECT 1"))
    connection = await session.connection()
    raw = (await connection.get_raw_connection()).driver_connection
    assert raw is not None, "the connection is open"
    assert raw.is_in_transaction(), "a job outside the transaction would survive its rollback"
    await Queries(AsyncpgDriver(raw)).enqueue(kind, payload)
