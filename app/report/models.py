"""Reports, what offices did with them, and the dated rules that they go by."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.report.rules import ReportProblem, ReportState, ReportStepKind


def _one_of(column: str, words: type[ReportProblem | ReportState | ReportStepKind]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


class ReportRule(Base):
    """How long an office has, how many reports a day may have, and how many photos a report."""

    __tablename__ = "report_rule"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('decide', 'per_address', 'per_document', 'photos', 'photos_kib', 'answer',"
            " 'extend', 'extensions')",
            name="kind",
        ),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("valid_to > valid_from", name="valid_some_time"),
    )

    kind: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    amount: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]
    verified: Mapped[bool]


class Report(Base):
    """A problem that somebody reported, and the office that it lies with.

    What was typed is sealed. `sender` is a blind index of the day and the address it came from: it
    counts the reports of one day, and does not tell one day's sender from another's.

    `due_told_at` and `late_told_at` say when the office that it lies with was reminded of the clock
    that runs, `extended_by` which step put the answer off last.
    """

    __tablename__ = "report"
    __table_args__ = (
        CheckConstraint(_one_of("problem", ReportProblem), name="problem"),
        CheckConstraint(_one_of("state", ReportState), name="state"),
        CheckConstraint("department IN ('agriculture', 'market_regulation')", name="department"),
        CheckConstraint("(state = 'answered') = (answer IS NOT NULL)", name="answered"),
        Index("ix_report_sender", "sender"),
        Index("ix_report_document_received_on", "document", "received_on"),
        Index("ix_report_division_code_state", "division_code", "state"),
        Index("ix_report_waiting", "due_on", postgresql_where=text("state = 'received'")),
        Index("ix_report_unanswered", "answer_due_on", postgresql_where=text("state = 'taken_up'")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    code: Mapped[str] = mapped_column(unique=True)
    document: Mapped[UUID]
    token: Mapped[str]
    problem: Mapped[str]
    text_sealed: Mapped[bytes]
    contact_sealed: Mapped[bytes | None]
    sender: Mapped[bytes]
    received_on: Mapped[date]
    received_at: Mapped[datetime]
    due_on: Mapped[date]
    answer_due_on: Mapped[date]
    extended_by: Mapped[UUID | None]
    due_told_at: Mapped[datetime | None]
    late_told_at: Mapped[datetime | None]
    division_code: Mapped[str]
    department: Mapped[str]
    state: Mapped[str]
    taken_up_at: Mapped[datetime | None]
    answer: Mapped[str | None]
    answered_at: Mapped[datetime | None]


class ReportPhoto(Base):
    """A photo that came with a report; its bytes lie where those of all images do."""

    __tablename__ = "report_photo"

    report_id: Mapped[int] = mapped_column(ForeignKey("report.id"), primary_key=True)
    no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    content_sha256: Mapped[bytes] = mapped_column(ForeignKey("evidence_content.sha256"), index=True)
    width_px: Mapped[int]
    height_px: Mapped[int]
    size_bytes: Mapped[int]


class ReportStep(Base):
    """What an office did with a report; of one that was referred, where it lies since.

    `approved_by` is the head of the office who let an answer be put off.
    """

    __tablename__ = "report_step"
    __table_args__ = (
        CheckConstraint(_one_of("kind", ReportStepKind), name="kind"),
        CheckConstraint(
            "(division_code IS NULL) = (department IS NULL)"
            " AND (division_code IS NULL OR kind = 'refer')",
            name="referred_to",
        ),
        CheckConstraint("(approved_by IS NOT NULL) = (kind = 'extend')", name="approved"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id"), index=True)
    kind: Mapped[str]
    words: Mapped[str | None]
    division_code: Mapped[str | None]
    department: Mapped[str | None]
    approved_by: Mapped[str | None]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    made_at: Mapped[datetime]
