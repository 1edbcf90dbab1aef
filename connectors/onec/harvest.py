"""From documents to what is kept of them: movements in columns, sums by day, and what can't be read.

A harvest knows nothing of the documents before it, and its lines count from where it began: so stretches of a large
file are harvested side by side and judged in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from base.text import say
from connectors.onec.integrity import Ledger
from connectors.onec.kept import Kept, pack
from connectors.onec.movements import (
    DocumentError,
    Movement,
    OwnAccounts,
    common_movement,
    natural_key,
    read_movements,
    record_id,
)
from connectors.onec.particulars import Particulars
from connectors.onec.parts import Finding
from connectors.onec.payments import Payments
from connectors.onec.statement import Block, ClosedDocument, Entry
from connectors.stream import MapContext

# Harvested together: enough to be worth a block of the spool, few enough to be kept in memory.
STRETCH_DOCUMENTS = 512


class Transfer(NamedTuple):
    """A document between own accounts of one statement."""

    part: int
    line: int
    is_debited: bool
    is_credited: bool
    movements: list[Movement]  # out, in


@dataclass
class Harvest:
    """What consecutive documents of one statement gave. Lines count from 0, and the statement is number 0."""

    packed: bytes = b""
    keys: bytes = b""
    documents: int = 0
    last_line: int = 0
    has_dates: bool = False
    is_torn: bool = False  # the last document has no end mark
    ledger: Ledger = field(default_factory=Ledger)
    between: list[Transfer] = field(default_factory=list)  # in the ledger only once they are settled
    findings: list[Finding] = field(default_factory=list)

    def transfers(self, part: int, first_line: int) -> Iterator[Transfer]:
        for transfer in self.between:
            yield transfer._replace(part=part, line=first_line + transfer.line)

    def told(self, part: int, first_line: int) -> Iterator[Finding]:
        for finding in self.findings:
            document = finding.document
            if document is not None:
                document = replace(document, part=part, line=first_line + document.line)
            yield replace(finding, line=first_line + finding.line, document=document)


class Harvester:
    """Takes documents one after the other; `take_in` ends it. With `mapping` their payments are mapped on the way."""

    def __init__(self, own: OwnAccounts, mapping: MapContext | None = None) -> None:
        self.documents = 0
        self._own = own
        self._payments = Payments(mapping) if mapping is not None else None
        self._kept = Kept()
        self._found = Harvest()

    def take(self, document: Entry, line: int) -> None:
        """One document; `line` counts from where the harvest began."""
        self.documents += 1
        found = self._found
        found.last_line = line
        written = document.particulars()
        if isinstance(document, ClosedDocument) and (movement := common_movement(written, self._own)):
            found.has_dates, found.is_torn = True, False
            self._keep(line, movement, document.payload(movement), written)
            found.ledger.add(movement)
            return
        found.has_dates = found.has_dates or bool(written.debited or written.credited)
        found.is_torn = isinstance(document, Block) and not document.is_closed
        if found.is_torn and not _is_whole(written):
            found.findings.append(_torn(document, line))
            return
        try:
            movements = read_movements(written, self._own)
        except DocumentError as error:
            found.findings.append(_unreadable(document, line, error))
            return
        for movement in movements:
            self._keep(line, movement, document.payload(movement), written)
        if len(movements) > 1:
            found.between.append(Transfer(0, line, bool(written.debited), bool(written.credited), movements))
        else:
            found.ledger.add(movements[0])

    def _keep(self, line: int, movement: Movement, payload: bytes, written: Particulars) -> None:
        if self._payments is not None:
            self._payments.add(written, movement)
        kept, key = self._kept, natural_key(movement)
        kept.lines.append(line)
        kept.ids.append(record_id(movement, key))
        kept.payloads.append(payload)
        kept.days.append(movement.booked_on.toordinal())
        kept.own_accounts.append(movement.own_account)
        kept.directions.append(movement.direction)
        kept.keys.append(key)

    def take_in(self) -> Harvest:
        """All of it; the harvester begins anew."""
        found = self._found
        found.documents = self.documents
        if self._payments is not None:
            self._kept.payments = self._payments.take_in()
        found.packed, found.keys = pack(self._kept)
        self.documents, self._kept, self._found = 0, Kept(), Harvest()
        return found


def _is_whole(written: Particulars) -> bool:
    """A torn document is believed if everything that matters is there."""
    payer = written.payer_account or written.payer_real_account
    payee = written.payee_account or written.payee_real_account
    return all((written.number, written.ordered, written.amount, payer, payee))


def _torn(document: Entry, line: int) -> Finding:
    message = say(
        "Документ оборван: нет «КонецДокумента», номера, даты, суммы или счетов.",
        "The document is torn: «КонецДокумента», its number, date, amount or accounts are missing.",
    )
    return Finding("torn_document", message, line, document=_at(document, line))


def _unreadable(document: Entry, line: int, error: DocumentError) -> Finding:
    return Finding(error.code, error.message, line, error.key, error.expected, error.got, document=_at(document, line))


def _at(document: Entry, line: int) -> Block:
    block = document if isinstance(document, Block) else document.block()
    return replace(block, line=line)
