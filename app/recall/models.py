"""Recalls: the case, the lots in its scope, who was told, and what became of the grams."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.recall.rules import Channel, Method, Outcome, Relation, StepKind, Trigger


def _one_of(
    column: str,
    words: type[Channel | Method | Outcome | Relation | StepKind | Trigger],
) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


class RecallTerm(Base):
    """How long something may take; dated, in hours or in working days."""

    __tablename__ = "recall_term"
    __table_args__ = (
        CheckConstraint("(hours IS NULL) <> (working_days IS NULL)", name="one_measure"),
        CheckConstraint("valid_to > valid_from", name="valid_some_time"),
    )

    kind: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    hours: Mapped[int | None] = mapped_column(SmallInteger)
    working_days: Mapped[int | None] = mapped_column(SmallInteger)
    source: Mapped[str]
    verified: Mapped[bool]


class Recall(Base):
    """A case: why goods are called back, how far, by when, and how it ended."""

    __tablename__ = "recall"
    __table_args__ = (
        CheckConstraint("grade BETWEEN 1 AND 3", name="grade"),
        CheckConstraint(_one_of("trigger", Trigger), name="trigger"),
        CheckConstraint(_one_of("outcome", Outcome), name="outcome"),
        CheckConstraint("octet_length(scope_sha256) = 32", name="scope_sha256"),
        CheckConstraint(
            "(closed_at IS NULL) = (outcome IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name="closed",
        ),
        CheckConstraint("known_at <= opened_at", name="known_before_opened"),
        Index("ix_recall_open", "finish_due_on", postgresql_where="closed_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    mock: Mapped[bool]
    grade: Mapped[int] = mapped_column(SmallInteger)
    trigger: Mapped[str]
    reason: Mapped[str]
    advice: Mapped[str | None]
    opened_by: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    known_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    start_due_at: Mapped[datetime]
    acknowledge_due_at: Mapped[datetime]
    finish_due_on: Mapped[date]
    finish_arranged: Mapped[bool]
    siblings: Mapped[bool]
    lot_count: Mapped[int]
    scope_sha256: Mapped[bytes]
    escalated_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    outcome: Mapped[str | None]
    closing_reason: Mapped[str | None]
    report: Mapped[dict[str, Any] | None]


class RecallLot(Base):
    """A lot in scope: what was there when it was stopped, and what became of that.

    While the case is open this row is what keeps the lot still: it is counted among its holds.

    Attributes:
        sampled_before_g: Grams of samples of the lot, taken while something else kept it still,
            that had left it when this case stopped it; the samples since are this case's.
    """

    __tablename__ = "recall_lot"
    __table_args__ = (
        CheckConstraint(_one_of("relation", Relation), name="relation"),
        CheckConstraint(
            "on_hand_g >= 0 AND in_transit_g >= 0 AND gone_g >= 0 AND passed_on_g >= 0 "
            "AND on_hand_g + in_transit_g + gone_g + passed_on_g = mass_g",
            name="adds_up",
        ),
        CheckConstraint("exposed_g BETWEEN 0 AND mass_g", name="exposed_g"),
        CheckConstraint(
            "located_g >= 0 AND consumed_g >= 0 "
            "AND located_g + consumed_g <= on_hand_g + in_transit_g + gone_g",
            name="located_g",
        ),
        CheckConstraint("recovered_g BETWEEN 0 AND located_g", name="recovered_g"),
        CheckConstraint(
            "destroyed_g >= 0 AND remedied_g >= 0 AND destroyed_g + remedied_g <= recovered_g",
            name="disposed_g",
        ),
        Index("ix_recall_lot_holder", "recall_id", "holder_id"),
    )

    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"), primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), primary_key=True, index=True)
    relation: Mapped[str]
    holder_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    mass_g: Mapped[int]
    exposed_g: Mapped[int]
    on_hand_g: Mapped[int]
    in_transit_g: Mapped[int]
    passed_on_g: Mapped[int]
    gone_g: Mapped[int]
    located_g: Mapped[int] = mapped_column(server_default="0")
    recovered_g: Mapped[int] = mapped_column(server_default="0")
    destroyed_g: Mapped[int] = mapped_column(server_default="0")
    remedied_g: Mapped[int] = mapped_column(server_default="0")
    consumed_g: Mapped[int] = mapped_column(server_default="0")
    sampled_before_g: Mapped[int] = mapped_column(server_default="0")


class RecallNotice(Base):
    """What a holder, or a buyer of goods on their way, was told, and whether it answered.

    Attributes:
        digest: Of what was said; whoever opens a case acknowledges by doing so, and says nothing.
    """

    __tablename__ = "recall_notice"
    __table_args__ = (
        CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged"
        ),
        Index(
            "ix_recall_notice_waiting",
            "due_at",
            postgresql_where="acknowledged_at IS NULL AND escalated_at IS NULL",
        ),
    )

    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"), primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), primary_key=True, index=True)
    lots: Mapped[int]
    on_hand_g: Mapped[int]
    in_transit_g: Mapped[int]
    sent_at: Mapped[datetime]
    due_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    digest: Mapped[bytes | None]
    words: Mapped[str | None]
    escalated_at: Mapped[datetime | None]


class RecallStep(Base):
    """Grams of a lot that were found, brought back, or turned out to be eaten."""

    __tablename__ = "recall_step"
    __table_args__ = (
        CheckConstraint(_one_of("kind", StepKind), name="kind"),
        CheckConstraint("mass_g > 0", name="mass_g"),
        ForeignKeyConstraint(
            ["recall_id", "lot_id"], ["recall_lot.recall_id", "recall_lot.lot_id"]
        ),
        Index("ix_recall_step_recall_id", "recall_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    recall_id: Mapped[int]
    lot_id: Mapped[int]
    kind: Mapped[str]
    mass_g: Mapped[int]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    words: Mapped[str]
    recorded_at: Mapped[datetime]


class RecallDisposal(Base):
    """How goods that were brought back were dealt with, and who saw it."""

    __tablename__ = "recall_disposal"
    __table_args__ = (
        CheckConstraint(_one_of("method", Method), name="method"),
        CheckConstraint("cardinality(evidence_ids) > 0", name="evidence"),
        CheckConstraint("announced_at < disposed_at", name="announced_before"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"), index=True)
    method: Mapped[str]
    place: Mapped[str]
    witness: Mapped[str]
    announced_at: Mapped[datetime]
    disposed_at: Mapped[datetime]
    evidence_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    recorded_at: Mapped[datetime]


class RecallDisposalLot(Base):
    """Grams of a lot in a disposal."""

    __tablename__ = "recall_disposal_lot"
    __table_args__ = (
        CheckConstraint("mass_g > 0", name="mass_g"),
        ForeignKeyConstraint(
            ["recall_id", "lot_id"], ["recall_lot.recall_id", "recall_lot.lot_id"]
        ),
    )

    disposal_id: Mapped[int] = mapped_column(ForeignKey("recall_disposal.id"), primary_key=True)
    lot_id: Mapped[int] = mapped_column(primary_key=True)
    recall_id: Mapped[int]
    mass_g: Mapped[int]


class RecallAnnulment(Base):
    """A hand-over of goods in scope that an office took back in the seller's place."""

    __tablename__ = "recall_annulment"
    __table_args__ = (CheckConstraint("mass_g > 0", name="mass_g"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    digest: Mapped[bytes]
    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"), index=True)
    mass_g: Mapped[int]
    reason: Mapped[str]
    accountable: Mapped[str]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    annulled_at: Mapped[datetime]


class RecallForwarding(Base):
    """A holder's word that it passed the notice on to buyers outside the platform."""

    __tablename__ = "recall_forwarding"
    __table_args__ = (
        CheckConstraint(_one_of("channel", Channel), name="channel"),
        CheckConstraint("buyers > 0", name="buyers"),
        CheckConstraint("mass_g >= 0", name="mass_g"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    channel: Mapped[str]
    buyers: Mapped[int]
    mass_g: Mapped[int]
    words: Mapped[str]
    told_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class RecallSignOff(Base):
    """The word of whoever leads a case and may not end it: it is finished, please sign it off."""

    __tablename__ = "recall_sign_off"
    __table_args__ = (CheckConstraint(_one_of("outcome", Outcome), name="outcome"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    outcome: Mapped[str]
    words: Mapped[str]
    asked_at: Mapped[datetime]


class Referral(Base):
    """A question to the office that answers for another place (协查), and its answer or end."""

    __tablename__ = "referral"
    __table_args__ = (
        CheckConstraint("department IN ('agriculture', 'market_regulation')", name="department"),
        CheckConstraint("division_code ~ '^[0-9]{4,12}$'", name="division_code"),
        CheckConstraint("(answered_at IS NULL) = (answer IS NULL)", name="answered"),
        CheckConstraint(
            "(withdrawn_at IS NULL) = (withdrawal_reason IS NULL) "
            "AND (withdrawn_at IS NULL) = (withdrawn_by IS NULL)",
            name="withdrawn",
        ),
        CheckConstraint("answered_at IS NULL OR withdrawn_at IS NULL", name="one_end"),
        Index(
            "ix_referral_waiting",
            "due_on",
            postgresql_where=(
                "answered_at IS NULL AND withdrawn_at IS NULL AND escalated_at IS NULL"
            ),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    recall_id: Mapped[int | None] = mapped_column(ForeignKey("recall.id"), index=True)
    asked_by: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    division_code: Mapped[str]
    department: Mapped[str | None]
    question: Mapped[str]
    asked_at: Mapped[datetime]
    due_on: Mapped[date]
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    answer: Mapped[str | None]
    answered_at: Mapped[datetime | None]
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    withdrawal_reason: Mapped[str | None]
    withdrawn_at: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
