"""Warnings as they go out, and what somebody makes of one."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from app.core.schemas import In, Line, Out
from app.supervision.rules import RuleCode, Severity, WarningState
from app.testing.rules import Status


class HandlingIn(In):
    """What became of a warning, and why."""

    state: Literal[WarningState.HANDLED, WarningState.FALSE]
    reason: Line


class WarningOut(Out):
    """A figure beyond its limit, with what it rests on."""

    warning: UUID
    rule: RuleCode
    rule_valid_from: date = Field(description="Which version of the rule's data decided.")
    rule_source: str
    rule_verified: bool = Field(description="Whether an authority has confirmed the thresholds.")
    severity: Severity
    zh: str
    en: str
    subject: str = Field(description="Kind and public id: `ticket:…`, `lot:…`, `plot:…`, `hold:…`.")
    period: str
    occurred_on: date
    figure: int
    limit: int = Field(description="The greatest figure that the rule lets pass.")
    evidence: dict[str, Any]
    party: UUID | None
    divisions: list[str]
    state: WarningState
    opened_at: datetime
    seen_at: datetime = Field(description="When the evidence last grew.")
    closed_at: datetime | None
    closed_by: UUID | None
    reason: str | None


class RunOut(Out):
    """What a look at new rows came to."""

    rule: RuleCode
    measured: int
    opened: int
    grown: int
    more: bool = Field(description="There are further new rows.")


class AgreementLine(Out):
    """An agreement with a market, and the grade that the market gives."""

    market: str
    grade: str | None
    signed_on: date
    valid_from: date
    valid_to: date | None


class FailedLine(Out):
    """A sample of the party's goods that failed, or may have."""

    sample: UUID
    product_name: str
    status: Status
    taken_at: datetime


class RecallLine(Out):
    """A recall that the party was told of; exercises are left out."""

    recall: UUID
    grade: int
    reason: str
    lots: int
    sent_at: datetime
    due_at: datetime
    acknowledged_at: datetime | None


class FindingCount(Out):
    """How often something was found at gates."""

    code: str
    zh: str
    en: str
    count: int


class CreditFileOut(Out):
    """What the books say about a party since an instant; counts go by the words of their kind."""

    party: UUID
    since: datetime
    sales: dict[str, int] = Field(description="Tickets that it issued, by what became of them.")
    gates: dict[str, int] = Field(description="Lines of its tickets at gates, by decision.")
    findings: list[FindingCount] = Field(description="Findings on them, the commonest first.")
    samples: dict[str, int] = Field(description="Samples of goods that it held, by status.")
    agreements: list[AgreementLine] = Field(description="The latest, of all time.")
    failed: list[FailedLine] = Field(description="The latest.")
    recalls: list[RecallLine] = Field(description="The latest.")
