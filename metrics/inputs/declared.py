"""The input files as data (contract.md, section 3): a file, its columns, and the relation it fills."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

# An empty valid_from means "ever": a key must have a value, so this day stands for it.
EVER = date(1900, 1, 1)

STAGE_KINDS = ("base", "qualified", "meeting", "offer", "invoice", "won", "lost", "service")
ENTITY_TYPES = ("manager", "team", "company")
RECORD_TYPES = ("deal", "call", "payment")

Kind = Literal[
    "text", "day", "from_day", "integer", "number", "share", "amount", "phone", "period", "weekday", "clock", "zone",
    "currency", "guess", "choice",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column of a file. `column` is its name in the relation; `optional` values may be empty (NULL there)."""

    name: str
    column: str
    kind: Kind = "text"
    optional: bool = False
    # The file may lack the column altogether.
    absent: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Validity:
    """Versions of one thing (`of`, columns of the relation) must not overlap in time."""

    of: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class InputFile:
    name: str
    relation: str
    fields: tuple[Field, ...]
    validity: Validity | None = None


def _field(
    name: str,
    kind: Kind = "text",
    *,
    column: str = "",
    optional: bool = False,
    absent: bool = False,
    choices: tuple[str, ...] = (),
) -> Field:
    return Field(name=name, column=column or name, kind=kind, optional=optional, absent=absent, choices=choices)


_FROM = _field("valid_from", "from_day")
_TO = _field("valid_to", "day", optional=True)

PEOPLE = InputFile(
    name="people.csv",
    relation="core.people",
    fields=(
        _field("person_id"),
        _field("name"),
        _field("team", optional=True),
        _field("role", optional=True),
        _field("grade", optional=True),
        _FROM,
        _TO,
    ),
    validity=Validity(of=("person_id",)),
)
IDENTITIES = InputFile(
    name="identities.csv",
    relation="core.identities",
    fields=(_field("person_id"), _field("source"), _field("external_id"), _FROM, _TO),
    validity=Validity(of=("source", "external_id")),
)
STAGES = InputFile(
    name="stages.csv",
    relation="core.stages",
    fields=(
        _field("source"),
        _field("pipeline_id"),
        _field("stage_id"),
        _field("name", optional=True),
        _field("position", "integer"),
        _field("kind", "choice", choices=STAGE_KINDS),
        _FROM,
        # `inputs draft` writes the word; a person confirms the kind by emptying it.
        _field("guess", "guess", column="is_guess", optional=True, absent=True),
    ),
)
_STAGE = (_field("source"), _field("pipeline_id"), _field("stage_id"))
MILESTONES = InputFile(name="milestones.csv", relation="core.milestones", fields=(*_STAGE, _field("weight", "number")))
PROBABILITIES = InputFile(
    name="probabilities.csv", relation="core.probabilities", fields=(*_STAGE, _field("probability", "share"))
)
PLANS = InputFile(
    name="plans.csv",
    relation="core.plans",
    fields=(
        _field("period", "period"),
        _field("entity_type", "choice", choices=ENTITY_TYPES),
        _field("entity_id"),
        _field("metric"),
        _field("value", "number"),
        _field("prorate", "choice", optional=True, absent=True, choices=("true", "false")),
        _field("vat_mode", "choice", optional=True, absent=True, choices=("gross", "net")),
    ),
)
HOURS = InputFile(
    name="hours.csv",
    relation="core.hours",
    fields=(
        _field("team"),
        _field("weekday", "weekday"),
        _field("opens", "clock"),
        _field("closes", "clock"),
        _field("timezone", "zone", optional=True),
    ),
)
LINES = InputFile(
    name="lines.csv",
    relation="core.lines",
    fields=(_field("source"), _field("line"), _field("team", optional=True)),
)
CALENDAR = InputFile(
    name="calendar.csv",
    relation="core.calendar",
    fields=(_field("date", "day", column="day"), _field("hours", "number")),
)
ABSENCES = InputFile(
    name="absences.csv",
    relation="core.absences",
    fields=(_field("person_id"), _field("from", "day", column="from_on"), _field("to", "day", column="to_on")),
)
RATES = InputFile(
    name="rates.csv",
    relation="core.rates",
    fields=(_field("date", "day", column="rate_on"), _field("currency", "currency"), _field("rate", "number")),
)
MATCHES = InputFile(
    name="matches.csv",
    relation="core.matches",
    fields=(
        _field("source"),
        _field("payment_id"),
        _field("deal_source"),
        _field("deal_id"),
        _field("amount", "amount", optional=True),
        _field("approved_by", optional=True),
        _field("approved_on", "day", optional=True),
    ),
)
SPLITS = InputFile(
    name="splits.csv",
    relation="core.splits",
    fields=(
        _field("deal_source"),
        _field("deal_id"),
        _field("person_id"),
        _field("share", "share"),
        _FROM,
        _TO,
    ),
    validity=Validity(of=("deal_source", "deal_id", "person_id")),
)
TEST_NUMBERS = InputFile(
    name="test_numbers.csv",
    relation="core.test_numbers",
    fields=(_field("phone", "phone"), _field("reason", optional=True)),
)
EXCLUSIONS = InputFile(
    name="exclusions.csv",
    relation="core.exclusions",
    fields=(
        _field("source"),
        _field("record_type", "choice", choices=RECORD_TYPES),
        _field("record_id"),
        _field("reason"),
        _field("approved_by"),
        _field("approved_on", "day"),
    ),
)

FILES = (
    PEOPLE, IDENTITIES, STAGES, MILESTONES, PROBABILITIES, PLANS, HOURS, LINES, CALENDAR, ABSENCES, RATES, MATCHES,
    SPLITS, TEST_NUMBERS, EXCLUSIONS,
)  # fmt: skip
