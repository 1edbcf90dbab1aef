"""Small lists: users without what changes at every visit, pipelines together with their stages."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from base.errors import ProtocolError
from base.text import say
from connectors.bitrix24.answers import documented, read_raws
from connectors.bitrix24.client import Bitrix24Client
from connectors.bitrix24.fetch import fetch_dictionary
from connectors.bitrix24.listing import Listing
from connectors.stream import Page, Request

DEAL = 2
# `user.get` gives dismissed users too unless ACTIVE is filtered: history needs them.
# Read by offsets: few, and filters by id are not documented here. Without a sort its pages overlap.
USERS = Listing(method="user.get", params={"sort": "ID", "order": "ASC"})
# Presence, not the user: with it every run would find every user changed.
VOLATILE = ("LAST_LOGIN", "LAST_ACTIVITY_DATE", "IS_ONLINE", "TIMESTAMP_X")
DEPARTMENTS = Listing(method="department.get")
STATUSES = Listing(method="crm.status.list")
CATEGORIES = Listing(method="crm.category.list", rows_key="categories", id_field="id", params={"entityTypeId": DEAL})

DEAL_FIELDS = "crm.deal.fields"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Status(msgspec.Struct):
    ENTITY_ID: str = ""
    SORT: str | int | None = None
    ID: str | int | None = None


class _Category(msgspec.Struct):
    id: int | str


_STATUS = msgspec.json.Decoder(_Status)
_CATEGORY = msgspec.json.Decoder(_Category)


def fetch_users(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """All users by id."""
    for page in fetch_dictionary(client, USERS):
        page.payloads = [_without_presence(payload) for payload in page.payloads]
        yield page


def fetch_pipelines(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """One record a pipeline: its category and the stages of its dictionary, so that a new stage is a change of it."""
    stages: dict[str, list[msgspec.Raw]] = {}
    for page in fetch_dictionary(client, STATUSES):
        for payload in page.payloads:
            with documented(client.source, STATUSES.method):
                stages.setdefault(_STATUS.decode(payload).ENTITY_ID, []).append(msgspec.Raw(payload))
    envelope = client.call(CATEGORIES.method, CATEGORIES.params)
    with documented(client.source, CATEGORIES.method):
        raws = read_raws(envelope.result, CATEGORIES.rows_key)
        ids = [str(_CATEGORY.decode(raw).id) for raw in raws]
    if not raws:
        raise ProtocolError(
            say(
                "{source}: портал не назвал ни одной воронки сделок, даже главной.",
                "{source}: the portal names no pipeline of deals, not even the first one.",
                source=client.source,
            )
        )
    payloads = [
        msgspec.json.encode({"category": raw, "stages": stages.get(stage_dictionary(category_id), [])})
        for category_id, raw in zip(ids, raws, strict=True)
    ]
    yield Page(ids=ids, payloads=payloads, versions=[0] * len(ids), cursors=[0] * len(ids))


def fetch_deal_fields(client: Bitrix24Client, request: Request) -> Iterator[Page]:
    """Descriptions of the fields of deals, by code: labels, types, and the texts of enumerations."""
    result = client.call(DEAL_FIELDS).result
    with documented(client.source, DEAL_FIELDS):
        # PHP writes an empty object as a list.
        fields = {} if bytes(result) == b"[]" else _OBJECT.decode(result)
    names = sorted(fields)
    yield Page(
        ids=names, payloads=[bytes(fields[name]) for name in names], versions=[0] * len(names), cursors=[0] * len(names)
    )


def stage_dictionary(category_id: str) -> str:
    """The dictionary of a pipeline's stages; the first pipeline's has no number."""
    return "DEAL_STAGE" if category_id == "0" else f"DEAL_STAGE_{category_id}"


def _without_presence(payload: bytes) -> bytes:
    user = _OBJECT.decode(payload)
    return msgspec.json.encode({name: value for name, value in user.items() if name not in VOLATILE})
