"""The log: what landing writes into the raw file. Append-only but for its own bookkeeping."""

from __future__ import annotations

from models.columns import RAW, blob, integer, relation, text, utc

RECORDS = relation(
    "raw.records",
    "A version of a record as the vendor sent it.",
    integer("seq", "Order of landing.", key=True),
    text("source", "Source's name.", required=True),
    text("stream", "Stream.", required=True),
    text("record_id", "Record's id.", required=True),
    text("op", "put; delete: the source no longer has it; restore: it has it after all.", required=True),
    integer("version", "Vendor's version, else the fetch time: microseconds since 1970, UTC.", required=True),
    integer("cursor", "Time by which the stream is read: microseconds since 1970, UTC; 0 = none.", required=True),
    utc("fetched_at", "When it was read, UTC.", required=True),
    text("run_id", "Run that read it."),
    text("origin", "File and line, for files."),
    blob("payload_hash", "BLAKE2b-128 of the payload."),
    # A fifth of the size of what DuckDB would choose, for half of the CPU time: it need not try the others.
    text("payload", "The payload as sent, JSON.", compression="zstd"),
    metadata=RAW,
)

LANDING_REJECTS = relation(
    "raw.rejects",
    "A record or file that could not be read, with its raw form.",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    text("record_id", "Record's id, or the file's name.", key=True),
    text("reason", "Stable code of the reason.", key=True),
    text("message", "The reason in words."),
    text("path", "Where in the record or file."),
    text("expected", "What was expected there."),
    text("got", "What stood there."),
    blob("payload", "Raw form."),
    utc("seen_at", "When, UTC."),
    metadata=RAW,
)

LANDING_POSITIONS = relation(
    "raw.positions",
    "Where a stream stands.",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    text("position", "JSON only the connector reads."),
    utc("updated_at", "When it last moved, UTC."),
    metadata=RAW,
)

LANDING_COVERAGE = relation(
    "raw.coverage",
    "Until when a stream's data is complete.",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    utc("complete_until", "UTC, exclusive."),
    text("facet", "crm, calls, money, or ''."),
    metadata=RAW,
)

LANDING_RUNS = relation(
    "raw.runs",
    "A stream's run.",
    text("run_id", "Run's id.", key=True),
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    utc("started_at", "Start, UTC."),
    utc("finished_at", "End, UTC."),
    text("status", "running, done, failed."),
    integer("rows", "Raw records written."),
    integer("requests", "Requests made."),
    integer("rejected", "Records or files that could not be read."),
    text("error", "What failed, in words."),
    metadata=RAW,
)

LANDING_RECONCILIATIONS = relation(
    "raw.reconciliations",
    "How a whole reading of a stream compared with what was held.",
    text("run_id", "Run that read everything.", key=True),
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    utc("reconciled_at", "When, UTC."),
    integer("listed", "Records the source listed."),
    integer("total", "How many the source says there are; NULL = it does not say."),
    integer("held", "Records held afterwards, deleted ones aside."),
    integer("missed", "Found only now, though they should have been known."),
    integer("edited", "Changed without their time of change."),
    integer("deleted", "Gone without a word."),
    metadata=RAW,
)

LANDING_DRIFT = relation(
    "raw.drift",
    "A record that a whole reading found missing, changed or gone, though the stream had claimed to be complete.",
    text("run_id", "Run that found it.", key=True),
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    text("record_id", "Record's id.", key=True),
    text("kind", "missed, edited, deleted."),
    utc("believed_until", "Until when the stream had claimed to be complete, UTC."),
    utc("found_at", "When it was found, UTC."),
    metadata=RAW,
)
