"""voronka's first load of deals alone: `python -m benchmarks.deals_only voronka.toml`.

A sync of one source with the stream of deals and the dictionaries its mapping needs: what published clients are
asked for, but landed and conformed.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from connectors.registry import load_connector
from connectors.stream import Connector
from flows.steps.sync import sync
from voronka.config import load_project

DEALS = {"bitrix24": "deals", "amocrm": "leads"}


def connector_of_deals(source_type: str) -> Connector[Any]:
    whole = load_connector(source_type)
    deals = whole.stream(DEALS[source_type])
    return replace(whole, streams=[*(whole.stream(name) for name in deals.needs), deals])


def main(config: str) -> int:
    report = sync(load_project(Path(config)), find_connector=connector_of_deals)
    for error in report.errors:
        print(error.render("en"), file=sys.stderr)
    return 0 if report.is_ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
