"""Rows about peers: other engines with the same graph, asked the same questions."""

from benchmarks.bench import Bench
from benchmarks.measure import Row, Target, not_built


async def peers(_bench: Bench) -> list[Row]:
    """Trace in other engines."""
    return [not_built("peers", Target(4, at_least=True))]
