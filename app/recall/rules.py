"""Refusals about who may hold a lot."""

from typing import ClassVar

from app.core.errors import DomainError, Kind, Text


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
