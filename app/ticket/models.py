"""Tickets, their lines and draws, and what became of them."""

from datetime import date, datetime
from decimal import Decimal
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
from app.ticket.rules import BuyerKind, HandOver, TicketKind, TicketStatus


def _one_of(column: str, values: type[TicketKind | BuyerKind | HandOver | TicketStatus]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class TicketValidity(Base):
    """How long a ticket speaks for goods of a product group, in hours; dated."""

    __tablename__ = "ticket_validity"

    product_group: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    ttl_h: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]


class Ticket(Base):
    """What was stated; no column of this row ever changes."""

    __tablename__ = "ticket"
    __table_args__ = (
        CheckConstraint(_one_of("kind", TicketKind), name="kind"),
        CheckConstraint(_one_of("buyer_kind", BuyerKind), name="buyer_kind"),
        CheckConstraint(_one_of("hand_over", HandOver), name="hand_over"),
        CheckConstraint("(buyer_id IS NULL) = (buyer_kind = 'walk_in')", name="buyer"),
        Index("ix_ticket_seller_id_id", "seller_id", "id"),
        Index("ix_ticket_buyer_id_id", "buyer_id", "id"),
        # Tickets are stored as they are issued: a few pages tell where a week begins.
        Index("ix_ticket_issued_at", "issued_at", postgresql_using="brin"),
        # A month of a party's ledger, in the order of its days.
        Index("ix_ticket_seller_id_sold_at", "seller_id", "sold_at"),
        Index("ix_ticket_buyer_id_sold_at", "buyer_id", "sold_at"),
        # A day of everybody's, for who looks for a plate: rows come in nearly in order.
        Index("ix_ticket_sold_at", "sold_at", postgresql_using="brin"),
    )

    # The database hands ids out, but the token signs one before the row exists.
    id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    kind: Mapped[str]
    code: Mapped[str] = mapped_column(unique=True)
    serial: Mapped[int] = mapped_column(unique=True)
    kid: Mapped[int]
    token: Mapped[str]
    seller_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    buyer_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    buyer_kind: Mapped[str]
    hand_over: Mapped[str]
    market_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    stall_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    sold_at: Mapped[datetime]
    device_at: Mapped[datetime | None]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    mass_g: Mapped[int]
    plate: Mapped[str | None]
    note: Mapped[str | None]
    documents: Mapped[list[Any]]
    corrects_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))


class TicketLine(Base):
    """One product of a ticket, as it was spoken."""

    __tablename__ = "ticket_line"
    __table_args__ = (CheckConstraint("mass_g > 0", name="mass_g"),)

    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    trade_name: Mapped[str]
    quantity: Mapped[Decimal]
    unit: Mapped[str]
    pack_net_g: Mapped[int | None]
    mass_g: Mapped[int]
    pieces: Mapped[int | None]
    price_fen: Mapped[int | None]
    price_unit: Mapped[str | None]


class TicketDraw(Base):
    """Grams of one lot behind a line."""

    __tablename__ = "ticket_draw"
    __table_args__ = (
        ForeignKeyConstraint(["ticket_id", "line_no"], ["ticket_line.ticket_id", "ticket_line.no"]),
        CheckConstraint("mass_g > 0 AND cover_g BETWEEN 0 AND mass_g", name="mass_g"),
        Index("ix_ticket_draw_lot_id", "lot_id"),
    )

    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    line_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), primary_key=True)
    mass_g: Mapped[int]
    pieces: Mapped[int | None]
    cover_g: Mapped[int]
    certificate_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


class TicketState(Base):
    """What became of a ticket: the one row of it that changes."""

    __tablename__ = "ticket_state"
    __table_args__ = (
        CheckConstraint(_one_of("status", TicketStatus), name="status"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    status: Mapped[str]
    decision_digest: Mapped[bytes | None]
    decided_at: Mapped[datetime | None]
    voided_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    evidence_ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))


class TicketReceipt(Base):
    """What the buyer's side made of a draw: the lot that it became, and the lot that came back."""

    __tablename__ = "ticket_receipt"
    __table_args__ = (
        ForeignKeyConstraint(
            ["ticket_id", "line_no", "lot_id"],
            ["ticket_draw.ticket_id", "ticket_draw.line_no", "ticket_draw.lot_id"],
        ),
        CheckConstraint("accepted_g >= 0", name="accepted_g"),
    )

    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    line_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    lot_id: Mapped[int] = mapped_column(primary_key=True)
    accepted_g: Mapped[int]
    received_lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"))
    returned_lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"))
