"""Flags as reports read them, from the warehouse or from a published file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

import duckdb

from base.errors import UsageError
from base.text import say
from metrics.reading import fetch_rows, require_computed

UNASSIGNED = "unassigned"


@dataclass(frozen=True, kw_only=True)
class FlagRow:
    """A record under a flag; the columns of `facts.flags`, the person's name and team, and the deal's card."""

    period: str
    flag: str
    source: str
    record_id: str
    record_type: str
    person_id: str | None
    person_name: str | None
    team: str | None
    occurred_at: datetime
    detail: str
    deal_id: str | None
    url: str | None


def read_flags(
    connection: duckdb.DuckDBPyConnection, period: str, who: str | None = None, flag: str | None = None
) -> list[FlagRow]:
    """The flags of a computed period, by flag and time; `who` is a person's id or name, a team, or `unassigned`.

    Raises:
        UsageError: the period was never computed, or nobody is called so; near names are told.
    """
    require_computed(connection, period)
    rows = fetch_rows(connection, FlagRow, _QUERY, {"period": period, "flag": flag})
    if who is None:
        return rows
    kind, name = _find_entity(connection, who)
    # A call nobody held, a payment without a deal: nobody's.
    return [row for row in rows if (row.team if kind == "team" else row.person_id or UNASSIGNED) == name]


def read_unchecked(connection: duckdb.DuckDBPyConnection, period: str) -> dict[str, str]:
    """The flags that could not be looked for in a computed period, each with the reason."""
    rows = connection.execute(
        "SELECT flag, absent FROM meta.period_flags WHERE period = $period AND absent IS NOT NULL ORDER BY flag",
        {"period": period},
    ).fetchall()
    return {str(flag): str(reason) for flag, reason in rows}


# Name and team as they were on the day; a person who had left by then keeps the last known.
_QUERY = """
SELECT f.*, p.name AS person_name, p.team, d.url
FROM facts.flags AS f
LEFT JOIN core.people AS p ON p.person_id = f.person_id
LEFT JOIN core.deals AS d ON d.source = f.deal_source AND d.deal_id = f.deal_id
WHERE f.period = $period AND ($flag IS NULL OR f.flag = $flag)
QUALIFY row_number() OVER (
    PARTITION BY f.flag, f.source, f.record_id ORDER BY p.valid_from <= f.occurred_at::DATE DESC, p.valid_from DESC
) = 1
ORDER BY f.flag, f.occurred_at, f.source, f.record_id
"""


def _find_entity(connection: duckdb.DuckDBPyConnection, asked: str) -> tuple[str, str]:
    """A person by id or name before a team of the same name."""
    people = connection.execute("SELECT DISTINCT person_id, name, team FROM core.people").fetchall()
    wanted = asked.casefold()
    if wanted == UNASSIGNED:
        return ("manager", UNASSIGNED)
    for person, name, _ in people:
        if wanted in (str(person).casefold(), str(name).casefold()):
            return ("manager", str(person))
    for _, _, team in people:
        if team is not None and wanted == str(team).casefold():
            return ("team", str(team))
    known = sorted({str(value) for row in people for value in row if value is not None})
    near = get_close_matches(asked, known, n=3, cutoff=0.5) or known[:10]
    raise UsageError(
        say("Нет такого сотрудника или команды: «{asked}».", "No such person or team: {asked!r}.", asked=asked),
        remedy=say("Похожие: {near}.", "Near: {near}.", near=", ".join(near)),
    )
