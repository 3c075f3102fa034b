"""Commands that read the books: verify, audit; and what refusals mean."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from PIL import Image, UnidentifiedImageError
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import service as gate
from app.admission.findings import Finding
from app.admission.policy import Decision
from app.admission.rules import Code, recognise
from app.commands.console import (
    AT_THE_TERMINAL,
    MISUSED,
    REFUSED,
    AsJson,
    ComplaintError,
    PublicUrl,
    answer,
    complaining,
    settings,
    table,
    with_books,
)
from app.core import problems as refusals
from app.core.clock import system_clock
from app.core.errors import Text
from app.signing import service as signing
from app.signing.token import Claims, Flags
from app.ticket import audit as books

LET_IN: Final = frozenset({Decision.ADMIT, Decision.ADMIT_AFTER_TEST})


# --- verify ---------------------------------------------------------------------------------------


def verify(
    code: Annotated[str, typer.Argument(help="Address, digits, short code, or a picture's file.")],
    public_url: PublicUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check a code: signature and dates by the keys, then what the books know. Records nothing."""
    with complaining(as_json):
        chosen = settings()
        text = _text_of(code)
        read = recognise(text, public_url or [chosen.public_url])

        async def work(session: AsyncSession) -> dict[str, Any]:
            now = system_clock()
            keyset = await signing.load_keyset(session)
            found, verdict = await gate.examine(
                session, read, AT_THE_TERMINAL, verifier=keyset, now=now
            )
            return {
                "text": text,
                "kind": read.kind.value,
                "decision": verdict.decision.value,
                "findings": [_finding(finding) for finding in verdict.findings],
                "ticket": found.ticket and found.ticket.ticket.public_id,
                "certificate": found.certificate and found.certificate.public_id,
                # What nobody of ours signed is not shown as if it had been.
                "claims": _claims(read) if found else None,
            }

        value = with_books(work, chosen)
        answer(value, as_json, lambda console: _tell_verdict(console, value))
        if Decision(value["decision"]) not in LET_IN:
            raise typer.Exit(REFUSED)


def _text_of(code: str) -> str:
    """Answer what a picture holds, or the text as it is."""
    try:
        file = Path(code)
        is_file = file.is_file()
    except (OSError, ValueError):  # longer than any path, or with a NUL
        is_file = False
    return _decoded(file) if is_file else code


def _decoded(file: Path) -> str:
    try:
        # A reader is no part of the product: gates bring their own.
        import zxingcpp  # noqa: PLC0415
    except ImportError as missing:
        raise ComplaintError(
            Text("读取图片需要 zxing-cpp", "Reading a picture needs zxing-cpp"),
            Text("请安装: pip install 'yipiaotong[demo]'", "pip install 'yipiaotong[demo]'"),
            code="reader-not-installed",
            exit_code=MISUSED,
        ) from missing
    try:
        with Image.open(file) as image:
            # Of all kinds, a bar code is now and then found among the modules of a QR code.
            formats = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
            found = zxingcpp.read_barcodes(image.convert("L"), formats=formats)
    except UnidentifiedImageError:
        found = []
    if len(found) != 1:
        raise ComplaintError(
            Text(
                f"图片中应恰有一个二维码，读到 {len(found)} 个",
                f"The picture should hold one code, and {len(found)} were read",
            ),
            Text("请换一张清晰的图片", "Take a clearer picture of one code"),
            code="picture-unreadable",
        )
    return str(found[0].text)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.kind.code,
        "severity": finding.severity.value,
        "zh": finding.kind.text.zh,
        "en": finding.kind.text.en,
        "source": finding.source,
        "facts": dict(finding.facts),
    }


def _claims(read: Code) -> dict[str, Any] | None:
    if read.parsed is None:
        return None
    claims: Claims = read.parsed.claims
    return {
        **claims._asdict(),
        "type": claims.type.name.lower(),
        "flags": [flag.name.lower() for flag in Flags if flag in claims.flags and flag.name],
        "expires_at": claims.expires_at,
    }


def _tell_verdict(console: Console, value: Mapping[str, Any]) -> None:
    console.print(
        table(
            Text("核验", f"Verdict: {value['decision']}"),
            ("finding", "severity", "", "rule"),
            (
                (
                    finding["code"],
                    finding["severity"],
                    f"{finding['zh']}\n{finding['en']}",
                    finding["source"],
                )
                for finding in value["findings"]
            ),
        )
    )
    if value["claims"]:
        console.print(table(Text("码内内容", "What it says"), ("", ""), value["claims"].items()))


# --- audit, problems ------------------------------------------------------------------------------


def audit(as_json: AsJson = False) -> None:
    """Check the books against themselves: log, tokens, draws and balances. Repairs nothing."""
    with complaining(as_json):
        report = with_books(books.audit, settings())
        value = {**report.counts(), "named": [asdict(fault) for fault in report.faults]}

        def tell(console: Console) -> None:
            rows = report.counts().items()
            console.print(table(Text("账目核对", "Books, checked"), ("", "count"), rows))
            if report.faults:
                named = ((fault.kind, fault.subject, fault.finding) for fault in report.faults)
                columns = ("kind", "subject", "finding")
                console.print(table(Text("不符", "What does not add up"), columns, named))

        answer(value, as_json, tell)
        if report.fault_count:
            raise typer.Exit(REFUSED)


def problems(
    code: Annotated[str | None, typer.Argument(help="A code, such as lot-exhausted.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what the codes of refusals mean, and what to do about them."""
    with complaining(as_json):
        found = [
            known.model_dump(mode="json")
            for known in refusals.describe_all()
            if code is None or known.code == code
        ]
        if not found:
            raise refusals.UnknownProblem

        def tell(console: Console) -> None:
            rows = (
                (
                    known["code"],
                    known["status"],
                    f"{known['zh']['title']}\n{known['en']['title']}",
                    f"{known['zh']['next_step']}\n{known['en']['next_step']}",
                )
                for known in found
            )
            columns = ("code", "HTTP", "what", "what to do")
            console.print(table(Text("拒绝原因", "Refusals"), columns, rows))

        answer(found[0] if code else found, as_json, tell)
