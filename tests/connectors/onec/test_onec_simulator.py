"""The simulated 1C refuses what a real one refuses: a client that leans on its kindness would fail at a customer's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from odata_office import NOW, PASSWORD, empty_world, receipt

from demo.onec import OnecServer, Quirks
from demo.onec.world import RECEIPTS

ROOT = "https://books.example/base/odata/standard.odata"
GOOD = "$format=json&$select=Ref_Key&$orderby=Date,Ref_Key"


def ask(query: str, *, user: str = "voronka", quirks: Quirks | None = None, entity_set: str = RECEIPTS) -> Any:
    world = empty_world()
    for number in range(20):
        receipt(world, number, NOW - timedelta(days=number))
    server = OnecServer(world, password=PASSWORD, quirks=quirks)
    auth = httpx.BasicAuth(user, PASSWORD)
    with httpx.Client(transport=server.transport, auth=auth) as client:
        return [client.get(f"{ROOT}/{entity_set}?{query}") for _ in range(2)]


def keys_of(answers: Sequence[httpx.Response]) -> list[list[str]]:
    return [[row["Ref_Key"] for row in answer.json()["value"]] for answer in answers]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (GOOD, 200),
        (f"{GOOD}&$filter=Date%20ge%20datetime'2026-11-01T00:00:00'", 200),
        (f"{GOOD}&$filter=Date+ge+datetime'2026-11-01T00:00:00'", 400),
        (f"{GOOD}&$filter=Ref_Key%20gt%20guid'44444444-0000-4000-8000-000000000001'", 400),
        (f"{GOOD}&$filter=Такого%20eq%20'1'", 400),
        (f"{GOOD}&$filter=Date%20около%20'1'", 400),
        ("$format=json&$select=Ref_Key,Такого", 400),
    ],
)
def test_queries_that_1c_refuses_are_refused(query: str, status: int) -> None:
    assert [answer.status_code for answer in ask(query)] == [status, status]


def test_without_an_order_two_pages_do_not_fit_together() -> None:
    first, second = keys_of(ask("$format=json&$select=Ref_Key&$top=10"))
    assert first != second
    first, second = keys_of(ask(f"{GOOD}&$top=10"))
    assert first == second


def test_a_stranger_and_a_missing_set_are_refused() -> None:
    assert ask(GOOD, user="someone")[0].status_code == 401
    assert ask(GOOD, quirks=Quirks(hidden={RECEIPTS}))[0].status_code == 404
    assert ask(GOOD, quirks=Quirks(forbidden={RECEIPTS}))[0].status_code == 403


def test_unpublished_sets_are_not_described() -> None:
    shown, hidden = ask("", entity_set="$metadata"), ask("", entity_set="$metadata", quirks=Quirks(hidden={RECEIPTS}))
    assert f'"{RECEIPTS}"' in shown[0].text
    assert f'"{RECEIPTS}"' not in hidden[0].text
