"""The programs that run in a browser: `m` (trade), `gate` (checkpoint), `admin` (offices).

They are built from `frontend/` into `screens/` (`scripts/screens.py`), and this serves what was
built: pages are asked for anew each time, files carry a digest in their name and are kept for ever.
"""

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.party.auth import allow

BUILT = Path(__file__).parent / "screens"
PROGRAMS = ("m", "gate", "admin")
_FRESH = {"Cache-Control": "no-cache"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
# Scripts of ours only. WebAssembly is the code reader's; blobs are photos and workers' pictures.
# Styles may stand on elements: that is how the component kits place their pop-ups.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# The service workers of the programs that open without a network, each with the pages it serves.
_WORKERS = {"m-sw.js": "/m", "gate-sw.js": "/gate"}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_NOT_BUILT = """\
<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>界面尚未构建</title>
<h1>界面尚未构建</h1>
<p>请在项目目录运行 <code>python3 scripts/screens.py</code>，然后刷新本页。</p>
<p lang="en">The screens have not been built. Run <code>python3 scripts/screens.py</code> in the
project's folder, then reload this page.</p></html>
"""

router = APIRouter(
    tags=["screens"],
    dependencies=[Depends(allow("public.read"))],
    default_response_class=HTMLResponse,
)


@router.get("/m")
@router.get("/m/{path:path}")
async def open_trade(request: Request) -> Response:
    """Open the program of farms, stalls and buyers."""
    return _page("m", request)


@router.get("/gate")
@router.get("/gate/{path:path}")
async def open_gate(request: Request) -> Response:
    """Open the program of a market's checkpoint."""
    return _page("gate", request)


@router.get("/admin")
@router.get("/admin/{path:path}")
async def open_admin(request: Request) -> Response:
    """Open the program of regulators and market offices."""
    return _page("admin", request)


def _page(program: str, request: Request) -> Response:
    if not (BUILT / f"{program}.html").is_file():
        return HTMLResponse(_NOT_BUILT, HTTPStatus.NOT_FOUND, headers=_FRESH)
    headers = _FRESH | {
        "Content-Security-Policy": _POLICY,
        # The gate asks for the camera and for a lamp that stays on; nobody else may.
        "Permissions-Policy": "camera=(self), geolocation=(self), microphone=()",
    }
    return _compressed(
        BUILT / f"{program}.html", request.headers.get("accept-encoding", ""), headers
    )


def _compressed(file: Path, accepted: str, headers: dict[str, str]) -> FileResponse:
    """Answer a file in the smallest encoding that was laid beside it and that the client reads."""
    names = {part.split(";")[0].strip() for part in accepted.lower().split(",")}
    headers = headers | {"Vary": "Accept-Encoding"}
    media_type = _MEDIA_TYPES.get(file.suffix)
    for encoding, suffix in _ENCODINGS:
        beside = file.with_name(file.name + suffix)
        if encoding in names and beside.is_file():
            headers["Content-Encoding"] = encoding
            return FileResponse(beside, media_type=media_type, headers=headers)
    return FileResponse(file, media_type=media_type, headers=headers)


_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}


class BuiltFiles(StaticFiles):
    """What the pages load, compressed when it was built."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Find a file; only those with a digest in their name may be kept."""
        full, found = self.lookup_path(path)
        if found is None or not Path(full).is_file():
            return Response(status_code=HTTPStatus.NOT_FOUND)
        headers = dict(_FOR_EVER if path.startswith("assets") else _FRESH)
        # Workers answer to the policy that they come with, not to the page's.
        headers["Content-Security-Policy"] = _POLICY
        if path in _WORKERS:
            headers["Service-Worker-Allowed"] = _WORKERS[path]
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"").decode("latin-1")
        return _compressed(Path(full), accepted, headers)


files = BuiltFiles(directory=BUILT, check_dir=False)
"""Mounted at /screens; the folder may be missing, as where only the API is tested."""
