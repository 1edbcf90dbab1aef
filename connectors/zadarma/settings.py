"""The keys of a `[sources.NAME]` table of type `zadarma`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from base.secrets import Secret
from connectors.stream import Settings


class ZadarmaSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Secret
    secret: Secret
    # Accounts of Russian residents live at https://api.novofon.com: same methods, same signature.
    base_url: str = "https://api.zadarma.com"
    # The account's own time zone (IANA): calls come in its wall time without an offset. None = the company's.
    timezone: str | None = None
    # The vendor allows 100 a minute; statistics have their own bucket of 3 a minute.
    requests_per_second: Annotated[float, Meta(gt=0, le=100 / 60)] | None = None
    # Calls appear after they ended; the window ends this long before now, so pages don't move.
    lag_minutes: Annotated[int, Meta(ge=5, le=1440)] = 10
    # `is_recorded` and late legs: this much is read again by every run.
    overlap_hours: Annotated[int, Meta(ge=24, le=24 * 14)] = 24
    # `overall` is the billing statistics, for accounts without a PBX; it knows SIP logins, not employees.
    statistics: Literal["pbx", "overall"] = "pbx"
    # Names of extensions cost one request each in every run.
    extension_names: bool = False
