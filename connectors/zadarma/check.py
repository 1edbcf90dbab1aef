"""`voronka check` for Zadarma: key, PBX, and whether the account's clock is the one the settings say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from base.errors import SourceError
from base.text import Text, say
from connectors.checking import compare_clocks, failure, finding
from connectors.stream import CheckLine
from connectors.zadarma.client import ZadarmaClient
from connectors.zadarma.fetch import PBX
from connectors.zadarma.windows import to_wall, wall_text

LARGEST_SKEW = timedelta(minutes=2)


def check(client: ZadarmaClient) -> Iterator[CheckLine]:
    """Findings, one a subject; nothing more is asked with a refused key."""
    subject = say("ключ и секрет", "key and secret")
    try:
        balance = client.fetch_balance()
    except SourceError as error:
        yield failure(subject, error)
        return
    yield finding(subject, "ok", say("приняты, баланс {balance}", "accepted, balance {balance}", balance=balance))
    probes: list[tuple[Text, Callable[[], CheckLine]]] = [
        (say("часовой пояс", "time zone"), lambda: _check_zone(client)),
        (say("статистика звонков", "call statistics"), lambda: _check_statistics(client)),
    ]
    if client.settings.statistics == "pbx":
        probes.insert(1, (say("внутренние номера", "extensions"), lambda: _check_extensions(client)))
    for subject, probe in probes:
        try:
            yield probe()
        except SourceError as error:
            yield failure(subject, error)
    yield compare_clocks("Zadarma", client.skew, LARGEST_SKEW)


def _check_zone(client: ZadarmaClient) -> CheckLine:
    """The vendor states an offset only; a zone set wrong would shift calls of the whole year."""
    subject = say("часовой пояс", "time zone")
    stated = client.fetch_offset()
    ours = client.now().astimezone(client.zone).utcoffset()
    if stated != ours:
        return finding(
            subject,
            "warning",
            say(
                "в кабинете UTC{stated:+g}, а {zone} сейчас UTC{ours:+g}",
                "the account is at UTC{stated:+g}, but {zone} is at UTC{ours:+g} now",
                stated=stated / timedelta(hours=1),
                ours=(ours or timedelta()) / timedelta(hours=1),
                zone=client.zone.key,
            ),
            say("Укажите timezone источника как в кабинете.", "Set the source's timezone as in the account."),
        )
    return finding(subject, "ok", say("{zone}, как в кабинете", "{zone}, as in the account", zone=client.zone.key))


def _check_extensions(client: ZadarmaClient) -> CheckLine:
    found = len(client.fetch_extensions())
    return finding(say("внутренние номера", "extensions"), "ok", say("видно: {count}", "visible: {count}", count=found))


def _check_statistics(client: ZadarmaClient) -> CheckLine:
    last = to_wall(client.now() - timedelta(minutes=client.settings.lag_minutes), client.zone)
    period = {"start": wall_text(last - timedelta(hours=1)), "end": wall_text(last)}
    if client.settings.statistics == "pbx":
        client.fetch_page(PBX, period | {"version": "2"}, 0)
    else:
        client.fetch_page("statistics/", period, 0)
    return finding(say("статистика звонков", "call statistics"), "ok", say("доступна", "available"))
