"""Canonical JSON (RFC 8785): the same content is always the same bytes."""

from typing import Any

import orjson
import rfc8785

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def dumps(document: dict[str, Any]) -> bytes:
    """Write a document as canonical bytes.

    For what nearly all of ours hold, strings, integers and ASCII names, orjson writes the very
    bytes that RFC 8785 asks for, at a twentieth of the time. It differs where names are sorted
    beyond ASCII, in floats, and in what it takes that is no JSON.

    Raises:
        rfc8785.CanonicalizationError: the document holds what canonical JSON cannot.
    """
    if _is_plain(document):
        try:
            return orjson.dumps(document, option=_OPTIONS)
        except orjson.JSONEncodeError:
            pass  # rfc8785 knows why
    return rfc8785.dumps(document)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is dict:
        for key, inner in value.items():
            if not (type(key) is str and key.isascii() and _is_plain(inner)):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    return isinstance(value, str)
