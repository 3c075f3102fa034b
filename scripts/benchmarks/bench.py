"""What the rows share: the database, servers, and how much is measured."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import numpy as np

from benchmarks import floors, ours, wire
from benchmarks.graph import Numbers
from benchmarks.measure import interleave
from benchmarks.ours import Ours
from benchmarks.stage import Book, Connection, Stage
from benchmarks.wire import Server

SEED = 1


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: How often floor and ours take turns.
        slice_s: Seconds that each loads the machine in a round.
        keys: Lots asked about, each way.
        requests: Requests a round where a request counts only the first time.
        warm: Whether an unmeasured round comes first.
    """

    rounds: int
    slice_s: int
    keys: int
    requests: int
    warm: bool


FULL = Effort(rounds=5, slice_s=3, keys=100, requests=3_000, warm=True)
SMOKE = Effort(rounds=1, slice_s=1, keys=20, requests=150, warm=False)


@dataclass(slots=True)
class Bench:
    """One run of the bench."""

    stage: Stage
    edges: int
    effort: Effort
    smoke: bool
    book: Book
    ours: Ours
    chance: Random
    _stack: AsyncExitStack
    _servers: dict[str, Server] = field(default_factory=dict)

    async def server(self, name: str) -> Server:
        """Answer a running server; each is started once, when it is first wanted."""
        if name not in self._servers:
            ready = ours.READY if name == "ours" else "/static"
            ready = "/openapi.json" if name == "framework" else ready
            serving = wire.serving(name, self.book.environment(), ready)
            self._servers[name] = await self._stack.enter_async_context(serving)
        return self._servers[name]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Open a connection as the superuser."""
        async with self.book.connection() as connection:
            yield connection

    async def interleave(
        self, methods: Mapping[str, Callable[[int], Awaitable[float]]]
    ) -> dict[str, list[float]]:
        """Let methods take turns for as many rounds as this run wants."""
        return await interleave(
            methods, rounds=self.effort.rounds, chance=self.chance, warm=self.effort.warm
        )

    def drawn(self, lots: Numbers, count: int) -> list[int]:
        """Draw lots, each once."""
        generator = np.random.default_rng(self.chance.randrange(2**32))
        return [int(lot) for lot in generator.permutation(lots)[:count]]

    async def floor_traces(
        self, direction: str, keys: Sequence[int], best_us: dict[int, float]
    ) -> float:
        """Run the hand-written trace of each key a few times; keep the best time of each."""
        for start in range(0, len(keys), floors.SCRIPTS_MAX):
            some = keys[start : start + floors.SCRIPTS_MAX]
            outcome = await floors.run(
                self.book.url,
                [f"{floors.trace(direction, str(key))};" for key in some],
                transactions=len(some) * 4,
                latencies=True,
            )
            for script, taken in outcome.latencies_us.items():
                keep_best(best_us, some[script], min(taken))
        return 0.0


def keep_best(best: dict[int, float], key: int, value: float) -> None:
    """Remember the least value of a key."""
    best[key] = min(best.get(key, value), value)


@asynccontextmanager
async def opened(stage: Stage, *, edges: int, effort: Effort, smoke: bool) -> AsyncIterator[Bench]:
    """Open the bench on a graph; its servers end with it."""
    book = await stage.book(edges, SEED)
    chance = Random(SEED)  # noqa: S311  # the same keys every time
    async with AsyncExitStack() as stack:
        layer = await stack.enter_async_context(ours.opened(book))
        yield Bench(stage, edges, effort, smoke, book, layer, chance, stack)
