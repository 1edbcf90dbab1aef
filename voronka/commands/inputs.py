"""`voronka inputs`: draft the input files from what the sources say, and check them."""

from __future__ import annotations

from base.text import say
from voronka.app import App
from voronka.command import command, group, json_option, wait_option

inputs_command = group(
    "inputs",
    details=say(
        "Люди, их учётные записи и этапы воронок лежат в папке inputs в CSV. Остальные файлы — по желанию: "
        "планы, часы работы, линии телефонии, исключения (docs/inputs.md).",
        "People, their identities and the pipelines' stages are CSV files in the folder inputs. The others are "
        "optional: plans, hours, telephony lines, exclusions (docs/inputs.md).",
    ),
    example="voronka inputs draft\nvoronka inputs check",
)


@command(
    "draft",
    summary=say("составить черновики из загруженного", "write drafts from what was loaded"),
    details=say(
        "Пишет stages.csv, people.csv и identities.csv; если файл уже есть, недостающие строки ложатся рядом в "
        "*.new.csv. Угаданные виды этапов помечены guess: показатели, которым они нужны, появятся, когда человек "
        "сотрёт пометку.",
        "Writes stages.csv, people.csv and identities.csv; where a file exists, the missing rows go to *.new.csv "
        "beside it. Guessed stage kinds are marked guess: the metrics that need them appear once a person has removed "
        "the mark.",
    ),
    example="voronka inputs draft",
)
@wait_option
@json_option
def draft_command(app: App, wait_seconds: float, as_json: bool) -> int:
    from metrics.inputs import draft_inputs
    from voronka.loaded import opened
    from voronka.reports.inputs import draft_document, show_draft

    project = app.project(read_sources=False)
    with opened(app, project, command="inputs draft", wait_seconds=wait_seconds) as connection:
        report = draft_inputs(connection, project.company, project.company.inputs_dir)
    if as_json:
        app.emit(draft_document(report))
    else:
        show_draft(app.page(), report)
    return 0


@command(
    "check",
    summary=say("проверить все файлы", "check every file"),
    details=say(
        "Все ошибки сразу, с файлом и строкой, и список тех, кого файлы оставляют без привязки. "
        "Статус 1, если в файлах есть ошибки.",
        "All mistakes at once, with file and line, and whom the files leave unassigned. "
        "Status 1 when the files hold mistakes.",
    ),
    example="voronka inputs check",
)
@wait_option
@json_option
def check_command(app: App, wait_seconds: float, as_json: bool) -> int:
    from metrics.inputs import check_inputs
    from voronka.loaded import opened
    from voronka.reports.inputs import check_document, show_check

    project = app.project(read_sources=False)
    with opened(app, project, command="inputs check", wait_seconds=wait_seconds) as connection:
        report = check_inputs(connection, project.company)
    if as_json:
        app.emit(check_document(report))
    else:
        show_check(app.page(), report)
    return 1 if report.problems else 0


inputs_command.add_command(draft_command)
inputs_command.add_command(check_command)
