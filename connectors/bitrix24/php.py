"""Parameters as PHP reads them: `filter[>ID]=5&select[0]=ID`, for the commands of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

Param = str | int | bool | Sequence["Param"] | Mapping[str, "Param"]
Params = Mapping[str, Param]


def encode_params(params: Params) -> str:
    """One query string; every key and value percent-encoded (an unescaped `+` or `#` would change or cut it).

    Raises:
        TypeError: None, which PHP's form has no way to say.
    """
    return "&".join(f"{_escape(key)}={_escape(value)}" for key, value in _flatten(params, ""))


def _flatten(value: Param, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(inner, f"{path}[{key}]" if path else key)
    elif isinstance(value, bool):
        yield path, "1" if value else "0"
    elif isinstance(value, str | int):
        yield path, str(value)
    elif isinstance(value, Sequence):
        for place, inner in enumerate(value):
            yield from _flatten(inner, f"{path}[{place}]")
    else:
        raise TypeError(f"{path}: {type(value).__name__} can't be sent")


def _escape(text: str) -> str:
    return quote(text, safe="")
