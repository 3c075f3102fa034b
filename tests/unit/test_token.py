import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.signing import token
from app.signing.token import Claims, Flags, TokenType, Unreadable, UnreadableError

HOST = "https://ypt.nantong.cn"
LAST_TICK = 2**24 - 1

claims_of_any_kind = st.builds(
    Claims,
    type=st.sampled_from(TokenType),
    kid=st.integers(1, 2**16 - 1),
    serial=st.integers(0, 2**63 - 1),
    issued_at=st.integers(0, LAST_TICK).map(lambda ticks: token.EPOCH + ticks * token.TICK),
    ttl_h=st.integers(1, 2**16 - 1),
    product=st.integers(0, 2**32 - 1),
    quantity_dg=st.integers(0, 2**32 - 1),
    origin=st.none() | st.integers(1, 10**12 - 1).map(lambda code: f"{code:012d}"),
    issuer=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 63).map(Flags),
    status_index=st.integers(0, 2**32 - 1),
)
signatures = st.binary(min_size=64, max_size=64)

CLAIMS = Claims(
    type=TokenType.TICKET,
    kid=7,
    serial=0x0123456789ABCDEF,
    issued_at=datetime(2026, 5, 6, 7, 40, tzinfo=UTC),
    ttl_h=72,
    product=10203,
    quantity_dg=12345,
    origin="320612104000",
    issuer=42,
    flags=Flags.SELF_TESTED | Flags.TEST_ATTACHED,
    status_index=99,
)
DIGITS = token.digits(token.encode_payload(CLAIMS), bytes(range(64)))


def reason_of(text: str) -> Unreadable | None:
    try:
        token.parse(text)
    except UnreadableError as finding:
        return finding.reason
    return None


def spell(content: bytes | bytearray, lead: bytes = b"\x01") -> str:
    return str(int.from_bytes(lead + content, "big"))


def test_the_layout_is_that_of_the_specification_byte_for_byte() -> None:
    assert token.encode_payload(CLAIMS).hex(" ", 1) == (
        "12 00 07 01 23 45 67 89 ab cd ef 01 e1 ae 00 48 00 00 27 db 00 00 30 39 "
        "4a a5 f8 77 40 00 00 00 2a 11 00 00 00 63"
    )


@given(claims_of_any_kind, signatures)
def test_what_was_written_is_read(claims: Claims, signature: bytes) -> None:
    payload = token.encode_payload(claims)
    assert len(payload) == 38
    text = token.digits(payload, signature)
    assert len(text) == 246
    assert token.parse(text) == (claims, payload, signature)
    assert token.from_url(token.url(HOST, text), [HOST]) == text


@given(st.text(max_size=320) | st.text("0123456789", max_size=320))
@example("٣" * 246)
@example("²" * 246)
@example("9" * 246)
def test_any_text_is_read_or_refused_and_reading_is_the_inverse_of_writing(text: str) -> None:
    try:
        parsed = token.parse(text)
    except UnreadableError:
        return
    assert token.digits(parsed.payload, parsed.signature) == text


@given(st.binary(min_size=102, max_size=102))
def test_a_payload_that_is_read_is_one_that_would_be_written(content: bytes) -> None:
    content = bytes([0x10 | content[0] % 3]) + content[1:]
    try:
        parsed = token.parse(spell(content))
    except UnreadableError:
        return
    known = parsed.claims._replace(flags=parsed.claims.flags & 63)
    without_reserved = bytearray(parsed.payload)
    without_reserved[33] &= 63
    assert token.encode_payload(known) == without_reserved


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Unreadable.EMPTY),
        ("1" * 301, Unreadable.TOO_LONG),
        ("x" * 301, Unreadable.TOO_LONG),
        ("1" * 10_000_000, Unreadable.TOO_LONG),
        ("1" * 300, Unreadable.WRONG_SIZE),
        (DIGITS + " ", Unreadable.NOT_DIGITS),
        ("+" + DIGITS[1:], Unreadable.NOT_DIGITS),
        (DIGITS[:9] + "_" + DIGITS[9:], Unreadable.NOT_DIGITS),
        (DIGITS.replace("1", "١"), Unreadable.NOT_DIGITS),
        (DIGITS.replace("1", "１"), Unreadable.NOT_DIGITS),
        ("0" + DIGITS, Unreadable.LEADING_ZERO),
        ("0", Unreadable.LEADING_ZERO),
        ("1", Unreadable.WRONG_SIZE),
        (DIGITS[:-1], Unreadable.WRONG_SIZE),
        (DIGITS + "0", Unreadable.WRONG_SIZE),
        (spell(bytes(102), b"\x02"), Unreadable.WRONG_SIZE),
        (spell(bytes(101)), Unreadable.WRONG_SIZE),
        (spell(bytes(103)), Unreadable.WRONG_SIZE),
        (spell(b"\x02" + bytes(101)), Unreadable.UNKNOWN_VERSION),
        (spell(b"\x22" + bytes(101)), Unreadable.UNKNOWN_VERSION),
        (spell(b"\x13" + bytes(101)), Unreadable.UNKNOWN_TYPE),
        (spell(b"\x12" + bytes(101)), Unreadable.FIELD_OUT_OF_RANGE),
    ],
)
def test_each_rule_of_reading_names_what_failed(text: str, reason: Unreadable) -> None:
    assert reason_of(text) is reason


def test_only_what_a_newer_reader_may_know_is_left_open() -> None:
    newer = {reason for reason in Unreadable if reason.perhaps_newer}
    assert newer == {Unreadable.UNKNOWN_VERSION, Unreadable.UNKNOWN_TYPE}


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (1, b"\0\0"),  # kid 0
        (3, b"\x80" + bytes(7)),  # a serial that PostgreSQL's bigint cannot hold
        (14, b"\0\0"),  # no time to live
        (24, (10**12).to_bytes(5, "big")),  # an origin of 13 digits
    ],
)
def test_fields_that_no_writer_makes_are_refused(offset: int, value: bytes) -> None:
    payload = bytearray(token.encode_payload(CLAIMS))
    payload[offset : offset + len(value)] = value
    assert reason_of(spell(payload + bytes(64))) is Unreadable.FIELD_OUT_OF_RANGE


def test_reserved_flags_are_kept_when_read() -> None:
    payload = bytearray(token.encode_payload(CLAIMS))
    payload[33] |= 0xC0
    claims = token.parse(spell(payload + bytes(64))).claims
    assert claims.flags == 0xC0 | CLAIMS.flags


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("type", 3, "type"),
        ("kid", 0, "kid"),
        ("kid", 2**16, "kid"),
        ("serial", -1, "serial"),
        ("serial", 2**63, "serial"),
        ("issued_at", token.EPOCH - timedelta(seconds=1), "issued_at"),
        ("issued_at", token.EPOCH + 2**24 * token.TICK, "issued_at"),
        ("issued_at", datetime(2026, 1, 1), "aware"),  # noqa: DTZ001  # what is refused here
        ("ttl_h", 0, "ttl_h"),
        ("ttl_h", 2**16, "ttl_h"),
        ("product", 2**32, "product"),
        ("quantity_dg", -1, "quantity_dg"),
        ("origin", "", "origin"),
        ("origin", "000000000000", "origin"),
        ("origin", "32061210400", "origin"),
        ("origin", "٣٢٠٦١٢١٠٤٠٠٠", "origin"),
        ("issuer", 2**32, "issuer"),
        ("flags", Flags(64), "flags"),
        ("status_index", 2**32, "status_index"),
    ],
)
def test_a_claim_out_of_range_is_not_written(field: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        token.encode_payload(CLAIMS._replace(**{field: value}))


@given(st.datetimes(datetime(2024, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_instant_of_issue_is_rounded_down_to_ten_minutes(instant: datetime) -> None:
    payload = token.encode_payload(CLAIMS._replace(issued_at=instant))
    read = token.parse(token.digits(payload, bytes(64))).claims.issued_at
    assert read == token.tick_floor(instant)
    assert timedelta(0) <= instant - read < timedelta(minutes=10)
    assert read.minute % 10 == read.second == read.microsecond == 0


def test_an_instant_in_shanghai_is_the_same_instant() -> None:
    there = CLAIMS.issued_at.astimezone(timezone(timedelta(hours=8)))
    assert token.encode_payload(CLAIMS._replace(issued_at=there)) == token.encode_payload(CLAIMS)


@pytest.mark.parametrize(
    ("mass_g", "quantity_dg"), [(0, 0), (1, 1), (100, 1), (101, 2), (500, 5), (12_500_000, 125_000)]
)
def test_a_quantity_is_rounded_up(mass_g: int, quantity_dg: int) -> None:
    assert token.quantity_dg_of(mass_g) == quantity_dg


def test_a_negative_mass_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        token.quantity_dg_of(-1)


def test_a_token_counts_until_its_hours_are_over() -> None:
    assert CLAIMS.expires_at == datetime(2026, 5, 9, 7, 40, tzinfo=UTC)


@pytest.mark.parametrize("base_url", [HOST, HOST + "/", "http://127.0.0.1:8000"])
def test_an_address_of_ours_gives_its_digits(base_url: str) -> None:
    address = token.url(base_url, DIGITS)
    assert address == base_url.rstrip("/") + "/t/" + DIGITS
    assert token.from_url(address, ["https://old.example.cn", base_url]) == DIGITS


@pytest.mark.parametrize(
    "address",
    [
        DIGITS,
        f"http://ypt.nantong.cn/t/{DIGITS}",
        f"HTTPS://ypt.nantong.cn/t/{DIGITS}",
        f"https://YPT.nantong.cn/t/{DIGITS}",
        f"https://ypt.nantong.cn:443/t/{DIGITS}",
        f"https://ypt.nantong.cn.evil.cn/t/{DIGITS}",
        f"https://ypt.nantong.cn@evil.cn/t/{DIGITS}",
        f"https://ypt.nantong.cn//t/{DIGITS}",
        f"https://ypt.nantong.cn/T/{DIGITS}",
        f"https://ypt.nantong.cn/t{DIGITS}",
        f" https://ypt.nantong.cn/t/{DIGITS}",
        f"https://yрt.nantong.cn/t/{DIGITS}",  # a Cyrillic р
        f"https://evil.cn/?u=https://ypt.nantong.cn/t/{DIGITS}",
    ],
)
def test_an_address_that_only_looks_like_ours_is_foreign(address: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        token.from_url(address, [HOST])
    assert caught.value.reason is Unreadable.FOREIGN_ADDRESS


@pytest.mark.parametrize("tail", ["?x=1", "#x", "/", "\n", " ", "/../1"])
def test_nothing_may_follow_the_digits(tail: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        token.from_url(token.url(HOST, DIGITS) + tail, [HOST])
    assert caught.value.reason is Unreadable.NOT_DIGITS


def test_a_finding_can_be_written_as_json() -> None:
    assert json.dumps(Unreadable.NOT_DIGITS) == '"not-digits"'
