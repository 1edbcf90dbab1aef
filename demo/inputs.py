"""The demo company's inputs, as its data engineer would have confirmed them after `voronka inputs draft`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from demo.calls import LINES
from demo.story import Story


def write_inputs(story: Story, folder: Path, *, crm: str, telephony: str, plans: bool = True) -> None:
    """Write people, identities, stages, lines and plans of a story; `crm` and `telephony` are source names."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / "people.csv",
        "person_id,name,team,role,grade,valid_from,valid_to",
        ((m.person_id, m.name, m.team, "closer", "middle", "2025-03-01", "") for m in story.managers),
    )
    _write(
        folder / "identities.csv",
        "person_id,source,external_id,valid_from,valid_to",
        (
            row
            for m in story.managers
            for row in ((m.person_id, crm, m.user_id, "", ""), (m.person_id, telephony, m.extension, "", ""))
        ),
    )
    _write(
        folder / "stages.csv",
        "source,pipeline_id,stage_id,name,position,kind,valid_from",
        ((crm, story.pipeline_id, s.stage_id, s.name, s.position, s.kind, "") for s in story.stages),
    )
    teams = {manager.team for manager in story.managers}
    lines = {team: line for team, line in LINES.items() if team in teams}
    if lines:
        _write(folder / "lines.csv", "source,line,team", ((telephony, line, team) for team, line in lines.items()))
    if plans:
        _write(folder / "plans.csv", "period,entity_type,entity_id,metric,value", _plans(story))


def _plans(story: Story) -> Iterable[Sequence[object]]:
    for period in ("2026-09", "2026-10"):
        yield period, "company", "company", "revenue_cash", 10_000_000
        yield period, "company", "company", "calls_successful", 2_000
        yield period, "company", "company", "deals_paid", 60
        for manager in story.managers:
            yield period, "manager", manager.person_id, "revenue_cash", 1_250_000
            yield period, "manager", manager.person_id, "calls_successful", 250


def _write(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)
