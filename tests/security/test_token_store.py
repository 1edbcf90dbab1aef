"""The token store: nobody but its owner reads it, with a passphrase or a keyring nobody reads it at all."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked

from base.clock import FakeClock
from base.errors import CredentialsError
from base.secrets import Redactor, Secret
from base.text import LANGUAGES, say
from connectors.exchange import Ask, Exchange, Heard
from connectors.tokens import Grant, RotatingTokens, TokenPair
from connectors.vault import Key, Vault, open_system_keyring

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
PASSPHRASE = "long horse battery staple"
HOUR = 3600


class ScriptedServer:
    """A token server without a network: grants `access-N`, `refresh-N`, one after another."""

    new_code = say("Новый код", "A new code")

    def ask_with_code(self, code: Secret) -> Ask:
        return Ask(url="https://vendor.test/token", body={"code": code.reveal()}, credential=code.reveal())

    def ask_with_pair(self, pair: TokenPair) -> Ask:
        return Ask(url="https://vendor.test/token", body={"t": pair.refresh_token}, credential=pair.refresh_token)

    def read(self, heard: Heard) -> Grant:
        return msgspec.json.decode(heard.content, type=Grant)

    def find_new_address(self, pair: TokenPair) -> str | None:
        return None


@dataclass
class MemoryKeyring:
    """A keyring of this process. `refusal` is what a locked one raises."""

    kept: dict[tuple[str, str], str] = field(default_factory=dict)
    refusal: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.refusal:
            raise self.refusal
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.refusal:
            raise self.refusal
        self.kept[service, username] = password


@dataclass
class Store:
    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    granted: int = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.granted += 1
        return httpx.Response(
            200,
            json={
                "access_token": f"access-{self.granted}",
                "refresh_token": f"refresh-{self.granted}",
                "expires_in": HOUR,
            },
        )

    def tokens(self, vault: Vault, *, transport: httpx.BaseTransport | None = None) -> RotatingTokens:
        """One run's tokens of the account."""
        return RotatingTokens(
            "crm",
            ScriptedServer(),
            lambda path: Exchange(
                path, clock=self.clock, vault=vault, transport=transport or httpx.MockTransport(self.answer)
            ),
            name="account",
            code=Secret("first-code"),
            clock=self.clock,
            state_dir=self.folder,
            vault=vault,
            redact=Redactor(),
            wait_turn=lambda: None,
            ahead=timedelta(minutes=5),
            refresh_life=timedelta(days=90),
        )

    @property
    def file(self) -> Path:
        return self.folder / "tokens" / "account.json"

    def holds(self, text: str) -> bool:
        return any(text.encode() in path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture(scope="module")
def closed() -> Vault:
    """One for the module: a key is a third of a second's work."""
    return Vault(passphrase=Secret(PASSPHRASE))


# ── rights ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_store_is_its_owners_alone_whatever_the_umask(store: Store) -> None:
    """Would catch a file created by the process's habit and narrowed afterwards."""
    before = os.umask(0)
    try:
        store.tokens(Vault()).current()
    finally:
        os.umask(before)
    files = [path for path in (store.folder / "tokens").iterdir() if path.suffix != ".lock"]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert store.file.parent.stat().st_mode & 0o777 == 0o700


def test_a_widened_file_and_folder_are_narrowed_and_that_is_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A restore from a backup or a careless chmod must not stay."""
    store.tokens(Vault()).current()
    store.file.chmod(0o644)
    store.file.parent.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        assert store.tokens(Vault()).current().reveal() == "access-1"
    assert store.file.stat().st_mode & 0o777 == 0o600
    assert store.file.parent.stat().st_mode & 0o777 == 0o700
    assert "mode_was=644" in caplog.text
    assert "access-1" not in caplog.text


def test_a_temporary_file_of_a_killed_run_gives_no_wider_mode(store: Store) -> None:
    store.tokens(Vault()).current()
    left = store.file.with_name("account.json.new")
    left.write_text("{}")
    left.chmod(0o666)
    store.clock.advance(2 * HOUR)
    store.tokens(Vault()).current()
    assert store.file.stat().st_mode & 0o777 == 0o600


def test_a_link_in_the_place_of_the_file_is_refused(store: Store, tmp_path: Path) -> None:
    store.tokens(Vault()).current()
    elsewhere = tmp_path / "elsewhere.json"
    store.file.rename(elsewhere)
    store.file.symlink_to(elsewhere)
    with pytest.raises(CredentialsError, match="is a link"):
        store.tokens(Vault()).current()
    assert store.granted == 1


# ── closed files ────────────────────────────────────────────────────────────────────────────────────────────────


def test_with_a_passphrase_no_token_stands_on_the_disk(store: Store, closed: Vault) -> None:
    """Looked at in the moment of each request too, when its intent is there and the former answer was."""
    seen: list[bool] = []

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(store.holds("access-") or store.holds("refresh-"))
        return store.answer(request)

    store.tokens(closed, transport=httpx.MockTransport(look)).current()
    store.clock.advance(2 * HOUR)
    tokens = store.tokens(closed, transport=httpx.MockTransport(look))
    assert tokens.current().reveal() == "access-2"
    seen.append(store.holds("access-") or store.holds("refresh-") or store.holds("first-code"))
    assert seen == [False, False, False]
    # Another process, which has the passphrase only.
    assert store.tokens(Vault(passphrase=Secret(PASSPHRASE))).current().reveal() == "access-2"


def test_the_answer_of_a_killed_run_lies_closed_and_is_taken_up(store: Store, closed: Vault) -> None:
    """Between answer and file the pair is in the answer's file alone: it must be closed there too."""
    store.tokens(closed).current()
    store.clock.advance(2 * HOUR)
    exchange = Exchange(store.file, clock=store.clock, vault=closed, transport=httpx.MockTransport(store.answer))
    exchange.ask(ScriptedServer().ask_with_pair(TokenPair("access-1", "refresh-1", 0, 0)))
    assert store.file.with_suffix(".answer").exists()
    assert not store.holds("access-2")
    assert store.tokens(closed).current().reveal() == "access-2"
    assert store.granted == 2


def test_a_plain_file_is_closed_at_its_next_reading(store: Store, closed: Vault) -> None:
    """Setting a passphrase must not need a new authorisation."""
    store.tokens(Vault()).current()
    assert store.holds("access-1")
    assert store.tokens(closed).current().reveal() == "access-1"
    assert not store.holds("access-1")
    assert store.granted == 1


def test_another_passphrase_or_none_is_told_and_costs_nothing(store: Store, closed: Vault) -> None:
    """The refresh token must not be spent, nor the file written, by a run that can't read it."""
    store.tokens(closed).current()
    before = store.file.read_bytes()
    with pytest.raises(CredentialsError, match="does not open"):
        store.tokens(Vault(passphrase=Secret("another passphrase"))).current()
    with pytest.raises(CredentialsError, match="closed with a passphrase, and there is none") as caught:
        store.tokens(Vault()).current()
    assert "VORONKA_TOKEN_PASSPHRASE" in str(caught.value.remedy)
    assert store.file.read_bytes() == before
    assert store.granted == 1


def test_a_changed_byte_and_another_accounts_file_are_noticed(store: Store, closed: Vault) -> None:
    key = closed.key()
    assert key is not None
    sealed = key.seal(b"content", "one.json")
    assert closed.open(sealed, Path("one.json")) == b"content"
    with pytest.raises(CredentialsError, match="does not open"):
        closed.open(sealed, Path("two.json"))
    cut = msgspec.json.decode(sealed)
    cut["content"] = cut["content"][:-8] + "AAAAAAA="
    with pytest.raises(CredentialsError, match="does not open"):
        closed.open(msgspec.json.encode(cut), Path("one.json"))


def test_no_two_files_are_closed_with_one_nonce(closed: Vault) -> None:
    """AES-GCM gives its key away to whoever sees a nonce twice."""
    key = closed.key()
    assert key is not None
    nonces = {msgspec.json.decode(key.seal(b"same", "one.json"))["nonce"] for _ in range(50)}
    assert len(nonces) == 50


# ── keyring ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_keyring_keeps_a_key_and_no_token(store: Store) -> None:
    keyring = MemoryKeyring()
    assert store.tokens(Vault("keyring", open_keyring=lambda: keyring)).current().reveal() == "access-1"
    assert not store.holds("access-1")
    assert len(keyring.kept) == 1
    assert "access-1" not in str(keyring.kept)
    [key] = keyring.kept.values()
    assert not store.holds(key)
    # A later process opens it, and makes no second key.
    store.clock.advance(2 * HOUR)
    assert store.tokens(Vault("keyring", open_keyring=lambda: keyring)).current().reveal() == "access-2"
    assert len(keyring.kept) == 1


def test_from_a_passphrase_to_the_keyring_and_back_without_a_new_code(store: Store, closed: Vault) -> None:
    keyring = MemoryKeyring()
    store.tokens(closed).current()
    moved = Vault("keyring", passphrase=Secret(PASSPHRASE), open_keyring=lambda: keyring)
    assert store.tokens(moved).current().reveal() == "access-1"
    # By now the passphrase is not needed any more.
    assert store.tokens(Vault("keyring", open_keyring=lambda: keyring)).current().reveal() == "access-1"
    assert store.tokens(Vault("file", open_keyring=lambda: keyring)).current().reveal() == "access-1"
    assert store.holds("access-1")
    assert store.granted == 1


def _forgetful() -> MemoryKeyring:
    class Forgetful(MemoryKeyring):
        def set_password(self, service: str, username: str, password: str) -> None:
            return None

    return Forgetful()


@pytest.mark.parametrize(
    ("open_keyring", "reason"),
    [
        (lambda: MemoryKeyring(refusal=KeyringLocked("locked")), "KeyringLocked"),
        (NoKeyring, "NoKeyringError"),
        (_forgetful, "does not keep"),
    ],
    ids=["locked", "none", "forgetful"],
)
def test_a_keyring_that_can_not_be_used_is_told_before_a_token_is_spent(
    store: Store, open_keyring: Callable[[], MemoryKeyring], reason: str
) -> None:
    with pytest.raises(CredentialsError, match=reason) as caught:
        store.tokens(Vault("keyring", open_keyring=open_keyring)).current()
    assert "VORONKA_TOKEN_PASSPHRASE" in str(caught.value.remedy)
    assert store.granted == 0


def test_a_lost_key_is_told_with_what_to_do(store: Store) -> None:
    store.tokens(Vault("keyring", open_keyring=MemoryKeyring().__class__)).expires_at()
    keyring = MemoryKeyring()
    store.tokens(Vault("keyring", open_keyring=lambda: keyring)).current()
    keyring.kept.clear()
    with pytest.raises(CredentialsError, match="lacks the key") as caught:
        store.tokens(Vault("keyring", open_keyring=lambda: keyring)).current()
    assert "new code" in str(caught.value.remedy)


def test_a_server_without_a_keyring_is_told_so() -> None:
    """The real package, with the backend that it falls back to where there is no desktop."""
    import keyring

    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    try:
        with pytest.raises(CredentialsError, match="not available"):
            open_system_keyring()
    finally:
        keyring.set_keyring(before)


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────


def test_neither_key_nor_passphrase_is_shown(closed: Vault) -> None:
    key = closed.key()
    assert key is not None
    shown = f"{closed!r} {key!r} {Key('keyring', b'salt', key.key)} {closed}"
    assert PASSPHRASE not in shown
    assert str(key.key) not in shown
    with pytest.raises(CredentialsError) as caught:
        Vault().open(key.seal(b"x", "a.json"), Path("a.json"))
    for language in LANGUAGES:
        assert PASSPHRASE not in caught.value.render(language)


# ── kills ───────────────────────────────────────────────────────────────────────────────────────────────────────

KILLED_RUN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from base.secrets import Secret
from connectors.vault import Vault
from tests.security.test_token_store import HOUR, Store
store = Store(Path(sys.argv[1]), granted=1)
store.clock.advance(2 * HOUR)
store.tokens(Vault(passphrase=Secret(sys.argv[2]))).current()
"""


@pytest.mark.e2e
@pytest.mark.parametrize("point", ["tokens.after_answer", "tokens.after_write"])
def test_a_kill_during_a_closed_refresh_leaves_a_pair_that_opens(store: Store, closed: Vault, point: str) -> None:
    """A closed store must be as durable as a plain one: the answer is on the disk before it is used."""
    store.tokens(closed).current()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, store.folder, PASSPHRASE],
        env={**os.environ, "VORONKA_KILL_AT": point},
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not store.holds("refresh-2")
    store.clock.advance(2 * HOUR)
    assert store.tokens(Vault(passphrase=Secret(PASSPHRASE))).replace(Secret("access-1")) == Secret("access-2")
    assert store.granted == 1
