"""What a trace met a moment ago, and what it was told with.

What a lot is never changes, and neither do the edges into it: they were written with it. Only the
proof of an edge does, once, when a buyer confirms what the seller had claimed. So a lot into which
no edge is only claimed is remembered, and a walk asks the books for what can differ: which lots
there are, what is left of each, and which are held. A party's name, form and seat do not change
either; its roles do, and what a trace says about them may be five minutes old.

A recall makes everybody ask for the same lots within minutes, and every way back ends in the same
few farms and wholesalers.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy.pool import Pool

from app.lot.rules import Proof
from app.party.access import DatedRole
from app.trace.rules import Edge, Node

LOTS_MAX = 1 << 14
"""Lots of each of two generations; with an edge and the words of both 1.8 KB each, 57 MB in all."""
PARTIES_MAX = 1 << 12
ROLES_LAST_S = 300

Key = TypeVar("Key")
Value = TypeVar("Value")


class Generations(Generic[Key, Value]):
    """What was asked for last, in two generations: forgetting is dropping the older one."""

    def __init__(self, most: int, *, lasts_s: float | None = None) -> None:
        """Begin with nothing.

        Args:
            most: How much a generation holds.
            lasts_s: When to begin with nothing again, in seconds.
        """
        self._most = most
        self._lasts_s = lasts_s
        self._begun_s = 0.0
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def all_of(self, keys: Iterable[Key]) -> list[Value] | None:
        """Answer what is remembered of some, in their order; None if that is not all of them."""
        self._age()
        try:
            return [*map(self._young.__getitem__, keys)]
        except KeyError:
            return None

    def recall(self, keys: Collection[Key]) -> tuple[dict[Key, Value], Collection[Key]]:
        """Answer what is remembered of some, and which are not."""
        self._age()
        young, old = self._young, self._old
        older = {key: old[key] for key in keys if key in old and key not in young}
        known = {key: young[key] for key in keys if key in young} | older
        self.keep(older)
        return known, [key for key in keys if key not in known]

    def _age(self) -> None:
        if self._lasts_s is not None and time.monotonic() - self._begun_s > self._lasts_s:
            self.forget()

    def keep(self, values: Mapping[Key, Value]) -> None:
        """Remember values, unless they are so many that they would drive out themselves."""
        if len(values) > self._most:
            return
        if len(self._young) + len(values) > self._most:
            self._old, self._young = self._young, {}
        self._young |= values

    def forget(self) -> None:
        """Begin with nothing again."""
        self._young, self._old = {}, {}
        self._begun_s = time.monotonic()


class Settled(NamedTuple):
    """A lot with everything that went into it, by ascending parent, in the graph or not."""

    node: Node
    into: tuple[Edge, ...]

    @property
    def is_final(self) -> bool:
        """Whether nothing about it changes any more."""
        return all(edge.proof is not Proof.CLAIMED for edge in self.into)


class Named(NamedTuple):
    """A party as a trace shows it, before masking.

    Attributes:
        in_full: The JSON of whoever may read its name.
        masked: The JSON of everybody else.
    """

    public_id: UUID
    name: str
    form: str
    division_code: str | None
    in_full: bytes
    masked: bytes


def _unweighed(words: bytes) -> bytes:
    """Leave the grams out of words that tell them: most callers may know all they are shown."""
    before, name, after = words.rpartition(b'"mass_g":')
    return b"%b%bnull%b" % (before, name, after[after.index(b",") :])


class LotWords(NamedTuple):
    """The JSON of what never changes about a lot, in the pieces between which people stand.

    Attributes:
        head: Up to its holder.
        weighed: From its producer to what is left of it, with its grams.
    """

    head: bytes
    weighed: bytes

    @property
    def hidden(self) -> bytes:
        """The same as `weighed`, for whoever may not know its grams."""
        return _unweighed(self.weighed)


class EdgeWords(NamedTuple):
    """The JSON of what never changes about an edge.

    Attributes:
        weighed: Up to the share in grams, with the grams that passed.
        tail: After the proof.
    """

    weighed: bytes
    tail: bytes

    @property
    def hidden(self) -> bytes:
        """The same as `weighed`, for whoever may not know the grams."""
        return _unweighed(self.weighed)


class Memory:
    """What is remembered of the books that a pool leads to."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.lots: Generations[int, Settled] = Generations(LOTS_MAX)
        self.parties: Generations[int, Named] = Generations(PARTIES_MAX)
        self.roles: Generations[int, list[DatedRole]] = Generations(
            PARTIES_MAX, lasts_s=ROLES_LAST_S
        )
        self.lot_words: Generations[int, LotWords] = Generations(LOTS_MAX)
        self.edge_words: Generations[tuple[int, int], EdgeWords] = Generations(LOTS_MAX)
        self.villages: dict[tuple[str, date], str | None] = {}
        self._words_of: tuple[object, ...] = ()

    def speak(self, *sources: object) -> None:
        """Begin anew with names when what they come from (catalogue, gazetteer) was read again."""
        if len(sources) != len(self._words_of) or any(
            new is not old for new, old in zip(sources, self._words_of, strict=True)
        ):
            self._words_of = sources
            self.lot_words.forget()
            self.villages.clear()

    def settle(self, lots: Iterable[Settled]) -> None:
        """Remember lots about which nothing changes any more."""
        self.lots.keep({lot.node.id: lot for lot in lots if lot.is_final})


_memories: WeakKeyDictionary[Pool, Memory] = WeakKeyDictionary()


def memory_of(pool: Pool) -> Memory:
    """Answer the memory of the books that a pool leads to."""
    found = _memories.get(pool)
    if found is None:
        found = _memories[pool] = Memory()
    return found
