"""What an accountant may put into the folder by mistake: one message each with place and remedy, the rest loads."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from onec_files import CUSTOMER, EXAMPLE, OWN, document, section, statement
from test_onec_client import client_of, fetch, ids_of, write

from connectors.onec.statement import StatementError
from connectors.onec.survey import MOST_FINDINGS, survey
from connectors.stream import Reject

BALANCE = section("01.02.2026", "05.02.2026", came="2000", closing="2000")
PAIR = statement(BALANCE, document("1"), document("2"))
ORDERS = statement(document("1", payer=OWN, payee=CUSTOMER, debited="", credited=""), accounts=())
# Files, the stable code, the place in the file, and words of the remedy.
BAD: dict[str, tuple[bytes, str, str, str]] = {
    "cut in the middle": (EXAMPLE[:3000], "truncated", "line 98", "ещё раз"),
    "cut without balances": (
        statement(document("1"), document("2")[:-3], end="").encode("cp1251"),
        "truncated",
        "line 18",
        "ещё раз",
    ),
    "saved in a wrong encoding": (
        EXAMPLE.decode("utf-8", errors="replace").encode(),
        "damaged_text",
        "line 2",
        "ещё раз",
    ),
    "cp1251 read as Latin and saved": (
        EXAMPLE.decode("latin-1").encode(),
        "damaged_text",
        "line 1",
        "ещё раз",
    ),
    "question marks for letters": (
        PAIR.encode("ascii", errors="replace"),
        "damaged_text",
        "line 1",
        "ещё раз",
    ),
    "binary behind the signature": (
        b"1CClientBankExchange\r\n" + bytes(range(128, 256)) * 40,
        "damaged_text",
        "line 1",
        "ещё раз",
    ),
    "a header and nothing": (b"1CClientBankExchange\r\n", "damaged_text", "line 1", "ещё раз"),
    "orders on their way to the bank": (ORDERS.encode("cp1251"), "orders_not_executed", "line 1", "kl_to_1c"),
    "a line without an end": (
        b"1CClientBankExchange\r\n" + b"x" * (1 << 20) + b"\r\n",
        "damaged_text",
        "line 2",
        "ещё раз",
    ),
    "a value without an end": (
        (statement(BALANCE) + "\r\n".join(["СекцияДокумент=Прочее", "Номер=1", *["и ещё" * 10] * 3000])).encode(
            "cp1251"
        ),
        "damaged_text",
        "line 1307",
        "ещё раз",
    ),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_a_statement", "line 1", "kl_to_1c"),
    "a program": (b"MZ\x90\x00" + bytes(2000), "not_a_statement", "line 1", "kl_to_1c"),
    "zeros": (bytes(5000), "not_a_statement", "line 1", "kl_to_1c"),
    "plain words": ("Счёт на оплату № 5".encode("cp1251"), "not_a_statement", "line 1", "kl_to_1c"),
}


def rejects_of(folder: Path) -> tuple[list[Reject], list[str]]:
    pages = fetch(client_of(folder))
    return [reject for page in pages for reject in page.rejects], ids_of(pages)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_message_with_place_and_remedy_and_the_rest_loads(tmp_path: Path, case: str) -> None:
    """Neither an empty result in silence, nor a traceback, nor half of the file."""
    data, code, path, remedy = BAD[case]
    write(tmp_path, "1 bad.txt", data)
    write(tmp_path, "2 good.txt", PAIR)
    (reject,), ids = rejects_of(tmp_path)
    assert (reject.record_id, reject.code) == ("1 bad.txt", code)
    assert reject.path == path
    assert remedy in reject.message.render("ru")
    assert len(ids) == 2


def test_a_file_of_200_megabytes_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """It must not be read into memory as one line: the refusal comes with the line's first megabyte."""
    with (tmp_path / "1.txt").open("wb") as file:
        file.write(b"1CClientBankExchange\r\n")
        file.truncate(200 << 20)
    write(tmp_path, "2.txt", PAIR)
    (reject,), ids = rejects_of(tmp_path)
    assert (reject.record_id, reject.code, reject.path) == ("1.txt", "damaged_text", "line 2")
    assert len(ids) == 2


def test_thousands_of_unreadable_documents_are_one_message() -> None:
    """A million rejects of one file would fill memory and the report; it is the file that is wrong."""
    lines = "\r\n".join(document(amount="x"))
    text = statement(*[[lines]] * (MOST_FINDINGS + 1))
    with pytest.raises(StatementError, match="More than") as caught:
        survey(io.BytesIO(text.encode("cp1251")))
    assert (caught.value.code, caught.value.path) == ("unreadable_documents", "line 9")
