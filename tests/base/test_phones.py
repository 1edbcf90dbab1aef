"""Phone numbers: the check table of the rules, and what must hold for any text."""

from __future__ import annotations

import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.phones import Phone, mask_phone, normalise_phone, split_phones

NATIONAL = [
    ("8 (916) 123-45-67", "phone", "+79161234567", None),
    (79161234567, "phone", "+79161234567", None),
    ("9161234567", "phone", "+79161234567", None),
    ("8-495-123-45-67 доб. 12", "phone", "+74951234567", "12"),
    ("84951234567#12", "phone", "+74951234567", "12"),
    ("84951234567", "phone", "+74951234567", None),
    ("sip:user1@vpbx1.mangosip.ru", "sip", None, None),
    ("sip:79161234567@x.mangosip.ru", "phone", "+79161234567", None),
    ("101", "internal", None, None),
    ("0", "hidden", None, None),
    ("anonymous", "hidden", None, None),
    ("", "empty", None, None),
    (None, "empty", None, None),
    ("87011234567", "phone", "+77011234567", None),
    ("77272501234", "phone", "+77272501234", None),
    ("810998901234567", "phone", "+998901234567", None),
    ("998901234567", "phone", "+998901234567", None),
    ("375291234567", "phone", "+375291234567", None),
    ("80291234567", "phone", "+375291234567", None),
    ("996555123456", "phone", "+996555123456", None),
    ("37441123456", "phone", "+37441123456", None),
    ("00442037691880", "phone", "+442037691880", None),
    ("7916***4567", "masked", None, None),
    ("7007374952233501", "invalid", None, None),
    ("70000000000", "invalid", None, None),
    ("＋７９１６１２３４５６７", "phone", "+79161234567", None),
    # beyond the table: forms named in the text of the rules
    ("+7 (916) 123-45-67 (моб.)", "phone", "+79161234567", None),
    ("84951234567;ext=12", "phone", "+74951234567", "12"),
    ("8 495 123-45-67, 12", "phone", "+74951234567", "12"),
    ("8 495 123-45-67 ext. 012", "phone", "+74951234567", "012"),
    ("8 495 123-45-67 x12", "phone", "+74951234567", "12"),
    ("88005553535", "phone", "+78005553535", None),
    ("tel:+7-916-123-45-67", "phone", "+79161234567", None),
    ("SIP:+79161234567;transport=udp", "phone", "+79161234567", None),
    ("skype:abc", "sip", None, None),
    ("+7****4567", "masked", None, None),
    ("8 916 ***-45-67", "masked", None, None),
    ("7916ххх4567", "masked", None, None),
    ("79161234567\u00a0", "phone", "+79161234567", None),
    ("СКРЫТ", "hidden", None, None),
    ("112", "internal", None, None),
    (5, "internal", None, None),
    ("mobile", "invalid", None, None),
    ("٠١٢٣٤٥٦٧٨٩", "invalid", None, None),
]


@pytest.mark.parametrize(("raw", "kind", "e164", "ext"), NATIONAL)
def test_a_national_form_becomes_e164_or_says_why_not(raw, kind, e164, ext):
    phone = normalise_phone(raw)
    assert (phone.kind, phone.e164, phone.ext) == (kind, e164, ext)
    assert phone.raw == ("" if raw is None else str(raw))


@pytest.mark.parametrize(
    ("raw", "e164"),
    [
        ("84951234567", "+84951234567"),  # Vietnam, not Moscow
        (34627596999, "+34627596999"),
        ("89161234567", "+79161234567"),  # typed by a user: no such number abroad, so the national reading
        ("+380989897908", "+380989897908"),
    ],
)
def test_an_international_source_is_read_with_its_country_code_first(raw, e164):
    assert normalise_phone(raw, international=True).e164 == e164


@pytest.mark.parametrize(
    ("raw", "country", "e164"),
    [
        ("901234567", "UZ", "+998901234567"),
        ("291234567", "BY", "+375291234567"),
        ("901234567", "RU", None),  # nine digits are no Russian number
        ("87011234567", "KZ", "+77011234567"),
    ],
)
def test_the_account_country_decides_short_national_forms(raw, country, e164):
    assert normalise_phone(raw, country=country).e164 == e164


def test_a_plus_is_taken_at_its_word():
    """A mistyped foreign number must not turn into a Russian one."""
    assert normalise_phone("+9161234567").kind == "invalid"


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("8-916-123-45-67,8-916-765-43-21", ["8-916-123-45-67", "8-916-765-43-21"]),
        ("8 916 123-45-67; +7 495 123 45 67", ["8 916 123-45-67", "+7 495 123 45 67"]),
        ("89161234567/84951234567\n9037654321", ["89161234567", "84951234567", "9037654321"]),
        ("84951234567,12", ["84951234567,12"]),
        ("84951234567;ext=12", ["84951234567;ext=12"]),
        ("sip:79161234567@x;transport=udp", ["sip:79161234567@x;transport=udp"]),
        (" ; ", []),
        (None, []),
    ],
)
def test_a_field_with_several_numbers_is_split_but_an_extension_is_not(raw, parts):
    assert split_phones(raw) == parts


def test_logs_never_hold_a_whole_number():
    assert mask_phone("+79161234567") == "+7916***4567"
    assert mask_phone("9161234") == "***"


COUNTRIES = st.sampled_from(["RU", "KZ", "BY", "UZ"])
# Digits with everything people put between them reach further than plain text.
NUMBERISH = st.text(alphabet="0123456789+-() .;,/*xх#@:sipдоб", max_size=30)


@given(raw=st.one_of(st.text(), NUMBERISH), country=COUNTRIES, international=st.booleans())
def test_any_text_gives_a_phone_and_e164_exactly_for_phones(raw, country, international):
    phone = normalise_phone(raw, country=country, international=international)
    assert isinstance(phone, Phone)
    assert (phone.e164 is not None) == (phone.kind == "phone")
    for part in split_phones(raw):
        normalise_phone(part)


@given(raw=NUMBERISH, country=COUNTRIES, international=st.booleans())
def test_normalising_twice_changes_nothing(raw, country, international):
    e164 = normalise_phone(raw, country=country, international=international).e164
    if e164 is not None:
        assert normalise_phone(e164, country=country).e164 == e164
        # A stored number read by another source's rule is still that number.
        assert normalise_phone(e164, country="RU", international=not international).e164 == e164


@given(number=st.from_regex(r"\+?(7|375|998|44|1|84)[0-9]{7,10}", fullmatch=True))
def test_every_valid_number_is_a_fixed_point(number):
    e164 = normalise_phone(number).e164
    if e164 is not None:
        assert normalise_phone(e164).e164 == e164


def test_importing_the_module_does_not_load_the_library():
    """`voronka --help` would pay for phone metadata it never uses."""
    code = "import sys, base.phones; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(start=st.sampled_from(["+7", "+79", "+7930", "+79300"]), rest=st.text("0123456789", min_size=6, max_size=10))
def test_a_number_with_a_plus_is_what_the_library_finds_of_it(start, rest):
    """Russian mobile numbers go by the library's pattern alone: a trunk prefix or a closed range could slip through."""
    try:
        number = phonenumbers.parse(start + rest, None)
    except phonenumbers.NumberParseException:
        expected = None
    else:
        is_valid = phonenumbers.is_valid_number(number)
        expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if is_valid else None
    assert normalise_phone(start + rest).e164 == expected
