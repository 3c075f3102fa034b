"""What a scanned text is, and what the findings about it come to."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

from app.admission.findings import OBSERVATIONS, Finding
from app.admission.policy import (
    GRAVEST_FIRST,
    Decision,
    Doubt,
    Policy,
    Proof,
    Severity,
    Trait,
)
from app.certificate.rules import CertificateKind
from app.core.clock import local_date
from app.event.lateness import Late
from app.label.rules import PATH as LABEL_PATH
from app.product.rules import Dated, Requirement
from app.signing import shortcode, token
from app.signing.keys import SignatureVerdict
from app.signing.token import Parsed, Unreadable, UnreadableError
from app.testing.rules import GOOD, NamedTest
from app.ticket.rules import TicketStatus

CLOCK_SKEW_MAX: Final = timedelta(minutes=5)
REFERENCE_CHARS_MAX: Final = 300


# --- what a text is -------------------------------------------------------------------------------


class CodeKind(StrEnum):
    """What a scanned or typed text is."""

    TOKEN = "token"  # noqa: S105 (a kind of code)
    SHORT_CODE = "short_code"
    FOREIGN_TRACE_CODE = "foreign_trace_code"  # 20 digits: SB/T 10680, or a drug code alike
    VET_DRUG_CODE = "vet_drug_code"  # 24 digits
    GS1 = "gs1"
    ADDRESS = "address"  # of another site
    UNRECOGNISED = "unrecognised"


@dataclass(frozen=True, slots=True)
class Code:
    """A text, recognised.

    Attributes:
        reference: What is kept of it and told back: digits, short code, a foreign code as it is,
            the address without its query; a hash of what is none of these.
        parsed: A token whose signature is still to be checked.
        unreadable: Why it is no token although it stands where one should.
        changes: What was tidied before a typed code could be read.
        elements: GS1 application identifiers and their values, as they are.
        check_digit: Whether a GTIN's check digit fits.
        imitates: Whether a foreign address looks like one of ours.
    """

    kind: CodeKind
    reference: str
    parsed: Parsed | None = None
    unreadable: Unreadable | None = None
    changes: tuple[str, ...] = ()
    elements: Mapping[str, str] = field(default_factory=dict)
    check_digit: bool = True
    imitates: bool = False


_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_IMITATION = re.compile(r"/t/[0-9]{40,}|/[bc]/[0-9a-z-]{13,16}$", re.IGNORECASE)
_TWENTY = re.compile(r"(?<![0-9])[0-9]{20}(?![0-9])")
_TRACE_DIGITS, _DRUG_DIGITS = 20, 24
_GTIN_LENGTHS = frozenset({8, 12, 13, 14})
_AI = re.compile(r"[0-9]{2,4}")
_AI_VALUE = re.compile(r"[!-~]{1,90}")


def recognise(text: str, base_urls: Collection[str]) -> Code:
    """Say what a text is, without asking anybody; nothing foreign is ever resolved.

    An address is ours only if it begins with exactly one of the pinned ones (trust.md §1.7): a
    look-alike host, another scheme or letter case is somebody else's.

    Args:
        text: As scanned, pasted or typed; blanks around it are the scanner's.
        base_urls: Public URLs of the platform.
    """
    text = text.strip()
    for base_url in base_urls:
        if text.startswith(start := token.prefix(base_url)):
            return read_token(text[len(start) :])
        for path in (shortcode.PATH, LABEL_PATH):
            if text.startswith(start := base_url.rstrip("/") + path):
                return _short(text[len(start) :]) or _unrecognised(text)
    if _ADDRESS.match(text):
        return _address(text, base_urls)
    if text.isascii() and text.isdigit():
        return _number(text)
    return _short(text) or _unrecognised(text)


def gtin_fits(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (GS1 General Specifications 7.9)."""
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(digits[:-1])))
    return (10 - total % 10) % 10 == int(digits[-1])


def read_token(digits: str) -> Code:
    """Read what stands where a token should; nothing is tidied, for a token has one spelling."""
    try:
        return Code(CodeKind.TOKEN, digits, parsed=token.parse(digits))
    except UnreadableError as error:
        return Code(CodeKind.TOKEN, _hashed(digits), unreadable=error.reason)


def _short(text: str) -> Code | None:
    try:
        typed = shortcode.parse(text)
    except shortcode.BadCodeError:
        return None
    changes = tuple(sorted(change.value for change in typed.changes))
    return Code(CodeKind.SHORT_CODE, typed.code, changes=changes)


def _number(text: str) -> Code:
    if len(text) in _GTIN_LENGTHS and gtin_fits(text):
        gtin = text.zfill(14)
        return Code(CodeKind.GS1, f"(01){gtin}", elements={"01": gtin})
    if len(text) == shortcode.LENGTH and (code := _short(text)):
        return code
    if len(text) == _TRACE_DIGITS:
        return Code(CodeKind.FOREIGN_TRACE_CODE, text)
    if len(text) == _DRUG_DIGITS:
        return Code(CodeKind.VET_DRUG_CODE, text)
    return read_token(text) if len(text) > _DRUG_DIGITS else _unrecognised(text)


def _address(text: str, base_urls: Collection[str]) -> Code:
    try:
        parts = urlsplit(text)
        own_hosts = {urlsplit(base_url).hostname or "" for base_url in base_urls}
    except ValueError:  # half an IPv6 address, for instance
        return _unrecognised(text)
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:REFERENCE_CHARS_MAX]
    lower = text.lower()
    if _IMITATION.search(parts.path) or any(host and host in lower for host in own_hosts):
        return Code(CodeKind.ADDRESS, _printable(bare), imitates=True)
    if elements := _elements(parts.path, parts.query):
        reference = "".join(f"({key}){value}" for key, value in elements.items())
        return Code(
            CodeKind.GS1,
            reference[:REFERENCE_CHARS_MAX],
            elements=elements,
            check_digit=gtin_fits(elements["01"]),
        )
    trace_codes = _TWENTY.findall(text)
    if len(trace_codes) == 1:
        return Code(CodeKind.FOREIGN_TRACE_CODE, trace_codes[0])
    return Code(CodeKind.ADDRESS, _printable(bare))


def _elements(path: str, query: str) -> dict[str, str]:
    """Take the application identifiers out of a GS1 Digital Link (GS1 DL URI Syntax 1.4)."""
    segments = [unquote(segment) for segment in path.split("/")]
    for start, segment in enumerate(segments[:-1]):
        gtin = segments[start + 1]
        if segment != "01" or len(gtin) not in _GTIN_LENGTHS or not gtin.isdigit():
            continue
        if not gtin.isascii():
            continue
        rest = segments[start + 2 :]
        pairs = [*zip(rest[::2], rest[1::2], strict=False), *parse_qsl(query)]
        known = {
            key: value for key, value in pairs if _AI.fullmatch(key) and _AI_VALUE.fullmatch(value)
        }
        return {"01": gtin.zfill(14), **known}
    return {}


def _unrecognised(text: str) -> Code:
    return Code(CodeKind.UNRECOGNISED, _hashed(text))


def _hashed(text: str) -> str:
    # It may be a payment code or an identity card: enough is kept to see that it came twice.
    return "sha256:" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


# --- what is known --------------------------------------------------------------------------------


class TestOutcome(StrEnum):
    """What a test of goods came to, as far as it bears on their entry (domain.md §5.3)."""

    __test__ = False  # pytest, it is none of yours

    PASSED = "passed"  # or cleared by the laboratory after a suspicion
    SUSPECT = "suspect"  # or positive, and not yet confirmed
    FAILED = "failed"  # confirmed


@dataclass(frozen=True, slots=True)
class TestFact:
    """What a test says about goods.

    Attributes:
        reference: Number or id of the test or sample, told back with the verdict.
    """

    __test__ = False

    outcome: TestOutcome
    reference: str


class Misfit(StrEnum):
    """What of a test does not fit the goods that it is shown for."""

    LOT = "lot"  # other goods: of another lot or ticket, or of somebody else
    PRODUCT = "product"
    RESULT = "result"  # it has failed, or nobody has decided yet
    DATE = "date"  # the paper is older than its sample, or the sample than the goods


@dataclass(frozen=True, slots=True)
class Stated:
    """A test that somebody names by its number.

    Attributes:
        on: The day that its paper bears, if it does.
        by: Parties whose goods, or whose samples, it may be of where the goods name no lot.
        since: The first day on which such goods can have been sampled, if that is known.
    """

    number: str
    on: date | None = None
    by: frozenset[int] = frozenset()
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A test that was named, beside what the books know of it.

    Attributes:
        sample: What the number stands for; None where the books know nothing of it.
    """

    number: str
    sample: UUID | None = None
    misfits: tuple[Misfit, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether nothing is known against it."""
        return not self.misfits


@dataclass(frozen=True, slots=True)
class Document:
    """A paper document that somebody looked at and typed in.

    Attributes:
        proofs: What it proves, if it is in time and for these goods.
        shown_on: The day on which it was shown; a sale may be days before.
        valid_through: Last day on which it counts, if it has one.
        product: Which product it is for, if it says.
        mass_g: For how many grams it is, if it says.
        used_g: Grams that came in on it before.
        stated: The test that it reports, if it is a report of one, and
        report: what the books know of that; see `with_documents`.
    """

    reference: str
    kind: str
    proofs: frozenset[Proof]
    issued_on: date
    shown_on: date
    valid_through: date | None = None
    product: int | None = None
    mass_g: int | None = None
    used_g: int = 0
    stated: Stated | None = None
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """Why goods, or what their papers say of them, cannot well be.

    Attributes:
        warning: The early warning that is open about it, or
        certificate: the paper that shows it here and now.
    """

    kind: Doubt
    warning: UUID | None = None
    certificate: UUID | None = None

    def written(self) -> dict[str, str]:
        """Write it as a verdict tells it."""
        named = {"warning": self.warning, "certificate": self.certificate}
        return {"kind": self.kind.value} | {
            key: str(value) for key, value in named.items() if value is not None
        }


@dataclass(frozen=True, slots=True)
class Grace(Dated):
    """By how long a certificate may be younger than the sale that it goes with, for a while."""

    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate that goes with a sale.

    Attributes:
        recorded_at: When its lot came into the books; before that nobody could certify it.
    """

    certificate: UUID
    issued_at: datetime
    recorded_at: datetime


def after_sale(
    sold_at: datetime, certified: Iterable[Certified], graces: Iterable[Grace]
) -> tuple[Doubted, ...]:
    """Answer the certificates that were written too long after what they went with was sold.

    Who types in everything in the evening writes the certificate then, too: it is late by what
    passed since its own lot was in the books. Whole minutes count, as in the early warning.
    """
    grace = next((each for each in graces if each.in_force(local_date(sold_at))), None)
    if grace is None:
        return ()
    minute = timedelta(minutes=1)
    return tuple(
        Doubted(Doubt.CERTIFICATE_AFTER_SALE, certificate=each.certificate)
        for each in certified
        if (each.issued_at - max(sold_at, each.recorded_at)) // minute * minute > grace.lasts
    )


@dataclass(frozen=True, slots=True)
class Goods:
    """Grams of one lot, or of goods that have no lot yet, and what came with them.

    Attributes:
        lot: None for goods that no ticket and no certificate names.
        on: The day whose rules they are judged by: of the sale, or of the inspection.
        needs: The proof that the product needs on that day, if any rule was in force.
        needs_source: Where that rule stands.
        proofs: What came with them and counts.
        traits: What decides which rules are for them.
        sourceless: Lots at their beginning that nobody is known to have produced.
        tests: What is known of tests of them.
        documents: Papers that somebody at the gate typed in.
        reports: Tests that the seller named by their numbers.
        lots_tested: Internal ids of the lots whose tests are tests of these goods.
        doubts: Why they, or what their papers say of them, cannot well be.
    """

    lot: UUID | None
    product: int
    mass_g: int
    on: date
    needs: Requirement | None = None
    needs_source: str = ""
    proofs: frozenset[Proof] = frozenset()
    traits: frozenset[Trait] = frozenset()
    sourceless: tuple[UUID, ...] = ()
    tests: tuple[TestFact, ...] = ()
    documents: tuple[Document, ...] = ()
    reports: tuple[Report, ...] = ()
    lots_tested: frozenset[int] = frozenset()
    doubts: tuple[Doubted, ...] = ()

    @property
    def circumstances(self) -> frozenset[Trait]:
        """All that decides which rules are for them."""
        return self.traits | {Trait.DOUBTED} if self.doubts else self.traits

    @property
    def counting(self) -> frozenset[Proof]:
        """All proofs: those at hand, of papers that count, and of tests that passed."""
        found = set(self.proofs)
        for document in self.documents:
            if _counts(document, self):
                found |= document.proofs
        if any(test.outcome is TestOutcome.PASSED for test in self.tests):
            found.add(Proof.TEST_PASSED)
        if any(report.counts for report in self.reports):
            found.add(Proof.LAB_REPORT)
        return frozenset(found)


def _counts(document: Document, goods: Goods) -> bool:
    in_time = document.issued_on <= document.shown_on and (
        document.valid_through is None or document.shown_on <= document.valid_through
    )
    fits = document.report is None or document.report.counts
    return in_time and fits and document.product in {None, goods.product}


def with_reports(
    goods: tuple[Goods, ...], stated: Iterable[Stated], named: Mapping[str, Sequence[NamedTest]]
) -> tuple[Goods, ...]:
    """Add the tests that a seller named to the goods that they are of; see `reports_on`."""
    for each in stated:
        reports = reports_on(each, named.get(each.number, ()), goods)
        goods = tuple(
            item if report is None else replace(item, reports=(*item.reports, report))
            for item, report in zip(goods, reports, strict=True)
        )
    return goods


def with_documents(
    goods: tuple[Goods, ...],
    documents: Iterable[Document],
    named: Mapping[str, Sequence[NamedTest]],
) -> tuple[Goods, ...]:
    """Lay papers beside the goods that they are for.

    A paper for another product is a fault only if nothing of its product is there: then it lies
    beside the first of the goods. A report lies beside those that it is a test of.
    """
    own = {item.product for item in goods}
    for document in documents:
        fitting = [
            place
            for place, item in enumerate(goods)
            if document.product in {None, item.product}
            or (place == 0 and document.product not in own)
        ]
        laid = dict.fromkeys(fitting, document)
        if document.stated is not None:
            tests = named.get(document.stated.number, ())
            reports = reports_on(document.stated, tests, [goods[place] for place in fitting])
            laid = {
                place: replace(document, report=report)
                for place, report in zip(fitting, reports, strict=True)
                if report is not None
            }
        goods = tuple(
            replace(item, documents=(*item.documents, laid[place])) if place in laid else item
            for place, item in enumerate(goods)
        )
    return goods


def reports_on(
    stated: Stated, named: Sequence[NamedTest], goods: Sequence[Goods]
) -> list[Report | None]:
    """Hold a number against the books: what it says of each of some goods.

    Of several tests with one number the one that fits best is meant. Where it is a test of some of
    the goods it says nothing of the others; where it is one of none, it is held against those that
    it misses by least.
    """
    if not named:
        return [Report(stated.number) for _ in goods]
    found = [
        min(
            (Report(stated.number, test.sample, _misfits(stated, test, item)) for test in named),
            key=lambda report: len(report.misfits),
        )
        for item in goods
    ]
    if any(report.counts for report in found):
        return [report if report.counts else None for report in found]
    nearest = min(found, key=lambda report: len(report.misfits), default=None)
    return [report if report is nearest else None for report in found]


def _misfits(stated: Stated, test: NamedTest, goods: Goods) -> tuple[Misfit, ...]:
    taken_on = local_date(test.taken_at)
    if goods.lots_tested:
        same, early = test.lot in goods.lots_tested, False
    else:
        same = not stated.by.isdisjoint({test.holder, test.taken_by})
        early = stated.since is not None and taken_on < stated.since
    wrong = {
        Misfit.LOT: not same,
        Misfit.PRODUCT: test.product != goods.product,
        Misfit.RESULT: test.status not in GOOD,
        Misfit.DATE: early or (stated.on is not None and stated.on < taken_on),
    }
    return tuple(misfit for misfit, holds in wrong.items() if holds)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Grams that a gate let in on a ticket before, in the order of the evidence.

    Attributes:
        place: The gate.
        market: The market that it belongs to.
    """

    inspection: UUID
    place: UUID
    market: UUID
    mass_g: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody sees at the gate beside the paper.

    Attributes:
        market: The market that the goods are to enter.
        mass_g: Grams that stand there.
        issued_g: Grams that the ticket is for; None without one.
        tolerance_permille: By how much two weighings may differ.
        admitted: What came in on the same ticket before.
        drawn: Whether the line was drawn for a test; None where nothing is drawn.
    """

    market: UUID
    mass_g: int
    issued_g: int | None = None
    tolerance_permille: int = 0
    admitted: tuple[Admitted, ...] = ()
    drawn: bool | None = None

    @property
    def exceeds(self) -> bool:
        """Whether more stands there than the ticket is for, with what came in before."""
        if self.issued_g is None:
            return False
        total = self.mass_g + sum(entry.mass_g for entry in self.admitted)
        return total * 1000 > self.issued_g * (1000 + self.tolerance_permille)


@dataclass(frozen=True, slots=True)
class Paper:
    """A ticket or a certificate that the books know, with what bears on a verdict.

    Attributes:
        status: A ticket's; None for a certificate.
        certificate: A certificate's kind; None for a ticket.
        voided: Whether it was taken back.
        expires_at: First instant at which it no longer counts.
        addressed: Whether it is made out to the scanner's party, or the scanner answers for it.
        plate: The vehicle, if the ticket names one.
        held: Lots behind it on hold.
        sources_held: Lots further back on hold.
        voided_certificates: Certificates of its goods that were taken back.
        told_late: That its sale is said to have been long before it was issued.
        left_g: What its holder had of the goods when a certificate came alone; None for a ticket.
    """

    status: TicketStatus | None
    expires_at: datetime
    certificate: CertificateKind | None = None
    voided: bool = False
    addressed: bool = True
    plate: str | None = None
    held: tuple[UUID, ...] = ()
    sources_held: tuple[UUID, ...] = ()
    goods: tuple[Goods, ...] = ()
    voided_certificates: tuple[UUID, ...] = ()
    told_late: Late | None = None
    left_g: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a verdict rests on.

    Attributes:
        signature: What the keys say about a token; None where there is none.
        code: What was read; None for goods that come without anything to scan.
        paper: What the books know; None where they know nothing, or nothing of this very token.
        goods: Goods that come with no ticket and no certificate of ours.
        entry: What somebody sees at the gate; None for a mere scan.
        plate: The vehicle that the scanner saw, if told.
        device_at: What the scanner's clock said, if told.
        told_late: That the goods are said to have stood there long before we heard of it.
    """

    code: Code | None
    now: datetime
    signature: SignatureVerdict | None = None
    paper: Paper | None = None
    plate: str | None = None
    device_at: datetime | None = None
    goods: tuple[Goods, ...] = ()
    entry: Entry | None = None
    told_late: Late | None = None


# --- deciding -------------------------------------------------------------------------------------

_DECISION_OF: Final = {
    Severity.REFUSE: Decision.REFUSE,
    Severity.HOLD: Decision.HOLD,
    Severity.TEST: Decision.ADMIT_AFTER_TEST,
    Severity.WARN: Decision.ADMIT,
    Severity.INFO: Decision.ADMIT,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, and everything that it rests on."""

    decision: Decision
    findings: tuple[Finding, ...]

    @property
    def would_be(self) -> Decision | None:
        """What it comes to once the deciding findings are answered; None if it is admitted."""
        return decision_without_gravest([finding.severity for finding in self.findings])


def decision_without_gravest(severities: Sequence[Severity]) -> Decision | None:
    """Answer what is decided once the gravest findings are answered; None if nothing stops."""
    gravest = min(severities, key=GRAVEST_FIRST.index, default=Severity.INFO)
    if _DECISION_OF[gravest] is Decision.ADMIT:
        return None
    rest = [severity for severity in severities if severity is not gravest]
    return _DECISION_OF[min(rest, key=GRAVEST_FIRST.index, default=Severity.INFO)]


_UNTRUSTED: Final = frozenset(
    {
        SignatureVerdict.BAD_SIGNATURE,
        SignatureVerdict.WRONG_KEY_CLASS,
        SignatureVerdict.UNKNOWN_KEY,
        SignatureVerdict.TEST,
    }
)


def may_be_shown(signature: SignatureVerdict) -> bool:
    """Whether what a token says may be looked up and shown: somebody of ours signed it."""
    return signature not in _UNTRUSTED


_ORDER: Final = {code: place for place, code in enumerate(OBSERVATIONS)}


def decide(policy: Policy, facts: Facts) -> Verdict:
    """Find everything that speaks for and against the goods, and decide by the gravest.

    Two findings of one kind come in the order of the ticket, all others in that of `OBSERVATIONS`;
    what is said twice is said once. Where nothing at all is known the goods are held.

    Args:
        policy: The rules of all days; each of the goods names the day that it is judged by. Goods
            that are judged by two are there twice.
        facts: What is known.
    """
    goods = [*(facts.paper.goods if facts.paper else ()), *facts.goods]
    days = {item.on for item in goods} or {local_date(facts.now)}
    found = [
        *_of_code(facts),
        *_of_signature(facts),
        *(_of_state(facts.paper, _known_at(facts)) if facts.paper else ()),
        *(_of_lots(facts.paper) if facts.paper else ()),
        *(finding for item in goods for finding in _of_goods(policy, item)),
        *(_of_entry(facts.entry, facts.paper) if facts.entry else ()),
        *_of_circumstances(facts),
    ]
    ruled = [finding if finding.by else _ruled(policy, finding, days) for finding in found]
    once = [finding for place, finding in enumerate(ruled) if finding not in ruled[:place]]
    findings = tuple(sorted(once, key=lambda finding: _ORDER[finding.kind.code]))
    # Goods that met every rule need no finding to come in; what names no goods at all waits.
    nothing = Severity.INFO if goods else Severity.HOLD
    gravest = min(
        (finding.severity for finding in findings), key=GRAVEST_FIRST.index, default=nothing
    )
    return Verdict(_DECISION_OF[gravest], findings)


def _ruled(policy: Policy, finding: Finding, days: Collection[date]) -> Finding:
    """Weigh a finding by the rule about it, on the day on which that weighs the most."""
    weighed = [replace(finding, by=policy.about(finding.kind.code, on)) for on in sorted(days)]
    return min(weighed, key=lambda each: GRAVEST_FIRST.index(each.severity))


def _known_at(facts: Facts) -> datetime:
    """Answer when the code was shown, as far as that is believed."""
    return facts.now if facts.told_late is None else facts.told_late.told_at


def _finding(code: str, **facts: Any) -> Finding:
    return Finding(OBSERVATIONS[code], facts)


def _of_code(facts: Facts) -> Iterator[Finding]:
    code = facts.code
    if code is None:
        return
    if code.imitates:
        yield _finding("foreign-host", address=code.reference)
    if code.unreadable is not None:
        known = "needs-online-check" if code.unreadable.perhaps_newer else "unreadable"
        yield _finding(known, reason=code.unreadable.value)
    if facts.signature is SignatureVerdict.UNKNOWN_KEY:
        yield _finding("needs-online-check", reason=facts.signature.value, kid=_kid(facts))
    if code.kind is CodeKind.UNRECOGNISED:
        yield _finding("unrecognised")
    foreign = {
        CodeKind.FOREIGN_TRACE_CODE,
        CodeKind.VET_DRUG_CODE,
        CodeKind.GS1,
        CodeKind.ADDRESS,
    }
    if code.kind in foreign and not code.imitates:
        yield _finding("foreign-code", kind=code.kind.value, reference=code.reference)
    if not code.check_digit:
        yield _finding("check-digit-wrong", gtin=code.elements["01"])
    if code.kind is CodeKind.SHORT_CODE:
        known = "unknown-code" if facts.paper is None else "typed-code"
        shown = shortcode.show(code.reference)
        yield _finding(known, short_code=shown, tidied=list(code.changes))


_OF_VERDICT: Final = {
    SignatureVerdict.BAD_SIGNATURE: "bad-signature",
    SignatureVerdict.WRONG_KEY_CLASS: "wrong-key-class",
    SignatureVerdict.KEY_NOT_YET_VALID: "key-not-yet-valid",
    SignatureVerdict.KEY_EXPIRED: "key-expired",
    SignatureVerdict.KEY_DROPPED: "key-dropped",
    SignatureVerdict.TEST: "test-ticket",
}


def _of_signature(facts: Facts) -> Iterator[Finding]:
    if facts.signature in _OF_VERDICT:
        yield _finding(_OF_VERDICT[facts.signature], kid=_kid(facts))
    if facts.signature is not None and may_be_shown(facts.signature) and facts.paper is None:
        yield _finding("off-log", kid=_kid(facts))
    if facts.paper is not None:
        status = facts.paper.status
        yield _finding("in-the-books", status=None if status is None else status.value)


def _kid(facts: Facts) -> int:
    assert facts.code is not None
    assert facts.code.parsed is not None, "a signature is judged of a parsed token only"
    return facts.code.parsed.claims.kid


def _of_state(paper: Paper, now: datetime) -> Iterator[Finding]:
    if paper.voided:
        yield _finding("voided")
    if paper.status is TicketStatus.REFUSED:
        yield _finding("refused")
    if paper.status in {TicketStatus.ACCEPTED, TicketStatus.ACCEPTED_IN_PART}:
        yield _finding("already-accepted", status=paper.status.value)
    if now >= paper.expires_at:
        yield _finding("expired", expires_at=paper.expires_at.isoformat())
    if not paper.addressed:
        yield _finding("not-addressed")


def _of_lots(paper: Paper) -> Iterator[Finding]:
    for code, lots in (("lot-on-hold", paper.held), ("source-on-hold", paper.sources_held)):
        if lots:
            yield _finding(code, lots=[str(lot) for lot in lots])
    if paper.certificate is CertificateKind.CONFORMITY_PURCHASER:
        yield _finding("ticket-missing")
    if paper.voided_certificates:
        voided = [str(certificate) for certificate in paper.voided_certificates]
        yield _finding("certificate-voided", certificates=voided)


_OF_TEST: Final = {
    TestOutcome.FAILED: "test-failed",
    TestOutcome.SUSPECT: "test-suspect",
    TestOutcome.PASSED: "test-passed",
}


def standing_against(paper: Paper) -> frozenset[str]:
    """Answer the codes of what speaks against goods that a market may not set aside.

    That is what holds and tests say of them, and that their document was taken back or refused.
    """
    state = {
        finding.kind.code
        for finding in _of_state(paper, paper.expires_at)
        if finding.kind.code in {"voided", "refused"}
    }
    held = {finding.kind.code for finding in _of_lots(paper)}
    tested = {_OF_TEST[test.outcome] for goods in paper.goods for test in goods.tests}
    return frozenset(state | held | tested)


def _of_goods(policy: Policy, goods: Goods) -> Iterator[Finding]:
    """Find what the rules of the day ask of goods, and what is wrong with their papers."""
    for test in goods.tests:
        yield _finding(_OF_TEST[test.outcome], test=test.reference)
    for report in goods.reports:
        yield of_report(report)
    for document in goods.documents:
        yield from _of_document(document, goods)
    proofs = goods.counting
    for rule in policy.requirements(goods.on, goods.needs, goods.circumstances):
        if not rule.is_met(proofs):
            facts = _facts_of(goods)
            if rule.finding == "no-source-proof" and goods.sourceless:
                facts = {"lots": [str(lot) for lot in goods.sourceless]}
            if rule.finding == "implausible":
                facts["doubts"] = [doubted.written() for doubted in goods.doubts]
            further = goods.needs_source if goods.needs in rule.classes else ""
            yield Finding(OBSERVATIONS[rule.finding], facts, rule, further)


def of_report(report: Report, **facts: Any) -> Finding:
    """Say what is known of a test that somebody named by its number; nothing is passed over."""
    facts = {**facts, "number": report.number}
    if report.sample is None:
        return _finding("test-not-verified", **facts)
    if report.misfits:
        misfits = [misfit.value for misfit in report.misfits]
        return _finding("test-does-not-fit", **facts, misfits=misfits)
    return _finding("test-verified", **facts, test=str(report.sample))


def _of_document(document: Document, goods: Goods) -> Iterator[Finding]:
    facts = {"paper": document.reference, "kind": document.kind}
    if document.report is not None:
        yield of_report(document.report, **facts)
    if document.valid_through is not None and document.shown_on > document.valid_through:
        yield _finding("paper-expired", **facts, valid_through=document.valid_through.isoformat())
    if document.issued_on > document.shown_on:
        yield _finding("paper-dated-ahead", **facts, issued_on=document.issued_on.isoformat())
    if document.product not in {None, goods.product}:
        yield _finding("paper-product-differs", **facts, product=document.product)
    if document.mass_g is not None and document.used_g + goods.mass_g > document.mass_g:
        left = max(document.mass_g - document.used_g, 0)
        yield _finding("paper-mass-short", **facts, left_g=left, mass_g=goods.mass_g)


def _facts_of(goods: Goods) -> dict[str, Any]:
    return {
        "lot": None if goods.lot is None else str(goods.lot),
        "product": goods.product,
        "mass_g": goods.mass_g,
    }


def _of_entry(entry: Entry, paper: Paper | None) -> Iterator[Finding]:
    others = [before for before in entry.admitted if before.market != entry.market]
    if others or (entry.exceeds and entry.admitted):
        inspections = [str(before.inspection) for before in entry.admitted]
        yield _finding("admitted-before", inspections=inspections)
    if entry.exceeds:
        before_g = sum(before.mass_g for before in entry.admitted)
        yield _finding(
            "mass-exceeds-ticket",
            mass_g=entry.mass_g,
            before_g=before_g,
            issued_g=entry.issued_g,
        )
    left_g = None if paper is None else paper.left_g
    if left_g is not None and entry.mass_g * 1000 > left_g * (1000 + entry.tolerance_permille):
        yield _finding("goods-sold", mass_g=entry.mass_g, left_g=left_g)
    if entry.drawn:
        yield _finding("drawn-for-test")


def _of_circumstances(facts: Facts) -> Iterator[Finding]:
    expected = facts.paper.plate if facts.paper else None
    if facts.plate and expected and _plate(facts.plate) != _plate(expected):
        yield _finding("plate-mismatch")
    for told_late in (facts.told_late, facts.paper.told_late if facts.paper else None):
        if told_late is not None:
            at, told_at = told_late.at.isoformat(), told_late.told_at.isoformat()
            yield _finding("told-late", at=at, told_at=told_at)
    if facts.device_at is not None and abs(facts.device_at - facts.now) > CLOCK_SKEW_MAX:
        skew = facts.device_at - facts.now
        yield _finding("clock-skew", skew_s=round(skew.total_seconds()))


def _plate(text: str) -> str:
    """Spell a plate one way: 苏F·12345 and 苏f 12345 are one vehicle."""
    return "".join(character for character in text if character.isalnum()).upper()
