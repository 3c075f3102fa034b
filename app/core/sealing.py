"""Personal data at rest: sealed with AES-256-GCM, found again by a blind index.

PIPL article 51 asks for encryption of personal information by grade; ASVS 5.0 11.3 for
authenticated encryption. One secret feeds independent keys through HKDF (RFC 5869), so the index
key cannot open what the sealing key closed.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core import ids

KEY_BYTES = 32
_NONCE_BYTES = 12


class CannotOpenError(Exception):
    """Sealed bytes were changed, or sealed with another secret or for another purpose."""


class Vault:
    """Seals and opens personal values; one per process, built from the settings' secret."""

    def __init__(self, secret: bytes) -> None:
        """Derive the sealing and the indexing key from a secret of 32 bytes."""
        assert len(secret) == KEY_BYTES, "the settings check the length"
        self._cipher = AESGCM(_derive(secret, b"ypt/seal/v1"))
        self._index_key = _derive(secret, b"ypt/index/v1")

    def seal(self, value: str, *, purpose: str) -> bytes:
        """Encrypt a value so that it opens only under the same purpose (`party.phone`, …)."""
        return self.seal_bytes(value.encode(), purpose=purpose)

    def seal_bytes(self, value: bytes, *, purpose: str) -> bytes:
        """Encrypt bytes, a picture for instance, as `seal` does text."""
        nonce = ids.secret(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, purpose.encode())

    def open(self, sealed: bytes, *, purpose: str) -> str:
        """Decrypt what `seal` made.

        Raises:
            CannotOpenError: the bytes were changed, or belong to another secret or purpose.
        """
        return self.open_bytes(sealed, purpose=purpose).decode()

    def open_bytes(self, sealed: bytes, *, purpose: str) -> bytes:
        """Decrypt what `seal_bytes` made.

        Raises:
            CannotOpenError: the bytes were changed, or belong to another secret or purpose.
        """
        try:
            return self._cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode()
            )
        except InvalidTag as cause:
            raise CannotOpenError(purpose) from cause

    def index(self, value: str, *, purpose: str) -> bytes:
        """Answer 32 bytes that are equal exactly for equal values of one purpose."""
        message = purpose.encode() + b"\0" + value.encode()
        return hmac.new(self._index_key, message, hashlib.sha256).digest()


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)
