"""A `[sources.NAME]` table of 1C as people write it: a folder or a database, and what is wrong with either, by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from base.errors import ConfigError
from base.text import LANGUAGES
from connectors.onec.settings import OnecSettings
from connectors.onec.streams import CONNECTOR
from voronka.config import load_project

PASSWORD = "тайна-главного-бухгалтера"
ODATA = 'odata_url = "https://books.example/base"\nuser = "voronka"\npassword = "${ONEC_PASSWORD}"\n'


def settings_of(folder: Path, keys: str) -> Any:
    path = folder / "voronka.toml"
    path.write_text(f'[company]\ntimezone = "Europe/Moscow"\n[sources.books]\ntype = "onec"\n{keys}', "utf-8")
    return load_project(path, {"ONEC_PASSWORD": PASSWORD}).sources["books"].settings


def test_a_source_has_the_streams_of_its_kind_only(tmp_path: Path) -> None:
    """A stream that nobody feeds would hold the completeness of money at "nowhere"."""
    database = CONNECTOR.serving(settings_of(tmp_path, ODATA))
    folder = CONNECTOR.serving(settings_of(tmp_path, 'path = "exports"\n'))
    assert "payments" in {stream.name for stream in database.streams}
    assert {stream.kind for stream in folder.streams} == {"files"}
    assert {stream.kind for stream in database.streams} & {"files"} == set()
    assert len(folder.streams) + len(database.streams) == len(CONNECTOR.streams)


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ("", "sources.books.path"),
        (ODATA + 'path = "exports"\n', "sources.books.odata_url"),
        ('odata_url = "https://books.example/base"\n', "sources.books.user"),
        (ODATA.replace("books.example", "voronka:${ONEC_PASSWORD}@books.example"), "sources.books.odata_url"),
        (ODATA + "window_days = 0\n", "sources.books.window_days"),
    ],
)
def test_problems_between_keys_are_told_by_path_and_without_the_password(tmp_path: Path, keys: str, place: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_of(tmp_path, keys)
    told = "".join(refused.value.render(language) for language in LANGUAGES)
    assert place in told
    assert PASSWORD not in told


def test_the_password_is_a_secret(tmp_path: Path) -> None:
    settings: OnecSettings = settings_of(tmp_path, ODATA)
    assert PASSWORD not in repr(settings)
    assert settings.password.reveal() == PASSWORD
