"""One file judged as a whole before any of its documents is handed on: is it a statement, is it whole, what is ours.

A file is refused whole when it is no executed statement, when its text is damaged, or when it was cut off: the end
mark is missing and the balances don't tie (or can't be checked and the last document is torn too). Without the end
mark but with tying balances a file is complete: some banks never write the mark. A file whose end is there and whose
balances don't tie loads, with a finding: the bank itself says that this is all. A file that breaks off in its last
document but ties loads with a finding too, since that document's text may be incomplete.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from base.columns import Column
from base.helpers import HelperError
from base.text import say
from connectors.onec.harvest import STRETCH_DOCUMENTS, Harvest, Harvester, Transfer
from connectors.onec.integrity import Ledger
from connectors.onec.movements import OwnAccounts, clean_account, twin_id
from connectors.onec.parts import Finding, Part, findings_of, refuse_foreign
from connectors.onec.side_by_side import StartCrew, can_be_cut, read_side_by_side
from connectors.onec.spool import Spool, Stretch
from connectors.onec.statement import Block, Entry, StatementError, read_entries
from connectors.onec.statement_text import CHUNK_BYTES, detect_encoding
from connectors.stream import MapContext

# More documents of one file that can't be read: it isn't they that are wrong.
MOST_FINDINGS = 10_000


class StatementRecord(NamedTuple):
    """A movement on its way to a page."""

    record_id: str
    payload: bytes
    part: int
    line: int
    booked_on: date
    own_account: str


@dataclass
class Survey:
    """A file that may be loaded: its statements, what is wrong with single documents, and its records."""

    encoding: str
    parts: list[Part]
    findings: list[Finding]
    # Documents between own accounts of one statement, by line: which of their two sides count.
    _sides: dict[int, frozenset[str]]
    _spool: Spool

    def records(self) -> Generator[StatementRecord, None, None]:
        """The movements in the file's order, once; findings are passed over."""
        with closing(self.stretches()) as stretches:
            for kept in stretches:
                columns = (kept.ids, kept.payloads, kept.lines, kept.days, kept.own_accounts)
                for record_id, payload, line, day, account in zip(*columns, strict=True):
                    yield StatementRecord(record_id, payload, kept.part, kept.first_line + line, day, account)

    def stretches(self) -> Generator[Stretch, None, None]:
        """The same in columns, some hundred at a time.

        The n-th twin within one statement gets ordinal n: bank orders for equal fees on one day are two payments.
        """
        with closing(self._spool) as spool:
            repeated = spool.repeated_keys()
            twins: list[Counter[bytes]] = [Counter() for _ in self.parts]
            for found in spool.read():
                kept = self._counted(found) if self._sides else found
                yield _with_twins(kept, repeated, twins[kept.part]) if repeated else kept

    def _counted(self, kept: Stretch) -> Stretch:
        """Without the sides of transfers between own accounts that another document tells."""
        lines = [self._sides.get(kept.first_line + line) for line in kept.lines]
        if not any(lines):
            return kept
        sides = zip(lines, kept.directions, strict=True)
        return kept.chosen([n for n, (chosen, way) in enumerate(sides) if chosen is None or way in chosen])


def _with_twins(kept: Stretch, repeated: frozenset[bytes], met: Counter[bytes]) -> Stretch:
    """Each twin with its ordinal; `met` counts them from stretch to stretch."""
    keys = list(kept.keys)
    if repeated.isdisjoint(keys):
        return kept
    ids = list(kept.ids)
    for place, key in enumerate(keys):
        if key in repeated:
            met[key] += 1
            ids[place] = twin_id(ids[place], met[key])
    return replace(kept, ids=Column(pa.array(ids, pa.string())))


# ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────────


def survey(
    stream: BinaryIO,
    *,
    configured: Iterable[str] = (),
    encoding: str | None = None,
    spool_folder: Path | None = None,
    crew: StartCrew | None = None,
    mapping: MapContext | None = None,
    piece_bytes: int = CHUNK_BYTES,
) -> Survey:
    """Read a file and judge it.

    `configured`: own accounts by the configuration, for files that don't state theirs. What a large file gave waits
    for the verdict in an unnamed file of `spool_folder` (default: the system's folder for temporary files). `crew`
    starts processes that read it side by side, in pieces of `piece_bytes`: the outcome is the same. With `mapping` its
    stretches come with their payments.

    Raises:
        StatementError: nothing of the file may be loaded.
        OSError: the file can't be read, or there is no room for the spool.
    """
    encoding = encoding or detect_encoding(stream)
    ours = frozenset(clean_account(account) for account in configured)
    with ExitStack() as spools:
        judge = _Judge(ours, None, spools.enter_context(closing(Spool(spool_folder))), mapping)
        _read(stream, encoding, judge, crew, piece_bytes)
        if judge.learned_late:
            # Balance sections behind the documents named further own accounts: the sides are judged anew with them.
            accounts = [frozenset(part.accounts) for part in judge.parts]
            spools.close()
            judge = _Judge(ours, accounts, spools.enter_context(closing(Spool(spool_folder))), mapping)
            _read(stream, encoding, judge, crew, piece_bytes)
        found = judge.verdict(encoding)
        spools.pop_all()
    return found


def _read(stream: BinaryIO, encoding: str, judge: _Judge, start: StartCrew | None, piece_bytes: int) -> None:
    if start is not None and can_be_cut(encoding):
        with suppress(HelperError), start() as crew:
            read_side_by_side(stream, encoding, judge, crew, piece_bytes=piece_bytes)
            return
    # A small file, or no room for processes: then it takes longer, that is all.
    judge.read(read_entries(stream, encoding))


class _Judge:
    def __init__(
        self,
        configured: frozenset[str],
        accounts: Sequence[frozenset[str]] | None,
        spool: Spool,
        mapping: MapContext | None,
    ) -> None:
        self.parts: list[Part] = []
        self.mapping = mapping
        self.learned_late = False
        self._configured = configured
        self._accounts = accounts
        self._spool = spool
        self._seen: set[str] = set()
        self._own: list[OwnAccounts | None] = []
        self._ledgers: list[Ledger] = []
        self._between: list[Transfer] = []
        self._findings: list[Finding] = []
        # Begun with the first document behind a header or section.
        self._harvester: Harvester | None = None

    @property
    def settled_accounts(self) -> OwnAccounts | None:
        """Own accounts by which the last statement's documents are judged; None until the first of them is."""
        return self._own[-1] if self._own else None

    def read(self, entries: Iterator[Entry]) -> None:
        try:
            for entry in entries:
                if isinstance(entry, Block) and entry.kind != "document":
                    self._take_in()
                    self._take_block(entry)
                else:
                    self._take(entry)
        finally:
            # What was told before the file turned out to be damaged goes first.
            self._take_in()

    def _take_block(self, block: Block) -> None:
        if block.kind == "header":
            self.parts.append(Part(block))
            self._own.append(None)
            self._ledgers.append(Ledger())
            self._learn(self.parts[-1], set())
        else:
            part = self.parts[block.part]
            before = set(part.accounts)
            part.add_section(block)
            self._learn(part, before)

    def _learn(self, part: Part, before: set[str]) -> None:
        """Note own accounts that documents read already should have been judged with."""
        is_late_here = part.documents > 0 and part.accounts != before
        is_late_elsewhere = part.accounts - self._seen and any(earlier.documents for earlier in self.parts)
        if self._accounts is None and (is_late_here or is_late_elsewhere):
            self.learned_late = True
        self._seen |= part.accounts

    def _take(self, document: Entry) -> None:
        if self._harvester is None:
            self._harvester = Harvester(self._own_accounts(document.part), self.mapping)
        self._harvester.take(document, document.line)
        if self._harvester.documents == STRETCH_DOCUMENTS:
            self._take_in()

    def _take_in(self) -> None:
        """Judge what was harvested since the last section."""
        if self._harvester is not None:
            harvest, self._harvester = self._harvester.take_in(), None
            self.take_harvest(harvest, 0)

    def take_harvest(self, harvest: Harvest, first_line: int) -> None:
        """Documents of the last statement, whose lines count from `first_line`."""
        place = len(self.parts) - 1
        part = self.parts[place]
        part.documents += harvest.documents
        part.last_line = first_line + harvest.last_line
        part.has_dates = part.has_dates or harvest.has_dates
        part.is_torn = harvest.is_torn
        self._spool.add(place, first_line, harvest.packed, harvest.keys)
        self._ledgers[place].add_all(harvest.ledger)
        self._between += harvest.transfers(place, first_line)
        for finding in harvest.told(place, first_line):
            self._find(finding)

    def _find(self, finding: Finding) -> None:
        self._findings.append(finding)
        if len(self._findings) > MOST_FINDINGS:
            first = self._findings[0]
            raise StatementError(
                "unreadable_documents",
                say(
                    "Больше {count} документов файла не читаются, первый в строке {line}: {message} Ничего из файла не"
                    " загружено.",
                    "More than {count} documents of the file can't be read, the first at line {line}: {message} Nothing"
                    " of the file was loaded.",
                    count=MOST_FINDINGS,
                    line=first.line,
                    message=first.message,
                ),
                path=f"line {first.line}",
            )

    def _own_accounts(self, place: int) -> OwnAccounts:
        own = self._own[place]
        if own is None:
            stated = self._accounts or [frozenset(part.accounts) for part in self.parts]
            known = frozenset(chain.from_iterable(stated)) | self._configured
            own = self._own[place] = OwnAccounts(stated[place] or self._configured, known)
        return own

    def verdict(self, encoding: str) -> Survey:
        sides: dict[int, frozenset[str]] = {}
        for place, part in enumerate(self.parts):
            refuse_foreign(part)
            sides |= self._settle_between(place, part)
            self._refuse_truncated(part)
            self._findings += findings_of(part)
        return Survey(encoding, self.parts, self._findings, sides, self._spool)

    def _settle_between(self, place: int, part: Part) -> dict[int, frozenset[str]]:
        """Count transfers between own accounts, and check the balances with them.

        Some banks list such a document once, some once for each account. Where both dates stand on each, only the
        balances tell: the second reading is taken if it ties and the first doesn't.
        """
        between = [transfer for transfer in self._between if transfer.part == place]
        sides: dict[int, frozenset[str]] = {}
        for is_listed_twice in (False, True):
            trial = _choose_sides(between, is_listed_twice=is_listed_twice)
            ledger = self._ledgers[place].copy()
            for transfer in between:
                for movement in transfer.movements:
                    if movement.direction in trial[transfer.line]:
                        ledger.add(movement)
            mismatches = ledger.mismatches(part.balances)
            if not is_listed_twice or (part.mismatches and not mismatches):
                sides, part.mismatches = trial, mismatches
            if not part.mismatches:
                break
        return sides

    def _refuse_truncated(self, part: Part) -> None:
        if part.header.is_last or part.is_verified:
            return
        if part.mismatches:
            raise StatementError(
                "truncated",
                say(
                    "Файл обрезан: нет строки «КонецФайла», и суммы не сходятся ({mismatch}). Ничего из него не"
                    " загружено.",
                    "The file is cut off: the line «КонецФайла» is missing and the sums don't tie ({mismatch})."
                    " Nothing of it was loaded.",
                    mismatch=part.mismatches[0].render(),
                ),
                path=f"line {part.last_line or part.header.line}",
            )
        if part.is_torn or not (part.sections or part.documents):
            raise StatementError(
                "truncated",
                say(
                    "Файл обрезан: последний раздел не закончен. Ничего из него не загружено.",
                    "The file is cut off: its last section has no end. Nothing of it was loaded.",
                ),
                path=f"line {part.last_line or part.header.line}",
            )


def _choose_sides(between: Sequence[Transfer], *, is_listed_twice: bool) -> dict[int, frozenset[str]]:
    """Which sides of each transfer between own accounts count, by the document's line.

    A copy with only `ДатаСписано` filled is the payer's, one with only `ДатаПоступило` the payee's; a copy without
    its counterpart stands for both sides.
    """
    groups: dict[tuple[object, ...], list[Transfer]] = defaultdict(list)
    for transfer in between:
        out = transfer.movements[0]
        groups[out.own_account, out.other, out.amount, out.ordered_on].append(transfer)
    sides: dict[int, set[str]] = {transfer.line: set() for transfer in between}
    for copies in groups.values():
        debited = [copy for copy in copies if copy.is_debited and not copy.is_credited]
        credited = [copy for copy in copies if copy.is_credited and not copy.is_debited]
        neutral = [copy for copy in copies if copy.is_credited == copy.is_debited]
        payers = debited + credited[len(debited) :] + (neutral[::2] if is_listed_twice else neutral)
        payees = credited + debited[len(credited) :] + (neutral[1::2] if is_listed_twice else neutral)
        if is_listed_twice and len(neutral) % 2:
            payees.append(neutral[-1])
        for copy in payers:
            sides[copy.line].add("out")
        for copy in payees:
            sides[copy.line].add("in")
    return {line: frozenset(chosen) for line, chosen in sides.items()}
