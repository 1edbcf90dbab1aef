"""A request that may be made only once, and whose answer must not be lost: a refresh of rotating tokens.

The vendor kills the old pair in the moment it answers, so an answer that dies with us locks the account out until a
person authorises anew. Therefore the request is made by a process of its own, in a session of its own: it writes the
answer to the disk, and lives on when the run that started it is killed. The next run waits for it and takes the
answer up. What remains is a machine that stops at that moment: an intent written before tells the next run so.

Run as a program (`python -m connectors.exchange`), this module is that process; secrets reach it by its input only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import httpx
import msgspec

from base.clock import Clock
from base.durable import write_private
from base.points import reached
from base.times import from_unix, to_unix
from connectors.decode import text_of
from connectors.token_files import read_private
from connectors.vault import Key, Vault

# More than any token answer; a page of the vendor's edge need not be kept whole.
LONGEST_ANSWER = 64 * 1024
PROJECT = Path(__file__).resolve().parents[1]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The request. `credential` is what it spends: a code or a refresh token, part of `body` too."""

    url: str
    body: dict[str, str]
    credential: str
    encoding: Literal["json", "form"] = "json"
    headers: dict[str, str] = {}
    timeout: float = 15.0


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `status` 0: no answer, `error` says why; `spent` is the credential's digest."""

    spent: str
    status: int = 0
    content: str = ""
    error: str = ""
    # False: the request surely never reached the vendor.
    was_sent: bool = True


class _Intent(msgspec.Struct, frozen=True):
    spent: str
    began_at: int  # Unix seconds


class _Order(msgspec.Struct, frozen=True):
    """What the process is told."""

    ask: Ask
    answer_path: str
    # What the answer is closed with; None: it lies there plain.
    key: Key | None = None


class Exchange:
    """Single-use requests of one account; `path` is the stem of its files, all of mode 0600.

    Callers hold the account's lock. `vault` closes the answer, which holds tokens; `transport` (tests) is asked in
    this process.
    """

    def __init__(self, path: Path, *, clock: Clock, vault: Vault, transport: httpx.BaseTransport | None = None) -> None:
        self._answer = path.with_suffix(".answer")
        self._intent = path.with_suffix(".intent")
        self._lock = path.with_suffix(".asking")
        self._clock = clock
        self._vault = vault
        self._transport = transport

    def ask(self, request: Ask) -> Heard:
        """Make the request; its answer is on the disk before this returns, until `settle`.

        Raises:
            CredentialsError: the answer could not be kept as chosen; nothing was asked.
        """
        key = self._vault.key()
        with self._held() as descriptor:
            self._answer.unlink(missing_ok=True)
            intent = _Intent(digest(request.credential), to_unix(self._clock.now()))
            write_private(self._intent, msgspec.json.encode(intent))
            reached("tokens.before_refresh")
            order = _Order(request, str(self._answer), key)
            if self._transport is None:
                _run_apart(msgspec.json.encode(order), descriptor)
            else:
                _carry_out(order, self._transport)
            heard = self._read_answer()
        reached("tokens.after_answer")
        return heard or Heard(spent=digest(request.credential), error="the asking process left no answer")

    def left_over(self) -> Heard | None:
        """The answer a killed run did not take up; waits for a request that is still under way."""
        with self._held():
            return self._read_answer()

    def cut_off_at(self, credential: str) -> datetime | None:
        """When a request spending this credential began whose answer nobody ever saw; None: there is none."""
        try:
            intent = msgspec.json.decode(self._intent.read_bytes(), type=_Intent)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return from_unix(intent.began_at) if intent.spent == digest(credential) else None

    def settle(self) -> None:
        """The answer has been put to use, or was a plain refusal: nothing of it stays."""
        self._answer.unlink(missing_ok=True)
        self._intent.unlink(missing_ok=True)

    def _read_answer(self) -> Heard | None:
        content = read_private(self._answer, self._vault)
        if content is None:
            return None
        try:
            return msgspec.json.decode(self._vault.open(content, self._answer), type=Heard)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    @contextmanager
    def _held(self) -> Iterator[int]:
        """A lock that the asking process inherits, so it holds for as long as that one lives."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def digest(credential: str) -> str:
    """Tells two credentials apart and gives neither away."""
    return hashlib.sha256(credential.encode()).hexdigest()[:16] if credential else ""


def _run_apart(order: bytes, descriptor: int) -> None:
    """A session of its own: neither Ctrl-C nor a signal to our process group reaches it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "connectors.exchange"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[descriptor],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert process.stdin is not None
    try:
        process.stdin.write(order)
        process.stdin.close()
    except BrokenPipeError:
        pass  # It died before it read: no answer will be found, and that is told.
    process.wait()


def _carry_out(order: _Order, transport: httpx.BaseTransport | None = None) -> None:
    ask = order.ask
    spent = digest(ask.credential)
    as_json, as_form = (ask.body, None) if ask.encoding == "json" else (None, ask.body)
    try:
        with httpx.Client(transport=transport, timeout=ask.timeout, follow_redirects=False) as client:
            response = client.post(ask.url, headers=ask.headers, json=as_json, data=as_form)
        heard = Heard(spent=spent, status=response.status_code, content=text_of(response)[:LONGEST_ANSWER])
    except httpx.HTTPError as error:
        was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)
        heard = Heard(spent=spent, error=f"{type(error).__name__}: {error}", was_sent=was_sent)
    reached("tokens.before_answer_kept")
    path, content = Path(order.answer_path), msgspec.json.encode(heard)
    write_private(path, order.key.seal(content, path.name) if order.key else content)


def main() -> None:
    """Carry out the order given on standard input."""
    _carry_out(msgspec.json.decode(sys.stdin.buffer.read(), type=_Order))


if __name__ == "__main__":
    main()
