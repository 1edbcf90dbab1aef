"""Pictures of a running night's files, as a power cut or a careless copy leaves them, and the night after.

The process is stopped for the length of a copy, so each file is as it stood at one moment; the two files are from two
moments, in either order. A torn picture has lost the end of a write-ahead log besides: what a disk that lies about
having written leaves.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from datetime import timedelta
from pathlib import Path

from tests.campaign import nights
from tests.campaign.chains import LAST_NIGHT, Outcome, Truth
from tests.campaign.checks import broken_rules, compare, take_picture
from tests.campaign.company import Company

FILES = ("raw", "warehouse")


def run_images(company: Company, truth: Truth, folder: Path, seed: int, count: int, outcome: Outcome) -> None:
    """Take `count` pictures of both files over one night, and run a night on pairs of them from different moments."""
    dice = random.Random(seed)
    company.weather.clear()
    company.tell("second")
    taken = _take(company, truth, folder / "running", dice, count)
    for number in range(count):
        first, second = dice.sample(taken, 2) if len(taken) > 1 else (taken[0], taken[0])
        _night_on_pair(company, truth, folder / f"image-{number}", {"raw": first, "warehouse": second}, dice, outcome)


def _take(company: Company, truth: Truth, folder: Path, dice: random.Random, count: int) -> list[Path]:
    config = company.write(folder, "second")
    process = nights.start(config, company.told_at("second") + timedelta(hours=1))
    reading, later = truth.sync_seconds, truth.night_seconds
    moments = sorted(
        dice.uniform(1.0, reading) if dice.random() < 0.8 else dice.uniform(reading, later) for _ in range(count)
    )
    taken: list[Path] = []
    for moment in moments:
        while process.poll() is None and nights.spent(process.pid) < moment:
            time.sleep(nights.POLL_SECONDS)
        picture = folder.with_name(f"{folder.name}-{len(taken)}")
        if process.poll() is None:
            os.kill(process.pid, signal.SIGSTOP)
        _copy(folder / "var", picture)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
        taken.append(picture)
    process.kill()
    process.communicate()
    return taken


def _copy(var: Path, picture: Path) -> None:
    picture.mkdir(parents=True)
    for name in FILES:
        for path in var.glob(f"{name}.duckdb*"):
            if path.suffix in (".duckdb", ".wal"):
                shutil.copyfile(path, picture / path.name)


def _night_on_pair(
    company: Company, truth: Truth, folder: Path, pair: dict[str, Path], dice: random.Random, outcome: Outcome
) -> None:
    config = company.write(folder, "second")
    (folder / "var").mkdir()
    for name, picture in pair.items():
        for path in picture.glob(f"{name}.duckdb*"):
            shutil.copyfile(path, folder / "var" / path.name)
        log = folder / "var" / f"{name}.duckdb.wal"
        if log.exists() and dice.random() < 0.5:
            os.truncate(log, dice.randint(0, log.stat().st_size))
    outcome.images += 1
    outcome.broken += [f"{folder.name}: {rule}" for rule in broken_rules(folder / "var", same_moment=False)]
    told_at = company.told_at("second")
    ended = nights.run(config, told_at + LAST_NIGHT)
    if ended.status != 0:
        outcome.crashes.append(f"{folder.name}: {ended.words[-2000:]}")
        return
    losses = compare(truth.fresh, take_picture(folder, loaded_since=told_at))
    losses.examples = [f"{folder.name}: {example}" for example in losses.examples]
    outcome.losses.add(losses)
    if not losses.total:
        shutil.rmtree(folder)
