"""What resolve's output was made from, as digests: the same ones mean there is nothing to do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb

from metrics.inputs.declared import ABSENCES, PLANS
from metrics.settings import Company
from metrics.versions import input_version

# Core relations that sources feed. What resolve itself makes (owners, visits, allocations) is no reason to resolve.
SOURCE_RELATIONS = (
    "core.activities",
    "core.calls",
    "core.call_legs",
    "core.companies",
    "core.contact_phones",
    "core.contacts",
    "core.costs",
    "core.deal_contacts",
    "core.deal_events",
    "core.deals",
    "core.invoices",
    "core.orders",
    "core.payment_parts",
    "core.payments",
    "core.pipeline_stages",
    "core.receivables",
    "core.sales_documents",
    "core.users",
)
# Plans come every month and absences any day; only metrics read them, and a large company is resolved for an hour.
UNREAD_INPUTS = {PLANS.name: PLANS.relation, ABSENCES.name: ABSENCES.relation}
_PREFIX = "resolve."


def present_versions(connection: duckdb.DuckDBPyConnection, company: Company) -> dict[str, str]:
    """Digests by their names in `meta.settings`: of core records, inputs, settings, and of the rules' own text."""
    return {
        f"{_PREFIX}core_version": core_version(connection),
        f"{_PREFIX}input_version": input_version(connection, but=[*UNREAD_INPUTS, *_calendars(connection)]),
        f"{_PREFIX}calendar_version": _calendar_version(connection),
        f"{_PREFIX}settings_version": _digest(_settings(company)),
        f"{_PREFIX}sources_version": _digest(source_settings(company)),
        f"{_PREFIX}rules_version": rules_version(),
    }


def stored_versions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The digests the present output was made with; empty before the first resolve."""
    rows = connection.execute(
        "SELECT name, value FROM meta.settings WHERE starts_with(name, $prefix)", {"prefix": _PREFIX}
    ).fetchall()
    return {name: json.loads(value) for name, value in rows}


def store_versions(connection: duckdb.DuckDBPyConnection, versions: dict[str, str]) -> None:
    """Remember the digests, in the caller's transaction."""
    for name, value in versions.items():
        store_setting(connection, name, value)


def read_setting(connection: duckdb.DuckDBPyConnection, name: str) -> Any:
    """What is remembered by this name; None = nothing."""
    row = connection.execute("SELECT value FROM meta.settings WHERE name = $name", {"name": name}).fetchone()
    return None if row is None else json.loads(row[0])


def store_setting(connection: duckdb.DuckDBPyConnection, name: str, value: Any) -> None:
    """Remember a JSON value, in the caller's transaction."""
    connection.execute("DELETE FROM meta.settings WHERE name = $name", {"name": name})
    connection.execute(
        "INSERT INTO meta.settings (name, value) VALUES ($name, $value)", {"name": name, "value": json.dumps(value)}
    )


def core_version(connection: duckdb.DuckDBPyConnection) -> str:
    """A digest that changes with any row conforming wrote: what was conformed, and count and age of each relation."""
    watermarks = connection.execute("SELECT * FROM meta.watermarks ORDER BY source, stream").fetchall()
    counts = " UNION ALL ".join(
        f"SELECT '{name}' AS relation, count(*), max(loaded_at), sum(version) FROM {name}" for name in SOURCE_RELATIONS
    )
    return _digest([watermarks, connection.execute(f"{counts} ORDER BY relation").fetchall()])


def _calendars(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The production calendars among the inputs: they grow by themselves, and resolve goes by the days alone."""
    named = connection.execute("SELECT file FROM meta.inputs WHERE starts_with(file, 'calendar:')").fetchall()
    return [str(file) for (file,) in named]


def _calendar_version(connection: duckdb.DuckDBPyConnection) -> str:
    return _digest(connection.execute("SELECT day, hours FROM core.calendar ORDER BY day").fetchall())


def rules_version() -> str:
    """A digest of this package's own text: a newer program resolves anew."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".sql"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def source_settings(company: Company) -> dict[str, Any]:
    """What resolve goes by of each source, as JSON has it: its type, and its authority in accounting."""
    return {name: [kind, company.priorities.get(name)] for name, kind in sorted(company.source_types.items())}


def _settings(company: Company) -> list[Any]:
    rules = company.rules
    return [
        company.zone.key,
        company.currency,
        company.vat_mode,
        sorted(company.own_tax_ids),
        sorted((name, getattr(rules, name)) for name in rules.__dataclass_fields__),
    ]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, ensure_ascii=False).encode()).hexdigest()
