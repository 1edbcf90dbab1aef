"""The `[tokens]` table: where the keys to rotating tokens are kept.

    [tokens]
    store = "file"                              # or "keyring": the key to the files is in the system's keyring
    passphrase_file = "/run/secrets/voronka"    # else the passphrase is the variable VORONKA_TOKEN_PASSPHRASE

Without a passphrase the files are plain, of mode 0600.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from base.secrets import Secret
from base.text import say
from connectors.vault import PASSPHRASE_VARIABLE, Vault
from voronka.config_values import Values, absolute

KEYS = ("store", "passphrase_file")
# A passphrase in a file is a line; more is another file named by mistake.
LONGEST_PASSPHRASE = 4096


def read_vault(table: dict[str, Any], root: Path, values: Values, *, is_used: bool) -> Vault:
    """The vault of the section; problems are noted in `values`. Not `is_used`: the passphrase need not be there."""
    store: Any = "file"
    if "store" in table:
        store = values.convert(table["store"], Literal["file", "keyring"], ("tokens", "store"))
    passphrase = _from_variable(values)
    if "passphrase_file" in table and is_used:
        if passphrase is not None:
            both = say(
                "задана и переменная {name}; оставьте одно",
                "the variable {name} is set too; keep one",
                name=PASSPHRASE_VARIABLE,
            )
            values.problem(("tokens", "passphrase_file"), both)
        passphrase = _from_file(table["passphrase_file"], root, values)
    return Vault("file" if store is msgspec.UNSET else store, passphrase)


def _from_variable(values: Values) -> Secret | None:
    text = (values.variable(PASSPHRASE_VARIABLE) or "").strip()
    return _noted(text, values) if text else None


def _from_file(value: Any, root: Path, values: Values) -> Secret | None:
    place = ("tokens", "passphrase_file")
    named = values.convert(value, Path, place)
    if named is msgspec.UNSET:
        return None
    path = absolute(root, named)
    try:
        with path.open("rb") as file:
            is_open = os.fstat(file.fileno()).st_mode & 0o077
            text = file.read(LONGEST_PASSPHRASE + 1).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "UTF-8?"
        values.problem(place, say("не читается {path}: {e}", "can't read {path}: {e}", path=path, e=reason))
        return None
    if is_open:
        wide = say(
            "{path} открыт другим пользователям; выполните chmod 600",
            "{path} is open to other users; run chmod 600",
            path=path,
        )
        values.problem(place, wide)
    if not text or len(text) > LONGEST_PASSPHRASE:
        values.problem(place, say("{path}: нужна одна строка", "{path}: one line is needed", path=path))
        return None
    return _noted(text, values)


def _noted(text: str, values: Values) -> Secret:
    """Redacted wherever it might be shown."""
    secret = Secret(text)
    values.secrets.append(secret)
    return secret
