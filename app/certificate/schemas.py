"""Certificates, and the merges and splits they belong to, as they come in and go out."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from app.certificate.rules import Basis, CertificateKind
from app.core.schemas import In, Instant, Line, Out
from app.lot.schemas import ChangeOut, MergeInputs
from app.product.schemas import QuantityIn


class CertificateIn(QuantityIn):
    """A certificate for grams of one lot that the issuer holds."""

    kind: CertificateKind
    lot: UUID
    bases: Annotated[list[Basis], Field(max_length=4, description="On what the promise rests.")]
    issued_at: Instant | None = Field(default=None, description="Now, if left out.")
    replaces: UUID | None = Field(default=None, description="A voided certificate of the same lot.")


class MergeCertificateIn(In):
    """The purchaser's certificate that comes along with a merge; it is for the whole of it."""

    certificate: UUID = Field(description="Its id, of the client's choosing.")
    bases: Annotated[list[Basis], Field(min_length=1, max_length=4)]


class MergeIn(MergeInputs):
    """Lots of one product that become one."""

    certificate: MergeCertificateIn | None = Field(
        default=None, description="Needed where the producers differ (APQSL art. 39)."
    )


class VoidIn(In):
    """Why a statement is taken back."""

    reason: Line


class FormOut(Out):
    """A form in force, in its own words."""

    kind: CertificateKind
    edition: str
    valid_from: date
    valid_to: date | None
    wording: dict[str, Any]
    source: str
    verified: bool


class CertificateOut(Out):
    """A certificate."""

    certificate: UUID
    kind: CertificateKind
    form: str = Field(description="Edition of the form.")
    code: str = Field(description="Short code, to be typed.")
    url: str = Field(description="What its QR code says.")
    lot: UUID
    issuer: UUID
    product: int
    product_name: str
    mass_g: int
    quantity: str
    unit: str
    division_code: str | None
    bases: list[Basis]
    issued_on: date
    issued_at: datetime
    expires_at: datetime
    voided_at: datetime | None


class MergeOut(ChangeOut):
    """A merge, with the certificate that came along."""

    certificate: CertificateOut | None
