"""The folder of exports: which files are in it, and which of them are known already. Files are never moved or changed.

A file is known by its content (SHA-256), so renaming or copying it reads nothing again; size and time of change spare
computing the digest of what plainly didn't change.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from base.errors import FileError
from base.text import say
from connectors.stream import Json

# What programs leave beside documents: lock files, unfinished downloads, folder settings.
_PASSED_PREFIXES = (".", "~")
_PASSED_SUFFIXES = (".tmp", ".part", ".crdownload", ".download", ".swp", "~")
_PASSED_NAMES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class FoundFile:
    """A file of the folder; `name` is its path relative to the folder, with `/`."""

    name: str
    path: Path
    size: int
    changed: int  # nanoseconds


def list_files(folder: Path) -> list[FoundFile]:
    """Regular files of the folder and its subfolders by name, without hidden and temporary ones.

    Raises:
        FileError: the folder isn't there or can't be listed.
    """
    if not folder.is_dir():
        raise FileError(
            say("Нет папки {path}.", "No folder {path}.", path=folder),
            say(
                "Проверьте path в voronka.toml и подключён ли сетевой диск.",
                "Check path in voronka.toml, and whether the network drive is connected.",
            ),
        )

    def refuse(error: OSError) -> None:
        raise FileError(
            say(
                "Папка {path} не читается: {reason}.",
                "Can't list {path}: {reason}.",
                path=error.filename,
                reason=error.strerror,
            ),
            say("Дайте пользователю voronka право чтения.", "Give voronka's user the right to read it."),
        )

    found: list[FoundFile] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(_PASSED_PREFIXES))
        found += (file for name in names if not _is_passed(name) if (file := _stat(Path(place, name), folder)))
    return sorted(found, key=lambda file: file.name)


def _is_passed(name: str) -> bool:
    folded = name.casefold()
    return folded.startswith(_PASSED_PREFIXES) or folded.endswith(_PASSED_SUFFIXES) or folded in _PASSED_NAMES


def _stat(path: Path, folder: Path) -> FoundFile | None:
    """None for what isn't a regular file (a pipe would be waited for) or has gone since it was listed."""
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return FoundFile(path.relative_to(folder).as_posix(), path, status.st_size, status.st_mtime_ns)


def digest_of(stream: BinaryIO) -> str:
    stream.seek(0)
    digest = sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


@dataclass
class Memory:
    """What has been read: the stream's position as an object.

    `reader` names how files were read; when the way of reading changes, all are read again. `accounts` holds, for
    each own account, the last day that is complete.
    """

    reader: str
    files: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # name -> size, changed, digest
    accounts: dict[str, str] = field(default_factory=dict)  # account -> ISO day
    _digests: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, position: dict[str, Json] | None, reader: str) -> Memory:
        stored = position or {}
        memory = cls(reader, accounts=dict(stored.get("accounts", {})))
        if stored.get("reader") == reader:
            memory.files = {
                name: (size, changed, digest) for name, (size, changed, digest) in stored.get("files", {}).items()
            }
            memory._digests = {digest for _, _, digest in memory.files.values()}
        return memory

    def position(self) -> dict[str, Json]:
        """A JSON object of its own, safe from later changes."""
        return {
            "reader": self.reader,
            "files": {name: list(entry) for name, entry in self.files.items()},
            "accounts": dict(self.accounts),
        }

    def is_untouched(self, file: FoundFile) -> bool:
        """Known by name, size and time of change: not even opened."""
        size, changed, _ = self.files.get(file.name, (-1, -1, ""))
        return (size, changed) == (file.size, file.changed)

    def knows(self, digest: str) -> bool:
        return digest in self._digests

    def remember(self, file: FoundFile, digest: str) -> None:
        self.files[file.name] = (file.size, file.changed, digest)
        self._digests.add(digest)
