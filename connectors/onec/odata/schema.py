"""Which sets and fields a database publishes, out of its `$metadata`.

Names differ between configurations and releases, and asking for a field that isn't there fails the whole request. The
document has megabytes, so what is needed of it is kept in a file for some hours.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.parsers import expat

import msgspec

from base.times import to_unix

KEPT_FOR = timedelta(hours=12)


class MetadataError(ValueError):
    """The document is no readable description of sets."""


class Schema(msgspec.Struct, frozen=True):
    """Fields by the name of a published set; table parts are fields too."""

    sets: dict[str, list[str]]
    read_at: int  # Unix seconds
    address: str = ""

    def published(self, wanted: Iterable[str]) -> list[str]:
        """Those of the sets that are there, in the order asked."""
        return [name for name in wanted if name in self.sets]

    def select(self, entity_set: str, wanted: Iterable[str]) -> list[str]:
        """Those of the fields that the set has, in the order asked."""
        fields = frozenset(self.sets.get(entity_set, ()))
        return [name for name in dict.fromkeys(wanted) if name in fields]


def read_metadata(content: bytes, wanted: Collection[str]) -> dict[str, list[str]]:
    """Fields of the wanted sets that are published.

    Raises:
        MetadataError: broken or foreign XML, or XML with a document type.
    """
    reader = _Reader(frozenset(wanted))
    try:
        reader.parser.Parse(content, True)
    except MetadataError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        # The latter two of a declared encoding that nobody knows, or that expat can't read.
        raise MetadataError(str(error)) from None
    if not reader.is_metadata:
        raise MetadataError("no edmx document")
    return reader.sets


class _Reader:
    def __init__(self, wanted: frozenset[str]) -> None:
        self.sets: dict[str, list[str]] = {}
        self.is_metadata = False
        self._wanted = wanted
        self._fields: list[str] | None = None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        # 1C never writes one, and entities are how XML is made to explode.
        self.parser.StartDoctypeDeclHandler = _refuse_doctype

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local == "Edmx":
            self.is_metadata = True
        elif local == "EntityType" and attributes.get("Name", "") in self._wanted:
            self._fields = self.sets.setdefault(attributes["Name"], [])
        elif local == "Property" and self._fields is not None:
            self._fields.append(attributes.get("Name", ""))

    def _end(self, name: str) -> None:
        if name.rpartition(":")[2] == "EntityType":
            self._fields = None


def _refuse_doctype(*args: Any) -> None:
    raise MetadataError("a document type is not allowed")


class SchemaFile:
    """The schema of one database as kept between runs."""

    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = address

    def load(self, now: datetime) -> Schema | None:
        """None: nothing kept, too old, torn, or of another database."""
        try:
            schema = msgspec.json.decode(self._path.read_bytes(), type=Schema)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        age = to_unix(now) - schema.read_at
        is_good = schema.address == self._address and 0 <= age < KEPT_FOR.total_seconds()
        return schema if is_good else None

    def keep(self, sets: dict[str, list[str]], now: datetime) -> Schema:
        schema = Schema(sets=sets, read_at=to_unix(now), address=self._address)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(schema))
        os.replace(temporary, self._path)
        return schema

    def forget(self) -> None:
        """The next run reads it anew: the database has changed since."""
        self._path.unlink(missing_ok=True)
