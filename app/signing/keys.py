"""Signing and verifying with dated keys. Pure: a keyset is a snapshot, time is an argument."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.signing.rules import NoSigningKey
from app.signing.token import Parsed, TokenType, claims_of, signing_input, tick_floor

_REMEMBERED: Final = 4_096  # Some 300 bytes each; twice as many as there are pages.


class Algorithm(StrEnum):
    """How a key signs. SM2 (GB/T 32918) is reserved: rows may name it, this build cannot use it."""

    ED25519 = "ed25519"
    SM2 = "sm2"


class IssuerClass(StrEnum):
    """What a key may sign."""

    TICKET = "ticket"  # origin certificates and tickets
    TEST = "test"  # tokens of type TEST, and nothing that a gate would take for goods
    STATUS = "status"  # status lists
    LOG = "log"  # checkpoints of the transparency log


TOKEN_TYPES: Final = MappingProxyType(
    {
        IssuerClass.TICKET: frozenset({TokenType.ORIGIN_CERTIFICATE, TokenType.TICKET}),
        IssuerClass.TEST: frozenset({TokenType.TEST}),
        IssuerClass.STATUS: frozenset[TokenType](),
        IssuerClass.LOG: frozenset[TokenType](),
    }
)
"""Which tokens count under a key of each class."""


class SignatureVerdict(StrEnum):
    """What is known of a token from its signature and the dates of its key.

    Expiry, recalls and acceptance are not in here: they are asked of the ticket.
    """

    VALID = "valid"
    TEST = "test"  # The signature is right and the token is one for tests: show TEST, never green.
    BAD_SIGNATURE = "bad-signature"
    WRONG_KEY_CLASS = "wrong-key-class"  # Signed, by a key that must not sign such tokens.
    UNKNOWN_KEY = "unknown-key"
    KEY_NOT_YET_VALID = "key-not-yet-valid"
    KEY_EXPIRED = "key-expired"
    KEY_DROPPED = "key-dropped"

    @property
    def needs_online_check(self) -> bool:
        """Tell whether the log decides: show "cannot verify" (grey), never "invalid"."""
        return self in {SignatureVerdict.UNKNOWN_KEY, SignatureVerdict.KEY_DROPPED}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a registry row.

    Attributes:
        kid: Number of the key.
        algorithm: How it signs; a token has no say in this.
        issuer_class: What it may sign.
        public_key: 32 bytes for Ed25519.
        use_from: First instant of issue that counts.
        sign_until: First instant of issue that no longer counts.
        verify_until: First instant at which nothing signed with it counts any more.
        dropped_at: Since when it is not trusted by itself, if ever (stolen, or thought to be).
    """

    kid: int
    algorithm: Algorithm
    issuer_class: IssuerClass
    public_key: bytes
    use_from: datetime
    sign_until: datetime
    verify_until: datetime
    dropped_at: datetime | None = None


class Signer(Protocol):
    """Something that signs with one key: in this process, or one day in a device."""

    @property
    def kid(self) -> int:
        """Number of the key."""

    @property
    def issuer_class(self) -> IssuerClass:
        """What the key may sign."""

    def sign(self, payload: bytes) -> bytes:
        """Answer the 64 bytes of the signature."""


class Verifier(Protocol):
    """Something that judges signatures of tokens."""

    def verify(self, parsed: Parsed, at: datetime) -> SignatureVerdict:
        """Judge a token as of an instant."""


class _Ed25519Signer:
    """Signs with a private key in memory, one kind of statement only."""

    def __init__(self, kid: int, issuer_class: IssuerClass, private_key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self.kid = kid
        self.issuer_class = issuer_class
        self.public_key = self._key.public_key().public_bytes_raw()


class TokenSigner(_Ed25519Signer):
    """Signs the payloads of tokens, those of its class and its kid."""

    def __init__(
        self,
        kid: int,
        issuer_class: IssuerClass,
        private_key: bytes,
        *,
        use_from: datetime | None = None,
        sign_until: datetime | None = None,
    ) -> None:
        """Hold a private key of 32 bytes for tokens issued from `use_from` to `sign_until`."""
        assert TOKEN_TYPES[issuer_class], "keys of this class sign no tokens"
        super().__init__(kid, issuer_class, private_key)
        self._use_from = use_from
        self._sign_until = sign_until

    def sign(self, payload: bytes) -> bytes:
        """Sign a payload made by `token.encode_payload`. The same payload always signs alike.

        Raises:
            NoSigningKey: the key's time has not begun, or is over. Whoever holds a signer for a
                while, or past a clock that was set back, would otherwise print tickets that every
                gate refuses.
        """
        claims = claims_of(payload)
        assert claims.kid == self.kid, "the payload names another key"
        assert claims.type in TOKEN_TYPES[self.issuer_class], "not for a key of this class"
        too_early = self._use_from is not None and claims.issued_at < tick_floor(self._use_from)
        too_late = self._sign_until is not None and claims.issued_at >= self._sign_until
        if too_early or too_late:
            raise NoSigningKey(issuer_class=self.issuer_class)
        return self._key.sign(signing_input(payload))


class StatementSigner(_Ed25519Signer):
    """Signs the bytes of status lists or checkpoints as they are."""

    def __init__(self, kid: int, issuer_class: IssuerClass, private_key: bytes) -> None:
        """Hold a private key of 32 bytes that signs no tokens."""
        assert not TOKEN_TYPES[issuer_class], "keys of this class sign tokens only"
        super().__init__(kid, issuer_class, private_key)

    def sign(self, payload: bytes) -> bytes:
        """Sign bytes; no prefix is needed, since the key signs nothing else."""
        return self._key.sign(payload)


class Keyset:
    """All public keys as known at one instant; immutable, so that threads may share it."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        """Take a snapshot of the registry."""
        self._keys = {key.kid: key for key in keys}
        self._first = {key.kid: tick_floor(key.use_from) for key in self._keys.values()}

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """The keys by kid: what an offline reader is given."""
        return tuple(self._keys[kid] for kid in sorted(self._keys))

    def verify(self, parsed: Parsed, at: datetime) -> SignatureVerdict:
        """Judge a token as of an instant.

        In this order, so that a forgery is called one whatever its key's dates are:

        1. The kid names a key, whose row fixes the algorithm.
        2. The signature is that key's.
        3. The key may sign tokens of this type.
        4. The key was not dropped.
        5. The token was issued between `use_from` and `sign_until`.
        6. `at` is before `verify_until`, and not before `use_from`.
        7. The token is not one for tests.

        Only 2 is remembered; dates are looked at every time.
        """
        claims = parsed.claims
        key = self._keys.get(claims.kid)
        if key is None or key.algorithm is not Algorithm.ED25519:  # 1
            return SignatureVerdict.UNKNOWN_KEY
        try:
            _check_ed25519(key.public_key, parsed.payload, parsed.signature)  # 2
        except InvalidSignature:
            return SignatureVerdict.BAD_SIGNATURE
        if claims.type not in TOKEN_TYPES[key.issuer_class]:  # 3
            return SignatureVerdict.WRONG_KEY_CLASS
        if key.dropped_at is not None and key.dropped_at <= at:  # 4
            return SignatureVerdict.KEY_DROPPED
        if claims.issued_at < self._first[claims.kid] or at < key.use_from:  # 5, 6
            return SignatureVerdict.KEY_NOT_YET_VALID
        if claims.issued_at >= key.sign_until or at >= key.verify_until:  # 5, 6
            return SignatureVerdict.KEY_EXPIRED
        if claims.type is TokenType.TEST:  # 7
            return SignatureVerdict.TEST
        return SignatureVerdict.VALID


@lru_cache(_REMEMBERED)
def _check_ed25519(public_key: bytes, payload: bytes, signature: bytes) -> None:
    """Raise InvalidSignature unless the signature is right.

    Right ones are remembered: a ticket is read many times, on its page, at the gate, in a trace. An
    exception is not remembered, so that a flood of forgeries cannot push the right ones out. The
    arguments are the token's digits in binary (one spelling each) and the key itself, so that a
    registry that changed can never meet an old answer.
    """
    _public_key(public_key).verify(signature, signing_input(payload))


@lru_cache
def _public_key(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)
