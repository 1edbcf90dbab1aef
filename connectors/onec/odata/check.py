"""`voronka check` of a 1C database: address and user, what is published, the right to read each kind, the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from base.errors import SourceError
from base.text import Text, say
from connectors.checking import compare_clocks, failure
from connectors.onec.odata.client import OdataClient
from connectors.onec.odata.refusals import PUBLISH
from connectors.onec.odata.schema import Schema
from connectors.onec.odata.sets import CATALOGUES, DOCUMENTS, Catalogue, DocumentKind
from connectors.stream import CheckLine

# Documents carry days, so a few minutes apart change nothing.
MOST_SKEW = timedelta(minutes=5)


def check_odata(client: OdataClient) -> Iterator[CheckLine]:
    """Findings, one a subject; loads nothing. After a refused user nothing more is asked."""
    access = say("доступ", "access")
    try:
        schema = client.schema(fresh=True)
    except SourceError as error:
        yield failure(access, error)
        return
    count = len(schema.sets)
    detail = say(
        "пользователь принят, нужных voronka видов данных открыто: {count}",
        "the user was accepted, kinds of data published that voronka needs: {count}",
        count=count,
    )
    yield CheckLine(subject=access, verdict="ok", detail=detail)
    yield compare_clocks(say("1С", "1C"), client.skew, MOST_SKEW)
    for kind in DOCUMENTS:
        yield from _check_documents(client, schema, kind)
    for catalogue in CATALOGUES:
        yield from _check_catalogue(client, schema, catalogue)


def _check_documents(client: OdataClient, schema: Schema, kind: DocumentKind) -> Iterator[CheckLine]:
    """What is published of a kind can be read. Which documents a configuration has at all, 1C doesn't tell."""
    names = [each.name for each in kind.sets]
    published = schema.published(names)
    if not published:
        yield CheckLine(
            subject=kind.label,
            verdict="failed" if kind.is_required else "warning",
            detail=say(
                "не опубликовано ничего из: {names}", "none of these is published: {names}", names=_titles(names)
            ),
            remedy=PUBLISH,
        )
        return
    yield from _check_reading(client, kind.label, published, kind.fields)
    outgoing = [each.name for each in kind.sets if each.sign < 0]
    if outgoing and not schema.published(outgoing):
        yield CheckLine(
            subject=kind.label,
            verdict="warning",
            detail=say(
                "не опубликованы документы возвратов ({names}): возвраты покупателям не будут видны",
                "documents of returns are not published ({names}): refunds to customers won't be seen",
                names=_titles(outgoing),
            ),
            remedy=PUBLISH,
        )


def _check_catalogue(client: OdataClient, schema: Schema, catalogue: Catalogue) -> Iterator[CheckLine]:
    published = schema.published(catalogue.sets)
    if published:
        yield from _check_reading(client, catalogue.label, published, catalogue.fields)
        return
    yield CheckLine(
        subject=catalogue.label,
        verdict="warning",
        detail=say(
            "справочник не опубликован: {names}",
            "the catalogue is not published: {names}",
            names=_titles(catalogue.sets),
        ),
        remedy=PUBLISH,
    )


def _check_reading(client: OdataClient, label: Text, sets: list[str], fields: tuple[str, ...]) -> Iterator[CheckLine]:
    """One row of each set: a right may be missing where the set is published."""
    readable = []
    for entity_set in sets:
        try:
            client.fetch_rows(entity_set, fields, top=1, order="Ref_Key")
        except SourceError as error:
            yield failure(label, error)
        else:
            readable.append(entity_set)
    if readable:
        detail = say("доступны: {names}", "readable: {names}", names=_titles(readable))
        yield CheckLine(subject=label, verdict="ok", detail=detail)


def _titles(names: list[str] | tuple[str, ...]) -> str:
    """Names as 1C's administrator sees them in the tool: without the kind of object before them."""
    return ", ".join(name.partition("_")[2] for name in names)
