"""The campaign's company: every kind of source on simulated servers that outlive the processes reading them.

Its servers tell the same company as it stood on one of two mornings, in good weather or in bad.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from base.clock import Clock
from demo import amocrm, bitrix24, mango, onec, zadarma
from demo.company import build_company
from demo.http import FAULTS_OF_A_BAD_DAY, Fault, HttpRequest
from demo.inputs import write_inputs
from demo.statements import write_statements
from demo.story import Story
from tests.e2e.night import HurriedClock

Day = Literal["first", "second"]

KEY, SALT, SECRET, PASSWORD = "campaign-key", "campaign-salt", "campaign-webhook", "campaign-password"
CLIENT = {"client_id": "campaign", "client_secret": "campaign-secret", "redirect_uri": "https://example.com/voronka"}
# Between the mornings: deals move, calls and payments come, a deal is deleted.
BETWEEN = timedelta(days=9)

CONFIG = """
[company]
timezone = "{zone}"
own_tax_ids = ["{tax_id}"]

[sources.amo]
type = "amocrm"
base_url = "{amo}"
client_id = "{client_id}"
client_secret = "{client_secret}"
redirect_uri = "{redirect_uri}"
code = "{code}"
fields = {{ invoice_number = "Номер счёта", tax_id = "ИНН" }}

[sources.b24]
type = "bitrix24"
webhook_url = "{b24}/rest/1/{secret}/"

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

[sources.statements]
type = "onec"
path = "exports"
priority = 2

[sources.odata]
type = "onec"
odata_url = "{odata}"
user = "voronka"
password = "{password}"
start = "{start}"
"""


class Weather:
    """Which fault strikes a request: none, or drawn by a seed. An access token may also end before its time."""

    def __init__(self) -> None:
        self._dice: random.Random | None = None
        self._rate = 0.0
        self._kinds: tuple[Fault, ...] = ()
        self._lock = threading.Lock()
        self.struck = 0

    def turn_bad(self, seed: int) -> None:
        """A mix of its own for each seed: how often, and which kinds."""
        dice = random.Random(seed)
        kinds: tuple[Fault, ...] = (*FAULTS_OF_A_BAD_DAY, "gateway_timeout", "unavailable_stated")
        with self._lock:
            self._kinds = tuple(dice.sample(kinds, dice.randint(2, len(kinds))))
            self._rate = dice.uniform(0.02, 0.25)
            self._dice = dice

    def clear(self) -> None:
        with self._lock:
            self._dice = None

    def draw(self, request: HttpRequest) -> Fault | None:
        with self._lock:
            if self._dice is None or self._dice.random() >= self._rate:
                return None
            self.struck += 1
            return self._dice.choice(self._kinds)

    def ends_token(self) -> bool:
        with self._lock:
            return self._dice is not None and self._dice.random() < 0.03


@dataclass
class Company:
    """Servers that stand, and what a project needs to read them."""

    story: Story
    weather: Weather
    clock: Clock
    office: amocrm.TokenOffice
    amo: amocrm.AmocrmServer
    b24: bitrix24.Bitrix24Server
    mango: mango.MangoServer
    zadarma: zadarma.ZadarmaServer
    odata: onec.OnecServer

    def told_at(self, day: Day) -> datetime:
        return self.story.told_at - (BETWEEN if day == "first" else timedelta())

    def tell(self, day: Day) -> None:
        """From now on the servers show the company as of that morning."""
        story, now = cut(self.story, self.told_at(day)), self.told_at(day)
        self.amo.world = amocrm.world_from_story(self.story, until=now)
        self.b24.world = bitrix24.world_from_story(self.story, until=now)
        self.mango.world = mango.world_from_story(story)
        self.zadarma.world = zadarma.world_from_story(story)
        self.odata.world = onec.world_from_story(story)

    def write(self, folder: Path, day: Day) -> Path:
        """The project as its owner keeps it on that day: statements, inputs, configuration. What was there stays."""
        write_statements(cut(self.story, self.told_at(day)), folder / "exports")
        write_inputs(self.story, folder / "inputs", crm="amo", telephony="mango")
        return self.configure(folder)

    def configure(self, folder: Path) -> Path:
        """Write the configuration with a new code, as a person who opened the integration's card would."""
        config = folder / "voronka.toml"
        config.write_text(
            CONFIG.format(
                zone=self.story.timezone,
                tax_id=self.story.tax_id,
                amo=self.amo.url,
                b24=self.b24.url,
                mango=self.mango.url,
                zadarma=self.zadarma.url,
                odata=self.odata.url,
                code=self.office.issue_code(),
                secret=SECRET,
                key=KEY,
                salt=SALT,
                password=PASSWORD,
                start="2026-08-30",
                **CLIENT,
            ),
            encoding="utf-8",
        )
        return config


def cut(story: Story, now: datetime) -> Story:
    """The story as far as it has been told by `now`."""
    return replace(
        story,
        told_at=now,
        deals=[deal for deal in story.deals if deal.created_at <= now],
        calls=[call for call in story.calls if call.ended_at <= now],
        payments=[payment for payment in story.payments if payment.paid_on < now.date()],
    )


def copy_project(company: Company, source: Path, folder: Path) -> Path:
    """A copy of a project with its files. Its tokens are of the original: it gets a code of its own."""
    shutil.copytree(source, folder)
    shutil.rmtree(folder / "var" / "state" / "tokens", ignore_errors=True)
    return company.configure(folder)


@contextmanager
def open_company(*, deals: int = 20, seed: int = 3) -> Iterator[Company]:
    """Serve a company of all source kinds; it shows its second morning."""
    story = build_company(deals=deals, seed=seed)
    clock, weather = HurriedClock(story.told_at), Weather()
    office = amocrm.TokenOffice(clock, **CLIENT)

    def amo_faults(request: HttpRequest) -> Fault | None:
        if weather.ends_token():
            office.revoke_access()
        return weather.draw(request)

    with ExitStack() as stack:
        company = Company(
            story,
            weather,
            clock,
            office,
            stack.enter_context(
                amocrm.AmocrmServer(
                    amocrm.world_from_story(story),
                    token="unused",
                    oauth=office,
                    clock=clock,
                    limit_per_second=None,
                    faults=amo_faults,
                )
            ),
            stack.enter_context(
                bitrix24.Bitrix24Server(
                    bitrix24.world_from_story(story),
                    secret=SECRET,
                    clock=clock,
                    limits=bitrix24.Limits(leak=None, operating=None),
                    faults=weather.draw,
                )
            ),
            stack.enter_context(
                mango.MangoServer(
                    mango.world_from_story(story),
                    api_key=KEY,
                    api_salt=SALT,
                    clock=clock,
                    limits=False,
                    faults=weather.draw,
                )
            ),
            stack.enter_context(
                zadarma.ZadarmaServer(
                    zadarma.world_from_story(story),
                    key=KEY,
                    secret=SALT,
                    clock=clock,
                    limits=False,
                    faults=weather.draw,
                )
            ),
            stack.enter_context(
                onec.OnecServer(onec.world_from_story(story), password=PASSWORD, clock=clock, faults=weather.draw)
            ),
        )
        yield company
