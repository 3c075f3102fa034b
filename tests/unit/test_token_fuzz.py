"""100,000 mutated tokens: none may pass, none may crash the reader (trust.md §4, token fuzz)."""

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.signing import token
from app.signing.keys import (
    Algorithm,
    IssuerClass,
    Keyset,
    PublicKey,
    SignatureVerdict,
    TokenSigner,
)
from app.signing.token import Claims, Flags, TokenType

CASES = 100_000
SEED = 20260506
NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
TICKETS = TokenSigner(7, IssuerClass.TICKET, bytes(range(32)))
TESTS = TokenSigner(8, IssuerClass.TEST, bytes(range(1, 33)))
RETIRED = TokenSigner(9, IssuerClass.TICKET, bytes(range(2, 34)))
SCRIPTS = ["٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "⁰¹²³⁴⁵⁶⁷⁸⁹"]
GENUINE = 64

Mutation = Callable[[random.Random, str], str]


def public(signer: TokenSigner, *, until: datetime) -> PublicKey:
    return PublicKey(
        kid=signer.kid,
        algorithm=Algorithm.ED25519,
        issuer_class=signer.issuer_class,
        public_key=signer.public_key,
        use_from=NOON - timedelta(days=200),
        sign_until=until,
        verify_until=until + timedelta(days=7),
    )


KEYSET = Keyset(
    [
        public(TICKETS, until=NOON + timedelta(days=30)),
        public(TESTS, until=NOON + timedelta(days=30)),
        public(RETIRED, until=NOON - timedelta(days=1)),
    ]
)


def issue(chance: random.Random, signer: TokenSigner, kind: TokenType) -> str:
    claims = Claims(
        type=kind,
        kid=signer.kid,
        serial=chance.getrandbits(63),
        issued_at=NOON - timedelta(hours=chance.randrange(1, 20)),
        ttl_h=72,
        product=chance.getrandbits(20),
        quantity_dg=chance.getrandbits(20),
        origin="320612104000",
        issuer=chance.getrandbits(20),
        flags=Flags(chance.getrandbits(6)),
        status_index=chance.getrandbits(20),
    )
    payload = token.encode_payload(claims)
    return token.digits(payload, signer.sign(payload))


# Signing takes the most time, so these are made once and used in turn.
_CHANCE = random.Random(SEED + 1)
OTHERS = [issue(_CHANCE, TICKETS, TokenType.TICKET) for _ in range(256)]
TEST_TOKENS = [issue(_CHANCE, TESTS, TokenType.TEST) for _ in range(256)]
LATE_TOKENS = [issue(_CHANCE, RETIRED, TokenType.TICKET) for _ in range(256)]


def spell(content: bytes | bytearray, lead: bytes = b"\x01") -> str:
    return str(int.from_bytes(lead + content, "big"))


def content_of(digits: str) -> bytearray:
    return bytearray(int(digits).to_bytes(103, "big")[1:])


def flip_bits(chance: random.Random, digits: str) -> str:
    content = content_of(digits)
    for bit in chance.sample(range(816), chance.choice([1, 1, 1, 2, 3, 8])):
        content[bit // 8] ^= 1 << bit % 8
    return spell(content)


def change_digits(chance: random.Random, digits: str) -> str:
    changed = list(digits)
    for place in chance.sample(range(len(digits)), chance.randrange(1, 5)):
        changed[place] = chance.choice("0123456789".replace(changed[place], ""))
    return "".join(changed)


def truncate(chance: random.Random, digits: str) -> str:
    start = chance.randrange(0, 20)
    return digits[start : chance.randrange(start, len(digits) - (start == 0))]


def lead_with_zeros(chance: random.Random, digits: str) -> str:
    return "0" * chance.randrange(1, 80) + digits


def enlarge(chance: random.Random, digits: str) -> str:
    return digits + str(chance.getrandbits(60)) * chance.choice([1, 2, 3, 4, 200])


def pad_content(chance: random.Random, digits: str) -> str:
    extra = chance.randbytes(chance.randrange(1, 20))
    return (
        spell(content_of(digits) + extra)
        if chance.random() < 0.5
        else (spell(extra + content_of(digits)))
    )


def other_lead(chance: random.Random, digits: str) -> str:
    return spell(content_of(digits), bytes([chance.choice([0, *range(2, 256)])]))


def other_kid(chance: random.Random, digits: str) -> str:
    content = content_of(digits)
    kid = chance.choice([0, 8, 9, 65535, chance.randrange(10, 65536)])
    content[1:3] = kid.to_bytes(2, "big")
    return spell(content)


def other_version_or_type(chance: random.Random, digits: str) -> str:
    content = content_of(digits)
    content[0] = chance.choice([head for head in range(256) if head != content[0]])
    return spell(content)


def signed_as_test(chance: random.Random, digits: str) -> str:
    return chance.choice(TEST_TOKENS)


def test_as_ticket(chance: random.Random, digits: str) -> str:
    """A rightly signed TEST token whose type was changed."""
    content = content_of(chance.choice(TEST_TOKENS))
    content[0] = 0x12
    if chance.random() < 0.5:
        content[1:3] = (7).to_bytes(2, "big")
    return spell(content)


def after_the_keys_time(chance: random.Random, digits: str) -> str:
    return chance.choice(LATE_TOKENS)


def other_script(chance: random.Random, digits: str) -> str:
    script = chance.choice(SCRIPTS)
    place = chance.randrange(len(digits))
    everywhere = chance.random() < 0.3
    return "".join(
        script[int(digit)] if everywhere or at == place else digit
        for at, digit in enumerate(digits)
    )


def insert_text(chance: random.Random, digits: str) -> str:
    junk = chance.choice(
        [" ", "\n", "\0", "_", "-", "+", ".", "e", "\u202e", "\ufeff", "二", "\ud800"]
    )
    place = chance.randrange(len(digits) + 1)
    return digits[:place] + junk + digits[place:]


def swap_signature(chance: random.Random, digits: str) -> str:
    other = content_of(chance.choice(OTHERS))
    return spell(content_of(digits)[:38] + other[38:])


def odd_signature(chance: random.Random, digits: str) -> str:
    """Signatures that careless verifiers take: small-order points, zero, S beyond the order."""
    point = chance.choice(
        [
            bytes(32),
            b"\x01" + bytes(31),
            b"\xec" + b"\xff" * 30 + b"\x7f",
            bytes(content_of(digits)[38:70]),
        ]
    )
    scalar = chance.choice([bytes(32), b"\xff" * 32, chance.randbytes(32)])
    return spell(content_of(digits)[:38] + point + scalar)


def any_content(chance: random.Random, digits: str) -> str:
    return spell(bytes([chance.choice([0x11, 0x12, 0x1F])]) + b"\0\x07" + chance.randbytes(99))


MUTATIONS: list[Mutation] = [
    *[flip_bits, change_digits, truncate] * 3,
    *[lead_with_zeros, enlarge, pad_content, other_lead, other_script, insert_text] * 2,
    *[other_kid, other_version_or_type, swap_signature, odd_signature, any_content] * 2,
    signed_as_test,
    test_as_ticket,
    after_the_keys_time,
]
test_as_ticket.__test__ = False  # type: ignore[attr-defined]  # a mutation with a telling name


@pytest.mark.slow
def test_no_mutated_token_is_accepted_and_none_crashes_the_reader() -> None:
    chance = random.Random(SEED)
    genuine = [
        issue(chance, TICKETS, chance.choice([TokenType.TICKET, TokenType.ORIGIN_CERTIFICATE]))
        for _ in range(GENUINE)
    ]
    for digits in genuine:
        assert KEYSET.verify(token.parse(digits), NOON) is SignatureVerdict.VALID
    known = {*genuine, *OTHERS}
    answers: Counter[str] = Counter()
    slowest_s = 0.0
    for case in range(CASES):
        mutate = MUTATIONS[case % len(MUTATIONS)]
        text = mutate(chance, genuine[case % GENUINE])
        assert text not in known, (SEED, case, mutate.__name__)
        start = time.process_time()
        try:
            parsed = token.parse(text)
        except token.UnreadableError as finding:
            answers[finding.reason] += 1
            slowest_s = max(slowest_s, time.process_time() - start)
            continue
        slowest_s = max(slowest_s, time.process_time() - start)
        verdict = KEYSET.verify(parsed, NOON)
        answers[verdict] += 1
        assert verdict is not SignatureVerdict.VALID, (SEED, case, mutate.__name__, text)
    print(  # noqa: T201  # figures for the reader
        f"\n{CASES} mutated tokens (seed {SEED}): accepted 0, crashes 0, "
        f"slowest parse {slowest_s * 1000:.2f} ms; {dict(answers.most_common())}"
    )
    # All the ways in which a token can fail were taken, or the mutations have gone blunt.
    expected = {*token.Unreadable} - {token.Unreadable.FOREIGN_ADDRESS}
    assert expected <= answers.keys()
    assert {
        SignatureVerdict.BAD_SIGNATURE,
        SignatureVerdict.UNKNOWN_KEY,
        SignatureVerdict.KEY_EXPIRED,
        SignatureVerdict.TEST,
    } <= answers.keys()
    assert slowest_s < 0.1
