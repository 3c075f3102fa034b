"""A wheel holds whatever runs, the built screens too, and not what they are built from."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_wheel_holds_the_screens_and_all_that_lies_in_the_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    ours = ["git", "ls-files", "app", ":!app/web/frontend"]
    listed = subprocess.run(ours, check=True, cwd=ROOT, capture_output=True, text=True)
    written = set(listed.stdout.split())
    assert written - held == set()
    built = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "app" / "web" / "screens").rglob("*")
        if file.is_file()
    }
    assert {f"app/web/screens/{name}.html" for name in ("m", "gate", "admin")} <= built
    assert built - held == set()
    assert [one for one in held if one.startswith("app/web/frontend/")] == []
