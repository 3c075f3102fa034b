"""Makes the token and the short code of a document in one go."""

from dataclasses import dataclass
from datetime import datetime

from app.signing import shortcode, token
from app.signing.keys import Signer
from app.signing.rules import ClockBeforeTokens
from app.signing.token import Claims, Flags, TokenType


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes a document's QR code.

    Attributes:
        kid: Number of the key that signed.
        token: The signed token in decimal digits.
        code: The short code that is typed where nothing can be scanned.
        expires_at: The first instant at which the token no longer counts.
    """

    kid: int
    token: str
    code: str
    expires_at: datetime


def stamp(  # noqa: PLR0913 (the fields of a token, each by its name)
    signer: Signer,
    kind: TokenType,
    *,
    serial: int,
    signed_at: datetime,
    ttl_h: int,
    product: int,
    mass_g: int,
    origin: str | None,
    issuer: int,
    flags: Flags,
    status_index: int,
) -> Stamp:
    """Sign a document's claims.

    Args:
        signer: The key of the moment.
        kind: Certificate or ticket.
        serial: 63 random bits; the short code holds the lower 60 of them.
        signed_at: The present instant, whatever date the document bears; the token keeps it to ten
            minutes.
        ttl_h: For how many hours from then the token counts.
        product: Catalogue code; 0 where the document has several products.
        mass_g: Total mass in grams.
        origin: Division code of 6, 9 or 12 digits, filled up with zeros; None for several origins.
        issuer: Internal id of the issuing party.
        flags: Basis of the promise.
        status_index: Internal id of the document; its low 32 bits place it in the status list.

    Raises:
        ClockBeforeTokens: the instant lies outside what a token can say.
        NoSigningKey: the key's time has not begun, or is over.
    """
    # What a clock says is no bug of the caller's, as a claim out of its range would be.
    if not token.can_bear(signed_at):
        raise ClockBeforeTokens(now=signed_at.isoformat())
    claims = Claims(
        type=kind,
        kid=signer.kid,
        serial=serial,
        issued_at=token.tick_floor(signed_at),  # the token keeps no more of it
        ttl_h=ttl_h,
        product=product,
        quantity_dg=token.quantity_dg_of(mass_g),
        origin=None if origin is None else origin.ljust(12, "0"),
        issuer=issuer,
        flags=flags,
        status_index=status_index & 0xFFFFFFFF,
    )
    payload = token.encode_payload(claims)
    return Stamp(
        kid=signer.kid,
        token=token.digits(payload, signer.sign(payload)),
        code=shortcode.encode(serial),
        expires_at=claims.expires_at,
    )
