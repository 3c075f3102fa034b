"""Scans, views, inspections with lines and rulings, papers, agreements, cases, and dated rules."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.admission.gate import CaseKind, CaseState
from app.admission.policy import Decision, Factor, Severity
from app.core.db import Base


def _one_of(column: str, values: type[Decision | Factor | Severity | CaseKind | CaseState]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Scan(Base):
    """Who read which code, where and when, and what the answer was."""

    __tablename__ = "scan"
    __table_args__ = (Index("ix_scan_ticket_id_scanned_at", "ticket_id", "scanned_at"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    kind: Mapped[str]
    code: Mapped[str]
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))
    decision: Mapped[str]
    findings: Mapped[list[Any]]
    scanned_at: Mapped[datetime]
    device_at: Mapped[datetime | None]


class PublicViews(Base):
    """How often a document's public page was opened in an hour; by whom is not kept."""

    __tablename__ = "public_views"
    __table_args__ = (
        UniqueConstraint("serial", "hour_at"),
        CheckConstraint("views > 0", name="views"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    serial: Mapped[int]
    hour_at: Mapped[datetime]
    views: Mapped[int]


# --- dated rules ----------------------------------------------------------------------------------


class EntryRule(Base):
    """A rule of entry; see `policy.Rule`."""

    __tablename__ = "entry_rule"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint(_one_of("consequence", Severity), name="consequence"),
    )

    no: Mapped[int] = mapped_column(Identity(), unique=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    policy: Mapped[str]
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    finding: Mapped[str]
    classes: Mapped[list[str]]
    when: Mapped[list[str]]
    unless: Mapped[list[str]]
    proofs: Mapped[list[str]]
    consequence: Mapped[str]
    source: Mapped[str]
    verified: Mapped[bool]


class SamplingRuleRow(Base):
    """A rule of how many lines are drawn; see `policy.SamplingRule`."""

    __tablename__ = "sampling_rule"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint(_one_of("factor", Factor), name="factor"),
        CheckConstraint("value >= 0", name="value"),
    )

    no: Mapped[int] = mapped_column(Identity(), unique=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    factor: Mapped[str]
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    value: Mapped[int]
    products: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    months: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    grade: Mapped[str | None]
    failed_permille_min: Mapped[int | None]
    source: Mapped[str]
    verified: Mapped[bool]


class PaperKind(Base):
    """A kind of paper document and how long one of it counts; see `seed.KindOfPaper`."""

    __tablename__ = "paper_kind"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("days >= 0", name="days"),
    )

    no: Mapped[int] = mapped_column(Identity(), unique=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    zh: Mapped[str]
    en: Mapped[str]
    proofs: Mapped[list[str]]
    days: Mapped[int | None]
    source: Mapped[str]
    verified: Mapped[bool]


# --- what is known beforehand ---------------------------------------------------------------------


class Agreement(Base):
    """A 质量安全协议 between a market and a seller, from a day to a day."""

    __tablename__ = "agreement"
    __table_args__ = (
        CheckConstraint("valid_to > valid_from", name="dates"),
        CheckConstraint("grade IN ('A', 'B', 'C', 'D')", name="grade"),
        Index("ix_agreement_market_id_party_id", "market_id", "party_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    market_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    recorded_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    signed_on: Mapped[date]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    grade: Mapped[str | None]
    evidence_id: Mapped[int | None] = mapped_column(ForeignKey("evidence.id"))
    recorded_at: Mapped[datetime]
    ended_on: Mapped[date | None]
    end_reason: Mapped[str | None]


class PaperDocument(Base):
    """A paper document: a photo, what somebody typed from it, and who compared the two."""

    __tablename__ = "paper_document"
    __table_args__ = (
        CheckConstraint("mass_g > 0", name="mass_g"),
        Index("ix_paper_document_kind_number", "kind", "number"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    kind: Mapped[str]
    number: Mapped[str]
    issuer: Mapped[str]
    issued_on: Mapped[date]
    valid_through: Mapped[date | None]
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
    mass_g: Mapped[int | None]
    division_code: Mapped[str | None]
    bases: Mapped[list[str]]
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    checked_by_sealed: Mapped[bytes]
    recorded_at: Mapped[datetime]


# --- inspections ----------------------------------------------------------------------------------


class Inspection(Base):
    """A vehicle, or somebody with a basket, at a gate: what was seen and decided, once."""

    __tablename__ = "inspection"
    __table_args__ = (
        CheckConstraint(_one_of("decision", Decision), name="decision"),
        Index("ix_inspection_market_id_inspected_at", "market_id", "inspected_at"),
        Index("ix_inspection_device_sequence", "device", "sequence"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    market_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    place_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    inspector_sealed: Mapped[bytes]
    device: Mapped[str | None]
    sequence: Mapped[int | None]
    device_at: Mapped[datetime | None]
    clock_offset_ms: Mapped[int]
    inspected_at: Mapped[datetime]
    received_at: Mapped[datetime]
    plate: Mapped[str | None]
    decision: Mapped[str]


class InspectionLine(Base):
    """One product of an inspection, or one ticket: what came with it, and the verdict."""

    __tablename__ = "inspection_line"
    __table_args__ = (
        CheckConstraint(_one_of("decision", Decision), name="decision"),
        CheckConstraint(_one_of("decided_offline", Decision), name="decided_offline"),
        CheckConstraint("mass_g > 0", name="mass_g"),
        CheckConstraint("rate_bp BETWEEN 0 AND 10000", name="rate_bp"),
        UniqueConstraint("inspection_id", "no"),
        Index("ix_inspection_line_product_id_draw_day", "product_id", "draw_day"),
        Index("ix_inspection_line_draw_day", "draw_day"),
        Index("ix_inspection_line_papers", "papers", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    inspection_id: Mapped[int] = mapped_column(ForeignKey("inspection.id"))
    no: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[str | None]
    code: Mapped[str | None]
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"), index=True)
    papers: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    seller_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    self_producer_sealed: Mapped[bytes | None]
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
    mass_g: Mapped[int | None]
    imported: Mapped[bool]
    decided_offline: Mapped[str | None]
    decision: Mapped[str]
    findings: Mapped[list[Any]]
    draw_day: Mapped[date]
    rate_bp: Mapped[int]
    rate_rules: Mapped[list[str]]
    drawn: Mapped[bool]


class Ruling(Base):
    """A person's decision about a line, beside the verdict and never instead of it."""

    __tablename__ = "ruling"
    __table_args__ = (
        CheckConstraint(_one_of("decision", Decision), name="decision"),
        CheckConstraint(_one_of("former", Decision), name="former"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    line_id: Mapped[int] = mapped_column(ForeignKey("inspection_line.id"), index=True)
    former: Mapped[str]
    decision: Mapped[str]
    reason: Mapped[str]
    test: Mapped[str | None]
    findings: Mapped[list[Any]]
    accountable_sealed: Mapped[bytes]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    ruled_at: Mapped[datetime]


class GateCase(Base):
    """Two things that were told and cannot both be in order; somebody looks into it."""

    __tablename__ = "gate_case"
    __table_args__ = (
        CheckConstraint(_one_of("kind", CaseKind), name="kind"),
        CheckConstraint(_one_of("state", CaseState), name="state"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(answer IS NULL) = (answered_at IS NULL)", name="answered"),
        UniqueConstraint("kind", "line_id"),
        Index("ix_gate_case_market_id_state", "market_id", "state"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    kind: Mapped[str]
    line_id: Mapped[int] = mapped_column(ForeignKey("inspection_line.id"))
    market_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    facts: Mapped[dict[str, Any]]
    state: Mapped[str]
    opened_at: Mapped[datetime]
    answer: Mapped[str | None]
    answered_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    close_reason: Mapped[str | None]
    closed_at: Mapped[datetime | None]


class SamplingSeed(Base):
    """The chance of a day: its commitment before the day, the seed itself once it is over."""

    __tablename__ = "sampling_seed"

    day: Mapped[date] = mapped_column(primary_key=True)
    commitment: Mapped[bytes]
    seed_sealed: Mapped[bytes]
    committed_at: Mapped[datetime]
    seed: Mapped[bytes | None]
    revealed_at: Mapped[datetime | None]
