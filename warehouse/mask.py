"""The analysts' file without personal data: written anew from the models' marks, never copied and erased from.

A copy from which rows are erased still holds their bytes in free pages. Here every relation is read and inserted into
a fresh file, and what a column may tell of a person (models/personal.py) is replaced on the way:

* `masked`: phones, e-mails and identifying numbers become tokens made with the company's key, the same in every
  relation and every night, so joins and counts hold; names and free text are empty.
* `none`: they are empty. Where numbers are counted from them (keys, `calc.*`) there are tokens made with a key that
  is thrown away: they hold within this file and can't be compared with anything.

A relation the models don't know is published without its rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import duckdb
import sqlalchemy as sa

from models import WAREHOUSE
from models.columns import Personal
from models.personal import personal_kind, stand_in
from warehouse.company_key import CompanyKey, throwaway_key
from warehouse.layout import WAREHOUSE_OPTIONS
from warehouse.quoting import quote_literal

Mode = Literal["masked", "none"]
# Kinds whose values identify and join; the others only say something.
_JOINING: frozenset[Personal] = frozenset({"phone", "extension", "email", "number", "customer"})
# 96 bits: no two phones of a company meet.
_TOKEN = """
CREATE TEMP MACRO token(kind, value) AS
    if(value = '', '', kind || ':' || left(sha256(getvariable('masking_key') || kind || ':' || value), 24))
"""
# A call led on to somebody's own phone has that phone as its extension.
_LOOKS_LIKE_PHONE = r"'^(\+\d{10,15}|[78]\d{10})$'"
# 128 bits: with a phone and its kind they fit one block of SHA-256, which halves the work.
KEY_LETTERS = 32
_MASKED = "Masked: empty or a token made with the company's key."
_SETTING = "publish.personal_data"


def write_masked(warehouse: Path, target: Path, mode: Mode, key: CompanyKey, *, memory_limit: str = "1GB") -> None:
    """Write `target` from the closed, checkpointed warehouse; the target must not exist.

    The caller holds the writer's lock, and puts the target in place.
    """
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        "temp_directory": f"{target}.tmp",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"ATTACH {quote_literal(str(warehouse))} AS working (READ_ONLY)")
        write_anew(connection, "working", target, mode, key)


def write_anew(
    connection: duckdb.DuckDBPyConnection, working: str, target: Path, mode: Mode | None, key: CompanyKey
) -> None:
    """The same from an attached catalog, in one picture of it. Without a `mode` rows are written as they are."""
    chosen = key if mode == "masked" else throwaway_key()
    connection.execute(f"ATTACH {quote_literal(str(target))} AS published {WAREHOUSE_OPTIONS}")
    connection.execute("SET VARIABLE masking_key = $1", [chosen.derive("masking").hex()[:KEY_LETTERS]])
    connection.execute("USE published")
    connection.execute(_TOKEN)
    # Relations, views and comments, without a row. A view's own SQL can't always be run again.
    connection.execute(f"COPY FROM DATABASE {working} TO published (SCHEMA)")
    # One transaction: every commit waits for the disk.
    connection.execute("BEGIN")
    for table in WAREHOUSE.sorted_tables:
        connection.execute(_copy(table, working, mode))
    if mode is not None:
        connection.execute(f"INSERT INTO meta.settings VALUES ('{_SETTING}', '\"{mode}\"')")
        _say_what_is_masked(connection)
    connection.execute("COMMIT")
    connection.execute("CHECKPOINT published")


def _copy(table: sa.Table, working: str, mode: Mode | None) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(_value(column, mode) if mode else f'"{column.name}"' for column in table.columns)
    return f"INSERT INTO {table.fullname} ({columns}) SELECT {values} FROM {working}.{table.fullname}"


def _value(column: sa.Column[Any], mode: Mode) -> str:
    """What is published of a column, as SQL over its row."""
    name = f'"{column.name}"'
    kind = personal_kind(column)
    if kind is None:
        return name
    instead = stand_in(column)
    if instead is not None:
        return instead
    if kind == "extension":
        # A plain extension is the company's own, and people are tied to calls by it.
        return f"if(regexp_full_match({name}, {_LOOKS_LIKE_PHONE}), {_token('phone', name)}, {name})"
    is_counted = not column.nullable or (kind in _JOINING and column.table.schema == "calc")
    if not is_counted and (mode == "none" or kind not in _JOINING):
        return "NULL"
    if kind == "customer":
        return _customer(name)
    if isinstance(column.type, sa.ARRAY):
        return f"list_transform({name}, lambda x: {_token(kind, 'x')})"
    return _token(kind, name)


def _token(kind: str, value: str) -> str:
    return f"token('{kind}', {value})"


def _customer(name: str) -> str:
    """`tax:…` and `payer:…` name a person or firm; `contact:…` and `company:…` only a card of the CRM."""
    kind, value = f"split_part({name}, ':', 1)", f"substr({name}, instr({name}, ':') + 1)"
    return f"if({kind} IN ('contact', 'company'), {name}, token({kind}, {value}))"


def _say_what_is_masked(connection: duckdb.DuckDBPyConnection) -> None:
    for table in WAREHOUSE.sorted_tables:
        for column in table.columns:
            if personal_kind(column) is not None:
                words = quote_literal(f"{column.comment} {_MASKED}")
                connection.execute(f'COMMENT ON COLUMN {table.fullname}."{column.name}" IS {words}')
