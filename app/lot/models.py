"""Lots, what is left of them, and what went into what."""

from datetime import date, datetime
from decimal import Decimal
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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.lot.rules import ChangeKind, LotOrigin

_ORIGINS = ", ".join(f"'{origin}'" for origin in LotOrigin)
_CHANGES = ", ".join(f"'{kind}'" for kind in ChangeKind)


class Lot(Base):
    """What a lot was when it came into being; nothing here changes but its certificates."""

    __tablename__ = "lot"
    __table_args__ = (
        CheckConstraint(f"origin IN ({_ORIGINS})", name="origin"),
        CheckConstraint("mass_g > 0", name="mass_g"),
        CheckConstraint("NOT (mixed AND producer_id IS NOT NULL)", name="mixed"),
        Index("ix_lot_holder_id_product_id_id", "holder_id", "product_id", "id"),
        # Goods that came without a ticket belong into a ledger of purchases; they are few.
        Index(
            "ix_lot_holder_id_declared",
            "holder_id",
            "created_at",
            postgresql_where=text("origin = 'declare'"),
        ),
        Index("ix_lot_created_at", "created_at", postgresql_using="brin"),
        Index(
            "ix_lot_plot_id_made_on",
            "plot_id",
            "made_on",
            postgresql_where=text("plot_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    holder_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    producer_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    from_party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    mixed: Mapped[bool]
    origin: Mapped[str]
    production: Mapped[str | None]
    mass_g: Mapped[int]
    pieces: Mapped[int | None]
    quantity: Mapped[Decimal]
    unit: Mapped[str]
    division_code: Mapped[str | None]
    plot_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    made_on: Mapped[date | None]
    certificate_ids: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), server_default=text("'{}'")
    )
    documents: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    created_at: Mapped[datetime]


class LotBalance(Base):
    """What is left of a lot: the one row that hand-overs of it contend for.

    It stands apart from `lot` because inserting rows that refer to a parent share-locks the parent;
    updating the same row afterwards makes multixacts, at a third of the speed (trust.md §6).
    """

    __tablename__ = "lot_balance"
    __table_args__ = (
        CheckConstraint("remaining_g >= 0 AND remaining_g <= produced_g", name="remaining_g"),
        CheckConstraint("remaining_pieces >= 0", name="remaining_pieces"),
        CheckConstraint("cover_used_g >= 0", name="cover_used_g"),
        CheckConstraint("certified_g >= 0 AND certified_g <= produced_g", name="certified_g"),
        CheckConstraint("holds >= 0", name="holds"),
        Index("ix_lot_balance_held", "lot_id", postgresql_where=text("holds > 0")),
        {"postgresql_with": {"fillfactor": 50}},
    )

    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), primary_key=True)
    produced_g: Mapped[int]
    remaining_g: Mapped[int]
    remaining_pieces: Mapped[int | None]
    certified_g: Mapped[int]
    cover_used_g: Mapped[int]
    holds: Mapped[int] = mapped_column(SmallInteger)


class LotEdge(Base):
    """Grams of one lot that went into another; the two keys answer both directions alone.

    That both lots are there is checked once for all edges of a statement (`edges_join_lots`, a
    trigger): foreign keys look them up one by one, which takes three times as long as the rest.
    """

    __tablename__ = "lot_edge"
    __table_args__ = (
        UniqueConstraint("src", "dst"),
        CheckConstraint("src < dst", name="older_to_younger"),
        CheckConstraint("mass_g > 0", name="mass_g"),
        CheckConstraint("proof IN (1, 2, 3)", name="proof"),
    )

    dst: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    src: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mass_g: Mapped[int]
    proof: Mapped[int] = mapped_column(SmallInteger)
    event_id: Mapped[int]
    occurred_at: Mapped[datetime]


class LotChange(Base):
    """A change under its client's id, so that sending it again changes nothing."""

    __tablename__ = "lot_change"
    __table_args__ = (CheckConstraint(f"kind IN ({_CHANGES})", name="kind"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    kind: Mapped[str]
    digest: Mapped[bytes]
    holder_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    event_id: Mapped[int]
    lot_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    findings: Mapped[list[Any]]
    occurred_at: Mapped[datetime]
