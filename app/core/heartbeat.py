"""A heart that beats through the database: how old a replica's picture of the books is.

A replica cannot tell by itself. When the network between it and the primary is cut, what it has
received and what it has replayed are equal, and it looks as if nothing were missing. A row that
changes every second tells: its age on the replica is the age of the replica's picture.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base

BEAT_EVERY_S = 1.0


class Heartbeat(Base):
    """When the heart last beat: one row, by the primary's clock."""

    __tablename__ = "heartbeat"
    __table_args__ = (
        CheckConstraint("only_row", name="one_row"),
        # It changes every second: room in its page keeps it from growing between vacuums.
        {"postgresql_with": {"fillfactor": 10}},
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, default=True)
    beaten_at: Mapped[datetime]


# The primary's clock, not the worker's: who measures asks the same clock, so that the clocks of
# other machines cannot make a replica look younger than it is.
_BEAT = text("""
    INSERT INTO heartbeat (only_row, beaten_at) VALUES (true, clock_timestamp())
    ON CONFLICT (only_row) DO UPDATE SET beaten_at = excluded.beaten_at
""")


async def beat(session: AsyncSession) -> None:
    """Let the heart beat once; any number of workers may."""
    await session.execute(_BEAT)
