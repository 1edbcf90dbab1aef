"""Zip archives as accountants send them: their files are read as if they lay in the folder, within limits.

Nothing is ever unpacked under its own name: a member goes to an unnamed temporary file. So a name that leads out of
the folder could do no harm; it is refused all the same, since whoever made it meant harm.
"""

from __future__ import annotations

import errno
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import BinaryIO

from base.text import Text, say
from connectors.onec.refusal import FileRefusal


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A year of daily statements and tables of several firms stays far below each of these."""

    members: int = 2_000
    unpacked_bytes: int = 4 << 30
    # Bank statements and tables shrink 10 to 40 times; a bomb a thousand times.
    ratio: int = 250
    # Below this size a high ratio means nothing: a file of blanks.
    ratio_matters_bytes: int = 10 << 20


LIMITS = Limits()

_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
UNPACK = say("Распакуйте архив и положите файлы в папку.", "Unpack the archive and put its files into the folder.")
# What zipfile raises on bytes that aren't what they should be.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class Member:
    """A file of an archive; `place` is its number in the archive's directory, `name` its path there."""

    name: str
    place: int
    size: int


@dataclass
class Contents:
    """What may be read of an archive, and what is wrong with the rest: (member's name or "", refusal)."""

    members: list[Member] = field(default_factory=list)
    refused: list[tuple[str, FileRefusal]] = field(default_factory=list)


def list_archive(path: Path, limits: Limits = LIMITS) -> Contents:
    """The files of an archive. One refusal stands for the archive as a whole when its limits are passed.

    Raises:
        OSError: the archive can't be opened.
    """
    try:
        with _damage_told(), zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except FileRefusal as refusal:
        return Contents(refused=[("", refusal)])
    problem = _over_limits(infos, limits)
    if problem is not None:
        return Contents(refused=[("", problem)])
    contents = Contents()
    encrypted = []
    for place, info in enumerate(infos):
        name = decoded_name(info)
        if info.is_dir() or _is_passed(name):
            continue
        if leads_out(name):
            contents.refused.append((PurePosixPath(name.replace("\\", "/")).name, _traversal(name)))
        elif info.flag_bits & _ENCRYPTED:
            encrypted.append(name)
        else:
            contents.members.append(Member(name.replace("\\", "/"), place, info.file_size))
    if encrypted:
        contents.refused.append(("", _encrypted(encrypted)))
    return contents


@contextmanager
def open_member(path: Path, place: int) -> Iterator[BinaryIO]:
    """A member as a seekable stream, unpacked into a temporary file that has no name.

    Raises:
        FileRefusal: damaged, or packed in a way that can't be read.
        OSError: no room for the temporary file.
    """
    with TemporaryFile(prefix="voronka-") as unpacked:
        with _damage_told(), zipfile.ZipFile(path) as archive, archive.open(archive.infolist()[place]) as member:
            # The directory's size bounds what is read: a member that lies about it fails its checksum.
            shutil.copyfileobj(member, unpacked, 1 << 20)
        unpacked.seek(0)
        yield unpacked


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn what zipfile raises into one refusal. A torn directory makes it seek before the file's beginning."""
    try:
        yield
    except DAMAGED as error:
        raise _damaged(error) from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise _damaged(error) from None


def read_member_head(path: Path, place: int, count: int) -> bytes:
    """The first bytes of a member.

    Raises:
        FileRefusal: damaged, or packed in a way that can't be read.
    """
    with _damage_told(), zipfile.ZipFile(path) as archive, archive.open(archive.infolist()[place]) as member:
        return member.read(count)


def decoded_name(info: zipfile.ZipInfo) -> str:
    """A member's name. Without the UTF-8 mark Windows writes Cyrillic in cp866, and zipfile reads it as cp437."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    try:
        raw = info.filename.encode("cp437")
    except UnicodeEncodeError:
        return info.filename
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp866")


def leads_out(name: str) -> bool:
    """The name points out of the archive's own folder."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in plain.split("/") or plain[1:2] == ":" or "\x00" in plain


def _is_passed(name: str) -> bool:
    """Folder settings, lock files, and what macOS adds to every archive."""
    parts = name.replace("\\", "/").split("/")
    return any(part.startswith((".", "~", "__MACOSX")) for part in parts if part not in (".", ".."))


# ── what is wrong ───────────────────────────────────────────────────────────────────────────────────────────────


def _over_limits(infos: list[zipfile.ZipInfo], limits: Limits) -> FileRefusal | None:
    if len(infos) > limits.members:
        what = say(
            "В архиве {count} файлов, читается не больше {limit}.",
            "The archive holds {count} files; at most {limit} are read.",
            count=len(infos),
            limit=limits.members,
        )
        return FileRefusal("archive_too_large", what, _SPLIT)
    unpacked = sum(info.file_size for info in infos)
    if unpacked > limits.unpacked_bytes:
        what = say(
            "Распакованный архив занял бы {size}, читается не больше {limit}.",
            "Unpacked, the archive would take {size}; at most {limit} are read.",
            size=in_words(unpacked),
            limit=in_words(limits.unpacked_bytes),
        )
        return FileRefusal("archive_too_large", what, _SPLIT)
    bombs = [info for info in infos if _is_bomb(info, limits)]
    if bombs:
        what = say(
            "Архив похож на «zip-бомбу»: файл «{name}» сжат в {ratio} раз. Ничего из архива не загружено.",
            "The archive looks like a zip bomb: «{name}» is packed {ratio} times. Nothing of the archive was loaded.",
            name=decoded_name(bombs[0]),
            ratio=bombs[0].file_size // max(bombs[0].compress_size, 1),
        )
        return FileRefusal("zip_bomb", what, UNPACK)
    return None


def _is_bomb(info: zipfile.ZipInfo, limits: Limits) -> bool:
    return info.file_size > limits.ratio_matters_bytes and info.file_size > limits.ratio * max(info.compress_size, 1)


_SPLIT = say("Разделите архив на части или распакуйте его в папку.", "Split the archive, or unpack it into the folder.")


def in_words(size: int) -> Text:
    """A size in megabytes or gigabytes."""
    if size >= 1 << 30:
        return say("{n} ГБ", "{n} GB", n=f"{size / (1 << 30):.1f}")
    return say("{n} МБ", "{n} MB", n=f"{size / (1 << 20):.0f}")


def _damaged(error: BaseException) -> FileRefusal:
    if isinstance(error, NotImplementedError):
        what = say("Архив сжат способом, который не читается.", "The archive is packed by an unknown method.")
        return FileRefusal("damaged_archive", what, UNPACK)
    what = say("Архив повреждён или скачан не до конца.", "The archive is damaged or was not downloaded to its end.")
    return FileRefusal("damaged_archive", what, say("Скачайте его ещё раз.", "Download it again."))


def _encrypted(names: list[str]) -> FileRefusal:
    what = say(
        "Файлы архива закрыты паролем ({names}).",
        "Files of the archive are protected by a password ({names}).",
        names=", ".join(names[:3]) + (" …" if len(names) > 3 else ""),
    )
    return FileRefusal("encrypted", what, UNPACK)


def _traversal(name: str) -> FileRefusal:
    what = say(
        "Имя файла в архиве ведёт за его пределы: «{name}». Файл не прочитан.",
        "A file's name leads out of the archive: «{name}». The file was not read.",
        name=name,
    )
    remedy = say(
        "Обычные программы так не пишут: спросите, откуда архив.",
        "Ordinary programs don't write such names: ask where the archive comes from.",
    )
    return FileRefusal("path_traversal", what, remedy)


NESTED = FileRefusal("nested_archive", say("Это архив внутри архива.", "This is an archive inside an archive."), UNPACK)
