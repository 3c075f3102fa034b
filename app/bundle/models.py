"""Published keysets and bundles, devices with their enrolment codes, and what they uploaded."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.bundle.device import Algorithm
from app.core.db import Base

_ALGORITHMS = ", ".join(f"'{algorithm}'" for algorithm in Algorithm)


class KeysetRow(Base):
    """A keyset as the root key signed it; its private half is on no server."""

    __tablename__ = "bundle_keyset"
    __table_args__ = (
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("octet_length(root_key) = 32", name="root_key"),
        CheckConstraint("octet_length(signature) = 64", name="signature"),
    )

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[str]
    signature: Mapped[bytes]
    root_key: Mapped[bytes]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class ShardRow(Base):
    """A file of bundles, by its hash; markets share what is the same."""

    __tablename__ = "bundle_shard"
    __table_args__ = (CheckConstraint("octet_length(sha256) = 32", name="sha256"),)

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    content: Mapped[bytes]
    used_at: Mapped[datetime] = mapped_column(index=True)


class MetaRow(Base):
    """The bundle of a market, as it was published last."""

    __tablename__ = "bundle_meta"

    market_id: Mapped[int] = mapped_column(ForeignKey("place.id"), primary_key=True)
    version: Mapped[int]
    document: Mapped[str]
    signature: Mapped[bytes]
    kid: Mapped[int]
    keyset_version: Mapped[int] = mapped_column(ForeignKey("bundle_keyset.version"))
    issued_at: Mapped[datetime]


class Enrolment(Base):
    """A code that lets one device stand at a gate; the code itself is not kept."""

    __tablename__ = "gate_enrolment"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    code_hash: Mapped[bytes] = mapped_column(unique=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Device(Base):
    """A browser at a gate, known by a key that it cannot give away."""

    __tablename__ = "gate_device"
    __table_args__ = (
        CheckConstraint(f"algorithm IN ({_ALGORITHMS})", name="algorithm"),
        Index("ix_gate_device_market_id", "market_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    enrolment_id: Mapped[int] = mapped_column(ForeignKey("gate_enrolment.id"), unique=True)
    market_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    place_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    name: Mapped[str]
    algorithm: Mapped[str]
    public_key: Mapped[bytes]
    enrolled_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]  # to the minute
    list_at: Mapped[datetime | None]  # when the list was made that it fetched last


class GateSample(Base):
    """Of which line at a gate a sample was taken: what stands there bounds what is taken of it."""

    __tablename__ = "gate_sample"

    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("inspection_line.id"), index=True)


class Upload(Base):
    """A statement of a device, as it signed it, and what became of it; never changed.

    Its subject is the id of an inspection, or of a quick test.
    """

    __tablename__ = "gate_upload"
    __table_args__ = (
        CheckConstraint("state IN ('taken', 'refused')", name="state"),
        CheckConstraint("(state = 'refused') = (problem IS NOT NULL)", name="problem"),
        Index("ix_gate_upload_device_id_sequence", "device_id", "sequence"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    subject: Mapped[UUID] = mapped_column(unique=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("gate_device.id"))
    sequence: Mapped[int]
    statement_sealed: Mapped[bytes]
    digest: Mapped[bytes]
    signature: Mapped[bytes]
    received_at: Mapped[datetime]
    state: Mapped[str]
    # A missing problem is missing, not JSON's null.
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
