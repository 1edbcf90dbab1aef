"""What the configuration says that numbers depend on: the company, and the rules with metrics.md's defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Every default of metrics.md by its name there; `[rules]` in voronka.toml overrides."""

    successful_call_seconds: int = 30  # 2.5: talk > N, strictly
    # 2.5: per pipeline, "source/pipeline_id" or "pipeline_id" -> seconds
    successful_call_seconds_by_pipeline: dict[str, int] = field(default_factory=dict)
    sla_minutes: int = 15
    paid_threshold: float = 1.0  # 2.6: share of the amount due
    dup_days: int = 30  # 2.4
    match_days: int = 10  # 2.4
    origin_minutes: int = 10  # 2.4: the originating call
    handover_guard_days: int = 7
    callback_minutes: int = 30
    grace_days: int = 5
    dormant_days: int = 180
    clawback_days: int = 30
    # 4.7, the integrity flags
    bulk_move_deals: int = 10  # I-08: so many deals moved by one user within quick_move_seconds
    quick_moves: int = 3  # I-08: so many stages of one deal within quick_move_seconds
    quick_move_seconds: int = 60
    close_date_moves: int = 3  # I-11: moves of the planned close date to a later day
    short_call_count: int = 10  # I-12: calls of a day with talk within short_call_band_seconds of the threshold
    short_call_band_seconds: int = 3
    redial_count: int = 5  # I-13: more attempts than this to one number in a day
    shifted_wins_share: float = 0.3  # I-14: share of a month's paid deals paid in its first shifted_wins_days
    shifted_wins_days: int = 3


@dataclass(frozen=True, kw_only=True)
class Company:
    """The `[company]` table, with what metrics need of the rest of the configuration."""

    zone: ZoneInfo
    currency: str = "RUB"
    calendar: str = "RU"  # RU, KZ, BY, UZ
    language: Literal["ru", "en"] = "ru"
    vat_mode: Literal["gross", "net"] = "gross"
    own_tax_ids: frozenset[str] = frozenset()
    rules: Rules = field(default_factory=Rules)
    inputs_dir: Path = Path("inputs")
    metrics_dir: Path | None = None  # the user's own metric files
    # Sources by name -> type, and the authority of accounting sources (lower number wins).
    source_types: dict[str, str] = field(default_factory=dict)
    priorities: dict[str, int] = field(default_factory=dict)
    disabled_sources: frozenset[str] = frozenset()
