"""Which tickets may be issued, decided and voided, and what their token says."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from app.certificate.rules import CertificateMissing, CertificateVoided
from app.core.errors import DomainError, Kind, Text
from app.lot.rules import (
    Draw,
    LotExhausted,
    LotState,
    MassesDiffer,
    ProductsDiffer,
    apportion,
    check_draw,
    check_pieces,
)


class TicketKind(StrEnum):
    """What a ticket hands over, and why (domain.md §2.4)."""

    ORIGIN = "origin"  # a sale of goods that the seller produced
    SALE = "sale"
    TRANSFER = "transfer"  # between places of one party: ownership stays
    RETURN = "return"  # back to the party that had sold it


KIND_WORDS: Final = {
    TicketKind.ORIGIN: Text("产地直销", "sold by its producer"),
    TicketKind.SALE: Text("销售", "sale"),
    TicketKind.TRANSFER: Text("本单位调拨", "transfer within one party"),
    TicketKind.RETURN: Text("退货", "return"),
}


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


class SelfSale(DomainError):
    """Seller and buyer are one party."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "self-sale"
    title: ClassVar[Text] = Text("不能卖给自己", "A party cannot sell to itself")
    next_step: ClassVar[Text] = Text(
        "自有场所之间调拨请用“调拨”票据", "Use a transfer between places of your own"
    )


class TransferToOther(DomainError):
    """A transfer stays within one party."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "transfer-to-other"
    title: ClassVar[Text] = Text("调拨只能在本主体内进行", "A transfer stays within one party")
    next_step: ClassVar[Text] = Text("给其他主体请开销售票据", "Issue a sale to another party")


class ReturnToStranger(DomainError):
    """Goods go back to whoever they came from."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "return-to-stranger"
    title: ClassVar[Text] = Text(
        "退货只能退给原供货者", "Goods can be returned only to whoever supplied them"
    )
    next_step: ClassVar[Text] = Text(
        "请选择该批次的供货者", "Choose the party that supplied this lot"
    )


class HandOverImpossible(DomainError):
    """A walk-in has no account that could accept."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "hand-over-impossible"
    title: ClassVar[Text] = Text(
        "散客不能验收，须为单方交付", "A walk-in cannot accept: the hand-over is one-sided"
    )
    next_step: ClassVar[Text] = Text(
        "请改为单方交付，或填写买方", "Make it one-sided, or name the buyer"
    )


class BuyerDisabled(DomainError):
    """The buyer is no longer on the platform."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "buyer-disabled"
    title: ClassVar[Text] = Text("买方已停用", "The buyer has been disabled")
    next_step: ClassVar[Text] = Text("请与市场管理方联系", "Ask your market office")


class InvitationInBulk(DomainError):
    """A row of a bulk would invite somebody, who must not stay invited if the row is refused."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "invitation-in-bulk"
    title: ClassVar[Text] = Text(
        "批量开票不能邀请新买方", "A bulk cannot invite a buyer who has no account"
    )
    next_step: ClassVar[Text] = Text(
        "请先单独开一张票邀请该买方", "Invite the buyer with a ticket of its own first"
    )


class StockShort(DomainError):
    """The seller's stock of a product does not cover a line that names no lots."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "stock-short"
    title: ClassVar[Text] = Text("库存不足", "The stock does not cover that much")
    next_step: ClassVar[Text] = Text(
        "请先登记或验收货物，或减少数量", "Record or accept goods first, or sell less"
    )


class CorrectsOther(DomainError):
    """Only a voided ticket of the same seller can be corrected by another."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "corrects-other"
    title: ClassVar[Text] = Text(
        "只能更正本人已作废的票据", "Only a voided ticket of your own can be corrected"
    )
    next_step: ClassVar[Text] = Text("请先作废原票据", "Void the former ticket first")


class NotBuyer(DomainError):
    """Only the buyer decides about a ticket."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "not-buyer"
    title: ClassVar[Text] = Text("您不是该票据的买方", "You are not the buyer of this ticket")
    next_step: ClassVar[Text] = Text(
        "请让票据上的买方验收", "Let the buyer who is named on it decide"
    )


class NotSeller(DomainError):
    """Only the seller voids a ticket."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "not-seller"
    title: ClassVar[Text] = Text("您不是该票据的卖方", "You are not the seller of this ticket")
    next_step: ClassVar[Text] = Text(
        "请让开票的卖方作废，或拒收", "Let its seller void it, or refuse the goods"
    )


class AlreadyDecided(DomainError):
    """The buyer has decided, and otherwise."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "ticket-already-decided"
    title: ClassVar[Text] = Text("票据已验收或拒收", "The ticket has been decided already")
    next_step: ClassVar[Text] = Text(
        "如需退货，请开退货票据", "Issue a return ticket to send goods back"
    )


class TicketVoided(DomainError):
    """The seller took the ticket back."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "ticket-voided"
    title: ClassVar[Text] = Text("票据已作废", "The ticket has been voided")
    next_step: ClassVar[Text] = Text("请向卖方索取新票据", "Ask the seller for a new ticket")


class AcceptedTooMuch(DomainError):
    """More is accepted than was handed over, or nothing, or all of it, in part."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "accepted-mass-impossible"
    title: ClassVar[Text] = Text("验收重量与票据不符", "The accepted mass does not fit the ticket")
    next_step: ClassVar[Text] = Text(
        "每行验收重量应在零与票面重量之间，且不全收也不全退",
        "Give each line between nothing and its mass; not everything, and not nothing",
    )


@dataclass(frozen=True, slots=True)
class PlannedDraw:
    """A draw that a line names; without grams, the line's draws are filled in their order."""

    lot: UUID
    mass_g: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a draft; without draws, the oldest stock of the product is taken."""

    no: int
    product_id: int
    mass_g: int
    pieces: int | None
    draws: tuple[PlannedDraw, ...]


@dataclass(frozen=True, slots=True)
class LineDraw:
    """What was decided to leave a lot for a line."""

    line_no: int
    draw: Draw
    cover_g: int


def check_parties(
    kind: TicketKind, buyer_kind: BuyerKind, hand_over: HandOver, *, seller: int, buyer: int | None
) -> None:
    """Refuse a ticket between parties that cannot have it.

    Raises:
        SelfSale: seller and buyer are one, and it is no transfer.
        TransferToOther: a transfer to somebody else.
        HandOverImpossible: a walk-in is to accept.
    """
    if kind is TicketKind.TRANSFER:
        if seller != buyer:
            raise TransferToOther
    elif seller == buyer:
        raise SelfSale
    if buyer_kind is BuyerKind.WALK_IN and hand_over is HandOver.TWO_SIDED:
        raise HandOverImpossible


Left = Callable[[LotState], tuple[int, int | None]]
"""Answers the grams and, if counted, the pieces that earlier lines of a ticket leave of a lot."""


def plan_draws(line: Line, lots: Mapping[UUID, LotState], *, seller: int, left: Left) -> list[Draw]:
    """Decide what leaves which lot for a line; the first failing rule is the answer.

    Args:
        line: The line.
        lots: The locked lots by public id, oldest first: those named, and the seller's stock.
        seller: Who sells.
        left: What earlier lines of the same ticket leave of a lot.

    Raises:
        NotHolder: a named lot is another party's.
        LotOnHold: it may not move.
        ProductsDiffer: it is of another product.
        MassesDiffer: the named draws do not add up to the line.
        LotExhausted: less than that is left, or fewer pieces.
        StockShort: no lot was named, and the stock does not suffice.
    """
    if not line.draws:
        return _counted(line, _from_stock(line, lots.values(), seller=seller, left=left), left)
    named = [(lots[planned.lot], planned.mass_g) for planned in line.draws]
    for lot, _ in named:
        check_draw(Draw(lot, 0), holder_id=seller)
        if lot.product_id != line.product_id:
            raise ProductsDiffer(lot=str(lot.public_id), line=line.no)
    picked: list[tuple[LotState, int]] = []
    missing_g = line.mass_g
    for position, (lot, wanted_g) in enumerate(named):
        last = position == len(named) - 1
        left_g, _ = left(lot)
        # Lots named before may be for more than the line: then nothing is open, and not less.
        open_g = max(missing_g, 0)
        mass_g = wanted_g if wanted_g is not None else open_g if last else min(left_g, open_g)
        missing_g -= mass_g
        if mass_g > left_g:
            raise LotExhausted(lot=str(lot.public_id), wanted_g=mass_g, remaining_g=left_g)
        if mass_g > 0:
            picked.append((lot, mass_g))
    if missing_g:
        raise MassesDiffer(line=line.no, line_g=line.mass_g, difference_g=missing_g)
    return _counted(line, picked, left)


def _from_stock(
    line: Line,
    lots: Iterable[LotState],
    *,
    seller: int,
    left: Left,
) -> list[tuple[LotState, int]]:
    picked: list[tuple[LotState, int]] = []
    missing_g = line.mass_g
    for lot in lots:
        if lot.product_id != line.product_id or lot.holder_id != seller or lot.holds:
            continue
        mass_g = min(missing_g, left(lot)[0])
        if mass_g > 0:
            picked.append((lot, mass_g))
            missing_g -= mass_g
    if missing_g:
        raise StockShort(line=line.no, wanted_g=line.mass_g, missing_g=missing_g)
    return picked


def _counted(line: Line, picked: Sequence[tuple[LotState, int]], left: Left) -> list[Draw]:
    """Share a line's pieces out over its lots, in proportion to the grams."""
    masses = [mass_g for _, mass_g in picked]
    shares: Sequence[int | None] = (
        [None] * len(picked) if line.pieces is None else apportion(line.pieces, masses)
    )
    draws: list[Draw] = []
    for (lot, mass_g), share in zip(picked, shares, strict=True):
        left_g, left_pieces = left(lot)
        everything = left_pieces if mass_g == left_g else None
        draw = Draw(lot, mass_g, everything if share is None else share)
        check_pieces(draw, left_pieces)
        draws.append(draw)
    return draws


def check_certificates(
    lot: LotState, *, mass_g: int, cover_g: int, voided: Container[int], due: bool
) -> None:
    """Refuse goods without the certificate that the law of the day asks for.

    Args:
        lot: Where the goods come from.
        mass_g: Grams that leave it.
        cover_g: Grams of those that certificates vouch for.
        voided: Certificates that were taken back.
        due: Whether this seller must give a certificate for this product on the day.

    Raises:
        CertificateVoided: the lot had certificates, and all were taken back.
        CertificateMissing: the seller must give one, and none covers that much.
    """
    if lot.certificate_ids and all(known in voided for known in lot.certificate_ids):
        raise CertificateVoided(lot=str(lot.public_id))
    if due and cover_g < mass_g:
        raise CertificateMissing(lot=str(lot.public_id), covered_g=cover_g, wanted_g=mass_g)


def accepted_masses(
    outcome: Outcome, lines: Mapping[int, int], accepted: Mapping[int, int]
) -> dict[int, int]:
    """Answer the grams accepted of each line.

    Args:
        outcome: The buyer's decision.
        lines: Grams of each line of the ticket.
        accepted: Grams accepted of lines, for a decision in part; other lines are accepted whole.

    Raises:
        AcceptedTooMuch: a line that the ticket lacks, more than it handed over, or a decision in
            part that accepts everything or nothing.
    """
    if outcome is Outcome.ACCEPTED:
        return dict(lines)
    if outcome is Outcome.REFUSED:
        return dict.fromkeys(lines, 0)
    for no, mass_g in accepted.items():
        if no not in lines or not 0 <= mass_g <= lines[no]:
            raise AcceptedTooMuch(line=no, accepted_g=mass_g, line_g=lines.get(no, 0))
    result = {no: accepted.get(no, mass_g) for no, mass_g in lines.items()}
    if not 0 < sum(result.values()) < sum(lines.values()):
        raise AcceptedTooMuch(accepted_g=sum(result.values()), ticket_g=sum(lines.values()))
    return result
