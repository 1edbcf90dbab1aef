"""Zip archives and kinds of files: members read like files, limits, and one message for each thing that is refused."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from onec_files import EXAMPLE, document, statement
from sheet_files import HEADER, PAYMENTS, client_of, csv_text, load, workbook, write

from connectors.onec.archive import Limits, list_archive
from connectors.onec.folder import FoundFile, list_files
from connectors.onec.kinds import identify, sniff
from connectors.onec.streams import CONNECTOR

CSV = csv_text(("02.02.2026", "1", "100", "Ромашка", "Оплата"), ("03.02.2026", "2", "50", "", "")).encode("cp1251")


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name.replace("__", "."), data)
    return stream.getvalue()


def with_names(data: bytes, **names: bytes) -> bytes:
    """The archive with names of equal length put in place of its own, without the mark of UTF-8."""
    for name, raw in names.items():
        data = data.replace(name.encode(), raw)
    return data


def encrypted(data: bytes) -> bytes:
    """The archive with the mark of a password on its first member, in both directories."""
    local, central = data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8
    flagged = bytearray(data)
    for place in (local, central):
        flagged[place] |= 1
    return bytes(flagged)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_members_are_read_like_files_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "exports.zip", packed(**{"банк/kl_to_1c__txt": EXAMPLE, "a__csv": CSV, "__MACOSX/x": b"1"}))
    statements, sheets = load(tmp_path, PAYMENTS, stream="statements"), load(tmp_path, PAYMENTS)
    assert statements.rejects == sheets.rejects == []
    assert statements.pages[-1].origins is not None
    assert statements.pages[-1].origins[0] == "exports.zip/банк/kl_to_1c.txt:20"
    assert {row["file"] for row in sheets.of("core.payments")} == {"exports.zip/a.csv"}


def test_a_member_known_by_its_content_is_not_loaded_again(tmp_path: Path) -> None:
    """The accountant sends what already lies in the folder, packed."""
    write(tmp_path, "kl_to_1c.txt", EXAMPLE)
    position = load(tmp_path, stream="statements").pages[-1].position
    write(tmp_path, "all.zip", packed(kl__txt=EXAMPLE))
    again = load(tmp_path, stream="statements", position=position)
    assert [len(page.ids) for page in again.pages] == [0]
    assert again.pages[-1].position is not None
    third = load(tmp_path, stream="statements", position=again.pages[-1].position)
    assert third.pages[-1].position is None


def test_names_in_dos_encoding_are_readable(tmp_path: Path) -> None:
    raw = "выписка.txt".encode("cp866")
    data = with_names(packed(**{"A" * len(raw): EXAMPLE[:3000]}), **{"A" * len(raw): raw})
    write(tmp_path, "dos.zip", data)
    assert [name for name, _, _ in load(tmp_path, stream="statements").rejects] == ["dos.zip/выписка.txt"]


def test_a_workbook_is_no_archive(tmp_path: Path) -> None:
    write(tmp_path, "a.xlsx", workbook(("Лист1", [HEADER, ("02.02.2026", "1", 100, "", "")])))
    assert load(tmp_path, PAYMENTS, stream="statements").rejects == []
    assert load(tmp_path, PAYMENTS).amounts == ["100.00"]


def test_check_looks_into_archives(tmp_path: Path) -> None:
    write(tmp_path, "all.zip", packed(kl__txt=EXAMPLE, picture__png=b"\x89PNG\r\n\x1a\n"))
    lines = [(line.verdict, line.detail.render("en")) for line in CONNECTOR.check(client_of(tmp_path))]
    assert ("warning", "nobody reads a PNG picture: all.zip/picture.png") in lines
    assert any(detail.startswith("1 statements of 1 accounts") for _, detail in lines)


def test_check_of_a_folder_of_tables_asks_for_no_statement(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", CSV)
    lines = [(line.verdict, line.detail.render("en")) for line in CONNECTOR.check(client_of(tmp_path))]
    assert lines[1:] == [("ok", "a table as text (CSV): 1")]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────


def traversal() -> bytes:
    return packed(**{"../../etc/cron": EXAMPLE})


def lying_size() -> bytes:
    """The directory says a member is smaller than it is: what is behind the stated size is not read."""
    data = bytearray(packed(kl__txt=EXAMPLE))
    central = data.index(b"PK\x01\x02") + 24
    data[central : central + 4] = struct.pack("<I", 100)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encrypted(packed(a__txt=EXAMPLE)), ("x.zip", "encrypted")),
        (packed(bomb__csv=bytes(30 << 20)), ("x.zip", "zip_bomb")),
        (packed(a__txt=EXAMPLE)[:-30], ("x.zip", "damaged_archive")),
        (packed(a__zip=packed(b__txt=EXAMPLE)), ("x.zip/a.zip", "nested_archive")),
        (traversal(), ("x.zip/cron", "path_traversal")),
        (lying_size(), ("x.zip/kl.txt", "damaged_archive")),
    ],
    ids=["password", "bomb", "cut off", "nested", "traversal", "lying size"],
)
def test_a_refused_archive_has_one_message_and_the_rest_loads(
    tmp_path: Path, data: bytes, expected: tuple[str, str]
) -> None:
    """Whatever an archive is, the files beside it load and only one message is told."""
    write(tmp_path, "x.zip", data)
    write(tmp_path, "z.txt", statement(document("7")))
    statements = load(tmp_path, stream="statements")
    assert [(name, code) for name, code, _ in statements.rejects] == [expected]
    assert any("7" in record for record in statements.pages[-1].ids)
    assert load(tmp_path).rejects == []
    assert not list(tmp_path.parent.glob("**/cron"))


@pytest.mark.parametrize("limits", [Limits(members=1), Limits(unpacked_bytes=100)], ids=["files", "bytes"])
def test_too_many_files_or_bytes_are_refused(tmp_path: Path, limits: Limits) -> None:
    path = write(tmp_path, "x.zip", packed(a__txt=EXAMPLE, b__txt=EXAMPLE))
    contents = list_archive(path, limits)
    assert [(name, refusal.code) for name, refusal in contents.refused] == [("", "archive_too_large")]
    assert contents.members == []
    assert len(list_archive(path).members) == 2


# ── kinds ───────────────────────────────────────────────────────────────────────────────────────────────────────

OLE = b"\xd0\xcf\x11\xe0" + bytes(600)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (EXAMPLE, "statement"),
        ("\ufeff1CClientBankExchange\r\n".encode("utf-16"), "statement"),
        (CSV, "csv"),
        ("Дата\tНомер\tСумма\n01.02.2026\t1\t5\n".encode("utf-16"), "csv"),
        (b"date,number,amount\n2026-02-01,1,5\n2026-02-02,2,6\n", "csv"),
        ("Добрый день, коллеги!\nСчёт, акт и договор, как просили.\n".encode(), "unknown"),
        ('<?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.08"/>'.encode(), "commerceml"),
        ('<?xml version="1.0" encoding="windows-1251"?><КоммерческаяИнформация/>'.encode("cp1251"), "commerceml"),
        (b'<Message xmlns:msg="http://www.1c.ru/SSL/Exchange/Message">', "enterprise_data"),
        (
            b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns='
            b'"urn:schemas-microsoft-com:office:spreadsheet">',
            "spreadsheet_xml",
        ),
        (b"<html><body><table>", "html"),
        (OLE + "Workbook".encode("utf-16-le"), "xls"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "locked"),
        (OLE + "WordDocument".encode("utf-16-le"), "doc"),
        (packed(a__txt=b"1"), "zip"),
        (packed(**{"[Content_Types]__xml": b"1", "word/document__xml": b"1"}), "office"),
        (packed(mimetype=b"1", content__xml=b"1"), "ods"),
        (bytes(100), "empty"),
        (bytes(range(1, 200)), "unknown"),
    ],
)
def test_kinds_are_known_by_content(data: bytes, kind: str) -> None:
    assert identify(data[:4096], io.BytesIO(data)).code == kind


def test_a_locked_workbook_is_told_how_to_unlock(tmp_path: Path) -> None:
    write(tmp_path, "отчет.xlsx", OLE + "EncryptedPackage".encode("utf-16-le"))
    statements = load(tmp_path, stream="statements")
    assert [(name, code) for name, code, _ in statements.rejects] == [("отчет.xlsx", "encrypted")]
    assert "без пароля" in statements.messages[0]


def test_a_head_alone_tells_what_is_wrapped() -> None:
    assert sniff(packed(a__txt=b"1")).code == "zip"


def test_a_file_that_went_away_is_no_crash(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", EXAMPLE)
    (file,) = list_files(tmp_path)
    assert isinstance(file, FoundFile)
    assert file.is_unchanged()
    path.unlink()
    assert not file.is_unchanged()
