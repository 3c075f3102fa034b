"""Paper with codes: what the typst templates are given. Pure, but for the pictures of codes."""

import io
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from PIL import Image

from app.core.clock import SHANGHAI
from app.label import rules
from app.label.queries import CertificateFacts, LabelFacts, LineFacts, TicketFacts
from app.label.rules import CodeForm, PaperFormat, Stock
from app.product.units import spell_mass
from app.signing import qr, shortcode, token
from app.signing.qr import ModuleDots
from app.ticket.rules import KIND_WORDS, TicketKind

_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
SLIP: Final = _TEMPLATES / "slip.typ"
TICKET: Final = _TEMPLATES / "ticket.typ"
CERTIFICATE: Final = _TEMPLATES / "certificate.typ"
LABELS: Final = _TEMPLATES / "labels.typ"

_WALK_IN: Final = "散客 walk-in"
_HALF_BLACK: Final = 128
_TOLD_MAX: Final = 8
_BLANK: Final = ("品名 Goods", "重量 Mass", "日期 Date")


class Print(NamedTuple):
    """A page to be set, and how well its codes will scan.

    Attributes:
        template: Which one.
        data: What it is given.
        fit: Dots a module of its codes.
    """

    template: Path
    data: dict[str, Any]
    fit: ModuleDots


class Frame(NamedTuple):
    """What is the same for all paper of a request.

    Attributes:
        base_url: The platform's public URL.
        dpi: Dots an inch of the printer.
        demo: Whether the data is made up.
        at: When it is printed.
    """

    base_url: str
    dpi: int
    demo: bool
    at: datetime

    def told(self) -> dict[str, Any]:
        """Write it as every template reads it."""
        return {"dpi": self.dpi, "demo": self.demo, "made": _instant(self.at)}


class _Drawn(NamedTuple):
    svg: str
    side: int
    quiet: int
    fit: ModuleDots

    def told(self) -> dict[str, Any]:
        return {"svg": self.svg, "side": self.side, "quiet": self.quiet}


def _draw(prefix: str, digits: str, size_mm: float, dpi: int) -> _Drawn:
    """Draw a code as large as the square allows.

    Raises:
        LabelTooSmall: its modules would have fewer than 3 dots.
    """
    modules = qr.modules_of(prefix, digits)
    fit = qr.fit_label(size_mm, dpi, modules)
    quiet = fit.dots * qr.QUIET_ZONE
    return _Drawn(qr.draw_svg(prefix, digits), fit.dots * modules + 2 * quiet, quiet, fit)


def ticket(facts: TicketFacts, paper: PaperFormat, frame: Frame) -> Print:
    """Lay out a ticket on a strip or an A4 page.

    Raises:
        LabelTooSmall: see `_draw`.
    """
    found, strip = facts.ticket, rules.STRIPS.get(paper)
    size_mm = rules.SHEET_CODE_MM if strip is None else strip.code_mm
    code = _draw(token.prefix(frame.base_url), found.token, size_mm, frame.dpi)
    kind, mass = KIND_WORDS[TicketKind(found.kind)], spell_mass(found.mass_g)
    data = {
        **frame.told(),
        "code": code.told(),
        "short": shortcode.show(found.code),
        "kind": f"{kind.zh} {kind.en}",
        "seller": facts.seller,
        "buyer": facts.buyer or _WALK_IN,
        "site": facts.site,
        "plate": found.plate or "",
        "sold": _instant(found.sold_at),
        "expires": _instant(found.expires_at),
        "mass": mass.zh,
        "mass_en": mass.en,
        "lines": [_line(line) for line in facts.lines],
    }
    if strip is None:
        return Print(TICKET, data, code.fit)
    data["width"] = rules.dots(strip.width_mm, frame.dpi)
    data["margin"] = rules.dots(strip.margin_mm, frame.dpi)
    data["size"] = strip.text_pt
    return Print(SLIP, data, code.fit)


def _line(line: LineFacts) -> dict[str, Any]:
    mass = spell_mass(line.mass_g)
    return {
        "name": line.name,
        "spoken": line.spoken,
        "mass": mass.zh,
        "mass_en": mass.en,
        "origin": _some(line.origins, "、"),
        "certificates": _some(line.certificates, "  "),
    }


def _some(told: Sequence[str], between: str) -> str:
    """List the first of many: a page has an end, and the code leads to them all."""
    more = f"{between}等 {len(told)} 项" if len(told) > _TOLD_MAX else ""
    return between.join(told[:_TOLD_MAX]) + more


def certificate(facts: CertificateFacts, frame: Frame) -> Print:
    """Lay out a certificate on its official form.

    Raises:
        LabelTooSmall: see `_draw`.
    """
    found, wording = facts.certificate, facts.form.wording
    code = _draw(token.prefix(frame.base_url), found.token, rules.SHEET_CODE_MM, frame.dpi)
    spoken = f"{found.quantity.normalize():f} {found.unit}"
    values = {
        "product": facts.product,
        "quantity": _once(spoken, spell_mass(found.mass_g).zh),
        "origin": facts.origin,
        "issuer": facts.issuer,
        "contact": facts.contact,
        "issued_on": _day(found.issued_on),
    }
    data = {
        **frame.told(),
        "code": code.told(),
        "short": shortcode.show(found.code),
        "title": wording["title"],
        "lead": wording.get("lead"),
        "promise": wording["promise"],
        "bases": [
            {"zh": basis["zh"], "en": basis["en"], "ticked": basis["code"] in found.bases}
            for basis in wording["bases"]
        ],
        "fields": [
            {**wording["labels"][name], "value": values[name]} for name in wording["fields"]
        ],
        "edition": facts.form.edition,
    }
    return Print(CERTIFICATE, data, code.fit)


def _once(spoken: str, mass: str) -> str:
    """Write a quantity as spoken and as reckoned, without saying the same twice."""
    return mass if spoken in mass else f"{spoken}，计 {mass}"


def labels(
    facts: Sequence[LabelFacts], stock: Stock, frame: Frame, *, form: CodeForm, skip: int
) -> Print:
    """Lay out labels on sheets; all of a request have modules of one size.

    Args:
        facts: One for every label.
        stock: What the sheets are.
        frame: See `Frame`.
        form: Whether codes are signed, where there is a signed one.
        skip: Labels that the first sheet lacks already.

    Raises:
        LabelTooSmall: see `_draw`.
    """
    drawn: dict[str, _Drawn] = {}
    for label in facts:
        if label.code not in drawn:
            drawn[label.code] = _draw(*_says(label, frame, form), stock.code, frame.dpi)
    numbers = {code: number for number, code in enumerate(drawn)}
    sheets: list[list[dict[str, Any]]] = []
    for number, label in enumerate(facts, skip):
        where = rules.place(stock, number, frame.dpi)
        sheets += [[] for _ in range(where.sheet + 1 - len(sheets))]
        sheets[where.sheet].append(
            {
                "x": where.x,
                "y": where.y,
                "code": numbers[label.code],
                "short": shortcode.show(label.code),
                "lines": label.lines,
                "blank": label.blank,
            }
        )
    data = {
        **frame.told(),
        "codes": [code.told() for code in drawn.values()],
        "sheets": sheets,
        "inset": rules.dots(stock.inset, frame.dpi),
        "square": rules.dots(stock.code, frame.dpi),
        "width": rules.dots(stock.width, frame.dpi),
        "height": rules.dots(stock.height, frame.dpi),
        "size": stock.text_pt,
    }
    return Print(LABELS, data, min(code.fit for code in drawn.values()))


def _says(label: LabelFacts, frame: Frame, form: CodeForm) -> tuple[str, str]:
    if form is CodeForm.SIGNED and label.token:
        return token.prefix(frame.base_url), label.token
    return short_url(frame.base_url, label.path, label.code), ""


def short_url(base_url: str, path: str, code: str) -> str:
    """Write the short address of a code."""
    return base_url.rstrip("/") + path + code


def blank(codes: Sequence[str]) -> list[LabelFacts]:
    """Write blank labels, with lines to fill in by hand."""
    return [LabelFacts(rules.PATH, code, "", _BLANK, blank=True) for code in codes]


def fits(stock: Stock, base_url: str, dpi: int) -> dict[CodeForm, ModuleDots]:
    """Answer how both kinds of codes come out on a stock."""
    short = short_url(base_url, rules.PATH, "0" * shortcode.LENGTH)
    widths = {
        CodeForm.SHORT: qr.modules_of(short, ""),
        CodeForm.SIGNED: qr.modules_of(token.prefix(base_url), "9" * qr.TOKEN_DIGITS),
    }
    return {
        form: qr.label_module_dots(stock.code, dpi, modules) for form, modules in widths.items()
    }


def one_bit(pages: Sequence[bytes], dpi: int) -> bytes:
    """Make one picture of pages below each other, black and white, a dot of the printer a pixel."""
    images = [Image.open(io.BytesIO(page)).convert("L") for page in pages]
    whole = Image.new(
        "L",
        (max(image.width for image in images), sum(image.height for image in images)),
        color=255,
    )
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    content = io.BytesIO()
    black_white = whole.point(lambda level: 255 * (level >= _HALF_BLACK), mode="1")
    black_white.save(content, "PNG", dpi=(dpi, dpi))
    return content.getvalue()


def _instant(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def _day(on: date) -> str:
    return f"{on.year} 年 {on.month} 月 {on.day} 日"
