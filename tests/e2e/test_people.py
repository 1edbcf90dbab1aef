"""A company's people: what a masked file holds of them, and what is left of one who asked to be forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from base.clock import FakeClock
from demo.company import build_company
from demo.story import Story
from flows.project import Project
from flows.steps.forget import forget
from flows.steps.nightly import nightly
from flows.steps.publish import publish
from flows.steps.recompute import recompute
from flows.steps.replay import replay
from flows.steps.sync import sync
from tests.e2e.company import confirm_inputs, served
from tests.e2e.state import read_state
from tests.engine import look
from voronka.app import App
from voronka.cli import root
from voronka.config import load_project

pytestmark = pytest.mark.e2e


@dataclass
class Night:
    folder: Path
    story: Story
    clock: FakeClock
    project: Project
    period: str


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("people")
    story = build_company(deals=14, seed=3)
    confirm_inputs(story, folder)
    clock = FakeClock(story.told_at)
    with served(story, folder, clock) as project:
        assert nightly(project, clock=clock).is_ok
    last = (story.told_at.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    return Night(folder, story, clock, project, last)


def words_of(story: Story) -> set[str]:
    """Every phone, name and e-mail there is: of customers, of payers, and of the company's own people."""
    phones = {re.sub(r"\D", "", deal.phone)[-10:] for deal in story.deals}
    names = {deal.customer for deal in story.deals} | {payment.payer for payment in story.payments}
    people = {manager.name for manager in story.managers} | {manager.email for manager in story.managers}
    return phones | people | {name for name in names if len(name) > 5}


def found(path: Path, words: set[str]) -> set[str]:
    # A lake has no such file; the command itself has looked through those it has.
    content = path.read_bytes() if path.exists() else b""
    return {word for word in words if word.encode() in content}


def told(path: Path, words: set[str]) -> set[str]:
    """The words in any text of any relation: what compression hides from a search through bytes."""
    left: set[str] = set()
    with look(path) as connection:
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() SEMI JOIN duckdb_tables()"
            " USING (schema_name, table_name) WHERE NOT internal AND database_name = current_database()"
            " AND data_type IN ('VARCHAR', 'VARCHAR[]')"
        ).fetchall()
        for schema, table, column in columns:
            query = f'SELECT string_agg(DISTINCT "{column}"::VARCHAR, \' \') FROM "{schema}"."{table}"'
            text = connection.execute(query).fetchall()[0][0] or ""
            left |= {word for word in words if word in text}
    return left


def run(night: Night, *arguments: str) -> Any:
    app = App(night.folder / "voronka.toml", given_clock=night.clock)
    result = CliRunner().invoke(root, ["--config", str(night.folder / "voronka.toml"), *arguments], obj=app)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def reading(night: Night) -> Iterator[Any]:
    for arguments in (
        ("kpi", night.period, "--by", "manager"),
        ("explain", night.period, "contacts_reached_unique"),
        ("explain", night.period, "revenue_cash"),
        ("flags", night.period),
        ("funnel", night.period),
        ("sql", "SELECT count(*) AS n FROM core.calls"),
    ):
        yield run(night, *arguments, "--json")


def values(documents: list[Any]) -> list[str]:
    """Every number that the commands tell; people stand in the order of their names, so in no order."""
    return sorted(re.findall(r'"(?:num|den|value|n|counted_count)": (?:-?[\d.]+|null)', json.dumps(documents)))


@pytest.mark.parametrize("mode", ["masked", "none"])
def test_a_file_without_people_answers_every_question_with_the_same_numbers(night: Night, mode: Any) -> None:
    words = words_of(night.story)
    path = publish(replace(night.project, personal_data="full"), clock=night.clock).path
    assert len(told(path, words)) > len(words) / 2
    whole = list(reading(night))

    publish(replace(night.project, personal_data=mode), clock=night.clock)

    assert found(path, words) == set()
    assert told(path, words) == set()
    assert values(list(reading(night))) == values(whole)


def test_whoever_is_forgotten_is_nowhere_and_every_fact_stays(night: Night) -> None:
    """And does not come back: neither with a load that reads everything again, nor with a replay."""
    with look(night.folder / "var" / "warehouse.duckdb") as connection:
        phone, contact, name = connection.execute(
            "SELECT k.external_number, any_value(c.contact_id), any_value(c.name) FROM core.calls AS k"
            " JOIN core.contacts AS c ON list_contains(c.phones, k.external_number)"
            # A name that somebody else has too is theirs, and stays.
            " SEMI JOIN (SELECT name FROM core.contacts GROUP BY name HAVING count(*) = 1) AS u ON u.name = c.name"
            " GROUP BY 1 HAVING count(DISTINCT c.contact_id) = 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchall()[0]
    before = facts(night.project)
    words = {phone[-10:], *([name] if " " in name else [])}
    var = night.folder / "var"
    files = (var / "warehouse.duckdb", var / "raw.duckdb", night.project.publish_path)

    with served(night.story, night.folder, night.clock) as project:
        report = forget(project, phone, with_payments=True, clock=night.clock)

        assert report.is_ok, (report.left, report.left_rows)
        assert report.removed["core.calls"] >= 1
        assert [path for path in files if told(path, words) | found(path, words)] == []
        assert facts(project) == before

        night.clock.advance(3600)
        assert sync(project, full=True, clock=night.clock).is_ok
        assert [path for path in files if told(path, words)] == []
        replay(project, clock=night.clock)
        assert [path for path in files if told(path, words)] == []
    assert nightly_facts(night) == before
    with look(night.folder / "var" / "warehouse.duckdb") as connection:
        row = connection.execute("SELECT name, phones FROM core.contacts WHERE contact_id = ?", [contact]).fetchone()
    assert row is not None
    assert row[0] is None
    assert row[1][0].startswith("+999")


def facts(project: Project) -> Any:
    return {
        name: rows
        for name, rows in read_state(project.root / "var" / "warehouse.duckdb").items()
        if name.startswith("facts.")
    }


def nightly_facts(night: Night) -> Any:
    recompute(load_project(night.folder / "voronka.toml"), None, clock=night.clock)
    return facts(night.project)
