"""What the documentation says, held against the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from metrics.inputs.declared import FILES
from tests.voronka.test_help import BY_NAME
from voronka.cli import root
from voronka.commands import COMMANDS

ROOT = Path(__file__).parent.parent.parent
READMES = ["README.md", "README.ru.md"]


def command_lines(name: str) -> list[list[str]]:
    text = (ROOT / name).read_text("utf-8")
    fence = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
    lines = [line for block in fence.findall(text) for line in block.splitlines()]
    lines += re.findall(r"`(voronka [^`]+)`", fence.sub("", text))
    found = []
    for line in lines:
        for part in re.split(r"&&", line.split("#", 1)[0]):
            before, is_ours, rest = part.partition("voronka ")
            if is_ours and (not before.strip() or before.rstrip().endswith("bin/")):
                found.append(shlex.split(rest))
    return found


@pytest.mark.parametrize("readme", READMES)
def test_every_command_line_of_a_readme_is_real(readme: str) -> None:
    """A renamed option or command that the newcomer is still told to type."""
    lines = command_lines(readme)
    assert len(lines) > 12
    for words in lines:
        arguments = list(words)
        while arguments and arguments[0] in ("--config", "--lang", "--log"):
            del arguments[:2]
        if arguments == ["--help"]:
            continue
        assert arguments[0] in COMMANDS, words
        depth = 2 if isinstance(BY_NAME[arguments[0]], click.Group) else 1
        BY_NAME[" ".join(arguments[:depth])].make_context(arguments[0], arguments[depth:])


def test_both_readmes_show_the_same_commands() -> None:
    """A step that was added to one language only."""
    english, russian = (
        [[word for word in line if word not in ("--lang", "en")] for line in command_lines(name)] for name in READMES
    )
    assert english == russian


def test_the_input_files_are_documented_as_they_are_read() -> None:
    text = (ROOT / "docs" / "inputs.md").read_text("utf-8")
    for declared in FILES:
        columns = ",".join(field.name for field in declared.fields if not field.absent)
        assert f"| `{declared.name}` | `{columns}` |" in text


def test_the_group_is_a_click_group() -> None:
    """The console script of pyproject.toml points at `main`, tests at `root`: both must be the same program."""
    assert isinstance(root, click.Group)
    assert root.list_commands(click.Context(root)) == list(COMMANDS)
