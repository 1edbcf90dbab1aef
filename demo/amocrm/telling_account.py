"""The account a story's company has: its settings, users, pipelines, fields, in the vendor's shapes."""

from __future__ import annotations

from base.times import to_unix
from demo.amocrm.tables import Record
from demo.amocrm.world import AmocrmWorld
from demo.story import Manager, Stage, Story

ACCOUNT_ID = 30111222
FIRST_GROUP_ID = 450_001
WON, LOST = 142, 143
SYSTEM_SORT = {WON: 10_000, LOST: 11_000}
SYSTEM_NAMES = {WON: "Успешно реализовано", LOST: "Закрыто и не реализовано"}
# Custom fields of the account: id, name, code, type.
INVOICE_FIELD = (601, "Номер счёта", None, "text")
DEAL_TAX_FIELD = (602, "ИНН", None, "text")
PHONE_FIELD = (301, "Телефон", "PHONE", "multitext")
COMPANY_TAX_FIELD = (603, "ИНН", None, "text")
ACCOUNT_FIELDS = {
    "leads/custom_fields": (INVOICE_FIELD, DEAL_TAX_FIELD),
    "contacts/custom_fields": (PHONE_FIELD,),
    "companies/custom_fields": (COMPANY_TAX_FIELD,),
}
# The list of invoices; its type is what tells it from other lists.
INVOICE_CATALOG_ID = 4521
BILL_STATUS_FIELD = (701, "Статус", "BILL_STATUS", "select")
BILL_PRICE_FIELD = (702, "Итоговая сумма", "BILL_PRICE", "numeric")
BILL_STATUSES = {"created": (71, "Создан"), "paid": (72, "Оплачен")}
LOSS_REASON_ID = 17_001


def open_account(story: Story) -> AmocrmWorld:
    """A world with the dictionaries of the story's company and no records yet."""
    world = AmocrmWorld(
        account=_account(story),
        users=[_user(manager, story) for manager in story.managers],
        pipelines=[_pipeline(story)],
    )
    world.dictionaries["leads/loss_reasons"][1].extend(loss_reasons(story).values())
    for path, fields in ACCOUNT_FIELDS.items():
        world.dictionaries[path][1].extend(_field_definition(path, place, *field) for place, field in enumerate(fields))
    fields = (BILL_STATUS_FIELD, BILL_PRICE_FIELD)
    bill_fields = [_field_definition("catalogs", place, *field) for place, field in enumerate(fields)]
    bill_fields[0]["enums"] = [
        {"id": option_id, "value": label, "sort": option_id, "code": code}
        for code, (option_id, label) in BILL_STATUSES.items()
    ]
    world.open_catalog(INVOICE_CATALOG_ID, "invoices", bill_fields)
    return world


def loss_reasons(story: Story) -> dict[str, Record]:
    """The story's reasons by name."""
    names = sorted({deal.loss_reason for deal in story.deals if deal.loss_reason})
    return {name: _loss_reason(LOSS_REASON_ID + place, name) for place, name in enumerate(names)}


def _account(story: Story) -> Record:
    teams = {manager.team: None for manager in story.managers}
    return {
        "id": ACCOUNT_ID,
        "name": story.name,
        "subdomain": "example",
        "created_at": to_unix(story.opened_at),
        "created_by": 0,
        "updated_at": to_unix(story.opened_at),
        "updated_by": 0,
        "current_user_id": story.managers[0].user_id if story.managers else 0,
        "country": "RU",
        "currency": "RUB",
        "currency_symbol": "₽",
        "customers_mode": "disabled",
        "is_unsorted_on": True,
        "is_loss_reason_enabled": True,
        "is_helpbot_enabled": False,
        "is_technical_account": False,
        "contact_name_display_order": 1,
        "is_api_filter_enabled": True,
        "version": 13,
        "invoices_settings": {"lang": "ru", "currency": "RUB"},
        "_embedded": {
            "users_groups": [
                {"id": 0, "name": "Отдел продаж", "uuid": None},
                *({"id": FIRST_GROUP_ID + i, "name": team, "uuid": None} for i, team in enumerate(teams)),
            ],
            "task_types": [
                {"id": 1, "name": "Связаться", "color": None, "icon_id": None, "code": "FOLLOW_UP"},
                {"id": 2, "name": "Встреча", "color": None, "icon_id": None, "code": "MEETING"},
            ],
            "datetime_settings": {
                "date_pattern": "d.m.Y H:i",
                "date_format": "d.m.Y",
                "time_format": "H:i",
                "timezone": story.timezone,
                "timezone_offset": story.told_at.strftime("%z"),
            },
        },
    }


def _user(manager: Manager, story: Story) -> Record:
    """The first manager's token is used, so he is the account's administrator."""
    teams = list({other.team: None for other in story.managers})
    group_id = FIRST_GROUP_ID + teams.index(manager.team)
    everything = {"view": "A", "edit": "A", "add": "A", "delete": "A", "export": "A"}
    return {
        "id": manager.user_id,
        "name": manager.name,
        "email": manager.email,
        "lang": "ru",
        "rights": {
            "leads": everything,
            "contacts": everything,
            "companies": everything,
            "tasks": {"edit": "A", "delete": "A"},
            "mail_access": False,
            "catalog_access": True,
            "status_rights": None,
            "is_admin": manager is story.managers[0],
            "is_free": False,
            "is_active": manager.is_active,
            "group_id": group_id,
            "role_id": None,
        },
        "_embedded": {"roles": [], "groups": [{"id": group_id, "name": manager.team}]},
    }


def _pipeline(story: Story) -> Record:
    told = {stage.stage_id for stage in story.stages}
    ordinary = [stage_id for stage_id in told if stage_id not in SYSTEM_SORT]
    unsorted_id = max(ordinary, default=1000) + 1000
    statuses = [_status(story, unsorted_id, "Неразобранное", 10, "#c1c1c1", kind=1)]
    for stage in sorted(story.stages, key=lambda stage: stage.position):
        statuses.append(_told_status(story, stage))
    for stage_id, name in SYSTEM_NAMES.items():
        if stage_id not in told:
            statuses.append(_status(story, stage_id, name, SYSTEM_SORT[stage_id], "#D5D8DB"))
    return {
        "id": story.pipeline_id,
        "name": story.pipeline_name,
        "sort": 1,
        "is_main": True,
        "is_unsorted_on": True,
        "is_archive": False,
        "account_id": ACCOUNT_ID,
        "_embedded": {"statuses": statuses},
    }


def _told_status(story: Story, stage: Stage) -> Record:
    sort = SYSTEM_SORT.get(stage.stage_id, 10 + stage.position)
    return _status(story, stage.stage_id, stage.name, sort, "#99ccff")


def _status(story: Story, stage_id: int, name: str, sort: int, color: str, *, kind: int = 0) -> Record:
    return {
        "id": stage_id,
        "name": name,
        "sort": sort,
        "is_editable": stage_id not in SYSTEM_SORT and kind == 0,
        "pipeline_id": story.pipeline_id,
        "color": color,
        "type": kind,
        "account_id": ACCOUNT_ID,
    }


def _loss_reason(reason_id: int, name: str) -> Record:
    return {"id": reason_id, "name": name, "sort": 100, "created_at": 1_700_000_000, "updated_at": 1_700_000_000}


def _field_definition(path: str, place: int, field_id: int, name: str, code: str | None, kind: str) -> Record:
    return {
        "id": field_id,
        "name": name,
        "type": kind,
        "account_id": ACCOUNT_ID,
        "code": code,
        "sort": 500 + place,
        "is_api_only": False,
        "enums": [{"id": 1001, "value": "WORK", "sort": 1}] if kind == "multitext" else None,
        "group_id": None,
        "required_statuses": [],
        "is_deletable": code is None,
        "is_predefined": code is not None,
        "entity_type": path.partition("/")[0],
        "currency": None,
    }
