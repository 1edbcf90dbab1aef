"""One contract over all connectors, through the real sync: what must hold whoever the vendor is.

Each case names what breaks when it fails. Nothing here knows a vendor: `contract.py` plays them.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import duckdb
import pytest

from base.clock import FakeClock
from base.errors import BudgetError, CredentialsError, ServerFaultError, SourceError
from base.text import LANGUAGES
from connectors.registry import MODULES, load_connector
from connectors.stream import Connector, RawRecord, Rows, Settings
from demo.company import build_company
from demo.http import Fault, HttpRequest, HttpResponse
from demo.story import Story
from flows.project import Project, Source
from flows.steps.sync import SyncReport, map_context, sync
from metrics.settings import Company
from models.arrow import find_relation, key_columns
from models.columns import WAREHOUSE
from tests.connectors.contract import UNKNOWN_FIELD, UNKNOWN_VALUE, VENDORS, HttpVendor, Vendor, tell
from voronka.reports.loading import failures
from voronka.reports.page import Page

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Moscow")
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Added to every core row by conforming, never by a mapping.
ADDED = {"source", "version", "loaded_at"}

EVERY = sorted(MODULES)
OVER_HTTP = [name for name in EVERY if name in VENDORS and cast(Any, VENDORS[name]).speaks_http]


@dataclass
class Place:
    """A vendor, the project that reads it, and every text that reading has produced."""

    vendor: Vendor
    project: Project
    clock: FakeClock
    caplog: pytest.LogCaptureFixture

    @property
    def name(self) -> str:
        return next(iter(self.project.sources))

    @property
    def stream(self) -> str:
        return self.vendor.stream

    def sync(self) -> SyncReport:
        """One run. Whatever it ends with, no secret may stand in what it says, logs and stores."""
        report = sync(self.project, clock=self.clock)
        told = [error.render(language) for error in report.errors for language in LANGUAGES]
        told += [self.caplog.text, repr(self.rows("FROM meta.sync_runs")), repr(self.rows("FROM meta.rejects"))]
        told += [repr(self.raw("FROM raw.runs")), repr(self.raw("SELECT * EXCLUDE (payload) FROM raw.rejects"))]
        for secret in self.vendor.secrets:
            assert [text for text in told if secret in text] == []
        return report

    def good_sync(self) -> SyncReport:
        report = self.sync()
        assert [str(error) for error in report.errors] == []
        assert self.rows("FROM meta.rejects") == []
        return report

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return _read(self.project.warehouse_path, query, values)

    def raw(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return _read(self.project.raw_path, query, values)

    def core(self) -> Counter[tuple[Any, ...]]:
        """The main stream's rows without what moves when a row is written."""
        return Counter(self.rows(f"SELECT * EXCLUDE (version, loaded_at) FROM {self.vendor.relation}"))

    def arrived(self) -> tuple[int, int, int]:
        """Raw records of the main stream, its distinct records, and core rows."""
        [(raw, distinct)] = self.raw(
            "SELECT count(*), count(DISTINCT record_id) FROM raw.records WHERE stream = ? AND op = 'put'", self.stream
        )
        return raw, distinct, self.core().total()


def _read(path: Path, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        # Attached under a name of its own: "raw.runs" would be ambiguous in a file called raw.
        connection.execute(f"ATTACH '{path}' AS stored (READ_ONLY); USE stored; SET TimeZone = 'UTC'")
        return connection.execute(query, list(values)).fetchall()


Open = Callable[..., Place]


@pytest.fixture
def open_place(tmp_path: Path, empty_files: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Open]:
    """`open_place(source_type, story)`: the vendor serves, and nothing is loaded yet."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "voronka")
    opened: list[Vendor] = []

    def open_(source_type: str, story: Story, *, refused: bool = False) -> Place:
        clock = FakeClock(story.told_at)
        vendor = VENDORS[source_type](tmp_path, clock)
        opened.append(vendor)
        vendor.serve(story)
        shutil.copytree(empty_files, tmp_path / "var", dirs_exist_ok=True)
        return Place(vendor, _project(tmp_path, source_type, vendor.settings(refused=refused)), clock, caplog)

    yield open_
    for vendor in opened:
        vendor.close()


def _project(folder: Path, source_type: str, settings: Settings) -> Project:
    start = (NOW - timedelta(days=25)).date()
    source = Source(name=f"our-{source_type}", type=source_type, settings=settings, start=start)
    return Project(
        root=folder,
        config_path=folder / "voronka.toml",
        company=Company(zone=ZONE),
        warehouse_path=folder / "var" / "warehouse.duckdb",
        raw_path=folder / "var" / "raw.duckdb",
        publish_path=folder / "analytics.duckdb",
        sources={source.name: source},
        state_dir=folder / "var" / "state",
    )


def _written(report: SyncReport) -> dict[str, tuple[int, int]]:
    return {stream.stream: (stream.rows, stream.core_rows) for stream in report.streams}


# ── loading ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_connector_is_under_this_contract() -> None:
    assert set(VENDORS) == set(MODULES)


@pytest.mark.parametrize("source_type", EVERY)
def test_what_does_not_fit_one_page_arrives_once(open_place: Open, source_type: str) -> None:
    """A page skipped, or the border of two pages read twice."""
    count = cast(Any, VENDORS[source_type]).page_records + 1
    place = open_place(source_type, tell(count, NOW))
    place.good_sync()
    assert place.arrived() == (count, count, count)


@pytest.mark.parametrize("source_type", EVERY)
def test_an_empty_answer_is_no_failure(open_place: Open, source_type: str) -> None:
    place = open_place(source_type, tell(0, NOW))
    report = place.good_sync()
    assert report.is_ok
    assert place.arrived() == (0, 0, 0)
    assert place.raw("SELECT status FROM raw.runs WHERE stream = ?", place.stream) == [("done",)]


@pytest.mark.parametrize("source_type", EVERY)
def test_a_second_run_writes_nothing(open_place: Open, source_type: str) -> None:
    """Payloads that differ between two readings of the same record, or rows rewritten for nothing."""
    place = open_place(source_type, tell(7, NOW))
    place.good_sync()
    before = [_everything(place, "raw"), _everything(place, "core")]
    place.clock.advance(60)
    assert set(_written(place.good_sync()).values()) == {(0, 0)}
    assert [_everything(place, "raw"), _everything(place, "core")] == before


def _everything(place: Place, layer: str) -> dict[str, Counter[tuple[Any, ...]]]:
    if layer == "raw":
        return {"records": Counter(place.raw("FROM raw.records"))}
    tables = [table.fullname for table in WAREHOUSE.sorted_tables if table.schema == "core"]
    return {name: Counter(map(repr, place.rows(f"FROM {name}"))) for name in tables}  # type: ignore[misc]


@pytest.mark.parametrize("source_type", EVERY)
def test_an_unknown_field_is_kept_and_changes_nothing(open_place: Open, source_type: str) -> None:
    """A vendor's new field must neither stop a load nor be lost before a mapping learns of it."""
    place = open_place(source_type, tell(3, NOW))
    place.good_sync()
    core = place.core()
    place.vendor.add_unknown_field()
    place.clock.advance(60)
    assert _written(place.good_sync())[place.stream] == (1, 0)
    kept = place.raw("SELECT count(*) FROM raw.records WHERE contains(payload, ?)", UNKNOWN_FIELD)
    valued = place.raw("SELECT count(*) FROM raw.records WHERE contains(payload, ?)", UNKNOWN_VALUE)
    assert (kept, valued) == ([(1,)], [(1,)])
    assert place.core() == core


@pytest.mark.parametrize("source_type", EVERY)
def test_a_bad_record_is_rejected_and_the_rest_arrives(open_place: Open, source_type: str) -> None:
    """One unreadable record must not cost the others, nor vanish without a reason; mended, it is a reject no more."""
    story = tell(5, NOW)
    place = open_place(source_type, story)
    spoilt = place.vendor.spoil()
    report = place.sync()
    [stream] = [each for each in report.streams if each.stream == place.stream]
    assert stream.error is None
    assert stream.rejected >= 1
    assert not report.is_ok
    assert place.core().total() == 4
    rejects = place.rows("SELECT reason, path, message FROM meta.rejects WHERE stream = ?", place.stream)
    assert [path for reason, path, _ in rejects if reason == spoilt.reason and spoilt.place in path]
    assert all(message for _, _, message in rejects)
    place.vendor.mend(story)
    place.clock.advance(60)
    place.good_sync()
    assert place.core().total() == 5


# ── what goes wrong over HTTP ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source_type", OVER_HTTP)
def test_refused_credentials_are_told_once_and_tried_once(open_place: Open, source_type: str) -> None:
    """Trying again locks keys and bans addresses; a message for each stream hides the one that matters."""
    place = open_place(source_type, tell(3, NOW), refused=True)
    report = place.sync()
    assert {type(error) for error in report.errors} == {CredentialsError}
    assert len(report.errors) == len(report.streams)
    page = Page.on_stream(_Nowhere(), language="ru", zone=ZONE)
    assert len(failures(report.streams, page)) == 1
    assert all(error.remedy for error in report.errors)
    assert place.raw("SELECT count(*) FROM raw.records") == [(0,)]
    assert place.raw("SELECT count(*) FROM raw.positions") == [(0,)]
    assert place.arrived() == (0, 0, 0)
    assert len(cast(HttpVendor, place.vendor).server.requests) == 1
    assert {status for (status,) in place.rows("SELECT status FROM meta.sync_runs")} == {"failed"}


# What strikes, and the least that must be waited before the same thing is asked again.
PASSING: dict[Fault, float] = {
    "too_many": 5.0,
    "too_many_stated": 2.0,
    "unavailable_stated": 2.0,
    "server_error": 1.0,
    "bad_gateway": 1.0,
    "damaged": 1.0,
    "truncated": 1.0,
    "reset": 1.0,
}


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("source_type", OVER_HTTP)
def test_a_passing_fault_costs_only_time(open_place: Open, source_type: str, fault: Fault) -> None:
    """Every address fails once: no stream may give up, lose a record, or ask again at once."""
    place = open_place(source_type, tell(3, NOW))
    faults = cast(HttpVendor, place.vendor).faults
    faults.kind = fault
    place.good_sync()
    assert place.arrived() == (3, 3, 3)
    assert set(faults.pauses()) == set(faults.asked)
    assert min(faults.pauses().values()) >= PASSING[fault]


@pytest.mark.parametrize(("status", "error"), [(429, BudgetError), (500, ServerFaultError)])
@pytest.mark.parametrize("source_type", OVER_HTTP)
def test_a_lasting_fault_ends_in_one_message(
    open_place: Open, source_type: str, status: int, error: type[SourceError]
) -> None:
    """A client that never gives up holds the warehouse's lock for ever."""
    place = open_place(source_type, tell(3, NOW))
    cast(HttpVendor, place.vendor).serve_instead(lambda request: HttpResponse(status=status, body=b"<html>no</html>"))
    place = _moved(place)
    report = place.sync()
    assert {type(found) for found in report.errors} == {error}
    assert len(report.errors) == len(report.streams)
    assert len(cast(HttpVendor, place.vendor).server.requests) <= 12 * len(report.streams)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
@pytest.mark.parametrize("source_type", OVER_HTTP)
def test_a_vendor_that_repeats_our_secrets_is_not_quoted(open_place: Open, source_type: str, status: int) -> None:
    """Vendors echo what they refuse; the place where a long answer is cut must not spare half a secret."""
    place = open_place(source_type, tell(3, NOW))
    vendor = cast(HttpVendor, place.vendor)

    def echo(request: HttpRequest) -> HttpResponse:
        asked = f"{dict(request.headers)} {request.body!r} {' '.join(vendor.secrets)} "
        return HttpResponse(status=status, body=(asked * 20).encode())

    vendor.serve_instead(echo)
    place = _moved(place)
    report = place.sync()
    assert not report.is_ok
    told = " ".join(found.render("ru") for found in report.errors)
    assert [part for secret in vendor.secrets for part in _parts(secret) if part in told] == []


def _parts(secret: str) -> list[str]:
    """What would still be worth something to who finds it."""
    return [secret[:12]]


def _moved(place: Place) -> Place:
    """The same project, its source at the address of whoever serves now."""
    source = place.project.sources[place.name]
    project = _project(place.project.root, source.type, place.vendor.settings())
    return Place(place.vendor, project, place.clock, place.caplog)


class _Nowhere:
    """A stream nobody reads."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None

    def isatty(self) -> bool:
        return False


# ── declarations ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source_type", EVERY)
def test_declarations_follow_the_grammar(source_type: str) -> None:
    """Names become parts of relations, messages and file names; a stream without a label is a blank line."""
    connector: Connector[Any] = load_connector(source_type)
    assert connector.source_type == source_type
    names = [stream.name for stream in connector.streams]
    assert [name for name in (source_type, *names) if not SNAKE_CASE.fullmatch(name)] == []
    assert len(set(names)) == len(names)
    labels = [connector.label, *(stream.label for stream in connector.streams)]
    assert [label for label in labels if not (label.render("ru").strip() and label.render("en").strip())] == []
    for stream in connector.streams:
        before = names[: names.index(stream.name)]
        # What a mapping needs must be conformed before it.
        assert set(stream.needs) <= set(before), stream.name
        for relation in stream.tombstones:
            assert "is_deleted" in find_relation(relation).columns, relation
        if stream.kind in ("entity", "log", "files"):
            assert stream.facet, stream.name


@pytest.mark.parametrize("source_type", EVERY)
def test_mappings_fill_declared_relations_with_complete_keys(open_place: Open, source_type: str) -> None:
    """A key left out or repeated makes MERGE insert a row twice, and no constraint would say so."""
    place = open_place(source_type, build_company(deals=25))
    place.good_sync()
    source = place.project.sources[place.name]
    for stream in load_connector(source_type).streams:
        payloads = place.raw(
            "SELECT record_id, payload, version, epoch_us(fetched_at) FROM raw.records WHERE stream = ?", stream.name
        )
        assert payloads, f"the demo company has no {stream.name}: nothing is shown"
        if stream.map is None:
            continue
        rows = Rows()
        context = _with_dictionaries(place, map_context(place.project, source), stream.needs)
        for record_id, payload, version, fetched_at in payloads:
            stream.map(RawRecord(record_id, payload.encode(), version, fetched_at), context, rows)
        assert rows.rows, stream.name
        for into, made in rows.rows.items():
            table = find_relation(into.relation)
            assert set(into.columns) <= set(table.columns.keys()) - ADDED, into.relation
            key = [column for column in key_columns(table) if column != "source"]
            places = [into.columns.index(column) for column in key]
            keys = Counter(tuple(row[place] for place in places) for row in made)
            assert [found for found in keys if None in found or "" in found] == [], into.relation
            assert [found for found, times in keys.items() if times > 1] == [], into.relation


def _with_dictionaries(place: Place, context: Any, needs: tuple[str, ...]) -> Any:
    from dataclasses import replace

    found: dict[str, dict[str, bytes]] = {}
    for name in needs:
        rows = place.raw("SELECT record_id, payload FROM raw.records WHERE stream = ?", name)
        found[name] = {record_id: payload.encode() for record_id, payload in rows}
    return replace(context, dictionaries=found)
