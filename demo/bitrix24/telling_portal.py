"""The portal a story's company has: users, departments, pipelines, dictionaries, fields."""

from __future__ import annotations

from demo.bitrix24.world import Bitrix24World, Record
from demo.story import Story

SEMANTICS = {"won": "S", "lost": "F"}
EXTRA = {"S": "success", "F": "failure"}
ADMIN_ID = 1
INVOICE_CATEGORY = 5
# Dictionary, code, name, meaning.
OTHER_STAGES = (
    ("STATUS", "NEW", "Не обработан", None),
    ("STATUS", "IN_PROCESS", "В работе", None),
    ("STATUS", "CONVERTED", "Качественный лид", "S"),
    ("STATUS", "JUNK", "Некачественный лид", "F"),
    (f"SMART_INVOICE_STAGE_{INVOICE_CATEGORY}", f"DT31_{INVOICE_CATEGORY}:N", "Новый", None),
    (f"SMART_INVOICE_STAGE_{INVOICE_CATEGORY}", f"DT31_{INVOICE_CATEGORY}:P", "Оплачен", "S"),
    (f"SMART_INVOICE_STAGE_{INVOICE_CATEGORY}", f"DT31_{INVOICE_CATEGORY}:D", "Не оплачен", "F"),
)


def invoice_stage(letter: str) -> str:
    return f"DT31_{INVOICE_CATEGORY}:{letter}"


def stage_code(story: Story, stage_id: int) -> str:
    """A stage's STATUS_ID: the pipeline's number in front, the words of the portal for the final ones."""
    kind = next((stage.kind for stage in story.stages if stage.stage_id == stage_id), "base")
    word = {"won": "WON", "lost": "LOSE"}.get(kind, f"UC_{stage_id}")
    return word if story.pipeline_id == 0 else f"C{story.pipeline_id}:{word}"


def open_portal(world: Bitrix24World, story: Story) -> None:
    """Everything but records."""
    teams = {team: 10 + place for place, team in enumerate(dict.fromkeys(manager.team for manager in story.managers))}
    world.add("departments", {"ID": "1", "NAME": story.name, "SORT": 500})
    for team, department_id in teams.items():
        world.add("departments", {"ID": str(department_id), "NAME": team, "SORT": 500, "PARENT": "1", "UF_HEAD": "0"})
    world.add("users", _user(world, story, ADMIN_ID, "Админ Портала", "", "admin@portal.example", 1, is_active=True))
    for manager in story.managers:
        world.add(
            "users",
            _user(
                world,
                story,
                manager.user_id,
                manager.name,
                manager.extension,
                manager.email,
                teams[manager.team],
                is_active=manager.is_active,
            ),
        )
    _tell_pipeline(world, story)
    world.deal_fields.update(_deal_fields())


def _user(
    world: Bitrix24World,
    story: Story,
    user_id: int,
    full_name: str,
    extension: str,
    email: str,
    department_id: int,
    *,
    is_active: bool,
) -> Record:
    name, _, family = full_name.partition(" ")
    return {
        "ID": str(user_id),
        "ACTIVE": is_active,
        "NAME": name,
        "LAST_NAME": family,
        "SECOND_NAME": "",
        "EMAIL": email,
        "WORK_POSITION": "",
        "UF_DEPARTMENT": [department_id],
        "UF_PHONE_INNER": extension or None,
        "USER_TYPE": "employee",
        "DATE_REGISTER": world.stamp_day(story.opened_at.date()),
        "LAST_LOGIN": "",
        "LAST_ACTIVITY_DATE": {},
        "TIMESTAMP_X": {},
        "IS_ONLINE": "N",
        "PERSONAL_BIRTHDAY": "",
    }


def _tell_pipeline(world: Bitrix24World, story: Story) -> None:
    category = {
        "id": story.pipeline_id,
        "name": story.pipeline_name,
        "sort": 200,
        "entityTypeId": 2,
        "isDefault": "Y" if story.pipeline_id == 0 else "N",
        "originId": "",
        "originatorId": "",
    }
    world.add("categories", category)
    dictionary = "DEAL_STAGE" if story.pipeline_id == 0 else f"DEAL_STAGE_{story.pipeline_id}"
    for place, stage in enumerate(sorted(story.stages, key=lambda stage: stage.position)):
        semantics = SEMANTICS.get(stage.kind)
        status: Record = {
            "ID": str(300 + place),
            "ENTITY_ID": dictionary,
            "STATUS_ID": stage_code(story, stage.stage_id),
            "NAME": stage.name,
            "NAME_INIT": "",
            "SORT": str(10 + stage.position),
            "SYSTEM": "Y" if semantics else "N",
            "CATEGORY_ID": str(story.pipeline_id),
            "COLOR": "#7BD500",
            "SEMANTICS": semantics,
            "EXTRA": {"SEMANTICS": EXTRA.get(semantics or "", "process"), "COLOR": "#7BD500"},
        }
        world.add("statuses", status)
    for place, (listed_in, code, name, meaning) in enumerate(OTHER_STAGES):
        world.add(
            "statuses",
            {
                "ID": str(700 + place),
                "ENTITY_ID": listed_in,
                "STATUS_ID": code,
                "NAME": name,
                "NAME_INIT": name,
                "SORT": str(10 * place),
                "SYSTEM": "Y",
                "CATEGORY_ID": str(INVOICE_CATEGORY) if listed_in.startswith("SMART") else None,
                "COLOR": "#7BD500",
                "SEMANTICS": meaning,
                "EXTRA": {"SEMANTICS": EXTRA.get(meaning or "", "process"), "COLOR": "#7BD500"},
            },
        )
    for place, (code, name) in enumerate((("WEB", "Сайт"), ("CALL", "Звонок"))):
        world.add(
            "statuses",
            {
                "ID": str(900 + place),
                "ENTITY_ID": "SOURCE",
                "STATUS_ID": code,
                "NAME": name,
                "NAME_INIT": "",
                "SORT": str(10 * place),
                "SYSTEM": "N",
                "CATEGORY_ID": None,
                "COLOR": None,
                "SEMANTICS": None,
            },
        )


def _deal_fields() -> dict[str, Record]:
    def described(kind: str, title: str, *, label: str | None = None) -> Record:
        described: Record = {"type": kind, "isRequired": False, "isReadOnly": False, "isMultiple": False}
        described |= {"isImmutable": False, "isDynamic": label is not None, "title": title}
        return described | ({"listLabel": label, "formLabel": label, "filterLabel": label} if label else {})

    return {
        "ID": described("integer", "ID"),
        "TITLE": described("string", "Название"),
        "OPPORTUNITY": described("double", "Сумма"),
        "UF_CRM_INVOICE": described("string", "UF_CRM_INVOICE", label="Номер счёта"),
        "UF_CRM_TAX_ID": described("string", "UF_CRM_TAX_ID", label="ИНН"),
    }
