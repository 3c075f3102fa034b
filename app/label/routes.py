"""HTTP for paper: tickets, certificates, labels, and rolls of blank ones."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.certificate.rules import CertificateVoided, UnknownCertificate
from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.label import queries, rules, service, sheets
from app.label.models import LabelRoll
from app.label.rules import STOCKS, CodeForm, Dpi, FileKind, PaperFormat, StockName
from app.label.schemas import (
    PLACES_MAX,
    BindingIn,
    BindingOut,
    FitOut,
    LabelSheetIn,
    RollIn,
    RollOut,
    StockOut,
)
from app.label.sheets import Frame, Print
from app.lot.routes import repeated
from app.lot.rules import NotHolder, UnknownLot
from app.paper.rules import PressBusy
from app.party.access import Caller, OtherParty
from app.party.auth import allow
from app.signing.rules import LabelTooSmall
from app.ticket.rules import TicketVoided, UnknownTicket

router = APIRouter(tags=["paper"])

Writer = Annotated[Caller, Depends(allow("label.write"))]
Printer = Annotated[Caller, Depends(allow("label.print"))]

AskedDpi = Annotated[Dpi, Query(description="Dots an inch of the printer.")]
AskedFile = Annotated[
    FileKind,
    Query(description="`png` is black and white, a dot a pixel, all pages below each other."),
]

_MEDIA = {FileKind.PDF: "application/pdf", FileKind.PNG: "image/png"}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {media: {} for media in _MEDIA.values()},
        "headers": {
            "Code-Print": {
                "description": "How well its codes will scan: `safe; dots=4`, or `marginal; "
                "dots=3`, where about one reading in seven fails.",
                "schema": {"type": "string"},
            }
        },
    }
}


def _frame(request: Request, dpi: Dpi) -> Frame:
    settings = request.app.state.settings
    return Frame(settings.public_url, dpi, settings.demo, request.app.state.clock())


async def _pressed(
    request: Request, paper: Print, frame: Frame, kind: FileKind, name: str
) -> Response:
    """Set a page and hand it out; it may name people, so that no cache keeps it."""
    press = request.app.state.press
    if kind is FileKind.PDF:
        content = await press.pdf(paper.template, paper.data, at=frame.at)
    else:
        pages = await press.png(paper.template, paper.data, at=frame.at, dots_per_inch=frame.dpi)
        content = await asyncio.to_thread(sheets.one_bit, pages, frame.dpi)
    return Response(
        content,
        media_type=_MEDIA[kind],
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'inline; filename="{name}.{kind}"',
            "Code-Print": f"{paper.fit.print}; dots={paper.fit.dots}",
        },
    )


@router.get(
    "/tickets/{ticket_id}/print",
    response_class=Response,
    responses={
        **_FILE,
        **declare(UnknownTicket, OtherParty, TicketVoided, LabelTooSmall, PressBusy),
    },
)
async def print_ticket(
    ticket_id: UUID,
    request: Request,
    session: DbSession,
    caller: Printer,
    paper: Annotated[PaperFormat, Query(alias="format")] = PaperFormat.STRIP_80,
    dpi: AskedDpi = Dpi.COARSE,
    file: AskedFile = FileKind.PDF,
) -> Response:
    """Print a ticket that your party sold or bought on, with its signed code and no prices."""
    frame = _frame(request, dpi)
    facts = await queries.ticket(session, ticket_id, caller)
    page = sheets.ticket(facts, paper, frame)
    return await _pressed(request, page, frame, file, f"ticket-{facts.ticket.code}")


@router.get(
    "/certificates/{certificate_id}/print",
    response_class=Response,
    responses={
        **_FILE,
        **declare(UnknownCertificate, OtherParty, CertificateVoided, LabelTooSmall, PressBusy),
    },
)
async def print_certificate(
    certificate_id: UUID,
    request: Request,
    session: DbSession,
    caller: Printer,
    dpi: AskedDpi = Dpi.FINE,
    file: AskedFile = FileKind.PDF,
) -> Response:
    """Print a certificate on its form: for its issuer, and for whoever bought goods under it."""
    state, frame = request.app.state, _frame(request, dpi)
    facts = await queries.certificate(session, certificate_id, caller, vault=state.vault)
    page = sheets.certificate(facts, frame)
    return await _pressed(request, page, frame, file, f"certificate-{facts.certificate.code}")


@router.get("/label-stocks", dependencies=[Depends(allow("label.print"))])
async def list_stocks(request: Request, dpi: AskedDpi = Dpi.FINE) -> list[StockOut]:
    """List the kinds of label sheets, and how each kind of code comes out on them."""
    base_url = request.app.state.settings.public_url
    return [
        StockOut(
            stock=name,
            columns=stock.columns,
            rows=stock.rows,
            width_mm=stock.width,
            height_mm=stock.height,
            fits=[
                FitOut(code=form, dots=fit.dots, print=fit.print)
                for form, fit in sheets.fits(stock, base_url, dpi).items()
            ],
        )
        for name, stock in STOCKS.items()
    ]


@router.post(
    "/label-sheets",
    response_class=Response,
    responses={
        **_FILE,
        **declare(
            UnknownTicket,
            UnknownCertificate,
            UnknownLot,
            OtherParty,
            NotHolder,
            TicketVoided,
            CertificateVoided,
            rules.LotWithoutCode,
            LabelTooSmall,
            PressBusy,
        ),
    },
)
async def print_labels(
    body: LabelSheetIn,
    request: Request,
    session: DbSession,
    caller: Printer,
    file: AskedFile = FileKind.PDF,
) -> Response:
    """Print A4 sheets of labels for tickets, certificates and lots of yours; changes nothing."""
    frame = _frame(request, body.dpi)
    found = await queries.labels(session, body.items, caller)
    facts = [
        label for item, label in zip(body.items, found, strict=True) for _ in range(item.count)
    ]
    page = sheets.labels(facts, STOCKS[body.stock], frame, form=body.code, skip=body.skip)
    return await _pressed(request, page, frame, file, "labels")


@router.put(
    "/label-rolls/{roll_id}",
    status_code=HTTPStatus.CREATED,
    responses={**repeated(RollOut), **declare(IdReused)},
)
async def make_roll(
    roll_id: UUID,
    body: RollIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Writer,
) -> RollOut:
    """Make codes for blank labels, to be printed now and bound when the goods are there."""
    state = request.app.state
    roll, created = await service.make_roll(
        session, roll_id, body.labels, caller, new_serial=state.new_serial, now=state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return await _roll(session, roll)


@router.get("/label-rolls/{roll_id}", responses=declare(rules.UnknownRoll))
async def read_roll(roll_id: UUID, session: DbSession, caller: Printer) -> RollOut:
    """Read a roll of your party's."""
    return await _roll(session, await service.find_roll(session, roll_id, caller))


async def _roll(session: DbSession, roll: LabelRoll) -> RollOut:
    return RollOut(
        roll=roll.public_id,
        labels=roll.labels,
        bound=await service.count_bound(session, roll),
        made_at=roll.made_at,
        codes=list(await service.codes_of(session, roll)),
    )


@router.get(
    "/label-rolls/{roll_id}/print",
    response_class=Response,
    responses={**_FILE, **declare(rules.UnknownRoll, LabelTooSmall, PressBusy)},
)
async def print_roll(
    roll_id: UUID,
    request: Request,
    session: DbSession,
    caller: Printer,
    stock: StockName = StockName.LARGE,
    dpi: AskedDpi = Dpi.FINE,
    skip: Annotated[int, Query(ge=0, lt=PLACES_MAX)] = 0,
    file: AskedFile = FileKind.PDF,
) -> Response:
    """Print a roll's blank labels on A4 sheets."""
    frame = _frame(request, dpi)
    roll = await service.find_roll(session, roll_id, caller)
    facts = sheets.blank(await service.codes_of(session, roll))
    page = sheets.labels(facts, STOCKS[stock], frame, form=CodeForm.SHORT, skip=skip)
    return await _pressed(request, page, frame, file, "blank-labels")


@router.put(
    "/label-bindings/{code}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(BindingOut),
        **declare(
            rules.UnknownLabel,
            OtherParty,
            UnknownTicket,
            UnknownLot,
            rules.LabelBound,
            TicketVoided,
            NotHolder,
        ),
    },
)
async def bind_label(
    code: str,
    body: BindingIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Writer,
) -> BindingOut:
    """Let a blank label of yours stand for a ticket or a lot, once and for all."""
    state = request.app.state
    binding, created = await service.bind(session, code, body, caller, now=state.clock())
    if not created:
        response.status_code = HTTPStatus.OK
    return BindingOut(
        code=binding.code,
        url=sheets.short_url(state.settings.public_url, rules.PATH, binding.code),
        ticket=body.ticket,
        lot=body.lot,
        bound_at=binding.bound_at,
    )
