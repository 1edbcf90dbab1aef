"""Phone numbers to E.164, by candidates that must be valid: never by the last ten digits, never by guessing a plus.

The order of the steps matters; each is there for a form that was seen in CRM cards or telephony logs. The library
(`phonenumbers`) is asked only whether a finished candidate is a valid number: its own reading of national forms
glues +7 to foreign digits, drops the stars of masked numbers and takes 112 for a subscriber. Which numbers are valid
follows its metadata: expect brand-new ranges to be `invalid` until the package is updated; the raw form is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

Kind = Literal["phone", "internal", "sip", "hidden", "masked", "invalid", "empty"]


class Phone(NamedTuple):
    """What a text turned out to be. `e164` is set for kind `phone` only; join on it and on nothing else.

    `internal` is a PBX extension or a short code (112, 900); `hidden` a withheld caller; `masked` a number with
    stars; `ext` the extension cut off the end, as text.
    """

    kind: Kind
    e164: str | None
    ext: str | None
    raw: str


# A person who was forgotten has a number of this unassigned country code in place of theirs (warehouse/forgotten.py).
FORGOTTEN_CODE = "999"
FORGOTTEN_DIGITS = 12

# Phones repeat a lot: a year of calls has far fewer numbers than legs.
CACHED = 1 << 17
# Longer texts are comments, not numbers: ITU allows 15 digits, people add separators and an extension.
LONGEST = 200
LONGEST_INTERNAL = 6

_HIDDEN = frozenset(
    {"0", "-", "null", "anonymous", "unknown", "unavailable", "private", "restricted", "скрыт", "скрытый"}
)
_SCHEME = re.compile(r"(sips?|skype|fmc):", re.IGNORECASE)
_DIALLABLE_USER = re.compile(r"\+?[0-9]{10,15}")
_EXTENSION = re.compile(
    r"(?:;ext=|добавочный|доб\.?|доп\.?|вн\.|ext\.?|x|#|,)[\s:.]*([0-9]{1,6})\s*\Z",
    re.IGNORECASE,
)
# A star may stand apart from the digits ("916 ***-45-67"); an x may not ("факс 8…" is no mask).
_MASKED = re.compile(r"[0-9][\s().-]*[*•]|[*•][\s().-]*[0-9]|[0-9][xXхХ]|[xXхХ][0-9]")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_BELARUS_TRUNK = re.compile(r"80(?:15|16|17|21|22|23|25|29|33|44)[0-9]{7}")
# `;ext=` belongs to the number before it; a comma splits only before a whole number ("…,12" is an extension).
_BETWEEN_PHONES = re.compile(r";(?!\s*ext\b)|/|[\r\n]+|,(?=(?:[^0-9,]{0,8}[0-9]){10})", re.IGNORECASE)


def normalise_phone(raw: str | int | None, *, country: str = "RU", international: bool = False) -> Phone:
    """Read one number. Any text gives a `Phone`; nothing raises.

    `country` (RU, KZ, BY, UZ) decides how national forms are read. `international=True` is for sources that always
    send country code and number without a plus (Zadarma): there `84951234567` is Vietnam, elsewhere it is Moscow.
    """
    return _normalise("" if raw is None else str(raw), country, international)


def split_phones(raw: str | None) -> list[str]:
    """The numbers a person typed into one field, in order, without empty parts."""
    if raw is None:
        return []
    if _SCHEME.match(raw.strip()):
        return [raw.strip()]
    return [part for part in (part.strip() for part in _BETWEEN_PHONES.split(raw)) if part]


def mask_phone(text: str) -> str:
    """A number for logs: `+7916***4567`; what is too short to keep its secret becomes `***`."""
    return f"{text[:5]}***{text[-4:]}" if len(text) >= 11 else "***"


@lru_cache(maxsize=CACHED)
def _normalise(raw: str, country: str, international: bool) -> Phone:
    text = unicodedata.normalize("NFKC", raw[: LONGEST + 1]).replace("\u00a0", " ").strip()
    if not text:
        return Phone("empty", None, None, raw)
    if text.lower() in _HIDDEN:
        return Phone("hidden", None, None, raw)
    if len(text) > LONGEST:
        return Phone("invalid", None, None, raw)
    scheme = _SCHEME.match(text)
    if scheme:
        user = re.split(r"[@;]", text[scheme.end() :], maxsplit=1)[0]
        if not _DIALLABLE_USER.fullmatch(user):
            return Phone("sip", None, None, raw)
        text = user
    elif text[:4].lower() == "tel:":
        text = text[4:].lstrip()
    text, extension = _cut_extension(text)
    if _MASKED.search(text):
        return Phone("masked", None, extension, raw)
    digits = _NOT_DIGITS.sub("", text)
    if not digits:
        return Phone("invalid", None, None, raw)
    if len(digits) <= LONGEST_INTERNAL:
        return Phone("internal", None, extension, raw)
    if len(digits) == len(FORGOTTEN_CODE) + FORGOTTEN_DIGITS and digits.startswith(FORGOTTEN_CODE):
        return Phone("phone", f"+{digits}", extension, raw)
    for candidate in _candidates(digits, country, plus=text.startswith("+"), international=international):
        e164 = _valid_e164(candidate)
        if e164:
            return Phone("phone", e164, extension, raw)
    return Phone("invalid", None, extension, raw)


def _cut_extension(text: str) -> tuple[str, str | None]:
    mark = _EXTENSION.search(text)
    if mark is None or len(_NOT_DIGITS.sub("", text[: mark.start()])) < 7:
        return text, None
    return text[: mark.start()], mark[1]


def _candidates(digits: str, country: str, *, plus: bool, international: bool) -> Iterator[str]:
    """Forms to try, the first valid one wins."""
    if plus or international:
        yield "+" + digits
    if not plus:
        # For an international source too: its users type `8916…` as their caller id.
        yield from _national_candidates(digits, country)


def _national_candidates(digits: str, country: str) -> Iterator[str]:
    length = len(digits)
    if digits.startswith("810") and length >= 12:  # 8~10, the way abroad from Russia and its neighbours
        yield "+" + digits[3:]
    if digits.startswith("00") and length >= 12:
        yield "+" + digits[2:]
    if length == 11 and _BELARUS_TRUNK.fullmatch(digits):  # no Russian area code begins with 0
        yield "+375" + digits[2:]
    elif length == 11 and digits.startswith("8"):
        yield "+7" + digits[1:]
    if length == 11 and digits.startswith("7"):
        yield "+" + digits
    if length == 10:
        yield "+7" + digits
    if length == 9 and country in _NINE_DIGITS:
        yield _NINE_DIGITS[country] + digits
    yield "+" + digits  # foreign numbers written in full without a plus


_NINE_DIGITS = {"BY": "+375", "UZ": "+998"}


def _valid_e164(candidate: str) -> str | None:
    if _russian_mobile().fullmatch(candidate):
        return candidate
    library = _library()
    try:
        number = library.parse(candidate, None)
    except library.NumberParseException:
        return None
    # `is_possible_number` takes any ten digits after +7 for a number; only the valid ones are meant.
    if not library.is_valid_number(number):
        return None
    return str(library.format_number(number, library.PhoneNumberFormat.E164))


@cache
def _russian_mobile() -> re.Pattern[str]:
    """The library's own patterns of a number that it finds valid fifty times slower, by trying every kind of number."""
    russia = _library().PhoneMetadata.metadata_for_region("RU")
    general, mobile = (desc.national_number_pattern for desc in (russia.general_desc, russia.mobile))
    # Behind 9 nothing is a trunk prefix or Kazakhstan's, so the number is as it stands.
    return re.compile(rf"\+7(?=9)(?=(?:{general})\Z)(?:{mobile})")


@cache
def _library() -> Any:
    # Imported at first use: its metadata costs more than the rest of a quick command's start.
    import phonenumbers

    return phonenumbers
