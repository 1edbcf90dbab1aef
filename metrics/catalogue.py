"""The catalogue: one SQL file a metric, its declaration in the header, its evidence in the body.

The built-in files lie in `metrics/sql/`; a folder of the company's own joins them under the same checks. What a body
must yield, and which relations it may read besides `calc.*` and `core.*`, is written in `metrics/evidence.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from base.errors import ConfigError, UsageError
from base.text import Text, say
from metrics.declared import Declared, check_rules, common_fields
from metrics.header import Header, Problem, parse_header

BUILT_IN = Path(__file__).parent / "sql"


@dataclass(frozen=True, kw_only=True)
class Metric(Declared):
    """A metric as its file declares it."""

    number: int | None  # its number in metrics.md, shared by the forms of one; None for the company's own
    description: Text
    unit: str
    group: str
    evidence_class: str
    event_time: str
    credit: str
    additivity: str
    entities: tuple[str, ...]
    direction: str  # "down": less is better
    quantile: float  # of a distribution
    formula: str  # of a derived metric: SQL over its factors, the keys of its evidence
    of: str  # "plan": made of other metrics' facts and plans, with no evidence of its own

    def _material(self) -> dict[str, Any]:
        return {
            "declared": [self.additivity, self.entities, self.basis, self.requires, self.quantile, self.direction],
            "formula": self.formula,
            "classified": [self.evidence_class, self.unit, self.credit],
            "split": self.by,
            "of": self.of,
        }


@dataclass(frozen=True)
class Catalogue:
    """Metrics by key: the built-in ones by their numbers, then the company's own."""

    metrics: Mapping[str, Metric]

    @cached_property
    def counted(self) -> tuple[Metric, ...]:
        """The metrics that are counted from records; the others are made of their facts."""
        return tuple(metric for metric in self if not metric.of)

    @cached_property
    def of_plan(self) -> tuple[Metric, ...]:
        """The metrics made of facts and plans."""
        return tuple(metric for metric in self if metric.of == "plan")

    def __iter__(self) -> Iterator[Metric]:
        return iter(self.metrics.values())

    def __contains__(self, key: str) -> bool:
        return key in self.metrics

    def get(self, key: str) -> Metric:
        """The metric of a key.

        Raises:
            UsageError: no such metric; the remedy names the nearest keys.
        """
        if key in self.metrics:
            return self.metrics[key]
        near = get_close_matches(key, self.metrics, n=3, cutoff=0.5)
        raise UsageError(
            say("Нет метрики «{key}».", "No metric {key!r}.", key=key),
            remedy=say("Похожие: {near}.", "Near: {near}.", near=", ".join(near))
            if near
            else say("Список метрик: voronka metrics.", "The list: voronka metrics."),
        )

    @property
    def bases(self) -> dict[str, Metric]:
        """One metric for each basis, as the basis' declaration."""
        return {metric.basis: metric for metric in self.counted}


def load_catalogue(own: Path | None = None) -> Catalogue:
    """Read every built-in metric, and those of the company's folder.

    Raises:
        ConfigError: every problem of every file, each with file and line.
    """
    metrics: dict[str, Metric] = {}
    problems: list[Problem] = []
    paths = sorted(BUILT_IN.glob("*.sql"))
    if own is not None:
        if not own.is_dir():
            raise ConfigError(say("Нет папки метрик {path}.", "No folder of metrics {path}.", path=own))
        paths += sorted(own.glob("*.sql"))
    for path in paths:
        metric, found = _load(path)
        problems += found
        if metric is None:
            continue
        if metric.key in metrics:
            taken = say(
                "ключ {key} уже занят: {path}",
                "key {key} is taken by {path}",
                key=metric.key,
                path=metrics[metric.key].path,
            )
            problems.append(Problem(path, 1, taken))
            continue
        metrics[metric.key] = metric
    if problems:
        raise broken_files(problems)
    ordered = sorted(metrics.values(), key=lambda metric: (metric.number is None, metric.number, metric.key))
    return Catalogue({metric.key: metric for metric in ordered})


def broken_files(problems: list[Problem]) -> ConfigError:
    """The error that tells every problem of metric files at once."""
    return ConfigError(
        say("Файлы метрик с ошибками.", "Metric files with errors."),
        tuple(problem.text() for problem in problems),
        remedy=say(
            "Поправьте файлы; образец — любой файл папки metrics/sql.",
            "Mend the files; any file of metrics/sql is a model.",
        ),
    )


def _load(path: Path) -> tuple[Metric | None, list[Problem]]:
    try:
        source = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None, [Problem(path, 1, say("файл не в UTF-8", "the file is not UTF-8"))]
    header, problems = parse_header(path, source)
    problems += _check_meaning(header)
    return (None if problems else _build(header)), problems


def _check_meaning(header: Header) -> list[Problem]:
    """What one key says against another, and against the file's name and the rules there are."""
    found = check_rules(header)
    if header.fields.get("key", header.path.stem) != header.path.stem:
        what = say(
            "ключ {key} не равен имени файла", "key {key} differs from the file's name", key=header.fields["key"]
        )
        found.append(Problem(header.path, header.lines["key"], what))
    if "company" not in header.listed("entities") and "entities" in header.fields:
        what = say("entities: нужна company", "entities: company is missing")
        found.append(Problem(header.path, header.lines["entities"], what))
    return found


def _build(header: Header) -> Metric:
    value = header.fields
    return Metric(
        **common_fields(header),
        number=int(value["number"]) if "number" in value else None,
        description=say(value["description_ru"], value["description_en"]),
        unit=value["unit"],
        group=value["group"],
        evidence_class=value["evidence_class"],
        event_time=value["event_time"],
        credit=value["credit"],
        additivity=value["additivity"],
        entities=header.listed("entities"),
        direction=value.get("direction", "up"),
        quantile=float(value.get("quantile", "0.5")),
        formula=value.get("formula", ""),
        of=value.get("of", ""),
    )
