"""A backup holds a whole moment and no secret, and a restored company goes on as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from base.clock import SystemClock
from base.errors import BusyError, UsageError, WarehouseError
from flows.steps.backup import BackupReport, backup, restore
from tests.e2e.state import read_log, read_state
from tests.engine import files_only
from tests.toy import Toy, deal, page
from warehouse.backup import DATABASES
from warehouse.lock import writer_lock
from warehouse.pause import answer_path, request_path

# Of a lake they refuse to make one: below.
pytestmark = files_only


def filled(toy: Toy) -> Path:
    """One load, an input, a key, and a token that must not leave the machine; gives the backup's path."""
    toy.run({"deals": [page(deal(1, 100), deal(2, 110), position={"at": 110})]})
    project = toy.project()
    inputs = toy.folder / "inputs"
    (inputs / "schemes").mkdir(parents=True)
    (inputs / "people.csv").write_text("person_id,name\n", "utf-8")
    (inputs / "schemes" / "sales.toml").write_text("[scheme]\n", "utf-8")
    (project.state_dir / "company.key").write_text("11" * 32)
    (project.state_dir / "amo.token.json").write_text("SECRET-TOKEN")
    project.config_path.write_text('token = "SECRET-TOKEN"')
    return toy.folder / "out" / "copy.zip"


def back_up(toy: Toy, target: Path, wait_seconds: float = 30.0) -> BackupReport:
    project = toy.project()
    company = replace(project.company, inputs_dir=toy.folder / "inputs")
    return backup(replace(project, company=company), target, clock=SystemClock(), wait_seconds=wait_seconds)


def put_back(toy: Toy, archive: Path, *, replaces: bool = False) -> object:
    project = toy.project()
    company = replace(project.company, inputs_dir=toy.folder / "inputs")
    return restore(replace(project, company=company), archive, replace=replaces, clock=toy.clock)


def test_a_backup_is_its_owner_s_and_holds_no_secret(toy: Toy) -> None:
    target = filled(toy)
    report = back_up(toy, target)

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert b"SECRET-TOKEN" not in target.read_bytes()
    assert report.manifest.records == 2
    assert [path.name for path in target.parent.iterdir()] == ["copy.zip"]
    with zipfile.ZipFile(target) as archive:
        assert set(archive.namelist()) == {
            "backup.json",
            *DATABASES,
            "inputs/people.csv",
            "inputs/schemes/sales.toml",
            "company.key",
        }


def test_a_restored_company_goes_on_where_the_backup_was_made(
    toy: Toy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The log, the position and the core of one moment: anything else would read twice, or miss."""
    target = filled(toy)
    back_up(toy, target)
    elsewhere = Toy(tmp_path_factory.mktemp("elsewhere"))
    put_back(elsewhere, target)
    script = {"deals": [page(deal(2, 200, title="later"), deal(3, 210), position={"at": 210})]}
    for one in (toy, elsewhere):
        one.clock.advance(60)
    elsewhere.clock.advance((toy.clock.now() - elsewhere.clock.now()).total_seconds())
    for one in (toy, elsewhere):
        one.run(script)

    assert elsewhere.client is not None
    asked = {stream: request.position for stream, request in elsewhere.client.requests}
    assert asked["deals"] == {"at": 110}
    assert read_log(elsewhere.project().raw_path) == read_log(toy.project().raw_path)
    assert read_state(elsewhere.project().warehouse_path) == read_state(toy.project().warehouse_path)
    assert (elsewhere.folder / "inputs" / "schemes" / "sales.toml").is_file()
    assert (elsewhere.project().state_dir / "company.key").read_text() == "11" * 32


def test_restoring_over_data_needs_a_word_and_keeps_what_was_there(toy: Toy) -> None:
    target = filled(toy)
    back_up(toy, target)
    toy.run({"deals": [page(deal(3, 300))]})
    (toy.folder / "inputs" / "people.csv").write_text("person_id,name\nolga,Ольга\n", "utf-8")
    with pytest.raises(UsageError, match="already"):
        put_back(toy, target)
    assert len(read_log(toy.project().raw_path)) == 3

    put_back(toy, target, replaces=True)

    raw = toy.project().raw_path
    assert len(read_log(raw)) == 2
    assert len(read_log(raw.with_name("raw.duckdb.before-restore"))) == 3
    assert "olga" in (toy.folder / "inputs" / "people.csv").read_text("utf-8")


def test_a_damaged_backup_changes_nothing(toy: Toy) -> None:
    target = filled(toy)
    back_up(toy, target)
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 0xFF
    target.write_bytes(bytes(content))

    with pytest.raises(WarehouseError, match="damaged"):
        put_back(toy, target, replaces=True)
    assert len(read_log(toy.project().raw_path)) == 2
    assert not list(toy.project().raw_path.parent.glob("*before-restore*"))

    target.write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(UsageError, match="no backup"):
        put_back(toy, target, replaces=True)


def test_a_name_that_points_elsewhere_is_not_unpacked(toy: Toy) -> None:
    """Zip slip: `inputs/../../x` would be written beside the project."""
    target = filled(toy)
    back_up(toy, target)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("inputs/../../evil.csv", "x")
        archive.writestr("var/state/amo.token.json", "x")

    put_back(toy, target, replaces=True)

    assert not list(toy.folder.parent.rglob("evil.csv"))
    assert (toy.project().state_dir / "amo.token.json").read_text() == "SECRET-TOKEN"


def test_a_core_ahead_of_its_log_is_no_backup(toy: Toy) -> None:
    """The log copied before, and the core after a batch: restored, that batch would never be read again."""
    target = filled(toy)
    old = toy.folder / "old.duckdb"
    shutil.copyfile(toy.project().raw_path, old)
    toy.run({"deals": [page(deal(3, 300))]})
    os.replace(old, toy.project().raw_path)

    with pytest.raises(WarehouseError, match="ahead of the records"):
        back_up(toy, target)
    assert not target.exists()


def test_a_backup_while_a_load_runs_takes_a_whole_moment_of_it(toy: Toy) -> None:
    """The load holds both locks all along; the backup comes between two of its pages and the load loses nothing."""
    target = filled(toy)
    made: list[BackupReport] = []
    thread = threading.Thread(target=lambda: made.append(back_up(toy, target)))

    class Pages(list[object]):
        """A vendor that has more pages for as long as the backup is not done."""

        def __iter__(self):  # type: ignore[no-untyped-def]
            yield page(deal(3, 300), position={"at": 300})
            thread.start()
            while thread.is_alive():
                time.sleep(0.01)
                yield page()
            yield page(deal(4, 400), position={"at": 400})

    report = toy.run({"deals": Pages()})  # type: ignore[dict-item]

    assert report.is_ok
    assert made[0].manifest.records in (2, 3)
    assert len(read_log(toy.project().raw_path)) == 4
    assert not answer_path(toy.project().warehouse_path).exists()


def test_a_writer_that_never_rests_is_not_waited_for_for_ever(toy: Toy) -> None:
    target = filled(toy)
    with (
        writer_lock(toy.project().warehouse_path, command="sync", clock=toy.clock, wait_seconds=0),
        pytest.raises(BusyError, match="did not rest"),
    ):
        back_up(toy, target, wait_seconds=0.2)
    assert not target.exists()
    assert not request_path(toy.project().warehouse_path).exists()


def test_the_request_of_a_killed_backup_stops_nobody(toy: Toy) -> None:
    """It holds no lock any more: a writer that waited for it would wait for ever."""
    filled(toy)
    request = request_path(toy.project().warehouse_path)
    script = (
        "import os, sys; from pathlib import Path; from warehouse.pause import backup_lock, request_path\n"
        "path = Path(sys.argv[1]); lock = backup_lock(path); lock.acquire()\n"
        "request_path(path).write_text('dead'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(toy.project().warehouse_path)], check=False, timeout=60)
    assert request.exists()

    assert toy.run({"deals": [page(deal(3, 300))]}).is_ok
    assert not request.exists()
