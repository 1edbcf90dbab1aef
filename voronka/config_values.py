"""Values of voronka.toml: `${NAME}` replaced, types converted, and every problem kept with its path.

A value that came from a variable is never shown: the variable's name is.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from base.secrets import Secret
from base.text import Text, say

T = TypeVar("T")
Place = tuple[str, ...]

REFERENCE = re.compile(r"\$\{([^}]*)\}?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Variables that hold a secret even where the field itself is a plain text (a password inside an address).
SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASS|KEY|SALT|HASH|WEBHOOK", re.IGNORECASE)


def dotted(place: Place) -> str:
    """`("sources", "amo", "token")` as people write it; parts that TOML would quote are quoted."""
    quoted = (part if re.fullmatch(r"[\w-]+|\[\d+\]", part) else f'"{part}"' for part in place)
    return ".".join(quoted).replace(".[", "[")


class Values:
    """A configuration's values being read. Nothing raises: problems gather in `problems`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._origins: dict[Place, tuple[str, ...]] = {}
        self.problems: list[Text] = []
        self.secrets: list[Secret] = []

    # ── problems ────────────────────────────────────────────────────────────────────────────────────────────────

    def problem(self, place: Place, message: Text) -> None:
        text = say("{place}: {message}", "{place}: {message}", place=dotted(place), message=message)
        if text not in self.problems:
            self.problems.append(text)

    def shown(self, place: Place, value: object) -> Text:
        """The value for a message, or the variable it came from."""
        names = self._origins.get(place)
        if names:
            listed = ", ".join(f"${{{name}}}" for name in names)
            return say("значение из {names}", "the value of {names}", names=listed)
        if isinstance(value, str):
            return say("«{v}»", '"{v}"', v=value)
        return say("{v}", "{v}", v=value)

    def bad(self, place: Place, table: Mapping[str, Any], wanted: Text) -> None:
        """A value of the right type that can't be."""
        shown = self.shown(place, table.get(place[-1]))
        self.problem(place, say("{shown}: {wanted}", "{shown}: {wanted}", shown=shown, wanted=wanted))

    def unknown(self, place: Place, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(place[-1], list(known), n=1, cutoff=0.6)
        if near:
            message = say("неизвестный ключ; возможно, «{near}»?", "unknown key; did you mean {near!r}?", near=near[0])
        else:
            listed = ", ".join(known)
            message = say("неизвестный ключ; известны: {known}", "unknown key; known are: {known}", known=listed)
        self.problem(place, message)

    # ── variables ───────────────────────────────────────────────────────────────────────────────────────────────

    def substitute(self, value: Any, place: Place = (), *, required: bool = True) -> Any:
        """The value with every `${NAME}` in it replaced. Not `required`: a missing one stays as it is."""
        if isinstance(value, dict):
            return {key: self.substitute(item, (*place, key), required=required) for key, item in value.items()}
        if isinstance(value, list):
            return [self.substitute(item, (*place, f"[{i}]"), required=required) for i, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        names: list[str] = []

        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            if not match.group().endswith("}") or not VARIABLE.fullmatch(name):
                self.problem(place, say("ссылка на переменную пишется ${ИМЯ}", "a variable is written ${NAME}"))
                return match.group()
            names.append(name)
            found = self._variables.get(name)
            if found is None:
                if required:
                    self._missing(place, name)
                return match.group()
            if SECRET_NAMES.search(name):
                self.secrets.append(Secret(found.strip()))
            return found.strip()

        replaced = REFERENCE.sub(replace, value)
        # A list's items and a table's keys share the origin of what holds them, for messages about the whole.
        for depth in range(len(place), 0, -1):
            self._origins[place[:depth]] = tuple(dict.fromkeys((*self._origins.get(place[:depth], ()), *names)))
        return replaced

    def variable(self, name: str) -> str | None:
        """A variable that no key of the file has to name."""
        return self._variables.get(name)

    def _missing(self, place: Place, name: str) -> None:
        self.problem(
            place,
            say(
                "нет переменной {name} (ни в окружении, ни в .env рядом с конфигурацией)",
                "no variable {name} (neither in the environment nor in .env beside the configuration)",
                name=name,
            ),
        )

    def is_unresolved(self, value: object) -> bool:
        """A reference is still inside: its own problem was told, a second one would only distract."""
        return isinstance(value, str) and "${" in value

    # ── conversion ──────────────────────────────────────────────────────────────────────────────────────────────

    def convert(self, value: Any, kind: Any, place: Place) -> Any:
        """The value as `kind`, or `msgspec.UNSET` after noting the problem."""
        if self.is_unresolved(value):
            return msgspec.UNSET
        if holds(kind, Secret):
            return self._convert_secret(value, place)
        # What holds other values is taken apart, so that all of its problems are told and not the first one only.
        if isinstance(value, dict):
            # `X | None` is one of X; `list[X]` is none.
            variants = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
            struct = next((variant for variant in variants if is_struct(variant)), None)
            if struct is not None:
                return self._convert_struct(value, struct, place)
            if get_origin(kind) is dict:
                items = {key: self.convert(item, get_args(kind)[1], (*place, key)) for key, item in value.items()}
                return msgspec.UNSET if msgspec.UNSET in items.values() else items
        if isinstance(value, list) and get_origin(kind) is list:
            parts = [self.convert(item, get_args(kind)[0], (*place, f"[{i}]")) for i, item in enumerate(value)]
            return msgspec.UNSET if msgspec.UNSET in parts else parts
        try:
            # Text from a variable may stand for a number; text in the file may not.
            return msgspec.convert(value, kind, strict=place not in self._origins, dec_hook=_decode)
        except msgspec.ValidationError:
            # msgspec's own sentence may hold the value: ours is built from what may be shown.
            wanted, got = describe(kind), self.shown(place, value)
            self.problem(
                place, say("нужно: {wanted}; стоит {got}", "needed: {wanted}; got {got}", wanted=wanted, got=got)
            )
            return msgspec.UNSET

    def _convert_struct(self, table: dict[str, Any], struct: type[msgspec.Struct], place: Place) -> Any:
        fields = self.known_fields(table, struct, place)
        found = {key: self.convert(table[key], field.type, (*place, key)) for key, field in fields.items()}
        is_whole = all(field.name in found for field in msgspec.structs.fields(struct) if field.required)
        return struct(**found) if is_whole and msgspec.UNSET not in found.values() else msgspec.UNSET

    def known_fields(
        self, table: dict[str, Any], struct: type[msgspec.Struct], place: Place
    ) -> dict[str, msgspec.structs.FieldInfo]:
        """The fields of a struct that a table gives; keys it does not know and keys it lacks are noted."""
        fields = {field.name: field for field in msgspec.structs.fields(struct)}
        for key in table:
            if key not in fields:
                self.unknown((*place, key), [name for name in fields if name not in table])
        for name, field in fields.items():
            if field.required and name not in table:
                self.problem((*place, name), say("не указано", "is missing"))
        return {name: field for name, field in fields.items() if name in table}

    def _convert_secret(self, value: Any, place: Place) -> Any:
        if not isinstance(value, str):
            self.problem(place, say("нужна строка в кавычках", "a quoted string is needed"))
            return msgspec.UNSET
        if not value.strip():
            names = self._origins.get(place, ())
            empty = say("пусто", "is empty") if not names else say("{n} пуста", "{n} is empty", n=", ".join(names))
            self.problem(place, empty)
            return msgspec.UNSET
        secret = Secret(value.strip())
        self.secrets.append(secret)
        return secret


def absolute(root: Path, path: Path) -> Path:
    """A path of the configuration made absolute. Links are kept: they are the user's choice and may be moved."""
    return Path(os.path.normpath(root / path.expanduser()))


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def holds(kind: Any, wanted: type) -> bool:
    """Whether a type is `wanted` or an optional one."""
    return kind is wanted or wanted in get_args(kind)


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    # msgspec takes this for a value of the wrong type.
    raise TypeError


def describe(kind: Any) -> Text:
    """A type in words, with the bounds it declares."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bounds = [bound for meta in args[1:] if isinstance(meta, msgspec.Meta) for bound in _bounds(meta)]
        return _joined([describe(args[0]), *bounds])
    if origin is Literal:
        return say("{v}", "{v}", v=" | ".join(f'"{arg}"' for arg in args))
    if origin in (Union, UnionType):
        return describe(next(arg for arg in args if arg is not NoneType))
    if origin in (list, tuple, frozenset, set):
        return say("список [{of}, …]", "a list [{of}, …]", of=describe(args[0]))
    if origin is dict:
        return say("таблица {{ключ = {of}}}", "a table {{key = {of}}}", of=describe(args[1]))
    words = {
        str: say("строка в кавычках", "a quoted string"),
        Path: say("строка в кавычках", "a quoted string"),
        bool: say("true или false", "true or false"),
        int: say("целое число", "a whole number"),
        float: say("число", "a number"),
        date: say("дата ГГГГ-ММ-ДД", "a date YYYY-MM-DD"),
    }
    return words.get(kind, say("таблица", "a table"))


def _bounds(meta: msgspec.Meta) -> list[Text]:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = ((sign, getattr(meta, name)) for name, sign in signs.items())
    return [Text(f"{sign} {bound}", f"{sign} {bound}") for sign, bound in found if bound is not None]


def _joined(parts: list[Text]) -> Text:
    return Text(", ".join(part.render("ru") for part in parts), ", ".join(part.render("en") for part in parts))
