"""A large stream mapped by helper processes: the core must not depend on who mapped what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.helpers import HelperError
from base.secrets import Secret
from base.text import say
from connectors.stream import BadRecord, MapContext, RawRecord, Rows, Settings, target
from flows.steps.sources import files_of, map_context
from tests.toy import Toy, deal, page
from warehouse.conform import Conformer, start_helpers
from warehouse.database import open_warehouse
from warehouse.mapping import Columns, Mapped, answer, map_records, map_side_by_side
from warehouse.replay import forget_core

ROWS = target("core.toys", "a b")
CHILDREN = target("core.toy_parts", "a part", owned_by="a")
STATE = (
    "SELECT * EXCLUDE (loaded_at) FROM core.deals ORDER BY ALL",
    "SELECT * EXCLUDE (loaded_at) FROM core.deal_contacts ORDER BY ALL",
    "SELECT * EXCLUDE (loaded_at) FROM core.contact_phones ORDER BY ALL",
    "SELECT source, stream, record_id, reason, message, path FROM meta.rejects ORDER BY ALL",
    "SELECT source, stream, seq, mapping_version FROM meta.watermarks ORDER BY ALL",
)


class Crew:
    """A helper in this process; those of `gone` (by turn) have died."""

    def __init__(self, gone: Sequence[int] = ()) -> None:
        self.asked = 0
        self._gone = gone

    def submit(self, piece: bytes) -> Future[bytes]:
        self.asked += 1
        found: Future[bytes] = Future()
        if self.asked in self._gone:
            found.set_exception(HelperError("ended"))
        else:
            found.set_result(answer(piece))
        return found


class ToySettings(Settings, frozen=True):
    password: Secret = Secret("hunter2")


CONTEXT = MapContext(
    source="toy", settings=ToySettings(type="toy"), zone=ZoneInfo("Europe/Moscow"), country="RU", currency="RUB"
)
VALUES: dict[str, tuple[Any, Any]] = {
    "text": ("Оплата", "ё"),
    "empty": ("", None),
    "marks": ("a\x1eb", "\x00"),
    "surrogate": ("\ud800", "x"),
    "money": (Decimal("0.10"), Decimal("-1E+3")),
    "day": (date(2026, 2, 3), date.min),
    "list": (["a", "b"], True),
    "number": (10**15, 0.5),
}


def map_toy(record: RawRecord, context: MapContext, rows: Rows) -> None:
    """A row by the payload's word, a child list, half of a record that is then rejected, or no JSON."""
    word = record.payload.decode()
    if word in VALUES:
        rows.add(ROWS, VALUES[word])
    elif word.startswith("children"):
        rows.add_children(CHILDREN, (record.record_id,), [(record.record_id, n) for n in range(int(word[-1]))])
    elif word == "half":
        rows.add(ROWS, ("half", context.currency))
        raise BadRecord("half", say("Половина {n}", "Half {n}", n=1), path="$.x", expected="a", got="b")
    else:
        msgspec.json.decode(record.payload)


def seen(pieces: Sequence[tuple[Columns, Mapped]]) -> list[Any]:
    """Rows, owners and rejects with the ids of the records they came from."""
    found: list[Any] = []
    for columns, mapped in pieces:
        ids, rows = columns[0], mapped.rows
        for into, made in rows.rows.items():
            found += [
                (into.relation, into.owned_by, ids[n], row) for n, row in zip(rows.ordinals[into], made, strict=True)
            ]
        for into, owners in rows.owners.items():
            places = rows.owner_ordinals[into]
            found += [(into.relation, "owner", ids[n], owner) for n, owner in zip(places, owners, strict=True)]
        found += [("told", ids[n]) for n in mapped.told]
        found += [(name, bad.code, bad.message, bad.path, bad.expected, bad.got) for name, bad in mapped.rejects]
        found.append(("let go", mapped.let_go))
    return found


WORDS = st.sampled_from([*VALUES, "children0", "children2", "half", "{no json", "\u0000delete", "\u0000let go"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=6), max_size=4), st.sets(st.integers(1, 4)))
def test_rows_come_back_from_helpers_as_they_were_made(chunks: list[list[str]], gone: set[int]) -> None:
    """Types, empty texts, separators inside of texts, order, places and reasons all go through the pipe."""
    columns = [_columns(words, chunk) for chunk, words in enumerate(chunks)]
    here = [(chunk, map_records(map_toy, CONTEXT, chunk)) for chunk in columns]
    theirs = list(map_side_by_side(map_toy, CONTEXT, columns, Crew(sorted(gone))))
    assert seen(theirs) == seen(here)
    targets = {id(into) for _, mapped in theirs for into in mapped.rows.rows if into.relation == "core.toys"}
    assert len(targets) <= 1


def _columns(words: list[str], chunk: int) -> Columns:
    count = len(words)
    return [
        [f"{chunk}-{n}" for n in range(count)],
        ["delete" if word == "\u0000delete" else "put" for word in words],
        [*range(1, count + 1)],
        [0] * count,
        [None] * count,
        [None if word == "\u0000let go" else word.encode() for word in words],
    ]


def test_no_secret_goes_through_the_pipe() -> None:
    sent: list[bytes] = []

    class Listening(Crew):
        def submit(self, piece: bytes) -> Future[bytes]:
            sent.append(piece)
            return super().submit(piece)

    list(map_side_by_side(map_toy, CONTEXT, [_columns(["text"], 0)], Listening()))
    assert len(sent) == 1
    assert b"hunter2" not in sent[0]


@pytest.mark.parametrize("helpers", ["here", "processes"])
def test_the_core_is_the_same_whoever_maps(tmp_path: Path, helpers: str) -> None:
    """Versions, child lists, rejects and tombstones of a log that is conformed again by helpers."""
    toy = Toy(tmp_path)
    first = [deal(1, 100, contacts=["a", "b"]), deal(2, 100), deal(3, 100, title="bad"), deal(4, 100)]
    toy.run({"deals": [page(*first)]})
    toy.run({"deals": [page(deal(1, 300, contacts=["b"]), deal(2, 90), deal(3, 200))]}, full=True)
    crew = Crew()

    @contextmanager
    def start() -> Iterator[Crew]:
        yield crew

    expected = conformed_again(toy, large_records=1_000)
    started = start if helpers == "here" else start_helpers
    assert conformed_again(toy, large_records=1, start_crew=started) == expected
    assert (crew.asked > 0) == (helpers == "here")


def conformed_again(toy: Toy, **options: Any) -> list[Any]:
    """The core after the whole log is conformed anew."""
    project = toy.project()
    with open_warehouse(files_of(project), command="test", clock=toy.clock) as warehouse:
        with warehouse.transaction():
            forget_core(warehouse.connection, "toy")
        conformer = Conformer(warehouse, toy.clock, chunk_records=2, **options)
        for stream in toy.connector().streams:
            conformer.conform(replace(stream, kind="files", needs=()), map_context(project, project.sources["toy"]))
        return [warehouse.connection.execute(query).fetchall() for query in STATE]
