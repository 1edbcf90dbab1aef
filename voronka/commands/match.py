"""`voronka match list`, `match confirm`: payments without a deal, and a person's decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.text import say
from voronka.app import App
from voronka.command import argument, command, group, json_option, option, wait_option

if TYPE_CHECKING:
    from decimal import Decimal

    from metrics.inputs.reader import Row
    from metrics.settings import Company

match_command = group("match", example="voronka match list 2026-11\nvoronka match confirm 9f2c41 31570042")


@command(
    "list",
    summary=say("платежи без сделки и подходящие сделки", "payments without a deal, with their candidates"),
    details=say(
        "Деньги покупателей, которые ни одно правило не отнесло к сделке: сколько, от кого, почему, и какие сделки "
        "подходят. В выручке компании они есть, у менеджеров — нет.",
        "Customers' money that no rule could put on a deal: how much, from whom, why, and which deals fit. "
        "It is in the company's revenue, but in no manager's.",
    ),
    example="voronka match list\nvoronka match list 2026-11",
)
@argument(
    "period",
    required=False,
    metavar="[PERIOD]",
    about=say("период, например 2026-11; без него — всё", "period, such as 2026-11; everything without it"),
)
@wait_option
@json_option
def list_command(app: App, period: str | None, wait_seconds: float, as_json: bool) -> int:
    from metrics.matches import list_unmatched
    from metrics.periods import parse_period
    from voronka.loaded import opened
    from voronka.reports.match import show_unmatched, unmatched_document

    periods = parse_period(period) if period else []
    since = periods[0].starts_on if periods else None
    until = periods[-1].ends_on if periods else None
    project = app.project(read_sources=False)
    with opened(app, project, command="match list", wait_seconds=wait_seconds) as connection:
        payments = list_unmatched(connection, since, until)
    if as_json:
        app.emit(unmatched_document(payments))
    else:
        show_unmatched(app.page(), payments, project.company.currency)
    return 0


@command(
    "confirm",
    summary=say("отнести платёж к сделке", "put a payment on a deal"),
    details=say(
        "Записывает решение в inputs/matches.csv; оно сильнее любого правила. Номера — из `voronka match list`; если "
        "номер есть в нескольких источниках, пишите источник:номер.",
        "Writes the decision to inputs/matches.csv; it stands over every rule. Ids are those of `voronka match list`; "
        "where several sources have an id, write source:id.",
    ),
    example="voronka match confirm 9f2c41 31570042\nvoronka match confirm bank:9f2c41 amo:31570042 --amount 90000",
)
@argument("payment", about=say("номер платежа", "the payment's id"))
@argument("deal", about=say("номер сделки", "the deal's id"))
@option(
    "--amount",
    metavar="A",
    about=say("часть платежа; без неё — всё, что свободно", "part of the payment; all that is free without it"),
)
@option(
    "--by",
    "approved_by",
    metavar="NAME",
    about=say("кто решил; без него — имя пользователя системы", "who decided; the system's user name without it"),
)
@wait_option
@json_option
def confirm_command(
    app: App,
    payment: str,
    deal: str,
    amount: str | None,
    approved_by: str | None,
    wait_seconds: float,
    as_json: bool,
) -> int:
    from metrics.inputs.append import append_lines
    from metrics.inputs.declared import MATCHES
    from metrics.matches import decide
    from voronka.loaded import opened
    from voronka.reports.match import decision_document, show_decision

    project = app.project(read_sources=False)
    company = project.company
    approved = {
        "approved_by": approved_by or _user_name(),
        "approved_on": app.clock.now().astimezone(company.zone).date(),
    }
    part = _parse_amount(amount)
    # The lock also keeps two decisions from overwriting each other's line.
    with opened(app, project, command="match confirm", wait_seconds=wait_seconds) as connection:
        written = _read_decisions(company)
        decision = decide(connection, written, payment, deal, part, company_currency=company.currency)
        path = company.inputs_dir / MATCHES.name
        append_lines(path, MATCHES, [row | approved for row in decision.rows])
    if as_json:
        app.emit(decision_document(decision, path))
    else:
        show_decision(app.page(), decision, path)
    return 0


def _user_name() -> str | None:
    """Who is logged in; a container may run as a number that no user has."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _parse_amount(text: str | None) -> Decimal | None:
    from base.errors import UsageError
    from base.money import parse_money

    try:
        return None if text is None else parse_money(text)
    except ValueError:
        raise UsageError(
            say("«{text}» — не сумма; пишите 90000 или 90000.50.", "{text!r} is no amount; write 90000.50.", text=text)
        ) from None


def _read_decisions(company: Company) -> list[Row]:
    """The rows of matches.csv. Raises InputError: the file holds mistakes; a line below them would not be read."""
    from base.errors import InputError
    from metrics.inputs.declared import MATCHES
    from metrics.inputs.reader import read_file

    read = read_file(company.inputs_dir / MATCHES.name, MATCHES, company.calendar)
    if read.problems:
        raise InputError(
            say("В matches.csv ошибки; решение не записано.", "matches.csv holds mistakes; nothing was written."),
            tuple(read.problems),
            remedy=say("Исправьте строки и повторите.", "Mend these lines and repeat."),
        )
    return read.rows


match_command.add_command(list_command)
match_command.add_command(confirm_command)
