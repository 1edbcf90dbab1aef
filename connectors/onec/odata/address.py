"""Addresses of the OData interface: where it is, and queries as 1C reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote, urlsplit

SERVICE = "/odata/standard.odata"
# 1C wants these as they are, and a space as %20: the `+` of forms is refused or ignored.
_READABLE = "$'(),=:-"


def service_root(url: str) -> str:
    """The interface's address: a publication's (`https://host/base`) or the full one, without a slash at the end."""
    root = url.strip().split("?", 1)[0].rstrip("/")
    return root if root.casefold().endswith(SERVICE) else root + SERVICE


def has_credentials(url: str) -> bool:
    """True: a user or a password stands in the address itself."""
    return "@" in urlsplit(url.strip()).netloc


def query_of(options: Sequence[tuple[str, str]]) -> str:
    """A query string in the order given."""
    return "&".join(f"{name}={quote(value, safe=_READABLE)}" for name, value in options)


def path_of(entity_set: str, *, key: str | None = None) -> str:
    """The path of a set, or of one entity of it; names are Cyrillic."""
    return quote(entity_set) + (f"(guid'{key}')" if key else "")


def moment(value: datetime) -> str:
    """A literal of a local time; 1C knows no zones."""
    return f"datetime'{value:%Y-%m-%dT%H:%M:%S}'"
