"""`voronka forget`: a person's data removed everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option, wait_option

if TYPE_CHECKING:
    from flows.steps.forget import ForgetReport


@command(
    "forget",
    details=say(
        "Удаляет телефоны, почту, имя и карточки человека из исходных записей, рабочей базы и файла для аналитиков, "
        "переписывает файлы и ищет по ним, не осталось ли чего. Показатели не меняются: звонки и сделки считаются, но "
        "без номера. Следующие загрузки его не вернут. Платежи и документы бухгалтерии хранятся по закону и остаются, "
        "если не указать --payments. Резервные копии и ваши собственные файлы не трогает, но называет.\n\n"
        "SUBJECT: телефон в любом виде, номер контакта или источник:номер.",
        "Removes a person's phones, e-mail, name and cards from the raw records, the warehouse and the analysts' file, "
        "writes the files anew and searches them for what may be left. Facts don't change: calls and deals count, "
        "without the number. Later loads don't bring it back. Payments and documents of accounting are kept by law and "
        "stay, unless --payments is given. Backups and your own files are not touched, but named.\n\n"
        "SUBJECT: a phone in any form, a contact's id, or source:id.",
    ),
    example="voronka forget +79161234567 --dry-run\nvoronka forget amo:12345",
)
@argument("subject", metavar="SUBJECT", about=say("телефон или контакт", "a phone or a contact"))
@option(
    "--payments",
    "with_payments",
    is_flag=True,
    about=say("и в платежах и документах бухгалтерии", "in payments and documents of accounting as well"),
)
@option(
    "--dry-run",
    "is_rehearsal",
    is_flag=True,
    about=say("только показать, о ком речь", "only show who is meant"),
)
@wait_option
@json_option
def forget_command(
    app: App, subject: str, with_payments: bool, is_rehearsal: bool, wait_seconds: float, as_json: bool
) -> int:
    from flows.steps.forget import forget
    from voronka.reports.progress import showing

    project = app.project()
    with showing(app) as progress:
        report = forget(
            project,
            subject,
            with_payments=with_payments,
            is_rehearsal=is_rehearsal,
            clock=app.clock,
            wait_seconds=wait_seconds,
            progress=progress,
        )
    if as_json:
        app.emit(_document(report))
    else:
        _show(app, report, is_rehearsal)
    return 0 if report.is_ok else 1


def _document(report: ForgetReport) -> dict[str, object]:
    return {
        "cards": [f"{source}:{card}" for _, source, card in sorted(report.person.cards)],
        "phones": len(report.person.phones),
        "emails": len(report.person.emails),
        "removed": report.removed,
        "left": report.left,
        "left_rows": report.left_rows,
        "left_in_lake": report.left_in_lake,
        "not_ours": report.not_ours,
        "backups": report.backups,
        "status": "done" if report.is_ok else "failed",
    }


def _show(app: App, report: ForgetReport, is_rehearsal: bool) -> None:
    from voronka.reports.page import Field

    page = app.page()
    person = report.person
    cards = ", ".join(f"{source}:{card}" for _, source, card in sorted(person.cards)) or "—"
    page.say(
        say(
            "Телефонов: {phones}, адресов почты: {emails}, карточки: {cards}",
            "Phones: {phones}, e-mail addresses: {emails}, cards: {cards}",
            phones=len(person.phones),
            emails=len(person.emails),
            cards=cards,
        )
    )
    if is_rehearsal:
        page.say(say("Ничего не удалено (--dry-run).", "Nothing was removed (--dry-run)."))
        return
    fields = [
        Field(page.render(say("Где", "Where"))),
        Field(page.render(say("Строк изменено", "Rows changed")), "right"),
    ]
    page.table(fields, [(place, page.numbers.count(rows)) for place, rows in sorted(report.removed.items())])
    if report.is_ok:
        page.say(
            say(
                "Поиск по всем файлам: ничего не осталось. Файл для аналитиков обновлён.",
                "A search through all files finds nothing. The analysts' file is renewed.",
            )
        )
    for found in (*report.left_rows, *report.left_in_lake, *report.left):
        page.say(say("Ещё есть: {found}", "Still there: {found}", found=found), "red")
    for path in report.not_ours:
        page.say(say("Ваш файл, уберите сами: {path}", "Your own file, remove it there: {path}", path=path), "yellow")
    for path in report.backups:
        page.say(say("Копия, не изменена: {path}", "A copy, not changed: {path}", path=path), "yellow")
    page.say(
        say(
            "Из резервных копий, сделанных раньше, и у самих источников человека надо удалить отдельно.",
            "From backups made before, and at the sources themselves, the person has to be removed apart.",
        )
    )
