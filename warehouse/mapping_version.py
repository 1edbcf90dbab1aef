"""What decides, beside its payload, what a record means: a change of it has the log conformed anew."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from base.secrets import Secret
from connectors.stream import MapContext, Settings

# Settings that only say how to reach a source; a change of any other one changes what its records mean.
_TRANSPORT_SETTINGS = frozenset(
    {"type", "start", "enabled", "requests_per_second", "base_url", "priority", "path", "raw_days"}
    | {"odata_url", "user", "window_days"}
)


def mapping_version(context: MapContext, dictionaries: Sequence[str]) -> str:
    """Digest of what decides, beside the payload, what a record means.

    `dictionaries` are the needed streams that have been landed: records mapped while one was missing are mapped
    again once it is there. A change inside a dictionary is no such reason: what an extension was then, it was.
    """
    facts = {
        "dictionaries": sorted(dictionaries),
        "settings": _meaning(context.settings),
        "zone": context.zone.key,
        "country": context.country,
        "currency": context.currency,
        "own_tax_ids": sorted(context.own_tax_ids),
    }
    return sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()[:16]


def _meaning(settings: Settings) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return {
        name: value
        for name, value in values.items()
        if name not in _TRANSPORT_SETTINGS and not isinstance(value, Secret)
    }
