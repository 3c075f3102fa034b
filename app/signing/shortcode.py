"""The short code printed under a ticket's QR code, for typing by hand when nothing can be scanned.

Twelve characters of Crockford's base 32 carry the 60 low bits of the serial; a thirteenth checks
them. It names a ticket to the server and proves nothing by itself.

The check character follows the hybrid system of ISO/IEC 7064 for an alphabet of 32 characters
(modulus 33,32: the algorithm of MOD 37,36 and MOD 27,26). It finds every single wrong character,
and all but 1 in 496 swaps of unequal neighbours: `tests/unit/test_shortcode.py` counts them.
"""

from enum import StrEnum
from typing import Final, NamedTuple

PATH: Final = "/c/"
"""Where the address of a short code leads: `https://<host>/c/<code>`."""
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SERIAL_BITS: Final = 60
LENGTH: Final = 13
_INPUT_MAX: Final = 64  # Room for groups and stray blanks; more is not a code that someone typed.
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_LOOKALIKES: Final = str.maketrans("OIL", "011")
_SEPARATORS: Final = frozenset(" \t\r\n\u00a0\u3000-\u2010\u2011\u2012\u2013\u2014\u2212_.")
_FULL_WIDTH: Final = {ord("!") + offset + 0xFEE0: ord("!") + offset for offset in range(94)}


class Change(StrEnum):
    """What had to be tidied before a typed code could be read; worth showing back to the typist."""

    WIDTH = "width"  # full-width characters of a Chinese keyboard
    SEPARATORS = "separators"
    CASE = "case"
    LOOKALIKES = "lookalikes"  # O for 0, I or L for 1


class BadCode(StrEnum):
    """Why a text is no short code, in the order of the checks."""

    LENGTH = "length"
    CHARACTER = "character"
    CHECK = "check"


class BadCodeError(Exception):
    """What was typed is no short code.

    Attributes:
        reason: The first check that failed.
    """

    def __init__(self, reason: BadCode) -> None:
        """Build the finding."""
        super().__init__(reason.value)
        self.reason = reason


class Typed(NamedTuple):
    """A code that reads well.

    Attributes:
        code: The 13 characters in their one form.
        serial_low: The 60 low bits of the serial that it names.
        changes: What was tidied, other than the hyphens where they belong.
    """

    code: str
    serial_low: int
    changes: frozenset[Change]


def serial_low(serial: int) -> int:
    """Answer the bits of a serial that its short code carries."""
    return serial & ((1 << SERIAL_BITS) - 1)


def encode(serial: int) -> str:
    """Write the short code of a serial: 13 characters without hyphens."""
    low = serial_low(serial)
    body = "".join(ALPHABET[low >> shift & 31] for shift in range(SERIAL_BITS - 5, -1, -5))
    return body + check_character(body)


def show(code: str) -> str:
    """Group a code for the eye: `XXXX-XXXX-XXXX-X`."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def parse(text: str) -> Typed:
    """Read a code as people type it.

    Raises:
        BadCodeError: with the first reason; nothing else.
    """
    if len(text) > _INPUT_MAX:
        raise BadCodeError(BadCode.LENGTH)
    narrow = text.translate(_FULL_WIDTH)
    bare = "".join(character for character in narrow if character not in _SEPARATORS)
    if len(bare) != LENGTH:
        raise BadCodeError(BadCode.LENGTH)
    upper = bare.upper()
    code = upper.translate(_LOOKALIKES)
    # `str.upper` makes ASCII letters out of some foreign ones (`ſ` becomes S), hence `bare`.
    if not (bare.isascii() and _VALUES.keys() >= set(code)):
        raise BadCodeError(BadCode.CHARACTER)
    if check_character(code[:-1]) != code[-1]:
        raise BadCodeError(BadCode.CHECK)
    value = 0
    for character in code[:-1]:
        value = value << 5 | _VALUES[character]
    changed = {
        Change.WIDTH: narrow != text,
        Change.SEPARATORS: narrow not in {bare, show(bare)},
        Change.CASE: upper != bare,
        Change.LOOKALIKES: code != upper,
    }
    return Typed(code, value, frozenset(change for change, done in changed.items() if done))


def check_character(body: str) -> str:
    """Compute the check character (ISO/IEC 7064:2003, hybrid systems, with M = 32)."""
    modulus = len(ALPHABET)
    product = modulus
    for character in body:
        product = ((product + _VALUES[character]) % modulus or modulus) * 2 % (modulus + 1)
    return ALPHABET[(1 - product) % modulus]
