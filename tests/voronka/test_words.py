"""A head of sales reads Russian: no fixed word of the catalogue may reach the screen untranslated."""

from __future__ import annotations

import pytest

from metrics.catalogue import load_catalogue
from voronka.reports.words import ADDITIVITY, CREDITS, ENTITIES, EVENTS, FACETS, UNITS

CATALOGUE = list(load_catalogue())


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.key)
def test_every_word_of_a_metric_is_known_in_both_languages(metric) -> None:  # type: ignore[no-untyped-def]
    missing = {metric.event_time} - set(EVENTS) | {metric.unit} - set(UNITS) | {metric.credit} - set(CREDITS)
    missing |= {metric.additivity} - set(ADDITIVITY) | set(metric.entities) - set(ENTITIES)
    missing |= {*metric.facets, *metric.optional_facets} - set(FACETS)
    assert missing == set()
