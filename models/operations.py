"""How loading stands: runs, rejects, positions, completeness, inputs in force, periods.

`meta.sync_runs`, `meta.rejects`, `meta.positions` and `meta.coverage` mirror what landing wrote beside the raw
records (models/landing.py): conforming carries them over, in the transaction of the core rows they speak of.
"""

from __future__ import annotations

from models.columns import day, flag, integer, relation, text, utc

SYNC_RUNS = relation(
    "meta.sync_runs",
    "A stream's run.",
    text("run_id", "Run's id, shared by the streams of one command.", key=True),
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    utc("started_at", "Start, UTC."),
    utc("finished_at", "End, UTC; NULL = running or killed."),
    text("status", "running, done, failed."),
    integer("rows", "Raw records written: new ones and new versions."),
    integer("requests", "Requests made."),
    integer("rejected", "Records or files that could not be read."),
    text("error", "What failed, in words.", personal="text"),
)

REJECTS = relation(
    "meta.rejects",
    "A record or file that could not be read; its raw form is kept beside the raw records.",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    text("record_id", "Record's id, or the file's name.", key=True, personal="number"),
    text("reason", "Stable code of the reason.", key=True),
    text("message", "The reason in words.", personal="text"),
    text("path", "Where in the record or file.", personal="text"),
    text("expected", "What was expected there."),
    text("got", "What stood there.", personal="text"),
    text("phase", "land: unreadable; conform: read, but not mapped."),
    utc("seen_at", "When, UTC."),
)

POSITIONS = relation(
    "meta.positions",
    "Where a stream stands.",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    text("position", "JSON only the connector reads.", personal="text"),
    utc("updated_at", "When it last moved, UTC."),
)

COVERAGE = relation(
    "meta.coverage",
    "Until when a stream's data is complete.",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    utc("complete_until", "UTC, exclusive."),
    text("facet", "crm, calls, money, or '' for streams no date depends on."),
)

RECONCILIATIONS = relation(
    "meta.reconciliations",
    "How a whole reading of a stream (`sync --full`) compared with what was held.",
    text("run_id", "Run that read everything.", key=True),
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    utc("reconciled_at", "When, UTC."),
    integer("listed", "Records the source listed."),
    integer("total", "How many the source says there are; NULL = it does not say."),
    integer("held", "Records held afterwards, deleted ones aside."),
    integer("missed", "Found only then, though they should have been known."),
    integer("edited", "Changed without their time of change."),
    integer("deleted", "Gone without a word."),
)

DRIFT = relation(
    "meta.drift",
    "A record that a whole reading found missing, changed or gone, though the stream had claimed to be complete.",
    text("run_id", "Run that found it.", key=True),
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    text("record_id", "Record's id.", key=True),
    text("kind", "missed, edited, deleted."),
    utc("believed_until", "Until when the stream had claimed to be complete, UTC."),
    utc("found_at", "When it was found, UTC."),
)

RAW_SIZES = relation(
    "meta.raw_sizes",
    "What a stream's raw records take, measured every night; what is kept of them a setting decides (raw_days).",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    integer("records", "Raw records, each version counted."),
    integer("kept", "Those whose payload is kept; what the core has of the others can't be made anew."),
    integer("bytes", "Size of the kept payloads as the source sent them; on disk they are compressed."),
    utc("oldest_at", "When the oldest kept payload was read, UTC."),
    integer("seq", "Last raw record measured."),
)

WATERMARKS = relation(
    "meta.watermarks",
    "Which raw records of a stream are in the core.",
    text("source", "Source's name.", key=True),
    text("stream", "Stream.", key=True),
    integer("seq", "Last raw record conformed."),
    text("mapping_version", "Digest of the mapping and of what it was given."),
)

INPUTS = relation(
    "meta.inputs",
    "The input files in force.",
    text("file", "File's name.", key=True),
    text("digest", "SHA-256 of its content."),
    integer("rows", "Rows read."),
    utc("loaded_at", "When, UTC."),
)

PERIODS = relation(
    "meta.periods",
    "A period that was computed, and its state.",
    text("period", "Period.", key=True),
    text("state", "open, preview, closed."),
    utc("closed_at", "When it was closed, UTC."),
    text("digest", "Digest of the closed snapshot."),
    day("starts_on", "First local day, inclusive."),
    day("ends_on", "First local day after it."),
    utc("computed_at", "When its facts last changed, UTC."),
    text("input_version", "Digest of the inputs it was computed with."),
    text("core_version", "Digest of the core records it was computed from."),
)

ABSENT_METRICS = relation(
    "meta.absent_metrics",
    "A metric that could not be computed in a period, and why: absent, never zero.",
    text("period", "Period.", key=True),
    text("metric", "Metric's key.", key=True),
    text("reason", "What is missing, in words."),
)

PERIOD_FLAGS = relation(
    "meta.period_flags",
    "An integrity flag that was looked for in a period, or why it could not be.",
    text("period", "Period.", key=True),
    text("flag", "I-01 … I-16.", key=True),
    utc("as_of", "Until when records were looked at, UTC, exclusive."),
    text("rule_version", "Digest of the flag's rule and of the settings it uses."),
    text("absent", "What is missing, in words; NULL = it was looked for."),
)

SETTINGS = relation(
    "meta.settings",
    "Settings the stored rows were made with.",
    text("name", "Setting's path in voronka.toml.", key=True),
    text("value", "Value as JSON."),
)

SOURCES = relation(
    "meta.sources",
    "The sources of the configuration.",
    text("source", "Source's name.", key=True),
    text("source_type", "Connector's type."),
    text("label", "What people call it."),
    flag("is_enabled", "Still configured."),
    integer("priority", "The lower number is the authority for the same money."),
)
