"""A hundred wrong inputs, each with the words a person reads: one table a way in, through the real command or reader.

The table is the promise. A message that is lost, or turns into a traceback or another one, fails its own line; a new
message is added to the table on purpose.
"""

# ruff: noqa: E501 - a message stands on one line, as a person reads it

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.errors import SourceError
from demo.http import HttpResponse
from metrics.inputs.reader import read_inputs
from metrics.inputs.validate import validate
from tests.connectors.onec.onec_files import EXAMPLE, FILES
from tests.security.samples import sample
from tests.voronka.running import Run

CONFIG = """
[company]
timezone = "Europe/Moscow"
[sources.amo]
type = "amocrm"
base_url = "https://example.amocrm.ru"
token = "an-amocrm-token"
[sources.mango]
type = "mango"
api_key = "a-mango-key"
api_salt = "a-mango-salt"
[sources.files]
type = "onec"
path = "exports"
"""
COMPANY = "[company]\n"
MOSCOW = 'timezone = "Europe/Moscow"'

# ── configuration: what is put in the place of what, and the line that is told ──────────────────────────────────

IN_CONFIG: list[tuple[str, str, str]] = [
    (
        MOSCOW,
        "",
        'company.timezone: не указано: часовой пояс решает, какому дню и месяцу принадлежит запись; например "Europe/Moscow"',
    ),
    (MOSCOW, 'timezone = "Moscow"', "company.timezone: «Moscow»: нет такого часового пояса; пример: Europe/Moscow"),
    (MOSCOW, "timezone = 3", "company.timezone: нужно: строка в кавычках; стоит 3"),
    (
        MOSCOW,
        'timezone = "../../etc/passwd"',
        "company.timezone: «../../etc/passwd»: нет такого часового пояса; пример: Europe/Moscow",
    ),
    (COMPANY, '[company]\ncurrency = "руб"\n', "company.currency: «руб»: нужен код ISO 4217, например RUB"),
    (COMPANY, '[company]\ncurrency = "RUR"\n', "company.currency: «RUR»: нужен код ISO 4217, например RUB"),
    (COMPANY, '[company]\ncalendar = "US"\n', 'company.calendar: нужно: "RU" | "KZ" | "BY" | "UZ"; стоит «US»'),
    (COMPANY, '[company]\nlanguage = "de"\n', 'company.language: нужно: "ru" | "en"; стоит «de»'),
    (COMPANY, '[company]\nvat_mode = "без НДС"\n', 'company.vat_mode: нужно: "gross" | "net"; стоит «без НДС»'),
    (COMPANY, '[company]\nown_tax_ids = ["77012345"]\n', "company.own_tax_ids[0]: нужен ИНН из 9–14 цифр"),
    (
        COMPANY,
        '[company]\nown_tax_ids = "7701234567"\n',
        "company.own_tax_ids: нужно: список [строка в кавычках, …]; стоит «7701234567»",
    ),
    (COMPANY, '[company]\nlangauge = "ru"\n', "company.langauge: неизвестный ключ; возможно, «language»?"),
    (COMPANY, "[compny]\n", "compny: неизвестный ключ; возможно, «company»?"),
    (
        COMPANY,
        "[company\n",
        "ПАПКА/voronka.toml — не TOML: Expected ']' at the end of a table declaration (at line 2, column 9).",
    ),
    (
        COMPANY,
        "[company]\n[company]\n",
        "ПАПКА/voronka.toml — не TOML: Cannot declare ('company',) twice (at line 3, column 9).",
    ),
    (
        COMPANY,
        "company = 5\n",
        "timezone: неизвестный ключ; известны: company, warehouse, publish, inputs, rules, metrics, tokens, sources",
    ),
    (
        COMPANY,
        "[warehouse]\npath = 'a.duckdb'\nraw_path = 'a.duckdb'\n[company]\n",
        "warehouse.raw_path: тот же файл, что warehouse.path",
    ),
    (COMPANY, "[warehouse]\npath = ''\n[company]\n", "warehouse.path: пустой путь"),
    (COMPANY, "[warehouse]\npath = 7\n[company]\n", "warehouse.path: нужно: строка в кавычках; стоит 7"),
    (COMPANY, "[publish]\npath = 'var/warehouse.duckdb'\n[company]\n", "publish.path: тот же файл, что и рабочая база"),
    (
        COMPANY,
        "[publish]\npersonal_data = 'скрыть'\n[company]\n",
        'publish.personal_data: нужно: "full" | "masked" | "none"; стоит «скрыть»',
    ),
    (COMPANY, "[rules]\nsla_minutes = -1\n[company]\n", "rules.sla_minutes: -1: не может быть меньше нуля"),
    (COMPANY, "[rules]\nsla_minuts = 15\n[company]\n", "rules.sla_minuts: неизвестный ключ; возможно, «sla_minutes»?"),
    (COMPANY, '[rules]\ndup_days = "тридцать"\n[company]\n', "rules.dup_days: нужно: целое число; стоит «тридцать»"),
    (
        COMPANY,
        "[rules]\npaid_threshold = 1.5\n[company]\n",
        "rules.paid_threshold: 1.5: нужна доля больше 0 и не больше 1",
    ),
    (COMPANY, "[tokens]\nstore = 'sqlite'\n[company]\n", 'tokens.store: нужно: "file" | "keyring"; стоит «sqlite»'),
    (
        COMPANY,
        "[tokens]\npassphrase_file = 'no-such-file'\n[company]\n",
        "tokens.passphrase_file: не читается ПАПКА/no-such-file: No such file or directory",
    ),
    (
        "[sources.amo]",
        "[sources.'amo\"; DROP TABLE x']",
        'sources."amo"; DROP TABLE x": имя источника — до 40 латинских букв, цифр, _ и -, начиная с буквы',
    ),
    (
        "[sources.amo]",
        "[sources.амо]",
        "ПАПКА/voronka.toml — не TOML: Invalid initial character for a key part (at line 4, column 10).",
    ),
    ("[sources.amo]", "[sources]\namo2 = 1\n[sources.amo]", "sources.amo2: нужна таблица [sources.amo2]"),
    ('type = "amocrm"', "", "sources.amo.type: не указано; известны: amocrm, bitrix24, mango, onec, zadarma"),
    (
        'type = "amocrm"',
        'type = "amo"',
        "sources.amo.type: «amo»: известные типы: amocrm, bitrix24, mango, onec, zadarma",
    ),
    ('type = "amocrm"', "type = 1", "sources.amo.type: не указано; известны: amocrm, bitrix24, mango, onec, zadarma"),
    ('base_url = "https://example.amocrm.ru"', "", "sources.amo.base_url: не указано"),
    (
        'base_url = "https://example.amocrm.ru"',
        'base_url = "example.amocrm.ru"',
        "sources.amo.base_url: нужен адрес вида https://example.ru",
    ),
    (
        'base_url = "https://example.amocrm.ru"',
        'base_url = "file:///etc/passwd"',
        "sources.amo.base_url: нужен адрес вида https://example.ru",
    ),
    (
        'base_url = "https://example.amocrm.ru"',
        'base_url = "https://[::1"',
        "sources.amo.base_url: нужен адрес вида https://example.ru",
    ),
    (
        'token = "an-amocrm-token"',
        "",
        "sources.amo.token: нет ни token (долгосрочный токен интеграции), ни client_id, client_secret, redirect_uri",
    ),
    ('token = "an-amocrm-token"', 'token = ""', "sources.amo.token: пусто"),
    ('token = "an-amocrm-token"', "token = 5", "sources.amo.token: нужна строка в кавычках"),
    (
        'token = "an-amocrm-token"',
        'token = "${AMO_TOKEN_NOBODY_SET}"',
        "sources.amo.token: нет переменной AMO_TOKEN_NOBODY_SET (ни в окружении, ни в .env рядом с конфигурацией)",
    ),
    ('token = "an-amocrm-token"', 'token = "${AMO-TOKEN}"', "sources.amo.token: ссылка на переменную пишется ${ИМЯ}"),
    (
        'token = "an-amocrm-token"',
        'token = "a"\nstart = "01.01.2026"',
        "sources.amo.start: «01.01.2026»: нужна дата ГГГГ-ММ-ДД",
    ),
    (
        'token = "an-amocrm-token"',
        'token = "a"\nstart = 2026',
        "sources.amo.start: нужно: строка в кавычках; стоит 2026",
    ),
    (
        'token = "an-amocrm-token"',
        'token = "a"\nrequests_per_second = 0',
        "sources.amo.requests_per_second: 0: нужно число больше нуля",
    ),
    (
        'token = "an-amocrm-token"',
        'token = "a"\nenabled = "да"',
        "sources.amo.enabled: нужно: true или false; стоит «да»",
    ),
    (
        'token = "an-amocrm-token"',
        'token = "a"\nfields = { invoice_numbr = "Счёт" }',
        "sources.amo.fields.invoice_numbr: неизвестный ключ; возможно, «invoice_number»?",
    ),
    ('api_salt = "a-mango-salt"', "", "sources.mango.api_salt: не указано"),
    (
        'api_salt = "a-mango-salt"',
        'api_salt = "a"\nrequests_per_second = 50',
        "sources.mango.requests_per_second: нужно: число, > 0, ≤ 10; стоит 50",
    ),
    ('path = "exports"', "", "sources.files.path: нужен path (папка выгрузок) или odata_url"),
    (
        'path = "exports"',
        'path = "exports"\nodata_url = "https://server/base"',
        "sources.files.odata_url: в одном источнике бывает или path, или odata_url: заведите второй источник",
    ),
    (
        'path = "exports"',
        'odata_url = "https://user:password@server/base"\nuser = "u"',
        "sources.files.odata_url: пользователь и пароль пишутся в user и password, а не в адрес",
    ),
    ('path = "exports"', 'path = "exports"\nwindow_days = 0', "sources.files.window_days: нужно целое число от 1"),
    (
        'path = "exports"',
        'path = "exports"\n[[sources.files.sheets]]\nfile = "a"',
        "sources.files.sheets[0].kind: не указано",
    ),
    ('path = "exports"', 'path = "exports"\nsheets = {}', "sources.files.sheets: нужно: список [таблица, …]; стоит {}"),
    (
        COMPANY,
        "[company]\nx = " + "9" * 5000 + "\n",
        "ПАПКА/voronka.toml не читается: слишком длинное число или слишком глубокие скобки.",
    ),
    (
        COMPANY,
        "[company]\nx = " + "[" * 3000 + "]" * 3000 + "\n",
        "ПАПКА/voronka.toml не читается: слишком длинное число или слишком глубокие скобки.",
    ),
    (
        'path = "exports"',
        'path = "exports"\n[[sources.files.sheets]]\nkind = "зарплата"',
        'sources.files.sheets[0].kind: нужно: "payments" | "orders" | "sales" | "costs" | "receivables"; стоит «зарплата»',
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), IN_CONFIG, ids=[f"{n}: {new[:40]!r}" for n, (_, new, _) in enumerate(IN_CONFIG, 1)]
)
def test_in_the_configuration(run: Run, tmp_path: Path, old: str, new: str, message: str) -> None:
    """Status 2, the key with its path, nothing done."""
    assert CONFIG.count(old) >= 1
    (tmp_path / "voronka.toml").write_text(CONFIG.replace(old, new, 1), "utf-8")
    result = run("sync")
    assert result.exit_code == 2
    assert _told(result.stderr).replace(str(tmp_path), "ПАПКА") == message
    assert not (tmp_path / "var").exists()


def _told(stderr: str) -> str:
    """The first problem named, else the sentence itself."""
    lines = stderr.splitlines()
    named = [line.removeprefix("  · ") for line in lines if line.startswith("  · ")]
    return (named or lines or [""])[0]


# ── command line ────────────────────────────────────────────────────────────────────────────────────────────────

ON_THE_COMMAND_LINE: list[tuple[str, str]] = [
    ("snyc", "нет команды snyc (sync?)"),
    ("sync --fulll", "нет параметра --fulll (--full?)"),
    ("sync nosuch", "Нет источника: nosuch."),
    ("sync --from вчера", "«вчера» — не дата; пишите ГГГГ-ММ-ДД, например 2026-11-30."),
    ("sync --from 2026-02-01 --to 2026-01-01", "--to раньше --from."),
    ("sync --wait много", "'--wait': неверное значение: нужно число от 0"),
    ("sync --wait -5", "'--wait': неверное значение: нужно число от 0"),
    ("recompute", "не указано: 'PERIOD…'"),
    ("recompute 2026-13", "Непонятный период «2026-13»."),
    ("recompute 2026-11..2026-01", "Непонятный период «2026-11..2026-01»."),
    ("kpi 2026-Q5", "Непонятный период «2026-Q5»."),
    ("kpi 2026-11 --by отдел", "'--by': неверное значение: нужно одно из: manager, team, company"),
    ("kpi 2026-11 --as-of 32.12.2026", "«32.12.2026» — не дата; пишите ГГГГ-ММ-ДД, например 2026-11-30."),
    ("funnel 2026-11 --form круглая", "'--form': неверное значение: нужно одно из: cohort, period"),
    ("explain 2026-11", "не указано: 'METRIC'"),
    ("metrics nosuch", "Нет метрики «nosuch»."),
    ("onec inspect nosuch.txt", "ПАПКА/nosuch.txt: файла нет."),
    ("onec inspect .", "ПАПКА: это папка."),
    ("sql --csv --json x", "--csv и --json вместе не бывают."),
    ("sync --config x.toml", "--config пишется перед командой: voronka --config … КОМАНДА"),
]


@pytest.mark.parametrize(("line", "message"), ON_THE_COMMAND_LINE, ids=[line for line, _ in ON_THE_COMMAND_LINE])
def test_on_the_command_line(run: Run, tmp_path: Path, line: str, message: str) -> None:
    """Status 2, one sentence in the user's language, nothing done."""
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    arguments = [str(tmp_path / part) if part in (".", "nosuch.txt") else part for part in line.split()]
    result = run(*arguments)
    assert result.exit_code == 2
    assert _told(result.stderr).replace(str(tmp_path), "ПАПКА") == message


# ── input files ─────────────────────────────────────────────────────────────────────────────────────────────────

IN_INPUTS: list[tuple[str, str, str]] = [
    ("people.csv", "", "people.csv:1: нет строки заголовков"),
    (
        "people.csv",
        "person_id,name,valid_from\npetrova,Петрова,\n",
        "people.csv:1: не хватает столбцов: team, role, grade, valid_to",
    ),
    (
        "people.csv",
        "person_id;name;team;role;grade;valid_from;valid_to;зарплата\n",
        "people.csv:1: лишние столбцы: зарплата",
    ),
    (
        "people.csv",
        "person_id,name,team,role,grade,valid_from,valid_to\n,Петрова,,,,,\n",
        "people.csv:2: person_id: нужно непустое значение, а стоит «»",
    ),
    (
        "people.csv",
        "person_id,name,team,role,grade,valid_from,valid_to\npetrova,Петрова,,,,31.02.2026,\n",
        "people.csv:2: valid_from: нужно дата ГГГГ-ММ-ДД, а стоит «31.02.2026»",
    ),
    (
        "people.csv",
        "person_id,name,team,role,grade,valid_from,valid_to\np,П,,,,2026-02-01,2026-01-01\n",
        "people.csv:2: кончается раньше, чем начинается",
    ),
    (
        "people.csv",
        "person_id,name,team,role,grade,valid_from,valid_to\np,П,,,,,\np,П,А,,,2026-01-01,\n",
        "people.csv:3: пересекается по датам со строкой 2",
    ),
    (
        "people.csv",
        "person_id,name,team,role,grade,valid_from,valid_to\np,П,,,,,,лишнее\n",
        "people.csv:2: значений больше, чем столбцов",
    ),
    (
        "people.csv",
        'person_id,name,team,role,grade,valid_from,valid_to\np,"П,,,,,\n',
        "people.csv:1: незакрытая кавычка",
    ),
    (
        "identities.csv",
        "person_id,source,external_id,valid_from,valid_to\nnobody,amo,1,,\n",
        "identities.csv:2: сотрудника nobody нет в people.csv",
    ),
    (
        "stages.csv",
        "source,pipeline_id,stage_id,name,position,kind,valid_from\namo,1,2,Этап,1,продажа,\n",
        "stages.csv:2: kind: нужно одно из: base, qualified, meeting, offer, invoice, won, lost, service, а стоит «продажа»",
    ),
    (
        "stages.csv",
        "source,pipeline_id,stage_id,name,position,kind,valid_from\namo,1,2,Этап,первый,won,\n",
        "stages.csv:2: position: нужно целое число, а стоит «первый»",
    ),
    (
        "stages.csv",
        "source,pipeline_id,stage_id,name,position,kind,valid_from\na,1,2,,1,won,\na,1,2,,1,won,\n",
        "stages.csv:3: повторяет строку 2",
    ),
    (
        "plans.csv",
        "period,entity_type,entity_id,metric,value\nноябрь,company,company,revenue_cash,1\n",
        "plans.csv:2: period: нужно один период: 2026-11, 2026-Q4, 2026-W47, 2026-11-16, а стоит «ноябрь»",
    ),
    (
        "plans.csv",
        "period,entity_type,entity_id,metric,value\n2026-11,company,company,revenue_cash,много\n",
        "plans.csv:2: value: нужно число, а стоит «много»",
    ),
    (
        "plans.csv",
        "period,entity_type,entity_id,metric,value\n2026-11,company,ООО,revenue_cash,1\n",
        "plans.csv:2: у плана компании entity_id = company",
    ),
    (
        "hours.csv",
        "team,weekday,opens,closes,timezone\nМосква,8,09:00,18:00,\n",
        "hours.csv:2: weekday: нужно день недели от 1 (понедельник) до 7, а стоит «8»",
    ),
    (
        "hours.csv",
        "team,weekday,opens,closes,timezone\nМосква,1,18:00,09:00,\n",
        "hours.csv:2: закрытие не позже открытия",
    ),
    (
        "hours.csv",
        "team,weekday,opens,closes,timezone\nМосква,1,9 утра,18:00,\n",
        "hours.csv:2: opens: нужно время ЧЧ:ММ, а стоит «9 утра»",
    ),
    ("calendar.csv", "date,hours\n2026-01-01,25\n", "calendar.csv:2: часов от 0 до 24"),
    ("rates.csv", "date,currency,rate\n2026-01-01,USD,0\n", "rates.csv:2: курс должен быть больше 0"),
    (
        "rates.csv",
        "date,currency,rate\n2026-01-01,доллар,90\n",
        "rates.csv:2: currency: нужно код валюты, например USD, а стоит «доллар»",
    ),
    (
        "splits.csv",
        "deal_source,deal_id,person_id,share,valid_from,valid_to\namo,1,p,0.6,,\n",
        "splits.csv:2: доли сделки 1 с … дают 0.6, а не 1",
    ),
    (
        "splits.csv",
        "deal_source,deal_id,person_id,share,valid_from,valid_to\namo,1,p,60,,\n",
        "splits.csv:2: share: нужно доля больше 0 и не больше 1, а стоит «60»",
    ),
    (
        "test_numbers.csv",
        "phone,reason\nтелефон,тест\n",
        "test_numbers.csv:2: phone: нужно телефонный номер, а стоит «телефон»",
    ),
    ("rates.csv", "PK\x03\x04\x00\x00", "rates.csv:1: это не текстовый файл"),
]


@pytest.mark.parametrize(
    ("name", "text", "message"), IN_INPUTS, ids=[f"{n}: {name}" for n, (name, _, _) in enumerate(IN_INPUTS, 1)]
)
def test_in_the_input_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    """File, line and what is expected there; other files are read on."""
    if name != "people.csv":
        header = "person_id,name,team,role,grade,valid_from,valid_to\n"
        (tmp_path / "people.csv").write_text(f"{header}p,Петрова,,,,,\n", "utf-8")
    (tmp_path / name).write_text(text, "utf-8")
    assert validate(read_inputs(tmp_path, "RU"))[0].render("ru") == message


# ── files of accountants ────────────────────────────────────────────────────────────────────────────────────────


def _zip(name: str, data: bytes, *, mode: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        made.writestr(info, data)
    return stream.getvalue()


def _exchange(entities: str, text: str) -> bytes:
    root = "КоммерческаяИнформация"
    declared = f'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE {root} [{entities}]>'
    return f'{declared}<{root} ВерсияСхемы="2.08"><Документ><Ид>{text}</Ид></Документ></{root}>'.encode()


CML = (FILES / "orders_cml208_utf8.xml").read_bytes()
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))

IN_FILES: list[tuple[str, bytes, str]] = [
    (
        "empty.txt",
        b"",
        "line 1: Это пустой файл, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "zeros.txt",
        bytes(500),
        "line 1: Это пустой файл, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "picture.txt",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "line 1: Это картинка PNG, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "invoice.pdf",
        b"%PDF-1.4\n",
        "line 1: Это документ PDF, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "letter.docx",
        _zip("word/document.xml", b"<w/>"),
        "line 1: Это документ XML, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "half.txt",
        EXAMPLE[: len(EXAMPLE) // 2],
        "line 98: Файл обрезан: нет строки «КонецФайла», и суммы не сходятся (по счёту …0101 за 02.02.2026–05.02.2026 поступило: в выписке 228250.50, по документам 183000.00). Ничего из него не загружено. Скачайте выписку из банка ещё раз.",
    ),
    (
        "utf8.txt",
        EXAMPLE.decode("utf-8", errors="replace").encode(),
        "line 2: Русские буквы в файле испорчены: его пересохранили в неверной кодировке. Скачайте выписку из банка ещё раз.",
    ),
    (
        "header.txt",
        b"1CClientBankExchange\r\n",
        "line 1: В заголовке выписки нет ни одного понятного поля. Скачайте выписку из банка ещё раз.",
    ),
    (
        "half.xml",
        CML[: len(CML) // 2],
        "line 69: Файл CommerceML обрывается на строке 69: он выгружен или скачан не до конца. Выгрузите обмен заказами из 1С ещё раз; файл не загружен.",
    ),
    (
        "laughs.xml",
        _exchange(f'<!ENTITY l0 "ха">{LAUGHS}', "&l9;"),
        "line 1: В файле есть DOCTYPE (строка 1): 1С такого не пишет, а сущности XML опасны. Выгрузите обмен заказами из 1С ещё раз; файл не загружен.",
    ),
    (
        "outside.xml",
        _exchange('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"),
        "line 1: В файле есть DOCTYPE (строка 1): 1С такого не пишет, а сущности XML опасны. Выгрузите обмен заказами из 1С ещё раз; файл не загружен.",
    ),
    (
        "page.xml",
        b"<!DOCTYPE html><html><body>login</body></html>",
        "line 1: Это страница HTML, а не банковская выписка и не таблица. Откройте его и сохраните как «Книга Excel (*.xlsx)».",
    ),
    (
        "bomb.zip",
        _zip("a.csv", bytes(30 << 20)),
        "Архив похож на «zip-бомбу»: файл «a.csv» сжат в 1028 раз. Ничего из архива не загружено. Распакуйте архив и положите файлы в папку.",
    ),
    (
        "out.zip",
        _zip("../../etc/cron.d/x", EXAMPLE),
        "x: Имя файла в архиве ведёт за его пределы: «../../etc/cron.d/x». Файл не прочитан. Обычные программы так не пишут: спросите, откуда архив.",
    ),
    (
        "link.zip",
        _zip("kl_to_1c.txt", b"/etc/passwd", mode=0o120777),
        "line 1: Это файл неизвестного вида, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "nested.zip",
        _zip("a.zip", _zip("b.txt", EXAMPLE)),
        "Это архив внутри архива. Распакуйте архив и положите файлы в папку.",
    ),
    (
        "torn.zip",
        _zip("a.txt", EXAMPLE)[:-30],
        "Файл XLSX или ZIP повреждён или скачан не до конца. Выгрузите или скачайте его ещё раз.",
    ),
    (
        "torn.xlsx",
        _zip("xl/workbook.xml", b"<workbook/>"),
        "line 1: Это документ XML, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "locked.xlsx",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "line 1: Это файл неизвестного вида, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
    (
        "columns.csv",
        "Товар;Цвет\nСтул;красный\n".encode("cp1251"),
        "line 1: Это файл неизвестного вида, а не банковская выписка и не таблица. Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите из папки.",
    ),
]


@pytest.mark.parametrize(("name", "content", "message"), IN_FILES, ids=[name for name, _, _ in IN_FILES])
def test_in_a_file_for_the_folder(run: Run, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """`voronka onec inspect` says what a sync would refuse, in the same words."""
    (tmp_path / "voronka.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / name).write_bytes(content)
    result = run("onec", "inspect", str(tmp_path / "exports" / name))
    assert result.exit_code == 1
    assert message in " ".join(result.output.split()).replace(str(tmp_path), "ПАПКА")


# ── answers of vendors ──────────────────────────────────────────────────────────────────────────────────────────

Change = Callable[[HttpResponse], HttpResponse]


def _answers(status: int = 200, body: bytes | None = None, **headers: str) -> Change:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: replace(
        answer, status=status, body=answer.body if body is None else body, headers={**answer.headers, **named}
    )


IN_ANSWERS: list[tuple[str, str, Change, str]] = [
    (
        "amocrm",
        "leads",
        _answers(401, b'{"title":"Unauthorized"}'),
        "vendor: amoCRM не принял токен (401): он отозван или истёк, интеграция выключена или пользователь отключён.",
    ),
    (
        "amocrm",
        "leads",
        _answers(403, b"<html>403 Forbidden</html>"),
        "vendor: amoCRM заблокировал IP-адрес или аккаунт за частые запросы (403).",
    ),
    ("amocrm", "leads", _answers(429, b""), "vendor: vendor.test ответил 429: "),
    (
        "amocrm",
        "leads",
        _answers(302, b"", Location="https://other.example"),
        "vendor: адрес аккаунта vendor.test изменился: сервер отсылает на other.example.",
    ),
    (
        "amocrm",
        "leads",
        _answers(200, b"<html>maintenance</html>"),
        "vendor: повреждённый ответ /api/v4/leads (JSON is malformed: invalid character (byte 0)): <html>maintenance</html>",
    ),
    (
        "amocrm",
        "leads",
        _answers(200, b'{"_embedded":{"leads":"all"}}'),
        "vendor: ответ /api/v4/leads не такой, как в документации: Expected `array | null`, got `str` - at `$._embedded.leads`",
    ),
    (
        "amocrm",
        "leads",
        _answers(200, b'{"_embedded":{"leads":[{"id":1,"name":"\xd0"}]}}'),
        'vendor: повреждённый ответ /api/v4/leads (\'utf-8\' codec can\'t decode byte 0xd0 in position 39: invalid continuation byte): {"_embedded":{"leads":[{"id":1,"name":"�"}]}}',
    ),
    (
        "bitrix24",
        "users",
        _answers(401, b'{"error":"expired_token"}'),
        "vendor: Битрикс24 не принял вебхук (expired_token): он удалён, изменён, истёк, или его владелец уволен. ",
    ),
    (
        "bitrix24",
        "users",
        _answers(403, b'{"error":"insufficient_scope"}'),
        "vendor: нет доступа (scope) для user.get: ",
    ),
    (
        "bitrix24",
        "users",
        _answers(200, b'{"result":7}'),
        "vendor: ответ user.get не такой, как в документации: Expected `array`, got `int`",
    ),
    ("mango", "users", _answers(403, b'{"code":3000}'), "vendor: Mango ответил 3000: неверный запрос"),
    (
        "mango",
        "users",
        _answers(200, b"[]"),
        "vendor: ответ /config/users/request не такой, как в документации: Expected `object`, got `array`",
    ),
    (
        "zadarma",
        "calls",
        _answers(401, b'{"status":"error","message":"Not authorized"}'),
        "vendor: vendor.test отказал (401): Not authorized",
    ),
    ("zadarma", "calls", _answers(500, b"oops"), "vendor: vendor.test ответил 500: oops"),
    ("onec_odata", "payments", _answers(401, b""), "vendor: 1С не пустила пользователя (401)."),
    (
        "onec_odata",
        "payments",
        _answers(200, b"<html>1C</html>"),
        "vendor: повреждённый ответ /base/odata/standard.odata/$metadata (no edmx document): <html>1C</html>",
    ),
    (
        "onec_odata",
        "payments",
        _answers(200, b'<?xml version="1.0" encoding="nonsense"?><edmx:Edmx/>'),
        'vendor: повреждённый ответ /base/odata/standard.odata/$metadata (unknown encoding: nonsense): <?xml version="1.0" encoding="nonsense"?><edmx:Edmx/>',
    ),
    (
        "onec_odata",
        "payments",
        _answers(200, b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "x">]><edmx:Edmx>&x;</edmx:Edmx>'),
        'vendor: повреждённый ответ /base/odata/standard.odata/$metadata (a document type is not allowed): <?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "x">]><edmx:Edmx>&x;</edmx:Edmx>',
    ),
]


@pytest.mark.parametrize(
    ("vendor", "stream", "change", "message"),
    IN_ANSWERS,
    ids=[f"{n}: {vendor}" for n, (vendor, *_) in enumerate(IN_ANSWERS, 1)],
)
def test_in_a_vendors_answer(vendor: str, stream: str, change: Change, message: str) -> None:
    """One error of the source, in words; every wait is on a clock that only waits move."""
    sampled = sample(vendor)
    with pytest.raises(SourceError) as caught:
        list(sampled.fetch(sampled.runtime(lambda number, answer: change(answer)), stream))
    assert caught.value.render("ru").splitlines()[0] == message


def test_there_are_a_hundred() -> None:
    tables: list[list[Any]] = [IN_CONFIG, ON_THE_COMMAND_LINE, IN_INPUTS, IN_FILES, IN_ANSWERS]
    assert sum(map(len, tables)) >= 100
