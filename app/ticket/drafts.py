"""What is to be issued, and what deciding about it rests on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.certificate.service import Issuer
from app.product.rules import Catalogue
from app.signing.keys import Signer
from app.ticket.rules import (
    BuyerKind,
    HandOver,
    PlannedDraw,
    TicketKind,
)


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line as spoken; grams and pieces are already reckoned."""

    product_id: int
    trade_name: str
    quantity: Decimal
    unit: str
    mass_g: int
    pieces: int | None = None
    pack_net_g: int | None = None
    price_fen: int | None = None
    price_unit: str | None = None
    draws: tuple[PlannedDraw, ...] = ()


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """What is to be issued.

    Attributes:
        digest: What tells whether a repeated request is the same.
        buyer: Public id of the buying party; None for a walk-in.
    """

    public_id: UUID
    digest: bytes
    kind: TicketKind
    seller: Issuer
    buyer: UUID | None
    hand_over: HandOver
    lines: tuple[LineDraft, ...]
    sold_at: datetime
    market: UUID | None = None
    stall: UUID | None = None
    device_at: datetime | None = None
    plate: str | None = None
    note: str | None = None
    documents: tuple[Mapping[str, Any], ...] = ()
    corrects: UUID | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision rests on beside the request: the law's data, the key, time and ids."""

    catalogue: Catalogue
    signer: Signer
    now: datetime
    new_id: Callable[[], UUID]
    serial: int


@dataclass(frozen=True, slots=True)
class Named:
    """The things that a draft names, looked up in one statement."""

    existing_digest: bytes | None
    next_id: int
    buyer_id: int | None
    buyer_status: str | None
    market_id: int | None
    stall_id: int | None
    corrects_id: int | None
    corrects_seller: int | None
    corrects_status: str | None
    seller_identity: str
    buyer_identity: str | None

    @property
    def buyer_kind(self) -> BuyerKind:
        """Say how far the buyer is with us."""
        if self.buyer_id is None:
            return BuyerKind.WALK_IN
        return BuyerKind.INVITED if self.buyer_status == "invited" else BuyerKind.REGISTERED
