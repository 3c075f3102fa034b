"""Make the virtual environment that everything else runs in; nothing when it is up to date.

Needs Python 3.11 and pip, and nothing else: `run.py` and `test.py` import it on a bare machine, so
it uses the standard library only, and is written so that an old Python reads far enough to say
that it is too old. What it reports goes to standard error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PYTHON_MIN = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
# Inside a virtual environment this is the Python that it was made with, which has pip.
PYTHON = getattr(sys, "_base_executable", None) or sys.executable
TOOLS = ROOT / ".tools"
LOCK = ROOT / "requirements-dev.lock"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LOCK_OF_UV = ROOT / "scripts" / "requirements-uv.lock"
LOCK_OF_PEERS = ROOT / "requirements-peers.lock"

TOO_OLD = """\
需要 Python {min} 或更新的版本，这里是 {found}。在 Debian 上请输入：
This needs Python {min} or newer, and this is {found}. On Debian, type:
    apt-get install -y python3 python3-pip python3-venv"""
NO_PIP = """\
这个 Python 没有 pip，无法取得 uv（安装工具）。在 Debian 上请输入：
This Python has no pip to fetch uv (the installer) with. On Debian, type:
    apt-get update && apt-get install -y python3-pip python3-venv"""
NO_UV = """\
无法用 pip 取得 uv：请检查网络或 pip 的镜像设置（pip config list），然后重试。
pip could not fetch uv: check the network or pip's mirror (pip config list), then try again."""
NO_PACKAGES = """\
无法安装依赖包（上面是 uv 的说明）：请检查网络，然后重试；已下载的部分不会重复下载。
The packages could not be installed (uv says why above): check the network, then try again;
what has been downloaded is kept."""


def prepare() -> Path:
    """Answer the interpreter of an environment that holds exactly the locked packages.

    Leaves the process with a message when something is missing that only a person can install.
    """
    if sys.version_info < PYTHON_MIN:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit(TOO_OLD.format(min=".".join(str(part) for part in PYTHON_MIN), found=found))
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if _is_current(python):
        return python
    with _alone():
        if not _is_current(python):
            _install(python)
    return python


def build_screens(python: Path) -> None:
    """Build what runs in browsers; nothing when it is up to date.

    Leaves the process when that fails; `screens.py` has said why.
    """
    with _alone():
        build = [str(python), str(ROOT / "scripts" / "screens.py")]
        if subprocess.run(build, check=False, stdout=sys.stderr, env=environment()).returncode:
            sys.exit(1)


def prepare_peers() -> Path:
    """Answer the interpreter of the environment of the bench's peers, which is none of the product.

    Leaves the process with a message when it cannot be made.
    """
    peers = TOOLS / "peers"
    python = peers / "bin" / "python"
    stamp = peers / "locked"
    wanted = hashlib.sha256(LOCK_OF_PEERS.read_bytes()).hexdigest()
    with _alone():
        if python.exists() and stamp.exists() and stamp.read_text() == wanted:
            return python
        uv = _find_uv()
        variables = environment() | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
        variables |= _network(variables)
        say("bootstrap: installing the peers that the bench compares with")
        _uv(uv, "venv", "--clear", "--python", PYTHON, str(peers), env=variables)
        locked = ["--require-hashes", "--python", str(python), str(LOCK_OF_PEERS)]
        _uv(uv, "pip", "sync", *locked, env=variables)
        stamp.write_text(wanted)
    return python


def environment() -> dict[str, str]:
    """Answer our environment variables with the virtual environment's programs in front."""
    variables = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
        # The last one would have every start compile everything again, four seconds of it.
        variables.pop(name, None)
    variables["VIRTUAL_ENV"] = str(ENVIRONMENT)
    variables["PATH"] = os.pathsep.join(
        [str(ENVIRONMENT / "bin"), variables.get("PATH", os.defpath)]
    )
    return variables


def say(line: str) -> None:
    """Report progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def _stamp() -> Path:
    return ENVIRONMENT / "locked"


def _wanted() -> str:
    """Answer a digest of all that decides what the environment holds."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (LOCK, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _is_current(python: Path) -> bool:
    try:
        return python.exists() and _stamp().read_text() == _wanted()
    except OSError:
        return False


def _install(python: Path) -> None:
    began = time.monotonic()
    uv = _find_uv()
    variables = environment() | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    variables |= _network(variables)
    _stamp().unlink(missing_ok=True)
    if not _runs(python):
        say(f"bootstrap: making {ENVIRONMENT.name} with Python {sys.version.split()[0]}")
        _uv(uv, "venv", "--clear", "--python", PYTHON, str(ENVIRONMENT), env=variables)
    say("bootstrap: installing the locked packages (the first time this takes a minute)")
    locked = ["--require-hashes", "--python", str(python), str(LOCK)]
    _uv(uv, "pip", "sync", *locked, env=variables)
    # Hatchling and editables are in the lock: nothing is fetched that has no hash.
    ours = ["--no-deps", "--no-build-isolation", "--python", str(python), "--editable", str(ROOT)]
    _uv(uv, "pip", "install", *ours, env=variables)
    _stamp().write_text(_wanted())
    say(f"bootstrap: ready after {time.monotonic() - began:.1f} s")


def _find_uv() -> str:
    """Answer uv: the user's, the one fetched earlier, or one fetched now."""
    fetched = TOOLS / "uv" / "bin" / "uv"
    for candidate in (shutil.which("uv"), str(fetched)):
        if candidate and _runs(Path(candidate)):
            return candidate
    if not _runs(Path(PYTHON), "-m", "pip"):
        sys.exit(NO_PIP)
    say("bootstrap: fetching uv with pip")
    # Into a directory of ours: that is allowed where the system's Python is "externally managed"
    # (PEP 668), and needs no rights.
    shutil.rmtree(TOOLS / "uv", ignore_errors=True)
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--root-user-action=ignore"]
    options += ["--require-hashes"]
    target = ["--target", str(TOOLS / "uv"), "--requirement", str(LOCK_OF_UV)]
    fetch = [PYTHON, "-m", "pip", "install", *options, *target]
    if subprocess.run(fetch, check=False, stdout=sys.stderr).returncode != 0:
        sys.exit(NO_UV)
    return str(fetched)


def _network(variables: dict[str, str]) -> dict[str, str]:
    """Answer how uv reaches the packages: as pip does, whose settings it does not read."""
    found = {}
    if SYSTEM_CERTIFICATES.exists():
        # Where a proxy of the house opens connections, only the system knows its certificate.
        found["UV_SYSTEM_CERTS"] = found["UV_NATIVE_TLS"] = "1"
    if "UV_DEFAULT_INDEX" not in variables and "UV_INDEX_URL" not in variables:
        mirror = variables.get("PIP_INDEX_URL") or _pip_setting("global.index-url")
        if mirror:
            found["UV_DEFAULT_INDEX"] = mirror
    return {name: value for name, value in found.items() if name not in variables}


def _pip_setting(name: str) -> str:
    ask = [PYTHON, "-m", "pip", "config", "get", name]
    return subprocess.run(ask, check=False, capture_output=True, text=True).stdout.strip()


def _runs(program: Path, *arguments: str) -> bool:
    command = [str(program), *arguments, "--version"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _uv(uv: str, *arguments: str, env: dict[str, str]) -> None:
    done = subprocess.run([uv, *arguments, "--quiet"], check=False, stdout=sys.stderr, env=env)
    if done.returncode != 0:
        sys.exit(NO_PACKAGES)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep a second start from installing into the same environment at the same time."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
