"""The backup's side of it: inside `standing_still` nobody writes (warehouse/pause.py says how)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from base.clock import Clock
from base.errors import BusyError
from base.text import Text, say
from warehouse.lock import writer_lock
from warehouse.pause import POLL_SECONDS, answer_path, backup_lock, read_id, request_path, take


def _ignore(message: Text) -> None:
    return None


@contextmanager
def standing_still(
    warehouse: Path, *, clock: Clock, wait_seconds: float, on_wait: Callable[[Text], None] = _ignore
) -> Iterator[None]:
    """The backup's side: inside, nobody writes into the two files, and what is in them and their logs is whole.

    Raises:
        BusyError: the writer did not come to a resting place, or another backup to its end, in `wait_seconds`.
    """
    deadline = clock.monotonic() + wait_seconds
    lock = backup_lock(warehouse)
    while not take(lock):
        _give_up_at(deadline, clock, warehouse)
        clock.sleep(POLL_SECONDS)
    request, told = request_path(warehouse), False
    name = uuid.uuid4().hex
    try:
        while True:
            if not request.exists():  # a writer that met a dead backup's request may have removed ours
                request.write_text(name, "ascii")
            if read_id(answer_path(warehouse)) == name:
                yield
                return
            with _unwatched(warehouse, clock) as is_ours:
                if is_ours:
                    yield
                    return
            if not told:
                on_wait(say("Жду, пока запись остановится на миг…", "Waiting for the writer to rest for a moment…"))
                told = True
            _give_up_at(deadline, clock, warehouse)
            clock.sleep(POLL_SECONDS)
    finally:
        request.unlink(missing_ok=True)
        lock.release()


@contextmanager
def _unwatched(warehouse: Path, clock: Clock) -> Iterator[bool]:
    """True, with the writer's lock held, if nobody else has it."""
    try:
        holding = writer_lock(warehouse, command="backup", clock=clock, wait_seconds=0, lets_backup_in=False)
        with holding:
            yield True
            return
    except BusyError:
        pass
    yield False


def _give_up_at(deadline: float, clock: Clock, warehouse: Path) -> None:
    if clock.monotonic() >= deadline:
        raise BusyError(
            say(
                "Запись в {path} не остановилась за отведённое время.",
                "The writer of {path} did not rest in the time given.",
                path=warehouse,
            ),
            say(
                "Дайте больше времени: --wait СЕКУНДЫ. Загрузка останавливается после каждой порции записей, "
                "пересчёт — по окончании.",
                "Give it longer: --wait SECONDS. Loading rests after every batch of records, computing at its end.",
            ),
        )
