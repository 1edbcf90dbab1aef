"""A disk of a few megabytes that is really full: `python -m tests.e2e.small_disk FOLDER`, as root of a mount namespace.

Unlike a limit of file sizes it strikes everything at once (both files, their logs, what spills, the limiter's notes),
in the middle of a write, and with the room another file leaves. Ends with 0 when every sync without room said so, left
the files whole, and the next one with room told the truth.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from base.errors import DiskFullError
from tests.campaign.checks import broken_rules
from tests.e2e.state import read_log, read_state
from tests.e2e.test_faults_disk import SCRIPT
from tests.toy import Toy

MEGABYTES = 64
# Room that is left for a sync which needs some ten megabytes.
ROOMS = (0, 2 * 1024 * 1024)


def check(disk: Path, undisturbed: Toy) -> None:
    """Sync into ever more room, each time from new files, and then with enough.

    Raises:
        AssertionError: the files are not as they should be. (pytest's own: a run passed for done.)
    """
    for place, room in enumerate(ROOMS):
        toy = Toy(disk / str(place))
        toy.folder.mkdir()
        toy.run({})
        ballast = disk / "ballast"
        fill(ballast, room)
        with pytest.raises(DiskFullError, match="The disk is full"):
            toy.run(SCRIPT)
        assert broken_rules(toy.folder / "var") == [], room
        ballast.unlink()
        assert toy.run(SCRIPT).is_ok, room
        for read, name in ((read_log, "raw.duckdb"), (read_state, "warehouse.duckdb")):
            here, there = (read(one.folder / "var" / name) for one in (toy, undisturbed))  # type: ignore[operator]
            assert here == there, (room, name)
        subprocess.run(["rm", "-r", str(toy.folder)], check=True)


def fill(ballast: Path, room: int) -> None:
    """Take the disk's free bytes but for `room`."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64 * 1024))
        except OSError:
            pass
        file.truncate(max(file.tell() - room, 0))


def main(disk: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", disk], check=True)
    with tempfile.TemporaryDirectory() as elsewhere:
        undisturbed = Toy(Path(elsewhere))
        assert undisturbed.run({}).is_ok
        assert undisturbed.run(SCRIPT).is_ok
        check(Path(disk), undisturbed)


if __name__ == "__main__":
    main(*sys.argv[1:])
