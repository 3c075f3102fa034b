"""Keeps images and hands them out."""

import asyncio
import hashlib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import IdReused
from app.core.sealing import Vault
from app.evidence import rules
from app.evidence.models import Evidence, EvidenceContent, EvidenceProof
from app.evidence.rules import Picture
from app.party import service as parties
from app.party.access import Caller, may_supervise
from app.transparency import service as transparency
from app.transparency.service import Statement

_PURPOSE = "evidence.content"
# Fifty million pixels unpacked are hundreds of megabytes: so many at once, whoever sends them.
_DRAWING: Final = ThreadPoolExecutor(2, "drawing")


async def store(
    session: AsyncSession,
    public_id: UUID,
    uploaded: bytes,
    caller: Caller,
    *,
    vault: Vault,
    now: datetime,
) -> tuple[Evidence, bool]:
    """Keep an image, drawn anew; the same bytes again under the same id change nothing.

    Returns:
        The image, and whether it is new.

    Raises:
        IdReused: the id names another image.
        NotAnImage, ImageSizeUnfit: it cannot be read, or is too small or too large.
    """
    # What was sent is compared, not what is kept: the next Pillow may draw another JPEG.
    digest = hashlib.sha256(caller.acting_public_id.bytes + uploaded).digest()
    existing = await session.scalar(select(Evidence).where(Evidence.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(evidence=str(public_id))
        return existing, False
    picture = await keep(session, uploaded, vault=vault)
    evidence = Evidence(
        public_id=public_id,
        digest=digest,
        content_sha256=picture.sha256,
        party_id=caller.acting_party,
        account_id=caller.account_id,
        width_px=picture.width_px,
        height_px=picture.height_px,
        size_bytes=len(picture.content),
        stored_at=now,
    )
    session.add(evidence)
    await session.flush()
    # A photo's hash gives nothing of it away: nobody can guess a photo to the last pixel.
    document = {
        "sha256": picture.sha256.hex(),
        "by": str(caller.acting_public_id),
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement("evidence.stored", public_id, document)], now=now)
    return evidence, True


async def keep(session: AsyncSession, uploaded: bytes, *, vault: Vault) -> Picture:
    """Draw an image anew and keep its bytes, for a package that knows whose it is and who sees it.

    Raises:
        NotAnImage, ImageSizeUnfit: it cannot be read, or is too small or too large.
    """
    loop = asyncio.get_running_loop()
    picture = await loop.run_in_executor(_DRAWING, rules.draw_anew, uploaded)
    await session.execute(
        insert(EvidenceContent)
        .values(sha256=picture.sha256, sealed=vault.seal_bytes(picture.content, purpose=_PURPOSE))
        .on_conflict_do_nothing()
    )
    return picture


async def of_party(
    session: AsyncSession, public_ids: Iterable[UUID], party_id: int
) -> dict[UUID, Evidence]:
    """Find images that a party brought, to be attached to what it states.

    Raises:
        UnknownEvidence: there is no such image, or another party brought it.
    """
    wanted = sorted(set(public_ids))
    found = await find_all(session, wanted, party_id)
    rules.check_found(found, wanted)
    return found


async def prove(session: AsyncSession, images: Iterable[Evidence], subject: UUID) -> None:
    """Note that images prove a disposal, which is then all that their bytes ever prove.

    Who shows the same picture at the same instant waits for the other, in the order of the hashes.

    Raises:
        EvidenceReused: one of them proved another before, whoever brought it, under whatever id.
    """
    named = {image.content_sha256: image.public_id for image in images}
    for sha256 in sorted(named):
        # Whose id it is says nothing: a destruction and a disposal in a recall may share one. Who
        # repeats a request does not come here.
        fresh = await session.scalar(
            insert(EvidenceProof)
            .values(content_sha256=sha256, subject=subject)
            .on_conflict_do_nothing()
            .returning(EvidenceProof.content_sha256)
        )
        if fresh is None:
            raise rules.EvidenceReused(evidence=str(named[sha256]))


async def find_all(
    session: AsyncSession, public_ids: Collection[UUID], party_id: int
) -> dict[UUID, Evidence]:
    """Find those of these images that a party brought."""
    if not public_ids:
        return {}
    rows = await session.scalars(
        select(Evidence).where(Evidence.public_id.in_(public_ids), Evidence.party_id == party_id)
    )
    return {row.public_id: row for row in rows}


async def by_ids(session: AsyncSession, evidence_ids: Iterable[int]) -> dict[int, Evidence]:
    """Read several images' rows by their internal ids."""
    wanted = sorted(set(evidence_ids))
    if not wanted:
        return {}
    rows = await session.scalars(select(Evidence).where(Evidence.id.in_(wanted)))
    return {row.id: row for row in rows}


async def by_public_id(session: AsyncSession, public_id: UUID) -> Evidence:
    """Read an image's row for a package that knows who may see it.

    Raises:
        UnknownEvidence: there is none.
    """
    found = await session.scalar(select(Evidence).where(Evidence.public_id == public_id))
    if found is None:
        raise rules.UnknownEvidence(evidence=str(public_id))
    return found


async def find(session: AsyncSession, public_id: UUID, caller: Caller) -> Evidence:
    """Find an image that the caller may see.

    Raises:
        UnknownEvidence: there is none, or it is not for the caller.
    """
    found = await session.scalar(select(Evidence).where(Evidence.public_id == public_id))
    if found is not None:
        if found.party_id == caller.party_id:
            return found
        party = (await parties.by_ids(session, [found.party_id]))[found.party_id]
        if may_supervise(caller, party.division_code):
            return found
    raise rules.UnknownEvidence(evidence=str(public_id))


async def content(session: AsyncSession, sha256: bytes, *, vault: Vault) -> bytes:
    """Open the bytes of an image that is kept, a JPEG."""
    sealed = await session.scalar(
        select(EvidenceContent.sealed).where(EvidenceContent.sha256 == sha256)
    )
    assert sealed is not None, "the foreign key keeps the content of every image"
    return vault.open_bytes(sealed, purpose=_PURPOSE)
