"""The text of a bank statement: which encoding it has, and its lines with one kind of end."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

CHUNK_BYTES = 1 << 20
# The header's first lines, which tell one one-byte Cyrillic encoding from another.
HEADER_BYTES = 512


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


def _with_plain_ends(data: bytes) -> bytes:
    bare = data.translate(None, b"\r")
    if len(data) - len(bare) == data.count(b"\r\n"):
        return bare  # the quicker way, where each CR stands before its LF
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class TextReader:
    """A stream's text in pieces, every line ending in `\\n`; the stream stays open.

    Byte 0x98 has no meaning in cp1251 and would stop a strict reading. Lines end at CRLF, LF or CR only: a purpose
    may hold U+0085, U+2028 or a form feed.
    """

    def __init__(self, stream: BinaryIO, encoding: str, *, held: bytes | None = None) -> None:
        """`held`: bytes that were read already; the stream is then read from where it stands."""
        if held is None:
            stream.seek(0)
        self._held = held or b""
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        # Line ends are found among bytes in a third of the time that it takes among characters.
        self._has_byte_ends = "\r\n".encode(encoding) == b"\r\n" and "\n".encode(encoding) == b"\n"
        self._ends = io.IncrementalNewlineDecoder(None, translate=True)

    def read(self) -> str:
        """The next piece; `""` at the end."""
        text = ""
        while not text:
            data, self._held = self._held or self._stream.read(CHUNK_BYTES), b""
            while data.endswith(b"\r") and (following := self._stream.read(1)):
                data += following
            if self._has_byte_ends and b"\r" in data:
                data = _with_plain_ends(data)
            text = self._decoder.decode(data, final=not data)
            if not self._has_byte_ends:
                text = self._ends.decode(text, final=not data)
            if not data:
                break
        return text
