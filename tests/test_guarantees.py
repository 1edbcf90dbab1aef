"""docs/guarantees.md promises nothing that is not tested."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_holds_a_promise_is_there(path: str, name: str) -> None:
    assert name in names_in(path)


def test_every_promise_names_what_holds_it() -> None:
    promises = [part for part in re.split(r"\n\n", PAGE) if part.startswith("**")]
    assert len(promises) > 15
    assert [promise.splitlines()[0] for promise in promises if "*Held by:* `tests/" not in promise] == []
