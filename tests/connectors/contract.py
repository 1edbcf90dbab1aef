"""What the contract suite knows of each connector: how its vendor is played. One `Vendor` a connector, no more.

Every vendor tells the same `Story` in its own shapes, so that the suite can say "serve five records" to all of them
and count what arrives. A new connector gets a class here and an entry in `VENDORS`; the suite fails without one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from base.clock import FakeClock
from base.secrets import Secret
from connectors.amocrm.settings import AmocrmSettings
from connectors.bitrix24.settings import Bitrix24Settings
from connectors.mango.settings import MangoSettings
from connectors.onec.settings import OnecSettings
from connectors.onec.sheets.settings import Columns, SheetMapping
from connectors.stream import Settings
from connectors.zadarma.settings import ZadarmaSettings
from demo import amocrm, bitrix24, mango, onec, zadarma
from demo.http import Fault, Handler, HttpRequest, SimulatedServer
from demo.onec.commerceml import write_exchange
from demo.onec.world import RECEIPTS
from demo.statements import write_statements
from demo.story import Call, Deal, Leg, Manager, Payment, Stage, Story

UNKNOWN_FIELD, UNKNOWN_VALUE = "НовоеПоле", "значение, которого вчера не было"
USER_ID, TELEPHONY_USER_ID, EXTENSION = 8800101, 301, "11"


@dataclass(frozen=True)
class Spoilt:
    """How the reject of a spoilt record must look: its reason, and a part of its path."""

    reason: str
    place: str


class Vendor(ABC):
    """A source as the suite plays it. `relation` is where the records of `stream` arrive, one row each."""

    # The connector it speaks for, where one has several ways to be reached; '' = the vendor's own name.
    source_type: ClassVar[str] = ""
    stream: ClassVar[str]
    relation: ClassVar[str]
    path: ClassVar[str] = ""  # where the records of `stream` are asked for over HTTP
    page_records: ClassVar[int]
    # False: nobody is asked over HTTP, so there is no status, no credential and no connection to go wrong.
    speaks_http: ClassVar[bool] = True
    # The last one is the wrong one, which the vendor does not know.
    secrets: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder = folder
        self.clock = clock

    @abstractmethod
    def settings(self, *, refused: bool = False) -> Settings:
        """How to reach this vendor; `refused`: with credentials it does not know."""

    @abstractmethod
    def serve(self, story: Story) -> None:
        """Begin to serve a story."""

    @abstractmethod
    def mend(self, story: Story) -> None:
        """The story as it was served at first, whatever was done to it since."""

    @abstractmethod
    def add_unknown_field(self) -> None:
        """The first record gets `UNKNOWN_FIELD`."""

    @abstractmethod
    def spoil(self) -> Spoilt:
        """The first record becomes unreadable."""

    def close(self) -> None:
        return None


@dataclass
class FaultsOnEachPath:
    """The first requests of every path fail, so no stream gets around it; when each path was asked is kept."""

    clock: FakeClock
    kinds: tuple[Fault, ...] = ()
    asked: dict[str, list[datetime]] = field(default_factory=dict)

    def __call__(self, request: HttpRequest) -> Fault | None:
        moments = self.asked.setdefault(request.path, [])
        moments.append(self.clock.now())
        return self.kinds[len(moments) - 1] if len(moments) <= len(self.kinds) else None

    def pauses(self, path: str) -> list[float]:
        """Seconds between the requests of a path."""
        return [(later - earlier).total_seconds() for earlier, later in pairwise(self.asked.get(path, []))]


class HttpVendor(Vendor):
    """A simulated server on a loopback socket."""

    # Asked by several streams at once: what follows a question may be another stream's.
    shared_paths: frozenset[str] = frozenset()

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        super().__init__(folder, clock)
        self.faults = FaultsOnEachPath(clock)
        self._stack = ExitStack()
        self.server: Any = None

    @abstractmethod
    def build(self, story: Story) -> Any:
        """A server of this story; it must have a `world`, which may be replaced while it runs."""

    def serve(self, story: Story) -> None:
        self.server = self._stack.enter_context(self.build(story))

    def mend(self, story: Story) -> None:
        self.server.world = self.build(story).world

    def serve_instead(self, handler: Handler) -> None:
        """Something else answers at the vendor's address."""
        self.server = self._stack.enter_context(SimulatedServer(handler, clock=self.clock))

    def close(self) -> None:
        self._stack.close()


# ── the connectors ──────────────────────────────────────────────────────────────────────────────────────────────


class Amocrm(HttpVendor):
    stream, relation, path, page_records = "leads", "core.deals", "/api/v4/leads", 250
    secrets = ("a-long-lived-token-of-the-contract", "a-token-nobody-knows")
    shared_paths = frozenset({"/api/v4/catalogs"})

    def settings(self, *, refused: bool = False) -> Settings:
        return AmocrmSettings(type="amocrm", base_url=self.server.url, token=Secret(self.secrets[-1 if refused else 0]))

    def build(self, story: Story) -> Any:
        world = amocrm.world_from_story(story)
        # The story's telephony writes its notes to contacts; accounts have them in deals and companies as well.
        for path, entity_id in (("leads/notes", 1), ("companies/notes", 500)):
            for note in list(world.tables["contacts/notes"])[-3:]:
                world.add(path, {**note, "id": note["id"] * 1000 + entity_id, "entity_id": entity_id})
        return amocrm.AmocrmServer(world, token=self.secrets[0], clock=self.clock, faults=self.faults)

    def add_unknown_field(self) -> None:
        self.server.world.edit("leads", 1, None, **{UNKNOWN_FIELD: UNKNOWN_VALUE})

    def spoil(self) -> Spoilt:
        self.server.world.edit("leads", 1, None, price={"amount": 100})
        return Spoilt("wrong_type", "$.price")


class Bitrix24(HttpVendor):
    stream, relation, page_records = "deals", "core.deals", 50
    path = "/rest/1/webhook-code-of-the-contract/batch.json"
    secrets = ("webhook-code-of-the-contract", "a-webhook-nobody-knows")

    def settings(self, *, refused: bool = False) -> Settings:
        webhook = Secret(f"{self.server.url}/rest/1/{self.secrets[refused]}/")
        return Bitrix24Settings(type="bitrix24", webhook_url=webhook, user_fields="all")

    def build(self, story: Story) -> Any:
        world = bitrix24.world_from_story(story)
        return bitrix24.Bitrix24Server(world, secret=self.secrets[0], clock=self.clock, faults=self.faults)

    def add_unknown_field(self) -> None:
        # Deals are read by named fields; what a portal adds of its own is a user field.
        self.server.world.edit("deals", 1, None, **{f"UF_CRM_{UNKNOWN_FIELD}": UNKNOWN_VALUE})

    def spoil(self) -> Spoilt:
        self.server.world.edit("deals", 1, None, OPPORTUNITY={"amount": 100})
        return Spoilt("wrong_type", "$.OPPORTUNITY")


class Mango(HttpVendor):
    stream, relation, path, page_records = "calls", "core.calls", "/vpbx/stats/calls/result", 5000
    secrets = ("contract-vpbx-api-key", "contract-vpbx-api-salt", "a-salt-nobody-knows")

    def settings(self, *, refused: bool = False) -> Settings:
        key, good, bad = self.secrets
        salt = Secret(bad if refused else good)
        return MangoSettings(type="mango", base_url=self.server.url, api_key=Secret(key), api_salt=salt)

    def build(self, story: Story) -> Any:
        world = mango.world_from_story(story)
        key, salt, _ = self.secrets
        return mango.MangoServer(world, api_key=key, api_salt=salt, clock=self.clock, faults=self.faults)

    def add_unknown_field(self) -> None:
        self.server.world.calls[0].card[UNKNOWN_FIELD] = UNKNOWN_VALUE

    def spoil(self) -> Spoilt:
        self.server.world.calls[0].card["context_calls"] = "двое"
        return Spoilt("wrong_type", "$.context_calls")


class Zadarma(HttpVendor):
    stream, relation, path, page_records = "calls", "core.calls", "/v1/statistics/pbx/", 1000
    secrets = ("contract-zadarma-key", "contract-zadarma-secret", "a-secret-nobody-knows")

    def settings(self, *, refused: bool = False) -> Settings:
        key, good, bad = self.secrets
        secret = Secret(bad if refused else good)
        return ZadarmaSettings(type="zadarma", base_url=self.server.url, key=Secret(key), secret=secret)

    def build(self, story: Story) -> Any:
        world = zadarma.world_from_story(story)
        key, secret, _ = self.secrets
        return zadarma.ZadarmaServer(world, key=key, secret=secret, clock=self.clock, faults=self.faults)

    def add_unknown_field(self) -> None:
        self.server.world.legs[0].row[UNKNOWN_FIELD] = UNKNOWN_VALUE

    def spoil(self) -> Spoilt:
        self.server.world.legs[0].row["seconds"] = "сорок"
        return Spoilt("not_a_number", "seconds")


class Onec(Vendor):
    stream, relation, page_records = "statements", "core.payments", 5000
    speaks_http = False

    def settings(self, *, refused: bool = False) -> Settings:
        columns = Columns(date="Дата", number="Номер", deal="Сделка", amount="Себестоимость")
        costs = SheetMapping(kind="costs", file="costs.csv", columns=columns, deal_source="our-amocrm")
        return OnecSettings(type="onec", path=str(self._exports), sheets=[costs])

    @property
    def _exports(self) -> Path:
        return self.folder / "exports"

    def serve(self, story: Story) -> None:
        write_statements(story, self._exports)
        # Without its payments: they are the statements' own, and the suite counts them.
        write_exchange(story, self._exports, has_payments=False, encoding="windows-1251")
        lines = [
            f"{deal.created_at:%d.%m.%Y};РТ-{deal.deal_id};{deal.deal_id};{deal.amount / 2:.2f}" for deal in story.deals
        ]
        if lines:
            text = "\r\n".join(["Дата;Номер;Сделка;Себестоимость", *lines, ""])
            (self._exports / "costs.csv").write_bytes(text.encode("cp1251"))

    def mend(self, story: Story) -> None:
        self.serve(story)

    def add_unknown_field(self) -> None:
        self._add_to_first_document(f"{UNKNOWN_FIELD}={UNKNOWN_VALUE}")

    def spoil(self) -> Spoilt:
        # The last of two values of a key stands.
        self._add_to_first_document("ДатаПоступило=позавчера")
        return Spoilt("bad_date", "ДатаПоступило")

    def _add_to_first_document(self, line: str) -> None:
        for path in self._exports.iterdir():
            head, number, rest = path.read_bytes().decode("cp1251").partition("\r\nНомер=1\r\n")
            document, end, others = rest.partition("\r\nКонецДокумента\r\n")
            if number:
                path.write_bytes(f"{head}{number}{document}\r\n{line}{end}{others}".encode("cp1251"))


class OnecOdata(HttpVendor):
    source_type = "onec"
    stream, relation, page_records = "payments", "core.payments", 500
    path = f"/base/odata/standard.odata/{quote(RECEIPTS)}"
    secrets = ("a-password-of-the-contract", "a-password-nobody-knows")

    def settings(self, *, refused: bool = False) -> Settings:
        password = Secret(self.secrets[-1 if refused else 0])
        return OnecSettings(type="onec", odata_url=self.server.url, user="voronka", password=password)

    def build(self, story: Story) -> Any:
        world = onec.world_from_story(story)
        return onec.OnecServer(world, password=self.secrets[0], clock=self.clock, faults=self.faults)

    def add_unknown_field(self) -> None:
        # Documents are read by named fields; rows of their table parts come whole.
        self._first["РасшифровкаПлатежа"][0][UNKNOWN_FIELD] = UNKNOWN_VALUE

    def spoil(self) -> Spoilt:
        self._first["СуммаДокумента"] = {"amount": 100}
        return Spoilt("wrong_type", "$.СуммаДокумента")

    @property
    def _first(self) -> Any:
        return self.server.world.tables[RECEIPTS][0]


VENDORS: dict[str, Callable[[Path, FakeClock], Vendor]] = {
    "amocrm": Amocrm,
    "bitrix24": Bitrix24,
    "mango": Mango,
    "onec": Onec,
    "onec_odata": OnecOdata,
    "zadarma": Zadarma,
}


# ── the story ───────────────────────────────────────────────────────────────────────────────────────────────────


def tell(count: int, told_at: datetime) -> Story:
    """`count` deals of the last ten minutes, `count` calls of the last day, `count` payments of yesterday."""
    manager = Manager(
        person_id="petrova",
        name="Анна Петрова",
        team="Москва",
        email="petrova@contract.example",
        extension=EXTENSION,
        user_id=USER_ID,
        telephony_user_id=TELEPHONY_USER_ID,
    )
    return Story(
        name="ООО «Договор»",
        timezone="Europe/Moscow",
        tax_id="7701234567",
        own_account="40702810600000000101",
        pipeline_id=7,
        pipeline_name="Продажи",
        stages=[
            Stage(stage_id=10, name="Новая", position=10, kind="base"),
            Stage(stage_id=142, name="Успешно", position=100, kind="won"),
            Stage(stage_id=143, name="Закрыто", position=110, kind="lost"),
        ],
        managers=[manager],
        deals=[_deal(number, told_at - timedelta(seconds=500 * number / count)) for number in _numbers(count)],
        calls=[_call(number, told_at - timedelta(hours=1 + 8 * number / count)) for number in _numbers(count)],
        notes=[],
        tasks=[],
        payments=[_payment(number, told_at) for number in _numbers(count)],
        opened_at=told_at - timedelta(days=20),
        told_at=told_at,
    )


def _numbers(count: int) -> range:
    return range(1, count + 1)


def _deal(number: int, created_at: datetime) -> Deal:
    return Deal(
        deal_id=number,
        title=f"Сделка {number}",
        amount=Decimal(1000 + number),
        owner=USER_ID,
        created_at=created_at,
        first_stage_id=10,
        phone=_phone(number),
        customer=f"ООО «Клиент {number}»",
        contact_id=100_000 + number,
    )


def _call(number: int, started_at: datetime) -> Call:
    started_at = started_at.replace(microsecond=0)
    answered_at, ended_at = started_at + timedelta(seconds=5), started_at + timedelta(seconds=45)
    leg = Leg(extension=EXTENSION, ringing_at=started_at, answered_at=answered_at, ended_at=ended_at)
    return Call(
        call_id=f"call-{number}",
        direction="in",
        started_at=started_at,
        ended_at=ended_at,
        number=_phone(number).removeprefix("+"),
        legs=[leg],
    )


def _payment(number: int, told_at: datetime) -> Payment:
    return Payment(
        number=str(number),
        paid_on=told_at.date() - timedelta(days=1),
        amount=Decimal(1000 + number),
        payer=f"ООО «Клиент {number}»",
        payer_tax_id="7707083893",
        payer_account="40702810400000000201",
        purpose=f"Оплата по счету № {number}. НДС не облагается",
    )


def _phone(number: int) -> str:
    return f"+7916{number:07}"
