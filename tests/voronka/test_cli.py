"""Exit statuses and messages: a person is told what to do next and never shown a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from base.clock import FakeClock
from base.secrets import Secret
from tests.voronka.running import Run
from voronka.app import App
from voronka.cli import root
from voronka.crash import report_crash
from warehouse.lock import writer_lock

CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.amo]
type = "amocrm"
base_url = "http://127.0.0.1:9"
token = "${AMO_TOKEN}"

[sources.files]
type = "onec"
path = "exports"
"""


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    (tmp_path / ".env").write_text("AMO_TOKEN=a-token-of-some-length\n", "utf-8")
    (tmp_path / "exports").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["kpy"], "нет команды kpy (kpi?)"),
        (["kpi"], "не указано: 'PERIOD'"),
        (["sync", "--ful"], "нет параметра --ful (--full?)"),
        (["kpi", "2026-11", "--by", "person"], "'--by': неверное значение"),
        (["kpi", "2026-11", "--config", "x.toml"], "--config пишется перед командой"),
        (["sync", "--from", "01.11.2026"], "«01.11.2026» — не дата"),
        (["sync", "--from", "2026-11-02", "--to", "2026-11-01"], "--to раньше --from"),
        (["status", "--max-age", "day"], "«day» — не срок"),
        (["kpi", "2026-13"], "Непонятный период «2026-13»"),
        (["recompute", "ноябрь"], "Непонятный период «ноябрь»"),
        (["explain", "2026-01..2026-02", "leads_new"], "Нужен один период"),
        (["metrics", "win_rat"], "Нет метрики «win_rat»"),
        (["sync", "amoo"], "Нет источника: amoo"),
        (["check", "amoo"], "Нет источника: amoo"),
        (["rejects", "amoo"], "Нет источника: amoo"),
        (["sql", "--csv", "--json", "SELECT 1"], "вместе не бывают"),
    ],
)
def test_wrong_usage_is_told_and_exits_2(run: Run, configured: Path, arguments: list[str], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_messages_follow_the_language_asked_for(run: Run, configured: Path) -> None:
    assert "Unknown period" in run("--lang", "en", "kpi", "2026-13").stderr


def test_messages_follow_the_language_of_the_company(run: Run, configured: Path) -> None:
    path = configured / "voronka.toml"
    path.write_text(CONFIG.replace("[company]", '[company]\nlanguage = "en"'), "utf-8")
    assert "Unknown period" in run("kpi", "2026-13").stderr


def test_no_configuration_exits_2_with_a_remedy(run: Run) -> None:
    result = run("sync")
    assert result.exit_code == 2
    assert "voronka init" in result.stderr


def test_the_variable_names_the_configuration_unless_the_option_does(configured: Path) -> None:
    """In a worker's container every command would have to be told again what the worker knows."""
    (configured / "english.toml").write_text(CONFIG.replace("[company]", '[company]\nlanguage = "en"'), "utf-8")
    named = {"VORONKA_CONFIG": str(configured / "english.toml")}
    said = CliRunner().invoke(root, ["kpi", "2026-13"], env=named).stderr
    assert "Unknown period" in said
    said = CliRunner().invoke(root, ["--config", str(configured / "voronka.toml"), "kpi", "2026-13"], env=named).stderr
    assert "Непонятный период" in said


def test_every_problem_of_the_configuration_is_on_stderr(run: Run, configured: Path) -> None:
    (configured / ".env").unlink()
    (configured / "voronka.toml").write_text(CONFIG.replace("Europe/Moscow", "Moscow"), "utf-8")
    result = run("sync")
    assert result.exit_code == 2
    assert "company.timezone" in result.stderr
    assert "AMO_TOKEN" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["kpi", "2026-11"], ["funnel", "2026-11"], ["explain", "2026-11", "leads_new"], ["sql", "SELECT 1"]]
)
def test_reading_before_publishing_says_what_to_run(run: Run, configured: Path, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert "voronka publish" in result.stderr


@pytest.mark.parametrize("arguments", [["status"], ["rejects"], ["inputs", "draft"], ["inputs", "check"]])
def test_looking_before_loading_makes_no_warehouse(run: Run, configured: Path, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert "voronka sync" in result.stderr
    assert not (configured / "var").exists()


def test_a_source_that_fails_exits_1_and_the_others_are_done(run: Run, configured: Path) -> None:
    """The unreachable CRM is told with its remedy; the folder of files beside it is read all the same."""
    result = run("sync", "--json")
    assert result.exit_code == 1
    streams = {(stream["source"], stream["stream"]): stream for stream in json.loads(result.stdout)["streams"]}
    assert streams["amo", "leads"]["status"] == "failed"
    assert {stream["status"] for (source, _), stream in streams.items() if source == "files"} == {"done"}
    assert "amo (" in result.stderr
    assert "a-token-of-some-length" not in result.stderr + result.stdout


def test_check_tells_what_is_unreachable_and_exits_1(run: Run, configured: Path) -> None:
    result = run("check", "amo")
    assert result.exit_code == 1
    assert "✗" in result.stdout
    assert "→" in result.stdout


@pytest.mark.parametrize("command", ["sync", "publish", "recompute"])
def test_a_held_warehouse_exits_3_and_says_by_whom(run: Run, configured: Path, command: str) -> None:
    warehouse = configured / "var" / "warehouse.duckdb"
    warehouse.parent.mkdir()
    holder = FakeClock(App(Path("x")).clock.now())
    arguments = ["2026-11"] if command == "recompute" else []
    with writer_lock(warehouse, command="nightly", clock=holder, wait_seconds=0):
        result = run(command, *arguments, "--wait", "0")
    assert result.exit_code == 3
    assert "nightly" in result.stderr


def test_init_writes_both_files_and_never_over_old_ones(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert run("init", str(folder)).exit_code == 0
    (folder / ".env.example").unlink()
    before = (folder / "voronka.toml").read_bytes()
    again = run("init", str(folder))
    assert again.exit_code == 2
    assert "Уже есть" in again.stderr
    assert (folder / "voronka.toml").read_bytes() == before
    assert not (folder / ".env.example").exists()


def test_an_error_nobody_foresaw_leaves_a_redacted_report(
    configured: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(configured / "voronka.toml", chosen_language="en", given_clock=clock)
    app.project()
    report_crash(app, ZeroDivisionError("while talking with a-token-of-some-length"))
    told = capsys.readouterr().err
    path = configured / "var" / "log" / "crash-20261201-060000.txt"
    assert str(path) in told
    assert "Traceback" not in told
    report = path.read_text("utf-8")
    assert "ZeroDivisionError" in report
    assert "a-token-of-some-length" not in report
    assert Secret("a-token-of-some-length") in app.project().secrets


def test_the_console_script_never_shows_a_traceback(tmp_path: Path) -> None:
    """The hook is set by `main` only: without it Python would print one."""
    code = (
        "import sys, voronka.commands.metrics as m\n"
        "sys.argv = ['voronka', 'metrics']\n"
        "m.metrics_command.callback = lambda **k: 1 / 0\n"
        "from voronka.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_an_interrupt_is_quiet_and_exits_130(tmp_path: Path) -> None:
    code = (
        "import sys, signal, os, voronka.commands.metrics as m\n"
        # A shell starts what runs in its background with interrupts ignored, and children inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv = ['voronka', 'metrics']\n"
        "m.metrics_command.callback = lambda **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "from voronka.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 130
    assert done.stderr.strip() == ""


def test_demo_never_empties_a_folder_of_somebody_else(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "report.xlsx").write_text("x", "utf-8")
    result = run("demo", "--dir", str(folder))
    assert result.exit_code == 2
    assert (folder / "report.xlsx").exists()
