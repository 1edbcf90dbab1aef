"""Names and texts as they stand in SQL that takes no parameters: ATTACH, COMMENT, DDL."""

from __future__ import annotations


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
