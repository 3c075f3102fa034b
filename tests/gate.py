"""What happens at a gate, in words that a test reads by; all through HTTP."""

import io
from datetime import date
from typing import Any

from PIL import Image

from tests.factories import Actor, Json, new_id
from tests.market import Market

SIGNED_ON = "2026-01-05"


def photo(size: tuple[int, int] = (640, 480), kind: str = "JPEG", **more: Any) -> bytes:
    """Take a photo: a gradient, so that no two sizes look the same."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    written = io.BytesIO()
    image.save(written, kind, **more)
    return written.getvalue()


async def evidence(actor: Actor) -> str:
    """Upload a photo and answer its id."""
    public_id = new_id()
    answer = await actor.trade.client.put(
        f"/evidence/{public_id}", content=photo(), headers=actor.headers
    )
    assert answer.status_code in {200, 201}, answer.text
    return public_id


async def agrees(market: Market, seller: Actor, **more: Any) -> str:
    """Let a seller sign the market's agreement."""
    agreement = new_id()
    body = {
        "market": str(market.site),
        "seller": str(seller.public_id),
        "signed_on": SIGNED_ON,
        **more,
    }
    await market.office.make(f"/agreements/{agreement}", body)
    return agreement


async def paper(
    market: Market, kind: str, issued_on: date, *, by: Actor | None = None, **more: Any
) -> str:
    """Record a paper document with its photo, as the office unless somebody else is named."""
    actor = by or market.office
    public_id = new_id()
    body = {
        "kind": kind,
        "number": f"NT-{public_id[-8:]}",
        "issuer": "如皋市动物卫生监督所",
        "issued_on": issued_on.isoformat(),
        "evidence": await evidence(actor),
        "checked_by": "周检查",
        **more,
    }
    await actor.make(f"/papers/{public_id}", body)
    return public_id


def scanned(ticket: Json, **more: Any) -> Json:
    """Write a line of a scanned ticket."""
    return {"id": new_id(), "text": ticket["url"], **more}


def brought(product: int, mass_g: int, *papers: str, **more: Any) -> Json:
    """Write a line of goods that come with papers, or with nothing."""
    return {
        "id": new_id(),
        "product": product,
        "mass_g": mass_g,
        "papers": list(papers),
        **more,
    }


GRANDMOTHER: Json = {
    "name": "陈桂英",
    "id_number": "11010519491231002X",
    "contact": "村委会转 13912345678",
    "address": "如皋市如城街道迎新居委会 3 组",
    "agreement_signed": True,
}


def inspection(market: Market, *lines: Json, **more: Any) -> Json:
    """Write an inspection at the market's gate."""
    return {
        "place": str(market.gate),
        "inspector": "周检查",
        "plate": "苏F12345",
        "lines": list(lines),
        **more,
    }


async def inspects(
    market: Market, *lines: Json, by: Actor | None = None, status: int = 201, **more: Any
) -> Json:
    """Inspect a vehicle, which must be possible; answer what it came to."""
    public_id = more.pop("inspection", None) or new_id()
    body = inspection(market, *lines, **more)
    return await (by or market.office).make(f"/inspections/{public_id}", body, status=status)


async def rules(actor: Actor, line: Json, decision: str, reason: str = "复核", **more: Any) -> Json:
    """Overrule the verdict of a line, which must be possible."""
    body = {
        "line": line["line"],
        "decision": decision,
        "reason": reason,
        "accountable": "吴食安",
        **more,
    }
    return await actor.make(f"/rulings/{new_id()}", body)


def codes(line: Json) -> list[str]:
    """Answer the codes of a line's findings, in order; a draw is chance, and left out."""
    found = [finding["code"] for finding in line["findings"]]
    return [code for code in found if code != "drawn-for-test"]


def came_to(line: Json) -> tuple[str, list[str]]:
    """Answer a line's decision and its findings."""
    return line["decision"], codes(line)
