"""Keys of a `[sources.NAME]` table of type "onec"."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from base.errors import ConfigError
from base.secrets import Secret
from base.text import Text, say
from connectors.onec.odata.address import has_credentials
from connectors.onec.sheets.settings import SheetMapping, sheet_problems
from connectors.stream import Settings


class OnecSettings(Settings, kw_only=True, frozen=True):
    """A source reads a folder (`path`) or a database over OData (`odata_url`, `user`, `password`)."""

    path: str = ""  # folder of exports, absolute
    # Address of the database's publication, or of its OData interface.
    odata_url: str = ""
    user: str = ""
    password: Secret = Secret("")
    # Documents of so many days are read again in every run: 1C doesn't tell what has changed.
    window_days: int = 60
    # The same money seen through two channels: the lower number is the authority.
    priority: int = 1
    # For statements that name no own account, and to know transfers to accounts whose statements aren't loaded.
    own_accounts: list[str] = msgspec.field(default_factory=list)
    # Accounts that get no statements any more: the completeness date doesn't wait for them.
    closed_accounts: list[str] = msgspec.field(default_factory=list)
    # Overrides the detection, for all files.
    encoding: str | None = None
    # How the columns of tables (XLSX, XLS, CSV) are to be understood.
    sheets: list[SheetMapping] = msgspec.field(default_factory=list)

    @property
    def is_odata(self) -> bool:
        return bool(self.odata_url)

    def problems(self) -> Iterator[tuple[str, Text]]:
        yield from sheet_problems(self.sheets)
        if not self.path and not self.odata_url:
            yield "path", say("нужен path (папка выгрузок) или odata_url", "path (a folder) or odata_url is needed")
        if self.path and self.odata_url:
            yield (
                "odata_url",
                say(
                    "в одном источнике бывает или path, или odata_url: заведите второй источник",
                    "a source has either path or odata_url: make a second source",
                ),
            )
        if self.odata_url and not self.user:
            yield "user", say("не указано: пользователь базы 1С", "is missing: a user of the 1C database")
        if has_credentials(self.odata_url):
            yield (
                "odata_url",
                say(
                    "пользователь и пароль пишутся в user и password, а не в адрес",
                    "user and password belong into user and password, not into the address",
                ),
            )
        if self.window_days < 1:
            yield "window_days", say("нужно целое число от 1", "a whole number from 1 is needed")


def checked(settings: OnecSettings, source: str) -> OnecSettings:
    """For those who come without the configuration reader, which tells the same.

    Raises:
        ConfigError: credentials in the address, where every message would show them.
    """
    problems = [
        say("sources.{source}.{key}: {what}", "sources.{source}.{key}: {what}", source=source, key=key, what=what)
        for key, what in settings.problems()
    ]
    if problems:
        raise ConfigError(say("Неверные настройки 1С.", "Wrong settings of 1C."), tuple(problems))
    return settings
