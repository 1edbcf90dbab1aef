"""The keys of a `[sources.NAME]` table of type `mango`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from base.secrets import Secret
from connectors.stream import Settings


class MangoSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    api_key: Secret
    api_salt: Secret
    base_url: str = "https://app.mango-office.ru/vpbx"
    # The vendor allows ten a second for the whole PBX; statistics starts have their own, slower budget.
    requests_per_second: Annotated[float, Meta(gt=0, le=10)] | None = None
    # A call enters the statistics after it ended; the window ends this long before now, so pages don't move.
    lag_minutes: Annotated[int, Meta(ge=5, le=1440)] = 15
    # Records, marks and recall status change after the call: this much is read again by every run.
    overlap_hours: Annotated[int, Meta(ge=24, le=24 * 28)] = 24
    # `basic` is the older CSV report; `auto` falls back to it where the tariff refuses the extended one.
    statistics: Literal["auto", "extended", "basic"] = "auto"
