"""`python -m tests.campaign`: kills by the hundred over a company of all source kinds, each in its own weather.

Exit status 1 when anything was lost, doubled or wrong, a rule of the files did not hold, or a night crashed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.campaign.chains import Outcome, find_truth, run_chain
from tests.campaign.company import open_company
from tests.campaign.images import run_images

IMAGES_A_NIGHT = 8


def main() -> int:
    options = _options()
    outcome, began = Outcome(), time.monotonic()
    if options.dir is not None:
        options.dir.mkdir(parents=True, exist_ok=True)
    # Left behind: what went wrong is to be looked at.
    folder = Path(tempfile.mkdtemp(prefix="campaign-", dir=options.dir))
    with open_company(deals=options.deals) as company:
        truth = find_truth(company, folder)
        print(f"undisturbed: {truth.sync_seconds:.1f} of {truth.night_seconds:.1f} CPU s read and conform; {folder}")
        seed = options.seed
        while outcome.kills < options.kills or outcome.weathers < options.seeds:
            if options.minutes and time.monotonic() - began > options.minutes * 60:
                print("out of time")
                break
            told = set(outcome.wrongs)
            run_chain(company, truth, folder / f"seed-{seed}", seed, options.chain, outcome)
            seed += 1
            for line in set(outcome.wrongs) - told:
                print(line)
            _tell(outcome, company.weather.struck)
        while outcome.images < options.images:
            run_images(company, truth, folder / f"images-{seed}", seed, min(IMAGES_A_NIGHT, options.images), outcome)
            seed += 1
            _tell(outcome, company.weather.struck)
    for line in outcome.wrongs:
        print(line)
    return 0 if outcome.is_good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="at least so many kills (200)")
    parser.add_argument("--seeds", type=int, default=50, help="at least so many nights in a weather of their own (50)")
    parser.add_argument("--chain", type=int, default=8, help="nights to be killed before each whole night (8)")
    parser.add_argument("--images", type=int, default=24, help="nights on files copied while they are written (24)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--deals", type=int, default=20, help="size of the company (20)")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long (no limit)")
    parser.add_argument("--dir", type=Path, default=None, help="where to work; what went wrong stays there")
    return parser.parse_args()


def _tell(outcome: Outcome, faults: int) -> None:
    losses = outcome.losses
    points = ", ".join(f"{name} {count}" for name, count in sorted(outcome.by_point.items()))
    print(
        f"{outcome.nights} nights in {outcome.chains} chains, {outcome.weathers} of them in weather of their own: "
        f"{outcome.kills} kills, {outcome.images} torn copies, {faults} faults, "
        f"{outcome.failed_nights} nights with a failed source, "
        f"{outcome.new_codes} new codes: lost {losses.lost}, doubled {losses.doubled}, "
        f"wrong {losses.wrong}, broken rules {len(outcome.broken)}, crashes {len(outcome.crashes)} ({points})",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
