"""What a metric and an integrity flag have in common: words, what it stands on, until when it counts, its query."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from base.text import Text, say
from metrics.header import Header, Problem
from metrics.settings import Company, Rules

_RULE_NAMES = frozenset(field.name for field in fields(Rules))


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A file of SQL with its declaration."""

    key: str
    label: Text
    facets: tuple[str, ...]  # must be loaded: crm, calls, money
    optional_facets: tuple[str, ...]  # bound `as_of` where they are loaded
    requires: tuple[str, ...]  # inputs and records: stages, stage:meeting, people, calendar, …
    rules: tuple[str, ...]  # settings of [rules] it depends on
    by: tuple[str, ...]  # split besides by entity: pipeline, source (of deals)
    counts_until: str  # "period": until its end at most; "as_of": what happened later to the period's records too
    sql: str
    sql_line: int  # the body's first line in the file
    path: Path

    @property
    def basis(self) -> str:
        """What decides until when it counts; what shares a basis shares its `as_of`."""
        facets = [*self.facets, *(f"{facet}?" for facet in self.optional_facets)]
        return f"{'+'.join(sorted(facets))} until {self.counts_until}"

    def rule_version(self, company: Company) -> str:
        """Digest of the rule and of the settings it depends on; wording does not change it."""
        rules = asdict(company.rules)
        material = self._material() | {
            "sql": self.sql,
            "rules": {name: rules[name] for name in self.rules},
            "company": [company.zone.key, company.currency, company.vat_mode],
        }
        return hashlib.sha256(json.dumps(material, sort_keys=True).encode()).hexdigest()[:16]

    def _material(self) -> dict[str, Any]:
        """What else than SQL and settings the rule consists of."""
        return {"declared": [self.basis, self.requires]}


def common_fields(header: Header) -> dict[str, Any]:
    """The fields of `Declared` out of a checked header."""
    facets = header.listed("facets")
    return {
        "key": header.fields["key"],
        "label": say(header.fields["label_ru"], header.fields["label_en"]),
        "facets": tuple(facet for facet in facets if not facet.endswith("?")),
        "optional_facets": tuple(facet.removesuffix("?") for facet in facets if facet.endswith("?")),
        "requires": header.listed("requires"),
        "rules": header.listed("rules"),
        "by": header.listed("by"),
        "counts_until": header.fields.get("counts_until", "period"),
        "sql": header.body,
        "sql_line": header.body_line,
        "path": header.path,
    }


def check_rules(header: Header) -> list[Problem]:
    """Rules the file names and the settings don't have."""
    return [
        Problem(
            header.path, header.lines["rules"], say("нет такого правила: {rule}", "no such rule: {rule}", rule=rule)
        )
        for rule in header.listed("rules")
        if rule not in _RULE_NAMES
    ]
