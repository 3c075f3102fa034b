"""Photos of papers and disposals: what is taken, what is kept, who sees it."""

import asyncio
import io
import json

import httpx
import pytest
from PIL import Image

from app.party.access import RoleKind
from tests.factories import CHIVES, Actor, Trade, code_of, line, new_id
from tests.gate import photo

SECRET_PLACE = "Plot 7, Rugao"


async def put(actor: Actor, body: bytes, evidence: str | None = None) -> httpx.Response:
    """Upload bytes."""
    return await actor.trade.client.put(
        f"/evidence/{evidence or new_id()}", content=body, headers=actor.headers
    )


async def stored(actor: Actor, body: bytes) -> str:
    """Upload a photo that must be taken; answer its id."""
    answer = await put(actor, body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["evidence"])


def opened(answer: httpx.Response) -> Image.Image:
    """Open the image of an answer."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


async def test_a_photo_is_kept_upright_and_without_what_the_phone_added(trade: Trade) -> None:
    office = await trade.party(RoleKind.MARKET)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = SECRET_PLACE
    uploaded = photo(exif=exif) + b"<script>alert(1)</script>"
    assert SECRET_PLACE.encode() in uploaded
    answer = await office.get(f"/evidence/{await stored(office, uploaded)}")
    image = opened(answer)
    assert image.size == (480, 640)
    assert not image.getexif()
    assert SECRET_PLACE.encode() not in answer.content
    assert b"<script>" not in answer.content
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_other_kinds_become_jpeg_and_large_ones_smaller(trade: Trade, kind: str) -> None:
    office = await trade.party(RoleKind.MARKET)
    image = opened(await office.get(f"/evidence/{await stored(office, photo((3000, 200), kind))}"))
    assert image.size == (2560, 171)


async def test_what_was_transparent_is_white(trade: Trade) -> None:
    office = await trade.party(RoleKind.MARKET)
    written = io.BytesIO()
    Image.new("RGBA", (80, 80), (0, 0, 0, 0)).save(written, "PNG")
    image = opened(await office.get(f"/evidence/{await stored(office, written.getvalue())}"))
    assert image.getpixel((40, 40)) == (255, 255, 255)


async def test_refusals_in_order(trade: Trade) -> None:
    office = await trade.party(RoleKind.MARKET)
    known = await stored(office, photo())
    cases: list[tuple[str | None, bytes, int, str]] = [
        (known, b"\0" * ((8 << 20) + 1), 413, "body-too-large"),
        (known, b"no image", 409, "id-reused"),
        (None, b"", 422, "not-an-image"),
        (None, b"GIF89a" + b"\0" * 100, 422, "not-an-image"),
        (None, b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "not-an-image"),
        (None, photo()[:3000], 422, "not-an-image"),
        (None, photo((640, 63)), 422, "image-size-unfit"),
        (None, photo((10_000, 5_001), "PNG"), 422, "image-size-unfit"),
    ]
    for evidence, body, status, code in cases:
        answer = await put(office, body, evidence)
        assert (answer.status_code, code_of(answer)) == (status, code), code


async def test_a_large_body_is_for_photos_only(trade: Trade) -> None:
    office = await trade.party(RoleKind.MARKET)
    answer = await trade.client.put(
        f"/lots/{new_id()}", content=b" " * ((1 << 20) + 1), headers=office.headers
    )
    assert (answer.status_code, code_of(answer)) == (413, "body-too-large")


async def test_the_same_photo_sent_again_or_at_once_is_kept_once(trade: Trade) -> None:
    office, evidence, body = await trade.party(RoleKind.MARKET), new_id(), photo((641, 480))
    answers = await asyncio.gather(*(put(office, body, evidence) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    sha256 = bytes.fromhex(answers[0].json()["sha256"])
    # Under another id it is another piece of evidence, of the same bytes.
    again = await put(office, body)
    assert again.status_code == 201
    rows = "SELECT count(*) FROM {} WHERE {} = :sha256"
    assert await trade.value(rows.format("evidence_content", "sha256"), sha256=sha256) == 1
    assert await trade.value(rows.format("evidence", "content_sha256"), sha256=sha256) == 2
    said = await trade.value(
        "SELECT convert_from(leaf, 'UTF8') FROM entry WHERE subject = CAST(:id AS uuid)",
        id=evidence,
    )
    assert sha256.hex() in said


async def test_bytes_are_sealed_at_rest(trade: Trade) -> None:
    office = await trade.party(RoleKind.MARKET)
    evidence = await stored(office, photo((642, 480)))
    shown = (await office.get(f"/evidence/{evidence}")).content
    sealed = await trade.value(
        "SELECT c.sealed FROM evidence e JOIN evidence_content c ON c.sha256 = e.content_sha256 "
        "WHERE e.public_id = CAST(:id AS uuid)",
        id=evidence,
    )
    assert b"JFIF" in shown
    assert b"JFIF" not in sealed
    assert shown[100:200] not in sealed


async def test_a_photo_is_shown_to_its_party_and_to_the_regulator_over_it(trade: Trade) -> None:
    office = await trade.party(RoleKind.MARKET, division_code="320682102")
    evidence = await stored(office, photo())
    for actor, status in (
        (office, 200),
        (await trade.party(RoleKind.REGULATOR, answers_for="320682"), 200),
        (await trade.party(RoleKind.REGULATOR, answers_for="320613"), 404),
        (await trade.party(RoleKind.MARKET), 404),
        (await trade.stall(), 404),
    ):
        assert (await actor.get(f"/evidence/{evidence}")).status_code == status


# --- photos of what a buyer did not accept --------------------------------------------------------


async def test_the_seller_sees_the_photo_of_what_was_refused(trade: Trade) -> None:
    farmer, stall, stranger = await trade.farmer(), await trade.stall(), await trade.stall()
    ticket = await farmer.sells(stall, line(CHIVES, 10, await farmer.opens(kg=20)))
    photos = [await stored(stall, photo((640, 480))), await stored(stall, photo((320, 240)))]
    body = {"outcome": "refused", "reason": "腐烂变质", "evidence": photos}
    path = f"/tickets/{ticket['ticket']}"
    answers = await asyncio.gather(*(stall.put(f"{path}/decision", body) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    seen = await farmer.read(path)
    assert [shown["evidence"] for shown in seen["evidence"]] == photos
    for one in photos:
        # Alone it is the buyer's; with the ticket it is for whoever may see that.
        assert code_of(await farmer.get(f"/evidence/{one}")) == "unknown-evidence"
        answer = await farmer.get(f"{path}/evidence/{one}")
        assert opened(answer).size[0] in {640, 320}
        assert answer.headers["cache-control"] == "private, no-store"
        assert code_of(await stranger.get(f"{path}/evidence/{one}")) == "other-party"
    other = await stored(stall, photo((100, 100)))
    assert code_of(await farmer.get(f"{path}/evidence/{other}")) == "unknown-evidence"
    # The log names them by hash, once; and a repeat with other photos is another decision.
    leaves = await trade.rows(
        "SELECT convert_from(leaf, 'UTF8') FROM entry WHERE kind = 'ticket.refused' "
        "AND subject = CAST(:id AS uuid)",
        id=ticket["ticket"],
    )
    (leaf,) = [json.loads(leaf) for (leaf,) in leaves]
    assert leaf["evidence"] == sorted(shown["sha256"] for shown in seen["evidence"])
    changed = await stall.put(f"{path}/decision", {**body, "evidence": photos[:1]})
    assert code_of(changed) == "ticket-already-decided"


async def test_photos_of_a_decision_refused_in_order(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=50)
    ticket, voided, decided = [
        (await farmer.sells(stall, line(CHIVES, 10, lot)))["ticket"] for _ in range(3)
    ]
    await farmer.voids("tickets", voided)
    await stall.decides(decided)
    mine, theirs = await stored(stall, photo()), await stored(farmer, photo())
    # Each row breaks every later rule too: a foreign photo, and more than there is.
    too_much = {
        "outcome": "accepted_in_part",
        "reason": "短斤",
        "lines": [{"no": 1, "mass_g": 99_000}],
        "evidence": [mine, theirs],
    }
    for who, of, more, code in (
        (stall, ticket, {"outcome": "accepted", "lines": [], "reason": None}, "malformed-request"),
        (stall, new_id(), {}, "unknown-ticket"),
        (farmer, ticket, {}, "not-buyer"),
        (stall, voided, {}, "ticket-voided"),
        (stall, decided, {}, "ticket-already-decided"),
        (stall, ticket, {}, "unknown-evidence"),
        (stall, ticket, {"evidence": [mine]}, "accepted-mass-impossible"),
    ):
        answer = await who.put(f"/tickets/{of}/decision", {**too_much, **more})
        assert code_of(answer) == code
    # In bulk a photo that is not there stops its own row alone.
    second = (await farmer.sells(stall, line(CHIVES, 10, lot)))["ticket"]
    refuse = {"outcome": "refused", "reason": "x"}
    answer = await stall.trade.client.post(
        "/decisions/bulk",
        json={
            "rows": [
                {"id": ticket, "body": {**refuse, "evidence": [theirs]}},
                {"id": second, "body": {**refuse, "evidence": [mine]}},
            ]
        },
        headers=stall.headers,
    )
    assert answer.status_code == 200, answer.text
    assert (await farmer.read(f"/tickets/{ticket}"))["status"] == "issued"
    told = await farmer.read(f"/tickets/{second}")
    assert (told["status"], [one["evidence"] for one in told["evidence"]]) == ("refused", [mine])
