"""Bank statements as files of the folder: records, what is told about them, and until when they are complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from base.columns import Column
from base.times import start_of_day, to_micros
from connectors.onec.folder import FoundFile
from connectors.onec.kinds import STATEMENT
from connectors.onec.movements import clean_account, unreadable_payload
from connectors.onec.overlaps import disagreements, spans_of
from connectors.onec.parts import Finding, Part
from connectors.onec.reading import FileRecords, Judged
from connectors.onec.refusal import FileRefusal
from connectors.onec.settings import OnecSettings
from connectors.onec.side_by_side import StartCrew, start_crew
from connectors.onec.survey import StatementRecord, Survey, survey
from connectors.stream import MapContext, Reject

# Raised when the same file would be read differently: every file is then read once more.
READER_VERSION = 1
# The process that judges what they read keeps up with two, and each takes 40 MB.
MOST_HELPERS = 2


@dataclass(frozen=True)
class StatementReader:
    """Reads `1CClientBankExchange` files; `today` is the local day, until which a statement may still grow."""

    settings: OnecSettings
    zone: ZoneInfo
    today: Callable[[], date]
    # Where large files wait for their verdict; None = the system's folder for temporary files, which may be memory.
    spool_folder: Path | None = None
    # From this size on a statement is read by several processes.
    large_bytes: int = 32 << 20
    # What payments are mapped with where several processes read a statement; None: they aren't.
    mapping: MapContext | None = None
    kinds: frozenset[str] = frozenset({STATEMENT.code})

    def fingerprint(self) -> str:
        parts = (READER_VERSION, self.settings.encoding, *sorted(self.settings.own_accounts))
        return "|".join("" if part is None else str(part) for part in parts)

    def judge(self, file: FoundFile, stream: BinaryIO) -> Judged:
        """Judge a statement.

        Raises:
            StatementError: nothing of it may be loaded.
        """
        found = self._survey(stream, self.mapping)
        spans = spans_of(found, [self._version(part) for part in found.parts])
        return Judged(
            records=self._records(found),
            rejects=[_rejected(file, finding, found) for finding in found.findings],
            reach=self._reach(found),
            note=[span.note() for span in spans],
            compare=lambda others: disagreements(file, spans, others, self._reread),
        )

    def _survey(self, stream: BinaryIO, mapping: MapContext | None = None) -> Survey:
        crew = self._crew(stream)
        return survey(
            stream,
            configured=self.settings.own_accounts,
            encoding=self.settings.encoding,
            spool_folder=self.spool_folder,
            crew=crew,
            mapping=mapping if crew is not None else None,
        )

    def _crew(self, stream: BinaryIO) -> StartCrew | None:
        """Processes to read it, if it is worth their start and there is more than one processor."""
        processors = os.cpu_count() or 1
        if processors == 1 or stream.seek(0, os.SEEK_END) < self.large_bytes:
            return None
        return start_crew(min(MOST_HELPERS, processors))

    def _reread(self, file: FoundFile) -> Iterator[StatementRecord]:
        with suppress(FileRefusal, OSError), file.open() as stream:
            yield from self._survey(stream).records()

    def complete_through(self, reach: Mapping[str, date]) -> date | None:
        """The last day that the statements of every own account cover."""
        closed = {clean_account(account) for account in self.settings.closed_accounts}
        return min((day for account, day in reach.items() if account not in closed), default=None)

    def _records(self, found: Survey) -> Generator[FileRecords, None, None]:
        versions = [self._version(part) for part in found.parts]
        with closing(found.stretches()) as stretches:
            for kept in stretches:
                yield FileRecords(
                    kept.ids,
                    kept.payloads,
                    Column(pa.repeat(pa.scalar(versions[kept.part], pa.int64()), len(kept.ids))),
                    kept.days,
                    Column(pc.add(kept.lines.array, kept.first_line)),
                    kept.hashes,
                    kept.rows,
                )

    def _version(self, part: Part) -> int:
        """When the bank made the statement: of two copies of a document the later one stands.

        Without a time of making, the end of its interval orders it; 0 = unknown.
        """
        if part.created_at is not None:
            return to_micros(part.created_at.replace(tzinfo=self.zone))
        if part.interval is not None:
            return to_micros(start_of_day(part.interval[1] + timedelta(days=1), self.zone))
        return 0

    def _reach(self, found: Survey) -> dict[str, date]:
        reach: dict[str, date] = {}
        for part in found.parts:
            through = part.complete_through(self.today())
            if through is not None:
                reach |= {account: max(through, reach.get(account, through)) for account in part.accounts}
        return reach


def _rejected(file: FoundFile, finding: Finding, found: Survey) -> Reject:
    is_of_file = finding.document is None and finding.line == found.parts[0].header.line
    return Reject(
        record_id=file.name if is_of_file else f"{file.name}:{finding.line}",
        code=finding.code,
        message=finding.message,
        path=f"line {finding.line} {finding.key}".rstrip(),
        expected=finding.expected,
        got=finding.got,
        payload=unreadable_payload(finding.document.json()) if finding.document else None,
    )
