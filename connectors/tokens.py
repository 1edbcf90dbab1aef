"""Access tokens, and the store of rotating ones: each refresh gives a new pair and kills the old one.

So a new pair is on the disk before it is used; one refresher at a time holds the account's lock, across threads and
processes, and looks first whether another has refreshed already. A refresh token used a second time is what vendors
answer with "revoked". How a token server is asked is the vendor's own (`TokenServer`); that a killed run loses no
answer is `connectors/exchange.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec
from filelock import FileLock

from base.clock import Clock
from base.durable import write_private
from base.errors import CredentialsError, ServerFaultError, SourceError, UnreachableError
from base.points import reached
from base.secrets import Redactor, Secret
from base.text import Text, say
from base.times import from_unix, to_unix
from connectors.exchange import Ask, Exchange, Heard, digest
from connectors.token_files import make_private_folder, read_private
from connectors.vault import Vault

# One repetition after a lost answer: it may or may not have been heard, and a third try would only hammer.
ATTEMPTS = 2
PAUSE_SECONDS = 2.0


class Tokens(Protocol):
    """Where access tokens come from."""

    def current(self) -> Secret:
        """A token good for the next request.

        Raises:
            CredentialsError: there is none, and what a person should do.
        """

    def replace(self, refused: Secret) -> Secret | None:
        """A newer token than the one the server has refused; None when none can be had."""

    def expires_at(self) -> datetime | None:
        """When a person must act, None when unknown."""

    def close(self) -> None:
        """Release connections."""


class TokenPair(msgspec.Struct, frozen=True):
    """What the token file holds. `code_digest` tells which authorisation code the chain began with."""

    access_token: str
    refresh_token: str
    expires_at: int  # Unix seconds
    issued_at: int
    code_digest: str = ""
    # Where the account is reached, if not where the configuration says.
    address: str = ""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a token server has given; `expires_in` in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    address: str = ""


class TokenServer(Protocol):
    """What is a vendor's own: how a pair is asked for, what the answer means, what a person should do."""

    def ask_with_code(self, code: Secret) -> Ask: ...

    def ask_with_pair(self, pair: TokenPair) -> Ask:
        """A refresh, sent where `pair.address` says."""

    def read(self, heard: Heard) -> Grant:
        """The pair given.

        Raises:
            CredentialsError: refused for good.
            UnreachableError, ServerFaultError: no answer, or none of the token server's: to be asked again.
            SourceError: another leaf.
        """

    def find_new_address(self, pair: TokenPair) -> str | None:
        """Where the account has moved to, asked after a refused refresh; None: it has not, or nobody can say."""

    @property
    def new_code(self) -> Text:
        """How a person gets a new authorisation code."""


class RotatingTokens:
    """Access tokens of one account; the pair lives in one file of mode 0600 in `state_dir/tokens`, closed by `vault`.

    `name` identifies integration and account: two sources of one share the chain. It becomes a file name. A pair
    is refreshed `ahead` of its end; `refresh_life` is how long a refresh token lives from its issue.
    """

    def __init__(
        self,
        source: str,
        server: TokenServer,
        exchange: Callable[[Path], Exchange],
        *,
        name: str,
        code: Secret | None,
        clock: Clock,
        state_dir: Path,
        vault: Vault,
        redact: Redactor,
        wait_turn: Callable[[], None],
        ahead: timedelta,
        refresh_life: timedelta,
    ) -> None:
        self._source = source
        self._server = server
        self._code = code
        self._clock = clock
        self._redact = redact
        self._wait_turn = wait_turn
        self._ahead = ahead
        self._refresh_life = refresh_life
        self._path = state_dir / "tokens" / f"{name}.json"
        self._vault = vault
        make_private_folder(self._path.parent, vault)
        self._exchange = exchange(self._path)
        self._threads = threading.Lock()
        self._processes = FileLock(str(self._path) + ".lock")
        self._known: TokenPair | None = None

    def current(self) -> Secret:
        pair = self._known
        if pair is None or self._is_ending(pair):
            pair = self._renew(refused=None)
        return Secret(pair.access_token)

    def replace(self, refused: Secret) -> Secret | None:
        return Secret(self._renew(refused=refused).access_token)

    def expires_at(self) -> datetime | None:
        """When the refresh token ends, should nothing be loaded until then."""
        pair = self._known or self._read()
        return None if pair is None else from_unix(pair.issued_at) + self._refresh_life

    def address(self) -> str:
        """Where the account has moved to; '' while it is where the configuration says."""
        pair = self._known or self._read()
        return pair.address if pair else ""

    def close(self) -> None:
        return None

    def _renew(self, refused: Secret | None) -> TokenPair:
        """A pair that is not ending and not the refused one: another's, a refreshed one, or a code's first."""
        with self._threads, self._processes:
            stored = self._take_up_left_over(self._read(keeping=True))
            if stored is None:
                pair = self._redeem_code()
            elif self._is_usable(stored, refused):
                pair = stored
            else:
                pair = self._refresh_or_redeem(stored)
            self._known = pair
            return pair

    def _is_usable(self, pair: TokenPair, refused: Secret | None) -> bool:
        return not self._is_ending(pair) and (refused is None or pair.access_token != refused.reveal())

    def _take_up_left_over(self, stored: TokenPair | None) -> TokenPair | None:
        """The pair in an answer that a killed run did not live to store, else the stored one."""
        heard = self._exchange.left_over()
        if heard is None:
            return stored
        credential = stored.refresh_token if stored else self._code.reveal() if self._code else ""
        granted = self._granted_by(heard) if heard.spent == digest(credential) else None
        # An answer put to use long ago, or a plain refusal, would be settled too.
        pair = self._store(granted, stored, self._exchange.cut_off_at(credential)) if granted else stored
        if heard.status:
            self._exchange.settle()
        return pair

    def _granted_by(self, heard: Heard) -> Grant | None:
        try:
            return self._server.read(heard)
        except SourceError:
            return None

    def _redeem_code(self) -> TokenPair:
        if not self._code:
            what = say(
                "{source}: ещё нет токенов и нет code.", "{source}: no tokens yet, and no code.", source=self._source
            )
            raise CredentialsError(what, self._server.new_code)
        return self._grant(self._server.ask_with_code(self._code), None)

    def _refresh_or_redeem(self, stored: TokenPair) -> TokenPair:
        try:
            return self._refresh(stored)
        except CredentialsError:
            # The chain is lost; a code entered since is the person's answer to exactly that.
            if not self._code or digest(self._code.reveal()) == stored.code_digest:
                raise
            return self._redeem_code()

    def _refresh(self, stored: TokenPair) -> TokenPair:
        cut_off_at = self._exchange.cut_off_at(stored.refresh_token)
        try:
            return self._grant(self._server.ask_with_pair(stored), stored)
        except CredentialsError as error:
            address = self._server.find_new_address(stored)
            if address and address != stored.address:
                moved = msgspec.structs.replace(stored, address=address)
                return self._grant(self._server.ask_with_pair(moved), moved)
            if cut_off_at is None:
                raise
            raise CredentialsError(self._cut_off(cut_off_at, error), self._server.new_code) from None

    def _grant(self, request: Ask, before: TokenPair | None) -> TokenPair:
        pair = self._store(self._ask(request), before, None)
        self._exchange.settle()
        return pair

    def _ask(self, request: Ask) -> Grant:
        may_be_heard = False
        for attempt in range(1, ATTEMPTS + 1):
            self._wait_turn()
            heard = self._exchange.ask(request)
            may_be_heard |= heard.was_sent
            try:
                return self._server.read(heard)
            except (UnreachableError, ServerFaultError):
                if attempt < ATTEMPTS:
                    self._clock.sleep(PAUSE_SECONDS)
                    continue
                if not may_be_heard:
                    self._exchange.settle()
                raise
            except SourceError:
                # A plain answer: nothing about this request is open any more.
                self._exchange.settle()
                raise
        raise AssertionError("unreachable")

    def _store(self, granted: Grant, before: TokenPair | None, granted_at: datetime | None) -> TokenPair:
        now = to_unix(granted_at or self._clock.now())
        began_with = before.code_digest if before else digest(self._code.reveal() if self._code else "")
        address = granted.address or (before.address if before else "")
        pair = TokenPair(
            granted.access_token, granted.refresh_token, now + granted.expires_in, now, began_with, address
        )
        self._redact.learn(Secret(pair.access_token), Secret(pair.refresh_token))
        # On the disk for certain before anyone uses it: a pair lost now needs a person to authorise anew.
        self._write(msgspec.json.encode(pair))
        reached("tokens.after_write")
        return pair

    def _write(self, content: bytes) -> None:
        key = self._vault.key()
        write_private(self._path, key.seal(content, self._path.name) if key else content)

    def _read(self, *, keeping: bool = False) -> TokenPair | None:
        """The stored pair. `keeping`, under the lock: a file of another kind than chosen is written again as chosen."""
        stored = read_private(self._path, self._vault)
        if stored is None:
            return None
        content = self._vault.open(stored, self._path)
        try:
            pair = msgspec.json.decode(content, type=TokenPair)
        except (msgspec.DecodeError, UnicodeDecodeError):
            what = say(
                "{source}: файл токенов {path} повреждён.",
                "{source}: the token file {path} is damaged.",
                source=self._source,
                path=self._path,
            )
            raise CredentialsError(what, self._server.new_code) from None
        self._redact.learn(Secret(pair.access_token), Secret(pair.refresh_token))
        if keeping and not self._vault.is_kept_as_chosen(stored):
            self._write(content)
        return pair

    def _is_ending(self, pair: TokenPair) -> bool:
        return from_unix(pair.expires_at) - self._clock.now() < self._ahead

    def _cut_off(self, began_at: datetime, error: SourceError) -> Text:
        return say(
            "{source}: обновление токенов, начатое {began_at:%d.%m.%Y %H:%M} UTC, оборвалось вместе с машиной: "
            "источник уже сменил пару, а ответ до диска не дошёл. {reason}",
            "{source}: the renewal of tokens begun {began_at:%Y-%m-%d %H:%M} UTC was cut off with the machine: the "
            "source had changed the pair already, and its answer never reached the disk. {reason}",
            source=self._source,
            began_at=began_at,
            reason=error.what,
        )
