"""Forgetting one person among others: what is recognised, what is left alone, and what a kill in the middle leaves."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest

from base.errors import UsageError, WarehouseError
from base.phones import normalise_phone
from base.text import say
from connectors.stream import Reject
from flows.steps.forget import ForgetReport, forget
from tests import postgres
from tests.engine import IS_LAKE
from tests.toy import Toy, deal, page
from tests.warehouse.test_land_and_conform import query
from warehouse.forgotten import FILE, Forgotten, Redactor, load_forgotten, open_forgotten

PHONE = "+79160000001"


@pytest.fixture
def listed(tmp_path: Path) -> Forgotten:
    made = open_forgotten(tmp_path)
    made.add([PHONE], ["Zoya@x.example"], ["Зоя Ромашкина"], [("amo", "contacts", "5")], money=False)
    return made


@pytest.fixture
def redactor(listed: Forgotten) -> Redactor:
    return listed.everywhere


# ── recognising ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "+79160000001",
        "79160000001",
        "8 (916) 000-00-01",
        "+7 916 000 00 01",
        "916-000-00-01",
        "8\u00a0916\u00a0000\u00a000\u00a001, добавочный 5",
        "rec-20261102-79160000001-1.mp3",
        "12 тел.8(916)000 00 01",
    ],
)
def test_a_number_is_recognised_however_it_is_written(redactor: Redactor, text: str) -> None:
    cleaned = redactor.text(text)
    token = redactor.phone_token(PHONE).removeprefix("+")
    assert token in cleaned
    assert "000" not in cleaned.replace(token, "")


@pytest.mark.parametrize(
    "text",
    ["+79160000002", "9160000001234567", "Зоя", "Ромашкина", "Зоя Ромашкова", "Счёт 916 от 01.01.2026", "x@y.ru"],
)
def test_another_s_number_or_name_is_left_alone(redactor: Redactor, text: str) -> None:
    assert redactor.text(text) == text


@pytest.mark.parametrize(
    "text", ["Зоя Ромашкина", "РОМАШКИНА ЗОЯ", "Сделка: зоя  ромашкина!", "пишите: ZOYA@X.example"]
)
def test_a_name_in_any_order_and_an_address_in_any_case_go(redactor: Redactor, text: str) -> None:
    cleaned = redactor.text(text).lower()
    assert "ромашкин" not in cleaned
    assert "zoya" not in cleaned


def test_a_number_in_json_stays_json_and_reads_as_one_number_everywhere(redactor: Redactor) -> None:
    """As PHP escapes it, as a number, and in JSON within JSON: conforming must give one number, and the same."""
    record = {
        "a": "+7\u00a0(916) 000-00-01",
        "b": 79160000001,
        "c": json.dumps({"t": "Зоя Ромашкина"}),
        "d": 1.10,
        "e": [1],
    }
    for escaped in (True, False):
        cleaned = redactor.payload(json.dumps(record, ensure_ascii=escaped).encode())
        read = json.loads(cleaned)
        phones = {normalise_phone(read["a"]).e164, normalise_phone(read["b"]).e164}
        assert phones == {redactor.phone_token(PHONE)}
        assert json.loads(read["c"]) == {"t": "***"}
        assert (read["d"], read["e"]) == (1.1, [1])


def test_a_payload_of_others_is_not_a_byte_different(redactor: Redactor) -> None:
    payload = b'{"price" : 100.50 , "title":"\\u0417\\u043e\\u044f", "phone": "8 916 000-00-02"}'
    assert redactor.payload(payload) is payload


def test_the_list_holds_nothing_of_anybody_and_is_useless_with_another_key(listed: Forgotten, tmp_path: Path) -> None:
    path = tmp_path / FILE
    content = path.read_text("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [word for word in ("9160000001", "zoya", "Ромашк", "contacts") if word in content]
    assert load_forgotten(tmp_path) is not None

    (tmp_path / "company.key").write_text("22" * 32)
    with pytest.raises(WarehouseError, match="another company"):
        load_forgotten(tmp_path)


# ── removing ────────────────────────────────────────────────────────────────────────────────────────────────────


def contact(contact_id: int, updated: int, *phones: str, **values: Any) -> dict[str, Any]:
    return {"id": contact_id, "updated": updated, "created": 40, "phones": phones, **values}


def filled(toy: Toy) -> Toy:
    """Two versions of the person's card, a deal titled with their number, a record nobody could read, and another
    person who shares one of the numbers."""
    bad = Reject(
        record_id="r1", code="bad", message=say("{t}", "{t}", t=f"тел {PHONE}"), got=PHONE, payload=PHONE.encode()
    )
    toy.run(
        {
            "contacts": [
                page(contact(1, 100, PHONE), contact(2, 100, "+79160000002", "+79160000009"), rejects=[bad]),
                page(contact(1, 200, PHONE, "+79160000009")),
            ],
            "deals": [page(deal(1, 100, title="Звонила 8 (916) 000-00-01"), deal(2, 110, title="Другой"))],
        }
    )
    return toy


def ask(toy: Toy, subject: str, **options: Any) -> ForgetReport:
    connector = toy.connector()
    return forget(toy.project(), subject, clock=toy.clock, find_connector=lambda name: connector, **options)


def test_every_version_and_reject_goes_and_what_others_have_too_stays(toy: Toy) -> None:
    report = ask(filled(toy), "8 916 000-00-01")

    assert report.is_ok
    assert report.person.phones == {PHONE}
    assert query(
        toy,
        "SELECT count(payload), count(payload_hash) FROM raw.records WHERE record_id = '1' AND stream = 'contacts'",
        raw=True,
    ) == [(0, 0)]
    assert query(toy, "SELECT payload, got FROM raw.rejects", raw=True)[0][0] is None
    ours, other = query(toy, "SELECT name, phones FROM core.contacts ORDER BY contact_id")
    assert ours[0] is None
    assert other[0] == "name"
    token = query(toy, "SELECT phone FROM core.contact_phones WHERE contact_id = '1' ORDER BY phone DESC")
    assert token[0][0].startswith("+999")
    assert [
        row[0] for row in query(toy, "SELECT phone FROM core.contact_phones WHERE contact_id = '2' ORDER BY 1")
    ] == [
        "+79160000002",
        "+79160000009",
    ]
    titles = query(toy, "SELECT title FROM core.deals ORDER BY deal_id")
    assert titles == [(f"Звонила {token[0][0][1:]}",), ("Другой",)]


def test_later_loads_bring_nothing_back_and_write_nothing_new(toy: Toy) -> None:
    ask(filled(toy), PHONE)
    toy.clock.advance(60)
    report = filled(toy).run(
        {"contacts": [page(contact(1, 300, PHONE, note="снова"))], "deals": [page(deal(3, 300, title=PHONE))]}
    )

    assert {stream.stream: stream.rows for stream in report.streams} == {
        "users": 0,
        "deals": 1,
        "events": 0,
        "contacts": 0,
    }
    everything = str(query(toy, "SELECT payload FROM raw.records WHERE payload IS NOT NULL", raw=True))
    assert "9160000001" not in everything
    assert query(toy, "SELECT title FROM core.deals WHERE deal_id = '3'")[0][0].startswith("+999")


def test_the_same_command_once_more_does_what_a_kill_left_undone(toy: Toy) -> None:
    """Killed after the list was written: the list alone hides nobody who is in the files."""
    project = filled(toy).project()
    open_forgotten(project.state_dir).add([PHONE], [], [], [("toy", "contacts", "1")], money=False)

    assert ask(toy, PHONE).removed["core.contact_phones"] == 1


def test_a_rehearsal_changes_nothing(toy: Toy) -> None:
    filled(toy)
    everything = "FROM raw.records ORDER BY seq"
    before = query(toy, everything, raw=True)
    report = ask(toy, "toy:1", is_rehearsal=True)

    assert report.person.cards == {("core.contacts", "toy", "1")}
    assert report.removed == {}
    assert query(toy, everything, raw=True) == before
    assert not (toy.project().state_dir / FILE).exists()


def test_files_that_are_not_ours_and_copies_are_named(toy: Toy) -> None:
    filled(toy)
    exports = toy.project().company.inputs_dir
    copy = toy.folder / "var" / "raw.1.20261101T000000Z.backup.duckdb"
    copy.write_bytes(b"9160000001")
    report = ask(toy, PHONE)

    assert exports == Path("inputs")
    assert report.backups == [copy]
    assert report.is_ok


@pytest.mark.skipif(not IS_LAKE, reason="files are searched as bytes by the command itself")
def test_of_a_lake_nothing_is_left_in_data_files_earlier_pictures_and_the_catalog(toy: Toy) -> None:
    """What is asked of the law: not that queries show it no more, but that it is gone. Looked for by other means than
    the command's own: PostgreSQL's dump, and every Parquet file that is there."""
    lake = filled(toy).project().lake
    assert lake is not None
    words = ("9160000001", "000-00-01")
    assert any(word in held(toy) for word in words)
    assert ask(toy, PHONE).is_ok
    left = held(toy)
    assert not [word for word in words if word in left]
    assert "9160000002" in left
    toy.clock.advance(60)
    # The extremes that were narrowed hide nothing, and nobody brings the old ones back.
    toy.run({"deals": [page(deal(3, 300, title=PHONE))]})
    assert query(toy, "SELECT count(*) FROM core.deals WHERE title >= '+'") == [(3,)]
    assert not [word for word in words if word in held(toy)]


def held(toy: Toy) -> str:
    """All of the catalog as PostgreSQL dumps it, and all rows of all data files."""
    lake = toy.project().lake
    assert lake is not None
    text = postgres.server().dump(lake.address.split()[0].removeprefix("dbname="))
    with duckdb.connect() as connection:
        for path in Path(lake.data_path).rglob("*.parquet"):
            text += str(connection.execute(f"FROM read_parquet('{path}')").fetchall())
            text += str(connection.execute(f"SELECT * FROM parquet_metadata('{path}')").fetchall())
    return text


def test_a_stranger_is_told_apart_from_success(toy: Toy) -> None:
    with pytest.raises(UsageError, match="no phone and no contact"):
        ask(filled(toy), "toy:77")
