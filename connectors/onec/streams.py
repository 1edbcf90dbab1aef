"""1C as the engine sees it."""

from __future__ import annotations

from base.text import say
from connectors.onec.check import check_folder
from connectors.onec.client import OnecClient, open_client
from connectors.onec.mapping import map_movement
from connectors.onec.settings import OnecSettings
from connectors.stream import Connector, Stream

CONNECTOR: Connector[OnecClient] = Connector(
    source_type="onec",
    label=say("1С", "1C"),
    settings=OnecSettings,
    streams=(
        Stream(
            name="statements",
            kind="files",
            fetch=OnecClient.fetch_statements,
            map=map_movement,
            # A payment once stated stays: banks reverse by another document, they don't take one back.
            tombstones=(),
            label=say("банковские выписки", "bank statements"),
            facet="money",
        ),
    ),
    open=open_client,
    check=check_folder,
)
