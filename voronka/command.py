"""Click's commands, options and usage errors in the user's language, with an example in every help."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from base.text import Language, Text, say
from voronka.commands import COMMANDS

F = TypeVar("F", bound=Callable[..., Any])

# Help stays readable on a wide terminal.
HELP_WIDTH = 100


def language_of(ctx: click.Context | None) -> Language:
    """The language of the app that a context belongs to; Russian before there is one."""
    app = ctx.find_root().obj if ctx else None
    language: Language = getattr(app, "language", "ru")
    return language


class TextOption(click.Option):
    """An option whose help is in both languages."""

    def __init__(self, *args: Any, about: Text, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.about = about

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        # Defaults and ranges are said in words by `about`; click's own additions are English.
        return None if self.hidden else (self.get_help_spec(ctx), self.about.render(language_of(ctx)))


class TextArgument(click.Argument):
    """An argument with a help of its own in both languages."""

    def __init__(self, *args: Any, about: Text, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.about = about


class HelpInLanguage(click.Command):
    """Help laid out by us: usage, what it does, arguments, options, example."""

    about: Text
    example: Text | None = None

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = say("Использование: ", "Usage: ").render(language_of(ctx))
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), prefix=words)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        self.options_metavar = say("[ПАРАМЕТРЫ]", "[OPTIONS]").render(language_of(ctx))
        return super().collect_usage_pieces(ctx)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = say("показать эту справку", "show this help").render(language_of(ctx))
        return option

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.width = max(formatter.width, HELP_WIDTH)
        language = language_of(ctx)
        self.format_usage(ctx, formatter)
        for paragraph in self.about.render(language).split("\n\n"):
            formatter.write_paragraph()
            formatter.write_text(paragraph)
        arguments = [
            (p.make_metavar(ctx), p.about.render(language)) for p in self.params if isinstance(p, TextArgument)
        ]
        _section(formatter, say("Аргументы", "Arguments"), arguments, language)
        options = [p.get_help_record(ctx) for p in self.get_params(ctx) if isinstance(p, click.Option)]
        _section(formatter, say("Параметры", "Options"), [record for record in options if record], language)
        self.format_subcommands(ctx, formatter)
        if self.example is not None:
            with formatter.section(say("Пример", "Example").render(language)):
                for line in self.example.render(language).splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")

    def format_subcommands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Only a group has them."""


class Command(HelpInLanguage):
    """A command: `summary` is its line in the list, `about` what it does at length."""

    def __init__(self, name: str | None, *, summary: Text, about: Text, example: Text, **attrs: Any) -> None:
        super().__init__(name, **attrs)
        self.summary = summary
        self.about = about
        self.example = example


class Group(HelpInLanguage, click.Group):
    """A command with commands of its own."""

    def __init__(self, name: str | None, *, about: Text, example: Text, **attrs: Any) -> None:
        super().__init__(name, **attrs)
        self.about = about
        self.example = example

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        self.subcommand_metavar = say("КОМАНДА …", "COMMAND …").render(language_of(ctx))
        return super().collect_usage_pieces(ctx)

    def summaries(self) -> list[tuple[str, Text]]:
        """The commands below, in their order, with a line each."""
        commands = self.commands.items()
        return [(name, command.summary) for name, command in commands if isinstance(command, Command)]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, _ in self.summaries()]

    def format_subcommands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        language = language_of(ctx)
        rows = [(name, summary.render(language)) for name, summary in self.summaries()]
        _section(formatter, say("Команды", "Commands"), rows, language)


def _about(summary: Text, details: Text | None) -> Text:
    def join(first: str, rest: str | None) -> str:
        sentence = first[0].upper() + first[1:] + "."
        return f"{sentence}\n\n{rest}" if rest else sentence

    return Text(join(summary.ru, details.ru if details else None), join(summary.en, details.en if details else None))


def _section(formatter: click.HelpFormatter, title: Text, rows: Sequence[tuple[str, str]], language: Language) -> None:
    if rows:
        with formatter.section(title.render(language)):
            formatter.write_dl(rows)


# ── declaring ───────────────────────────────────────────────────────────────────────────────────────────────────


def command(
    name: str, *, example: Text | str, details: Text | None = None, summary: Text | None = None
) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command; its function gets the `App` first and returns its exit status.

    `summary` is taken from `COMMANDS`, but for commands below a group; `details` follow it in the help.
    """
    line = summary or COMMANDS[name].summary

    def decorate(function: Callable[..., Any]) -> Command:
        made: Command = click.command(
            name, cls=Command, summary=line, about=_about(line, details), example=_text(example)
        )(click.pass_obj(function))
        return made

    return decorate


def group(name: str, *, example: Text | str, details: Text | None = None) -> Group:
    return Group(name, about=_about(COMMANDS[name].summary, details), example=_text(example))


def _text(example: Text | str) -> Text:
    return example if isinstance(example, Text) else Text(example, example)


def option(*names: str, about: Text, **attrs: Any) -> Callable[[F], F]:
    return click.option(*names, cls=TextOption, about=about, **attrs)


def argument(name: str, *, about: Text, **attrs: Any) -> Callable[[F], F]:
    return click.argument(name, cls=TextArgument, about=about, **attrs)


json_option = option(
    "--json",
    "as_json",
    is_flag=True,
    about=say("один документ JSON вместо таблицы", "one JSON document instead of a table"),
)

wait_option = option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    metavar="N",
    about=say(
        "сколько секунд ждать, если базу занял другой voronka (60)",
        "how many seconds to wait if another voronka holds the warehouse (60)",
    ),
)


# ── usage errors ────────────────────────────────────────────────────────────────────────────────────────────────


def describe_usage_error(error: click.ClickException) -> Text:
    """What is wrong with a command line, in both languages; click's own English where we have no words."""
    if isinstance(error, click.NoSuchOption):
        near = f" ({', '.join(error.possibilities)}?)" if error.possibilities else ""
        if error.option_name in ("--config", "--lang"):
            return say(
                "{name} пишется перед командой: voronka {name} … КОМАНДА",
                "{name} goes before the command: voronka {name} … COMMAND",
                name=error.option_name,
            )
        return say("нет параметра {name}{near}", "no option {name}{near}", name=error.option_name, near=near)
    if isinstance(error, click.NoSuchCommand):
        similar = difflib.get_close_matches(error.command_name, COMMANDS, n=1)
        near = f" ({similar[0]}?)" if similar else ""
        return say("нет команды {name}{near}", "no command {name}{near}", name=error.command_name, near=near)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        hint = error.param.get_error_hint(error.ctx or click.Context(click.Command(None)))
        return say("не указано: {hint}", "missing: {hint}", hint=hint)
    if isinstance(error, click.BadParameter) and error.param is not None and error.ctx is not None:
        hint = error.param.get_error_hint(error.ctx)
        why = _wanted(error.param.type) or say("{m}", "{m}", m=error.message)
        return say("{hint}: неверное значение: {why}", "{hint}: invalid value: {why}", hint=hint, why=why)
    message = error.format_message()
    return say("{message}", "{message}", message=message)


def _wanted(kind: click.ParamType[Any]) -> Text | None:
    """What a value has to be, where click would say it in English."""
    if isinstance(kind, click.Choice):
        return say("нужно одно из: {choices}", "one of: {choices}", choices=", ".join(map(str, kind.choices)))
    if isinstance(kind, click.FloatRange | click.IntRange) and kind.min is not None and kind.max is None:
        return say("нужно число от {least}", "a number from {least}", least=kind.min)
    return None
