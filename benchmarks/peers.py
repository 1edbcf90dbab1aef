"""Published clients read all deals of a server, each by its own way for whole lists; ids go to a file, one a line.

`python -m benchmarks.peers fast_bitrix24 ADDRESS FILE`. They keep records in memory and write no database: what is
timed is their reading alone.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.portal import SECRET
from connectors.bitrix24.listings import DEALS

Record = dict[str, Any]
# The same fields as voronka asks for.
SELECT = list(DEALS.select)
TOKEN = f"1/{SECRET}"
# Its own ten seconds are too short for a batch of the portal, which may take sixty.
PATIENT = {"timeout": 90}


def fast_bitrix24(url: str) -> Iterable[Record]:
    """Offsets by `total`, fifty pages a batch, as many batches at once as it thinks right."""
    from fast_bitrix24 import BitrixAsync

    client = BitrixAsync(f"{url}/rest/{TOKEN}/", verbose=False)
    return asyncio.run(client.get_all("crm.deal.list", {"select": SELECT}))


def b24pysdk_list(url: str) -> Iterable[Record]:
    """Offsets by `total`, fifty pages a batch, one batch after the other."""
    return _webhook(url).call_list("crm.deal.list", {"select": SELECT, "order": {"ID": "ASC"}}, **PATIENT)["result"]


def b24pysdk_fast(url: str) -> Iterable[Record]:
    """Keyset pages, fifty chained in a batch, one batch after the other."""
    return _webhook(url).call_list_fast("crm.deal.list", {"select": SELECT}, **PATIENT)["result"]


def _webhook(url: str) -> Any:
    from b24pysdk import BitrixWebhook

    return BitrixWebhook(domain=urlsplit(url).netloc, webhook_token=TOKEN)


def amocrm_api(url: str) -> Iterable[Record]:
    """Pages by number, one after the other."""
    from benchmarks.mended_amocrm import MendedAmoClient

    client = MendedAmoClient(SECRET, "none", url, "id", "secret", "https://example.com")
    return client.iter_leads(order={"id": "asc"})


CLIENTS: dict[str, Callable[[str], Iterable[Record]]] = {
    one.__name__: one for one in (fast_bitrix24, b24pysdk_list, b24pysdk_fast, amocrm_api)
}


def main(name: str, url: str, file: str) -> None:
    ids = [str(record.get("ID") or record["id"]) for record in CLIENTS[name](url)]
    Path(file).write_text("\n".join(ids))


if __name__ == "__main__":
    main(*sys.argv[1:])
