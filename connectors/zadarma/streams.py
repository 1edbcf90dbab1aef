"""Zadarma's streams, as data."""

from __future__ import annotations

from base.text import say
from connectors.stream import Connector, Stream
from connectors.zadarma.check import check
from connectors.zadarma.client import ZadarmaClient, open_client
from connectors.zadarma.fetch import fetch_calls, fetch_extensions, fetch_own_numbers
from connectors.zadarma.mapping import map_call, map_extension
from connectors.zadarma.settings import ZadarmaSettings

CONNECTOR: Connector[ZadarmaClient] = Connector(
    source_type="zadarma",
    label=say("Zadarma", "Zadarma"),
    settings=ZadarmaSettings,
    streams=(
        Stream(
            name="extensions",
            kind="dictionary",
            fetch=fetch_extensions,
            map=map_extension,
            label=say("Внутренние номера", "Extensions"),
        ),
        Stream(
            name="numbers",
            kind="dictionary",
            fetch=fetch_own_numbers,
            label=say("Собственные номера", "Own numbers"),
        ),
        Stream(
            name="calls",
            kind="log",
            fetch=fetch_calls,
            map=map_call,
            needs=("extensions", "numbers"),
            label=say("Звонки", "Calls"),
            facet="calls",
        ),
    ),
    open=open_client,
    check=check,
    # One request is in flight per key; a second thread only keeps the dictionaries from waiting for statistics.
    parallel=2,
)
