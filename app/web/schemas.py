"""What anybody may know of a ticket or certificate: the page's content, and its JSON form.

A page is written all the time and never read in: its parts are plain data classes, which orjson
writes as pydantic would at a tenth of its time (`pages.write`; a test compares the two). They have
no slots, for orjson is ten times slower with them.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from app.certificate.rules import CertificateKind
from app.core.schemas import Out
from app.signing.keys import Algorithm, IssuerClass
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus
from app.web.rules import PageState


@dataclass
class Words:
    """The same in Chinese and English."""

    zh: str
    en: str


@dataclass
class PublicParty:
    """A party; a natural person by family name only."""

    name: str
    masked: bool


@dataclass
class PublicLine:
    """A product of a ticket."""

    product: str
    trade_name: Annotated[
        str | None, Field(description="What the seller calls it, if something else.")
    ]
    mass_g: int
    mass: Words
    spoken: Annotated[
        str | None, Field(description="Boxes, heads or eggs, as the seller counted them.")
    ]
    origins: Annotated[list[str], Field(description="Villages, from the county down.")]
    producer: Annotated[Words | None, Field(description="Null where it is not known; else names.")]


@dataclass
class More:
    """What was left out, so that the page stays small."""

    lines: int = 0
    lines_mass: Words | None = None
    sources: int = 0
    sources_share: str | None = None
    steps: int = 0
    certificates: int = 0


@dataclass
class PublicSource:
    """Where goods began."""

    village: Annotated[str | None, Field(description="From the county down; null if unknown.")]
    producers: Words | None
    product: str
    made_on: date | None
    share: Annotated[str, Field(description="Part of the goods that came from here.")]
    known: Annotated[bool, Field(description="Whether a producer stands in the books.")]


@dataclass
class Step:
    """Something that happened to the goods, in plain words."""

    zh: str
    en: str


class Standing(StrEnum):
    """What a certificate is worth now."""

    VALID = "valid"
    EXPIRED = "expired"
    VOIDED = "voided"


@dataclass
class PublicCertificate:
    """A certificate that came with the goods."""

    kind: CertificateKind
    title: Words
    issuer: PublicParty
    code: str
    product: str
    mass: Words
    issued_on: date
    bases: Annotated[list[Words], Field(description="On what its promise rests.")]
    standing: Standing


@dataclass
class Promise:
    """The wording of a form that certificates of these goods are on."""

    title: Words
    text: list[Words]


@dataclass
class PublicTicketFacts:
    """What a ticket states."""

    kind: TicketKind
    status: TicketStatus
    seller: PublicParty
    buyer: PublicParty | None
    buyer_kind: BuyerKind
    market: str | None
    stall: str | None
    sold_at: datetime
    mass_g: int
    mass: Words
    lines: list[PublicLine]


@dataclass
class PublicCertificateFacts:
    """What a certificate states."""

    certificate: PublicCertificate
    origin: str | None
    spoken: str | None


class PublicLabel(Out):
    """What a label says that stands for no ticket: for a lot, or for nothing yet."""

    bound: bool
    held: bool = Field(description="Its goods are on hold.")
    headline: Words
    advice: Words
    code: str = Field(description="The short code, in groups.")
    product: str | None = None
    mass: Words | None = None
    origin: str | None = None
    made_on: date | None = None
    certificate: str | None = Field(default=None, description="Where its certificate's page is.")
    demo: bool = Field(description="Made-up data.")


@dataclass(kw_only=True)
class PublicTicket:
    """Everything that the public page says."""

    state: PageState
    headline: Words
    advice: Words
    document: Literal["ticket", "certificate"] | None
    code: Annotated[str | None, Field(description="The short code, in groups.")]
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    ticket: PublicTicketFacts | None = None
    certificate: PublicCertificateFacts | None = None
    sources: list[PublicSource] = field(default_factory=list)
    chain: list[Step] = field(default_factory=list)
    traced: Annotated[
        str | None,
        Field(description="Share of the goods whose way from a producer is unbroken."),
    ] = None
    certificates: list[PublicCertificate] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    tests: list[Words] = field(default_factory=list)
    more: More = field(default_factory=More)
    checked_at: datetime
    address: Annotated[str, Field(description="What the address of a genuine page begins with.")]
    demo: Annotated[bool, Field(description="Made-up data.")]


class ProofField(Out):
    """A field of a token: which of the signed bytes, and what they mean."""

    offset: int = Field(description="Where it begins in the payload of 38 bytes.")
    octets: str = Field(description="In hexadecimal.")
    name: Words
    value: str


class ProofKey(Out):
    """The key that signed a token."""

    kid: int
    algorithm: Algorithm
    issuer_class: IssuerClass
    public_key: str = Field(description="Hexadecimal.")
    spki: str | None = Field(
        description="The same as SubjectPublicKeyInfo in base64, as OpenSSL reads it (RFC 8410)."
    )
    use_from: datetime
    sign_until: datetime
    verify_until: datetime
    dropped_at: datetime | None


class PublicEntry(Out):
    """That something was stated, and the hash of the statement."""

    kind: str
    appended_at: datetime
    leaf_hash: str = Field(description="SHA-256 of 00 and the leaf (RFC 6962, section 2.1).")


class PublicProof(Out):
    """What can be checked of a code. What its signature does not vouch for is left out."""

    state: PageState
    address: str = Field(description="What the address of a genuine page begins with.")
    code: str | None = Field(default=None, description="The short code, in groups.")
    checked_at: datetime
    fields: list[ProofField] = Field(default_factory=list)
    message: str | None = Field(default=None, description="What was signed, in base64.")
    signature: str | None = Field(default=None, description="64 bytes in base64.")
    key: ProofKey | None = None
    entries: list[PublicEntry] = Field(default_factory=list)
    log_proves: Words = Field(description="What the log's hashes are worth today.")


class PublicKeys(Out):
    """The newest keyset, as the root key signed it; `docs/gate.md` says how to read it."""

    version: int
    issued_at: datetime
    expires_at: datetime
    document: str = Field(description="Canonical JSON: exactly the bytes that are signed (UTF-8).")
    signature: str = Field(description="Ed25519 by the root key, in base64.")
    root_key: str = Field(description="Hexadecimal. Compare it with one from another source.")
    root_fingerprint: str = Field(description="SHA-256 of the root key, in hexadecimal.")
