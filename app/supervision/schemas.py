"""Warnings as they go out, and what somebody makes of one."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from app.core.schemas import In, Line, Out
from app.supervision.rules import RuleCode, Severity, WarningState


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
