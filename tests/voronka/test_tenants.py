"""Several companies in one installation: one command for all, and nothing of one in another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.voronka.running import Run

STATEMENTS = Path(__file__).parent.parent / "connectors" / "onec" / "files"
CONFIG = """
[company]
timezone = "Europe/Moscow"
currency = "RUB"
calendar = "RU"
language = "en"
[sources.bank]
type = "onec"
path = "${STATEMENTS}"
"""
LAKE = '[warehouse]\npath = "ducklake:postgres:dbname={name} host=db.local user={user}"\ndata_path = "{data}"\n'


def make_company(folder: Path, *statements: str, more: str = "") -> Path:
    """A company whose `.env` says where its statements are; both companies call variable and source the same."""
    bank = folder / f"bank-of-{folder.name}"
    bank.mkdir(parents=True)
    for name in statements:
        shutil.copy(STATEMENTS / name, bank)
    (folder / "voronka.toml").write_text(CONFIG + more)
    (folder / ".env").write_text(f"STATEMENTS={bank.name}\n")
    return folder


def payments(folder: Path) -> set[str]:
    with duckdb.connect(str(folder / "analytics.duckdb"), read_only=True) as published:
        return {str(row) for row in published.execute("SELECT payment_id FROM core.payments").fetchall()}


@pytest.mark.e2e
def test_each_company_gets_its_own_records_and_one_that_fails_stops_no_other(run: Run, tmp_path: Path) -> None:
    """A variable, a position or a file of one company used for another; the first error ends the night for all."""
    folder = tmp_path / "companies"
    one = make_company(folder / "one", "example_cp1251.txt")
    other = make_company(folder / "two", "one_day_cp1251.txt")
    make_company(folder / "broken", more="[nonsense]\n")
    alone = make_company(tmp_path / "alone" / "company", "one_day_cp1251.txt")

    together = run("tenants", str(folder), "nightly")
    by_itself = run("tenants", str(alone.parent), "nightly")

    assert (together.exit_code, by_itself.exit_code) == (1, 0), together.output
    assert "broken (2)" in together.output
    assert "nonsense" in together.output
    assert payments(one)
    assert payments(other) == payments(alone) != set()
    assert not payments(one) & payments(other)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('[warehouse]\npath = "../shared.duckdb"\n', '[warehouse]\npath = "../shared.duckdb"\n'),
        ('[publish]\npath = "../shared.duckdb"\n', '[publish]\npath = "../one/../shared.duckdb"\n'),
        (LAKE.format(name="x", user="a", data="a"), LAKE.format(name="x", user="b", data="b")),
        (LAKE.format(name="x", user="a", data="../shared"), LAKE.format(name="y", user="b", data="../shared")),
    ],
)
def test_two_companies_in_one_place_are_refused_before_anything_is_run(
    run: Run, tmp_path: Path, first: str, second: str
) -> None:
    """A copied configuration: the second company's night would overwrite the first one's numbers."""
    folder = tmp_path / "companies"
    make_company(folder / "one", more=first)
    make_company(folder / "two", more=second)
    result = run("--lang", "en", "tenants", str(folder), "nightly")
    assert result.exit_code == 2
    assert "one, two: " in result.output
    assert not list(folder.glob("*/var"))


def test_options_after_the_dashes_are_the_commands_own(run: Run, tmp_path: Path) -> None:
    """`--json` and `--help` would be taken for those of `tenants`."""
    make_company(tmp_path / "companies" / "one")
    result = run("tenants", str(tmp_path / "companies"), "--", "metrics", "--help")
    assert result.exit_code == 0
    assert "voronka metrics" in result.output
    assert "tenants" not in result.output


def test_one_document_holds_what_every_company_said(run: Run, tmp_path: Path) -> None:
    """Documents one behind the other are no JSON."""
    make_company(tmp_path / "companies" / "one")
    make_company(tmp_path / "companies" / "broken", more="[nonsense]\n")
    result = run("tenants", str(tmp_path / "companies"), "--json", "kpi", "2026-11")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["companies"]
    assert [(one["name"], one["status"] != 0, one["said"]) for one in found] == [
        ("broken", True, None),
        ("one", True, None),  # nothing was loaded yet
    ]


@pytest.mark.parametrize("name", ["serve", "tenants", "init", "nonsense"])
def test_what_makes_no_sense_for_all_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    make_company(tmp_path / "companies" / "one")
    assert run("tenants", str(tmp_path / "companies"), name).exit_code == 2


def test_a_folder_without_companies_says_how_to_make_one(run: Run, tmp_path: Path) -> None:
    result = run("--lang", "en", "tenants", str(tmp_path), "nightly")
    assert result.exit_code == 2
    assert "voronka init" in result.output
