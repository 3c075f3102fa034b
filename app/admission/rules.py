"""What a scanned text is, and what the findings about it come to."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

from app.certificate.rules import CertificateKind
from app.core.errors import Text
from app.product.rules import Requirement
from app.signing import shortcode, token
from app.signing.keys import SignatureVerdict
from app.signing.token import Parsed, Unreadable, UnreadableError
from app.ticket.rules import TicketStatus

CLOCK_SKEW_MAX: Final = timedelta(minutes=5)
REFERENCE_CHARS_MAX: Final = 300
SHORT_PATH: Final = "/c/"


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
_IMITATION = re.compile(r"/t/[0-9]{40,}|/c/[0-9a-z-]{13,16}$", re.IGNORECASE)
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
        if text.startswith(start := base_url.rstrip("/") + SHORT_PATH):
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


@dataclass(frozen=True, slots=True)
class Goods:
    """Grams of one lot on a ticket, and the proofs that came with them.

    Attributes:
        needs: The proof that the product needs on the day of the sale, if any rule was in force.
        needs_source: Where that rule stands.
        covered: Whether certificates of conformity in force vouch for all of the grams.
        advised_only: The seller grew it, and the law only encourages him to certify (APQSL 39).
        papers: Kinds of the documents that came with the lot or the ticket.
    """

    lot: UUID
    product: int
    mass_g: int
    needs: Requirement | None = None
    needs_source: str = ""
    covered: bool = False
    advised_only: bool = False
    papers: frozenset[str] = frozenset()

    @property
    def lacks_certificate(self) -> bool:
        """Whether nothing vouches for the conformity of goods that need it."""
        return self.needs is Requirement.CONFORMITY_CERTIFICATE and not self.covered


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
        sourceless: Lots at its beginning that nobody is known to have produced, without a paper.
        voided_certificates: Certificates of its goods that were taken back.
    """

    status: TicketStatus | None
    expires_at: datetime
    certificate: CertificateKind | None = None
    voided: bool = False
    addressed: bool = True
    plate: str | None = None
    held: tuple[UUID, ...] = ()
    sources_held: tuple[UUID, ...] = ()
    sourceless: tuple[UUID, ...] = ()
    goods: tuple[Goods, ...] = ()
    voided_certificates: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a verdict rests on.

    Attributes:
        signature: What the keys say about a token; None where there is none.
        paper: What the books know; None where they know nothing, or nothing of this very token.
        plate: The vehicle that the scanner saw, if told.
        device_at: What the scanner's clock said, if told.
    """

    code: Code
    now: datetime
    signature: SignatureVerdict | None = None
    paper: Paper | None = None
    plate: str | None = None
    device_at: datetime | None = None


# --- findings -------------------------------------------------------------------------------------


class Severity(StrEnum):
    """What a finding does to the verdict, the gravest first."""

    REFUSE = "refuse"
    HOLD = "hold"
    TEST = "test"
    WARN = "warn"
    INFO = "info"


class Decision(StrEnum):
    """What happens to the goods (domain.md §2.7)."""

    ADMIT = "ADMIT"
    ADMIT_AFTER_TEST = "ADMIT_AFTER_TEST"
    HOLD = "HOLD"
    REFUSE = "REFUSE"


@dataclass(frozen=True, slots=True)
class Observation:
    """A kind of finding.

    Attributes:
        code: Stable name; never reused, never renamed.
        text: What was found and what to do, for whoever stands at the gate.
        source: The law, standard or design that says so.
        alarm: Whether somebody must be told at once, wherever the scan was made.
    """

    code: str
    severity: Severity
    text: Text
    source: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation about one scan."""

    kind: Observation
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def rule(self) -> str:
        """Where the rule stands: the dated one that applied, or the kind's own."""
        return self.source or self.kind.source


def _observation(
    code: str, severity: Severity, zh: str, en: str, source: str, *, alarm: bool = False
) -> Observation:
    return Observation(code, severity, Text(zh, en), source, alarm)


_LAYOUT = "docs/token.md"
_HOUSE = "平台规则 (rule of this platform)"
_ENTRY = "食用农产品市场销售质量安全监督管理办法 (SAMR 81) art. 23 (not confirmed)"

OBSERVATIONS: Final = {
    observation.code: observation
    for observation in (
        # What was read.
        _observation(
            "foreign-host",
            Severity.REFUSE,
            "网址不属于本平台, 疑似仿冒页面; 请勿打开, 让对方出示平台票据",
            "The address is not this platform's and imitates it: do not open it",
            _HOUSE,
            alarm=True,
        ),
        _observation(
            "unreadable",
            Severity.HOLD,
            "二维码内容残缺或有误; 请重新扫描, 或输入票面短码",
            "The code is damaged: scan it again, or type the short code",
            _LAYOUT,
        ),
        _observation(
            "needs-online-check",
            Severity.HOLD,
            "暂时无法核验(密钥或版本未知), 不等于假票; 请联系市场管理方",
            "Cannot verify: the key or the version is unknown. This is not a forgery by itself",
            _LAYOUT,
        ),
        _observation(
            "unrecognised",
            Severity.HOLD,
            "无法识别的内容; 请扫描票据二维码或输入 13 位短码",
            "Not a code that is known: scan the ticket's code or type its 13 characters",
            _HOUSE,
        ),
        _observation(
            "foreign-code",
            Severity.HOLD,
            "其他平台的编码, 已原样记录, 未作核验; 请人工查验来源凭证",
            "A code of another system: kept as it is and not verified. Check the papers by hand",
            _HOUSE,
        ),
        _observation(
            "check-digit-wrong",
            Severity.HOLD,
            "商品条码校验位不符",
            "The check digit of the product number does not fit",
            "GS1 General Specifications 7.9 (GB 12904)",
        ),
        _observation(
            "unknown-code",
            Severity.REFUSE,
            "没有这个短码的票据; 请核对后重新输入",
            "No ticket or certificate has this short code: compare it and type it again",
            _HOUSE,
        ),
        _observation(
            "typed-code",
            Severity.INFO,
            "按短码查询, 未核验二维码签名; 请核对货物与屏幕内容",
            "Found by its short code; no signature was checked. Compare goods and screen",
            _LAYOUT,
        ),
        # What its signature is worth.
        _observation(
            "bad-signature",
            Severity.REFUSE,
            "签名不符: 伪造或被改动的票据",
            "The signature is wrong: forged or altered",
            _LAYOUT,
            alarm=True,
        ),
        _observation(
            "wrong-key-class",
            Severity.REFUSE,
            "签名密钥无权签发此类票据: 伪造",
            "Signed by a key that must not sign such documents: forged",
            _LAYOUT,
            alarm=True,
        ),
        _observation(
            "key-not-yet-valid",
            Severity.REFUSE,
            "票据时间早于签名密钥启用时间",
            "Issued before its signing key came into use",
            _LAYOUT,
        ),
        _observation(
            "key-expired",
            Severity.REFUSE,
            "签名密钥已过核验期限",
            "The signing key's time is over",
            _LAYOUT,
        ),
        _observation(
            "key-dropped",
            Severity.WARN,
            "签名密钥已停用; 以平台登记为准",
            "The signing key was withdrawn; what counts is whether the books know the ticket",
            _LAYOUT,
        ),
        _observation(
            "test-ticket",
            Severity.REFUSE,
            "测试票据 TEST, 不能用于交易",
            "A TEST ticket: no goods move on it",
            _LAYOUT,
        ),
        _observation(
            "off-log",
            Severity.REFUSE,
            "签名有效但平台没有这张票据的登记: 疑似密钥泄露, 已报警",
            "The signature is right, and the books do not know this ticket: key-compromise alarm",
            _HOUSE,
            alarm=True,
        ),
        _observation(
            "in-the-books",
            Severity.INFO,
            "平台有登记, 内容与签发时一致",
            "The books know it, as it was issued",
            _HOUSE,
        ),
        # What became of it.
        _observation(
            "voided",
            Severity.REFUSE,
            "已作废; 请向卖方索取新票据",
            "It was voided: ask the seller for a new one",
            _HOUSE,
        ),
        _observation(
            "refused",
            Severity.REFUSE,
            "买方已拒收这张票据的货物",
            "The buyer refused the goods of this ticket",
            _HOUSE,
        ),
        _observation(
            "already-accepted",
            Severity.REFUSE,
            "票据已被验收使用, 不能再次使用; 谨防复印件",
            "The ticket has been used: goods were accepted on it before. Beware of copies",
            _HOUSE,
        ),
        _observation(
            "expired",
            Severity.REFUSE,
            "已过有效期",
            "It has expired",
            _LAYOUT,
        ),
        _observation(
            "not-addressed",
            Severity.HOLD,
            "票据不是开给本单位或本市场的; 请核对买方",
            "It is made out to another buyer or market: check who the goods are for",
            _HOUSE,
        ),
        # What it says about the goods.
        _observation(
            "lot-on-hold",
            Severity.HOLD,
            "批次已被控制, 暂停流转",
            "The lot is on hold and may not move",
            "食品安全法 art. 63",
        ),
        _observation(
            "source-on-hold",
            Severity.HOLD,
            "上游来源批次已被控制, 请暂存待查",
            "A lot that went into it is on hold: keep the goods apart",
            "食品安全法 art. 63",
        ),
        _observation(
            "no-source-proof",
            Severity.REFUSE,
            "来源不明: 没有生产者, 也没有进货凭证",
            "No proof of source: neither a producer nor a purchase voucher",
            _ENTRY,
        ),
        _observation(
            "ticket-missing",
            Severity.HOLD,
            "收购者的合格证不能证明进货来源; 请扫描随货票据",
            "A purchaser's certificate proves no source: scan the ticket that came with the goods",
            _ENTRY,
        ),
        _observation(
            "quarantine-missing",
            Severity.REFUSE,
            "缺少动物检疫证明",
            "The animal quarantine certificate is missing",
            "动物防疫法 art. 51",
        ),
        _observation(
            "meat-inspection-missing",
            Severity.REFUSE,
            "缺少肉品品质检验合格证",
            "The meat inspection certificate is missing",
            "生猪屠宰管理条例 art. 15, 23",
        ),
        _observation(
            "certificate-voided",
            Severity.HOLD,
            "随货合格证已作废; 请供货者重新开具",
            "A certificate of the goods was voided: the supplier must issue a new one",
            "农产品质量安全法 art. 39",
        ),
        _observation(
            "certificate-missing",
            Severity.TEST,
            "缺少合格证明; 抽样或快检合格后可入场",
            "No proof of conformity: admit after a sample or quick test",
            _ENTRY,
        ),
        _observation(
            "certificate-advised",
            Severity.TEST,
            "农户自产, 鼓励开具合格证; 本批无证, 快检合格后可入场",
            "A smallholder's own produce, for which a certificate is advised: admit after a test",
            "农产品质量安全法 art. 39; " + _ENTRY,
        ),
        # How it was scanned.
        _observation(
            "plate-mismatch",
            Severity.WARN,
            "车牌与票据不符",
            "The vehicle is not the one on the ticket",
            _HOUSE,
        ),
        _observation(
            "clock-skew",
            Severity.WARN,
            "设备时间与平台相差超过 5 分钟",
            "The device's clock and ours differ by more than 5 minutes",
            _HOUSE,
        ),
    )
}
"""All kinds of findings, in the order in which a verdict lists them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, and everything that it rests on."""

    decision: Decision
    findings: tuple[Finding, ...]


_DECISION_OF: Final = {
    Severity.REFUSE: Decision.REFUSE,
    Severity.HOLD: Decision.HOLD,
    Severity.TEST: Decision.ADMIT_AFTER_TEST,
    Severity.WARN: Decision.ADMIT,
    Severity.INFO: Decision.ADMIT,
}
_GRAVEST_FIRST: Final = tuple(Severity)

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


def decide(facts: Facts) -> Verdict:
    """Find everything that speaks for and against the goods, and decide by the gravest.

    Always in the order of `OBSERVATIONS`; two findings of one kind in the order of the ticket.
    """
    found = [
        *_of_code(facts),
        *_of_signature(facts),
        *(_of_state(facts.paper, facts.now) if facts.paper else ()),
        *(_of_lots(facts.paper) if facts.paper else ()),
        *(_of_proofs(facts.paper) if facts.paper else ()),
        *_of_circumstances(facts),
    ]
    gravest = min(
        (finding.kind.severity for finding in found),
        key=_GRAVEST_FIRST.index,
        default=Severity.HOLD,
    )
    return Verdict(_DECISION_OF[gravest], tuple(found))


def _finding(code: str, source: str = "", **facts: Any) -> Finding:
    return Finding(OBSERVATIONS[code], facts, source)


def _of_code(facts: Facts) -> Iterator[Finding]:
    code = facts.code
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
    for code, lots in (
        ("lot-on-hold", paper.held),
        ("source-on-hold", paper.sources_held),
        ("no-source-proof", paper.sourceless),
    ):
        if lots:
            yield _finding(code, lots=[str(lot) for lot in lots])
    if paper.certificate is CertificateKind.CONFORMITY_PURCHASER:
        yield _finding("ticket-missing")


_PAPERS: Final = (
    (
        "quarantine-missing",
        "quarantine",
        frozenset({Requirement.QUARANTINE, Requirement.QUARANTINE_AND_MEAT_INSPECTION}),
    ),
    (
        "meat-inspection-missing",
        "meat_inspection",
        frozenset({Requirement.QUARANTINE_AND_MEAT_INSPECTION}),
    ),
)


def _of_proofs(paper: Paper) -> Iterator[Finding]:
    for code, kind, needing in _PAPERS:
        for goods in paper.goods:
            if goods.needs in needing and kind not in goods.papers:
                yield _of_lot(code, goods)
    if paper.voided_certificates:
        voided = [str(certificate) for certificate in paper.voided_certificates]
        yield _finding("certificate-voided", certificates=voided)
    for advised_only, code in ((False, "certificate-missing"), (True, "certificate-advised")):
        for goods in paper.goods:
            if goods.lacks_certificate and goods.advised_only is advised_only:
                yield _of_lot(code, goods)


def _of_lot(code: str, goods: Goods) -> Finding:
    return _finding(
        code,
        source=goods.needs_source,
        lot=str(goods.lot),
        product=goods.product,
        mass_g=goods.mass_g,
    )


def _of_circumstances(facts: Facts) -> Iterator[Finding]:
    expected = facts.paper.plate if facts.paper else None
    if facts.plate and expected and _plate(facts.plate) != _plate(expected):
        yield _finding("plate-mismatch")
    if facts.device_at is not None and abs(facts.device_at - facts.now) > CLOCK_SKEW_MAX:
        skew = facts.device_at - facts.now
        yield _finding("clock-skew", skew_s=round(skew.total_seconds()))


def _plate(text: str) -> str:
    """Spell a plate one way: 苏F·12345 and 苏f 12345 are one vehicle."""
    return "".join(character for character in text if character.isalnum()).upper()
