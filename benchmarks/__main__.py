"""`python -m benchmarks [NAME…] [--quick] [--to FILE]`: the named benchmarks, or all of them, one after the other.

Each prints its tables in Markdown, and one table closes the run: what, who, CPU, wall time, memory, and the ratio to
voronka. `--quick` runs each on a part of the data: to see that it works, not to be quoted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.measure import RunFailedError
from benchmarks.summary import Line, page


@dataclass(frozen=True)
class Benchmark:
    """A module whose `main(arguments)` gives the lines of the closing table."""

    module: str
    about: str
    quick: tuple[str, ...]


BENCHMARKS = {
    "first_load": Benchmark(
        "benchmarks.first_load",
        "a first load of 200,000 amoCRM-like leads, and the unchanged run after it: voronka and dlt",
        ("--rows", "5000", "--default-rows", "500"),
    ),
    "crm": Benchmark(
        "benchmarks.crm",
        "voronka and published Bitrix24 and amoCRM clients side by side",
        ("--deals", "1000", "--changing-deals", "500"),
    ),
    "unchanged": Benchmark(
        "benchmarks.unchanged",
        "a second sync of 100,000 deals of each CRM, in which nothing has changed",
        ("--deals", "500"),
    ),
    "statement": Benchmark("benchmarks.statement", "a bank statement of a gigabyte", ("--megabytes", "10")),
    "telephony": Benchmark(
        "benchmarks.telephony", "a year of calls of Mango and Zadarma within their limits", ("--legs", "20000")
    ),
    "sheet": Benchmark("benchmarks.sheet", "a spreadsheet of half a million payments", ("--rows", "10000")),
    "resolve": Benchmark(
        "benchmarks.resolve", "whole companies of four sizes resolved from nothing", ("--deals", "1000")
    ),
    "recompute": Benchmark(
        "benchmarks.recompute",
        "one month computed as its history grows, and eight of its numbers by hand-written SQL",
        ("--deals", "100", "--months", "1"),
    ),
    "publish": Benchmark(
        "benchmarks.publish",
        "half a gigabyte published, with and without personal data, and copied by hand-written SQL",
        ("--calls", "50000"),
    ),
    "whole": Benchmark(
        "benchmarks.whole",
        "a million deals with their events, contacts and calls, synced and computed by real processes",
        ("--deals", "500", "--calls", "1500"),
    ),
}


def main(arguments: Sequence[str] | None = None, known: Mapping[str, Benchmark] = BENCHMARKS) -> int:
    told = "\n".join(f"  {name:12} {one.about}" for name, one in known.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", epilog=told, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all if none is named")
    parser.add_argument("--quick", action="store_true", help="each on a part of its data")
    parser.add_argument("--to", type=Path, metavar="FILE", help="write the closing table there too, as Markdown")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in known]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    # Compiled modules are kept: the processes that are measured start in half the time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    named = {name: known[name] for name in chosen.names or known}
    lines, failed = run_all(named, is_quick=chosen.quick)
    closing = page(lines, failed, is_quick=chosen.quick)
    print(f"\n{closing}", flush=True)
    if chosen.to:
        chosen.to.write_text(closing, encoding="utf-8")
    return 1 if failed else 0


def run_all(benchmarks: Mapping[str, Benchmark], *, is_quick: bool) -> tuple[list[Line], list[str]]:
    """The lines of all, and what failed with the last words it said: the others' hours are not thrown away for it."""
    lines: list[Line] = []
    failed: list[str] = []
    for name, one in benchmarks.items():
        print(f"\n## {name}: {one.about}\n", flush=True)
        try:
            lines += import_module(one.module).main([*one.quick] if is_quick else [])
        except (RunFailedError, AssertionError) as error:
            print(error, file=sys.stderr, flush=True)
            failed.append(f"{name}: {(str(error).strip().splitlines() or [type(error).__name__])[-1]}")
    return lines, failed


if __name__ == "__main__":
    sys.exit(main())
