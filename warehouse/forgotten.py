"""Whom the company has forgotten, as keyed hashes, and how what tells of them is taken out of a text or a record.

The list has to outlive the data, or the next load would bring everyone back; so it holds nothing but hashes made with
the company's key. A forgotten phone becomes a number of the unassigned country code 999 that follows from its hash: it
reads as a phone everywhere, so calls to it stay one number's calls, those of later nights too.

Names are recognised by two words or more in a row: a first name alone is everybody's. A person's own cards
are not taken in at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from base.columns import Growing
from base.durable import write_private
from base.errors import WarehouseError
from base.phones import FORGOTTEN_CODE, FORGOTTEN_DIGITS
from base.text import Text, say
from connectors.stream import payload_hash
from warehouse.company_key import company_key

if TYPE_CHECKING:
    from connectors.stream import Reject
    from warehouse.batch import Batch
    from warehouse.land import StreamRun

FILE = "forgotten.json"
# A number is written with its country code, with 8, or with nothing: the last ten digits are the same.
TAIL = 10
MASK = "***"
MONEY = "money"
_LEAST_DIGITS, _MOST_DIGITS = 10, 15
_WORDS = 5  # of the longest name

_DIGITS = re.compile(r"\d+")
_NUMBERS = re.compile(r"\d[\d\s().\u2010-\u2015+\-\u00a0]{8,}\d|\d{10,}")
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BETWEEN_WORDS = re.compile(r"[\s.,]{1,3}")
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


class Entries(msgspec.Struct, kw_only=True):
    """What the file holds: hashes in hexadecimal. Those in `in_money` are forgotten in accounting's records too."""

    key: str  # fingerprint of the key they were made with
    people: list[str] = []
    in_money: list[str] = []
    cards: list[str] = []


class Forgotten:
    """The list of one installation."""

    def __init__(self, path: Path, key: bytes, entries: Entries) -> None:
        self._path = path
        self._entries = entries
        self.hash = lru_cache(1 << 16)(lambda text: blake2b(text.encode(), key=key, digest_size=16).hexdigest())
        self._refresh()

    def _refresh(self) -> None:
        self._cards = frozenset(self._entries.cards)
        self.everywhere = Redactor(self.hash, frozenset(self._entries.people))
        self.in_money = Redactor(self.hash, frozenset(self._entries.in_money))

    def add(
        self, phones: Iterable[str], emails: Iterable[str], names: Iterable[str], cards: Iterable[Card], *, money: bool
    ) -> None:
        """Remember a person, on the disk for certain when this returns."""
        hashes = {
            *(self.hash(f"phone:{tail_of(phone)}") for phone in phones),
            *(self.hash(f"email:{email.lower()}") for email in emails),
        }
        for name in names:
            hashes |= {self.hash(text) for text in _name_keys(name)}
        entries = self._entries
        entries.people = sorted({*entries.people, *hashes})
        entries.in_money = sorted({*entries.in_money, *(hashes if money else ())})
        entries.cards = sorted({*entries.cards, *(self.hash(_card_key(*card)) for card in cards)})
        write_private(self._path, msgspec.json.format(msgspec.json.encode(entries), indent=1))
        self._refresh()

    def redactor(self, facet: str) -> Redactor:
        """What goes out of records of streams of this facet: accounting's documents only where that was asked for."""
        return self.in_money if facet == MONEY else self.everywhere

    def is_card(self, source: str, stream: str, record_id: str) -> bool:
        """The record is a forgotten person's own card."""
        return self.hash(_card_key(source, stream, record_id)) in self._cards

    def clean(self, run: StreamRun, batch: Batch) -> None:
        """Take out of a batch what must not be stored again."""
        redactor = self.redactor(run.facet)
        keep = [place for place, name in enumerate(batch.ids) if not self.is_card(run.source, run.stream, name)]
        for name in ("ids", "payloads", "versions", "cursors", "origins"):
            values = list(getattr(batch, name))
            setattr(batch, name, Growing([values[place] for place in keep]))
        batch.rests = [(sum(place < held for place in keep), position) for held, position in batch.rests]
        batch.ids = Growing(redactor.text(name) for name in batch.ids)
        batch.origins = Growing(redactor.text(origin) if origin else origin for origin in batch.origins)
        batch.payloads = Growing(redactor.payload(payload) for payload in batch.payloads)
        # Rows were made of what the payloads told before.
        batch.rows = Growing()
        batch.hashes = Growing(map(payload_hash, batch.payloads))
        batch.rejects = [self._clean_reject(run, redactor, reject) for reject in batch.rejects]

    def _clean_reject(self, run: StreamRun, redactor: Redactor, reject: Reject) -> Reject:
        is_card = self.is_card(run.source, run.stream, reject.record_id)
        payload = reject.payload
        if payload is not None and (is_card or redactor.tells(payload)):
            payload = None
        values = tuple((name, redactor.any(value)) for name, value in reject.message.values)
        return replace(
            reject,
            record_id=redactor.text(reject.record_id),
            message=Text(reject.message.ru, reject.message.en, values),
            path=redactor.text(reject.path),
            got=MASK if is_card and reject.got else redactor.text(reject.got),
            payload=payload,
        )


Card = tuple[str, str, str]  # source, stream, record


def load_forgotten(state_dir: Path) -> Forgotten | None:
    """The list if anybody was ever forgotten; None costs nothing.

    Raises:
        WarehouseError: the list was made with another key, so it would recognise nobody.
    """
    return open_forgotten(state_dir) if (state_dir / FILE).exists() else None


def open_forgotten(state_dir: Path) -> Forgotten:
    """The list, an empty one if nobody was forgotten yet.

    Raises:
        WarehouseError: the list was made with another key, or can't be read.
    """
    key = company_key(state_dir)
    path = state_dir / FILE
    entries = Entries(key=key.fingerprint)
    if path.exists():
        try:
            entries = msgspec.json.decode(path.read_bytes(), type=Entries)
        except msgspec.DecodeError as error:
            raise _useless(path, error) from error
    if entries.key != key.fingerprint:
        raise _useless(path, "another company.key")
    return Forgotten(path, key.derive("forgotten"), entries)


def _useless(path: Path, cause: object) -> WarehouseError:
    return WarehouseError(
        say(
            "Список забытых {path} не прочитать: {cause}.",
            "The list of the forgotten {path} can't be used: {cause}.",
            path=path,
            cause=cause,
        ),
        say(
            "Верните company.key и этот файл из одной резервной копии: без них загрузка вернёт забытых.",
            "Restore company.key and this file from one backup: without them a load would bring the forgotten back.",
        ),
    )


def _card_key(source: str, stream: str, record_id: str) -> str:
    return f"card:{source}:{stream}:{record_id}"


# ── recognising ─────────────────────────────────────────────────────────────────────────────────────────────────


def tail_of(phone: str) -> str:
    """What is compared of a number, however it is written."""
    return "".join(_DIGITS.findall(phone))[-TAIL:]


def words_of(name: str) -> list[str]:
    """A name's words as they are compared."""
    return [word.casefold().replace("ё", "е") for word in _WORD.findall(name)]


def _name_keys(name: str) -> Iterator[str]:
    """A name in its order and with the surname at the other end; a single word is nobody's."""
    words = words_of(name)[:_WORDS]
    if len(words) < 2:
        return
    for order in (words, [words[-1], *words[:-1]], [*words[1:], words[0]]):
        yield "first:" + order[0]
        yield "name:" + " ".join(order)


class Redactor:
    """Takes what tells of the people in `hashes` out of texts and payloads."""

    def __init__(self, hash_of: Callable[[str], str], hashes: frozenset[str]) -> None:
        self._hash = hash_of
        self._hashes = hashes
        # Texts repeat their words: most are decided without a hash.
        self._is_first = lru_cache(1 << 16)(lambda word: hash_of("first:" + _folded(word)) in hashes)

    def phone_token(self, phone: str) -> str:
        """The number that stands in a phone's place, in E.164."""
        digest = int(self._hash(f"phone:{tail_of(phone)}"), 16)
        return f"+{FORGOTTEN_CODE}{digest % 10**FORGOTTEN_DIGITS:0{FORGOTTEN_DIGITS}d}"

    def any(self, value: object) -> object:
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """A text without them."""
        if not self._hashes:
            return text
        return self._names(self._emails(self._phones(text)))

    def tells(self, payload: bytes) -> bool:
        """Something in bytes of any encoding is of them."""
        for encoding in ("utf-8", "cp1251"):
            try:
                text = payload.decode(encoding)
            except UnicodeDecodeError:
                continue
            return self.text(_unescape(text)) != _unescape(text)
        return False

    def payload(self, payload: bytes) -> bytes:
        """JSON without them: only the texts and numbers that tell of them are changed, byte for byte."""
        if not self._hashes:
            return payload
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            return payload
        seen = _unescape(text)
        if self.text(seen) == seen:
            return payload
        return self._json(text).encode()

    def _json(self, text: str) -> str:
        parts, end = [], 0
        for found in _LITERAL.finditer(text):
            parts += [self._phones(text[end : found.start()]), self._literal(found[0])]
            end = found.end()
        return "".join([*parts, self._phones(text[end:])])

    def _literal(self, literal: str) -> str:
        try:
            value = msgspec.json.decode(literal, type=str)
        except msgspec.DecodeError:
            return literal
        cleaned = self.text(value)
        if '"' in value and "\\u" in value:  # JSON within JSON
            cleaned = self._json(cleaned)
        return literal if cleaned == value else msgspec.json.encode(cleaned).decode()

    def _phones(self, text: str) -> str:
        return _NUMBERS.sub(self._number, text)

    def _number(self, found: re.Match[str]) -> str:
        """A run of digit groups: some in a row may be the number, and others around it not."""
        text = found[0]
        groups = [(group.start(), group.end()) for group in _DIGITS.finditer(text)]
        for first, (start, _) in enumerate(groups):
            digits = ""
            for group_start, end in groups[first:]:
                digits += text[group_start:end]
                if len(digits) > _MOST_DIGITS:
                    break
                if len(digits) >= _LEAST_DIGITS and self._hash(f"phone:{digits[-TAIL:]}") in self._hashes:
                    token = self.phone_token(digits).removeprefix("+")
                    return text[:start] + token + _NUMBERS.sub(self._number, text[end:])
        return text

    def _emails(self, text: str) -> str:
        return _EMAIL.sub(self._email, text) if "@" in text else text

    def _email(self, found: re.Match[str]) -> str:
        digest = self._hash(f"email:{found[0].lower()}")
        return f"{digest[:12]}@forgotten.invalid" if digest in self._hashes else found[0]

    def _names(self, text: str) -> str:
        if not any(map(self._is_first, _WORD.findall(text))):
            return text
        words = list(_WORD.finditer(text))
        cut: list[tuple[int, int]] = []
        place = 0
        while place < len(words) - 1:
            length = self._name_at(text, words, place)
            if length:
                cut.append((words[place].start(), words[place + length - 1].end()))
            place += length or 1
        for start, end in reversed(cut):
            text = text[:start] + MASK + text[end:]
        return text

    def _name_at(self, text: str, words: list[re.Match[str]], place: int) -> int:
        """How many words from here are a forgotten name; 0: none."""
        so_far = _folded(words[place][0])
        if not self._is_first(words[place][0]):
            return 0
        longest = 0
        for count in range(2, min(_WORDS, len(words) - place) + 1):
            before, word = words[place + count - 2], words[place + count - 1]
            if not _BETWEEN_WORDS.fullmatch(text[before.end() : word.start()]):
                break
            so_far += " " + _folded(word[0])
            if self._hash("name:" + so_far) in self._hashes:
                longest = count
        return longest


def _folded(word: str) -> str:
    return word.casefold().replace("ё", "е")


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "\\u" in text else text
