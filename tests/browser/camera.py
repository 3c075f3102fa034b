"""A camera that shows codes as people hold them: turned, and out of focus."""

import io
import random
from pathlib import Path

from PIL import Image, ImageFilter

from app.signing.qr import draw_png

FRAME = (1280, 720)


def camera_that_shows(film: Path) -> list[str]:
    """Answer how Chromium is started so that its camera shows a film, again and again."""
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]


def film(urls: list[str], target: Path) -> None:
    """Write a film: darkness, then a code that is turned and blurred, again and again."""
    chance = random.Random(5)
    with target.open("wb") as written:
        for url in urls:
            start, _, digits = url.rpartition("/")
            code = Image.open(io.BytesIO(draw_png(start + "/", digits, module_px=8)))
            for number in range(75):
                frame = Image.new("L", FRAME, 0)
                if number >= 30:
                    angle = 14 + chance.uniform(-1, 1)
                    sheet = Image.new("L", FRAME, 210)
                    turned = code.convert("L").rotate(angle, expand=True, fillcolor=255)
                    place = ((FRAME[0] - turned.width) // 2, (FRAME[1] - turned.height) // 2)
                    sheet.paste(turned, place)
                    frame = sheet.filter(ImageFilter.GaussianBlur(1.2))
                picture = io.BytesIO()
                frame.convert("RGB").save(picture, "JPEG", quality=80)
                written.write(picture.getvalue())


def darkness(target: Path) -> None:
    """Write a film in which nothing is to be seen."""
    picture = io.BytesIO()
    Image.new("RGB", FRAME, "#242424").save(picture, "JPEG", quality=80)
    target.write_bytes(picture.getvalue() * 10)
