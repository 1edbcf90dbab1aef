"""Ties core records to people, stages and deals: what metrics count stands ready in `calc.*` afterwards.

The rules are metrics.md, section 2; each is written once, in `sql/`, in the order the files are numbered.
"""

from __future__ import annotations

from metrics.resolve.changes import Change
from metrics.resolve.run import ResolveReport, resolve

__all__ = ["Change", "ResolveReport", "resolve"]
