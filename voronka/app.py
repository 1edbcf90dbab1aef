"""What one run of the command line knows: where the configuration is, the language, the clock, and how to speak."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.shown import clean
from base.text import Language, Text

if TYPE_CHECKING:
    from base.clock import Clock
    from base.errors import VoronkaError
    from base.secrets import Secret
    from flows.project import Project
    from voronka.reports.page import Page


@dataclass
class App:
    """One run. `project` reads the configuration when it is first asked for, so that `init` needs none."""

    config_path: Path
    chosen_language: Language | None = None
    given_clock: Clock | None = None  # None = the system's
    is_logging: bool = False  # remarks and errors go to a log of JSON lines (voronka/logs.py)
    _language: Language | None = field(default=None, repr=False)
    _project: Project | None = field(default=None, repr=False)

    @property
    def language(self) -> Language:
        """`--lang`, else the company's language, else Russian."""
        if self.chosen_language:
            return self.chosen_language
        if self._language is None:
            from voronka.config_language import read_language

            self._language = read_language(self.config_path) or "ru"
        return self._language

    def choose_config(self, path: Path) -> None:
        """Work with this configuration; the language may have been asked of another one to word the options' help."""
        self.config_path, self._language = path, None

    @property
    def clock(self) -> Clock:
        from base.clock import SystemClock

        return self.given_clock or SystemClock()

    def project(self, *, read_sources: bool = True) -> Project:
        """The configuration.

        Raises:
            ConfigError: it has problems.
        """
        from voronka.config import load_project

        self._project = load_project(self.config_path, read_sources=read_sources)
        return self._project

    @property
    def loaded_project(self) -> Project | None:
        """The configuration if it was read and found good; for those who speak after a failure."""
        return self._project

    def keep_secret(self, secrets: Iterable[Secret]) -> None:
        """Redact these too: they came by the command line."""
        if self._project is not None:
            self._project = replace(self._project, secrets=(*self._project.secrets, *secrets))

    def page(self, *, to_stderr: bool = False) -> Page:
        """A place to write a report; stdout, or stderr for what accompanies a JSON document."""
        from voronka.reports.page import Page

        project = self._project
        return Page.on_stream(
            sys.stderr if to_stderr else sys.stdout,
            language=self.language,
            zone=project.company.zone if project else None,
        )

    def emit(self, document: Any) -> None:
        """One JSON document on stdout."""
        from voronka.reports.document import encode

        sys.stdout.write(encode(document, self.language) + "\n")

    def note(self, text: Text | str) -> None:
        """A remark for a person, on stderr."""
        rendered = text.render(self.language) if isinstance(text, Text) else text
        if self.is_logging:
            from voronka.logs import tell

            tell(rendered)
            return
        # It may quote a vendor's answer or a name; a terminal would obey what is hidden in it.
        sys.stderr.write(clean(rendered, keep_lines=True) + "\n")

    def complain(self, error: VoronkaError) -> None:
        """What went wrong and what to do next, on stderr; whatever slipped into it, no secret gets out."""
        if self.is_logging:
            from voronka.logs import tell_error

            tell_error(self, error)
            return
        self.note(self.redact(error.render(self.language)))

    def redact(self, text: str) -> str:
        from base.secrets import Redactor

        return Redactor(self._project.secrets if self._project else ())(text)
