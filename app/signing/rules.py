"""Refusals of this package. What is wrong with a token is a finding: see `token` and `keys`."""

from typing import ClassVar

from app.core.errors import DomainError, Kind, Text


class NoSigningKey(DomainError):
    """Nothing can be signed: no key is in use now whose private half this server holds."""

    kind: ClassVar[Kind] = Kind.BUSY
    code: ClassVar[str] = "no-signing-key"
    title: ClassVar[Text] = Text("当前没有可用的签名密钥。", "No signing key is in use at present.")
    next_step: ClassVar[Text] = Text(
        "您填写的内容没有丢失，请稍后重试；系统管理员需要新建签名密钥。",
        "Nothing you entered is lost: try again later. The operator has to create a signing key.",
    )


class ClockBeforeTokens(DomainError):
    """The server's clock reads an instant that no token can bear: before 2024, or past 2342."""

    kind: ClassVar[Kind] = Kind.BUSY
    code: ClassVar[str] = "clock-before-tokens"
    title: ClassVar[Text] = Text(
        "服务器时钟不对，无法签发票据和合格证。",
        "The server's clock is wrong: no ticket or certificate can be signed.",
    )
    next_step: ClassVar[Text] = Text(
        "您填写的内容没有丢失，请稍后重试；系统管理员需要校准服务器时间(NTP)。",
        "Nothing you entered is lost: try again later. The operator has to set the clock (NTP).",
    )


class SigningKeyUnknown(DomainError):
    """A key was named that the registry does not hold."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "signing-key-unknown"
    title: ClassVar[Text] = Text(
        "没有这个编号的签名密钥。", "There is no signing key of this number."
    )
    next_step: ClassVar[Text] = Text(
        "请在密钥列表中核对编号。", "Check the number against the list of keys."
    )


class LabelTooSmall(DomainError):
    """A code printed this small would not scan: fewer than three printer dots a module."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "label-too-small"
    title: ClassVar[Text] = Text(
        "按此标签尺寸打印的二维码扫不出来。", "At this size the printed code cannot be scanned."
    )
    next_step: ClassVar[Text] = Text(
        "请改用更大的标签（203 dpi 打印机不小于 30 毫米），或换用 300 dpi 打印机。",
        "Use a larger label (30 mm or more on a 203 dpi printer), or a printer of 300 dpi.",
    )
