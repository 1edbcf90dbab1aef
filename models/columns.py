"""How a relation is declared: type, unit and comment of a column once, everything else derived from it.

Keys are declared with `key=True`: they drive MERGE and uniqueness checks, and are created physically on no DuckDB
target (design: keys and indexes make loads slower there, and DuckLake refuses them).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import sqlalchemy as sa

# What users query, and what landing writes, live in two files: two collections of tables.
WAREHOUSE = sa.MetaData()
RAW = sa.MetaData()

Column = sa.Column[Any]
# Where a column keeps the name of its compression (`Column.info`).
COMPRESSION = "compression"
# What a column can tell of a person (`Column.info`), and what stands in its place where that is not published.
PERSONAL = "personal"
STAND_IN = "stand_in"
Personal = Literal[
    "phone",  # in E.164, or as the telephony wrote it
    "extension",  # an extension, unless a call was led on to somebody's own phone
    "email",
    "number",  # a taxpayer id, an account, a number that people type
    "customer",  # what resolve calls a customer by: a taxpayer id, an account or a name may be in it
    "name",
    "text",  # free text: nobody knows what is in it
]
PERSONAL_KINDS: tuple[Personal, ...] = get_args(Personal)


def _column(name: str, kind: Any, comment: str, key: bool, required: bool) -> Column:
    return sa.Column(name, kind, primary_key=key, nullable=not (key or required), autoincrement=False, comment=comment)


def text(
    name: str,
    comment: str,
    *,
    key: bool = False,
    required: bool = False,
    compression: str | None = None,
    personal: Personal | None = None,
    stand_in: str | None = None,
) -> Column:
    """A text.

    `compression`: DuckDB's method for long texts of one kind; None lets it try them all and choose. `personal`: it
    may tell of a person and is published only where that is wanted; a text without this mark must be named in
    `models/personal.py`. `stand_in`: SQL over the row's own columns for what is published instead.
    """
    column = _column(name, sa.Text(), comment, key, required)
    if compression:
        column.info[COMPRESSION] = compression
    return _mark(column, personal, stand_in)


def texts(name: str, comment: str, *, personal: Personal | None = None) -> Column:
    return _mark(_column(name, sa.ARRAY(sa.Text()), comment, False, False), personal, None)


def _mark(column: Column, personal: Personal | None, stand_in: str | None) -> Column:
    if personal:
        column.info[PERSONAL] = personal
    if stand_in:
        column.info[STAND_IN] = stand_in
    return column


def flag(name: str, comment: str, *, required: bool = False) -> Column:
    return _column(name, sa.Boolean(), comment, False, required)


def integer(name: str, comment: str, *, key: bool = False, required: bool = False) -> Column:
    return _column(name, sa.BigInteger(), comment, key, required)


def number(name: str, comment: str) -> Column:
    """A DOUBLE: shares, weights, quotients; never money."""
    return _column(name, sa.Double(), comment, False, False)


def money(name: str, comment: str) -> Column:
    return _column(name, sa.Numeric(18, 2), comment, False, False)


def exact(name: str, comment: str) -> Column:
    """A DECIMAL(38,6): sums of counts or of money, where one column holds either."""
    return _column(name, sa.Numeric(38, 6), comment, False, False)


def utc(name: str, comment: str, *, key: bool = False, required: bool = False) -> Column:
    return _column(name, sa.TIMESTAMP(timezone=True), comment, key, required)


def day(name: str, comment: str, *, key: bool = False, required: bool = False) -> Column:
    return _column(name, sa.Date(), comment, key, required)


def blob(name: str, comment: str) -> Column:
    return _column(name, sa.LargeBinary(), comment, False, False)


def relation(name: str, comment: str, *columns: Column, metadata: sa.MetaData = WAREHOUSE) -> sa.Table:
    """Declare `schema.table`. Every relation and column carries a comment."""
    schema, _, table = name.partition(".")
    return sa.Table(table, metadata, *columns, schema=schema, comment=comment)


def core(name: str, comment: str, *columns: Column) -> sa.Table:
    """A core relation fed by sources: adds `source` in front, and `version` and `loaded_at` behind."""
    return relation(
        name,
        comment,
        text("source", "Source's name in voronka.toml.", key=True),
        *columns,
        integer("version", "Vendor's version of the record, else its fetch time: microseconds since 1970, UTC."),
        utc("loaded_at", "When this row last changed in the warehouse, UTC."),
    )


def tombstone() -> tuple[Column, Column]:
    """The two columns by which a record is marked deleted and stays so until it is provably restored."""
    return (
        flag("is_deleted", "The source deleted the record; it is kept here."),
        integer("deletion_version", "Version at which is_deleted was last decided: microseconds since 1970, UTC."),
    )
