"""A PostgreSQL of the tests' own: one a process, started when it is first asked for, in a folder of its own."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

# Debian keeps the servers' programs out of the path.
PLACES = "/usr/lib/postgresql"
SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
}


@cache
def server() -> Server:
    """The running server; it ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="voronka-pg-"))
    started = Server(folder)
    started.make()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(started.stop)
    started.start()
    return started


class Server:
    def __init__(self, folder: Path, settings: Mapping[str, str] = SETTINGS) -> None:
        self.folder = folder
        self._settings = settings
        self._count = 0

    def make(self) -> None:
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._run("initdb", "--no-sync", "--locale=C", "--encoding=UTF8", "--auth=trust", "--username=voronka")
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{name} = {value}\n" for name, value in self._settings.items())
            settings.write(f"unix_socket_directories = '{self.folder}'\n")

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"))

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def stop_well(self) -> None:
        """What was committed is on the disk for the next start."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast")

    def cpu_seconds(self) -> float:
        """Of the server and its processes so far, those of connections that are still open left out (Linux)."""
        process = (self.folder / "data" / "postmaster.pid").read_text().split()[0]
        # Behind the command's name in brackets: user, system, and the same of children that were waited for.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Every connection is closed; what was committed stays, after "immediate" too if commits wait for the disk."""
        self._run("pg_ctl", "restart", "-w", "-m", mode, "-l", str(self.folder / "log"))

    def address(self, database: str) -> str:
        """In libpq's words."""
        return f"dbname={database} host={self.folder} user=voronka"

    def query(self, sql: str, database: str = "postgres") -> str:
        """Rows as psql writes them, unaligned and without a head."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.address(database), "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def dump(self, database: str) -> str:
        """All of a database as SQL."""
        command = [_program("pg_dump"), "-d", self.address(database)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def create_database(self, template: str | None = None) -> str:
        """A new database; gives its name."""
        self._count += 1
        name = f"lake_{self._count}"
        self.query(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
        return name

    def _run(self, program: str, *arguments: str) -> None:
        command = [_program(program), "-D", str(self.folder / "data"), *arguments]
        user = "postgres" if os.geteuid() == 0 else None
        # The server inherits what it is given as output, and would hold a pipe open.
        with (self.folder / f"{program}.out").open("w") as output:
            done = subprocess.run(command, user=user, stdout=output, stderr=output, cwd=self.folder, timeout=120)
        assert done.returncode == 0, (self.folder / f"{program}.out").read_text()


def _program(name: str) -> str:
    found = shutil.which(name) or next((str(path) for path in sorted(Path(PLACES).glob(f"*/bin/{name}"))[-1:]), None)
    if found is None:
        # A newcomer's machine need not have it; the CI's script sees to it there.
        pytest.skip(f"no {name}: install PostgreSQL to test lakes")
    return found
