"""The files of the token store: for their owner only, whatever made them wider.

A file or folder that others may enter is narrowed, and that is logged: whoever could read it has had the chance. Where
rights can't be narrowed (another owner, a file system that keeps none) a plain file is refused, a closed one is not.
"""

from __future__ import annotations

import errno
import logging
import os
from contextlib import suppress
from pathlib import Path

from base.errors import CredentialsError
from base.text import say
from connectors.vault import PASSPHRASE_VARIABLE, Vault

logger = logging.getLogger("voronka.tokens")

OTHERS = 0o077


def make_private_folder(folder: Path, vault: Vault) -> None:
    """The folder, there and closed to others, before any token is asked for.

    Raises:
        CredentialsError: it stays open to others, and the store is plain.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _narrow(descriptor, folder, 0o700, vault)
    finally:
        os.close(descriptor)


def read_private(path: Path, vault: Vault) -> bytes | None:
    """A file of the store as it stands on the disk; None: there is none.

    Raises:
        CredentialsError: it is a link, or others may read it and that can't be changed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        what = say(
            "Файл токенов {path} — ссылка; такой файл может подменить другой.",
            "The token file {path} is a link; another might put its own file there.",
            path=path,
        )
        raise CredentialsError(what, say("Положите сам файл вместо ссылки.", "Put the file itself there.")) from None
    with os.fdopen(descriptor, "rb") as file:
        _narrow(file.fileno(), path, 0o600, vault)
        return file.read()


def _narrow(descriptor: int, path: Path, mode: int, vault: Vault) -> None:
    found = os.fstat(descriptor).st_mode & 0o777
    if not found & OTHERS:
        return
    # Another owner's is judged below, by what it is still open for.
    with suppress(PermissionError):
        os.fchmod(descriptor, mode)
    if not os.fstat(descriptor).st_mode & OTHERS:
        logger.warning("event=token_store_narrowed path=%s mode_was=%03o mode=%03o", path, found, mode)
        return
    if vault.lock is None:
        raise CredentialsError(
            say(
                "{path} открыт другим пользователям (права {mode}), и закрыть его не получается.",
                "{path} is open to other users (mode {mode}), and can't be closed to them.",
                path=path,
                mode=f"{found:03o}",
            ),
            say(
                "Сделайте владельцем пользователя voronka и выполните chmod {wanted}, или закройте файлы парольной "
                "фразой ({name}).",
                "Make voronka's user the owner and run chmod {wanted}, or close the files with a passphrase ({name}).",
                wanted=f"{mode:o}",
                name=PASSPHRASE_VARIABLE,
            ),
        )
