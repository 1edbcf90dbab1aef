"""People, and the inputs in force: org history, identities, stage map, plans, calendar."""

from __future__ import annotations

from models.columns import core, day, flag, integer, money, number, relation, text

USERS = core(
    "core.users",
    "A user or extension at a source.",
    text("external_id", "User's id at the source.", key=True, personal="extension"),
    text("name", "Name.", personal="name"),
    text("email", "E-mail in lower case.", personal="email"),
    text("extension", "Extension, as text.", personal="extension"),
    text("phone", "Own number in E.164, where the source has it.", personal="phone"),
    flag("is_active", "Still there."),
    flag("is_admin", "Sees everything at the source."),
    text("department", "Department's name at the source; the first one of several."),
)

PIPELINES = core(
    "core.pipeline_stages",
    "A stage of a pipeline as the source lists it; stages.csv says what it means.",
    text("pipeline_id", "Pipeline's id.", key=True),
    text("stage_id", "Stage's id.", key=True),
    text("pipeline_name", "Pipeline's name."),
    text("stage_name", "Stage's name."),
    integer("position", "Order within the pipeline."),
    text("system_kind", "won, lost or unsorted where the source itself says so."),
    flag("is_removed", "The source no longer lists it."),
)

PEOPLE = relation(
    "core.people",
    "people.csv: a person's place in the company over time.",
    text("person_id", "Person's id.", key=True),
    text("name", "Name.", personal="name", stand_in="person_id"),
    text("team", "Team; NULL = none."),
    text("role", "Role."),
    text("grade", "Grade."),
    day("valid_from", "First day, inclusive.", key=True),
    day("valid_to", "Last day, inclusive; NULL = still."),
)

IDENTITIES = relation(
    "core.identities",
    "identities.csv: a person's user ids and extensions at the sources over time.",
    text("person_id", "Person's id."),
    text("source", "Source's name.", key=True),
    text("external_id", "User id or extension at that source.", key=True, personal="extension"),
    day("valid_from", "First day, inclusive.", key=True),
    day("valid_to", "Last day, inclusive; NULL = still."),
)

STAGES = relation(
    "core.stages",
    "stages.csv: what each stage means.",
    text("source", "Source's name.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("stage_id", "Stage.", key=True),
    text("name", "Name."),
    integer("position", "Order within the pipeline."),
    text("kind", "base, qualified, meeting, offer, invoice, won, lost, service."),
    day("valid_from", "First day this version is in force, inclusive.", key=True),
    flag("is_guess", "Guessed by `inputs draft` and not yet confirmed by a person."),
)

MILESTONES = relation(
    "core.milestones",
    "milestones.csv: points for the first pass of a stage, for long cycles.",
    text("source", "Source's name.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("stage_id", "Stage.", key=True),
    number("weight", "Points."),
)

PROBABILITIES = relation(
    "core.probabilities",
    "probabilities.csv: how likely a deal of a stage is to be paid, until the company's own history tells.",
    text("source", "Source's name.", key=True),
    text("pipeline_id", "Pipeline.", key=True),
    text("stage_id", "Stage.", key=True),
    number("probability", "Probability, above 0 and at most 1."),
)

PLANS = relation(
    "core.plans",
    "plans.csv: a plan of an entity in a period.",
    text("period", "Period.", key=True),
    text("entity_type", "manager, team, company.", key=True),
    text("entity_id", "Person's id, team's name, or company.", key=True),
    text("metric", "Metric's key.", key=True),
    number("value", "Planned value; a ratio as a fraction."),
    text("prorate", "true = a newcomer's plan is taken for the working days they were there."),
    text("vat_mode", "gross, net: how its money was planned, always the company's mode; NULL = not said."),
)

CALENDAR = relation(
    "core.calendar",
    "Working days: the country's production calendar with calendar.csv over it.",
    day("day", "Local day.", key=True),
    number("hours", "Working hours of the day; 0 = day off."),
    text("origin", "country or input."),
)

LINES = relation(
    "core.lines",
    "lines.csv: which team answers a line.",
    text("source", "Source's name.", key=True),
    text("line", "Line's number as the telephony writes it.", key=True),
    text("team", "Team."),
)

HOURS = relation(
    "core.hours",
    "hours.csv: working hours of a team.",
    text("team", "Team.", key=True),
    integer("weekday", "1 = Monday … 7 = Sunday.", key=True),
    text("opens", "Opening, HH:MM."),
    text("closes", "Closing, HH:MM."),
    text("timezone", "IANA name of the team's time zone."),
)

ABSENCES = relation(
    "core.absences",
    "absences.csv: days a person was away.",
    text("person_id", "Person's id.", key=True),
    day("from_on", "First day away.", key=True),
    day("to_on", "Last day away."),
)

RATES = relation(
    "core.rates",
    "rates.csv: official rates.",
    day("rate_on", "Day.", key=True),
    text("currency", "ISO 4217 code.", key=True),
    number("rate", "Units of the company's currency for one unit."),
)

MATCHES = relation(
    "core.matches",
    "matches.csv: a person's decision on which deal a payment belongs to.",
    text("source", "Payment's source.", key=True),
    text("payment_id", "Payment.", key=True),
    text("deal_source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    money("amount", "Part on this deal; NULL = the whole payment."),
    text("approved_by", "Who decided.", personal="name"),
    day("approved_on", "When."),
)

SPLITS = relation(
    "core.splits",
    "splits.csv: explicit shares of credit on a deal.",
    text("deal_source", "Deal's source.", key=True),
    text("deal_id", "Deal.", key=True),
    text("person_id", "Person's id.", key=True),
    number("share", "Share; the shares in force on a day sum to 1."),
    day("valid_from", "First day, inclusive.", key=True),
    day("valid_to", "Last day, inclusive; NULL = still."),
)

TEST_NUMBERS = relation(
    "core.test_numbers",
    "test_numbers.csv: numbers whose calls never count.",
    text("phone", "Phone in E.164.", key=True, personal="phone"),
    text("reason", "Why.", personal="text"),
)

EXCLUSIONS = relation(
    "core.exclusions",
    "exclusions.csv: records a head of sales approved to leave out.",
    text("source", "Source's name.", key=True),
    text("record_type", "deal, call, payment.", key=True),
    text("record_id", "Record's id.", key=True),
    text("reason", "Why.", personal="text"),
    text("approved_by", "Who approved.", personal="name"),
    day("approved_on", "When."),
)
