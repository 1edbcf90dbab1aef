from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from base.clock import FakeClock
from tests.voronka.running import Run
from voronka.app import App
from voronka.cli import root


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 12, 1, 6, tzinfo=UTC))


@pytest.fixture
def run(tmp_path: Path, clock: FakeClock) -> Run:
    """A command in `tmp_path`'s configuration; errors nobody foresaw reach the test."""

    def invoke(*arguments: str, text: str | None = None) -> Result:
        app = App(tmp_path / "voronka.toml", given_clock=clock)
        options = ["--config", str(tmp_path / "voronka.toml")]
        result = CliRunner().invoke(root, [*options, *arguments], input=text, obj=app)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke
