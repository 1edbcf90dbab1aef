"""One tree of errors. Each leaf says what happened, where, and what the operator should do next.

    VoronkaError                       exit status
    ├── UsageError                     2   wrong command line: nothing was done
    │   ├── ConfigError                2   voronka.toml: every problem at once, each with its path
    │   └── InputError                 2   inputs/*.csv: file and line
    ├── BusyError                      3   another voronka holds the warehouse
    ├── WarehouseError                 1
    │   ├── NewerWarehouseError        2   made by a newer voronka
    │   ├── InvariantError             1   facts and evidence disagree: nothing was written
    │   ├── DiskFullError              1   no room to write: nothing is lost, the next run goes on
    │   ├── MemoryShortError           1   too little memory: nothing is lost
    │   └── ClosedPeriodError          2   a closed period is never recomputed
    └── SourceError                    1   one source failed; the others go on
        ├── UnreachableError           address, DNS, connection, time-out
        ├── CredentialsError           token or key refused
        ├── RightsError                known, but not allowed
        ├── BlockedError               the vendor blocked us: stop and tell a person
        ├── BudgetError                still refused (429/503) after all waits
        ├── ServerFaultError           the vendor's server keeps failing
        ├── ProtocolError              an answer unlike the documentation
        ├── FileError                  a file that can't be read as what it should be
        ├── TooManyRejectsError        more bad records than the threshold allows
        └── MassDisappearanceError     too many records vanished at once

`SystemExit`-like decisions live in the command line only; everything below raises these.
"""

from __future__ import annotations

from base.text import Language, Text


class VoronkaError(Exception):
    """Base of everything that goes wrong in a way we foresaw.

    `what` says what happened and where; `remedy` what to do next. Neither may carry a secret.
    """

    exit_status = 1

    def __init__(self, what: Text, remedy: Text | None = None) -> None:
        super().__init__(str(what))
        self.what = what
        self.remedy = remedy

    def render(self, language: Language = "en") -> str:
        text = self.what.render(language)
        return f"{text}\n  → {self.remedy.render(language)}" if self.remedy else text


class UsageError(VoronkaError):
    exit_status = 2


class ConfigError(UsageError):
    """Problems of the configuration, all of them: `problems` is one text per path."""

    def __init__(self, what: Text, problems: tuple[Text, ...] = (), remedy: Text | None = None) -> None:
        super().__init__(what, remedy)
        self.problems = problems

    def render(self, language: Language = "en") -> str:
        lines = [self.what.render(language), *(f"  · {problem.render(language)}" for problem in self.problems)]
        if self.remedy:
            lines.append(f"  → {self.remedy.render(language)}")
        return "\n".join(lines)


class InputError(ConfigError):
    """Problems of the input files, all of them, each with file and line."""


class BusyError(VoronkaError):
    exit_status = 3


class WarehouseError(VoronkaError):
    pass


class NewerWarehouseError(WarehouseError):
    exit_status = 2


class InvariantError(WarehouseError):
    pass


class DiskFullError(WarehouseError):
    pass


class MemoryShortError(WarehouseError):
    pass


class ClosedPeriodError(WarehouseError):
    exit_status = 2


class OutputError(VoronkaError):
    """A file asked for can't be written."""


class SourceError(VoronkaError):
    """A source failed. `retryable` tells the transport whether a repetition can heal it."""

    retryable = False

    def __init__(self, what: Text, remedy: Text | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(what, remedy)
        self.retry_after = retry_after


class UnreachableError(SourceError):
    retryable = True


class CredentialsError(SourceError):
    pass


class RightsError(SourceError):
    pass


class BlockedError(SourceError):
    pass


class BudgetError(SourceError):
    retryable = True


class ServerFaultError(SourceError):
    retryable = True


class ProtocolError(SourceError):
    pass


class FileError(SourceError):
    pass


class TooManyRejectsError(SourceError):
    pass


class MassDisappearanceError(SourceError):
    pass


# What a program's own mistake raises at a value nobody thought of: in a mapping it costs one record and not the run.
DEFECTS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
