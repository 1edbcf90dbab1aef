"""`backup`, `restore`, `forget` and the sizes in `status`, as a person meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine import files_only, make_lake
from tests.voronka.made_up import AS_OF, page
from tests.voronka.running import Run
from voronka.reports.raw_sizes import RawSize, raw_sizes_document, show_raw_sizes

CONFIG = '[company]\ntimezone = "Europe/Moscow"\n\n[sources.files]\ntype = "onec"\npath = "exports"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def test_a_backup_of_nothing_says_so(run: Run, project: Path) -> None:
    result = run("backup", str(project / "copy.zip"))
    assert result.exit_code == 1
    assert "ещё нечего" in result.stderr
    assert not (project / "copy.zip").exists()


def test_what_is_no_backup_is_refused_before_anything_is_touched(run: Run, project: Path) -> None:
    (project / "copy.zip").write_bytes(b"no zip")
    for name in ("copy.zip", "missing.zip"):
        result = run("restore", str(project / name))
        assert result.exit_code == 2
        assert "не резервная копия" in result.stderr


def test_a_stranger_is_wrong_usage_and_no_silent_success(run: Run, project: Path) -> None:
    """Somebody who mistypes a number must not read that everything was removed."""
    result = run("--lang", "en", "forget", "files:77")
    assert result.exit_code == 2
    assert "no phone and no contact" in result.stderr
    assert not (project / "var" / "state" / "forgotten.json").exists()


def test_a_number_nobody_has_is_forgotten_all_the_same(run: Run, project: Path) -> None:
    """It may come with the next load."""
    result = run("--lang", "en", "forget", "8 (916) 123-45-67")
    assert result.exit_code == 0
    assert "finds nothing" in result.stdout
    assert "9161234567" not in (project / "var" / "state" / "forgotten.json").read_text()


def test_maintaining_files_says_in_words_what_was_done(run: Run, project: Path) -> None:
    """A command for lakes that is silent here would be put into cron for nothing, or left out where it helps."""
    nothing = run("maintain")
    assert nothing.exit_code == 1
    assert "ещё нечего" in nothing.stderr
    assert run("sync").exit_code in (0, 1)
    result = run("maintain")
    assert result.exit_code == 0
    assert result.stdout.count("делать нечего") == 2
    found = json.loads(run("maintain", "--json").stdout)
    assert found["lakes"] == []
    assert {Path(one["path"]).name for one in found["files"]} == {"raw.duckdb", "warehouse.duckdb"}
    assert all(one["before"] == one["after"] > 0 for one in found["files"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "postgresql://db/x"], "ducklake:postgres:dbname="),
        (["--to", "ducklake:postgres:dbname=x"], "data_path: is missing"),
        (["--to", "ducklake:postgres:dbname=x password=${NOBODY_SET_THIS}", "--data-path", "d"], "NOBODY_SET_THIS"),
        (["--to", "x.duckdb", "--data-path", "d"], "only for a lake"),
        (["--to", "ducklake:postgres:dbname=x", "--data-path", "s3://b", "--set", "s3_secrt=x"], "s3_secret"),
        (["--to", "ducklake:postgres:dbname=x", "--data-path", "s3://b", "--set", "s3_secret=x"], "both are needed"),
        (["--to", "x.duckdb", "--raw-path", "./x.duckdb"], "the same file"),
        (["--to", "x.duckdb"], "Files are moved into a lake"),
        ([], "missing: '--to'"),
    ],
)
def test_where_nothing_can_be_moved_to_is_told(run: Run, project: Path, arguments: list[str], told: str) -> None:
    result = run("--lang", "en", "move", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (project / "x.duckdb").exists()


@files_only
def test_after_a_move_the_printed_lines_are_a_configuration_that_works(run: Run, project: Path) -> None:
    """Lines that show the password, or that the next command refuses."""
    assert run("sync").exit_code in (0, 1)
    lake = make_lake(project)
    (project / ".env").write_text("LAKE_PASSWORD=never-to-be-seen\n", "utf-8")
    to = f"ducklake:postgres:{lake.address} password=${{LAKE_PASSWORD}}"
    result = run("move", "--to", to, "--data-path", "lake data")
    assert result.exit_code == 0
    assert "never-to-be-seen" not in result.output
    lines = result.stdout[result.stdout.rindex("[warehouse]\n") :].splitlines()[:3]
    assert lines[1:] == [f'path = "{to}"', 'data_path = "lake data"']

    config = project / "voronka.toml"
    config.write_text("\n".join([CONFIG, *lines]), "utf-8")
    status = run("--lang", "en", "status")
    assert status.exit_code == 0
    assert "ATTACH 'ducklake:postgres:" in status.stdout
    assert "never-to-be-seen" not in status.output
    kept = json.loads(run("maintain", "--json").stdout)
    assert [one["lake"] for one in kept["lakes"]] == ["raw", "warehouse"]
    assert run("--lang", "en", "backup", str(project / "copy.zip")).exit_code == 2


def test_sizes_share_the_file_by_what_was_sent() -> None:
    sizes = [
        RawSize(source="amo", stream="leads", records=1200, kept=1000, bytes=3_000_000, oldest_at=AS_OF),
        RawSize(source="amo", stream="events", records=5000, kept=0, bytes=1_000_000, oldest_at=None),
    ]
    sheet, text = page("en")
    show_raw_sizes(sheet, sizes, 8_000_000)
    leads, events = (line.split() for line in text.getvalue().splitlines()[-2:])
    assert leads == ["amo", "leads", "1,200", "1,000", "6.0", "MB", "2026-12-01", "00:00"]
    assert events == ["amo", "events", "5,000", "0", "2.0", "MB", "—"]
    assert raw_sizes_document(sizes)[1]["kept"] == 0
