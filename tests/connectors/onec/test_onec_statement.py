"""One statement file: encodings, torn and joined files, own sides, balances (onec.md 1, acceptance 1 to 7 and 12)."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onec_files import (
    CUSTOMER,
    EXAMPLE,
    FILES,
    OWN,
    SECOND,
    TRANSIT,
    block_of,
    document,
    facts,
    read,
    section,
    statement,
)

from connectors.onec.kept import Kept, pack
from connectors.onec.kinds import sniff
from connectors.onec.movements import OwnAccounts, common_movement, payload_of, read_movements
from connectors.onec.particulars import Particulars
from connectors.onec.shapes import Shapes
from connectors.onec.spool import Spool
from connectors.onec.statement import Block, ClosedDocument, StatementError, read_blocks, read_entries

EXAMPLE_TEXT = EXAMPLE.decode("cp1251")


def codes(data: bytes | str) -> list[str]:
    return [finding.code for finding in read(data)[0].findings]


def refusal(data: bytes | str) -> StatementError:
    with pytest.raises(StatementError) as caught:
        read(data)
    return caught.value


# ── samples ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_example_of_the_format_page_has_its_totals() -> None:
    found, records = read(EXAMPLE)
    moved = [(movement.direction, movement.amount) for _, _, movement in records]
    assert found.findings == []
    assert sum(amount for direction, amount in moved if direction == "in") == Decimal("228250.50")
    assert sum(amount for direction, amount in moved if direction == "out") == Decimal("72000.00")
    assert [direction for direction, _ in moved] == ["in", "in", "out", "out", "in", "in"]
    (balance,) = found.parts[0].balances
    assert (balance.opening, balance.closing) == (Decimal("100000.00"), Decimal("256250.50"))


def test_card_money_with_only_the_payers_date_comes_in() -> None:
    """A reader that takes a filled ДатаСписано as outgoing flips it."""
    _, records = read(EXAMPLE)
    movement = next(movement for _, _, movement in records if movement.number == "481544")
    assert (movement.direction, movement.booked_on.isoformat(), movement.amount) == (
        "in",
        "2026-02-04",
        Decimal("14750.50"),
    )


def test_real_day_whose_payer_account_is_masked_ties_by_dates() -> None:
    found, records = read((FILES / "one_day_cp1251.txt").read_bytes())
    assert len(records) == 13
    assert found.findings == []
    assert found.parts[0].is_verified


def test_real_file_of_two_accounts_counts_a_transfer_once_on_each() -> None:
    found, records = read((FILES / "two_accounts_cp1251.txt").read_bytes())
    moved = [
        (movement.own_account[-2:], movement.direction, str(movement.amount), movement.is_between_own)
        for _, _, movement in records
        if movement.booked_on.day == 21
    ]
    assert moved == [
        ("71", "out", "1.06", False),
        ("71", "out", "5.29", False),
        ("71", "out", "30.99", False),
        ("71", "out", "30.99", False),
        ("69", "out", "91.23", True),
        ("71", "in", "91.23", True),
    ]
    # The sample was trimmed to two days: both accounts tie on the first, and the rest is told.
    first_day = [mismatch for mismatch in found.parts[0].mismatches if mismatch.balance.first_on.day == 21]
    assert first_day == []
    assert [finding.code for finding in found.findings] == ["balance_mismatch"]


def test_real_document_of_one_bank_without_payer_city_loads() -> None:
    assert facts((FILES / "one_document_cp1251.txt").read_bytes()) == [("007", "in", "1000.00")]


# ── encodings ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(EXAMPLE_TEXT.encode("utf-8"), id="declared Windows but UTF-8"),
        pytest.param(EXAMPLE_TEXT.encode("utf-8-sig"), id="UTF-8 with a mark"),
        pytest.param(EXAMPLE_TEXT.replace("=Windows", "=DOS").encode("cp866"), id="DOS"),
        pytest.param(EXAMPLE_TEXT.encode("utf-16"), id="UTF-16 of Notepad"),
        pytest.param(
            EXAMPLE.replace("КонецФайла".encode("cp1251"), "КонецФайла".encode()), id="last line UTF-8 after cp1251"
        ),
        pytest.param(EXAMPLE.replace(b"\r\n", b"\n"), id="LF"),
        pytest.param(EXAMPLE.replace(b"\r\n", b"\r"), id="CR"),
        pytest.param(b"\r\n\r\n" + EXAMPLE, id="blank lines before the signature"),
        pytest.param(EXAMPLE.replace("=ИНН".encode("cp1251"), b"=\x98"), id="a byte cp1251 doesn't have"),
    ],
)
def test_encodings_give_the_same_movements(data: bytes) -> None:
    found, records = read(data)
    assert found.findings == []
    assert [record_id for record_id, _, _ in records] == [record_id for record_id, _, _ in read(EXAMPLE)[1]]


def test_a_file_saved_in_a_wrong_encoding_is_refused_and_not_taken_for_an_empty_one() -> None:
    error = refusal(EXAMPLE.decode("utf-8", errors="replace").encode())
    assert (error.code, error.path) == ("damaged_text", "line 2")
    assert refusal(EXAMPLE.decode("ascii", errors="replace").replace("\ufffd", "?").encode()).code == "damaged_text"


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "image"),
        (b"PK\x03\x04rest", "zip"),
        (b"%PDF-1.7", "pdf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "xml"),
        (b"", "empty"),
        (b"\xff\xfe\r\x00\n\x00", "unknown"),
        (b"hello", "unknown"),
        ("1CClientBankExchange".encode("utf-16"), "statement"),
        (b"\xef\xbb\xbf1cclientbankexchange\r\n", "statement"),
    ],
)
def test_kind_by_first_bytes(head: bytes, code: str) -> None:
    assert sniff(head).code == code


def test_other_text_is_no_statement() -> None:
    error = refusal("Дата;Сумма\r\n01.02.2026;5\r\n")
    assert (error.code, error.path) == ("not_a_statement", "line 1")
    assert "kl_to_1c" in error.render("ru")


# ── grammar ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_values_keep_equal_signs_odd_line_breaks_and_wrapped_lines() -> None:
    purpose = "НДС 100=00 a\u2028b\x85c"
    lines = document(НазначениеПлатежа=purpose)
    lines[-1:-1] = ["и ещё продолжение = строки", "и конец"]
    _, ((_, payload, _),) = read(statement(lines).encode())
    assert block_of(payload).values["НазначениеПлатежа"] == f"{purpose} и ещё продолжение = строки и конец"


def test_keys_in_any_case_duplicates_and_unknown_ones() -> None:
    lines = document(ПлательщикКорСчет="301", НовыйКлюч="x")
    lines[-1:-1] = ["ПЛАТЕЛЬЩИККОРСЧЕТ=", "  ПолучательИНН= 7701234567\t"]
    _, ((_, payload, _),) = read(statement(lines))
    block = block_of(payload)
    assert block.values["ПлательщикКорсчет"] == "301"
    assert block.values["НовыйКлюч"] == "x"
    assert block.values["ПолучательИНН"] == "7701234567"


def test_a_quiet_day_is_a_statement_with_a_date() -> None:
    found, records = read(statement(section("01.02.2026", "05.02.2026")))
    assert (records, found.findings) == ([], [])
    assert found.parts[0].interval is not None


def test_missing_inner_end_marks_cost_nothing() -> None:
    lines = [
        *section("01.02.2026", "05.02.2026", came="3000", closing="3000")[:-1],
        *document("1")[:-1],
        *document("2", amount="2000")[:-1],
    ]
    assert facts(statement(lines)) == [("101", "in", "1000.00"), ("101", "in", "2000.00")]


def test_balance_sections_behind_documents_name_further_own_accounts() -> None:
    """The second account is known only after its document was read."""
    data = statement(
        document("1", payer=CUSTOMER, payee=SECOND, debited="02.02.2026", credited=""),
        section("01.02.2026", "05.02.2026", came="1000", closing="1000", account=SECOND),
    )
    assert facts(data) == [("102", "in", "1000.00")]


def test_kazakh_summary_documents_are_not_counted_again() -> None:
    assert facts(statement(document("1"), document("1", title="Выписка"))) == [("101", "in", "1000.00")]


def test_joined_files_are_two_statements_and_a_repeated_one_adds_nothing() -> None:
    one = statement(document("1"), document("1"))
    _, records = read(one + statement(document("1"), document("1")))
    assert len(records) == 4
    assert len({record_id for record_id, _, _ in records}) == 2


def test_a_transfer_is_known_by_an_account_that_a_later_statement_of_the_file_names() -> None:
    sent = statement(transfer("1", "02.02.2026", ""), accounts=(OWN,))
    _, records = read(sent + statement(transfer("1", "", "02.02.2026"), accounts=(SECOND,)))
    assert [(movement.direction, movement.is_between_own) for _, _, movement in records] == [
        ("out", True),
        ("in", True),
    ]


def test_a_spool_on_disk_gives_back_what_went_in_and_leaves_no_file(tmp_path: Path) -> None:
    """A large file's records wait on disk for the verdict: none lost between blocks, twins known, nothing left over."""
    spool = Spool(tmp_path, memory_bytes=1)
    for place in range(60):
        entries = [(n, f"id{n}", b"{%d}" % n, 1, OWN, "in", (n // 2).to_bytes(8, "big")) for n in range(10)]
        spool.add(place % 2, 100 * place, *pack(Kept(*map(list, zip(*entries, strict=True)))))
    found = [(kept.part, kept.first_line + line, kept.payloads[line]) for kept in spool.read() for line in kept.lines]
    assert found == [(place % 2, 100 * place + n, b"{%d}" % n) for place in range(60) for n in range(10)]
    assert spool.repeated_keys() == {n.to_bytes(8, "big") for n in range(5)}
    assert list(tmp_path.iterdir()) == []
    spool.close()


KEY_LINES = st.sampled_from(
    [
        "Номер=7", "Номер=8 ", "Сумма=10.50", "сумма=20", "Дата=02.02.2026", "ПлательщикСчет=", "ПлательщикСчет=1",
        "НазначениеПлатежа=НДС 100=00", "и конец назначения", "НДС 20=30", "", "НовыйКлюч=1", " Код = 0", "Код",
        "КонецДокумента ", "секциядокумент=Прочее", "СекцияРасчСчет", "КонецРасчСчет", "КонецФайла",
        "1CClientBankExchange",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(KEY_LINES, max_size=6), min_size=1, max_size=4), st.sampled_from(["\r\n", "\n", "\r"]))
def test_documents_read_at_once_are_what_they_are_line_by_line(documents: list[list[str]], end: str) -> None:
    """The quick way must not see other keys, titles, lines or strays than the careful one, whatever a bank writes."""
    lines = ["1CClientBankExchange", "Кодировка=Windows"]
    for document_lines in documents * 3:
        lines += ["СекцияДокумент=Платежное поручение ", *document_lines, "КонецДокумента"]
    data = end.join([*lines, "КонецФайла", ""]).encode("cp1251")
    quick = list(read_blocks(io.BytesIO(data), "cp1251"))
    assert quick == list(read_blocks(io.BytesIO(data), "cp1251", Shapes(most=0)))


ACCOUNTS = st.sampled_from(["", OWN, SECOND, CUSTOMER, f" {OWN}", "407 028", "-"])
DAYS_WRITTEN = st.sampled_from(["", "02.02.2026", "00.00.0000", "нет", "02.02.2026 10:00", "2026-02-03"])
AMOUNTS_WRITTEN = st.sampled_from(
    ["", "10.50", "10", "1 000,50", "-1.00", ".50", "1.5", "\u0661.50", "12345678901234567.00"]
)


@settings(max_examples=400)
@given(
    st.tuples(ACCOUNTS, ACCOUNTS, st.just("7701234567"), ACCOUNTS, ACCOUNTS, st.just("")),
    st.tuples(DAYS_WRITTEN, DAYS_WRITTEN, DAYS_WRITTEN),
    AMOUNTS_WRITTEN,
    st.sampled_from([(OWN,), (OWN, SECOND), ()]),
)
def test_the_quick_way_to_a_movement_finds_what_the_careful_one_does(
    sides: tuple[str, ...], days: tuple[str, ...], amount: str, stated: tuple[str, ...]
) -> None:
    """Two own accounts, an indirect settlement, a day or amount that can't be read: all for the careful way."""
    written = Particulars(*sides, *days, amount, "007")
    own = OwnAccounts(frozenset(stated), frozenset({OWN, SECOND}))
    movement = common_movement(written, own)
    if movement is not None:
        assert read_movements(written, own) == [movement]


def test_a_payload_made_at_once_is_that_of_the_document_read_by_lines() -> None:
    """Another byte of it, and every payment of a year would be stored once more."""
    more = {"НазначениеПлатежа": 'за "А\\Б"\tи ёж', "НовыйКлюч": "1", "Код": "0"}
    text = statement(*[document(str(number), payer=SECOND, payee=CUSTOMER, **more) for number in range(4)])
    entries = list(read_entries(io.BytesIO(text.encode("cp1251")), "cp1251"))[1:]
    assert [type(entry) for entry in entries] == [Block, Block, ClosedDocument, ClosedDocument]
    own = OwnAccounts(frozenset({SECOND}), frozenset({SECOND}))
    for entry in entries:
        (movement,) = read_movements(entry.particulars(), own)
        expected = payload_of(movement, Block.json(entry if isinstance(entry, Block) else entry.block()))
        assert entry.payload(movement) == expected


def test_an_order_of_keys_met_before_is_read_at_once() -> None:
    shapes = Shapes()
    text = statement(*[document(str(number)) for number in range(3)]).encode("cp1251")
    assert len(list(read_blocks(io.BytesIO(text), "cp1251", shapes))) == 4
    *lines, mark = document("9")
    whole = "\n".join([*lines, mark, ""])
    shape, values, end = shapes.read(f"...{whole}Номер=1", 3) or pytest.fail("not known")
    assert (shape.title(values), shape.filled(values)) == ("Платежное поручение", block_values("9"))
    assert (shape.lines, end) == (len(lines), 3 + len(whole))
    assert shapes.read("\n".join([*lines, "Сумма=1", mark, ""]), 0) is None
    assert shapes.read("\n".join(lines), 0) is None


def block_values(number: str) -> dict[str, str]:
    return block_of(read(statement(document(number)))[1][0][1]).values


def test_lines_outside_of_blocks_are_told() -> None:
    assert codes(statement(document("1"), ["Сумма=5"], document("2"))) == ["stray_lines"]


FOREIGN = document("2", payer=CUSTOMER, payee=CUSTOMER, credited="02.02.2026", debited="02.02.2026")


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("lines", "code", "key"),
    [
        (document("2", amount="abc"), "bad_amount", "Сумма"),
        (document("2", amount="-5.00"), "bad_amount", "Сумма"),
        (document("2", amount=""), "bad_amount", "Сумма"),
        (document("2", credited="2026/02/31"), "bad_date", "ДатаПоступило"),
        (document("2", day="00.00.0000", credited=""), "no_date", "ДатаПоступило"),
        (FOREIGN, "unknown_direction", "ПлательщикСчет"),
    ],
)
def test_a_bad_document_is_told_with_its_line_and_the_rest_loads(lines: list[str], code: str, key: str) -> None:
    found, records = read(statement(document("1"), lines, document("3")))
    assert [movement.number for _, _, movement in records] == ["1", "3"]
    (finding,) = found.findings
    assert (finding.code, finding.key, finding.line) == (code, key, 18)


@pytest.mark.parametrize(
    ("text", "amount"), [("1000", "1000"), ("1 000,5", "1000.50"), ("1\u00a0000-50", "1000.50"), ("1000.50", "1000.50")]
)
def test_amount_forms(text: str, amount: str) -> None:
    _, ((_, _, movement),) = read(statement(document(amount=text)))
    assert movement.amount == Decimal(amount)


def test_account_with_dots_is_the_same_account() -> None:
    assert facts(statement(document(payee="40702.810.6.00000000101"))) == [("101", "in", "1000.00")]


def test_indirect_settlement_is_seen_by_either_key_of_a_side() -> None:
    data = statement(document(payee=TRANSIT, debited="02.02.2026", credited="", ПолучательРасчСчет=OWN))
    assert facts(data) == [("101", "in", "1000.00")]


def test_configured_accounts_serve_a_file_that_names_none() -> None:
    data = statement(document(debited="02.02.2026", credited="02.02.2026"), accounts=())
    assert codes(data) == ["unknown_direction"]
    assert facts(data, configured=[OWN]) == [("101", "in", "1000.00")]


def test_genuine_twins_stay_two_payments() -> None:
    fee = document("9", payer=OWN, payee="70601810000000000001")
    _, records = read(statement(fee, fee, document("10", payer=OWN, payee="70601810000000000001")))
    ids = [record_id for record_id, _, _ in records]
    assert ids[1] == f"{ids[0]}.2"
    assert len(set(ids)) == 3


def test_record_id_knows_neither_purpose_nor_leading_zeros_nor_file() -> None:
    one = read(statement(document("000009", НазначениеПлатежа="Оплата")))[1][0][0]
    other = read(statement(document("9", НазначениеПлатежа="ОПЛАТА"), document("8")))[1][0][0]
    assert one == other


def test_payload_of_a_copy_in_another_file_is_the_same() -> None:
    """Neither empty keys, nor their order and case, nor the place in the file make a new version."""
    first = read(statement(document("1", Код="", НазначениеПлатежа="а")))[1][0]
    second = read(statement(document("2"), document("1", назначениеплатежа="а")))[1][1]
    assert first[1] == second[1]


# ── transfers between own accounts ──────────────────────────────────────────────────────────────────────────────

BOTH = {"accounts": (OWN, SECOND)}
SENT = section("01.02.2026", "05.02.2026", left="1000", opening="1000", account=OWN)
RECEIVED = section("01.02.2026", "05.02.2026", came="1000", closing="1000", account=SECOND)
EXPECTED = [("101", "out", "1000.00"), ("102", "in", "1000.00")]


def transfer(number: str, debited: str, credited: str) -> list[str]:
    return document(number, payer=OWN, payee=SECOND, debited=debited, credited=credited)


@pytest.mark.parametrize(
    "copies",
    [
        pytest.param([transfer("1", "02.02.2026", "")], id="once, payer's date"),
        pytest.param([transfer("1", "", "02.02.2026")], id="once, payee's date"),
        pytest.param([transfer("1", "02.02.2026", "02.02.2026")], id="once, both dates"),
        pytest.param([transfer("1", "02.02.2026", ""), transfer("7", "", "02.02.2026")], id="a copy each, own numbers"),
        pytest.param([transfer("1", "02.02.2026", "02.02.2026")] * 2, id="twice with both dates: balances decide"),
    ],
)
def test_a_transfer_between_own_accounts_counts_once_on_each(copies: list[list[str]]) -> None:
    data = statement(SENT, RECEIVED, *copies, accounts=(OWN, SECOND))
    assert codes(data) == []
    assert sorted(facts(data)) == EXPECTED


def test_two_equal_transfers_stay_two_when_the_balances_say_so() -> None:
    sent = section("01.02.2026", "05.02.2026", left="2000", opening="2000", account=OWN)
    received = section("01.02.2026", "05.02.2026", came="2000", closing="2000", account=SECOND)
    copies = [transfer("1", "02.02.2026", "02.02.2026")] * 2
    assert len(facts(statement(sent, received, *copies, accounts=(OWN, SECOND)))) == 4


def test_a_transfer_has_the_same_ids_in_the_joint_and_in_the_single_statements() -> None:
    joint = read(statement(transfer("1", "02.02.2026", ""), transfer("1", "", "02.02.2026"), accounts=(OWN, SECOND)))[1]
    single = [
        *read(statement(transfer("1", "02.02.2026", ""), accounts=(OWN,)))[1],
        *read(statement(transfer("1", "", "02.02.2026"), accounts=(SECOND,)))[1],
    ]
    assert sorted(record_id for record_id, _, _ in joint) == sorted(record_id for record_id, _, _ in single)


# ── whole or not ────────────────────────────────────────────────────────────────────────────────────────────────


def test_cut_anywhere_a_statement_loads_whole_or_not_at_all() -> None:
    """Nothing half-loaded in silence: cut in a header, a section, a key, an amount, a mark, or between documents."""
    whole = [(record_id, payload) for record_id, payload, _ in read(EXAMPLE)[1]]
    outcomes = set()
    for length in [*range(21, len(EXAMPLE), 61), *range(len(EXAMPLE) - 150, len(EXAMPLE), 3)]:
        try:
            found, records = read(EXAMPLE[:length])
        except StatementError as error:
            outcomes.add(error.code)
            continue
        read_whole = [(record_id, payload) for record_id, payload, _ in records]
        assert [record_id for record_id, _ in read_whole] == [record_id for record_id, _ in whole], length
        told = [finding.code for finding in found.findings]
        assert read_whole == whole or told == ["torn_end"], length
        outcomes.update(told or ["whole"])
    assert outcomes == {"truncated", "whole", "torn_end", "damaged_text"}


def test_cut_file_says_where_the_sums_part() -> None:
    error = refusal(EXAMPLE[: len(EXAMPLE) // 2])
    assert error.code == "truncated"
    assert "…0101" in error.render("ru")
    assert "228250.50" in error.render("ru")


def test_without_end_mark_and_balances_it_loads_and_is_told() -> None:
    data = statement(document("1"), end="")
    assert facts(data) == [("101", "in", "1000.00")]
    assert codes(data) == ["no_end_mark"]


def test_without_end_mark_and_balances_a_torn_document_refuses_the_file() -> None:
    assert refusal(statement(document("1"), document("2")[:-3], end="")).code == "truncated"


def test_a_finished_file_whose_sums_differ_loads_and_is_told() -> None:
    data = statement(section("01.02.2026", "05.02.2026", came="1500", closing="1500"), document("1"))
    found, records = read(data)
    assert len(records) == 1
    (finding,) = found.findings
    assert finding.code == "balance_mismatch"
    assert "1500.00" in finding.message.render("ru")
    assert "1000.00" in finding.message.render("en")


def test_a_gap_between_daily_sections_is_a_mismatch() -> None:
    data = statement(
        section("01.02.2026", "01.02.2026", closing="0"),
        section("03.02.2026", "03.02.2026", opening="70", closing="70"),
    )
    assert codes(data) == ["balance_mismatch"]


def test_repeated_and_overlapping_sections_count_once() -> None:
    whole = section("01.02.2026", "05.02.2026", came="1000", closing="1000")
    day = section("02.02.2026", "02.02.2026", came="1000", closing="1000")
    assert codes(statement(whole, day, whole, document("1"))) == []


def test_orders_on_their_way_to_the_bank_are_no_money() -> None:
    orders = statement(
        document("1", payer=OWN, payee=CUSTOMER, debited="", credited=""),
        header=["Отправитель=Бухгалтерия предприятия", "Документ=Платежное поручение"],
    )
    error = refusal(orders)
    assert error.code == "orders_not_executed"
    assert "1c_to_kl" in error.render("ru")
