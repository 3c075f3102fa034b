"""Refusals about parties, and the codes that invited people claim with."""

from typing import Any, ClassVar

from app.core.errors import DomainError, IdReused, Kind, Text

_CLAIM_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CLAIM_LENGTH = 8


class UnknownParty(DomainError):
    """No party, or nothing of the caller's, has this id."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-party"
    title: ClassVar[Text] = Text("没有这个主体", "There is no such party")
    next_step: ClassVar[Text] = Text("请核对主体编号", "Check the party's id")


class NumberTaken(DomainError):
    """Another party is registered under this number."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "number-taken"
    title: ClassVar[Text] = Text(
        "该证件号码已登记", "Another party is registered under this number"
    )
    next_step: ClassVar[Text] = Text(
        "请查找已登记的主体, 勿重复登记", "Look the registered party up instead"
    )


class NumberMissing(DomainError):
    """A legal person needs its USCC; a natural person a name that somebody can answer for."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "number-missing"
    title: ClassVar[Text] = Text(
        "缺少证件号码", "The number that identifies the party is missing"
    )
    next_step: ClassVar[Text] = Text(
        "单位请填统一社会信用代码, 个人请填身份证号或手机号",
        "Give an organisation's USCC, or a person's resident id or phone",
    )


class LoginTaken(DomainError):
    """The login is in use."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "login-taken"
    title: ClassVar[Text] = Text("该登录名已被使用", "The login is in use")
    next_step: ClassVar[Text] = Text("请换一个登录名", "Choose another login")


class WrongCredentials(DomainError):
    """Login and password do not belong together; which of them is wrong is not told."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "wrong-credentials"
    title: ClassVar[Text] = Text("登录名或密码不正确", "Login and password do not match")
    next_step: ClassVar[Text] = Text("请重新输入", "Type them again")


class UnknownScope(DomainError):
    """A key's scope must be an action that exists."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-scope"
    title: ClassVar[Text] = Text("没有这个权限项", "There is no such scope")
    next_step: ClassVar[Text] = Text("请查阅接口文档中的权限项", "See the actions in the API document")


class ClaimRefused(DomainError):
    """Phone and claim code do not belong together, or the invitation has ended."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "claim-refused"
    title: ClassVar[Text] = Text(
        "手机号与认领码不符, 或邀请已失效", "Phone and claim code do not match, or the invitation ended"
    )
    next_step: ClassVar[Text] = Text(
        "请向开票的卖方索取新的认领码", "Ask the seller who invited you for a new claim code"
    )


def check_same(stored: Any, given: Any) -> None:
    """Refuse other content under an id that is taken.

    Raises:
        IdReused: the two differ.
    """
    if stored != given:
        raise IdReused


def claim_code(random: bytes) -> str:
    """Write 40 random bits as eight letters that are not mistaken for one another."""
    value = int.from_bytes(random, "big")
    letters = []
    for _ in range(CLAIM_LENGTH):
        value, letter = divmod(value, len(_CLAIM_LETTERS))
        letters.append(_CLAIM_LETTERS[letter])
    return "".join(letters)
