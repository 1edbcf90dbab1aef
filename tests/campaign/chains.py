"""A chain: nights killed one after another in bad weather, then a whole night in good weather, which must tell the
truth.

A chain begins with nothing or with the files of a first morning. What a kill lost or doubled stays lost or doubled
however many nights follow, so one comparison at the end speaks for every kill of the chain.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.campaign import nights
from tests.campaign.checks import Losses, Picture, broken_rules, check_evidence, compare, take_picture
from tests.campaign.company import Company, Day, copy_project

# Where a night can be killed by name, and how often a night comes by.
POINTS = {
    "land.before_write": 60,
    "land.before_commit": 60,
    "land.after_commit": 60,
    "land.before_finish": 40,
    "sync.landed": 1,
    "conform.before_commit": 40,
    "conform.after_commit": 40,
    "resolve.before": 1,
    "resolve.after": 1,
    "recompute.done": 1,
    "publish.before_replace": 1,
}
# Nights of a chain follow each other by hours, the last one stands where the undisturbed night stood.
LAST_NIGHT = timedelta(hours=24)


@dataclass(frozen=True)
class Truth:
    """What undisturbed nights leave: from nothing, or after a first morning whose files are in `base`."""

    base: Path
    fresh: Picture
    followed: Picture
    sync_seconds: float  # CPU of the part of a night that reads and conforms
    night_seconds: float


@dataclass
class Outcome:
    """What a campaign has seen so far."""

    chains: int = 0
    nights: int = 0
    weathers: int = 0  # nights in bad weather, each with a seed of its own
    kills: int = 0
    images: int = 0
    by_point: Counter[str] = field(default_factory=Counter)
    new_codes: int = 0
    failed_nights: int = 0  # a source gave up on its weather; the next night went on
    crashes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)

    @property
    def wrongs(self) -> list[str]:
        """What went wrong, in words; nothing may."""
        return [*self.crashes, *self.broken, *self.losses.examples]

    @property
    def is_good(self) -> bool:
        return not (self.losses.total or self.wrongs)


def find_truth(company: Company, folder: Path) -> Truth:
    """Undisturbed nights, both ways, and how long they take."""
    company.weather.clear()
    company.tell("first")
    base = folder / "base"
    _whole_night(company, company.write(base, "first"), "first")
    company.tell("second")
    followed = copy_project(company, base, folder / "followed")
    company.write(followed.parent, "second")
    _whole_night(company, followed, "second")
    fresh = company.write(folder / "fresh", "second")
    ended = _whole_night(company, fresh, "second")
    check_evidence(fresh.parent / "var" / "warehouse.duckdb")
    # Read again from nothing and killed as soon as all is conformed: what the reading half costs.
    probe = company.write(folder / "probe", "second")
    read = nights.run_until(probe, company.told_at("second") + LAST_NIGHT, point="resolve.before")
    pictures = [take_picture(config.parent, loaded_since=company.told_at("second")) for config in (fresh, followed)]
    return Truth(base, *pictures, read.cpu_seconds, ended.cpu_seconds)


def _whole_night(company: Company, config: Path, day: Day) -> nights.Ended:
    ended = nights.run(config, company.told_at(day) + LAST_NIGHT)
    if ended.status != 0:
        raise RuntimeError(f"an undisturbed night failed: {ended.words}")
    return ended


def run_chain(company: Company, truth: Truth, folder: Path, seed: int, kills: int, outcome: Outcome) -> None:
    """One chain; all of it follows from the seed but the moments at which a busy machine stands."""
    dice = random.Random(seed)
    follows = seed % 2 == 1
    company.tell("second")
    if follows:
        config = copy_project(company, truth.base, folder)
        company.write(folder, "second")
    else:
        config = company.write(folder, "second")
    told_at = company.told_at("second")
    for number in range(kills):
        company.weather.turn_bad(seed * 1000 + number)
        _killed_night(company, config, told_at + timedelta(hours=number + 1), dice, truth, outcome)
    company.weather.clear()
    ended = nights.run(config, told_at + LAST_NIGHT)
    outcome.nights += 1
    if ended.status != 0 and not ended.has_crashed:
        # The answer to a refresh was damaged on its way: the vendor has forgotten the old token, we never saw the new
        # one. A person gives a new code, as the message says.
        outcome.new_codes += 1
        ended = nights.run(company.configure(folder), told_at + LAST_NIGHT)
    if ended.status != 0:
        outcome.crashes.append(f"seed {seed}: the night after failed: {ended.words[-2000:]}")
        return
    outcome.broken += [f"seed {seed}: {rule}" for rule in broken_rules(folder / "var")]
    losses = compare(truth.followed if follows else truth.fresh, take_picture(folder, loaded_since=told_at))
    losses.examples = [f"seed {seed}: {example}" for example in losses.examples]
    outcome.losses.add(losses)
    outcome.chains += 1
    if not losses.total:
        shutil.rmtree(folder)


def _killed_night(
    company: Company, config: Path, now: datetime, dice: random.Random, truth: Truth, outcome: Outcome
) -> None:
    point = ""
    cpu = dice.uniform(0.8, truth.sync_seconds)
    draw = dice.random()
    if draw < 0.2:
        # All is read in this weather, and nothing of it computed.
        point = "resolve.before"
    elif draw < 0.5:
        name = dice.choice(list(POINTS))
        point = f"{name}:{dice.randint(1, POINTS[name])}"
    elif draw < 0.6:
        cpu = dice.uniform(truth.sync_seconds, truth.night_seconds)
    ended = nights.run_until(config, now, cpu_seconds=cpu, point=point)
    outcome.nights += 1
    outcome.weathers += 1
    if ended.was_killed:
        outcome.kills += 1
        outcome.by_point[point.partition(":")[0] or "random moment"] += 1
    elif ended.has_crashed:
        outcome.crashes.append(ended.words[-2000:])
    elif ended.status != 0:
        outcome.failed_nights += 1
        # Maybe its token is lost (see `run_chain`): without a new code no later night of the chain would read it.
        company.configure(config.parent)
    outcome.broken += broken_rules(config.parent / "var")
