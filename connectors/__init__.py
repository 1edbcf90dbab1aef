"""Sources: one folder each (`streams.py` declares, `client.py` talks, `mapping.py` maps), and what they share.

A connector knows no warehouse, no scheduler and no environment: it turns vendor bytes into pages of raw
records, and raw records into plain rows that name their target as text.
"""

from __future__ import annotations

import sys

if "httpx" not in sys.modules:
    # httpx brings its own command line along, which takes half of its import; it does without where that can't be had.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
