"""The text format `1CClientBankExchange`: bytes to headers, balance sections and documents.

One linear pass over lines, tolerant of what banks really write: keys in any order and case, duplicate keys, blank
lines, hard-wrapped values, missing end marks, several statements in one file. Unknown keys are kept. Nothing is
interpreted here; amounts and dates stay text.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, Literal

import msgspec

from base.text import Text, say
from connectors.onec.kinds import SIGNATURE
from connectors.onec.movements import Movement, payload_of
from connectors.onec.particulars import PARTICULARS, Particulars
from connectors.onec.refusal import FileRefusal
from connectors.onec.shapes import TITLE, Scroll, Shape, Shapes
from connectors.onec.statement_text import TextReader

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

    def particulars(self) -> Particulars:
        get = self.values.get
        return Particulars(*[get(key, "") for key in PARTICULARS.values()])

    def json(self) -> bytes:
        """A document's own keys, sorted."""
        return msgspec.json.encode({**self.values, TITLE: self.title}, order="sorted")

    def payload(self, movement: Movement) -> bytes:
        return payload_of(movement, self.json())


@dataclass(slots=True)
class ClosedDocument:
    """A document read at once: its end mark was there, and its values wait for whoever wants which."""

    line: int
    part: int
    shape: Shape
    values: tuple[str, ...]

    @property
    def title(self) -> str:
        return self.shape.title(self.values)

    def particulars(self) -> Particulars:
        return self.shape.particulars(self.values)

    def payload(self, movement: Movement) -> bytes:
        """What `movements.payload_of` makes of the document."""
        return self.shape.payload(self.values, movement)

    def json(self) -> bytes:
        """A document's own keys, sorted."""
        return self.shape.json(self.values)

    def block(self) -> Block:
        """The same document as it is read by lines."""
        filled = self.shape.filled(self.values)
        return Block("document", self.line, self.part, self.title, filled, is_closed=True)


Entry = Block | ClosedDocument


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


@lru_cache(maxsize=64)  # titles are few
def is_repeating(title: str) -> bool:
    return title.casefold() in REPEATING_TITLES


class Parser:
    """The state machine: which block is open, and which value a wrapped line continues."""

    def __init__(self, header: Block | None = None, keys: dict[str, str] | None = None) -> None:
        """`header`: of a statement whose documents come; `keys`: those met in other text."""
        self.header = header
        self.block: Block | None = None
        # Raw spelling -> canonical key: a statement has some forty spellings and millions of lines.
        self.keys: dict[str, str] = {} if keys is None else keys
        # Where plain `Key=Value` lines go while a section or document is open.
        self.values: dict[str, str] | None = None
        self.last_key = ""
        self.part = -1 if header is None else header.part

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

    def entries(self, scroll: Scroll, shapes: Shapes, *, is_last: bool = True) -> Generator[Entry, None, None]:
        """What there is from here to the end of the text, except documents that only repeat others.

        `is_last` False: more text comes, so what is open at the end stays open.
        """
        while True:
            if self.is_between:
                for line, shape, values in scroll.take_documents(shapes):
                    if not is_repeating(shape.title(values)):
                        yield ClosedDocument(line, self.part, shape, values)
            number = scroll.line
            if self.is_between and (document := scroll.peek_document()):
                # Its mark opens a block, so the rest of it comes by lines too.
                self.feed(number, _take_line(scroll))
                shapes.learn(document, self.keys)
            else:
                text = _take_line(scroll)
                if not text and not is_last:
                    return
                done = self.feed(number, text) if text else self.finish()
                if done is not None and not (done.kind == "document" and is_repeating(done.title)):
                    yield done
                if not text:
                    return

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
    for entry in read_entries(stream, encoding, shapes):
        yield entry if isinstance(entry, Block) else entry.block()


def read_entries(stream: BinaryIO, encoding: str, shapes: Shapes | None = None) -> Generator[Entry, None, None]:
    """What `read_blocks` gives, documents of a known order of keys as they were read at once."""
    parser = Parser()
    scroll = Scroll(TextReader(stream, encoding).read)
    skip_to_signature(scroll, parser)
    yield from parser.entries(scroll, shapes or Shapes())


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


def skip_to_signature(scroll: Scroll, parser: Parser) -> None:
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
