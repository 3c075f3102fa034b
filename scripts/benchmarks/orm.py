"""The floor that an object-relational mapper puts under issuing: the same rows, one unit of work.

Not a floor to stay above but one to be well clear of: most services of this kind are written so.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from app.core import ids
from app.core.clock import system_clock
from benchmarks.floors import DRAW_G, LEAF_BYTES


class _Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's own declaration
        int: BigInteger,
        str: Text,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        UUID: Uuid,
        list[int]: ARRAY(BigInteger),
        list[str]: JSONB,
        dict[str, str]: JSONB,
    }


class _Balance(_Base):
    __tablename__ = "lot_balance"
    __table_args__ = {"schema": "floor"}  # noqa: RUF012  # SQLAlchemy's own declaration

    lot_id: Mapped[int] = mapped_column(primary_key=True)
    remaining_g: Mapped[int]


class _Ticket(_Base):
    __tablename__ = "ticket"
    __table_args__ = {"schema": "floor"}  # noqa: RUF012  # SQLAlchemy's own declaration

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID]
    digest: Mapped[bytes]
    kind: Mapped[str]
    code: Mapped[str]
    serial: Mapped[int]
    kid: Mapped[int]
    token: Mapped[str]
    seller_id: Mapped[int]
    buyer_id: Mapped[int]
    buyer_kind: Mapped[str]
    hand_over: Mapped[str]
    mass_g: Mapped[int]
    documents: Mapped[list[str]]
    sold_at: Mapped[datetime]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class _Line(_Base):
    __tablename__ = "ticket_line"
    __table_args__ = {"schema": "floor"}  # noqa: RUF012  # SQLAlchemy's own declaration

    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    product_id: Mapped[int]
    trade_name: Mapped[str]
    quantity: Mapped[Decimal]
    unit: Mapped[str]
    mass_g: Mapped[int]


class _Draw(_Base):
    __tablename__ = "ticket_draw"
    __table_args__ = (
        ForeignKeyConstraint(
            ["ticket_id", "line_no"], ["floor.ticket_line.ticket_id", "floor.ticket_line.no"]
        ),
        {"schema": "floor"},
    )

    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    line_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    lot_id: Mapped[int] = mapped_column(primary_key=True)
    mass_g: Mapped[int]
    cover_g: Mapped[int]
    certificate_ids: Mapped[list[int]]
    line: Mapped[_Line] = relationship()


class _State(_Base):
    __tablename__ = "ticket_state"
    __table_args__ = {"schema": "floor"}  # noqa: RUF012  # SQLAlchemy's own declaration

    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]


class _Event(_Base):
    __tablename__ = "event"
    __table_args__ = {"schema": "floor"}  # noqa: RUF012  # SQLAlchemy's own declaration

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID]
    kind: Mapped[str]
    party_id: Mapped[int]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    details: Mapped[dict[str, str]]


class _Entry(_Base):
    __tablename__ = "entry"
    __table_args__ = {"schema": "floor"}  # noqa: RUF012  # SQLAlchemy's own declaration

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str]
    subject: Mapped[UUID]
    leaf: Mapped[bytes]
    appended_at: Mapped[datetime]


async def issue(engine: AsyncEngine, lot: int) -> None:
    """Issue a ticket as a unit of work would."""
    now, serial, public_id = system_clock(), ids.serial63(), ids.uuid7()
    async with AsyncSession(engine) as session, session.begin():
        balance = await session.get_one(_Balance, lot, with_for_update=True)
        balance.remaining_g -= DRAW_G
        ticket = _Ticket(
            public_id=public_id,
            digest=bytes(32),
            kind="sale",
            code=str(serial),
            serial=serial,
            kid=1,
            token="7" * 246,
            seller_id=1,
            buyer_id=2,
            buyer_kind="registered",
            hand_over="two_sided",
            mass_g=DRAW_G,
            documents=[],
            sold_at=now,
            issued_at=now,
            expires_at=now + timedelta(days=3),
        )
        session.add(ticket)
        await session.flush()
        spoken = {"trade_name": "青菜", "quantity": Decimal(1), "unit": "公斤"}
        session.add_all(
            [
                _Draw(
                    line=_Line(ticket_id=ticket.id, no=1, product_id=18, mass_g=DRAW_G, **spoken),
                    lot_id=lot,
                    mass_g=DRAW_G,
                    cover_g=0,
                    certificate_ids=[],
                ),
                _State(ticket_id=ticket.id, status="issued"),
                _Event(
                    public_id=public_id,
                    kind="hand_over",
                    party_id=1,
                    occurred_at=now,
                    recorded_at=now,
                    details={},
                ),
                _Entry(
                    kind="ticket.issued", subject=public_id, leaf=bytes(LEAF_BYTES), appended_at=now
                ),
            ]
        )
