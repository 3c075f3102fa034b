"""Enrolments, devices, bundles and uploads as they travel."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from app.admission.policy import Decision
from app.bundle.device import Algorithm
from app.core.schemas import In, Instant, Line, MassG, Out
from app.product.schemas import ProductId
from app.testing.rules import Layer, Outcome, Status
from app.testing.schemas import DeviceIn as TestDeviceIn
from app.testing.schemas import Number, ReadingIn, RecentSample

STATEMENT_CHARS_MAX = 100_000
BATCH_MAX = 100

Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]*$", max_length=256)]


class EnrolmentIn(In):
    """Which gate a new device is for."""

    place: UUID = Field(description="The gate, or the market.")


class EnrolmentOut(Out):
    """A code for one device; it is told this once."""

    enrolment: UUID
    code: str = Field(description="Typed into the device, hyphens as you like.")
    url: str = Field(description="Where the device is enrolled.")
    qr_svg: str = Field(description="Opens that page with the code behind a #, kept from logs.")
    place: UUID
    expires_at: datetime


class DeviceIn(In):
    """A browser that presents an enrolment code and the public half of its key."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    name: Annotated[Line, Field(max_length=60, description="What people call the device.")]
    algorithm: Algorithm
    public_key: Hex = Field(
        description="32 bytes for ed25519; for ecdsa-p256 the uncompressed point, 65 bytes."
    )


class SiteOut(Out):
    """A place, with its name."""

    place: UUID
    name: str


class DeviceOut(Out):
    """A device of a market."""

    device: UUID
    name: str
    market: SiteOut
    gate: SiteOut
    algorithm: Algorithm
    enrolled_by: UUID | None = Field(
        description="The account that gave the code; the device stays when it is shut out."
    )
    enrolled_at: datetime
    revoked_at: datetime | None
    seen_at: datetime | None = Field(description="When it last asked or told, to the minute.")
    list_at: datetime | None = Field(description="When the list was made that it fetched last.")


class EnrolledOut(DeviceOut):
    """A device that was just enrolled, with what it pins for good."""

    root_key: str = Field(description="Public key that every keyset must be signed with.")
    public_url: str = Field(description="What every ticket's address begins with.")
    server_at: datetime


class SignedOut(Out):
    """Bytes that were signed, as text; verify the UTF-8 of `document` before reading it."""

    document: str
    signature: str
    kid: int = Field(description="Status key; 0 for the root key.")


class BundleOut(Out):
    """The newest bundle; shards are fetched by the hashes in `meta`."""

    keyset: SignedOut
    meta: SignedOut
    server_at: datetime


class CheckIn(In):
    """A code that was read while there is a network."""

    id: UUID
    text: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    device_at: Instant | None = None
    plate: Annotated[Line, Field(max_length=20)] | None = None


class MeasuredIn(In):
    """What a quick method showed."""

    method: Annotated[Line, Field(description="Code of /test-methods.")]
    reading: ReadingIn
    device: TestDeviceIn | None = None


class QuickTestIn(In):
    """A quick test of a line that an inspection sent to the test or held."""

    line: UUID | None = Field(
        description="The inspection's line, which came in before or comes with it; null for a "
        "repeat, whose number says which goods."
    )
    number: Annotated[Number, Field(description="On the bag; a repeat names it again.")]
    mass_g: MassG
    layer: Literal[Layer.WHOLESALE_MARKET, Layer.RETAIL_MARKET]
    product: ProductId | None = Field(
        default=None, description="Of a ticket with several; the first if left out."
    )
    tester: Line
    device_at: Instant = Field(description="What the device's clock said.")
    measured: MeasuredIn | None = Field(
        default=None, description="Left out where a device will push what it measures."
    )


class QuickTestOut(Out):
    """Where the goods stand after a quick test."""

    number: str
    outcome: Outcome | None = Field(description="Null: a sample was taken, and not tested yet.")
    status: Status
    repeats_left: int


class WaitingLine(Out):
    """Goods with a ticket that were held or sent to the test, of which no sample was taken yet."""

    line: UUID
    product: int | None
    product_name: str
    plate: str | None
    decision: Decision
    inspected_at: datetime


class RecentOut(Out):
    """What waits for a test at the market, and what its devices and gates found lately."""

    waiting: list[WaitingLine]
    samples: list[RecentSample]


class StatementIn(In):
    """An inspection or a quick test as the device wrote and signed it."""

    statement: Annotated[str, StringConstraints(min_length=2, max_length=STATEMENT_CHARS_MAX)]
    signature: Hex


class UploadIn(In):
    """What a device had decided by itself."""

    sent_at: Instant = Field(description="What its clock says now.")
    statements: Annotated[list[StatementIn], Field(min_length=1, max_length=BATCH_MAX)]


class OutcomeOut(Out):
    """What became of one statement."""

    row: int
    inspection: UUID | None = Field(description="The inspection, or the test.")
    sequence: int | None
    state: Literal["taken", "repeated", "refused"]
    decision: Decision | None = Field(description="What the books say of it.")
    cases: int = Field(description="How many things somebody has to look into.")
    test: QuickTestOut | None = Field(description="Of a quick test, where the goods stand then.")
    problem: dict[str, Any] | None


class UploadOut(Out):
    """What became of each statement, in their order."""

    outcomes: list[OutcomeOut]
    missing: list[int] = Field(
        description="Sequence numbers below the highest that never came, the first hundred."
    )
    server_at: datetime
