"""`voronka check` of an amoCRM account: one finding a line, each with its remedy. Loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from base.errors import SourceError
from base.text import Text, say
from connectors.amocrm.auth import NEW_TOKEN, read_claims
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.oauth import NEW_CODE
from connectors.amocrm.paging import Listing, fetch_dictionary
from connectors.amocrm.refusals import MissingError, UnpaidError
from connectors.amocrm.rights import read_access
from connectors.checking import compare_clocks, failure
from connectors.limiter import Load
from connectors.stream import CheckLine
from connectors.tokens import RotatingTokens

WARN_AHEAD = timedelta(days=14)
MOST_SKEW = timedelta(seconds=30)

CATALOGS_LABEL: Text = say("списки и счета", "catalogues and invoices")

# What a stream's rights are tried on: one record of each list.
PROBES: tuple[tuple[Text, str, str], ...] = (
    (say("пользователи", "users"), "/users", "users"),
    (say("воронки", "pipelines"), "/leads/pipelines", "pipelines"),
    (say("сделки", "deals"), "/leads", "leads"),
    (say("контакты", "contacts"), "/contacts", "contacts"),
    (say("компании", "companies"), "/companies", "companies"),
    (say("события", "events"), "/events", "events"),
    (say("примечания контактов", "notes of contacts"), "/contacts/notes", "notes"),
    (say("примечания сделок", "notes of deals"), "/leads/notes", "notes"),
    (say("примечания компаний", "notes of companies"), "/companies/notes", "notes"),
    (say("задачи", "tasks"), "/tasks", "tasks"),
    (CATALOGS_LABEL, "/catalogs", "catalogs"),
)
# The scope that opens deals, contacts and everything else read here.
NEEDED_SCOPE = "crm"
LONG_WAIT_SECONDS = 5.0


class _Account(msgspec.Struct):
    name: str | None = None
    is_api_filter_enabled: bool | None = None


def check(client: AmocrmClient) -> Iterator[CheckLine]:
    """Token, address, expiry, scopes, clock, load, filters, the user's rights, each list."""
    # Before our own requests count in it.
    load = client.api.limiter.load()
    try:
        payload = client.record("/account", [("with", "is_api_filter_enabled")])
    except SourceError as error:
        yield failure(say("доступ", "access"), error)
        return
    account = msgspec.json.decode(payload or b"{}", type=_Account)
    yield CheckLine(
        subject=say("доступ", "access"),
        verdict="ok",
        detail=say(
            "аккаунт «{name}», до {rate:g} запросов в секунду",
            "account {name!r}, up to {rate:g} requests a second",
            name=account.name or "?",
            rate=client.rate,
        ),
    )
    yield from _check_address(client)
    yield from _check_expiry(client)
    yield from _check_scopes(client)
    if client.api.skew is not None:
        yield compare_clocks("amoCRM", client.api.skew, MOST_SKEW)
    yield _check_load(client, load)
    yield from _check_filter(account)
    yield from _check_rights(client)
    yield from _check_lists(client)
    yield from _check_field_names(client)


def _check_address(client: AmocrmClient) -> Iterator[CheckLine]:
    moved = client.new_address()
    if moved:
        yield CheckLine(
            subject=say("адрес", "address"),
            verdict="warning",
            detail=say("аккаунт переименован: {address}", "the account was renamed: {address}", address=moved),
            remedy=say("Впишите новый адрес в base_url.", "Put the new address into base_url."),
        )


def _check_scopes(client: AmocrmClient) -> Iterator[CheckLine]:
    """A token names its scopes itself; without the one for the account's data every list is refused."""
    scopes = read_claims(client.tokens.current()).scopes
    if scopes is None:
        return
    is_there = NEEDED_SCOPE in scopes
    yield CheckLine(
        subject=say("области доступа", "scopes"),
        verdict="ok" if is_there else "failed",
        detail=say("{scopes}", "{scopes}", scopes=", ".join(scopes))
        if is_there
        else say(
            "у интеграции нет области {scope} («Доступ к данным аккаунта»)",
            "the integration lacks the scope {scope} (“Access to account data”)",
            scope=NEEDED_SCOPE,
        ),
        remedy=None
        if is_there
        else say(
            "amoМаркет → интеграция → «Доступы»: отметьте «Доступ к данным аккаунта» и создайте токен заново.",
            "amoMarket → the integration → “Scopes”: tick “Access to account data”, save, and make the token anew.",
        ),
    )


def _check_load(client: AmocrmClient, load: Load) -> CheckLine:
    """How much of the account's budget others of this machine use now."""
    is_waiting = load.wait_seconds > LONG_WAIT_SECONDS
    return CheckLine(
        subject=say("нагрузка", "load"),
        verdict="warning" if is_waiting else "ok",
        detail=say(
            "за последнюю секунду {used} из {rate:g} запросов, ожидание очереди {wait:.0f} с",
            "{used} of {rate:g} requests within the last second, {wait:.0f} s to wait in the queue",
            used=load.used,
            rate=client.rate,
            wait=load.wait_seconds,
        ),
        remedy=say(
            "Идёт другая загрузка, или amoCRM просила подождать: большую загрузку начните позже.",
            "Another load is under way, or amoCRM asked to wait: begin a large load later.",
        )
        if is_waiting
        else None,
    )


def _check_expiry(client: AmocrmClient) -> Iterator[CheckLine]:
    expires_at = client.tokens.expires_at()
    subject = say("срок токена", "token's expiry")
    if expires_at is None:
        yield CheckLine(
            subject=subject,
            verdict="warning",
            detail=say("срок по токену не читается", "the token does not tell its expiry"),
            remedy=say("Запишите срок, указанный при создании.", "Note the expiry chosen when it was made."),
        )
        return
    is_near = expires_at - client.api.clock.now() < WARN_AHEAD
    yield CheckLine(
        subject=subject,
        verdict="warning" if is_near else "ok",
        detail=say("действует до {day:%d.%m.%Y}", "good until {day:%Y-%m-%d}", day=expires_at),
        remedy=None if not is_near else NEW_CODE if isinstance(client.tokens, RotatingTokens) else NEW_TOKEN,
    )


def _check_filter(account: _Account) -> Iterator[CheckLine]:
    if account.is_api_filter_enabled is not False:
        return
    yield CheckLine(
        subject=say("фильтры", "filters"),
        verdict="warning",
        detail=say(
            "фильтрация в API выключена: при каждой загрузке списки читаются целиком",
            "filtering by API is off: every load reads the whole lists",
        ),
        remedy=say(
            "Попросите поддержку amoCRM включить фильтрацию API.", "Ask amoCRM's support to switch API filters on."
        ),
    )


def _check_rights(client: AmocrmClient) -> Iterator[CheckLine]:
    """A non-administrator's lists are shorter without any error: what is missing there may still exist."""
    subject = say("права пользователя", "user's rights")
    access = read_access(client)
    if access is not None and access.is_admin:
        yield CheckLine(subject=subject, verdict="ok", detail=say("администратор", "administrator"))
        return
    yield CheckLine(
        subject=subject,
        verdict="warning",
        detail=say(
            "токен не администратора: amoCRM без ошибки отдаёт лишь то, что видит этот пользователь, "
            "список пользователей закрыт, а сверка удалённых не ведётся",
            "not an administrator's token: amoCRM gives only what this user sees, without an error, and hides the "
            "list of users; deletions are not reconciled",
        ),
        remedy=say(
            "Создайте токен под администратором аккаунта.", "Make the token as an administrator of the account."
        ),
    )


def _check_lists(client: AmocrmClient) -> Iterator[CheckLine]:
    for label, path, key in PROBES:
        try:
            client.page(path, key, [("limit", 1)], time_field="")
        except SourceError as error:
            if label is CATALOGS_LABEL and isinstance(error, MissingError | UnpaidError):
                detail = say("в этом аккаунте их нет: счета не читаются", "this account has none: no invoices are read")
                yield CheckLine(subject=label, verdict="ok", detail=detail)
                continue
            yield failure(label, error)
        else:
            yield CheckLine(subject=label, verdict="ok", detail=say("читаются", "readable"))


def _check_field_names(client: AmocrmClient) -> Iterator[CheckLine]:
    """A misspelt field name loads nothing and fails nowhere: it is found here."""
    wanted = {key: name for key, name in msgspec.structs.asdict(client.settings.fields).items() if name}
    if not wanted:
        return
    known: set[str] = set()
    try:
        for entity in ("leads", "contacts", "companies"):
            for page in fetch_dictionary(
                client, Listing(path=f"/{entity}/custom_fields", key="custom_fields", time_field="")
            ):
                known.update(page.ids)
                known.update(_field_name(payload) for payload in page.payloads)
    except SourceError as error:
        subject = say("поля", "fields")
        yield failure(subject, error)
        return
    for key, name in wanted.items():
        is_known = name.strip().casefold() in known
        yield CheckLine(
            subject=say("поле {key}", "field {key}", key=key),
            verdict="ok" if is_known else "warning",
            detail=say("«{name}»", "{name!r}", name=name)
            if is_known
            else say("в аккаунте нет поля «{name}»", "the account has no field {name!r}", name=name),
            remedy=None
            if is_known
            else say("Исправьте fields в voronka.toml: название поля или его id.", "Mend fields in voronka.toml."),
        )


class _Field(msgspec.Struct):
    name: str | None = None


def _field_name(payload: bytes) -> str:
    return (msgspec.json.decode(payload, type=_Field).name or "").strip().casefold()
