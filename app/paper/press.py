"""The press: typst in threads of its own.

Typst releases the interpreter's lock while it sets pages, so that requests go on being answered. A
thread cannot be stopped: whoever prints hands in a bounded amount of data, and what takes longer
than `SECONDS_MAX` all the same keeps its thread, not its reader.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
import pylopdf_fonts_zh_cn

from app.paper.rules import PressBusy

if TYPE_CHECKING:
    import typst

ROOT: Final = Path(__file__).resolve().parents[1]
"""Where templates may read: the packages, and nothing above them."""
# Less than the ten seconds after which the server ends a transaction in which nothing happens.
SECONDS_MAX: Final = 8.0
THREADS: Final = 2
WAITING_MAX: Final = 16

_Format = Literal["pdf", "png", "svg"]


@lru_cache(1)
def _fonts() -> "typst.Fonts":
    import typst  # noqa: PLC0415  # 7 MB for whoever prints, and nobody else

    return typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(pylopdf_fonts_zh_cn.sans_path().parent)],
    )


class Press:
    """Renders templates; one per process."""

    def __init__(self, *, seconds_max: float = SECONDS_MAX) -> None:
        """Make a press.

        Args:
            seconds_max: For how long a reader waits, the queue included.
        """
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="press")
        self._seconds_max = seconds_max
        self._waiting = 0

    async def pdf(self, template: Path, data: Mapping[str, Any], *, at: datetime) -> bytes:
        """Render a PDF.

        Args:
            template: A `.typ` file of one of our packages.
            data: What the template finds in `data`: texts, numbers, lists and mappings.
            at: The instant of making that the file tells, and all that it knows of time.

        Raises:
            PressBusy: too many wait, or it took too long.
        """
        (document,) = await self._rendered(template, data, "pdf", at=at)
        return document

    async def png(
        self, template: Path, data: Mapping[str, Any], *, at: datetime, dots_per_inch: int = 144
    ) -> list[bytes]:
        """Render a PNG for every page; see `pdf`."""
        return await self._rendered(template, data, "png", at=at, dots_per_inch=dots_per_inch)

    async def svg(self, template: Path, data: Mapping[str, Any], *, at: datetime) -> list[bytes]:
        """Render an SVG for every page; see `pdf`."""
        return await self._rendered(template, data, "svg", at=at)

    async def _rendered(
        self,
        template: Path,
        data: Mapping[str, Any],
        form: _Format,
        *,
        at: datetime,
        dots_per_inch: int | None = None,
    ) -> list[bytes]:
        if self._waiting >= WAITING_MAX:
            raise PressBusy
        self._waiting += 1
        work = self._threads.submit(_render, template, data, form, at, dots_per_inch)
        # It waits until its thread is free again, not until its reader has gone.
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: self._done(loop))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(work), self._seconds_max)
        except TimeoutError:
            raise PressBusy from None

    def _done(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended, and with it all waiting.
            loop.call_soon_threadsafe(self._count_down)

    def _count_down(self) -> None:
        self._waiting -= 1


def _render(
    template: Path, data: Mapping[str, Any], form: _Format, at: datetime, dots_per_inch: int | None
) -> list[bytes]:
    import typst  # noqa: PLC0415  # see `_fonts`

    assert template.is_relative_to(ROOT), "a template belongs to one of our packages"
    made = typst.Compiler(
        root=str(ROOT),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"data": orjson.dumps(data).decode()},
    ).compile(
        input=str(template),
        format=form,
        ppi=dots_per_inch,
        timestamp=int(at.timestamp()),
        # Tags for screen readers make a table twenty times as large, on phones with poor reception;
        # what is printed can be read as a page and as a spreadsheet too.
        pdf_tags=False,
    )
    assert made is not None, "without a file to write to, typst answers what it made"
    return made if isinstance(made, list) else [made]
