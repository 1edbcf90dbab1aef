"""Merging against a model in plain Python: any records, in any order, in any cut into batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.stream import Rows
from models import WAREHOUSE
from tests.toy import DEALS, LINKS, PATCHES
from warehouse.ddl import create_all
from warehouse.merge import Merger
from warehouse.staging import Staging

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SOURCES = (f"s{number}" for number in itertools.count())


@dataclass(frozen=True)
class Put:
    deal: str
    version: int
    title: str
    contacts: tuple[str, ...]


@dataclass(frozen=True)
class Patch:
    deal: str
    version: int
    is_deleted: bool


@dataclass
class Stored:
    """What the core should say of a deal."""

    version: int = -1  # no version seen: a stub
    title: str | None = None
    contacts: tuple[str, ...] = ()
    is_deleted: bool = False
    decided: int = -1  # version at which is_deleted was decided by a patch

    def put(self, record: Put) -> None:
        if record.version < self.version:
            return
        self.version, self.title, self.contacts = record.version, record.title, record.contacts
        if not (self.is_deleted and record.version <= self.decided):
            self.is_deleted = False

    def patch(self, record: Patch) -> None:
        if record.version >= self.decided:
            # A version later than the deletion proves that the record lives.
            self.is_deleted, self.decided = record.is_deleted and self.version <= record.version, record.version


@dataclass
class Model:
    deals: dict[str, Stored] = field(default_factory=dict)

    def apply(self, batch: list[Put] | list[Patch]) -> None:
        for record in batch:
            stored = self.deals.setdefault(record.deal, Stored())
            stored.put(record) if isinstance(record, Put) else stored.patch(record)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        create_all(opened, WAREHOUSE, comments=False)
        yield opened


def merge(connection: duckdb.DuckDBPyConnection, source: str, batch: list[Put] | list[Patch]) -> int:
    """One conform: the batch as one chunk, its records in the order of the log."""
    rows = Rows()
    for ordinal, record in enumerate(batch):
        rows.begin(ordinal)
        if isinstance(record, Put):
            rows.add(DEALS, (record.deal, record.title, None, None, record.version))
            rows.add_children(LINKS, (record.deal,), [(record.deal, c, None) for c in record.contacts])
        else:
            rows.add(PATCHES, (record.deal, record.is_deleted))
    staging = Staging(connection)
    staging.append(rows, [record.version for record in batch], 0)
    merger = Merger(connection, source=source, zone="Europe/Moscow", now=NOW)
    merger.note_first_versions(staging.targets)
    written = sum(merger.merge(staged) for staged in staging.targets)
    staging.drop()
    return written


def read(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, tuple[object, ...]]:
    rows = connection.execute(
        "SELECT d.deal_id, d.title, d.is_deleted, list_sort(list(c.contact_id) FILTER (c.contact_id IS NOT NULL))"
        " FROM core.deals AS d LEFT JOIN core.deal_contacts AS c USING (source, deal_id)"
        " WHERE source = ? GROUP BY ALL",
        [source],
    ).fetchall()
    return {deal: (title, is_deleted, tuple(contacts or ())) for deal, title, is_deleted, contacts in rows}


DEAL_IDS = st.sampled_from(["1", "2", "3"])
PUTS = st.builds(
    Put,
    deal=DEAL_IDS,
    version=st.integers(1, 6),
    title=st.sampled_from(["a", "b"]),
    contacts=st.sets(st.sampled_from(["x", "y", "z"])).map(lambda names: tuple(sorted(names))),
)
PATCH = st.builds(Patch, deal=DEAL_IDS, version=st.integers(1, 6), is_deleted=st.booleans())
BATCHES = st.lists(
    st.one_of(st.lists(PUTS, min_size=1, max_size=6), st.lists(PATCH, min_size=1, max_size=4)), max_size=5
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_any_batches_end_in_what_the_model_says_and_a_replay_of_them_changes_nothing(
    connection: duckdb.DuckDBPyConnection, batches: list[list[Put] | list[Patch]]
) -> None:
    source = next(SOURCES)
    model = Model()
    for batch in batches:
        # Within a batch the newest version speaks for a key; between equal versions the later record.
        latest: dict[str, Put | Patch] = {}
        for record in batch:
            known = latest.get(record.deal)
            if known is None or record.version >= known.version:
                latest[record.deal] = record
        model.apply(list(latest.values()))  # type: ignore[arg-type]
        merge(connection, source, batch)

    expected = {deal: (s.title, s.is_deleted, s.contacts) for deal, s in model.deals.items()}
    assert read(connection, source) == expected
    if batches:
        # The last batch once more: everything it says is known.
        assert merge(connection, source, batches[-1]) == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    versions=st.lists(st.tuples(st.sampled_from(["1", "2"]), st.integers(1, 100)), min_size=1, max_size=8, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_the_order_in_which_versions_arrive_does_not_matter(
    connection: duckdb.DuckDBPyConnection, versions: list[tuple[str, int]], order: object
) -> None:
    records = [Put(deal, version, f"v{version}", (f"c{version}",)) for deal, version in versions]
    shuffled = list(records)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    together, apart = next(SOURCES), next(SOURCES)
    merge(connection, together, records)
    for record in shuffled:
        merge(connection, apart, [record])

    assert read(connection, together) == read(connection, apart)
