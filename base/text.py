"""Texts for people, in Russian and English side by side at the place that says them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Language = Literal["ru", "en"]
LANGUAGES: tuple[Language, ...] = ("ru", "en")


@dataclass(frozen=True)
class Text:
    """A sentence in both languages; `{name}` places are filled when it is rendered.

    `str()` gives English, the language of logs and of code.
    """

    ru: str
    en: str
    values: tuple[tuple[str, Any], ...] = ()

    def render(self, language: Language = "en") -> str:
        template = self.ru if language == "ru" else self.en
        if not self.values:
            return template
        return template.format(**{name: _render_value(value, language) for name, value in self.values})

    def __str__(self) -> str:
        return self.render("en")


def _render_value(value: Any, language: Language) -> Any:
    return value.render(language) if isinstance(value, Text) else value


def say(ru: str, en: str, **values: Any) -> Text:
    """Build a text: `say("Нет файла {path}", "No file {path}", path=path)`."""
    return Text(ru, en, tuple(values.items()))
