"""Readable ids from names: «Анна Петрова» → `anna_petrova`."""

from __future__ import annotations

import re
import unicodedata

_LETTERS = dict(
    zip("абвгдезийклмнопрстуфыэ", "abvgdeziyklmnoprstufye", strict=True),
    ё="e", ж="zh", х="kh", ц="ts", ч="ch", ш="sh", щ="shch", ъ="", ь="", ю="yu", я="ya",
    # Kazakh, Belarusian, Uzbek and Ukrainian Cyrillic
    ә="a", ғ="g", қ="k", ң="n", ө="o", ұ="u", ү="u", һ="h", і="i", ў="u", ҳ="h", ї="yi", є="ye", ґ="g",
)  # fmt: skip
_TABLE = str.maketrans(_LETTERS)


def make_slug(name: str) -> str:
    """Latin letters, digits and underscores; '' when the name has no letter or digit to show."""
    latin = unicodedata.normalize("NFC", name).lower().translate(_TABLE)
    plain = unicodedata.normalize("NFKD", latin).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def name_key(name: str | None) -> str:
    """What two spellings of one person's name share: «Петрова Анна» and «анна петрова» are equal, «ё» is «е».

    A single word is '' (no key): two Annas are two people.
    """
    words = re.findall(r"[^\W_]+", (name or "").lower().replace("ё", "е"))
    return " ".join(sorted(words)) if len(words) > 1 else ""
