"""The basic report: CSV without a header, legs of one entry put together, direction without a column."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from base.errors import ProtocolError
from base.times import MICROS, to_unix
from connectors.conversations import CALL_LEGS, CALLS
from connectors.mango.basic import FIELDS, fetch_basic_window, read_basic
from connectors.mango.fetch import fetch_calls
from connectors.mango.mapping import map_call
from connectors.mango.windows import Window
from connectors.stream import BadRecord, MapContext, RawRecord, Rows
from demo.mango import MangoWorld
from demo.mango.world import MangoCall

RESPONSES = Path(__file__).parent / "responses"
T = 1767254400

# Rows as the vendor writes them: talks, a transfer within one entry, a menu hang-up, an internal call.
EXAMPLE = f"""\
[];{T + 1};{T + 61};{T + 10};;79161234567;101;sip:ivanova@vpbx1.mangosip.ru;1110;QUJDMTIz;74951234567;abonent;{T}
[MToxMjM0,MToxMjM1];{T + 100};{T + 220};{T + 112};102;sip:petrov@vpbx1.mangosip.ru;;79037654321;1120;QUJDMTI0;74951234567;abonent;{T + 99}
[];{T + 300};{T + 331};0;;79161112233;;74951234567;1170;QUJDMTI1;74951234567;ivr;{T + 300}
[];{T + 400};{T + 430};0;;;101;sip:ivanova@vpbx1.mangosip.ru;1111;QUJDMTI2;74951234567;abonent;{T + 390}
[];{T + 430};{T + 500};{T + 440};;;102;sip:petrov@vpbx1.mangosip.ru;1110;QUJDMTI2;74951234567;abonent;{T + 390}
[];{T + 550};{T + 580};{T + 552};103;sip:orlov@vpbx1.mangosip.ru;;sip:petrov@vpbx1.mangosip.ru;1110;QUJDMTI3;;abonent;{T + 550}
"""  # noqa: E501 - rows of the report are as long as they are

USERS = {
    "1": b'{"general":{"user_id":1,"mobile":"+7 903 555-55-55","sips":[{"number":"ivanova@vpbx1.mangosip.ru"}]},'
    b'"telephony":{"extension":"101"}}',
    "2": b'{"general":{"user_id":2,"sips":[{"number":"petrov@vpbx1.mangosip.ru"}]},"telephony":{"extension":"102"}}',
}


def make_context():
    return MapContext(
        source="mango",
        settings=None,
        zone=ZoneInfo("Europe/Moscow"),
        country="RU",
        currency="RUB",
        dictionaries={"users": USERS},
    )


def conversations(text):
    """Map a whole report, as fetching would hand it on; rows by call id."""
    entries: dict[str, list] = {}
    for row in read_basic(httpx.Response(200, content=text.encode())).body:
        entries.setdefault(row["entry_id"], []).append(row)
    rows = Rows()
    context = make_context()
    for entry_id, legs in entries.items():
        payload = json.dumps({"entry_id": entry_id, "rows": legs}).encode()
        map_call(RawRecord(entry_id, payload, 1, 1), context, rows)
    return {row[0]: dict(zip(CALLS.columns, row, strict=True)) for row in rows.rows[CALLS]}, rows


def test_the_documented_rows_come_out_as_conversations():
    calls, rows = conversations(EXAMPLE)
    held = {
        key: (row["direction"], row["is_answered"], row["talk_seconds"], row["extension"], row["leg_count"])
        for key, row in calls.items()
    }
    assert held == {
        "QUJDMTIz": ("in", True, 51, "101", 1),
        "QUJDMTI0": ("out", True, 108, "102", 1),
        "QUJDMTI1": ("in", False, 0, None, 0),
        "QUJDMTI2": ("in", True, 60, "102", 2),  # keeping the first row only would lose the answer
        "QUJDMTI3": ("internal", True, 28, "102", 1),
    }
    assert calls["QUJDMTI0"]["external_number"] == "+79037654321"
    assert calls["QUJDMTI2"]["external_number"] is None
    assert calls["QUJDMTIz"] | {} == {
        "call_id": "QUJDMTIz",
        "started_at": (T + 1) * MICROS,
        "direction": "in",
        "external_number": "+79161234567",
        "external_number_raw": "79161234567",
        "line": "74951234567",
        "extension": "101",
        "user_id": "1",
        "is_answered": True,
        "talk_seconds": 51,
        "duration_seconds": 60,
        "leg_count": 1,
    }
    assert [row[5] for row in rows.rows[CALL_LEGS] if row[0] == "QUJDMTI2"] == ["101", "102"]


def row(**cells):
    values = dict.fromkeys(FIELDS, "") | {"records": "[]", "entry_id": "E", "answer": "0", "create": str(T)}
    values |= {"start": str(T), "finish": str(T + 60), "line_number": "74951234567", "from_number": "79161234567"}
    return ";".join((values | cells)[name] for name in FIELDS)


def one(*rows):
    calls, _ = conversations("\r\n".join(rows))
    return calls["E"]


def test_an_extension_keeps_its_leading_zeros():
    assert one(row(to_extension="0511", answer=str(T + 5)))["extension"] == "0511"


def test_a_talk_below_nothing_is_none():
    call = one(row(to_extension="101", answer=str(T + 70)))
    assert (call["is_answered"], call["talk_seconds"]) == (True, 0)


def test_a_redirect_to_an_employees_mobile_is_that_employees():
    call = one(row(to_extension="", to_number="79035555555", answer=str(T + 5)))
    assert (call["direction"], call["extension"], call["user_id"]) == ("in", "101", "1")


def test_an_employee_on_the_mobile_is_internal():
    assert one(row(from_number="79035555555", to_extension="102", answer=str(T + 5)))["direction"] == "internal"


def test_colleagues_asking_each_other_are_not_credited():
    """The consultation before a transfer is longer than the talk with the client, and nobody's success."""
    call = one(
        row(to_extension="101", answer=str(T + 5), finish=str(T + 25)),
        row(
            from_extension="101",
            from_number="sip:ivanova@vpbx1.mangosip.ru",
            to_extension="102",
            line_number="",
            start=str(T + 25),
            answer=str(T + 26),
            finish=str(T + 300),
        ),
    )
    assert (call["direction"], call["extension"], call["talk_seconds"], call["leg_count"]) == ("in", "101", 20, 2)


def test_a_transfer_of_an_outbound_call_stays_outbound():
    call = one(
        row(from_extension="101", to_number="79161234567", answer=str(T + 5), finish=str(T + 25)),
        row(to_extension="102", start=str(T + 25), answer=str(T + 30), finish=str(T + 90)),
    )
    assert (call["direction"], call["extension"], call["talk_seconds"]) == ("out", "102", 60)


def test_an_unanswered_attempt_is_its_callers():
    call = one(row(from_extension="101", from_number="", to_number="79161234567"))
    assert (call["direction"], call["is_answered"], call["extension"]) == ("out", False, "101")


@pytest.mark.parametrize(
    ("cells", "code"),
    [({"start": "x"}, "not_a_number"), ({"start": "0"}, "no_start"), ({"answer": "-1"}, "not_a_number")],
)
def test_a_bad_row_says_why(cells, code):
    with pytest.raises(BadRecord) as verdict:
        one(row(**cells))
    assert verdict.value.code == code


def test_a_row_with_a_cell_too_many_fails_loudly():
    """There is no escaping: a shifted row would put a number into the extension."""
    with pytest.raises(ProtocolError, match="Row 2"):
        read_basic(httpx.Response(200, content=(row() + "\r\n" + row() + ";x").encode()))


def test_a_recorded_answer_is_read():
    """Two rows as the vendor sent them: `\\r\\n`, no header, an empty called extension. It has the default columns."""
    recorded = (RESPONSES / "stats_result_default_columns.csv").read_bytes().decode()
    default = [name for name in FIELDS if name not in ("entry_id", "create")]
    lines = []
    for number, line in enumerate(recorded.splitlines()):
        cells = dict(zip(default, line.split(";"), strict=True)) | {"entry_id": f"E{number}", "create": ""}
        lines.append(";".join(cells[name] for name in FIELDS))
    calls, _ = conversations("\r\n".join(lines))
    held = [(call["direction"], call["is_answered"], call["talk_seconds"]) for call in calls.values()]
    assert held == [("internal", True, 19), ("internal", True, 16)]


@pytest.mark.parametrize("body", [b"", b"\r\n\r\n"])
def test_an_empty_body_is_a_window_without_calls(body):
    assert read_basic(httpx.Response(200, content=body)).body == []


# ── fetching ────────────────────────────────────────────────────────────────────────────────────────────────────


def basic_call(entry_id, created, *starts):
    rows = [
        {
            "records": "[]",
            "start": str(to_unix(start)),
            "finish": str(to_unix(start) + 30),
            "answer": "0",
            "from_number": "79161234567",
            "to_extension": "101",
            "disconnect_reason": "1110",
            "entry_id": entry_id,
            "line_number": "74951234567",
            "location": "abonent",
            "create": str(to_unix(created)),
        }
        for start in starts
    ]
    card = {"entry_id": entry_id, "context_start_time": to_unix(created)}
    return MangoCall(ended_at=to_unix(starts[-1]) + 30, card=card, rows=rows)


def test_an_account_without_extended_statistics_falls_back(make_server, make_client, ask):
    created = datetime(2026, 11, 5, 10, tzinfo=UTC)
    server = make_server(MangoWorld(calls=[basic_call("E", created, created)]), extended=False, preparation=7)
    pages = list(fetch_calls(make_client(server), ask()))
    assert [record for page in pages for record in page.ids] == ["E"]
    assert [page.cursors for page in pages if page.ids] == [[to_unix(created) * MICROS]]
    assert server.requests[0] == "POST /vpbx/stats/calls/request"
    assert server.wrong_requests == []
    assert all(page.complete_until for page in pages)
    assert pages[-1].position["until"] == int(pages[-1].complete_until.timestamp())


def test_a_call_over_midnight_of_a_window_is_whole_and_told_once(make_server, make_client, ask):
    """Its later leg starts in the next window: two halves under one id would overwrite each other."""
    created = datetime(2026, 11, 7, 20, 59, 30, tzinfo=UTC)  # 23:59:30 of the first window's last Moscow day
    later = created + timedelta(minutes=2)
    server = make_server(MangoWorld(calls=[basic_call("E", created, created, later)]))
    asked = ask(start=datetime(2026, 10, 31, 21, tzinfo=UTC))
    pages = list(fetch_calls(make_client(server, statistics="basic"), asked))
    assert [record for page in pages for record in page.ids] == ["E"]
    assert len(json.loads(pages[0].payloads[0])["rows"]) == 2


def test_the_same_call_read_twice_is_the_same_payload(make_server, make_client):
    """Otherwise every run would write every call of its overlap again."""
    created = datetime(2026, 11, 5, 10, tzinfo=UTC)
    call = basic_call("E", created, created, created + timedelta(minutes=1))
    server = make_server(MangoWorld(calls=[call]))
    client = make_client(server)
    window = Window(created - timedelta(hours=1), created + timedelta(hours=1))
    [first] = fetch_basic_window(client, window, window.end)
    call.rows.reverse()
    assert list(fetch_basic_window(client, window, window.end)) == [first]


def test_rows_without_an_id_are_calls_of_their_own(make_server, make_client):
    created = datetime(2026, 11, 5, 10, tzinfo=UTC)
    calls = [basic_call("", created + timedelta(minutes=place), created) for place in range(2)]
    client = make_client(make_server(MangoWorld(calls=calls)))
    window = Window(created - timedelta(hours=1), created + timedelta(hours=1))
    ids = [entry_id for entry_id, _, _ in fetch_basic_window(client, window, window.end)]
    assert len(set(ids)) == 2
    assert all(entry_id.startswith("row-") for entry_id in ids)
