"""Forget a person: what tells of them leaves every version in the log, the core, what is computed, and its old bytes.

Facts stay: calls, deals and payments are counted as before, under a number that is nobody's (warehouse/forgotten.py).
The person's own cards lose their contents, and of everything else only the words that tell of them. Nothing is done
to payments and documents of accounting unless asked for: the law has them kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from base.points import reached
from connectors.stream import HASH_BYTES
from models import RAW, WAREHOUSE
from models.columns import PERSONAL
from models.personal import is_text
from warehouse.database import transaction
from warehouse.forgotten import Card, Forgotten, Redactor, tail_of, words_of

# Relations of accounting: who paid, for what.
MONEY_TABLES = frozenset({"core.payments", "core.orders", "core.sales_documents", "core.receivables", "core.costs"})
# A card's relation, its key, and what of it tells of a person.
CARDS = {
    "core.contacts": ("contact_id", ("name",)),
    "core.leads": ("lead_id", ("title", "name", "company_name")),
    "core.companies": ("company_id", ("name",)),
}
_CARD_KINDS = {"core.contacts": "contact", "core.leads": "lead", "core.companies": "company"}


@dataclass(frozen=True)
class Person:
    """Everything the warehouse knows somebody by. `cards` are relation, source and id."""

    phones: frozenset[str]
    emails: frozenset[str]
    names: frozenset[str]
    cards: frozenset[tuple[str, str, str]]

    @property
    def is_known(self) -> bool:
        return bool(self.phones or self.cards)


@dataclass
class Removed:
    """Where something was removed: place and rows."""

    places: dict[str, int] = field(default_factory=dict)

    def note(self, place: str, rows: int) -> None:
        if rows:
            self.places[place] = self.places.get(place, 0) + rows


# ── who is it ───────────────────────────────────────────────────────────────────────────────────────────────────


def find_by_phone(connection: duckdb.DuckDBPyConnection, phone: str) -> Person:
    """Everyone whose card has the number."""
    cards = connection.execute(_CARDS_BY_PHONE, {"phone": phone}).fetchall()
    return _person(connection, cards, {phone})


def find_by_contact(connection: duckdb.DuckDBPyConnection, contact_id: str, source: str | None) -> Person:
    """The contact, with the leads made of it; several where its id is known at several sources and none is named."""
    values = {"contact": contact_id, "source": source}
    return _person(connection, connection.execute(_CARDS_OF_CONTACT, values).fetchall(), set())


def _person(connection: duckdb.DuckDBPyConnection, cards: Sequence[tuple[Any, ...]], phones: set[str]) -> Person:
    """A number, address or name that another card has as well is that one's too, and stays.

    A firm of the contact's own name is the person again: CRMs make one for every private customer.
    """
    cards = [*cards, *_firms_of(connection, cards)]
    connection.register(
        "_cards",
        pa.table(
            {"relation": [c[0] for c in cards], "source": [c[1] for c in cards], "id": [c[2] for c in cards]},
            schema=_CARD_SCHEMA,
        ),
    )
    try:
        rows = connection.execute(_KNOWN_BY).fetchall()
    finally:
        connection.unregister("_cards")
    known: dict[str, set[str]] = {"phone": phones, "email": set(), "name": set()}
    for kind, value in rows:
        known[kind].add(value)
    return Person(
        frozenset(known["phone"]),
        frozenset(known["email"]),
        frozenset(known["name"]),
        frozenset(tuple(c) for c in cards),
    )


def _firms_of(connection: duckdb.DuckDBPyConnection, cards: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    contacts = [(source, card) for relation, source, card in cards if relation == "core.contacts"]
    found: list[tuple[Any, ...]] = []
    for source, card in contacts:
        found += connection.execute(_FIRMS_OF_CONTACT, {"source": source, "contact": card}).fetchall()
    return found


_FIRMS_OF_CONTACT = """
SELECT DISTINCT 'core.companies', f.source, f.company_id FROM core.companies AS f
JOIN core.contacts AS c ON c.source = f.source AND c.company_id = f.company_id AND c.name = f.name
WHERE c.source = $source AND c.contact_id = $contact
"""

_CARD_SCHEMA = pa.schema([("relation", pa.string()), ("source", pa.string()), ("id", pa.string())])

_CARDS_BY_PHONE = """
SELECT 'core.contacts', source, contact_id FROM core.contact_phones WHERE phone = $phone
UNION SELECT 'core.contacts', source, contact_id FROM core.contacts WHERE list_contains(phones, $phone)
UNION SELECT 'core.leads', source, lead_id FROM core.leads WHERE list_contains(phones, $phone)
"""

_CARDS_OF_CONTACT = """
SELECT 'core.contacts', source, contact_id FROM core.contacts
WHERE contact_id = $contact AND source = coalesce($source, source)
UNION SELECT 'core.leads', source, lead_id FROM core.leads
WHERE contact_id = $contact AND source = coalesce($source, source)
"""

_KNOWN_BY = """
WITH cards AS (
    SELECT 'core.contacts' AS relation, source, contact_id AS id, name, phones, emails FROM core.contacts
    UNION ALL SELECT 'core.contacts', source, contact_id, NULL, [phone], [] FROM core.contact_phones
    UNION ALL SELECT 'core.leads', source, lead_id, name, phones, emails FROM core.leads
    UNION ALL SELECT 'core.companies', source, company_id, name, phones, emails FROM core.companies
    UNION ALL SELECT 'core.users', source, external_id, name, [phone], [email] FROM core.users
    UNION ALL SELECT 'core.people', '', person_id, name, [], [] FROM core.people
),
seen AS (
    SELECT relation, source, id, 'name' AS kind, name AS value FROM cards
    UNION ALL SELECT relation, source, id, 'phone', unnest(phones) FROM cards
    UNION ALL SELECT relation, source, id, 'email', unnest(emails) FROM cards
)
SELECT kind, value FROM seen SEMI JOIN _cards USING (relation, source, id) WHERE value IS NOT NULL
EXCEPT
SELECT kind, value FROM seen ANTI JOIN _cards USING (relation, source, id)
"""


# ── where may it stand ──────────────────────────────────────────────────────────────────────────────────────────


class Sieve:
    """SQL that finds every value that may tell of a person, and some that don't; the redactor decides."""

    def __init__(self, person: Person) -> None:
        self.values: dict[str, Any] = {}
        self._tails = [self._put(tail_of(phone)) for phone in sorted(person.phones)]
        self._emails = [self._put(email.lower()) for email in sorted(person.emails)]
        self._names = [
            [self._put(word) for word in words] for words in map(words_of, sorted(person.names)) if len(words) > 1
        ]

    def _put(self, value: str) -> str:
        name = f"v{len(self.values):04d}"
        self.values[name] = value
        return f"${name}"

    def of_text(self, column: str, *, formatted: bool) -> str:
        """A condition on a text; `formatted`: numbers may stand there with spaces and brackets."""
        digits = f"regexp_replace({column}, '[^0-9]', '', 'g')" if formatted else column
        return self._any(digits, f"replace(lower({column}), 'ё', 'е')")

    def of_payload(self, column: str) -> str:
        """A condition on JSON, where a letter may stand as `\\u0438`."""
        # Put between quotes, JSON's own reader undoes the escapes; what would end the text early is blanked first.
        blanked = column
        for letters in ("chr(92) || chr(92)", "chr(92) || chr(34)", "chr(34)", "chr(10)", "chr(13)", "chr(9)"):
            blanked = f"replace({blanked}, {letters}, ' ')"
        decoded = f"coalesce(TRY(json_extract_string('[\"' || {blanked} || '\"]', '$[0]')), {column})"
        plain = f"CASE WHEN contains({column}, '\\u') THEN {decoded} ELSE {column} END"
        return self._any(f"regexp_replace({plain}, '[^0-9]', '', 'g')", f"replace(lower({plain}), 'ё', 'е')")

    def _any(self, digits: str, letters: str) -> str:
        conditions = [f"contains({digits}, {tail})" for tail in self._tails]
        conditions += [f"contains({letters}, {email})" for email in self._emails]
        conditions += [f"({' AND '.join(f'contains({letters}, {w})' for w in words)})" for words in self._names]
        return f"({' OR '.join(conditions) or 'FALSE'})"

    def bound(self, query: str, **values: Any) -> dict[str, Any]:
        """The parameters that a query names."""
        return {name: value for name, value in {**self.values, **values}.items() if f"${name}" in query}


# ── taking it out ───────────────────────────────────────────────────────────────────────────────────────────────


class Eraser:
    """Takes one person out of both open files; `facets` says which streams are accounting's (`money`)."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        person: Person,
        forgotten: Forgotten,
        facets: Mapping[tuple[str, str], str],
        *,
        with_payments: bool,
    ) -> None:
        self._connection = connection
        self._person = person
        self._forgotten = forgotten
        self._facets = facets
        self._with_payments = with_payments
        self._sieve = Sieve(person)
        self.removed = Removed()

    def erase_raw(self, cards: Iterable[Card]) -> None:
        """The log and its rejects. A card keeps that it was read, and when."""
        connection = self._connection
        with transaction(connection):
            for source, stream, record_id in cards:
                self.removed.note(
                    f"raw.records {source}/{stream}",
                    _count(connection, _EMPTY_CARD, {"source": source, "stream": stream, "record_id": record_id}),
                )
                connection.execute(_DROP_REJECT, {"source": source, "stream": stream, "record_id": record_id})
        for source, stream in connection.execute(_STREAMS).fetchall():
            redactor = self._forgotten.redactor(self._facets.get((source, stream), ""))
            with transaction(connection):
                self._erase_payloads(source, stream, redactor)
                self._erase_rejects(source, stream, redactor)
        with transaction(connection):
            self._erase_texts(RAW, "landing.", {("raw.records", "payload")})

    def erase_warehouse(self) -> None:
        """Core, what is computed from it, and the bookkeeping, in one transaction."""
        with transaction(self._connection):
            self._empty_cards()
            self._erase_texts(WAREHOUSE, "", set())
            # Hashes of phones among them; without ties the next resolve looks at everything and makes them anew.
            self._connection.execute("DELETE FROM calc.ties")
            reached("forget.before_commit")

    def _empty_cards(self) -> None:
        for relation, source, card in sorted(self._person.cards):
            key, columns = CARDS[relation]
            values = {"source": source, "card": card}
            emptied = ", ".join(f"{column} = NULL" for column in columns)
            where = f"source = $source AND {key} = $card AND coalesce({', '.join(columns)}) IS NOT NULL"
            query = f"UPDATE {relation} SET {emptied} WHERE {where}"
            self.removed.note(relation, _count(self._connection, query, values))
            values["kind"] = _CARD_KINDS[relation]
            self.removed.note("core.custom_field_values", _count(self._connection, _DROP_FIELDS, values))

    def _erase_payloads(self, source: str, stream: str, redactor: Redactor) -> None:
        query = _FIND_RECORDS.format(
            payload=self._sieve.of_payload("payload"),
            record=self._sieve.of_text("record_id", formatted=False),
            origin=self._sieve.of_text("origin", formatted=False),
        )
        found = self._connection.execute(query, self._sieve.bound(query, source=source, stream=stream)).fetchall()
        rows: list[tuple[Any, ...]] = []
        for seq, record_id, origin, payload in found:
            new_id, new_origin = redactor.text(record_id), redactor.text(origin) if origin else origin
            new_payload = redactor.payload(payload)
            if (new_id, new_origin, new_payload) != (record_id, origin, payload):
                digest = blake2b(new_payload, digest_size=HASH_BYTES).digest()
                rows.append((seq, new_id, new_origin, new_payload.decode(), digest))
        if rows:
            columns = list(zip(*rows, strict=True))
            names = ("seq", "record_id", "origin", "payload", "payload_hash")
            kinds = (pa.int64(), pa.string(), pa.string(), pa.string(), pa.binary())
            arrays = {name: pa.array(values, kind) for name, values, kind in zip(names, columns, kinds, strict=True)}
            self._update_from("_changed", pa.table(arrays), _CHANGE_RECORDS)
            self.removed.note(f"raw.records {source}/{stream}", len(rows))

    def _erase_rejects(self, source: str, stream: str, redactor: Redactor) -> None:
        """There are few: a bad record in any encoding is looked through by Python."""
        rows = self._connection.execute(_REJECT_PAYLOADS, {"source": source, "stream": stream}).fetchall()
        for record_id, reason, payload in rows:
            if redactor.tells(payload):
                key = {"source": source, "stream": stream, "record_id": record_id, "reason": reason}
                self.removed.note("raw.rejects", _count(self._connection, _EMPTY_REJECT, key))

    def _erase_texts(self, metadata: sa.MetaData, catalog: str, but: set[tuple[str, str]]) -> None:
        for table in metadata.sorted_tables:
            for column in table.columns:
                if is_text(column) and (table.fullname, column.name) not in but and not self._is_kept(table, column):
                    self._erase_column(f"{catalog}{table.fullname}", column)

    def _is_kept(self, table: sa.Table, column: sa.Column[Any]) -> bool:
        if self._with_payments:
            return False
        return table.fullname in MONEY_TABLES or column.info.get(PERSONAL) == "customer"

    def _erase_column(self, relation: str, column: sa.Column[Any]) -> None:
        """Distinct values are few beside the rows: each is looked at once."""
        name = f'"{column.name}"'
        is_list = isinstance(column.type, sa.ARRAY)
        formatted = PERSONAL in column.info or relation.startswith("landing.")
        inside = f"array_to_string({name}, ' | ')" if is_list else name
        query = f"SELECT DISTINCT {name} FROM {relation} WHERE {self._sieve.of_text(inside, formatted=formatted)}"
        redactor = self._forgotten.in_money if self._with_payments else self._forgotten.everywhere
        changed = []
        for (value,) in self._connection.execute(query, self._sieve.bound(query)).fetchall():
            cleaned = [redactor.text(item) for item in value] if is_list else redactor.text(value)
            if cleaned != value:
                changed.append((value, cleaned))
        if changed:
            kind = pa.list_(pa.string()) if is_list else pa.string()
            olds, news = (pa.array(side, kind) for side in zip(*changed, strict=True))
            query = f"UPDATE {relation} AS t SET {name} = c.new FROM _changed AS c WHERE t.{name} = c.old"
            rows = self._update_from("_changed", pa.table({"old": olds, "new": news}), query)
            self.removed.note(relation.removeprefix("landing."), rows)

    def _update_from(self, view: str, table: pa.Table, query: str) -> int:
        self._connection.register(view, table)
        try:
            return _count(self._connection, query, {})
        finally:
            self._connection.unregister(view)


def _count(connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> int:
    row = connection.execute(query, values).fetchone()
    return int(row[0]) if row else 0


_STREAMS = """
SELECT DISTINCT source, stream FROM landing.raw.records
UNION SELECT DISTINCT source, stream FROM landing.raw.rejects ORDER BY ALL
"""

_DROP_FIELDS = """
DELETE FROM core.custom_field_values WHERE source = $source AND entity_type = $kind AND record_id = $card
"""

# The hash of what was in it could be tried against guesses.
_EMPTY_CARD = """
UPDATE landing.raw.records SET payload = NULL, payload_hash = NULL, origin = NULL
WHERE source = $source AND stream = $stream AND record_id = $record_id AND op = 'put' AND payload IS NOT NULL
"""

_DROP_REJECT = """
DELETE FROM landing.raw.rejects WHERE source = $source AND stream = $stream AND record_id = $record_id
"""

_FIND_RECORDS = """
SELECT seq, record_id, origin, encode(payload) FROM landing.raw.records
WHERE source = $source AND stream = $stream AND payload IS NOT NULL AND ({payload} OR {record} OR {origin})
"""

_CHANGE_RECORDS = """
UPDATE landing.raw.records AS t
SET record_id = c.record_id, origin = c.origin, payload = c.payload, payload_hash = c.payload_hash
FROM _changed AS c WHERE t.seq = c.seq
"""

_REJECT_PAYLOADS = """
SELECT record_id, reason, payload FROM landing.raw.rejects
WHERE source = $source AND stream = $stream AND payload IS NOT NULL
"""

_EMPTY_REJECT = """
UPDATE landing.raw.rejects SET payload = NULL
WHERE source = $source AND stream = $stream AND record_id = $record_id AND reason = $reason
"""
