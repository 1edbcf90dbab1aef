"""The company's key: what makes a phone into a token that nobody without the key can turn back or make again.

A phone has ten digits: a hash without a key is undone in a minute. The key is random, made once, and lies outside the
databases in a file for its owner only; whoever gets a masked file must not get the key.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from base.durable import PRIVATE, write_private
from base.errors import WarehouseError
from base.text import say

FILE = "company.key"
KEY_BYTES = 32


@dataclass(frozen=True)
class CompanyKey:
    """32 random bytes, from which a key for each purpose is derived; none of them is shown."""

    _secret: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose: knowing one tells nothing of another."""
        return blake2b(purpose.encode(), key=self._secret, digest_size=KEY_BYTES).digest()

    @property
    def fingerprint(self) -> str:
        """Tells one key from another, and nothing of either."""
        return self.derive("fingerprint").hex()[:16]


def throwaway_key() -> CompanyKey:
    """A key that nobody will ever have again: its tokens hold together within one file and with nothing else."""
    return CompanyKey(secrets.token_bytes(KEY_BYTES))


def company_key(state_dir: Path) -> CompanyKey:
    """The installation's key, made at its first use. The caller holds the writer's lock.

    Raises:
        WarehouseError: the file is there and holds no key.
    """
    path = state_dir / FILE
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        key = secrets.token_bytes(KEY_BYTES)
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, key.hex().encode() + b"\n")
        return CompanyKey(key)
    except UnicodeDecodeError:
        text = ""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise WarehouseError(
            say("В файле {path} нет ключа компании.", "{path} holds no company key.", path=path),
            say(
                "Верните файл из резервной копии. Удалите его, только если им никого не забывали и маскированные "
                "файлы можно сделать заново: с новым ключом номера в них станут другими.",
                "Restore the file from a backup. Delete it only if nobody was forgotten with it and masked files may "
                "be made anew: with a new key their numbers become others.",
            ),
        )
    if path.stat().st_mode & 0o077:
        os.chmod(path, PRIVATE)
    return CompanyKey(key)
