"""The commands that read: on a published file made of a few rows, through the whole command line."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from base.clock import FakeClock
from tests.voronka.running import Run
from warehouse.lock import writer_lock

CONFIG = """
[company]
timezone = "Europe/Moscow"
[sources.amo]
type = "amocrm"
base_url = "https://x.amocrm.ru"
token = "${T}"
"""
ROWS = """
INSERT INTO meta.periods (period, state, starts_on, ends_on) VALUES ('2026-11', 'open', '2026-11-01', '2026-12-01');
INSERT INTO meta.coverage VALUES ('amo', 'leads', '2026-11-30 21:00:00Z', 'crm');
INSERT INTO meta.absent_metrics VALUES ('2026-11', 'win_rate', 'нет карты этапов');
INSERT INTO core.people (person_id, name, team, valid_from) VALUES ('ivanov', 'Иванов', 'Москва', '1900-01-01');
INSERT INTO facts.kpi BY NAME
    SELECT '2026-11' AS period, metric, '' AS variant, '' AS pipeline, entity_type, entity_id, entity_name, num,
        value, unit, currency, 'hard' AS evidence_class, 'additive' AS additivity,
        TIMESTAMPTZ '2026-11-30 21:00:00Z' AS as_of, 'log' AS credit_precision
    FROM (VALUES
        ('revenue_cash', 'company', 'company', 'Компания', 430000.5, 430000.5, 'money', 'RUB'),
        ('revenue_cash', 'manager', 'ivanov', 'Иванов', 430000.5, 430000.5, 'money', 'RUB'),
        ('leads_new', 'company', 'company', 'Компания', 8, 8, 'leads', NULL)
    ) AS given (metric, entity_type, entity_id, entity_name, num, value, unit, currency);
INSERT INTO facts.plan_fact BY NAME
    SELECT '2026-11' AS period, 'revenue_cash' AS metric, 'company' AS entity_type, 'company' AS entity_id,
        500000.0 AS plan, 430000.5 AS fact, 0.860001 AS attainment, 430000.5 AS forecast;
INSERT INTO core.pipeline_stages (source, pipeline_id, stage_id, pipeline_name) VALUES ('amo', '7', '10', 'Основная');
INSERT INTO facts.funnel BY NAME
    SELECT '2026-11' AS period, form, 'amo' AS source, '7' AS pipeline_id, '10' AS from_stage, 'paid' AS to_stage,
        'company' AS entity_type, 'company' AS entity_id, 3 AS num, 8 AS den, 0.375 AS value,
        IF(form = 'cohort', 2, NULL) AS touched, IF(form = 'cohort', 1, NULL) AS strict,
        IF(form = 'cohort', 0.5, NULL) AS maturity, 'Новая' AS from_name, 'paid' AS to_name,
        TIMESTAMPTZ '2026-11-30 21:00:00Z' AS as_of
    FROM (VALUES ('cohort'), ('period')) AS given (form);
INSERT INTO meta.sync_runs VALUES
    ('r1', 'amo', 'leads', '2026-11-30 20:59:00Z', '2026-11-30 21:00:00Z', 'done', 15, 3, 0, NULL),
    ('r2', 'amo', 'leads', '2026-12-01 05:00:00Z', '2026-12-01 05:01:00Z', 'failed', 0, 1, 1, 'Нет связи.'),
    ('r1', 'gone', 'x', '2026-01-01 00:00:00Z', '2026-01-01 00:00:00Z', 'done', 1, 1, 0, NULL);
INSERT INTO meta.rejects VALUES
    ('amo', 'leads', '15', 'wrong_type', 'Сумма не число', '$.price', 'число', '[red]x', 'conform',
    '2026-11-30 21:00:00Z');
"""


@pytest.fixture
def published(tmp_path: Path, empty_files: Path) -> Path:
    """A configuration whose credentials are missing, a warehouse, and the published copy of it."""
    shutil.copytree(empty_files, tmp_path / "var")
    with duckdb.connect(str(tmp_path / "var" / "warehouse.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(ROWS)
    shutil.copy(tmp_path / "var" / "warehouse.duckdb", tmp_path / "analytics.duckdb")
    (tmp_path / "analytics.duckdb").chmod(0o444)
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def test_kpi_reads_the_published_file_without_credentials(run: Run, published: Path) -> None:
    shutil.rmtree(published / "var")
    result = run("kpi", "2026-11")
    assert result.exit_code == 0
    assert "430 001 ₽" in result.stdout
    assert "86,0 %" in result.stdout
    assert "Менеджеры: Москва" in result.stdout
    assert "Доля выигранных: нет карты этапов" in result.stdout
    assert "Данные полны: amo (CRM) — до 01.12.2026 00:00." in result.stdout


def test_kpi_of_one_metric_tells_only_its_own_absence(run: Run, published: Path) -> None:
    result = run("kpi", "2026-11", "--metric", "revenue_cash", "--by", "manager")
    assert "Иванов" in result.stdout
    assert "Компания" not in result.stdout
    assert "Не посчитано" not in result.stdout


def test_kpi_json_is_one_document_with_exact_numbers(run: Run, published: Path) -> None:
    document = json.loads(run("kpi", "2026-11", "--json").stdout)
    found = {(fact["metric"], fact["entity_type"]): fact for fact in document["facts"]}
    assert found["revenue_cash", "company"]["num"] == 430000.5
    assert found["revenue_cash", "company"]["plan"] == 500000
    assert document["absent"] == [{"metric": "win_rate", "reason": "нет карты этапов"}]


def test_a_period_that_was_not_computed_says_what_to_run(run: Run, published: Path) -> None:
    result = run("kpi", "2026-10")
    assert result.exit_code == 2
    assert "voronka recompute 2026-10" in result.stderr


def test_several_periods_in_json_are_a_list(run: Run, published: Path) -> None:
    with duckdb.connect(str(_writable(published / "analytics.duckdb"))) as connection:
        connection.execute("INSERT INTO meta.periods (period, state) VALUES ('2026-10', 'open')")
    documents = json.loads(run("kpi", "2026-10..2026-11", "--json").stdout)
    assert [document["period"] for document in documents] == ["2026-10", "2026-11"]


def test_funnel_shows_both_forms_and_marks_an_immature_cohort(run: Run, published: Path) -> None:
    result = run("funnel", "2026-11", "--pipeline", "Основная")
    assert result.stdout.count("37,5 %") == 4
    assert result.stdout.count("незрелая когорта") == 1
    one = run("funnel", "2026-11", "--form", "period", "--json")
    assert [row["form"] for row in json.loads(one.stdout)["rows"]] == ["period"]


@pytest.mark.parametrize(("convention", "num"), [("passed", 3), ("touched", 2), ("strict", 1)])
def test_funnel_counts_a_cohort_by_each_convention(run: Run, published: Path, convention: str, num: int) -> None:
    """Numbers of another convention under the usual heading, or a period form that was never counted so."""
    shown = run("funnel", "2026-11", "--form", "cohort", "--convention", convention)
    assert f"{num} из 8" in shown.stdout
    document = json.loads(run("funnel", "2026-11", "--convention", convention, "--json").stdout)
    assert document["convention"] == convention
    cohort = [row for row in document["rows"] if row["form"] == "cohort"]
    assert [(row["num"], row["den"], row["value"]) for row in cohort] == [(num, 8, num / 8)]
    assert [row["form"] for row in document["rows"]] == ["cohort", "period"][: 2 if convention == "passed" else 1]


def test_the_period_form_has_no_stricter_convention(run: Run, published: Path) -> None:
    result = run("funnel", "2026-11", "--form", "period", "--convention", "strict")
    assert result.exit_code == 2
    assert "--form cohort" in result.stderr


def test_funnel_of_an_unknown_pipeline_names_the_known_ones(run: Run, published: Path) -> None:
    result = run("funnel", "2026-11", "--pipeline", "8")
    assert result.exit_code == 2
    assert "7 (Основная)" in result.stderr


def test_explain_of_an_absent_metric_says_why(run: Run, published: Path) -> None:
    result = run("explain", "2026-11", "win_rate")
    assert result.exit_code == 2
    assert "нет карты этапов" in result.stderr


# ── sql ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sql_prints_a_table_csv_or_json(run: Run, published: Path) -> None:
    query = "SELECT metric, num FROM facts.kpi WHERE entity_type = 'company' ORDER BY metric"
    assert run("sql", query).stdout.splitlines()[2].split() == ["leads_new", "8.000000"]
    rows = list(csv.DictReader(io.StringIO(run("sql", "--csv", query).stdout)))
    assert rows[1] == {"metric": "revenue_cash", "num": "430000.500000"}
    assert json.loads(run("sql", "--json", query).stdout)[1] == {"metric": "revenue_cash", "num": 430000.5}


def test_sql_reads_the_query_from_standard_input(run: Run, published: Path) -> None:
    assert json.loads(run("sql", "--json", text="SELECT 1 AS one").stdout) == [{"one": 1}]


def test_sql_counts_days_on_the_company_clock(run: Run, published: Path) -> None:
    """21:00 UTC is already tomorrow in Moscow."""
    query = "SELECT as_of::DATE AS day FROM facts.kpi LIMIT 1"
    assert json.loads(run("sql", "--json", query).stdout) == [{"day": "2026-12-01"}]


@pytest.mark.parametrize(
    "query", ["DELETE FROM facts.kpi", "CREATE TABLE x (a INT)", "SELEC 1", "SELECT nothing FROM facts.kpi", "  "]
)
def test_sql_refuses_what_it_can_not_run(run: Run, published: Path, query: str) -> None:
    result = run("sql", query)
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


def test_sql_says_when_it_shows_only_the_first_rows(run: Run, published: Path) -> None:
    result = run("sql", "SELECT range AS n FROM range(1500)")
    assert result.stdout.count("\n") == 1000 + 2
    assert "1000" in result.stderr
    assert run("sql", "--csv", "SELECT range AS n FROM range(1500)").stdout.count("\n") == 1501


# ── how loading stands ──────────────────────────────────────────────────────────────────────────────────────────


def test_status_tells_the_last_run_and_ignores_sources_that_are_gone(run: Run, published: Path) -> None:
    result = run("status")
    assert result.exit_code == 0
    assert "amo/leads: Нет связи." in result.stdout
    assert "gone" not in result.stdout
    assert "read_only=True" in result.stdout


@pytest.mark.parametrize(("max_age", "status"), [("9h", 0), ("8h", 1)])
def test_status_measures_age_from_the_last_success(run: Run, published: Path, max_age: str, status: int) -> None:
    """The clock stands at 06:00 UTC; the last success ended at 21:00, the failure after it counts for nothing."""
    os.utime(published / "analytics.duckdb", times=(datetime(2026, 12, 1, 5, tzinfo=UTC).timestamp(),) * 2)
    assert run("status", "--max-age", max_age).exit_code == status


def test_status_is_not_fresh_while_the_analysts_file_is_old(run: Run, published: Path) -> None:
    """A night that loads and then fails to compute keeps every stream fresh."""
    os.utime(published / "analytics.duckdb", times=(datetime(2026, 11, 29, tzinfo=UTC).timestamp(),) * 2)
    result = run("status", "--max-age", "26h")
    assert result.exit_code == 1
    assert "Файл для аналитиков устарел: опубликован 29.11.2026" in result.stdout


def test_status_shows_the_published_picture_while_a_night_runs(run: Run, published: Path) -> None:
    """It neither waits for hours nor fails: it says whose picture it is."""
    clock = FakeClock(datetime(2026, 12, 1, tzinfo=UTC))
    with writer_lock(published / "var" / "warehouse.duckdb", command="nightly", clock=clock, wait_seconds=0):
        result = run("status")
    assert result.exit_code == 0
    assert "nightly" in result.stdout
    assert "analytics.duckdb" in result.stdout.splitlines()[0]


def test_status_json(run: Run, published: Path) -> None:
    document = json.loads(run("status", "--json", "--max-age", "1h").stdout)
    stream = document["streams"][0]
    assert (stream["last_status"], stream["last_done_at"], stream["is_stale"]) == (
        "failed",
        "2026-11-30T21:00:00Z",
        True,
    )
    assert document["status"] == "failed"


def test_rejects_say_where_what_was_expected_and_what_stood_there(run: Run, published: Path) -> None:
    result = run("rejects", "amo")
    for part in ("amo/leads 15", "$.price", "Сумма не число", "ожидалось: число; стоит: [red]x", "raw.duckdb"):
        assert part in result.stdout
    assert json.loads(run("rejects", "--json").stdout)["rejects"][0]["got"] == "[red]x"


def test_inputs_check_exits_1_and_names_file_and_line(run: Run, published: Path) -> None:
    folder = published / "inputs"
    folder.mkdir()
    (folder / "people.csv").write_text(
        "person_id,name,team,role,grade,valid_from,valid_to\na,A,,,,31.11.2026,\n", "utf-8"
    )
    result = run("inputs", "check")
    assert result.exit_code == 1
    assert "people.csv:2" in result.stdout


def test_inputs_draft_lists_what_it_wrote(run: Run, published: Path) -> None:
    result = run("inputs", "draft", "--json")
    assert result.exit_code == 0
    files = {Path(file["path"]).name: file for file in json.loads(result.stdout)["files"]}
    assert files["stages.csv"]["rows"] == 1
    assert (published / "inputs" / "stages.csv").is_file()


def _writable(path: Path) -> Path:
    path.chmod(0o644)
    return path


# ── for machines that watch ─────────────────────────────────────────────────────────────────────────────────────


def test_textfile_holds_what_monitoring_asks(run: Run, published: Path) -> None:
    """A failed last run must not look like a success, and the last success must keep its time."""
    target = published / "voronka.prom"
    assert run("status", "--textfile", str(target)).exit_code == 0
    samples = dict(line.rsplit(" ", 1) for line in target.read_text().splitlines() if not line.startswith("#"))
    labels = '{source="amo",stream="leads"}'
    success = datetime(2026, 11, 30, 21, tzinfo=UTC).timestamp()
    assert float(samples[f"voronka_stream_last_success_timestamp_seconds{labels}"]) == success
    assert float(samples[f"voronka_stream_complete_until_timestamp_seconds{labels}"]) == success
    assert float(samples[f"voronka_stream_last_run_succeeded{labels}"]) == 0
    assert float(samples[f"voronka_stream_rejects{labels}"]) == 1
    size = (published / "analytics.duckdb").stat().st_size
    assert float(samples['voronka_file_size_bytes{file="published"}']) == size
    assert not any("gone" in name for name in samples)


def test_textfile_that_cannot_be_written_is_told(run: Run, published: Path) -> None:
    result = run("status", "--textfile", str(published / "no" / "such" / "voronka.prom"))
    assert result.exit_code == 1
    assert "Не записать" in result.stderr


def test_json_log_tells_the_error_and_how_the_command_ended(run: Run, published: Path) -> None:
    """A log collector reads stderr line by line: a line that is no JSON is lost on it."""
    result = run("--log", "json", "kpi", "2026-11", "--metric", "revenu_cash")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["error", "command"]
    assert lines[0]["level"] == "error"
    assert lines[0]["exit_status"] == lines[1]["exit_status"] == result.exit_code == 2
    assert "revenu_cash" in lines[0]["message"]
    assert lines[1]["command"] == "kpi"
    assert all(line["time"].endswith("+00:00") for line in lines)
