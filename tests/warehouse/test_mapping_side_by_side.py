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

import duckdb
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
from warehouse.ahead import PIECE_RECORDS, PIECES_UNDER_WAY, Ahead
from warehouse.batch import Batch
from warehouse.conform import Conformer, ConformReport, start_helpers
from warehouse.database import Warehouse, open_warehouse
from warehouse.land import Landing, StreamRun
from warehouse.mapping import Columns, Mapped, answer, map_records
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
        found += [(ids[n], bad.code, bad.message, bad.path, bad.expected, bad.got) for n, bad in mapped.rejects]
        found.append(("let go", mapped.let_go))
    return found


WORDS = st.sampled_from([*VALUES, "children0", "children2", "half", "{no json", "\u0000delete", "\u0000let go"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=6), max_size=4), st.sets(st.integers(1, 4)))
def test_rows_come_back_from_helpers_as_they_were_made(chunks: list[list[str]], gone: set[int]) -> None:
    """Types, empty texts, separators inside of texts, order, places and reasons all go through the pipe."""
    columns = [_columns(words, chunk) for chunk, words in enumerate(chunks)]
    here = [(chunk, map_records(map_toy, CONTEXT, chunk)) for chunk in columns]
    theirs = list(through_helpers(columns, Crew(sorted(gone))))
    assert seen(theirs) == seen(here)
    targets = {id(into) for _, mapped in theirs for into in mapped.rows.rows if into.relation == "core.toys"}
    assert len(targets) <= 1


def through_helpers(chunks: Sequence[Columns], crew: Crew) -> Iterator[tuple[Columns, Mapped]]:
    ahead = Ahead(map_toy, CONTEXT, crew, 0)
    for last, chunk in enumerate(chunks, 1):
        ahead.give(chunk, last)
    while ahead.taken != len(chunks):
        yield ahead.take()


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

    list(through_helpers([_columns(["text"], 0)], Listening()))
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


def test_a_chunk_taken_by_half_is_taken_again() -> None:
    """The memory of a slice may give out in the midst of one: its other half alone must not be loaded."""
    ahead = Ahead(map_toy, CONTEXT, Crew(), 0)
    ahead.give(_columns(["text"] * (PIECE_RECORDS + 1), 0), 7)
    ahead.take()
    assert ahead.taken is None
    ahead.restart(0)
    assert (ahead.taken, ahead.given, ahead.mapped_until()) == (0, 0, 0)


def test_helpers_get_no_more_than_they_can_do_soon() -> None:
    """All payloads of a gigabyte would wait for them in memory."""
    crew = Waiting()
    ahead = Ahead(map_toy, CONTEXT, crew, 0)
    while ahead.has_room():
        ahead.give(_columns(["text"] * 2 * PIECE_RECORDS, 0), ahead.given + 2 * PIECE_RECORDS)
    assert len(crew.pieces) == PIECES_UNDER_WAY
    assert ahead.mapped_until() == 0
    crew.work()
    assert ahead.has_room()
    assert ahead.mapped_until() == PIECES_UNDER_WAY * PIECE_RECORDS


class Waiting:
    """A helper that works when it is told to."""

    def __init__(self) -> None:
        self.pieces: list[tuple[bytes, Future[bytes]]] = []

    def submit(self, piece: bytes) -> Future[bytes]:
        self.pieces.append((piece, Future()))
        return self.pieces[-1][1]

    def work(self) -> None:
        for piece, found in self.pieces:
            found.set_result(answer(piece))


@pytest.mark.parametrize("gone", [(), (1, 4, 5)])
@pytest.mark.parametrize("fails", [False, True])
def test_a_log_conformed_while_it_lands_ends_as_if_it_had_landed_before(
    tmp_path: Path, gone: tuple[int, ...], fails: bool
) -> None:
    """Chunks that still grow, streams that land in between, dead helpers, and a slice that has to be done again."""
    found = []
    for name in ("before", "while"):
        toy, crew, failures = Toy(tmp_path / name), Crew(gone), [1] * fails

        @contextmanager
        def start(crew: Crew = crew) -> Iterator[Crew]:
            yield crew

        def fail_once(report: ConformReport, failures: list[int] = failures) -> None:
            if failures:
                failures.pop()
                raise duckdb.OutOfMemoryException("once")

        with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
            options = {"large_records": 3 if name == "while" else 1_000, "chunk_records": 4, "slice_chunks": 2}
            conformer = Conformer(warehouse, toy.clock, start_crew=start, **options)
            context = map_context(toy.project(), toy.project().sources["toy"])
            stream = replace(toy.connector().stream("deals"), kind="files", needs=())
            report, landed = ConformReport(), 0
            for batch in BATCHES:
                land(warehouse, toy, batch)
                landed += len(batch)
                while name == "while" and (done := conformer.keep_up(stream, context)):
                    report = report.with_(done)
                    assert report.read <= landed - 1
            assert (report.read > 0) == (name == "while")
            warehouse.connection.execute("SET memory_limit = '512MB'")
            report = conformer.conform(stream, context, fail_once, report)
            assert not conformer.has_helpers
            assert (crew.asked > 0) == (name == "while")
            counts = (report.read, report.written, [reject.record_id for reject in report.rejects])
            found.append([counts, *(warehouse.connection.execute(query).fetchall() for query in STATE)])
    assert found[0] == found[1]
    assert found[0][0][0] == sum(map(len, BATCHES))


BATCHES = [
    [deal(n, 100, title="bad" if n % 5 == 0 else f"d{n}", contacts=["a"] * (n % 3)) for n in range(first, last)]
    for first, last in ((1, 4), (4, 11), (11, 12), (12, 26), (26, 30))
] + [[deal(n, 90 + 20 * (n % 2), title="again") for n in range(1, 9)]]


def land(warehouse: Warehouse, toy: Toy, records: list[dict[str, Any]]) -> None:
    """A batch of deals, and one of another stream behind it, whose numbers are missing in that of the deals."""
    landing = Landing(warehouse, "en")
    for stream, found in (("deals", page(*records)), ("other", page(deal(len(records), toy.clock.now().microsecond)))):
        batch = Batch()
        batch.add(found)
        landing.write(StreamRun("run", "toy", stream), batch, requests=1)


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
