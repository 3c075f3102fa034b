"""Lots and their changes, as they come in and go out."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from app.core.schemas import In, Instant, Line, MassG, Out
from app.lot import rules
from app.lot.rules import ChangeKind, LotOrigin
from app.party.access import Caller
from app.product.rules import Production
from app.product.schemas import ProductId, QuantityIn

LOTS_MAX = 100

Opening = Literal[
    LotOrigin.HARVEST, LotOrigin.CATCH, LotOrigin.LAY, LotOrigin.SLAUGHTER_IN, LotOrigin.DECLARE
]


class DocumentKind(StrEnum):
    """A paper that comes with goods (domain.md §2.5, §2.6)."""

    QUARANTINE = "quarantine"
    MEAT_INSPECTION = "meat_inspection"
    IMPORT = "import"
    PURCHASE_VOUCHER = "purchase_voucher"
    LAB_REPORT = "lab_report"
    FOREIGN_TRACE_CODE = "foreign_trace_code"
    OTHER = "other"


class DocumentIn(In):
    """A paper by its number, or a trace code of another platform, kept as it is."""

    kind: DocumentKind
    number: Annotated[Line, Field(max_length=100)]
    issued_on: date | None = None


class LotIn(QuantityIn):
    """A lot that no other lot of the platform went into."""

    origin: Annotated[Opening, Field(description="How it came into being.")]
    product: ProductId
    occurred_at: Instant | None = Field(default=None, description="Now, if left out.")
    made_on: date | None = Field(
        default=None, description="Day of harvest, catch or slaughter; that of occurred_at else."
    )
    plot: UUID | None = Field(default=None, description="The place it comes from.")
    division_code: str | None = Field(default=None, description="Origin, where no plot is known.")
    producer: UUID | None = Field(
        default=None, description="Who produced it, where that is somebody else."
    )
    production: Literal[Production.FARMED, Production.WILD] | None = None
    documents: list[DocumentIn] = Field(default_factory=list, max_length=20)


class InputIn(In):
    """Grams of a lot that go into a change."""

    lot: UUID
    mass_g: MassG | None = Field(default=None, description="All that is left, if left out.")


class OutputIn(QuantityIn):
    """A lot that comes out of a change, under an id of the client's choosing."""

    lot: UUID


class ProductOutputIn(OutputIn):
    """A lot of a product that a process gives."""

    product: ProductId


T = TypeVar("T", bound=OutputIn)


def _each_once(outputs: list[T]) -> list[T]:
    if len({output.lot for output in outputs}) < len(outputs):
        message = "gives two lots one id"
        raise ValueError(message)
    return outputs


class SplitIn(In):
    """Parts of one lot that become lots of their own; what is not named stays."""

    lot: UUID
    parts: Annotated[
        list[OutputIn], Field(min_length=1, max_length=LOTS_MAX), AfterValidator(_each_once)
    ]
    occurred_at: Instant | None = None


class _Several(In):
    inputs: Annotated[list[InputIn], Field(min_length=1, max_length=LOTS_MAX)]
    occurred_at: Instant | None = None

    @model_validator(mode="after")
    def _each_lot_once(self) -> "_Several":
        if len({item.lot for item in self.inputs}) < len(self.inputs):
            message = "names a lot twice"
            raise ValueError(message)
        return self


class MergeInputs(_Several):
    """Lots of one product that become one; its mass is theirs."""

    inputs: Annotated[list[InputIn], Field(min_length=2, max_length=LOTS_MAX)]
    lot: UUID


class TransformIn(_Several):
    """Goods that become other goods by a process: slaughter, milling, sprouting, trimming."""

    process: Annotated[str, Field(max_length=50, description="Its code; see /products/{id}.")]
    outputs: Annotated[
        list[ProductOutputIn], Field(min_length=1, max_length=LOTS_MAX), AfterValidator(_each_once)
    ]


class LossReason(StrEnum):
    """Why goods are gone (损耗)."""

    SPOILED = "spoiled"
    EVAPORATED = "evaporated"
    DAMAGED = "damaged"
    WEIGHING = "weighing"
    SAMPLED = "sampled"
    OWN_USE = "own_use"
    OTHER = "other"


class LossIn(In):
    """Grams that are gone."""

    lot: UUID
    mass_g: MassG | None = Field(default=None, description="All that is left, if left out.")
    reason: LossReason
    occurred_at: Instant | None = None


class DestructionMethod(StrEnum):
    """How goods were rendered harmless (无害化处理)."""

    BURIED = "buried"
    BURNT = "burnt"
    RENDERED = "rendered"
    COMPOSTED = "composted"
    OTHER = "other"


class DestructionIn(In):
    """Goods that were destroyed; a lot on hold leaves this way only, a recalled one in its case."""

    lot: UUID
    mass_g: MassG | None = Field(default=None, description="All that is left, if left out.")
    method: DestructionMethod
    reason: Line
    receipt: Line | None = Field(default=None, description="Number of the disposer's receipt.")
    evidence: list[UUID] = Field(
        default_factory=list, max_length=20, description="Photos; a lot on hold needs them."
    )
    witness: Line | None = Field(
        default=None, description="Who saw it, and for whom; a lot on hold needs one."
    )
    occurred_at: Instant | None = None


class ChangeOut(Out):
    """A change that was made, with what is worth a warning."""

    change: UUID
    kind: ChangeKind
    lots: list[UUID] = Field(description="The lots that came out.")
    findings: list[dict[str, Any]]
    occurred_at: datetime


class Spelled(Out):
    """A mass as people read it: 300 公斤（600 斤）."""

    zh: str
    en: str


class LotOut(Out):
    """A lot, with what is left of it."""

    lot: UUID
    origin: LotOrigin
    product: int
    product_name: str
    holder: UUID | None = Field(description="Null for goods that a walk-in bought.")
    producer: UUID | None
    mixed: bool = Field(description="Of several producers.")
    production: Production | None
    mass_g: int
    remaining_g: int
    remaining: Spelled
    pieces: int | None
    quantity: str
    unit: str
    division_code: str | None
    division_name: str | None
    made_on: date | None
    certified_g: int = Field(description="Grams that certificates in force vouch for.")
    on_hold: bool
    documents: list[dict[str, Any]]
    created_at: datetime


def content_of(body: In, caller: Caller) -> bytes:
    """Answer what tells whether a request is the same one: its body and who sent it."""
    return rules.digest({"body": body.model_dump(mode="json"), "by": str(caller.party_public_id)})
