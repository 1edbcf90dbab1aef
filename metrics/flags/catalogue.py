"""The flags: one SQL file each, its rule in words and its finding's words in the header.

A body reads `calc.*`, `core.*`, the relations put in front of a metric (metrics/evidence.py) and three more:

* `limits`: one row, the settings of [rules] by their names, and `is_net`: money is counted without VAT;
* `call_limits(source, pipeline_id, seconds)`: thresholds of successful calls by pipeline; source '' is any source;
* `stage_names(source, pipeline_id, stage_id, name)`.

It yields the columns of `FIXED`, at most one row for a record and period; any further column is a part of the finding,
for a `{name}` in `detail_ru` and `detail_en`. Those are one sentence, or several, `form: sentence | form: sentence`, of
which the column `form` chooses one. A finding names no person, phone or customer: it is published unmasked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from base.text import Text, say
from metrics.catalogue import broken_files
from metrics.declared import Declared, check_rules, common_fields
from metrics.header import COUNTS_UNTIL, FACET_VALUES, REQUIREMENTS, Form, Header, Problem, parse_header

BUILT_IN = Path(__file__).parent / "sql"
FLAG = Form(
    required=("key", "label_ru", "label_en", "rule_ru", "rule_en", "detail_ru", "detail_en", "facets", "counts_until"),
    optional=("requires", "rules"),
    one_of={"counts_until": COUNTS_UNTIL},
    some_of={"facets": FACET_VALUES, "requires": REQUIREMENTS},
    key=re.compile(r"I-\d\d"),
)
# Column of a body, and whether it may be left out.
FIXED = {
    "period": False,
    "record_type": False,
    "source": False,
    "record_id": False,
    "occurred_at": False,
    "person_id": False,
    "deal_source": True,
    "deal_id": True,
    "form": True,
}
_PLACE = re.compile(r"\{([a-z_]+)\}")
_FORM = re.compile(r"([a-z_]+): (.*)")


@dataclass(frozen=True, kw_only=True)
class Flag(Declared):
    """A flag as its file declares it."""

    rule: Text
    details: Mapping[str, Text]  # the finding's sentence by form; '' = any other

    @property
    def parts(self) -> list[str]:
        """The columns its sentences name, each once, in their order."""
        sentences = " ".join(f"{text.ru} {text.en}" for text in self.details.values())
        return list(dict.fromkeys(_PLACE.findall(sentences)))

    def _material(self) -> dict[str, Any]:
        # Unlike a metric's, its words are in its rows.
        words = {form: [text.ru, text.en] for form, text in self.details.items()}
        return {"declared": [self.basis, self.requires], "details": words}


@cache
def load_flags() -> tuple[Flag, ...]:
    """Every flag, in the order of their keys.

    Raises:
        ConfigError: every problem of every file, each with file and line.
    """
    flags: list[Flag] = []
    problems: list[Problem] = []
    for path in sorted(BUILT_IN.glob("*.sql")):
        header, found = parse_header(path, path.read_text(encoding="utf-8"), FLAG)
        found += check_rules(header)
        found += [] if found else _check_details(header)
        problems += found
        if not found:
            flags.append(_build(header))
    if problems:
        raise broken_files(problems)
    return tuple(flags)


def _build(header: Header) -> Flag:
    value = header.fields
    ru, en = _sentences(value["detail_ru"]), _sentences(value["detail_en"])
    return Flag(
        **common_fields(header),
        rule=say(value["rule_ru"], value["rule_en"]),
        details={form: Text(ru[form], en[form]) for form in ru},
    )


def _check_details(header: Header) -> list[Problem]:
    """Both languages have the same forms, and name the same parts."""
    ru, en = (_sentences(header.fields[key]) for key in ("detail_ru", "detail_en"))
    if {form: set(_PLACE.findall(text)) for form, text in ru.items()} == {
        form: set(_PLACE.findall(text)) for form, text in en.items()
    }:
        return []
    what = say("detail_ru и detail_en говорят о разном", "detail_ru and detail_en speak of different things")
    return [Problem(header.path, header.lines["detail_en"], what)]


def _sentences(text: str) -> dict[str, str]:
    """By form, in the order written; a sentence without a form is under ''."""
    found = {}
    for part in re.split(r"\s*\|\s*", text):
        match = _FORM.fullmatch(part)
        found[match[1] if match else ""] = match[2] if match else part
    return found
