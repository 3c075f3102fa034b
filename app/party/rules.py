"""What is decided about parties, their roles and credentials, without asking anybody."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from app.core import dated
from app.core.errors import DomainError, IdReused, Kind, Text
from app.party import identifiers
from app.party.access import Department, Duty, RoleKind

_CLAIM_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CLAIM_LENGTH = 8
# People read a code aloud and type what they heard (Crockford's reading of look-alikes).
_CLAIM_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", " ": None, "-": None})

# ASVS 5.0 6.2.1 asks for 8 characters at least, 6.2.9 to take 64; NIST SP 800-63B-4 for 15 where
# nothing but a password guards. Ten is what a stallholder will type on a phone. The upper end keeps
# hashing cheap.
PASSWORD_LENGTH_MIN = 10
PASSWORD_LENGTH_MAX = 128
_DIFFERENT_CHARACTERS_MIN = 4


class UnknownParty(DomainError):
    """No party, or nothing of the caller's, has this id."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-party"
    title: ClassVar[Text] = Text("没有这个主体", "There is no such party")
    next_step: ClassVar[Text] = Text("请核对后重新选择", "Choose the party anew")


class NumberTaken(DomainError):
    """Another party is registered under this number."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "number-taken"
    title: ClassVar[Text] = Text(
        "该证件号码已登记", "Another party is registered under this number"
    )
    next_step: ClassVar[Text] = Text(
        "请查找已登记的主体，勿重复登记", "Look the registered party up instead"
    )


class NumberMissing(DomainError):
    """A legal person needs its USCC; a natural person a name that somebody can answer for."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "number-missing"
    title: ClassVar[Text] = Text("缺少证件号码", "The number that identifies the party is missing")
    next_step: ClassVar[Text] = Text(
        "单位请填统一社会信用代码，个人请填身份证号或手机号",
        "Give an organisation's USCC, or a person's resident id or phone",
    )


class DepartmentUnfit(DomainError):
    """Only regulators are of agriculture or of market regulation."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "department-unfit"
    title: ClassVar[Text] = Text("只有监管部门才分部门", "Only a regulator has a department")
    next_step: ClassVar[Text] = Text("请去掉部门", "Leave the department out")


class NumberUnfit(DomainError):
    """A number that a party of this form cannot have."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "number-unfit"
    title: ClassVar[Text] = Text(
        "该类主体不应有此证件号码", "A party of this form has no such number"
    )
    next_step: ClassVar[Text] = Text(
        "单位不填身份证号；个人只能填 92 开头的个体工商户代码",
        "Leave an organisation's resident id out; a person's USCC begins with 92",
    )


class PartyNotActive(DomainError):
    """An invited party becomes active when its person claims it; a disabled one has ended."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "party-not-active"
    title: ClassVar[Text] = Text(
        "该主体尚未认领或已停用", "The party is not claimed yet, or is disabled"
    )
    next_step: ClassVar[Text] = Text(
        "受邀主体请由本人凭认领码认领", "Let the invited person claim it with the claim code"
    )


class UnknownRolePlace(DomainError):
    """A role is at a place that is not registered."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "role-place-unknown"
    title: ClassVar[Text] = Text("角色所在场所未登记", "The role's place is not registered")
    next_step: ClassVar[Text] = Text(
        "请先登记该场所，或不填场所", "Register the place first, or leave it out"
    )


class JurisdictionMissing(DomainError):
    """A regulator answers for a division; without one it could see nothing."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "jurisdiction-missing"
    title: ClassVar[Text] = Text("监管角色缺少辖区", "A regulator's role needs its division")
    next_step: ClassVar[Text] = Text(
        "请填写辖区区划代码，如 320612", "Give the division it answers for, such as 320612"
    )


class RoleDatesInvalid(DomainError):
    """A role ends after it begins, and its end is not moved into the past, nor later."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "role-dates-invalid"
    title: ClassVar[Text] = Text("角色起止日期不正确", "The dates of the role are not possible")
    next_step: ClassVar[Text] = Text(
        "终止日期须晚于开始日期，不早于今天，且不晚于原终止日期",
        "The end comes after the beginning, not before today, and not after the end it had",
    )


class UnknownRole(DomainError):
    """The party has no role of this number."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-role"
    title: ClassVar[Text] = Text("该主体没有这个角色", "The party has no such role")
    next_step: ClassVar[Text] = Text("请核对角色序号", "Check the role's number")


class UnknownKey(DomainError):
    """The caller's party has no such key."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-key"
    title: ClassVar[Text] = Text("没有这个密钥", "There is no such key")
    next_step: ClassVar[Text] = Text("请查看本主体的密钥列表", "See the list of your party's keys")


class PasswordWeak(DomainError):
    """A password that is guessed first."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "password-weak"
    title: ClassVar[Text] = Text(
        "密码过短、过长或过于简单", "The password is too short, long or simple"
    )
    next_step: ClassVar[Text] = Text(
        "请用 10 至 128 个字符，至少 4 种不同字符，且不同于登录名",
        "Use 10 to 128 characters, 4 or more different ones, and not the login",
    )


class LoginNotOwnPhone(DomainError):
    """A login that is a phone belongs to whoever has the phone."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "login-not-own-phone"
    title: ClassVar[Text] = Text(
        "登录名是手机号，但不是该主体登记的手机号",
        "The login is a phone number that the party is not registered with",
    )
    next_step: ClassVar[Text] = Text(
        "请用该主体登记的手机号，或不是号码的登录名",
        "Use the party's own phone, or a login that is no phone number",
    )


class LoginTaken(DomainError):
    """The login is in use."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "login-taken"
    title: ClassVar[Text] = Text("该登录名已被使用", "The login is in use")
    next_step: ClassVar[Text] = Text("请换一个登录名", "Choose another login")


class NotHead(DomainError):
    """Only whoever heads a business says who works there."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "not-head"
    title: ClassVar[Text] = Text("只有负责人才能管理员工", "Only a head manages the staff")
    next_step: ClassVar[Text] = Text(
        "请由本单位负责人办理", "Ask whoever heads your business to do it"
    )


class UnknownMember(DomainError):
    """Nobody of this business has this id, or nobody whom the caller answers for."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-member"
    title: ClassVar[Text] = Text("没有这名员工", "There is no such member of staff")
    next_step: ClassVar[Text] = Text("请刷新员工名单后再试", "Read the list of staff again")


class DutyUnfit(DomainError):
    """Only a market has gates to stand at."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "duty-unfit"
    title: ClassVar[Text] = Text("本单位没有这个岗位", "The business has no such duty")
    next_step: ClassVar[Text] = Text(
        "只有市场才有门岗，请选其他岗位", "Only markets have gates: choose another duty"
    )


class LastHead(DomainError):
    """Without a head nobody could let anybody in again."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "last-head"
    title: ClassVar[Text] = Text(
        "这是最后一名能登录的负责人", "This is the last head who can sign in"
    )
    next_step: ClassVar[Text] = Text(
        "请先添加另一名负责人并等其认领，再停用或调岗",
        "Add another head first, and wait until that head has claimed the account",
    )


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
    next_step: ClassVar[Text] = Text(
        "请查阅接口文档中的权限项", "See the actions in the API document"
    )


class ClaimRefused(DomainError):
    """Phone and claim code do not belong together, or the invitation has ended."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "claim-refused"
    title: ClassVar[Text] = Text(
        "手机号与认领码不符，或邀请已失效",
        "Phone and claim code do not match, or the invitation ended",
    )
    next_step: ClassVar[Text] = Text(
        "请向开票的卖方索取新的认领码", "Ask the seller who invited you for a new claim code"
    )


class NothingToClaim(DomainError):
    """A new claim code is for who was invited and has not come."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "nothing-to-claim"
    title: ClassVar[Text] = Text(
        "这名员工已认领或已停用，不需要认领码",
        "This member of staff has come already, or is shut out",
    )
    next_step: ClassVar[Text] = Text(
        "已认领而忘了密码的，请给重设码；已停用的，请先重新启用",
        "Give a reset code to who has come and forgot the password; let in first who is shut out",
    )


class NothingToReset(DomainError):
    """Only who has a password can have forgotten it."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "nothing-to-reset"
    title: ClassVar[Text] = Text(
        "这名员工还没有密码，或已停用", "This member of staff has no password yet, or is shut out"
    )
    next_step: ClassVar[Text] = Text(
        "还没认领的，请给新的认领码；已停用的，请先重新启用",
        "Give a new claim code to who has not come yet; let in first who is shut out",
    )


class OwnReset(DomainError):
    """A borrowed phone would otherwise be enough to take an account over for good."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "own-reset"
    title: ClassVar[Text] = Text("不能给自己重设码", "Nobody gives a reset code to themselves")
    next_step: ClassVar[Text] = Text(
        "请由本单位另一名负责人，或登记您的市场办公室、平台运营方办理",
        "Ask another head of your business, the market that registered it, or the operator",
    )


class CodeReplaced(DomainError):
    """A code that was used, or that another took the place of, does not come back."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "code-replaced"
    title: ClassVar[Text] = Text(
        "这个码已用过，或已被新码取代", "The code was used, or a newer one took its place"
    )
    next_step: ClassVar[Text] = Text("请重新给一个码", "Give a new code")


class ResetRefused(DomainError):
    """Login and reset code do not belong together, or the code has ended; which is not told."""

    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED
    code: ClassVar[str] = "reset-refused"
    title: ClassVar[Text] = Text(
        "账号与重设码不符，或重设码已失效", "Login and reset code do not match, or the code ended"
    )
    next_step: ClassVar[Text] = Text(
        "请核对后再试；还不行，请向给码的人要一个新码",
        "Check both and try again; if that fails, ask whoever gave the code for a new one",
    )


@dataclass(frozen=True, slots=True)
class AccountRule:
    """A limit of accounts that holds for a time.

    Attributes:
        amount: Hours of `reset_hours`, tries of `reset_tries`.
    """

    kind: str
    valid_from: date
    valid_to: date | None
    amount: int


def amount_of(known: Iterable[AccountRule], kind: str, on: date) -> int:
    """Answer the amount of the rule in force on a day."""
    return next(
        rule.amount
        for rule in known
        if rule.kind == kind and dated.in_force(rule.valid_from, rule.valid_to, on)
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


def read_claim_code(typed: str) -> str:
    """Read a claim code as it was meant: capital, without spaces, O as 0, I and L as 1."""
    return unicodedata.normalize("NFKC", typed).upper().translate(_CLAIM_READ_AS)


@dataclass(frozen=True, slots=True)
class Post:
    """What somebody is in a business, as the decision needs it.

    Attributes:
        has_come: Whether the invitation was taken up.
    """

    account_id: int
    duty: Duty
    has_come: bool
    is_disabled: bool

    @property
    def leads(self) -> bool:
        """Whether this is a head who can sign in."""
        return self.duty is Duty.HEAD and self.has_come and not self.is_disabled


def check_duty(duty: Duty, kinds: frozenset[RoleKind]) -> None:
    """Refuse a duty that a business of these roles has not.

    Raises:
        DutyUnfit: somebody at the gate of what is no market.
    """
    if duty is Duty.GATE and RoleKind.MARKET not in kinds:
        raise DutyUnfit(pointer="/duty")


def check_head_left(posts: Iterable[Post], changed: Post) -> None:
    """Refuse a change after which nobody who can sign in heads the business.

    Raises:
        LastHead: no head is left.
    """
    others = [post for post in posts if post.account_id != changed.account_id]
    if not any(post.leads for post in (*others, changed)):
        raise LastHead


@dataclass(frozen=True, slots=True)
class Note:
    """What was changed in a member of the body, or looks odd in it; told back to the user."""

    member: str
    text: Text


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a party, cleaned and checked."""

    uscc: str | None
    id_number: str | None
    phone: str | None
    notes: tuple[Note, ...]


def read_numbers(
    form: str, *, uscc: str | None, id_number: str | None, phone: str | None, today: date
) -> Numbers:
    """Clean and check the numbers that a party is registered with.

    Raises:
        UsccInvalid: see `identifiers.check_uscc`.
        ResidentIdInvalid: see `identifiers.check_resident_id`.
        PhoneInvalid: see `identifiers.check_phone`.
        NumberUnfit: an organisation with a resident id, or a person with an organisation's USCC.
        NumberMissing: an organisation without USCC, or a person with neither id nor phone.
    """

    def check_id(value: str) -> tuple[Text, ...]:
        return identifiers.check_resident_id(value, today=today)

    uscc_read, uscc_notes = _read("uscc", uscc, identifiers.normalise_uscc, identifiers.check_uscc)
    id_read, id_notes = _read("id_number", id_number, identifiers.normalise_resident_id, check_id)
    phone_read, phone_notes = _read(
        "phone", phone, identifiers.normalise_phone, identifiers.check_phone
    )
    numbers = Numbers(uscc_read, id_read, phone_read, (*uscc_notes, *id_notes, *phone_notes))
    if form == "legal" and numbers.id_number is not None:
        raise NumberUnfit(pointer="/id_number")
    # GB 32100: 92 is an individual business (个体工商户), which is its owner in law.
    if form == "natural" and numbers.uscc is not None and not numbers.uscc.startswith("92"):
        raise NumberUnfit(pointer="/uscc")
    if form == "legal" and numbers.uscc is None:
        raise NumberMissing(pointer="/uscc")
    if form == "natural" and numbers.id_number is None and numbers.phone is None:
        raise NumberMissing(pointer="/id_number")
    return numbers


def read_phone(typed: str) -> str:
    """Clean and check a phone number.

    Raises:
        PhoneInvalid: it is none.
    """
    phone, _ = _read("phone", typed, identifiers.normalise_phone, identifiers.check_phone)
    assert phone is not None, "something was typed"
    return phone


def _read(
    member: str,
    typed: str | None,
    normalise: Callable[[str], identifiers.Normalised],
    check: Callable[[str], tuple[Text, ...]],
) -> tuple[str | None, list[Note]]:
    if typed is None:
        return None, []
    cleaned = normalise(typed)
    try:
        warnings = check(cleaned.value)
    except DomainError as refusal:
        refusal.pointer = f"/{member}"
        raise
    return cleaned.value, [Note(member, text) for text in (*cleaned.notes, *warnings)]


def read_login(typed: str) -> str:
    """Answer the one spelling of a login: small letters, no spaces; a phone as its digits."""
    closed = "".join(unicodedata.normalize("NFKC", typed).split())
    return phone_in(typed) or unicodedata.normalize("NFKC", closed.casefold())


def phone_in(login: str) -> str | None:
    """Answer the phone number that a login is, if it is one."""
    value = identifiers.normalise_phone(login).value
    try:
        identifiers.check_phone(value)
    except identifiers.PhoneInvalid:
        return None
    return value


def check_password(password: str, *, login: str) -> None:
    """Refuse a password that is guessed first.

    No mixture of kinds of characters is asked for, and no change every few months: both make
    passwords worse (NIST SP 800-63B-4 §3.1.1.2, ASVS 5.0 6.2.5 and 6.2.10).

    Raises:
        PasswordWeak: too short, too long, of too few different characters, or the login itself.
    """
    length_fits = PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX
    varied = len(set(password)) >= _DIFFERENT_CHARACTERS_MIN
    if not length_fits or not varied or read_login(password) == read_login(login):
        raise PasswordWeak(
            pointer="/password",
            length_min=PASSWORD_LENGTH_MIN,
            length_max=PASSWORD_LENGTH_MAX,
        )


def check_role(
    kind: RoleKind,
    *,
    valid_from: date,
    valid_to: date | None,
    division_code: str | None,
    department: Department | None = None,
) -> None:
    """Refuse a role that cannot be.

    Raises:
        RoleDatesInvalid: it ends before it begins.
        JurisdictionMissing: a regulator without a division.
        DepartmentUnfit: a department of anybody but a regulator.
    """
    if valid_to is not None and valid_to <= valid_from:
        raise RoleDatesInvalid
    if kind is RoleKind.REGULATOR and division_code is None:
        raise JurisdictionMissing
    if kind is not RoleKind.REGULATOR and department is not None:
        raise DepartmentUnfit


def check_end(valid_from: date, valid_to: date | None, *, new_end: date, today: date) -> None:
    """Refuse an end that would change what a party was on a day gone by, or lengthen a role.

    Raises:
        RoleDatesInvalid: the end is before today or the beginning, or after the old end.
    """
    later = valid_to is not None and new_end > valid_to
    if new_end < today or new_end < valid_from or later:
        raise RoleDatesInvalid
