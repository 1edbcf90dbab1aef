"""The folder of exports: which files are in it, and which of them are known already. Files are never moved or changed.

A file is known by its content (BLAKE2b), so renaming or copying it reads nothing again; size and time of change spare
computing the digest of what plainly didn't change.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from base.errors import FileError
from base.text import say
from connectors.onec.archive import Contents, list_archive, open_member, read_member_head
from connectors.stream import Json

# What programs leave beside documents: lock files, unfinished downloads, folder settings.
_PASSED_PREFIXES = (".", "~")
_PASSED_SUFFIXES = (".tmp", ".part", ".crdownload", ".download", ".swp", "~")
_PASSED_NAMES = frozenset({"thumbs.db", "desktop.ini"})
# From this size on a file's digest is made while it is read.
LARGE_BYTES = 32 << 20


@dataclass(frozen=True)
class FoundFile:
    """A file of the folder, or of a zip archive in it; `name` is its path relative to the folder, with `/`
    (`exports.zip/kl_to_1c.txt` in an archive)."""

    name: str
    path: Path  # of the file, or of the archive that holds it
    size: int
    changed: int  # nanoseconds
    member: int | None = None  # number in the archive's directory

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The content as a seekable stream with a real file behind it.

        Raises:
            FileRefusal: the archive is damaged.
            OSError: not there any more, or no right to read it.
        """
        if self.member is None:
            with self.path.open("rb") as stream:
                yield stream
        else:
            with open_member(self.path, self.member) as stream:
                yield stream

    def read_head(self, count: int) -> bytes:
        """The first bytes. Raises like `open`."""
        if self.member is not None:
            return read_member_head(self.path, self.member, count)
        with self.path.open("rb") as stream:
            return stream.read(count)

    def is_unchanged(self) -> bool:
        """False: somebody wrote to the file (or its archive) since it was listed."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return status.st_mtime_ns == self.changed and (self.member is not None or status.st_size == self.size)


def found_file(path: Path, name: str | None = None) -> FoundFile:
    """A single file as a folder would list it.

    Raises:
        OSError: no such file.
    """
    status = path.stat()
    return FoundFile(name or path.name, path, status.st_size, status.st_mtime_ns)


def members_of(archive: FoundFile) -> tuple[list[FoundFile], Contents]:
    """The files of an archive as files of the folder, and what the archive said about the others."""
    contents = list_archive(archive.path)
    found = [
        FoundFile(f"{archive.name}/{member.name}", archive.path, member.size, archive.changed, member.place)
        for member in contents.members
    ]
    return found, contents


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


def _empty_digest() -> blake2b:
    """Half the time of SHA-256 where the processor has no instructions for that."""
    return blake2b(digest_size=32)


def digest_of(stream: BinaryIO) -> str:
    stream.seek(0)
    digest = _empty_digest()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


@dataclass
class Memory:
    """What has been read: the stream's position as an object.

    `reader` names how files were read; when the way of reading changes, all are read again. `accounts` holds, for
    each own account, the last day that is complete. `others` are files that other streams read: not opened again
    just to see that.
    """

    reader: str
    files: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # name -> size, changed, digest
    others: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # name -> size, changed, kind
    accounts: dict[str, str] = field(default_factory=dict)  # account -> ISO day
    notes: dict[str, Json] = field(default_factory=dict)  # name -> what its reader wants to know of it later
    # A file that bears on completeness has been there, read or refused.
    has_seen: bool = False
    _digests: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, position: dict[str, Json] | None, reader: str) -> Memory:
        stored = position or {}
        # What was kept before `seen` was: a position with an account had seen a statement.
        memory = cls(reader, accounts=dict(stored.get("accounts", {})))
        memory.has_seen = bool(stored.get("seen", memory.accounts))
        if stored.get("reader") == reader:
            memory.files = {name: (size, changed, last) for name, (size, changed, last) in _entries(stored, "files")}
            memory.others = {name: (size, changed, last) for name, (size, changed, last) in _entries(stored, "others")}
            memory.notes = dict(stored.get("notes", {}))
            memory._digests = {digest for _, _, digest in memory.files.values()}
        return memory

    def position(self) -> dict[str, Json]:
        """A JSON object of its own, safe from later changes."""
        return {
            "reader": self.reader,
            "files": {name: list(entry) for name, entry in self.files.items()},
            "others": {name: list(entry) for name, entry in self.others.items()},
            "accounts": dict(self.accounts),
            "notes": dict(self.notes),
            "seen": self.has_seen,
        }

    def is_untouched(self, file: FoundFile) -> bool:
        """Known by name, size and time of change: not even opened."""
        size, changed, _ = self.files.get(file.name, (-1, -1, ""))
        return (size, changed) == (file.size, file.changed)

    def other_kind(self, file: FoundFile) -> str | None:
        """The kind of a file that was found to be another stream's; None = unknown, or changed since."""
        size, changed, kind = self.others.get(file.name, (-1, -1, ""))
        return kind if (size, changed) == (file.size, file.changed) else None

    def knows(self, digest: str) -> bool:
        return digest in self._digests

    def may_know(self, size: int) -> bool:
        """Whether the content of a file of that size can be known."""
        return any(known == size for known, _, _ in self.files.values())

    def remember(self, file: FoundFile, digest: str) -> None:
        self.files[file.name] = (file.size, file.changed, digest)
        self._digests.add(digest)

    def pass_over(self, file: FoundFile, kind: str) -> None:
        self.others[file.name] = (file.size, file.changed, kind)

    def note_complete(self, reach: Mapping[str, date]) -> None:
        """Complete days only ever move on."""
        for account, day in reach.items():
            self.accounts[account] = max(self.accounts.get(account, ""), day.isoformat())


class Digest:
    """Of a file's content: `begin` to have it made, `value` to have it."""

    def __init__(self, start: Callable[[], Future[str]]) -> None:
        self._start = start
        self._made: Future[str] | None = None

    def begin(self) -> None:
        """Have it made from now on, beside what else is done with the file, unless it is there."""
        self._made = self._made or self._start()

    def value(self) -> str:
        """Raises OSError: the file can't be read."""
        self.begin()
        assert self._made is not None
        return self._made.result()


@contextmanager
def digested(file: FoundFile, stream: BinaryIO, memory: Memory) -> Iterator[Digest | None]:
    """The digest of an open file, to be had in the context; None: its content is known.

    That of a large file that can't be known takes seconds, and is made when the caller says.
    """
    if file.size >= LARGE_BYTES and not memory.may_know(file.size) and hasattr(os, "pread"):
        with ThreadPoolExecutor(1, thread_name_prefix="digest") as beside:
            yield Digest(lambda: beside.submit(_digest_beside, stream.fileno()))
        return
    made: Future[str] = Future()
    made.set_result(digest_of(stream))
    if memory.knows(made.result()):
        memory.remember(file, made.result())
        yield None
    else:
        yield Digest(lambda: made)


def _digest_beside(descriptor: int) -> str:
    """What `digest_of` gives; the file's place stays where it is."""
    digest, place = _empty_digest(), 0
    while chunk := os.pread(descriptor, 1 << 20, place):
        digest.update(chunk)
        place += len(chunk)
    return digest.hexdigest()


def _entries(stored: Mapping[str, Json], key: str) -> Iterable[tuple[str, Json]]:
    entries: Mapping[str, Json] = stored.get(key, {})
    return entries.items()
