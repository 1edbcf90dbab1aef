"""A disk without room, or too little memory, in words: which file, how much there is, what to do.

Nothing is lost by it: a transaction that could not be written is not there, and the next run goes on from the last one.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from base.errors import DiskFullError, MemoryShortError
from base.text import Text, say
from warehouse.engine import lacks_memory

# No space, no quota left, and a file that may not grow (`ulimit -f`, or the file system's own limit).
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# DuckDB's own bound on what it puts beside the files when memory is short: nine tenths of what is free.
_SPILL_LIMIT = "max_temp_directory_size"
_LIMIT = re.compile(r"/(?P<limit>[\d.]+ \w+) used\)")
_FILE = re.compile(r'file "(?P<path>[^"]+)"')
MEGABYTE = 1024 * 1024


@contextmanager
def shortage_told(warehouse: Path) -> Iterator[None]:
    """Raise what `shortage` gives in place of an error that a shortage has caused; others pass."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        told = shortage(error, warehouse)
        if told is None:
            raise
        raise told from error


def shortage(error: duckdb.Error | OSError, warehouse: Path) -> DiskFullError | MemoryShortError | None:
    """The error to raise instead; None when no shortage is to blame. `warehouse`: what was being written, if the error
    doesn't say."""
    cause = _cause(error)
    if cause is not None:
        return _full_disk(_place(error, warehouse), cause)
    return _short_memory(error) if isinstance(error, duckdb.Error) and lacks_memory(error) else None


def _cause(error: duckdb.Error | OSError) -> str | None:
    """The system's words for it; None for any other error."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in FULL else None
    # DuckDB has no codes, but it quotes the system's words; a test holds them.
    text = str(error)
    if _SPILL_LIMIT in text:
        return os.strerror(errno.ENOSPC)
    return next((words for words in map(os.strerror, FULL) if words in text), None)


def _place(error: duckdb.Error | OSError, warehouse: Path) -> Path:
    if isinstance(error, OSError):
        return Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else warehouse
    found = _FILE.search(str(error))
    return Path(found["path"]) if found else Path(f"{warehouse}.tmp" if _SPILL_LIMIT in str(error) else warehouse)


def _short_memory(error: duckdb.Error) -> MemoryShortError:
    found = _LIMIT.search(str(error))
    return MemoryShortError(
        say(
            "Не хватило памяти: движку базы было отведено {limit}.",
            "Memory ran short: the database engine was given {limit}.",
            limit=found["limit"] if found else "?",
        ),
        say(
            "Загруженное и посчитанное раньше цело. Освободите память (сначала команда берёт немного, под конец до "
            "половины всей) или повторите там, где её больше.",
            "What was loaded and computed before is whole. Make memory free (a command begins with little of it and "
            "takes up to half of all in the end), or repeat it where there is more.",
        ),
    )


def _full_disk(path: Path, cause: str) -> DiskFullError:
    return DiskFullError(
        say(
            "Не хватило места на диске: файл {path} не дописан ({cause}), свободно {free}.",
            "The disk is full: {path} could not be written ({cause}), {free} free.",
            path=path,
            cause=cause,
            free=_free(path),
        ),
        say(
            "Освободите место и повторите команду: загруженное цело, она продолжит с того же места. Если места "
            "достаточно, размер файлов ограничен: посмотрите ulimit -f и квоту.",
            "Make room and repeat the command: what was loaded is whole, it goes on from there. If there is room, the "
            "size of files is limited: see ulimit -f and the quota.",
        ),
    )


def _free(path: Path) -> Text:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return say("неизвестно сколько", "an unknown amount")
    return say("{size} МБ", "{size} MB", size=free // MEGABYTE)
