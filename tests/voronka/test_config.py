"""voronka.toml: all problems at once, named with their paths, and no secret in any of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from base.errors import ConfigError
from base.secrets import Secret
from base.text import Language
from connectors.onec.settings import OnecSettings
from flows.project import Project
from voronka.commands.init import TEMPLATES
from voronka.config import load_project
from warehouse.address import Lake, ObjectStore

SECRET = "s3cr3t-value-nobody-may-see"

GOOD = """
[company]
timezone = "Europe/Moscow"

[sources.amo]
type = "amocrm"
base_url = "https://example.amocrm.ru"
token = "${AMO_TOKEN}"
start = "2026-01-01"
"""


def load(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None, **options: Any) -> Project:
    path = tmp_path / "voronka.toml"
    path.write_text(text, "utf-8")
    return load_project(path, {} if environ is None else environ, **options)


def problems(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None, language: Language = "en") -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, environ)
    assert caught.value.exit_status == 2
    return caught.value.render(language)


def test_a_good_configuration_becomes_a_project_with_absolute_paths(tmp_path: Path) -> None:
    """Would catch a relative path resolved against the working folder instead of the file's."""
    text = (
        GOOD
        + '[warehouse]\npath = "data/w.duckdb"\n[inputs]\ndir = "in"\n[sources.files]\ntype="onec"\npath="exports"\n'
    )
    project = load(tmp_path, text, {"AMO_TOKEN": SECRET})
    assert project.warehouse_path == tmp_path / "data" / "w.duckdb"
    assert project.raw_path == tmp_path / "var" / "raw.duckdb"
    assert project.publish_path == tmp_path / "analytics.duckdb"
    assert project.company.inputs_dir == tmp_path / "in"
    assert str(cast(Any, project.sources["files"].settings).path) == str(tmp_path / "exports")
    assert project.sources["amo"].start == date(2026, 1, 1)
    assert project.company.source_types == {"amo": "amocrm", "files": "onec"}
    assert cast(Any, project.sources["amo"].settings).token == Secret(SECRET)


def test_a_secret_prints_as_stars_anywhere_in_the_project(tmp_path: Path) -> None:
    project = load(tmp_path, GOOD, {"AMO_TOKEN": SECRET})
    assert SECRET not in repr(project)
    assert Secret(SECRET) in project.secrets


def test_every_problem_is_told_at_once_with_its_path(tmp_path: Path) -> None:
    """Would catch a reader that stops at its first problem, in a section, a source or a nested table."""
    text = """
[company]
timezone = "Moscow"
currency = "RUR"
langauge = "ru"
own_tax_ids = ["77"]
[rules]
sla_minuts = 5
dup_days = "many"
paid_threshold = 1.5
[sources.amo]
type = "amocrm"
base_url = "example.amocrm.ru"
token = "${AMO_TOKEN}"
start = "01.01.2026"
fields = { invoice_numbr = "x", tax_id = 5 }
[sources.mango]
type = "mango"
api_key = "${MANGO_KEY}"
requests_per_second = 50
[sources.other]
type = "amo"
"""
    told = problems(tmp_path, text)
    for path in (
        "company.timezone:",
        "company.currency:",
        "company.langauge:",
        "company.own_tax_ids[0]:",
        "rules.sla_minuts:",
        "rules.dup_days:",
        "rules.paid_threshold:",
        "sources.amo.base_url:",
        "sources.amo.token:",
        "sources.amo.start:",
        "sources.amo.fields.invoice_numbr:",
        "sources.amo.fields.tax_id:",
        "sources.mango.api_key:",
        "sources.mango.api_salt:",
        "sources.mango.requests_per_second:",
        "sources.other.type:",
    ):
        assert f"· {path}" in told
    assert told.count("·") == 16


@pytest.mark.parametrize(
    ("text", "near"),
    [
        (GOOD + "[warehous]\n", "warehouse"),
        (GOOD + '[publish]\npersonal_dat = "full"\n', "personal_data"),
    ],
)
def test_an_unknown_key_comes_with_the_nearest_known_one(tmp_path: Path, text: str, near: str) -> None:
    assert f"did you mean '{near}'" in problems(tmp_path, text, {"AMO_TOKEN": SECRET})


def test_a_missing_variable_is_named_and_where_it_is_wanted(tmp_path: Path) -> None:
    assert "sources.amo.token: нет переменной AMO_TOKEN" in problems(tmp_path, GOOD, {}, "ru")


def test_a_variable_comes_from_env_file_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AMO_TOKEN='from $file'\n", "utf-8")
    from_file = load(tmp_path, GOOD)
    assert cast(Any, from_file.sources["amo"].settings).token.reveal() == "from $file"
    from_environment = load(tmp_path, GOOD, {"AMO_TOKEN": "from-environment"})
    assert cast(Any, from_environment.sources["amo"].settings).token.reveal() == "from-environment"


def test_a_secret_pasted_with_a_line_end_is_trimmed(tmp_path: Path) -> None:
    """A trailing newline in a header makes an HTTP client fail with the token in its message."""
    project = load(tmp_path, GOOD, {"AMO_TOKEN": f" {SECRET}\n"})
    assert cast(Any, project.sources["amo"].settings).token.reveal() == SECRET


def test_an_empty_secret_is_a_problem_of_its_variable(tmp_path: Path) -> None:
    """`.env.example` copied and not filled in."""
    assert "sources.amo.token: AMO_TOKEN is empty" in problems(tmp_path, GOOD, {"AMO_TOKEN": ""})


@pytest.mark.parametrize(
    "line",
    [
        'base_url = "${V}"',
        'start = "${V}"',
        'requests_per_second = "${V}"',
        'enabled = "${V}"',
        'fields = { tax_id = { x = "${V}" } }',
        'token = ["${V}"]',
    ],
)
def test_a_value_from_a_variable_is_never_shown(tmp_path: Path, line: str) -> None:
    """Whatever field it was put in by mistake."""
    text = '[company]\ntimezone = "Europe/Moscow"\n[sources.amo]\ntype = "amocrm"\n' + line
    if "base_url" not in line:
        text += '\nbase_url = "https://example.amocrm.ru"'
    for language in ("ru", "en"):
        assert SECRET not in problems(tmp_path, text, {"V": SECRET}, cast(Language, language))


def test_a_number_may_come_from_a_variable(tmp_path: Path) -> None:
    project = load(tmp_path, GOOD + 'requests_per_second = "${RPS}"\n', {"AMO_TOKEN": SECRET, "RPS": "3.5"})
    assert project.sources["amo"].settings.requests_per_second == 3.5


def test_a_source_switched_off_may_wait_for_its_variables(tmp_path: Path) -> None:
    project = load(tmp_path, GOOD + "enabled = false\n", {})
    assert list(project.sources) == ["amo"]
    assert project.enabled_sources == {}


def test_reading_commands_need_no_credentials(tmp_path: Path) -> None:
    """An analyst's machine has the published file and no tokens."""
    project = load(tmp_path, GOOD, {}, read_sources=False)
    assert project.sources == {}
    assert project.company.source_types == {"amo": "amocrm"}


def test_a_misspelt_wish_about_personal_data_is_never_taken_for_full(tmp_path: Path) -> None:
    project = load(tmp_path, GOOD + '[publish]\npersonal_data = "masked"\n', {"AMO_TOKEN": SECRET})
    assert project.personal_data == "masked"
    text = GOOD + '[publish]\npersonal_data = "mask"\n'
    assert "publish.personal_data" in problems(tmp_path, text, {"AMO_TOKEN": SECRET})


def test_how_long_raw_records_are_kept_is_checked_against_the_streams_there_are(tmp_path: Path) -> None:
    """A misspelt stream would be kept for ever, and nobody would know."""
    text = GOOD.rstrip() + "\nraw_days = { leads = 400, lead = 10, events = 0 }\n"
    found = problems(tmp_path, text, {"AMO_TOKEN": SECRET})
    assert "sources.amo.raw_days.lead" in found
    assert "sources.amo.raw_days.events" in found


LAKE = """path = "ducklake:postgres:dbname=x user='a b' password=${PGPASSWORD}"\n"""
# Problems are looked for in what is already good but for them.
SECRETS = {"AMO_TOKEN": SECRET, "PGPASSWORD": SECRET}


def test_a_lake_keeps_its_password_out_of_its_address(tmp_path: Path) -> None:
    """The address is shown: in errors, in status, in DuckDB's list of databases."""
    text = GOOD + "[warehouse]\n" + LAKE + 'data_path = "lake"\n'
    lake = load(tmp_path, text, SECRETS).lake
    assert lake == Lake(address="dbname=x user='a b'", data_path=tmp_path / "lake", password=Secret(SECRET))


def test_an_object_store_s_keys_are_secrets(tmp_path: Path) -> None:
    """In a log, a report or an error they would open the whole lake."""
    keys = 's3_endpoint = "http://127.0.0.1:9000"\ns3_key_id = "${AMO_TOKEN}"\ns3_secret = "${PGPASSWORD}"\n'
    text = GOOD + "[warehouse]\n" + LAKE + 'data_path = "s3://bucket/lake/"\n' + keys
    project = load(tmp_path, text, SECRETS)
    assert project.lake is not None
    assert (project.lake.data_path, project.lake.place("raw")) == ("s3://bucket/lake", "s3://bucket/lake/raw/")
    assert project.lake.store == ObjectStore(
        key_id=Secret(SECRET), secret=Secret(SECRET), endpoint="127.0.0.1:9000", is_encrypted=False
    )
    assert SECRET not in repr(project)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (LAKE, "warehouse.data_path: is missing"),
        (LAKE + 'data_path = "gs://bucket/lake"', 'warehouse.data_path: "gs://bucket/lake": a folder'),
        (LAKE + 'data_path = "s3://"', "warehouse.data_path"),
        (LAKE + 'data_path = "s3://b"\ns3_key_id = "k"', "warehouse.s3_secret: both are needed"),
        (LAKE + 'data_path = "s3://b"\ns3_endpoint = "ftp://x"', "warehouse.s3_endpoint"),
        (LAKE + 'data_path = "d"\ns3_region = "x"', "warehouse.s3_region: is only for data_path"),
        (LAKE + 'data_path = "d"\nsnapshot_days = 0', "warehouse.snapshot_days: 0: at least one day"),
        ('path = "x.duckdb"\nsnapshot_days = 3', "warehouse.snapshot_days: is only for a lake"),
        (LAKE + 'data_path = "d"\nraw_path = "r.duckdb"', "warehouse.raw_path"),
        ('path = "ducklake:sqlite:x password=${PGPASSWORD}"\ndata_path = "d"', "can only be PostgreSQL"),
        ('path = "ducklake:postgres:host=x password=${PGPASSWORD}"\ndata_path = "d"', "libpq's words"),
        ('path = "ducklake:postgres:dbname=x password=${PGPASSWORD} or so"\ndata_path = "d"', "libpq's words"),
        ('path = "x.duckdb"\ndata_path = "d"', "is only for a lake"),
    ],
)
def test_what_is_wrong_with_a_lake_is_told_without_its_password(tmp_path: Path, table: str, expected: str) -> None:
    """A word that libpq would not understand reaches PostgreSQL only at night, and its error quotes the address."""
    told = problems(tmp_path, GOOD + "[warehouse]\n" + table + "\n", SECRETS)
    assert expected in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[warehouse]\npath = 'a.duckdb'\nraw_path = 'a.duckdb'", "warehouse.raw_path"),
        ("[warehouse]\npath = 'a.duckdb'\n[publish]\npath = './a.duckdb'", "publish.path"),
    ],
)
def test_one_file_can_not_be_two(tmp_path: Path, text: str, expected: str) -> None:
    """Publishing over the warehouse would lose it."""
    assert expected in problems(tmp_path, GOOD + text, {"AMO_TOKEN": SECRET})


def test_no_file_and_no_toml_are_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No configuration file") as missing:
        load_project(tmp_path / "voronka.toml", {})
    assert "voronka init" in missing.value.render("ru")
    assert "line 1" in problems(tmp_path, "[company\n")


def test_a_file_of_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "voronka.toml"
    path.write_bytes("[company] # Компания".encode("cp1251"))
    with pytest.raises(ConfigError, match="Can't read"):
        load_project(path, {})


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_templates_of_init_are_good_once_filled_in(tmp_path: Path, language: str) -> None:
    """A key renamed in the code but not in the template would greet every newcomer with an error."""
    text = (TEMPLATES / f"voronka.{language}.toml").read_text("utf-8")
    names = [
        line.partition("=")[0]
        for line in (TEMPLATES / f"env.{language}.example").read_text("utf-8").splitlines()
        if "=" in line
    ]
    project = load(tmp_path, text, dict.fromkeys(names, SECRET))
    assert list(project.sources) == ["amo", "mango", "accounting"]
    assert project.company.language == language
    assert project.company.rules.sla_minutes == 15


def test_what_numbers_depend_on_is_the_same_for_commands_that_only_read(tmp_path: Path) -> None:
    """`recompute` reads no sources; with another authority it would count other money than `nightly`, and resolve all
    history anew each time."""
    text = (
        "[company]\ntimezone = 'Europe/Moscow'\n"
        "[sources.bank]\ntype = 'onec'\npath = 'exports'\npriority = 2\n"
        "[sources.cash]\ntype = 'onec'\npath = 'cash'\npriority = '${CASH}'\n"
        "[sources.till]\ntype = 'onec'\npath = 'till'\nenabled = false\n"
    )
    companies = [load(tmp_path, text, {"CASH": "3"}, read_sources=sources).company for sources in (True, False)]
    assert companies[0] == companies[1]
    assert companies[0].priorities == {"bank": 2, "cash": 3, "till": OnecSettings(type="onec").priority}
    assert companies[0].disabled_sources == {"till"}
