"""QR codes drawn for screens, documents and label printers.

A code holds the address in byte mode, then the token's digits in numeric mode, with error
correction M and at most version 8: 49 modules a side, and a quiet zone of 4 around them. Tokens of
both types, origin certificates and tickets, are drawn in the same way. Without digits a code holds
the address alone, for crate labels too small for a token.
"""

from enum import StrEnum
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from typing import Final, NamedTuple

from PIL import Image

from app.signing import symbol
from app.signing.rules import LabelTooSmall
from app.signing.symbol import Symbol
from app.signing.token import PATH

QUIET_ZONE: Final = 4
DOTS_SAFE: Final = 4
DOTS_LEAST: Final = 3
TOKEN_DIGITS: Final = 246
_MM_PER_INCH: Final = 25.4
_CODES_KEPT: Final = 4_096  # A code is some 600 bytes here, an image some 1.5 kB.
_IMAGES_KEPT: Final = 1_024


class Print(StrEnum):
    """How well a printed code will scan, by printer dots a module.

    60 simulated reads each of a 203 dpi thermal print (`trust.md` §1.4): all with 4 dots, 85 % with
    3, none with 2. DENSO, who made the QR code, recommends at least 4.
    """

    SAFE = "safe"
    MARGINAL = "marginal"  # Print it, with a warning.
    REFUSED = "refused"


class ModuleDots(NamedTuple):
    """How a code fits a label.

    Attributes:
        dots: Printer dots a module, always whole: fractions make modules of unequal width.
        print: How well that will scan.
    """

    dots: int
    print: Print


def public_url_length_max() -> int:
    """Answer how long the platform's public URL may be, so that tokens fit version 8."""
    return symbol.prefix_length_max(TOKEN_DIGITS) - len(PATH)


def label_module_dots(size_mm: float, dpi: int, modules: int) -> ModuleDots:
    """Decide at how many dots a module a code is printed.

    Args:
        size_mm: Side of the square that the code and its quiet zone may fill.
        dpi: Printer's dots an inch.
        modules: The code's modules a side, without quiet zone.
    """
    dots = int(size_mm / _MM_PER_INCH * dpi / (modules + 2 * QUIET_ZONE))
    if dots >= DOTS_SAFE:
        return ModuleDots(dots, Print.SAFE)
    return ModuleDots(dots, Print.MARGINAL if dots >= DOTS_LEAST else Print.REFUSED)


def fit_label(size_mm: float, dpi: int, modules: int) -> ModuleDots:
    """Decide as `label_module_dots` does, and refuse what would not scan.

    Raises:
        LabelTooSmall: modules would have fewer than 3 dots.
    """
    fit = label_module_dots(size_mm, dpi, modules)
    if fit.print is Print.REFUSED:
        raise LabelTooSmall(dots=fit.dots, dots_least=DOTS_LEAST, size_mm=size_mm, dpi=dpi)
    return fit


def modules_of(url_prefix: str, digits: str) -> int:
    """Answer how many modules a side a code has, without quiet zone.

    Raises:
        ValueError: the address is not ASCII or too long for version 8.
    """
    return _encode(url_prefix, digits).width


@lru_cache(_IMAGES_KEPT)
def draw_png(url_prefix: str, digits: str, *, module_px: int = 8) -> bytes:
    """Draw a code as a black and white PNG, quiet zone included.

    Args:
        url_prefix: Address up to the digits (`token.prefix`).
        digits: A token's digits, or nothing.
        module_px: Pixels a module.

    Raises:
        ValueError: the address is not ASCII or too long for version 8, or `module_px` is below 1.
    """
    if module_px < 1:
        message = f"module_px must be at least 1, got {module_px}"
        raise ValueError(message)
    return _png(_encode(url_prefix, digits), module_px)


def draw_svg(url_prefix: str, digits: str) -> str:
    """Draw a code as an SVG of one unit a module, quiet zone included.

    Every run of dark modules is one rectangle `M<x> <y>h<w>v1h-<w>z` of a single path, so that
    no hairlines appear between modules. White is drawn too: pages have dark themes.

    Raises:
        ValueError: the address is not ASCII or too long for version 8.
    """
    code = _encode(url_prefix, digits)
    side = code.width + 2 * QUIET_ZONE
    path = []
    for y, row in enumerate(code.rows(), QUIET_ZONE):
        x = QUIET_ZONE
        for module, run in groupby(row):
            length = len(list(run))
            if module == "1":
                path.append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" '
        'shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{side}v{side}h-{side}z"/>'
        f'<path fill="#000" d="{"".join(path)}"/></svg>'
    )


@lru_cache(_IMAGES_KEPT)
def draw_label(url_prefix: str, digits: str, *, dpi: int = 203, size_mm: float = 30) -> bytes:
    """Draw a code for a label printer: a PNG of one bit a dot, printed dot for dot.

    The image is the largest that fits into `size_mm` at whole dots a module, and carries `dpi`, so
    that a document sets it at its true size. Ask `label_module_dots` whether to warn.

    Raises:
        LabelTooSmall: modules would have fewer than 3 dots.
        ValueError: the address is not ASCII or too long for version 8.
    """
    code = _encode(url_prefix, digits)
    return _png(code, fit_label(size_mm, dpi, code.width).dots, dpi)


@lru_cache(_CODES_KEPT)
def _encode(url_prefix: str, digits: str) -> Symbol:
    return symbol.encode(url_prefix, digits)


def _png(code: Symbol, module_px: int, dpi: int | None = None) -> bytes:
    side = code.width + 2 * QUIET_ZONE
    rows = ["0" * side] * QUIET_ZONE
    rows += [row.center(side, "0") for row in code.rows()]
    rows += ["0" * side] * QUIET_ZONE
    # Pillow wants whole bytes a row; in its mode `1;I` a set bit is black.
    stride = -(-side // 8)
    packed = b"".join(int(row.ljust(8 * stride, "0"), 2).to_bytes(stride, "big") for row in rows)
    image = Image.frombytes("1", (side, side), packed, "raw", "1;I")
    image = image.resize((side * module_px, side * module_px), Image.Resampling.NEAREST)
    content = BytesIO()
    image.save(content, "PNG", **({} if dpi is None else {"dpi": (dpi, dpi)}))
    return content.getvalue()
