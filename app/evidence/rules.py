"""What an image may be, and how it is drawn anew."""

import hashlib
import io
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from PIL import Image, ImageOps

from app.core.errors import DomainError, Kind, Text

UPLOAD_BYTES_MAX: Final = 8 << 20
"""A phone's photo is 2 to 6 MB."""

PIXELS_MAX: Final = 50_000_000
SIDE_PX_MIN: Final = 64
SIDE_PX_MAX: Final = 2_560
"""The small print of an A4 form is still read at 200 dots an inch."""

MEDIA_TYPE: Final = "image/jpeg"
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_QUALITY: Final = 82


class NotAnImage(DomainError):
    """The bytes are no image of a kind that is taken, whatever they were called."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "not-an-image"
    title: ClassVar[Text] = Text("不是可用的图片", "This is not an image that can be read")
    next_step: ClassVar[Text] = Text(
        "请上传 JPEG、PNG 或 WebP 照片", "Upload a photo as JPEG, PNG or WebP"
    )


class ImageSizeUnfit(DomainError):
    """Too small to show anything, or so large that only an attack needs it."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "image-size-unfit"
    title: ClassVar[Text] = Text("图片尺寸不合适", "The image is too small or too large")
    next_step: ClassVar[Text] = Text(
        "请重新拍照: 每边至少 64 像素, 总计不超过 5000 万像素",
        "Take the photo again: at least 64 pixels a side, at most 50 million in all",
    )


class UnknownEvidence(DomainError):
    """No image has this id, or none that the caller may see or use."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-evidence"
    title: ClassVar[Text] = Text("没有这张图片", "There is no such image")
    next_step: ClassVar[Text] = Text("请先上传图片", "Upload the image first")


class EvidenceReused(DomainError):
    """A photo shows one disposal: the same picture cannot prove that other goods were destroyed."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "evidence-reused"
    title: ClassVar[Text] = Text(
        "该照片已用于另一次处置", "The photo was shown for another disposal before"
    )
    next_step: ClassVar[Text] = Text(
        "请为这次处置重新拍照; 同一次处置的多个批次请登记在一条记录中",
        "Take a photo of this disposal; several lots of one disposal belong into one record",
    )


def check_found(found: Container[UUID], wanted: Iterable[UUID]) -> None:
    """Refuse images that are not there, or not the caller's to show.

    Raises:
        UnknownEvidence: for the first of them.
    """
    for public_id in wanted:
        if public_id not in found:
            raise UnknownEvidence(evidence=str(public_id))


@dataclass(frozen=True, slots=True)
class Picture:
    """An image drawn anew.

    Attributes:
        content: JPEG, without metadata.
        sha256: Its name.
    """

    content: bytes
    sha256: bytes
    width_px: int
    height_px: int


def draw_anew(uploaded: bytes) -> Picture:
    """Read an image by what its bytes are, and draw it anew: upright, in colour, without metadata.

    A photo tells where and with which phone it was taken, and a file can be an image and a program
    at once; only pixels pass. A phone's photo takes a tenth of a second: call it in a thread.

    Raises:
        NotAnImage: the bytes are none, or are cut short.
        ImageSizeUnfit: fewer than 64 pixels a side, or more than 50 million.
    """
    try:
        with Image.open(io.BytesIO(uploaded), formats=_FORMATS) as image:
            # The header's size is asked before any pixel is unpacked: a small file can hold a
            # picture that fills the memory.
            width, height = image.size
            if min(width, height) < SIDE_PX_MIN or width * height > PIXELS_MAX:
                raise ImageSizeUnfit(width_px=width, height_px=height)
            upright = ImageOps.exif_transpose(image)
            if upright.mode in {"RGBA", "LA", "PA", "P"}:
                # What was transparent is white, as on paper; JPEG would make it black.
                upright = upright.convert("RGBA")
                paper = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(paper, upright)
            drawn = upright.convert("RGB")
    except Image.DecompressionBombError as cause:
        raise ImageSizeUnfit from cause
    # Pillow tells of broken files in all of these ways.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError) as cause:
        raise NotAnImage from cause
    drawn.thumbnail((SIDE_PX_MAX, SIDE_PX_MAX), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    Image.frombytes("RGB", drawn.size, drawn.tobytes()).save(written, "JPEG", quality=_QUALITY)
    content = written.getvalue()
    return Picture(content, hashlib.sha256(content).digest(), *drawn.size)
