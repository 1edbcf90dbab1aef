"""The lock files: whole, hashed, naming no host, one inside the other; and set-up's answers where it can't work."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
# From the smallest set to the largest, with the extras each one holds.
LOCKS = {
    "requirements.lock": {"build"},
    "requirements-dev.lock": {"build", "dev"},
    "requirements-bench.lock": {"build", "dev", "bench"},
}
# Installed beside any of them.
LAKE = "requirements-lake.lock"
ALL_LOCKS = {**LOCKS, LAKE: {"build", "lake"}}
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]+\])?==(?P<version>[^ ;\\]+)(?P<rest>.*)$")


def read_pins(name: str) -> dict[str, tuple[str, str]]:
    """Version and hashes of each package."""
    pins: dict[str, tuple[str, str]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", (ROOT / name).read_text()):
        found = PIN.match(entry.split("\n", 1)[0])
        assert found, f"{name}: not a pin: {entry[:80]}"
        # A package pinned twice under different markers would hide one version here.
        key = canonicalize_name(found["name"])
        assert key not in pins, f"{name}: {key} twice"
        pins[key] = (found["version"], "\n".join(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)))
    return pins


@pytest.mark.parametrize("name", ALL_LOCKS)
def test_a_lock_names_no_host_and_hashes_everything(name: str) -> None:
    """A lock made behind a mirror installs nowhere else; a pin without a hash makes pip refuse the whole file."""
    text = (ROOT / name).read_text()
    assert not re.findall(r"https?:|file:|--(?:extra-)?index-url|--find-links|--trusted-host|-i ", text)
    assert [package for package, (_, hashes) in read_pins(name).items() if not hashes] == []


def test_a_larger_set_keeps_the_versions_of_a_smaller_one() -> None:
    """`make test` would test other versions than `make demo` runs."""
    run, test, bench = map(read_pins, LOCKS)
    assert run.items() <= test.items()
    assert test.items() <= bench.items()
    assert run.items() <= read_pins(LAKE).items()


@pytest.mark.parametrize(("name", "extras"), ALL_LOCKS.items())
def test_a_lock_holds_what_pyproject_asks_for(name: str, extras: set[str]) -> None:
    """A dependency added or narrowed without `make lock`: a fresh clone would fail at its first import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    pins = read_pins(name)
    for requirement in map(Requirement, wanted):
        version, _ = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(Version(version)), f"{requirement} but {version} is locked"


def test_set_up_can_be_read_by_an_old_python() -> None:
    """A newer syntax would answer an old Python's user with a traceback."""
    ast.parse((ROOT / "scripts" / "setup.py").read_text(), feature_version=(3, 6))


def test_set_up_says_what_python_lacks_in_both_languages() -> None:
    """Debian's python3 has no ensurepip: pip's own message says nothing of the remedy."""
    program = (
        "import runpy, sys; sys.modules['ensurepip'] = None; sys.argv = ['setup.py', 'run']; "
        "runpy.run_path('scripts/setup.py', run_name='__main__')"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "нет модуля ensurepip" in answer.stderr
    assert "lacks the module ensurepip" in answer.stderr
    assert "apt install python3." in answer.stderr


def test_make_says_that_no_python_was_found() -> None:
    answer = subprocess.run(["make", "demo", "PYTHON="], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "Не найден Python 3.11" in answer.stderr
    assert "No Python 3.11" in answer.stderr
