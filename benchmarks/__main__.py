"""`python -m benchmarks [NAME…] [--quick]`: the named benchmarks, or all of them, one after the other.

Each prints its tables in Markdown; docs/benchmarks.md keeps the last ones. `--quick` runs each on a part of the data:
to see that it works, not to be quoted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Benchmark:
    module: str
    about: str
    quick: tuple[str, ...]


BENCHMARKS = {
    "first_load": Benchmark(
        "benchmarks.first_load",
        "a first load of 200,000 amoCRM-like leads, and the unchanged run after it: voronka and dlt",
        ("--rows", "20000", "--default-rows", "0"),
    ),
    "crm": Benchmark("benchmarks.crm", "voronka and published Bitrix24 and amoCRM clients side by side", ("--quick",)),
    "statement": Benchmark("benchmarks.statement", "a bank statement of a gigabyte", ("--megabytes", "100")),
    "telephony": Benchmark(
        "benchmarks.telephony", "a year of calls of Mango and Zadarma within their limits", ("--legs", "100000")
    ),
    "sheet": Benchmark("benchmarks.sheet", "a spreadsheet of half a million payments", ("--rows", "50000")),
    "resolve": Benchmark(
        "benchmarks.resolve",
        "whole companies of four sizes resolved from nothing",
        ("--deals", "2000", "4000"),
    ),
    "recompute": Benchmark(
        "benchmarks.recompute",
        "one month computed as its history grows, and eight of its numbers by hand-written SQL",
        ("--deals", "100", "--months", "1", "3"),
    ),
    "publish": Benchmark(
        "benchmarks.publish", "half a gigabyte published, with and without personal data", ("--calls", "200000")
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    told = "\n".join(f"  {name:12} {one.about}" for name, one in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", epilog=told, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all if none is named")
    parser.add_argument("--quick", action="store_true", help="each on a part of its data")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    # Compiled modules are kept: the processes that are measured start in half the time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in chosen.names or BENCHMARKS:
        one = BENCHMARKS[name]
        print(f"\n## {name}: {one.about}\n", flush=True)
        import_module(one.module).main([*one.quick] if chosen.quick else [])


if __name__ == "__main__":
    main()
