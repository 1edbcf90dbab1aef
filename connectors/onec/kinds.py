"""What a file of the folder is, by its first bytes: a table, since names and extensions lie."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from base.text import Text, say

SIGNATURE = "1CClientBankExchange"
# Enough for a byte order mark, blank lines and the signature, even in UTF-16.
HEAD_BYTES = 512


@dataclass(frozen=True)
class FileKind:
    """`is_statement`: the statement reader takes it. The label finishes the sentence "this is …"."""

    code: str
    label: Text
    is_statement: bool = False


STATEMENT = FileKind("statement", say("банковская выписка", "a bank statement"), is_statement=True)
EMPTY = FileKind("empty", say("пустой файл", "an empty file"))
UNKNOWN = FileKind("unknown", say("файл неизвестного вида", "a file of an unknown kind"))

# First bytes of what accountants put beside statements, by mistake or not.
_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x89PNG", FileKind("image", say("картинка PNG", "a PNG picture"))),
    (b"\xff\xd8\xff", FileKind("image", say("картинка JPEG", "a JPEG picture"))),
    (b"GIF8", FileKind("image", say("картинка GIF", "a GIF picture"))),
    (b"%PDF", FileKind("pdf", say("документ PDF", "a PDF document"))),
    (b"PK\x03\x04", FileKind("zip", say("архив ZIP или книга XLSX", "a ZIP archive or an XLSX workbook"))),
    (
        b"\xd0\xcf\x11\xe0",
        FileKind("xls", say("документ старого Office (XLS, DOC)", "an old Office document (XLS, DOC)")),
    ),
    (b"Rar!", FileKind("archive", say("архив RAR", "a RAR archive"))),
    (b"7z\xbc\xaf", FileKind("archive", say("архив 7z", "a 7z archive"))),
    (b"\x1f\x8b", FileKind("archive", say("архив gzip", "a gzip archive"))),
    (b"MOXCEL", FileKind("mxl", say("таблица 1С (MXL)", "a 1C table (MXL)"))),
    (b"<?xml", FileKind("xml", say("документ XML", "an XML document"))),
    (b"<", FileKind("html", say("страница HTML или XML", "an HTML or XML page"))),
)


def sniff(head: bytes) -> FileKind:
    """The kind of a file by its first `HEAD_BYTES` bytes."""
    if not head.strip(b"\x00 \r\n\t"):
        return EMPTY
    if _text_of(head).lstrip("\ufeff \t\r\n").casefold().startswith(SIGNATURE.casefold()):
        return STATEMENT
    plain = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return next((kind for magic, kind in _MAGIC if plain.startswith(magic)), UNKNOWN)


def _text_of(head: bytes) -> str:
    """The signature is ASCII: any one-byte reading shows it, and UTF-16 carries a mark."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", errors="replace")
    return head.removeprefix(codecs.BOM_UTF8).decode("latin-1")
