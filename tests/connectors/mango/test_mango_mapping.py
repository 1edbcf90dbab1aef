"""Leg patterns of the extended statistics: direction, who held the call, how long, whether anybody talked."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.times import MICROS, from_micros, local_day
from connectors.conversations import CALL_LEGS, CALLS
from connectors.mango.mapping import USERS, map_call, map_user
from connectors.stream import BadRecord, MapContext, RawRecord, Rows
from models.calls import CALL_LEGS as CALL_LEGS_TABLE
from models.calls import CALLS as CALLS_TABLE

T = 1767254400
CLIENT, LINE = "79161234567", "74951234567"
IVANOVA, PETROV = 300000101, 300000102


def user(user_id, extension, name, sip, **general):
    numbers = [
        {"number": f"sip:{sip}@vpbx1.mangosip.ru", "protocol": "sip", "order": "2"},
        *general.pop("numbers", []),
    ]
    telephony = {"numbers": numbers} | ({"extension": extension} if extension is not None else {})
    return json.dumps({"general": {"user_id": user_id, "name": name, **general}, "telephony": telephony}).encode()


USERS_DICTIONARY = {
    str(IVANOVA): user(
        IVANOVA,
        "0511",
        "Анна Иванова",
        "ivanova",
        email="Ivanova@Example.RU ",
        numbers=[
            {"number": "mobile", "number_normalized": "", "protocol": "tel", "order": 0},
            {"number": "1212121", "number_normalized": "74951212121", "protocol": "tel", "order": 1},
            {"number": "8 (903) 765-43-21", "protocol": "tel", "order": "3"},
        ],
    ),
    str(PETROV): user(PETROV, "102", "Пётр Петров", "petrov", sips=[{"number": "petrov-pc@vpbx1.mangosip.ru"}]),
}
LINES_DICTIONARY = {"1": json.dumps({"line_id": 1, "number": LINE}).encode()}


def make_context(**changes):
    dictionaries = changes.pop("dictionaries", {"users": USERS_DICTIONARY, "lines": LINES_DICTIONARY})
    values = {
        "source": "mango",
        "settings": None,
        "zone": ZoneInfo("Europe/Moscow"),
        "country": "RU",
        "currency": "RUB",
        "dictionaries": dictionaries,
    }
    return MapContext(**(values | changes))


CONTEXT = make_context()


def leg(kind="user", who=IVANOVA, start=0, answer=None, end=60, **changes):
    card = {
        "call_type": kind,
        "call_abonent_id": who,
        "call_start_time": T + start,
        "call_answer_time": None if answer is None else T + answer,
        "call_end_time": T + end,
        "talk_duration": 0 if answer is None else end - answer,
        "members": None,
    }
    return card | changes


def client_leg(**changes):
    return leg("number", None, **({"call_abonent_number": CLIENT} | changes))


def inbound(*legs, **changes):
    card = {
        "entry_id": "QUJDMTIz",
        "context_type": 1,
        "context_status": 1,
        "caller_id": None,
        "caller_number": CLIENT,
        "called_number": LINE,
        "context_start_time": T,
        "duration": 60,
        "talk_duration": 51,
        "context_calls": list(legs),
    }
    return card | changes


def outbound(*legs, **changes):
    side = {
        "context_type": 2,
        "caller_id": IVANOVA,
        "caller_number": "sip:ivanova@vpbx1.mangosip.ru",
        "called_number": CLIENT,
    }
    return inbound(*legs) | side | changes


def read(card, context=CONTEXT):
    """The one row of a call, by column."""
    rows = Rows()
    map_call(RawRecord("x", json.dumps(card).encode(), 1, 1), context, rows)
    [row] = rows.rows[CALLS]
    return dict(zip(CALLS.columns, row, strict=True)) | {"rows": rows}


def read_legs(card, context=CONTEXT):
    rows = read(card, context)["rows"]
    return [dict(zip(CALL_LEGS.columns, row, strict=True)) for row in rows.rows.get(CALL_LEGS, [])]


def held(card, context=CONTEXT):
    """What the metrics stand on."""
    row = read(card, context)
    return row["direction"], row["is_answered"], row["talk_seconds"], row["extension"], row["leg_count"]


# ── inbound ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_documented_example_comes_out_whole():
    member = leg(start=1, answer=10, end=61, call_abonent_extension="0511")
    group = leg("group", 10050001, start=1, answer=10, end=61, members=[member])
    row = read(inbound(group))
    rows = row.pop("rows")
    assert row == {
        "call_id": "QUJDMTIz",
        "started_at": T * MICROS,
        "direction": "in",
        "external_number": "+79161234567",
        "external_number_raw": CLIENT,
        "line": LINE,
        "extension": "0511",
        "user_id": str(IVANOVA),
        "is_answered": True,
        "talk_seconds": 51,
        "duration_seconds": 60,
        "leg_count": 1,
    }
    assert rows.rows[CALL_LEGS] == [
        ("QUJDMTIz", 1, (T + 1) * MICROS, (T + 10) * MICROS, (T + 61) * MICROS, "0511", str(IVANOVA), 51)
    ]
    assert rows.owners[CALL_LEGS] == [("QUJDMTIz",)]


def test_the_mapping_fills_only_columns_the_model_has():
    for target, table in ((CALLS, CALLS_TABLE), (CALL_LEGS, CALL_LEGS_TABLE)):
        assert set(target.columns) <= set(table.columns.keys())
    assert "local_date" not in CALLS.columns  # computed once, when conforming


def test_a_group_and_its_member_are_the_same_seconds():
    """Adding both would double the talk."""
    group = leg("group", 1, answer=9, end=60, members=[leg(answer=9, end=60), leg(who=PETROV, end=9)])
    assert held(inbound(group)) == ("in", True, 51, "0511", 2)


def test_a_transfer_credits_the_longest_leg_once():
    assert held(inbound(leg(answer=5, end=25), leg(who=PETROV, start=25, answer=30, end=230))) == (
        "in",
        True,
        200,
        "102",
        2,
    )


def test_a_tie_goes_to_the_leg_answered_last_in_whatever_order_they_come():
    first, last = leg(answer=5, end=35), leg(who=PETROV, start=35, answer=40, end=70)
    assert held(inbound(first, last))[3] == held(inbound(last, first))[3] == "102"


def test_ringing_and_waiting_are_no_talk():
    assert held(inbound(leg(answer=55, end=60), talk_duration=None, duration=60))[2] == 5


@pytest.mark.parametrize("legs", [[leg(), leg(who=PETROV)], [leg("group", 1, members=[leg(), leg(who=PETROV)])]])
def test_a_missed_call_is_nobodys_but_its_legs_say_who_missed_it(legs):
    card = inbound(*legs, context_status=0, talk_duration=0)
    assert held(card) == ("in", False, 0, None, 2)
    assert [row["extension"] for row in read_legs(card)] == ["0511", "102"]


def test_a_call_that_ended_in_the_menu_has_no_user_leg():
    assert held(inbound(context_status=0, talk_duration=0)) == ("in", False, 0, None, 0)


def test_voicemail_is_no_conversation():
    """The PBX answered and recorded; the object says success and 40 seconds."""
    card = inbound(leg("group", 1, end=20, members=[leg(end=20)]), leg("voicemail", None, answer=20, end=60))
    assert held(card | {"talk_duration": 40}) == ("in", False, 0, None, 1)


def test_a_robot_alone_is_no_conversation_whatever_the_object_says():
    assert held(inbound(leg("voicemail", None, answer=2, end=60))) == ("in", False, 0, None, 0)


def test_legs_that_tell_no_times_tie_to_the_last():
    first, last = (leg(who=who, talk_duration=30, call_end_time=None) for who in (IVANOVA, PETROV))
    assert held(inbound(first, last))[3] == "102"


def test_without_legs_the_objects_talk_is_the_talk():
    for legs in ([], None):
        assert held(inbound() | {"context_calls": legs}) == ("in", True, 51, None, 0)


def test_an_answered_group_that_names_nobody_is_a_conversation_of_nobody():
    assert held(inbound(leg("group", 1, answer=9, end=60))) == ("in", True, 51, None, 0)


def test_a_leg_without_any_times_takes_the_objects_talk():
    assert held(inbound({"call_type": "user", "call_abonent_id": PETROV})) == ("in", True, 51, "102", 1)


def test_a_leg_without_a_stated_talk_is_measured():
    assert held(inbound(leg(answer=10, end=60, talk_duration=None)))[2] == 50
    assert held(inbound(leg(answer=10, end=60, talk_duration=None, call_end_time=None)))[2] == 51


def test_a_redirect_to_an_employees_mobile_is_that_employees():
    """The number is in the employee's card; it is no client."""
    card = inbound(leg(end=20), leg("number", None, start=20, answer=30, end=90, call_abonent_number="79037654321"))
    assert held(card) == ("in", True, 60, "0511", 2)


def test_a_redirect_to_a_phone_nobody_owns_was_answered_all_the_same():
    card = inbound(leg("number", None, answer=9, end=60, call_abonent_number="74997654321"))
    assert held(card) == ("in", True, 51, None, 1)


def test_the_callers_own_leg_is_nobodys_device():
    assert held(inbound(client_leg(answer=0, end=60), leg(answer=10, end=60)))[3:] == ("0511", 1)


def test_an_interception_leaves_the_leg_that_talked():
    card = inbound(leg(end=8, call_end_reason=1182), leg(who=PETROV, start=8, answer=8, end=60))
    assert held(card) == ("in", True, 52, "102", 2)


def test_a_conference_element_without_times_is_harmless():
    assert held(inbound(leg(answer=10, end=60), {"call_type": "conference", "members": None}))[:3] == ("in", True, 50)


@pytest.mark.parametrize("number", ["", None, "anonymous", "7916***4567"])
def test_a_hidden_caller_is_a_call_without_a_number(number):
    row = read(inbound(leg(answer=9, end=60), caller_number=number))
    assert (row["direction"], row["external_number"], row["external_number_raw"]) == ("in", None, number or None)
    assert row["is_answered"]


def test_a_foreign_number_follows_the_accounts_country():
    card = inbound(leg(answer=9, end=60), caller_number="901234567")
    assert read(card, make_context(country="UZ"))["external_number"] == "+998901234567"
    assert read(card)["external_number"] is None


# ── outbound ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_dialled_from_a_phone_lists_the_client_only():
    card = outbound(client_leg(start=2, answer=12, end=60))
    assert held(card) == ("out", True, 48, "0511", 1)
    [row] = read_legs(card)
    assert (row["extension"], row["answered_at"], row["talk_seconds"]) == ("0511", (T + 12) * MICROS, 48)


def test_the_employees_device_picking_up_is_no_conversation():
    """A call order rings the employee first; the client never answered."""
    card = outbound(leg(answer=2, end=40), client_leg(start=2, end=40), context_status=0, talk_duration=0)
    assert held(card) == ("out", False, 0, "0511", 1)
    assert read_legs(card)[0]["answered_at"] is None


def test_a_client_who_did_not_answer_outweighs_what_the_object_says():
    """Minutes with an announcement of the client's operator are talk to the object."""
    assert held(outbound(leg(answer=2, end=40), client_leg(start=2, end=40))) == ("out", False, 0, "0511", 1)


def test_an_employees_talk_begins_when_the_client_picks_up():
    card = outbound(leg(answer=2, end=70), client_leg(start=2, answer=20, end=70), talk_duration=50, duration=70)
    assert held(card) == ("out", True, 50, "0511", 1)


def test_without_a_clients_leg_the_objects_talk_bounds_the_employees():
    assert held(outbound(leg(answer=2, end=60), talk_duration=40)) == ("out", True, 40, "0511", 1)
    assert held(outbound(leg(answer=2, end=60), talk_duration=0, context_status=0))[:3] == ("out", False, 0)


def test_an_outbound_call_without_legs_is_its_callers():
    assert held(outbound()) == ("out", True, 51, "0511", 1)
    assert held(outbound(talk_duration=0, context_status=0)) == ("out", False, 0, "0511", 1)


def test_an_unanswered_attempt_is_its_callers():
    assert held(outbound(client_leg(end=30), talk_duration=0, context_status=0)) == ("out", False, 0, "0511", 1)


def test_an_outbound_transfer_credits_who_talked_longer():
    """The client's leg spans the whole call: the caller's part ends when the colleague's device rings."""
    card = outbound(client_leg(start=2, answer=10, end=240), leg(who=PETROV, start=25, answer=30, end=240))
    assert held(card) == ("out", True, 210, "102", 2)
    assert [row["talk_seconds"] for row in read_legs(card)] == [15, 210]


def test_a_colleague_who_gave_up_before_the_client_answered_did_not_talk():
    card = outbound(leg(answer=1, end=8), leg(who=PETROV, start=8, answer=9, end=60), client_leg(answer=20, end=60))
    assert held(card) == ("out", True, 40, "102", 2)


def test_the_clients_leg_may_be_the_only_one_to_name_the_extension():
    card = outbound(client_leg(answer=10, end=60, call_abonent_extension="777"), caller_id=None, caller_number="")
    assert held(card) == ("out", True, 50, "777", 1)


def test_a_former_employee_keeps_the_calls_under_the_user_id():
    row = read(outbound(client_leg(answer=10, end=60), caller_id=399))
    assert (row["extension"], row["user_id"], row["is_answered"]) == (None, "399", True)


def test_dial_prefixes_are_read_from_the_clients_leg():
    card = outbound(client_leg(answer=1, end=9, call_abonent_number="74952233501"), called_number="7007374952233501")
    row = read(card)
    assert (row["external_number"], row["external_number_raw"]) == ("+74952233501", "7007374952233501")


def test_a_callback_counts_when_the_client_answers():
    """Context type 1 and a widget: the PBX rings the employee, then the client."""
    ordered = {"context_init_type": 5}
    missed = inbound(leg(answer=3, end=40), client_leg(start=3, end=40), talk_duration=0, context_status=0, **ordered)
    assert held(missed) == ("in", False, 0, None, 1)
    talked = inbound(leg(answer=3, end=60), client_leg(start=3, answer=20, end=60), **ordered)
    assert held(talked) == ("in", True, 40, "0511", 1)


# ── internal ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_internal_call_has_no_outside():
    card = outbound(leg(who=PETROV, answer=5, end=60), context_type=3, called_number="sip:petrov@vpbx1.mangosip.ru")
    row = read(card)
    assert held(card) == ("internal", True, 55, "0511", 1)
    assert (row["external_number"], row["external_number_raw"]) == (None, None)


@pytest.mark.parametrize(
    "number",
    [
        "79037654321",
        "8 903 765-43-21",
        "74951212121",
        "sip:ivanova@vpbx1.mangosip.ru",
        "SIP:PETROV-PC@vpbx1.mangosip.ru",
    ],
)
def test_a_call_between_own_numbers_is_internal(number):
    """A manager ringing the office line from the mobile is no client."""
    assert held(inbound(leg(who=PETROV, answer=9, end=60), caller_number=number))[0] == "internal"
    called = outbound(leg("number", None, answer=9, end=60, call_abonent_number=number), called_number=number)
    assert held(called)[:3] == ("internal", True, 51)


def test_a_line_calling_a_line_is_internal():
    assert held(inbound(caller_number=LINE))[0] == "internal"


def test_a_strangers_sip_address_is_a_client():
    assert held(inbound(leg(answer=9, end=60), caller_number="sip:bob@elsewhere.example"))[0] == "in"


def test_without_dictionaries_calls_keep_their_stated_direction():
    card = inbound(leg(answer=9, end=60), caller_number="79037654321")
    assert held(card, make_context(dictionaries={})) == ("in", True, 51, None, 1)


# ── employees ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_employees_card_becomes_a_user():
    rows = Rows()
    for payload in USERS_DICTIONARY.values():
        map_user(RawRecord("x", payload, 1, 1), CONTEXT, rows)
    assert rows.rows[USERS] == [
        (str(IVANOVA), "Анна Иванова", "ivanova@example.ru", "0511", "+74951212121", True, None),
        (str(PETROV), "Пётр Петров", None, "102", None, True, None),
    ]


# ── what can't be read ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"context_type": 0}, "unknown_direction"),
        ({"context_type": None}, "unknown_direction"),
        ({"context_start_time": 0}, "no_start"),
        ({"context_start_time": "вчера"}, "not_a_number"),
        ({"context_start_time": 1767254400000}, "not_a_number"),  # milliseconds
        ({"entry_id": ""}, "no_id"),
        ({"talk_duration": "1e999"}, "not_a_number"),
    ],
)
def test_a_bad_call_says_why(changes, code):
    with pytest.raises(BadRecord) as verdict:
        read(inbound() | changes)
    assert verdict.value.code == code


def test_numbers_in_text_and_negative_talk_are_read():
    card = inbound(leg(answer=9, end=60, talk_duration="51", call_abonent_id=str(IVANOVA)), duration="60")
    assert held(card | {"context_type": "1", "context_start_time": str(T)}) == ("in", True, 51, "0511", 1)
    assert held(inbound(leg(answer=20, end=9, talk_duration=-11)))[1:3] == (True, 0)


def test_unknown_fields_disturb_nothing():
    card = inbound(leg(answer=9, end=60, novelty={"a": 1}), script_id=[1], mark_controller={}, task=None)
    assert held(card)[:3] == ("in", True, 51)


def test_a_call_at_moscow_midnight_belongs_to_the_new_month():
    """Results are UTC: the first second of 1 November in Moscow is still October in UTC."""
    started = int(datetime(2026, 10, 31, 21, tzinfo=UTC).timestamp())
    row = read(inbound(context_start_time=started))
    assert local_day(from_micros(row["started_at"]), ZoneInfo("Europe/Moscow")).isoformat() == "2026-11-01"


# ── any mixture ─────────────────────────────────────────────────────────────────────────────────────────────────

MOMENTS = st.one_of(st.none(), st.just(0), st.integers(T, T + 600), st.just(""), st.integers(T, T + 9).map(str))
LEG_FIELDS = {
    "call_abonent_id": st.sampled_from([None, IVANOVA, str(PETROV), 1]),
    "call_abonent_extension": st.sampled_from([None, "", "0511", 102]),
    "call_abonent_number": st.sampled_from(
        [None, "", CLIENT, LINE, "79037654321", "sip:petrov@vpbx1.mangosip.ru", "*"]
    ),
    "call_start_time": MOMENTS,
    "call_answer_time": MOMENTS,
    "call_end_time": MOMENTS,
    "talk_duration": st.one_of(st.none(), st.integers(-5, 600), st.just("7")),
    "call_end_reason": st.sampled_from([None, 1100, 1182]),
}
KINDS = st.sampled_from(["user", "number", "group", "conference", None, "new kind"])
LEGS = st.recursive(
    st.fixed_dictionaries({"call_type": KINDS}, optional=LEG_FIELDS),
    lambda inner: st.fixed_dictionaries(
        {"call_type": KINDS}, optional=LEG_FIELDS | {"members": st.one_of(st.none(), st.lists(inner, max_size=3))}
    ),
    max_leaves=6,
)
CARDS = st.fixed_dictionaries(
    {"entry_id": st.just("E"), "context_type": st.sampled_from([1, 2, 3]), "context_start_time": st.just(T)},
    optional={
        "context_status": st.sampled_from([0, 1, None]),
        "caller_id": st.sampled_from([None, IVANOVA, 1]),
        "caller_number": st.sampled_from([None, "", CLIENT, "sip:ivanova@vpbx1.mangosip.ru", "79037654321"]),
        "called_number": st.sampled_from([None, "", CLIENT, LINE, "7007374952233501"]),
        "duration": st.one_of(st.none(), st.integers(0, 900)),
        "talk_duration": st.one_of(st.none(), st.integers(0, 900)),
        "context_init_type": st.sampled_from([0, 4, "5", None]),
        "context_calls": st.one_of(st.none(), st.lists(LEGS, max_size=4)),
    },
)


@given(card=CARDS)
def test_any_mixture_of_fields_gives_exactly_one_conversation(card):
    row = read(card)
    legs = read_legs(card)
    assert row["is_answered"] or row["talk_seconds"] == 0
    assert row["talk_seconds"] >= 0
    assert row["leg_count"] == len(legs)
    assert [one["leg"] for one in legs] == list(range(1, len(legs) + 1))
    assert all(one["talk_seconds"] is None or one["talk_seconds"] >= 0 for one in legs)
    if row["direction"] == "in" and not row["is_answered"]:
        assert row["user_id"] is None
    if row["direction"] == "out" and card.get("caller_id"):
        assert row["user_id"] or row["extension"]  # the credit of an attempt is never lost


NAMES = st.sampled_from(["entry_id", "context_type", "context_calls", "members", "rows"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(card=ANY_JSON)
def test_any_json_is_a_call_or_a_verdict(card):
    """A record that can't be read must be rejected by name; anything else would stop the whole stream."""
    with contextlib.suppress(BadRecord):
        map_call(RawRecord("x", json.dumps(card).encode(), 1, 1), CONTEXT, Rows())
