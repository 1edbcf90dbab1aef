"""One contract over all connectors, through the real sync: what must hold whoever the vendor is.

Each case names what breaks when it fails. Nothing here knows a vendor: `contract.py` plays them.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import duckdb
import pytest

from base.clock import FakeClock
from base.errors import BudgetError, CredentialsError, ServerFaultError, SourceError
from base.text import LANGUAGES
from connectors.registry import MODULES, load_connector
from connectors.stream import Connector, RawRecord, Rows, Settings, Target
from demo.company import build_company
from demo.http import Fault, HttpRequest, HttpResponse
from demo.story import Story
from flows.project import Project, Source
from flows.steps.sources import map_context
from flows.steps.sync import SyncReport, sync
from metrics.settings import Company
from models import WAREHOUSE
from models.arrow import find_relation, key_columns
from tests.connectors.contract import UNKNOWN_FIELD, UNKNOWN_VALUE, VENDORS, HttpVendor, Vendor, tell
from voronka.reports.loading import failures
from voronka.reports.page import Page

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Moscow")
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Added to every core row by conforming, never by a mapping.
ADDED = {"source", "version", "loaded_at"}

Ask = Callable[..., list[tuple[Any, ...]]]

# By the vendor's name in `VENDORS`: a connector that can be reached in two ways stands here twice.
EVERY = sorted(VENDORS)
OVER_HTTP = [name for name in EVERY if cast(Any, VENDORS[name]).speaks_http]


def type_of(vendor: str) -> str:
    """The source type a vendor is read with."""
    return cast(Any, VENDORS[vendor]).source_type or vendor


@dataclass
class Place:
    """A vendor, the project that reads it, and every text that reading has produced."""

    vendor: Vendor
    project: Project
    clock: FakeClock
    caplog: pytest.LogCaptureFixture
    # Of the main stream, after the last run: reason, path, message.
    rejects: list[tuple[Any, ...]] = field(default_factory=list)

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
        with self.stored() as ask:
            stored = ["meta.sync_runs", "meta.rejects", "log.raw.runs", "log.raw.positions"]
            told += [repr(ask(f"FROM {relation}")) for relation in stored]
            told += [repr(ask("SELECT * EXCLUDE (payload) FROM log.raw.rejects")), self.caplog.text]
            self.rejects = ask("SELECT reason, path, message FROM meta.rejects WHERE stream = ?", self.stream)
        for secret in self.vendor.secrets:
            assert [text for text in told if secret in text] == []
        return report

    def good_sync(self) -> SyncReport:
        report = self.sync()
        assert [str(error) for error in report.errors] == []
        assert report.is_ok
        return report

    @contextmanager
    def stored(self) -> Iterator[Ask]:
        """Queries on both files: the warehouse by its schemas, the raw file as `log`."""
        with duckdb.connect(config={"threads": 1}) as connection:
            for name, path in (("log", self.project.raw_path), ("stored", self.project.warehouse_path)):
                connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
            connection.execute("USE stored; SET TimeZone = 'UTC'")
            yield lambda query, *values: connection.execute(query, list(values)).fetchall()

    def core(self) -> Counter[str]:
        """The main stream's rows without what moves when a row is written."""
        with self.stored() as ask:
            # `deletion_version` moves with every version of a record that says whether it stands.
            columns = "COLUMNS(name -> name NOT IN ('version', 'loaded_at', 'deletion_version'))"
            return Counter(map(repr, ask(f"SELECT {columns} FROM {self.vendor.relation}")))

    def arrived(self) -> tuple[int, int, int]:
        """Raw records of the main stream, its distinct records, and core rows."""
        with self.stored() as ask:
            [(raw, distinct)] = ask(
                "SELECT count(*), count(DISTINCT record_id) FROM log.raw.records WHERE stream = ?", self.stream
            )
            [(core,)] = ask(f"SELECT count(*) FROM {self.vendor.relation}")
        return raw, distinct, core


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
        project = _project(tmp_path, source_type, vendor.settings(refused=refused), story.opened_at.date())
        return Place(vendor, project, clock, caplog)

    yield open_
    for vendor in opened:
        vendor.close()


def _project(folder: Path, source_type: str, settings: Settings, start: date | None) -> Project:
    source = Source(name=f"our-{source_type}", type=type_of(source_type), settings=settings, start=start)
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
    assert {type_of(name) for name in VENDORS} == set(MODULES)


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
    with place.stored() as ask:
        assert ask("SELECT status FROM meta.sync_runs WHERE stream = ?", place.stream) == [("done",)]


@pytest.mark.parametrize("source_type", EVERY)
def test_a_second_run_writes_nothing(open_place: Open, source_type: str) -> None:
    """Payloads that differ between two readings of the same record, or rows rewritten for nothing."""
    place = open_place(source_type, tell(7, NOW))
    place.good_sync()
    before = _everything(place)
    place.clock.advance(60)
    assert set(_written(place.good_sync()).values()) == {(0, 0)}
    assert _everything(place) == before


def _everything(place: Place) -> dict[str, Counter[str]]:
    core = [table.fullname for table in WAREHOUSE.sorted_tables if table.schema == "core"]
    with place.stored() as ask:
        return {name: Counter(map(repr, ask(f"FROM {name}"))) for name in ("log.raw.records", *core)}


@pytest.mark.parametrize("source_type", EVERY)
def test_an_unknown_field_is_kept_and_changes_nothing(open_place: Open, source_type: str) -> None:
    """A vendor's new field must neither stop a load nor be lost before a mapping learns of it."""
    place = open_place(source_type, tell(3, NOW))
    place.good_sync()
    core = place.core()
    place.vendor.add_unknown_field()
    place.clock.advance(60)
    raw, _ = _written(place.good_sync())[place.stream]
    assert raw == 1
    with place.stored() as ask:
        assert ask(
            "SELECT count(*) FROM log.raw.records WHERE contains(payload, ?) AND contains(payload, ?)",
            UNKNOWN_FIELD,
            UNKNOWN_VALUE,
        ) == [(1,)]
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
    assert [path for reason, path, _ in place.rejects if reason == spoilt.reason and spoilt.place in path]
    assert all(message for _, _, message in place.rejects)
    place.vendor.mend(story)
    place.clock.advance(60)
    place.good_sync()
    assert place.rejects == []
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
    with place.stored() as ask:
        assert ask("SELECT count(*) FROM log.raw.records") == [(0,)]
        assert ask("SELECT count(*) FROM log.raw.positions") == [(0,)]
        assert ask("SELECT DISTINCT status FROM meta.sync_runs") == [("failed",)]
    assert place.arrived() == (0, 0, 0)
    assert len(cast(HttpVendor, place.vendor).server.requests) == 1


# The least that must be waited before the same thing is asked again.
PAUSE_AFTER: dict[Fault, float] = {
    "too_many": 5.0,
    "too_many_stated": 2.0,
    "unavailable_stated": 2.0,
    "server_error": 1.0,
    "bad_gateway": 1.0,
    "reset": 1.0,
    "damaged": 1.0,
    "truncated": 1.0,
}


@pytest.mark.parametrize(
    "faults",
    [
        ("too_many_stated", "reset"),
        ("unavailable_stated", "damaged"),
        ("server_error", "truncated"),
        ("too_many", "bad_gateway"),
    ],
)
@pytest.mark.parametrize("source_type", OVER_HTTP)
def test_passing_faults_cost_only_time(open_place: Open, source_type: str, faults: tuple[Fault, ...]) -> None:
    """Every address fails twice: no stream may give up, lose a record, or ask again at once."""
    place = open_place(source_type, tell(3, NOW))
    vendor = cast(HttpVendor, place.vendor)
    vendor.faults.kinds = faults
    place.good_sync()
    assert place.arrived() == (3, 3, 3)
    assert len(vendor.faults.pauses(vendor.path)) >= len(faults)
    for path in vendor.faults.asked.keys() - vendor.shared_paths:
        for fault, pause in zip(faults, vendor.faults.pauses(path), strict=False):
            # An answer without a body can't be cut: what follows it is the next question.
            if path == vendor.path or fault not in ("damaged", "truncated"):
                assert pause >= PAUSE_AFTER[fault], (path, fault)


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


@pytest.mark.parametrize("status", [400, 403, 500])
@pytest.mark.parametrize("source_type", OVER_HTTP)
def test_a_vendor_that_repeats_our_secrets_is_not_quoted(open_place: Open, source_type: str, status: int) -> None:
    """Vendors echo what they refuse; the place where a long answer is cut must not spare half a secret."""
    place = open_place(source_type, tell(3, NOW))
    vendor = cast(HttpVendor, place.vendor)
    known = vendor.secrets[:-1]

    def echo(request: HttpRequest) -> HttpResponse:
        # Secrets from end to end: wherever the answer is cut, it is within one.
        body = f"{dict(request.headers)} {request.body!r} {' '.join(known * 100)}"
        return HttpResponse(status=status, body=body.encode())

    vendor.serve_instead(echo)
    place = _moved(place)
    report = place.sync()
    assert not report.is_ok
    told = " ".join(found.render("ru") for found in report.errors)
    assert [secret for secret in known if secret[: len(secret) // 2] in told] == []


def _moved(place: Place) -> Place:
    """The same project, its source at the address of whoever serves now."""
    source = place.project.sources[place.name]
    vendor = source.name.removeprefix("our-")
    project = _project(place.project.root, vendor, place.vendor.settings(), source.start)
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
    connector: Connector[Any] = load_connector(type_of(source_type))
    assert connector.source_type == type_of(source_type)
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
            assert {"is_deleted", "is_removed", "is_active"} & set(find_relation(relation).columns.keys()), relation
        if stream.kind in ("entity", "log", "files"):
            assert stream.facet, stream.name


@pytest.mark.parametrize("source_type", EVERY)
def test_mappings_fill_declared_relations_with_complete_keys(open_place: Open, source_type: str) -> None:
    """A key left out or repeated makes MERGE insert a row twice, and no constraint would say so."""
    place = open_place(source_type, build_company(deals=25))
    place.good_sync()
    source = place.project.sources[place.name]
    context = map_context(place.project, source)
    connector = load_connector(source.type).serving(source.settings)
    with place.stored() as ask:
        stored = {
            stream: ask(
                "SELECT record_id, payload, version, epoch_us(fetched_at) FROM log.raw.records WHERE stream = ?"
                " QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY seq DESC) = 1",
                stream.name,
            )
            for stream in connector.streams
        }
    payloads = {stream.name: {found[0]: found[1].encode() for found in records} for stream, records in stored.items()}
    for stream, records in stored.items():
        if stream.map is None:
            continue
        assert records, f"the demo company has no {stream.name}: nothing is shown"
        rows = Rows()
        known = replace(context, dictionaries={name: payloads[name] for name in stream.needs})
        for record_id, payload, version, fetched_at in records:
            stream.map(RawRecord(record_id, payload.encode(), version, fetched_at), known, rows)
        assert rows.rows, stream.name
        for into, made in rows.rows.items():
            _check_keys(into, made)


def _check_keys(into: Target, made: Sequence[tuple[Any, ...]]) -> None:
    table = find_relation(into.relation)
    assert set(into.columns) <= set(table.columns.keys()) - ADDED, into.relation
    places = [into.columns.index(column) for column in key_columns(table) if column != "source"]
    keys = Counter(tuple(row[place] for place in places) for row in made)
    assert [key for key in keys if None in key or "" in key] == [], into.relation
    assert [key for key, times in keys.items() if times > 1] == [], into.relation
