"""`inputs check`: what is wrong in the inputs, and what they leave unassigned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files

import duckdb

from base.clock import Clock, SystemClock
from base.text import Text, say
from metrics.inputs.declared import IDENTITIES, LINES, PEOPLE, STAGES
from metrics.inputs.load import arrow_rows
from metrics.inputs.plans import check_plans
from metrics.inputs.reader import ReadFile, list_strangers, read_inputs
from metrics.inputs.validate import validate
from metrics.settings import Company

_COMPARED = (PEOPLE, IDENTITIES, STAGES, LINES)
# In the order they are shown: what loses credit first.
_FINDINGS = {
    "user": say("не привязан ни к кому", "belongs to nobody"),
    "extension": say("номер не привязан ни к кому", "extension belongs to nobody"),
    "stage": say("этапа нет в stages.csv", "stage is not in stages.csv"),
    "guess": say("вид этапа угадан: подтвердите", "stage kind is a guess: confirm it"),
    "line": say("линия без отдела: пропущенные ничьи", "line has no team: its missed calls are nobody's"),
    "team": say("отдела нет в people.csv", "team is not in people.csv"),
    "person": say("ни одной учётной записи в identities.csv", "has no identity in identities.csv"),
    "source": say("источника нет в voronka.toml", "source is not in voronka.toml"),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something the inputs leave unassigned. `records`: how many records it costs (0 = none so far); for an unknown
    source, the input lines that name it. `recent`: of a user's deals or an extension's calls those of the last 90
    days loaded; None for other kinds."""

    kind: str  # user, extension, stage, guess, line, team, person, source
    source: str
    external_id: str
    name: str
    records: int
    recent: int | None = None

    @property
    def text(self) -> Text:
        return _FINDINGS[self.kind]


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """`problems` keep the inputs from being loaded; `warnings` and `findings` don't."""

    problems: list[Text] = field(default_factory=list)
    warnings: list[Text] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def check_inputs(connection: duckdb.DuckDBPyConnection, company: Company, *, clock: Clock | None = None) -> CheckReport:
    """Validate the files as they lie in the folder, and hold them against the records in the warehouse.

    Nothing is written; lines that can't be read are left out of the comparison.
    """
    inputs = read_inputs(company.inputs_dir, company.calendar)
    check_plans(connection, company, clock or SystemClock(), inputs)
    problems = validate(inputs)
    with_rows = {f"check_{declared.relation.partition('.')[2]}": inputs[declared.name] for declared in _COMPARED}
    for name, read in with_rows.items():
        connection.register(name, arrow_rows(read))
    try:
        found = connection.execute(_script(), {"zone": company.zone.key}).fetchall()
    finally:
        for name in with_rows:
            connection.unregister(name)
    findings = [
        Finding(
            kind=kind, source=source, external_id=external_id or "", name=name or "", records=records, recent=recent
        )
        for kind, source, external_id, name, records, recent in found
    ]
    findings += _unknown_sources(company, with_rows.values())
    order = list(_FINDINGS)
    findings.sort(
        key=lambda finding: (order.index(finding.kind), -finding.records, finding.source, finding.external_id)
    )
    return CheckReport(problems=problems, warnings=list_strangers(company.inputs_dir), findings=findings)


def _script() -> str:
    return files("metrics.inputs").joinpath("unassigned.sql").read_text(encoding="utf-8")


def _unknown_sources(company: Company, compared: Iterable[ReadFile]) -> list[Finding]:
    """Names of sources the configuration has not: misspelt, or of a source that was taken out."""
    rows = [row for read in compared for row in read.rows if "source" in row.values]
    counts = Counter(row.values["source"] for row in rows)
    return [
        Finding(kind="source", source=source, external_id="", name="", records=count)
        for source, count in counts.items()
        if source not in company.source_types
    ]
