"""The `[sources.NAME]` tables, converted field by field to each connector's own settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from base.secrets import Secret
from base.text import say
from connectors import registry
from connectors.stream import Settings
from flows.project import Source
from voronka.config_values import Place, Values, absolute, holds

SOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
# Settings that name a file or folder of this machine, relative to the configuration's folder.
PATH_KEYS = ("path",)


@dataclass
class SourceReader:
    root: Path
    values: Values

    def tables(self, tables: Any) -> dict[str, dict[str, Any]]:
        """The tables as they stand, by source's name; what is no table is noted and left out."""
        if not isinstance(tables, dict):
            self.values.problem(("sources",), say("нужны таблицы [sources.ИМЯ]", "tables [sources.NAME] are needed"))
            return {}
        found: dict[str, dict[str, Any]] = {}
        for name, table in tables.items():
            place = ("sources", name)
            if not isinstance(table, dict):
                self.values.problem(
                    place, say("нужна таблица [sources.{n}]", "a table [sources.{n}] is needed", n=name)
                )
            elif not SOURCE_NAME.fullmatch(name):
                wanted = say(
                    "имя источника — до 40 латинских букв, цифр, _ и -, начиная с буквы",
                    "a source's name is up to 40 Latin letters, digits, _ and -, beginning with a letter",
                )
                self.values.problem(place, wanted)
            else:
                found[name] = table
        return found

    def read(self, tables: Mapping[str, dict[str, Any]]) -> dict[str, Source]:
        """The sources that could be converted; problems of the others are noted."""
        found = {name: self._source(name, table) for name, table in tables.items()}
        return {name: source for name, source in found.items() if source}

    def _source(self, name: str, table: dict[str, Any]) -> Source | None:
        place = ("sources", name)
        settings_class = self._settings_class(place, table)
        if settings_class is None:
            return None
        fields = self.values.known_fields(table, settings_class, place)
        # A source that is switched off may wait for its variables.
        is_enabled = table.get("enabled", True) is not False
        present = {key: _dated(table[key]) for key in fields}
        substituted = self.values.substitute(present, place, required=is_enabled)
        found: dict[str, Any] = {}
        for key, field in fields.items():
            value = self._setting(substituted, (*place, key), field.type, is_enabled)
            if value is not msgspec.UNSET:
                found[key] = value
        start = self._start(found, place)
        if any(field.required and field.name not in found for field in msgspec.structs.fields(settings_class)):
            return None
        settings = settings_class(**found)
        self._check_raw_days(settings, (*place, "raw_days"))
        if is_enabled:
            for key, what in settings.problems():
                # A key that was given and is wrong has been told about already.
                if key not in fields or key in found:
                    self.values.problem((*place, *key.split(".")), what)
        return Source(name=name, type=found["type"], settings=settings, start=start)

    def _settings_class(self, place: Place, table: dict[str, Any]) -> type[Settings] | None:
        known = tuple(registry.MODULES)
        source_type = table.get("type")
        if not isinstance(source_type, str):
            listed = say("не указано; известны: {known}", "is missing; known are: {known}", known=", ".join(known))
            self.values.problem((*place, "type"), listed)
            return None
        if source_type not in known:
            wanted = say("известные типы: {known}", "known types are: {known}", known=", ".join(known))
            self.values.bad((*place, "type"), table, wanted)
            return None
        return registry.load_connector(source_type).settings

    def _setting(self, table: dict[str, Any], place: Place, kind: Any, is_enabled: bool) -> Any:
        value = table[place[-1]]
        if not is_enabled and self.values.is_unresolved(value):
            return Secret("") if holds(kind, Secret) else value
        converted = self.values.convert(value, kind, place)
        if converted is msgspec.UNSET:
            return converted
        if place[-1].endswith("_url") and isinstance(converted, str | Secret):
            self._check_url(converted.reveal() if isinstance(converted, Secret) else converted, place)
        if place[-1] in PATH_KEYS and isinstance(converted, str | Path):
            if not str(converted).strip():
                self.values.problem(place, say("пустой путь", "an empty path"))
            resolved = absolute(self.root, Path(converted))
            return str(resolved) if holds(kind, str) else resolved
        if place[-1] == "timezone" and isinstance(converted, str) and not _is_zone(converted):
            self.values.bad(place, table, say('нужен пояс вида "Europe/Moscow"', 'a zone such as "Europe/Moscow"'))
        if place[-1] == "requests_per_second" and converted is not None and converted <= 0:
            self.values.bad(place, table, say("нужно число больше нуля", "a number above zero is needed"))
        return converted

    def _check_url(self, url: str, place: Place) -> None:
        try:
            parts = urlsplit(url)
            is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_good = False
        if not is_good:
            # The address itself may hold a key: it isn't shown.
            wanted = say("нужен адрес вида https://example.ru", "an address such as https://example.ru is needed")
            self.values.problem(place, wanted)

    def _check_raw_days(self, settings: Settings, place: Place) -> None:
        if not settings.raw_days:
            return
        known = ("*", *(stream.name for stream in registry.load_connector(settings.type).streams))
        for name, days in settings.raw_days.items():
            if name not in known:
                self.values.unknown((*place, name), known)
            elif days < 1:
                self.values.problem(
                    (*place, name), say("нужно число дней, от 1", "a number of days is needed, 1 or more")
                )

    def _start(self, found: dict[str, Any], place: Place) -> date | None:
        text = found.get("start")
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            wanted = say("нужна дата ГГГГ-ММ-ДД", "a date YYYY-MM-DD is needed")
            self.values.bad((*place, "start"), {"start": text}, wanted)
            return None


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _dated(value: Any) -> Any:
    """TOML's own date, written without quotes, as text."""
    return value.isoformat() if isinstance(value, date) else value
