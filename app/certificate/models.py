"""Certificates, the forms they are on, and who must issue them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.certificate.rules import Act, CertificateKind
from app.core.db import Base

_KINDS = ", ".join(f"'{kind}'" for kind in CertificateKind)
_ACTS = ", ".join(f"'{act}'" for act in Act)


class CertificateForm(Base):
    """A form in force for a while: its title, promise, bases and fields, in its own words."""

    __tablename__ = "certificate_form"
    __table_args__ = (
        CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        UniqueConstraint("kind", "valid_from"),
    )

    kind: Mapped[str] = mapped_column(primary_key=True)
    edition: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    wording: Mapped[dict[str, Any]]
    source: Mapped[str]
    verified: Mapped[bool]


class CertificateDuty(Base):
    """Who must, or should, issue a conformity certificate for an act; dated."""

    __tablename__ = "certificate_duty"
    __table_args__ = (
        CheckConstraint(f"act IN ({_ACTS})", name="act"),
        CheckConstraint("duty IN ('must', 'should')", name="duty"),
    )

    act: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    duty: Mapped[str]
    source: Mapped[str]
    verified: Mapped[bool]


class Certificate(Base):
    """What was stated; no column of this row ever changes."""

    __tablename__ = "certificate"
    __table_args__ = (
        ForeignKeyConstraint(
            ["kind", "form_edition"], ["certificate_form.kind", "certificate_form.edition"]
        ),
        CheckConstraint("mass_g > 0", name="mass_g"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    kind: Mapped[str]
    form_edition: Mapped[str]
    code: Mapped[str] = mapped_column(unique=True)
    serial: Mapped[int] = mapped_column(unique=True)
    kid: Mapped[int]
    token: Mapped[str]
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    issuer_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    mass_g: Mapped[int]
    quantity: Mapped[Decimal]
    unit: Mapped[str]
    division_code: Mapped[str | None]
    bases: Mapped[list[str]]
    issued_on: Mapped[date]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))


class CertificateVoid(Base):
    """The further statement that takes a certificate back."""

    __tablename__ = "certificate_void"

    certificate_id: Mapped[int] = mapped_column(ForeignKey("certificate.id"), primary_key=True)
    reason: Mapped[str]
    voided_at: Mapped[datetime]
