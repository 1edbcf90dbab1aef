"""Forget: a person leaves the log, the warehouse and the analysts' file, and a search proves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.clock import Clock, SystemClock
from base.errors import UsageError
from base.phones import normalise_phone
from base.points import reached
from base.text import say
from connectors.registry import load_connector
from connectors.stream import Connector
from flows.project import Project
from flows.steps.progress import Progress, Silent
from flows.steps.publish import publish_now, publish_open
from flows.steps.sources import files_of
from warehouse.compact import compact
from warehouse.database import Warehouse, open_warehouse
from warehouse.forget import CARDS, Eraser, Person, find_by_contact, find_by_phone
from warehouse.forgotten import Card, Forgotten, open_forgotten, tail_of
from warehouse.lake_search import forget_extremes, lake_holds
from warehouse.lake_upkeep import purge
from warehouse.lock import writer_lock
from warehouse.search import files_below, files_with

FindConnector = Callable[[str], Connector[Any]]


@dataclass
class ForgetReport:
    """Who was meant, where something was removed (place and rows), and what a search found afterwards."""

    person: Person
    removed: dict[str, int] = field(default_factory=dict)
    # Files of ours in which something is still found: there should be none.
    left: list[Path] = field(default_factory=list)
    left_rows: dict[str, int] = field(default_factory=dict)
    # Data files and relations of a lake's catalog, likewise.
    left_in_lake: list[str] = field(default_factory=list)
    # Files that are not ours to change: inputs, exports of accounting.
    not_ours: list[Path] = field(default_factory=list)
    # Copies of the databases, which are not searched: the person is in those made before.
    backups: list[Path] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        return not (self.left or self.left_rows or self.left_in_lake)


def forget(
    project: Project,
    subject: str,
    *,
    with_payments: bool = False,
    is_rehearsal: bool = False,
    clock: Clock | None = None,
    wait_seconds: float = 60.0,
    progress: Progress | None = None,
    find_connector: FindConnector = load_connector,
) -> ForgetReport:
    """Remove a person's data everywhere and keep it from coming back; facts stay as they are.

    `subject` is a phone in any form, a contact's id, or `source:id`. Killed meanwhile, the same command once more
    does the rest: the list of the forgotten is written first.

    Raises:
        UsageError: no such contact.
        BusyError: another command holds the warehouse.
    """
    clock = clock or SystemClock()
    progress = progress or Silent()
    files = files_of(project)
    locking: dict[str, Any] = {"clock": clock, "wait_seconds": wait_seconds, "on_wait": progress.say}
    with open_warehouse(files, command="forget", **locking) as warehouse:
        person = _find(project, warehouse, subject)
        report = ForgetReport(person)
        if is_rehearsal:
            return report
        forgotten = open_forgotten(project.state_dir)
        cards = list(_cards(project, person, find_connector))
        forgotten.add(person.phones, person.emails, person.names, cards, money=with_payments)
        reached("forget.remembered")
        report.removed = _erase(project, warehouse, person, forgotten, cards, with_payments, find_connector)
        if project.lake is not None:
            progress.say(say("Переписываю файлы озера без удалённых строк…", "Writing the lake's files anew…"))
            purge(warehouse.connection, clock, project.lake)
            publish_open(project, warehouse.connection)
            report.left_rows = _erase(project, warehouse, person, forgotten, cards, with_payments, find_connector)
    if project.lake is not None:
        with open_warehouse(files, command="forget", **locking) as warehouse:
            forget_extremes(warehouse.connection)
            report.left_in_lake = lake_holds(warehouse.connection, project.lake, _words(person, with_payments))
        _search(project, report, with_payments=with_payments)
        return report
    with writer_lock(files.warehouse, command="forget", **locking):
        progress.say(say("Переписываю файлы без старых страниц…", "Writing the files anew, without old pages…"))
        compact(files.raw, "raw")
        compact(files.warehouse, "warehouse")
        publish_now(project)
    with open_warehouse(files, command="forget", **locking) as warehouse:
        # Asked once more, there must be nothing to remove.
        report.left_rows = _erase(project, warehouse, person, forgotten, cards, with_payments, find_connector)
    _search(project, report, with_payments=with_payments)
    return report


def _find(project: Project, warehouse: Warehouse, subject: str) -> Person:
    source, colon, contact = subject.rpartition(":")
    person = find_by_contact(warehouse.connection, contact, source if colon else None)
    if person.cards or colon:
        found = person
    else:
        phone = normalise_phone(subject, country=project.company.calendar)
        found = find_by_phone(warehouse.connection, phone.e164) if phone.e164 else person
    if not found.is_known:
        raise UsageError(
            say("«{subject}» — не телефон и не контакт.", "{subject!r} is no phone and no contact.", subject=subject),
            say(
                "Пишите телефон (+7 916 123-45-67) или контакт: источник:номер (amo:12345).",
                "Write a phone (+7 916 123-45-67) or a contact: source:id (amo:12345).",
            ),
        )
    return found


def _cards(project: Project, person: Person, find_connector: FindConnector) -> list[Card]:
    """The person's cards as the log names them: the stream whose records they are."""
    found: list[Card] = []
    for relation, source, record_id in sorted(person.cards):
        known = project.sources.get(source)
        for stream in find_connector(known.type).streams if known else ():
            if relation in stream.tombstones and relation in CARDS:
                found.append((source, stream.name, record_id))
    return found


def _erase(
    project: Project,
    warehouse: Warehouse,
    person: Person,
    forgotten: Forgotten,
    cards: list[Card],
    with_payments: bool,
    find_connector: FindConnector,
) -> dict[str, int]:
    facets = {
        (source.name, stream.name): stream.facet
        for source in project.sources.values()
        for stream in find_connector(source.type).streams
    }
    eraser = Eraser(warehouse.connection, person, forgotten, facets, with_payments=with_payments)
    eraser.erase_raw(cards)
    reached("forget.raw_erased")
    eraser.erase_warehouse()
    return eraser.removed.places


def _words(person: Person, with_payments: bool) -> set[str]:
    """What is searched for: a name may stand in payments that are kept."""
    words = {tail_of(phone) for phone in person.phones} | person.emails
    if with_payments:
        words |= {name for name in person.names if " " in name}
    return words


def _search(project: Project, report: ForgetReport, *, with_payments: bool) -> None:
    """Look for the person's numbers, addresses and (where payments went too) names in the bytes of every file."""
    words = _words(report.person, with_payments)
    ours = [project.warehouse_path.parent, project.raw_path.parent, project.publish_path, project.state_dir]
    files = list(files_below(ours))
    report.backups = [path for path in files if ".backup." in path.name or "before-restore" in path.name]
    report.left = files_with(words, [path for path in files if path not in report.backups])
    theirs = [project.company.inputs_dir]
    theirs += [Path(path) for path in (getattr(s.settings, "path", None) for s in project.sources.values()) if path]
    report.not_ours = files_with(words, [path for path in files_below(theirs) if path not in files])
