"""Statements that share days: what a later one lacks is told by name, whatever the order of loading, and stays."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onec_files import EXAMPLE, OWN, SECOND, document, statement
from test_onec_client import client_of, fetch, ids_of, write

from connectors.stream import Page, Reject


def told(folder: Path) -> list[Reject]:
    return [reject for page in fetch(client_of(folder)) for reject in page.rejects]


WHOLE = statement(document("1"), document("2"), first="01.02.2026", last="02.02.2026", made="03.02.2026")
LATER = statement(document("1"), first="01.02.2026", last="05.02.2026", made="06.02.2026")


@pytest.mark.parametrize("names", [("a.txt", "b.txt"), ("b.txt", "a.txt")], ids=["in order", "the later one first"])
def test_a_payment_that_a_later_statement_lacks_is_told_by_name_and_stays(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    """The bank reversed or corrected it, or the export was filtered: nobody may find out by a changed total."""
    write(tmp_path, names[0], WHOLE)
    write(tmp_path, names[1], LATER)
    pages = fetch(client_of(tmp_path))
    (reject,) = [reject for page in pages for reject in page.rejects]
    assert (reject.record_id, reject.code) == (f"{names[1]} / {names[0]}", "payments_missing_later")
    assert "№ 2 от 02.02.2026 на 1000.00" in reject.message.render("ru")
    assert reject.path == f"{names[0]}:18"
    assert len(set(ids_of(pages))) == 2


def test_a_day_split_over_two_files_is_told(tmp_path: Path) -> None:
    """Each half alone looks whole; only together do they show that neither is."""
    write(tmp_path, "morning.txt", statement(document("1"), last="02.02.2026", made="02.02.2026"))
    write(tmp_path, "evening.txt", statement(document("2"), first="02.02.2026", made="06.02.2026"))
    (reject,) = told(tmp_path)
    assert (reject.code, reject.record_id) == ("payments_missing_later", "evening.txt / morning.txt")


def test_two_halves_made_at_one_moment_are_told_too(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", statement(document("1"), made=""))
    write(tmp_path, "b.txt", statement(document("2"), made=""))
    assert [reject.code for reject in told(tmp_path)] == ["payments_missing_later"]


def test_a_lost_twin_is_missed_although_its_equal_is_there(tmp_path: Path) -> None:
    """Two equal legal payments of a day are two: one of them in a later statement is one too few."""
    write(tmp_path, "a.txt", statement(document("1"), document("1")))
    write(tmp_path, "b.txt", statement(document("1"), made="07.02.2026"))
    assert [reject.code for reject in told(tmp_path)] == ["payments_missing_later"]


@pytest.mark.parametrize(
    "later",
    [
        statement(document("1"), document("2"), document("3"), made="06.02.2026"),
        statement(first="03.02.2026", made="06.02.2026"),
        statement(accounts=(SECOND,), made="06.02.2026"),
        WHOLE,
    ],
    ids=["the day grew", "another day", "another account", "a copy"],
)
def test_statements_that_agree_are_remembered_in_silence(tmp_path: Path, later: str) -> None:
    write(tmp_path, "a.txt", WHOLE)
    write(tmp_path, "b.txt", later)
    pages = fetch(client_of(tmp_path))
    assert [reject.code for page in pages for reject in page.rejects] == []
    assert pages[-1].position is not None
    assert set(pages[-1].position["files"]) == {"a.txt", "b.txt"}


def test_it_is_told_in_every_run_until_one_of_the_files_is_taken_away(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", WHOLE)
    position = fetch(client_of(tmp_path))[-1].position
    write(tmp_path, "b.txt", LATER)
    for _ in range(2):
        pages = fetch(client_of(tmp_path), position)
        position = pages[-1].position or position
        assert [reject.code for page in pages for reject in page.rejects] == ["payments_missing_later"]
    (tmp_path / "a.txt").unlink()
    pages = fetch(client_of(tmp_path), position)
    assert [reject.code for page in pages for reject in page.rejects] == []


def test_only_neighbours_in_time_are_compared(tmp_path: Path) -> None:
    """Of three cumulative statements the middle one lacks a payment: it is told against the one before, once."""
    files = {"1.txt": ("1", "2"), "2.txt": ("1",), "3.txt": ("1", "3")}
    for day, (name, numbers) in enumerate(files.items(), 6):
        write(tmp_path, name, statement(*map(document, numbers), made=f"{day:02}.02.2026"))
    assert [reject.record_id for reject in told(tmp_path)] == ["2.txt / 1.txt"]


def test_a_file_that_went_bad_meanwhile_is_not_compared(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", EXAMPLE)
    position = fetch(client_of(tmp_path))[-1].position
    write(tmp_path, "a.txt", EXAMPLE[:3000])
    write(tmp_path, "b.txt", statement(made="07.02.2026", accounts=(OWN,)))
    pages = fetch(client_of(tmp_path), position)
    assert [reject.code for page in pages for reject in page.rejects] == ["truncated"]


# ── any order, any split ────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Payments `(day, roubles, twins)` of eight days, and statements `(first, last, place)` that cover them; the place
    orders them by the time they were made, and each writes purposes its own way."""
    payments = draw(
        st.lists(
            st.tuples(st.integers(1, 8), st.integers(1, 2), st.integers(1, 3)), max_size=6, unique_by=lambda p: p[:2]
        )
    )
    cuts = sorted(draw(st.sets(st.integers(1, 7), max_size=3)))
    spans = [
        (max(1, first + 1 - draw(st.integers(0, 3))), min(8, last + draw(st.integers(0, 3))))
        for first, last in pairwise([0, *cuts, 8])
    ]
    extra = draw(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)).map(sorted).map(tuple), max_size=2))
    return payments, [(first, last, place) for place, (first, last) in enumerate([*spans, *extra])]


def delivered(payments: list[tuple[int, int, int]], first: int, last: int, place: int) -> str:
    documents = [
        document("7", day=f"{day:02}.02.2026", amount=f"{roubles}00", НазначениеПлатежа=f"Оплата, запись {place}")
        for day, roubles, twins in payments
        if first <= day <= last
        for _ in range(twins)
    ]
    return statement(*documents, first=f"{first:02}.02.2026", last=f"{last:02}.02.2026", made=f"{10 + place}.02.2026")


def core_of(pages: list[Page], known: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
    """What the core holds after these pages: of each payment the newest version."""
    for page in pages:
        for record_id, payload, version in zip(page.ids, page.payloads, page.versions, strict=True):
            if version >= known.get(record_id, (0, b""))[0]:
                known[record_id] = (version, payload)
    return known


@settings(max_examples=40, deadline=None)
@given(deliveries(), st.randoms(use_true_random=False))
def test_any_order_any_split_and_twice_end_in_the_same_payments(
    case: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]], chance: Random
) -> None:
    """Also which bank's wording of a purpose stands must not hang on the order in which files were put there."""
    payments, files = case
    outcomes = []
    for _ in range(2):
        chance.shuffle(files)
        known: dict[str, tuple[int, bytes]] = {}
        position = None
        with TemporaryDirectory() as folder:
            for name, (first, last, place) in enumerate([*files, *files[:1]]):
                write(Path(folder), f"{name}.txt", delivered(payments, first, last, place))
                if chance.random() < 0.6 or name == len(files):
                    pages = fetch(client_of(Path(folder)), position)
                    assert [reject for page in pages for reject in page.rejects] == []
                    known = core_of(pages, known)
                    position = pages[-1].position or position
        outcomes.append(known)
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) == sum(twins for _, _, twins in payments)
