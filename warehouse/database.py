"""Opening the two files, or the lake, as one connection: the warehouse, with the raw log attached as `landing`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import duckdb

from base.clock import Clock
from base.memory import use_system_memory
from base.text import Text
from warehouse.address import Lake
from warehouse.engine import again, lacks_memory, note_kind
from warehouse.engine import transaction as transaction  # callers' name for it
from warehouse.lake import attach_lake, loss_told
from warehouse.lake_lock import command_lock
from warehouse.lake_owner import claim
from warehouse.lake_schema import ensure_lake
from warehouse.layout import RAW_OPTIONS, WAREHOUSE_OPTIONS
from warehouse.lock import writer_lock
from warehouse.migrate import ensure_schema
from warehouse.quoting import quote_literal
from warehouse.shortage import shortage_told
from warehouse.spilling import spill_folder

T = TypeVar("T")
WAREHOUSE_CATALOG = "warehouse"
RAW_CATALOG = "landing"


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where the two files are, and what the engine may use of the machine."""

    warehouse: Path
    raw: Path
    lake: Lake | None = None  # everything is there instead; beside `warehouse` then only this machine's locks stand
    # With what Python and Arrow hold beside it, less than a gigabyte in all.
    memory_limit: str = "640MB"
    more_memory: tuple[str, ...] = ("1GB",)  # for the rare step that can't do with less, one after the other
    threads: int = 0  # 0 = as many as the machine has, at most 4

    @property
    def memory_ceiling(self) -> str:
        return self.more_memory[-1]

    @property
    def engine_threads(self) -> int:
        return self.threads or min(4, os.cpu_count() or 1)


@dataclass
class Warehouse:
    """The open warehouse. `connection`'s default catalog is the warehouse; raw records are `landing.raw.*`."""

    files: Files
    connection: duckdb.DuckDBPyConnection
    clock: Clock
    raised: int = 0  # how many of `files.more_memory` were taken

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block did, or nothing of it."""
        with transaction(self.connection):
            yield

    def again(self, work: Callable[[], T]) -> T:
        """What `work` gives; the whole of it is done again with more memory where it lacked some, and on a lake as
        `warehouse.engine.again` says."""
        while True:
            try:
                return again(self.connection, self.clock, work)
            except duckdb.Error as error:
                if not (lacks_memory(error) and self.raise_memory_limit()):
                    raise

    def raise_memory_limit(self) -> bool:
        """Let the engine use the next of `files.more_memory` from now on; False if it already uses the last."""
        if self.raised == len(self.files.more_memory):
            return False
        self.connection.execute(f"SET memory_limit = {quote_literal(self.files.more_memory[self.raised])}")
        self.raised += 1
        return True

    def close(self) -> None:
        self.connection.close()


@contextmanager
def open_warehouse(
    files: Files,
    *,
    command: str,
    clock: Clock,
    wait_seconds: float = 60.0,
    on_wait: Callable[[Text], None] = lambda message: None,
) -> Iterator[Warehouse]:
    """Take the writer's lock, bring both files or the lake to the present schema, and open them.

    Raises:
        BusyError: another command holds the warehouse.
        NewerWarehouseError: the files were written by a newer voronka.
        DiskFullError: no room for what was to be written; the files are as before it.
        MemoryShortError: all that the engine may take of the memory was too little.
        WarehouseError: a lake's PostgreSQL went away, and what was being done could not be done again.
    """
    files.warehouse.parent.mkdir(parents=True, exist_ok=True)
    files.raw.parent.mkdir(parents=True, exist_ok=True)
    if files.lake is not None:
        with (
            shortage_told(files.warehouse),
            loss_told(),
            closing(connect(files)) as connection,
            command_lock(connection, command, clock=clock, wait_seconds=wait_seconds, on_wait=on_wait),
        ):
            if ensure_lake(connection):
                claim(connection, files.lake)
            yield Warehouse(files, connection, clock)
        return
    with writer_lock(files.warehouse, command=command, clock=clock, wait_seconds=wait_seconds, on_wait=on_wait):
        ensure_schema(files.raw, "raw", clock)
        ensure_schema(files.warehouse, "warehouse", clock)
        with closing(connect(files)) as connection:
            yield Warehouse(files, connection, clock)


def _stop_looking_for_pandas() -> None:
    """DuckDB looks for pandas at every value it is given, and Python remembers no failed import: where there is no
    pandas, the looking took a quarter of a small sync's CPU."""
    if "pandas" not in sys.modules and find_spec("pandas") is None:
        # What Python itself takes for "known not to exist".
        sys.modules["pandas"] = None  # type: ignore[assignment]


def connect(files: Files) -> duckdb.DuckDBPyConnection:
    """A connection to both files, session time zone UTC, nothing loaded from outside.

    Both are attached under names of ours: opened by its path a file is named after its stem, and a warehouse called
    `core.duckdb` would make every `core.deals` ambiguous.
    """
    _stop_looking_for_pandas()
    use_system_memory()
    connection = duckdb.connect(
        config={
            "memory_limit": files.memory_limit,
            "threads": files.engine_threads,
            # What does not fit the limit goes here; DuckDB would take the working directory.
            "temp_directory": str(spill_folder(files.warehouse, is_shared=files.lake is not None)),
            # At the default 16 MB a first load compresses the same last row group again and again: a third of its CPU.
            "checkpoint_threshold": "48MB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    # It would be drawn into logs.
    connection.execute("SET enable_progress_bar = false")
    if files.lake is not None:
        attach_lake(connection, files.lake)
        note_kind(connection, is_a_lake=True)
        return connection
    connection.execute(f"ATTACH {quote_literal(str(files.warehouse))} AS {WAREHOUSE_CATALOG} {WAREHOUSE_OPTIONS}")
    connection.execute(f"ATTACH {quote_literal(str(files.raw))} AS {RAW_CATALOG} {RAW_OPTIONS}")
    connection.execute(f"USE {WAREHOUSE_CATALOG}")
    note_kind(connection, is_a_lake=False)
    return connection
