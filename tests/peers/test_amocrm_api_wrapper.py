"""amocrm-api-wrapper (module `amocrm_api`) reads the account: pages by number, 204 for nothing, tokens that rotate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from amocrm_api.errors import AmoException
from portals import Serve

from base.clock import FakeClock
from benchmarks.mended_amocrm import MendedAmoClient
from demo.amocrm import AmocrmServer, AmocrmWorld, Quirks, TokenOffice

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FIRST_CHANGE = 1_760_000_000
INTEGRATION = {"client_id": "b1f0", "client_secret": "s3cr3t", "redirect_uri": "https://etl.example.com/amo"}
Record = dict[str, Any]
Reader = Callable[..., tuple[MendedAmoClient, AmocrmServer]]
# Everything `with` can add, so that a record is told whole.
PARTS = ["contacts", "loss_reason", "catalog_elements", "source"]


def account_of(leads: int) -> AmocrmWorld:
    world = AmocrmWorld(account={"id": 30111222, "_embedded": {}}, users=[], pipelines=[])
    for number in range(leads):
        # Ids against the order of changes: an order that is ignored is seen.
        world.add("leads", {"id": 9_000 - number, "name": "Сделка", "updated_at": FIRST_CHANGE + number})
    return world


@pytest.fixture
def reader(serve: Serve) -> Iterator[Reader]:
    """`reader(world)`: a server of it, without the limit of requests, and a client that reads it."""
    opened: list[MendedAmoClient] = []

    def open_(world: AmocrmWorld, **options: Any) -> tuple[MendedAmoClient, AmocrmServer]:
        server = AmocrmServer(world, token="live", limit_per_second=None, **options)
        client = MendedAmoClient("live", "none", serve(server), **INTEGRATION)
        opened.append(client)
        return client, server

    yield open_
    for client in opened:
        client.close()


def follow(ask: Callable[..., Record], key: str, **options: Any) -> Iterator[Record]:
    """Every record, as long as `_links.next` announces a page."""
    page = 1
    while True:
        answer = ask(page=page, **options)
        yield from answer.get("_embedded", {}).get(key, [])
        if "next" not in answer.get("_links", {}):
            return
        page += 1


def bare(records: Iterator[Record] | list[Record]) -> list[Record]:
    """Without links, which are the answer's and not the record's."""
    return [{name: value for name, value in record.items() if name != "_links"} for record in records]


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 500, 620])
@pytest.mark.parametrize("follows_next", [False, True])
def test_every_lead_is_read_once_wherever_the_last_page_ends(reader: Reader, count: int, follows_next: bool) -> None:
    """By short pages and 204, as the client does it, and by `_links.next`: a lie in either loses or repeats leads."""
    client, server = reader(account_of(count))
    order = {"updated_at": "asc"}
    got = follow(client.get_leads, "leads", order=order) if follows_next else client.iter_leads(order=order)
    assert [lead["id"] for lead in got] == [9_000 - number for number in range(count)]
    # By the length of pages a full last one is known for the last only when the next is empty.
    assert len(server.requests) == (max(1, -(-count // 250)) if follows_next else count // 250 + 1)


def test_a_next_after_a_full_last_page_leads_to_nothing(
    reader: Reader,
) -> None:
    """Real accounts do that; the page behind it is a 204, which the client reads as an empty answer."""
    client, _ = reader(account_of(250), quirks=Quirks(next_after_full_page=True))
    statuses: list[int] = []
    client._session.event_hooks = {"response": [lambda response: statuses.append(response.status_code)]}
    assert len(list(follow(client.get_leads, "leads"))) == 250
    assert client.get_leads(page=2) == {}
    assert statuses == [200, 204, 204]


@pytest.mark.parametrize(
    ("path", "get", "options"),
    [
        ("leads", "get_leads", {"with_params": PARTS}),
        ("contacts", "get_contacts", {}),
        ("companies", "get_companies", {}),
        ("tasks", "get_tasks", {}),
        ("events", "get_events", {}),
        ("contacts/notes", "get_notes_by_entity_type", {"entity_type": "contacts"}),
    ],
)
def test_a_company_is_read_as_it_is(
    reader: Reader,
    account: AmocrmWorld,
    path: str,
    get: str,
    options: dict[str, Any],
) -> None:
    client, _ = reader(account)
    got = bare(follow(getattr(client, get), path.rpartition("/")[2], **options))
    assert len(got) > 100
    assert sorted(got, key=_id) == sorted(account.tables[path], key=_id)


def test_events_are_newest_first_and_never_more_than_a_hundred(reader: Reader, account: AmocrmWorld) -> None:
    """A `limit` above the maximum is cut to 50 in silence: who stops at a short page has lost the rest."""
    client, _ = reader(account)
    every = [event["created_at"] for event in follow(client.get_events, "events")]
    assert every == sorted(every, reverse=True)
    assert len(every) == len(account.tables["events"])
    assert len(client.get_events(limit=250)["_embedded"]["events"]) == 50


def test_filters_and_totals_hold(reader: Reader, account: AmocrmWorld) -> None:
    client, _ = reader(account)
    times = sorted(lead["updated_at"] for lead in account.tables["leads"])
    since, until = times[60], times[200]
    got = client.iter_leads(filters={"updated_at__from": since, "updated_at__to": until})
    assert sorted(lead["updated_at"] for lead in got) == [time for time in times if since <= time <= until]
    pipelines = client.get_pipelines()
    assert pipelines["_total_items"] == len(pipelines["_embedded"]["pipelines"]) == 1
    assert {stage["id"] for stage in pipelines["_embedded"]["pipelines"][0]["_embedded"]["statuses"]} >= {142, 143}
    users = client.get_users()
    assert users["_total_items"] == len(users["_embedded"]["users"]) == len(account.users)
    assert client.get_account_info(with_task_types=True)["_embedded"]["task_types"]


def test_a_missing_record_is_nothing_and_a_refusal_is_its_error(reader: Reader, account: AmocrmWorld) -> None:
    client, _ = reader(account, quirks=Quirks(is_admin=False))
    assert client.get_lead(1) == {}
    with pytest.raises(AmoException) as refused:
        client.get_users()
    assert refused.value.code == 403


def test_an_expired_token_is_renewed_once_and_the_old_pair_is_dead(
    reader: Reader,
) -> None:
    """The whole exchange: 401, refresh by JSON, a new pair, the request again; the used refresh token is refused."""
    office = TokenOffice(FakeClock(NOW), **INTEGRATION)
    _, server = reader(account_of(3), oauth=office)
    code = {**INTEGRATION, "grant_type": "authorization_code", "code": office.issue_code()}
    pair = httpx.post(f"{server.url}/oauth2/access_token", json=code).json()
    office.revoke_access()
    old, twice = (
        MendedAmoClient(pair["access_token"], pair["refresh_token"], server.url, **INTEGRATION) for _ in range(2)
    )
    with closing(old), closing(twice):
        assert len(list(old.iter_leads())) == 3
        assert (office.refresh_count, old.refresh_token == pair["refresh_token"]) == (1, False)
        with pytest.raises(AmoException, match="revoked"):
            list(twice.iter_leads())


def _id(record: Record) -> Any:
    return record["id"]
