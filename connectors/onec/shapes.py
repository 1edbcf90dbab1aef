"""The quick way through a statement: documents whose keys stand as they stood in documents before.

A bank writes the keys of its documents in one order, or in a few. Each order once read line by line becomes a
pattern that reads the next document of that order in one step: a gigabyte has forty million lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# Orders of keys that are kept; a file that has more is read line by line. Compiling a pattern costs milliseconds.
SHAPES_KEPT = 24
# Kept unread in front of the place, so that documents aren't cut by the end of a chunk; a longer one is read by lines.
AHEAD = 1 << 16

OPENING = "СекцияДокумент="
_CLOSING = "\nКонецДокумента\n"


@dataclass(frozen=True)
class Shape:
    """An order of keys: a pattern with a group for each line's value, and the keys behind the first line."""

    pattern: re.Pattern[str]
    keys: tuple[str, ...]


@dataclass
class Shapes:
    """The orders of keys a file has shown so far, the last one met first; `most` are kept."""

    most: int = SHAPES_KEPT
    _known: list[Shape] = field(default_factory=list)

    def read(self, document: str) -> tuple[str, dict[str, str]] | None:
        """Title and filled values of a document without its end mark; None when its order of keys isn't known."""
        for place, shape in enumerate(self._known):
            if found := shape.pattern.fullmatch(document):
                if place:
                    self._known.insert(0, self._known.pop(place))
                title, *values = found.groups()
                # Of a key given twice the last filled value stands.
                filled = {key: value for key, value in zip(shape.keys, map(str.strip, values), strict=True) if value}
                return title.strip(), filled
        return None

    def learn(self, document: str, keys: Mapping[str, str]) -> None:
        """Keep the order of a document's keys if every line of it is a known key with a value.

        `keys` gives the canonical spelling of each raw one. A line that continues a value, or has an unknown key, is
        not for patterns.
        """
        if len(self._known) >= self.most:
            return
        lines = [line.partition("=") for line in document.split("\n")]
        if all(equals and key in keys for key, equals, _ in lines[1:]):
            self._known.insert(0, _shape_of([key for key, _, _ in lines], keys))


def _shape_of(raw_keys: Sequence[str], keys: Mapping[str, str]) -> Shape:
    # Possessive: a value never gives back what would make a wrong document fit.
    pattern = "\n".join(f"{re.escape(key)}=(.*+)" for key in raw_keys)
    return Shape(re.compile(pattern), tuple(keys[key] for key in raw_keys[1:]))


class Scroll:
    """Text taken by lines or by whole documents; `line` is the number of the next line.

    `read` gives the text in pieces, `""` at the end.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self.line = 1
        self._read = read
        self._held = ""
        self._place = 0
        self._is_all = False

    def peek_document(self) -> str | None:
        """The document that begins here, without its end mark; None when none begins or its end isn't near."""
        if len(self._held) - self._place < AHEAD:
            self._fill()
        if not self._held.startswith(OPENING, self._place):
            return None
        end = self._held.find(_CLOSING, self._place)
        return self._held[self._place : end] if end >= 0 else None

    def skip_document(self, document: str) -> None:
        """Go behind the document just peeked at, and its end mark."""
        self._place += len(document) + len(_CLOSING)
        self.line += document.count("\n") + 2

    def take_line(self, longest: int) -> str:
        """The next line with its end, `""` behind the last one; of a longer line its first `longest` characters."""
        end = self._held.find("\n", self._place)
        while end < 0 and not self._is_all and len(self._held) - self._place <= longest:
            self._fill()
            end = self._held.find("\n", self._place)
        end = end + 1 if end >= 0 else len(self._held)
        line = self._held[self._place : min(end, self._place + longest)]
        self._place += len(line)
        self.line += 1
        return line

    def _fill(self) -> None:
        if self._is_all:
            return
        chunk = self._read()
        self._is_all = not chunk
        self._held = self._held[self._place :] + chunk
        self._place = 0
