"""Refusals about holds."""

from enum import StrEnum
from typing import ClassVar

from app.core.errors import DomainError, Kind, Text


class NoticeKind(StrEnum):
    """What a party is told about goods that it holds."""

    HELD = "held"
    RELEASED = "released"
    CERTIFICATE_VOIDED = "certificate_voided"


class UnknownHold(DomainError):
    """No hold has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-hold"
    title: ClassVar[Text] = Text("没有这条控制记录", "There is no such hold")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its id")


class HoldNotYours(DomainError):
    """A market answers for goods in it, a regulator for its jurisdiction."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "hold-not-yours"
    title: ClassVar[Text] = Text(
        "该批次不在您的市场或辖区内", "The lot is not in your market or jurisdiction"
    )
    next_step: ClassVar[Text] = Text(
        "请移送有管辖权的市场或部门", "Refer it to the market or office that answers for it"
    )
