"""The source types voronka knows. Adding one is a folder beside this file and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from base.errors import ConfigError
from base.text import say
from connectors.stream import Connector

# Imported when first asked for, so that a command pays only for the sources it uses.
MODULES = {
    "amocrm": "connectors.amocrm.streams",
    "bitrix24": "connectors.bitrix24.streams",
    "mango": "connectors.mango.streams",
    "onec": "connectors.onec.streams",
    "zadarma": "connectors.zadarma.streams",
}


def load_connector(source_type: str) -> Connector[Any]:
    """The connector of a type; its module exports it as `CONNECTOR`.

    Raises:
        ConfigError: no such type.
    """
    if source_type not in MODULES:
        raise ConfigError(
            say("Неизвестный тип источника «{type}».", "Unknown source type {type!r}.", type=source_type),
            remedy=say("Известные типы: {known}.", "Known types: {known}.", known=", ".join(MODULES)),
        )
    connector: Connector[Any] = import_module(MODULES[source_type]).CONNECTOR
    return connector
