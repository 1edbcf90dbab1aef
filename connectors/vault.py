"""How the files of the token store are closed: plain, with a passphrase, or with a key in the system's keyring.

A closed file is AES-256-GCM over the whole content, bound to the file's name: one account's file is no other's, and a
changed byte is noticed. The key comes from the passphrase by scrypt, or is a random one that the keyring keeps. So
the keyring is written once for a file, not at every refresh: rotating pairs stay in files, which are on the disk for
certain before they are used, and no keyring promises that.

Reading takes any of the three kinds, so that the setting may change: the next refresh writes the chosen kind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from base.errors import CredentialsError
from base.secrets import Secret
from base.text import Text, say

PASSPHRASE_VARIABLE = "VORONKA_TOKEN_PASSPHRASE"
SERVICE = "voronka"
KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
# OWASP's figures for scrypt: 128 MB and a third of a second, once in a run.
SCRYPT_COST, SCRYPT_BLOCK, SCRYPT_LANES = 2**17, 8, 1

Lock = Literal["passphrase", "keyring"]


class Keyring(Protocol):
    """What is asked of `keyring`'s backends."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A closed file. `salt` makes the passphrase's key, or names the keyring's."""

    sealed: Literal[1]
    lock: Lock
    salt: bytes
    nonce: bytes
    content: bytes


class Key(msgspec.Struct, frozen=True):
    """What closes files: given to the process that asks for tokens, on its input only."""

    lock: Lock
    salt: bytes
    key: bytes

    def seal(self, content: bytes, name: str) -> bytes:
        """The content closed, for the file of this name."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        closed = AESGCM(self.key).encrypt(nonce, content, name.encode())
        return msgspec.json.encode(Sealed(sealed=1, lock=self.lock, salt=self.salt, nonce=nonce, content=closed))

    def __repr__(self) -> str:
        return f"Key({self.lock})"


def open_system_keyring() -> Keyring:
    """The keyring of the user who runs voronka.

    Raises:
        CredentialsError: there is none, as on most servers.
    """
    import keyring
    from keyring.backends.fail import Keyring as NoKeyring
    from keyring.errors import KeyringError

    try:
        found = keyring.get_keyring()
    except KeyringError as error:
        raise _no_keyring(type(error).__name__) from None
    if isinstance(found, NoKeyring):
        raise _no_keyring("no backend")
    return found


class Vault:
    """Opens and closes the files of one installation's token store. Safe to share between threads."""

    def __init__(
        self,
        store: Literal["file", "keyring"] = "file",
        passphrase: Secret | None = None,
        open_keyring: Callable[[], Keyring] = open_system_keyring,
    ) -> None:
        self._passphrase = passphrase
        self._open_keyring = open_keyring
        self.lock: Lock | None = "keyring" if store == "keyring" else "passphrase" if passphrase else None
        self._keys: dict[tuple[Lock, bytes], Key] = {}
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"Vault({self.lock})"

    def key(self) -> Key | None:
        """What files are closed with from now on; None: they stay plain. Asked before a token is spent.

        Raises:
            CredentialsError: the keyring can't be used.
        """
        if self.lock is None:
            return None
        with self._guard:
            known = next((key for key in self._keys.values() if key.lock == self.lock), None)
            return known or self._make_key(self.lock)

    def is_kept_as_chosen(self, content: bytes) -> bool:
        """False: the file is of another kind than the setting asks for, and is to be written again."""
        sealed = _read_sealed(content)
        return (sealed.lock if sealed else None) == self.lock

    def open(self, content: bytes, path: Path) -> bytes:
        """The content of a file, whichever kind it is of.

        Raises:
            CredentialsError: no passphrase or another one, no keyring, or the file was changed; nothing is lost by it.
        """
        sealed = _read_sealed(content)
        if sealed is None:
            return content
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        with self._guard:
            key = self._keys.get((sealed.lock, sealed.salt)) or self._find_key(sealed, path)
        try:
            opened = AESGCM(key.key).decrypt(sealed.nonce, sealed.content, path.name.encode())
        except (InvalidTag, ValueError):
            raise _does_not_open(path, sealed.lock) from None
        with self._guard:
            # Only now is the key known to be right: a second guess costs scrypt again.
            self._keys[sealed.lock, sealed.salt] = key
        return opened

    def _find_key(self, sealed: Sealed, path: Path) -> Key:
        if sealed.lock == "passphrase":
            if self._passphrase is None:
                raise _passphrase_is_missing(path)
            return _derive(self._passphrase, sealed.salt)
        stored = self._ask_keyring(lambda keyring: keyring.get_password(SERVICE, sealed.salt.hex()))
        if stored is None:
            raise _key_is_gone(path)
        return Key("keyring", sealed.salt, _from_hex(stored))

    def _make_key(self, lock: Lock) -> Key:
        salt = os.urandom(SALT_BYTES)
        if lock == "passphrase":
            assert self._passphrase is not None
            key = _derive(self._passphrase, salt)
        else:
            key = Key("keyring", salt, os.urandom(KEY_BYTES))
            self._ask_keyring(lambda keyring: keyring.set_password(SERVICE, salt.hex(), key.key.hex()))
            # What a keyring does not give back must close nothing.
            if self._ask_keyring(lambda keyring: keyring.get_password(SERVICE, salt.hex())) != key.key.hex():
                raise _no_keyring("it does not keep what it is given")
        self._keys[lock, salt] = key
        return key

    def _ask_keyring(self, ask: Callable[[Keyring], str | None]) -> str | None:
        from keyring.errors import KeyringError

        keyring = self._open_keyring()
        try:
            return ask(keyring)
        except KeyringError as error:
            raise _no_keyring(f"{type(error).__name__}: {error}") from None


def _read_sealed(content: bytes) -> Sealed | None:
    try:
        return msgspec.json.decode(content, type=Sealed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _derive(passphrase: Secret, salt: bytes) -> Key:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kdf = Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_COST, r=SCRYPT_BLOCK, p=SCRYPT_LANES)
    return Key("passphrase", salt, kdf.derive(passphrase.reveal().encode("utf-8", "surrogateescape")))


def _from_hex(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    # A key that was changed in the keyring opens nothing, and that is told like a changed file.
    return found if len(found) == KEY_BYTES else bytes(KEY_BYTES)


# ── what a person is told ───────────────────────────────────────────────────────────────────────────────────────


def _passphrase_is_missing(path: Path) -> CredentialsError:
    return CredentialsError(
        say(
            "Файл токенов {path} закрыт парольной фразой, а её нет.",
            "The token file {path} is closed with a passphrase, and there is none.",
            path=path,
        ),
        say(
            "Задайте {name} в окружении или [tokens] passphrase_file в voronka.toml.",
            "Set {name} in the environment, or [tokens] passphrase_file in voronka.toml.",
            name=PASSPHRASE_VARIABLE,
        ),
    )


def _does_not_open(path: Path, lock: Lock) -> CredentialsError:
    by_phrase = say(
        "Верните прежнюю парольную фразу. Если она потеряна, удалите файл и подключите источник заново (новый code).",
        "Put the former passphrase back. If it is lost, remove the file and connect the source anew (a new code).",
    )
    return CredentialsError(
        say(
            "Файл токенов {path} не открывается: фраза или ключ не те, или файл изменён.",
            "The token file {path} does not open: another passphrase or key, or the file was changed.",
            path=path,
        ),
        by_phrase if lock == "passphrase" else _NEW_CODE,
    )


def _key_is_gone(path: Path) -> CredentialsError:
    return CredentialsError(
        say(
            "В связке ключей системы нет ключа к файлу токенов {path}: её вёл другой пользователь или другая машина.",
            "The system's keyring lacks the key to the token file {path}: another user or machine kept it.",
            path=path,
        ),
        _NEW_CODE,
    )


def _no_keyring(why: str) -> CredentialsError:
    return CredentialsError(
        say(
            "Связка ключей системы недоступна ({why}); на сервере без рабочего стола её обычно нет.",
            "The system's keyring is not available ({why}); a server without a desktop usually has none.",
            why=why,
        ),
        say(
            'Поставьте [tokens] store = "file" в voronka.toml и парольную фразу в {name}.',
            'Set [tokens] store = "file" in voronka.toml, and a passphrase in {name}.',
            name=PASSPHRASE_VARIABLE,
        ),
    )


_NEW_CODE: Text = say(
    "Запустите voronka тем же пользователем на той же машине; иначе удалите файл и подключите источник заново "
    "(новый code).",
    "Run voronka as the same user on the same machine; else remove the file and connect the source anew (a new code).",
)
