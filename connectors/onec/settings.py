"""Keys of a `[sources.NAME]` table of type "onec"."""

from __future__ import annotations

import msgspec

from connectors.stream import Settings


class OnecSettings(Settings, kw_only=True, frozen=True):
    path: str  # folder of exports, absolute
    # The same money seen through two channels: the lower number is the authority.
    priority: int = 1
    # For statements that name no own account, and to know transfers to accounts whose statements aren't loaded.
    own_accounts: list[str] = msgspec.field(default_factory=list)
    # Accounts that get no statements any more: the completeness date doesn't wait for them.
    closed_accounts: list[str] = msgspec.field(default_factory=list)
    # Overrides the detection, for all files.
    encoding: str | None = None
