"""Whole commands against a vendor that fails and repeats all it was told, at every stage of a run.

tests/connectors/test_no_secrets.py searches the engine's runs; here it is what a person and a disk are left with: the
streams of the command, every file under the project, every row of both databases, and the crash report.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import duckdb
import pytest
from click.testing import CliRunner

from base.clock import FakeClock
from demo.company import build_company
from demo.http import HttpRequest, HttpResponse
from tests.connectors.contract import VENDORS, HttpVendor
from tests.security.samples import OVER_HTTP
from voronka.app import App
from voronka.cli import root
from voronka.crash import report_crash

TABLES = {
    "amocrm": 'type = "amocrm"\nbase_url = "{url}"\ntoken = "${{SECRET_0}}"',
    "bitrix24": 'type = "bitrix24"\nwebhook_url = "{url}/rest/1/${{SECRET_0}}/"',
    "mango": 'type = "mango"\nbase_url = "{url}"\napi_key = "${{SECRET_0}}"\napi_salt = "${{SECRET_1}}"',
    "zadarma": 'type = "zadarma"\nbase_url = "{url}"\nkey = "${{SECRET_0}}"\nsecret = "${{SECRET_1}}"',
    "onec_odata": 'type = "onec"\nodata_url = "{url}"\nuser = "voronka"\npassword = "${{SECRET_0}}"',
}
# Commands one after another, how many requests of each are answered well, and what every later one ends with.
STAGES = (("check", 0, 500), ("sync", 0, 400), ("sync", 3, 500), ("sync", 12, 400))


@contextmanager
def office(name: str, folder: Path, clock: FakeClock) -> Iterator[HttpVendor]:
    """A project of one source, which is served; its secrets come from the environment's file."""
    vendor = cast(HttpVendor, VENDORS[name](folder, clock))
    vendor.serve(build_company(deals=4, seed=1))
    secrets = vendor.secrets[:-1]
    source = TABLES[name].format(url=vendor.server.url)
    text = f'[company]\ntimezone = "Europe/Moscow"\n[sources.crm]\nstart = "2026-09-01"\n{source}\n'
    (folder / "voronka.toml").write_text(text, "utf-8")
    (folder / ".env").write_text("".join(f"SECRET_{n}={secret}\n" for n, secret in enumerate(secrets)), "utf-8")
    try:
        yield vendor
    finally:
        vendor.close()


def fail_after(vendor: HttpVendor, good: int, status: int) -> None:
    """From then on every answer repeats the request it is for, and all secrets, from end to end."""
    answer, asked = vendor.server._handler, 0

    def handle(request: HttpRequest) -> HttpResponse:
        nonlocal asked
        asked += 1
        if asked <= good:
            return cast(HttpResponse, answer(request))
        body = f"{request} {dict(request.headers)} {request.body!r} {' '.join(vendor.secrets[:-1] * 50)}"
        return HttpResponse(status=status, body=body.encode())

    vendor.server._handler = handle


def leaks(folder: Path, told: str, secrets: tuple[str, ...]) -> list[str]:
    """Where a secret stands, but for the file that a person wrote it into."""
    found = [f"told: {secret}" for secret in secrets if secret in told]
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".env":
            content = path.read_bytes()
            found += [f"{path.relative_to(folder)}: {secret}" for secret in secrets if secret.encode() in content]
    # DuckDB compresses what it keeps: rows are searched as text.
    with duckdb.connect(config={"threads": 1}) as connection:
        for name in ("raw", "warehouse"):
            connection.execute(f"ATTACH '{folder / 'var' / name}.duckdb' AS {name}_file (READ_ONLY)")
        relations = connection.execute(
            "SELECT database_name || '.' || schema_name || '.' || table_name FROM duckdb_tables()"
            " WHERE database_name IN ('raw_file', 'warehouse_file')"
        ).fetchall()
        for (relation,) in relations:
            rows = str(connection.execute(f"SELECT t::TEXT FROM {relation} AS t").fetchall())
            found += [f"{relation}: {secret}" for secret in secrets if secret in rows]
    return found


@pytest.mark.e2e
@pytest.mark.parametrize("name", OVER_HTTP)
def test_no_stage_of_a_failing_run_leaves_a_secret(name: str, tmp_path: Path, empty_files: Path) -> None:
    shutil.copytree(empty_files, tmp_path / "var")
    clock = FakeClock(build_company(deals=4, seed=1).told_at)
    told = ""
    with office(name, tmp_path, clock) as vendor:
        served = vendor.server._handler
        for command, good, status in STAGES:
            vendor.server._handler = served
            fail_after(vendor, good, status)
            app = App(tmp_path / "voronka.toml", given_clock=clock)
            result = CliRunner().invoke(root, ["--config", str(tmp_path / "voronka.toml"), command], obj=app)
            if result.exception and not isinstance(result.exception, SystemExit):
                raise result.exception
            told += result.output + repr(app.loaded_project)
            # A ban or a pause of one run must not keep the next from asking.
            clock.advance(86_400)
        secrets = vendor.secrets[:-1]
    assert leaks(tmp_path, told, secrets) == []
    assert "500" in told or "400" in told


def test_a_crash_report_has_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback holds the words of its errors; ours has them redacted before it reaches the disk."""
    clock = FakeClock(build_company(deals=4, seed=1).told_at)
    with office("bitrix24", tmp_path, clock) as vendor:
        [secret] = vendor.secrets[:-1]
        app = App(tmp_path / "voronka.toml", chosen_language="ru", given_clock=clock)
        app.project()
        try:
            raise RuntimeError(f"https://example.bitrix24.ru/rest/1/{secret}/ did not answer")
        except RuntimeError as error:
            report_crash(app, error)
    [report] = (tmp_path / "var" / "log").iterdir()
    written = report.read_text("utf-8")
    assert "RuntimeError" in written
    assert "/rest/1/***/" in written
    assert secret not in written + capsys.readouterr().err


def test_the_search_finds_a_secret_in_a_file_and_in_a_row(tmp_path: Path, empty_files: Path) -> None:
    """The search itself."""
    shutil.copytree(empty_files, tmp_path / "var")
    (tmp_path / "var" / "leak.json").write_text("a-secret-of-the-test")
    with duckdb.connect(str(tmp_path / "var" / "warehouse.duckdb")) as connection:
        connection.execute(
            "INSERT INTO core.users (source, external_id, name, loaded_at, version)"
            " VALUES ('a', '1', 'a-secret-of-the-test', now(), 1)"
        )
    found = leaks(tmp_path, "it is a-secret-of-the-test", ("a-secret-of-the-test",))
    assert {place.partition(":")[0] for place in found} >= {"told", "var/leak.json", "warehouse_file.core.users"}
