"""What a text is, and what findings come to, without a database."""

import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admission import rules, seed
from app.admission.findings import OBSERVATIONS
from app.admission.policy import Decision, Policy, Proof, Severity, Trait
from app.admission.rules import (
    Code,
    CodeKind,
    Facts,
    Goods,
    Paper,
    Verdict,
    gtin_fits,
    may_be_shown,
    recognise,
)
from app.certificate.rules import CertificateKind
from app.product.rules import Requirement
from app.signing import shortcode, token
from app.signing.keys import IssuerClass, SignatureVerdict, TokenSigner
from app.signing.token import Claims, Flags, TokenType
from app.ticket.rules import TicketStatus

HOST = "https://ypt.example"
BASES = [HOST, "http://127.0.0.1:8000/"]
NOW = datetime(2026, 6, 18, 4, tzinfo=UTC)
LOT = UUID(int=1)
TODAY = NOW.date()
POLICY = Policy(tuple(seed.rule_of(row) for row in seed.rows("policy.json")))


def decide(facts: Facts) -> Verdict:
    """Decide by the rules that this release ships."""
    return rules.decide(POLICY, facts)


def some_token() -> str:
    signer = TokenSigner(1, IssuerClass.TICKET, bytes(32))
    claims = Claims(TokenType.TICKET, 1, 5, NOW, 96, 18, 100, "320682001001", 1, Flags(0), 1)
    payload = token.encode_payload(claims)
    return token.digits(payload, signer.sign(payload))


DIGITS = some_token()


# --- recognising ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        DIGITS,
        f"{HOST}/t/{DIGITS}",
        f"http://127.0.0.1:8000/t/{DIGITS}",
        f"  {DIGITS}\r\n",
    ],
)
def test_a_token_is_read_wherever_it_stands(text: str) -> None:
    code = recognise(text, BASES)
    assert code.kind is CodeKind.TOKEN
    assert code.reference == DIGITS
    assert code.parsed is not None


LOOK_ALIKES = [
    f"http://ypt.example/t/{DIGITS}",
    f"HTTPS://ypt.example/t/{DIGITS}",
    f"https://YPT.example/t/{DIGITS}",
    f"https://ypt.example:8443/t/{DIGITS}",
    f"https://ypt.example.evil.example/t/{DIGITS}",
    f"https://ypt-example.cn/t/{DIGITS}",
    f"https://ypt.example@evil.example/t/{DIGITS}",
    f"https://user@ypt.example/t/{DIGITS}",
    f"https://evil.example/?u=https://ypt.example/t/{DIGITS}",
    f"https://evil.example/c/{shortcode.encode(5)}",
    f"https://evil.example/b/{shortcode.encode(5)}",
    f"https://ypt.example/T/{DIGITS}",
    "https://ypt.example/login",
]


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_a_look_alike_is_never_taken_for_ours(text: str) -> None:
    code = recognise(text, BASES)
    assert code.kind is CodeKind.ADDRESS
    assert code.imitates
    assert code.parsed is None
    assert "user@" not in code.reference
    assert decide(Facts(code, NOW)).decision is Decision.REFUSE


@pytest.mark.parametrize(
    "text", [f"{HOST}/t/{DIGITS}?x=1", f"{HOST}/t/{DIGITS}/", f"{HOST}/t/0{DIGITS}"]
)
def test_a_token_has_one_spelling(text: str) -> None:
    code = recognise(text, BASES)
    assert code.kind is CodeKind.TOKEN
    assert code.parsed is None
    assert decide(Facts(code, NOW)).decision is Decision.HOLD


@given(st.integers(0, 2**63 - 1))
def test_every_short_code_is_recognised_or_is_a_product_number(serial: int) -> None:
    code = shortcode.encode(serial)
    found = recognise(shortcode.show(code).lower(), BASES)
    assert found.kind is CodeKind.SHORT_CODE
    assert found.reference == code


def test_a_typed_code_is_told_back_as_it_was_read() -> None:
    code = shortcode.encode(0)
    found = recognise(code.replace("0", "o"), BASES)
    assert found.reference == code
    assert set(found.changes) == {"case", "lookalikes"}


@pytest.mark.parametrize(
    ("text", "kind", "reference"),
    [
        ("32068200100112345678", CodeKind.FOREIGN_TRACE_CODE, "32068200100112345678"),
        ("http://a.example/t?32068200100112345678", CodeKind.FOREIGN_TRACE_CODE, None),
        ("2" * 24, CodeKind.VET_DRUG_CODE, "2" * 24),
        ("6901234567892", CodeKind.GS1, "(01)06901234567892"),
        ("16901234567899", CodeKind.GS1, "(01)16901234567899"),
        ("6901234567893", CodeKind.UNRECOGNISED, None),
        ("2" * 21, CodeKind.UNRECOGNISED, None),
        ("https://a.example/x?secret=1", CodeKind.ADDRESS, "https://a.example/x"),
        ("", CodeKind.UNRECOGNISED, None),
        ("wxp://f2f0abc", CodeKind.UNRECOGNISED, None),
    ],
)
def test_what_others_wrote(text: str, kind: CodeKind, reference: str | None) -> None:
    code = recognise(text, BASES)
    assert code.kind is kind
    assert not code.imitates
    assert reference in {None, code.reference}


def test_what_is_no_code_is_not_kept() -> None:
    card = "6222021234567890123"
    assert card not in recognise(card, BASES).reference
    assert recognise(card, BASES) == recognise(card, BASES)


@pytest.mark.parametrize(
    ("link", "elements"),
    [
        ("https://a.example/01/06901234567892", {"01": "06901234567892"}),
        ("https://a.example/p/01/6901234567892", {"01": "06901234567892"}),
        (
            "https://a.example/01/06901234567892/10/AB%2F1/21/9?11=260315&linkType=x",
            {"01": "06901234567892", "10": "AB/1", "21": "9", "11": "260315"},
        ),
        ("https://a.example/01/06901234567892/10", {"01": "06901234567892"}),
        ("https://a.example/01/06901234567892/10/%00", {"01": "06901234567892"}),
    ],
)
def test_gs1_digital_links(link: str, elements: dict[str, str]) -> None:
    code = recognise(link, BASES)
    assert code.kind is CodeKind.GS1
    assert dict(code.elements) == elements
    assert code.check_digit


@pytest.mark.parametrize("digits", ["6901234567892", "4006381333931", "96385074", "012345678905"])
def test_check_digits_of_known_numbers(digits: str) -> None:
    assert gtin_fits(digits)
    for place, digit in enumerate(digits):
        wrong = digits[:place] + str((int(digit) + 1) % 10) + digits[place + 1 :]
        assert not gtin_fits(wrong)


@given(st.text(max_size=300) | st.from_regex(r"https?://.{0,80}", fullmatch=True))
def test_any_text_is_something(text: str) -> None:
    code = recognise(text, BASES)
    assert len(code.reference) <= 400
    assert "\x00" not in code.reference
    assert decide(Facts(code, NOW)).findings


@given(st.text(alphabet=string.digits, max_size=320))
def test_any_digits_are_something(text: str) -> None:
    assert recognise(text, BASES).parsed is None  # no one guesses a token's size and lead


# --- deciding -------------------------------------------------------------------------------------

READ = recognise(DIGITS, BASES)
SOUND = Paper(status=TicketStatus.ISSUED, expires_at=NOW + timedelta(hours=1))
CHAIN = frozenset({Proof.TICKET})
GREENS = Goods(LOT, 18, 5_000, TODAY, needs=Requirement.CONFORMITY_CERTIFICATE, proofs=CHAIN)


def codes(facts: Facts) -> list[str]:
    return [finding.kind.code for finding in decide(facts).findings]


def facts_of(paper: Paper | None, **more: object) -> Facts:
    return Facts(READ, NOW, SignatureVerdict.VALID, paper, **more)  # type: ignore[arg-type]


def test_a_sound_ticket_is_admitted() -> None:
    verdict = decide(facts_of(SOUND))
    assert verdict.decision is Decision.ADMIT
    assert [finding.kind.code for finding in verdict.findings] == ["in-the-books"]


@pytest.mark.parametrize("signature", SignatureVerdict)
def test_only_what_we_signed_may_be_shown(signature: SignatureVerdict) -> None:
    shown = {
        SignatureVerdict.VALID,
        SignatureVerdict.KEY_DROPPED,
        SignatureVerdict.KEY_EXPIRED,
        SignatureVerdict.KEY_NOT_YET_VALID,
    }
    assert may_be_shown(signature) == (signature in shown)
    # Without the books no signature admits anything.
    assert decide(Facts(READ, NOW, signature)).decision in {Decision.HOLD, Decision.REFUSE}
    unknown = "off-log" in codes(Facts(READ, NOW, signature))
    assert unknown == (signature in shown)


def test_grey_is_held_and_never_called_forged() -> None:
    unknown_key = Facts(READ, NOW, SignatureVerdict.UNKNOWN_KEY)
    assert codes(unknown_key) == ["needs-online-check"]
    assert decide(unknown_key).decision is Decision.HOLD
    for reason in token.Unreadable:
        found = Facts(Code(CodeKind.TOKEN, "", unreadable=reason), NOW)
        expected = "needs-online-check" if reason.perhaps_newer else "unreadable"
        assert codes(found) == [expected]
        assert decide(found).decision is Decision.HOLD


# A row per rule that also breaks every later one: the order is part of the contract.
WORST = Paper(
    status=TicketStatus.VOIDED,
    voided=True,
    expires_at=NOW,
    addressed=False,
    plate="苏F1",
    held=(LOT,),
    sources_held=(LOT,),
    certificate=CertificateKind.CONFORMITY_PURCHASER,
    goods=(
        Goods(
            LOT,
            45,
            1,
            TODAY,
            needs=Requirement.QUARANTINE_AND_MEAT_INSPECTION,
            sourceless=(LOT,),
        ),
        GREENS,
        Goods(
            LOT,
            18,
            1,
            TODAY,
            needs=Requirement.CONFORMITY_CERTIFICATE,
            proofs=CHAIN,
            traits=frozenset({Trait.ADVISED}),
        ),
    ),
    voided_certificates=(LOT,),
)


def test_findings_come_in_the_order_of_the_list() -> None:
    found = codes(
        Facts(
            READ,
            NOW,
            SignatureVerdict.KEY_DROPPED,
            WORST,
            plate="苏F2",
            device_at=NOW - timedelta(minutes=6),
        )
    )
    order = list(OBSERVATIONS)
    assert found == [
        "key-dropped",
        "in-the-books",
        "voided",
        "expired",
        "not-addressed",
        "lot-on-hold",
        "source-on-hold",
        "no-source-proof",
        "ticket-missing",
        "quarantine-missing",
        "meat-inspection-missing",
        "certificate-voided",
        "certificate-missing",
        "certificate-advised",
        "plate-mismatch",
        "clock-skew",
    ]
    assert all(order.index(one) < order.index(other) for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("severity", "decision"),
    [
        (Severity.REFUSE, Decision.REFUSE),
        (Severity.HOLD, Decision.HOLD),
        (Severity.TEST, Decision.ADMIT_AFTER_TEST),
        (Severity.WARN, Decision.ADMIT),
    ],
)
def test_the_gravest_finding_decides(severity: Severity, decision: Decision) -> None:
    papers = {
        Severity.REFUSE: Paper(TicketStatus.ISSUED, NOW, held=(LOT,), goods=(GREENS,)),
        Severity.HOLD: Paper(TicketStatus.ISSUED, NOW + timedelta(1), held=(LOT,), goods=(GREENS,)),
        Severity.TEST: Paper(
            TicketStatus.ISSUED, NOW + timedelta(1), goods=(GREENS,), plate="苏F1"
        ),
        Severity.WARN: Paper(TicketStatus.ISSUED, NOW + timedelta(1), plate="苏F1"),
    }
    verdict = decide(facts_of(papers[severity], plate="苏F2"))
    assert verdict.decision is decision
    assert severity in {finding.severity for finding in verdict.findings}


@pytest.mark.parametrize(
    ("seen", "same"), [("苏F·12345", True), ("苏f 12345", True), ("苏F1234S", False)]
)
def test_plates_are_compared_as_people_read_them(seen: str, same: bool) -> None:
    paper = Paper(TicketStatus.ISSUED, NOW + timedelta(1), plate="苏F12345")
    assert ("plate-mismatch" not in codes(facts_of(paper, plate=seen))) == same


def test_a_ticket_without_a_plate_fits_every_vehicle() -> None:
    assert codes(facts_of(SOUND, plate="苏F12345")) == ["in-the-books"]


@pytest.mark.parametrize("direction", [1, -1])
def test_a_clock_may_be_five_minutes_off(direction: int) -> None:
    limit = direction * timedelta(minutes=5)
    more = direction * timedelta(seconds=1)
    assert "clock-skew" not in codes(facts_of(SOUND, device_at=NOW + limit))
    assert "clock-skew" in codes(facts_of(SOUND, device_at=NOW + limit + more))


def test_the_dated_rule_is_named_where_there_is_one() -> None:
    goods = replace(GREENS, needs_source="MARA Order 2025-4 art. 3")
    paper = Paper(TicketStatus.ISSUED, NOW + timedelta(1), goods=(goods,))
    (found,) = decide(facts_of(paper)).findings[1:]
    assert found.by is not None
    assert (found.by.code, found.by.policy) == ("o81-quality", "order-81")
    assert found.source.endswith("; MARA Order 2025-4 art. 3")
    assert found.satisfied_by[0] is Proof.CONFORMITY_CERTIFICATE


def test_all_kinds_are_told_in_both_languages_with_their_source() -> None:
    for code, kind in OBSERVATIONS.items():
        assert code == kind.code
        assert all((kind.text.zh, kind.text.en, kind.source))
        assert kind.text.zh != kind.text.en
    alarms = {code for code, kind in OBSERVATIONS.items() if kind.alarm}
    assert alarms == {
        "admitted-before",
        "bad-signature",
        "foreign-host",
        "off-log",
        "paper-expired",
        "test-failed",
        "wrong-key-class",
    }
