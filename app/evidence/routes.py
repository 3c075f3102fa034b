"""HTTP for images: the body is the photo itself."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import BodyTooLarge, declare
from app.evidence import rules, service
from app.evidence.models import Evidence
from app.evidence.schemas import EvidenceOut
from app.party.access import Caller
from app.party.auth import allow

PATH = "/evidence/"

router = APIRouter(tags=["evidence"])

Keeper = Annotated[Caller, Depends(allow("evidence.store"))]
Reader = Annotated[Caller, Depends(allow("evidence.read"))]

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_PHOTO: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {f"image/{kind}": _BINARY for kind in ("jpeg", "png", "webp")},
    }
}


def shown(evidence: Evidence) -> EvidenceOut:
    """Write an image's facts as they go out."""
    return EvidenceOut(
        evidence=evidence.public_id,
        sha256=evidence.content_sha256.hex(),
        width_px=evidence.width_px,
        height_px=evidence.height_px,
        size_bytes=evidence.size_bytes,
        stored_at=evidence.stored_at,
    )


def answer(content: bytes) -> Response:
    """Answer with an image; it may show a person's papers, so no cache on the way keeps it."""
    return Response(
        content, media_type=rules.MEDIA_TYPE, headers={"Cache-Control": "private, no-store"}
    )


@router.put(
    PATH + "{evidence_id}",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_PHOTO,
    responses={
        HTTPStatus.OK.value: {"model": EvidenceOut, "description": "It was stored already."},
        **declare(BodyTooLarge, IdReused, rules.NotAnImage, rules.ImageSizeUnfit),
    },
)
async def store_image(
    evidence_id: UUID, request: Request, response: Response, session: DbSession, caller: Keeper
) -> EvidenceOut:
    """Keep a photo (JPEG, PNG or WebP, at most 8 MiB) that papers or disposals refer to.

    It is drawn anew without metadata, at most 2,560 pixels a side, and kept under its hash.
    """
    state = request.app.state
    evidence, created = await service.store(
        session, evidence_id, await request.body(), caller, vault=state.vault, now=state.clock()
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return shown(evidence)


@router.get(
    PATH + "{evidence_id}",
    response_class=Response,
    responses={
        HTTPStatus.OK.value: {"content": {rules.MEDIA_TYPE: _BINARY}},
        **declare(rules.UnknownEvidence),
    },
)
async def read_image(
    evidence_id: UUID, request: Request, session: DbSession, caller: Reader
) -> Response:
    """Show a photo to the party that brought it, or to a regulator over that party."""
    evidence = await service.find(session, evidence_id, caller)
    content = await service.content(session, evidence.content_sha256, vault=request.app.state.vault)
    return answer(content)
