"""The analysts' file without personal data: what it must not hold, and what must still be counted from it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from base.errors import WarehouseError
from flows.project import Project
from flows.steps.publish import publish
from models import WAREHOUSE
from models.personal import is_decided, personal_kind
from tests.engine import look
from tests.toy import Toy
from warehouse.company_key import FILE as KEY_FILE
from warehouse.company_key import company_key

# A value for each kind of personal column, and the words of it that must not be found.
POISON = {
    "phone": ("+79161112233", "9161112233"),
    "extension": ("79162223344", "9162223344"),
    "email": ("zoya@romashkina.example", "romashkina"),
    "number": ("771234567890", "771234567890"),
    "customer": ("payer:ЗОЯ РОМАШКИНА", "РОМАШКИНА"),
    "name": ("Зоя Ромашкина", "Ромашкина"),
    "text": ("Звонить Зое Ромашкиной, +7 916 333-44-55", "Ромашкиной"),
}
WORDS = [word.encode() for _, word in POISON.values()]


def columns() -> Iterator[sa.Column[Any]]:
    for table in WAREHOUSE.sorted_tables:
        yield from table.columns


def filler(column: sa.Column[Any]) -> object:
    """A value for a column that has to have one, or that may tell of a person."""
    kind = personal_kind(column)
    if kind:
        return [POISON[kind][0]] if isinstance(column.type, sa.ARRAY) else POISON[kind][0]
    if column.name == "entity_type":
        return "manager"
    if column.nullable:
        return None
    return "x" if isinstance(column.type, sa.Text) else 1 if isinstance(column.type, sa.BigInteger) else "2026-11-01"


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory, empty_files: Path) -> Project:
    """A warehouse with a row in every relation, and a person in every column that may tell of one; and one more call
    with a plain extension, and a fact of a team."""
    folder = tmp_path_factory.mktemp("poisoned")
    shutil.copytree(empty_files, folder / "var")
    project = Toy(folder).project()
    with look(project.warehouse_path, writes=True) as connection:
        connection.begin()
        for table in WAREHOUSE.sorted_tables:
            if table.fullname != "meta.schema_revision":
                places = ", ".join("?" for _ in table.columns)
                values = [filler(column) for column in table.columns]
                connection.execute(f"INSERT INTO {table.fullname} VALUES ({places})", values)
        connection.execute(
            "INSERT INTO core.calls SELECT * REPLACE ('plain' AS call_id, '105' AS extension) FROM core.calls;"
            "INSERT INTO facts.kpi SELECT * REPLACE ('team' AS entity_type, 'Север' AS entity_name) FROM facts.kpi"
        )
        connection.commit()
    return project


@pytest.fixture(scope="module")
def masked(poisoned: Project) -> Path:
    """Published over a full file, so that a rewrite in place or leftovers would show."""
    assert found(published(poisoned, "full")) == set(WORDS)
    return published(poisoned, "masked")


def published(project: Project, mode: Any) -> Path:
    return publish(replace(project, personal_data=mode)).path


def elsewhere(project: Project, name: str) -> Project:
    return replace(project, publish_path=project.root / name / "analytics.duckdb")


def found(path: Path) -> set[bytes]:
    content = path.read_bytes()
    return {word for word in WORDS if word in content}


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_every_text_column_is_decided_to_be_personal_or_not() -> None:
    """A new column that nobody thought about is emptied in a masked file: here is where one is told to decide."""
    undecided = [f"{column.table.fullname}.{column.name}" for column in columns() if not is_decided(column)]
    assert undecided == []


def test_no_byte_of_a_person_is_in_the_file_nor_beside_it(poisoned: Project, masked: Path) -> None:
    assert found(masked) == set()
    assert sorted(entry.name for entry in masked.parent.iterdir()) == ["analytics.duckdb", "var"]
    assert stat.S_IMODE(masked.stat().st_mode) == 0o444


def test_with_none_core_says_nothing_and_what_is_counted_cannot_be_compared(poisoned: Project, masked: Path) -> None:
    """Nothing but `calc` has a token, of a key that nobody has: two such files can't be laid side by side."""
    query = "SELECT external_number FROM core.calls UNION SELECT external_number FROM calc.calls ORDER BY 1"
    path = published(elsewhere(poisoned, "none"), "none")
    (first,), core = read(path, query)
    (second,), _ = read(published(elsewhere(poisoned, "none"), "none"), query)

    assert found(path) == set()
    assert core == (None,)
    assert first.startswith("phone:")
    assert len({first, second, read(masked, query)[0][0]}) == 3


def test_a_killed_publishing_leaves_a_file_that_the_next_one_does_not_write_into(poisoned: Project) -> None:
    project = elsewhere(poisoned, "killed")
    project.publish_path.parent.mkdir()
    left = project.publish_path.with_name(".analytics.duckdb.new")
    left.write_bytes(project.warehouse_path.read_bytes())

    assert found(published(project, "masked")) == set()
    assert not left.exists()


def test_a_phone_is_one_token_in_every_relation_and_every_night_and_another_at_another_company(
    poisoned: Project, masked: Path
) -> None:
    query = """
        SELECT DISTINCT phone FROM (
            SELECT phone FROM core.contact_phones UNION ALL SELECT external_number FROM core.calls
            UNION ALL SELECT external_number FROM calc.calls UNION ALL SELECT phone FROM calc.customer_phones
            UNION ALL SELECT unnest(phones) FROM core.contacts)
    """
    first = read(masked, query)
    again = elsewhere(poisoned, "again")
    second = read(published(again, "masked"), query)
    other = read(published(replace(again, state_dir=poisoned.root / "other"), "masked"), query)

    assert len(first) == 1
    assert first == second
    assert first != other


def test_people_are_named_by_their_ids_and_teams_by_their_names(masked: Path) -> None:
    assert read(masked, "SELECT entity_type, entity_name = entity_id, entity_name FROM facts.kpi ORDER BY 1") == [
        ("manager", True, "x"),
        ("team", False, "Север"),
    ]
    assert read(masked, "SELECT name = person_id FROM core.people") == [(True,)]


def test_a_plain_extension_stays_for_people_are_tied_to_calls_by_it(masked: Path) -> None:
    calls = read(masked, "SELECT call_id, extension FROM core.calls ORDER BY 1")
    assert calls[0] == ("plain", "105")
    assert calls[1][1].startswith("phone:")


def test_the_file_says_what_is_masked_in_it(masked: Path) -> None:
    assert read(masked, "SELECT value FROM meta.settings WHERE name = 'publish.personal_data'") == [('"masked"',)]
    comments = "SELECT comment FROM duckdb_columns() WHERE table_name = 'deals' AND column_name = 'title'"
    assert "Masked" in read(masked, comments)[0][0]


def test_the_key_is_its_owner_s_alone_and_is_not_in_the_file(poisoned: Project, masked: Path) -> None:
    key = poisoned.state_dir / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes().strip() not in masked.read_bytes()

    os.chmod(key, 0o644)
    company_key(poisoned.state_dir)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_spoilt_key_is_told_and_never_replaced(tmp_path: Path) -> None:
    """A new key in its place would make every forgotten person come back."""
    (tmp_path / KEY_FILE).write_text("not a key")
    with pytest.raises(WarehouseError, match="no company key"):
        company_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == "not a key"
