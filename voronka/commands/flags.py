"""`voronka flags`: the integrity flags of a period with their records."""

from __future__ import annotations

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option, option


@command(
    "flags",
    details=say(
        "Записи, на которые стоит взглянуть: выиграно без оплаты, звонка нет в CRM, ответственный сменён перед оплатой "
        "и другие (I-01 … I-16). Флаг сам по себе не меняет ни одного показателя.",
        "Records worth a look: won without payment, a call that is not in the CRM, a handover just before payment and "
        "others (I-01 … I-16). A flag by itself changes no metric.",
    ),
    example="voronka flags 2026-11\nvoronka flags 2026-11 --who ivanov --flag I-01",
)
@argument("period", about=say("период, например 2026-11", "period, such as 2026-11"))
@option(
    "--who",
    metavar="ENTITY",
    about=say(
        "сотрудник или команда — код или имя; unassigned — ни за кем",
        "a person or team, by id or name; unassigned: nobody's",
    ),
)
@option("--flag", metavar="I-NN", about=say("один флаг", "one flag"))
@json_option
def flags_command(app: App, period: str, who: str | None, flag: str | None, as_json: bool) -> int:
    from metrics.flags.catalogue import load_flags
    from metrics.flags.reading import read_flags, read_unchecked
    from metrics.periods import parse_period
    from voronka.published import open_published
    from voronka.reports.flags import Found, flags_document, show_flags

    flags = load_flags()
    if flag is not None and flag.upper() not in {each.key for each in flags}:
        known = ", ".join(each.key for each in flags)
        raise UsageError(
            say("Нет флага «{flag}».", "No flag {flag!r}.", flag=flag),
            remedy=say("Есть: {known}.", "There are: {known}.", known=known),
        )
    asked = tuple(each for each in flags if flag is None or each.key == flag.upper())
    with open_published(app) as (_, connection):
        found = [
            Found(
                period=each,
                flags=asked,
                rows=read_flags(connection, each.name, who, flag.upper() if flag else None),
                unchecked=read_unchecked(connection, each.name),
            )
            for each in parse_period(period)
        ]
    if as_json:
        documents = [flags_document(each) for each in found]
        app.emit(documents[0] if len(documents) == 1 else documents)
    else:
        page = app.page()
        for each in found:
            show_flags(page, each)
    return 0
