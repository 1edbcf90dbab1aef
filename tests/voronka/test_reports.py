"""Reports, rendered from fixed rows and compared as a whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from base.errors import UnreachableError
from base.text import say
from flows.steps.progress import StreamReport
from metrics.catalogue import load_catalogue
from metrics.explain import Explanation, Record
from metrics.reading import KpiRow
from tests.voronka.made_up import (
    AS_OF,
    COMPLETE,
    NOVEMBER,
    TEAMS,
    funnel_rows,
    kpi_row,
    kpi_rows,
    page,
    rate,
    revenue,
)
from voronka.app import App
from voronka.bookkeeping import Origin, Reconciliation, RejectRow, StreamStatus
from voronka.reports.document import encode
from voronka.reports.explain import explanation_document, show_explanation
from voronka.reports.funnel import by_convention, show_funnel
from voronka.reports.kpi import Kpi, kpi_document, show_kpi
from voronka.reports.loading import failures, show_streams
from voronka.reports.matrix import show_matrix
from voronka.reports.page import Field
from voronka.reports.progress import showing
from voronka.reports.rejects import show_rejects
from voronka.reports.results import rows_document, show_rows
from voronka.reports.status import PUBLISHED, FileSize, Status, open_snippets, show_status, stale_streams

GOLDEN = Path(__file__).parent / "golden"
CATALOGUE = load_catalogue()


def assert_golden(name: str, text: str, *, has_long_sentences: bool = False) -> None:
    """Compare with the stored text; a changed report is read by a person and stored anew.

    Tables fit 100 columns; sentences are left whole where text goes on to a file.
    """
    assert text == (GOLDEN / f"{name}.txt").read_text("utf-8")
    assert has_long_sentences or max(map(len, text.splitlines())) <= 100


def kpi(rows: Sequence[KpiRow] | None = None, **values: Any) -> Kpi:
    given: dict[str, Any] = {
        "period": NOVEMBER,
        "catalogue": CATALOGUE,
        "rows": kpi_rows() if rows is None else rows,
        "absent": {"win_rate": "нет карты этапов", "offers_sent": "нет карты этапов", "avg_check": "нет денег"},
        "completeness": COMPLETE,
        "teams": TEAMS,
    }
    return Kpi(**{**given, **values})


def test_kpi() -> None:
    sheet, text = page()
    show_kpi(sheet, kpi())
    assert_golden("kpi", text.getvalue())


def test_kpi_in_english() -> None:
    sheet, text = page("en")
    show_kpi(sheet, kpi(by="company"))
    assert_golden("kpi_en", text.getvalue())


def test_kpi_of_one_metric() -> None:
    sheet, text = page()
    rows = [row for row in kpi_rows() if row.metric == "calls_successful"]
    show_kpi(sheet, kpi(rows, metric="calls_successful", absent={}))
    assert_golden("kpi_metric", text.getvalue())


def test_metrics_counted_to_another_day_are_named() -> None:
    """One late bank file must not look like low revenue."""
    sheet, text = page()
    late = revenue(0, "10")
    late = kpi_row("revenue_cash", num=late.num, value=10.0, unit="money", as_of=AS_OF - timedelta(days=3))
    show_kpi(sheet, kpi([rate(0, 6, 8), kpi_row("calls_successful", num=Decimal(1)), late], absent={}))
    told = text.getvalue().splitlines()[1]
    assert told == "Посчитано по 30.11.2026 включительно; по 27.11.2026 — Выручка (поступления)."


def test_credit_that_is_not_from_a_log_is_said() -> None:
    sheet, text = page()
    show_kpi(sheet, kpi([kpi_row("leads_new", num=Decimal(1), credit_precision="load_interval")], absent={}))
    assert "Ответственный известен не по журналу" in text.getvalue()


def test_the_kpi_document_has_the_names_of_the_relation_and_numbers_as_numbers() -> None:
    document = json.loads(encode(kpi_document(kpi([revenue(4, "210000.50")])), "ru"))
    fact = document["facts"][0]
    assert (fact["metric"], fact["entity_id"], fact["num"], fact["den"]) == ("revenue_cash", "ivanov", 210000.5, None)
    assert document["complete_until"] == [
        {"source": "amo", "facet": "crm", "complete_until": "2026-11-30T20:00:00Z"},
        {"source": "mango", "facet": "calls", "complete_until": None},
    ]


def test_amounts_in_json_keep_all_their_digits() -> None:
    """A float has no room for them."""
    assert '"a": 9999999999999999.99' in encode({"a": Decimal("9999999999999999.990000")}, "ru")


@pytest.mark.parametrize("form", ["cohort", "period"])
def test_funnel(form: str) -> None:
    sheet, text = page()
    maturity = [0.9, 0.7999, 0.5, None] if form == "cohort" else [None] * 4
    rows = funnel_rows(form, [8, 6, 5, 3], maturity)
    show_funnel(sheet, NOVEMBER, form, rows, {("amo", "7"): "Основная"})
    assert_golden(f"funnel_{form}", text.getvalue())


def test_funnel_by_touched_stages() -> None:
    sheet, text = page()
    passed = funnel_rows("cohort", [8, 6, 5, 3], [0.9] * 4)
    rows = [replace(row, touched=row.num - 1, strict=row.num - 2) for row in passed]
    counted = by_convention(rows, "touched")
    show_funnel(sheet, NOVEMBER, "cohort", counted, {("amo", "7"): "Основная"}, "touched")
    assert_golden("funnel_touched", text.getvalue())


def test_explain() -> None:
    sheet, text = page()
    show_explanation(sheet, NOVEMBER, explanation())
    assert_golden("explain", text.getvalue(), has_long_sentences=True)


def explanation() -> Explanation:
    def record(record_id: str, amount: str, excluded_by: str | None = None, title: str = "ООО «Вектор» № 7") -> Record:
        return Record(
            record_type="payment",
            source="accounting",
            record_id=record_id,
            occurred_at=AS_OF,
            num=Decimal(amount),
            den=None,
            title=title,
            url=None,
            excluded_by=excluded_by,
        )

    return Explanation(
        metric=CATALOGUE.get("revenue_cash"),
        fact=revenue(0, "70000"),
        counted=[record("P1", "100000"), record("P6", "-30000.5")],
        counted_count=3,
        left_out=[record("P8", "500", "own_transfer"), record("P9", "1", "my_rule")],
        left_out_count=2,
        left_out_by_rule={"own_transfer": 1, "my_rule": 1},
    )


def test_the_explain_document_says_why_in_words() -> None:
    document = json.loads(encode(explanation_document(explanation()), "en"))
    assert [record["reason"] for record in document["left_out"]] == [
        "a transfer between own accounts",
        "rule my_rule",
    ]
    assert document["counted"][1]["num"] == -30000.5


# ── loading ─────────────────────────────────────────────────────────────────────────────────────────────────────


def stream_report(stream: str, **values: Any) -> StreamReport:
    given: dict[str, Any] = {
        "source": "amo",
        "stream": stream,
        "label": say("Сделки", "Deals"),
        "rows": 1234,
        "core_rows": 1300,
        "requests": 7,
        "rejected": 0,
        "seconds": 3.25,
    }
    return StreamReport(**{**given, **values})


DOWN = UnreachableError(say("Нет связи.", "No connection."), say("Проверьте адрес.", "Check the address."))


def test_sync_table() -> None:
    sheet, text = page()
    show_streams(sheet, [stream_report("leads"), stream_report("events", rejected=2), stream_report("x", error=DOWN)])
    assert_golden("sync", text.getvalue())


def test_a_failure_of_many_streams_is_told_once_with_its_remedy() -> None:
    sheet, _ = page()
    told = failures(
        [stream_report("leads", error=DOWN), stream_report("events", error=DOWN), stream_report("x")], sheet
    )
    assert told == ["amo (leads, events): Нет связи.\n  → Проверьте адрес."]
    many = failures([stream_report(f"s{number}", error=DOWN) for number in range(20)], sheet)
    assert many == ["amo (s0, s1, s2 и ещё 17): Нет связи.\n  → Проверьте адрес."]


def stream_status(stream: str, **values: Any) -> StreamStatus:
    given: dict[str, Any] = {
        "source": "amo",
        "stream": stream,
        "facet": "crm",
        "last_started_at": AS_OF,
        "last_finished_at": AS_OF,
        "last_status": "done",
        "last_rows": 15,
        "last_requests": 3,
        "error": None,
        "last_done_at": AS_OF,
        "complete_until": AS_OF,
        "rejects": 0,
        "position": None,
    }
    return StreamStatus(**{**given, **values})


def test_status() -> None:
    sheet, text = page()
    failed = stream_status("events", last_status="failed", error="Нет связи.", last_done_at=None, rejects=3)
    streams = [stream_status("leads"), failed]
    now = AS_OF + timedelta(hours=5)
    published, loaded = Path("/srv/sales/analytics.duckdb"), Path("/srv/sales/var/raw.duckdb")
    label = say("Для аналитиков", "For analysts")
    file = FileSize(name=PUBLISHED, label=label, path=published, size=17_100_000, changed_at=AS_OF)
    raw = FileSize(name="raw", label=say("Загруженное", "Raw"), path=loaded, size=None, changed_at=None)
    stale = stale_streams(streams, now, timedelta(hours=26))
    origin = Origin(Path("/srv/sales/var/warehouse.duckdb"), is_published=False)
    agrees = {"missed": 0, "edited": 0, "deleted": 3, "listed": 100, "total": 100, "held": 100}
    reconciliations = [
        Reconciliation(source="amo", stream="contacts", reconciled_at=AS_OF, **agrees),
        Reconciliation(source="amo", stream="leads", reconciled_at=AS_OF, **{**agrees, "missed": 2, "total": None}),
    ]
    status = Status(
        streams=streams,
        files=[raw, file],
        origin=origin,
        now=now,
        stale=stale,
        reconciliations=reconciliations,
    )
    show_status(sheet, status)
    assert [one.agrees for one in reconciliations] == [True, False]
    assert_golden("status", text.getvalue(), has_long_sentences=True)


@pytest.mark.parametrize(("hours", "expected"), [(25, []), (26, []), (27, ["leads"])])
def test_freshness_counts_from_the_last_success(hours: int, expected: list[str]) -> None:
    """A failed run a minute ago is no fresh data; exactly the limit is still fresh."""
    stream = stream_status("leads", last_status="failed", last_started_at=AS_OF + timedelta(hours=hours))
    found = stale_streams([stream], AS_OF + timedelta(hours=hours), timedelta(hours=26))
    assert [item.stream for item in found] == expected


def test_a_path_with_an_apostrophe_is_opened_as_it_is() -> None:
    assert '"/srv/o\'brien/analytics.duckdb"' in open_snippets(Path("/srv/o'brien/analytics.duckdb"))[1]


def test_rejects() -> None:
    sheet, text = page()
    reject = RejectRow(
        source="accounting",
        stream="statements",
        record_id="statement.txt",
        reason="not_a_statement",
        message="Это картинка PNG, а не выписка",
        path="1",
        expected="1CClientBankExchange",
        got="\x89PNG\r\n",
        phase="land",
        seen_at=datetime(2026, 11, 30, 21, tzinfo=UTC),
    )
    show_rejects(sheet, [reject], Path("/srv/sales/var/raw.duckdb"))
    assert_golden("rejects", text.getvalue(), has_long_sentences=True)


# ── whatever a source may hold ──────────────────────────────────────────────────────────────────────────────────


def test_names_from_a_source_are_never_markup_nor_control_characters() -> None:
    """A customer called [red]… or one that clears the screen, turns the text round or breaks the line."""
    sheet, text = page()
    evil = "[bold red]Иван[/] [link=http://x]x[/link] :smile: \x1b[2J\x9b31m\u202eтекст\r\nвторая"
    sheet.table([Field("[b]Кто[/b]"), Field("Сколько", "right")], [(evil, "1")])
    sheet.heading(evil)
    sheet.say(evil)
    show_rows(sheet, ["[i]"], [(evil,)])
    written = text.getvalue()
    assert "[bold red]Иван[/] [link=http://x]x[/link] :smile:" in written
    assert "[b]Кто[/b]" in written
    for forbidden in ("\x1b", "\x9b", "\u202e", "\r"):
        assert forbidden not in written


def test_a_number_is_never_cut_off() -> None:
    """Rich would print `12 43…` in a table wider than the page."""
    sheet, text = page(width=20)
    sheet.table(
        [Field("Показатель", is_wide=True), *(Field(f"К{i}", "right") for i in range(4))],
        [["x", *["12 430 001 ₽"] * 4]],
    )
    assert text.getvalue().count("12 430 001 ₽") == 4


def test_columns_that_do_not_fit_go_into_tables_of_their_own() -> None:
    sheet, text = page(width=60)
    names = [f"Менеджер {number}" for number in range(1, 8)]
    show_matrix(sheet, "Показатель", names, [("Выручка", ["12 430 001 ₽"] * 7)])
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert sum("Выручка" in line for line in lines) == 3
    assert text.getvalue().count("12 430 001 ₽") == 7


def test_columns_of_one_name_are_all_kept_in_json() -> None:
    assert rows_document(["a", "a", "a_2"], [(1, 2, 3)]) == [{"a": 1, "a_2": 2, "a_2_2": 3}]


def test_a_source_that_is_down_tells_its_reason_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty streams that fail alike would bury the one message that matters: it comes at the end, with the remedy."""
    app = App(Path("voronka.toml"), chosen_language="en")
    reports = [
        stream_report("leads", error=DOWN),
        stream_report("events", error=DOWN),
        stream_report("calls", source="mango", error=DOWN),
        stream_report("users"),
    ]
    with showing(app) as progress:
        for report in reports:
            progress.stream_finished(report)
    lines = capsys.readouterr().err.splitlines()
    assert [line.count("No connection.") for line in lines] == [0, 0, 0, 0]
    assert lines[1].endswith("failed")
    assert [message.count("Нет связи.") for message in failures(reports, page()[0])] == [1, 1]
    assert lines[3] == "amo/users: new and changed 1,234, requests 7, unreadable 0, 3.3 s"
