"""What `make bench` tells: figures side by side are believed, so their ratios and gaps must be right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import Benchmark, main
from benchmarks.measure import run
from benchmarks.summary import Line, page, render

MEBIBYTE = 1024 * 1024


def line(who: str, count: int, cpu_seconds: float, what: str = "load") -> Line:
    return Line(what=what, who=who, count=count, cpu_seconds=cpu_seconds)


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]


def test_ratios_are_of_a_record_and_within_one_work() -> None:
    """A tool that was given a tenth of the records would look ten times as good."""
    table = cells(
        render(
            [
                line("voronka", 1_000, 2.0),
                line("dlt", 100, 2.0),
                line("voronka", 10, 9.0, "other"),
                line("x", 1, 1.0, "?"),
            ]
        )
    )
    assert [row[-1] for row in table] == ["1.00", "10.00", "1.00", "–"]
    assert [row[2] for row in table] == ["1,000", "100", "10", "1"]


def test_what_was_not_measured_is_no_zero() -> None:
    ((*_, wall, memory, _),) = cells(render([line("voronka", 1, 1.0)]))
    assert (wall, memory) == ("–", "–")


def test_a_failed_benchmark_is_told_and_the_others_figures_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An hour of the others would be thrown away, or the table pass for whole."""
    (tmp_path / "sound.py").write_text(
        "from benchmarks.summary import Line\n"
        "def main(arguments):\n"
        "    return [Line(what='w', who='voronka', count=len(arguments), cpu_seconds=1.0)]\n"
    )
    (tmp_path / "broken.py").write_text("def main(arguments):\n    raise AssertionError('5 instead of 6')\n")
    monkeypatch.syspath_prepend(tmp_path)
    told = {name: Benchmark(name, "about", ("--part",)) for name in ("broken", "sound")}

    assert main(["--quick", "--to", str(tmp_path / "all.md")], told) == 1
    text = (tmp_path / "all.md").read_text(encoding="utf-8")
    assert "| w | voronka | 1 | 1.00 |" in text
    assert "Failed: broken: 5 instead of 6" in text
    assert "Not to be quoted" in text
    assert "Not to be quoted" not in page([], [], is_quick=False)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are the system's own figure here")
def test_a_peak_is_the_program_s_own_and_not_of_who_started_it(tmp_path: Path) -> None:
    """The kernel's figure for a finished child begins with its parent's memory at the fork."""
    hog = bytearray(300 * MEBIBYTE)
    hog[::4096] = b"1" * len(hog[::4096])
    command = [sys.executable, "-S", "-c", "import time; time.sleep(0.4)"]
    cost = run(command, cwd=tmp_path, environment={}, log=tmp_path / "log")
    assert 0 < cost.peak_rss <= cost.peak_tree_rss < 100 * MEBIBYTE
    assert len(hog) > cost.peak_tree_rss
