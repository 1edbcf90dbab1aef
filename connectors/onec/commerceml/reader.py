"""CommerceML files of the folder as records, which wait until the file is read to its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import msgspec

from base.text import say
from base.times import to_micros
from connectors.onec.commerceml.exchange import Document, Exchange
from connectors.onec.commerceml.operations import operation_of
from connectors.onec.folder import FoundFile
from connectors.onec.kinds import COMMERCEML
from connectors.onec.reading import Judged
from connectors.onec.refusal import FileRefusal
from connectors.onec.settings import OnecSettings
from connectors.onec.sheets.spool import Spool
from connectors.stream import Reject

# Raised when the same file would be read differently.
READER_VERSION = 1


class CommercemlReader:
    """A `FileReader` of exchanges (see reading.py). A document's version is the moment its file was formed."""

    def __init__(self, settings: OnecSettings, zone: ZoneInfo) -> None:
        self.kinds = frozenset({COMMERCEML.code})
        self._encoding = settings.encoding
        self._zone = zone

    def fingerprint(self) -> str:
        return f"{READER_VERSION}|{self._encoding or ''}"

    def judge(self, file: FoundFile, stream: BinaryIO) -> Judged:
        """Nothing of a file that breaks off is loaded.

        Raises:
            FileRefusal: damaged, cut, dangerous, or without a single document.
        """
        exchange = Exchange(stream, encoding=self._encoding)
        waiting, rejects, count = Spool(), list[Reject](), 0
        for count, document in enumerate(exchange.documents(), 1):  # noqa: B007 - the last number counts
            record_id = record_id_of(document)
            if record_id is None:
                rejects.append(_without_id(file, document))
                continue
            version = formed_micros(exchange.header.formed_at, self._zone)
            waiting.add(record_id, payload(document), version, _day_of(document), str(document.line))
        if not count and exchange.header.elements:
            raise FileRefusal("no_documents", _NO_DOCUMENTS, _EXPORT_ORDERS, path="line 1", bears=False)
        return Judged(records=waiting.records(), rejects=rejects, bears=False)

    def complete_through(self, reach: Mapping[str, date]) -> date | None:
        """An exchange holds what has changed; it proves no day complete."""
        return None


def record_id_of(document: Document) -> str | None:
    """`order:1001`: ids of different kinds of documents may be equal."""
    own = document.values.get("Ид")
    if not isinstance(own, str) or not own:
        return None
    operation = operation_of(_text(document, "ХозОперация"))
    return f"{operation.purpose if operation else 'document'}:{own}"


def payload(document: Document) -> bytes:
    """The document as it is kept; the order it belongs to by its place is part of it."""
    place = {"_Заказ": document.order_id} if document.order_id else {}
    return msgspec.json.encode({**document.values, **place}, order="sorted")


def formed_micros(text: str, zone: ZoneInfo) -> int:
    """When a file was formed: a time without a zone, or a day; 0 = it doesn't say."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return 0
    return max(to_micros(moment if moment.tzinfo else moment.replace(tzinfo=zone)), 0)


def _day_of(document: Document) -> date | None:
    try:
        return date.fromisoformat(_text(document, "Дата")[:10])
    except ValueError:
        return None


def _text(document: Document, name: str) -> str:
    value: Any = document.values.get(name, "")
    return value if isinstance(value, str) else ""


def _without_id(file: FoundFile, document: Document) -> Reject:
    return Reject(
        record_id=f"{file.name}:{document.line}",
        code="no_id",
        message=say("У документа нет Ид.", "The document has no Ид."),
        path=f"line {document.line} Ид",
        payload=payload(document),
    )


_NO_DOCUMENTS = say(
    "В файле CommerceML нет ни одного документа: похоже, это каталог товаров или предложения.",
    "The CommerceML file has no document: it seems to be a catalogue of goods or offers.",
)
_EXPORT_ORDERS = say(
    "Выгрузите обмен заказами (обычно orders.xml или documents.xml), а этот файл уберите из папки.",
    "Export the exchange of orders (usually orders.xml or documents.xml), and take this file out of the folder.",
)
