"""Wrong input is answered, not traced: one clear message, the promised exit status, the rest of the work done.

A whole company stands behind each case, so that "the rest of the work" is something that can be counted.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from base.clock import FakeClock, SystemClock
from demo.story import Story
from tests.e2e.company import KEY, SALT, TOKEN, confirm_inputs, served
from tests.e2e.reference import NEXT_MORNING, reference_story
from tests.engine import look
from voronka.app import App
from voronka.cli import root

CONSOLE_SCRIPT = Path(sys.executable).parent / "voronka"
WRONG_TOKEN = "a-token-of-somebody-else"
SECRETS = (TOKEN, WRONG_TOKEN, KEY, SALT)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

pytestmark = pytest.mark.e2e


@dataclass
class Office:
    """The reference company's folder, its vendors being served; commands are run in it as a person would."""

    folder: Path
    clock: FakeClock
    story: Story

    @property
    def config(self) -> Path:
        return self.folder / "voronka.toml"

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text("utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), "utf-8")

    def run(self, *arguments: str) -> Result:
        """A command of this process on a clock that only waits move; an error nobody foresaw reaches the test."""
        app = App(self.config, given_clock=self.clock)
        result = CliRunner().invoke(root, ["--config", str(self.config), *arguments], obj=app)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        _refuse_leaks(result.stdout + result.stderr)
        return result

    def loaded(self) -> dict[str, int]:
        """Core rows by source: what "the rest of the work" is."""
        found = {"amo": "core.deals", "mango": "core.calls", "accounting": "core.payments"}
        with look(self.folder / "var" / "warehouse.duckdb") as connection:
            rows = {
                source: connection.execute(f"SELECT count(*) FROM {relation} WHERE source = ?", [source]).fetchone()
                for source, relation in found.items()
            }
        return {source: row[0] for source, row in rows.items() if row}


# Everything the reference company has.
DEALS, CALLS, PAYMENTS = 10, 14, 7


def _refuse_leaks(told: str) -> None:
    assert "Traceback" not in told
    assert [secret for secret in SECRETS if secret in told] == []


def _messages(stderr: str) -> list[str]:
    """What is told on stderr beside the progress of streams: a message with its remedy is one."""
    lines = [line for line in stderr.splitlines() if line and not _is_progress(line)]
    return [line for line in lines if not line.startswith("  → ")]


def _is_progress(line: str) -> bool:
    return "новых и изменённых" in line


@pytest.fixture
def office(tmp_path: Path, empty_files: Path) -> Iterator[Office]:
    story, clock = reference_story(), FakeClock(NEXT_MORNING)
    shutil.copytree(empty_files, tmp_path / "var")
    confirm_inputs(story, tmp_path)
    with served(story, tmp_path, clock):
        yield Office(tmp_path, clock, story)


# ── configuration and usage: nothing is done ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", ["sync", "nightly", "check"])
def test_an_unknown_key_is_named_with_its_path(office: Office, command: str) -> None:
    office.edit('type = "amocrm"', 'type = "amocrm"\nstrat = "2026-01-01"')
    result = office.run(command)
    assert result.exit_code == 2
    assert _messages(result.stderr)[1:] == ["  · sources.amo.strat: неизвестный ключ; возможно, «start»?"]
    assert office.loaded() == {"amo": 0, "mango": 0, "accounting": 0}


def test_a_missing_variable_is_named_with_the_key_that_needs_it(office: Office) -> None:
    office.edit(f'"{TOKEN}"', '"${AMO_TOKEN_NOBODY_SET}"')
    result = office.run("nightly")
    assert result.exit_code == 2
    [problem] = _messages(result.stderr)[1:]
    assert problem.startswith("  · sources.amo.token: нет переменной AMO_TOKEN_NOBODY_SET")
    assert office.loaded() == {"amo": 0, "mango": 0, "accounting": 0}


@pytest.mark.parametrize("period", ["2026-13", "2026-Q5", "прошлый месяц", "2026-11-31"])
@pytest.mark.parametrize("command", ["recompute", "kpi", "funnel"])
def test_an_unknown_period_is_refused_with_the_known_forms(office: Office, command: str, period: str) -> None:
    result = office.run(command, period)
    assert result.exit_code == 2
    assert _messages(result.stderr) == [f"Непонятный период «{period}»."]
    assert "2026-Q4" in result.stderr


# ── one source: the others are loaded ───────────────────────────────────────────────────────────────────────────


def test_a_wrong_token_costs_its_own_source_only(office: Office) -> None:
    office.edit(TOKEN, WRONG_TOKEN)
    result = office.run("sync")
    assert result.exit_code == 1
    [message] = _messages(result.stderr)
    assert message.startswith("amo (")
    assert "не принял токен (401)" in message
    assert result.stderr.count("  → ") == 1
    assert office.loaded() == {"amo": 0, "mango": CALLS, "accounting": PAYMENTS}


def test_an_unreachable_host_costs_its_own_source_only(office: Office) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        lines = office.config.read_text("utf-8").splitlines()
        place = lines.index('type = "mango"') + 1
        lines[place] = f'base_url = "{address}/vpbx"'
        office.config.write_text("\n".join(lines), "utf-8")
        result = office.run("sync")
    assert result.exit_code == 1
    [message] = _messages(result.stderr)
    assert message.startswith("mango (")
    assert "127.0.0.1 недоступен" in message
    assert "Проверьте адрес источника" in result.stderr
    assert office.loaded() == {"amo": DEALS, "mango": 0, "accounting": PAYMENTS}


def test_a_host_without_an_address_is_told_alike(office: Office) -> None:
    """A mistyped domain fails before any connection, in another layer of the client."""
    lines = office.config.read_text("utf-8").splitlines()
    place = lines.index('type = "amocrm"') + 1
    lines[place] = 'base_url = "http://compny.invalid"'
    office.config.write_text("\n".join(lines), "utf-8")
    result = office.run("check", "amo")
    assert result.exit_code == 1
    assert result.stdout.count("compny.invalid недоступен") == 1
    assert result.stdout.count("→ Проверьте адрес источника") == 1


# ── one file: the others are loaded ─────────────────────────────────────────────────────────────────────────────


def test_a_picture_named_statement_is_told_and_the_statements_load(office: Office) -> None:
    (office.exports / "statement.txt").write_bytes(PNG)
    result = office.run("sync")
    assert result.exit_code == 1
    message, pointer = _messages(result.stderr)
    assert message.startswith("accounting: statement.txt: Это картинка PNG, а не банковская выписка")
    assert pointer == "Подробнее: voronka rejects accounting"
    assert office.loaded() == {"amo": DEALS, "mango": CALLS, "accounting": PAYMENTS}


def test_half_a_statement_is_refused_whole_and_the_others_load(office: Office) -> None:
    """Its documents are those of a whole copy beside it: were the half read, nobody could tell what it lacks."""
    whole = max(office.exports.iterdir(), key=lambda path: path.stat().st_size).read_bytes()
    (office.exports / "half.txt").write_bytes(whole[: len(whole) // 2])
    result = office.run("sync")
    assert result.exit_code == 1
    message, _ = _messages(result.stderr)
    assert message.startswith("accounting: half.txt: Файл обрезан")
    assert "Ничего из него не загружено" in message
    assert office.loaded() == {"amo": DEALS, "mango": CALLS, "accounting": PAYMENTS}
    with look(office.folder / "var" / "raw.duckdb") as log:
        assert log.execute("SELECT count(*) FROM raw.records WHERE origin LIKE 'half.txt%'").fetchone() == (0,)


def test_mended_input_is_forgotten(office: Office) -> None:
    """A file that was taken away must not be complained of for ever."""
    (office.exports / "statement.txt").write_bytes(PNG)
    assert office.run("sync").exit_code == 1
    (office.exports / "statement.txt").unlink()
    result = office.run("sync")
    assert (result.exit_code, _messages(result.stderr)) == (0, [])


# ── all at once, by the installed command ───────────────────────────────────────────────────────────────────────


def test_a_night_of_the_installed_command_does_all_it_can(tmp_path: Path, empty_files: Path) -> None:
    """The real process: its exit status, its two streams, and a published file at the end."""
    shutil.copytree(empty_files, tmp_path / "var")
    with served(reference_story(), tmp_path, SystemClock()):
        config = tmp_path / "voronka.toml"
        crm, _, _ = config.read_text("utf-8").partition("[sources.mango]")
        files = '[sources.accounting]\ntype = "onec"\npath = "exports"\n'
        config.write_text(crm.replace(f'"{TOKEN}"', '"${AMO_TOKEN}"') + files, "utf-8")
        (tmp_path / "exports" / "statement.txt").write_bytes(PNG)
        done = subprocess.run(
            [CONSOLE_SCRIPT, "--config", config, "nightly"],
            env={**os.environ, "AMO_TOKEN": WRONG_TOKEN},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    _refuse_leaks(done.stdout + done.stderr)
    refused, picture, _ = _messages(done.stderr)
    assert "не принял токен" in refused
    assert "statement.txt: Это картинка PNG" in picture
    with duckdb.connect(str(tmp_path / "analytics.duckdb"), read_only=True) as published:
        assert published.execute("SELECT count(*) FROM core.payments").fetchone() == (PAYMENTS,)
