"""Refusals about holds."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from app.core.errors import DomainError, Kind, Text
from app.lot.rules import digest


class NoticeKind(StrEnum):
    """What a party is told about goods that it holds."""

    HELD = "held"
    RELEASED = "released"
    CERTIFICATE_VOIDED = "certificate_voided"
    RECALLED = "recalled"
    MOCK_RECALL = "mock_recall"
    RECALL_REPORTED = "recall_reported"
    RECALL_LATE = "recall_late"
    RECALL_OVERDUE = "recall_overdue"
    RECALL_SIGN_OFF_ASKED = "recall_sign_off_asked"
    RECALL_CLOSED = "recall_closed"
    HAND_OVER_ANNULLED = "hand_over_annulled"
    REFERRED = "referred"
    REFERRAL_ANSWERED = "referral_answered"
    REFERRAL_WITHDRAWN = "referral_withdrawn"
    REFERRAL_OVERDUE = "referral_overdue"
    TEST_PRESUMPTIVE = "test_presumptive"
    TEST_FAILED = "test_failed"
    RECALL_DUE = "recall_due"
    TEST_CLEARED = "test_cleared"
    REPORTED = "reported"
    REPORT_DUE = "report_due"
    REPORT_OVERDUE = "report_overdue"
    REPORT_ANSWER_DUE = "report_answer_due"
    REPORT_ANSWER_OVERDUE = "report_answer_overdue"


class HoldCause(StrEnum):
    """Why goods are held."""

    ORDER = "order"  # somebody who answers for them says so
    TEST = "test"  # a sample is suspect or has failed


class UnknownHold(DomainError):
    """No hold has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-hold"
    title: ClassVar[Text] = Text("没有这条控制记录", "There is no such hold")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class HoldReleased(DomainError):
    """A hold ends once: what somebody else said of it since would be kept nowhere."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "hold-released"
    title: ClassVar[Text] = Text(
        "该控制已解除，此次解除未予登记", "The hold was released before; nothing was recorded"
    )
    next_step: ClassVar[Text] = Text(
        "请核对已登记的解除人和理由；批次如仍被控制，请查看其他控制",
        "See who released it and why; if the lot is still on hold, look for another hold on it",
    )


class UnknownNotice(DomainError):
    """No notice has this id, or it is another party's."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-notice"
    title: ClassVar[Text] = Text("没有这条通知", "There is no such notice")
    next_step: ClassVar[Text] = Text("请重新读取通知列表", "Read the list of notices again")


class MarksArePersonal(DomainError):
    """A machine reads nothing: what it marked would be hidden from nobody."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "marks-are-personal"
    title: ClassVar[Text] = Text("已读标记属于个人账号", "A read mark belongs to a person")
    next_step: ClassVar[Text] = Text(
        "请用个人账号登录后再标记", "Sign in with an account of a person and mark it then"
    )


@dataclass(frozen=True, slots=True)
class Order:
    """A lot that somebody wants held, and why.

    Attributes:
        party_id: Who holds it, and
        party: the public id of the same party.
        subject: What the hold rests on: the sample of a test.
    """

    public_id: UUID
    lot: UUID
    party_id: int
    party: UUID
    reason: str
    cause: HoldCause = HoldCause.ORDER
    subject: UUID | None = None

    @property
    def digest(self) -> bytes:
        """Tells whether a repeated order is the same order."""
        return digest({"lot": str(self.lot), "reason": self.reason, "by": str(self.party)})
