"""OData's query options as 1C understands them: a small part of version 3, with 1C's refusals."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]
Test = Callable[[Json], bool]

_TOKENS = re.compile(r"\s*(\(|\)|datetime'[^']*'|guid'[^']*'|'[^']*'|\w+)")
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "ge": lambda a, b: bool(a >= b),
    "gt": lambda a, b: bool(a > b),
    "le": lambda a, b: bool(a <= b),
    "lt": lambda a, b: bool(a < b),
}


class BadQuery(Exception):  # noqa: N818 - an answer of the protocol
    """400 with a sentence."""


def parse_filter(text: str, fields: frozenset[str]) -> Test:
    """A test of rows out of `a eq b and (c ge d or …)`.

    Raises:
        BadQuery: bad syntax, or a field that the set hasn't got.
    """
    tokens = _TOKENS.findall(text)
    if "".join(text.split()) != "".join("".join(token.split()) for token in tokens):
        raise BadQuery("Синтаксическая ошибка в $filter")
    test, rest = _either(tokens, fields)
    if rest:
        raise BadQuery(f"Лишнее в $filter: {rest[0]}")
    return test


def _either(tokens: list[str], fields: frozenset[str]) -> tuple[Test, list[str]]:
    first, rest = _both(tokens, fields)
    if rest[:1] == ["or"]:
        second, rest = _either(rest[1:], fields)
        return (lambda row: first(row) or second(row)), rest
    return first, rest


def _both(tokens: list[str], fields: frozenset[str]) -> tuple[Test, list[str]]:
    first, rest = _comparison(tokens, fields)
    if rest[:1] == ["and"]:
        second, rest = _both(rest[1:], fields)
        return (lambda row: first(row) and second(row)), rest
    return first, rest


def _comparison(tokens: list[str], fields: frozenset[str]) -> tuple[Test, list[str]]:
    if tokens[:1] == ["("]:
        test, rest = _either(tokens[1:], fields)
        if rest[:1] != [")"]:
            raise BadQuery("Нет закрывающей скобки")
        return test, rest[1:]
    if len(tokens) < 3 or tokens[1] not in _OPERATORS:
        raise BadQuery("Синтаксическая ошибка в $filter")
    name, operator, literal = tokens[:3]
    if name not in fields:
        raise BadQuery(f"Поле {name} не найдено")
    if literal.startswith("guid") and operator not in ("eq", "ne"):
        # Platforms differ: a client that relies on it works on some of them only.
        raise BadQuery("Операция сравнения не поддерживается для типа Edm.Guid")
    compare, value = _OPERATORS[operator], _literal(literal)
    return (lambda row: compare(row.get(name), value)), tokens[3:]


def _literal(token: str) -> Any:
    if token in ("true", "false"):
        return token == "true"
    if "'" in token:
        return token.partition("'")[2][:-1]
    if not token.isdigit():
        raise BadQuery(f"Непонятное значение {token}")
    return int(token)


def order_key(names: list[str], fields: frozenset[str]) -> Callable[[Json], tuple[Any, ...]]:
    """The sort key of `$orderby`; keys are ordered by their bytes as databases keep them, not as text.

    Raises:
        BadQuery: a field that the set hasn't got.
    """
    for name in names:
        if name not in fields:
            raise BadQuery(f"Поле {name} не найдено")
    return lambda row: tuple(
        uuid.UUID(row[name]).bytes_le if name == "Ref_Key" else str(row.get(name, "")) for name in names
    )
