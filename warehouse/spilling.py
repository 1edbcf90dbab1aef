"""Where a connection puts what its memory doesn't hold. No two share such a folder: DuckDB numbers its files there, and
takes another process's for its own (it was seen to crash). Beside files there is one writer; beside a lake there are as
many commands as there are workers on the machine."""

from __future__ import annotations

import os
import shutil
import socket
from itertools import count
from pathlib import Path

_numbers = count(1)


def spill_folder(warehouse: Path, *, is_shared: bool) -> Path:
    """A folder beside `warehouse` that DuckDB makes when it needs it and removes at the end. What killed processes of
    this machine left goes first."""
    if not is_shared:
        return warehouse.with_name(f"{warehouse.name}.tmp")
    # Machines may see one disk; a number of a process means something on its own machine only.
    ours = f"{warehouse.name}.{socket.gethostname()}-"
    for left in warehouse.parent.glob(f"{ours}*.tmp"):
        process = left.name.removeprefix(ours).partition("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    return warehouse.with_name(f"{ours}{os.getpid()}-{next(_numbers)}.tmp")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's.
        return True
    return True
