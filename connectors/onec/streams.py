"""1C as the engine sees it: a folder of exports, or a database over OData."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from base.text import say
from connectors.onec.check import check_folder
from connectors.onec.client import OnecClient, open_client
from connectors.onec.commerceml.mapping import map_document
from connectors.onec.mapping import BROUGHT, map_movement
from connectors.onec.odata.check import check_odata
from connectors.onec.odata.client import OdataClient, open_odata
from connectors.onec.odata.streams import ODATA_STREAMS, is_odata
from connectors.onec.settings import OnecSettings, checked
from connectors.onec.sheets.mapping import map_sheet_row
from connectors.stream import CheckLine, Connector, Runtime, Stream


def is_folder(settings: Any) -> bool:
    return not is_odata(settings)


def open_onec(settings: OnecSettings, runtime: Runtime) -> AbstractContextManager[OnecClient | OdataClient]:
    """The client of a source.

    Raises:
        ConfigError: settings that don't fit together.
    """
    settings = checked(settings, runtime.source)
    return open_odata(settings, runtime) if settings.is_odata else open_client(settings, runtime)


def check_onec(client: OnecClient | OdataClient) -> Iterator[CheckLine]:
    return check_odata(client) if isinstance(client, OdataClient) else check_folder(client)


# The client of a stream is that of its source: a stream serves either kind of source, never both.
CONNECTOR: Connector[Any] = Connector(
    source_type="onec",
    label=say("1С", "1C"),
    settings=OnecSettings,
    streams=(
        Stream(
            name="statements",
            kind="files",
            fetch=OnecClient.fetch_statements,
            map=map_movement,
            brings=BROUGHT,
            # A payment once stated stays: banks reverse by another document, they don't take one back.
            tombstones=(),
            label=say("банковские выписки", "bank statements"),
            facet="money",
            serves=is_folder,
        ),
        Stream(
            name="sheets",
            kind="files",
            fetch=OnecClient.fetch_sheets,
            map=map_sheet_row,
            label=say("таблицы", "tables"),
            facet="money",
            serves=is_folder,
        ),
        Stream(
            name="commerceml",
            kind="files",
            fetch=OnecClient.fetch_commerceml,
            map=map_document,
            label=say("обмены CommerceML", "CommerceML exchanges"),
            facet="money",
            serves=is_folder,
        ),
        *ODATA_STREAMS,
    ),
    open=open_onec,
    check=check_onec,
    # Catalogues come before the documents that name them; files are read by one processor anyway.
    parallel=1,
)
