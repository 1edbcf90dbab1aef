"""`voronka check` of a portal: one finding a line, each with its remedy. Loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from base.errors import SourceError
from base.text import Text, say
from connectors.bitrix24.answers import documented
from connectors.bitrix24.client import Bitrix24Client, Command
from connectors.bitrix24.dictionaries import fetch_deal_fields
from connectors.bitrix24.fields import FieldBook
from connectors.bitrix24.refusals import MissingMethodError
from connectors.bitrix24.values import Scalar, as_flag, as_text
from connectors.stream import CheckLine, Request

MOST_SKEW = timedelta(seconds=30)
HEAVY_LOAD = 0.7

# Which scope each kind of records needs: any of the names will do.
SCOPES: tuple[tuple[Text, tuple[str, ...]], ...] = (
    (say("сделки, контакты, дела", "deals, contacts, activities"), ("crm",)),
    (say("сотрудники", "users"), ("user", "user_basic")),
    (say("отделы", "departments"), ("department",)),
    (say("звонки", "calls"), ("telephony",)),
)
# One record of each list: a right may be missing where the scope is there.
PROBES: tuple[tuple[Text, str], ...] = (
    (say("сотрудники", "users"), "user.get"),
    (say("сделки", "deals"), "crm.deal.list"),
    (say("контакты", "contacts"), "crm.contact.list"),
    (say("компании", "companies"), "crm.company.list"),
    (say("дела", "activities"), "crm.activity.list"),
    (say("звонки", "calls"), "voximplant.statistic.get"),
)


class _Profile(msgspec.Struct):
    ID: Scalar = None
    ADMIN: Scalar = None
    NAME: Scalar = None
    LAST_NAME: Scalar = None


def check(client: Bitrix24Client) -> Iterator[CheckLine]:
    """Address and webhook, the owner's rights, scopes, clock, each list, load, field names."""
    try:
        result = client.call("profile").result
        with documented(client.source, "profile"):
            profile = msgspec.json.decode(result, type=_Profile)
    except SourceError as error:
        yield CheckLine(subject=say("доступ", "access"), verdict="failed", detail=error.what, remedy=error.remedy)
        return
    name = " ".join(text for part in (profile.NAME, profile.LAST_NAME) if (text := as_text(part)))
    detail = say(
        "вебхук сотрудника «{name}», до {rate:g} запросов в секунду",
        "webhook of {name!r}, up to {rate:g} requests a second",
        name=name or str(profile.ID),
        rate=client.rate,
    )
    yield CheckLine(subject=say("доступ", "access"), verdict="ok", detail=detail)
    yield _check_admin(profile)
    yield from _check_scopes(client)
    yield from _check_skew(client)
    yield from _check_lists(client)
    yield from _check_fields(client)
    yield from _check_load(client)


def _check_admin(profile: _Profile) -> CheckLine:
    """Without an administrator's rights rows are missing without any error."""
    is_admin = as_flag(profile.ADMIN) is True
    return CheckLine(
        subject=say("права владельца", "owner's rights"),
        verdict="ok" if is_admin else "warning",
        detail=say("администратор портала", "administrator of the portal")
        if is_admin
        else say(
            "владелец вебхука не администратор: портал без ошибки отдаёт лишь то, что видит он",
            "the webhook's owner is no administrator: the portal gives only what he sees, without an error",
        ),
        remedy=None
        if is_admin
        else say("Создайте вебхук под администратором портала.", "Make the webhook as an administrator."),
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
                verdict="warning",
                detail=say("у вебхука нет права {scope}", "the webhook lacks the scope {scope}", scope=names[0]),
                remedy=say(
                    "Разработчикам → Другое → Входящий вебхук → Настройка прав: добавьте {scope}.",
                    "Developer resources → Other → Inbound webhook → Access permissions: add {scope}.",
                    scope=names[0],
                ),
            )


def _check_skew(client: Bitrix24Client) -> Iterator[CheckLine]:
    skew = client.api.skew
    if skew is None:
        return
    is_large = abs(skew) > MOST_SKEW
    yield CheckLine(
        subject=say("часы", "clock"),
        verdict="warning" if is_large else "ok",
        detail=say(
            "часы портала отличаются на {seconds:+.0f} с",
            "the portal's clock differs by {seconds:+.0f} s",
            seconds=skew.total_seconds(),
        ),
        remedy=say("Настройте NTP на этой машине.", "Set up NTP on this machine.") if is_large else None,
    )


def _check_lists(client: Bitrix24Client) -> Iterator[CheckLine]:
    commands = [
        Command(key=f"c{place}", method=method, params={"start": -1}) for place, (_, method) in enumerate(PROBES)
    ]
    try:
        answer = client.batch(commands, halt=False)
    except SourceError as error:
        yield CheckLine(subject=say("списки", "lists"), verdict="failed", detail=error.what, remedy=error.remedy)
        return
    for (label, method), command in zip(PROBES, commands, strict=True):
        failure = answer.failures.get(command.key)
        if failure is None:
            yield CheckLine(subject=label, verdict="ok", detail=say("читаются", "readable"))
            continue
        refusal = client.refusals.of(failure, method)
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


def _check_load(client: Bitrix24Client) -> Iterator[CheckLine]:
    load = client.operating.load()
    if not load:
        return
    method, share = max(load.items(), key=lambda item: item[1])
    is_heavy = share >= HEAVY_LOAD
    yield CheckLine(
        subject=say("нагрузка", "load"),
        verdict="warning" if is_heavy else "ok",
        detail=say(
            "за 10 минут {method} использовал {share:.0%} времени сервера",
            "in 10 minutes {method} has used {share:.0%} of the server time",
            method=method,
            share=share,
        ),
        remedy=say("Подождите 10 минут перед большой загрузкой.", "Wait 10 minutes before a large load.")
        if is_heavy
        else None,
    )
