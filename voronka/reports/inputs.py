"""`voronka inputs`: the drafts that were written, the mistakes, and whom the files leave unassigned."""

from __future__ import annotations

from typing import Any

from base.text import say
from metrics.inputs import CheckReport, DraftReport
from voronka.reports.page import Field, Page


def show_draft(page: Page, report: DraftReport) -> None:
    if not report.files:
        page.say(say("Дописывать нечего: файлы полны.", "Nothing to add: the files are complete."))
        return
    for file in report.files:
        rows = page.numbers.count(file.rows)
        page.say(say("{path}: строк {rows}", "{path}: {rows} rows", path=file.path, rows=rows))
        if file.guesses:
            guessed = say(
                "    угадано видов: {n} (столбец guess) — проверьте kind и сотрите пометку",
                "    guessed kinds: {n} (column guess): check kind and remove the mark",
                n=page.numbers.count(file.guesses),
            )
            page.say(guessed, "yellow")
    if any(file.path.name.endswith(".new.csv") for file in report.files):
        merge = say(
            "Перенесите строки из *.new.csv в сами файлы и удалите *.new.csv.",
            "Move the rows of *.new.csv into the files and remove *.new.csv.",
        )
        page.say(merge)
    page.say(say("Дальше: voronka inputs check", "Next: voronka inputs check"))


def show_check(page: Page, report: CheckReport) -> None:
    for problem in report.problems:
        page.say(problem, "red")
    for warning in report.warnings:
        page.say(warning, "yellow")
    if report.findings:
        page.heading(say("Без привязки", "Left unassigned"))
        titles = (
            say("Что", "What"),
            say("Источник", "Source"),
            say("Номер", "Id"),
            say("Имя", "Name"),
            say("Записей", "Records"),
            say("за 90 дней", "in 90 days"),
        )
        fields = [
            Field(page.render(t), "right" if i >= 4 else "left", is_wide=i in (0, 3)) for i, t in enumerate(titles)
        ]
        rows = [
            (
                page.render(f.text),
                f.source,
                f.external_id,
                f.name,
                page.numbers.count(f.records),
                "" if f.recent is None else page.numbers.count(f.recent),
            )
            for f in report.findings
        ]
        page.table(fields, rows)
    if not report.problems and not report.findings:
        page.say(say("Всё в порядке.", "All is well."), "green")
    elif report.problems:
        page.say(
            say(
                "С ошибками файлы не загружаются: исправьте их и повторите.",
                "Files with mistakes are not loaded: mend them and try again.",
            )
        )


def draft_document(report: DraftReport) -> dict[str, Any]:
    return {"files": [{"path": file.path, "rows": file.rows, "guesses": file.guesses} for file in report.files]}


def check_document(report: CheckReport) -> dict[str, Any]:
    return {
        "problems": report.problems,
        "warnings": report.warnings,
        "findings": [
            {
                "kind": finding.kind,
                "text": finding.text,
                "source": finding.source,
                "external_id": finding.external_id,
                "name": finding.name,
                "records": finding.records,
                "recent": finding.recent,
            }
            for finding in report.findings
        ],
        "status": "failed" if report.problems else "done",
    }
