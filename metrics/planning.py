"""The plan from the end, and whether plans fit together (metrics.md 5): arithmetic alone, no records, no database.

Rates are fractions (0.25 = a quarter), sums and counts as in plans.csv; `History` is the last six months of the same
company or person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

# metrics.md 5: implied and planned values agree within 5 %; no implied conversion exceeds twice the 6-month actual.
TOLERANCE = 0.05
MOST_TIMES_HISTORY = 2.0
HISTORY_MONTHS = 6

Origin = Literal["given", "plan", "history", "computed"]


@dataclass(frozen=True, kw_only=True)
class History:
    """Sums of the last months: of a count or money by metric, and both sides of a ratio."""

    sums: Mapping[str, float]
    ratios: Mapping[str, tuple[float, float]]

    def rate(self, metric: str) -> float | None:
        num, den = self.ratios.get(metric, (0.0, 0.0))
        return num / den if den > 0 else None

    def conversion(self, before: str, after: str) -> float | None:
        """What came out per one that went in; None without a base."""
        den = self.sums.get(before, 0.0)
        return self.sums.get(after, 0.0) / den if den > 0 else None


NO_HISTORY = History(sums={}, ratios={})


@dataclass(frozen=True, kw_only=True)
class Step:
    """A number of the decomposition: what is needed, where it comes from, and what was planned of it."""

    name: str  # a metric's key, or meeting_to_paid, working_days, calls_a_day
    value: float | None
    origin: Origin
    planned: float | None = None


def decompose(
    plans: Mapping[str, float],
    history: History,
    working_days: int,
    given: Mapping[str, float] | None = None,
) -> list[Step]:
    """From the revenue to a day's calls: revenue / average check = paid deals; / (meeting → paid) = meetings;
    / (call → meeting) = successful calls; / working days = the day norm.

    `given` overrides avg_check, meeting_to_paid, call_to_meeting_rate. A factor nobody gave, planned or has a history
    of is None, and so is everything behind it.
    """
    given = given or {}
    revenue = plans.get("revenue_cash", plans.get("revenue_accrual"))
    money = "revenue_cash" if "revenue_cash" in plans else "revenue_accrual"
    check = _factor("avg_check", given, plans, history.rate("avg_check"))
    closing = _closing_rate(given, plans, history)
    meeting = _factor("call_to_meeting_rate", given, plans, history.rate("call_to_meeting_rate"))
    deals = _divide(revenue, check.value)
    meetings = _divide(deals, closing.value)
    calls = _divide(meetings, meeting.value)
    return [
        Step(name=money, value=revenue, origin="plan"),
        check,
        _computed("deals_paid", deals, plans),
        closing,
        _computed("meetings_held", meetings, plans),
        meeting,
        _computed("calls_successful", calls, plans),
        Step(name="working_days", value=working_days or None, origin="computed"),
        Step(name="calls_a_day", value=_divide(calls, working_days), origin="computed"),
    ]


def _factor(name: str, given: Mapping[str, float], plans: Mapping[str, float], actual: float | None) -> Step:
    if name in given:
        return Step(name=name, value=given[name], origin="given")
    if plans.get(name, 0) > 0:
        return Step(name=name, value=plans[name], origin="plan")
    return Step(name=name, value=actual, origin="history")


def _closing_rate(given: Mapping[str, float], plans: Mapping[str, float], history: History) -> Step:
    """Meeting → paid: no metric of its own; two planned rates give it, else what became of past meetings."""
    rates = plans.get("meeting_to_offer_rate"), plans.get("offer_to_payment_rate")
    planned = rates[0] * rates[1] if rates[0] and rates[1] else None
    known = {"meeting_to_paid": planned} if planned else {}
    return _factor("meeting_to_paid", given, known, history.conversion("meetings_held", "deals_paid"))


def _computed(name: str, value: float | None, plans: Mapping[str, float]) -> Step:
    return Step(name=name, value=value, origin="computed", planned=plans.get(name))


def _divide(whole: float | None, part: float | None) -> float | None:
    return whole / part if whole is not None and part is not None and part > 0 else None


# ── coherence ───────────────────────────────────────────────────────────────────────────────────────────────────

# whole = base × rate.
RELATIONS = (
    ("revenue_cash", "deals_paid", "avg_check"),
    ("deals_paid", "offers_sent", "offer_to_payment_rate"),
    ("offers_sent", "meetings_held", "meeting_to_offer_rate"),
    ("meetings_held", "calls_successful", "call_to_meeting_rate"),
)
# From, to, and whether everybody would have to go on at 100 %. (Offers may outnumber meetings: stages are skipped.)
CONVERSIONS = (
    ("leads_new", "deals_paid", True),
    ("meetings_held", "deals_paid", True),
    ("offers_sent", "deals_paid", True),
    ("meetings_held", "offers_sent", False),
    ("calls_successful", "meetings_held", True),
)


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Planned `whole` and what `base` × `rate` give differ by more than the tolerance."""

    whole: str
    base: str
    rate: str
    planned: float
    implied: float


@dataclass(frozen=True, kw_only=True)
class Implausible:
    """The plans need a conversion nobody has seen: above twice the actual one, or all of them."""

    before: str
    after: str
    before_value: float
    after_value: float
    implied: float
    actual: float | None


@dataclass(frozen=True, kw_only=True)
class NotPositive:
    """A plan of zero or less: nothing can be compared with it."""

    metric: str
    value: float


@dataclass(frozen=True, kw_only=True)
class NoSum:
    """The plans below an entity do not sum to its own."""

    metric: str
    planned: float
    summed: float


Finding = Apart | Implausible | NotPositive | NoSum


def check_plans(plans: Mapping[str, float], history: History) -> list[Finding]:
    """What does not fit in the plans of one entity and period; empty = they agree."""
    found: list[Finding] = [
        NotPositive(metric=metric, value=value) for metric, value in sorted(plans.items()) if value <= 0
    ]
    usable = {metric: value for metric, value in plans.items() if value > 0}
    for whole, base, rate in RELATIONS:
        if whole in usable and base in usable and rate in usable:
            implied = usable[base] * usable[rate]
            if abs(implied - usable[whole]) > TOLERANCE * usable[whole]:
                found.append(Apart(whole=whole, base=base, rate=rate, planned=usable[whole], implied=implied))
    counts = _implied_counts(usable)
    for before, after, is_part in CONVERSIONS:
        if before not in counts or after not in counts:
            continue
        implied, actual = counts[after] / counts[before], history.conversion(before, after)
        is_above = actual is not None and implied > MOST_TIMES_HISTORY * actual
        if is_above or (is_part and implied >= 1):
            found.append(
                Implausible(
                    before=before,
                    after=after,
                    before_value=counts[before],
                    after_value=counts[after],
                    implied=implied,
                    actual=actual,
                )
            )
    return found


def check_sum(metric: str, planned: float, parts: Iterable[float]) -> NoSum | None:
    """A team's plan is its own row; that it differs from its people's is said, not mended."""
    summed = sum(parts)
    if planned > 0 and summed > 0 and abs(summed - planned) > TOLERANCE * planned:
        return NoSum(metric=metric, planned=planned, summed=summed)
    return None


def _implied_counts(plans: Mapping[str, float]) -> dict[str, float]:
    """Planned numbers, and those that follow from the others where none was planned."""
    counts = dict(plans)
    for _ in RELATIONS:
        for whole, base, rate in RELATIONS:
            if whole not in counts and base in counts and rate in counts:
                counts[whole] = counts[base] * counts[rate]
            # Planned money and check need so many deals, whatever the plan of calls would bring.
            if base not in counts and whole in counts and rate in counts:
                counts[base] = counts[whole] / counts[rate]
    return counts
