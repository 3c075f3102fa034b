"""Refusals of the press."""

from typing import ClassVar

from app.core.errors import DomainError, Kind, Text


class PressBusy(DomainError):
    """Too much is being printed, or this takes too long."""

    kind: ClassVar[Kind] = Kind.BUSY
    code: ClassVar[str] = "press-busy"
    title: ClassVar[Text] = Text(
        "排版繁忙，暂时无法生成文件", "The press is busy; the file could not be made"
    )
    next_step: ClassVar[Text] = Text(
        "请稍候重试；台账也可下载 Excel",
        "Try again in a moment; a ledger can be taken as a spreadsheet too",
    )
