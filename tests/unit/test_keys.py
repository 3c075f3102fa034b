from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature

from app.signing import keys, token
from app.signing.keys import (
    Algorithm,
    IssuerClass,
    Keyset,
    PublicKey,
    SignatureVerdict,
    StatementSigner,
    TokenSigner,
)
from app.signing.rules import NoSigningKey
from app.signing.token import Claims, Flags, Parsed, TokenType

USE_FROM = datetime(2026, 5, 1, tzinfo=UTC)
SIGN_UNTIL = datetime(2026, 7, 30, tzinfo=UTC)
VERIFY_UNTIL = datetime(2026, 8, 6, tzinfo=UTC)
TICK = timedelta(minutes=10)
SECOND = timedelta(seconds=1)
NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519

TICKETS = TokenSigner(7, IssuerClass.TICKET, bytes(range(32)))
TESTS = TokenSigner(8, IssuerClass.TEST, bytes(range(1, 33)))
STATUS = StatementSigner(9, IssuerClass.STATUS, bytes(range(2, 34)))


def public(signer: TokenSigner | StatementSigner) -> PublicKey:
    return PublicKey(
        kid=signer.kid,
        algorithm=Algorithm.ED25519,
        issuer_class=signer.issuer_class,
        public_key=signer.public_key,
        use_from=USE_FROM,
        sign_until=SIGN_UNTIL,
        verify_until=VERIFY_UNTIL,
    )


KEY = public(TICKETS)
KEYSET = Keyset([public(STATUS), KEY, public(TESTS)])
CLAIMS = Claims(
    type=TokenType.TICKET,
    kid=TICKETS.kid,
    serial=1,
    issued_at=NOON,
    ttl_h=72,
    product=1,
    quantity_dg=1,
    origin=None,
    issuer=1,
    flags=Flags.SELF_PROMISE,
    status_index=0,
)


def signed(claims: Claims, signer: TokenSigner = TICKETS) -> Parsed:
    payload = token.encode_payload(claims)
    return token.parse(token.digits(payload, signer.sign(payload)))


TICKET = signed(CLAIMS)


@pytest.mark.parametrize("kind", [TokenType.ORIGIN_CERTIFICATE, TokenType.TICKET])
def test_a_signed_token_is_valid(kind: TokenType) -> None:
    parsed = signed(CLAIMS._replace(type=kind))
    assert KEYSET.verify(parsed, NOON) is SignatureVerdict.VALID


def test_a_test_token_is_never_valid() -> None:
    parsed = signed(CLAIMS._replace(type=TokenType.TEST, kid=TESTS.kid), TESTS)
    assert KEYSET.verify(parsed, NOON) is SignatureVerdict.TEST


def test_every_flipped_bit_is_found() -> None:
    content = TICKET.payload + TICKET.signature
    for bit in range(len(content) * 8):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            parsed = token.parse(token.digits(bytes(changed[:38]), bytes(changed[38:])))
        except token.UnreadableError:
            continue
        verdict = KEYSET.verify(parsed, NOON)
        in_kid = 8 <= bit < 24
        assert verdict is SignatureVerdict.BAD_SIGNATURE or (
            in_kid and verdict is SignatureVerdict.UNKNOWN_KEY
        )


def test_a_signature_has_one_form() -> None:
    # Adding the group's order to S makes a second signature that careless verifiers accept, and so
    # a second spelling of the same ticket.
    s = int.from_bytes(TICKET.signature[32:], "little") + ORDER
    other = TICKET._replace(signature=TICKET.signature[:32] + s.to_bytes(32, "little"))
    assert KEYSET.verify(other, NOON) is SignatureVerdict.BAD_SIGNATURE


def test_a_signature_over_the_bare_payload_does_not_count() -> None:
    statement = StatementSigner(7, IssuerClass.LOG, bytes(range(32)))  # the ticket key itself
    other = TICKET._replace(signature=statement.sign(TICKET.payload))
    assert KEYSET.verify(other, NOON) is SignatureVerdict.BAD_SIGNATURE


@pytest.mark.parametrize("issuer_class", [c for c in IssuerClass if c is not IssuerClass.TICKET])
def test_a_key_of_another_class_cannot_sign_tickets(issuer_class: IssuerClass) -> None:
    keyset = Keyset([replace(KEY, issuer_class=issuer_class)])
    assert keyset.verify(TICKET, NOON) is SignatureVerdict.WRONG_KEY_CLASS


def test_a_ticket_key_cannot_sign_test_tokens() -> None:
    masquerade = TokenSigner(7, IssuerClass.TEST, bytes(range(32)))
    parsed = signed(CLAIMS._replace(type=TokenType.TEST), masquerade)
    assert KEYSET.verify(parsed, NOON) is SignatureVerdict.WRONG_KEY_CLASS


def test_the_registry_alone_chooses_the_algorithm() -> None:
    keyset = Keyset([replace(KEY, algorithm=Algorithm.SM2)])
    verdict = keyset.verify(TICKET, NOON)
    assert verdict is SignatureVerdict.UNKNOWN_KEY
    assert verdict.needs_online_check


def test_an_unknown_key_is_not_called_a_forgery() -> None:
    verdict = Keyset([]).verify(TICKET, NOON)
    assert verdict is SignatureVerdict.UNKNOWN_KEY
    assert verdict.needs_online_check


@pytest.mark.parametrize(
    ("issued_at", "verdict"),
    [
        (USE_FROM - TICK, SignatureVerdict.KEY_NOT_YET_VALID),
        (USE_FROM - SECOND, SignatureVerdict.KEY_NOT_YET_VALID),
        (USE_FROM, SignatureVerdict.VALID),
        (USE_FROM + SECOND, SignatureVerdict.VALID),
        (SIGN_UNTIL - SECOND, SignatureVerdict.VALID),
        (SIGN_UNTIL, SignatureVerdict.KEY_EXPIRED),
        (SIGN_UNTIL + TICK, SignatureVerdict.KEY_EXPIRED),
    ],
)
def test_a_token_counts_only_if_issued_while_its_key_was_in_use(
    issued_at: datetime, verdict: SignatureVerdict
) -> None:
    parsed = signed(CLAIMS._replace(issued_at=issued_at))
    assert KEYSET.verify(parsed, SIGN_UNTIL + TICK) is verdict


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        (USE_FROM - SECOND, SignatureVerdict.KEY_NOT_YET_VALID),
        (USE_FROM, SignatureVerdict.VALID),
        (VERIFY_UNTIL - SECOND, SignatureVerdict.VALID),
        (VERIFY_UNTIL, SignatureVerdict.KEY_EXPIRED),
    ],
)
def test_dates_are_looked_at_each_time(at: datetime, verdict: SignatureVerdict) -> None:
    assert KEYSET.verify(TICKET, NOON) is SignatureVerdict.VALID
    assert KEYSET.verify(TICKET, at) is verdict


def test_a_dropped_key_needs_an_online_check_from_then_on() -> None:
    keyset = Keyset([replace(KEY, dropped_at=NOON)])
    assert keyset.verify(TICKET, NOON - SECOND) is SignatureVerdict.VALID
    verdict = keyset.verify(TICKET, NOON)
    assert verdict is SignatureVerdict.KEY_DROPPED
    assert verdict.needs_online_check


def test_a_forgery_under_a_dropped_key_is_still_a_forgery() -> None:
    keyset = Keyset([replace(KEY, dropped_at=NOON)])
    forged = TICKET._replace(signature=bytes(64))
    assert keyset.verify(forged, NOON) is SignatureVerdict.BAD_SIGNATURE


def test_another_key_under_the_same_kid_meets_no_remembered_answer() -> None:
    assert KEYSET.verify(TICKET, NOON) is SignatureVerdict.VALID
    other = Keyset([replace(KEY, public_key=TESTS.public_key)])
    assert other.verify(TICKET, NOON) is SignatureVerdict.BAD_SIGNATURE


def test_right_signatures_are_remembered_and_wrong_ones_are_not() -> None:
    keys._check_ed25519.cache_clear()
    forged = TICKET._replace(signature=bytes(64))
    for _ in range(3):
        KEYSET.verify(TICKET, NOON)
        KEYSET.verify(forged, NOON)
    remembered = keys._check_ed25519.cache_info()
    assert (remembered.hits, remembered.currsize) == (2, 1)
    assert remembered.maxsize is not None


def test_a_keyset_lists_its_keys_by_kid() -> None:
    assert [key.kid for key in KEYSET.keys] == [7, 8, 9]


def test_signing_again_gives_the_same_token() -> None:
    assert signed(CLAIMS) == TICKET


def test_a_signer_refuses_what_its_key_must_not_sign() -> None:
    with pytest.raises(AssertionError, match="another key"):
        TICKETS.sign(token.encode_payload(CLAIMS._replace(kid=8)))
    with pytest.raises(AssertionError, match="class"):
        TICKETS.sign(token.encode_payload(CLAIMS._replace(type=TokenType.TEST)))
    with pytest.raises(AssertionError, match="class"):
        TokenSigner(1, IssuerClass.LOG, bytes(32))
    with pytest.raises(AssertionError, match="class"):
        StatementSigner(1, IssuerClass.TICKET, bytes(32))


@pytest.mark.parametrize(("minutes", "signs"), [(-10, False), (0, True), (50, True), (60, False)])
def test_a_signer_signs_in_the_time_of_its_key_only(minutes: int, *, signs: bool) -> None:
    # The key's first instant need not lie on the tokens' grid: the first token is rounded down.
    use_from, sign_until = NOON + timedelta(minutes=3), NOON + timedelta(hours=1)
    signer = TokenSigner(
        7, IssuerClass.TICKET, bytes(range(32)), use_from=use_from, sign_until=sign_until
    )
    payload = token.encode_payload(CLAIMS._replace(issued_at=NOON + timedelta(minutes=minutes)))
    if signs:
        assert signer.sign(payload) == TICKETS.sign(payload)
    else:
        with pytest.raises(NoSigningKey):
            signer.sign(payload)


def test_a_statement_is_signed_as_it_is() -> None:
    signature = STATUS.sign(b"list 1")
    key = keys._public_key(STATUS.public_key)
    key.verify(signature, b"list 1")
    with pytest.raises(InvalidSignature):
        key.verify(signature, b"list 2")
