"""The JSON log: one object a line, whole, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import page

from base.errors import CredentialsError
from base.text import say
from flows.steps.progress import StreamReport
from voronka import logs
from voronka.app import App
from voronka.reports.progress import Logged

CONFIG = """
[company]
timezone = "Europe/Moscow"
[sources.amo]
type = "amocrm"
base_url = "https://x.amocrm.ru"
token = "${T}"
"""
TOKEN = 'ключ"с\\кавычкой'


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[App, io.StringIO]]:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    made = App(tmp_path / "voronka.toml", is_logging=True)
    made.config_path.write_text(CONFIG, "utf-8")
    monkeypatch.setenv("T", TOKEN)
    made.project()
    logs.start(made)
    yield made, written
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.get_name() == "voronka"]:
        root.removeHandler(handler)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def report(**values: Any) -> StreamReport:
    defaults: dict[str, Any] = {
        "source": "amo",
        "stream": "leads",
        "label": say("Сделки", "Deals"),
        "rows": 600,
        "core_rows": 590,
        "requests": 12,
        "rejected": 0,
        "seconds": 3.2,
    }
    return StreamReport(**{**defaults, **values})


def test_stream_is_one_line_of_fields(app: tuple[App, io.StringIO]) -> None:
    made, written = app
    Logged(made, page()[0]).stream_finished(report())
    (line,) = lines(written)
    told = {name: line[name] for name in ("event", "source", "stream", "status", "rows", "core_rows", "requests")}
    assert told == {
        "event": "stream",
        "source": "amo",
        "stream": "leads",
        "status": "done",
        "rows": 600,
        "core_rows": 590,
        "requests": 12,
    }
    assert (line["level"], line["rejected"], line["seconds"]) == ("info", 0, 3.2)


def test_secret_with_quotes_is_redacted_before_it_is_escaped(app: tuple[App, io.StringIO]) -> None:
    made, written = app
    refused = CredentialsError(say(f"Ключ {TOKEN} не подошёл.", f"The key {TOKEN} was refused."))
    Logged(made, page()[0]).stream_finished(report(error=refused))
    made.note(f"remark {TOKEN}")
    logging.getLogger("connectors.x").warning("asked with %s", TOKEN)
    logging.getLogger("voronka.x").error("broke", exc_info=RuntimeError(TOKEN))
    told = lines(written)
    assert len(told) == 4
    assert [line["level"] for line in told] == ["error", "info", "warning", "error"]
    assert "***" in told[0]["error"]
    assert "RuntimeError" in told[3]["exc_info"]
    assert "кавычкой" not in written.getvalue()
    assert TOKEN not in "".join(str(value) for line in told for value in line.values())


def test_addresses_a_library_asks_stay_out(app: tuple[App, io.StringIO]) -> None:
    """httpx tells every URL at INFO, and a webhook's path is a secret the redactor may not know in that form."""
    _, written = app
    logging.getLogger("httpx").info("HTTP Request: POST https://x/rest/1/secret/crm.deal.list")
    assert lines(written) == []
