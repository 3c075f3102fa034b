"""What a device proves and what it is refused. Pure.

Every request of a device is signed over six lines, joined by line feeds::

    ypt-gate-1
    <id of the device>
    <seconds since 1970, decimal>
    <method>
    <path>
    <SHA-256 of the body, hexadecimal>

by the key that it made when it was enrolled (ECDSA on P-256 with SHA-256, r and s as 64 bytes, or
Ed25519); hexadecimal in `X-Ypt-Signature`, beside `X-Ypt-Device` and `X-Ypt-Timestamp`. There is
no nonce: repeating such a request reads the same, or is a repeat of what was stored.

A decision made without a network is a statement that is signed by itself, `ypt-gate-statement-1`,
a line feed, and its text: it may lie in the device for hours before somebody sends it.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from app.core.errors import DomainError, Kind, Text

CODE_LIFE: Final = timedelta(minutes=10)
SKEW: Final = timedelta(minutes=5)
"""How far a device may be off from our time; it learns ours from every answer."""

SEEN_EVERY: Final = timedelta(minutes=1)
"""How exactly is known when a device was last there; more would write with every request."""

RECENT: Final = timedelta(days=3)
RECENT_MAX: Final = 50
"""Samples that a gate lists: what still waits for a repeat is not older."""

REQUEST: Final = "ypt-gate-1"
STATEMENT: Final = b"ypt-gate-statement-1\n"
SIGNATURE_BYTES: Final = 64
# Eleven digits of seconds end in the year 5138, which every date here can be.
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")


class Algorithm(StrEnum):
    """How a device signs; whichever of the two its browser can."""

    ED25519 = "ed25519"
    ECDSA_P256 = "ecdsa-p256"


class EnrolmentCodeWrong(DomainError):
    """No code of this kind is waiting for a device."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "enrolment-code-wrong"
    title: ClassVar[Text] = Text(
        "登记码不正确、已过期或已使用", "The enrolment code is wrong, too old, or used"
    )
    next_step: ClassVar[Text] = Text(
        "请核对后重新输入；登记码10分钟内有效且只能用一次，可请市场办公室另发",
        "Check it and type it again; a code lives ten minutes and serves once: ask the market's "
        "office for another",
    )


class DeviceKeyUnfit(DomainError):
    """The public key is none of its algorithm."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "device-key-unfit"
    title: ClassVar[Text] = Text(
        "这个浏览器的密钥不能用于登记设备", "The key of this browser cannot be enrolled"
    )
    next_step: ClassVar[Text] = Text(
        "请更新浏览器后重新登记设备", "Update the browser and enrol the device again"
    )


class UnknownDevice(DomainError):
    """No device has this id, or none that the caller's market runs."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-device"
    title: ClassVar[Text] = Text("没有这台设备", "There is no such device")
    next_step: ClassVar[Text] = Text(
        "请在设备列表中核对", "Check the list of your market's devices"
    )


class DeviceNotBelieved(DomainError):
    """The request is not signed by a device of ours, or not just now."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "device-not-believed"
    title: ClassVar[Text] = Text(
        "设备未登记、已停用，或签名不符",
        "The device is not enrolled, was revoked, or its signature is wrong",
    )
    next_step: ClassVar[Text] = Text(
        "未上传的记录仍在设备上；请校准时间，或用新的登记码重新登记",
        "What was not uploaded is still on the device. Set its clock, or enrol it again with a new "
        "code",
    )


class NoLotToTest(DomainError):
    """The goods came without a ticket or certificate of ours, so that no lot can be held."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "no-lot-to-test"
    title: ClassVar[Text] = Text(
        "该货物没有可登记检测的批次", "The goods have no lot that a test could be kept for"
    )
    next_step: ClassVar[Text] = Text(
        "请把检测编号写入市场的处理决定；有一票通票据的货物可直接登记",
        "Name the test's number in the market's ruling; goods with a ticket are tested here",
    )


class BundleNotReady(DomainError):
    """The operator has not published a keyset, or no bundle was made for this market yet."""

    kind: ClassVar[Kind] = Kind.BUSY
    code: ClassVar[str] = "bundle-not-ready"
    title: ClassVar[Text] = Text("离线数据包尚未生成", "There is no offline bundle yet")
    next_step: ClassVar[Text] = Text(
        "请几分钟后再试；仍然没有时，请系统管理员用离线根密钥发布密钥集(ypt key publish)",
        "Try again in a few minutes; if there is still none, the operator has to publish the "
        "keyset with the offline root key (ypt key publish)",
    )


class StatementNotBelieved(DomainError):
    """A statement was not signed by the device that sends it, or is not one."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "statement-not-believed"
    title: ClassVar[Text] = Text("记录的签名或格式不符", "The record's signature or form is wrong")
    next_step: ClassVar[Text] = Text(
        "该记录未入库，请联系市场办公室核对当班情况",
        "It was not taken into the books: ask the market's office to look into that shift",
    )


def request_message(device: UUID, timestamp: str, method: str, path: str, body: bytes) -> bytes:
    """Write what a request is signed over."""
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join([REQUEST, str(device), timestamp, method, path, digest]).encode()


def check_time(timestamp: str, now: datetime) -> None:
    """Refuse a request that was not signed just now.

    Raises:
        DeviceNotBelieved: the facts say what time it is here.
    """
    if _TIMESTAMP.fullmatch(timestamp):
        signed_at = datetime.fromtimestamp(int(timestamp), UTC)
        if abs(now - signed_at) <= SKEW:
            return
    raise DeviceNotBelieved(server_at=now.isoformat())


def check_key(algorithm: Algorithm, public_key: str) -> bytes:
    """Read a public key: 32 bytes for Ed25519, an uncompressed point for P-256; in hexadecimal.

    Raises:
        DeviceKeyUnfit: it is none.
    """
    try:
        key = bytes.fromhex(public_key)
        if algorithm is Algorithm.ED25519:
            Ed25519PublicKey.from_public_bytes(key)
        else:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    except ValueError:
        raise DeviceKeyUnfit(pointer="/public_key") from None
    return key


def verifies(algorithm: Algorithm, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a device's key signed a message."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        if algorithm is Algorithm.ED25519:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        else:
            half = SIGNATURE_BYTES // 2
            pair = (int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key).verify(
                encode_dss_signature(*pair), message, ec.ECDSA(SHA256())
            )
    except InvalidSignature:
        return False
    return True


def bytes_of(text: str) -> bytes:
    """Read hexadecimal; nothing where it is none, so that no signature fits."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
