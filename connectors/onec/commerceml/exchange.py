"""Reading an exchange file: XML in a stream, one `Документ` at a time, never trusting what it says of itself.

A document type is refused, and with it every entity; so are nesting, texts and documents beyond what an exchange has.
Memory follows one document (in a `Контейнер`: its documents), not the file.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from xml.parsers import expat

from base.text import Text, say
from connectors.onec.refusal import FileRefusal

ROOT = "КоммерческаяИнформация"
DOCUMENTS = frozenset({"Документ", "ПодчиненныйДокумент"})
CONTAINER = "Контейнер"
# In a container the order is the document that the others belong to.
ORDER = "Заказ товара"
CHUNK_BYTES = 1 << 16
# Real exchanges stay under 20 levels and some kilobytes a value.
DEEPEST = 100
LONGEST_VALUE = 1 << 20
MOST_ELEMENTS = 500_000  # of one document: an order of 20,000 goods
_ENCODINGS = ("utf-8", "windows-1251", "cp866")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CUT = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)


@dataclass(frozen=True)
class Document:
    """One document as nested dicts: a value is text, a dict, or a list of them where an element repeats. An
    element's attributes are `@name`, its text beside them `#`."""

    values: dict[str, Any]
    line: int
    # The order it belongs to by where it stands: in a container, or inside another document.
    order_id: str = ""


@dataclass
class Header:
    """What the root says; `elements` counts what stands directly in it."""

    version: str = ""
    formed_at: str = ""
    elements: int = 0


class _Element:
    """An element being read; millions of them pass, so it has slots and no dict until it has children."""

    __slots__ = ("attributes", "children", "length", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str] | None) -> None:
        self.name = name
        self.attributes = attributes
        self.children: dict[str, Any] | None = None
        self.text = ""
        self.length = 0

    def value(self) -> Any:
        text = self.text.strip()
        if self.children is None and not self.attributes:
            return text
        values = {f"@{name}": value for name, value in (self.attributes or {}).items()}
        values.update(self.children or {})
        if text:
            values["#"] = text
        return values

    def take(self, name: str, value: Any) -> None:
        if self.children is None:
            self.children = {}
        known = self.children.get(name)
        if known is None:
            self.children[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            self.children[name] = [known, value]


class _Local(dict[str, str]):
    """Names without their prefix."""

    def __missing__(self, name: str) -> str:
        local = self[name] = name.rpartition(":")[2]
        return local


class Exchange:
    """One reading of a file; `documents()` may be iterated once."""

    def __init__(self, stream: BinaryIO, *, encoding: str | None = None) -> None:
        self.header = Header()
        self._stream = stream
        self._ready: deque[Document] = deque()
        self._local = _Local()
        self._depth = 0
        self._open: list[_Element] = []  # inside documents only
        self._lines: list[int] = []  # of the documents that are open
        self._elements = 0
        self._container: list[Document] | None = None
        stream.seek(0)
        head = stream.read(CHUNK_BYTES)
        stream.seek(0)
        self._parser = expat.ParserCreate(encoding or detect_encoding(head))
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def documents(self) -> Iterator[Document]:
        """The documents in the order they end in.

        Raises:
            FileRefusal: the file is damaged, cut, too deep, too long, or not CommerceML.
        """
        fed = 0
        while chunk := self._stream.read(CHUNK_BYTES):
            self._parse(chunk, False)
            fed += len(chunk)
            # A tag that doesn't end is kept whole by the parser.
            if fed - self._parser.CurrentByteIndex > LONGEST_VALUE:
                raise self._refusal("xml_too_long", _TOO_LONG)
            while self._ready:
                yield self._ready.popleft()
        self._parse(b"", True)
        while self._ready:
            yield self._ready.popleft()

    def _parse(self, chunk: bytes, is_last: bool) -> None:
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            if error.code in _CUT:
                raise self._refusal("damaged_xml", _CUT_OFF, error.lineno) from None
            raise self._refusal("damaged_xml", _DAMAGED, error.lineno, detail=expat.ErrorString(error.code)) from None

    # ── what the parser meets ───────────────────────────────────────────────────────────────────────────────────

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = self._local[name]
        depth = self._depth
        self._depth = depth + 1
        if depth >= DEEPEST:
            raise self._refusal("xml_too_deep", _TOO_DEEP)
        if attributes and any(len(value) > LONGEST_VALUE for value in attributes.values()):
            raise self._refusal("xml_too_long", _TOO_LONG)
        if depth < 2:
            self._begin(local, attributes, depth)
        if local in DOCUMENTS:
            self._begin_document()
        elif not self._open:
            if local == CONTAINER:
                self._container = []
            return
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise self._refusal("xml_too_long", _TOO_LONG)
        self._open.append(_Element(local, attributes or None))

    def _begin(self, name: str, attributes: dict[str, str], depth: int) -> None:
        """The root, or what stands directly in it."""
        self.header.elements += depth
        if depth == 0:
            if name != ROOT:
                raise self._refusal("not_commerceml", _FOREIGN)
            self.header.version = attributes.get("ВерсияСхемы", "")
            self.header.formed_at = attributes.get("ДатаФормирования", "")

    def _begin_document(self) -> None:
        self._lines.append(self._parser.CurrentLineNumber)
        if not self._open:
            self._elements = 0
            # Texts of what is passed over needn't reach us.
            self._parser.CharacterDataHandler = self._text

    def _text(self, text: str) -> None:
        element = self._open[-1]
        element.length += len(text)
        if element.length > LONGEST_VALUE:
            raise self._refusal("xml_too_long", _TOO_LONG)
        # Between elements there are only indents.
        if element.children is None or text.strip():
            element.text += text

    def _end(self, name: str) -> None:
        self._depth -= 1
        if not self._open:
            if self._container is not None and self._local[name] == CONTAINER:
                self._ready.extend(_tied(self._container))
                self._container = None
            return
        element = self._open.pop()
        if element.name in DOCUMENTS:
            self._finish(element)
        else:
            self._open[-1].take(element.name, element.value())

    def _finish(self, element: _Element) -> None:
        """A document is whole; one inside another belongs to that one, whose id stands before its parts."""
        outer = next((parent for parent in reversed(self._open) if parent.name in DOCUMENTS), None)
        outer_id = (outer.children or {}).get("Ид", "") if outer else ""
        found = Document(element.children or {}, self._lines.pop(), outer_id if isinstance(outer_id, str) else "")
        if self._container is not None:
            self._container.append(found)
        else:
            self._ready.append(found)
        if not self._open:
            self._parser.CharacterDataHandler = None

    def _refuse_doctype(self, *args: Any) -> None:
        raise self._refusal("xml_doctype", _DOCTYPE)

    def _refusal(self, code: str, what: Text, line: int = 0, **values: str) -> FileRefusal:
        line = line or self._parser.CurrentLineNumber
        told = say(what.ru, what.en, line=line, **values)
        return FileRefusal(code, told, _EXPORT_AGAIN, path=f"line {line}", bears=False)


def detect_encoding(head: bytes) -> str | None:
    """The encoding in which the root's name can be read, whatever the declaration says; None = as declared."""
    if head.startswith(_MARKS):
        return None
    return next((name for name in _ENCODINGS if ROOT.encode(name) in head), None)


def _tied(documents: list[Document]) -> Iterator[Document]:
    """The documents of a container, each with the container's order."""
    order_id = next((each.values.get("Ид", "") for each in documents if each.values.get("ХозОперация") == ORDER), "")
    for each in documents:
        is_order = each.values.get("ХозОперация") == ORDER
        yield each if is_order or each.order_id else Document(each.values, each.line, order_id)


_EXPORT_AGAIN = say(
    "Выгрузите обмен заказами из 1С ещё раз; файл не загружен.",
    "Export the exchange of orders from 1C again; nothing of the file was loaded.",
)
_CUT_OFF = say(
    "Файл CommerceML обрывается на строке {line}: он выгружен или скачан не до конца.",
    "The CommerceML file breaks off at line {line}: it was not written or downloaded to its end.",
)
_DAMAGED = say(
    "Файл CommerceML повреждён на строке {line} ({detail}).",
    "The CommerceML file is damaged at line {line} ({detail}).",
)
_FOREIGN = say("Это не обмен CommerceML.", "This is no CommerceML exchange.")
_DOCTYPE = say(
    "В файле есть DOCTYPE (строка {line}): 1С такого не пишет, а сущности XML опасны.",
    "The file has a DOCTYPE (line {line}): 1C writes none, and XML entities are dangerous.",
)
_TOO_DEEP = say("Слишком много вложенных уровней XML (строка {line}).", "The XML is nested too deep (line {line}).")
_TOO_LONG = say(
    "Слишком длинное значение или документ (строка {line}).", "A value or a document is too long (line {line})."
)
