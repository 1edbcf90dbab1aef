"""The folder client: which stream reads which kind of file, and what is told about a file nobody reads."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from base.errors import ConfigError
from base.text import Text, say
from base.times import local_day
from connectors.onec.commerceml.reader import CommercemlReader
from connectors.onec.kinds import ENTERPRISE_DATA, LOCKED, FileKind
from connectors.onec.reading import PAGE_RECORDS, FileReader, FolderReading
from connectors.onec.refusal import FileRefusal
from connectors.onec.settings import OnecSettings
from connectors.onec.sheets.reader import SheetReader
from connectors.onec.statement_files import StatementReader
from connectors.stream import Client, Page, Request, Runtime


class OnecClient(Client):
    """Reads one folder; `settings.path` is absolute.

    Raises:
        ConfigError: an encoding nobody knows.
    """

    def __init__(self, settings: OnecSettings, runtime: Runtime, *, page_records: int = PAGE_RECORDS) -> None:
        self.settings = settings
        self.folder = Path(settings.path)
        self.zone = runtime.zone
        self._page_records = page_records
        self._clock = runtime.clock
        self._reached: dict[str, date] = {}
        self._check_encoding(runtime.source)
        # By stream; no two take the same kind.
        self.readers: dict[str, FileReader] = {
            "statements": StatementReader(
                settings, runtime.zone, lambda: self.today, runtime.state_dir, mapping=runtime.mapping
            ),
            "sheets": SheetReader(settings, runtime.zone, lambda: self.today, runtime.state_dir),
            "commerceml": CommercemlReader(settings, runtime.zone),
        }

    def now(self) -> datetime:
        return self._clock.now()

    @property
    def today(self) -> date:
        return local_day(self.now(), self.zone)

    @property
    def taken(self) -> frozenset[str]:
        """Codes of the kinds of files that some stream reads."""
        return frozenset().union(*(reader.kinds for reader in self.readers.values()))

    def fetch_statements(self, request: Request) -> Iterator[Page]:
        """Movements of bank statements; tells about files of no stream's kind, too.

        Raises:
            FileError: the folder isn't there or can't be listed.
        """
        return self.fetch_files("statements", request)

    def fetch_sheets(self, request: Request) -> Iterator[Page]:
        """Rows of tables.

        Raises:
            FileError: the folder isn't there or can't be listed.
        """
        return self.fetch_files("sheets", request)

    def fetch_commerceml(self, request: Request) -> Iterator[Page]:
        """Documents of CommerceML exchanges.

        Raises:
            FileError: the folder isn't there or can't be listed.
        """
        return self.fetch_files("commerceml", request)

    def fetch_files(self, stream: str, request: Request) -> Iterator[Page]:
        """Pages of one stream of files (`FolderReading.pages`).

        Raises:
            FileError: the folder isn't there or can't be listed.
        """
        reading = FolderReading(
            self.folder,
            self.readers[stream],
            request,
            zone=self.zone,
            page_records=self._page_records,
            refuse=refuse_kind if stream == "statements" else None,
            taken=self.taken,
            reached=self._reached,
        )
        return reading.pages()

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


# ── files that no stream reads ──────────────────────────────────────────────────────────────────────────────────

_SAVE_AS_TABLE = say(
    "Откройте его и сохраните как «Книга Excel (*.xlsx)».", "Open it and save it as an Excel workbook (*.xlsx)."
)
_EXPORT = say(
    "Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt) или таблицу из 1С в XLSX, а этот файл уберите"
    " из папки.",
    "Export the exchange file for 1C from the bank's client (usually kl_to_1c.txt), or a table from 1C as XLSX, and"
    " take this file out of the folder.",
)
# What to do about a file, by the code of its kind.
_REMEDIES: dict[str, Text] = {
    "archive": say(
        "Распакуйте его в папку или упакуйте в ZIP.", "Unpack it into the folder, or pack the files as ZIP."
    ),
    "mxl": say(
        "Сохраните таблицу из 1С в формате «Лист Excel2007-… (*.xlsx)».", "Save the table from 1C as Excel (*.xlsx)."
    ),
    "html": _SAVE_AS_TABLE,
    "ods": _SAVE_AS_TABLE,
    "spreadsheet_xml": _SAVE_AS_TABLE,
    "locked": say(
        "Откройте его и сохраните без пароля (Файл → Сведения → Защита книги).",
        "Open it and save it without a password (File → Info → Protect Workbook).",
    ),
    "enterprise_data": say(
        "Нужна выписка из банка (kl_to_1c.txt), обмен CommerceML или таблица из 1С в XLSX.",
        "A bank statement (kl_to_1c.txt), a CommerceML exchange or a table from 1C as XLSX is needed.",
    ),
}


def refuse_kind(kind: FileKind) -> FileRefusal:
    """What is told about a file of a kind that no stream reads."""
    what = say(
        "Это {kind}, а не банковская выписка и не таблица.",
        "This is {kind}, not a bank statement or a table.",
        kind=kind.label,
    )
    known = kind in (LOCKED, ENTERPRISE_DATA)
    code = {"locked": "encrypted"}.get(kind.code, kind.code) if known else "not_a_statement"
    return FileRefusal(code, what, _REMEDIES.get(kind.code, _EXPORT), path="line 1")
