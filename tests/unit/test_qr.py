"""Every code is read back by a decoder that shares no code with the encoder."""

import io
import re
from itertools import pairwise

import numpy as np
import pytest
import qrcode
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from qrcode import util
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

from app.signing import qr, symbol, token
from app.signing.qr import Print
from app.signing.rules import LabelTooSmall
from app.signing.symbol import Symbol

PUBLIC = "https://ypt.nantong.cn"
SHORT_HOST = "https://1234567890.cn"  # 13 characters, as in trust.md
DEMO = "http://127.0.0.1:8000"
BASE_URLS = [PUBLIC, SHORT_HOST, DEMO]
LONGEST = "https://" + "a" * 34 + ".cn"
LEAST = str(2**816)
MOST = str(2**817 - 1)
TYPICAL = str(2**816 + 3**500)

QR_ONLY = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
Picture = NDArray[np.uint8]
some_digits = st.integers(2**816, 2**817 - 1).map(str)


def read(picture: Picture) -> str:
    found = zxingcpp.read_barcodes(picture, formats=QR_ONLY)
    assert len(found) == 1
    assert found[0].ec_level == "M"
    return str(found[0].text)


def picture_of_png(content: bytes) -> Picture:
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"))


def picture_of_svg(content: str, unit_px: int) -> Picture:
    """Fill the rectangles of the SVG's paths, in order, as a browser would."""
    (side,) = map(int, re.findall(r'viewBox="0 0 (\d+) \1"', content))
    picture = np.full((side * unit_px, side * unit_px), 128, np.uint8)
    for colour, path in re.findall(r'<path fill="#(fff|000)" d="([^"]+)"/>', content):
        rectangles = re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z", path)
        assert "".join("M{} {}h{}v{}h-{}z".format(*numbers) for numbers in rectangles) == path
        for numbers in rectangles:
            x, y, width, height, back = (unit_px * int(number) for number in numbers)
            assert back == width
            picture[y : y + height, x : x + width] = 255 if colour == "fff" else 0
    assert not (picture == 128).any(), "the background is drawn too"
    return picture


def library_code(prefix: str, digits: str, mask: int) -> QRCode:  # type: ignore[type-arg]
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=0, mask_pattern=mask)
    code.add_data(util.QRData(prefix.encode(), mode=4))
    code.add_data(util.QRData(digits.encode(), mode=1))
    code.make()
    return code


def rows_of(code: QRCode) -> list[str]:  # type: ignore[type-arg]
    return ["".join("1" if module else "0" for module in row) for row in code.modules]


@pytest.mark.parametrize("digits", [LEAST, TYPICAL, MOST])
@pytest.mark.parametrize("base_url", [*BASE_URLS, LONGEST])
def test_every_drawing_is_read_back(base_url: str, digits: str) -> None:
    prefix = token.prefix(base_url)
    address = token.url(base_url, digits)
    assert qr.modules_of(prefix, digits) == 49  # version 8
    for module_px in (1, 2, 8):
        png = picture_of_png(qr.draw_png(prefix, digits, module_px=module_px))
        assert png.shape == (57 * module_px, 57 * module_px)
        if module_px > 1:
            assert read(png) == address
    assert read(picture_of_svg(qr.draw_svg(prefix, digits), 4)) == address
    assert read(picture_of_png(qr.draw_label(prefix, digits))) == address


@settings(max_examples=20)
@given(some_digits)
def test_any_token_is_read_back(digits: str) -> None:
    assert read(picture_of_png(qr.draw_png(token.prefix(PUBLIC), digits, module_px=3))) == (
        token.url(PUBLIC, digits)
    )


def test_a_label_is_one_bit_a_dot_at_whole_dots() -> None:
    prefix = token.prefix(PUBLIC)
    image = Image.open(io.BytesIO(qr.draw_label(prefix, TYPICAL, dpi=203, size_mm=30)))
    assert image.mode == "1"
    assert image.size == (57 * 4, 57 * 4)
    assert image.info["dpi"] == pytest.approx((203, 203), abs=0.01)
    assert image.width / 203 * 25.4 <= 30
    dots = np.asarray(image)
    modules = dots[::4, ::4]
    assert (np.kron(modules, np.ones((4, 4), bool)) == dots).all()
    code = symbol.encode(prefix, TYPICAL)
    drawn = ["".join("0" if white else "1" for white in row) for row in modules]
    assert [row[4:-4] for row in drawn[4:-4]] == list(code.rows())
    assert not any("1" in row for row in drawn[:4] + drawn[-4:])
    assert not any("1" in row[:4] + row[-4:] for row in drawn)


def test_a_photographed_label_is_read_back() -> None:
    """A printed label seen by a camera: grey, blurred, turned by 7 degrees, one corner stained."""
    label = Image.open(io.BytesIO(qr.draw_label(token.prefix(PUBLIC), TYPICAL))).convert("L")
    seen = Image.new("L", (400, 400), 200)
    seen.paste(label.point(lambda level: 60 + level // 2), (80, 80))
    seen.paste(120, (290, 290, 302, 300))
    seen = seen.rotate(7, Image.Resampling.BILINEAR, fillcolor=200).reduce(2).resize((600, 600))
    assert read(np.asarray(seen)) == token.url(PUBLIC, TYPICAL)


@pytest.mark.parametrize(
    ("size_mm", "dpi", "modules", "dots", "verdict"),
    [
        # The table of trust.md §1.4: a token has 49 modules, a plain address 29.
        (20, 203, 29, 4, Print.SAFE),
        (25, 203, 29, 5, Print.SAFE),
        (30, 203, 29, 6, Print.SAFE),
        (20, 203, 49, 2, Print.REFUSED),
        (25, 203, 49, 3, Print.MARGINAL),
        (30, 203, 49, 4, Print.SAFE),
        (20, 300, 49, 4, Print.SAFE),
        (25, 300, 49, 5, Print.SAFE),
        (1, 203, 49, 0, Print.REFUSED),
    ],
)
def test_a_module_has_whole_printer_dots_and_enough_of_them(
    size_mm: float, dpi: int, modules: int, dots: int, verdict: Print
) -> None:
    assert qr.label_module_dots(size_mm, dpi, modules) == (dots, verdict)


def test_a_label_too_small_is_refused_and_a_marginal_one_is_drawn() -> None:
    prefix = token.prefix(PUBLIC)
    with pytest.raises(LabelTooSmall) as caught:
        qr.draw_label(prefix, TYPICAL, dpi=203, size_mm=20)
    assert caught.value.facts == {"dots": 2, "dots_least": 3, "size_mm": 20, "dpi": 203}
    label = picture_of_png(qr.draw_label(prefix, TYPICAL, dpi=203, size_mm=25))
    assert read(label) == token.url(PUBLIC, TYPICAL)


def test_a_small_label_takes_the_address_alone() -> None:
    address = PUBLIC + "/c/28T5CY4TQG0GC"
    assert qr.modules_of(address, "") == 29
    assert read(picture_of_png(qr.draw_label(address, "", dpi=203, size_mm=20))) == address


def test_the_longest_public_url_is_known_and_a_longer_one_is_refused() -> None:
    assert qr.public_url_length_max() == len(LONGEST) == 45
    longest = token.prefix("https://" + "a" * 37)
    assert qr.modules_of(longest, MOST) == 49
    with pytest.raises(ValueError, match="at most 48 characters"):
        qr.draw_png(token.prefix("https://" + "a" * 38), MOST)


@pytest.mark.parametrize("length", [1, 2, 3, 244, 245, 246])
def test_the_room_for_the_address_is_used_to_the_last_bit(length: int) -> None:
    most = symbol.prefix_length_max(length)
    assert symbol.encode("a" * most, "1" * length).width == 49
    with pytest.raises(ValueError, match="version 8"):
        symbol.encode("a" * (most + 1), "1" * length)


def test_an_address_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        qr.draw_svg("https://一票通.cn/t/", TYPICAL)


def test_a_module_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="module_px"):
        qr.draw_png(token.prefix(PUBLIC), TYPICAL, module_px=0)


@pytest.mark.parametrize("prefix", ["a", "https://a.cn/t/", token.prefix(PUBLIC)])
def test_a_symbol_is_the_librarys_with_the_best_of_the_eight_masks(prefix: str) -> None:
    for digits in (LEAST, TYPICAL, MOST, "123"):
        codes = [library_code(prefix, digits, mask) for mask in range(8)]
        scores = [util.lost_point(code.modules) for code in codes]
        ours = symbol.encode(prefix, digits)
        assert list(ours.rows()) == rows_of(codes[scores.index(min(scores))])
        assert symbol.penalty(ours) == min(scores)


@settings(max_examples=50)
@given(st.integers(21, 49), st.data())
def test_the_penalty_is_the_librarys_for_any_picture(width: int, data: st.DataObject) -> None:
    modules = data.draw(st.integers(0, 2 ** (width * width) - 1))
    picture = Symbol(width, modules)
    rows: list[list[bool | None]] = [[module == "1" for module in row] for row in picture.rows()]
    assert symbol.penalty(picture) == util.lost_point(rows)


def test_the_penalty_is_the_librarys_for_plain_pictures() -> None:
    for modules in (0, 2**441 - 1, int("01" * 220, 2), int("10111010000" * 40, 2)):
        picture = Symbol(21, modules)
        rows: list[list[bool | None]] = [
            [module == "1" for module in row] for row in picture.rows()
        ]
        assert symbol.penalty(picture) == util.lost_point(rows)


def test_a_drawn_code_is_kept() -> None:
    prefix = token.prefix(PUBLIC)
    first = qr.draw_png(prefix, TYPICAL)
    assert qr.draw_png(prefix, TYPICAL) is first
    for cache in (qr._encode, qr.draw_png, qr.draw_label):
        assert cache.cache_info().maxsize is not None


def test_runs_in_the_svg_do_not_touch() -> None:
    path = re.findall(r'd="([^"]+)"', qr.draw_svg(token.prefix(PUBLIC), TYPICAL))[1]
    runs = [tuple(map(int, run)) for run in re.findall(r"M(\d+) (\d+)h(\d+)", path)]
    for (x, y, width), (next_x, next_y, _) in pairwise(runs):
        assert next_y > y or next_x > x + width
