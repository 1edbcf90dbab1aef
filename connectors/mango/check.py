"""`voronka check` for Mango: key and salt, each right apart, and the clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from base.errors import BlockedError, SourceError
from base.text import Text, say
from connectors.checking import compare_clocks, failure, finding
from connectors.mango.client import MangoClient
from connectors.mango.reports import EXTENDED, extended_parameters
from connectors.mango.windows import split_windows
from connectors.stream import CheckLine

# Windows end minutes before now, so that a smaller difference of clocks changes nothing.
LARGEST_SKEW = timedelta(minutes=2)


def check(client: MangoClient) -> Iterator[CheckLine]:
    """Findings, one a subject. After a refused key nothing more is asked: a second wrong request locks it."""
    subject = say("ключ и соль", "key and salt")
    try:
        balance = client.fetch_balance()
    except SourceError as error:
        yield failure(subject, error)
        return
    yield finding(subject, "ok", say("приняты, баланс {balance}", "accepted, balance {balance}", balance=balance))
    probes: tuple[tuple[Text, Callable[[], Text]], ...] = (
        (say("сотрудники", "employees"), lambda: _count_users(client)),
        (say("статистика звонков", "call statistics"), lambda: _order_statistics(client)),
    )
    for subject, probe in probes:
        try:
            yield finding(subject, "ok", probe())
        except BlockedError as error:
            yield failure(subject, error)
            return
        except SourceError as error:
            yield failure(subject, error)
    yield compare_clocks("Mango", client.skew, LARGEST_SKEW)


def _count_users(client: MangoClient) -> Text:
    return say("видно: {count}", "visible: {count}", count=len(client.fetch_users()))


def _order_statistics(client: MangoClient) -> Text:
    """An order is enough to see the right; its result is left to expire."""
    last = client.now() - timedelta(minutes=client.settings.lag_minutes)
    window = next(split_windows(last, last))
    client.start_report(EXTENDED.start_path, extended_parameters(window, 0, limit=1))
    return say("доступна", "available")
