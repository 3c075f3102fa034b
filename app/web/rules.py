"""What a public page says first, what it leaves out, and how it puts things."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import ClassVar, Final

from app.core.clock import local_date
from app.core.errors import DomainError, Kind, Text
from app.signing.keys import SignatureVerdict
from app.testing.rules import Layer, Standing, Status
from app.ticket.rules import TicketStatus

BYTES_MAX: Final = 15_000


class NoKeyset(DomainError):
    """The operator has not signed the public keys with the root key yet."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "no-keyset"
    title: ClassVar[Text] = Text("尚未发布密钥集", "No keyset was published yet")
    next_step: ClassVar[Text] = Text(
        "请系统管理员用离线根密钥发布密钥集(ypt key publish)",
        "The operator publishes one with the offline root key (ypt key publish)",
    )


class PageState(StrEnum):
    """What a page says of a document before anything else."""

    VALID = "valid"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    VOIDED = "voided"
    REFUSED = "refused"
    HELD = "held"
    TEST = "test"
    FORGED = "forged"
    UNKNOWN = "unknown"
    CANNOT_VERIFY = "cannot_verify"
    UNREADABLE = "unreadable"


class Tone(StrEnum):
    """How a state is coloured; its mark says the same to those who see no colours."""

    GOOD = "good"
    CARE = "care"
    BAD = "bad"
    GREY = "grey"


@dataclass(frozen=True, slots=True)
class Saying:
    """How a page says its state.

    Attributes:
        status: HTTP status of the answer: what is, or was, a document of ours is found (200); what
            nobody signed or nobody can read is a bad request (400); what the books do not know is
            not found (404).
    """

    tone: Tone
    mark: str
    headline: Text
    advice: Text
    status: HTTPStatus = HTTPStatus.OK


SAYINGS: Final = MappingProxyType(
    {
        PageState.VALID: Saying(
            Tone.GOOD,
            "✔",
            Text("签名有效，平台有登记", "Genuine: signed, and known to the books"),
            Text("请核对货物与下列内容一致", "Compare the goods with what stands below"),
        ),
        PageState.ACCEPTED: Saying(
            Tone.GOOD,
            "✔",
            Text("签名有效，货物已由买方验收", "Genuine: the buyer has accepted the goods"),
            Text(
                "该票已使用，不能再作入场凭证；谨防复印件",
                "It has been used and admits no further goods; beware of copies",
            ),
        ),
        PageState.EXPIRED: Saying(
            Tone.CARE,
            "!",
            Text("真实，但已过有效期", "Genuine, and expired"),
            Text("不能再作销售或入场凭证", "It no longer speaks for goods on sale"),
        ),
        PageState.VOIDED: Saying(
            Tone.BAD,
            "✘",
            Text("已作废", "Voided by whoever issued it"),
            Text("请勿据此收货", "Do not take goods on it"),
        ),
        PageState.REFUSED: Saying(
            Tone.BAD,
            "✘",
            Text("买方已拒收", "The buyer refused these goods"),
            Text("货物已退回卖方", "They went back to the seller"),
        ),
        PageState.HELD: Saying(
            Tone.BAD,
            "!",
            Text("相关批次已被控制，暂停流转", "Goods of this origin are on hold"),
            Text("请勿出售或食用，等待处理结果", "Do not sell or eat them until it is lifted"),
        ),
        PageState.TEST: Saying(
            Tone.CARE,
            "!",
            Text("测试票 TEST", "TEST: not a real ticket"),
            Text("不代表任何货物", "It stands for no goods"),
        ),
        PageState.FORGED: Saying(
            Tone.BAD,
            "✘",
            Text("签名不符：伪造或被改动", "Wrong signature: forged or altered"),
            Text("请勿相信，可向市场或 12315 举报", "Do not trust it; report it to the market"),
            HTTPStatus.BAD_REQUEST,
        ),
        PageState.UNKNOWN: Saying(
            Tone.BAD,
            "✘",
            Text("平台没有这张票的登记", "The books know no such document"),
            Text(
                "请勿据此收货；核对短码，或向市场举报",
                "Do not take goods on it; compare the code, or report it to the market",
            ),
            HTTPStatus.NOT_FOUND,
        ),
        PageState.CANNOT_VERIFY: Saying(
            Tone.GREY,
            "？",
            Text("无法核验", "Cannot be verified"),
            Text(
                "密钥或版本未知，不等于假票；请咨询市场管理方",
                "Its key or version is unknown; that is no proof of a forgery. Ask the market",
            ),
            HTTPStatus.NOT_FOUND,
        ),
        PageState.UNREADABLE: Saying(
            Tone.GREY,
            "？",
            Text("读不出：内容残缺或有误", "Unreadable: damaged or incomplete"),
            Text(
                "请重新扫描，或输入票面 13 位短码",
                "Scan it again, or type the 13 characters under it",
            ),
            HTTPStatus.BAD_REQUEST,
        ),
    }
)

UNBOUND: Final = Saying(
    Tone.GREY,
    "？",
    Text("此标签尚未绑定", "This label is not yet bound"),
    Text(
        "它还不代表任何货物；请向卖方索取票据",
        "It stands for no goods so far; ask the seller for a ticket",
    ),
)
LABELLED: Final = Saying(
    Tone.GOOD,
    "✔",
    Text("平台登记的批次", "A lot that the books know"),
    Text("请核对货物与下列内容一致", "Compare the goods with what stands below"),
)

OF_SIGNATURE: Final = MappingProxyType(
    {
        SignatureVerdict.BAD_SIGNATURE: PageState.FORGED,
        SignatureVerdict.WRONG_KEY_CLASS: PageState.FORGED,
        SignatureVerdict.KEY_NOT_YET_VALID: PageState.FORGED,
        SignatureVerdict.UNKNOWN_KEY: PageState.CANNOT_VERIFY,
        SignatureVerdict.TEST: PageState.TEST,
    }
)
"""What ends the matter before the books are asked; otherwise they decide."""


def ticket_state(status: TicketStatus, *, held: bool, expired: bool) -> PageState:
    """Say what stands first on a ticket's page: the gravest thing that is true of it."""
    if status is TicketStatus.VOIDED:
        return PageState.VOIDED
    if status is TicketStatus.REFUSED:
        return PageState.REFUSED
    if held:
        return PageState.HELD
    if expired:
        return PageState.EXPIRED
    return PageState.VALID if status is TicketStatus.ISSUED else PageState.ACCEPTED


def certificate_state(*, voided: bool, held: bool, expired: bool) -> PageState:
    """Say what stands first on a certificate's page."""
    if voided:
        return PageState.VOIDED
    if held:
        return PageState.HELD
    return PageState.EXPIRED if expired else PageState.VALID


_NUMBER = re.compile(r"\d(?:[\s\-.,·]?\d){4,}[\dXx]?")


def without_numbers(text: str) -> str:
    """Take long numbers out of what somebody typed freely: a phone has no place on a page."""
    return _NUMBER.sub("…", text)


# A page tells some ten days, and all pages of a week tell the same ones.
@lru_cache(4_096)
def day(on: date, beside: date) -> Text:
    """Write a day as people say it; its year only where it is not that of the day beside it."""
    english = f"{on.day} {_MONTHS[on.month - 1]}"
    if on.year == beside.year:
        return Text(f"{on.month}月{on.day}日", english)
    return Text(f"{on.year}年{on.month}月{on.day}日", f"{english} {on.year}")


_MONTHS: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]


_LAYERS: Final = {
    Layer.WHOLESALE_MARKET: Text("批发市场", "wholesale market"),
    Layer.RETAIL_MARKET: Text("零售市场", "retail market"),
    Layer.JOINT_QUICK: Text("监管部门", "regulator"),
    Layer.STATUTORY_LAB: Text("监管部门法定检测", "regulator, statutory test"),
    Layer.OWN: Text("货主自检", "tested by their holder"),
}
RESULTS: Final = MappingProxyType(
    {
        Status.PASSED: Text("合格", "passed"),
        Status.CLEARED: Text("复检合格", "cleared by a further test"),
        Status.UNDETERMINED: Text("无限量规定，待评估", "no limit is set; to be assessed"),
        Status.SUSPECT: Text("可疑，待确认", "suspect, to be confirmed"),
        Status.POSITIVE: Text("初筛阳性，待确认", "positive, to be confirmed"),
        Status.PRESUMPTIVE: Text("复测阳性，待实验室确认", "positive again, with a laboratory"),
        Status.CONFIRMED_FAIL: Text("不合格", "failed"),
    }
)
"""What tests come to, in the public's words; a sample that waits for its test is none."""


def tested(standing: Standing, product: str, *, beside: date) -> Text:
    """Tell a test result: when the sample was taken, by whom, of what, and what it came to."""
    assert standing.status is not None, "only what came to something is told"
    assert standing.layer is not None, "a sample has a layer"
    assert standing.sampled_at is not None, "a sample was taken some time"
    on = day(local_date(standing.sampled_at), beside)
    layer, result = _LAYERS[standing.layer], RESULTS[standing.status]
    method = Text("实验室检测", "laboratory") if standing.statutory else Text("快检", "quick test")
    return Text(
        f"{on.zh} {layer.zh} {product} {method.zh}：{result.zh}",
        f"{on.en}, {layer.en}, {method.en}: {result.en}",
    )


def people(names: Sequence[str], *, most: int = 3) -> Text:
    """List names, the first few of many: 张**、李** 等 12 户. Two masked names can be alike."""
    told = list(dict.fromkeys(names))[:most]
    zh, en = "、".join(told), ", ".join(told)
    if len(names) > len(told):
        return Text(f"{zh} 等 {len(names)} 户", f"{en} ({len(names)} producers)")
    return Text(zh, en)


def percent(share: float) -> str:
    """Write a share; what is there is never rounded to nothing, nor a part to the whole."""
    if 0 < share < 0.01:  # noqa: PLR2004 (one per cent)
        return "<1%"
    if 0.99 < share < 1:  # noqa: PLR2004 (one per cent less than all)
        return ">99%"
    return f"{round(share * 100)}%"
