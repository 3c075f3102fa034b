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


class HoldRestsOnTest(DomainError):
    """What a test holds is let go by a test, or by an office on its own account."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "hold-rests-on-test"
    title: ClassVar[Text] = Text(
        "该批次因检测结果被控制", "The lot is on hold because of a test result"
    )
    next_step: ClassVar[Text] = Text(
        "请完成复检或送实验室, 合格后自动解除; 或由监管部门解除",
        "Repeat the test or send it to a laboratory: a pass lifts the hold. Or ask the regulator",
    )
