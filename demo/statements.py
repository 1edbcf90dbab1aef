"""The story's money as a bank's client exports it: `1CClientBankExchange` files whose intervals overlap.

Accountants export a statement every two weeks and never from where the last one ended. The files are cp1251 with
CRLF, hold the habits of several banks (balances once or a day, card settlements with the wrong date key filled,
purposes cut into lines), and their balances tie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from zlib import crc32
from zoneinfo import ZoneInfo

from demo.story import Payment, Story

OVERLAP_DAYS = 3
LONGEST_PURPOSE = 210
PURPOSE_LINE = 70
ZERO = Decimal("0.00")

_BANKS = (
    ('ПАО "УЧЕБНЫЙ БАНК"', "044599902", "30101810000000000902"),
    ('БАНК "ОБРАЗЕЦ" (АО)', "044599903", "30101810000000000903"),
    ('АО "ТРЕНИРОВОЧНЫЙ"', "044599904", "30101810000000000904"),
)
_OWN_BANK = ('АО "ПРИМЕР-БАНК"', "044599901", "30101810000000000901")
# Cards, cash and fees go by bank order and not by payment order.
_BANK_ORDER_ACCOUNTS = ("30232", "30233", "47422", "47423", "60309", "70601")


@dataclass(frozen=True)
class _Line:
    """A payment as one own account's part of a statement shows it."""

    account: str
    payment: Payment
    amount: Decimal  # of this account: positive came in

    @property
    def other_account(self) -> str:
        return self.payment.payer_account


def write_statements(story: Story, folder: Path) -> list[Path]:
    """Write the statements of the story until the last complete day before `told_at`; deterministic.

    The folder is made if need be. Payments of the day the story is told on come in a file of their own, which ends
    on the day it was made. Days without payments are covered too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = story.told_at.astimezone(ZoneInfo(story.timezone))
    lines = _lines(story)
    paths = []
    for first_on, last_on, made_at in _intervals(story, told):
        path = folder / f"kl_to_1c_{first_on:%Y%m%d}_{last_on:%Y%m%d}.txt"
        text = "\r\n".join(_statement(story, lines, first_on, last_on, made_at)) + "\r\n"
        path.write_bytes(text.encode("cp1251", errors="replace"))
        paths.append(path)
    return paths


def _intervals(story: Story, told: datetime) -> Iterator[tuple[date, date, datetime]]:
    """Halves of months, each reaching some days into the next one; first and last day, and when it was made."""
    last_complete = told.date() - timedelta(days=1)
    days = [payment.paid_on for payment in story.payments if payment.paid_on <= told.date()]
    first_on = min([*days, last_complete]).replace(day=1)
    while first_on <= last_complete:
        next_on = first_on.replace(day=16) if first_on.day == 1 else (first_on + timedelta(days=20)).replace(day=1)
        last_on = min(next_on + timedelta(days=OVERLAP_DAYS - 1), last_complete)
        made_at = min(datetime.combine(last_on + timedelta(days=1), time(9, 15), told.tzinfo), told)
        yield first_on, last_on, made_at
        first_on = next_on
    if told.date() in days:
        yield told.date(), told.date(), told


def _lines(story: Story) -> list[_Line]:
    """Every payment on every own account it touches, by day."""
    lines = []
    for payment in sorted(story.payments, key=lambda payment: payment.paid_on):
        lines.append(_Line(story.own_account, payment, payment.amount))
        if payment.is_own_transfer and story.second_account:
            lines.append(_Line(story.second_account, payment, -payment.amount))
    return lines


def _accounts(story: Story) -> list[str]:
    return [account for account in (story.own_account, story.second_account) if account]


def _opening(story: Story, account: str, lines: list[_Line]) -> Decimal:
    """Balance before the first payment. The second account begins with what it will have to give."""
    if account == story.own_account:
        return story.opening_balance
    balance = lowest = ZERO
    for line in lines:
        if line.account == account:
            balance += line.amount
            lowest = min(lowest, balance)
    return -lowest


# ── one statement ───────────────────────────────────────────────────────────────────────────────────────────────


def _statement(story: Story, lines: list[_Line], first_on: date, last_on: date, made_at: datetime) -> Iterator[str]:
    yield "1CClientBankExchange"
    yield from _pairs(
        ("ВерсияФормата", "1.03"),
        ("Кодировка", "Windows"),
        ("Отправитель", "Пример Клиент-Банк"),
        ("Получатель", "1С:Предприятие"),
        ("ДатаСоздания", _day(made_at.date())),
        ("ВремяСоздания", f"{made_at:%H:%M:%S}"),
        ("ДатаНачала", _day(first_on)),
        ("ДатаКонца", _day(last_on)),
        *(("РасчСчет", account) for account in _accounts(story)),
    )
    shown = [line for line in lines if first_on <= line.payment.paid_on <= last_on]
    is_daily = first_on.day > 15
    for account in _accounts(story):
        mine = [line for line in lines if line.account == account]
        opening = _opening(story, account, lines)
        opening += sum((line.amount for line in mine if line.payment.paid_on < first_on), ZERO)
        yield from _sections(
            account, opening, [line for line in shown if line.account == account], first_on, last_on, is_daily
        )
    for account in _accounts(story):
        for line in shown:
            if line.account == account:
                yield from _document(story, line)
    yield "КонецФайла"


def _sections(
    account: str, opening: Decimal, lines: list[_Line], first_on: date, last_on: date, is_daily: bool
) -> Iterator[str]:
    """The account's balances: once for the interval, or for each day with movements as one large bank does."""
    groups: list[tuple[date, date, list[_Line]]] = [(first_on, last_on, lines)]
    if is_daily and lines:
        groups = [(day, day, list(group)) for day, group in groupby(lines, key=lambda line: line.payment.paid_on)]
    for begin, end, group in groups:
        came = sum((line.amount for line in group if line.amount > 0), ZERO)
        left = -sum((line.amount for line in group if line.amount < 0), ZERO)
        yield "СекцияРасчСчет"
        yield from _pairs(
            ("ДатаНачала", _day(begin)),
            ("ДатаКонца", _day(end)),
            ("РасчСчет", account),
            ("НачальныйОстаток", f"{opening:.2f}"),
            ("ВсегоПоступило", f"{came:.2f}"),
            ("ВсегоСписано", f"{left:.2f}"),
            ("КонечныйОстаток", f"{opening + came - left:.2f}"),
        )
        yield "КонецРасчСчет"
        opening += came - left


# ── one document ────────────────────────────────────────────────────────────────────────────────────────────────


def _document(story: Story, line: _Line) -> Iterator[str]:
    payment = line.payment
    is_bank_order = payment.payer_account.startswith(_BANK_ORDER_ACCOUNTS)
    came = line.amount > 0
    # Seen on real statements: incoming card money with the payer's date filled and no `ДатаПоступило` at all.
    has_odd_dates = came and is_bank_order
    yield f"СекцияДокумент={'Банковский ордер' if is_bank_order else 'Платежное поручение'}"
    yield from _pairs(
        ("Номер", payment.number),
        ("Дата", _day(payment.ordered_on or payment.paid_on)),
        ("Сумма", _amount(payment)),
    )
    booked = _day(payment.paid_on)
    ours, theirs = _own_side(story, line), _other_side(story, line)
    debited = booked if not came or has_odd_dates else ""
    yield from _side("Плательщик", theirs if came else ours, ("ДатаСписано", debited))
    if has_odd_dates:
        yield from _side("Получатель", ours, None)
    else:
        yield from _side("Получатель", ours if came else theirs, ("ДатаПоступило", booked if came else ""))
    yield from _pairs(
        ("ВидПлатежа", "Электронно"),
        ("ВидОплаты", "17" if is_bank_order else "01"),
        ("Код", "0"),
        ("СтатусСоставителя", ""),
        ("ПоказательКБК", ""),
        ("ОКАТО", ""),
        ("Очередность", "5"),
    )
    yield from _purpose(payment)
    yield "КонецДокумента"


@dataclass(frozen=True)
class _Party:
    name: str
    tax_id: str
    account: str
    bank: tuple[str, str, str]


def _own_side(story: Story, line: _Line) -> _Party:
    return _Party(story.name, story.tax_id, line.account, _OWN_BANK)


def _other_side(story: Story, line: _Line) -> _Party:
    payment = line.payment
    if payment.is_own_transfer and story.second_account:
        account = story.second_account if line.account == story.own_account else story.own_account
        return _Party(story.name, story.tax_id, account, _OWN_BANK)
    bank = _BANKS[crc32(payment.payer_account.encode()) % len(_BANKS)]
    return _Party(payment.payer, payment.payer_tax_id, payment.payer_account, bank)


def _side(side: str, party: _Party, booked: tuple[str, str] | None) -> Iterator[str]:
    bank, bank_code, correspondent = party.bank
    yield from _pairs(
        (f"{side}Счет", party.account),
        *([booked] if booked else []),
        (side, f"ИНН {party.tax_id} {party.name}" if party.tax_id else party.name),
        (f"{side}ИНН", party.tax_id),
        (f"{side}КПП", f"{party.tax_id[:4]}01001" if len(party.tax_id) == 10 else ""),
        (f"{side}1", party.name),
        (f"{side}РасчСчет", party.account),
        (f"{side}Банк1", bank),
        (f"{side}Банк2", "г. Пример"),
        (f"{side}БИК", bank_code),
        (f"{side}Корсчет", correspondent),
    )


def _purpose(payment: Payment) -> Iterator[str]:
    """On one line, or in pieces with the whole left empty, as some banks do."""
    text = " ".join(payment.purpose.split())[:LONGEST_PURPOSE]
    if crc32(f"{payment.number} {payment.paid_on}".encode()) % 6:
        yield f"НазначениеПлатежа={text}"
        return
    yield "НазначениеПлатежа="
    for place, piece in enumerate(_pieces(text), 1):
        yield f"НазначениеПлатежа{place}={piece}"


def _pieces(text: str) -> list[str]:
    """At most six lines, cut between words."""
    pieces = [""]
    for word in text.split():
        longer = f"{pieces[-1]} {word}".strip()
        if len(longer) > PURPOSE_LINE and pieces[-1] and len(pieces) < 6:
            pieces.append(word)
        else:
            pieces[-1] = longer
    return pieces


def _amount(payment: Payment) -> str:
    """Kopecks are optional in the format: whole roubles come with and without them."""
    amount = abs(payment.amount)
    is_whole = amount == amount.to_integral_value()
    return str(int(amount)) if is_whole and len(payment.number) % 2 else f"{amount:.2f}"


def _day(day: date) -> str:
    return f"{day:%d.%m.%Y}"


def _pairs(*pairs: tuple[str, str]) -> Iterator[str]:
    return (f"{key}={value}" for key, value in pairs)
