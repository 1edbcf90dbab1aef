from __future__ import annotations

from tests.voronka.conftest import clock, run

__all__ = ["clock", "run"]
