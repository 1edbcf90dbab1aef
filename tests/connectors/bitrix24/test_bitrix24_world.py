"""A portal that is edited, added to and deleted from while it is read and between the runs, over a network that fails
one time in ten: after every quiet run the core holds what the portal holds, and the daily sweep buries what is gone."""

from __future__ import annotations

import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from test_bitrix24_sync import Portal

from demo.bitrix24.world import Record

DAY = 86_400
# Relation, its id, what is compared, and the same in the portal's table.
COMPARED: dict[str, tuple[str, str, str]] = {
    "deals": ("core.deals", "deal_id", "owner_id || ' ' || amount || ' ' || stage_id"),
    "leads": ("core.leads", "lead_id", "status_id || ' ' || outcome"),
    "contacts": ("core.contacts", "contact_id", "coalesce(name, '')"),
    "invoices": ("core.invoices", "invoice_id", "stage_id || ' ' || is_paid"),
    "payments": ("core.crm_payments", "payment_id", "is_paid || ' ' || coalesce(deal_id, '')"),
    "quotes": ("core.activities", "activity_id", "coalesce(deal_id, '')"),
}


def as_core(portal: Portal, table: str, record: Record) -> str:
    """A portal's record as `COMPARED` words it."""
    if table == "deals":
        return f"{record['ASSIGNED_BY_ID']} {record['OPPORTUNITY']} {record['STAGE_ID']}"
    if table == "leads":
        return f"{record['STATUS_ID']} {({'S': 'converted', 'F': 'junk'}).get(record['STATUS_SEMANTIC_ID'], 'open')}"
    if table == "contacts":
        return " ".join(filter(None, (record["NAME"], record["SECOND_NAME"], record["LAST_NAME"])))
    if table == "invoices":
        return f"{record['stageId']} {str(record['stageId'].endswith(':P')).lower()}"
    if table == "payments":
        links = {link["orderId"]: link["ownerId"] for link in portal.world.tables["order_links"]}
        return f"{str(record['paid'] == 'Y').lower()} {links.get(record['orderId'], '')}"
    return str(record["DEAL_ID"])


def real(portal: Portal, table: str) -> dict[str, str]:
    prefix = "quote-" if table == "quotes" else ""
    return {
        f"{prefix}{record.get('ID', record.get('id'))}": as_core(portal, table, record)
        for record in portal.world.tables[table]
    }


def held(portal: Portal, table: str) -> dict[str, str]:
    relation, key, value = COMPARED[table]
    only = " AND activity_type = 'offer'" if table == "quotes" else ""
    return dict(portal.rows(f"SELECT {key}, {value} FROM {relation} WHERE is_deleted IS NOT TRUE{only}"))


def linked(portal: Portal) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Contacts of living deals: in the core, and in the portal."""
    core = portal.rows(
        "SELECT deal_id, contact_id FROM core.deal_contacts"
        " JOIN core.deals USING (source, deal_id) WHERE is_deleted IS NOT TRUE"
    )
    portal_links = {
        (deal["ID"], str(contact))
        for deal in portal.world.tables["deals"]
        for contact in deal.get("CONTACT_IDS") or [deal["CONTACT_ID"]]
    }
    return set(core), portal_links


class Disturbance:
    """What people do in the portal; the same for the same seed. Deletions only between runs, for a run may be over
    with a list before a record of it goes."""

    def __init__(self, portal: Portal, seed: int) -> None:
        self.portal = portal
        self.dice = random.Random(seed)
        self.ids = {name: sorted(int(r.get("ID", r.get("id"))) for r in portal.world.tables[name]) for name in COMPARED}
        self.next_id = 90_000_000
        # Requests come from several threads, and each is followed by an edit.
        self.one_at_a_time = threading.Lock()

    def pick(self, table: str) -> int | None:
        living = [number for number in self.ids[table] if number in self.portal.world.tables[table]]
        return self.dice.choice(living) if living else None

    def edit(self, method: str = "") -> None:
        with self.one_at_a_time:
            self._edit()

    def _edit(self) -> None:
        world, now = self.portal.world, self.portal.clock.now()
        deal = self.pick("deals")
        if deal is not None:
            others = [self.dice.randrange(1, 999) for _ in range(self.dice.randrange(3))]
            main = int(world.tables["deals"][deal]["CONTACT_ID"])
            amount = f"{self.dice.randrange(10**6)}.00"
            world.edit("deals", deal, now, OPPORTUNITY=amount, CONTACT_IDS=list(dict.fromkeys([main, *others])))
        lead, invoice = self.pick("leads"), self.pick("invoices")
        if lead is not None:
            status, meaning = self.dice.choice([("NEW", "P"), ("JUNK", "F"), ("CONVERTED", "S")])
            world.edit("leads", lead, now, STATUS_ID=status, STATUS_SEMANTIC_ID=meaning)
            world.enter_record("leads", lead, status, meaning, now)
        if invoice is not None:
            letter, meaning = self.dice.choice([("N", "P"), ("P", "S"), ("D", "F")])
            world.edit("invoices", invoice, now, stageId=f"DT31_5:{letter}")
            world.enter_record("invoices", invoice, f"DT31_5:{letter}", meaning, now)
        self.add_deal()

    def add_deal(self) -> None:
        world, now = self.portal.world, self.portal.clock.now()
        model = next(iter(world.tables["deals"]))
        self.next_id += 1
        stamps = {"DATE_CREATE": world.stamp(now), "DATE_MODIFY": world.stamp(now), "MOVED_TIME": world.stamp(now)}
        world.add("deals", {**model, **stamps, "ID": str(self.next_id), "CONTACT_IDS": None})
        world.enter(self.next_id, model["STAGE_ID"], "P", now, is_new=True)

    def delete(self) -> None:
        for table in COMPARED:
            gone = self.pick(table)
            if gone is not None:
                self.portal.world.delete(table, gone)


def assert_equal(portal: Portal) -> None:
    for table in COMPARED:
        assert held(portal, table) == real(portal, table), table
    core, portal_links = linked(portal)
    assert core == portal_links
    entries = portal.rows("SELECT event_id FROM core.record_events")
    told = {f"lead-{entry['ID']}" for entry in portal.world.tables["lead_history"]}
    told |= {f"invoice-{entry['ID']}" for entry in portal.world.tables["invoice_history"]}
    assert told <= {event_id for (event_id,) in entries}


@pytest.mark.parametrize("seed", range(10))
def test_core_equals_a_changing_portal(tmp_path: Path, empty_files: Path, seed: int) -> None:
    shutil.copytree(empty_files, tmp_path / "var")
    portal = Portal(tmp_path, seed=seed, deals=20)
    people = Disturbance(portal, seed)
    portal.server.after_request = people.edit
    portal.sync()
    portal.server.after_request = lambda method: None
    # What changed while it was read is met by the next run; nothing is buried in the core before a sweep is due.
    portal.clock.advance(3600)
    people.delete()
    people.edit()
    portal.sync()
    for table in COMPARED:
        assert real(portal, table).items() <= held(portal, table).items(), table
    people.delete()
    people.edit()
    portal.clock.advance(DAY)
    portal.sync()
    assert_equal(portal)
    if seed == 0:
        # Buried is buried, also when everything is read again.
        portal.clock.advance(60)
        portal.sync(full=True)
        assert_equal(portal)
