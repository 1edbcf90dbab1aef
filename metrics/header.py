"""The declaration in front of a metric's or a flag's SQL: `-- key: value` lines, checked with file and line.

A comment line indented by three spaces or more continues the value above it. The header ends at the first line that is
no comment; everything from there on is the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from base.text import Text, say
from metrics.requirements import NAMES

_FIELD = re.compile(r"-- ([A-Za-z_]+):(?: (.*))?")
_CONTINUATION = re.compile(r"-- {3,}(\S.*)")

AS_FACT = "as_fact"  # of a metric made of facts: that of each fact
EVIDENCE_CLASSES = ("hard", "logged", "declared", "input", AS_FACT)
ADDITIVITIES = ("additive", "ratio", "distinct", "distribution", "snapshot", "derived")
ENTITIES = ("manager", "team", "company")
FACETS = ("crm", "calls", "money")
CREDITS = (
    "actor",
    "owner_at_event",
    "owner_at_entry",
    "owner_at_payment",
    "account_owner",
    "team_of_line",
    "none",
    AS_FACT,
)
STAGE_KINDS = ("base", "qualified", "meeting", "offer", "invoice", "won", "lost", "service")
COUNTS_UNTIL = ("period", "as_of")
SPLITS = ("pipeline", "source")
REQUIREMENTS = ("stages", *NAMES, *(f"stage:{kind}" for kind in STAGE_KINDS))

FACET_VALUES = (*FACETS, *(f"{facet}?" for facet in FACETS))


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a kind of file declares: its keys, and the values a key may have (one of a list, or several, by commas)."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    one_of: Mapping[str, tuple[str, ...]]
    some_of: Mapping[str, tuple[str, ...]]  # an allowed facet may end in `?`
    key: re.Pattern[str]


METRIC = Form(
    required=(
        "key",
        "label_ru",
        "label_en",
        "description_ru",
        "description_en",
        "unit",
        "group",
        "evidence_class",
        "event_time",
        "credit",
        "additivity",
        "entities",
    ),
    optional=("number", "facets", "counts_until", "requires", "rules", "direction", "quantile", "formula", "of", "by"),
    one_of={
        "evidence_class": EVIDENCE_CLASSES,
        "credit": CREDITS,
        "additivity": ADDITIVITIES,
        "counts_until": COUNTS_UNTIL,
        "direction": ("up", "down"),
        "of": ("plan",),
    },
    some_of={"entities": ENTITIES, "facets": FACET_VALUES, "requires": REQUIREMENTS, "by": SPLITS},
    key=re.compile(r"[a-z][a-z0-9_]*"),
)


@dataclass(frozen=True)
class Problem:
    """What is wrong in a file, and where; line 1 stands for the whole file."""

    path: Path
    line: int
    what: Text

    def text(self) -> Text:
        return say("{path}:{line}: {what}", "{path}:{line}: {what}", path=self.path, line=self.line, what=self.what)


@dataclass(frozen=True)
class Header:
    """The fields as written, the line of each, and the SQL behind them with its first line's number."""

    path: Path
    fields: dict[str, str]
    lines: dict[str, int]
    body: str
    body_line: int

    def listed(self, key: str) -> tuple[str, ...]:
        """A comma-separated value, in its order; empty when the key is absent."""
        return tuple(part.strip() for part in self.fields.get(key, "").split(",") if part.strip())


def parse_header(path: Path, source: str, form: Form = METRIC) -> tuple[Header, list[Problem]]:
    """Read a file's declaration. Reading goes on behind a problem, so that all of them are told at once."""
    fields: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    rows = source.splitlines()
    end = next((index for index, row in enumerate(rows) if not row.startswith("--")), len(rows))
    current = ""
    for number, row in enumerate(rows[:end], start=1):
        if current and (more := _CONTINUATION.fullmatch(row.rstrip())):
            fields[current] = f"{fields[current]} {more[1]}".strip()
        elif not (match := _FIELD.fullmatch(row.rstrip())):
            problems.append(Problem(path, number, say("нужна строка «-- ключ: значение»", "want `-- key: value`")))
        elif match[1] in fields:
            problems.append(Problem(path, number, say("ключ {key} второй раз", "key {key} again", key=match[1])))
        else:
            current = match[1]
            fields[current], lines[current] = (match[2] or "").strip(), number
    while end < len(rows) and not rows[end].strip():
        end += 1
    header = Header(path, fields, lines, "\n".join(rows[end:]).strip(), end + 1)
    return header, problems + list(_check(header, form))


def _check(header: Header, form: Form) -> Iterator[Problem]:
    for key, line in header.lines.items():
        if key not in form.required and key not in form.optional:
            yield Problem(header.path, line, say("неизвестный ключ {key}", "unknown key {key}", key=key))
    for key in form.required:
        if not header.fields.get(key):
            yield Problem(header.path, header.lines.get(key, 1), say("нет ключа {key}", "no key {key}", key=key))
    for key, allowed in form.one_of.items():
        if header.fields.get(key):
            yield from _check_values(header, key, (header.fields[key],), allowed)
    for key, allowed in form.some_of.items():
        yield from _check_values(header, key, header.listed(key), allowed)
    if "key" in header.fields and not form.key.fullmatch(header.fields["key"]):
        what = say("ключ метрики — латиница, цифры и _", "a metric's key is made of a-z, 0-9 and _")
        yield Problem(header.path, header.lines["key"], what)
    yield from _check_numbers(header)
    yield from _check_formula(header)
    yield from _check_basis(header)
    if not header.body:
        yield Problem(header.path, header.body_line, say("после заголовка нет запроса", "no query behind the header"))


def _check_values(header: Header, key: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> Iterator[Problem]:
    for value in values:
        if value not in allowed:
            what = say(
                "{key}: «{value}» не годится, бывает: {allowed}",
                "{key}: {value!r} is none of {allowed}",
                key=key,
                value=value,
                allowed=", ".join(each for each in allowed if each != AS_FACT),
            )
            yield Problem(header.path, header.lines[key], what)


def _check_formula(header: Header) -> Iterator[Problem]:
    """A derived metric, and no other, says what it makes of its factors, or that it is made of facts and plans."""
    if (header.fields.get("additivity") == "derived") != bool(header.fields.keys() & {"formula", "of"}):
        what = say("formula нужна при additivity: derived", "a formula goes with additivity: derived")
        yield Problem(header.path, header.lines.get("formula", header.lines.get("additivity", 1)), what)


def _check_basis(header: Header) -> Iterator[Problem]:
    """What is counted from records says which ones and until when; what is made of facts has that from them."""
    is_of_facts = "of" in header.fields
    for key in ("facets", "counts_until"):
        if not header.fields.get(key) and not is_of_facts:
            yield Problem(header.path, header.lines.get(key, 1), say("нет ключа {key}", "no key {key}", key=key))
    for key in ("evidence_class", "credit", "unit"):
        if header.fields.get(key) == AS_FACT and not is_of_facts:
            what = say("{key}: as_fact бывает только при of", "{key}: as_fact goes with `of` only", key=key)
            yield Problem(header.path, header.lines[key], what)


def _check_numbers(header: Header) -> Iterator[Problem]:
    if "number" in header.fields and not header.fields["number"].isdecimal():
        what = say("number: нужно целое число", "number: want a whole number")
        yield Problem(header.path, header.lines["number"], what)
    if "quantile" in header.fields and not re.fullmatch(r"0?\.\d+", header.fields["quantile"]):
        what = say("quantile: нужно число между 0 и 1", "quantile: want a number between 0 and 1")
        yield Problem(header.path, header.lines["quantile"], what)
