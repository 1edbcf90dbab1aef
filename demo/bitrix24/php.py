"""PHP's reading of a query string, and the references of a batch, with what PHP makes of one that leads nowhere."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

_PATH = re.compile(r"\[([^\]]*)\]")
_REFERENCE = re.compile(r"\$(result|total|next)((?:\[[^\]]*\])+)")


def parse_query(query: str, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """`filter[>ID]=5&select[0]=ID` as nested values. `known` holds `result`, `total`, `next` for references.

    A `#` cuts the string and a bare `+` is a space: who does not encode them loses them.
    """
    read: dict[str, Any] = {}
    for pair in query.partition("#")[0].split("&"):
        name, _, value = pair.partition("=")
        if name:
            path = unquote_plus(name)
            head, _, _ = path.partition("[")
            _put(read, [head, *_PATH.findall(path)], _resolve(unquote_plus(value), known))
    return {key: _as_list(value) for key, value in read.items()}


def to_int(value: Any) -> int:
    """PHP's `(int)`: an array is 1 when it holds anything, a text its leading digits."""
    if isinstance(value, list | dict):
        return 1 if value else 0
    found = re.match(r"\s*-?\d+", str(value))
    return int(found[0]) if found else 0


def _put(into: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        into = into.setdefault(key, {})
    last = path[-1]
    into[str(len(into)) if last == "" else last] = value


def _as_list(value: Any) -> Any:
    """Keys 0…n-1 make a list."""
    if not isinstance(value, dict):
        return value
    inner = {key: _as_list(item) for key, item in value.items()}
    return list(inner.values()) if list(inner) == [str(n) for n in range(len(inner))] else inner


def _resolve(value: str, known: dict[str, Any] | None) -> Any:
    """A value that is nothing but a reference becomes what it leads to, else text is put in its place."""
    if known is None or "$" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _follow(known[whole[1]], _PATH.findall(whole[2]))
    return _REFERENCE.sub(lambda found: str(_follow(known[found[1]], _PATH.findall(found[2]))), value)


def _follow(node: Any, path: list[str]) -> Any:
    """The node at a path; where the path ends early, the deepest node there is."""
    for key in path:
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return node
    return node
