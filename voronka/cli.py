"""`voronka`: finds the command, runs it, and turns what went wrong into a message and an exit status.

    0 done · 1 ran, but something failed · 2 wrong usage or configuration · 3 the warehouse is held by another
    130 interrupted

Nothing heavy is imported here: `voronka --help` costs what click costs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import click

from base.errors import VoronkaError
from base.text import LANGUAGES, Language, Text, say
from voronka.app import App
from voronka.command import Group, TextOption, describe_usage_error
from voronka.commands import COMMANDS

DEFAULT_CONFIG = "voronka.toml"
LOG_VARIABLE = "VORONKA_LOG"
INTERRUPTED = 130


def main() -> NoReturn:
    """The console script."""
    app = App(Path(DEFAULT_CONFIG))

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        from voronka.crash import report_crash

        report_crash(app, error)

    # What nobody foresaw: Python exits with 1 after the hook, and nobody is shown a traceback.
    sys.excepthook = hook
    root.main(obj=app)


class Root(Group):
    """The commands of `COMMANDS`, imported when they are run."""

    _command = ""  # the one that was run, for the log

    def summaries(self) -> list[tuple[str, Text]]:
        return [(name, entry.summary) for name, entry in COMMANDS.items()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        self._command = cmd_name
        found: click.Command = getattr(import_module(f"voronka.commands.{entry.module}"), f"{cmd_name}_command")
        return found

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run and exit; an error we foresaw becomes a message on stderr and its status."""
        app = extra.setdefault("obj", App(Path(DEFAULT_CONFIG)))
        extra.update(standalone_mode=False, prog_name="voronka")
        started = time.monotonic()
        status = self._run(app, args, *rest, **extra)
        if app.is_logging and self._command:
            from voronka.logs import tell_command

            tell_command(self._command, status, time.monotonic() - started)
        sys.exit(status)

    def _run(self, app: App, *args: Any, **extra: Any) -> int:
        try:
            status = super().main(*args, **extra)
        except click.exceptions.Abort:
            return INTERRUPTED
        except click.ClickException as error:
            app.note(_usage_message(error, app.language))
            return 2
        except VoronkaError as error:
            app.complain(error)
            return error.exit_status
        return status if isinstance(status, int) else 0


def _usage_message(error: click.ClickException, language: Language) -> Text:
    """What is wrong, the usage line, and where the help is."""
    ctx = getattr(error, "ctx", None)
    if ctx is None or isinstance(error, click.exceptions.NoArgsIsHelpError):
        return describe_usage_error(error)
    return say(
        "{what}\n\n{usage}\nСправка: {path} --help",
        "{what}\n\n{usage}\nHelp: {path} --help",
        what=describe_usage_error(error),
        usage=ctx.get_usage(),
        path=ctx.command_path,
    )


def _choose_config(ctx: click.Context, param: click.Parameter, value: str) -> None:
    app: App = ctx.find_root().obj
    app.choose_config(Path(value))


def _choose_language(ctx: click.Context, param: click.Parameter, value: Language | None) -> None:
    ctx.find_root().obj.chosen_language = value


def _choose_log(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    app: App = ctx.find_root().obj
    app.is_logging = (value or os.environ.get(LOG_VARIABLE)) == "json"
    if app.is_logging:
        from voronka import logs

        logs.start(app)


# Eager, in this order: the help of any command is already in the language these two decide.
_OPTIONS = [
    TextOption(
        ["--config"],
        about=say(
            "файл конфигурации (voronka.toml, или как говорит переменная VORONKA_CONFIG)",
            "configuration file (voronka.toml, or what the variable VORONKA_CONFIG says)",
        ),
        default=DEFAULT_CONFIG,
        # Workers of many machines have it already (docs/many_machines.md).
        envvar="VORONKA_CONFIG",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_choose_config,
    ),
    TextOption(
        ["--lang"],
        about=say("язык (по умолчанию — из конфигурации)", "language (the configuration's by default)"),
        type=click.Choice(LANGUAGES),
        is_eager=True,
        expose_value=False,
        callback=_choose_language,
    ),
    TextOption(
        ["--log"],
        about=say(
            "сообщения в stderr: text или json, по записи в строке (или переменная VORONKA_LOG)",
            "messages on stderr: text, or json, a record a line (or the variable VORONKA_LOG)",
        ),
        type=click.Choice(["text", "json"]),
        is_eager=True,
        expose_value=False,
        callback=_choose_log,
    ),
]

root = Root(
    "voronka",
    about=say(
        "voronka — воронка продаж по независимым записям: журналу CRM, телефонии, бухгалтерии.",
        "voronka: the sales funnel from independent records: the CRM's log, telephony, accounting.",
    ),
    example=say(
        "voronka demo\nvoronka kpi 2026-11 --by team",
        "voronka demo\nvoronka --lang en kpi 2026-11 --by team",
    ),
    params=list(_OPTIONS),
)
