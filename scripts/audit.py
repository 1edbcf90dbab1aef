"""Known vulnerabilities of everything locked: `python -m scripts.audit uv requirements-bench.lock` (`make audit`).

pip-audit looks every pinned package up at the advisory service and lives in an environment of its own, made by uv. Its
answer is judged here: by itself it ends with a traceback when the service can't be reached, and behind a mirror it
takes a package it can't look up for one that is not there. Status 0 means that every package was looked up and none is
vulnerable; anything else fails and says which of the three it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOOL = ("tool", "run", "--from", "pip-audit==2.10.1", "pip-audit")
OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
# What is told of a tool that failed: the end of its words.
LAST_WORDS = 400


def audit(command: Sequence[str], lock: Path) -> tuple[int, str]:
    """Run the tool over a lock file: the status to end with, and what to say."""
    with tempfile.TemporaryDirectory(prefix="voronka-audit-") as folder:
        answer = Path(folder) / "answer.json"
        whole = [*command, *OPTIONS, "--output", str(answer), "--requirement", str(lock)]
        try:
            done = subprocess.run(whole, stderr=subprocess.PIPE, text=True, check=False)
        except OSError as error:
            return 2, f"Nothing was audited: {command[0]} can't be run ({error.strerror})."
        if not answer.exists():
            return 2, (
                f"Nothing was audited: the advisory service was not reached, or the tool failed (status"
                f" {done.returncode}). Its last words:\n{done.stderr.strip()[-LAST_WORDS:]}"
            )
        return judge(json.loads(answer.read_bytes())["dependencies"], lock.name)


def judge(packages: Sequence[dict[str, Any]], lock: str) -> tuple[int, str]:
    """What the service said of each package, in a sentence and a list."""
    found = [
        f"  {package['name']} {package['version']}: {flaw['id']}, mended in"
        f" {', '.join(flaw.get('fix_versions', [])) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", [])
    ]
    skipped = [f"  {package['name']}: {package['skip_reason']}" for package in packages if "skip_reason" in package]
    told = []
    if found:
        told += [f"{lock}: {len(found)} known vulnerabilities.", *found]
    if skipped:
        told += [f"{lock}: {len(skipped)} of {len(packages)} packages could not be looked up:", *skipped]
    if not packages:
        told = [f"{lock}: no packages in the answer: nothing was audited."]
    status = 1 if found else 2 if told else 0
    return status, "\n".join(told) or f"{lock}: {len(packages)} packages looked up, no known vulnerability."


def main(uv: str, lock: str) -> int:
    status, told = audit([uv, *TOOL], Path(lock))
    print(told, file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
