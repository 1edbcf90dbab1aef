"""The dependency audit must never pass for what nobody looked up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import audit

SOUND = {"name": "attrs", "version": "25.1.0", "vulns": []}
FLAWED = {"name": "certifi", "version": "2024.2.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2024.7.4"]}]}
UNKNOWN = {"name": "idna", "skip_reason": "Dependency not found on PyPI and could not be audited: idna (3.10)"}


def tool(code: str) -> list[str]:
    """A program in the audit tool's place."""
    return [sys.executable, "-c", code]


def answering(*packages: dict[str, Any], status: int = 0) -> list[str]:
    answer = json.dumps({"dependencies": packages, "fixes": []})
    return tool(
        f"import sys; open(sys.argv[sys.argv.index('--output') + 1], 'w').write({answer!r}); sys.exit({status})"
    )


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (answering(SOUND), 0, "1 packages looked up, no known vulnerability"),
        (answering(SOUND, FLAWED, status=1), 1, "certifi 2024.2.2: PYSEC-1, mended in 2024.7.4"),
        # A mirror without the advisories answers "not found": the tool itself goes on and ends well.
        (answering(SOUND, UNKNOWN), 2, "1 of 2 packages could not be looked up"),
        (answering(), 2, "nothing was audited"),
        (tool("raise ConnectionError('no route to the service')"), 2, "no route to the service"),
        (["/no/such/uv"], 2, "Nothing was audited"),
    ],
    ids=["sound", "flawed", "behind a mirror", "empty", "unreachable", "no tool"],
)
def test_only_a_whole_look_up_without_a_find_passes(command: list[str], status: int, words: str) -> None:
    found, told = audit(command, Path("some.lock"))
    assert found == status
    assert words in told
