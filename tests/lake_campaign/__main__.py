"""`python -m tests.lake_campaign`: four processes load four sources into one lake, two read, one tidies up, and any of
them is killed; PostgreSQL is restarted meanwhile. At the end the lake must hold what files hold.

Exit status 1 when anything was lost, doubled, torn or otherwise wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.lake_campaign.campaign import Plan, run_campaign


def main() -> int:
    options = _options()
    if options.dir is not None:
        options.dir.mkdir(parents=True, exist_ok=True)
    # Left behind: what went wrong is to be looked at.
    folder = Path(tempfile.mkdtemp(prefix="lake-campaign-", dir=options.dir))
    print(f"seed {options.seed}, {options.deals} deals, {options.minutes} minutes: {folder}", flush=True)
    began = time.monotonic()
    outcome = run_campaign(
        folder,
        Plan(
            seconds=options.minutes * 60,
            seed=options.seed,
            deals=options.deals,
            kill_share=options.kills,
            restarts=("immediate", "fast") * options.restarts,
        ),
    )
    print(outcome)
    for line in outcome.wrong:
        print(line)
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if outcome.wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lake_campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the loads go on (10)")
    parser.add_argument("--seed", type=int, default=1, help="which dice (1)")
    parser.add_argument("--deals", type=int, default=200, help="size of the company (200)")
    parser.add_argument("--kills", type=float, default=0.4, help="share of the commands that are killed (0.4)")
    parser.add_argument("--restarts", type=int, default=1, help="pairs of restarts of PostgreSQL (1)")
    parser.add_argument("--dir", type=Path, default=None, help="where to work; everything stays there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
