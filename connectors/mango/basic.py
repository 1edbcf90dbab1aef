"""The basic report: CSV without a header, one row a leg. The fall-back where a tariff refuses the extended one.

The rows of one `entry_id` are put together here, so that a raw record is one call as it is with the extended report.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b

import httpx
import msgspec

from base.errors import ProtocolError
from base.text import say
from base.times import to_unix
from connectors.mango.client import MangoClient, ReportAnswer, ReportKind
from connectors.mango.windows import Window

# Asked for by name: `entry_id` and `create` are absent by default, and the order of the columns is this one.
FIELDS = (
    "records",
    "start",
    "finish",
    "answer",
    "from_extension",
    "from_number",
    "to_extension",
    "to_number",
    "disconnect_reason",
    "entry_id",
    "line_number",
    "location",
    "create",
)
# The report has no pages: a week of a big PBX is still a bearable answer.
BASIC_WINDOW_DAYS = 7
# A call belongs to the window it was created in; its later legs may begin this long after the window's end.
LONGEST_CALL = timedelta(hours=6)
# Digits of Unix seconds that a calendar still knows.
LONGEST_TIME = 11

Row = dict[str, str]


def read_basic(response: httpx.Response) -> ReportAnswer[list[Row]]:
    """One look at a basic report. A ready one with an empty body has no calls.

    Raises:
        ProtocolError: a row has more or fewer cells than fields were asked for; there is no escaping, so a `;` inside
            a value can't be repaired.
    """
    if response.status_code == 404:
        return ReportAnswer("lost")
    if response.status_code != 200:
        return ReportAnswer("waiting")
    # Of bytes: text would also be split at separators that may stand inside a value.
    lines = [line.decode("utf-8", "replace") for line in response.content.splitlines()]
    return ReportAnswer("ready", [_read_row(number, line) for number, line in enumerate(lines, 1) if line.strip()])


def _read_row(number: int, line: str) -> Row:
    cells = [cell.strip() for cell in line.lstrip("\ufeff").split(";")]
    if len(cells) != len(FIELDS):
        raise ProtocolError(
            say(
                "Строка {number} отчёта Mango: {found} полей вместо {expected}",
                "Row {number} of Mango's report: {found} cells instead of {expected}",
                number=number,
                found=len(cells),
                expected=len(FIELDS),
            ),
            say("Сообщите разработчикам voronka.", "Tell voronka's developers."),
        )
    return dict(zip(FIELDS, cells, strict=True))


BASIC = ReportKind("stats/request", "stats/result", read_basic)


def fetch_basic_window(client: MangoClient, window: Window, latest: datetime) -> Iterator[tuple[str, int, bytes]]:
    """Calls created in a window: id, start in Unix seconds, and `{"entry_id", "rows"}` as JSON.

    Rows are put in order, so that the same call read twice is the same payload.
    """
    upper = min(window.end + LONGEST_CALL, max(latest, window.end))
    parameters = {
        "date_from": str(to_unix(window.start)),
        "date_to": str(to_unix(upper)),
        "fields": ",".join(FIELDS),
    }
    calls: dict[str, list[Row]] = {}
    for row in client.run_report(BASIC, parameters):
        calls.setdefault(row["entry_id"] or _own_id(row), []).append(row)
    first, last = to_unix(window.start), to_unix(window.end)
    for entry_id, rows in calls.items():
        created = min(_created(row) for row in rows)
        # A start that can't be read is no reason to lose the call: the mapping rejects it by name.
        if created == 0 or first <= created <= last:
            ordered = sorted(rows, key=lambda row: tuple(row.values()))
            yield entry_id, created, msgspec.json.encode({"entry_id": entry_id, "rows": ordered})


def _own_id(row: Row) -> str:
    """A leg without an id is a call of its own."""
    return "row-" + blake2b(";".join(row.values()).encode(), digest_size=8).hexdigest()


def _created(row: Row) -> int:
    """When the call began: of the group of legs where it is stated, else of this leg."""
    return _seconds(row["create"]) or _seconds(row["start"])


def _seconds(cell: str) -> int:
    """Unix time; 0 for what is none, which the mapping rejects by name."""
    return int(cell) if cell.isdecimal() and len(cell) <= LONGEST_TIME else 0
