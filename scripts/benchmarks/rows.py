"""The table: every row by its name, in the order in which they are measured and printed."""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks import contest, crafts, importing, reading, writing
from benchmarks.bench import Bench
from benchmarks.measure import Row, Target, WrongAnswerError, load_now, not_built


@dataclass(frozen=True, slots=True)
class Subject:
    """What can be asked for by name.

    Attributes:
        about: What it measures, in one line.
        measure: Answers its rows; None while the feature does not exist.
        missing: The rows that say so.
    """

    about: str
    measure: Callable[[Bench], Awaitable[list[Row]]] | None
    missing: tuple[tuple[str, Target | None], ...] = ()


SUBJECTS = {
    "scan": Subject("a ticket read by anybody, its signature remembered", reading.scan_read),
    "scan-whole": Subject("a ticket read for the first time", reading.scan_whole),
    "trace": Subject("back and forward in the data layer", reading.trace),
    "trace-http": Subject("back and forward over HTTP", reading.trace_http),
    "growth": Subject("equal answers in a small graph and a large one", reading.growth),
    "hub": Subject("a recall over very many lots", reading.hub),
    "issue": Subject("issuing in the data layer", writing.issue),
    "issue-http": Subject("issuing over HTTP", writing.issue_http),
    "issue-hot": Subject("one lot that everybody draws on", writing.issue_hot),
    "log": Subject(
        "issuing with the Merkle log on and off",
        None,
        (("issuing with the Merkle log", Target(0.85, at_least=True)),),
    ),
    "import": Subject(
        "tickets from a file, and edges in bulk, with all rules applied", importing.measure
    ),
    "wal": Subject("edges appended behind a full table", writing.wal),
    "token": Subject("tokens parsed and verified", crafts.read_tokens),
    "labels": Subject("a sheet of QR codes", crafts.labels),
    "labels-page": Subject("the page that prints labels", crafts.labels_page),
    "peers": Subject("the same traces in other engines", contest.peers),
    "footprint": Subject("memory, start, bytes of a ticket", crafts.footprint),
}


async def measure(bench: Bench, names: Sequence[str], say: Callable[[Row], None]) -> list[Row]:
    """Measure what was asked for; one that breaks is a failed row and stops nothing."""
    rows: list[Row] = []
    for name in names:
        subject = SUBJECTS[name]
        began = load_now()
        if subject.measure is None:
            found = [not_built(missing, target) for missing, target in subject.missing]
        else:
            try:
                found = await subject.measure(bench)
            except WrongAnswerError as wrong:
                found = [Row(name, wrong=str(wrong), failed=f"wrong: {wrong}")]
            except Exception as fault:  # noqa: BLE001  # reported in its row, with the traceback
                traceback.print_exc()
                found = [Row(name, failed=f"failed: {type(fault).__name__}: {fault}"[:300])]
        for row in found:
            row.load = (began, load_now())
            say(row)
        rows += found
    return rows
