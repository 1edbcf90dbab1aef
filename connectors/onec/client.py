"""The folder client: reads new and changed files, and judges each as a whole before its records go on.

A file is remembered only when it was read without a finding. So an unreadable or doubtful file is told about in
every run until it is mended or taken away, and the rest of the folder loads meanwhile.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from base.errors import ConfigError
from base.text import Text, say
from base.times import local_day, start_of_day, to_micros
from connectors.onec.folder import FoundFile, Memory, digest_of, list_files
from connectors.onec.kinds import HEAD_BYTES, sniff
from connectors.onec.movements import clean_account, payload, unreadable_payload
from connectors.onec.parts import Finding, Part
from connectors.onec.settings import OnecSettings
from connectors.onec.statement import StatementError
from connectors.onec.survey import Survey, survey
from connectors.stream import Client, Page, Position, Reject, Request, Runtime

# A page's records; small files share one, so that a folder of daily statements isn't a page a day.
PAGE_RECORDS = 5_000
# Raised when the same file would be read differently: every file is then read once more.
READER_VERSION = 1


@dataclass
class _Draft:
    """Records and rejects waiting to become a page."""

    ids: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    cursors: list[int] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@dataclass
class _Reading:
    """One run over the folder: what is known, which days are asked for, and the page being filled."""

    memory: Memory
    first_on: date
    last_on: date
    draft: _Draft = field(default_factory=_Draft)

    def take(self, position: Position | None, complete_until: datetime | None = None) -> Page:
        """The page as filled so far; a new one is begun."""
        page = Page(**vars(self.draft), position=position, complete_until=complete_until)
        self.draft = _Draft()
        return page


class OnecClient(Client):
    """Reads one folder; `settings.path` is absolute.

    Raises:
        ConfigError: an encoding nobody knows.
    """

    def __init__(self, settings: OnecSettings, runtime: Runtime, *, page_records: int = PAGE_RECORDS) -> None:
        self.settings = settings
        self.folder = Path(settings.path)
        self._page_records = page_records
        self._zone = runtime.zone
        self._clock = runtime.clock
        self._check_encoding(runtime.source)

    def now(self) -> datetime:
        return self._clock.now()

    @property
    def today(self) -> date:
        return local_day(self.now(), self._zone)

    def fetch_statements(self, request: Request) -> Iterator[Page]:
        """Pages of movements of all new and changed statements, the last one with what is complete.

        The position names a file once all its records are out, so that a killed run reads at most the files of one
        page again. A window by hand reads every file for the days asked for and moves nothing. Days before the
        source's `start` are left out.

        Raises:
            FileError: the folder isn't there or can't be listed.
        """
        reading = self._begin(request)
        memory = reading.memory
        before = memory.position()
        for file in list_files(self.folder):
            if memory.is_untouched(file):
                continue
            for _ in self._read_file(file, reading):
                if len(reading.draft.ids) >= self._page_records:
                    yield reading.take(None if request.window else memory.position())
        after = memory.position()
        moved = not request.window and (request.position is None or after != before)
        yield reading.take(after if moved else None, None if request.window else self._complete_until(memory))

    def _begin(self, request: Request) -> _Reading:
        parts = (READER_VERSION, self.settings.encoding, request.start, *sorted(self.settings.own_accounts))
        reader = "|".join("" if part is None else str(part) for part in parts)
        position = None if request.full or request.window else request.position
        return _Reading(
            memory=Memory.of(position, reader),
            first_on=local_day(request.start, self._zone) if request.start else date.min,
            last_on=local_day(request.end, self._zone) if request.window else date.max,
        )

    def _read_file(self, file: FoundFile, reading: _Reading) -> Iterator[None]:
        """Put a file's records into the draft, stopping after each so that a full page can go; remember the file."""
        try:
            with file.path.open("rb") as stream:
                digest = digest_of(stream)
                if reading.memory.knows(digest):
                    reading.memory.remember(file, digest)
                    return
                found = self.survey(stream)
                yield from self._put_records(file, found, stream, reading)
                is_same = _is_same(file, stream)
        except StatementError as error:
            reading.draft.rejects.append(_refusal(file, error))
            return
        except OSError as error:
            reading.draft.rejects.append(_unreadable(file, error))
            return
        reading.draft.rejects += [_rejected(file, finding, found) for finding in found.findings]
        if not is_same:
            reading.draft.rejects.append(_changing(file))
        elif not found.findings:
            reading.memory.remember(file, digest)
        self._note_complete(found, reading.memory)

    def survey(self, stream: BinaryIO) -> Survey:
        """Judge an open file.

        Raises:
            StatementError: nothing of it may be loaded.
        """
        stream.seek(0)
        kind = sniff(stream.read(HEAD_BYTES))
        if not kind.is_statement:
            raise StatementError(
                "not_a_statement",
                say("Это {kind}, а не банковская выписка.", "This is {kind}, not a bank statement.", kind=kind.label),
                say(
                    "Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt), а этот файл уберите из папки.",
                    "Export the exchange file for 1C from the bank's client (usually kl_to_1c.txt), and take this"
                    " file out of the folder.",
                ),
                path="line 1",
            )
        return survey(stream, configured=self.settings.own_accounts, encoding=self.settings.encoding)

    def _put_records(self, file: FoundFile, found: Survey, stream: BinaryIO, reading: _Reading) -> Iterator[None]:
        versions = [self._version(part) for part in found.parts]
        with closing(found.records(stream)) as records:
            for record_id, document, movement in records:
                if reading.first_on <= movement.booked_on <= reading.last_on:
                    draft = reading.draft
                    draft.ids.append(record_id)
                    draft.payloads.append(payload(document, movement))
                    draft.versions.append(versions[document.part])
                    draft.cursors.append(to_micros(start_of_day(movement.booked_on, self._zone)))
                    draft.origins.append(f"{file.name}:{document.line}")
                    yield

    def _version(self, part: Part) -> int:
        """When the bank made the statement: of two copies of a document the later one stands.

        Without a time of making, the end of its interval orders it; 0 = unknown.
        """
        if part.created_at is not None:
            return to_micros(part.created_at.replace(tzinfo=self._zone))
        if part.interval is not None:
            return to_micros(start_of_day(part.interval[1] + timedelta(days=1), self._zone))
        return 0

    # ── completeness ────────────────────────────────────────────────────────────────────────────────────────────

    def _note_complete(self, found: Survey, memory: Memory) -> None:
        for part in found.parts:
            through = part.complete_through(self.today)
            if through is not None:
                for account in part.accounts:
                    memory.accounts[account] = max(memory.accounts.get(account, ""), through.isoformat())

    def _complete_until(self, memory: Memory) -> datetime | None:
        """The end of the last day that the statements of every own account cover; None = no statement yet."""
        closed = {clean_account(account) for account in self.settings.closed_accounts}
        days = [day for account, day in memory.accounts.items() if account not in closed]
        return start_of_day(date.fromisoformat(min(days)) + timedelta(days=1), self._zone) if days else None

    def _check_encoding(self, source: str) -> None:
        name = self.settings.encoding
        try:
            codecs.lookup(name or "cp1251")
        except LookupError:
            path = f"sources.{source}.encoding"
            raise ConfigError(
                say("{path}: нет кодировки «{name}».", "{path}: no encoding {name!r}.", path=path, name=name),
                remedy=say("Например: cp1251, cp866, utf-8.", "For example: cp1251, cp866, utf-8."),
            ) from None


@contextmanager
def open_client(settings: OnecSettings, runtime: Runtime) -> Iterator[OnecClient]:
    yield OnecClient(settings, runtime)


# ── what is told about a file ───────────────────────────────────────────────────────────────────────────────────


def _is_same(file: FoundFile, stream: BinaryIO) -> bool:
    """False: somebody wrote to the file while it was read."""
    status = os.fstat(stream.fileno())
    return (status.st_size, status.st_mtime_ns) == (file.size, file.changed)


def _with_remedy(what: Text, remedy: Text | None) -> Text:
    return say("{what} {remedy}", "{what} {remedy}", what=what, remedy=remedy) if remedy else what


def _refusal(file: FoundFile, error: StatementError) -> Reject:
    return Reject(record_id=file.name, code=error.code, message=_with_remedy(error.what, error.remedy), path=error.path)


def _unreadable(file: FoundFile, error: OSError) -> Reject:
    message = say(
        "Файл не читается: {reason}. Проверьте права и диск.",
        "Can't read the file: {reason}. Check its rights and the disk.",
        reason=error.strerror or type(error).__name__,
    )
    return Reject(record_id=file.name, code="unreadable_file", message=message)


def _changing(file: FoundFile) -> Reject:
    message = say(
        "Файл менялся во время чтения; он будет прочитан снова в следующий раз.",
        "The file changed while it was read; it will be read again next time.",
    )
    return Reject(record_id=file.name, code="changed_while_read", message=message)


def _rejected(file: FoundFile, finding: Finding, found: Survey) -> Reject:
    is_of_file = finding.document is None and finding.line == found.parts[0].header.line
    return Reject(
        record_id=file.name if is_of_file else f"{file.name}:{finding.line}",
        code=finding.code,
        message=finding.message,
        path=f"line {finding.line} {finding.key}".rstrip(),
        expected=finding.expected,
        got=finding.got,
        payload=unreadable_payload(finding.document) if finding.document else None,
    )
