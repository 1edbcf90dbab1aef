"""The language of messages, told before the configuration is read in earnest. Light: `voronka --help` imports it."""

from __future__ import annotations

from pathlib import Path

from base.text import Language


def read_language(path: Path) -> Language | None:
    """The company's language, found even in a configuration with problems; None if it can't be told."""
    try:
        text = path.expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError, RuntimeError):
        return None
    import tomllib

    try:
        company = tomllib.loads(text).get("company")
    except (ValueError, RecursionError):
        return None
    language = company.get("language") if isinstance(company, dict) else None
    return language if language in ("ru", "en") else None
