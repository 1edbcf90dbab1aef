"""The company whose two months go by: four kinds of sources, and a lake with a PostgreSQL of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from demo import amocrm, mango, zadarma
from demo.company import FIRST_DAY, build_company
from demo.inputs import write_inputs
from demo.statements import write_statements
from demo.story import Story
from tests.campaign.company import KEY, PASSWORD, SALT, cut
from tests.lake_campaign.story_clock import StoryClock
from tests.postgres import Server
from warehouse.address import ANALYST, Lake

SOURCES = ("amo", "mango", "zadarma", "accounting")
# The worlds are made anew in seconds: those of a busy machine.
AHEAD_SECONDS = 10.0
# As PostgreSQL comes, but for the disk's own cache: the machine doesn't fail here, processes do.
SETTINGS = {"listen_addresses": "''", "fsync": "off", "max_connections": "100"}
DOCS = Path(__file__).parents[2] / "docs" / "lake.md"

CONFIG = """
[company]
timezone = "{zone}"
own_tax_ids = ["{tax_id}"]

[sources.amo]
type = "amocrm"
base_url = "{amo}"
token = "{token}"
fields = {{ invoice_number = "Номер счёта", tax_id = "ИНН" }}

[sources.mango]
type = "mango"
base_url = "{mango}"
api_key = "{key}"
api_salt = "{salt}"
start = "{start}"

[sources.zadarma]
type = "zadarma"
base_url = "{zadarma}"
key = "{key}"
secret = "{salt}"
start = "{start}"

[sources.accounting]
type = "onec"
path = "{exports}"
"""


class PatientMango(mango.MangoServer):
    """A report is kept for an hour, which is less than a second of the story: of the real clock then."""

    def now(self) -> float:
        return time.time()


@dataclass
class Company:
    """Servers that show the story as far as it has gone by, and what a project needs to read them."""

    story: Story
    clock: StoryClock
    exports: Path
    amo: amocrm.AmocrmServer
    mango: mango.MangoServer
    zadarma: zadarma.ZadarmaServer
    told: datetime | None = None
    # Moments at which a source did not show yet what had happened: hours of a call that is missing from its own answer.
    late: list[datetime] = field(default_factory=list)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def tell(self) -> None:
        """Vendors have what happens until AHEAD_SECONDS from now: what has happened at any moment must be there then,
        and a second is hours of the story. A statement is replaced as a whole, as a bank's client does."""
        until = self.clock.at(AHEAD_SECONDS)
        with self._telling:
            story = cut(self.story, until)
            self.amo.world = _amo_world(self.story, until)
            self.mango.world = mango.world_from_story(story)
            self.zadarma.world = zadarma.world_from_story(story)
            with tempfile.TemporaryDirectory(dir=self.exports.parent) as folder:
                # An accountant exports what has been booked.
                for path in write_statements(cut(self.story, self.clock.now()), Path(folder)):
                    os.replace(path, self.exports / path.name)
            now = self.clock.now()
            if self.told is not None and now > self.told:
                self.late.append(now)
            self.told = until

    def write_project(self, folder: Path, lake: Lake | None) -> Path:
        """A folder as a machine has it: configuration and inputs, of a lake or of files."""
        write_inputs(self.story, folder / "inputs", crm="amo", telephony="mango")
        config = folder / "voronka.toml"
        table = f'\n[warehouse]\npath = "{lake.shown}"\ndata_path = "{lake.data_path}"\n' if lake else ""
        config.write_text(
            CONFIG.format(
                zone=self.story.timezone,
                tax_id=self.story.tax_id,
                amo=self.amo.url,
                mango=self.mango.url,
                zadarma=self.zadarma.url,
                token=PASSWORD,
                key=KEY,
                salt=SALT,
                exports=self.exports,
                start=FIRST_DAY - timedelta(days=2),
            )
            + table,
            encoding="utf-8",
        )
        return config


def _amo_world(story: Story, until: datetime) -> amocrm.AmocrmWorld:
    """The account at that moment. Its events are numbered by what they say: a world made anew numbers them in the order
    it comes to tell them, which is another one later."""
    world = amocrm.world_from_story(story, until=until)
    events = world.tables["events"]
    for event in list(events):
        said = json.dumps({**event, "id": None}, sort_keys=True).encode()
        events.pop(event["id"])
        events.put({**event, "id": event["id"][:10] + blake2b(said, digest_size=8).hexdigest()})
    return world


@contextmanager
def open_company(folder: Path, *, deals: int, seconds: float, origin: float) -> Iterator[Company]:
    """Serve a company whose months go by in so many seconds, the first week of them before the beginning."""
    told = build_company(deals=deals, seed=3)
    # No deal is deleted: whoever loads at the end only would never have seen it.
    story = replace(told, deals=[replace(deal, deleted_at=None) for deal in told.deals])
    first = datetime.combine(FIRST_DAY + timedelta(days=7), datetime.min.time(), story.told_at.tzinfo)
    clock = StoryClock(origin, first, (story.told_at - first).total_seconds() / seconds, story.told_at)
    begun, exports = cut(story, first), folder / "exports"
    exports.mkdir(parents=True)
    with ExitStack() as stack:
        company = Company(
            story,
            clock,
            exports,
            stack.enter_context(
                amocrm.AmocrmServer(_amo_world(story, first), token=PASSWORD, clock=clock, limit_per_second=7)
            ),
            stack.enter_context(
                PatientMango(mango.world_from_story(begun), api_key=KEY, api_salt=SALT, clock=clock, limits=False)
            ),
            stack.enter_context(
                zadarma.ZadarmaServer(zadarma.world_from_story(begun), key=KEY, secret=SALT, clock=clock, limits=False)
            ),
        )
        company.tell()
        yield company


@contextmanager
def open_server() -> Iterator[Server]:
    """A PostgreSQL that keeps what it has committed when it is killed."""
    # Not in a folder of the caller's: PostgreSQL's own user must be able to get there.
    folder = Path(tempfile.mkdtemp(prefix="voronka-pg-"))
    server = Server(folder, SETTINGS)
    server.make()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def let_analysts_in(server: Server, database: str) -> None:
    """The role and the rights that docs/lake.md tells to make; the lake is there already."""
    server.query(f"CREATE ROLE {ANALYST} LOGIN")
    for grant in re.findall(r"^(?:GRANT|ALTER DEFAULT PRIVILEGES)[^;]*;", DOCS.read_text("utf-8"), re.MULTILINE):
        server.query(grant, database)
