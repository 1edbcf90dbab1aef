"""`voronka check` for a folder: what is in it, until when its statements reach, and what doesn't belong there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta

from base.errors import FileError
from base.text import Text, say
from connectors.onec.client import OnecClient
from connectors.onec.folder import FoundFile, list_files, members_of
from connectors.onec.kinds import ZIP
from connectors.onec.parts import Part
from connectors.onec.reading import kind_of, opened_kind
from connectors.onec.refusal import FileRefusal
from connectors.onec.statement import read_blocks
from connectors.onec.statement_text import detect_encoding
from connectors.stream import CheckLine

SHOWN_NAMES = 5
# Weekly statements are usual; an account this far behind the others is probably forgotten or closed.
LAGGING_DAYS = 14
# Daily statements skip week-ends; a longer hole is worth a look.
GAP_DAYS = 4

_FOLDER = say("папка выгрузок", "folder of exports")
_STATEMENTS = say("банковские выписки", "bank statements")


@dataclass
class _Found:
    count: int = 0
    statements: int = 0
    # What other streams read, by kind.
    others: Counter[Text] = field(default_factory=Counter)
    newest: tuple[date, date] | None = None
    intervals: dict[str, list[tuple[date, date]]] = field(default_factory=lambda: defaultdict(list))
    foreign: dict[Text, list[str]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[Text, list[str]] = field(default_factory=lambda: defaultdict(list))


def check_folder(client: OnecClient) -> Iterator[CheckLine]:
    """Findings on the folder; reads the beginnings of files only, and loads nothing."""
    try:
        found = _look(client)
    except FileError as error:
        yield CheckLine(subject=_FOLDER, verdict="failed", detail=error.what, remedy=error.remedy)
        return
    files = say("{path}: файлов {count}", "{path}: {count} files", path=client.folder, count=found.count)
    yield CheckLine(subject=_FOLDER, verdict="ok", detail=files)
    if found.statements or not found.others:
        yield _statements(found)
    for kind, count in found.others.items():
        yield CheckLine(subject=_FOLDER, verdict="ok", detail=say("{kind}: {n}", "{kind}: {n}", kind=kind, n=count))
    for account, last_on in _lagging(found):
        yield _lag(account, last_on)
    for account, first_on, last_on in _gaps(found):
        yield _gap(account, first_on, last_on)
    for kind, names in found.foreign.items():
        yield _foreign(kind, names)
    for reason, names in found.broken.items():
        detail = say("{names}: {reason}", "{names}: {reason}", names=_shown(names), reason=reason)
        yield CheckLine(subject=_STATEMENTS, verdict="failed", detail=detail)


def _look(client: OnecClient) -> _Found:
    found = _Found()
    for file in _files_of(client, found):
        found.count += 1
        try:
            with opened_kind(file) as (kind, stream):
                if not kind.is_statement:
                    if kind.code in client.taken:
                        found.others[kind.label] += 1
                    else:
                        found.foreign[kind.label].append(file.name)
                    continue
                encoding = client.settings.encoding or detect_encoding(stream)
                with closing(read_blocks(stream, encoding)) as blocks:
                    part = Part(next(blocks))
        except (FileRefusal, OSError) as error:
            reason = error.what if isinstance(error, FileRefusal) else say("не читается", "can't be read")
            found.broken[reason].append(file.name)
            continue
        found.statements += 1
        _note(found, part)
    return found


def _files_of(client: OnecClient, found: _Found) -> Iterator[FoundFile]:
    """The folder's files, archives opened up."""
    for file in list_files(client.folder):
        try:
            if kind_of(file) is not ZIP:
                yield file
                continue
            members, contents = members_of(file)
        except (FileRefusal, OSError):
            yield file  # what is wrong with it is told where it is read
            continue
        yield from members
        for name, refusal in contents.refused:
            found.broken[refusal.what].append(f"{file.name}/{name}" if name else file.name)


def _note(found: _Found, part: Part) -> None:
    if part.interval is None:
        return
    first_on, last_on = part.interval
    if found.newest is None or last_on > found.newest[1]:
        found.newest = (first_on, last_on)
    for account in part.accounts:
        found.intervals[account].append((first_on, last_on))


def _statements(found: _Found) -> CheckLine:
    if not found.statements:
        return CheckLine(
            subject=_STATEMENTS,
            verdict="warning",
            detail=say("ни одной выписки", "none"),
            remedy=say(
                "Положите в папку файл обмена с 1С из клиент-банка (kl_to_1c.txt).",
                "Put the exchange file for 1C from the bank's client (kl_to_1c.txt) into the folder.",
            ),
        )
    interval = "–".join(f"{day:%d.%m.%Y}" for day in found.newest) if found.newest else "?"
    detail = say(
        "выписок {count}, счетов {accounts}, последняя за {interval}",
        "{count} statements of {accounts} accounts, the newest for {interval}",
        count=found.statements,
        accounts=len(found.intervals),
        interval=interval,
    )
    return CheckLine(subject=_STATEMENTS, verdict="ok", detail=detail)


def _lagging(found: _Found) -> list[tuple[str, date]]:
    if found.newest is None:
        return []
    limit = found.newest[1] - timedelta(days=LAGGING_DAYS)
    reach = {account: max(last_on for _, last_on in intervals) for account, intervals in found.intervals.items()}
    return sorted((account, last_on) for account, last_on in reach.items() if last_on < limit)


def _gaps(found: _Found) -> Iterator[tuple[str, date, date]]:
    """Days of no statement between two statements of an account: `(account, first, last)`."""
    for account, intervals in sorted(found.intervals.items()):
        covered: date | None = None
        for first_on, last_on in sorted(intervals):
            if covered is not None and (first_on - covered).days > GAP_DAYS:
                yield account, covered + timedelta(days=1), first_on - timedelta(days=1)
            covered = max(last_on, covered or last_on)


def _gap(account: str, first_on: date, last_on: date) -> CheckLine:
    return CheckLine(
        subject=_STATEMENTS,
        verdict="warning",
        detail=say(
            "по счёту …{tail} нет выписки за {first}–{last}",
            "account …{tail} has no statement for {first}–{last}",
            tail=account[-4:],
            first=f"{first_on:%d.%m.%Y}",
            last=f"{last_on:%d.%m.%Y}",
        ),
        remedy=say("Добавьте её в папку.", "Add it to the folder."),
    )


def _lag(account: str, last_on: date) -> CheckLine:
    return CheckLine(
        subject=_STATEMENTS,
        verdict="warning",
        detail=say(
            "по счёту …{tail} выписки только до {day}: данные о деньгах считаются полными лишь до этого дня",
            "account …{tail} has statements until {day} only: money counts as complete no further than that",
            tail=account[-4:],
            day=f"{last_on:%d.%m.%Y}",
        ),
        remedy=say(
            "Добавьте выписки, а закрытый счёт впишите в closed_accounts.",
            "Add its statements; list a closed account in closed_accounts.",
        ),
    )


def _foreign(kind: Text, names: list[str]) -> CheckLine:
    return CheckLine(
        subject=_FOLDER,
        verdict="warning",
        detail=say("никто не читает, {kind}: {names}", "nobody reads {kind}: {names}", kind=kind, names=_shown(names)),
        remedy=say("Уберите их из папки.", "Take them out of the folder."),
    )


def _shown(names: list[str]) -> str:
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" … +{more}" if more > 0 else "")
