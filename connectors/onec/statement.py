"""The text format `1CClientBankExchange`: bytes to headers, balance sections and documents.

One linear pass over lines, tolerant of what banks really write: keys in any order and case, duplicate keys, blank
lines, hard-wrapped values, missing end marks, several statements in one file. Unknown keys are kept. Nothing is
interpreted here; amounts and dates stay text.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from base.text import Text, say
from connectors.onec.kinds import SIGNATURE
from connectors.onec.refusal import FileRefusal
from connectors.onec.shapes import Scroll, Shapes

CHUNK_BYTES = 1 << 20
# The header's first lines, which tell one one-byte Cyrillic encoding from another.
HEADER_BYTES = 512

# A value of a statement has at most a few hundred characters, however it is wrapped. More is no statement's text, and
# reading on would take memory and time without end.
LONGEST_LINE = 1 << 20
LONGEST_VALUE = 1 << 16

DOWNLOAD_AGAIN = say("Скачайте выписку из банка ещё раз.", "Download the statement from the bank again.")


class StatementError(FileRefusal):
    """A file that can't be read as a statement as a whole: none of its documents load.

    `code` is stable (`damaged_text`, `not_a_statement`, …), `path` the place (`line 12`).
    """

    def __init__(self, code: str, what: Text, remedy: Text = DOWNLOAD_AGAIN, *, path: str = "") -> None:
        super().__init__(code, what, remedy, path=path)


@dataclass(slots=True)
class Block:
    """A header, balance section or document as written: canonical key -> value, empty values left out."""

    kind: Literal["header", "section", "document"]
    line: int  # of its first line, from 1
    part: int  # which statement of the file, from 0
    title: str = ""  # a document's kind: `Платежное поручение`
    values: dict[str, str] = field(default_factory=dict)
    accounts: list[str] = field(default_factory=list)  # a header's repeated `РасчСчет`
    is_closed: bool = False  # its end mark was there
    is_last: bool = False  # header only: `КонецФайла` of its statement was there
    strays: int = 0  # header only: lines of its statement that belong to nothing

    def get(self, *keys: str) -> str:
        """The first filled value of these keys, or `""`."""
        for key in keys:
            if value := self.values.get(key):
                return value
        return ""


# ── encoding ────────────────────────────────────────────────────────────────────────────────────────────────────


def detect_encoding(stream: BinaryIO) -> str:
    """The codec to read a statement with; bytes are believed before the header's `Кодировка`.

    Files that declare Windows and are UTF-8 are common; Cyrillic cp1251 or cp866 is practically never valid UTF-8.
    """
    stream.seek(0)
    head = stream.read(HEADER_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if _is_utf8(stream):
        return "utf-8-sig"
    as_dos = head.decode("cp866", errors="replace").casefold()
    return "cp866" if "кодировка=" in as_dos or "версияформата=" in as_dos else "cp1251"


def _is_utf8(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    stream.seek(0)
    try:
        while chunk := stream.read(CHUNK_BYTES):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class TextReader:
    """A stream's text from its beginning in pieces, every line ending in `\\n`; the stream stays open.

    Byte 0x98 has no meaning in cp1251 and would stop a strict reading. Lines end at CRLF, LF or CR only: a purpose
    may hold U+0085, U+2028 or a form feed.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        stream.seek(0)
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        # Line ends are found among bytes in a third of the time that it takes among characters.
        self._has_byte_ends = "\r\n".encode(encoding) == b"\r\n" and "\n".encode(encoding) == b"\n"
        self._ends = io.IncrementalNewlineDecoder(None, translate=True)

    def read(self) -> str:
        """The next piece; `""` at the end."""
        text = ""
        while not text:
            data = self._stream.read(CHUNK_BYTES)
            while data.endswith(b"\r") and (following := self._stream.read(1)):
                data += following
            if self._has_byte_ends and b"\r" in data:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            text = self._decoder.decode(data, final=not data)
            if not self._has_byte_ends:
                text = self._ends.decode(text, final=not data)
            if not data:
                break
        return text


# ── keys and marks ──────────────────────────────────────────────────────────────────────────────────────────────

# One spelling of each known key, whatever case a bank uses (`ПлательщикКорСчет`).
_SINGLE = (
    "ВерсияФормата Кодировка Отправитель Получатель Плательщик ДатаСоздания ВремяСоздания ДатаНачала ДатаКонца РасчСчет"
    " Документ НачальныйОстаток ВсегоПоступило ВсегоСписано КонечныйОстаток Номер Дата Сумма КвитанцияДата"
    " КвитанцияВремя КвитанцияСодержание ДатаСписано ДатаПоступило ВидПлатежа ВидОплаты КодНазПлатежа Код"
    " НазначениеПлатежа НазначениеПлатежа1 НазначениеПлатежа2 НазначениеПлатежа3 НазначениеПлатежа4 НазначениеПлатежа5"
    " НазначениеПлатежа6 СтатусСоставителя ПоказательКБК ОКАТО ПоказательОснования ПоказательПериода ПоказательНомера"
    " ПоказательДаты ПоказательТипа Очередность"
)
_OF_SIDE = "Счет РасчСчет ИНН КПП 1 2 3 4 Банк1 Банк2 БИК Корсчет"
KEYS = {key.casefold(): key for key in _SINGLE.split()} | {
    f"{side}{suffix}".casefold(): f"{side}{suffix}"
    for side in ("Плательщик", "Получатель")
    for suffix in _OF_SIDE.split()
}
_END_OF_FILE = "конецфайла"
# Marks by their casefolded spelling. The second end of file is what a writer leaves that encodes its last line
# as UTF-8 after a cp1251 body.
_MARKS = {
    SIGNATURE.casefold(): "signature",
    "секциярасчсчет": "section",
    "конецрасчсчет": "end",
    "секциядокумент": "document",
    "конецдокумента": "end",
    _END_OF_FILE: "eof",
    "КонецФайла".encode().decode("cp1251", errors="replace").casefold(): "eof",
}
# The bank's summary for a day in Kazakhstan's dialect: it repeats the payments.
REPEATING_TITLES = frozenset({"выписка"})


class _Parser:
    """The state machine: which block is open, and which value a wrapped line continues."""

    def __init__(self) -> None:
        self.header: Block | None = None
        self.block: Block | None = None
        # Raw spelling -> canonical key: a statement has some forty spellings and millions of lines.
        self.keys: dict[str, str] = {}
        # Where plain `Key=Value` lines go while a section or document is open.
        self.values: dict[str, str] | None = None
        self.last_key = ""
        self.part = -1

    @property
    def is_between(self) -> bool:
        """The header is read and no block is open."""
        return self.block is None and self.header is not None

    def feed(self, number: int, line: str) -> Block | None:
        """Take one line; gives the block that it finished, if any."""
        raw_key, equals, value = line.partition("=")
        if self.values is not None and equals and (known := self.keys.get(raw_key)):
            self.last_key = known
            if value := value.strip():
                self.values[known] = value
            return None
        key = raw_key.strip()
        folded = key.casefold()
        if mark := _MARKS.get(folded):
            return self._on_mark(mark, number, value.strip())
        if equals and (folded in KEYS or key.isidentifier() or "\ufffd" in key):
            canonical = self.keys[raw_key] = KEYS.get(folded, key)
            self._put(canonical, value.strip(), number)
        elif not line.isspace() and not _is_cut_mark(line, folded):
            self._continue(line.strip(), number)
        return None

    def finish(self) -> Block | None:
        done, self.block, self.values, self.last_key = self.block, None, None, ""
        return done

    def _on_mark(self, mark: str, number: int, title: str) -> Block | None:
        done = self.finish()
        if done is not None and mark == "end":
            done.is_closed = True
        if mark == "signature":
            self.part += 1
            self.header = self.block = Block("header", number, self.part)
        elif mark == "eof" and self.header is not None:
            self.header.is_last = True
        elif mark in ("section", "document"):
            kind: Literal["section", "document"] = "section" if mark == "section" else "document"
            self.block = Block(kind, number, self.part, title)
            self.values = self.block.values
        return done

    def _put(self, key: str, value: str, number: int) -> None:
        if self.block is None:
            self._stray()
            return
        self.last_key = key
        if self.block.kind == "header":
            _refuse_damaged(key, number)
            if key == "РасчСчет" and value:
                self.block.accounts.append(value)
                return
        # Of a key given twice the last filled value stands.
        if value:
            self.block.values[key] = value

    def _continue(self, text: str, number: int) -> None:
        if self.block is None or not self.last_key:
            self._stray()
        elif self.block.kind == "header":
            _refuse_damaged(text, number)
        else:
            before = self.block.values.get(self.last_key, "")
            if len(before) > LONGEST_VALUE:
                raise _endless(self.block, number)
            self.block.values[self.last_key] = f"{before} {text}".strip()

    def _stray(self) -> None:
        if self.header is not None:
            self.header.strays += 1


def _is_cut_mark(line: str, folded: str) -> bool:
    """The file was cut inside a mark: its last line has no end, and is the beginning of one."""
    return not line.endswith("\n") and any(mark.startswith(folded) for mark in _MARKS)


def _refuse_damaged(key: str, number: int) -> None:
    if "\ufffd" in key:
        raise StatementError(
            "damaged_text",
            say(
                "Русские буквы в файле испорчены: его пересохранили в неверной кодировке.",
                "The file's Russian letters are destroyed: it was saved anew in a wrong encoding.",
            ),
            path=f"line {number}",
        )


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────


def read_blocks(stream: BinaryIO, encoding: str, shapes: Shapes | None = None) -> Generator[Block, None, None]:
    """All blocks in the file's order, except documents that only repeat others.

    A header is given when its first section begins; its `is_last` and `strays` are set as reading goes on.

    Raises:
        StatementError: the text is damaged, or the signature is missing.
    """
    parser = _Parser()
    shapes = shapes or Shapes()
    scroll = Scroll(TextReader(stream, encoding).read)
    _skip_to_signature(scroll, parser)
    while True:
        document = scroll.peek_document() if parser.is_between else None
        if document is None:
            number, line = scroll.line, _take_line(scroll)
            done = parser.feed(number, line) if line else parser.finish()
            if done is not None and not _is_repeating(done):
                yield done
            if not line:
                return
        elif done := _read_at_once(document, scroll, parser, shapes):
            if not _is_repeating(done):
                yield done
        else:
            # Its mark opens a block, so the rest of it comes by lines too.
            parser.feed(scroll.line, _take_line(scroll))
            shapes.learn(document, parser.keys)


def _read_at_once(document: str, scroll: Scroll, parser: _Parser, shapes: Shapes) -> Block | None:
    found = shapes.read(document)
    if found is None:
        return None
    block = Block("document", scroll.line, parser.part, *found, is_closed=True)
    scroll.skip_document(document)
    return block


def _take_line(scroll: Scroll) -> str:
    line = scroll.take_line(LONGEST_LINE)
    if len(line) >= LONGEST_LINE:
        raise StatementError(
            "damaged_text",
            say(
                "Строка {number} длиннее {longest} знаков: это не текст выписки.",
                "Line {number} is longer than {longest} characters: this is no statement's text.",
                number=scroll.line - 1,
                longest=LONGEST_LINE,
            ),
            path=f"line {scroll.line - 1}",
        )
    return line


def _endless(block: Block, number: int) -> StatementError:
    return StatementError(
        "damaged_text",
        say(
            "Значение в разделе со строки {first} не кончается и на строке {number}: файл испорчен.",
            "A value of the section that begins at line {first} still goes on at line {number}: the file is damaged.",
            first=block.line,
            number=number,
        ),
        path=f"line {number}",
    )


def _skip_to_signature(scroll: Scroll, parser: _Parser) -> None:
    """Only blank lines and a byte order mark may stand before the signature."""
    while line := _take_line(scroll):
        number, text = scroll.line - 1, line.strip(_BLANK)
        if text.casefold() == SIGNATURE.casefold():
            parser.feed(number, text)
            return
        if text:
            raise _no_signature(number)
    raise _no_signature(1)


_BLANK = "\ufeff \t\r\n"


def _is_repeating(block: Block) -> bool:
    return block.kind == "document" and block.title.casefold() in REPEATING_TITLES


def _no_signature(number: int) -> StatementError:
    return StatementError(
        "not_a_statement",
        say(
            "Это не банковская выписка: первая строка не {signature}.",
            "This is no bank statement: its first line isn't {signature}.",
            signature=SIGNATURE,
        ),
        say(
            "Выгрузите из клиент-банка файл обмена с 1С (обычно kl_to_1c.txt).",
            "Export the exchange file for 1C from the bank's client (usually kl_to_1c.txt).",
        ),
        path=f"line {number}",
    )
