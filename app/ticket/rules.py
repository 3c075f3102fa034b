"""Which tickets may be issued, decided and voided, and what their token says."""

from enum import StrEnum
from typing import ClassVar

from app.core.errors import DomainError, Kind, Text


class TicketKind(StrEnum):
    """What a ticket hands over, and why (domain.md §2.4)."""

    ORIGIN = "origin"  # a sale of goods that the seller produced
    SALE = "sale"
    TRANSFER = "transfer"  # between places of one party: ownership stays
    RETURN = "return"  # back to the party that had sold it


class BuyerKind(StrEnum):
    """Who takes the goods."""

    REGISTERED = "registered"
    INVITED = "invited"
    WALK_IN = "walk_in"


class HandOver(StrEnum):
    """Whose word brings the buyer's lots into being."""

    TWO_SIDED = "two_sided"
    ONE_SIDED = "one_sided"


class TicketStatus(StrEnum):
    """What became of a ticket."""

    ISSUED = "issued"
    ACCEPTED = "accepted"
    ACCEPTED_IN_PART = "accepted_in_part"
    REFUSED = "refused"
    VOIDED = "voided"


class Outcome(StrEnum):
    """A buyer's decision."""

    ACCEPTED = "accepted"
    ACCEPTED_IN_PART = "accepted_in_part"
    REFUSED = "refused"


class UnknownTicket(DomainError):
    """No ticket has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-ticket"
    title: ClassVar[Text] = Text("没有这张票据", "There is no such ticket")
    next_step: ClassVar[Text] = Text("请核对票号或重新扫码", "Check the code or scan it again")
