"""Lots that a trace met a moment ago.

What a lot is never changes, and neither do the edges into it: they were written with it. Only the
proof of an edge does, once, when a buyer confirms what the seller had claimed. So a lot into which
no edge is only claimed is remembered, and a walk asks the books for what can differ: which lots
there are, what is left of each, and which are held.

A recall makes everybody ask for the same lots within minutes, and every way back ends in the same
few farms and wholesalers.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy.pool import Pool

from app.lot.rules import Proof
from app.trace.rules import Edge, Node

LOTS_MAX = 1 << 14
"""Lots of each of two generations; a lot is about a kilobyte."""


class Settled(NamedTuple):
    """A lot with everything that went into it, by ascending parent, in the graph or not."""

    node: Node
    into: tuple[Edge, ...]


class Memory:
    """The lots met last, in two generations: forgetting is dropping the older one."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._young: dict[int, Settled] = {}
        self._old: dict[int, Settled] = {}

    def recall(self, lots: Sequence[int]) -> dict[int, Settled]:
        """Answer those of some lots that are remembered."""
        young, old = self._young, self._old
        known = {lot: young[lot] for lot in lots if lot in young}
        if old and len(known) < len(lots):
            older = {lot: old[lot] for lot in lots if lot in old and lot not in young}
            self.keep(older.values())
            known |= older
        return known

    def keep(self, lots: Iterable[Settled]) -> None:
        """Remember lots about which nothing changes any more."""
        for lot in lots:
            if len(self._young) >= LOTS_MAX:
                self._old, self._young = self._young, {}
            if all(edge.proof is not Proof.CLAIMED for edge in lot.into):
                self._young[lot.node.id] = lot

    def forget(self) -> None:
        """Begin with nothing again."""
        self._young, self._old = {}, {}


_memories: WeakKeyDictionary[Pool, Memory] = WeakKeyDictionary()


def memory_of(pool: Pool) -> Memory:
    """Answer the memory of the books that a pool leads to."""
    found = _memories.get(pool)
    if found is None:
        found = _memories[pool] = Memory()
    return found
