"""The quick way through a statement: documents whose keys stand as they stood in documents before.

A bank writes the keys of its documents in one order, or in a few. Each order once read line by line becomes a
pattern that reads the next document of that order in one step: a gigabyte has forty million lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from connectors.onec.movements import Movement
from connectors.onec.particulars import PARTICULARS, Particulars

# Orders of keys that are kept; a file that has more is read line by line. Compiling a pattern costs milliseconds.
SHAPES_KEPT = 24
# Kept unread in front of the place, so that documents aren't cut by the end of a chunk; a longer one is read by lines.
AHEAD = 1 << 16

TITLE = "СекцияДокумент"
OPENING = f"{TITLE}="
_CLOSING = "\nКонецДокумента\n"


class Shape:
    """An order of keys. Values are those of a document with it, trimmed, by `keys`: canonical, in alphabetical order,
    the title among them; `lines` are its lines without the end mark."""

    def __init__(self, raw_keys: Sequence[str], keys: Mapping[str, str]) -> None:
        """`raw_keys` as the lines have them, the title's first; `keys`: the canonical spelling of each."""
        # Possessive: a value never gives back what would make a wrong document fit.
        self._pattern = re.compile("\n".join(f"{re.escape(key)}=(.*+)" for key in raw_keys) + _CLOSING)
        places: dict[str, list[int]] = {TITLE: [0]}
        for place, key in enumerate(raw_keys[1:], 1):
            places.setdefault(keys[key], []).append(place)
        self.lines = len(raw_keys)
        self.keys = tuple(sorted(places))
        self._title = self.keys.index(TITLE)
        self._places = [places[key] for key in self.keys]
        self._repeats = len(raw_keys) > len(self.keys)
        # Groups of the pattern, from 1, in the order of `keys`.
        self._groups = tuple(found[-1] + 1 for found in self._places)
        # Behind the values stands an empty one for keys that aren't there.
        self._tell = itemgetter(
            *(self.keys.index(key) if key in places else len(self.keys) for key in PARTICULARS.values())
        )
        # Of defaults nothing is written: an empty value is one, an empty title isn't.
        fields = [
            (f"key_{n}", str | None, None) if key == TITLE else (f"key_{n}", str, "") for n, key in enumerate(self.keys)
        ]
        names = {f"key_{place}": key for place, key in enumerate(self.keys)}
        self._written: Callable[..., object] = msgspec.defstruct("Written", fields, rename=names, omit_defaults=True)
        self._encode = msgspec.json.Encoder().encode

    def read(self, text: str, place: int = 0) -> tuple[tuple[str, ...], int] | None:
        """The values of the document that begins there, and where it ends; None when it has another order of keys, or
        its end mark is missing."""
        found = self._pattern.match(text, place)
        if found is None:
            return None
        if not self._repeats:
            return tuple(map(str.strip, found.group(*self._groups))), found.end()
        # Of a key given twice the last filled value stands.
        values = tuple(map(str.strip, found.groups()))
        chosen = (next((value for n in places[::-1] if (value := values[n])), "") for places in self._places)
        return tuple(chosen), found.end()

    def title(self, values: Sequence[str]) -> str:
        return values[self._title]

    def filled(self, values: Sequence[str]) -> dict[str, str]:
        """The filled values by key, without the title."""
        return {key: value for key, value in zip(self.keys, values, strict=True) if value and key != TITLE}

    def particulars(self, values: tuple[str, ...]) -> Particulars:
        return Particulars(*self._tell((*values, "")))

    def json(self, values: Sequence[str]) -> bytes:
        """What `Block.json` makes of the same document, in half of its time."""
        return self._encode(self._written(*values))

    def payload(self, values: Sequence[str], movement: Movement) -> bytes:
        """What `movements.payload_of` makes of the `json`, without copying that."""
        return self._encode(
            _Payload(movement.direction, self._written(*values), movement.is_between_own, movement.own_account)
        )


class _Payload(msgspec.Struct):
    """Keys in alphabetical order."""

    direction: str
    document: object
    is_between_own: bool
    own_account: str


@dataclass
class Shapes:
    """The orders of keys a file has shown so far, the last one met first; `most` are kept."""

    most: int = SHAPES_KEPT
    _known: list[Shape] = field(default_factory=list)

    def read(self, text: str, place: int) -> tuple[Shape, tuple[str, ...], int] | None:
        """The shape and values of the document that begins there, and where it ends; None when its order of keys isn't
        known, or its end mark is missing."""
        for rank, shape in enumerate(self._known):
            found = shape.read(text, place)
            if found is not None:
                if rank:
                    self._known.insert(0, self._known.pop(rank))
                return shape, *found
        return None

    def learn(self, document: str, keys: Mapping[str, str]) -> None:
        """Keep the order of a document's keys if every line of it is a known key with a value.

        `keys` gives the canonical spelling of each raw one. A line that continues a value, or has an unknown or
        damaged key, is not for patterns.
        """
        if len(self._known) >= self.most:
            return
        lines = [line.partition("=") for line in document.split("\n")]
        if len(lines) > 1 and all(equals and keys.get(key, "").isidentifier() for key, equals, _ in lines[1:]):
            self._known.insert(0, Shape([key for key, _, _ in lines], keys))


class Scroll:
    """Text taken by lines or by whole documents; `line` is the number of the next line.

    `read` gives the text in pieces, `""` at the end.
    """

    def __init__(self, read: Callable[[], str], *, line: int = 1) -> None:
        self.line = line
        self._read = read
        self._held = ""
        self._place = 0
        self._is_all = False

    def take_documents(self, shapes: Shapes) -> Iterator[tuple[int, Shape, tuple[str, ...]]]:
        """Documents from here on read at once, each with its line, up to one whose end isn't near or whose order of
        keys isn't known, or to something else."""
        while True:
            if len(self._held) - self._place < AHEAD:
                self._fill()
            if not self._held.startswith(OPENING, self._place):
                return
            found = shapes.read(self._held, self._place)
            if found is None:
                return
            shape, *_ = found
            following: tuple[tuple[str, ...], int] | None = found[1:]
            # A bank writes nearly all of them in one order.
            while following is not None:
                values, self._place = following
                yield self._pass(shape), shape, values
                following = shape.read(self._held, self._place)

    def _pass(self, shape: Shape) -> int:
        """Go on behind a document of this shape; gives its line."""
        number = self.line
        self.line += shape.lines + 1
        return number

    def peek_document(self) -> str | None:
        """The document that begins here, without its end mark; None when none begins or its end isn't near."""
        if not self._held.startswith(OPENING, self._place):
            return None
        end = self._held.find(_CLOSING, self._place)
        return self._held[self._place : end] if end >= 0 else None

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
