"""Helper processes: pieces of work done side by side by processes of our own, over pipes.

A helper lives on what comes through its pipe: it ends when the pipe does, however its parent ended. So a parent that
was killed leaves none behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Protocol, Self

_LENGTH_BYTES = 8
# A helper takes and frees the same megabytes at every piece. Where they are kept, and by the C library alone, the
# system clears no pages anew: one that read statements, alone, took 27 µs a document and not 39. Mapping gains nothing.
_KEPT_BYTES = "33554432"
STEADY_MEMORY = {
    "PYTHONMALLOC": "malloc",
    "MALLOC_MMAP_THRESHOLD_": _KEPT_BYTES,
    "MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES,
}
ROOT = Path(__file__).parent.parent


class HelperError(Exception):
    """A helper ended before it had answered, or none could be started: the work has to be done in another way."""


class Crew(Protocol):
    """Whoever takes pieces of work: `Helpers`, as far as those who hand the pieces out need them."""

    def submit(self, piece: bytes) -> Future[bytes]:
        """The answer to a piece; its `result` raises HelperError if the helper is gone."""


class Helpers:
    """`count` processes of `python -m module`, each of which calls `serve`. A piece and its answer are bytes.

    Raises:
        HelperError: no process can be started.
    """

    def __init__(self, module: str, count: int) -> None:
        self._free: SimpleQueue[_Helper] = SimpleQueue()
        self._all: list[_Helper] = []
        try:
            for _ in range(count):
                self._all.append(_Helper(module))
                self._free.put(self._all[-1])
        except OSError as error:
            self.close()
            raise HelperError(str(error)) from None
        # A thread a helper: it hands a piece over and waits for the answer.
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="helper")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.close()

    @property
    def process_ids(self) -> list[int]:
        return [helper.process_id for helper in self._all]

    def submit(self, piece: bytes) -> Future[bytes]:
        """The answer, once a helper has it; its `result` raises HelperError if the helper is gone."""
        return self._threads.submit(self._ask, piece)

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for helper in self._all:
            helper.close()

    def _ask(self, piece: bytes) -> bytes:
        helper = self._free.get()
        try:
            return helper.ask(piece)
        finally:
            self._free.put(helper)


class _Helper:
    def __init__(self, module: str) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_memory(), **os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )

    @property
    def process_id(self) -> int:
        return self._process.pid

    def ask(self, piece: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            _send(self._process.stdin, piece)
            answer = _receive(self._process.stdout)
        except (OSError, ValueError) as error:  # ValueError: closed meanwhile
            raise HelperError(type(error).__name__) from None
        if answer is None:
            raise HelperError("ended")
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what it still held for a process that is gone


def _memory() -> dict[str, str]:
    """Said to glibc only: other C libraries have slower ways of their own."""
    try:
        is_glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError, AttributeError):
        is_glibc = False
    return STEADY_MEMORY if is_glibc else {}


def serve(work: Callable[[bytes], bytes]) -> None:
    """A helper's life: answer pieces until there are no more."""
    # Ctrl-C is meant for the parent, whose end ends this process, too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pieces, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Nothing that is printed by mistake gets between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (piece := _receive(pieces)) is not None:
        try:
            _send(answers, work(piece))
        except BrokenPipeError:
            return


def _send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(len(content).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """None: the other side is gone."""
    length = pipe.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(length, "big")
    content = pipe.read(size)
    return content if len(content) == size else None
