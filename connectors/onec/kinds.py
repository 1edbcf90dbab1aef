"""What a file of the folder is, by its content: a table, since names and extensions lie."""

from __future__ import annotations

import codecs
import re
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

from base.text import Text, say
from connectors.onec.archive import DAMAGED
from connectors.onec.refusal import FileRefusal

SIGNATURE = "1CClientBankExchange"
# Enough for a byte order mark, blank lines and the signature even in UTF-16, for an XML root behind a comment, and
# for the first lines of a table.
HEAD_BYTES = 4096


@dataclass(frozen=True)
class FileKind:
    """`is_statement`: the statement reader takes it. The label finishes the sentence "this is …"."""

    code: str
    label: Text
    is_statement: bool = False


STATEMENT = FileKind("statement", say("банковская выписка", "a bank statement"), is_statement=True)
XLSX = FileKind("xlsx", say("книга Excel (XLSX)", "an Excel workbook (XLSX)"))
XLS = FileKind("xls", say("книга старого Excel (XLS)", "an old Excel workbook (XLS)"))
CSV = FileKind("csv", say("таблица в виде текста (CSV)", "a table as text (CSV)"))
COMMERCEML = FileKind("commerceml", say("обмен заказами CommerceML", "an exchange of orders (CommerceML)"))
ENTERPRISE_DATA = FileKind(
    "enterprise_data", say("обмен EnterpriseData между базами 1С", "an EnterpriseData exchange between 1C databases")
)
ZIP = FileKind("zip", say("архив ZIP", "a ZIP archive"))
LOCKED = FileKind(
    "locked", say("документ Office, закрытый паролем", "an Office document that is protected by a password")
)
OLD_OFFICE = FileKind("doc", say("документ старого Office (DOC)", "an old Office document (DOC)"))
EMPTY = FileKind("empty", say("пустой файл", "an empty file"))
UNKNOWN = FileKind("unknown", say("файл неизвестного вида", "a file of an unknown kind"))
_OFFICE = FileKind("office", say("документ Office, но не таблица", "an Office document that is no table"))
_ODS = FileKind("ods", say("таблица OpenDocument (ODS)", "an OpenDocument table (ODS)"))
_SPREADSHEET_XML = FileKind("spreadsheet_xml", say("таблица XML Excel 2003", "an Excel 2003 XML table"))
_XML = FileKind("xml", say("документ XML", "an XML document"))
_HTML = FileKind("html", say("страница HTML", "an HTML page"))
_OLE = b"\xd0\xcf\x11\xe0"

# First bytes of what accountants put beside statements, by mistake or not.
_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x89PNG", FileKind("image", say("картинка PNG", "a PNG picture"))),
    (b"\xff\xd8\xff", FileKind("image", say("картинка JPEG", "a JPEG picture"))),
    (b"GIF8", FileKind("image", say("картинка GIF", "a GIF picture"))),
    (b"%PDF", FileKind("pdf", say("документ PDF", "a PDF document"))),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"Rar!", FileKind("archive", say("архив RAR", "a RAR archive"))),
    (b"7z\xbc\xaf", FileKind("archive", say("архив 7z", "a 7z archive"))),
    (b"\x1f\x8b", FileKind("archive", say("архив gzip", "a gzip archive"))),
    (b"MOXCEL", FileKind("mxl", say("таблица 1С (MXL)", "a 1C table (MXL)"))),
    (b"{\\rtf", _OFFICE),
)
# The first element of an XML document, or a name that only its beginning has.
_ROOTS: tuple[tuple[str, FileKind], ...] = (
    (r"<(?:\w+:)?КоммерческаяИнформация\b", COMMERCEML),
    (r"EnterpriseData|http://www\.1c\.ru/SSL/Exchange/Message", ENTERPRISE_DATA),
    (r"urn:schemas-microsoft-com:office:spreadsheet", _SPREADSHEET_XML),
    (r"<!DOCTYPE\s+html|<html\b|<table\b", _HTML),
    (r"<\?xml|<[\w:]+", _XML),
)


def sniff(head: bytes) -> FileKind:
    """The kind of a file by its first `HEAD_BYTES` bytes; of ZIP and old Office only the wrapping."""
    if not head.strip(b"\x00 \r\n\t"):
        return EMPTY
    text = _text_of(head)
    plain = text.lstrip("\ufeff \t\r\n")
    if plain.casefold().startswith(SIGNATURE.casefold()):
        return STATEMENT
    if head.startswith(_OLE):
        return XLS
    raw = head.removeprefix(codecs.BOM_UTF8).lstrip()
    found = next((kind for magic, kind in _MAGIC if raw.startswith(magic)), None)
    if found is not None:
        return found
    if plain.startswith("<"):
        return _xml_kind(head)
    return CSV if _is_table(head) else UNKNOWN


def identify(head: bytes, stream: BinaryIO | None) -> FileKind:
    """The kind of a file by its first `HEAD_BYTES` bytes and, where these only show a wrapping, by what is inside.

    Raises:
        FileRefusal: a ZIP that is damaged.
    """
    kind = sniff(head)
    if stream is None:
        return kind
    if kind is ZIP:
        return _zip_kind(stream)
    return _ole_kind(stream) if kind is XLS else kind


def is_wrapping(kind: FileKind) -> bool:
    """The first bytes alone don't tell what it is."""
    return kind in (ZIP, XLS)


# ── looking closer ──────────────────────────────────────────────────────────────────────────────────────────────


def _text_of(head: bytes) -> str:
    """The signature is ASCII: any one-byte reading shows it, and UTF-16 carries a mark."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", errors="replace")
    return head.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def _xml_kind(head: bytes) -> FileKind:
    """Cyrillic root names need the document's own encoding: UTF-8, or cp1251 of older programs."""
    texts = [head.decode("utf-8", errors="replace"), head.decode("cp1251", errors="replace"), _text_of(head)]
    for pattern, kind in _ROOTS:
        if any(re.search(pattern, text, re.IGNORECASE) for text in texts):
            return kind
    return UNKNOWN


def _zip_kind(stream: BinaryIO) -> FileKind:
    try:
        with zipfile.ZipFile(stream) as archive:
            names = {name.casefold().replace("\\", "/") for name in archive.namelist()}
            is_open_document = "mimetype" in names and "content.xml" in names
    except DAMAGED:
        raise FileRefusal(
            "damaged_archive",
            say(
                "Файл XLSX или ZIP повреждён или скачан не до конца.",
                "The XLSX or ZIP file is damaged or was not downloaded to its end.",
            ),
            say("Выгрузите или скачайте его ещё раз.", "Export or download it again."),
        ) from None
    if "[content_types].xml" in names:
        return XLSX if any(name.startswith("xl/") for name in names) else _OFFICE
    return _ODS if is_open_document else ZIP


def _ole_kind(stream: BinaryIO) -> FileKind:
    """Old Office files keep their parts in a directory of UTF-16 names; a locked XLSX is wrapped the same way."""
    stream.seek(0)
    seen = b""
    kinds = [(LOCKED, "EncryptedPackage"), (XLS, "Workbook"), (XLS, "Book"), (OLD_OFFICE, "WordDocument")]
    while chunk := stream.read(1 << 20):
        window = seen[-64:] + chunk
        for kind, name in kinds:
            if name.encode("utf-16-le") in window:
                return kind
        seen = chunk
    return UNKNOWN


_DELIMITERS = (b";", b"\t", b",")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _is_table(head: bytes) -> bool:
    """Text in which one delimiter cuts several lines; a comma, which sentences have too, must cut all alike."""
    if head.startswith(_UTF16_MARKS):
        head = head.decode("utf-16", errors="ignore").encode()
    elif b"\x00" in head:
        return False
    if sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in head) > 0:
        return False
    # Quoted cells may hold line ends and any delimiter.
    bare = re.sub(rb'"[^"]*"', b'""', head)
    lines = [line for line in re.split(rb"\r\n|\n|\r", bare) if line.strip(b" ;,\t")]
    if len(head) >= HEAD_BYTES:
        lines = lines[:-1]
    for delimiter in _DELIMITERS:
        counts = [line.count(delimiter) for line in lines]
        if delimiter == b",":
            if len(counts) >= 2 and counts[0] >= 2 and len(set(counts)) == 1:
                return True
        elif sum(count >= 1 for count in counts) >= min(2, len(lines)) and max(counts, default=0) >= 2:
            return True
    return False
