"""`voronka match`, through the command line: a payment is listed, decided, and booked at the next recompute."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.metrics.money_world import MoneyWorld
from tests.voronka.running import Run

CONFIG = """
[company]
timezone = "Europe/Moscow"
[sources.amo]
type = "amocrm"
base_url = "https://x.amocrm.ru"
token = "${T}"
"""
PEOPLE = "person_id,name,team,role,grade,valid_from,valid_to\nA,A,North,manager,,,\n"


@pytest.fixture
def company(tmp_path: Path, empty_files: Path) -> Path:
    shutil.copytree(empty_files, tmp_path / "var")
    with duckdb.connect(str(tmp_path / "var" / "warehouse.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        world = MoneyWorld(connection)
        world.deal("31570042", 100, tax_id="7700000001", title="Насос [bold]")
        world.pay("9f2c41", "12", "90.50", "Оплата", tax="7700000001", payer_name="ООО «Ромашка»")
        world.resolve()
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "people.csv").write_text(PEOPLE, "utf-8")
    return tmp_path


def test_a_payment_is_listed_with_its_candidate_and_the_reason(run: Run, company: Path) -> None:
    told = run("match", "list", "2026-11").stdout
    assert "совпал только ИНН плательщика" in told
    assert "bank:9f2c41" in told
    assert "amo:31570042 · Насос [bold]" in told
    assert "voronka match confirm" in told
    assert "Every customer's payment is on a deal." in run("--lang", "en", "match", "list", "2026-10").stdout


def test_the_list_as_a_document_keeps_every_kopeck(run: Run, company: Path) -> None:
    (payment,) = json.loads(run("match", "list", "--json").stdout)["payments"]
    assert (payment["unmatched"], payment["reason"]) == (90.5, "tax_id_only")
    assert payment["candidates"][0]["deal_id"] == "31570042"


def test_a_decision_is_written_and_books_the_money(run: Run, company: Path) -> None:
    result = run("match", "confirm", "9f2c41", "31570042", "--by", "Анна")
    assert result.exit_code == 0
    assert "voronka recompute 2026-11" in result.stdout
    written = (company / "inputs" / "matches.csv").read_text("utf-8").splitlines()
    assert written[1:] == ["bank,9f2c41,amo,31570042,,Анна,2026-12-01"]
    assert run("recompute", "2026-11").exit_code == 0
    assert json.loads(run("match", "list", "--json").stdout) == {"payments": []}
    with duckdb.connect(str(company / "var" / "warehouse.duckdb"), read_only=True) as connection:
        booked = connection.execute("SELECT deal_id, match_rule FROM core.payment_allocations").fetchall()
    assert booked == [("31570042", "manual")]


def test_a_refused_decision_writes_nothing(run: Run, company: Path) -> None:
    result = run("match", "confirm", "9f2c41", "31570042", "--amount", "100")
    assert result.exit_code == 2
    assert "свободно 90.50 RUB" in result.stderr
    assert not (company / "inputs" / "matches.csv").exists()


def test_a_broken_file_is_not_added_to(run: Run, company: Path) -> None:
    """The line would stand below a mistake that keeps the whole file from being read."""
    path = company / "inputs" / "matches.csv"
    path.write_text("source,payment\nbank,p1\n", "utf-8")
    result = run("match", "confirm", "9f2c41", "31570042")
    assert result.exit_code == 2
    assert "matches.csv:1" in result.stderr
    assert path.read_text("utf-8") == "source,payment\nbank,p1\n"
