"""Looking for flags in a period: each body is run once, its rows staged with their findings in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict

import duckdb

from base.text import Language
from metrics.availability import Availability, Bounds
from metrics.flags.catalogue import FIXED, Flag
from metrics.given import given_periods, relations
from metrics.literals import literal, values
from metrics.periods import Period
from metrics.settings import Company

FLAGS = "temp.fresh_flags"
PERIOD_FLAGS = "temp.fresh_period_flags"

_STAGE_NAMES = """
stage_names AS NOT MATERIALIZED (
    SELECT source, pipeline_id, stage_id, arg_max(name, valid_from) AS name
    FROM core.stages GROUP BY source, pipeline_id, stage_id
)"""


def stage_flags(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    flags: Sequence[Flag],
    availability: Availability,
    period: Period,
) -> None:
    """Compute one period's rows of `facts.flags` into `FLAGS`, and of `meta.period_flags` into `PERIOD_FLAGS`.

    A flag whose sources or inputs are missing has no rows but its reason. Nothing here touches a fact.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {FLAGS} AS FROM facts.flags LIMIT 0")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {PERIOD_FLAGS} AS FROM meta.period_flags LIMIT 0")
    for flag in flags:
        absent = availability.absent.get(flag.key)
        as_of = None
        if absent is None:
            bounds = availability.bounds[flag.basis]
            as_of = bounds.as_of
            connection.execute(f"INSERT INTO {FLAGS} BY NAME {_rows(connection, company, flag, bounds)}")
        connection.execute(
            f"INSERT INTO {PERIOD_FLAGS} VALUES (?, ?, ?, ?, ?)",
            [
                period.name,
                flag.key,
                as_of,
                flag.rule_version(company),
                absent.render(company.language) if absent else None,
            ],
        )


def _rows(connection: duckdb.DuckDBPyConnection, company: Company, flag: Flag, bounds: Bounds) -> str:
    empty = ", ".join(f"NULL::{'TIMESTAMPTZ' if name == 'occurred_at' else 'VARCHAR'} AS {name}" for name in FIXED)
    detail = detail_sql(flag, company.language, company.zone.key, part_types(connection, company, flag, bounds))
    return f"""WITH {given_relations(company, flag, bounds)}
SELECT
    f.period, {literal(flag.key)} AS flag, f.source, f.record_id, f.record_type,
    coalesce(s.person_id, f.person_id) AS person_id, f.occurred_at,
    {detail} AS detail, f.deal_source, f.deal_id
FROM (SELECT {empty} WHERE FALSE UNION ALL BY NAME (
{flag.sql.rstrip().rstrip(";")}
)) AS f
JOIN periods AS p ON p.period = f.period
-- A record several people share is shown to whoever has the largest part.
LEFT JOIN calc.split_shares AS s ON s.credit_id = f.person_id AND s.place = 1
WHERE f.occurred_at < p.as_of"""


def given_relations(company: Company, flag: Flag, bounds: Bounds) -> str:
    """The WITH list in front of a flag's body."""
    rules = {name: value for name, value in asdict(company.rules).items() if isinstance(value, int | float)}
    rules["is_net"] = company.vat_mode == "net"
    limits = ", ".join(f"{value} AS {name}" for name, value in rules.items())
    seconds: list[tuple[object, ...]] = [(None, None, None)]
    for name, value in company.rules.successful_call_seconds_by_pipeline.items():
        # `source/pipeline_id` names one pipeline; `pipeline_id` alone any source's.
        source, _, pipeline = name.rpartition("/")
        seconds.append((source, pipeline, value))
    return f"""{relations(given_periods([bounds]), flag)},
limits AS (SELECT {limits}),
call_limits (source, pipeline_id, seconds) AS ({values(seconds)}),{_STAGE_NAMES}"""


def part_types(connection: duckdb.DuckDBPyConnection, company: Company, flag: Flag, bounds: Bounds) -> dict[str, str]:
    """DuckDB's types of a body's columns."""
    given = given_relations(company, flag, bounds)
    described = connection.execute(f"DESCRIBE WITH {given} SELECT * FROM ({flag.sql})").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


def detail_sql(flag: Flag, language: Language, zone: str, types: dict[str, str]) -> str:
    """SQL of a finding's sentence over the body's row `f`."""
    sentences = {form: _sentence(text.render(language), language, zone, types) for form, text in flag.details.items()}
    if set(sentences) == {""}:
        return sentences[""]
    whens = " ".join(f"WHEN {literal(form)} THEN {sentence}" for form, sentence in sentences.items() if form)
    return f"CASE f.form {whens} ELSE {sentences.get('', 'NULL')} END"


def _sentence(template: str, language: Language, zone: str, types: dict[str, str]) -> str:
    pieces = [
        f"coalesce({_written(piece, types[piece], language, zone)}, '—')" if index % 2 else literal(piece)
        for index, piece in enumerate(re.split(r"\{([a-z_]+)\}", template))
        if piece
    ]
    return f"concat({', '.join(pieces)})"


def _written(column: str, kind: str, language: Language, zone: str) -> str:
    """A part of the finding as people write it; its type says what it is."""
    name = f'f."{column}"'
    day = "%d.%m.%Y" if language == "ru" else "%Y-%m-%d"
    if kind == "DATE":
        return f"strftime({name}, '{day}')"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone({literal(zone)}, {name}), '{day} %H:%M')"
    if kind.startswith("DECIMAL"):
        # Whole amounts without kopecks. A double holds what a deal may cost exactly.
        plain = f"CASE WHEN {name} = trunc({name}) THEN '{{:,.0f}}' ELSE '{{:,.2f}}' END"
        text = f"format({plain}, {name}::DOUBLE)"
        return f"replace(replace({text}, ',', ' '), '.', ',')" if language == "ru" else text
    if kind == "DOUBLE":
        return f"concat(floor({name} * 100)::BIGINT, ' %')"
    if kind.endswith("[]"):
        return f"array_to_string({name}, ', ')"
    return f"{name}::VARCHAR"
