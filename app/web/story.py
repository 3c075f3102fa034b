"""Tells the way of goods in plain words, from the graph of their lots. Pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from app.core.clock import local_date
from app.core.errors import Text
from app.lot.rules import LotOrigin
from app.trace.rules import Edge, Ending, Node, Reckoning, SubGraph
from app.web.rules import day, people, percent

_BEGUN = {
    LotOrigin.HARVEST: Text("采收", "harvested"),
    LotOrigin.CATCH: Text("捕捞", "caught"),
    LotOrigin.LAY: Text("产出", "laid"),
    LotOrigin.SLAUGHTER_IN: Text("进场屠宰", "brought in for slaughter"),
    LotOrigin.DECLARE: Text("登记", "declared"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of what a graph refers to, as the public may read them."""

    party: Callable[[int | None], str]
    product: Callable[[int], str]
    village: Callable[[str | None, date], str | None]


@dataclass(frozen=True, slots=True)
class Source:
    """Lots of one village, day and product with which the goods began."""

    village: str | None
    product: str
    origin: LotOrigin
    made_on: date
    known: bool
    producers: tuple[str, ...]
    holders: tuple[str, ...]
    share: float


@dataclass(slots=True)
class _Gathered:
    share: float = 0.0
    producers: dict[int, str] = field(default_factory=dict)
    holders: dict[int, str] = field(default_factory=dict)


def sources(graph: SubGraph, reckoning: Reckoning, names: Names) -> list[Source]:
    """Gather where goods began: by village, day and product, the largest share first."""
    gathered: dict[tuple[str | None, str, LotOrigin, date, bool], _Gathered] = {}
    for node in graph.nodes.values():
        if node.ending is None:
            continue
        on = _made_on(node)
        key = (
            names.village(node.division_code, on),
            names.product(node.product_id),
            node.origin,
            on,
            node.ending is Ending.SOURCE,
        )
        found = gathered.setdefault(key, _Gathered())
        found.share += reckoning.share[node.id]
        if node.producer_id is not None:
            found.producers[node.producer_id] = names.party(node.producer_id)
        if node.holder_id is not None:
            found.holders[node.holder_id] = names.party(node.holder_id)
    return [
        Source(*key, tuple(found.producers.values()), tuple(found.holders.values()), found.share)
        for key, found in sorted(gathered.items(), key=lambda item: -item[1].share)
    ]


def begin(source: Source, *, beside: date, alone: bool) -> Text:
    """Say how goods began.

    Args:
        source: Where.
        beside: The day of the sale, whose year need not be said again.
        alone: Whether all of the goods came from here.
    """
    on = day(source.made_on, beside)
    part = percent(source.share)
    share = Text("", "") if alone else Text(f"（占 {part}）", f" ({part})")
    if not source.known:
        holder = people(source.holders)
        return Text(
            f"{on.zh} {holder.zh} 登记{source.product}，生产者未登记{share.zh}",
            f"{on.en}: {source.product} declared by {holder.en}, producer unknown{share.en}",
        )
    verb = _BEGUN.get(source.origin, _BEGUN[LotOrigin.DECLARE])
    who = people(source.producers)
    at = Text(f"{source.village} ", f" at {source.village}") if source.village else Text("", "")
    return Text(
        f"{at.zh}{who.zh} {on.zh}{verb.zh}{source.product}{share.zh}",
        f"{on.en}: {source.product} {verb.en} by {who.en}{at.en}{share.en}",
    )


@dataclass(slots=True)
class _Happened:
    """Changes alike in kind, holder, product and day, told as one step."""

    count: int = 0
    inputs: int = 0
    from_parties: dict[int, str] = field(default_factory=dict)
    from_products: dict[str, None] = field(default_factory=dict)


def steps(graph: SubGraph, names: Names, *, beside: date) -> list[Text]:
    """Say what happened between the beginnings and the document, oldest first."""
    into: dict[int, list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        into[edge.dst].append(edge)
    happened: dict[tuple[LotOrigin, int | None, str, date], _Happened] = {}
    for node in graph.nodes.values():
        if node.ending is not None:
            continue
        on = local_date(node.occurred_at)
        key = (node.origin, node.holder_id, names.product(node.product_id), on)
        found = happened.setdefault(key, _Happened())
        _count(found, into.get(node.id, ()), graph.nodes, names)
    return [_told(*key, found, names=names, beside=beside) for key, found in happened.items()]


def _count(
    found: _Happened, edges: Sequence[Edge], nodes: Mapping[int, Node], names: Names
) -> None:
    found.count += 1
    for edge in edges:
        parent = nodes[edge.src]
        found.inputs += 1
        found.from_products[names.product(parent.product_id)] = None
        if parent.holder_id is not None:
            found.from_parties[parent.holder_id] = names.party(parent.holder_id)


def _told(
    origin: LotOrigin,
    holder_id: int | None,
    product: str,
    on: date,
    found: _Happened,
    *,
    names: Names,
    beside: date,
) -> Text:
    when = day(on, beside)
    holder = names.party(holder_id)
    givers = people(tuple(found.from_parties.values()))
    lots = Text(f"（{found.count} 批）", f" ({found.count} lots)")
    if found.count == 1:
        lots = Text("", "")
    if origin is LotOrigin.PURCHASE:
        return Text(
            f"{when.zh} {holder} 从 {givers.zh} 购入{product}{lots.zh}",
            f"{when.en}: {product} bought by {holder} from {givers.en}{lots.en}",
        )
    if origin is LotOrigin.RETURN:
        return Text(
            f"{when.zh} {product}退回 {holder}{lots.zh}",
            f"{when.en}: {product} returned to {holder}{lots.en}",
        )
    if origin is LotOrigin.MERGE:
        return Text(
            f"{when.zh} {holder} 将 {found.inputs} 批{product}混装",
            f"{when.en}: {found.inputs} lots of {product} mixed by {holder}",
        )
    if origin is LotOrigin.SPLIT:
        return Text(
            f"{when.zh} {holder} 分装{product}{lots.zh}",
            f"{when.en}: {product} split by {holder}{lots.en}",
        )
    made_of = "、".join(found.from_products)
    return Text(
        f"{when.zh} {holder} 将{made_of}加工成{product}{lots.zh}",
        f"{when.en}: {made_of} made into {product} by {holder}{lots.en}",
    )


def _made_on(node: Node) -> date:
    return node.made_on or local_date(node.occurred_at)


def ended(
    seller: str, buyer: Text, sold_at: datetime, *, decided: Text | None, beside: date
) -> Text:
    """Say to whom the goods of a ticket went, and what the buyer decided."""
    on = day(local_date(sold_at), beside)
    more = decided or Text("", "")
    return Text(
        f"{on.zh} {seller} 售予 {buyer.zh}{more.zh}",
        f"{on.en}: sold by {seller} to {buyer.en}{more.en}",
    )
