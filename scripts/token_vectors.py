"""Write `schemas/token-vectors.json`: tokens that every reader, in any language, must judge alike.

The keys are derived from a published text, so the file comes out the same each time, and no real
key can be among them. After a change of tokens run `PYTHONPATH=. python scripts/token_vectors.py`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.signing import token
from app.signing.keys import (
    Algorithm,
    IssuerClass,
    Keyset,
    PublicKey,
    StatementSigner,
    TokenSigner,
)
from app.signing.token import Claims, Flags, TokenType, UnreadableError

TARGET = Path(__file__).parent.parent / "schemas" / "token-vectors.json"
VECTORS = 1_000
BASE_URL = "https://ypt.example"
NOON = datetime(2026, 6, 18, 4, tzinfo=UTC)  # noon in Shanghai
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519
TICK = token.TICK


def _seed(kid: int) -> bytes:
    return hashlib.sha256(f"one-ticket token vectors, key {kid}".encode()).digest()


TICKETS = TokenSigner(7, IssuerClass.TICKET, _seed(7))
TESTS = TokenSigner(8, IssuerClass.TEST, _seed(8))
RETIRED = TokenSigner(9, IssuerClass.TICKET, _seed(9))
DROPPED = TokenSigner(10, IssuerClass.TICKET, _seed(10))
LOG = StatementSigner(11, IssuerClass.LOG, _seed(11))
LOG_AS_TICKETS = TokenSigner(11, IssuerClass.TICKET, _seed(11))
SM2 = TokenSigner(12, IssuerClass.TICKET, _seed(12))
UNKNOWN = TokenSigner(13, IssuerClass.TICKET, _seed(13))
TESTS_AS_TICKETS = TokenSigner(8, IssuerClass.TICKET, _seed(8))
TICKETS_AS_TESTS = TokenSigner(7, IssuerClass.TEST, _seed(7))
USE_FROM = datetime(2026, 5, 1, tzinfo=UTC)
SIGN_UNTIL = USE_FROM + timedelta(days=90)

CLAIMS = Claims(
    type=TokenType.TICKET,
    kid=7,
    serial=0x1122334455667788,
    issued_at=NOON - timedelta(hours=8),
    ttl_h=72,
    product=110201,
    quantity_dg=12_345,
    origin="320612104000",
    issuer=4711,
    flags=Flags.SELF_TESTED | Flags.SELF_PROMISE | Flags.TEST_ATTACHED,
    status_index=65_537,
)


def public(
    signer: TokenSigner | StatementSigner,
    *,
    use_from: datetime = USE_FROM,
    algorithm: Algorithm = Algorithm.ED25519,
    dropped_at: datetime | None = None,
) -> PublicKey:
    """Register a key from an instant for 90 days, and for 7 more to verify."""
    sign_until = use_from + timedelta(days=90)
    return PublicKey(
        kid=signer.kid,
        algorithm=algorithm,
        issuer_class=signer.issuer_class,
        public_key=signer.public_key,
        use_from=use_from,
        sign_until=sign_until,
        verify_until=sign_until + timedelta(days=7),
        dropped_at=dropped_at,
    )


KEYSET = Keyset(
    [
        public(TICKETS),
        public(TESTS),
        public(RETIRED, use_from=USE_FROM - timedelta(days=90)),
        public(DROPPED, dropped_at=NOON - timedelta(days=1)),
        public(LOG),
        public(SM2, algorithm=Algorithm.SM2),
    ]
)


def sign(claims: Claims, signer: TokenSigner = TICKETS) -> str:
    """Spell signed claims."""
    payload = token.encode_payload(claims._replace(kid=signer.kid))
    return token.digits(payload, signer.sign(payload))


def sign_bytes(payload: bytes) -> str:
    """Spell a payload that `encode_payload` refuses to make, rightly signed by key 7."""
    signature = TICKETS._key.sign(token.signing_input(payload))  # noqa: SLF001  # forging is the job
    return token.digits(payload, signature)


def patched(offset: int, value: bytes) -> bytes:
    """Answer the model payload with some bytes replaced."""
    payload = token.encode_payload(CLAIMS)
    return payload[:offset] + value + payload[offset + len(value) :]


def spell(content: bytes, lead: bytes = b"\x01") -> str:
    """Spell any bytes as digits."""
    return str(int.from_bytes(lead + content, "big"))


def good() -> Iterator[tuple[str, str, datetime]]:
    """Walk tokens whose signature is right: name, digits, instant of verification."""
    yield "a ticket", sign(CLAIMS), NOON
    certificate = CLAIMS._replace(type=TokenType.ORIGIN_CERTIFICATE, serial=2)
    yield "an origin certificate", sign(certificate), NOON
    yield "no origin, no flags", sign(CLAIMS._replace(origin=None, flags=Flags(0))), NOON
    yield "an origin that begins with zero", sign(CLAIMS._replace(origin="012345678901")), NOON
    least = Claims(TokenType.TICKET, 7, 0, USE_FROM, 1, 0, 0, None, 0, Flags(0), 0)
    yield "smallest values", sign(least), NOON
    u32 = 2**32 - 1
    most = Claims(
        TokenType.TICKET, 7, 2**63 - 1, SIGN_UNTIL - TICK, 65535, u32, u32, "9" * 12, u32,
        Flags(63), u32,
    )  # fmt: skip
    yield "largest values, in the last ten minutes of signing", sign(most), SIGN_UNTIL
    yield "reserved flags set by a later writer", sign_bytes(patched(33, b"\xd9")), NOON
    yield (
        "in the last second of verification",
        sign(CLAIMS),
        (SIGN_UNTIL + timedelta(days=7) - timedelta(seconds=1)),
    )
    yield "a test token", sign(CLAIMS._replace(type=TokenType.TEST), TESTS), NOON


def dated() -> Iterator[tuple[str, str, datetime]]:
    """Walk tokens whose signature is right, and whose key does not carry them."""
    early = CLAIMS._replace(issued_at=USE_FROM - TICK)
    yield "issued before its key was in use", sign(early), NOON
    late = CLAIMS._replace(issued_at=SIGN_UNTIL)
    yield "issued after its key was in use", sign(late), SIGN_UNTIL
    yield "verified by a clock before the key's time", sign(CLAIMS), USE_FROM - TICK
    yield "verified when the key no longer verifies", sign(CLAIMS), SIGN_UNTIL + timedelta(days=7)
    yield "a retired key still in somebody's hands", sign(CLAIMS, RETIRED), NOON
    yield "a dropped key", sign(CLAIMS, DROPPED), NOON
    yield "a key that the registry does not hold", sign(CLAIMS, UNKNOWN), NOON
    yield "a key of an algorithm that this reader lacks", sign(CLAIMS, SM2), NOON
    yield "a ticket signed by the log's key", sign(CLAIMS, LOG_AS_TICKETS), NOON
    yield "a ticket signed by the key for tests", sign(CLAIMS, TESTS_AS_TICKETS), NOON
    test = CLAIMS._replace(type=TokenType.TEST)
    yield "a test token signed by the key for tickets", sign(test, TICKETS_AS_TESTS), NOON


def forged() -> Iterator[tuple[str, str, datetime]]:
    """Walk tokens that read well and whose signature is wrong."""
    payload = token.encode_payload(CLAIMS)
    signature = TICKETS.sign(payload)
    yield "quantity changed", token.digits(patched(20, b"\0\0\xff\xff"), signature), NOON
    yield "another key named", token.digits(patched(1, b"\0\x0a"), signature), NOON
    flipped = bytes([*signature[:-1], signature[-1] ^ 1])
    yield "last bit of the signature flipped", token.digits(payload, flipped), NOON
    other = TICKETS.sign(token.encode_payload(CLAIMS._replace(serial=3)))
    yield "signature of another ticket", token.digits(payload, other), NOON
    bare = TICKETS._key.sign(payload)  # noqa: SLF001  # forging is the job
    yield "signed without the domain prefix", token.digits(payload, bare), NOON
    s = int.from_bytes(signature[32:], "little") + ORDER
    malleated = signature[:32] + s.to_bytes(32, "little")
    yield "S not reduced by the group's order", token.digits(payload, malleated), NOON
    yield "signature of zeros", token.digits(payload, bytes(64)), NOON
    small = b"\x01" + bytes(63)
    yield "R of small order, S zero", token.digits(payload, small), NOON
    test = sign(CLAIMS._replace(type=TokenType.TEST), TESTS)
    content = int(test).to_bytes(103, "big")[1:]
    yield "a test token renamed a ticket", spell(b"\x12" + content[1:]), NOON


def unreadable() -> Iterator[tuple[str, str, datetime]]:
    """Walk digits that are no token of version 1."""
    digits = sign(CLAIMS)
    content = int(digits).to_bytes(103, "big")[1:]
    yield "nothing", "", NOON
    yield "301 digits", "1" * 301, NOON
    yield "300 digits", "1" * 300, NOON
    yield "a leading zero", "0" + digits, NOON
    yield "a blank after the digits", digits + " ", NOON
    yield "a query after the digits", digits + "?a=1", NOON
    yield "digits of another script", digits.translate({49: "١"}), NOON
    yield "full-width digits", digits.translate({49: "１"}), NOON
    yield "one digit less", digits[:-1], NOON
    yield "one byte less", spell(content[:-1]), NOON
    yield "one byte more", spell(content + b"\0"), NOON
    yield "another leading byte", spell(content, b"\x02"), NOON
    yield "version 2", sign_bytes(patched(0, b"\x22")), NOON
    yield "an unknown type", sign_bytes(patched(0, b"\x13")), NOON
    yield "key 0", sign_bytes(patched(1, b"\0\0")), NOON
    yield "a serial of 64 bits", sign_bytes(patched(3, b"\x80")), NOON
    yield "no time to live", sign_bytes(patched(14, b"\0\0")), NOON
    yield "an origin of 13 digits", sign_bytes(patched(24, (10**12).to_bytes(5, "big"))), NOON


def foreign() -> Iterator[tuple[str, str, datetime]]:
    """Walk addresses that are not ours, with the digits of a valid ticket."""
    digits = sign(CLAIMS)
    yield "the digits alone", digits, NOON
    for name, start in {
        "another scheme": "http://ypt.example/t/",
        "capital letters": "HTTPS://YPT.EXAMPLE/t/",
        "another port": "https://ypt.example:8443/t/",
        "a host that begins like ours": "https://ypt.example.evil.example/t/",
        "our host as a user name": "https://ypt.example@evil.example/t/",
        "another path": "https://ypt.example/T/",
    }.items():
        yield name, start + digits, NOON


class Chance:
    """Numbers that look like chance, and are the same each time."""

    def __init__(self, seed: str) -> None:
        """Begin."""
        self._seed = seed
        self._count = 0

    def below(self, limit: int) -> int:
        """Draw a number from 0 up to and without a limit."""
        return int.from_bytes(self.bytes(16)) % limit

    def bytes(self, size: int) -> bytes:
        """Draw bytes."""
        drawn = b""
        while len(drawn) < size:
            self._count += 1
            drawn += hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()
        return drawn[:size]

    def one_of(self, choices: Sequence[Any]) -> Any:
        """Draw one of several."""
        return choices[self.below(len(choices))]


SIGNERS = (
    TICKETS, RETIRED, DROPPED, LOG_AS_TICKETS, SM2, UNKNOWN, TESTS_AS_TICKETS,
)  # fmt: skip
INSTANTS = (NOON, USE_FROM - TICK, USE_FROM, SIGN_UNTIL - TICK, SIGN_UNTIL + timedelta(days=8))
SCRIPTS = ("٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")


def drawn_claims(chance: Chance) -> Claims:
    """Draw claims that a writer may make, somewhere near the keys' time."""
    ticks = chance.below(6 * 24 * 120) - 6 * 24 * 15
    return Claims(
        type=chance.one_of([TokenType.TICKET, TokenType.ORIGIN_CERTIFICATE]),
        kid=7,
        serial=chance.below(2**63),
        issued_at=USE_FROM + ticks * TICK,
        ttl_h=1 + chance.below(65_535),
        product=chance.below(2**32),
        quantity_dg=chance.below(2**32),
        origin=chance.one_of([None, f"{1 + chance.below(10**12 - 1):012}"]),
        issuer=chance.below(2**32),
        flags=Flags(chance.below(64)),
        status_index=chance.below(2**32),
    )


def respelled(chance: Chance, digits: str) -> str:
    """Write the same number otherwise, or nearly."""
    place = chance.below(len(digits))
    ways = [
        "0" * (1 + chance.below(60)) + digits,
        "+" + digits,
        digits + chance.one_of(["\n", "\t", " ", "\u200b", "#x", "?x=1", "/", ".0", "e0", "n"]),
        chance.one_of([" ", "\ufeff", "-", "0x"]) + digits,
        digits[:place] + chance.one_of(["_", ",", " ", "\u00a0"]) + digits[place:],
        digits[:place] + "%3" + digits[place:],
        digits.translate({48 + at: other for at, other in enumerate(chance.one_of(SCRIPTS))}),
        hex(int(digits)),
    ]
    return str(chance.one_of(ways))


def flipped(chance: Chance, digits: str) -> str:
    """Flip one bit of the 102 bytes."""
    number = int(digits)
    return str(number ^ (1 << chance.below(8 * 102)))


def cut(chance: Chance, digits: str) -> str:
    """Lose one end."""
    size = 1 + chance.below(len(digits) - 1)
    return str(chance.one_of([digits[:size], digits[-size:]]))


def changed(chance: Chance, digits: str) -> str:
    """Change one digit."""
    place = chance.below(len(digits))
    return (
        digits[:place] + str((int(digits[place]) + 1 + chance.below(9)) % 10) + digits[place + 1 :]
    )


def renamed(chance: Chance, digits: str) -> str:
    """Name another key, and keep the signature."""
    content = int(digits).to_bytes(103, "big")[1:]
    return spell(content[:1] + (7 + chance.below(8)).to_bytes(2, "big") + content[3:])


def retyped(chance: Chance, _digits: str) -> str:
    """Sign another version or type."""
    return sign_bytes(patched(0, chance.bytes(1)))


def refilled(chance: Chance, _digits: str) -> str:
    """Sign fields that no writer makes."""
    return sign_bytes(patched(chance.below(34), chance.bytes(4)))


def noise(chance: Chance, _digits: str) -> str:
    """Write bytes that nobody signed."""
    return spell(chance.bytes(100 + chance.below(5)))


def untouched(_chance: Chance, digits: str) -> str:
    """Leave it as it was drawn."""
    return digits


WAYS: Sequence[tuple[str, Callable[[Chance, str], str]]] = (
    ("a bit flipped", flipped),
    ("another bit flipped", flipped),
    ("cut short", cut),
    ("a digit changed", changed),
    ("another key named", renamed),
    ("another version or type", retyped),
    ("spelled otherwise", respelled),
    ("drawn fields, rightly signed", refilled),
    ("drawn bytes", noise),
    ("as drawn", untouched),
)


def mutated(count: int) -> Iterator[tuple[str, str, datetime]]:
    """Walk tokens drawn by seeded chance: most of them good ones that were tampered with."""
    chance = Chance("one-ticket token vectors")
    for number in range(count):
        name, tamper = WAYS[number % len(WAYS)]
        digits = sign(drawn_claims(chance), chance.one_of(SIGNERS))
        at = chance.one_of(INSTANTS)
        yield f"drawn {number + 1}: {name}", tamper(chance, digits), at


def judge(address: str, at: datetime) -> dict[str, Any]:
    """Judge an address as a reader does, and write down what it found."""
    try:
        parsed = token.parse(token.from_url(address, [BASE_URL]))
    except UnreadableError as finding:
        return {"answer": finding.reason, "cannot_verify": finding.reason.perhaps_newer}
    verdict = KEYSET.verify(parsed, at)
    return {
        "answer": verdict,
        "cannot_verify": verdict.needs_online_check,
        "claims": claims_json(parsed.claims),
    }


def claims_json(claims: Claims) -> dict[str, Any]:
    """Write claims in the form that `schemas/token.json` describes."""
    return {
        "type": _name(claims.type),
        "kid": claims.kid,
        "serial": str(claims.serial),
        "issued_at": _instant(claims.issued_at),
        "ttl_h": claims.ttl_h,
        "product": claims.product,
        "quantity_dg": claims.quantity_dg,
        "origin": claims.origin,
        "issuer": claims.issuer,
        "flags": [_name(flag) for flag in Flags if flag in claims.flags],
        "status_index": claims.status_index,
    }


def document() -> dict[str, Any]:
    """Put the whole document together."""
    ours = [*good(), *dated(), *forged(), *unreadable()]
    ours += mutated(VECTORS - len(ours) - len([*foreign()]))
    cases = [(name, token.url(BASE_URL, digits), at) for name, digits, at in ours] + [*foreign()]
    return {
        "about": (
            "Addresses, the instant at which each is judged with these keys, and the answer. "
            "docs/token.md explains them; scripts/token_vectors.py writes this file. The private "
            "keys are public: SHA-256 of 'one-ticket token vectors, key <kid>'."
        ),
        "base_urls": [BASE_URL],
        "keys": [
            {
                "kid": key.kid,
                "algorithm": key.algorithm,
                "issuer_class": key.issuer_class,
                "public_key": key.public_key.hex(),
                "use_from": _instant(key.use_from),
                "sign_until": _instant(key.sign_until),
                "verify_until": _instant(key.verify_until),
                "dropped_at": None if key.dropped_at is None else _instant(key.dropped_at),
            }
            for key in KEYSET.keys
        ],
        "vectors": [
            {"name": name, "address": address, "at": _instant(at), **judge(address, at)}
            for name, address, at in cases
        ],
    }


def render() -> str:
    """Render the document as it lies in the repository."""
    whole = document()
    vectors = whole.pop("vectors")
    head = json.dumps(whole, ensure_ascii=True, indent=1)
    # A line each: a thousand of them are read by machines, and compared by lines.
    lines = ",\n".join(f"  {json.dumps(vector, ensure_ascii=True)}" for vector in vectors)
    return f'{head[:-2]},\n "vectors": [\n{lines}\n ]\n}}\n'


def _name(member: TokenType | Flags) -> str:
    return str(member.name).lower().replace("_", "-")


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    print(f"{len(document()['vectors'])} vectors in {TARGET.name}")
