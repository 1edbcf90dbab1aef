"""`inputs draft` and `inputs check`: what the sources say, and what nobody has been told."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.errors import InputError
from metrics.inputs import check_inputs, draft_inputs, load_inputs
from metrics.inputs.guess import guess_stage
from metrics.inputs.slug import make_slug, name_key
from metrics.settings import Company
from tests.metrics.fixture_core import COMPANY, Batch, Crm, add_call, empty_warehouse, fresh_clock, insert


def company(folder: Path) -> Company:
    return replace(COMPANY, inputs_dir=folder)


def sources() -> duckdb.DuckDBPyConnection:
    """A CRM and a telephony: e-mail, extension and name each join one pair; two namesakes stay apart."""
    connection = empty_warehouse()
    users = [
        ("amo", "101", "Анна Петрова", "anna@example.com", None),
        ("amo", "102", "Борис Щукин", None, None),
        ("amo", "103", "Иван Иванов", "ivan1@example.com", None),
        ("amo", "104", "Иван Иванов", "ivan2@example.com", None),
        ("mango", "9001", "Отдел продаж 1", "anna@example.com", "11"),
        ("mango", "9002", "Щукин Борис", None, "12"),
        ("mango", "9003", "Иванов Иван", None, "13"),
        ("mango", "9004", "Секретарь", None, None),
    ]
    insert(
        connection,
        "core.users",
        [
            {"source": source, "external_id": user, "name": name, "email": email, "extension": extension}
            for source, user, name, email, extension in users
        ],
    )
    stages = [
        ("1", "Неразобранное", 5, "unsorted"),
        ("10", "Первичный контакт", 10, None),
        ("20", "Квалификация", 20, None),
        ("30", "Встреча назначена", 30, None),
        ("40", "Думают", 40, None),
        ("142", "Успешно реализовано", 10000, "won"),
        ("143", "Закрыто и не реализовано", 11000, "lost"),
    ]
    insert(
        connection,
        "core.pipeline_stages",
        [
            {"source": "amo", "pipeline_id": "7", "stage_id": stage, "stage_name": name, "position": position,
             "system_kind": system}
            for stage, name, position, system in stages
        ],
    )  # fmt: skip
    return connection


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_accounts_of_one_person_become_one_person(tmp_path: Path) -> None:
    draft_inputs(sources(), company(tmp_path), tmp_path)
    people = {row["person_id"]: row["name"] for row in read(tmp_path / "people.csv")}
    assert people == {
        "anna_petrova": "Анна Петрова",
        "boris_shchukin": "Борис Щукин",
        "ivan_ivanov": "Иван Иванов",
        "ivan_ivanov_2": "Иван Иванов",
        "ivanov_ivan": "Иванов Иван",
        "sekretar": "Секретарь",
    }
    identities = [(row["person_id"], row["source"], row["external_id"]) for row in read(tmp_path / "identities.csv")]
    assert sorted(identities) == [
        ("anna_petrova", "amo", "101"), ("anna_petrova", "mango", "11"),
        ("boris_shchukin", "amo", "102"), ("boris_shchukin", "mango", "12"),
        ("ivan_ivanov", "amo", "103"), ("ivan_ivanov_2", "amo", "104"),
        ("ivanov_ivan", "mango", "13"), ("sekretar", "mango", "9004"),
    ]  # fmt: skip


def test_draft_is_valid_input_and_guesses_are_marked_as_such(tmp_path: Path) -> None:
    connection = sources()
    report = draft_inputs(connection, company(tmp_path), tmp_path)
    assert {file.path.name: (file.rows, file.guesses) for file in report.files} == {
        "stages.csv": (7, 4), "people.csv": (6, 0), "identities.csv": (8, 0),
    }  # fmt: skip
    load_inputs(connection, company(tmp_path), fresh_clock())
    found = connection.execute("SELECT name, kind, is_guess FROM core.stages ORDER BY position").fetchall()
    assert found == [
        ("Неразобранное", "service", False),
        ("Первичный контакт", "base", True),
        ("Квалификация", "qualified", True),
        ("Встреча назначена", "meeting", True),
        ("Думают", "service", True),
        ("Успешно реализовано", "won", False),
        ("Закрыто и не реализовано", "lost", False),
    ]


def test_second_draft_adds_only_what_is_missing_and_touches_no_input(tmp_path: Path) -> None:
    connection = sources()
    draft_inputs(connection, company(tmp_path), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert draft_inputs(connection, company(tmp_path), tmp_path).files == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    # A second extension of somebody known, a newcomer, a new stage.
    insert(
        connection,
        "core.users",
        [{"source": "mango", "external_id": "9005", "name": "Петрова Анна", "extension": "15"}],
    )
    insert(connection, "core.users", [{"source": "amo", "external_id": "105", "name": "Вера Новая"}])
    stage = {"source": "amo", "pipeline_id": "7", "stage_id": "50", "stage_name": "Счёт выставлен", "position": 50}
    insert(connection, "core.pipeline_stages", [stage])
    draft_inputs(connection, company(tmp_path), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert [row["person_id"] for row in read(tmp_path / "people.new.csv")] == ["vera_novaya"]
    assert [(row["person_id"], row["external_id"]) for row in read(tmp_path / "identities.new.csv")] == [
        ("vera_novaya", "105"),
        ("anna_petrova", "15"),
    ]
    (row,) = read(tmp_path / "stages.new.csv")
    assert (row["kind"], row["guess"]) == ("invoice", "guess")


def test_merged_rows_leave_no_stale_draft(tmp_path: Path) -> None:
    connection = sources()
    draft_inputs(connection, company(tmp_path), tmp_path)
    (tmp_path / "people.new.csv").write_text("person_id,name,team,role,grade,valid_from,valid_to\n")
    draft_inputs(connection, company(tmp_path), tmp_path)
    assert not (tmp_path / "people.new.csv").exists()


def test_unreadable_input_stops_the_draft_before_anything_is_written(tmp_path: Path) -> None:
    """A draft beside a broken people.csv would name everybody anew."""
    (tmp_path / "people.csv").write_text("who\nme\n")
    with pytest.raises(InputError):
        draft_inputs(sources(), company(tmp_path), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


@pytest.mark.parametrize(
    ("name", "system_kind", "is_first", "kind"),
    [
        ("Отказ после встречи", None, False, "lost"),
        ("КП отправлено", None, False, "offer"),
        ("Счёт оплачен", None, False, "invoice"),
        ("Closed Won", None, False, "won"),
        ("Новая заявка", None, False, "base"),
        ("Что-то своё", None, True, "base"),
        ("Что-то своё", None, False, "service"),
        (None, None, False, "service"),
    ],
)
def test_stage_names_mean(name: str | None, system_kind: str | None, is_first: bool, kind: str) -> None:
    assert guess_stage(name, system_kind, is_first=is_first).kind == kind


def test_slugs_are_readable_and_names_compare_by_words() -> None:
    assert make_slug("Ёлкина-Щербак  Юлия (МСК)") == "elkina_shcherbak_yuliya_msk"
    assert make_slug("Әсем Құралай") == "asem_kuralay"
    assert make_slug("张伟") == ""
    assert name_key("Пётр Ёлкин") == name_key("елкин петр")
    assert name_key("Анна") == ""


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────────────


def findings(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[tuple[Any, ...]]:
    report = check_inputs(connection, company(folder))
    return [(found.kind, found.source, found.external_id, found.name, found.records) for found in report.findings]


def with_records() -> duckdb.DuckDBPyConnection:
    connection = sources()
    batch = Batch()
    crm = Crm(batch)
    crm.deal("D1", "101", "05 10:00", [("06 10:00", "qualified")])
    crm.deal("D2", "999", "05 10:00")
    crm.owner("D2", "06 10:00", "0", "999")
    add_call(batch, "C1", "05 10:00", "11", "out", "+79160000001", 60)
    add_call(batch, "C2", "05 10:00", "77", "out", "+79160000001", 60)
    add_call(batch, "C3", "05 10:00", None, "in", "+79160000001", 0)
    batch.flush(connection)
    return connection


def test_check_lists_whom_and_what_is_unassigned(tmp_path: Path) -> None:
    connection = with_records()
    draft_inputs(connection, company(tmp_path), tmp_path)
    (tmp_path / "stages.csv").write_text(
        "source,pipeline_id,stage_id,name,position,kind,valid_from,guess\n"
        + "".join(f"amo,7,{stage},S,{place},base,,\n" for place, stage in enumerate((1, 10, 30, 40, 142)))
        + "amo,7,143,Closed,9,lost,,guess\n"
    )
    (tmp_path / "lines.csv").write_text("source,line,team\nmnago,74951234567,Nord\n")
    assert findings(connection, tmp_path) == [
        ("user", "amo", "999", "", 1),
        ("extension", "mango", "77", "", 1),
        ("stage", "amo", "7/20", "Квалификация", 2),
        ("guess", "amo", "7/143", "Closed → lost", 0),
        ("line", "mango", "74951234567", "", 1),
        ("team", "mnago", "74951234567", "Nord", 0),
        ("source", "mnago", "", "", 1),
    ]


def test_check_counts_what_nobody_gets_now_apart_from_what_nobody_got_long_ago(tmp_path: Path) -> None:
    """An extension that rang yesterday must stand out from one that fell silent a year ago."""
    connection = with_records()
    batch = Batch()
    add_call(batch, "C4", "05 10:30", "88", "out", "+79160000001", 60)
    add_call(batch, "C5", "05 10:40", "77", "in", "+79160000001", 5)
    batch.flush(connection)
    connection.execute(
        "UPDATE core.calls SET local_date = DATE '2025-11-05', started_at = started_at - INTERVAL 365 DAY"
        " WHERE call_id IN ('C4', 'C5')"
    )
    report = check_inputs(connection, company(tmp_path))
    counts = {
        (f.kind, f.external_id): (f.records, f.recent) for f in report.findings if f.kind in ("user", "extension")
    }
    assert counts[("extension", "77")] == (2, 1)
    assert counts[("extension", "88")] == (1, 0)
    assert counts[("user", "999")] == (1, 1)


def test_check_lists_accounts_that_work_and_are_nobodys_before_they_cost_a_record(tmp_path: Path) -> None:
    """A newcomer's first call would be nobody's; who left the firm, and who has an identity, is not listed."""
    connection = sources()
    connection.execute("UPDATE core.users SET is_active = FALSE WHERE external_id = '104'")
    (tmp_path / "people.csv").write_text("person_id,name,team,role,grade,valid_from,valid_to\nanna,Анна,,,,,\n")
    (tmp_path / "identities.csv").write_text(
        "person_id,source,external_id,valid_from,valid_to\nanna,mango,11,,\nanna,amo,101,,\n"
    )
    assert [row for row in findings(connection, tmp_path) if row[0] in ("user", "extension")] == [
        ("user", "amo", "102", "Борис Щукин", 0),
        ("user", "amo", "103", "Иван Иванов", 0),
        ("extension", "mango", "12", "Щукин Борис", 0),
        ("extension", "mango", "13", "Иванов Иван", 0),
        ("extension", "mango", "9004", "Секретарь", 0),
    ]


def test_check_sees_an_identity_that_ended_before_the_record(tmp_path: Path) -> None:
    connection = with_records()
    (tmp_path / "people.csv").write_text(
        "person_id,name,team,role,grade,valid_from,valid_to\nanna,Анна,,,,,\nidle,Idle,,,,,\n"
    )
    (tmp_path / "identities.csv").write_text(
        "person_id,source,external_id,valid_from,valid_to\nanna,mango,11,,2026-11-04\nanna,amo,101,,\nanna,mango,77,,\n"
    )
    found = findings(connection, tmp_path)
    assert ("extension", "mango", "11", "Отдел продаж 1", 1) in found
    assert not [row for row in found if row[0] == "extension" and row[2] == "77"]
    assert ("person", "", "idle", "Idle", 0) in found


def test_check_writes_nothing_and_names_problems(tmp_path: Path) -> None:
    connection = with_records()
    (tmp_path / "people.csv").write_text("person_id,name,team,role,grade,valid_from,valid_to\nanna,Анна,,,,soon,\n")
    report = check_inputs(connection, company(tmp_path))
    assert [problem.render("en") for problem in report.problems] == [
        "people.csv:2: valid_from: expected a date YYYY-MM-DD, got 'soon'"
    ]
    assert connection.execute("SELECT count(*) FROM core.people").fetchall() == [(0,)]
    left = connection.execute("SELECT view_name FROM duckdb_views() WHERE starts_with(view_name, 'check_')").fetchall()
    assert left == [("check_constraints",)]  # the engine's own
