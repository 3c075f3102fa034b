"""Reports as they come in, and as they go out to whoever sent them and to offices."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Base64Bytes, Field, StringConstraints, model_validator

from app.core.schemas import In, Line, Out
from app.party.access import Department
from app.report.rules import ReportClock, ReportProblem, ReportState, ReportStepKind

TEXT_CHARS_MAX = 2_000
PHOTOS_READ_MAX = 20
"""What is read at all; how many a report may have is dated data."""


def _readable(text: str) -> str:
    # Lines may end; whatever else cannot be printed is an accident or an attack.
    text = text.replace("\r\n", "\n")
    if any(not character.isprintable() and character not in "\n\t\u3000" for character in text):
        message = "holds a character that cannot be printed"
        raise ValueError(message)
    return text


Said = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
    AfterValidator(_readable),
]


class ReportIn(In):
    """A problem with the goods of a ticket or certificate."""

    document: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX)] = Field(
        description="Its digits, its short code, or the address in its QR code."
    )
    problem: ReportProblem
    text: Said = Field(description="What happened. Sealed at rest; read by the office alone.")
    contact: Line | None = Field(
        default=None, description="How the office reaches you. Sealed at rest; never shown."
    )
    photos: list[Base64Bytes] = Field(
        default_factory=list,
        max_length=PHOTOS_READ_MAX,
        description="JPEG, PNG or WebP, in Base64. Drawn anew without metadata, sealed at rest; "
        "read by the office alone. How many and how large is dated; three, of 16 MiB together.",
    )


class ReportTaken(Out):
    """A report that was taken, and the code by which it is followed."""

    report: UUID
    code: str = Field(description="Whoever has it reads the state and the answer; keep it.")
    track: str = Field(description="Path of the page that tells what became of it.")
    received_at: datetime
    due_on: date = Field(description="Until then the office says whether it takes it up.")
    answer_due_on: date = Field(description="Until then the office answers.")


class ReportTrack(Out):
    """What whoever has the tracking code is told; never what was typed, nor the contact."""

    code: str
    problem: ReportProblem
    state: ReportState
    division_code: str
    division_name: str = Field(description="Of the county, in Chinese; empty where nobody knows.")
    department: Department
    received_at: datetime
    due_on: date = Field(description="Until then the office says whether it takes it up.")
    answer_due_on: date = Field(description="Until then it answers.")
    extended: bool = Field(description="Whether its head has put the answer off.")
    overdue: bool = Field(description="Whether the office is late with what it has to do next.")
    taken_up_at: datetime | None
    answer: str | None
    answered_at: datetime | None


class ReportStepIn(In):
    """What an office does with a report."""

    kind: ReportStepKind
    words: Said | None = Field(
        default=None,
        description="The answer, which whoever has the code reads; or why referred or put off.",
    )
    division_code: str | None = Field(
        default=None, pattern=r"^[0-9]{6}$", description="County that it is referred to."
    )
    department: Department | None = None
    approved_by: Line | None = Field(
        default=None, description="Head of the office who lets the answer be put off."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        refers = self.kind is ReportStepKind.REFER
        if refers != (self.division_code is not None and self.department is not None) or (
            not refers and (self.division_code or self.department)
        ):
            message = "division_code and department go with refer, both of them"
            raise ValueError(message)
        if (self.kind is ReportStepKind.TAKE_UP) != (self.words is None):
            message = "words go with answer, refer and extend"
            raise ValueError(message)
        if (self.kind is ReportStepKind.EXTEND) != (self.approved_by is not None):
            message = "approved_by goes with extend"
            raise ValueError(message)
        return self


class ReportStepOut(Out):
    """A step that an office took."""

    step: UUID
    kind: ReportStepKind
    words: str | None
    division_code: str | None = Field(description="County that it was referred to.")
    department: Department | None
    approved_by: str | None = Field(description="Head of the office who let it be put off.")
    by_name: str
    made_at: datetime


class ReportPhotoOut(Out):
    """A photo that came with a report."""

    no: int
    path: str = Field(description="Where the office reads it, as JPEG.")
    width_px: int
    height_px: int
    size_bytes: int


class ReportOut(Out):
    """A report as the office that it lies with reads it."""

    report: UUID
    document: UUID
    token: str = Field(description="Digits of the ticket or certificate.")
    problem: ReportProblem
    text: str
    contact: str | None
    photos: list[ReportPhotoOut]
    state: ReportState
    division_code: str
    department: Department
    received_at: datetime
    due_on: date = Field(description="Until then it is decided whether it is taken up.")
    answer_due_on: date
    extended: bool = Field(description="Whether the answer was put off.")
    clock: ReportClock | None = Field(description="What is due next; null once it is answered.")
    due_today: bool = Field(description="Whether this is the last day of that clock.")
    overdue: bool = Field(description="Whether that clock has run out.")
    taken_up_at: datetime | None
    answer: str | None
    answered_at: datetime | None
    steps: list[ReportStepOut]
