"""What devices push: who signed it, and what their numbers mean. Pure.

A push is signed over five lines, joined by line feeds::

    ypt-push-1
    <id of the source>
    <seconds since 1970, decimal>
    <nonce: 16 to 64 letters, digits, - or _>
    <SHA-256 of the body, hexadecimal>

by HMAC-SHA-256 with the source's secret, or by Ed25519 with the maker's key. The signature's bytes
in hexadecimal, the time and the nonce come in the headers `X-Ypt-Signature`, `X-Ypt-Timestamp` and
`X-Ypt-Nonce`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.core.errors import DomainError, Kind, Text

PREFIX: Final = "ypt-push-1"
SKEW: Final = timedelta(minutes=5)
"""How far a sender's clock may be off; a nonce is remembered for twice as long."""

PUBLIC_KEY_BYTES: Final = 32
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
# Eleven digits of seconds end in the year 5138, which every date here can be.
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")


class Algorithm(StrEnum):
    """How a source signs."""

    HMAC_SHA256 = "hmac-sha256"
    ED25519 = "ed25519"


class Convention(StrEnum):
    """What a maker's numbers mean: provinces disagree (domain.md §5.2)."""

    ONE_PASS_TWO_FAIL = "one_pass_two_fail"  # noqa: S105 (no password)
    ONE_NEGATIVE_ZERO_POSITIVE = "one_negative_zero_positive"


POSITIVE: Final[Mapping[Convention, Mapping[int, bool]]] = {
    Convention.ONE_PASS_TWO_FAIL: {1: False, 2: True},
    Convention.ONE_NEGATIVE_ZERO_POSITIVE: {1: False, 0: True},
}
"""Whether a number says that something was found."""


class UnknownSource(DomainError):
    """No source has this id, or it was revoked."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-source"
    title: ClassVar[Text] = Text(
        "没有这个检测数据来源，或已停用", "There is no such source of tests, or it was revoked"
    )
    next_step: ClassVar[Text] = Text("请重新登记设备来源", "Register the devices' source again")


class PushNotSigned(DomainError):
    """The signature, its time or its nonce is missing or wrong; nothing of the push is believed."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "push-not-signed"
    title: ClassVar[Text] = Text("签名缺失或不符", "The push is not signed, or signed wrongly")
    next_step: ClassVar[Text] = Text(
        "请检查密钥、X-Ypt-Timestamp(误差5分钟内)、X-Ypt-Nonce 与 X-Ypt-Signature",
        "Check the key, X-Ypt-Timestamp (within 5 minutes), X-Ypt-Nonce and X-Ypt-Signature",
    )


class PushReplayed(DomainError):
    """The same signed push came before."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "push-replayed"
    title: ClassVar[Text] = Text("该推送已收到过", "This very push was received before")
    next_step: ClassVar[Text] = Text(
        "重发请换新的 nonce 并重新签名，同一记录不会重复入库",
        "Sign it again with a new nonce; a record counts once however often it is sent",
    )


class UnknownResultCode(DomainError):
    """The number is none that this source's convention knows."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-result-code"
    title: ClassVar[Text] = Text(
        "结果代码不在该来源的约定内", "The result's number is none of this source's convention"
    )
    next_step: ClassVar[Text] = Text(
        "请核对来源登记的结果约定", "Check the convention that the source is registered with"
    )


class KeyUnfit(DomainError):
    """An Ed25519 key is 32 bytes, and HMAC needs none from outside."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "key-unfit"
    title: ClassVar[Text] = Text("公钥不符合要求", "The public key does not fit")
    next_step: ClassVar[Text] = Text(
        "ed25519 请提供32字节公钥（十六进制）; hmac-sha256 不需要提供",
        "Give 32 bytes in hexadecimal for ed25519, and none for hmac-sha256",
    )


def message(source: UUID, timestamp: str, nonce: str, body: bytes) -> bytes:
    """Write what is signed."""
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join([PREFIX, str(source), timestamp, nonce, digest]).encode()


def check_signed(
    *,
    source: UUID,
    algorithm: Algorithm,
    key: bytes,
    timestamp: str,
    nonce: str,
    signature: str,
    body: bytes,
    now: datetime,
) -> None:
    """Refuse a push that its source did not sign just now.

    Args:
        source: Who is said to send.
        algorithm: How it signs.
        key: The secret of HMAC, or the public key.
        timestamp: As it came in the header.
        nonce: As it came in the header.
        signature: As it came in the header.
        body: The bytes that came.
        now: The present.

    Raises:
        PushNotSigned: a header is malformed, the time is off, or the signature is wrong.
    """
    if not _TIMESTAMP.fullmatch(timestamp) or not _NONCE.fullmatch(nonce):
        raise PushNotSigned
    if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > SKEW:
        raise PushNotSigned
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        raise PushNotSigned from None
    signed = message(source, timestamp, nonce, body)
    if algorithm is Algorithm.HMAC_SHA256:
        if not hmac.compare_digest(hmac.new(key, signed, hashlib.sha256).digest(), given):
            raise PushNotSigned
        return
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(given, signed)
    except InvalidSignature:
        raise PushNotSigned from None


def told_positive(convention: Convention, result: int | None) -> bool | None:
    """Say what a maker's number means; None where the device says nothing.

    Raises:
        UnknownResultCode: the convention has no such number.
    """
    if result is None:
        return None
    if result not in POSITIVE[convention]:
        raise UnknownResultCode(pointer="/result", result=result, convention=convention)
    return POSITIVE[convention][result]
