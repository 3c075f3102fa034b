"""Documentation is tested: what can be set or met has a place where it is explained."""

import re
from pathlib import Path

import httpx

from app.core.errors import every_refusal
from app.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_every_setting_has_a_heading_and_every_heading_a_setting() -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^### `(YPT_[A-Z_]+)`$", text, re.MULTILINE))
    assert described == {f"YPT_{name.upper()}" for name in Settings.model_fields}


async def test_every_refusal_is_described_in_both_languages(client: httpx.AsyncClient) -> None:
    listed = {item["code"]: item for item in (await client.get("/problems")).json()}
    refusals = {refusal.code: refusal for refusal in every_refusal()}
    assert listed.keys() == refusals.keys()
    for code, item in listed.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code), code
        for language in ("zh", "en"):
            assert item[language]["title"].strip(), code
            assert item[language]["next_step"].strip(), code
        assert re.search(r"[\u4e00-\u9fff]", item["zh"]["title"]), code
        assert re.search(r"[\u4e00-\u9fff]", item["zh"]["next_step"]), code
        assert not re.search(r"[\u4e00-\u9fff]", item["en"]["title"]), code
        assert item["meaning"], code
        single = await client.get(f"/problems/{code}")
        assert single.json() == item


def test_no_two_refusals_share_a_code() -> None:
    codes: dict[str, set[type]] = {}
    for refusal in every_refusal():
        codes.setdefault(refusal.code, set()).add(refusal)
    assert {code: kinds for code, kinds in codes.items() if len(kinds) > 1} == {}


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_readme_names_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:app|scripts|docs|tests|schemas|migrations)/[\w/.]+)", text))
    named |= set(re.findall(r"\]\(((?:docs|app)/[\w/.-]+)\)", text))
    assert {path for path in named if not (ROOT / path).exists()} == set()
