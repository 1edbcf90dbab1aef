"""Tables as text: the encoding and delimiter found out, newlines inside quoted cells kept, truncation noticed."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from base.text import Text, say
from connectors.onec.refusal import FileRefusal
from connectors.onec.sheets.table import Row, Table

HEAD_BYTES = 64 * 1024
DELIMITERS = (";", "\t", ",")
# A cell holds a purpose or an address; a longer one is a quote that was never closed.
LONGEST_CELL = 100_000
_EXPORT_AGAIN = say("Выгрузите таблицу ещё раз.", "Export the table again.")
# Frequent in any Russian table, and impossible in text read with the wrong one-byte encoding.
_RUSSIAN = re.compile(r"[а-яё]{3,}", re.IGNORECASE)
_ODD = re.compile(r"[└┴┬├─┼▒▓│┤╡╢╖Ђѓ‹ЌЏ¬]|[А-Я][а-я]?[А-Я]{2}[а-я]")


def open_text_table(stream: BinaryIO, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """The one table of a text file. Rows are numbered by their first line.

    Raises:
        FileRefusal: the text is damaged, or cut off inside a quoted cell.
    """
    codec = encoding or detect_encoding(stream)
    mark = delimiter or detect_delimiter(_head_text(stream, codec))

    def rows() -> Iterator[tuple[int, Row]]:
        stream.seek(0)
        text = io.TextIOWrapper(stream, encoding=codec, errors="replace", newline="")
        try:
            yield from _read_rows(text, mark)
        finally:
            text.detach()

    return Table("", rows)


def detect_encoding(stream: BinaryIO) -> str:
    """UTF-16 by its mark, UTF-8 if the whole text is valid, else cp1251, or cp866 where that reads as Russian.

    Raises:
        FileRefusal: the Russian letters were lost when the file was saved.
    """
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if _is_utf8(stream):
        if "\ufffd" in head.decode("utf-8", errors="ignore") or re.search(rb"\?{4,}[; ]\?{3,}", head):
            raise _damaged_text()
        return "utf-8-sig"
    scores = {codec: _russian_share(head.decode(codec, errors="replace")) for codec in ("cp1251", "cp866")}
    return max(scores, key=lambda codec: scores[codec])


def _russian_share(text: str) -> int:
    """How Russian a text reads: letters in words, less the boxes and mixed cases of a wrong encoding."""
    lower = sum(len(word) for word in re.findall(r"[А-ЯЁ]?[а-яё]{2,}|[А-ЯЁ]{3,}", text))
    return lower - 5 * len(_ODD.findall(text))


def _is_utf8(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    stream.seek(0)
    try:
        while chunk := stream.read(1 << 20):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def detect_delimiter(head: str) -> str:
    """The most frequent of `;`, tab and comma outside quotes, counted once a line so that decimal commas don't win."""
    bare = re.sub(r'"[^"]*"', "", head)
    lines = [line for line in re.split(r"\r\n|\n|\r", bare)[:200] if line.strip()]
    scores = {mark: (sum(mark in line for line in lines), max((line.count(mark) for line in lines), default=0))
              for mark in DELIMITERS}  # fmt: skip
    best = max(score[0] for score in scores.values())
    # A comma stands in texts and amounts: another mark that cuts most lines is the delimiter.
    return next((mark for mark in DELIMITERS if scores[mark][0] * 2 > best and scores[mark][0]), ";")


def _head_text(stream: BinaryIO, codec: str) -> str:
    stream.seek(0)
    return codecs.getincrementaldecoder(codec)("replace").decode(stream.read(HEAD_BYTES))


def _read_rows(text: io.TextIOWrapper, delimiter: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise _bad_quotes(line, error) from None


def _bad_quotes(line: int, error: csv.Error) -> FileRefusal:
    if "unexpected end" in str(error):
        what: Text = say(
            "Файл обрезан: последняя ячейка в кавычках не закончена. Ничего из него не загружено.",
            "The file is cut off: its last quoted cell has no end. Nothing of it was loaded.",
        )
        return FileRefusal("truncated", what, _EXPORT_AGAIN, path=f"line {line}", bears=False)
    what = say(
        "Строка {line}: лишняя или незакрытая кавычка; где кончается ячейка, понять нельзя.",
        "Line {line}: a quote too many or one not closed; where the cell ends can't be known.",
        line=line,
    )
    remedy = say(
        "Выгрузите таблицу в XLSX: там кавычки не мешают.", "Export the table as XLSX, where quotes do no harm."
    )
    return FileRefusal("bad_quotes", what, remedy, path=f"line {line}", bears=False)


def _damaged_text() -> FileRefusal:
    what = say(
        "Русские буквы в файле испорчены: его пересохранили в неверной кодировке.",
        "The Russian letters are damaged: the file was saved again in a wrong encoding.",
    )
    return FileRefusal("damaged_text", what, _EXPORT_AGAIN, path="line 1", bears=False)
