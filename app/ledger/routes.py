"""HTTP for ledgers: JSON by pages, and a month as a spreadsheet or on paper."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.core.db import DbSession
from app.core.problems import declare
from app.ledger import files, rules, service, wording
from app.ledger.rules import Contacts, LedgerKind, Mark, Month
from app.ledger.schemas import LedgerOut
from app.paper.rules import PressBusy
from app.party.access import Caller, NotAllowed, NotSignedIn, OtherParty
from app.party.auth import allow
from app.party.rules import UnknownParty

ROWS_MAX = 200
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PDF = "application/pdf"

router = APIRouter(tags=["ledgers"])

Reader = Annotated[Caller, Depends(allow("ledger.read"))]
OwnerId = Annotated[
    UUID | None, Query(alias="party", description="Whose, for an office; your own if left out.")
]


async def _asked(
    kind: LedgerKind,
    caller: Reader,
    month: Annotated[str, Query(description="As in 2026-06.", max_length=7)],
    owner: OwnerId = None,
    contacts: Annotated[
        Contacts | None,
        Query(
            description="`full` opens phones and addresses, which is recorded. Left out: masked in "
            "JSON and for offices, full in your own files, as the law asks.",
        ),
    ] = None,
    reason: Annotated[
        str | None, Query(max_length=200, description="Why an office opens contacts in full.")
    ] = None,
) -> service.Request:
    """Read what every form of a ledger is asked for with."""
    return service.Request(
        caller, kind, Month.read(month), "json", owner=owner, contacts=contacts, reason=reason
    )


_REFUSALS = (
    NotSignedIn,
    NotAllowed,
    rules.MonthInvalid,
    UnknownParty,
    OtherParty,
    rules.ReasonMissing,
)
_KEPT_TO_ITSELF = {"Cache-Control": "no-store"}


def _file(content: bytes, media_type: str, name: str, ending: str) -> Response:
    # RFC 6266: the plain name for old readers, the real one beside it.
    disposition = f"attachment; filename=\"ledger.{ending}\"; filename*=UTF-8''{quote(name)}"
    return Response(
        content,
        media_type=media_type,
        headers=_KEPT_TO_ITSELF | {"Content-Disposition": f"{disposition}.{ending}"},
    )


@router.get(
    "/ledgers/{kind}.xlsx",
    responses={200: {"content": {XLSX: {}}}, **declare(*_REFUSALS)},
    response_class=Response,
)
async def download_workbook(
    asked: Annotated[service.Request, Depends(_asked)],
    request: Request,
    session: DbSession,
) -> Response:
    """Download a month's ledger as an Excel workbook, with totals in 公斤 and 斤."""
    state, now = request.app.state, request.app.state.clock()
    asked = replace(asked, form="xlsx")
    ledger = await service.open_ledger(session, asked, vault=state.vault, now=now)
    content = await files.workbook(session, ledger, now=now)
    name = wording.file_name(asked.kind, ledger.head.month, ledger.head.owner.name)
    return _file(content, XLSX, name, "xlsx")


@router.get(
    "/ledgers/{kind}.pdf",
    responses={
        200: {"content": {PDF: {}}},
        **declare(*_REFUSALS, rules.UnknownVolume, PressBusy),
    },
    response_class=Response,
)
async def download_paper(
    asked: Annotated[service.Request, Depends(_asked)],
    request: Request,
    session: DbSession,
    volume: Annotated[int, Query(ge=1, le=10_000, description="A long month has several.")] = 1,
) -> Response:
    """Download a volume of a month's ledger as a PDF to sign and keep."""
    state, now = request.app.state, request.app.state.clock()
    asked = replace(asked, form="pdf")
    ledger = await service.open_ledger(session, asked, vault=state.vault, now=now)
    content = await files.paper(session, ledger, state.press, volume=volume, now=now)
    name = wording.file_name(asked.kind, ledger.head.month, ledger.head.owner.name)
    if ledger.head.volumes > 1:
        name += f"-{volume}"
    return _file(content, PDF, name, "pdf")


@router.get("/ledgers/{kind}", responses=declare(*_REFUSALS, rules.CursorInvalid))
async def read_ledger(
    asked: Annotated[service.Request, Depends(_asked)],
    request: Request,
    response: Response,
    session: DbSession,
    after: Annotated[
        str | None, Query(max_length=60, description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = 100,
) -> LedgerOut:
    """Read a month's purchases or sales, oldest first, with totals of the whole month."""
    state, now = request.app.state, request.app.state.clock()
    mark = None if after is None else Mark.read(after)
    ledger = await service.open_ledger(session, asked, vault=state.vault, now=now)
    rows, following = await service.page(session, ledger, after=mark, most=limit)
    await service.record_access(session, ledger, now=now)
    response.headers.update(_KEPT_TO_ITSELF)
    return LedgerOut(
        **dict(ledger.head),
        rows=rows,
        next=None if following is None else following.write(),
    )
