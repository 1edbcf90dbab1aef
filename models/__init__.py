"""Every relation of the warehouse, one module a subject. Importing this declares them all."""

from models import (
    calc,
    calls,
    customers,
    deals,
    facts,
    fields,
    invoices,
    landing,
    leads,
    money,
    operations,
    people,
    revision,
)
from models.columns import RAW, WAREHOUSE

__all__ = [
    "RAW",
    "WAREHOUSE",
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
]
