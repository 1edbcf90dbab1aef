"""The statements of landing, against the raw file attached as `landing`. `_batch`, `_seen`, `_gone` and `_back` are
Arrow tables registered for one statement.
"""

from __future__ import annotations

APPEND = """
INSERT INTO landing.raw.records
    (seq, source, stream, record_id, op, version, cursor, fetched_at, run_id, origin, payload_hash, payload)
SELECT
    (SELECT coalesce(max(seq), 0) FROM landing.raw.records) + b.place,
    $1, $2, b.record_id, 'put',
    -- Without a vendor's version the order of landing decides, also when this machine's clock was set back.
    CASE WHEN b.is_dated THEN b.version ELSE greatest(b.version, coalesce(known.version + 1, 0)) END,
    b.cursor, make_timestamp($5)::TIMESTAMPTZ, $3, b.origin,
    b.payload_hash, b.payload
FROM _batch AS b
LEFT JOIN (
    SELECT
        record_id, arg_max(payload_hash, seq) AS payload_hash, arg_max(op, seq) AS op, max(version) AS version
    FROM landing.raw.records
    WHERE source = $1 AND stream = $2 AND cursor >= $4 AND record_id IN (SELECT record_id FROM _batch)
    GROUP BY record_id
) AS known ON known.record_id = b.record_id
WHERE known.record_id IS NULL OR known.op = 'delete' OR known.payload_hash IS DISTINCT FROM b.payload_hash
"""

# What stands, what of it a whole reading did not meet, and what it met though its tombstone is the last word: a `put`
# with the version it always had does not lift that one.
SWEEP = """
SELECT
    count(*) FILTER (op <> 'delete'),
    list(record_id) FILTER (op <> 'delete' AND record_id NOT IN (SELECT record_id FROM _seen)),
    list(record_id) FILTER (gone_at >= alive_at AND record_id IN (SELECT record_id FROM _seen))
FROM (
    SELECT
        record_id, arg_max(op, seq) AS op, max(version) FILTER (op = 'delete') AS gone_at,
        max(version) FILTER (op <> 'delete') AS alive_at
    FROM landing.raw.records
    WHERE source = ? AND stream = ?
    GROUP BY record_id
)
"""

LIFT = """
INSERT INTO landing.raw.records
    (seq, source, stream, record_id, op, version, cursor, fetched_at, run_id)
SELECT
    (SELECT coalesce(max(seq), 0) FROM landing.raw.records) + row_number() OVER (ORDER BY g.record_id),
    $1, $2, g.record_id, 'restore', known.version + 1, known.cursor, make_timestamp($4)::TIMESTAMPTZ, $3
FROM _back AS g
JOIN (
    SELECT record_id, max(version) AS version, arg_max(cursor, seq) AS cursor
    FROM landing.raw.records
    WHERE source = $1 AND stream = $2 AND record_id IN (SELECT record_id FROM _back)
    GROUP BY record_id
) AS known ON known.record_id = g.record_id
"""

HEAL = """
DELETE FROM landing.raw.rejects
WHERE source = $1 AND stream = $2 AND record_id IN (SELECT record_id FROM _batch)
"""

# A tombstone has the time it was noticed as its version, and no cursor of its own: a later look-up from any cursor
# must find it, so it takes the record's.
BURY = """
INSERT INTO landing.raw.records
    (seq, source, stream, record_id, op, version, cursor, fetched_at, run_id)
SELECT
    (SELECT coalesce(max(seq), 0) FROM landing.raw.records) + row_number() OVER (ORDER BY g.record_id),
    $1, $2, g.record_id, 'delete', greatest($4, coalesce(known.version, 0)), coalesce(known.cursor, 0),
    make_timestamp($4)::TIMESTAMPTZ, $3
FROM _gone AS g
LEFT JOIN (
    SELECT record_id, arg_max(op, seq) AS op, max(version) AS version, max(cursor) AS cursor
    FROM landing.raw.records
    WHERE source = $1 AND stream = $2 AND record_id IN (SELECT record_id FROM _gone)
    GROUP BY record_id
) AS known ON known.record_id = g.record_id
WHERE known.op IS DISTINCT FROM 'delete'
"""
