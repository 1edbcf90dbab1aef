"""A whole reading tells what ordinary loads had claimed to have, and did not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from base.secrets import Secret
from connectors.amocrm.settings import AmocrmSettings
from connectors.zadarma.settings import ZadarmaSettings
from flows.project import Source
from flows.steps.sources import files_of, sweeping_sources
from tests.toy import EPOCH, Toy, deal, page
from warehouse.database import open_warehouse

NOW = int(EPOCH.timestamp())


def stored(toy: Toy, query: str) -> list[tuple[Any, ...]]:
    with open_warehouse(files_of(toy.project()), command="test", clock=toy.clock) as warehouse:
        return warehouse.connection.execute(query).fetchall()


def summaries(toy: Toy) -> list[tuple[Any, ...]]:
    columns = "stream, listed, total, held, missed, edited, deleted"
    return stored(toy, f"SELECT {columns} FROM meta.reconciliations ORDER BY reconciled_at")


def drift(toy: Toy) -> dict[str, str]:
    return dict(stored(toy, "SELECT record_id, kind FROM meta.drift"))


def test_what_an_ordinary_load_should_have_known_is_named(toy: Toy) -> None:
    """One of each: never met, edited under its old time, gone; the two honest changes are none."""
    toy.run({"deals": [page(*[deal(n, NOW - 100) for n in range(1, 6)])]})
    toy.clock.advance(3600)
    whole = [
        deal(1, NOW - 100),
        deal(2, NOW - 100, title="edited behind our back"),
        deal(3, NOW + 1800, title="edited since"),
        deal(4, NOW - 100),
        deal(7, NOW - 50),
        deal(8, NOW + 1800),
    ]
    toy.run({"deals": [page(*whole, total=6)]}, full=True)
    assert drift(toy) == {"7": "missed", "2": "edited", "5": "deleted"}
    assert summaries(toy) == [("deals", 6, 6, 6, 1, 1, 1)]


def test_nothing_is_compared_before_a_first_load_has_ended(toy: Toy) -> None:
    """Every record of a first load would be drift."""
    toy.run({"deals": [page(deal(1, NOW - 100))]}, full=True)
    assert summaries(toy) == []


def test_a_reading_that_finds_all_well_is_stored_too(toy: Toy) -> None:
    """Otherwise nobody could tell a company that agrees from one that is never compared."""
    toy.run({"deals": [page(deal(1, NOW - 100))]})
    toy.clock.advance(3600)
    toy.run({"deals": [page(deal(1, NOW - 100))]}, full=True)
    assert summaries(toy) == [("deals", 1, None, 1, 0, 0, 0)]
    assert drift(toy) == {}


def test_a_changed_form_of_every_answer_names_nobody(toy: Toy) -> None:
    """A new custom field makes every payload another one: a flag for each deal would bury the true ones."""
    toy.run({"deals": [page(*[deal(n, NOW - 100) for n in range(60)])]})
    toy.clock.advance(3600)
    toy.run({"deals": [page(*[deal(n, NOW - 100, owner="new field") for n in range(60)])]}, full=True)
    assert summaries(toy) == [("deals", 60, None, 60, 0, 60, 0)]
    assert drift(toy) == {}


def test_a_view_that_proves_no_absence_is_not_compared(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, NOW - 100), deal(2, NOW - 100))]})
    toy.clock.advance(3600)
    toy.run({"deals": [page(deal(1, NOW - 100), is_partial_view=True)]}, full=True)
    assert summaries(toy) == []


def test_only_sources_that_sweep_are_read_whole_for_it(toy: Toy) -> None:
    """A year of telephony is read again for hours and tells nothing a window had not."""
    amo = AmocrmSettings(type="amocrm", base_url="https://x.amocrm.ru", token=Secret("t"))
    zadarma = ZadarmaSettings(type="zadarma", key=Secret("k"), secret=Secret("s"))
    settings = {"amo": amo, "phones": zadarma}
    sources = {name: Source(name=name, type=one.type, settings=one) for name, one in settings.items()}
    assert sweeping_sources(replace(toy.project(), sources=sources)) == ["amo"]
