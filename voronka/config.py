"""voronka.toml read once, at the edge: every problem of it at once, each with its path.

    [company] [warehouse] [publish] [inputs] [rules] [metrics] [tokens] [sources.NAME]

Values may hold `${NAME}` from the environment or from `.env` beside the file; the environment wins. Relative paths
are relative to the file's folder.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from base.errors import ConfigError
from base.text import say
from flows.project import Project
from metrics.settings import Company, Rules
from voronka.config_lake import LAKE_KEYS, is_lake, read_lake
from voronka.config_sources import SourceReader
from voronka.config_tokens import KEYS as TOKEN_KEYS
from voronka.config_tokens import read_vault
from voronka.config_values import Place, Values, absolute
from warehouse.address import Lake

SECTIONS = ("company", "warehouse", "publish", "inputs", "rules", "metrics", "tokens", "sources")
# Sources that can be the authority for money, and what they are when they don't say (their settings' default).
ACCOUNTING_TYPES = ("onec",)
DEFAULT_PRIORITY = 1
CALENDARS = ("RU", "KZ", "BY", "UZ")
# Lengths of taxpayer numbers: BY 9, RU 10 and 12, KZ 12, UZ 9 and 14.
TAX_ID = re.compile(r"\d{9,14}")


def load_project(path: Path, environ: Mapping[str, str] | None = None, *, read_sources: bool = True) -> Project:
    """Read and check a configuration.

    `read_sources` False is for commands that only read: the sources' tables are not converted, so their variables
    need not be there and their connectors are not imported.

    Raises:
        ConfigError: no such file, no TOML, or `problems`: all of them, with paths and without secrets.
    """
    config_path = Path(os.path.abspath(path.expanduser()))
    document = _read_toml(config_path)
    reader = _Reader(config_path, document, Values(read_variables(config_path.parent, environ)))
    return reader.read(read_sources)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            say("Нет файла конфигурации {path}.", "No configuration file {path}.", path=path),
            remedy=say(
                "Создайте его командой `voronka init` или укажите другой: `voronka --config ФАЙЛ …`.",
                "Make one with `voronka init`, or name another: `voronka --config FILE …`.",
            ),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "UTF-8?"
        raise ConfigError(say("Не читается {path}: {e}.", "Can't read {path}: {e}.", path=path, e=reason)) from None
    except tomllib.TOMLDecodeError as error:
        # The parser quotes at most one character of the file, so no secret can be in its sentence.
        raise ConfigError(
            say("{path} — не TOML: {error}.", "{path} is not TOML: {error}.", path=path, error=error)
        ) from None
    except (ValueError, RecursionError):
        raise ConfigError(
            say(
                "{path} не читается: слишком длинное число или слишком глубокие скобки.",
                "Can't read {path}: a number too long, or brackets too deep.",
                path=path,
            )
        ) from None


def read_variables(folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What `${NAME}` may stand for: the environment, and `.env` of the configuration's folder behind it."""
    from dotenv import dotenv_values

    env_file = folder / ".env"
    found: dict[str, str] = {}
    if env_file.is_file():
        try:
            # A password may hold `$`: values are taken as they stand.
            values = dotenv_values(env_file, interpolate=False, encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise ConfigError(
                say("Не читается {path} (нужен UTF-8).", "Can't read {path} (UTF-8 is needed).", path=env_file)
            ) from None
        found = {name: value for name, value in values.items() if value is not None}
    return {**found, **(os.environ if environ is None else environ)}


@dataclass
class _Reader:
    config_path: Path
    document: dict[str, Any]
    values: Values

    @property
    def root(self) -> Path:
        return self.config_path.parent

    def read(self, read_sources: bool) -> Project:
        for name in self.document:
            if name not in SECTIONS:
                self.values.unknown((name,), SECTIONS)
        company = self._company()
        warehouse, raw, lake = self._warehouse()
        publish, personal_data = self._publish(warehouse, raw)
        reader = SourceReader(self.root, self.values)
        tables = reader.tables(self.document.get("sources", {}))
        sources = reader.read(tables) if read_sources else {}
        vault = read_vault(self._section("tokens", TOKEN_KEYS), self.root, self.values, is_used=read_sources)
        if self.values.problems or company is None:
            raise ConfigError(
                say("Ошибки в {path}:", "Problems in {path}:", path=self.config_path), tuple(self.values.problems)
            )
        return Project(
            root=self.root,
            config_path=self.config_path,
            company=replace(
                company,
                source_types={name: str(table.get("type", "")) for name, table in tables.items()},
                priorities=self._priorities(tables),
                disabled_sources=frozenset(name for name, table in tables.items() if table.get("enabled") is False),
            ),
            warehouse_path=warehouse,
            raw_path=raw,
            lake=lake,
            publish_path=publish,
            personal_data=personal_data,
            sources=sources,
            state_dir=self.root / "var" / "state",
            vault=vault,
            secrets=tuple(dict.fromkeys(self.values.secrets)),
        )

    def _priorities(self, tables: Mapping[str, dict[str, Any]]) -> dict[str, int]:
        """The authority of accounting sources, the lower number wins; the same whether sources are read or not, for
        the numbers depend on it."""
        found: dict[str, int] = {}
        for name, table in tables.items():
            if table.get("type") in ACCOUNTING_TYPES:
                given = self.values.substitute(
                    {"priority": table.get("priority", DEFAULT_PRIORITY)}, ("sources", name), required=False
                )
                with suppress(ValueError):  # what is no number is a problem of the source's own reading
                    found[name] = int(str(given["priority"]))
        return found

    # ── one section each ────────────────────────────────────────────────────────────────────────────────────────

    def _section(self, name: str, known: tuple[str, ...]) -> dict[str, Any]:
        table = self.document.get(name, {})
        if not isinstance(table, dict):
            self.values.problem((name,), say("нужна таблица [{n}]", "a table [{n}] is needed", n=name))
            return {}
        for key in table:
            if key not in known:
                self.values.unknown((name, key), known)
        present = {key: value for key, value in table.items() if key in known}
        substituted: dict[str, Any] = self.values.substitute(present, (name,))
        return substituted

    def _take(self, table: dict[str, Any], place: Place, kind: Any, default: Any) -> Any:
        """A key of a table, converted; the default when it is absent or wrong (then the problem is noted)."""
        if place[-1] not in table:
            return default
        converted = self.values.convert(table[place[-1]], kind, place)
        return default if converted is msgspec.UNSET else converted

    def _company(self) -> Company | None:
        known = ("timezone", "currency", "calendar", "language", "vat_mode", "own_tax_ids")
        table = self._section("company", known)

        def take(key: str, kind: Any, default: Any) -> Any:
            return self._take(table, ("company", key), kind, default)

        zone = self._zone(table)
        currency = take("currency", str, "RUB")
        if not re.fullmatch(r"[A-Z]{3}", currency) or currency == "RUR":
            self.values.bad(
                ("company", "currency"),
                table,
                say("нужен код ISO 4217, например RUB", "an ISO 4217 code is needed, such as RUB"),
            )
        calendar = take("calendar", Literal[CALENDARS], "RU")
        language = take("language", Literal["ru", "en"], "ru")
        vat_mode = take("vat_mode", Literal["gross", "net"], "gross")
        own_tax_ids = take("own_tax_ids", list[str], [])
        for number, tax_id in enumerate(own_tax_ids):
            if not TAX_ID.fullmatch(tax_id):
                wanted = say("нужен ИНН из 9–14 цифр", "a taxpayer number of 9 to 14 digits is needed")
                self.values.problem(("company", "own_tax_ids", f"[{number}]"), wanted)
        rules = self._rules()
        inputs_dir = self._folder("inputs", self.root / "inputs")
        metrics_dir = self._folder("metrics", None)
        if zone is None or inputs_dir is None:
            return None
        return Company(
            zone=zone,
            currency=currency,
            calendar=calendar,
            language=language,
            vat_mode=vat_mode,
            own_tax_ids=frozenset(own_tax_ids),
            rules=rules,
            inputs_dir=inputs_dir,
            metrics_dir=metrics_dir,
        )

    def _zone(self, table: dict[str, Any]) -> ZoneInfo | None:
        place = ("company", "timezone")
        if "timezone" not in table:
            wanted = say(
                'не указано: часовой пояс решает, какому дню и месяцу принадлежит запись; например "Europe/Moscow"',
                'is missing: the time zone decides to which day and month a record belongs; such as "Europe/Moscow"',
            )
            self.values.problem(place, wanted)
            return None
        name = self._take(table, place, str, None)
        if name is None:
            return None
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            wanted = say(
                "нет такого часового пояса; пример: Europe/Moscow", "no such time zone; example: Europe/Moscow"
            )
            self.values.bad(place, table, wanted)
            return None

    def _rules(self) -> Rules:
        kinds = get_type_hints(Rules)
        table = self._section("rules", tuple(kinds))
        found: dict[str, Any] = {}
        for key, value in table.items():
            converted = self.values.convert(value, kinds[key], ("rules", key))
            if converted is msgspec.UNSET:
                continue
            found[key] = converted
            numbers = converted.values() if isinstance(converted, dict) else (converted,)
            if any(number < 0 for number in numbers):
                self.values.bad(("rules", key), table, say("не может быть меньше нуля", "can't be below zero"))
        if not 0 < found.get("paid_threshold", 1.0) <= 1:
            wanted = say("нужна доля больше 0 и не больше 1", "a share above 0 and at most 1 is needed")
            self.values.bad(("rules", "paid_threshold"), table, wanted)
        return Rules(**found)

    def _folder(self, section: str, default: Path | None) -> Path | None:
        table = self._section(section, ("dir",))
        return self._path(table, (section, "dir"), default)

    def _path(self, table: dict[str, Any], place: Place, default: Path | None) -> Path | None:
        found = self._take(table, place, Path, None)
        if found is None:
            return default
        if not str(found).strip() or str(found) == ".":
            self.values.problem(place, say("пустой путь", "an empty path"))
            return default
        return absolute(self.root, found)

    def _warehouse(self) -> tuple[Path, Path, Lake | None]:
        table = self._section("warehouse", ("path", "raw_path", *LAKE_KEYS))
        if is_lake(table):
            # Beside this path stand the locks of this machine, and what doesn't fit the memory.
            place = self.root / "var" / "lake"
            return place, place, read_lake(table, self.root, self.values)
        for key in LAKE_KEYS:
            if key in table:
                only = say('нужен только для озера: path = "ducklake:…"', 'is only for a lake: path = "ducklake:…"')
                self.values.problem(("warehouse", key), only)
        warehouse = self._path(table, ("warehouse", "path"), None) or self.root / "var" / "warehouse.duckdb"
        raw = self._path(table, ("warehouse", "raw_path"), None) or self.root / "var" / "raw.duckdb"
        if warehouse == raw:
            self.values.problem(
                ("warehouse", "raw_path"), say("тот же файл, что warehouse.path", "the same file as warehouse.path")
            )
        return warehouse, raw, None

    def _publish(self, warehouse: Path, raw: Path) -> tuple[Path, Literal["full", "masked", "none"]]:
        table = self._section("publish", ("path", "personal_data"))
        published = self._path(table, ("publish", "path"), None) or self.root / "analytics.duckdb"
        if published in (warehouse, raw):
            same = say("тот же файл, что и рабочая база", "the same file as the working database")
            self.values.problem(("publish", "path"), same)
        place = ("publish", "personal_data")
        personal_data = self._take(table, place, Literal["full", "masked", "none"], "full")
        return published, personal_data
