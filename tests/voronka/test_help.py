"""Help: there for every command, in both languages, with an example, and light."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import click
import pytest

from tests.voronka.running import Run
from voronka.command import Command, Group, TextArgument, TextOption
from voronka.commands import COMMANDS

CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
HEAVY = ("duckdb", "pyarrow", "httpx", "sqlalchemy", "prefect", "alembic", "phonenumbers", "rich", "msgspec")


def command(name: str) -> click.Command:
    found: click.Command = getattr(import_module(f"voronka.commands.{COMMANDS[name].module}"), f"{name}_command")
    return found


def every_command() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        found = command(name)
        yield name, found
        if isinstance(found, Group):
            for below, child in found.commands.items():
                yield f"{name} {below}", child


NAMES = [name for name, _ in every_command()]
BY_NAME = dict(every_command())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_command_has_help_with_an_example(run: Run, name: str, language: str) -> None:
    result = run("--lang", language, *name.split(), "--help")
    assert result.exit_code == 0
    heading = "Пример:" if language == "ru" else "Example:"
    before, _, example = result.output.partition(heading)
    assert name.split()[-1] in example
    assert bool(CYRILLIC.search(before)) == (language == "ru")


@pytest.mark.parametrize("name", NAMES)
def test_every_option_and_argument_is_explained_in_both_languages(name: str) -> None:
    """An option declared with click's own decorator would show English help, or none."""
    for parameter in BY_NAME[name].params:
        assert isinstance(parameter, TextOption | TextArgument), parameter.name
        assert CYRILLIC.search(parameter.about.ru)
        assert parameter.about.en
        assert not CYRILLIC.search(parameter.about.en)


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_prints_a_table_prints_json_too(name: str) -> None:
    # A group prints nothing itself: its commands do.
    without = {"init", "demo", "serve", *(name for name, found in BY_NAME.items() if isinstance(found, Group))}
    options = {option for parameter in BY_NAME[name].params for option in parameter.opts}
    assert ("--json" in options) == (name not in without)


def test_the_examples_are_real_command_lines() -> None:
    """An example with an option that was renamed; each is parsed by the command it shows."""
    for name, found in every_command():
        assert isinstance(found, Command | Group)
        assert found.example is not None
        for line in found.example.ru.splitlines():
            arguments = re.sub(r"\s[<>].*$", "", line).replace("--config /srv/sales/voronka.toml ", "")
            arguments = shlex.split(arguments)[1:]
            if arguments[0] == "sql":
                continue  # quoted; its options are covered by its own tests
            depth = 2 if isinstance(BY_NAME[arguments[0]], Group) else 1
            BY_NAME[" ".join(arguments[:depth])].make_context(name, arguments[depth:])


def test_help_lists_every_command_in_order(run: Run) -> None:
    output = run("--help").output
    places = [output.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_no_help_imports_anything_heavy() -> None:
    """One careless import at the top of a module makes every `voronka --help` wait for it."""
    code = f"""
import sys
from voronka.cli import root
for arguments in ([], *([name] for name in {sorted(COMMANDS)!r})):
    try: root.main([*arguments, "--help"])
    except SystemExit: pass
    print(arguments, [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    guilty = [line for line in done.stderr.splitlines() if not line.endswith(" []")]
    assert guilty == []
    assert len(done.stderr.splitlines()) == len(COMMANDS) + 1


def test_sync_imports_neither_prefect_nor_alembic() -> None:
    """Everything `sync` needs to run, imported as the command imports it."""
    code = (
        "import sys, flows.steps.sync, voronka.commands.sync, voronka.reports.progress, voronka.reports.loading\n"
        "print([m for m in ('prefect', 'alembic', 'duckdb_sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_costs_at_most_three_tenths_of_a_second_over_the_interpreter() -> None:
    """CPU time, the best of several runs: the machine may be busy, the code may not."""

    def cost(code: str) -> float:
        script = f"import sys, time\n{code}\nsys.stderr.write(str(time.process_time()))"
        command = [sys.executable, "-c", script]
        return min(float(subprocess.run(command, capture_output=True, text=True, check=True).stderr) for _ in range(3))

    show_help = "from voronka.cli import root\ntry: root.main(['--help'])\nexcept SystemExit: pass"
    assert cost(show_help) - cost("") < 0.3
