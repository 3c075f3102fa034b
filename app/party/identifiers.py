"""Numbers that identify people and firms: how they are cleaned, checked and masked.

USCC: GB 32100-2015, with the organisation code of GB 11714-1997 inside. Resident id: GB 11643-1999.
Cleaning changes only what the standard leaves no doubt about, and is told back to whoever typed.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from app.core.errors import DomainError, Kind, Text

USCC_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_LENGTH = 18
_AGE_MIN, _AGE_MAX = 16, 100

# GB/T 2260. 83 is used for residence permits of residents of Taiwan, 81 and 82 likewise.
_PROVINCES = (
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 "
    "50 51 52 53 54 61 62 63 64 65 71 81 82 83"
)

# Family names of two characters that are common enough to be recognised; any other name is taken
# to have one. A wrong guess shows one character less of a name, never one more.
_COMPOUND = (
    "欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 "
    "濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘 子车 亓官 司寇 巫马 "
    "公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 令狐 段干 百里 呼延 东郭 南门 羊舌 "
    "微生 梁丘 左丘 东门 西门 第五"
)
_COMPOUNDS = frozenset(_COMPOUND.split())

_WIDTH = Text("全角字符已改为半角", "full-width characters were made narrow")
_SPACES = Text("已去掉空格和分隔符", "spaces and separators were dropped")
_CASE = Text("小写字母已改为大写", "small letters were made capital")
_LETTER_O = Text("字母 O 已改为数字 0", "the letter O was read as the digit 0")
_LETTER_I = Text("字母 I 已改为数字 1", "the letter I was read as the digit 1")
_LETTER_L = Text("字母 l 已改为数字 1", "the letter l was read as the digit 1")
_PREFIX = Text("已去掉国际区号 +86", "the country code +86 was dropped")
_ORGANISATION = Text(
    "组织机构代码的校验码不符，请核对营业执照",
    "The check character of the organisation code does not fit; compare with the licence",
)


class UsccInvalid(DomainError):
    """A unified social credit code that GB 32100-2015 does not allow.

    `reason` is length, alphabet, or checksum.
    """

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "uscc-invalid"
    title: ClassVar[Text] = Text(
        "统一社会信用代码不正确", "The unified social credit code is not valid"
    )
    next_step: ClassVar[Text] = Text(
        "请对照营业执照或登记证书逐位核对 18 位代码",
        "Compare all 18 characters with the licence or certificate",
    )


class ResidentIdInvalid(DomainError):
    """A resident id number that GB 11643-1999 does not allow, or of an impossible age.

    `reason` is length, alphabet, province, date, age, or checksum.
    """

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "resident-id-invalid"
    title: ClassVar[Text] = Text("身份证号码不正确", "The resident id number is not valid")
    next_step: ClassVar[Text] = Text(
        "请对照身份证逐位核对 18 位号码，须年满 16 周岁",
        "Compare all 18 characters with the card; the holder must be 16 or older",
    )


class PhoneInvalid(DomainError):
    """Neither a mobile number nor a landline of China.

    `reason` is length, alphabet, or prefix.
    """

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "phone-invalid"
    title: ClassVar[Text] = Text("电话号码不正确", "The phone number is not valid")
    next_step: ClassVar[Text] = Text(
        "请填写 11 位手机号，或带区号的座机号，如 0513-85920000",
        "Give a mobile number of 11 digits, or a landline with its area code: 0513-85920000",
    )


@dataclass(frozen=True, slots=True)
class Normalised:
    """What was typed, cleaned, with a note for every kind of change that was made."""

    value: str
    notes: tuple[Text, ...] = ()


def normalise_uscc(text: str) -> Normalised:
    """Clean a unified social credit code: I and O are in no position, so they are digits."""
    return _normalise(text, {"O": _LETTER_O, "I": _LETTER_I})


def normalise_resident_id(text: str) -> Normalised:
    """Clean a resident id number: of letters it can only hold a final X."""
    return _normalise(text, {"O": _LETTER_O, "I": _LETTER_I, "L": _LETTER_L})


def normalise_phone(text: str) -> Normalised:
    """Clean a phone number; a landline is answered as `0513-85920000`, a mobile as 11 digits."""
    cleaned = _normalise(text, {"O": _LETTER_O, "I": _LETTER_I, "L": _LETTER_L})
    value, notes = re.sub(r"[()]", "", cleaned.value), cleaned.notes
    international = re.fullmatch(r"(?:\+|00)86(.*)", value) or re.fullmatch(r"86(1\d{10})", value)
    if international:
        value, notes = international[1], (*notes, _PREFIX)
        if value.startswith(_AREA_START):
            # Abroad one dials an area code without its zero.
            value = "0" + value
    if landline := _LANDLINE.fullmatch(value):
        value = f"{landline[1]}-{landline[2]}"
    # The hyphen of a landline was taken out and is back: nothing worth telling.
    return Normalised(value, () if value == text else notes)


def check_uscc(value: str) -> tuple[Text, ...]:
    """Check a cleaned code against GB 32100-2015, and answer warnings.

    Neither the registering department nor the division is compared with a list: rural collectives
    begin with N, and old firms carry retired divisions for ever. Not every real code satisfies the
    organisation code's own check (GB 11714), so that one is a warning.

    Raises:
        UsccInvalid: wrong length, alphabet or check character.
    """
    if len(value) != _LENGTH:
        raise UsccInvalid(reason="length", length=len(value))
    if set(value) - set(USCC_LETTERS) or not _digits(value[2:8]):
        raise UsccInvalid(reason="alphabet")
    if value[-1] != uscc_check_character(value[:-1]):
        raise UsccInvalid(reason="checksum")
    fits = value[16] == organisation_check_character(value[8:16])
    return () if fits else (_ORGANISATION,)


def uscc_check_character(first_17: str) -> str:
    """Compute character 18 of a USCC: weights are powers of 3 modulo 31 (GB 32100-2015)."""
    total = sum(
        USCC_LETTERS.index(letter) * weight
        for letter, weight in zip(first_17, _USCC_WEIGHTS, strict=True)
    )
    return USCC_LETTERS[(31 - total) % 31]


def organisation_check_character(first_8: str) -> str:
    """Compute the check character of an organisation code, where A is 10 and Z is 35 (GB 11714)."""
    total = sum(
        int(letter, 36) * weight
        for letter, weight in zip(first_8, _ORGANISATION_WEIGHTS, strict=True)
    )
    check = 11 - total % 11
    return {10: "X", 11: "0"}.get(check, str(check))


def check_resident_id(value: str, *, today: date) -> tuple[Text, ...]:
    """Check a cleaned number: checksum, a real date, 16 to 100 years of age, a real province.

    The county is not looked up: lists of counties by year reject nearly everybody born in Nantong
    before 1983, and those whose county was renamed after their birth.

    Args:
        value: The number.
        today: The day on which the age counts.

    Raises:
        ResidentIdInvalid: any of these does not hold.
    """
    if len(value) != _LENGTH:
        raise ResidentIdInvalid(reason="length", length=len(value))
    if not _digits(value[:17]) or value[17] not in "0123456789X":
        raise ResidentIdInvalid(reason="alphabet")
    if value[:2] not in _PROVINCES.split():
        raise ResidentIdInvalid(reason="province")
    if value[17] != resident_id_check_character(value[:17]):
        raise ResidentIdInvalid(reason="checksum")
    try:
        born_on = date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        raise ResidentIdInvalid(reason="date") from None
    if not _AGE_MIN <= _age(born_on, today) <= _AGE_MAX:
        raise ResidentIdInvalid(reason="age")
    return ()


def resident_id_check_character(first_17: str) -> str:
    """Compute character 18 of a resident id number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(first_17, _ID_WEIGHTS, strict=True))
    return _ID_CHECKS[total % 11]


def check_phone(value: str) -> tuple[Text, ...]:
    """Check a cleaned phone number: a mobile of 11 digits, or a landline with its area code.

    Raises:
        PhoneInvalid: it is neither.
    """
    digits = value.replace("-", "")
    if not _digits(digits):
        raise PhoneInvalid(reason="alphabet")
    if _MOBILE.fullmatch(value) or _LANDLINE.fullmatch(value):
        return ()
    if _MOBILE_START.match(value) or value.startswith("0"):
        raise PhoneInvalid(reason="length", length=len(digits))
    raise PhoneInvalid(reason="prefix")


def mask_resident_id(value: str) -> str:
    """Show the province and the last character only: `32***************X`."""
    return value[:2] + "*" * (len(value) - 3) + value[-1:]


def mask_phone(value: str) -> str:
    """Show first three and last four digits of a mobile, area and last two of a landline."""
    if _MOBILE.fullmatch(value):
        return f"{value[:3]}****{value[-4:]}"
    area, separator, number = value.rpartition("-")
    return f"{area}{separator}{'*' * (len(number) - 2)}{number[-2:]}"


def mask_name(name: str) -> str:
    """Show the family name of a natural person: 张三 is 张**, 欧阳小明 is 欧阳**.

    Always two asterisks, so that the length of the given name is not told. Of a name that is not
    Chinese the first letter is shown.
    """
    name = name.strip()
    family = name[:2] if len(name) > 2 and name[:2] in _COMPOUNDS else name[:1]
    return f"{family}**"


_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_MOBILE_START = re.compile(r"1[3-9]")
# Two-digit areas are 010 and 02x with eight digits; three-digit areas take seven or eight.
_LANDLINE = re.compile(r"(010|02[0-9]|0[3-9][0-9]{2})-?([2-9][0-9]{6,7})")
_AREA_START = (*"23456789", "10")
_SEPARATORS = re.compile(r"[\s\-\u00b7\u2010-\u2015\u2212.]+")


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _age(born_on: date, today: date) -> int:
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))


def _normalise(text: str, letters: Mapping[str, Text]) -> Normalised:
    """Make narrow, close up and capital; then read letters that cannot occur as digits."""
    notes: list[Text] = []
    value = unicodedata.normalize("NFKC", text)
    if value != text:
        notes.append(_WIDTH)
    # Invisible characters come along when a number is copied from a chat or a table.
    visible = "".join(
        c for c in value if unicodedata.category(c) not in {"Cf", "Cc"} or c in "\t\n"
    )
    # Once more, for what stood apart may now compose.
    closed = unicodedata.normalize("NFKC", _SEPARATORS.sub("", visible))
    if closed != value:
        notes.append(_SPACES)
    capital = closed.upper() if closed.isascii() else closed
    if capital != closed:
        notes.append(_CASE)
    for letter, note in letters.items():
        if letter in capital:
            capital = capital.replace(letter, {"O": "0"}.get(letter, "1"))
            notes.append(note)
    return Normalised(capital, tuple(notes))
