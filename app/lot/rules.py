"""What may be done with lots, and how grams are shared out."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from app.core import canonical
from app.core.errors import DomainError, Kind, Text
from app.party.access import PRODUCERS, RoleKind

T = TypeVar("T")


class LotOrigin(StrEnum):
    """How a lot came into being."""

    HARVEST = "harvest"
    CATCH = "catch"
    LAY = "lay"
    SLAUGHTER_IN = "slaughter_in"
    DECLARE = "declare"
    SPLIT = "split"
    MERGE = "merge"
    TRANSFORM = "transform"
    PURCHASE = "purchase"
    RETURN = "return"


SOURCES = frozenset({LotOrigin.HARVEST, LotOrigin.CATCH, LotOrigin.LAY, LotOrigin.SLAUGHTER_IN})
"""Origins that are a beginning by themselves; a declared lot is one only if it names a producer."""


OWN_PRODUCE = frozenset({LotOrigin.HARVEST, LotOrigin.CATCH, LotOrigin.LAY})
"""Beginnings whose producer is whoever records them."""

_GROWERS = PRODUCERS - {RoleKind.SLAUGHTER, RoleKind.PROCESSOR}
OPENERS: Mapping[LotOrigin, frozenset[RoleKind]] = {
    LotOrigin.HARVEST: _GROWERS - {RoleKind.FISHER},
    LotOrigin.CATCH: frozenset({RoleKind.FISHER, RoleKind.COOP, RoleKind.AGRI_ENT}),
    LotOrigin.LAY: _GROWERS - {RoleKind.FISHER},
    LotOrigin.SLAUGHTER_IN: frozenset({RoleKind.SLAUGHTER}),
    LotOrigin.DECLARE: frozenset(RoleKind),
}
"""Who may bring a lot into being in which way."""


class ChangeKind(StrEnum):
    """What a holder does with lots that nobody else takes part in."""

    SPLIT = "split"
    MERGE = "merge"
    TRANSFORM = "transform"
    LOSS = "loss"
    DESTROY = "destroy"


class Proof(IntEnum):
    """How sure an edge is (domain.md §3.4); a *broken* one is a lot without any."""

    CLAIMED = 1  # the seller says so
    PROVED = 2  # seller and buyer say so
    OWN = 3  # one holder's own work on its own lots


class UnknownLot(DomainError):
    """No lot has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-lot"
    title: ClassVar[Text] = Text("没有这个批次", "There is no such lot")
    next_step: ClassVar[Text] = Text(
        "请从库存列表中选择批次", "Choose the lot from the list of your stock"
    )


class NotHolder(DomainError):
    """The lot is another party's."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "not-holder"
    title: ClassVar[Text] = Text("您不是该批次的持有人", "You do not hold this lot")
    next_step: ClassVar[Text] = Text(
        "请先验收对方开给您的票据，再处理货物", "Accept the ticket that brings it to you first"
    )


class LotOnHold(DomainError):
    """The lot is held by a market or a regulator."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "lot-on-hold"
    title: ClassVar[Text] = Text("该批次已被控制，暂停流转", "The lot is on hold and may not move")
    next_step: ClassVar[Text] = Text(
        "请等待检测结果或监管部门解除控制", "Wait for the test result or for the hold's release"
    )


class LotUnderRecall(DomainError):
    """What is called back is disposed of in its case, with images and a witness (FSL art. 63)."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "lot-under-recall"
    title: ClassVar[Text] = Text(
        "该批次正在召回，不能单独登记无害化处理",
        "The lot is being recalled; its destruction is recorded in the recall",
    )
    next_step: ClassVar[Text] = Text(
        "请在召回案件中登记处置，并附照片和见证人",
        "Record the disposal in the recall, with photos and a witness",
    )


class DestructionNeedsProof(DomainError):
    """What was to be kept for a test or an office is destroyed before somebody's eyes."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "destruction-needs-proof"
    title: ClassVar[Text] = Text(
        "该批次已被控制，无害化处理须有照片和见证人",
        "The lot is on hold: its destruction needs photos and a witness",
    )
    next_step: ClassVar[Text] = Text(
        "请先拍照，再填写见证人", "Take photos first, then name them and the witness"
    )


class LotExhausted(DomainError):
    """More is wanted than is left: a lot cannot be sold twice."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "lot-exhausted"
    title: ClassVar[Text] = Text("批次余量不足", "Less is left of the lot than that")
    next_step: ClassVar[Text] = Text(
        "请减少数量，或从其他批次补足", "Take less, or take the rest from another lot"
    )


class Cycle(DomainError):
    """A lot would become its own ancestor."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "cycle"
    title: ClassVar[Text] = Text("批次不能成为自己的来源", "A lot cannot be made from itself")
    next_step: ClassVar[Text] = Text(
        "产出的批次须是新批次", "The goods that result are a lot of their own: begin a new one"
    )


class MergeNeedsCertificate(DomainError):
    """Goods of different producers are mixed without a new certificate (APQSL art. 39)."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "merge-needs-certificate"
    title: ClassVar[Text] = Text(
        "混装不同生产者的产品，须重新开具承诺达标合格证",
        "Mixing goods of different producers needs a new conformity certificate",
    )
    next_step: ClassVar[Text] = Text(
        "请随混装一并填写合格证（收购者式样）",
        "Send the purchaser's certificate along with the merge",
    )


class ProductsDiffer(DomainError):
    """Only lots of one product can be merged or split; anything else is a transform."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "products-differ"
    title: ClassVar[Text] = Text("批次的产品不同", "The lots are of different products")
    next_step: ClassVar[Text] = Text(
        "不同产品请用加工登记", "Record a transform where the product changes"
    )


class MassesDiffer(DomainError):
    """The parts do not add up to the whole."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "masses-differ"
    title: ClassVar[Text] = Text("各部分重量之和与总量不符", "The parts do not add up to the whole")
    next_step: ClassVar[Text] = Text("请核对各部分的重量", "Check the mass of each part")


class WrongRole(DomainError):
    """Only certain trades bring a lot into being in this way."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "wrong-role"
    title: ClassVar[Text] = Text(
        "您的主体类型不能这样登记批次", "Your kind of party cannot bring a lot into being this way"
    )
    next_step: ClassVar[Text] = Text(
        "收购的货物请登记为外来批次，或请生产者先登记",
        "Declare goods bought elsewhere, or let their producer record them first",
    )


class ProducerMissing(DomainError):
    """Animals for slaughter must come from somebody (PIG art. 13)."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "producer-missing"
    title: ClassVar[Text] = Text("缺少生产者", "The producer is missing")
    next_step: ClassVar[Text] = Text("请填写畜禽的饲养者", "Name the party that raised the animals")


class OriginMissing(DomainError):
    """Goods that are grown, raised or caught come from somewhere."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "origin-missing"
    title: ClassVar[Text] = Text("缺少产地", "The origin is missing")
    next_step: ClassVar[Text] = Text(
        "请选择地块，或选到村的产地", "Choose a plot, or the village of origin"
    )


class UnknownProcess(DomainError):
    """No yield band is in force for this process, input and output on that day."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-process"
    title: ClassVar[Text] = Text(
        "没有适用于该产品的加工方式", "No such process is known for these products on that day"
    )
    next_step: ClassVar[Text] = Text("请从加工方式列表中选择", "Choose from the list of processes")


class MadeTooEarly(DomainError):
    """A lot cannot come from goods that did not exist yet."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "made-too-early"
    title: ClassVar[Text] = Text(
        "时间早于来源批次的产生时间", "That is before the goods it is made of came into being"
    )
    next_step: ClassVar[Text] = Text("请检查时间", "Check the date and time")


@dataclass(frozen=True, slots=True)
class LotState:
    """A lot as decisions need it, read under its lock.

    Attributes:
        remaining_g: Grams left.
        certified_g: Grams that certificates in force vouch for, of the whole lot.
        cover_used_g: Grams of those that already left.
    """

    id: int
    public_id: UUID
    product_id: int
    holder_id: int | None
    producer_id: int | None
    from_party_id: int | None
    mixed: bool
    origin: LotOrigin
    production: str | None
    mass_g: int
    remaining_g: int
    remaining_pieces: int | None
    certified_g: int
    cover_used_g: int
    holds: int
    division_code: str | None
    plot_id: int | None
    made_on: date | None
    certificate_ids: tuple[int, ...]
    documents: tuple[Mapping[str, Any], ...]
    created_at: datetime
    quantity: Decimal
    unit: str

    @property
    def cover_left_g(self) -> int:
        """Grams that may still leave under a certificate."""
        return max(self.certified_g - self.cover_used_g, 0)


@dataclass(frozen=True, slots=True)
class Draw:
    """Grams that leave a lot; `cover_g` of them under its certificates.

    Attributes:
        pieces: Single things that leave with them; None where nobody counted, and from then on
            nobody knows how many are left.
    """

    lot: LotState
    mass_g: int
    pieces: int | None = None

    @property
    def cover_g(self) -> int:
        """Grams of the draw that certificates vouch for."""
        return min(self.mass_g, self.lot.cover_left_g)


def check_opening(origin: LotOrigin, roles: Iterable[RoleKind]) -> None:
    """Refuse a beginning that is not of the party's trade.

    Raises:
        WrongRole: only producers harvest, only slaughterhouses take animals in.
    """
    if not OPENERS[origin] & frozenset(roles):
        raise WrongRole(origin=origin)


def digest(content: Mapping[str, Any]) -> bytes:
    """Answer 32 bytes that tell whether a repeated request is the same request."""
    return hashlib.sha256(canonical.dumps(dict(content))).digest()


def check_draw(
    draw: Draw,
    *,
    holder_id: int,
    held_too: bool = False,
    recall: UUID | None = None,
    proved: bool = True,
) -> None:
    """Refuse a draw that must not happen; the first failing rule is the answer.

    Args:
        draw: What is to leave which lot.
        holder_id: Who takes it out.
        held_too: Whether a lot on hold gives it away too (to be destroyed, or
            sampled by whoever answers for it).
        recall: The open case that has to say what became of the lot, where there is one.
        proved: Whether images and a witness show what becomes of goods on hold.

    Raises:
        NotHolder: the lot is another party's.
        LotOnHold: the lot is held or recalled.
        LotUnderRecall: it leaves only as its recall says.
        DestructionNeedsProof: it is on hold, and nobody shows what becomes of it.
        LotExhausted: less than that is left.
    """
    lot = draw.lot
    if lot.holder_id != holder_id:
        raise NotHolder(lot=str(lot.public_id))
    if lot.holds and not held_too:
        raise LotOnHold(lot=str(lot.public_id))
    if recall is not None:
        raise LotUnderRecall(lot=str(lot.public_id), recall=str(recall))
    if lot.holds and not proved:
        raise DestructionNeedsProof(lot=str(lot.public_id))
    if draw.mass_g > lot.remaining_g:
        raise LotExhausted(
            lot=str(lot.public_id), wanted_g=draw.mass_g, remaining_g=lot.remaining_g
        )
    check_pieces(draw, lot.remaining_pieces)


def check_pieces(draw: Draw, left: int | None) -> None:
    """Refuse more pieces than are left, as far as they were counted.

    Raises:
        LotExhausted: fewer than that are left.
    """
    if draw.pieces is not None and left is not None and draw.pieces > left:
        raise LotExhausted(
            lot=str(draw.lot.public_id), wanted_pieces=draw.pieces, remaining_pieces=left
        )


def check_merge(draws: Sequence[Draw], *, certificate_due: bool, certified: bool) -> None:
    """Refuse to mix what must not be mixed; the draws themselves are already checked.

    Args:
        draws: What goes in.
        certificate_due: Whether the law of the day asks for a new certificate for this product.
        certified: Whether the new certificate comes with the merge.

    Raises:
        ProductsDiffer: the lots are of more than one product.
        MergeNeedsCertificate: they are of more than one producer, and no certificate comes along.
    """
    if len({draw.lot.product_id for draw in draws}) > 1:
        raise ProductsDiffer
    if certificate_due and not certified and shared_producer(draw.lot for draw in draws) is None:
        raise MergeNeedsCertificate


def shared_producer(lots: Iterable[LotState]) -> int | None:
    """Answer the one producer that all lots have, or None where they differ or it is unknown."""
    producers = {None if lot.mixed else lot.producer_id for lot in lots}
    return producers.pop() if len(producers) == 1 else None


def shared(values: Iterable[T | None]) -> T | None:
    """Answer the value that all share, or None where they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Share out a whole number in proportion, so that the shares add up to it exactly.

    The method of largest remainders (Hamilton); ties go to the earlier share.

    Args:
        total: What is shared out, ≥ 0 (grams).
        weights: Proportions, each ≥ 0, not all 0.

    Returns:
        One share a weight; none exceeds its weight as long as `total` does not exceed their sum.
    """
    whole = sum(weights)
    assert whole > 0, "something must carry the shares"
    parts = [divmod(total * weight, whole) for weight in weights]
    shares = [share for share, _ in parts]
    rests = [rest for _, rest in parts]
    order = sorted(range(len(weights)), key=rests.__getitem__, reverse=True)  # ties stay in order
    for index in order[: total - sum(shares)]:
        shares[index] += 1
    return shares
