"""What mappings know beside a record: the account's currency, zone and dictionaries. Derived once a conform.

PHP writes an empty object as `[]`, so every object may be a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from connectors.amocrm.catalogs import is_invoice_catalog
from connectors.amocrm.settings import AmocrmSettings
from connectors.decode import decode_record
from connectors.stream import MapContext

Listed = list[Any]


class Named(msgspec.Struct):
    """Something with an id and a name."""

    id: int | None = None
    name: str | None = None


class _Clock(msgspec.Struct):
    timezone: str | None = None


class _AccountLinks(msgspec.Struct):
    datetime_settings: _Clock | Listed | None = None
    users_groups: list[Named] | None = None


class _Account(msgspec.Struct):
    currency: str | None = None
    embedded: _AccountLinks | Listed | None = msgspec.field(default=None, name="_embedded")


_ACCOUNT = msgspec.json.Decoder(_Account)
_NAMED = msgspec.json.Decoder(Named)


class Account(msgspec.Struct, frozen=True):
    """What mappings need of the account and the settings, derived once a conform."""

    currency: str
    zone: ZoneInfo
    card_url: str  # a deal's card without the id
    loss_reasons: dict[int, str]
    invoice_catalogs: frozenset[int]
    groups: dict[int, str]
    settings: AmocrmSettings


def read_account(context: MapContext) -> Account:
    """The account from the dictionaries; before its first load the company's own currency and zone."""
    known: Account | None = context.cache.get("amocrm.account")
    if known is not None:
        return known
    payloads = context.dictionaries.get("account", {})
    stated = decode_record(_ACCOUNT, next(iter(payloads.values()))) if payloads else _Account()
    links = stated.embedded if isinstance(stated.embedded, _AccountLinks) else _AccountLinks()
    clock = links.datetime_settings
    settings = context.settings
    assert isinstance(settings, AmocrmSettings)
    account = Account(
        currency=stated.currency or context.currency,
        zone=_zone(clock.timezone if isinstance(clock, _Clock) else None) or context.zone,
        card_url=settings.base_url.rstrip("/") + "/leads/detail/",
        loss_reasons=_names(context.dictionaries.get("loss_reasons", {})),
        invoice_catalogs=frozenset(
            int(catalog_id)
            for catalog_id, payload in context.dictionaries.get("catalogs", {}).items()
            if is_invoice_catalog(payload)
        ),
        groups={group.id: group.name for group in links.users_groups or () if group.id is not None and group.name},
        settings=settings,
    )
    context.cache["amocrm.account"] = account
    return account


def _names(payloads: Mapping[str, bytes]) -> dict[int, str]:
    named = (decode_record(_NAMED, payload) for payload in payloads.values())
    return {item.id: item.name for item in named if item.id is not None and item.name is not None}


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None
