"""`voronka demo`: a made-up company, its sources served on loopback, and the real commands run on them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import command, option

if TYPE_CHECKING:
    from demo.story import Story

# Its presence says that the folder is ours to make anew.
MARK = ".voronka-demo"
# Made up, for servers that live for a minute on this machine.
AMO_TOKEN = "demo-long-lived-token"
MANGO_KEY = "demo-key"
MANGO_SALT = "demo-salt"
# As slow as the vendor really prepares a report would take minutes of a newcomer's time.
REPORT_SECONDS = 0.5

CONFIG = """\
# Made by `voronka demo`. The servers it names lived only as long as the demo ran.
[company]
timezone = "{timezone}"
language = "{language}"
own_tax_ids = ["{tax_id}"]

[sources.amo]
type = "amocrm"
base_url = "{amo_url}"
token = "${{AMO_TOKEN}}"
start = "{start}"
fields = {{ invoice_number = "Номер счёта", tax_id = "ИНН" }}

[sources.mango]
type = "mango"
base_url = "{mango_url}"
api_key = "${{MANGO_API_KEY}}"
api_salt = "${{MANGO_API_SALT}}"
start = "{start}"

[sources.accounting]
type = "onec"
path = "exports"
"""


class StoryClock:
    """Runs like any clock, but began at the story's present: what happened later has not happened yet."""

    def __init__(self, began_at: datetime) -> None:
        self._began_at = began_at.astimezone(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        return self._began_at + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return time.monotonic() - self._started

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


@command(
    "demo",
    details=say(
        "Придумывает отдел продаж за два месяца, поднимает на этой машине серверы, похожие на amoCRM и Mango Office, "
        "пишет банковские выписки — и выполняет настоящие команды. Ни учётных записей, ни интернета не нужно.",
        "Makes up two months of a sales department, starts servers on this machine that behave like amoCRM and Mango "
        "Office, writes bank statements, and runs the real commands. No account and no internet is needed.",
    ),
    example="voronka demo\nvoronka demo --dir /tmp/company --deals 200 --seed 1",
)
@option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("demo-company"),
    metavar="DIR",
    about=say("папка компании (demo-company)", "the company's folder (demo-company)"),
)
@option(
    "--deals",
    type=click.IntRange(10, 100_000),
    default=600,
    metavar="N",
    about=say("сколько сделок (600)", "how many deals (600)"),
)
@option(
    "--seed",
    type=int,
    default=7,
    metavar="S",
    about=say("другое число — другая компания (7)", "another number, another company (7)"),
)
def demo_command(app: App, folder: Path, deals: int, seed: int) -> int:
    from demo.company import build_company

    _prepare(folder)
    app.note(say("Придумываю компанию: {n} сделок…", "Making up a company of {n} deals…", n=deals))
    story = build_company(deals=deals, seed=seed)
    clock = StoryClock(story.told_at)
    config = folder / "voronka.toml"
    months = _months(story)
    with _serving(story, clock) as (amo_url, mango_url):
        _write_company(folder, story, app.language, amo_url, mango_url)
        status = 0
        for arguments in (["sync"], ["recompute", *months], ["publish"]):
            status = max(status, _run(app, config, clock, arguments))
    if status:
        return status
    for arguments in (
        ["kpi", months[-1]],
        ["funnel", months[-1]],
        ["explain", months[-1], "deals_paid", "--who", story.managers[0].person_id],
    ):
        status = max(status, _run(app, config, clock, arguments))
    _tell_next(app, config, months[-1])
    return status


def _prepare(folder: Path) -> None:
    """An empty folder; a demo of before is made anew, anything else is left alone."""
    if (folder / MARK).exists():
        shutil.rmtree(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            say("Папка {folder} занята.", "The folder {folder} is not empty.", folder=folder),
            remedy=say("Укажите другую: voronka demo --dir ПАПКА.", "Name another one: voronka demo --dir DIR."),
        )
    folder.mkdir(parents=True)
    (folder / MARK).touch()


@contextmanager
def _serving(story: Story, clock: StoryClock) -> Iterator[tuple[str, str]]:
    """The addresses of the simulated amoCRM and Mango, which live until the block ends."""
    from demo import amocrm, mango

    amo = amocrm.AmocrmServer(amocrm.world_from_story(story), token=AMO_TOKEN, clock=clock)
    calls = mango.MangoServer(
        mango.world_from_story(story), api_key=MANGO_KEY, api_salt=MANGO_SALT, clock=clock, preparation=REPORT_SECONDS
    )
    with amo, calls:
        yield amo.url, calls.url


def _write_company(folder: Path, story: Story, language: str, amo_url: str, mango_url: str) -> None:
    """Configuration, secrets, inputs and bank statements, as a real company would have them."""
    from demo.inputs import write_inputs
    from demo.statements import write_statements

    text = CONFIG.format(
        timezone=story.timezone,
        language=language,
        tax_id=story.tax_id,
        amo_url=amo_url,
        mango_url=mango_url,
        start=_first_day(story).isoformat(),
    )
    (folder / "voronka.toml").write_text(text, "utf-8")
    secrets = {"AMO_TOKEN": AMO_TOKEN, "MANGO_API_KEY": MANGO_KEY, "MANGO_API_SALT": MANGO_SALT}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()), "utf-8")
    write_inputs(story, folder / "inputs", crm="amo", telephony="mango")
    write_statements(story, folder / "exports")


def _first_day(story: Story) -> date:
    """Where a first load begins: the first of the month in which anything happened."""
    moments = [*(deal.created_at for deal in story.deals), *(call.started_at for call in story.calls)]
    return min(moments).date().replace(day=1)


def _months(story: Story) -> list[str]:
    """The whole months of the story, by its deals."""
    days = [deal.created_at for deal in story.deals if deal.created_at < story.told_at]
    return sorted({f"{day:%Y-%m}" for day in days if f"{day:%Y-%m}" < f"{story.told_at:%Y-%m}"})


def _run(app: App, config: Path, clock: StoryClock, arguments: Sequence[str]) -> int:
    """One of the real commands, shown as it would be typed."""
    from voronka.cli import root

    typed = ["--config", str(config), *arguments]
    app.note(f"\n$ voronka {shlex.join(typed)}")
    sys.stderr.flush()
    inner = App(config, chosen_language=app.language, given_clock=clock)
    try:
        root.main(["--lang", app.language, *typed], obj=inner)
    except SystemExit as done:
        sys.stdout.flush()
        return done.code if isinstance(done.code, int) else 1


def _tell_next(app: App, config: Path, month: str) -> None:
    queries = (
        f"SELECT entity_name, value FROM facts.kpi WHERE period = '{month}' AND metric = 'revenue_cash' "
        "AND entity_type = 'manager' ORDER BY value DESC",
        "SELECT status, count(*) AS deals, sum(remaining) AS remaining FROM facts.deal_payments GROUP BY status",
        "SELECT paid_on, payer_name, amount, purpose FROM core.payments WHERE deal_id IS NULL AND kind = 'customer' "
        "ORDER BY paid_on DESC LIMIT 10",
    )
    page = app.page()
    app.note("")
    page.heading(say("Попробуйте сами", "Try it yourself"))
    prefix = f"{_program()} --config {shlex.quote(str(config))}"
    for query in queries:
        page.verbatim(f'{prefix} sql "{query}"')
    page.verbatim(f"{prefix} kpi {month} --metric calls_successful")
    page.verbatim(f"{prefix} status")
    page.say(say("Свои данные: voronka init", "Your own data: voronka init"))


def _program() -> str:
    """What a person types here: right after `make demo` the command is in `.venv/bin`, not yet on the path."""
    started_as = Path(sys.argv[0])
    if shutil.which("voronka") or started_as.name != "voronka":
        return "voronka"
    return shlex.quote(os.path.relpath(started_as))
