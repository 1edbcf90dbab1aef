"""`--log json`: what a command tells on stderr as one JSON object a line, for machines that collect logs.

Every line has `time` (UTC), `level`, `logger`, `message` and, where it tells of more than words, `event` with its own
fields: `stream` (how a stream's run ended), `error` (why a command failed), `command` (how it ended, and in how long).
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from base.errors import VoronkaError
from flows.steps.progress import StreamReport
from voronka.app import App

FORMATS = ("text", "json")
# Ours speak at INFO; of libraries only warnings: httpx tells every address it asks, and a webhook's path is a secret.
OURS = ("voronka", "warehouse", "connectors", "metrics", "flows")

logger = logging.getLogger("voronka")


class _Formatter(JsonFormatter):
    """Redacts every text before it is encoded: an escaped secret would no longer be recognised."""

    def __init__(self, app: App) -> None:
        super().__init__("%(message)s", json_ensure_ascii=False, json_default=str)
        self._app = app

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self._app.redact(value) if isinstance(value, str) else value
            for name, value in super().process_log_record(log_data).items()
        }

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)


def start(app: App) -> None:
    """Send the log of this process to stderr as JSON lines; started again, it replaces what it set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name("voronka")
    handler.setFormatter(_Formatter(app))
    root = logging.getLogger()
    for old in [other for other in root.handlers if other.get_name() == "voronka"]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def tell(text: str) -> None:
    """A remark."""
    logger.info(text)


def tell_error(app: App, error: VoronkaError) -> None:
    """Why a command failed."""
    fields: dict[str, Any] = {"event": "error", "kind": type(error).__name__, "exit_status": error.exit_status}
    logger.error(error.render(app.language), extra=fields)


def tell_stream(app: App, report: StreamReport, line: str) -> None:
    """How a stream's run ended; `line` says it in words."""
    fields = {
        "event": "stream",
        "source": report.source,
        "stream": report.stream,
        "status": "failed" if report.error else "done",
        "rows": report.rows,
        "core_rows": report.core_rows,
        "requests": report.requests,
        "rejected": report.rejected,
        "seconds": round(report.seconds, 3),
    }
    if report.error is not None:
        fields["error"] = report.error.render(app.language)
    level = logging.ERROR if report.error else logging.WARNING if report.rejected else logging.INFO
    logger.log(level, line, extra=fields)


def tell_command(name: str, exit_status: int, seconds: float) -> None:
    """How a command ended; the last line of its log."""
    fields = {"event": "command", "command": name, "exit_status": exit_status, "seconds": round(seconds, 3)}
    logger.log(logging.ERROR if exit_status else logging.INFO, f"voronka {name}: {exit_status}", extra=fields)
