"""Names of periods as people say them: `ноябрь 2026`, `IV квартал 2026`, `неделя 16.11–22.11.2026`, `16.11.2026`."""

from __future__ import annotations

from datetime import timedelta

from base.text import Language
from metrics.periods import Period

MONTHS: dict[Language, tuple[str, ...]] = {
    "ru": (
        *("январь", "февраль", "март", "апрель", "май", "июнь"),
        *("июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
ROMAN = ("I", "II", "III", "IV")


def period_name(period: Period, language: Language) -> str:
    start, end = period.starts_on, period.ends_on - timedelta(days=1)
    if "-Q" in period.name:
        quarter = ROMAN[(start.month - 1) // 3]
        return f"{quarter} квартал {start.year}" if language == "ru" else f"Q{(start.month - 1) // 3 + 1} {start.year}"
    if "-W" in period.name:
        days = f"{start:%d.%m}–{end:%d.%m.%Y}" if language == "ru" else f"{start.isoformat()} – {end.isoformat()}"
        return f"неделя {days}" if language == "ru" else f"week {days}"
    if end == start:
        return f"{start:%d.%m.%Y}" if language == "ru" else start.isoformat()
    month = MONTHS[language][start.month - 1]
    return f"{month} {start.year}"
