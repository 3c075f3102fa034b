"""Work after the commit: a row in the job table, written by the transaction that asks for it.

pgqueuer keeps the table and runs the jobs (`app/worker.py`).
"""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_of

_PREFIX = "pgqueuer"


def is_job_table(name: str | None) -> bool:
    """Whether a table is pgqueuer's, whose schema is its own affair."""
    return name is not None and name.startswith(_PREFIX)


async def enqueue(session: AsyncSession, kind: str, payload: bytes) -> None:
    """Ask for a job, to be done once the caller's transaction has committed.

    A job that commits by itself would be done even when the request fails: hence the assertion.
    """
    # A command line and its colours come with it: most serving processes never ask for a job.
    from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver  # noqa: PLC0415
    from pgqueuer.queries import Queries  # noqa: PLC0415

    raw = await driver_of(session)
    assert raw.is_in_transaction(), "a job outside the transaction would survive its rollback"
    await Queries(AsyncpgDriver(raw)).enqueue(kind, payload)
