"""Legs of one `pbx_call_id` to a conversation, and wall time to UTC."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.times import from_micros
from connectors.conversations import CALL_LEGS, CALLS
from connectors.stream import BadRecord, MapContext, RawRecord, Rows
from connectors.zadarma.legs import number_in_clid, read_wall_time, to_utc_seconds
from connectors.zadarma.mapping import USERS, map_call, map_extension

WARSAW = ZoneInfo("Europe/Warsaw")
T = 1767258000  # 12:00:00 on a clock at UTC+3
IN, OUT = "in_ae6b00000000000000000000000000000000bbbb", "out_2d7f00000000000000000000000000000000aaaa"
EXTENSIONS = dict.fromkeys(("100", "101", "102"), b"{}")
NUMBERS = {"74951234567": b"{}"}


def make_context(zone="Europe/Moscow", **dictionaries):
    return MapContext(
        source="zadarma",
        settings=None,
        zone=ZoneInfo(zone),
        country="RU",
        currency="RUB",
        dictionaries={"extensions": EXTENSIONS, "numbers": NUMBERS} | dictionaries,
    )


CONTEXT = make_context()


def leg(start=0, **cells):
    row = {
        "sip": "101",
        "clid": '"Client" <+79037654321>',
        "call_id": f"{T + start}.{1000 + start}",
        "seconds": 0,
        "callstart": datetime.fromtimestamp(T + start, ZoneInfo("Europe/Moscow")).strftime("%Y-%m-%d %H:%M:%S"),
        "destination": "74951234567",
        "disposition": "no answer",
        "is_recorded": "false",
        "pbx_call_id": IN,
    }
    return row | cells


def read(call_id, *rows, context=CONTEXT):
    made = Rows()
    payload = json.dumps({"call_id": call_id, "rows": rows}).encode()
    map_call(RawRecord(call_id, payload, 1, 1), context, made)
    [row] = made.rows[CALLS]
    legs = [dict(zip(CALL_LEGS.columns, one, strict=True)) for one in made.rows.get(CALL_LEGS, [])]
    return dict(zip(CALLS.columns, row, strict=True)) | {"legs": legs}


def held(call_id, *rows, context=CONTEXT):
    row = read(call_id, *rows, context=context)
    return row["direction"], row["is_answered"], row["talk_seconds"], row["extension"], row["leg_count"]


# ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_documented_rows_come_out_whole():
    out = leg(sip="100", clid="Ivanova (100)", seconds=65, destination=79161234567, disposition="answered")
    row = read(OUT, out)
    legs = row.pop("legs")
    assert row == {
        "call_id": OUT,
        "started_at": T * 1_000_000,
        "direction": "out",
        "external_number": "+79161234567",
        "external_number_raw": "79161234567",
        "line": None,
        "extension": "100",
        "user_id": "100",
        "is_answered": True,
        "talk_seconds": 65,
        "duration_seconds": 65,
        "leg_count": 1,
    }
    assert [(one["extension"], one["talk_seconds"]) for one in legs] == [("100", 65)]
    ring = [leg(300), leg(320, sip="102", seconds=40, disposition="answered")]
    assert held(IN, *ring) == ("in", True, 40, "102", 2)
    assert (read(IN, *ring)["external_number"], read(IN, *ring)["line"]) == ("+79037654321", "74951234567")


def test_a_queue_that_spans_the_call_adds_no_talk():
    """Published clients sum the legs' seconds and count the menu's twice."""
    rows = [
        leg(sip="0", seconds=90, disposition="answered", destination="5"),
        leg(10, seconds=30, disposition="answered"),
        leg(45, sip="102", seconds=45, disposition="answered"),
    ]
    assert held(IN, *rows) == ("in", True, 45, "102", 2)


def test_a_menu_or_voicemail_that_answers_is_no_person():
    assert held(IN, leg(sip="", seconds=40, disposition="answered")) == ("in", False, 0, None, 0)


def test_seconds_of_an_unanswered_leg_are_ringing():
    assert held(IN, leg(seconds=5, disposition="cancel")) == ("in", False, 0, None, 1)


def test_a_tie_goes_to_the_last_leg():
    rows = [leg(sip="100", seconds=40, disposition="answered"), leg(50, seconds=40, disposition="answered")]
    assert held(IN, *rows)[3] == held(IN, *reversed(rows))[3] == "101"


def test_an_attempt_is_its_callers():
    assert held(OUT, leg(sip="100", destination=79161234567, disposition="busy")) == ("out", False, 0, "100", 1)


@pytest.mark.parametrize(
    "disposition", ["busy", "cancel", "call failed", "failed", "no money, no limit", "new word", ""]
)
def test_only_answered_is_a_conversation(disposition):
    assert not read(OUT, leg(destination=79161234567, seconds=9, disposition=disposition))["is_answered"]


def test_a_phantom_leg_is_kept_raw_and_not_counted():
    """A callback leaves a failed trace under a second id."""
    phantom = leg(7, call_id="", sip="100", disposition="call failed", pbx_call_id="out_other")
    real = leg(sip="100", destination=79161234567, seconds=30, disposition="answered")
    assert held(OUT, real, phantom) == ("out", True, 30, "100", 1)
    assert held(OUT, phantom | {"destination": 79161234567})[:2] == ("out", False)  # alone it is a failed attempt


def test_colleagues_are_internal_and_own_numbers_too():
    assert held(OUT, leg(sip="100", destination=102, seconds=9, disposition="answered"))[0] == "internal"
    assert held(OUT, leg(sip="100", destination=74951234567, disposition="answered"))[0] == "internal"
    assert held(IN, leg(clid="Office <+74951234567>"))[0] == "internal"
    assert read(OUT, leg(sip="100", destination=102))["external_number_raw"] is None


def test_a_short_number_outside_the_pbx_is_outside():
    assert held(OUT, leg(sip="100", destination=112))[0] == "out"
    assert held(OUT, leg(sip="100", destination=112), context=make_context(extensions={}))[0] == "internal"


@pytest.mark.parametrize("clid", ["0", "", None, "anonymous", "Seller 1 (100)"])
def test_a_hidden_caller_is_a_call_without_a_number(clid):
    row = read(IN, leg(clid=clid, disposition="answered", seconds=9))
    assert (row["external_number"], row["is_answered"]) == (None, True)


def test_numbers_are_international_digits():
    """84951234567 is Vietnam here, Moscow in a CRM."""
    assert read(OUT, leg(destination=84951234567))["external_number"] == "+84951234567"
    assert read(OUT, leg(destination="+380989897908"))["external_number"] == "+380989897908"


def test_sip_may_hold_the_outside_party_or_the_pbx_id():
    assert read(IN, leg(sip="79037654321", clid=""))["external_number"] == "+79037654321"
    assert read(IN, leg(sip="1234-101", disposition="answered"))["extension"] == "101"


@pytest.mark.parametrize(
    ("row", "direction"),
    [
        (leg(sip="100", clid="Ivanova (100)", destination=79161234567), "out"),
        (leg(sip="101", clid="+79161234567"), "in"),
        (leg(sip="79161234567", clid=""), "in"),
        (leg(sip="100", clid="Ivanova (100)", destination=102), "internal"),
    ],
)
def test_rows_without_a_call_id_tell_their_direction_by_their_ends(row, direction):
    assert held("leg-1767258000.1000", row)[0] == direction


def test_what_tells_nothing_is_rejected():
    with pytest.raises(BadRecord) as verdict:
        read("leg-x", leg(sip="0", clid="", destination=""))
    assert verdict.value.code == "unknown_direction"


@pytest.mark.parametrize(
    ("cells", "code"), [({"callstart": "yesterday"}, "not_a_time"), ({"seconds": "x"}, "not_a_number")]
)
def test_a_bad_cell_says_why(cells, code):
    with pytest.raises(BadRecord) as verdict:
        read(IN, leg(**cells))
    assert verdict.value.code == code


def test_an_extension_is_a_user():
    rows = Rows()
    map_extension(RawRecord("100", b'{"number":"100","name":" Ivanova "}', 1, 1), CONTEXT, rows)
    assert rows.rows[USERS] == [("100", "Ivanova", None, "100", None, True, None)]


@pytest.mark.parametrize(
    ("clid", "number"),
    [
        ("Ivanova (100)", "100"),
        ("Company (48539923725)", "48539923725"),
        ('"Caller" <+48515637746>', "48515637746"),
        ("48539923725", "48539923725"),
        ("+7 (916) 123-45-67", "+7 (916) 123-45-67"),
        ("Seller 1 (100)", "100"),
        ("Seller 1", ""),
        (48539923725, "48539923725"),
        (None, ""),
    ],
)
def test_the_number_inside_a_clid(clid, number):
    """Removing all that is no digit from `Seller 1 (100)` gives 1100."""
    assert number_in_clid(clid) == number


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────


ZONES = st.sampled_from(["Europe/Warsaw", "Europe/Kyiv", "Asia/Kolkata", "Asia/Tashkent", "UTC"])


@given(epoch=st.integers(1_700_000_000, 1_900_000_000), zone=ZONES, late=st.integers(-60, 120))
def test_a_wall_time_with_its_epoch_is_exact_in_every_season(epoch, zone, late):
    """Both hours of the autumn night, and whatever zone the settings name."""
    wall = datetime.fromtimestamp(epoch, ZoneInfo(zone)).replace(tzinfo=None)
    assert to_utc_seconds(wall, epoch + late, WARSAW) == epoch


def test_the_recorded_row_of_the_documentation():
    wall = read_wall_time("2026-04-18 15:07:28")
    assert from_micros(to_utc_seconds(wall, 1776517648, WARSAW) * 10**6) == datetime(2026, 4, 18, 13, 7, 28, tzinfo=UTC)


def test_without_an_epoch_the_zone_of_that_day_decides():
    """Today's offset applied to another season is an hour wrong."""
    summer, winter = datetime(2026, 7, 1, 12), datetime(2026, 12, 1, 12)  # noqa: DTZ001 - wall times
    assert to_utc_seconds(summer, None, WARSAW) == int(datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp())
    assert to_utc_seconds(winter, None, WARSAW) == int(datetime(2026, 12, 1, 11, tzinfo=UTC).timestamp())


def test_an_absurd_epoch_is_ignored():
    wall = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - a wall time
    assert to_utc_seconds(wall, 1_000_000_000, WARSAW) == to_utc_seconds(wall, None, WARSAW)


def test_a_leg_without_an_id_follows_its_call_through_the_repeated_hour():
    """02:30 stands twice on the last Sunday of October; the other leg knows which one it is."""
    second = int(datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp())
    rows = [
        leg(sip="100", callstart="2026-10-25 02:30:00", call_id=f"{second}.1", disposition="answered", seconds=5),
        leg(sip="101", callstart="2026-10-25 02:30:20", call_id="", disposition="answered", seconds=50),
    ]
    row = read(IN, *rows, context=make_context("Europe/Warsaw"))
    starts = [from_micros(one["started_at"]) for one in row["legs"]]
    assert starts == [datetime(2026, 10, 25, 1, 30, second, tzinfo=UTC) for second in (0, 20)]
    assert row["extension"] == "101"


# ── billing statistics ──────────────────────────────────────────────────────────────────────────────────────────


def billed(direction="out", **cells):
    ended = T + 60
    row = {
        "id": f"{ended + 5:08x}{7:016x}",
        "sip": "261598",
        "callstart": "2026-01-01 12:00:00",
        "from": 74951234567,
        "to": 51901019845,
        "disposition": "answered",
        "billseconds": 60,
    }
    made = Rows()
    payload = json.dumps({"direction": direction, "row": row | cells}).encode()
    map_call(RawRecord(f"{direction}-{row['id']}", payload, 1, 1), CONTEXT, made)
    return dict(zip(CALLS.columns, made.rows[CALLS][0], strict=True))


def test_a_billed_call_knows_its_login_only():
    row = billed()
    assert (row["direction"], row["is_answered"], row["talk_seconds"], row["extension"]) == ("out", True, 60, "261598")
    assert (row["started_at"], row["external_number"]) == (T * 1_000_000, "+51901019845")


def test_the_object_id_tells_the_season():
    """The account's clock stood at UTC+2: the zone of the settings would be an hour off."""
    assert billed(callstart="2026-01-01 11:00:00")["started_at"] == T * 1_000_000
    assert billed(callstart="2026-01-01 12:00:00", id="17")["started_at"] == T * 1_000_000  # no object id: the zone


def test_an_incoming_billed_call_has_its_line_and_missed_ones_nobody():
    row = billed("in", **{"from": 79037654321, "to": 74951234567, "disposition": "no answer", "billseconds": 0})
    assert (row["direction"], row["external_number"], row["line"]) == ("in", "+79037654321", "74951234567")
    assert (row["is_answered"], row["extension"]) == (False, None)


# ── any mixture ─────────────────────────────────────────────────────────────────────────────────────────────────

CELLS = {
    "sip": st.sampled_from([None, "", "0", 100, "101", "79161234567", "1234-100", "x"]),
    "clid": st.sampled_from([None, "", "0", "Ivanova (100)", "<+79161234567>", 79161234567]),
    "destination": st.sampled_from([None, "", 5, 102, 79161234567, "74951234567", "+79161234567"]),
    "disposition": st.sampled_from([None, "answered", "Answered ", "no answer", "call failed", 7]),
    "seconds": st.one_of(st.none(), st.integers(-3, 900), st.just("15"), st.just("")),
    "call_id": st.sampled_from([None, "", f"{T}.1", T + 0.5, f"{T + 40}.99", "odd"]),
    "is_recorded": st.sampled_from([None, "true", True]),
}
CALLSTARTS = st.integers(0, 600).map(lambda late: (datetime(2026, 1, 1, 12) + timedelta(seconds=late)).isoformat(" "))  # noqa: DTZ001
ROWS = st.lists(st.fixed_dictionaries({"callstart": CALLSTARTS}, optional=CELLS), min_size=1, max_size=5)


@given(call_id=st.sampled_from([IN, OUT, "leg-1"]), rows=ROWS)
def test_any_mixture_of_cells_is_one_conversation_or_a_verdict(call_id, rows):
    with contextlib.suppress(BadRecord):
        row = read(call_id, *rows)
        assert row["is_answered"] or row["talk_seconds"] == 0
        assert row["leg_count"] == len(row["legs"])
        assert row["extension"] or not row["is_answered"]
        assert row["direction"] != "in" or row["is_answered"] or row["extension"] is None
