"""A project whose sources are the simulated servers and real statement files, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from base.clock import FakeClock
from demo import amocrm, mango
from demo.inputs import write_inputs
from demo.statements import write_statements
from demo.story import Story
from flows.project import Project
from tests.engine import lake_table
from voronka.config import load_project

TOKEN = "end-to-end-token"
KEY, SALT = "end-to-end-key", "end-to-end-salt"

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

[sources.accounting]
type = "onec"
path = "exports"
"""


@contextmanager
def served(story: Story, folder: Path, clock: FakeClock, more: str = "") -> Iterator[Project]:
    """Serve the story as it stands and give the project that reads it; the folder may hold an earlier night. `more` is
    configuration behind the rest."""
    write_statements(story, folder / "exports")
    with ExitStack() as stack:
        amo = stack.enter_context(
            amocrm.AmocrmServer(amocrm.world_from_story(story), token=TOKEN, clock=clock, limit_per_second=7)
        )
        tel = stack.enter_context(
            mango.MangoServer(mango.world_from_story(story), api_key=KEY, api_salt=SALT, clock=clock)
        )
        config = folder / "voronka.toml"
        config.write_text(
            CONFIG.format(
                zone=story.timezone,
                tax_id=story.tax_id,
                amo=amo.url,
                mango=tel.url,
                token=TOKEN,
                key=KEY,
                salt=SALT,
                start=story.opened_at.date(),
            )
            + more
            + lake_table(folder),
            encoding="utf-8",
        )
        yield load_project(config)


def confirm_inputs(story: Story, folder: Path) -> None:
    write_inputs(story, folder / "inputs", crm="amo", telephony="mango", plans=False)
