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
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from base.text import say
from connectors.onec.integrity import Ledger
from connectors.onec.movements import (
    CREDITED,
    DEBITED,
    DocumentError,
    Movement,
    OwnAccounts,
    clean_account,
    natural_key,
    read_movements,
    record_id,
)
from connectors.onec.parts import Finding, Part, findings_of, refuse_foreign
from connectors.onec.statement import Block, StatementError, detect_encoding, read_blocks

# A file of no more documents is kept in memory between judging and handing on, a larger one is read twice.
KEPT_DOCUMENTS = 5_000
# A torn document is believed if all of these are there.
ESSENTIAL = (("Номер",), ("Дата",), ("Сумма",))


@dataclass
class Survey:
    """A file that may be loaded: its statements, what is wrong with single documents, and its records."""

    encoding: str
    parts: list[Part]
    findings: list[Finding]
    _own: list[OwnAccounts]
    # Documents between own accounts of one statement, by line: which of their two sides count.
    _sides: dict[int, frozenset[str]]
    _kept: list[Block] | None

    def records(self, stream: BinaryIO) -> Generator[tuple[str, Block, Movement], None, None]:
        """`(record_id, document, movement)` in the file's order; findings are passed over.

        The n-th twin within one statement gets ordinal n: bank orders for equal fees on one day are two payments.
        """
        twins: list[Counter[bytes]] = [Counter() for _ in self.parts]
        blocks = self._kept if self._kept is not None else read_blocks(stream, self.encoding)
        for document in blocks:
            if document.kind != "document" or not _is_whole(document):
                continue
            try:
                movements = read_movements(document, self._own[document.part])
            except DocumentError:
                continue  # told as a finding
            sides = self._sides.get(document.line)
            for movement in movements:
                if sides is None or movement.direction in sides:
                    key = natural_key(movement)
                    twins[document.part][key] += 1
                    yield record_id(movement, key, twins[document.part][key]), document, movement


# ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────────


def survey(
    stream: BinaryIO, *, configured: Iterable[str] = (), encoding: str | None = None, keep: int = KEPT_DOCUMENTS
) -> Survey:
    """Read a file once and judge it.

    `configured`: own accounts by the configuration, for files that don't state theirs. Up to `keep` documents stay in
    memory; of a longer file `Survey.records` reads the stream again.

    Raises:
        StatementError: nothing of the file may be loaded.
    """
    encoding = encoding or detect_encoding(stream)
    ours = frozenset(clean_account(account) for account in configured)
    judge = _Judge(ours, None, keep)
    judge.read(read_blocks(stream, encoding))
    if judge.learned_late:
        # Balance sections behind the documents named further own accounts: the sides are judged anew with them.
        judge = _Judge(ours, [frozenset(part.accounts) for part in judge.parts], keep)
        judge.read(read_blocks(stream, encoding))
    return judge.verdict(encoding)


class _Judge:
    def __init__(self, configured: frozenset[str], accounts: Sequence[frozenset[str]] | None, keep: int) -> None:
        self.parts: list[Part] = []
        self.learned_late = False
        self._configured = configured
        self._accounts = accounts
        self._keep_at_most = keep
        self._seen: set[str] = set()
        self._own: list[OwnAccounts | None] = []
        self._ledgers: list[Ledger] = []
        self._between: list[tuple[Block, list[Movement]]] = []
        self._findings: list[Finding] = []
        self._kept: list[Block] | None = []

    def read(self, blocks: Iterator[Block]) -> None:
        for block in blocks:
            if block.kind == "header":
                self.parts.append(Part(block))
                self._own.append(None)
                self._ledgers.append(Ledger())
                self._learn(self.parts[-1], set())
            elif block.kind == "section":
                part = self.parts[block.part]
                before = set(part.accounts)
                part.add_section(block)
                self._learn(part, before)
            else:
                self._take(self.parts[block.part], block)

    def _learn(self, part: Part, before: set[str]) -> None:
        """Note own accounts that documents read already should have been judged with."""
        is_late_here = part.documents > 0 and part.accounts != before
        is_late_elsewhere = part.accounts - self._seen and any(earlier.documents for earlier in self.parts)
        if self._accounts is None and (is_late_here or is_late_elsewhere):
            self.learned_late = True
        self._seen |= part.accounts

    def _take(self, part: Part, document: Block) -> None:
        part.documents += 1
        part.has_dates = part.has_dates or bool(document.get(DEBITED, CREDITED))
        part.is_torn = not document.is_closed
        self._keep(document)
        if not _is_whole(document):
            self._findings.append(_torn(document))
            return
        try:
            movements = read_movements(document, self._own_accounts(document.part))
        except DocumentError as error:
            finding = Finding(
                error.code, error.message, document.line, error.key, error.expected, error.got, document=document
            )
            self._findings.append(finding)
            return
        if len(movements) > 1:
            self._between.append((document, movements))
            return
        for movement in movements:
            self._ledgers[document.part].add(movement)

    def _keep(self, document: Block) -> None:
        if self._kept is not None:
            self._kept.append(document)
            if len(self._kept) > self._keep_at_most:
                self._kept = None

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
        own = [self._own_accounts(place) for place in range(len(self.parts))]
        return Survey(encoding, self.parts, self._findings, own, sides, self._kept)

    def _settle_between(self, place: int, part: Part) -> dict[int, frozenset[str]]:
        """Count transfers between own accounts, and check the balances with them.

        Some banks list such a document once, some once for each account. Where both dates stand on each, only the
        balances tell: the second reading is taken if it ties and the first doesn't.
        """
        between = [(document, movements) for document, movements in self._between if document.part == place]
        sides: dict[int, frozenset[str]] = {}
        for is_listed_twice in (False, True):
            trial = _choose_sides(between, is_listed_twice=is_listed_twice)
            ledger = self._ledgers[place].copy()
            for document, movements in between:
                for movement in movements:
                    if movement.direction in trial[document.line]:
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
            )
        if part.is_torn or not (part.sections or part.documents):
            raise StatementError(
                "truncated",
                say(
                    "Файл обрезан: последний раздел не закончен. Ничего из него не загружено.",
                    "The file is cut off: its last section has no end. Nothing of it was loaded.",
                ),
            )


def _choose_sides(
    between: Sequence[tuple[Block, list[Movement]]], *, is_listed_twice: bool
) -> dict[int, frozenset[str]]:
    """Which sides of each transfer between own accounts count, by the document's line.

    A copy with only `ДатаСписано` filled is the payer's, one with only `ДатаПоступило` the payee's; a copy without
    its counterpart stands for both sides.
    """
    groups: dict[tuple[object, ...], list[Block]] = defaultdict(list)
    for document, (out, _) in between:
        groups[out.own_account, out.other, out.amount, out.ordered_on].append(document)
    sides: dict[int, set[str]] = {document.line: set() for document, _ in between}
    for copies in groups.values():
        debited = [copy for copy in copies if copy.get(DEBITED) and not copy.get(CREDITED)]
        credited = [copy for copy in copies if copy.get(CREDITED) and not copy.get(DEBITED)]
        neutral = [copy for copy in copies if bool(copy.get(CREDITED)) == bool(copy.get(DEBITED))]
        payers = debited + credited[len(debited) :] + (neutral[::2] if is_listed_twice else neutral)
        payees = credited + debited[len(credited) :] + (neutral[1::2] if is_listed_twice else neutral)
        if is_listed_twice and len(neutral) % 2:
            payees.append(neutral[-1])
        for copy in payers:
            sides[copy.line].add("out")
        for copy in payees:
            sides[copy.line].add("in")
    return {line: frozenset(chosen) for line, chosen in sides.items()}


def _is_whole(document: Block) -> bool:
    """Closed, or torn with everything that matters."""
    if document.is_closed:
        return True
    sides = (("ПлательщикСчет", "ПлательщикРасчСчет"), ("ПолучательСчет", "ПолучательРасчСчет"))
    return all(document.get(*keys) for keys in (*ESSENTIAL, *sides))


def _torn(document: Block) -> Finding:
    message = say(
        "Документ оборван: нет «КонецДокумента», номера, даты, суммы или счетов.",
        "The document is torn: «КонецДокумента», its number, date, amount or accounts are missing.",
    )
    return Finding("torn_document", message, document.line, document=document)
