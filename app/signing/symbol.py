"""The modules of a QR code (ISO/IEC 18004), with the mask chosen as the standard asks.

The `qrcode` library encodes the data, corrects errors and draws the fixed patterns. It could choose
the mask too, but takes four fifths of its time for that, module by module. Here a whole symbol is
one integer, so that each of the standard's penalty rules is a few shifts. The points are the
library's (`tests/unit/test_qr.py`), but given to the finished symbol as the standard says: the
library gives them before the format information is drawn.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, Literal, NamedTuple

from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode
from qrcode.util import BIT_LIMIT_TABLE, QRData, create_data, mask_func

VERSION_MAX: Final = 8
"""Larger codes are hard to scan: 27 of 60 poor frames against 36 (`ux.md`, QR size)."""

# MODE_NUMBER and MODE_8BIT_BYTE of the library; its type stubs call those `int` and refuse them.
_NUMBER: Literal[1] = 1
_BYTES: Literal[4] = 4

_MASKS: Final = range(8)
_MODE_BITS: Final = 4
_BYTE_COUNT_BITS: Final = 8  # in versions 1 to 9
_NUMBER_COUNT_BITS: Final = 10  # in versions 1 to 9
_NUMBER_TAIL_BITS: Final = (0, 4, 7)  # what is left after groups of three digits in ten bits
_CORE: Final = (True, False, True, True, True, False, True)  # a finder's 1:1:3:1:1
_CLEAR: Final = (False,) * 4


class Symbol(NamedTuple):
    """A square of modules without its quiet zone.

    Attributes:
        width: Modules a side.
        modules: Bit `row * width + column` is set where a module is dark.
    """

    width: int
    modules: int

    def rows(self) -> Iterator[str]:
        """Walk the rows from the top, each as a text of `1` (dark) and `0`, left to right."""
        text = f"{self.modules:0{self.width**2}b}"[::-1]
        for start in range(0, len(text), self.width):
            yield text[start : start + self.width]


class _Canvas(NamedTuple):
    """What all symbols of a version share.

    Attributes:
        width: Modules a side.
        backgrounds: For every mask, the fixed patterns, and the mask where data will lie.
        arrange: Takes the bits of the data, and a clear one after them for modules without data,
            to the modules that show them, the last module first.
    """

    width: int
    backgrounds: tuple[int, ...]
    arrange: Callable[[str], tuple[str, ...]]


class _Frame(QRCode):  # type: ignore[type-arg]  # its parameter is a kind of image; we take none
    """The library's symbol before data is placed: modules that wait for data are None."""

    def map_data(self, data: Sequence[int], mask_pattern: int) -> None:
        """Leave the modules for data alone."""


def encode(prefix: str, digits: str) -> Symbol:
    """Encode ASCII text in byte mode, then digits in numeric mode, with error correction M.

    Raises:
        ValueError: the text is not ASCII, or needs more than version 8.
    """
    version = _version(prefix, digits)
    segments = [QRData(prefix.encode("ascii"), mode=_BYTES)]
    if digits:
        segments.append(QRData(digits.encode("ascii"), mode=_NUMBER))
    data = create_data(version, ERROR_CORRECT_M, segments)
    canvas = _canvas(version)
    bits = "".join([f"{byte:08b}" for byte in data]) + "0"
    picture = int("".join(canvas.arrange(bits)), 2)
    masked = [Symbol(canvas.width, picture ^ background) for background in canvas.backgrounds]
    return min(masked, key=penalty)


def prefix_length_max(digits_length: int) -> int:
    """Answer how many ASCII characters may stand before that many digits."""
    header = 2 * _MODE_BITS + _BYTE_COUNT_BITS + _NUMBER_COUNT_BITS
    room: int = BIT_LIMIT_TABLE[ERROR_CORRECT_M][VERSION_MAX]
    return (room - header - _number_bits(digits_length)) // 8


def penalty(symbol: Symbol) -> int:
    """Score a symbol by the four rules of ISO/IEC 18004 §7.8.3; fewer points read better."""
    width, dark = symbol
    points = 0
    for step in (1, width):  # along rows, then along columns
        same = _alike(symbol, step)
        runs = same & same >> step & same >> 2 * step & same >> 3 * step
        points += runs.bit_count() + 2 * (runs & ~(runs << step)).bit_count()
        points += 40 * (_find(symbol, _CORE + _CLEAR, step) + _find(symbol, _CLEAR + _CORE, step))
    beside, below = _alike(symbol, 1), _alike(symbol, width)
    points += 3 * (beside & beside >> width & below).bit_count()
    # Whole steps of 5 % away from one half; integers, so that no rounding decides.
    return points + 10 * (abs(100 * dark.bit_count() - 50 * width**2) // (5 * width**2))


def _alike(symbol: Symbol, step: int) -> int:
    """Mark the modules that look like the next one of their row (step 1) or column."""
    width, dark = symbol
    return ~(dark ^ dark >> step) & _having(width, step, 1)


def _find(symbol: Symbol, pattern: tuple[bool, ...], step: int) -> int:
    """Count where a pattern of modules occurs along the rows (step 1) or columns."""
    width, dark = symbol
    found = _having(width, step, len(pattern) - 1)
    for place, is_dark in enumerate(pattern):
        shifted = dark >> place * step
        found &= shifted if is_dark else ~shifted
    return found.bit_count()


@lru_cache
def _having(width: int, step: int, more: int) -> int:
    """Mark the modules after which so many more follow in their row (step 1) or column."""
    if step != 1:
        return (1 << width * (width - more)) - 1
    row = (1 << width - more) - 1
    return sum(row << start for start in range(0, width**2, width))


@lru_cache
def _canvas(version: int) -> _Canvas:
    """Prepare the fixed patterns, the masks and the way of the data through a version."""
    frames = [_Frame(version=version, error_correction=ERROR_CORRECT_M) for _ in _MASKS]
    for mask, frame in zip(_MASKS, frames, strict=True):
        frame.data_cache = [0]  # Not None, or the library would encode data that we do not have.
        frame.makeImpl(test=False, mask_pattern=mask)
    width = frames[0].modules_count
    free = {
        (row, column)
        for row, modules in enumerate(frames[0].modules)
        for column, module in enumerate(modules)
        if module is None
    }
    backgrounds = []
    for mask, frame in zip(_MASKS, frames, strict=True):
        masked = mask_func(mask)
        backgrounds.append(
            sum(
                1 << row * width + column
                for row in range(width)
                for column in range(width)
                if (masked(row, column) if (row, column) in free else frame.modules[row][column])
            )
        )
    data_bits = 8 * len(create_data(version, ERROR_CORRECT_M, []))
    way = (cell for cell in _way(width) if cell in free)
    bit_of = dict(zip(way, range(data_bits), strict=False))  # A few modules remain without data.
    order = tuple(
        bit_of.get((row, column), data_bits)
        for row in reversed(range(width))
        for column in reversed(range(width))
    )
    return _Canvas(width, tuple(backgrounds), itemgetter(*order))


def _way(width: int) -> Iterator[tuple[int, int]]:
    """Walk the modules as data does: pairs of columns from the right, upwards, then downwards."""
    # The timing pattern fills column 6, so the pairs left of it begin one column earlier.
    pairs = [*range(width - 1, 6, -2), *range(5, 0, -2)]
    for turn, right in enumerate(pairs):
        rows = range(width) if turn % 2 else reversed(range(width))
        for row in rows:
            yield row, right
            yield row, right - 1


def _version(prefix: str, digits: str) -> int:
    """Choose the smallest version that holds the text."""
    if not prefix.isascii():
        message = "the address before the digits must be ASCII"
        raise ValueError(message)
    needed = _MODE_BITS + _BYTE_COUNT_BITS + 8 * len(prefix)
    if digits:
        needed += _MODE_BITS + _NUMBER_COUNT_BITS + _number_bits(len(digits))
    for version in range(1, VERSION_MAX + 1):
        if needed <= BIT_LIMIT_TABLE[ERROR_CORRECT_M][version]:
            return version
    message = (
        f"an address of {len(prefix)} characters before {len(digits)} digits needs a code larger "
        f"than version {VERSION_MAX}; at most {prefix_length_max(len(digits))} characters fit"
    )
    raise ValueError(message)


def _number_bits(length: int) -> int:
    return length // 3 * 10 + _NUMBER_TAIL_BITS[length % 3]
