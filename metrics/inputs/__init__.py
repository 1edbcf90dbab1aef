"""The company's own files: people, identities, stages, plans and the rest; read, checked, drafted."""

from __future__ import annotations

from metrics.inputs.check import CheckReport, Finding, check_inputs
from metrics.inputs.draft import DraftFile, DraftReport, draft_inputs
from metrics.inputs.load import InputsReport, load_inputs

__all__ = [
    "CheckReport",
    "DraftFile",
    "DraftReport",
    "Finding",
    "InputsReport",
    "check_inputs",
    "draft_inputs",
    "load_inputs",
]
