"""Signing: the text that is signed must be the text that is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from base.secrets import Secret


def sign(api_key: str, text: str, api_salt: str) -> str:
    """Lower-case hex of SHA-256 over key, text and salt joined. Not an HMAC, whatever published clients do."""
    return sha256(f"{api_key}{text}{api_salt}".encode()).hexdigest()


def build_form(api_key: Secret, api_salt: Secret, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The three form fields of a request. A method without parameters is asked with `{}`, not with nothing."""
    text = json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))
    return {
        "vpbx_api_key": api_key.reveal(),
        "sign": sign(api_key.reveal(), text, api_salt.reveal()),
        "json": text,
    }
