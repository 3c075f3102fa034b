"""A month as a file: read a thousand entries at a time, written in threads, recorded at the end."""

import asyncio
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.ledger import rules, service, sheets
from app.ledger.service import Ledger
from app.paper.press import Press


async def workbook(session: AsyncSession, ledger: Ledger, *, now: datetime) -> bytes:
    """Write a month as an Excel workbook."""
    from app.ledger.workbook import Workbook  # noqa: PLC0415  # see `recall.printing`

    book = Workbook(ledger.head, made_at=now)
    async for rows in service.all_pages(session, ledger):
        await asyncio.to_thread(book.write, rows)
    content = await asyncio.to_thread(book.finish)
    await service.record_access(session, ledger, now=now)
    return content


async def paper(
    session: AsyncSession, ledger: Ledger, press: Press, *, volume: int, now: datetime
) -> bytes:
    """Print a volume of a month as a PDF.

    Raises:
        UnknownVolume: the month has fewer.
        PressBusy: see `Press.pdf`.
    """
    if volume > ledger.head.volumes:
        raise rules.UnknownVolume(volumes=ledger.head.volumes)
    before = (volume - 1) * service.ROWS_A_VOLUME
    rows, _ = await service.page(
        session, ledger, after=None, most=service.ROWS_A_VOLUME, skip=before
    )
    told = sheets.data(ledger.head, rows, first=before + 1, volume=volume, at=now)
    content = await press.pdf(sheets.TEMPLATE, told, at=now)
    await service.record_access(session, ledger, now=now)
    return content
