"""The telephonies' tables in voronka.toml: bounds of the vendors' limits are told before anything is asked."""

from __future__ import annotations

import pytest

from base.errors import ConfigError
from voronka.config import load_project

COMPANY = '[company]\ntimezone = "Europe/Moscow"\n'
GOOD = (
    COMPANY
    + """
[sources.z]
type = "zadarma"
key = "key-value"
secret = "secret-value"
base_url = "https://api.novofon.com"
timezone = "Europe/Warsaw"
[sources.m]
type = "mango"
api_key = "key-value"
api_salt = "salt-value"
requests_per_second = 5
"""
)


def test_good_tables_become_settings(tmp_path):
    path = tmp_path / "voronka.toml"
    path.write_text(GOOD, "utf-8")
    sources = load_project(path, {}).sources
    assert sources["z"].settings.timezone == "Europe/Warsaw"
    assert sources["m"].settings.requests_per_second == 5
    assert "value" not in repr(sources["z"].settings) + repr(sources["m"].settings)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('timezone = "Europe/Warsaw"', 'timezone = "Europe/Warschau"', "sources.z.timezone"),
        ("requests_per_second = 5", "requests_per_second = 11", "≤ 10"),  # the vendor's limit is ten
        ("requests_per_second = 5", "lag_minutes = 1", "≥ 5"),  # pages would move
        ("requests_per_second = 5", "overlap_hours = 1", "≥ 24"),  # late changes would be missed
    ],
)
def test_values_past_the_vendors_limits_are_refused(old, new, expected, tmp_path):
    path = tmp_path / "voronka.toml"
    path.write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_project(path, {})
    assert expected in caught.value.render("en")
