"""One statement of a file: what it states about itself, and what can be held against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from base.text import Text, say
from connectors.onec.integrity import Balance, Mismatch, read_balance
from connectors.onec.movements import clean_account, read_day
from connectors.onec.statement import DOWNLOAD_AGAIN, KEYS, Block, StatementError

SHOWN_MISMATCHES = 3
KNOWN_KEYS = frozenset(KEYS.values())


@dataclass(frozen=True)
class Finding:
    """Something wrong with a document or the file that doesn't keep the rest from loading."""

    code: str
    message: Text
    line: int = 0
    key: str = ""
    expected: str = ""
    got: str = ""
    document: Block | None = None


@dataclass
class Part:
    """One statement; a file made by joining several has as many."""

    header: Block
    # Own accounts: of the header and of the balance sections, since either may leave some out.
    accounts: set[str] = field(default_factory=set)
    sections: int = 0
    balances: list[Balance] = field(default_factory=list)
    documents: int = 0
    has_dates: bool = False
    is_torn: bool = False  # its last document or section has no end mark
    last_line: int = 0  # where its last document or section begins
    mismatches: list[Mismatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.accounts.update(clean_account(account) for account in self.header.accounts)

    def add_section(self, section: Block) -> None:
        self.sections += 1
        self.last_line = section.line
        self.is_torn = not section.is_closed
        if account := section.get("РасчСчет"):
            self.accounts.add(clean_account(account))
        balance = read_balance(section, _day_of(self.header, "ДатаКонца"))
        if balance is not None:
            self.balances.append(balance)

    @property
    def is_verified(self) -> bool:
        """Every own account has balances to check, and all of them tie."""
        checked = {balance.account for balance in self.balances if balance.is_checkable}
        return bool(checked) and checked >= self.accounts and not self.mismatches

    @property
    def interval(self) -> tuple[date, date] | None:
        """First and last day of the time in which the bank lists every document."""
        first_on, last_on = _day_of(self.header, "ДатаНачала"), _day_of(self.header, "ДатаКонца")
        first_on = first_on or min((balance.first_on for balance in self.balances), default=None)
        last_on = last_on or max((balance.last_on for balance in self.balances), default=None)
        return (first_on, last_on) if first_on and last_on else None

    @property
    def created_on(self) -> date | None:
        return _day_of(self.header, "ДатаСоздания")

    @property
    def created_at(self) -> datetime | None:
        """When the bank made the statement; naive, in whatever zone the bank lives."""
        if self.created_on is None:
            return None
        text = self.header.get("ВремяСоздания")
        try:
            return datetime.combine(self.created_on, datetime.strptime(text, "%H:%M:%S").time())  # noqa: DTZ007
        except ValueError:
            return datetime.combine(self.created_on, datetime.min.time())

    def complete_through(self, today: date) -> date | None:
        """The last day that can't grow any more, None if there is none. The day on which a statement was made (or is
        read, if it doesn't say) may still get documents."""
        if self.interval is None:
            return None
        first_on, last_on = self.interval
        through = min(last_on, (self.created_on or today) - timedelta(days=1))
        return through if through >= first_on else None


def _day_of(block: Block, key: str) -> date | None:
    try:
        return read_day(block.get(key))
    except ValueError:
        return None


def refuse_foreign(part: Part) -> None:
    """Orders on their way to the bank are no money, and a header without one readable key is no header."""
    is_readable = part.header.accounts or any(key in KNOWN_KEYS for key in part.header.values)
    if not is_readable and not part.sections:
        raise StatementError(
            "damaged_text",
            say("В заголовке выписки нет ни одного понятного поля.", "The statement's header has no readable field."),
            path=f"line {part.header.line}",
        )
    if part.documents and not part.sections and not part.has_dates:
        raise StatementError(
            "orders_not_executed",
            say(
                "Это платёжные поручения для отправки в банк (1c_to_kl), а не выписка: деньги ещё не двигались.",
                "These are payment orders on their way to the bank (1c_to_kl), not a statement: no money has moved.",
            ),
            say(
                "Положите сюда выписку из банка (kl_to_1c), а файл поручений уберите.",
                "Put the bank's statement (kl_to_1c) here and take the file of orders away.",
            ),
            path=f"line {part.header.line}",
        )


def findings_of(part: Part) -> Iterator[Finding]:
    """What is wrong with a statement that loads all the same."""
    if part.mismatches:
        yield Finding("balance_mismatch", _mismatch_text(part.mismatches), part.header.line)
    if not part.header.is_last and part.is_torn:
        yield Finding("torn_end", _TORN_END, part.header.line)
    elif not part.header.is_last and not part.is_verified:
        yield Finding("no_end_mark", _NO_END_MARK, part.header.line)
    if part.header.strays:
        message = say(
            "Строк вне документов и разделов: {count}; они пропущены.",
            "Lines outside of documents and sections: {count}; they were passed over.",
            count=part.header.strays,
        )
        yield Finding("stray_lines", message, part.header.line)


_TORN_END = say(
    "Файл обрывается на последнем документе. Суммы сходятся, но назначение платежа может быть неполным. Документы"
    " загружены. {remedy}",
    "The file breaks off in its last document. The sums tie, but that purpose may be incomplete. The documents were"
    " loaded. {remedy}",
    remedy=DOWNLOAD_AGAIN,
)
_NO_END_MARK = say(
    "Нет строки «КонецФайла», а остатков для проверки нет: полна ли выписка, неизвестно. Документы загружены. {remedy}",
    "The line «КонецФайла» is missing and there are no balances to check: nobody knows whether the statement is whole."
    " Its documents were loaded. {remedy}",
    remedy=DOWNLOAD_AGAIN,
)


def _mismatch_text(mismatches: Sequence[Mismatch]) -> Text:
    shown = mismatches[:SHOWN_MISMATCHES]
    more = len(mismatches) - len(shown)
    return say(
        "Суммы выписки не сходятся с её документами: {shown}{more}. Документы загружены. {remedy}",
        "The statement's sums differ from its documents: {shown}{more}. The documents were loaded. {remedy}",
        shown=_joined([mismatch.render() for mismatch in shown]),
        more=say(" и ещё {count}", " and {count} more", count=more) if more else "",
        remedy=DOWNLOAD_AGAIN,
    )


def _joined(texts: Sequence[Text]) -> Text:
    names = [f"t{place}" for place in range(len(texts))]
    template = "; ".join(f"{{{name}}}" for name in names)
    return say(template, template, **dict(zip(names, texts, strict=True)))
