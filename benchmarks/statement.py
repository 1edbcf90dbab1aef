"""A bank statement of up to a gigabyte in a folder: landed and conformed, and the unchanged run after it.

`python -m benchmarks.statement --megabytes 1000`. The budget is 60 s and 500 MB for a gigabyte. Figures that bear
comparison on a shared machine are CPU seconds, helper processes included.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import duckdb

from benchmarks.measure import CLI, Cost, reference_seconds, run
from benchmarks.summary import US, Line, line_of

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024

CONFIG = """
[company]
timezone = "Europe/Moscow"

[sources.bank]
type = "onec"
path = "files"
"""

OWN = "40702810600000000101"
FIRST_ON = date(2025, 1, 1)
DAYS = 365
GOODS = ("оборудование", "монтаж и пусконаладку", "сервисное обслуживание", "запасные части", "проектирование")
# One in so many goes out: suppliers, fees.
OUTGOING_EVERY = 6

# Every key that banks fill, as one large bank orders them.
DOCUMENT = """СекцияДокумент={title}
Номер={number}
Дата={ordered}
Сумма={amount}
КвитанцияДата={booked}
КвитанцияВремя=00:00:00
КвитанцияСодержание=
ПлательщикСчет={payer}
ДатаСписано={debited}
Плательщик=ИНН {payer_tax_id} ООО "{payer_name}"
ПлательщикИНН={payer_tax_id}
ПлательщикКПП=770101001
Плательщик1=ООО "{payer_name}"
Плательщик2=
Плательщик3=
Плательщик4=
ПлательщикРасчСчет={payer}
ПлательщикБанк1=ПАО "УЧЕБНЫЙ БАНК"
ПлательщикБанк2=г. Пример
ПлательщикБИК=044599902
ПлательщикКорсчет=30101810000000000902
ПолучательСчет={payee}
ДатаПоступило={credited}
Получатель=ИНН {payee_tax_id} ООО "{payee_name}"
ПолучательИНН={payee_tax_id}
ПолучательКПП=770101001
Получатель1=ООО "{payee_name}"
Получатель2=
Получатель3=
Получатель4=
ПолучательРасчСчет={payee}
ПолучательБанк1=АО "ПРИМЕР-БАНК"
ПолучательБанк2=г. Пример
ПолучательБИК=044599901
ПолучательКорсчет=30101810000000000901
ВидПлатежа=Электронно
ВидОплаты=01
Код=0
СтатусСоставителя=
ПоказательКБК=
ОКАТО=
ПоказательОснования=
ПоказательПериода=
ПоказательНомера=
ПоказательДаты=
ПоказательТипа=
СрокПлатежа=
Очередность=5
НазначениеПлатежа={purpose}
НазначениеПлатежа1={purpose}
КонецДокумента
""".replace("\n", "\r\n")

HEAD = """1CClientBankExchange
ВерсияФормата=1.03
Кодировка=Windows
Получатель=1С:Предприятие
ДатаСоздания=02.01.2026
ВремяСоздания=09:15:00
ДатаНачала={first}
ДатаКонца={last}
РасчСчет={own}
СекцияРасчСчет
ДатаНачала={first}
ДатаКонца={last}
РасчСчет={own}
НачальныйОстаток=100000.00
ВсегоПоступило={came}
ВсегоСписано={left}
КонечныйОстаток={closing}
КонецРасчСчет
""".replace("\n", "\r\n")


def write_statement(path: Path, documents: int) -> None:
    """One year of an account's documents, about 1.4 KB each; its balances tie. The same count gives the same bytes."""
    came = sum((_amount(number) for number in range(documents) if not _is_outgoing(number)), Decimal(0))
    left = sum((_amount(number) for number in range(documents) if _is_outgoing(number)), Decimal(0))
    head = HEAD.format(
        own=OWN,
        first=_day(FIRST_ON),
        last=_day(FIRST_ON + timedelta(days=DAYS - 1)),
        came=came,
        left=left,
        closing=Decimal("100000.00") + came - left,
    )
    with path.open("wb") as file:
        file.write(head.encode("cp1251"))
        texts = _documents(documents)
        while chunk := "".join(islice(texts, 1_000)):
            file.write(chunk.encode("cp1251"))
        file.write("КонецФайла\r\n".encode("cp1251"))


def _documents(count: int) -> Iterator[str]:
    for number in range(count):
        day = FIRST_ON + timedelta(days=number * DAYS // count)
        out = _is_outgoing(number)
        other = f"407028104{number % 90_000:011}"
        other_tax_id, other_name = f"77{number % 90_000:08}", f"Покупатель {number % 90_000}"
        payer, payee = (OWN, other) if out else (other, OWN)
        yield DOCUMENT.format(
            title="Платежное поручение",
            number=number % 1_000_000 + 1,
            ordered=_day(day - timedelta(days=number % 3)),
            booked=_day(day),
            amount=_amount(number),
            payer=payer,
            payee=payee,
            debited=_day(day) if out else "",
            credited="" if out else _day(day),
            payer_tax_id="7701234567" if out else other_tax_id,
            payer_name="Пример" if out else other_name,
            payee_tax_id=other_tax_id if out else "7701234567",
            payee_name=other_name if out else "Пример",
            purpose=_purpose(number, day),
        )


def _purpose(number: int, day: date) -> str:
    goods = GOODS[number % len(GOODS)]
    vat = (_amount(number) * 22 / 122).quantize(Decimal("0.01"))
    issued, contract = _day(day - timedelta(days=9)), f"{number % 5_000}/{day.year % 100}"
    what = f"Оплата по счету № ТП00-{number:06} от {issued} за {goods} по договору № {contract}."
    return f"{what} Сумма {_amount(number)} руб. В т.ч. НДС (22%) {vat}"


def _amount(number: int) -> Decimal:
    return Decimal(1_000_00 + number * 7_919 % 90_000_000).scaleb(-2)  # two places always, as banks write them


def _is_outgoing(number: int) -> bool:
    return number % OUTGOING_EVERY == OUTGOING_EVERY - 1


def _day(day: date) -> str:
    return f"{day:%d.%m.%Y}"


def measure(megabytes: int, folder: Path) -> tuple[int, Cost, Cost]:
    """Load twice into an empty folder: the number of documents, and what either run cost.

    Raises:
        RunFailedError: the load failed.
        AssertionError: it ended well and doesn't hold every payment once.
    """
    size = len("".join(_documents(1_000)).encode("cp1251"))
    documents = megabytes * MEBIBYTE * 1_000 // size
    (folder / "files").mkdir()
    write_statement(folder / "files" / "kl_to_1c.txt", documents)
    (folder / "voronka.toml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-c", CLI, "--config", str(folder / "voronka.toml"), "sync"]
    costs = [
        run(command, cwd=ROOT, environment={"PYTHONPATH": str(ROOT)}, log=folder / f"{place}.log") for place in (1, 2)
    ]
    with duckdb.connect(str(folder / "var/warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*), sum(amount) FROM core.payments").fetchone()
    signed = ((-1 if _is_outgoing(number) else 1) * _amount(number) for number in range(documents))
    if found != (documents, sum(signed, Decimal(0))):
        raise AssertionError(f"{found} instead of {documents} payments")
    return documents, costs[0], costs[1]


def main(arguments: Sequence[str] | None = None) -> list[Line]:
    parser = argparse.ArgumentParser(description="A large bank statement: landed and conformed.")
    parser.add_argument("--megabytes", type=int, default=1_000, help="100 is the quick mode")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="voronka-benchmark-"))
    reference = reference_seconds()
    try:
        documents, first, second = measure(chosen.megabytes, folder)
    finally:
        shutil.rmtree(folder)
    print("| statement | documents | CPU s | wall s | peak RSS of all processes, MB | unchanged run, CPU s |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(
        f"| {chosen.megabytes:,} MB | {documents:,} | {first.cpu_seconds:.1f} | {first.wall_seconds:.1f}"
        f" | {first.peak_tree_rss / MEBIBYTE:.0f} | {second.cpu_seconds:.1f} |"
    )
    print(f"\nTen million additions in Python took {reference:.1f} CPU s before.")
    what = f"a bank statement of {chosen.megabytes:,} MB"
    return [line_of(what, US, documents, first), line_of(f"{what}, unchanged", US, documents, second)]


if __name__ == "__main__":
    main()
