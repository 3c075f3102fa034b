"""Samples, tests, what follows from them, and the dated data that they are judged by."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
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
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.testing.calendar import ClockKind, ClockUnit
from app.testing.limits import UG_PER_KG, Scope, SubstanceGroup
from app.testing.push import Algorithm, Convention
from app.testing.rules import (
    Authority,
    Layer,
    MeasureStep,
    Outcome,
    Reading,
    SamplePurpose,
    State,
    Status,
    TestKind,
)


def _one_of(column: str, words: type[StrEnum], *more: str) -> str:
    allowed = ", ".join(repr(word) for word in (*(str(known) for known in words), *more))
    return f"{column} IN ({allowed})"


def _valid() -> CheckConstraint:
    return CheckConstraint("valid_to > valid_from", name="valid_some_time")


# --- what tests are judged by ---------------------------------------------------------------------


class SubstanceRow(Base):
    """What is looked for, and what counts as it in plants and in animals."""

    __tablename__ = "substance"
    __table_args__ = (CheckConstraint(_one_of("substance_group", SubstanceGroup), name="group"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    en: Mapped[str]
    substance_group: Mapped[str]
    aliases: Mapped[list[str]]
    plant: Mapped[str | None]
    animal: Mapped[str | None]


class FoodCategoryRow(Base):
    """A category of foods that limits hang on, and the wider one that it lies in."""

    __tablename__ = "food_category"

    name: Mapped[str] = mapped_column(primary_key=True)
    parent: Mapped[str | None]


class ResidueLimitRow(Base):
    """A limit as a standard states it; imported ones are not touched by a release's own data."""

    __tablename__ = "residue_limit"
    __table_args__ = (
        _valid(),
        CheckConstraint(_one_of("scope", Scope), name="scope"),
        CheckConstraint(_one_of("state", State, "any"), name="state"),
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint(f"unit IN ({', '.join(repr(unit) for unit in UG_PER_KG)})", name="unit"),
    )

    substance: Mapped[str] = mapped_column(ForeignKey("substance.name"), primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    food: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    product_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    except_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    amount: Mapped[Decimal | None]
    unit: Mapped[str]
    temporary: Mapped[bool]
    source: Mapped[str]
    verified: Mapped[bool]
    imported: Mapped[bool]


class QuickMethodRow(Base):
    """A quick method with its bands, which are no legal limits."""

    __tablename__ = "quick_method"
    __table_args__ = (
        _valid(),
        CheckConstraint(_one_of("reading", Reading), name="reading"),
        CheckConstraint("(reading = 'inhibition') = (positive_from IS NOT NULL)", name="band"),
        CheckConstraint("suspect_from < positive_from", name="suspect_below_positive"),
        CheckConstraint("repeats >= 0", name="repeats"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    zh: Mapped[str]
    en: Mapped[str]
    reading: Mapped[str]
    covers: Mapped[list[str]]
    suspect_from: Mapped[Decimal | None]
    positive_from: Mapped[Decimal | None]
    repeats: Mapped[int]
    interferes: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    advice_zh: Mapped[str | None]
    advice_en: Mapped[str | None]
    source: Mapped[str]
    verified: Mapped[bool]


class ClockRuleRow(Base):
    """A time limit of the law."""

    __tablename__ = "clock_rule"
    __table_args__ = (
        _valid(),
        CheckConstraint(_one_of("kind", ClockKind), name="kind"),
        CheckConstraint(_one_of("authority", Authority, "any"), name="authority"),
        CheckConstraint(_one_of("unit", ClockUnit), name="unit"),
        CheckConstraint("amount > 0", name="amount"),
    )

    kind: Mapped[str] = mapped_column(primary_key=True)
    authority: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    amount: Mapped[int]
    unit: Mapped[str]
    source: Mapped[str]
    verified: Mapped[bool]


class ExtensionRuleRow(Base):
    """By how much, and how often, a time limit may be put off."""

    __tablename__ = "extension_rule"
    __table_args__ = (
        _valid(),
        CheckConstraint(_one_of("kind", ClockKind), name="kind"),
        CheckConstraint(_one_of("authority", Authority, "any"), name="authority"),
        CheckConstraint(_one_of("unit", ClockUnit), name="unit"),
        CheckConstraint("amount > 0 AND most > 0", name="amount"),
    )

    kind: Mapped[str] = mapped_column(primary_key=True)
    authority: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    amount: Mapped[int]
    unit: Mapped[str]
    most: Mapped[int]
    source: Mapped[str]
    verified: Mapped[bool]


class SampleAllowance(Base):
    """How many grams of goods are sampled without the office in charge; see `Allowance`."""

    __tablename__ = "sample_allowance"
    __table_args__ = (
        _valid(),
        CheckConstraint(_one_of("layer", Layer), name="layer"),
        CheckConstraint("lot_g > 0", name="lot_g"),
        CheckConstraint("permille BETWEEN 1 AND 999", name="permille"),
    )

    layer: Mapped[str] = mapped_column(primary_key=True)
    held: Mapped[bool] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    lot_g: Mapped[int]
    permille: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]
    verified: Mapped[bool]


class WorkingDayRow(Base):
    """A day that is, or is not, a working day whatever the week says."""

    __tablename__ = "working_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    working: Mapped[bool]
    source: Mapped[str]
    verified: Mapped[bool]


# --- samples and tests ----------------------------------------------------------------------------


class Sample(Base):
    """Grams taken out of a lot, and where the case stands; all changes are under the lot's lock.

    Who took it by name is sealed: it is shown to the sampler's own party and its supervisors.

    Attributes:
        on_the_way: Whether its grams had left the lot before, with the ticket of goods that came to
            a gate.
        while_held: Whether its grams left a lot that was on hold or recalled; never those of goods
            on their way.
    """

    __tablename__ = "sample"
    __table_args__ = (
        CheckConstraint(_one_of("layer", Layer), name="layer"),
        CheckConstraint(_one_of("authority", Authority), name="authority"),
        CheckConstraint(_one_of("purpose", SamplePurpose), name="purpose"),
        CheckConstraint(_one_of("state", State), name="state"),
        CheckConstraint(_one_of("status", Status), name="status"),
        CheckConstraint("mass_g > 0", name="mass_g"),
        UniqueConstraint("taken_by", "number"),
        Index("ix_sample_number", "number"),
        Index("ix_sample_holder_id_id", "holder_id", "id"),
        Index("ix_sample_taken_by_id", "taken_by", "id"),
        Index("ix_sample_product_id_taken_at", "product_id", "taken_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    number: Mapped[str]
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    holder_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    state: Mapped[str]
    mass_g: Mapped[int]
    layer: Mapped[str]
    authority: Mapped[str | None]
    jurisdiction: Mapped[str | None]
    purpose: Mapped[str]
    taken_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    samplers: Mapped[bytes | None]
    taken_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    event_id: Mapped[int]
    status: Mapped[str]
    hold_id: Mapped[int | None] = mapped_column(ForeignKey("hold.id"))
    on_the_way: Mapped[bool] = mapped_column(server_default=false())
    while_held: Mapped[bool] = mapped_column(server_default=false())


class SampleCommission(Base):
    """That a sample was sent to a laboratory, or to a test point; appended."""

    __tablename__ = "sample_commission"
    __table_args__ = (
        UniqueConstraint("sample_id", "lab_id"),
        Index("ix_sample_commission_lab_id_sample_id", "lab_id", "sample_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"))
    lab_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    sent_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    sent_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class TestRow(Base):
    """One test, appended: what was read, and what it came to by which rule."""

    __tablename__ = "test"
    __table_args__ = (
        CheckConstraint(_one_of("kind", TestKind), name="kind"),
        CheckConstraint(_one_of("outcome", Outcome), name="outcome"),
        CheckConstraint("(source_id IS NULL) = (maker_record_id IS NULL)", name="of_a_device"),
        UniqueConstraint("source_id", "maker_record_id"),
        Index("ix_test_report_number", text("(raw ->> 'report_number')")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"), index=True)
    source_id: Mapped[int | None] = mapped_column(ForeignKey("test_source.id"))
    maker_record_id: Mapped[str | None]
    kind: Mapped[str]
    retest: Mapped[bool]
    method: Mapped[str]
    outcome: Mapped[str]
    raw: Mapped[dict[str, Any]]
    items: Mapped[list[Any]]
    findings: Mapped[list[Any]]
    repeats_due: Mapped[int]
    tested_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    testers: Mapped[bytes | None]
    place_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    tested_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class SampleStep(Base):
    """Where a sample's case came to stand, and when: the standing at any instant follows."""

    __tablename__ = "sample_step"
    __table_args__ = (
        CheckConstraint(_one_of("status", Status), name="status"),
        Index("ix_sample_step_sample_id_id", "sample_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"))
    status: Mapped[str]
    test_id: Mapped[int | None] = mapped_column(ForeignKey("test.id"))
    at: Mapped[datetime]


class Deadline(Base):
    """Something that has to happen in time."""

    __tablename__ = "deadline"
    __table_args__ = (
        CheckConstraint(_one_of("kind", ClockKind), name="kind"),
        UniqueConstraint("sample_id", "kind", "began_at"),
        Index("ix_deadline_due_at", "due_at", postgresql_where="done_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"))
    kind: Mapped[str]
    began_at: Mapped[datetime]
    due_at: Mapped[datetime]
    assumed: Mapped[bool]
    source: Mapped[str]
    verified: Mapped[bool]
    done_at: Mapped[datetime | None]


class Extension(Base):
    """That a time was put off, from when to when, and who approved it; appended."""

    __tablename__ = "deadline_extension"
    __table_args__ = (CheckConstraint("due_at > due_before", name="later"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    deadline_id: Mapped[int] = mapped_column(ForeignKey("deadline.id"), index=True)
    reason: Mapped[str]
    approved_by: Mapped[str]
    due_before: Mapped[datetime]
    due_at: Mapped[datetime]
    source: Mapped[str]
    verified: Mapped[bool]
    made_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    made_at: Mapped[datetime]


class Objection(Base):
    """That the holder of the goods asks for a re-test."""

    __tablename__ = "objection"
    __table_args__ = (
        CheckConstraint(_one_of("against", TestKind), name="against"),
        UniqueConstraint("sample_id", "against"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"))
    against: Mapped[str]
    made_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str]
    made_at: Mapped[datetime]
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("test.id"))


class Measure(Base):
    """A step of 核查处置 after a failure, or the publication of a result; appended."""

    __tablename__ = "measure"
    __table_args__ = (CheckConstraint(_one_of("step", MeasureStep), name="step"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"), index=True)
    step: Mapped[str]
    words: Mapped[str]
    made_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    made_at: Mapped[datetime]


# --- devices --------------------------------------------------------------------------------------


class TestSource(Base):
    """A maker's feed that pushes records for a party; its key is sealed, or public.

    `last_push` is what became of its latest batch: whoever keeps it sees which rows were refused.
    """

    __tablename__ = "test_source"
    __table_args__ = (
        CheckConstraint(_one_of("convention", Convention), name="convention"),
        CheckConstraint(_one_of("algorithm", Algorithm), name="algorithm"),
        CheckConstraint("(last_push_at IS NULL) = (last_push IS NULL)", name="last_push"),
        CheckConstraint(_one_of("layer", Layer), name="layer"),
        CheckConstraint(_one_of("authority", Authority), name="authority"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    name: Mapped[str]
    maker: Mapped[str]
    convention: Mapped[str]
    layer: Mapped[str]
    authority: Mapped[str | None]
    algorithm: Mapped[str]
    place_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    key: Mapped[bytes]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_push_at: Mapped[datetime | None]
    last_push: Mapped[dict[str, Any] | None]


class PushNonce(Base):
    """A number that a push used; it is good once, and forgotten when its time stamp is too old."""

    __tablename__ = "push_nonce"

    source_id: Mapped[int] = mapped_column(ForeignKey("test_source.id"), primary_key=True)
    nonce: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)
