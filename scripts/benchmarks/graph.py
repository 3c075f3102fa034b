"""Made-up years of hand-overs, and a walk in memory that answers are compared with.

The graph is made of *cells*, one crop of one township for a month, so that the answers to a
question do not grow with the graph. Goods go from farms over a cooperative (2 to 50 lots merged)
and a wholesale market (split into 2 to 20), now and then over a second wholesaler or a processor,
to stalls, and from there to shops, or to kitchens and on to schools. *Hubs* are single lots that
reach very many. Cells run at the same time, a wave of them together: ids ascend in time, so that
the lots of one cell lie scattered among those of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = "npt.NDArray[np.int64]"

FARM, COOPERATIVE, WHOLESALE, PROCESSOR, STALL, SHOP, KITCHEN, SCHOOL = range(8)
STAGES = (
    "farm",
    "cooperative",
    "wholesale",
    "processor",
    "stall",
    "shop",
    "kitchen",
    "school",
)
PARTIES_OF_A_STAGE = (24, 2, 4, 1, 8, 12, 2, 5)
PARTIES_OF_A_CELL = sum(PARTIES_OF_A_STAGE)

CELLS_OF_A_WAVE = 256
BATCHES_OF_A_CELL = 8
MERGED_MAX = 50
SPLIT_MAX = 20

_HOUR_S = 3_600
MONTH_S = 30 * 24 * _HOUR_S
_FIRST_PARTY = [sum(PARTIES_OF_A_STAGE[:stage]) for stage in range(len(STAGES))]
_HUB_TREE = 0.8  # of a hub's descendants; the others are kitchens that mix two of these


@dataclass(slots=True)
class Cell:
    """The lots of one cell in the order in which they were made up, parents before children.

    Attributes:
        number: Which cell; it alone, and the seed, decide what is in it.
        at_s: When each lot came into being, in seconds from the beginning of its month.
        stage: Who made it.
        mass_g: Grams it began with.
        holder: Its holder, counted within the cell.
        parents: For each lot, the lots that went into it, with the grams of each.
    """

    number: int
    at_s: list[int] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    mass_g: list[int] = field(default_factory=list)
    holder: list[int] = field(default_factory=list)
    parents: list[list[tuple[int, int]]] = field(default_factory=list)

    @property
    def edges(self) -> int:
        """Count the hand-overs."""
        return sum(map(len, self.parents))


class _Maker:
    """Makes a cell up; nobody hands on more than is left."""

    def __init__(self, seed: int, number: int) -> None:
        self.chance = Random(f"{seed}/{number}")  # noqa: S311  # a seeded graph is no secret
        self.cell = Cell(number)
        self._left: list[int] = []

    def lot(self, stage: int, at_s: int, parents: Sequence[tuple[int, int]], loss: int = 0) -> int:
        """Add a lot of everything that its parents give, less some per cent; answer its place."""
        cell, count = self.cell, PARTIES_OF_A_STAGE[stage]
        given = sum(mass_g for _, mass_g in parents)
        mass_g = max(given * (100 - loss) // 100, 1)
        for parent, part in parents:
            self._left[parent] -= part
        cell.at_s.append(at_s)
        cell.stage.append(stage)
        cell.mass_g.append(mass_g)
        cell.holder.append(_FIRST_PARTY[stage] + self.chance.randrange(count))
        cell.parents.append(list(parents))
        self._left.append(mass_g)
        return len(self._left) - 1

    def source(self, at_s: int, mass_g: int) -> int:
        """Add a harvest."""
        lot = self.lot(FARM, at_s, ())
        self.cell.mass_g[lot] = self._left[lot] = mass_g
        return lot

    def parts(self, lot: int, count: int) -> list[int]:
        """Share a lot out in unequal parts of a gram or more."""
        weights = [self.chance.randint(5, 15) for _ in range(count)]
        total, whole = self._left[lot], sum(weights)
        return [max(total * weight // whole, 1) for weight in weights]

    def take(self, lot: int) -> int:
        """Answer a part of what is left of a lot, or 0 if there is nothing to share."""
        return self._left[lot] // 3

    def after(self, lot: int, least_h: int, most_h: int) -> int:
        """Answer a time some hours after a lot came into being."""
        return self.cell.at_s[lot] + self.chance.randint(least_h * _HOUR_S, most_h * _HOUR_S)

    def between(self, least: int, most: int, power: float) -> int:
        """Draw a number whose large values are rare."""
        return least + int((most - least + 1) * self.chance.random() ** power)


def make_cell(seed: int, number: int) -> Cell:
    """Make the month of one crop in one township up."""
    maker = _Maker(seed, number)
    stalls: list[int] = []
    for _ in range(BATCHES_OF_A_CELL):
        stalls = _batch(maker, stalls)
    return maker.cell


def _batch(maker: _Maker, former_stalls: Sequence[int]) -> list[int]:
    """Let a batch travel from its farms to schools; answer the lots of its stalls."""
    chance = maker.chance
    began_s = chance.randrange(MONTH_S)
    if chance.random() < 0.08:  # noqa: PLR2004  # a farm that drives to the market itself
        batch = maker.source(began_s, chance.randint(200_000, 2_000_000))
    else:
        count = 2 if chance.random() < 0.6 else maker.between(3, MERGED_MAX, 2.0)  # noqa: PLR2004
        farms = [
            maker.source(began_s + chance.randrange(4 * _HOUR_S), chance.randint(50_000, 800_000))
            for _ in range(count)
        ]
        given = [(farm, maker.cell.mass_g[farm] * chance.randint(60, 100) // 100) for farm in farms]
        batch = maker.lot(COOPERATIVE, began_s + chance.randint(5, 12) * _HOUR_S, given)
    stalls: list[int] = []
    for part in maker.parts(batch, maker.between(2, SPLIT_MAX, 2.2)):
        wholesale = maker.lot(WHOLESALE, maker.after(batch, 2, 30), [(batch, part)])
        stalls += _stalls(maker, wholesale)
    for stall in stalls:
        _retail(maker, stall, [*former_stalls, *stalls])
    return stalls


def _stalls(maker: _Maker, wholesale: int) -> list[int]:
    chance = maker.chance
    given = wholesale
    if chance.random() < 0.1:  # noqa: PLR2004  # over a second wholesaler
        parts = [(given, maker.parts(given, 1)[0])]
        given = maker.lot(WHOLESALE, maker.after(given, 3, 20), parts)
    if chance.random() < 0.12:  # noqa: PLR2004  # over a processor
        parts = [(given, maker.parts(given, 1)[0])]
        given = maker.lot(PROCESSOR, maker.after(given, 4, 48), parts, loss=20)
    return [
        maker.lot(STALL, maker.after(given, 2, 14), [(given, part)])
        for part in maker.parts(given, maker.between(2, SPLIT_MAX, 3.2))
    ]


def _retail(maker: _Maker, stall: int, others: Sequence[int]) -> None:
    chance = maker.chance
    for part in maker.parts(stall, maker.between(1, 4, 1.2)):
        at_s = maker.after(stall, 1, 10)
        if chance.random() >= 0.12:  # noqa: PLR2004  # what a shop buys is sold to people
            maker.lot(SHOP, at_s, [(stall, part)])
            continue
        given = [(stall, part)]
        other = chance.choice(others)
        if other != stall and maker.cell.at_s[other] < at_s and maker.take(other):
            given.append((other, maker.take(other)))
        kitchen = maker.lot(KITCHEN, at_s, given, loss=5)
        for meal in maker.parts(kitchen, chance.randint(1, 3)):
            maker.lot(SCHOOL, maker.after(kitchen, 1, 6), [(kitchen, meal)])


def make_hub(seed: int, number: int, descendants: int) -> Cell:
    """Make the cell of a lot up that reaches very many: salt, flour, oil of one big batch."""
    maker = _Maker(seed, number)
    hub = maker.source(maker.chance.randrange(MONTH_S), descendants * 20_000)
    fan = max(round((descendants * _HUB_TREE) ** (1 / 3)), 2)
    shops: list[int] = []
    for part in maker.parts(hub, fan):
        wholesale = maker.lot(WHOLESALE, maker.after(hub, 2, 200), [(hub, part)])
        for smaller in maker.parts(wholesale, fan):
            stall = maker.lot(STALL, maker.after(wholesale, 2, 200), [(wholesale, smaller)])
            shops += [
                maker.lot(SHOP, maker.after(stall, 1, 100), [(stall, least)])
                for least in maker.parts(stall, fan)
            ]
    while len(maker.cell.at_s) <= descendants:
        pair = maker.chance.sample(shops, 2)
        at_s = max(maker.after(shop, 1, 20) for shop in pair)
        maker.lot(KITCHEN, at_s, [(shop, max(maker.take(shop), 1)) for shop in pair], loss=5)
    return maker.cell


def hub_sizes(edges: int) -> list[int]:
    """Answer how many lots each hub of a graph of this size reaches, the largest first."""
    wanted = (326_000, 100_000, 13_500)
    sizes = [size for size in wanted if size * 7 <= edges]
    return sizes or [max(edges // 8, 10)]


# --- the whole graph ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wave:
    """The lots of a month by ascending id, and their edges by ascending `dst`.

    Attributes:
        month: Which month, from 0.
        first_id: Id of the first lot.
        lots: A row a lot: cell, place in the cell, seconds, stage, grams, holder (over all cells).
        edges: A row an edge: younger lot, older lot, grams.
    """

    month: int
    first_id: int
    lots: Numbers
    edges: Numbers


def waves(edges: int, seed: int) -> Iterator[Wave]:
    """Make the graph up, a wave at a time: what is made does not depend on when it is read."""
    made, number, month, first_id = 0, 0, 0, 1
    while made < edges:
        cells: list[Cell] = []
        if month == 0:
            # A hub's number is its size below zero, so that a cell of one number is the same in
            # every graph.
            cells = [make_hub(seed, -size, size) for size in hub_sizes(edges)]
        made += sum(cell.edges for cell in cells)
        while made < edges and len(cells) < CELLS_OF_A_WAVE:
            cells.append(make_cell(seed, number))
            made += cells[-1].edges
            number += 1
        wave = _interleave(cells, month, first_id)
        first_id += len(wave.lots)
        month += 1
        yield wave


def _interleave(cells: Sequence[Cell], month: int, first_id: int) -> Wave:
    order = sorted(
        (at_s, cell, place)
        for cell, content in enumerate(cells)
        for place, at_s in enumerate(content.at_s)
    )
    ids = [[0] * len(content.at_s) for content in cells]
    for lot, (_, cell, place) in enumerate(order, start=first_id):
        ids[cell][place] = lot
    lots: list[tuple[int, ...]] = []
    edges: list[tuple[int, int, int]] = []
    for lot, (at_s, cell, place) in enumerate(order, start=first_id):
        content = cells[cell]
        # A hub borrows the parties of the first cell.
        holder = max(content.number, 0) * PARTIES_OF_A_CELL + content.holder[place]
        lots.append(
            (content.number, place, at_s, content.stage[place], content.mass_g[place], holder)
        )
        own = ids[cell]
        edges += [(lot, own[parent], mass_g) for parent, mass_g in content.parents[place]]
    return Wave(month, first_id, np.array(lots, np.int64), np.array(edges, np.int64).reshape(-1, 3))


class Oracle:
    """The graph in memory; it answers by breadth-first search, and knows no SQL.

    Attributes:
        lots: How many lots there are; their ids are 1 to `lots`.
        mass_g: Grams each lot began with, by id.
    """

    def __init__(self, content: Sequence[Wave]) -> None:
        """Keep the edges of all waves, sorted both ways."""
        nobody = np.array([[0, -1, 0, 0, 0, 0]], np.int64)  # ids begin at 1
        lots = np.concatenate([nobody, *(wave.lots for wave in content)])
        self.cell, self.place, self.at_s, self.stage, self.mass_g, self.holder = lots.T.copy()
        self.lots = len(lots) - 1
        edges = np.concatenate([wave.edges for wave in content])
        self.dst, self.src, self.grams = edges.T.copy()
        self._into = _Index(self.dst, self.lots)
        self._out = _Index(self.src, self.lots)

    @property
    def edges(self) -> int:
        """Count the hand-overs."""
        return len(self.dst)

    def back(self, lot: int) -> set[int]:
        """Answer a lot and everything that went into it."""
        return self._reach(lot, self._into, self.src)

    def forward(self, lot: int) -> set[int]:
        """Answer a lot and everything that it went into."""
        return self._reach(lot, self._out, self.dst)

    def edges_among(self, lots: set[int]) -> set[tuple[int, int, int]]:
        """Answer the edges between lots as (older, younger, grams)."""
        found = (edge for lot in lots for edge in self._into.of(lot))
        return {
            (int(self.src[edge]), int(self.dst[edge]), int(self.grams[edge]))
            for edge in found
            if int(self.src[edge]) in lots
        }

    def shares_back(self, lot: int) -> dict[int, Fraction]:
        """Answer which part of a lot's grams came from each lot behind it, exactly.

        What is merged loses its parts in proportion: grams came from each parent as it gave.
        """
        shares = dict.fromkeys(self.back(lot), Fraction(0))
        shares[lot] = Fraction(1)
        for younger in sorted(shares, reverse=True):
            edges = self._into.of(younger)
            whole = int(self.grams[edges].sum())
            for edge in edges:
                part = Fraction(int(self.grams[edge]), whole)
                shares[int(self.src[edge])] += shares[younger] * part
        return shares

    def shares_forward(self, lot: int) -> dict[int, Fraction]:
        """Answer which part of each lot ahead stems from a lot, exactly."""
        shares: dict[int, Fraction] = {lot: Fraction(1)}
        for younger in sorted(self.forward(lot) - {lot}):
            edges = self._into.of(younger)
            whole = int(self.grams[edges].sum())
            shares[younger] = sum(
                (
                    shares.get(int(self.src[edge]), Fraction(0)) * int(self.grams[edge])
                    for edge in edges
                ),
                Fraction(0),
            ) / Fraction(whole)
        return shares

    def leaves(self) -> Numbers:
        """Answer the lots that went into nothing, by ascending id."""
        return np.flatnonzero(self._out.counts()[1:] == 0) + 1

    def sources(self) -> Numbers:
        """Answer the lots that nothing went into, by ascending id."""
        return np.flatnonzero(self._into.counts()[1:] == 0) + 1

    def hubs(self) -> list[int]:
        """Answer the lots that reach very many, the one with the most first."""
        hubs = np.flatnonzero((self.cell < 0) & (self.place == 0))
        return [int(hub) for hub in sorted(hubs, key=lambda hub: int(self.cell[hub]))]

    def in_ordinary_cells(self, lots: Numbers) -> Numbers:
        """Leave out what belongs to a hub."""
        kept: Numbers = lots[self.cell[lots] >= 0]
        return kept

    def named(self, cell: int, place: int) -> int:
        """Find a lot by its cell and its place there, which are the same in graphs of any size."""
        (found,) = np.flatnonzero((self.cell == cell) & (self.place == place))
        return int(found)

    def _reach(self, lot: int, index: _Index, ends: Numbers) -> set[int]:
        met = {lot}
        frontier = [lot]
        while frontier:
            beyond = {int(ends[edge]) for at in frontier for edge in index.of(at)}
            frontier = [at for at in beyond if at not in met]
            met.update(frontier)
        return met


class _Index:
    """Finds the edges of a lot: their places lie together in one long row."""

    def __init__(self, keys: Numbers, most: int) -> None:
        self._order: Numbers = np.argsort(keys, kind="stable")
        counts = np.bincount(keys, minlength=most + 1)
        self._start: Numbers = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    def of(self, lot: int) -> Numbers:
        """Answer the places of a lot's edges."""
        found: Numbers = self._order[self._start[lot] : self._start[lot + 1]]
        return found

    def counts(self) -> Numbers:
        """Answer how many edges each lot has."""
        counts: Numbers = np.diff(self._start)
        return counts
