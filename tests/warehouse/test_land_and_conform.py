"""The engine's promises over a source that is told what to yield."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from base.errors import CredentialsError, MassDisappearanceError, ServerFaultError, TooManyRejectsError
from base.text import say
from connectors.stream import Reject
from tests.engine import look
from tests.toy import EPOCH, SECOND, Toy, deal, page


def query(toy: Toy, sql: str, *, raw: bool = False) -> list[tuple[Any, ...]]:
    path: Path = toy.project().raw_path if raw else toy.project().warehouse_path
    with look(path) as connection:
        return connection.execute(sql).fetchall()


def deals(toy: Toy, columns: str = "deal_id, title, is_deleted") -> list[tuple[Any, ...]]:
    return query(toy, f"SELECT {columns} FROM core.deals ORDER BY deal_id")


def test_records_reach_the_core_and_an_unchanged_rerun_writes_nothing(toy: Toy) -> None:
    script = {"deals": [page(deal(1, 100), deal(2, 110), position={"at": 110})]}
    first = toy.run(script)
    second = toy.run(script)

    assert deals(toy) == [("1", "Deal 1", False), ("2", "Deal 2", False)]
    assert (sum(s.rows for s in first.streams), sum(s.core_rows for s in first.streams)) == (2, 2)
    assert (sum(s.rows for s in second.streams), sum(s.core_rows for s in second.streams)) == (0, 0)
    assert query(toy, "SELECT count(*) FROM raw.records", raw=True) == [(2,)]


def test_the_next_run_starts_from_the_position_committed_with_the_last_page(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100), position={"at": 100}), page(deal(2, 110))]})
    toy.run({})

    assert toy.client is not None
    asked = {stream: request.position for stream, request in toy.client.requests}
    assert asked["deals"] == {"at": 100}


def test_a_backfill_of_an_older_version_never_overwrites_a_newer_one(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 200, title="new", contacts=["c2"]))]})
    toy.run({"deals": [page(deal(1, 100, title="old", contacts=["c1"]))]})

    assert deals(toy) == [("1", "new", False)]
    assert query(toy, "SELECT contact_id FROM core.deal_contacts") == [("c2",)]


def test_a_key_twice_in_one_batch_is_one_row_with_its_newest_version(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100, title="a"), deal(1, 300, title="c"), deal(1, 200, title="b"))]})

    assert deals(toy, "deal_id, title") == [("1", "c")]
    assert query(toy, "SELECT count(*) FROM raw.records", raw=True) == [(3,)]


def test_a_state_that_returns_to_an_earlier_payload_is_seen(toy: Toy) -> None:
    for title in ("a", "b", "a"):
        toy.clock.advance(60)
        toy.run({"users": [page({"id": 1, "title": title})]})

    assert query(toy, "SELECT name FROM core.users") == [("a",)]
    assert query(toy, "SELECT count(*) FROM raw.records", raw=True) == [(3,)]


def test_a_newer_version_without_a_visible_change_still_shuts_out_the_versions_between(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100, title="same"))]})
    toy.run({"deals": [page(deal(1, 300, title="same"))]})
    toy.run({"deals": [page(deal(1, 200, title="between"))]})

    assert deals(toy, "title") == [("same",)]


def test_a_child_list_is_replaced_as_a_whole_even_by_an_empty_one(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100, contacts=["a", "b"]), deal(2, 100, contacts=["z"]))]})
    toy.run({"deals": [page(deal(1, 200, contacts=["b", "c"]), deal(2, 200))]})

    assert query(toy, "SELECT deal_id, contact_id FROM core.deal_contacts ORDER BY ALL") == [("1", "b"), ("1", "c")]


def test_a_list_met_twice_in_a_first_load_is_the_newer_version_s(toy: Toy) -> None:
    """Nothing of the owner is there yet, so nothing is compared: both lists together would stay."""
    toy.run({"deals": [page(deal(1, 200, contacts=["b"])), page(deal(1, 100, contacts=["a", "b"]))]})

    assert query(toy, "SELECT deal_id, contact_id FROM core.deal_contacts ORDER BY ALL") == [("1", "b")]


def test_a_tombstone_is_not_lifted_by_an_older_version_read_later(toy: Toy) -> None:
    gone = {"id": "e1", "updated": 200, "deal": 1, "deleted": True}
    toy.run({"deals": [page(deal(1, 100))], "events": [page(gone)]})
    assert deals(toy) == [("1", "Deal 1", True)]

    toy.run({"deals": [page(deal(1, 150, title="late"))]})
    assert deals(toy) == [("1", "late", True)]

    toy.run({"deals": [page(deal(1, 250, title="back"))]})
    assert deals(toy) == [("1", "back", False)]


def test_a_deal_known_only_by_its_deletion_becomes_a_stub_that_any_version_may_fill(toy: Toy) -> None:
    toy.run({"events": [page({"id": "e1", "updated": 200, "deal": 7, "deleted": True})]})
    assert deals(toy) == [("7", None, True)]

    toy.run({"deals": [page(deal(7, 100))]})
    assert deals(toy) == [("7", "Deal 7", True)]


def test_a_full_reading_finds_what_vanished(toy: Toy) -> None:
    toy.run({"deals": [page(*(deal(n, 100) for n in range(1, 6)))]})
    toy.run({"deals": [page(*(deal(n, 100) for n in range(1, 5)))]}, full=True)

    assert deals(toy, "deal_id, is_deleted")[-1] == ("5", True)


def test_mass_disappearance_stops_and_asks_and_can_be_accepted(toy: Toy) -> None:
    toy.run({"deals": [page(*(deal(n, 100) for n in range(100)))]})
    few = {"deals": [page(*(deal(n, 100) for n in range(70)))]}
    report = toy.run(few, full=True)

    assert [type(error) for error in report.errors] == [MassDisappearanceError]
    assert query(toy, "SELECT count(*) FROM core.deals WHERE is_deleted") == [(0,)]

    assert toy.run(few, full=True, accept_deletions=True).is_ok
    assert query(toy, "SELECT count(*) FROM core.deals WHERE is_deleted") == [(30,)]


def test_a_user_missing_from_the_dictionary_is_kept_as_inactive(toy: Toy) -> None:
    toy.run({"users": [page({"id": 1, "title": "Анна"}, {"id": 2, "title": "Иван"})]})
    toy.run({"users": [page({"id": 1, "title": "Анна"})]})

    assert query(toy, "SELECT name, is_active FROM core.users ORDER BY 1") == [("Анна", True), ("Иван", False)]


def test_a_bad_record_is_rejected_with_its_reason_and_the_rest_goes_on(toy: Toy) -> None:
    report = toy.run({"deals": [page(deal(1, 100), deal(2, 100, title="bad"), deal(3, 100, title=5))]})

    assert [row[0] for row in deals(toy, "deal_id")] == ["1"]
    assert query(toy, "SELECT record_id, reason, path, expected, got FROM meta.rejects ORDER BY 1") == [
        ("2", "bad_title", "$.title", "good", "bad"),
        ("3", "wrong_type", "$.title", "str", "int"),
    ]
    assert query(toy, "SELECT rejected FROM meta.sync_runs WHERE stream = 'deals'") == [(2,)]
    assert not report.is_ok


def test_a_rejected_record_that_comes_mended_is_no_reject_any_more(toy: Toy) -> None:
    unreadable = Reject(record_id="9", code="no_id", message=say("Нет номера", "No id"), payload=b"{}")
    toy.run({"deals": [page(deal(2, 100, title="bad"), rejects=[unreadable])]})
    assert query(toy, "SELECT record_id, phase FROM meta.rejects ORDER BY 1") == [("2", "conform"), ("9", "land")]

    toy.run({"deals": [page(deal(2, 200), deal(9, 200))]})
    assert query(toy, "SELECT record_id FROM meta.rejects") == []


def test_too_many_rejects_fail_the_run_and_keep_what_was_loaded(toy: Toy) -> None:
    report = toy.run({"deals": [page(deal(99, 100), *(deal(n, 100, title="bad") for n in range(30)))]})

    assert [type(error) for error in report.errors] == [TooManyRejectsError]
    assert deals(toy, "deal_id") == [("99",)]
    assert query(toy, "SELECT status FROM meta.sync_runs WHERE stream = 'deals'") == [("failed",)]


def test_a_failure_in_mid_stream_keeps_what_was_read_and_leaves_completeness_alone(toy: Toy) -> None:
    fault = ServerFaultError(say("Сбой", "Fault"))
    report = toy.run({"deals": [page(deal(1, 100), position={"at": 100}), fault], "contacts": []})

    assert deals(toy, "deal_id") == [("1",)]
    assert [error.what.en for error in report.errors] == ["Fault"]
    assert dict(query(toy, "SELECT stream, complete_until FROM meta.coverage")) == {
        "users": EPOCH,
        "deals": None,
        "events": EPOCH,
        "contacts": EPOCH,
    }


def test_refused_credentials_cost_one_request_and_fail_every_stream(toy: Toy) -> None:
    report = toy.run({"users": [CredentialsError(say("Ключ", "Key"))], "deals": [page(deal(1, 100))]})

    assert len(report.errors) == 4
    assert toy.client is not None
    assert [stream for stream, _ in toy.client.requests] == ["users"]


def test_a_change_of_what_records_mean_reads_the_log_again(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100))]})
    with look(toy.project().warehouse_path, writes=True) as connection:
        connection.execute("UPDATE core.deals SET title = 'as mapped before'")
    toy.meaning = "another"
    toy.run({})

    assert deals(toy, "title") == [("Deal 1",)]


def test_what_was_mapped_without_its_dictionary_is_mapped_again_once_it_is_there(toy: Toy) -> None:
    toy.run({"users": [ServerFaultError(say("Сбой", "Fault"))], "deals": [page(deal(1, 100))]})
    with look(toy.project().warehouse_path, writes=True) as connection:
        connection.execute("UPDATE core.deals SET title = 'as mapped without users'")
    toy.run({"users": [page({"id": 1, "title": "Анна"})]})

    assert deals(toy, "title") == [("Deal 1",)]


def test_phones_of_the_first_version_count_from_creation_and_later_ones_from_their_version(toy: Toy) -> None:
    first = {"id": 1, "updated": 500, "created": 100, "phones": ["+79160000001"]}
    later = {"id": 1, "updated": 900, "created": 100, "phones": ["+79160000001", "+79160000002"]}
    toy.run({"contacts": [page(first)]})
    toy.run({"contacts": [page(later)]})

    spans = query(
        toy, "SELECT phone, epoch_us(first_seen_at), epoch_us(last_seen_at) FROM core.contact_phones ORDER BY 1"
    )
    assert spans == [
        ("+79160000001", 100 * SECOND, 900 * SECOND),
        ("+79160000002", 900 * SECOND, 900 * SECOND),
    ]


def test_completeness_is_the_vendors_clock_at_the_start_of_the_run(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100))]})

    assert query(toy, "SELECT complete_until, facet FROM meta.coverage WHERE stream = 'deals'") == [(EPOCH, "crm")]


def test_a_page_may_prove_less_than_the_run_asked_for(toy: Toy) -> None:
    proven = EPOCH - timedelta(days=2)
    toy.run({"deals": [page(deal(1, 100), complete_until=proven)]})

    assert query(toy, "SELECT complete_until FROM meta.coverage WHERE stream = 'deals'") == [(proven,)]


def test_a_window_by_hand_leaves_position_and_completeness_alone(toy: Toy) -> None:
    toy.run({"deals": [page(deal(1, 100), position={"at": 100})]})
    toy.clock.advance(86_400)
    toy.run({"deals": [page(deal(2, 50))]}, start=datetime(2026, 10, 1, tzinfo=UTC).date())

    assert toy.client is not None
    request = dict(toy.client.requests)["deals"]
    assert request.window
    assert request.start == datetime(2026, 9, 30, 21, tzinfo=UTC)  # midnight in Moscow
    assert query(toy, "SELECT position FROM meta.positions") == [('{"at": 100}',)]
    assert query(toy, "SELECT complete_until FROM meta.coverage WHERE stream = 'deals'") == [(EPOCH,)]
