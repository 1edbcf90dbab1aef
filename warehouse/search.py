"""A search through files as bytes: the proof that something is in none of them, free pages and logs included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

CHUNK_BYTES = 4 << 20


def files_with(words: Iterable[str], paths: Iterable[Path]) -> list[Path]:
    """The files in which one of the words stands, as UTF-8; words shorter than 6 letters would be found by chance."""
    wanted = [word.encode() for word in words if len(word) >= 6]
    return [path for path in paths if wanted and _holds(path, wanted)]


def files_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Every file of the folders, each once; a folder may be a file, or not be there."""
    seen: set[Path] = set()
    for folder in folders:
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_file() and path not in seen:
                seen.add(path)
                yield path


def _holds(path: Path, wanted: list[bytes]) -> bool:
    overlap = max(map(len, wanted)) - 1
    before = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            block = before + chunk
            if any(word in block for word in wanted):
                return True
            before = block[-overlap:] if overlap else b""
    return False
