"""How far an import is, and which rows it skipped."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class ImportRun(Base):
    """One file for one seller; its counts change in the transaction of each chunk."""

    __tablename__ = "import_run"
    __table_args__ = (
        CheckConstraint("rows_done = made + repeated + refused", name="rows_done"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    rows_done: Mapped[int]
    made: Mapped[int]
    repeated: Mapped[int]
    refused: Mapped[int]
    began_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ImportRefusal(Base):
    """Why a row was skipped; what the row says stays in the file."""

    __tablename__ = "import_refusal"

    run_id: Mapped[int] = mapped_column(ForeignKey("import_run.id"), primary_key=True)
    row_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str]
    pointer: Mapped[str | None]
    facts: Mapped[dict[str, Any]]
