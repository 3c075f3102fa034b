"""What the law asks of ledgers, dated, and who looked into whose."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, SmallInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class StatutoryField(Base):
    """A field that a ledger must have, for as long as a rule says so."""

    __tablename__ = "statutory_field"
    __table_args__ = (
        CheckConstraint("ledger IN ('purchases', 'sales')", name="ledger"),
        CheckConstraint("place IN ('head', 'row')", name="place"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
    )

    ledger: Mapped[str] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    place: Mapped[str]
    zh: Mapped[str]
    en: Mapped[str]
    source: Mapped[str]
    verified: Mapped[bool]


class RetentionRule(Base):
    """For how many months a record must be kept at least; `*` is every record, or every role."""

    __tablename__ = "retention_rule"
    __table_args__ = (
        CheckConstraint("basis IN ('law', 'platform')", name="basis"),
        CheckConstraint("months > 0", name="months"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
    )

    record: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    basis: Mapped[str]
    months: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]
    verified: Mapped[bool]


class LedgerAccess(Base):
    """A look into a ledger that somebody answers for: by an office, or with contacts opened."""

    __tablename__ = "ledger_access"
    __table_args__ = (
        CheckConstraint("ledger IN ('purchases', 'sales')", name="ledger"),
        Index(None, "owner_id", "looked_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    looked_at: Mapped[datetime]
    # Nobody in particular: whoever sits at the operator's terminal.
    caller_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    ledger: Mapped[str]
    month_on: Mapped[date]
    form: Mapped[str]
    reason: Mapped[str | None]
    opened_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
