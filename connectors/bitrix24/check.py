"""`voronka check` of a portal: one finding a line, each with its remedy. Loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from base.errors import SourceError
from base.text import Text, say
from base.times import from_micros
from connectors.bitrix24.answers import documented, read_rows
from connectors.bitrix24.client import Bitrix24Client, Command
from connectors.bitrix24.dictionaries import fetch_deal_fields
from connectors.bitrix24.fetch import as_stated
from connectors.bitrix24.fields import FieldBook
from connectors.bitrix24.listings import DEAL, DEAL_CONTACTS, INVOICE
from connectors.bitrix24.php import Params
from connectors.bitrix24.refusals import MissingMethodError, MissingScopeError
from connectors.bitrix24.values import Scalar, as_flag, as_text
from connectors.checking import compare_clocks, failure
from connectors.stream import CheckLine, Request

MOST_SKEW = timedelta(seconds=30)
HEAVY_LOAD = 0.7
WARN_AHEAD = timedelta(days=14)

# Which scope each kind of records needs: any of the names will do.
SCOPES: tuple[tuple[Text, tuple[str, ...]], ...] = (
    (say("сделки, лиды, контакты, дела, счета", "deals, leads, contacts, activities, invoices"), ("crm",)),
    (say("сотрудники", "users"), ("user", "user_basic")),
    (say("отделы", "departments"), ("department",)),
    (say("звонки", "calls"), ("telephony",)),
    (say("отметки об оплате", "payment marks"), ("sale",)),
)
# One record of each list: a right may be missing where the scope is there.
PROBES: tuple[tuple[Text, str, Params], ...] = (
    (say("сотрудники", "users"), "user.get", {}),
    (say("отделы", "departments"), "department.get", {}),
    (say("сделки", "deals"), "crm.deal.list", {"select": ["ID"]}),
    (say("история стадий", "stage history"), "crm.stagehistory.list", {"entityTypeId": DEAL}),
    (say("контакты", "contacts"), "crm.contact.list", {"select": ["ID"]}),
    (say("компании", "companies"), "crm.company.list", {"select": ["ID"]}),
    (say("лиды", "leads"), "crm.lead.list", {"select": ["ID"]}),
    (say("дела", "activities"), "crm.activity.list", {"select": ["ID"]}),
    (say("звонки", "calls"), "voximplant.statistic.get", {}),
    (say("предложения", "quotes"), "crm.quote.list", {"select": ["ID"]}),
    (say("счета", "invoices"), "crm.item.list", {"entityTypeId": INVOICE, "select": ["id"]}),
    (say("отметки об оплате", "payment marks"), "sale.payment.list", {"select": ["id"]}),
)


class _Profile(msgspec.Struct):
    ID: Scalar = None
    ADMIN: Scalar = None
    NAME: Scalar = None
    LAST_NAME: Scalar = None


def check(client: Bitrix24Client) -> Iterator[CheckLine]:
    """Address and way in, expiry, the owner's rights, scopes, clock, each list, the filter by time, fields, load."""
    try:
        result = client.call("profile").result
        with documented(client.source, "profile"):
            profile = msgspec.json.decode(result, type=_Profile)
    except SourceError as error:
        yield failure(say("доступ", "access"), error)
        return
    name = " ".join(text for part in (profile.NAME, profile.LAST_NAME) if (text := as_text(part)))
    told = {"name": name or str(profile.ID), "rate": client.rate}
    way = (
        say(
            "вебхук сотрудника «{name}», до {rate:g} запросов в секунду",
            "webhook of {name!r}, up to {rate:g} requests a second",
            **told,
        )
        if client.access.way == "webhook"
        else say(
            "приложение, установил «{name}», до {rate:g} запросов в секунду",
            "application installed by {name!r}, up to {rate:g} requests a second",
            **told,
        )
    )
    yield CheckLine(subject=say("доступ", "access"), verdict="ok", detail=way)
    yield _check_expiry(client)
    yield _check_admin(profile)
    yield from _check_scopes(client)
    if client.api.skew is not None:
        yield compare_clocks(say("Битрикс24", "Bitrix24"), client.api.skew, MOST_SKEW)
    yield from _check_lists(client)
    yield from _check_time_filter(client)
    yield from _check_fields(client)
    yield from _check_load(client)


def _check_expiry(client: Bitrix24Client) -> CheckLine:
    subject = say("срок доступа", "expiry")
    if client.access.way == "webhook":
        # No method tells it; the day it ends it is one clear refusal.
        detail = say(
            "действует сейчас; срок вебхука, если он задан, портал не сообщает: посмотрите в его карточке",
            "good now; a webhook's expiry, if it has one, the portal does not tell: see its card",
        )
        return CheckLine(subject=subject, verdict="ok", detail=detail)
    expires_at = client.access.expires_at()
    is_near = expires_at is None or expires_at - client.clock.now() < WARN_AHEAD
    return CheckLine(
        subject=subject,
        verdict="warning" if is_near else "ok",
        detail=say(
            "без единой загрузки действует до {day:%d.%m.%Y}",
            "good until {day:%Y-%m-%d} without a single load",
            day=expires_at or client.clock.now(),
        ),
        remedy=say(
            "Загружайте хотя бы раз в полгода: каждая загрузка продлевает доступ.",
            "Load at least every half year: each load renews the access.",
        )
        if is_near
        else None,
    )


def _check_admin(profile: _Profile) -> CheckLine:
    """Without an administrator's rights rows are missing without any error."""
    is_admin = as_flag(profile.ADMIN) is True
    return CheckLine(
        subject=say("права владельца", "owner's rights"),
        verdict="ok" if is_admin else "warning",
        detail=say("администратор портала", "administrator of the portal")
        if is_admin
        else say(
            "сотрудник не администратор: портал без ошибки отдаёт лишь то, что видит он, остальное будет выглядеть"
            " несуществующим",
            "the employee is no administrator: the portal gives only what he sees, without an error, and the rest looks"
            " as if it did not exist",
        ),
        remedy=None
        if is_admin
        else say(
            "Создайте вебхук (или установите приложение) под администратором портала.",
            "Make the webhook, or install the application, as an administrator of the portal.",
        ),
    )


def _check_scopes(client: Bitrix24Client) -> Iterator[CheckLine]:
    try:
        granted = {name.lower() for name in msgspec.json.decode(client.call("scope").result, type=list[str])}
    except (SourceError, msgspec.DecodeError):
        return
    for label, names in SCOPES:
        if granted.isdisjoint(names):
            yield CheckLine(
                subject=label,
                # What the portal can be read without is left out; nothing can be read without these.
                verdict="failed" if names[0] in ("crm", "user") else "warning",
                detail=say("нет права {scope}", "the scope {scope} is missing", scope=names[0]),
                remedy=say(
                    WHERE_SCOPES_ARE[client.access.way].ru, WHERE_SCOPES_ARE[client.access.way].en, scope=names[0]
                ),
            )


def _check_lists(client: Bitrix24Client) -> Iterator[CheckLine]:
    commands = [
        Command(key=f"c{place}", method=method, params={**params, "start": -1})
        for place, (_, method, params) in enumerate(PROBES)
    ]
    try:
        answer = client.batch(commands, halt=False)
    except SourceError as error:
        yield failure(say("списки", "lists"), error)
        return
    for (label, method, _), command in zip(PROBES, commands, strict=True):
        refused = answer.failures.get(command.key)
        if refused is None:
            yield CheckLine(subject=label, verdict="ok", detail=say("читаются", "readable"))
            continue
        refusal = client.refusals.of(refused, method)
        if isinstance(refusal, MissingScopeError):
            # Told above, with where to switch it on.
            continue
        # A portal without telephony is complete all the same.
        is_absent = isinstance(refusal, MissingMethodError)
        yield CheckLine(
            subject=label,
            verdict="warning" if is_absent else "failed",
            detail=refusal.what,
            remedy=refusal.remedy,
        )


def _check_fields(client: Bitrix24Client) -> Iterator[CheckLine]:
    """A misspelt field loads nothing and fails nowhere: it is found here."""
    names = client.settings.fields
    if not any(getattr(names, key) for key in names.__struct_fields__):
        return
    (page,) = fetch_deal_fields(client, Request(position=None, start=None, end=client.now()))
    book = FieldBook(dict(zip(page.ids, page.payloads, strict=True)), names)
    for key, code in book.codes.items():
        name = getattr(names, key)
        yield CheckLine(
            subject=say("поле {key}", "field {key}", key=key),
            verdict="ok" if code else "warning",
            detail=say("«{name}» = {code}", "{name!r} = {code}", name=name, code=code)
            if code
            else say("на портале нет поля «{name}»", "the portal has no field {name!r}", name=name),
            remedy=None
            if code
            else say("Исправьте fields в voronka.toml: название поля или его код.", "Mend fields in voronka.toml."),
        )


def _check_time_filter(client: Bitrix24Client) -> Iterator[CheckLine]:
    """Incremental loads stand on this filter: a portal that finds nothing by it looks as if nothing ever changed."""
    listing = DEAL_CONTACTS
    newest = listing.page({}, after=0, descending=True)
    try:
        with documented(client.source, listing.method):
            rows = read_rows(
                client.call(listing.method, newest).result, listing.rows_key, "id", listing.time_field
            ).rows
        if not rows:
            return
        since = as_stated(client, from_micros(rows[0].time))
        asked = listing.page({f">={listing.time_field}": since, "<=id": rows[0].id}, after=rows[0].id - 1)
        result = client.call(listing.method, asked).result
        with documented(client.source, listing.method):
            found = read_rows(result, listing.rows_key, "id", "").rows
    except SourceError:
        # A box without the universal methods; what else is wrong the lists have told.
        return
    yield CheckLine(
        subject=say("фильтр по времени", "filter by time"),
        verdict="ok" if found else "failed",
        detail=say("находит изменённое", "finds what has changed")
        if found
        else say(
            "портал не находит сделку по времени её же изменения: изменения не загрузятся",
            "the portal does not find a deal by its own time of change: changes would not be loaded",
        ),
        remedy=None
        if found
        else say(
            "Впишите naive_times = true в этот источник voronka.toml и проверьте снова.",
            "Put naive_times = true into this source in voronka.toml and check again.",
        ),
    )


def _check_load(client: Bitrix24Client) -> Iterator[CheckLine]:
    """How much of the two budgets is in use: what others spend under this webhook counts in the first as well."""
    load = client.operating.load()
    method, share = max(load.items(), key=lambda item: item[1], default=("", 0.0))
    is_heavy = share >= HEAVY_LOAD
    yield CheckLine(
        subject=say("время сервера", "server time"),
        verdict="warning" if is_heavy else "ok",
        detail=say(
            "за 10 минут {method} использовал {share:.0%} отпущенного времени",
            "in 10 minutes {method} has used {share:.0%} of the time allowed",
            method=method,
            share=share,
        )
        if method
        else say("лимит времени не использован", "none of the time allowed is used"),
        remedy=say(
            "Подождите 10 минут перед большой загрузкой и посмотрите, кто ещё читает портал этим доступом.",
            "Wait 10 minutes before a large load, and see who else reads the portal by this access.",
        )
        if is_heavy
        else None,
    )
    yield CheckLine(
        subject=say("запас запросов", "stock of requests"),
        verdict="ok",
        detail=say(
            "занято {share:.0%}, восполняется по {rate:g} в секунду",
            "{share:.0%} in use, refilled by {rate:g} a second",
            share=client.limiter.used_share(),
            rate=client.rate,
        ),
    )


WHERE_SCOPES_ARE = {
    "webhook": say(
        "Разработчикам → Другое → Входящий вебхук → Настройка прав: добавьте {scope}.",
        "Developer resources → Other → Inbound webhook → Access permissions: add {scope}.",
    ),
    "application": say(
        "Разработчикам → Интеграции → приложение → Настройка прав: добавьте {scope} и установите его заново.",
        "Developer resources → Integrations → the application → Access permissions: add {scope}, install it again.",
    ),
}
