"""What is drawn as one in a picture: nobody reads thirteen thousand boxes.

Lots of the same kind that came from the same lots (forward; that went into the same, back) are one
node "× n". That repeats itself down the graph: what came from lots that are drawn as one came from
the same. Edges still lead from what is nearer to the asked lots to what is farther, whatever is
folded, so a picture of a graph without circles has none.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from app.trace.rules import Direction, SubGraph

Group = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Looks:
    """What a picture depends on.

    Attributes:
        kind: Of each lot that may be drawn: only lots of one kind look alike.
        depth: Of each lot, steps from the asked ones along the longest way.
        weight: Of each lot, how much it matters; the heaviest are drawn by themselves.
        pinned: Lots that are drawn by themselves if at all possible: those in question.
    """

    kind: Mapping[int, Hashable]
    depth: Mapping[int, int]
    weight: Mapping[int, int]
    pinned: Collection[int]


def fold(
    graph: SubGraph, direction: Direction, looks: Looks, *, unfold: Collection[int], most: int
) -> list[Group]:
    """Say which lots are drawn as one: every lot with a kind is in exactly one group.

    Args:
        graph: All lots and edges.
        direction: Which way it was walked.
        looks: What lots look like.
        unfold: Lots whose groups are to be opened.
        most: How many groups there may be, at least one for each step of depth; where all that is
            alike is still too much, or what is opened, what weighs least is drawn together.
    """
    groups = _alike(graph, direction, looks)
    opened = set(unfold)
    parts: list[Group] = []
    favoured: set[int] = set(looks.pinned)
    for group in groups:
        if len(group) > 1 and not opened.isdisjoint(group):
            parts += [(lot,) for lot in group]
            favoured.update(group)
        else:
            parts.append(group)
    return parts if len(parts) <= most else _crowded(parts, looks, favoured, most)


def _alike(graph: SubGraph, direction: Direction, looks: Looks) -> list[Group]:
    nearer: dict[int, list[int]] = defaultdict(list)
    for edge in graph.edges:
        near, far = edge.key if direction is Direction.FORWARD else edge.key[::-1]
        if near in looks.kind and far in looks.kind:
            nearer[far].append(near)
    number: dict[Hashable, int] = {}
    of: dict[int, int] = {}
    groups: dict[int, list[int]] = defaultdict(list)
    for lot in sorted(looks.kind, reverse=direction is Direction.BACK):
        came_from = frozenset(of[near] for near in nearer[lot])
        key = lot if lot in looks.pinned else (looks.kind[lot], looks.depth[lot], came_from)
        of[lot] = number.setdefault(key, len(number))
        groups[of[lot]].append(lot)
    return [tuple(sorted(group)) for group in groups.values()]


def _crowded(
    parts: Sequence[Group], looks: Looks, favoured: Collection[int], most: int
) -> list[Group]:
    """Draw together what weighs least at each depth."""
    deepest = 1 + max(looks.depth[part[0]] for part in parts)

    def kind_at_depth(part: Group) -> Hashable:
        return looks.depth[part[0]], looks.kind[part[0]]

    def band(part: Group) -> Hashable:
        return looks.depth[part[0]] * most // max(deepest, most)

    rules: tuple[Callable[[Group], Hashable], ...] = (
        kind_at_depth,
        lambda part: looks.depth[part[0]],
    )
    for rule in rules:
        classes = len({rule(part) for part in parts})
        if classes <= most // 2:
            break
    else:
        # More steps than half of the picture: all of a step, or of a few, are one.
        return _together(parts, band)
    heaviest = sorted(
        parts,
        key=lambda part: (
            part[0] not in looks.pinned,
            part[0] not in favoured,
            -sum(looks.weight[lot] for lot in part),
            part[0],
        ),
    )
    alone, rest = heaviest[: most - classes], heaviest[most - classes :]
    return [*alone, *_together(rest, rule)]


def _together(parts: Sequence[Group], rule: Callable[[Group], Hashable]) -> list[Group]:
    classes: dict[Hashable, list[Group]] = defaultdict(list)
    for part in parts:
        classes[rule(part)].append(part)
    return [tuple(sorted(chain.from_iterable(members))) for members in classes.values()]
