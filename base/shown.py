"""What others wrote (a customer's name, a purpose of payment, a vendor's answer), made safe for where it is shown.

A terminal obeys escape sequences, a spreadsheet runs what begins with `=`, a page of Markdown takes backticks for its
own. None of it is needed to read a name.
"""

from __future__ import annotations

import re

# C0 and C1 controls, the marks that turn the direction of writing, and the two separators that end a line.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# `=`, `@`, a tab and a line end begin a formula; `+` and `-` do where more follows than a phone or a number.
FORMULA = re.compile(r"[=@\t\n]|[+-].*[^0-9 ().,/+-]", re.DOTALL)
QUOTE = "'"


def clean(value: object, *, keep_lines: bool = False) -> str:
    """A text without control characters, on one line unless its own lines are to be kept."""
    lines = str(value).split("\n") if keep_lines else [str(value)]
    return "\n".join(CONTROL.sub(" ", line) for line in lines)


def guard_cell(text: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula: an apostrophe stands before what would be one.

    A carriage return becomes a line feed: Python's writer does not quote it, and then no reader finds the line's end.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return QUOTE + text if FORMULA.match(text.removeprefix(QUOTE)) else text


def unguard_cell(text: str) -> str:
    """What `guard_cell` was given, but for carriage returns."""
    return text[1:] if text[:1] == QUOTE and FORMULA.match(text[1:].removeprefix(QUOTE)) else text


def fence(text: str) -> str:
    """A block of Markdown that shows the text as it is, whatever backticks it has."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}\n{clean(text, keep_lines=True)}\n{marks}"
