"""Transport to one 1C database: signed in, within its budget, one request at a time, pages that say what they hold."""

from __future__ import annotations

import logging
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import httpx
import msgspec

from base.errors import ProtocolError
from base.secrets import Redactor, Secret
from connectors.api import Api, Dialect
from connectors.limiter import Limiter
from connectors.onec.odata.address import path_of, query_of, service_root
from connectors.onec.odata.refusals import Refusals
from connectors.onec.odata.schema import MetadataError, Schema, SchemaFile, read_metadata
from connectors.onec.odata.sets import ALL_SETS
from connectors.onec.settings import OnecSettings, checked
from connectors.stream import Client, Runtime

logger = logging.getLogger("voronka.onec")

# Each request takes a connection and a licence of 1C while it runs.
IN_FLIGHT = 1
REQUESTS_PER_SECOND = 5.0
# A wide page of a big database takes its time.
READ_TIMEOUT = 120.0
# Without a bound 1C would send the whole table; wide rows with their table parts are slow to make.
PAGE_ROWS = 500
# IIS refuses a longer query; a Cyrillic letter takes six bytes of it.
LONGEST_QUERY = 2_000
KEYS_A_REQUEST = 15


class Row(msgspec.Struct, frozen=True):
    """One entity as 1C wrote it, and what paging and dictionaries need of it."""

    key: str
    raw: bytes
    date: str = ""  # as written, local
    version: str = ""  # DataVersion: changes with every write


class _Head(msgspec.Struct):
    Ref_Key: str
    Date: str = ""
    DataVersion: str = ""


class _Rows(msgspec.Struct):
    value: list[msgspec.Raw]


_HEADS = msgspec.json.Decoder(_Head)
_ROWS = msgspec.json.Decoder(_Rows)


class OdataClient(Client):
    """Reads one database. Its dictionaries' versions are known to it once their streams were read.

    Raises:
        ConfigError: settings that don't fit together, credentials inside the address.
    """

    def __init__(self, settings: OnecSettings, runtime: Runtime, *, page_rows: int | None = None) -> None:
        self.settings = checked(settings, runtime.source)
        self.source = runtime.source
        self.zone: ZoneInfo = runtime.zone
        # Every page begins with the last row of the one before.
        self.page_rows = max(page_rows or PAGE_ROWS, 2)
        self.root = service_root(settings.odata_url)
        # Versions of everything the catalogues hold, by key.
        self.known: dict[str, str] = {}
        name = sha256(self.root.encode()).hexdigest()[:12]
        self._schema: Schema | None = None
        self._schema_lock = threading.Lock()
        self._schema_file = SchemaFile(runtime.state_dir / "odata" / f"{name}.json", self.root)
        redact = Redactor(_secrets(settings))
        self.api = Api(
            self.root,
            runtime=runtime,
            limiter=Limiter(
                f"onec-odata-{name}",
                rate=settings.requests_per_second or REQUESTS_PER_SECOND,
                clock=runtime.clock,
                states=runtime.states,
            ),
            dialect=Dialect(
                classify=Refusals(runtime.source, redact), first_wait=2.0, longest_wait=120.0, read_timeout=READ_TIMEOUT
            ),
            redact=redact,
            # `$metadata` exists as XML only; rows are asked for as JSON in the query.
            headers={"Accept": "*/*"},
            auth=httpx.BasicAuth(settings.user, settings.password.reveal()),
            in_flight=IN_FLIGHT,
        )

    def now(self) -> datetime:
        return self.api.now()

    @property
    def skew(self) -> timedelta | None:
        return self.api.skew

    def close(self) -> None:
        self.api.close()

    def schema(self, *, fresh: bool = False) -> Schema:
        """What the database publishes of the sets that matter here; kept for some hours.

        Raises:
            SourceError: it can't be read.
        """
        with self._schema_lock:
            if self._schema is None and not fresh:
                self._schema = self._schema_file.load(self.api.clock.now())
            if self._schema is None or fresh:
                sets = self.api.fetch("GET", "$metadata", _decode_metadata)
                self._schema = self._schema_file.keep(sets, self.api.clock.now())
            return self._schema

    def fetch_rows(
        self, entity_set: str, fields: Sequence[str], *, top: int, skip: int = 0, filter_by: str = "", order: str
    ) -> list[Row]:
        """One page of a set, in the order of `order`.

        Raises:
            SourceError: a leaf of the tree; `MissingSetError` where the set isn't published.
        """
        options = [("$format", "json")]
        if filter_by:
            options.append(("$filter", filter_by))
        options += [("$orderby", order), ("$top", str(top))]
        if skip:
            options.append(("$skip", str(skip)))
        query = query_of([*options, ("$select", ",".join(self.schema().select(entity_set, fields)))])
        if len(query) > LONGEST_QUERY:
            # Whole rows are slower, but they come.
            query = query_of(options)
        try:
            return self.api.fetch("GET", f"{path_of(entity_set)}?{query}", _decode_rows)
        except ProtocolError:
            # A field or a set may have gone with an update of the configuration.
            self._schema_file.forget()
            raise

    def fetch_keys(self, entity_set: str, fields: Sequence[str], keys: Sequence[str]) -> Iterator[Row]:
        """The entities of these keys that are there.

        Raises:
            SourceError: a leaf of the tree.
        """
        for first in range(0, len(keys), KEYS_A_REQUEST):
            asked = keys[first : first + KEYS_A_REQUEST]
            chosen = " or ".join(f"Ref_Key eq guid'{key}'" for key in asked)
            yield from self.fetch_rows(entity_set, fields, top=len(asked), filter_by=chosen, order="Ref_Key")


def _decode_rows(response: httpx.Response) -> list[Row]:
    rows = []
    for raw in _ROWS.decode(response.content).value:
        head = _HEADS.decode(raw)
        rows.append(Row(head.Ref_Key, bytes(raw).strip(), head.Date, head.DataVersion))
    return rows


def _decode_metadata(response: httpx.Response) -> dict[str, list[str]]:
    try:
        return read_metadata(response.content, ALL_SETS)
    except MetadataError as error:
        # A cut answer is asked for again, as any damaged one.
        raise msgspec.DecodeError(str(error)) from None


def _secrets(settings: OnecSettings) -> list[Secret]:
    password = settings.password.reveal()
    basic = b64encode(f"{settings.user}:{password}".encode()).decode()
    return [settings.password, Secret(basic)] if password else []


@contextmanager
def open_odata(settings: OnecSettings, runtime: Runtime) -> Iterator[OdataClient]:
    client = OdataClient(settings, runtime)
    try:
        yield client
    finally:
        client.close()
