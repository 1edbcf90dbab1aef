"""A backup is one zip file: the two databases at one moment, the inputs, and what keeps forgotten people forgotten.

Not in it: the configuration, `.env` and the token store (secrets), and the published file (made anew). Members are
stored uncompressed, as DuckDB has compressed them already, each with its checksum; whoever opens the file can read
all personal data, so it is for its owner only. It takes its place when it has been read back and found good.
"""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import duckdb
import msgspec

from base.durable import PRIVATE, flush, flush_folder, write_private
from base.errors import UsageError, WarehouseError
from base.text import say
from warehouse.company_key import FILE as KEY_FILE
from warehouse.database import Files
from warehouse.layout import RAW_OPTIONS, WAREHOUSE_OPTIONS
from warehouse.migrate import HISTORIES, read_revision
from warehouse.quoting import quote_literal

RAW, WAREHOUSE = "raw.duckdb", "warehouse.duckdb"
WAL = ".wal"
DATABASES = (RAW, WAREHOUSE)
INPUTS = "inputs/"
MANIFEST = "backup.json"
# Of the state folder, these and nothing else: tokens lie there too.
STATE_FILES = (KEY_FILE, "forgotten.json")
COPY_BYTES = 1 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    format: int = 1
    made_at: datetime
    raw_revision: str
    warehouse_revision: str
    records: int  # raw records, each version counted


@dataclass(frozen=True)
class Contents:
    """What of an installation goes into a backup, beside the two databases."""

    inputs_dir: Path
    state_dir: Path

    def members(self) -> Iterator[tuple[str, Path]]:
        """Names in the backup and files, as they stand now."""
        for path in _files(self.inputs_dir):
            yield INPUTS + path.relative_to(self.inputs_dir).as_posix(), path
        for name in STATE_FILES:
            if (self.state_dir / name).is_file():
                yield name, self.state_dir / name


def snapshot(files: Files, folder: Path) -> None:
    """Copy both databases and their logs as they stand. The caller sees to it that nobody writes (standstill.py)."""
    for name, path in ((RAW, files.raw), (WAREHOUSE, files.warehouse)):
        shutil.copyfile(path, folder / name)
        wal = path.with_name(path.name + WAL)
        if wal.exists():
            shutil.copyfile(wal, folder / (name + WAL))


def examine(folder: Path, made_at: datetime) -> Manifest:
    """Open the two databases of a folder together, move their logs into them, and say what they are.

    Raises:
        WarehouseError: one can't be opened, isn't ours, or the core knows of records that the log doesn't have.
    """
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
            connection.execute(f"ATTACH {quote_literal(str(folder / RAW))} AS landing {RAW_OPTIONS}")
            connection.execute(f"ATTACH {quote_literal(str(folder / WAREHOUSE))} AS warehouse {WAREHOUSE_OPTIONS}")
            revisions = []
            for catalog in ("landing", "warehouse"):
                connection.execute(f"USE {catalog}")
                revisions.append(read_revision(connection, HISTORIES["raw" if catalog == "landing" else "warehouse"]))
            records = _one(connection, "SELECT count(*) FROM landing.raw.records")
            ahead = _one(connection, _AHEAD)
            connection.execute("CHECKPOINT landing")
            connection.execute("CHECKPOINT warehouse")
    except duckdb.Error as error:
        raise _damaged(folder, error) from error
    if ahead or None in revisions:
        raise _damaged(folder, "positions are ahead of the records" if ahead else "no schema of ours")
    raw, warehouse = (str(revision) for revision in revisions)
    return Manifest(made_at=made_at, raw_revision=raw, warehouse_revision=warehouse, records=records)


_AHEAD = """
SELECT count(*) FROM warehouse.meta.watermarks AS w
WHERE w.seq > (SELECT coalesce(max(seq), 0) FROM landing.raw.records)
"""


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def pack(folder: Path, contents: Contents, manifest: Manifest, target: Path) -> int:
    """Put the databases of `folder` and the installation's own files into `target`; gives its size in bytes.

    It takes its place when every member has been read back; until then an earlier backup of that name stands.
    """
    part = folder / "backup.part"
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        for name in DATABASES:
            archive.write(folder / name, name)
            (folder / name).unlink()
        for name, path in contents.members():
            archive.write(path, name)
    with zipfile.ZipFile(part) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise _damaged(part, damaged)
    flush(part)
    os.replace(part, target)
    flush_folder(target.parent)
    return target.stat().st_size


@contextmanager
def making(target: Path) -> Iterator[Path]:
    """A folder beside `target`, for its owner only, gone at the end; what a killed backup left is removed first.

    Raises:
        WarehouseError: no room, or no right to write there.
    """
    folder = target.with_name(f".{target.name}.making")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder
    except OSError as error:
        raise WarehouseError(
            say("{path} не записать: {cause}", "{path} can't be written: {cause}", path=target, cause=error),
            say("Освободите место или укажите другую папку.", "Free some space, or name another folder."),
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ── back again ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Restored:
    """What came back, and what was left as it is because a file of that name stands there with other content."""

    manifest: Manifest
    inputs: int
    left: tuple[Path, ...]
    set_aside: tuple[Path, ...]


def read_manifest(archive: Path) -> Manifest:
    """What a backup says of itself.

    Raises:
        UsageError: there is no such file, or it is no backup of ours.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            manifest = msgspec.json.decode(file.read(MANIFEST), type=Manifest)
    except (OSError, zipfile.BadZipFile, KeyError, msgspec.DecodeError) as error:
        raise UsageError(
            say(
                "{path} — не резервная копия voronka: {cause}",
                "{path} is no backup of voronka: {cause}",
                path=archive,
                cause=error,
            )
        ) from error
    return manifest


def restore(archive: Path, files: Files, contents: Contents, *, replace: bool) -> Restored:
    """Put a backup in place. The caller holds the writer's lock.

    Everything is unpacked beside its place and opened before anything is touched. With `replace` the databases that
    stand there are kept under another name.

    Raises:
        UsageError: no backup, or there are databases already and `replace` wasn't said.
        WarehouseError: the backup is damaged, or there is no room. Nothing was changed.
    """
    manifest = read_manifest(archive)
    standing = [path for path in (files.raw, files.warehouse) if path.exists()]
    if standing and not replace:
        raise UsageError(
            say(
                "Здесь уже есть данные: {paths}.",
                "There is data here already: {paths}.",
                paths=", ".join(map(str, standing)),
            ),
            say(
                "Укажите --replace: прежние файлы останутся рядом под другим именем.",
                "Say --replace: the present files stay beside under another name.",
            ),
        )
    with making(files.warehouse) as folder:
        _unpack(archive, folder)
        examine(folder, manifest.made_at)
        aside = _set_aside(standing)
        for name, path in ((RAW, files.raw), (WAREHOUSE, files.warehouse)):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / name, path)
            flush(path)
            flush_folder(path.parent)
        written, left = _restore_small(folder, contents)
    return Restored(manifest, written, left, aside)


def _unpack(archive: Path, folder: Path) -> None:
    """The members we know, nothing else: a name in a zip may point anywhere."""
    try:
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                parts = PurePosixPath(name).parts
                known = name in DATABASES or name in STATE_FILES or name.startswith(INPUTS)
                if known and ".." not in parts and not name.endswith("/"):
                    place = folder.joinpath(*parts)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with file.open(name) as member, place.open("wb") as out:
                        shutil.copyfileobj(member, out, COPY_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _damaged(archive, error) from error


def _set_aside(standing: Sequence[Path]) -> tuple[Path, ...]:
    aside = []
    for path in standing:
        for found in (path, path.with_name(path.name + WAL)):
            if found.exists():
                kept = found.with_name(f"{path.name}.before-restore{found.name.removeprefix(path.name)}")
                os.replace(found, kept)
                aside.append(kept)
    return tuple(aside)


def _restore_small(folder: Path, contents: Contents) -> tuple[int, tuple[Path, ...]]:
    """Inputs and keys come back where there are none; what people have there now is not overwritten."""
    written, left = 0, []
    places = [(path, contents.inputs_dir / path.relative_to(folder / INPUTS)) for path in _files(folder / INPUTS)]
    places += [(folder / name, contents.state_dir / name) for name in STATE_FILES if (folder / name).is_file()]
    for source, place in places:
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.name in STATE_FILES:
                write_private(place, source.read_bytes())
            else:
                shutil.copyfile(source, place)
                written += 1
        elif place.read_bytes() != source.read_bytes():
            left.append(place)
    return written, tuple(left)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _damaged(path: Path, cause: object) -> WarehouseError:
    return WarehouseError(
        say("Копия в {path} повреждена: {cause}", "The backup in {path} is damaged: {cause}", path=path, cause=cause),
        say("Возьмите другую копию.", "Take another one."),
    )
