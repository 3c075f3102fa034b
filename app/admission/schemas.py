"""Scans as they come in, verdicts as they go out."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from app.admission.rules import CodeKind, Decision, Severity
from app.certificate.rules import CertificateKind
from app.core.schemas import In, Instant, Line, Out
from app.lot.schemas import Spelled
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus

TEXT_CHARS_MAX = 2_000


class ScanIn(In):
    """Something was read; sent again under the same id, it answers the same."""

    id: UUID = Field(description="Chosen by the device (UUIDv7), so that a scan can be repeated.")
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX),
        Field(description="What the scanner read, or somebody typed, unchanged."),
    ]
    place: UUID | None = Field(default=None, description="The gate, market or site.")
    device_at: Instant | None = Field(default=None, description="What the device's clock said.")
    plate: Annotated[Line, Field(max_length=20)] | None = Field(
        default=None, description="The vehicle that stands there; compared with the ticket's."
    )


class FindingOut(Out):
    """One observation, with the rule that it rests on."""

    code: str
    severity: Severity
    alarm: bool = Field(description="Somebody must be told at once.")
    zh: str
    en: str
    source: str = Field(description="The law, standard or design that says so.")
    facts: dict[str, Any]


class Named(Out):
    """A party; a natural person is masked for whoever has no part in the ticket."""

    party: UUID | None = Field(description="Null where the name is masked.")
    name: str


class LineSummary(Out):
    """One product of a ticket. Prices are not for the gate."""

    no: int
    product: int
    product_name: str
    trade_name: str
    quantity: str
    unit: str
    mass_g: int
    mass: Spelled
    origins: list[str] = Field(description="Where it comes from, from the county down.")


class TicketSummary(Out):
    """What a ticket says, to compare with the goods."""

    id: UUID
    code: str
    kind: TicketKind
    seller: Named
    buyer: Named | None
    buyer_kind: BuyerKind
    market: str | None
    status: TicketStatus | None = Field(description="When it was scanned.")
    sold_at: datetime
    expires_at: datetime
    mass_g: int
    mass: Spelled
    lines: list[LineSummary]


class CertificateSummary(Out):
    """What a certificate says, to compare with the goods."""

    id: UUID
    code: str
    kind: CertificateKind
    title: Spelled
    issuer: Named
    product: int
    product_name: str
    quantity: str
    unit: str
    mass_g: int
    mass: Spelled
    origin: str | None
    issued_at: datetime
    expires_at: datetime
    voided: bool = Field(description="When it was scanned.")


class ReferenceOut(Out):
    """A code of another system, kept as it is and never resolved."""

    kind: CodeKind
    reference: str
    elements: dict[str, str] = Field(description="GS1 application identifiers.")


class VerdictOut(Out):
    """What a scan came to: one decision, and every finding in a fixed order."""

    scan: UUID
    kind: CodeKind
    decision: Decision
    findings: list[FindingOut]
    ticket: TicketSummary | None = None
    certificate: CertificateSummary | None = None
    reference: ReferenceOut | None = None
    place: UUID | None
    scanned_at: datetime


class ScanListed(Out):
    """A scan in a list."""

    scan: UUID
    kind: CodeKind
    decision: Decision
    findings: list[str] = Field(description="Their codes, in order.")
    ticket: UUID | None
    certificate: UUID | None
    place: UUID | None
    scanned_at: datetime
