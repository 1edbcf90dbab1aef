"""`voronka sql`: a query, or a prompt, on the published file, read-only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option

if TYPE_CHECKING:
    import duckdb

# A terminal's worth; `--csv` and `--json` give every row.
SHOWN_ROWS = 1000
FETCHED_ROWS = 10_000
QUIT = {"exit", "quit", ".exit", ".quit", "\\q"}


@command(
    "sql",
    details=say(
        "Файл открывается только на чтение. Запрос можно дать в кавычках или на стандартный ввод; на терминале без "
        "запроса — приглашение, где запрос кончается точкой с запятой. Время показано по часам компании.",
        "The file is opened read-only. The query is quoted, or comes on standard input; on a terminal without a query "
        "there is a prompt, where a query ends with a semicolon. Times are shown on the company's clock.",
    ),
    example=(
        "voronka sql \"FROM facts.kpi WHERE period = '2026-11'\"\n"
        'voronka sql --csv "FROM core.payments" > payments.csv\n'
        "voronka sql --json < query.sql"
    ),
)
@argument("query", required=False, about=say("запрос SQL (DuckDB)", "an SQL query (DuckDB)"))
@option("--csv", "as_csv", is_flag=True, about=say("CSV вместо таблицы", "CSV instead of a table"))
@json_option
def sql_command(app: App, query: str | None, as_csv: bool, as_json: bool) -> int:
    if as_csv and as_json:
        raise UsageError(say("--csv и --json вместе не бывают.", "--csv and --json exclude each other."))
    from voronka.published import open_published

    # A day of a moment is the company's day: what people mean when they type a query.
    with open_published(app, on_company_clock=True, of_any_version=True) as (_, connection):
        if query is None and sys.stdin.isatty():
            return _prompt(app, connection)
        text = sys.stdin.read() if query is None else query
        if not text.strip():
            raise UsageError(say("Пустой запрос.", "An empty query."))
        _run(app, connection, text, as_csv, as_json)
    return 0


def _run(app: App, connection: duckdb.DuckDBPyConnection, query: str, as_csv: bool, as_json: bool) -> None:
    import duckdb

    from voronka.reports import results

    try:
        cursor = connection.execute(query)
        columns = [column[0] for column in cursor.description or ()]
        if as_csv:
            results.write_csv(sys.stdout, columns, iter(lambda: cursor.fetchmany(FETCHED_ROWS), []))
        elif as_json:
            app.emit(results.rows_document(columns, cursor.fetchall()))
        else:
            _show(app, columns, cursor)
    except duckdb.Error as error:
        raise UsageError(say("{error}", "{error}", error=str(error).strip())) from None


def _show(app: App, columns: list[str], cursor: duckdb.DuckDBPyConnection) -> None:
    from voronka.reports import results

    rows = cursor.fetchmany(SHOWN_ROWS + 1)
    results.show_rows(app.page(), columns, rows[:SHOWN_ROWS])
    if len(rows) > SHOWN_ROWS:
        app.note(
            say(
                "Показаны первые {count} строк; все — с --csv или --json.",
                "The first {count} rows are shown; all of them with --csv or --json.",
                count=SHOWN_ROWS,
            )
        )


def _prompt(app: App, connection: duckdb.DuckDBPyConnection) -> int:
    """Read queries until the end of input; a wrong one is told and the prompt comes again."""
    # Line editing and history for `input`, where the platform has them.
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401

    app.note(
        say(
            "Запрос завершайте точкой с запятой; SHOW ALL TABLES; — что есть; выход — Ctrl+D.",
            "End a query with a semicolon; SHOW ALL TABLES; lists what there is; Ctrl+D leaves.",
        )
    )
    pending: list[str] = []
    while True:
        try:
            line = input("   …> " if pending else "voronka> ")
        except EOFError:
            app.note("")
            return 0
        except KeyboardInterrupt:
            pending.clear()
            app.note("")
            continue
        if not pending and line.strip().rstrip(";").lower() in QUIT:
            return 0
        pending.append(line)
        if line.rstrip().endswith(";"):
            _answer(app, connection, "\n".join(pending))
            pending.clear()


def _answer(app: App, connection: duckdb.DuckDBPyConnection, query: str) -> None:
    if not query.strip(" ;\n"):
        return
    try:
        _run(app, connection, query, as_csv=False, as_json=False)
    except UsageError as error:
        app.complain(error)
