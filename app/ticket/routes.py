"""HTTP for tickets: issue, decide, void, read, and the picture of the code."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.certificate.rules import CertificateMissing, CertificateVoided
from app.certificate.schemas import VoidIn
from app.core import bulk
from app.core.bulk import BulkOut, RowsIn
from app.core.db import DbSession
from app.core.errors import DomainError, IdReused
from app.core.http import Shortcut
from app.core.problems import MalformedRequest, declare, speaks_english
from app.core.schemas import Instant
from app.event.rules import ImpossibleDate
from app.evidence import service as evidences
from app.evidence.routes import answer as answer_image
from app.evidence.rules import MEDIA_TYPE, UnknownEvidence
from app.lot.routes import DRAW_REFUSALS, UNIT_REFUSALS, repeated
from app.lot.rules import MadeTooEarly, MassesDiffer, ProductsDiffer
from app.party import identifiers
from app.party import service as parties
from app.party.access import Caller, OtherParty, RoleKind
from app.party.auth import allow, credential_of
from app.party.credentials import Credential
from app.party.identifiers import PhoneInvalid
from app.party.rules import UnknownParty
from app.place.rules import UnknownPlace
from app.product import service as products
from app.product.rules import Catalogue
from app.signing import qr, token
from app.signing.rules import ClockBeforeTokens, NoSigningKey
from app.ticket import counter, decide, issue, queries, rules, service, void
from app.ticket.counter import Counter, Slip
from app.ticket.decide import DecisionDraft
from app.ticket.drafts import (
    Asked,
    Circumstances,
    TicketDraft,
    draft_of,
    lines_of,
    usual_hand_over,
)
from app.ticket.queries import Side
from app.ticket.rules import TicketKind
from app.ticket.schemas import BuyerIn, DecisionIn, TicketIn, TicketOut

LIMIT_MAX = 100

JSON = "application/json"

router = APIRouter(tags=["tickets"])

_TICKET = "/tickets/{ticket_id}"
Seller = Annotated[Caller, Depends(allow(counter.ACTION))]
Decider = Annotated[Caller, Depends(allow("ticket.decide"))]
Reader = Annotated[Caller, Depends(allow("ticket.read"))]


async def _issue_with_others(request: Request) -> Response | None:
    """Issue a ticket in the plain case, together with others; see `counter.Counter`."""
    credential, secret = credential_of(request)
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    if credential is Credential.NONE or kind != JSON:
        return None
    try:
        ticket_id = UUID(request.path_params["ticket_id"])
        # As the route reads it: whether a request is the same is told by what was read.
        body = TicketIn.model_validate(await request.json())
    except (ValueError, RecursionError):
        return None
    if body.repeat_of is not None or body.buyer is None or body.buyer.invite is not None:
        return None
    at: Counter = request.app.state.counter
    written = await at.issue(Slip(ticket_id, body, (credential, secret)))
    if written is None:
        return None
    return Response(written, status_code=HTTPStatus.CREATED, media_type=JSON)


shortcut = Shortcut(_TICKET, _issue_with_others, method="PUT")
"""Tickets are what is written most; see `http.Shortcuts`."""


@router.put(
    _TICKET,
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(TicketOut),
        **declare(
            *DRAW_REFUSALS,
            *UNIT_REFUSALS,
            IdReused,
            ImpossibleDate,
            UnknownParty,
            UnknownPlace,
            PhoneInvalid,
            rules.UnknownTicket,
            rules.BuyerDisabled,
            rules.SelfSale,
            rules.TransferToOther,
            rules.HandOverImpossible,
            rules.CorrectsOther,
            rules.StockShort,
            rules.ReturnToStranger,
            ProductsDiffer,
            MassesDiffer,
            MadeTooEarly,
            CertificateVoided,
            CertificateMissing,
            ClockBeforeTokens,
            NoSigningKey,
        ),
    },
)
async def issue_ticket(
    ticket_id: UUID,
    body: TicketIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: Seller,
) -> TicketOut:
    """Hand parts of your lots to a buyer; sent again, it answers the same and changes nothing."""
    now: datetime = request.app.state.clock()
    catalogue = await products.catalogue(session)
    asked = await _complete(request, session, body, caller, catalogue, now)
    draft = draft_of(ticket_id, body, asked, caller, now)
    around = await _circumstances(request, session, catalogue, now)
    _, created = await issue.issue(session, draft, around)
    if not created:
        response.status_code = HTTPStatus.OK
    answer = await queries.read(
        session, ticket_id, caller, base_url=request.app.state.settings.public_url
    )
    return answer.model_copy(update={"claim_code": asked.claim_code})


@router.post("/tickets/bulk", responses=declare(MalformedRequest, ClockBeforeTokens, NoSigningKey))
async def issue_many(
    body: RowsIn[TicketIn], request: Request, session: DbSession, caller: Seller
) -> BulkOut[TicketOut]:
    """Issue many tickets in one go; each row as `PUT /tickets/{id}` would answer it.

    A buyer who has no account is invited with a ticket of its own: not in a bulk.
    """
    now: datetime = request.app.state.clock()
    catalogue = await products.catalogue(session)
    rows: list[TicketDraft | DomainError] = []
    for row in body.read(lambda ticket_id, content: (ticket_id, content)):
        if isinstance(row, DomainError):
            rows.append(row)
            continue
        try:
            ticket_id, content = row
            if content.buyer is not None and content.buyer.invite is not None:
                raise rules.InvitationInBulk(pointer="/buyer/invite")
            asked = await _complete(request, session, content, caller, catalogue, now)
            rows.append(draft_of(ticket_id, content, asked, caller, now))
        except DomainError as refusal:
            rows.append(refusal)
    drafts = [row for row in rows if not isinstance(row, DomainError)]
    around = await _circumstances(request, session, catalogue, now)
    made = await issue.issue_all(session, drafts, around)
    issued = [
        draft.public_id
        for draft, outcome in zip(drafts, made, strict=True)
        if not isinstance(outcome, DomainError)
    ]
    return await _answer_rows(request, session, rows, made, issued, caller)


async def _answer_rows(
    request: Request,
    session: DbSession,
    rows: Sequence[object],
    made: Sequence[tuple[object, bool] | DomainError],
    tickets: Sequence[UUID],
    caller: Caller,
) -> BulkOut[TicketOut]:
    base_url = request.app.state.settings.public_url
    told = await queries.read_all(session, tickets, caller, base_url=base_url)
    return bulk.answer(bulk.merged(rows, made, told), english=speaks_english(request))


async def _circumstances(
    request: Request, session: DbSession, catalogue: Catalogue, now: datetime
) -> Circumstances:
    state = request.app.state
    return Circumstances(
        catalogue=catalogue,
        signer=await state.ring.signer(session, now),
        now=now,
        new_id=state.new_id,
        new_serial=state.new_serial,
    )


async def _complete(
    request: Request,
    session: DbSession,
    body: TicketIn,
    caller: Caller,
    catalogue: Catalogue,
    now: datetime,
) -> Asked:
    lines = lines_of(body, catalogue, now)
    kind: TicketKind | None = body.kind
    market, stall, hand_over = body.market, body.stall, body.hand_over
    buyer, claim_code = None, None
    if body.repeat_of is not None:
        former = await issue.read_former(session, body.repeat_of, seller_id=caller.acting_party)
        lines, kind = lines or former.lines, kind or former.kind
        market, stall = market or former.market, stall or former.stall
        hand_over, buyer = hand_over or former.hand_over, former.buyer
    if body.buyer is not None:
        buyer, claim_code = await _buyer(request, session, body.buyer, caller, now)
    # Whether a sale is of the seller's own produce is told by the lots, not by a former ticket.
    if kind is None or kind is TicketKind.ORIGIN:
        kind = TicketKind.SALE
    return Asked(kind, buyer, claim_code, hand_over or usual_hand_over(buyer), lines, market, stall)


async def _buyer(
    request: Request, session: DbSession, buyer: BuyerIn, caller: Caller, now: datetime
) -> tuple[UUID | None, str | None]:
    """Find the buyer; one who has no account yet is invited by phone."""
    if buyer.invite is None:
        return buyer.party, None
    phone = identifiers.normalise_phone(buyer.invite.phone).value
    identifiers.check_phone(phone)
    party, claim_code = await parties.invite(
        session,
        public_id=buyer.invite.party,
        name=buyer.invite.name,
        phone=phone,
        role=RoleKind.GROUP_BUYER,
        by=caller.acting_party,
        vault=request.app.state.vault,
        now=now,
    )
    return party.public_id, claim_code


@router.get("/tickets/{ticket_id}", responses=declare(rules.UnknownTicket, OtherParty))
async def read_ticket(
    ticket_id: UUID, request: Request, session: DbSession, caller: Reader
) -> TicketOut:
    """Read a ticket that you are a party of, or answer for by office."""
    base_url = request.app.state.settings.public_url
    return await queries.read(session, ticket_id, caller, base_url=base_url)


@router.get("/tickets")
async def list_tickets(
    request: Request,
    session: DbSession,
    caller: Reader,
    side: Side = Side.BOTH,
    before: Annotated[Instant | None, Query(description="Issued before this instant.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 20,
) -> list[TicketOut]:
    """List the tickets that your party sold or bought on, newest first."""
    return await queries.own(
        session,
        caller,
        side=side,
        before=before,
        most=limit,
        base_url=request.app.state.settings.public_url,
    )


@router.put(
    "/tickets/{ticket_id}/decision",
    responses=declare(
        *DRAW_REFUSALS,
        rules.UnknownTicket,
        rules.NotBuyer,
        rules.TicketVoided,
        rules.AlreadyDecided,
        UnknownEvidence,
        rules.AcceptedTooMuch,
    ),
)
async def decide_ticket(
    ticket_id: UUID,
    body: DecisionIn,
    request: Request,
    session: DbSession,
    caller: Decider,
) -> TicketOut:
    """Accept a ticket, in part or whole, or refuse it; what is not accepted goes back."""
    state = request.app.state
    await decide.decide(
        session,
        ticket_id,
        _decision(body),
        buyer_id=caller.acting_party,
        now=state.clock(),
        new_id=state.new_id,
    )
    return await queries.read(session, ticket_id, caller, base_url=state.settings.public_url)


@router.post("/decisions/bulk", responses=declare(MalformedRequest))
async def decide_many(
    body: RowsIn[DecisionIn], request: Request, session: DbSession, caller: Decider
) -> BulkOut[TicketOut]:
    """Decide about many tickets in one go; `id` names the ticket.

    Each row is answered as `PUT /tickets/{id}/decision` would answer it.
    """
    state = request.app.state
    rows = body.read(lambda ticket_id, content: (ticket_id, _decision(content)))
    asked = [row for row in rows if not isinstance(row, DomainError)]
    made = await decide.decide_all(
        session, asked, buyer_id=caller.acting_party, now=state.clock(), new_id=state.new_id
    )
    decided = [outcome[0].public_id for outcome in made if not isinstance(outcome, DomainError)]
    return await _answer_rows(request, session, rows, made, decided, caller)


def _decision(body: DecisionIn) -> DecisionDraft:
    return DecisionDraft(
        body.outcome,
        {line.no: line.mass_g for line in body.lines},
        body.reason,
        tuple(dict.fromkeys(body.evidence)),
    )


@router.put(
    "/tickets/{ticket_id}/void",
    responses=declare(*DRAW_REFUSALS, rules.UnknownTicket, rules.NotSeller, rules.AlreadyDecided),
)
async def void_ticket(
    ticket_id: UUID,
    body: VoidIn,
    request: Request,
    session: DbSession,
    caller: Seller,
) -> TicketOut:
    """Take back a ticket that its buyer has not decided about."""
    state = request.app.state
    await void.void(
        session,
        ticket_id,
        seller_id=caller.acting_party,
        reason=body.reason,
        now=state.clock(),
        new_id=state.new_id,
    )
    return await queries.read(session, ticket_id, caller, base_url=state.settings.public_url)


@router.get(
    "/tickets/{ticket_id}/evidence/{evidence_id}",
    responses={
        200: {"content": {MEDIA_TYPE: {}}},
        **declare(rules.UnknownTicket, OtherParty, UnknownEvidence),
    },
    response_class=Response,
)
async def read_photo(
    ticket_id: UUID, evidence_id: UUID, request: Request, session: DbSession, caller: Reader
) -> Response:
    """Show a photo of what the buyer did not accept, to whoever may see the ticket."""
    state = request.app.state
    shown = await queries.photo(
        session, ticket_id, evidence_id, caller, base_url=state.settings.public_url
    )
    return answer_image(await evidences.content(session, shown.content_sha256, vault=state.vault))


@router.get(
    "/tickets/{ticket_id}/code.png",
    responses={200: {"content": {"image/png": {}}}, **declare(rules.UnknownTicket, OtherParty)},
    response_class=Response,
)
async def draw_code(
    ticket_id: UUID, request: Request, session: DbSession, caller: Reader
) -> Response:
    """Draw a ticket's QR code as a PNG."""
    base_url = request.app.state.settings.public_url
    await queries.read(session, ticket_id, caller, base_url=base_url)
    ticket, _ = await service.find(session, ticket_id)
    image = qr.draw_png(token.prefix(base_url), ticket.token)
    return Response(image, media_type="image/png")


@router.get(
    "/tickets/{ticket_id}/code.svg",
    responses={200: {"content": {"image/svg+xml": {}}}, **declare(rules.UnknownTicket, OtherParty)},
    response_class=Response,
)
async def draw_scalable_code(
    ticket_id: UUID, request: Request, session: DbSession, caller: Reader
) -> Response:
    """Draw a ticket's QR code as an SVG, which a label printer scales without loss."""
    base_url = request.app.state.settings.public_url
    await queries.read(session, ticket_id, caller, base_url=base_url)
    ticket, _ = await service.find(session, ticket_id)
    image = qr.draw_svg(token.prefix(base_url), ticket.token)
    return Response(image, media_type="image/svg+xml")
