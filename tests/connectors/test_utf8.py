"""Answers are checked to be text before anything of them is kept."""

from __future__ import annotations

import pytest

from connectors.decode import MANY_BYTES, check_utf8


@pytest.mark.parametrize("size", [1, MANY_BYTES])
@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xd0"])
def test_what_is_no_utf8_is_refused_in_small_and_large_answers(size: int, bad: bytes) -> None:
    """Large ones are checked by another library: a byte it let through would fail a whole batch when it is stored."""
    with pytest.raises(UnicodeDecodeError):
        check_utf8(b"a" * size + bad)


@pytest.mark.parametrize("size", [0, 1, MANY_BYTES])
def test_text_passes(size: int) -> None:
    check_utf8("Ж€𝄞a".encode() * size)
