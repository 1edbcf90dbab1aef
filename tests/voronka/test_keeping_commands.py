"""`backup`, `restore`, `forget` and the sizes in `status`, as a person meets them."""

from __future__ import annotations

from pathlib import Path

import pytest

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
