"""The ticket token, version 1: a fixed layout, its decimal spelling and its address.

`docs/token.md` describes the layout for readers in other languages; `schemas/token-vectors.json`
holds examples that every reader must agree with. Nothing here checks a signature: see `keys`.
"""

import struct
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import IntEnum, IntFlag, StrEnum
from typing import Final, NamedTuple

VERSION: Final = 1
PAYLOAD_BYTES: Final = 38
SIGNATURE_BYTES: Final = 64
DIGITS_MAX: Final = 300
PATH: Final = "/t/"
EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)
TICK: Final = timedelta(minutes=10)

# Keys of the platform sign other things too (the log, status lists). The prefix keeps a signature
# made for one of them from ever being one for a token.
_DOMAIN: Final = b"JSNY-TICKET-v1\0"
_LEAD: Final = b"\x01"  # Keeps leading zero bytes; with it every token has 246 digits.
_LAYOUT: Final = struct.Struct(">B H Q 3s H I I 5s I B I")
_TICKS_MAX: Final = 0xFFFFFF
_ORIGIN_DIGITS: Final = 12
_PLACES: Final = 10**_ORIGIN_DIGITS
_CONTENT_BYTES: Final = len(_LEAD) + PAYLOAD_BYTES + SIGNATURE_BYTES
_CONTENT_BITS: Final = 8 * (_CONTENT_BYTES - 1) + 1
_GRAMS_PER_STEP: Final = 100

assert _LAYOUT.size == PAYLOAD_BYTES, "the layout of version 1 is fixed for ever"


class TokenType(IntEnum):
    """What a token states."""

    ORIGIN_CERTIFICATE = 1
    TICKET = 2
    TEST = 15  # A reader shows TEST and never green.


class Flags(IntFlag):
    """Basis of the promise (NY/T certificate of conformity), and what came with the goods.

    The two upper bits are reserved: a writer leaves them clear, a reader keeps and ignores them. A
    flag that could change a verdict takes a new version instead.
    """

    SELF_TESTED = 1  # 自检
    ENTRUSTED_TEST = 2  # 委托检测
    INTERNAL_QUALITY_CONTROL = 4  # 内部质量控制
    SELF_PROMISE = 8  # 自我承诺
    TEST_ATTACHED = 16
    REPACKED = 32


_KNOWN_TYPES: Final = {int(kind): kind for kind in TokenType}
_KNOWN_FLAGS: Final = sum(Flags)
# Making a member of an enumeration costs as much as all the other fields.
_FLAGS: Final = tuple(Flags(bits) for bits in range(256))


class Unreadable(StrEnum):
    """Why digits are no token that this reader understands, in the order of the checks."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    NOT_DIGITS = "not-digits"
    LEADING_ZERO = "leading-zero"
    WRONG_SIZE = "wrong-size"
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_TYPE = "unknown-type"
    FIELD_OUT_OF_RANGE = "field-out-of-range"
    FOREIGN_ADDRESS = "foreign-address"

    @property
    def perhaps_newer(self) -> bool:
        """Tell whether a newer reader may understand it: show "cannot verify", never "invalid"."""
        return self in {Unreadable.UNKNOWN_VERSION, Unreadable.UNKNOWN_TYPE}


class UnreadableError(Exception):
    """Text is not a token; a finding of the reader rather than a refusal of a request.

    Attributes:
        reason: The first check that failed.
    """

    def __init__(self, reason: Unreadable) -> None:
        """Build the finding."""
        super().__init__(reason.value)
        self.reason = reason


class Claims(NamedTuple):
    """What a token says. `encode_payload` checks the ranges.

    A tuple, for every ticket that is scanned makes one.

    Attributes:
        type: What the token states.
        kid: Number of the signing key, 1..65535.
        serial: 63 random bits that name the ticket.
        issued_at: Aware instant of the signature; a token keeps it rounded *down* to ten minutes,
            so that it never claims to be younger than it is. A document's own date may be earlier.
        ttl_h: Hours after `issued_at` during which the token counts, 1..65535.
        product: Catalogue code, u32.
        quantity_dg: Quantity in tenths of a kilogram, u32; rounded *up* (`quantity_dg_of`).
        origin: Administrative code of 12 digits, or None when there is none.
        issuer: Number of the issuing organisation, u32.
        flags: Basis of the promise and attachments.
        status_index: Position in the weekly status list, u32.
    """

    type: TokenType
    kid: int
    serial: int
    issued_at: datetime
    ttl_h: int
    product: int
    quantity_dg: int
    origin: str | None
    issuer: int
    flags: Flags
    status_index: int

    @property
    def expires_at(self) -> datetime:
        """The first instant at which the token no longer counts."""
        return self.issued_at + timedelta(hours=self.ttl_h)


class Parsed(NamedTuple):
    """A token that reads well. Nothing in it may be shown before its signature was checked."""

    claims: Claims
    payload: bytes
    signature: bytes


def quantity_dg_of(mass_g: int) -> int:
    """Convert grams to tenths of a kilogram, rounded up.

    Rounding up means that goods which were ticketed never weigh more than their token says; the
    exact grams are in the ticket itself. Less than 100 g stays visible as 0.1 kg.

    Raises:
        ValueError: `mass_g` is negative.
    """
    if mass_g < 0:
        message = f"mass must not be negative, got {mass_g} g"
        raise ValueError(message)
    return -(-mass_g // _GRAMS_PER_STEP)


def tick_floor(instant: datetime) -> datetime:
    """Round an aware instant down to the ten minutes that tokens and key dates are made of."""
    return EPOCH + (instant - EPOCH) // TICK * TICK


def can_bear(instant: datetime) -> bool:
    """Whether a token can say that it was issued at an aware instant: from 2024 on to 2342."""
    return 0 <= (instant - EPOCH) // TICK <= _TICKS_MAX


def encode_payload(claims: Claims) -> bytes:
    """Lay the claims out as the 38 bytes that are signed.

    Raises:
        ValueError: a claim is outside its range; the message names it.
    """
    if claims.issued_at.tzinfo is None:
        message = "issued_at must be an aware instant"
        raise ValueError(message)
    if claims.type not in _KNOWN_TYPES:
        message = f"type must be one of {[int(kind) for kind in TokenType]}, got {claims.type!r}"
        raise ValueError(message)
    ticks = (claims.issued_at - EPOCH) // TICK
    _check_range("kid", claims.kid, 1, 0xFFFF)
    _check_range("serial", claims.serial, 0, 2**63 - 1)
    _check_range("issued_at in ten minutes since 2024", ticks, 0, _TICKS_MAX)
    _check_range("ttl_h", claims.ttl_h, 1, 0xFFFF)
    _check_range("flags", claims.flags, 0, _KNOWN_FLAGS)
    for name in ("product", "quantity_dg", "issuer", "status_index"):
        _check_range(name, getattr(claims, name), 0, 0xFFFFFFFF)
    return _LAYOUT.pack(
        VERSION << 4 | claims.type,
        claims.kid,
        claims.serial,
        ticks.to_bytes(3, "big"),
        claims.ttl_h,
        claims.product,
        claims.quantity_dg,
        _origin_number(claims.origin).to_bytes(5, "big"),
        claims.issuer,
        claims.flags,
        claims.status_index,
    )


def signing_input(payload: bytes) -> bytes:
    """Answer the bytes that a token's signature is made over."""
    return _DOMAIN + payload


def digits(payload: bytes, signature: bytes) -> str:
    """Spell a token as 246 decimal digits: QR codes pack digits densely in their numeric mode."""
    assert len(payload) == PAYLOAD_BYTES, "a payload comes from encode_payload"
    assert len(signature) == SIGNATURE_BYTES, "Ed25519 and raw SM2 signatures have 64 bytes"
    return str(int.from_bytes(_LEAD + payload + signature, "big"))


def parse(text: str) -> Parsed:
    """Read digits back. The signature is *not* checked.

    Accepts exactly the texts that `digits` can write: no sign, no leading zero, no digits of other
    scripts (`int` would take them), so that a ticket cannot be passed off as another by respelling.

    Raises:
        UnreadableError: with the first reason, in the order of `Unreadable`; nothing else.
    """
    content = _content(text)
    payload, signature = content[:PAYLOAD_BYTES], content[PAYLOAD_BYTES:]
    head = payload[0]
    if head >> 4 != VERSION:
        raise UnreadableError(Unreadable.UNKNOWN_VERSION)
    if head & 0xF not in _KNOWN_TYPES:
        raise UnreadableError(Unreadable.UNKNOWN_TYPE)
    return Parsed(claims_of(payload), payload, signature)


def claims_of(payload: bytes) -> Claims:
    """Take the fields out of a payload of version 1 and a known type.

    Raises:
        UnreadableError: a field is out of range.
    """
    head, kid, serial, ticks, ttl_h, product, quantity, origin, issuer, flags, status = (
        _LAYOUT.unpack(payload)
    )
    place = int.from_bytes(origin, "big")
    # Bounds that the layout leaves open and no writer crosses; without them a serial could fall
    # outside the database's bigint and turn a bad code into a server error.
    if not kid or serial >= 2**63 or not ttl_h or place >= _PLACES:
        raise UnreadableError(Unreadable.FIELD_OUT_OF_RANGE)
    return Claims(
        _KNOWN_TYPES[head & 0xF],
        kid,
        serial,
        EPOCH + int.from_bytes(ticks, "big") * TICK,
        ttl_h,
        product,
        quantity,
        str(place).zfill(_ORIGIN_DIGITS) if place else None,
        issuer,
        _FLAGS[flags],
        status,
    )


def prefix(base_url: str) -> str:
    """Answer what the address of every token begins with, from the platform's public URL."""
    return base_url.rstrip("/") + PATH


def url(base_url: str, token_digits: str) -> str:
    """Answer the address that a token's QR code holds."""
    return prefix(base_url) + token_digits


def from_url(text: str, base_urls: Collection[str]) -> str:
    """Take the digits out of an address that begins with exactly one of the pinned URLs.

    Nothing is normalised: another scheme, port, letter case or user name, a query or blanks make
    it someone else's address, because a look-alike site would use just that.

    Raises:
        UnreadableError: the address is foreign, or what follows cannot be digits of a token.
    """
    for base_url in base_urls:
        start = prefix(base_url)
        if text.startswith(start):
            rest = text[len(start) :]
            _content(rest)
            return rest
    raise UnreadableError(Unreadable.FOREIGN_ADDRESS)


def _content(text: str) -> bytes:
    """Answer the 102 bytes of payload and signature that digits spell."""
    reason = None
    if not text:
        reason = Unreadable.EMPTY
    elif len(text) > DIGITS_MAX:  # Before int(), whose time grows with the square of the length.
        reason = Unreadable.TOO_LONG
    elif not (text.isascii() and text.isdigit()):
        reason = Unreadable.NOT_DIGITS
    elif text[0] == "0":
        reason = Unreadable.LEADING_ZERO
    if reason is not None:
        raise UnreadableError(reason)
    number = int(text)
    # One byte too many, too few, or another leading byte all make another size in bits.
    if number.bit_length() != _CONTENT_BITS:
        raise UnreadableError(Unreadable.WRONG_SIZE)
    return number.to_bytes(_CONTENT_BYTES, "big")[1:]


def _origin_number(origin: str | None) -> int:
    if origin is None:
        return 0
    well_formed = len(origin) == _ORIGIN_DIGITS and origin.isascii() and origin.isdigit()
    if not well_formed or not int(origin):
        message = f"origin must be 12 digits that are not all zero, or None, got {origin!r}"
        raise ValueError(message)
    return int(origin)


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        message = f"{name} must be {least}..{most}, got {value}"
        raise ValueError(message)
