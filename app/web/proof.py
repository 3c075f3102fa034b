"""What a sceptic can check of a code without believing us: its bytes, the key, the log's hashes."""

import base64
import hashlib
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import books
from app.admission import rules as admission
from app.admission.books import Found
from app.admission.rules import Code
from app.bundle import service as bundles
from app.bundle.device import BundleNotReady
from app.bundle.models import KeysetRow
from app.core.db import ReplicaSession
from app.core.errors import Text
from app.core.problems import declare
from app.party.auth import allow
from app.signing import service as signing
from app.signing import shortcode, token
from app.signing.keys import Algorithm, Verifier
from app.signing.token import Flags, Parsed
from app.transparency import service as transparency
from app.web import pages
from app.web.memory import wants_json
from app.web.queries import Frame
from app.web.routes import FOR_A_WHILE, FRESH, frame_of
from app.web.rules import OF_SIGNATURE, SAYINGS, NoKeyset, PageState, Saying, Tone
from app.web.schemas import ProofField, ProofKey, PublicEntry, PublicKeys, PublicProof, Words

router = APIRouter(tags=["public"], dependencies=[Depends(allow("public.read"))])

LOG_PROVES: Final = Words(
    zh="以下是平台日志中关于本票的记录及其叶哈希（SHA-256，RFC 6962）。目前日志只说明记录存在，"
    "尚未公布默克尔树根，第三方还不能证明没有删改。",
    en="What the log holds about this document, each with its leaf hash (SHA-256 as in RFC 6962). "
    "The log says that these entries exist. It publishes no Merkle root yet, so that nobody else "
    "can prove today that nothing was removed from it.",
)
_LEAF_PREFIX: Final = b"\0"  # RFC 6962, section 2.1: a leaf is never taken for an inner node.
_SPKI_OF_ED25519: Final = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, section 4.

_HTML: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": PublicProof, "content": _HTML, "description": "Signed by us, in the books."},
    400: {"model": PublicProof, "content": _HTML, "description": "Unreadable, or forged."},
    404: {"model": PublicProof, "content": _HTML, "description": "Signed, and not in the books."},
}


GENUINE: Final = Saying(
    Tone.GOOD,
    "✔",
    Text("签名有效，平台有登记", "Genuine: signed, and known to the books"),
    Text(
        "这里只说明编码的真伪；货物现状（是否作废、被控制）请看票据页",
        "This is about the code only; whether it was voided or held stands on the ticket's page",
    ),
)
FLAG_WORDS: Final = {
    Flags.SELF_TESTED: "自检 self-tested",
    Flags.ENTRUSTED_TEST: "委托检测 entrusted test",
    Flags.INTERNAL_QUALITY_CONTROL: "内部质量控制 internal quality control",
    Flags.SELF_PROMISE: "自我承诺 self promise",
    Flags.TEST_ATTACHED: "附检测 test attached",
    Flags.REPACKED: "分装 repacked",
}


@router.get("/t/{digits}/proof", responses=_ANSWERS, response_class=HTMLResponse)
async def show_proof(digits: str, request: Request, session: ReplicaSession) -> Response:
    """Show what can be checked of a code: a page, or with `Accept` its JSON.

    Nothing that a token says is shown before its signature was checked.
    """
    frame = frame_of(request)
    code = admission.read_token(digits)
    keyset = await request.app.state.ring.keyset(session, frame.now)
    proof, saying = await prove(session, code, verifier=keyset, frame=frame)
    if wants_json(request.headers.get("accept", "")):
        content = proof.model_dump_json()
        return Response(content, saying.status, media_type="application/json", headers=FRESH)
    template = pages.environment().get_template("proof.html")
    html = template.render(demo=frame.demo, proof=proof, saying=saying, digits=digits)
    return HTMLResponse(html, saying.status, headers=FRESH)


async def prove(
    session: AsyncSession, code: Code, *, verifier: Verifier, frame: Frame
) -> tuple[PublicProof, Saying]:
    """Gather what can be checked of what stands where a token should."""
    if code.parsed is None:
        state = PageState.CANNOT_VERIFY if _newer(code) else PageState.UNREADABLE
        return _nothing(state, frame), SAYINGS[state]
    verdict = verifier.verify(code.parsed, frame.now)
    state = OF_SIGNATURE.get(verdict, PageState.UNKNOWN)
    if not admission.may_be_shown(verdict):
        return _nothing(state, frame), SAYINGS[state]
    (found,) = await books.find_all(session, [code])
    claims = code.parsed.claims
    proof = _nothing(state, frame).model_copy(
        update={
            "code": shortcode.show(shortcode.encode(claims.serial)),
            "fields": _fields(code.parsed),
            "message": _base64(token.signing_input(code.parsed.payload)),
            "signature": _base64(code.parsed.signature),
            "key": await _key(session, claims.kid),
        }
    )
    if not found:
        return proof, SAYINGS[state]
    known = {"state": PageState.VALID, "entries": await _entries(session, _subject(found))}
    return proof.model_copy(update=known), GENUINE


def _newer(code: Code) -> bool:
    return code.unreadable is not None and code.unreadable.perhaps_newer


def _nothing(state: PageState, frame: Frame) -> PublicProof:
    return PublicProof(
        state=state, address=frame.address, checked_at=frame.now, log_proves=LOG_PROVES
    )


def _subject(found: Found) -> UUID:
    if found.ticket is not None:
        return found.ticket.ticket.public_id
    assert found.certificate is not None, "a document was found"
    return found.certificate.public_id


def _fields(parsed: Parsed) -> list[ProofField]:
    claims, payload = parsed.claims, parsed.payload.hex()
    rows: list[tuple[int, int, str, str, str]] = [
        (0, 1, "版本与类型", "version and type", f"1, {claims.type.name}"),
        (1, 2, "密钥编号", "key", str(claims.kid)),
        (3, 8, "序列号", "serial", str(claims.serial)),
        (11, 3, "签发时间", "issued at", claims.issued_at.isoformat()),
        (14, 2, "有效小时数", "hours that it counts", str(claims.ttl_h)),
        (16, 4, "产品编码", "product", str(claims.product)),
        (20, 4, "数量", "quantity", f"{claims.quantity_dg / 10} kg"),
        (24, 5, "产地代码", "origin", claims.origin or "-"),
        (29, 4, "签发机构", "issuer", str(claims.issuer)),
        (33, 1, "依据", "basis", "; ".join(FLAG_WORDS[flag] for flag in claims.flags) or "-"),
        (34, 4, "状态表位置", "status index", str(claims.status_index)),
    ]
    return [
        ProofField(
            offset=offset,
            octets=payload[offset * 2 : (offset + size) * 2],
            name=Words(zh=zh, en=en),
            value=value,
        )
        for offset, size, zh, en, value in rows
    ]


async def _key(session: AsyncSession, kid: int) -> ProofKey:
    (key,) = [known for known in await signing.list_keys(session) if known.kid == kid]
    return ProofKey(
        kid=key.kid,
        algorithm=key.algorithm,
        issuer_class=key.issuer_class,
        public_key=key.public_key.hex(),
        spki=_base64(_SPKI_OF_ED25519 + key.public_key)
        if key.algorithm is Algorithm.ED25519
        else None,
        use_from=key.use_from,
        sign_until=key.sign_until,
        verify_until=key.verify_until,
        dropped_at=key.dropped_at,
    )


async def _entries(session: AsyncSession, subject: UUID) -> list[PublicEntry]:
    return [
        PublicEntry(
            kind=entry.kind,
            appended_at=entry.appended_at,
            leaf_hash=hashlib.sha256(_LEAF_PREFIX + entry.leaf).hexdigest(),
        )
        for entry in await transparency.entries_of(session, subject)
    ]


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


# --- keys, and how to check -----------------------------------------------------------------------


async def _newest_keyset(session: AsyncSession) -> KeysetRow | None:
    try:
        return await bundles.newest_keyset(session)
    except BundleNotReady:
        return None


@router.get("/keys", responses=declare(NoKeyset))
async def publish_keys(session: ReplicaSession, response: Response) -> PublicKeys:
    """Publish all public keys as the offline root key signed them last."""
    response.headers.update(FOR_A_WHILE)
    row = await _newest_keyset(session)
    if row is None:
        raise NoKeyset
    return PublicKeys(
        version=row.version,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        document=row.document,
        signature=_base64(row.signature),
        root_key=row.root_key.hex(),
        root_fingerprint=hashlib.sha256(row.root_key).hexdigest(),
    )


@router.get("/verify", response_class=HTMLResponse)
async def explain(request: Request, session: ReplicaSession) -> HTMLResponse:
    """Explain to anybody how a code is checked, and to technicians how it is without us."""
    keyset = await _newest_keyset(session)
    frame = frame_of(request)
    html = (
        pages.environment()
        .get_template("verify.html")
        .render(
            demo=frame.demo,
            address=frame.address,
            sayings=[SAYINGS[state] for state in EXPLAINED],
            version=keyset and keyset.version,
            fingerprint=keyset and hashlib.sha256(keyset.root_key).hexdigest(),
        )
    )
    return HTMLResponse(html, headers=FOR_A_WHILE)


EXPLAINED: Final = (
    PageState.VALID,
    PageState.ACCEPTED,
    PageState.EXPIRED,
    PageState.VOIDED,
    PageState.REFUSED,
    PageState.HELD,
    PageState.FORGED,
    PageState.UNKNOWN,
    PageState.CANNOT_VERIFY,
)
"""What a page may say first, in the order in which it is explained."""
