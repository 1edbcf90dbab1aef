"""The order of resolving: a step is one SQL file, and the relations it makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import duckdb

from base.clock import Clock
from metrics.resolve.changes import (
    Change,
    add_up,
    compare_changes,
    held_names,
    staged_name,
    write_changes,
    write_people,
)
from metrics.resolve.choosing import keep_choosers
from metrics.resolve.incremental import (
    SCOPED_SHARE,
    ScopeError,
    check_written,
    count_money,
    count_of,
    fill_scope,
    find_start,
    finish_money,
    is_later,
    only_records_changed,
    see_whole,
    store_state,
)
from metrics.resolve.matching import read_number_keys, read_purposes
from metrics.resolve.money import MONEY_WRITES, PAYMENT_MARKS, MoneyReport, stage_money, write_money
from metrics.resolve.order import keep_order
from metrics.resolve.parts import PART_DEALS, begin_anew, count_parts, fill_lists, fill_part, first_day, open_parts
from metrics.resolve.scope import Scope, open_scope
from metrics.resolve.versions import present_versions, store_versions, stored_versions
from metrics.settings import Company
from warehouse.database import transaction
from warehouse.engine import temporary_tables

SQL_DIR = Path(__file__).parent / "sql"
# CRMs whose log names every change of the responsible (metrics.md 2.2); the others are compared load by load.
OWNER_LOG_TYPES = ("amocrm",)

# What the steps before money leave to it (money.py).
_READ_BY_MONEY = {"deal_credits", "next_stage_events"}

MoneyStep = Callable[[duckdb.DuckDBPyConnection, Company], MoneyReport]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One SQL file: temporary tables it makes for relations, and for `person_id` of core relations."""

    file: str
    writes: tuple[str, ...] = ()
    people: tuple[tuple[str, str], ...] = ()
    # Made before, and read here over all records at once: a scope holds a part of them.
    whole: tuple[str, ...] = ()


BEFORE_MONEY = (
    Step(file="10_spans.sql"),
    Step(file="15_working_days.sql", writes=("calc.working_days",)),
    Step(
        file="20_people.sql",
        people=(
            ("core.calls", "call_people"),
            ("core.deal_events", "event_people"),
            ("core.activities", "activity_people"),
            ("core.deals", "deal_people"),
        ),
    ),
    Step(file="30_owners.sql", writes=("core.deal_owners",)),
    Step(file="35_credits.sql", writes=("calc.split_shares",)),
    Step(file="40_moments.sql"),
    Step(file="50_stage_events.sql", writes=("calc.stage_events", "core.deal_stage_visits")),
    Step(file="60_deal_spans.sql"),
    Step(file="65_passes.sql"),
    Step(file="70_duplicates.sql"),
    Step(file="80_calls.sql", writes=("calc.calls",)),
    Step(file="85_leads.sql"),
    Step(file="86_lead_times.sql", writes=("calc.leads",)),
    Step(file="87_missed_calls.sql", writes=("calc.missed_calls",)),
    Step(file="88_call_notes.sql", writes=("calc.call_notes",)),
)
AFTER_MONEY = (
    Step(file="90_funnel.sql", writes=("calc.stage_passes", "calc.kind_touches")),
    Step(file="91_grace.sql", writes=("calc.terminal_events",)),
    Step(file="92_stage_times.sql", writes=("calc.stage_times",)),
    Step(file="93_customers.sql", writes=("calc.deal_customers", "calc.customer_payments")),
    Step(file="94_sales.sql", writes=("calc.sales", "calc.customer_owners", "calc.customer_phones")),
    Step(file="95_milestones.sql", writes=("calc.milestones",)),
    Step(file="96_documents.sql", writes=("calc.shipments", "calc.margins", "calc.receivables")),
    Step(file="97_open_deals.sql", writes=("calc.open_deals",)),
    Step(file="98_part_paid_deals.sql", writes=("calc.part_paid_deals",)),
    Step(
        file="99_stage_odds.sql",
        writes=("calc.stage_odds",),
        whole=("calc.leads", "calc.stage_passes", "calc.terminal_events"),
    ),
    Step(file="scope_ties.sql", writes=("calc.ties",)),
)


@dataclass(frozen=True, kw_only=True)
class ResolveReport:
    """What a resolve did. `ran` is False when nothing had changed since the last one: then nothing was written.
    `scoped` is True when only what the changed records are tied to was looked at."""

    ran: bool
    scoped: bool = False
    changes: tuple[Change, ...] = ()
    money: MoneyReport | None = None

    @property
    def rows(self) -> int:
        """Rows written or removed, all relations together."""
        return sum(change.rows for change in self.changes)


def resolve(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    clock: Clock,
    *,
    money: MoneyStep = stage_money,
    scoped_share: float = SCOPED_SHARE,
    part_deals: int = PART_DEALS,
) -> ResolveReport:
    """Bring core's derived relations and `calc.*` in line with the records and inputs; all of it or nothing, but that a
    company too large to be made anew at once is written part by part (parts.py, of `part_deals`).

    Only what the records changed since the last resolve are tied to is made anew (scope.py), if that is at most
    `scoped_share` of all; everything when inputs, settings or rules changed (incremental.py). Both end in the same
    rows.

    Everything is made beside the stored relations first and written in one transaction at the end. (Tables made inside
    a transaction can't leave the memory, and nobody knows their size: a million deals needed more than 2 GB.) Only who
    a record's person is, right by itself, is written as it is found.

    The inputs must have been loaded (`metrics.inputs.load_inputs`). `money` stages the payments' part, once deals have
    owners and stages; one that isn't ours sees all records, at once.
    """
    versions = present_versions(connection, company)
    stored = stored_versions(connection)
    if stored == versions:
        return ResolveReport(ran=False)
    # Whatever is written bears this one instant: with a later one it would be news to the next resolve.
    now = clock.now()
    resolved_at = now if is_later(connection, now) else None
    if money is stage_money and only_records_changed(stored, versions):
        with _temporary_tables(connection):
            report = _resolve_part(connection, company, now, resolved_at, scoped_share)
        if report is not None:
            keep_order(connection)
            return report
    parts = count_parts(count_of(connection, "FROM core.deals"), count_of(connection, "FROM core.calls"), part_deals)
    if money is stage_money and parts > 1:
        report = _resolve_in_parts(connection, company, now, resolved_at, parts)
        keep_order(connection)
        return report
    with _temporary_tables(connection):
        set_parameters(connection, company, now)
        report = _stage(connection, company, now, money)
        with transaction(connection):
            changes = [*report.changes, *_write(connection, now)]
            _remember(connection, company, resolved_at)
    keep_order(connection)
    return replace(report, changes=tuple(changes))


def _resolve_part(
    connection: duckdb.DuckDBPyConnection, company: Company, now: datetime, resolved_at: datetime | None, share: float
) -> ResolveReport | None:
    """Resolve what changed; None = it can't be told apart, or is too much of all: nothing but people was written."""
    set_parameters(connection, company, now)
    since = find_start(connection, company, now, share)
    if since is None:
        return None
    read = read_purposes(connection)
    read_number_keys(connection)
    try:
        with open_scope(connection) as scope:
            fill_scope(scope, since, share)
            report = _stage(connection, company, now, stage_money, scope)
            with scope.at_home(), transaction(connection):
                changes = [*report.changes, *_write(connection, now)]
                check_written(connection)
                _remember(connection, company, resolved_at)
    except ScopeError:
        return None
    counted = count_money(connection, read)
    return ResolveReport(ran=True, scoped=True, changes=tuple(changes), money=counted)


def _resolve_in_parts(
    connection: duckdb.DuckDBPyConnection, company: Company, now: datetime, resolved_at: datetime | None, count: int
) -> ResolveReport:
    """Resolve everything, a part at a time; then what only the end can tell."""
    set_parameters(connection, company, now)
    read = read_purposes(connection)
    read_number_keys(connection)
    begin_anew(connection)
    changes: list[Change] = []
    with open_parts(connection, count):
        seen: dict[int, date | None] = {}  # the day of the company's first lead, as a part knows it
        todo = [*range(count)]
        while todo:
            for part in todo:
                with _part(connection, company, now) as scope:
                    fill_part(scope, part)
                    changes += _make(connection, company, now, scope)
                    seen[part] = first_day(connection)
            first = first_day(connection)
            todo = [part for part, day in seen.items() if day != first]
        with _part(connection, company, now) as scope:
            if fill_lists(scope):
                changes += _make(connection, company, now, scope)
    with transaction(connection):
        check_written(connection)
        _remember(connection, company, resolved_at)
    return ResolveReport(ran=True, changes=add_up(changes), money=count_money(connection, read))


@contextmanager
def _part(connection: duckdb.DuckDBPyConnection, company: Company, now: datetime) -> Iterator[Scope]:
    with _temporary_tables(connection), open_scope(connection) as scope:
        # The last step before left no table that nobody reads on.
        set_parameters(connection, company, now)
        yield scope


def _make(connection: duckdb.DuckDBPyConnection, company: Company, now: datetime, scope: Scope) -> list[Change]:
    """Make what is in the scope, and write it."""
    report = _stage(connection, company, now, stage_money, scope, keep_choosers)
    with scope.at_home(), transaction(connection):
        return [*report.changes, *_write(connection, now)]


def _remember(connection: duckdb.DuckDBPyConnection, company: Company, resolved_at: datetime | None) -> None:
    # Counted again: setting a person touches loaded_at of core rows.
    store_versions(connection, present_versions(connection, company))
    store_state(connection, company, resolved_at)


def _stage(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    now: datetime,
    money: MoneyStep,
    scope: Scope | None = None,
    finish: Callable[[Scope], object] = finish_money,
) -> ResolveReport:
    """Make and compare everything, in a scope what is in it; what the report counts as changed are the people."""
    scripts = {step: (SQL_DIR / step.file).read_text(encoding="utf-8") for step in BEFORE_MONEY + AFTER_MONEY}
    changes: list[Change] = []
    for step in BEFORE_MONEY:
        changes += _run_step(connection, step, scripts, now, scope)
    matched = money(connection, company)
    if scope:
        finish(scope)
    for relation in MONEY_WRITES:
        # Whoever stands in for money may have staged nothing: then what is stored stays.
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {staged_name(relation)} AS FROM {relation}")
        compare_changes(connection, relation, even_empty=scope is not None)
    for step in AFTER_MONEY:
        changes += _run_step(connection, step, scripts, now, scope)
    return ResolveReport(ran=True, changes=tuple(changes), money=matched)


def _write(connection: duckdb.DuckDBPyConnection, now: datetime) -> Iterator[Change]:
    for step in BEFORE_MONEY + AFTER_MONEY:
        for relation in step.writes:
            yield write_changes(connection, relation, now)
    if PAYMENT_MARKS in temporary_tables(connection):
        yield from write_money(connection, now)


def _run_step(
    connection: duckdb.DuckDBPyConnection,
    step: Step,
    scripts: dict[Step, str],
    now: datetime,
    scope: Scope | None = None,
) -> Iterator[Change]:
    script = scripts.pop(step)
    with see_whole(scope, step.whole) if scope else nullcontext():
        connection.execute(script)
    for relation, staged in step.people:
        if scope:
            # The copies are read on, the records themselves keep it.
            with scope.at_home():
                yield write_people(connection, relation, staged, now)
            write_people(connection, relation, staged, now)
        else:
            yield write_people(connection, relation, staged, now)
    _drop_unread(connection, step, scripts)
    for relation in step.writes:
        compare_changes(connection, relation, even_empty=scope is not None)


def _drop_unread(connection: duckdb.DuckDBPyConnection, step: Step, scripts: dict[Step, str]) -> None:
    """Drop the temporary tables no later step names: all of them together outgrow the memory of a small machine."""
    tables = temporary_tables(connection)
    written = [relation for other in BEFORE_MONEY + AFTER_MONEY for relation in other.writes]
    needed = {name for relation in (*written, *MONEY_WRITES) for name in held_names(relation, tables)} | {PAYMENT_MARKS}
    needed |= set(re.findall(r"\w+", "\n".join(scripts.values())))
    if step in BEFORE_MONEY:
        needed |= _READ_BY_MONEY
    for name in tables - needed:
        connection.execute(f'DROP TABLE temp."{name}"')


def set_parameters(connection: duckdb.DuckDBPyConnection, company: Company, now: datetime) -> None:
    """Hand the company's settings to SQL: variables, and two small tables."""
    rules = company.rules
    variables = {
        "zone": company.zone.key,
        "now": now,
        "dup_days": rules.dup_days,
        "origin_minutes": rules.origin_minutes,
        "call_seconds": rules.successful_call_seconds,
        "sla_minutes": rules.sla_minutes,
        "callback_minutes": rules.callback_minutes,
        "grace_days": rules.grace_days,
        "dormant_days": rules.dormant_days,
        "clawback_days": rules.clawback_days,
        "currency": company.currency,
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = $1", [value])
    connection.execute((SQL_DIR / "scope_nodes.sql").read_text(encoding="utf-8"))
    connection.execute("CREATE OR REPLACE TEMP TABLE owner_log_sources (source VARCHAR)")
    logged = [[name] for name, kind in company.source_types.items() if kind in OWNER_LOG_TYPES]
    if logged:
        connection.executemany("INSERT INTO owner_log_sources VALUES ($1)", logged)
    connection.execute("CREATE OR REPLACE TEMP TABLE call_limits (source VARCHAR, pipeline_id VARCHAR, seconds BIGINT)")
    limits = [_limit(name, seconds) for name, seconds in rules.successful_call_seconds_by_pipeline.items()]
    if limits:
        connection.executemany("INSERT INTO call_limits VALUES ($1, $2, $3)", limits)


def _limit(pipeline: str, seconds: int) -> list[str | int]:
    """`source/pipeline_id` names one pipeline; `pipeline_id` alone any source's, here under source ''."""
    source, slash, pipeline_id = pipeline.rpartition("/")
    return [source if slash else "", pipeline_id, seconds]


@contextmanager
def _temporary_tables(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Drop the temporary tables made inside: a connection lives on for computing."""
    before = temporary_tables(connection)
    try:
        yield
    finally:
        for name in temporary_tables(connection) - before:
            connection.execute(f'DROP TABLE IF EXISTS temp."{name}"')
