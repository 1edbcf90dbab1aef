"""The readers of the campaign on a lake (tests/lake_campaign): do they see what is wrong? The campaign itself is run by
hand, for minutes: `python -m tests.lake_campaign`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.steps.sync import sync
from tests.engine import copy_lake, make_lake, opened_lake
from tests.lake_campaign.reader import Picture, Seen, attached
from tests.lake_campaign.workers import REPLACED, is_all_replaced
from tests.toy import Toy, deal, page
from warehouse.address import Lake
from warehouse.engine import transaction

DEALS = (("toy", "deals", "core.deals"),)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    toy = Toy(tmp_path_factory.mktemp("loaded"))
    lake, connector = make_lake(toy.folder), toy.connector()
    toy.script = {"deals": [page(deal(1, 100), deal(2, 110), position={"updated_at": 110})]}
    assert sync(replace(toy.project(), lake=lake), clock=toy.clock, find_connector=lambda name: connector).is_ok
    return lake


def look(lake: Lake, before: Seen) -> tuple[list[str], Seen]:
    warehouse = f"ATTACH '{lake.shown}' AS voronka (METADATA_SCHEMA 'voronka_warehouse', READ_ONLY)"
    with attached(
        [warehouse, f"ATTACH '{lake.shown}' AS landing (METADATA_SCHEMA 'voronka_raw', READ_ONLY)"]
    ) as opened:
        picture = Picture(opened)
        seen = picture.look(before, DEALS)
        return [what.partition(":")[0] for what in picture.wrong], seen


@pytest.mark.parametrize(
    ("tampering", "noticed"),
    [
        ("DELETE FROM core.deals WHERE deal_id = '2'", {"half a slice in core.deals"}),
        ("INSERT INTO core.deals SELECT * FROM core.deals WHERE deal_id = '2'", {"key twice"}),
        (
            "INSERT INTO core.deals SELECT * REPLACE ('3' AS deal_id) FROM core.deals WHERE deal_id = '2'",
            {"half a slice in core.deals"},
        ),
        ("UPDATE meta.watermarks SET seq = seq + 1 WHERE stream = 'deals'", {"watermark ahead of the log"}),
        (
            "UPDATE meta.watermarks SET seq = seq - 1 WHERE stream = 'deals'",
            {"half a slice in core.deals", "watermark went back"},
        ),
        ("UPDATE landing.raw.runs SET rows = 1 WHERE stream = 'deals'", {"a run's count is not what is stored"}),
        (
            "INSERT INTO landing.raw.records SELECT * FROM landing.raw.records WHERE seq = 2",
            {"a run's count is not what is stored", "seq twice", "the log was changed"},
        ),
        ("UPDATE landing.raw.positions SET position = '{\"updated_at\": -5000}'", {"position went back"}),
        ("UPDATE landing.raw.records SET payload = '{}' WHERE seq = 1", {"the log was changed"}),
    ],
)
def test_a_reader_of_the_campaign_notices(loaded: Lake, tampering: str, noticed: set[str]) -> None:
    """A campaign that finds nothing because it looks at nothing."""
    lake = copy_lake(loaded)
    wrong, seen = look(lake, {})
    assert wrong == []
    with opened_lake(lake) as connection, transaction(connection):
        connection.execute(tampering)
    assert set(look(lake, seen)[0]) == noticed


def test_a_statement_that_was_replaced_while_it_was_read_is_no_defect_and_anything_beside_it_is() -> None:
    replaced = f"accounting: a.txt: {REPLACED}; it will be read again next time.\n"
    assert is_all_replaced("accounting", f"Source  What\n{replaced}More: voronka rejects accounting\n")
    assert not is_all_replaced("accounting", f"{replaced}accounting: b.txt: The file is cut off\n")
    assert not is_all_replaced("accounting", "Source  What\n")
