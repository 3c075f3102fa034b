"""How programs for browsers are served: compressed, kept by name, or with how to build them."""

from pathlib import Path

import httpx
import pytest

from app.web import screens


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of what `scripts/screens.py` builds."""
    (tmp_path / "assets").mkdir()
    monkeypatch.setattr(screens, "BUILT", tmp_path)
    monkeypatch.setattr(screens.files, "all_directories", [tmp_path])
    return tmp_path


async def test_screens_that_were_not_built_say_how_to_build_them(
    client: httpx.AsyncClient, built: Path
) -> None:
    answer = await client.get("/m/receive")
    assert answer.status_code == 404
    assert "python3 scripts/screens.py" in answer.text
    assert (await client.get("/screens/assets/m.js")).status_code == 404


async def test_any_address_of_a_program_opens_it_under_its_own_policy(
    client: httpx.AsyncClient, built: Path
) -> None:
    (built / "gate.html").write_text("<!doctype html><title>gate</title>")
    for path in ("/gate", "/gate/today"):
        answer = await client.get(path)
        assert answer.text == "<!doctype html><title>gate</title>"
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self' 'wasm-unsafe-eval';" in policy
        assert "connect-src 'self';" in policy


@pytest.mark.parametrize(
    ("accepted", "encoding", "content"),
    [("br, gzip", "br", b"brotli"), ("gzip", "gzip", b"gzip"), ("identity", None, b"plain")],
)
async def test_files_come_as_they_were_compressed_when_they_were_built(
    client: httpx.AsyncClient,
    built: Path,
    accepted: str,
    encoding: str | None,
    content: bytes,
) -> None:
    for suffix, what in (("", b"plain"), (".br", b"brotli"), (".gz", b"gzip")):
        (built / "assets" / f"m-1a2b.js{suffix}").write_bytes(what)
    request = client.build_request(
        "GET", "/screens/assets/m-1a2b.js", headers={"accept-encoding": accepted}
    )
    answer = await client.send(request, stream=True)
    raw = b"".join([part async for part in answer.aiter_raw()])
    assert (answer.headers.get("content-encoding"), raw) == (encoding, content)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("program", ["gate", "m"])
async def test_a_service_worker_is_asked_for_anew_and_may_keep_its_program(
    client: httpx.AsyncClient, built: Path, program: str
) -> None:
    (built / f"{program}-sw.js").write_text("// kept")
    answer = await client.get(f"/screens/{program}-sw.js")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["service-worker-allowed"] == f"/{program}"


async def test_nothing_outside_of_the_folder_is_served(
    client: httpx.AsyncClient, built: Path
) -> None:
    (built.parent / "secret.txt").write_text("secret")
    for path in ("/screens/../secret.txt", "/screens/%2e%2e/secret.txt", "/screens/assets"):
        assert (await client.get(path)).status_code == 404
