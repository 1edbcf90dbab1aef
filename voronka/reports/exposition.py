"""`voronka status --textfile FILE`: the state of loading as Prometheus metrics, for the textfile collector."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from base.errors import OutputError
from base.text import say
from voronka.bookkeeping import StreamStatus
from voronka.reports.status import Status

_PREFIX = "voronka"


def write_exposition(status: Status, path: Path) -> None:
    """Replace `path` in one step, so that a collector never reads half of it.

    Raises:
        OutputError: the file can't be written.
    """
    try:
        write_to_textfile(str(path), collect(status))
    except OSError as error:
        raise OutputError(
            say("Не записать {path}: {why}.", "Can't write {path}: {why}.", path=path, why=error.strerror or error),
            say("Нужна папка, в которую можно писать.", "A folder that can be written to is needed."),
        ) from None


def collect(status: Status) -> CollectorRegistry:
    """The metrics: seconds are Unix time; what never happened has no sample."""
    registry = CollectorRegistry()
    for name, about, read in _STREAM_METRICS:
        gauge = Gauge(f"{_PREFIX}_stream_{name}", about, ["source", "stream"], registry=registry)
        for stream in status.streams:
            value = read(stream)
            if value is not None:
                gauge.labels(stream.source, stream.stream).set(value)
    for name, about in _DRIFT.items():
        gauge = Gauge(f"{_PREFIX}_reconciliation_{name}", about, ["source", "stream"], registry=registry)
        for one in status.reconciliations:
            gauge.labels(one.source, one.stream).set(getattr(one, name))
    size = Gauge(f"{_PREFIX}_file_size_bytes", "Size of a file of the installation.", ["file"], registry=registry)
    changed = Gauge(f"{_PREFIX}_file_changed_timestamp_seconds", "When it last changed.", ["file"], registry=registry)
    for file in status.files:
        if file.size is not None and file.changed_at is not None:
            size.labels(file.name).set(file.size)
            changed.labels(file.name).set(file.changed_at.timestamp())
    return registry


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


def _succeeded(stream: StreamStatus) -> float | None:
    return None if stream.last_status == "running" else float(stream.last_status == "done")


_STREAM_METRICS = (
    ("last_run_timestamp_seconds", "Start of the last run.", lambda s: _seconds(s.last_started_at)),
    ("last_success_timestamp_seconds", "End of the last run that succeeded.", lambda s: _seconds(s.last_done_at)),
    ("last_run_succeeded", "1 if the last run succeeded; absent while it runs.", _succeeded),
    ("complete_until_timestamp_seconds", "Until when the data is complete.", lambda s: _seconds(s.complete_until)),
    ("last_run_rows", "Raw records the last run wrote: new ones and new versions.", lambda s: s.last_rows),
    ("last_run_requests", "Requests the last run made.", lambda s: s.last_requests),
    ("rejects", "Records and files that could not be read.", lambda s: s.rejects),
)
_DRIFT = {
    "missed": "Records that only the last whole reading found.",
    "edited": "Records the last whole reading found changed without their time of change.",
    "deleted": "Records the last whole reading found gone.",
}
