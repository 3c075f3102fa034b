"""Finding products as sellers call them: by name, synonym, pinyin or initials."""

import unicodedata
from collections.abc import Iterable
from enum import IntEnum

from app.product.rules import Product, Synonym


class Match(IntEnum):
    """How well a text fits, best first."""

    EXACT = 0
    PREFIX = 1
    CONTAINS = 2


def spell(name: str) -> Synonym:
    """Write a name with its pinyin and initials: 韭菜 is jiucai and jc."""
    # Half a second and 50 MB of dictionary, for whoever loads the catalogue and nobody else.
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415

    letters = "".join(part for part in name if part.isalnum())
    syllables = lazy_pinyin(letters, style=Style.NORMAL)
    initials = "".join(syllable[:1] for syllable in syllables)
    return Synonym(name, _typed("".join(syllables)), _typed(initials))


def find(query: str, products: Iterable[Product], *, limit: int) -> list[Product]:
    """Rank products by a query: exact before prefix before contained, names before spellings.

    Within one rank the shorter name comes first, for what was typed is the larger part of it. An
    empty query answers the catalogue in its own order.
    """
    typed = _typed(query)
    if not typed:
        return sorted(products, key=lambda product: product.id)[:limit]
    ranked = [
        (rank, product.id, product)
        for product in products
        if (rank := _rank(typed, product)) is not None
    ]
    return [product for _, _, product in sorted(ranked, key=lambda row: row[:2])][:limit]


def _rank(typed: str, product: Product) -> tuple[int, int, int] | None:
    ranks = []
    for position, synonym in enumerate(product.synonyms):
        spellings = (synonym.name, synonym.pinyin, synonym.initials)
        for field, spelling in enumerate(spellings):
            match = _match(typed, _typed(spelling))
            if match is not None:
                # A product's own name before its synonyms; characters before letters.
                ranks.append((int(match), 2 * field + (position > 0), len(synonym.name)))
    return min(ranks, default=None)


def _match(typed: str, spelling: str) -> Match | None:
    if spelling == typed:
        return Match.EXACT
    if spelling.startswith(typed):
        return Match.PREFIX
    # Single letters are in every spelling; as a part they tell nothing.
    if typed in spelling and (len(typed) > 1 or not typed.isascii()):
        return Match.CONTAINS
    return None


def _typed(text: str) -> str:
    """Make what is typed comparable: narrow, small, without spaces and marks; ü is typed v."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("ü", "v")
    return "".join(part for part in folded if part.isalnum())


def is_called(product: Product, named: str) -> bool:
    """Tell whether a text is a name or a synonym of a product, and not only like one."""
    return any(_typed(synonym.name) == _typed(named) for synonym in product.synonyms)
