"""Secrets have a type of their own that prints as `***`, and a redactor that knows their values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Secret:
    """A value that must not be shown: `str` and `repr` give `***`, `reveal()` gives the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        raise TypeError("a secret is not to be pickled")


class Redactor:
    """Replaces known secret values in a text. Short values would hit innocent text: they are left out."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._values: list[str] = []
        self.learn(*secrets)

    def learn(self, *secrets: Secret) -> None:
        """Know more secrets from now on: tokens that were only just issued."""
        values = {*self._values, *(secret.reveal() for secret in secrets)}
        # Longest first, so that a secret containing another one goes as a whole.
        self._values = sorted((value for value in values if len(value) >= 6), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "***")
        return text


def without_secrets(settings: StructT) -> StructT:
    """Settings as they go through a pipe: no mapping needs a secret."""
    names = [name for name in settings.__struct_fields__ if isinstance(getattr(settings, name), Secret)]
    return msgspec.structs.replace(settings, **dict.fromkeys(names))
