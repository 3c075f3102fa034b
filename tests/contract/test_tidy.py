"""The rules of the house that no linter knows (architecture.md), each tried with a breach."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "app"

LINES_MAX = 70
INVARIANTS_MAX = 6

FILES_OF_A_FEATURE = {
    "__init__.py",
    "rules.py",
    "models.py",
    "service.py",
    "queries.py",
    "schemas.py",
    "routes.py",
    "jobs.py",
    "seed.py",  # reads the dated reference data in data/
}
# What a package may hold beside them, each with the noun it is for. Core knows no food, and its
# files are its own.
FURTHER_FILES = {
    "admission": {
        "books.py",  # what the books know of codes, read for a whole vehicle at once
        "doubts.py",  # what early warnings say of goods, likewise
        "findings.py",  # pure: all that can be found, in both languages
        "gate.py",  # pure: when an inspection happened, what contradicts it, who may overrule
        "inspections.py",  # a vehicle at a gate, decided and stored once
        "papers.py",  # paper documents and agreements
        "policy.py",  # pure: the dated rules of entry and of sampling
        "rulings.py",  # a person's decisions beside verdicts, and cases
        "sampling.py",  # the chance of a day, committed, drawn from, revealed, audited
        "tally.py",  # views counted in memory until they are written
    },
    "bundle": {
        "device.py",  # pure: what a device proves, and what it is refused
        "devices.py",  # enrols devices, believes their requests, takes what they decided
        "quicktests.py",  # quick tests that a gate enters, kept for the lots of its goods
        "root.py",  # the file of the offline root key
    },
    "cluster": {
        "placement.py",  # where each table lies
        "plan.py",  # the SQL that puts it there
    },
    "commands": {
        "books.py",  # verify, audit, problems: what is in the books
        "console.py",  # how commands speak
        "importing.py",
        "gate.py",
        "key.py",
        "ledger.py",
        "party.py",
        "recall.py",
        "running.py",  # serve, worker, migrate, demo
        "spreading.py",  # migrate --citus
        "warning.py",
        "standards.py",  # limits, workday: what tests are judged by
        "tracing.py",  # back, forward, ways between lots, common sources
    },
    "event": {
        "lateness.py",  # pure: how late something may be told and be believed
    },
    "demo": {
        "main_job.py",  # the journey, through HTTP
        "performance.py",  # plays it from beginning to end
        "report.py",  # how it is told
        "scenario.py",  # who and what: data
        "stage.py",  # data directory, secret, database, server
    },
    "label": {
        "sheets.py",  # what paper with codes says, and where on it
    },
    "ledger": {
        "files.py",  # a month as a file
        "names.py",  # of people who left, erased in time
        "retention.py",  # what may leave the tables at hand
        "sheets.py",  # a ledger on paper
        "wording.py",  # how ledgers put things
        "workbook.py",  # a ledger in Excel
    },
    "exchange": {
        "sheets.py",  # the rows of files, one by one
    },
    "lot": {
        "spread.py",  # what a cluster writes in place of one statement
        "changes.py",  # the second half of the service: what a holder does with lots alone
    },
    "paper": {
        "press.py",  # typst, in threads of its own
    },
    "party": {
        "access.py",  # the one table of who may call what
        "auth.py",  # FastAPI dependencies: who is calling
        "codes.py",  # handed over to who has not come, or forgot the password
        "credentials.py",  # passwords, sessions and keys
        "identifiers.py",  # the official numbers of people and organisations
        "staff.py",  # the second half of the service: who acts for a party, and as what
    },
    "product": {
        "search.py",  # finding products as sellers call them
        "units.py",  # from what was said to grams, and back
    },
    "recall": {
        "annulments.py",  # hand-overs that an office takes back
        "authority.py",  # who answers for a lot, which offices for places
        "following.py",  # the second half of the service: what is recorded in an open case
        "opening.py",  # the scope of a case, stopped at once
        "printing.py",  # the case as a record, a spreadsheet, on paper
        "referrals.py",  # questions to other offices
        "terms.py",  # how long things may take
        "wording.py",  # words in both languages
    },
    "signing": {
        "keys.py",  # keys and their history, without a database: verifiers use it offline
        "qr.py",  # what a code becomes on paper
        "ring.py",  # the keys at hand in a process
        "shortcode.py",  # what is typed where nothing can be scanned
        "stamp.py",  # token and short code of a document
        "symbol.py",  # the QR symbol itself
        "token.py",  # the compact signed token
    },
    "testing": {
        "allowances.py",  # how much of goods is sampled without the office in charge
        "calendar.py",  # working days, and the clocks that count in them
        "cases.py",  # what follows from tests: status, holds, clocks, objections, measures
        "commissions.py",  # to whom samples were sent, and who may therefore report on them
        "devices.py",  # sources, and what they push
        "limits.py",  # which limit decides, and why
        "push.py",  # who signed a push, and what its numbers mean
        "standards.py",  # loads what tests are judged by, and reads it
    },
    "ticket": {
        "audit.py",  # the books checked against themselves
        "counter.py",  # issues together what is asked for at the same moment
        "decide.py",  # one verb of the service each: decide, issue, void
        "drafts.py",  # what is to be issued
        "handover.py",  # what goods become in other hands, whichever verb hands them over
        "issue.py",
        "record.py",  # the one statement that writes a ticket
        "void.py",
    },
    "trace": {
        "export.py",  # a whole graph as a stream
        "folding.py",  # what is drawn as one in a picture
        "kinship.py",  # ways between lots, and what several have in common
        "levels.py",  # the walk that a cluster can run
        "memory.py",  # what was met a moment ago and never changes
        "scope.py",  # how far a recall reaches
        "scribe.py",  # describes what a caller may see
        "search.py",  # tickets and lots by whatever is in hand
        "sweep.py",  # shares of a graph that does not fit into memory
        "writing.py",  # a whole trace as the bytes of its JSON
    },
    "supervision": {"credit.py"},  # what the books say about a party, side by side
}
FOLDERS_OF_A_FEATURE = {"frontend", "screens", "data", "templates", "static"}
NOT_NAMES = re.compile(r"(utils?|helpers?|commons?|constants?|managers?|misc|base_.*)(\.py)?")

# Put together here, so that this file does not name them itself.
FOREIGN = re.compile(
    "|".join(
        [
            r"/(?:work|root|home/\w+|opt/wheels|usr/local/bin)/\w",
            "pypi" + r"\.(?:org|python|tuna)",
            "files" + r"\.pythonhosted\.org",
            "registry" + r"\.(?:npmjs|npmmirror|yarnpkg)\.",
            "mirrors" + r"?\.(?:aliyun|ustc|tuna|cloud)",
            r"--(?:extra-)?index" + "-url",
            "--find" + "-links",
        ]
    )
)


def python_files(*folders: str) -> list[Path]:
    """Answer our Python files below some folders."""
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def features() -> list[Path]:
    """Answer the feature packages: all but core, which knows nothing about food."""
    return sorted(
        folder
        for folder in APP.iterdir()
        if (folder / "__init__.py").exists() and folder.name != "core"
    )


def committed() -> list[Path]:
    """Answer the files that are in the repository, or will be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:  # a source archive
        files = [file for file in ROOT.rglob("*") if file.is_file()]
        return [file for file in files if not any(part.startswith(".") for part in _parts(file))]
    return [file for line in listed.stdout.splitlines() if (file := ROOT / line).is_file()]


def shown(file: Path) -> str:
    """Answer a file's name as a reader looks for it."""
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)


# --- what is looked for ---------------------------------------------------------------------------


def long_functions(source: str) -> Iterator[str]:
    """Find functions of more than seventy lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > LINES_MAX:
                yield f"{node.name} has {lines} lines"


def transactions_ended(source: str) -> Iterator[str]:
    """Find what ends a transaction: only core does, after the feature has done its work."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="commit" | "rollback" as verb)):
                yield f"line {node.lineno}: {verb}()"


def relationships(source: str) -> Iterator[str]:
    """Find ORM relationships: they load rows behind a reader's back."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="relationship") | ast.Attribute(attr="relationship")):
                yield f"line {node.lineno}: relationship()"


def foreign_models(source: str, package: str) -> Iterator[str]:
    """Find another feature's tables imported into a feature's models."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith("app."):
                if module.split(".")[1] not in {"core", package}:
                    yield f"line {node.lineno}: from {module}"


def faults_of_a_door(source: str) -> Iterator[str]:
    """Find what is wrong with a package's `__init__.py`: no docstring, code, or a long list."""
    tree = ast.parse(source)
    docstring = ast.get_docstring(tree)
    if docstring is None:
        yield "has no docstring"
        return
    if len(tree.body) > 1:
        yield "holds code"
    numbers = [int(number) for number in re.findall(r"^    (\d+)\. ", docstring, re.MULTILINE)]
    if "Invariants:" not in docstring or not numbers:
        yield "names no invariants"
    if len(numbers) > INVARIANTS_MAX:
        yield f"names {len(numbers)} invariants"
    if numbers != list(range(1, len(numbers) + 1)):
        yield "does not number its invariants from 1"


def foreign_places(text: str) -> Iterator[str]:
    """Find paths of one machine and hosts of package registries."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := FOREIGN.search(line):
            yield f"line {number}: {found[0]}"


def strange_files(package: str, names: set[str]) -> set[str]:
    """Find files that a package of this name should not have."""
    return names - FILES_OF_A_FEATURE - FURTHER_FILES.get(package, set())


# --- the tree is tidy -----------------------------------------------------------------------------


def found_in(files: list[Path], look: Callable[[str], Iterator[str]]) -> dict[str, list[str]]:
    """Answer what a rule finds, by file."""
    found = {shown(file): list(look(file.read_text())) for file in files}
    return {name: faults for name, faults in found.items() if faults}


def test_functions_fit_a_screen() -> None:
    assert found_in(python_files("app", "scripts"), long_functions) == {}


def test_transactions_end_in_core() -> None:
    files = [file for file in python_files("app") if APP / "core" not in file.parents]
    assert found_in(files, transactions_ended) == {}


def test_nothing_loads_lazily() -> None:
    assert found_in(python_files("app"), relationships) == {}


@pytest.mark.parametrize("package", features(), ids=shown)
def test_a_package_tells_what_it_is_and_holds_the_usual_files(package: Path) -> None:
    assert list(faults_of_a_door((package / "__init__.py").read_text())) == []
    files = {file.name for file in package.glob("*.py")}
    if package.name != "web":  # pages are named for what they show
        assert strange_files(package.name, files) == set()
    folders = {folder.name for folder in package.iterdir() if folder.is_dir()} - {"__pycache__"}
    assert folders <= FOLDERS_OF_A_FEATURE
    if (package / "models.py").exists():
        assert list(foreign_models((package / "models.py").read_text(), package.name)) == []


def test_core_tells_what_it_is() -> None:
    assert list(faults_of_a_door((APP / "core" / "__init__.py").read_text())) == []


def test_no_name_says_nothing() -> None:
    names = {part for file in python_files("app", "scripts") for part in _parts(file)}
    assert [name for name in names if NOT_NAMES.fullmatch(name)] == []


def _parts(file: Path) -> tuple[str, ...]:
    return file.relative_to(ROOT).parts


def test_committed_files_name_no_machine_and_no_registry() -> None:
    found = {}
    for file in committed():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture
            continue
        if lines := list(foreign_places(text)):
            found[shown(file)] = lines
    assert found == {}


def test_the_scripts_and_the_guard_need_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"bootstrap"}
    files = [ROOT / "scripts" / f"{name}.py" for name in ("bootstrap", "run", "test")]
    for file in [*files, APP / "core" / "embedded.py"]:
        tree = ast.parse(file.read_text())
        modules = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert modules <= allowed, file


# --- the lock files -------------------------------------------------------------------------------

LOCKS = ["requirements.lock", "requirements-dev.lock", "scripts/requirements-uv.lock"]


def locked(name: str) -> dict[str, list[str]]:
    """Answer what a lock file pins: `name==version; marker` with its hashes."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return {line.split(" --hash")[0].strip(): re.findall(r"--hash=(\S+)", line) for line in lines}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_versions_and_hashes_and_no_host(name: str) -> None:
    pins = locked(name)
    assert pins
    for pin, hashes in pins.items():
        assert re.match(r"^[a-z0-9.-]+==[\w.+!]+( ; .+)?$", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), pin
    assert "://" not in (ROOT / name).read_text()


def test_the_locks_hold_what_the_project_declares_and_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = project["project"]["dependencies"]
    further = project["project"]["optional-dependencies"]["demo"]
    development = project["dependency-groups"]["dev"]
    product, all_of_it = set(locked(LOCKS[0])), set(locked(LOCKS[1]))
    assert _names(declared) <= _names(product)
    assert _names([*declared, *further, *development]) <= _names(all_of_it)
    assert {_plain(pin) for pin in product} <= {_plain(pin) for pin in all_of_it}


def _plain(pin: str) -> str:
    return pin.partition(" ; ")[0]


def _names(requirements: list[str] | set[str]) -> set[str]:
    matches = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", found[0]).lower() for found in matches if found}


def test_there_is_a_changelog_with_what_comes_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog")
    assert "## [Unreleased]" in text


def test_the_licence_is_complete() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


# --- and every rule notices a breach --------------------------------------------------------------


def test_the_rules_notice_breaches() -> None:
    body = "\n".join(["    x = 1"] * LINES_MAX)
    assert list(long_functions(f"def long():\n{body}")) == ["long has 71 lines"]
    assert list(long_functions(f"async def long():\n{body}")) == ["long has 71 lines"]
    assert list(transactions_ended("async def f(s):\n    await s.commit()")) == ["line 2: commit()"]
    assert list(transactions_ended("session.rollback()")) == ["line 1: rollback()"]
    assert list(relationships("lots = relationship('Lot')")) == ["line 1: relationship()"]
    assert list(foreign_models("from app.lot.models import Lot", "ticket"))
    assert not list(foreign_models("from app.core.db import Base", "ticket"))
    assert strange_files("ticket", {"rules.py", "sauce.py"}) == {"sauce.py"}
    assert NOT_NAMES.fullmatch("utils.py")
    assert NOT_NAMES.fullmatch("base_service.py")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("", "has no docstring"),
        ('"""A thing."""', "names no invariants"),
        ('"""A thing.\n\nInvariants:\n    1. It is.\n"""\nx = 1', "holds code"),
        ('"""A thing.\n\nInvariants:\n    2. It is.\n"""', "does not number its invariants from 1"),
        (
            '"""A thing.\n\nInvariants:\n'
            + "".join(f"    {number}. It is.\n" for number in range(1, INVARIANTS_MAX + 2))
            + '"""',
            "names 7 invariants",
        ),
    ],
)
def test_the_rule_about_doors_notices_breaches(source: str, fault: str) -> None:
    assert list(faults_of_a_door(source)) == [fault]


@pytest.mark.parametrize(
    "line",
    [
        "cd /work/" + "main",
        "open('/root/" + "x')",
        "/home/li/" + "x",
        "https://pypi" + ".org/simple",
        "uv pip install --find-" + "links x",
    ],
)
def test_the_rule_about_machines_notices_breaches(line: str) -> None:
    assert list(foreign_places(line))
