"""A large statement read by several processes: the outcome must not depend on who read what."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onec_files import CUSTOMER, EXAMPLE, FILES, OWN, SECOND, document, section, statement

from base.helpers import HelperError, Helpers
from connectors.onec.side_by_side import MODULE, Answers, StartCrew, start_crew
from connectors.onec.statement import StatementError
from connectors.onec.survey import survey

Outcome = tuple[object, ...]


class Crew:
    """Two helpers in this process; those of `gone` (by turn) have died."""

    def __init__(self, gone: Sequence[int] = ()) -> None:
        self._helpers = (Answers(), Answers())
        self._gone = gone
        self.asked = 0

    def submit(self, piece: bytes) -> Future[bytes]:
        self.asked += 1
        answer: Future[bytes] = Future()
        if self.asked in self._gone:
            answer.set_exception(HelperError("ended"))
        else:
            answer.set_result(self._helpers[self.asked % 2](piece))
        return answer


def started(crew: Crew) -> StartCrew:
    @contextmanager
    def start() -> Iterator[Crew]:
        yield crew

    return start


def outcome(data: bytes, crew: StartCrew | None = None, piece_bytes: int = 1 << 20) -> Outcome:
    """Everything that is known of a file: records with their places, findings, completeness; or why it is refused."""
    try:
        found = survey(io.BytesIO(data), crew=crew, piece_bytes=piece_bytes)
    except StatementError as error:
        return (error.code, error.render("ru"), error.path)
    parts = [
        (part.accounts, part.documents, part.last_line, part.is_torn, part.has_dates, part.header, part.mismatches)
        for part in found.parts
    ]
    return (found.encoding, parts, found.findings, list(found.records()))


DOCUMENTS = st.sampled_from(
    [
        document("1"),
        document("2", "03.02.2026", "0.50", payer=OWN, payee=CUSTOMER, НазначениеПлатежа="за услуги"),
        document("2", "03.02.2026", "0.50", payer=OWN, payee=CUSTOMER, НазначениеПлатежа="за услуги"),
        document("3", payer=OWN, payee=SECOND, debited="02.02.2026", credited="02.02.2026"),
        document("4", amount="нет"),
        document("5", payer=CUSTOMER, payee=CUSTOMER, credited="02.02.2026", debited="02.02.2026"),
        document("6")[:-1],
        [*document("7")[:3], "конец назначения", *document("7")[3:]],
        document("8", title="Выписка"),
        ["Сумма=5"],
        ["КонецДокумента"],
        section("01.02.2026", "05.02.2026", came="1000", closing="1000", account=SECOND),
        ["КонецФайла", *statement(first="06.02.2026", last="07.02.2026", accounts=(SECOND,), end="").split("\r\n")],
    ]
)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(DOCUMENTS, max_size=12),
    st.sampled_from(["cp1251", "utf-8", "utf-8-sig", "cp866", "utf-16"]),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.integers(1, 900),
    st.integers(0, 60),
)
@example([document("1"), document("1")] * 3, "utf-8-sig", "\r\n", 300, 0)
def test_pieces_read_by_others_give_what_one_process_gives(
    blocks: list[list[str]], encoding: str, end: str, piece_bytes: int, cut: int
) -> None:
    """A piece judged without knowing a section, mark, torn document or new statement before it would show here."""
    text = statement(*blocks, accounts=(OWN, SECOND)).replace("\r\n", end)
    data = text.encode(encoding)
    data = data[: len(data) - cut]
    assert outcome(data, started(Crew()), piece_bytes) == outcome(data)


@pytest.mark.parametrize("name", ["example_cp1251.txt", "one_day_cp1251.txt", "two_accounts_cp1251.txt"])
def test_real_statements_are_read_by_others_too(name: str) -> None:
    data, crew = (FILES / name).read_bytes(), Crew()
    assert outcome(data, started(crew), 1_000) == outcome(data)
    assert crew.asked > 0


def test_pieces_of_a_helper_that_died_are_read_here() -> None:
    data, crew = EXAMPLE, Crew(gone=(1, 3))
    assert outcome(data, started(crew), 500) == outcome(data)
    assert crew.asked >= 3


def test_where_no_process_can_be_started_the_file_is_read_by_one() -> None:
    @contextmanager
    def refuse() -> Iterator[Crew]:
        raise HelperError("no room")
        yield

    assert outcome(EXAMPLE, refuse) == outcome(EXAMPLE)


def test_processes_of_their_own_read_the_same() -> None:
    """What goes through the pipes comes back whole, findings with their texts included."""
    blocks = [document(str(number), amount="нет" if number == 7 else "10.00") for number in range(40)]
    data = statement(*blocks).encode("cp1251")
    assert outcome(data, start_crew(2), 2_000) == outcome(data)


def test_a_helper_that_is_killed_is_told_and_not_waited_for() -> None:
    with Helpers("tests_no_such_module", 1) as helpers, pytest.raises(HelperError):
        helpers.submit(b"piece").result(timeout=60)


PARENT = f"""
import os, sys
from base.helpers import Helpers
helpers = Helpers({MODULE!r}, 2)
print(*helpers.process_ids, flush=True)
sys.stdin.read()
"""


def test_helpers_of_a_killed_parent_end(tmp_path: Path) -> None:
    """Kill -9 leaves the parent no moment to end them: they must notice by themselves."""
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        helpers = [int(word) for word in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
    assert len(helpers) == 2
    until = time.monotonic() + 30
    while any(map(is_running, helpers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_running, helpers))


def is_running(process: int) -> bool:
    """Not there any more, or ended and waiting for somebody to ask how."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
