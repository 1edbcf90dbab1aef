"""What a stage probably means, from the source's own word on it and from its name."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# What the source itself says about a stage leaves nothing to guess.
_SYSTEM_KINDS = {"won": "won", "lost": "lost", "unsorted": "service"}


@dataclass(frozen=True)
class StageGuess:
    kind: str
    is_guess: bool


def guess_stage(name: str | None, system_kind: str | None, *, is_first: bool) -> StageGuess:
    """The kind of a stage. Names are looked up in stage_words.csv, first line first; the first stage of a pipeline
    that no word fits is its base, any other one `service`."""
    if system_kind in _SYSTEM_KINDS:
        return StageGuess(_SYSTEM_KINDS[system_kind], is_guess=False)
    text = (name or "").lower().replace("ё", "е")
    for kind, pattern in _patterns():
        if pattern.search(text):
            return StageGuess(kind, is_guess=True)
    return StageGuess("base" if is_first else "service", is_guess=True)


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    # Word beginnings: "кп" is an offer, "скпд" is not.
    text = files("metrics.inputs").joinpath("stage_words.csv").read_text(encoding="utf-8")
    return tuple(
        (row["kind"], re.compile(rf"\b(?:{'|'.join(map(re.escape, row['words'].split('|')))})"))
        for row in csv.DictReader(text.splitlines())
    )
