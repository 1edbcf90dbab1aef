"""Typed decoding of a stored payload, its failure turned into a reject that says where and what; answers as text."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TypeVar

import httpx
import msgspec

from base.text import say
from connectors.stream import BadRecord

T = TypeVar("T")

# An answer so large is worth Arrow's way of checking, a quarter of the time of Python's.
MANY_BYTES = 65_536
# msgspec's own sentence: "Expected `int | null`, got `str` - at `$.price`".
_MISMATCH = re.compile(r"Expected `(?P<expected>[^`]*)`(?:, got `(?P<got>[^`]*)`)?")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]*)`")
_PATH = re.compile(r" - at `(?P<path>\$[^`]*)`")


def decode_record(decoder: msgspec.json.Decoder[T], payload: bytes | msgspec.Raw) -> T:
    """The payload as the decoder's type.

    Raises:
        BadRecord: `not_json`, `missing_field` or `wrong_type`, with path, expected and got; never the value itself.
    """
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise as_bad_record(error) from None
    except msgspec.DecodeError as error:
        raise BadRecord(
            "not_json", say("не JSON: {error}", "not JSON: {error}", error=str(error)), expected="JSON"
        ) from None


def check_utf8(content: bytes) -> None:
    """Raises UnicodeDecodeError where the bytes are no UTF-8."""
    if len(content) >= MANY_BYTES:
        # Without making a text of them; whoever reads pages as large has Arrow at hand.
        import pyarrow as pa

        with suppress(pa.ArrowInvalid):
            pa.array([content], pa.binary()).cast(pa.string())
            return
    content.decode("utf-8")


def text_of(response: httpx.Response) -> str:
    """An answer's body as text, whatever encoding it says and whatever it has."""
    try:
        return response.text
    except UnicodeError:
        # Of a stated UTF-16, which it is not; other encodings are read with replacements.
        return response.content.decode("utf-8", "replace")


def as_bad_record(error: msgspec.ValidationError) -> BadRecord:
    """What msgspec found, as a reject's reason."""
    sentence = str(error)
    place = _PATH.search(sentence)
    path = place["path"] if place else "$"
    missing = _MISSING.search(sentence)
    if missing:
        path = f"{path}.{missing['field']}"
        return BadRecord("missing_field", say("нет поля {path}", "no field {path}", path=path), path=path)
    mismatch = _MISMATCH.search(sentence)
    expected = (mismatch["expected"] if mismatch else "") or ""
    got = (mismatch["got"] if mismatch else "") or ""
    message = say(
        "{path}: ожидалось {expected}, пришло {got}",
        "{path}: expected {expected}, got {got}",
        path=path,
        expected=expected or sentence,
        got=got or "?",
    )
    return BadRecord("wrong_type", message, path=path, expected=expected, got=got)
