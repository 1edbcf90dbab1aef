"""The same money in a bank's statement, a CommerceML exchange and 1C's own database is counted once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path

from odata_office import MOSCOW, PASSWORD, Books, odata_settings

from base.clock import FakeClock
from connectors.onec.settings import OnecSettings
from demo.company import build_company
from demo.onec import OnecServer, world_from_story
from demo.onec.commerceml import write_exchange
from demo.statements import write_statements
from flows.project import Source
from flows.steps.recompute import prepare
from flows.steps.sources import files_to_load
from flows.steps.sync import sync
from metrics.settings import Company
from warehouse.database import open_warehouse


def test_money_seen_through_three_channels_counts_once(tmp_path: Path, empty_files: Path) -> None:
    """Revenue would be three times what it is, or change with the order in which the sources are read."""
    shutil.copytree(empty_files, tmp_path / "var", dirs_exist_ok=True)
    story = build_company(deals=60)
    clock = FakeClock(story.told_at.astimezone(UTC))
    write_statements(story, tmp_path / "exports")
    write_exchange(story, tmp_path / "exports")
    server = OnecServer(world_from_story(story), password=PASSWORD, clock=clock)
    files = OnecSettings(type="onec", path=str(tmp_path / "exports"), own_accounts=[story.own_account])
    project = replace(
        Books(tmp_path, server, clock).project,
        company=Company(zone=MOSCOW, own_tax_ids=frozenset({story.tax_id}), priorities={"files": 1, "books": 2}),
        sources={
            "files": Source(name="files", type="onec", settings=files),
            "books": Source(name="books", type="onec", settings=odata_settings(priority=2)),
        },
    )
    assert sync(project, clock=clock, transport=server.transport).is_ok
    with open_warehouse(files_to_load(project), command="test", clock=clock) as warehouse:
        prepare(warehouse, project, clock)
        ask = warehouse.connection.execute
        counted = ask(
            "SELECT p.channel, sum(p.amount) FROM core.payments AS p JOIN calc.payments AS c USING (source, payment_id)"
            " WHERE c.excluded_by IS NULL GROUP BY 1"
        ).fetchall()
        copies = ask(
            "SELECT p.channel, count(*) FROM core.payments AS p JOIN calc.payments AS c USING (source, payment_id)"
            " WHERE c.excluded_by = 'other_channel' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    told_on = story.told_at.astimezone(MOSCOW).date()
    of_deals = [payment for payment in story.payments if payment.deal_id is not None and payment.paid_on <= told_on]
    (channel, total), *others = counted
    assert (channel, others) == ("statement", [])
    customers = [
        payment.amount
        for payment in story.payments
        if not payment.is_own_transfer and (payment.amount > 0 or payment.purpose.startswith("Возврат"))
    ]
    assert total == sum(customers, Decimal(0))
    found = dict(copies)
    assert found["commerceml"] == len(of_deals)
    assert found["odata"] >= len(of_deals)
