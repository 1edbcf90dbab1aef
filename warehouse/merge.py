"""Merge staged rows into the core: the newest version of a key wins, a tombstone stays, nothing equal is rewritten.

Within a batch a key is reduced to its newest version first: a key twice in one MERGE would insert twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from models.shapes import CUSTOM_FIELD_VALUES, RECORDS, Shape, shapes
from warehouse.staging import ORDINAL, Staged

# Columns that say a record is gone, and what they say then.
GONE = {"is_deleted": "TRUE", "is_removed": "TRUE", "is_active": "FALSE"}

# From so many rows on it is worth asking whether all of them are new, as in a first load: inserted they take half of
# what merging takes.
MANY_ROWS = 2_048


class Merger:
    """Merges into the core rows of one source, inside the caller's transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, source: str, zone: str, now: datetime) -> None:
        self._connection = connection
        self._source = source
        self._zone = zone
        self._now = now

    def merge(self, staged: Staged) -> int:
        """Gives the number of core rows written."""
        written = self._merge_staged(staged)
        if staged.into.relation in ("core.deal_invoices", "core.invoices"):
            written += self._link_invoices(staged.into.relation)
        return written

    def _merge_staged(self, staged: Staged) -> int:
        if staged.into.relation == "core.contact_phones":
            return self._merge_phones(staged)
        if staged.into.owned_by:
            return self._merge_children(staged)
        if _is_patch(staged):
            return self._merge_deletions(staged.table, f"SELECT * FROM {staged.rows}", staged.table.own_key)
        return self._merge_rows(staged)

    def bury(self, table: Shape, tombstones: str) -> int:
        """Mark records gone, or there after all. `tombstones` is a table of (record_id, is_gone, version, _ordinal).

        Only `is_deleted` is lifted here; of other relations a record that is there again has come with its own row.
        """
        key = table.own_key[:1]
        column = next(name for name in GONE if name in table.columns)
        if column == "is_deleted":
            query = f"SELECT record_id AS {key[0]}, is_gone AS is_deleted, version, {ORDINAL} FROM {tombstones}"
            return self._merge_deletions(table, query, key)
        return self._run(
            f"UPDATE {table.fullname} AS t SET {column} = {GONE[column]}, version = g.version, loaded_at = $now"
            f" FROM {tombstones} AS g WHERE g.is_gone AND t.source = $source AND t.{key[0]} = g.record_id"
            f" AND t.{column} IS DISTINCT FROM {GONE[column]} AND g.version >= coalesce(t.version, 0)"
        )

    def _merge_rows(self, staged: Staged) -> int:
        table, columns = staged.table, staged.into.columns
        key = table.own_key
        values = [name for name in columns if name not in key]
        local = ["local_date"] if "local_date" in table.columns and "started_at" in columns else []
        latest = self._latest(staged.rows, key, [*columns], local_zone=self._zone if local else None)
        same = f"({_list('t', [*values, *local])}) IS DISTINCT FROM ({_list('s', [*values, *local])})"
        alive = ""
        if "deletion_version" in table.columns:
            # Only a version later than the deletion proves that the record lives again.
            alive = (
                ", is_deleted = CASE WHEN t.is_deleted AND s.version <= coalesce(t.deletion_version, 0)"
                " THEN TRUE ELSE FALSE END"
            )
        removed = ", is_removed = FALSE" if "is_removed" in table.columns and "is_removed" not in columns else ""
        inserted = [*columns, *local]
        flags = [name for name in ("is_deleted", "is_removed") if name in table.columns and name not in columns]
        if self._count(staged.rows) >= MANY_ROWS and not self._has_any_of(table, key, staged.rows):
            return self._insert(table, inserted, flags, latest)
        # A new version that says nothing new leaves the row as old as it was.
        lifted = "".join(f" OR t.{flag}" for flag in flags)
        return self._run(
            f"MERGE INTO {table.fullname} AS t USING ({latest}) AS s"
            f" ON t.source = $source AND {_equal('t', 's', key)}"
            f" WHEN MATCHED AND (t.version IS NULL OR s.version > t.version OR (s.version = t.version AND {same}))"
            f" THEN UPDATE SET {_assign([*values, *local])}, version = s.version,"
            f" loaded_at = CASE WHEN {same}{lifted} THEN $now ELSE t.loaded_at END{alive}{removed}"
            f" WHEN NOT MATCHED THEN INSERT {_into(inserted, flags)} VALUES ({_made(inserted, flags)})"
        )

    def _merge_deletions(self, table: Shape, query: str, key: Sequence[str]) -> int:
        """Partial rows (key, is_deleted): guarded by a version of their own, an unknown record becomes a stub."""
        latest = self._latest(f"({query})", key, [*key, "is_deleted"])
        # A version later than the deletion proves that the record lives, in whatever order the two are conformed.
        gone = "(s.is_deleted AND coalesce(t.version, s.version) <= s.version)"
        return self._run(
            f"MERGE INTO {table.fullname} AS t USING ({latest}) AS s"
            f" ON t.source = $source AND {_equal('t', 's', key)}"
            " WHEN MATCHED AND s.version >= coalesce(t.deletion_version, 0)"
            f" AND (t.is_deleted IS DISTINCT FROM {gone} OR t.deletion_version IS DISTINCT FROM s.version)"
            f" THEN UPDATE SET is_deleted = {gone}, deletion_version = s.version, loaded_at = $now"
            f" WHEN NOT MATCHED THEN INSERT (source, {_list('', key)}, is_deleted, deletion_version, loaded_at)"
            f" VALUES ($source, {_list('s', key)}, s.is_deleted, s.version, $now)"
        )

    def _merge_children(self, staged: Staged) -> int:
        """Replace the child lists of the owners read, unless the core already has a newer state of the owner."""
        table, owner = staged.table, staged.into.owned_by
        assert staged.owners is not None
        key = table.own_key
        owners = f"{staged.owners.removeprefix('temp.')}_newest"
        stale = self._stale_owner_condition(table, owner, staged.owners)
        newest = self._latest(staged.owners, owner, owner, keep_ordinal=True)
        self._connection.execute(
            f"CREATE TEMP TABLE {owners} AS SELECT * FROM ({newest}) AS s WHERE NOT ({stale})", self._named(stale)
        )
        latest = self._latest(staged.rows, [*key, ORDINAL], staged.into.columns, keep_ordinal=True)
        if self._count(staged.owners) != self._count(f"temp.{owners}"):
            # Only the rows of the record that had the last word on its owner.
            latest = (
                f"SELECT r.* FROM ({latest}) AS r"
                f" JOIN temp.{owners} AS o ON {_equal('r', 'o', owner)} AND r.{ORDINAL} = o.{ORDINAL}"
            )
        values = [name for name in staged.into.columns if name not in key]
        if set(owner) <= set(key) and not self._has_any_of(table, owner, f"temp.{owners}"):
            written = self._insert(table, [*key, *values], _removable(table), latest)
            self._connection.execute(f"DROP TABLE temp.{owners}")
            return written
        gone = f"NOT EXISTS (SELECT 1 FROM ({latest}) AS n WHERE {_equal('t', 'n', key)})"
        where = f"WHERE t.source = $source AND {_equal('t', 'o', owner)} AND {gone}"
        if "is_removed" in table.columns:
            # What old facts still point at is marked, never deleted.
            written = self._run(
                f"UPDATE {table.fullname} AS t SET is_removed = TRUE, loaded_at = $now FROM temp.{owners} AS o"
                f" {where} AND t.is_removed IS DISTINCT FROM TRUE"
            )
        else:
            written = self._run(f"DELETE FROM {table.fullname} AS t USING temp.{owners} AS o {where}")
        written += self._run(self._child_merge(table, key, values, latest))
        self._connection.execute(f"DROP TABLE temp.{owners}")
        return written

    def _has_any_of(self, table: Shape, key: Sequence[str], rows: str) -> bool:
        """A row of this source is known by a key, or the part of one, of these rows."""
        row = self._connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM {table.fullname} AS t SEMI JOIN {rows} AS s"
            f" ON t.source = $source AND {_equal('t', 's', key)})",
            {"source": self._source},
        ).fetchone()
        return row is not None and bool(row[0])

    def _insert(self, table: Shape, columns: Sequence[str], flags: Sequence[str], latest: str) -> int:
        """Rows none of which is known, as in a first load: nothing to compare with, half the work."""
        query = f"SELECT {_made(columns, flags)} FROM ({latest}) AS s"
        return self._run(f"INSERT INTO {table.fullname} {_into(columns, flags)} {query}")

    def _child_merge(self, table: Shape, key: Sequence[str], values: Sequence[str], latest: str) -> str:
        flags = _removable(table)
        differs = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in values) or "FALSE"
        revived = " OR t.is_removed" if flags else ""
        return (
            f"MERGE INTO {table.fullname} AS t USING ({latest}) AS s"
            f" ON t.source = $source AND {_equal('t', 's', key)}"
            f" WHEN MATCHED AND ({differs}{revived})"
            f" THEN UPDATE SET {_assign([*values, 'version'])}, loaded_at = $now"
            + (", is_removed = FALSE" if flags else "")
            + f" WHEN NOT MATCHED THEN INSERT {_into([*key, *values], flags)}"
            f" VALUES ({_made([*key, *values], flags)})"
        )

    def _stale_owner_condition(self, table: Shape, owner: Sequence[str], owners: str) -> str:
        parent = _parent(table, owner)
        if parent is not None:
            return (
                f"EXISTS (SELECT 1 FROM {parent.fullname} AS p WHERE p.source = $source"
                f" AND {_equal('p', 's', owner)} AND p.version > s.version)"
            )
        if table.fullname == CUSTOM_FIELD_VALUES:
            return self._stale_record_condition(owners)
        return (
            f"EXISTS (SELECT 1 FROM {table.fullname} AS p WHERE p.source = $source"
            f" AND {_equal('p', 's', owner)} AND p.version > s.version)"
        )

    def _stale_record_condition(self, owners: str) -> str:
        """Values hang on records of several kinds, each with a version in its own relation: an empty list has none."""
        kinds = self._connection.execute(f"SELECT DISTINCT entity_type FROM {owners}").fetchall()
        known = [(kind, *RECORDS[kind]) for (kind,) in kinds]
        return (
            " OR ".join(
                f"(s.entity_type = '{kind}' AND EXISTS (SELECT 1 FROM {relation} AS p WHERE p.source = $source"
                f" AND p.{key} = s.record_id AND p.version > s.version))"
                for kind, relation, key in known
            )
            or "FALSE"
        )

    def _merge_phones(self, staged: Staged) -> int:
        """Phones are dated (metrics.md 2.4): a span grows, and a contact's first loaded version counts from creation.

        `_first_versions` holds contacts new to the core with the place of their first record.
        """
        spans = (
            f"SELECT r.contact_id, r.phone, max(r.version) AS version, max(r.last_seen_at) AS last_seen_at,"
            f" min(CASE WHEN r.{ORDINAL} = f.first_ordinal THEN coalesce(least(c.created_at, r.first_seen_at),"
            " r.first_seen_at) ELSE r.first_seen_at END) AS first_seen_at"
            f" FROM {staged.rows} AS r LEFT JOIN temp._first_versions AS f ON f.contact_id = r.contact_id"
            " LEFT JOIN core.contacts AS c ON c.source = $source AND c.contact_id = r.contact_id"
            " GROUP BY r.contact_id, r.phone"
        )
        return self._run(
            f"MERGE INTO core.contact_phones AS t USING ({spans}) AS s"
            " ON t.source = $source AND t.contact_id = s.contact_id AND t.phone = s.phone"
            " WHEN MATCHED AND (s.first_seen_at < t.first_seen_at OR s.last_seen_at > t.last_seen_at)"
            " THEN UPDATE SET first_seen_at = least(t.first_seen_at, s.first_seen_at),"
            " last_seen_at = greatest(t.last_seen_at, s.last_seen_at), version = greatest(t.version, s.version),"
            " loaded_at = $now"
            " WHEN NOT MATCHED THEN INSERT (source, contact_id, phone, first_seen_at, last_seen_at, version, loaded_at)"
            " VALUES ($source, s.contact_id, s.phone, s.first_seen_at, s.last_seen_at, s.version, $now)"
        )

    def note_first_versions(self, targets: Sequence[Staged]) -> None:
        """Before anything is merged: which contacts the core sees for the first time, and in which record."""
        self._connection.execute("CREATE OR REPLACE TEMP TABLE _first_versions (contact_id TEXT, first_ordinal BIGINT)")
        contacts = next((staged for staged in targets if staged.into.relation == "core.contacts"), None)
        if contacts is not None and not _is_patch(contacts):
            self._connection.execute(
                f"INSERT INTO _first_versions SELECT contact_id, min({ORDINAL}) FROM {contacts.rows} WHERE contact_id"
                " NOT IN (SELECT contact_id FROM core.contacts WHERE source = $source AND version IS NOT NULL)"
                " GROUP BY contact_id",
                {"source": self._source},
            )

    def _link_invoices(self, relation: str) -> int:
        """An invoice names its deal, though amoCRM tells the link with the deal only (`core.deal_invoices`)."""
        links = "SELECT invoice_id, min(deal_id) AS deal_id FROM core.deal_invoices WHERE source = $source GROUP BY ALL"
        written = self._run(
            f"UPDATE core.invoices AS t SET deal_source = $source, deal_id = l.deal_id, loaded_at = $now"
            f" FROM ({links}) AS l WHERE t.source = $source AND t.invoice_id = l.invoice_id"
            " AND t.deal_id IS DISTINCT FROM l.deal_id"
        )
        if relation == "core.deal_invoices":
            written += self._run(
                "UPDATE core.invoices AS t SET deal_source = NULL, deal_id = NULL, loaded_at = $now"
                " WHERE t.source = $source AND t.deal_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM core.deal_invoices"
                " AS l WHERE l.source = $source AND l.invoice_id = t.invoice_id)"
            )
        return written

    def _latest(
        self,
        rows: str,
        key: Sequence[str],
        columns: Sequence[str],
        *,
        keep_ordinal: bool = False,
        local_zone: str | None = None,
    ) -> str:
        """The query of one row a key, the newest."""
        chosen = _list("", list(dict.fromkeys(columns)))
        local = f", CAST(timezone('{local_zone}', started_at) AS DATE) AS local_date" if local_zone else ""
        ordinal = f", {ORDINAL}" if keep_ordinal else ""
        query = f"SELECT {chosen}{local}, version{ordinal} FROM {rows}"
        if self._is_unique(rows, key):
            # A window sorts whole rows; in a first load hardly any key comes twice.
            return query
        newest = f"PARTITION BY {_list('', key)} ORDER BY version DESC, {ORDINAL} DESC"
        return f"{query} QUALIFY row_number() OVER ({newest}) = 1"

    def _is_unique(self, rows: str, key: Sequence[str]) -> bool:
        # Hashes take a third of the time; two keys with one hash only cost the window.
        row = self._connection.execute(
            f"SELECT count(*) = count(DISTINCT hash({_list('', key)})) FROM {rows}"
        ).fetchone()
        return row is not None and bool(row[0])

    def _count(self, rows: str) -> int:
        row = self._connection.execute(f"SELECT count(*) FROM {rows}").fetchone()
        return int(row[0]) if row else 0

    def _run(self, query: str) -> int:
        row = self._connection.execute(query, self._named(query)).fetchone()
        return int(row[0]) if row else 0

    def _named(self, query: str) -> dict[str, object]:
        values = {"source": self._source, "now": self._now}
        return {name: value for name, value in values.items() if f"${name}" in query}


def _is_patch(staged: Staged) -> bool:
    return set(staged.into.columns) - set(staged.table.own_key) == {"is_deleted"}


def _parent(child: Shape, owner: Sequence[str]) -> Shape | None:
    """The core relation whose own key is the owner: deals for deal_contacts, calls for call_legs."""
    for table in shapes().values():
        is_other = table.schema == "core" and table is not child
        if is_other and table.own_key == list(owner) and "version" in table.columns:
            return table
    return None


def _removable(table: Shape) -> list[str]:
    return ["is_removed"] if "is_removed" in table.columns else []


def _into(columns: Sequence[str], flags: Sequence[str]) -> str:
    """The columns of a new row, as `_made` gives their values: flags say that it is there."""
    return f"(source, {_list('', [*columns, *flags])}, version, loaded_at)"


def _made(columns: Sequence[str], flags: Sequence[str]) -> str:
    return f"$source, {_list('s', columns)}{', FALSE' * len(flags)}, s.version, $now"


def _list(alias: str, columns: Sequence[str]) -> str:
    prefix = f"{alias}." if alias else ""
    return ", ".join(f"{prefix}{name}" for name in columns)


def _equal(left: str, right: str, columns: Sequence[str]) -> str:
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in columns)


def _assign(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = s.{name}" for name in columns)
