"""Which certificate fits, who must issue one, and what it says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, ClassVar

from app.core import dated
from app.core.errors import DomainError, Kind, Text
from app.lot.rules import LotOrigin, LotState
from app.party.access import PRODUCERS, RoleKind


class CertificateKind(StrEnum):
    """The documents of domain.md §2.2 and §2.3."""

    CONFORMITY_PRODUCER = "conformity_producer"
    CONFORMITY_PURCHASER = "conformity_purchaser"
    ORIGIN_PROOF = "origin_proof"


class Act(StrEnum):
    """What a certificate may be due for."""

    SELL = "sell"
    MERGE = "merge"
    SPLIT = "split"


class Basis(StrEnum):
    """On what the promise rests; which of them a form knows is the form's data."""

    QUALITY_CONTROL = "quality_control"
    SELF_TESTED = "self_tested"
    ENTRUSTED_TEST = "entrusted_test"
    SELF_PROMISE = "self_promise"


EVERY_ROLE = "*"
CONFORMITY = frozenset({CertificateKind.CONFORMITY_PRODUCER, CertificateKind.CONFORMITY_PURCHASER})


class UnknownCertificate(DomainError):
    """No certificate has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-certificate"
    title: ClassVar[Text] = Text("没有这张合格证", "There is no such certificate")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class WrongCertificate(DomainError):
    """This kind of certificate is not for this product, this lot or this issuer."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "wrong-certificate"
    title: ClassVar[Text] = Text(
        "该产品或批次不适用这种证明", "This certificate is not for this product or lot"
    )
    next_step: ClassVar[Text] = Text(
        "请查看该产品需要的证明；收购混装请用收购者式样",
        "See which document the product needs; a purchaser who mixes or splits uses form 2",
    )


class NoFormInForce(DomainError):
    """No form of this kind was in force on that day."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "no-form-in-force"
    title: ClassVar[Text] = Text(
        "该日期没有有效的证明式样", "No form of this kind was in force on that day"
    )
    next_step: ClassVar[Text] = Text("请检查开具日期", "Check the date of issue")


class BasisNotOnForm(DomainError):
    """The form in force does not offer this basis of the promise."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "basis-not-on-form"
    title: ClassVar[Text] = Text(
        "现行式样没有该承诺依据", "The form in force does not offer this basis"
    )
    next_step: ClassVar[Text] = Text(
        "请从现行式样的承诺依据中选择", "Choose from the bases of the form in force"
    )


class BasisMissing(DomainError):
    """A promise of conformity rests on something (MARA 2025-4: tick at least one basis)."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "basis-missing"
    title: ClassVar[Text] = Text("缺少承诺依据", "The basis of the promise is missing")
    next_step: ClassVar[Text] = Text(
        "请至少勾选一项承诺依据", "Choose at least one of the bases that the form offers"
    )


class CertificateExceedsLot(DomainError):
    """Certificates would vouch for more than the lot held."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "certificate-exceeds-lot"
    title: ClassVar[Text] = Text(
        "开具重量超过批次重量", "Certificates would vouch for more than the lot held"
    )
    next_step: ClassVar[Text] = Text(
        "请减少重量，或先作废旧证", "Certify less, or void an earlier certificate first"
    )


class CertificateVoided(DomainError):
    """The certificate was taken back."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "certificate-voided"
    title: ClassVar[Text] = Text("合格证已作废", "The certificate has been voided")
    next_step: ClassVar[Text] = Text(
        "请重新开具，或向供货者索取新证", "Issue a new one, or ask your supplier for one"
    )


class CertificateMissing(DomainError):
    """The seller must give a certificate for this product, and has none that covers it."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "certificate-missing"
    title: ClassVar[Text] = Text(
        "销售该产品须附承诺达标合格证", "A conformity certificate must come with this product"
    )
    next_step: ClassVar[Text] = Text(
        "请先为该批次开具合格证", "Issue a certificate for the lot first"
    )


class CertificateLotHeld(DomainError):
    """Nobody vouches anew for goods that an office, a market or a test keeps still.

    A paper of today would speak for them at other places, after a suspicion that its issuer knows.
    """

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "certificate-lot-on-hold"
    title: ClassVar[Text] = Text(
        "该批次已被控制或召回，不能开具证明",
        "The lot is on hold or recalled: no certificate is issued for it",
    )
    next_step: ClassVar[Text] = Text(
        "请等待检测结果或监管部门解除控制，再开具",
        "Wait for the test result or for the hold's release, then issue it",
    )


class CertificateNotReplaceable(DomainError):
    """Only a voided certificate of the same lot can be replaced."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "certificate-not-replaceable"
    title: ClassVar[Text] = Text(
        "被替换的合格证尚未作废或不属于该批次",
        "The certificate to be replaced is not voided, or is of another lot",
    )
    next_step: ClassVar[Text] = Text("请先作废原证", "Void the former certificate first")


@dataclass(frozen=True, slots=True)
class Form:
    """A form in force.

    Attributes:
        wording: Title, promise lines, bases and fields, each in Chinese and English.
    """

    kind: CertificateKind
    edition: str
    wording: dict[str, Any]

    @property
    def bases(self) -> frozenset[Basis]:
        """The bases that this form offers to tick."""
        return frozenset(Basis(basis["code"]) for basis in self.wording["bases"])


@dataclass(frozen=True, slots=True)
class Duty:
    """A row of who must issue, as the decision needs it."""

    act: Act
    role: str
    duty: str
    valid_from: date
    valid_to: date | None


def must(duties: Iterable[Duty], act: Act, roles: Iterable[RoleKind], on: date) -> bool:
    """Whether somebody of these roles must certify this act on this day (APQSL art. 39)."""
    named = {EVERY_ROLE, *roles}
    return any(
        duty.act is act
        and duty.duty == "must"
        and duty.role in named
        and dated.in_force(duty.valid_from, duty.valid_to, on)
        for duty in duties
    )


def check_kind(
    kind: CertificateKind,
    lot: LotState,
    *,
    issuer_id: int,
    roles: frozenset[RoleKind],
    certifiable: bool,
) -> None:
    """Refuse a certificate that is not for this product, lot or issuer.

    Form 1 is the producer's own, for goods of nobody else; form 2 is for a purchaser who mixed or
    split (APQSL art. 39). 产地证明 may be issued for anything with an origin (Order 20 art. 13).

    Args:
        kind: Which certificate.
        lot: What it is about.
        issuer_id: Who issues it.
        roles: The issuer's roles on the day.
        certifiable: Whether the product is one that conformity certificates are for, on the day.

    Raises:
        WrongCertificate: with the fact `reason`.
    """
    if kind is CertificateKind.ORIGIN_PROOF:
        if lot.division_code is None:
            raise WrongCertificate(reason="origin-unknown")
        return
    if not certifiable:
        raise WrongCertificate(reason="product-needs-other-document")
    own = lot.producer_id == issuer_id and not lot.mixed
    if kind is CertificateKind.CONFORMITY_PRODUCER:
        if not own or not roles & PRODUCERS:
            raise WrongCertificate(reason="issuer-is-not-the-producer")
    elif own:
        raise WrongCertificate(reason="producer-uses-form-1")
    elif lot.origin not in {
        LotOrigin.MERGE,
        LotOrigin.SPLIT,
        LotOrigin.DECLARE,
        LotOrigin.PURCHASE,
    }:
        raise WrongCertificate(reason="lot-was-not-purchased")


def check_content(form: Form, bases: Sequence[Basis], *, mass_g: int, lot: LotState) -> None:
    """Refuse a certificate whose content the form or the lot does not carry.

    Raises:
        BasisMissing: the form offers bases, and none is ticked.
        BasisNotOnForm: a basis that the form does not offer.
        CertificateExceedsLot: more grams than the lot held, with what others vouch for.
    """
    if form.bases and not bases:
        raise BasisMissing(pointer="/bases", offered=sorted(form.bases))
    for basis in bases:
        if basis not in form.bases:
            raise BasisNotOnForm(pointer="/bases", basis=str(basis), offered=sorted(form.bases))
    if lot.certified_g + mass_g > lot.mass_g:
        raise CertificateExceedsLot(lot_g=lot.mass_g, certified_g=lot.certified_g, wanted_g=mass_g)
