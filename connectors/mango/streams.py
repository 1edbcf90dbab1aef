"""Mango Office's streams, as data."""

from __future__ import annotations

from base.text import say
from connectors.mango.check import check
from connectors.mango.client import MangoClient, open_client
from connectors.mango.fetch import fetch_calls, fetch_groups, fetch_lines, fetch_users
from connectors.mango.mapping import map_call, map_user
from connectors.mango.settings import MangoSettings
from connectors.stream import Connector, Stream

CONNECTOR: Connector[MangoClient] = Connector(
    source_type="mango",
    label=say("Mango Office", "Mango Office"),
    settings=MangoSettings,
    streams=(
        Stream(
            name="users",
            kind="dictionary",
            fetch=fetch_users,
            map=map_user,
            label=say("Сотрудники", "Employees"),
        ),
        Stream(name="lines", kind="dictionary", fetch=fetch_lines, label=say("Линии", "Lines")),
        Stream(name="groups", kind="dictionary", fetch=fetch_groups, label=say("Группы", "Groups")),
        Stream(
            name="calls",
            kind="log",
            fetch=fetch_calls,
            map=map_call,
            needs=("users", "lines"),
            label=say("Звонки", "Calls"),
            facet="calls",
        ),
    ),
    open=open_client,
    check=check,
    # One request is in flight per key; a second thread only keeps the dictionaries from waiting for a report.
    parallel=2,
)
