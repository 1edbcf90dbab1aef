"""Where `voronka move` is told to go: an address of a lake or a path, written as in `[warehouse]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.errors import ConfigError
from base.secrets import Secret
from base.text import say
from voronka.config import read_variables
from voronka.config_lake import LAKE_KEYS, STORE_KEYS, is_lake, read_lake
from voronka.config_values import Values, absolute
from warehouse.database import Files


@dataclass(frozen=True)
class Target:
    """The place, its secrets, and the lines by which the configuration names it (`${NAME}` as it was written)."""

    files: Files
    secrets: tuple[Secret, ...]
    lines: tuple[str, ...]


def read_target(
    root: Path, to: str, data_path: str | None, raw_path: str | None, more: Mapping[str, str] | None = None
) -> Target:
    """The target; `root` is the folder of voronka.toml, to which paths are relative. `more` are other keys of a lake.

    Raises:
        ConfigError: everything that is wrong with it.
    """
    given = {"path": to, "data_path": data_path, "raw_path": raw_path}
    written = {key: value for key, value in given.items() if value is not None} | dict(more or {})
    values = Values(read_variables(root))
    for key in more or {}:
        if key not in STORE_KEYS:
            values.unknown(("warehouse", key), STORE_KEYS)
    table = values.substitute(written, ("warehouse",))
    if is_lake(written):
        place = root / "var" / "lake"
        lake = read_lake(table, root, values)
        files = Files(warehouse=place, raw=place, lake=lake)
    else:
        for key in written.keys() & LAKE_KEYS:
            values.problem(("warehouse", key), say("нужен только для озера", "is only for a lake"))
        if "://" in to or to.startswith("postgres"):
            known = say(
                "озеро: ducklake:postgres:dbname=…; файлы: путь",
                "a lake is ducklake:postgres:dbname=…; files are a path",
            )
            values.problem(("warehouse", "path"), known)
        path = absolute(root, Path(table["path"]))
        written.setdefault("raw_path", str(Path(to).with_name("raw.duckdb")))
        files = Files(warehouse=path, raw=absolute(root, Path(written["raw_path"])))
        if files.raw == files.warehouse:
            same = say("тот же файл, что warehouse.path", "the same file as warehouse.path")
            values.problem(("warehouse", "raw_path"), same)
    if values.problems:
        raise ConfigError(say("Куда переносить:", "Where to move to:"), tuple(values.problems))
    return Target(files, tuple(values.secrets), tuple(f"{key} = {_quoted(value)}" for key, value in written.items()))


def _quoted(value: str) -> str:
    """A TOML string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
