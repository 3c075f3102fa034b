"""The entry table."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from app.core.db import Base


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's `xid8`: a transaction's number that never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_kw: object) -> str:
        """Name the type in DDL."""
        return "xid8"


# SQLAlchemy does not know the type; without its name, comparing tables with models only warns.
ischema_names["xid8"] = TransactionId


class Entry(Base):
    """One statement, as the bytes that a verifier hashes.

    `xid` is what a later sequencer fences on: ordering by `id` alone would skip rows of
    transactions that commit late (trust.md §2.2). Months of entries are partitions.
    """

    __tablename__ = "entry"
    __table_args__ = (
        CheckConstraint("octet_length(leaf) BETWEEN 2 AND 1048576", name="leaf_size"),
        Index("ix_entry_xid_id", "xid", "id"),
        Index("ix_entry_subject", "subject"),
        {"postgresql_partition_by": "RANGE (appended_at)"},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    xid: Mapped[str] = mapped_column(
        TransactionId, server_default=text("pg_current_xact_id()"), nullable=False
    )
    kind: Mapped[str]
    subject: Mapped[UUID]
    leaf: Mapped[bytes]
    appended_at: Mapped[datetime] = mapped_column(primary_key=True)
