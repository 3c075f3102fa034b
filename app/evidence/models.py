"""Who brought which image, and the images themselves."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class Evidence(Base):
    """An image that a party brought."""

    __tablename__ = "evidence"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    content_sha256: Mapped[bytes] = mapped_column(ForeignKey("evidence_content.sha256"), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    width_px: Mapped[int]
    height_px: Mapped[int]
    size_bytes: Mapped[int]
    stored_at: Mapped[datetime]


class EvidenceContent(Base):
    """The bytes of an image, under their own name; sealed, for a form may show a person's number.

    A table of its own, so that lists of images never drag them along.
    """

    __tablename__ = "evidence_content"
    __table_args__ = (CheckConstraint("octet_length(sha256) = 32", name="sha256"),)

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]


class EvidenceProof(Base):
    """What the bytes of an image prove, once and for ever: a disposal, or a destruction."""

    __tablename__ = "evidence_proof"

    content_sha256: Mapped[bytes] = mapped_column(
        ForeignKey("evidence_content.sha256"), primary_key=True
    )
    subject: Mapped[UUID] = mapped_column(index=True)
