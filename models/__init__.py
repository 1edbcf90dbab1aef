"""Every relation of the warehouse, one module a subject. Asking for `WAREHOUSE` or `RAW` declares them all.

Nothing is imported before: a load does with `models.shapes`, and declaring takes longer than a small load's start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.columns import RAW as RAW
    from models.columns import WAREHOUSE as WAREHOUSE

_SUBJECTS = (
    "calc",
    "calls",
    "customers",
    "deals",
    "facts",
    "fields",
    "invoices",
    "landing",
    "leads",
    "money",
    "operations",
    "people",
    "revision",
)


def __getattr__(name: str) -> Any:
    if name not in ("RAW", "WAREHOUSE"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for subject in _SUBJECTS:
        import_module(f"models.{subject}")
    return getattr(import_module("models.columns"), name)
