"""Rows about single crafts, tokens and labels, and about what the whole thing weighs."""

import io
import time
from datetime import timedelta

import qrcode
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from PIL import Image
from qrcode.constants import ERROR_CORRECT_M
from qrcode.util import QRData

from app.core import ids
from app.core.clock import system_clock
from app.label import sheets
from app.label.queries import LabelFacts
from app.label.rules import STOCKS, CodeForm, StockName
from app.label.sheets import Frame
from app.paper.press import Press
from app.signing import qr, token
from app.signing.keys import (
    Algorithm,
    IssuerClass,
    Keyset,
    PublicKey,
    SignatureVerdict,
    TokenSigner,
)
from app.signing.stamp import stamp
from app.signing.token import Flags, TokenType
from benchmarks import ours, stage, wire
from benchmarks.bench import Bench
from benchmarks.measure import Row, Target, WrongAnswerError, interleave, median

ADDRESS = "https://ypt.example"
LABELS = 240
_TOKENS = 500
_QR_ONLY = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
_ROUNDS_LEAST = 5
_BYTES_A_MIB = 1 << 20
_TICKET_TABLES = ("ticket", "ticket_line", "ticket_draw", "ticket_state", "event", "entry")


def _tokens(signer: TokenSigner, count: int) -> list[str]:
    now = system_clock()
    return [
        stamp(
            signer,
            TokenType.TICKET,
            serial=ids.serial63(),
            signed_at=now,
            ttl_h=72,
            product=stage.PRODUCT,
            mass_g=1_000,
            origin=stage.DIVISION,
            issuer=1,
            flags=Flags(0),
            status_index=1,
        ).token
        for _ in range(count)
    ]


async def read_tokens(bench: Bench) -> list[Row]:
    """Read tokens for the first time: digits in, verdict out, beside the bare signature check."""
    secret = Ed25519PrivateKey.generate()
    signer = TokenSigner(1, IssuerClass.TICKET, secret.private_bytes_raw())
    now = system_clock()
    known = PublicKey(
        kid=1,
        algorithm=Algorithm.ED25519,
        issuer_class=IssuerClass.TICKET,
        public_key=signer.public_key,
        use_from=now - timedelta(days=1),
        sign_until=now + timedelta(days=1),
        verify_until=now + timedelta(days=9),
    )
    keyset = Keyset([known])
    public = Ed25519PublicKey.from_public_bytes(signer.public_key)

    async def bare(_round: int) -> float:
        parsed = [token.parse(digits) for digits in _tokens(signer, _TOKENS)]
        began = time.process_time()
        for one in parsed:
            public.verify(one.signature, token.signing_input(one.payload))
        return _TOKENS / (time.process_time() - began)

    async def own(_round: int) -> float:
        fresh = _tokens(signer, _TOKENS)
        began = time.process_time()
        verdicts = [keyset.verify(token.parse(digits), now) for digits in fresh]
        took_s = time.process_time() - began
        if set(verdicts) != {SignatureVerdict.VALID}:
            message = f"valid tokens were judged {set(verdicts)}"
            raise WrongAnswerError(message)
        return _TOKENS / took_s

    rounds = max(bench.effort.rounds, _ROUNDS_LEAST)
    found = await interleave({"bare": bare, "ours": own}, rounds=rounds, chance=bench.chance)
    return [
        Row(
            "token, parse and verify",
            floor=median(found["bare"]),
            ours=median(found["ours"]),
            target=Target(0.9, at_least=True),
            unit="a core-second",
            note="each token for the first time; the floor is Ed25519 alone",
        )
    ]


def _label_signer() -> tuple[TokenSigner, str]:
    secret = Ed25519PrivateKey.generate().private_bytes_raw()
    return TokenSigner(1, IssuerClass.TICKET, secret), token.prefix(ADDRESS)


def _searching(signer: TokenSigner, prefix: str, count: int) -> float:
    """Draw codes with a library that tries every mask; answer how many a core-second."""
    some = _tokens(signer, count)
    began = time.process_time()
    for digits in some:
        code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=qr.QUIET_ZONE, box_size=4)
        code.add_data(QRData(prefix.encode(), mode=4))
        code.add_data(QRData(digits.encode(), mode=1))
        code.make(fit=True)
        code.make_image().save(io.BytesIO())
    return len(some) / (time.process_time() - began)


def _read_back(picture: bytes) -> list[str]:
    image = Image.open(io.BytesIO(picture)).convert("L")
    # Of all kinds, some are found where none is, in a page full of modules.
    read = zxingcpp.read_barcodes(image, formats=_QR_ONLY)
    return [code.text for code in read]


async def labels(bench: Bench) -> list[Row]:
    """Draw a sheet of codes and read each back; the floor searches for the mask by itself."""
    signer, prefix = _label_signer()
    count = LABELS // 10 if bench.smoke else LABELS

    async def searching(_round: int) -> float:
        # A tenth of the sheet is enough: it takes seconds.
        return _searching(signer, prefix, count // 10 or 1)

    async def own(_round: int) -> float:
        some = _tokens(signer, count)
        began = time.process_time()
        drawn = [qr.draw_label(prefix, digits) for digits in some]
        took_s = time.process_time() - began
        for digits, picture in zip(some, drawn, strict=True):
            if _read_back(picture) != [prefix + digits]:
                message = "a label does not read back"
                raise WrongAnswerError(message)
        return count / took_s

    found = await bench.interleave({"searching": searching, "ours": own})
    return [
        Row(
            "labels, a sheet of codes",
            floor=median(found["searching"]),
            ours=median(found["ours"]),
            target=Target(4.0, at_least=True),
            unit="a core-second",
            note=f"{count} codes a sheet, each read back with zxing-cpp",
        )
    ]


async def labels_page(bench: Bench) -> list[Row]:
    """Set pages of labels as a PDF, and read each code back from what a printer would print.

    The floor draws the codes alone and sets no page.
    """
    signer, prefix = _label_signer()
    count = LABELS // 10 if bench.smoke else LABELS
    frame = Frame(ADDRESS, 203, demo=False, at=system_clock())
    press = Press()

    async def searching(_round: int) -> float:
        return _searching(signer, prefix, count // 10 or 1)

    async def own(_round: int) -> float:
        facts = [
            LabelFacts("/c/", f"{number:013}", digits, ("韭菜", "150 公斤（300 斤）"))
            for number, digits in enumerate(_tokens(signer, count))
        ]
        began = time.process_time()
        page = sheets.labels(facts, STOCKS[StockName.LARGE], frame, form=CodeForm.SIGNED, skip=0)
        await press.pdf(page.template, page.data, at=frame.at)
        took_s = time.process_time() - began
        pictures = await press.png(page.template, page.data, at=frame.at, dots_per_inch=203)
        read = [text for one in pictures for text in _read_back(sheets.one_bit([one], 203))]
        if sorted(read) != sorted(prefix + label.token for label in facts):
            message = "a printed label does not read back"
            raise WrongAnswerError(message)
        return count / took_s

    found = await bench.interleave({"searching": searching, "ours": own})
    return [
        Row(
            "labels, the page that prints them",
            floor=median(found["searching"]),
            ours=median(found["ours"]),
            target=Target(4.0, at_least=True),
            unit="a core-second",
            note=f"{count} signed codes as a PDF; the floor draws codes and sets no page",
        )
    ]


async def footprint(bench: Bench) -> list[Row]:
    """Weigh a serving process, its start, and a ticket on disk."""
    async with wire.serving("ours", bench.book.environment(), ours.READY) as fresh:
        start_s, start_cpu_s = fresh.first_answer_s, fresh.first_answer_cpu_s
    used = await bench.server("ours")
    headers = await ours.sign_in(used, "seller-0")
    requests = [
        wire.request("PUT", path, headers, body)
        for place in range(0, 400 * stage.SELLERS, stage.SELLERS)
        for _, path, body in [bench.ours.issue_request(place % stage.STOCK_LOTS)]
    ]
    before = await _bytes_on_disk(bench)
    answers = await wire.send(used, requests, connections=8, seconds_max=60)
    if set(answers.statuses) != {"201"}:
        raise WrongAnswerError(answers.refused() or str(answers.statuses))
    grown = await _bytes_on_disk(bench) - before
    return [
        Row(
            "footprint, a serving process",
            ours=used.resident_bytes() / _BYTES_A_MIB,
            target=Target(200, at_least=False, unit="MB"),
            unit="MB",
            note="resident, after the load of this run",
        ),
        Row(
            "footprint, start to first answer",
            ours=start_s,
            target=Target(2, at_least=False, unit="s"),
            unit="s",
            note=f"{start_cpu_s:.2f} s of them on a core; the rest is waiting for one",
        ),
        Row(
            "footprint, a ticket on disk",
            ours=grown / len(requests),
            unit="bytes",
            note=f"over {len(requests)} tickets of one line, indexes and log entry included; "
            "pages are counted whole",
        ),
    ]


async def _bytes_on_disk(bench: Bench) -> int:
    async with bench.connection() as connection:
        return int(
            await connection.fetchval(
                "SELECT sum(pg_total_relation_size(name::regclass))::bigint "
                "FROM unnest($1::text[]) AS name",
                list(_TICKET_TABLES),
            )
        )
