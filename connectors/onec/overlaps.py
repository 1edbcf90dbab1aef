"""Statements of one account whose days overlap must agree: a later one holds whatever an earlier one held.

It doesn't when a day was exported in parts, when an export was filtered, or when the bank took a movement back. Which
of these it was no file says, so the payments stay and are told by name. Each day of a file is compared with the files
made just before and just after it; only files that share a day are opened again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec

from base.text import Text, say
from connectors.onec.folder import FoundFile
from connectors.onec.survey import StatementRecord, Survey
from connectors.stream import Json, Reject

SHOWN_PAYMENTS = 5
Day = tuple[str, date]  # own account and booked day
# The records of a file again; empty when it can't be read any more (which is told elsewhere).
Reread = Callable[[FoundFile], Iterator[StatementRecord]]


@dataclass(frozen=True)
class Span:
    """Days of an account for which a statement lists every document, and when it was made (Unix microseconds)."""

    account: str
    first_on: date
    last_on: date
    made: int

    def note(self) -> Json:
        return [self.account, self.first_on.isoformat(), self.last_on.isoformat(), self.made]

    @classmethod
    def of(cls, note: Json) -> Span:
        account, first_on, last_on, made = note
        return cls(account, date.fromisoformat(first_on), date.fromisoformat(last_on), made)

    def days(self) -> Iterator[date]:
        for number in range((self.last_on - self.first_on).days + 1):
            yield self.first_on + timedelta(days=number)


def spans_of(found: Survey, versions: Sequence[int]) -> list[Span]:
    """`versions`: when each statement of the file was made."""
    return [
        Span(account, *part.interval, made)
        for part, made in zip(found.parts, versions, strict=True)
        if part.interval is not None
        for account in sorted(part.accounts)
    ]


def disagreements(
    file: FoundFile, spans: Sequence[Span], others: Sequence[tuple[FoundFile, Json]], reread: Reread
) -> Iterator[Reject]:
    """What the earlier of two files holds on a shared day and the later one lacks, one reject a pair of files."""
    known = [(other, [Span.of(note) for note in notes]) for other, notes in others]
    for other, days in _neighbours(spans, known):
        made, made_other = _newest(spans, days), _newest(dict(known)[other], days)
        ours, theirs = _records(file, days, reread), _records(other, days, reread)
        if made_other <= made and (lost := theirs.keys() - ours.keys()):
            yield _reject(file, other, [theirs[key] for key in sorted(lost)])
        elif made_other >= made and (lost := ours.keys() - theirs.keys()):
            yield _reject(other, file, [ours[key] for key in sorted(lost)])


def _neighbours(
    spans: Sequence[Span], known: Sequence[tuple[FoundFile, list[Span]]]
) -> Iterator[tuple[FoundFile, set[Day]]]:
    """The files made just before and just after this one on each of its days, with those days."""
    found: dict[FoundFile, set[Day]] = defaultdict(set)
    for span in spans:
        rivals = [
            (rival.made, other, rival)
            for other, theirs in known
            for rival in theirs
            if rival.account == span.account and rival.first_on <= span.last_on and span.first_on <= rival.last_on
        ]
        if not rivals:
            continue
        rivals.sort(key=lambda rival: (rival[0], rival[1].name))
        for day in span.days():
            shared = [(made, other) for made, other, rival in rivals if rival.first_on <= day <= rival.last_on]
            before = [other for made, other in shared if made <= span.made]
            after = [other for made, other in shared if made > span.made]
            for other in (*before[-1:], *after[:1]):
                found[other].add((span.account, day))
    yield from found.items()


def _newest(spans: Sequence[Span], days: Collection[Day]) -> int:
    accounts = {account for account, _ in days}
    return max(span.made for span in spans if span.account in accounts)


def _records(file: FoundFile, days: Collection[Day], reread: Reread) -> dict[str, StatementRecord]:
    return {record.record_id: record for record in reread(file) if (record.own_account, record.booked_on) in days}


def _reject(newer: FoundFile, older: FoundFile, lost: Sequence[StatementRecord]) -> Reject:
    more = len(lost) - SHOWN_PAYMENTS
    message = say(
        "В выписке {newer} нет платежей, которые были в более ранней {older}: {payments}{more}. Они остаются учтёнными."
        " Если день выгружали по частям, выгрузите его целиком; если банк отменил платёж, сверьтесь с банком. Ненужный"
        " файл уберите из папки.",
        "The statement {newer} lacks payments that the earlier {older} had: {payments}{more}. They stay counted. If the"
        " day was exported in parts, export it whole; if the bank took the payment back, ask the bank. Take the file"
        " that isn't needed out of the folder.",
        newer=newer.name,
        older=older.name,
        payments=_named(lost[:SHOWN_PAYMENTS]),
        more=say(" и ещё {count}", " and {count} more", count=more) if more > 0 else "",
    )
    return Reject(
        record_id=f"{newer.name} / {older.name}",
        code="payments_missing_later",
        message=message,
        path=f"{older.name}:{lost[0].line}",
        expected=", ".join(record.record_id for record in lost[:SHOWN_PAYMENTS]),
    )


def _named(lost: Sequence[StatementRecord]) -> Text:
    texts = []
    for record in lost:
        document = msgspec.json.decode(record.payload)["document"]
        number, amount = document.get("Номер", "?"), document.get("Сумма", "?")
        day = f"{record.booked_on:%d.%m.%Y}"
        texts.append(
            say(
                "№ {number} от {day} на {amount}",
                "No. {number} of {day}, {amount}",
                number=number,
                day=day,
                amount=amount,
            )
        )
    names = [f"t{place}" for place in range(len(texts))]
    template = ", ".join(f"{{{name}}}" for name in names)
    return say(template, template, **dict(zip(names, texts, strict=True)))
