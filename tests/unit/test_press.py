"""The press: real typst, real fonts."""

import asyncio
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
import typst
from PIL import Image
from pypdf import PdfReader

from app.paper import press as presses
from app.paper.press import ROOT, Press
from app.paper.rules import PressBusy

AT = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)
TEMPLATE = """
#import "/paper/templates/sheet.typ": data, sheet, signature
#show: sheet.with(title: data.title, foot: data.foot)
#data.title
#for line in data.lines { parbreak(); line }
#signature[签字 Signature]
"""


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template among copies of ours: a test writes nothing into the package."""
    shared = tmp_path / "paper" / "templates"
    shared.mkdir(parents=True)
    (shared / "sheet.typ").write_bytes((ROOT / "paper/templates/sheet.typ").read_bytes())
    monkeypatch.setattr(presses, "ROOT", tmp_path)
    file = tmp_path / "letter.typ"
    file.write_text(TEMPLATE, encoding="utf-8")
    return file


def letter(*lines: str, title: str = "进货台账") -> dict[str, object]:
    return {"title": title, "foot": "一票通", "lines": list(lines)}


def read(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


async def test_data_is_text_and_never_markup(template: Path) -> None:
    typed = '#panic("x") $x$ *粗* = 一 @a <b> \\ // 注释'
    said = read(await Press().pdf(template, letter(typed), at=AT))
    assert typed in said
    assert "第 1 页，共 1 页 · Page 1 of 1" in said


async def test_the_same_gives_the_same_bytes_and_nothing_else_does(template: Path) -> None:
    press = Press()
    first = await press.pdf(template, letter("上海青"), at=AT)
    assert await Press().pdf(template, letter("上海青"), at=AT) == first
    assert await press.pdf(template, letter("韭菜"), at=AT) != first
    assert await press.svg(template, letter("上海青"), at=AT) == await press.svg(
        template, letter("上海青"), at=AT
    )


async def test_a_file_tells_the_instant_it_was_made_for(template: Path) -> None:
    made = PdfReader(BytesIO(await Press().pdf(template, letter("a"), at=AT))).metadata
    assert made is not None
    assert made.creation_date == AT
    assert made.title == "进货台账"


async def test_pages_come_one_by_one_as_images(template: Path) -> None:
    lines = [f"第{number}行" for number in range(120)]
    press = Press()
    pages = await press.png(template, letter(*lines), at=AT, dots_per_inch=72)
    assert len(pages) > 1
    assert len(pages) == len(await press.svg(template, letter(*lines), at=AT))
    for page in pages:
        with Image.open(BytesIO(page)) as image:
            assert image.size == (595, 842)  # A4, a dot a point


async def test_the_loop_goes_on_while_pages_are_set(template: Path) -> None:
    work = asyncio.create_task(
        Press().pdf(template, letter(*["上海青三百公斤" * 9] * 5_000), at=AT)
    )
    turns = 0
    while not work.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert work.result().startswith(b"%PDF")
    assert turns > 5


async def test_nobody_waits_longer_than_told(template: Path) -> None:
    # Words that no other test sets: typst remembers what it has set, and would be done at once.
    press = Press(seconds_max=0.01)
    with pytest.raises(PressBusy):
        await press.pdf(template, letter(*["只此一处的毛豆" * 9] * 5_000), at=AT)


async def test_a_long_queue_is_refused_at_once_and_is_over_when_it_is_over(template: Path) -> None:
    press = Press()
    asked = [
        asyncio.create_task(press.pdf(template, letter("韭菜" * 2_000), at=AT))
        for _ in range(presses.WAITING_MAX + 1)
    ]
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in done] == [bytes] * presses.WAITING_MAX + [PressBusy]
    assert await press.pdf(template, letter("再来"), at=AT)


async def test_a_template_reads_nothing_above_the_packages(template: Path) -> None:
    template.write_text('#read("/../secret.txt")', encoding="utf-8")
    (template.parent.parent / "secret.txt").write_text("x")
    with pytest.raises(typst.TypstError):
        await Press().pdf(template, {}, at=AT)


async def test_a_template_outside_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="one of our packages"):
        await Press().pdf(tmp_path / "x.typ", {}, at=AT)


def test_no_template_fetches_a_package() -> None:
    templates = sorted(ROOT.rglob("*.typ"))
    assert templates
    assert not [file for file in templates if "@preview" in file.read_text(encoding="utf-8")]
