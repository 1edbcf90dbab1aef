"""`voronka flags`, `voronka plan` and plans in `voronka kpi`, on a published file made of a few rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.voronka.running import Run

CONFIG = """
[company]
timezone = "Europe/Moscow"
"""
ROWS = """
INSERT INTO meta.periods (period, state, starts_on, ends_on) VALUES
    ('2026-11', 'open', '2026-11-01', '2026-12-01'), ('2026-12', 'open', '2026-12-01', '2027-01-01');
INSERT INTO core.people (person_id, name, team, valid_from, valid_to) VALUES
    ('ivanov', 'Иванов', 'Север', '1900-01-01', '2026-11-17'), ('ivanov', 'Иванов', 'Юг', '2026-11-18', NULL),
    ('petrova', 'Петрова', 'Север', '1900-01-01', NULL);
INSERT INTO core.deals (source, deal_id, url) VALUES ('amo', '4', 'https://x.amocrm.ru/leads/detail/4');
INSERT INTO core.calendar SELECT unnest(generate_series(DATE '2026-12-01', DATE '2026-12-31', INTERVAL 1 DAY))::DATE,
    8, 'country';
UPDATE core.calendar SET hours = 0 WHERE isodow(day) > 5 OR day >= '2026-12-29';
INSERT INTO facts.flags VALUES
    ('2026-11', 'I-01', 'amo', '4', 'deal', 'ivanov', '2026-11-18 14:00:00Z', 'Выиграна, не оплачена.', 'amo', '4'),
    ('2026-11', 'I-02', 'bank', '7', 'payment', NULL, '2026-11-26 20:59:59Z', 'Без сделки.', NULL, NULL);
INSERT INTO meta.period_flags VALUES
    ('2026-11', 'I-01', '2026-11-30 21:00:00Z', 'x', NULL), ('2026-11', 'I-11', NULL, 'x', 'нет журнала переносов');
INSERT INTO core.plans (period, entity_type, entity_id, metric, value) VALUES
    ('2026-12', 'company', 'company', 'revenue_cash', 3000000), ('2026-12', 'company', 'company', 'avg_check', 150000),
    ('2026-12', 'company', 'company', 'calls_successful', 1000),
    ('2026-12', 'company', 'company', 'call_to_meeting_rate', 0.02),
    ('2026-12', 'company', 'company', 'meetings_held', 20);
INSERT INTO facts.kpi BY NAME
    SELECT '2026-12' AS period, metric, variant, '' AS pipeline, 'company' AS entity_type, 'company' AS entity_id,
        'Компания' AS entity_name, num, value, unit, currency, 'hard' AS evidence_class, additivity,
        TIMESTAMPTZ '2026-12-15 21:00:00Z' AS as_of, 'log' AS credit_precision
    FROM (VALUES
        ('revenue_cash', '', 2398800, 2398800, 'money', 'RUB', 'additive'),
        ('plan_attainment', 'metric=revenue_cash', 2398800, 0.7996, 'ratio', NULL, 'derived'),
        ('forecast_run_rate', 'metric=revenue_cash', NULL, 4797600, 'money', 'RUB', 'derived')
    ) AS given (metric, variant, num, value, unit, currency, additivity);
"""


@pytest.fixture
def published(tmp_path: Path, empty_files: Path) -> Path:
    shutil.copy(empty_files / "warehouse.duckdb", tmp_path / "analytics.duckdb")
    with duckdb.connect(str(tmp_path / "analytics.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(ROWS)
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def rewrite(published: Path, statement: str) -> None:
    with duckdb.connect(str(published / "analytics.duckdb")) as connection:
        connection.execute(statement)


# ── flags ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_flags_are_grouped_with_person_record_card_and_words(run: Run, published: Path) -> None:
    result = run("flags", "2026-11")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    heading = lines.index("I-01 · «Успешно» без оплаты: 1")
    rule = lines.index(next(line for line in lines[heading:] if line.startswith("─")))  # its words may wrap
    row = lines[rule + 1].split()
    assert row[:3] == ["18.11.2026", "17:00", "Иванов"]
    assert "https://x.amocrm.ru/leads/detail/4" in result.stdout
    assert "I-11 Дата закрытия отодвигается: нет журнала переносов" in result.stdout
    assert "grace_days" in lines[heading + 1]


@pytest.mark.parametrize(
    ("options", "records"),
    [
        (["--who", "Иванов"], ["4"]),
        (["--who", "юг"], ["4"]),  # the team of the day, not the one before
        (["--who", "Север"], []),
        (["--who", "unassigned"], ["7"]),
        (["--flag", "i-02"], ["7"]),
        ([], ["4", "7"]),
    ],
)
def test_flags_of_somebody_or_of_one_kind(run: Run, published: Path, options: list[str], records: list[str]) -> None:
    document = json.loads(run("flags", "2026-11", "--json", *options).stdout)
    assert [flag["record_id"] for flag in document["flags"]] == records


def test_flags_json_tells_rules_and_what_was_not_looked_for(run: Run, published: Path) -> None:
    document = json.loads(run("--lang", "en", "flags", "2026-11", "--json").stdout)
    first = document["flags"][0]
    assert (first["flag"], first["label"], first["person_id"]) == ("I-01", "Won without payment", "ivanov")
    assert (first["occurred_at"], first["url"]) == ("2026-11-18T14:00:00Z", "https://x.amocrm.ru/leads/detail/4")
    rules = {rule["flag"]: rule["absent"] for rule in document["rules"]}
    assert len(rules) == 16
    assert (rules["I-01"], rules["I-11"]) == (None, "нет журнала переносов")


@pytest.mark.parametrize("options", [["--who", "Сидоров"], ["--flag", "I-17"]])
def test_whoever_and_whatever_is_not_there_is_answered_with_what_is(
    run: Run, published: Path, options: list[str]
) -> None:
    result = run("flags", "2026-11", *options)
    assert result.exit_code == 2
    assert "Петрова" in result.stderr or "I-16" in result.stderr


# ── plan ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_decompose_goes_from_the_revenue_to_a_days_calls(run: Run, published: Path) -> None:
    result = run("plan", "decompose", "2026-12", "--meeting-to-paid", "25%")
    assert result.exit_code == 0
    rows = {line[:34].strip(): line[34:].split() for line in result.stdout.splitlines()}
    assert rows["= оплаченных сделок"][0] == "20"
    assert rows["= встреч"] == ["80", "20"]
    assert rows["= успешных звонков"] == ["4", "000", "1", "000"]
    assert rows["/ рабочих дней"] == ["20"]
    assert rows["= звонков в день"] == ["200"]


def test_decompose_says_what_it_does_not_know(run: Run, published: Path) -> None:
    result = run("plan", "decompose", "2026-12")
    assert "Неизвестно: доля встреч, дошедших до оплаты." in result.stdout


def test_decompose_takes_a_revenue_nobody_planned(run: Run, published: Path) -> None:
    options = ["--revenue", "1500000", "--avg-check", "150000", "--json"]
    document = json.loads(run("plan", "decompose", "2026-11", *options).stdout)
    steps = {step["name"]: step["value"] for step in document["decompositions"][0]["steps"]}
    assert (steps["revenue_cash"], steps["deals_paid"]) == (1_500_000, 10)
    assert run("plan", "decompose", "2026-11").exit_code == 2


@pytest.mark.parametrize("share", ["25", "0", "-0.1", "abc", "101%"])
def test_a_share_that_is_none_is_refused(run: Run, published: Path, share: str) -> None:
    """25 for a quarter would plan four meetings for a hundred deals."""
    result = run("plan", "decompose", "2026-12", f"--meeting-to-paid={share}")
    assert result.exit_code == 2
    assert "25%" in result.stderr


def test_check_reports_the_guides_own_plan(run: Run, published: Path) -> None:
    result = run("plan", "check", "2026-12")
    assert result.exit_code == 1
    assert "Оплаченные сделки — 20, Проведённые встречи — 20, то есть доля 100,0 %" in result.stdout
    document = json.loads(run("plan", "check", "2026-12", "--json").stdout)
    (finding,) = document["findings"]
    assert (finding["kind"], finding["before"], finding["implied"]) == ("implausible", "meetings_held", 1)
    assert document["status"] == "failed"


def test_check_of_plans_that_fit_is_done(run: Run, published: Path) -> None:
    rewrite(published, "UPDATE core.plans SET value = 80 WHERE metric = 'meetings_held'")
    rewrite(published, "UPDATE core.plans SET value = 4000 WHERE metric = 'calls_successful'")
    result = run("plan", "check", "2026-12")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Планы сходятся.")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE core.plans SET value = 0 WHERE metric = 'avg_check'", "Средний чек: план 0 ₽."),
        ("UPDATE core.plans SET value = 100 WHERE metric = 'meetings_held'", "Проведённые встречи: в плане 100, а"),
        (
            "INSERT INTO core.plans (period, entity_type, entity_id, metric, value) VALUES"
            " ('2026-12', 'team', 'Север', 'revenue_cash', 2000000)",
            "Выручка (поступления): план 3 000 000 ₽, а планы уровнем ниже в сумме дают 2 000 000 ₽.",
        ),
    ],
)
def test_check_says_what_does_not_fit(run: Run, published: Path, statement: str, said: str) -> None:
    rewrite(published, statement)
    result = run("plan", "check", "2026-12")
    assert result.exit_code == 1
    assert said in result.stdout


# ── attainment and forecast ─────────────────────────────────────────────────────────────────────────────────────


def test_attainment_is_cut_and_never_rounded_up(run: Run, published: Path) -> None:
    """79.96 % shows as 79.9 %: a shown 80.0 % has really been reached."""
    result = run("kpi", "2026-12", "--metric", "plan_attainment")
    assert "79,9 %" in result.stdout
    assert "Выручка (поступления)" in result.stdout


def test_the_forecast_of_a_metric_is_shown_with_its_name(run: Run, published: Path) -> None:
    result = run("kpi", "2026-12", "--metric", "forecast_run_rate")
    assert "Выручка (поступления)" in result.stdout
    assert "4 797 600 ₽" in result.stdout


def test_a_metric_without_a_plan_has_its_forecast_in_json(run: Run, published: Path) -> None:
    document = json.loads(run("kpi", "2026-12", "--metric", "revenue_cash", "--json").stdout)
    assert [fact["forecast"] for fact in document["facts"]] == [4_797_600]


def test_kpi_of_a_pipeline_shows_its_rows_in_place_of_the_plain_ones(run: Run, published: Path) -> None:
    rewrite(
        published,
        "INSERT INTO facts.kpi SELECT * REPLACE ('pipeline=7' AS variant, '7' AS pipeline, 10 AS num, 10 AS value)"
        " FROM facts.kpi WHERE metric = 'revenue_cash'; INSERT INTO core.pipeline_stages"
        " (source, pipeline_id, stage_id, pipeline_name) VALUES ('amo', '7', '10', 'Основная')",
    )
    result = run("kpi", "2026-12", "--pipeline", "Основная")
    assert "10 ₽" in result.stdout
    assert "2 398 800" not in result.stdout
    assert run("kpi", "2026-12", "--pipeline", "8").exit_code == 2


def test_a_file_of_another_version_is_told_apart(run: Run, published: Path) -> None:
    """The first command after an update would answer with a crash report until the next night."""
    rewrite(published, "UPDATE meta.schema_revision SET version_num = 'earlier'")
    answer = run("flags", "2026-11")
    assert answer.exit_code != 0
    assert "voronka publish" in answer.stderr
    assert "SELECT" not in answer.stderr
