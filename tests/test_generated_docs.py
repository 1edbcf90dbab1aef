"""The generated pages are what the program would write now."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.docs import DOCS, pages


@pytest.mark.parametrize("name", ["data.md", "metrics.md", "metrics.ru.md"])
def test_a_generated_page_is_current(name: str) -> None:
    """A metric or column changed without `make docs`: the page would tell the old rule."""
    assert pages()[name] == (DOCS / name).read_text(encoding="utf-8"), "run: make docs"


def test_no_other_page_is_generated() -> None:
    assert set(pages()) == {"data.md", "metrics.md", "metrics.ru.md"}
    assert all((Path(DOCS) / name).exists() for name in pages())
