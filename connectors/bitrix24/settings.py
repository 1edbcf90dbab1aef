"""The keys of a `[sources.NAME]` table of type bitrix24."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from base.secrets import Secret
from connectors.stream import Settings


class FieldNames(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Which user fields of this portal's deals hold what: a field's code (`UF_CRM_…`) or its label."""

    invoice_number: str | None = None
    contract_number: str | None = None
    order_id: str | None = None
    tax_id: str | None = None
    loss_reason: str | None = None


class Bitrix24Settings(Settings, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """`webhook_url` is the inbound webhook as the portal shows it (`https://acme.bitrix24.ru/rest/12/…/`), or its last
    two parts (`12/…`) with `base_url` beside it. It is a password in an address: it belongs into .env.
    """

    webhook_url: Secret
    # The portal's address, where the webhook doesn't say it.
    base_url: str = ""
    # Decides the request budget: 2 a second with 50 in stock, on Enterprise 5 with 250.
    plan: Literal["standard", "enterprise"] = "standard"
    # Seconds of server time a method may use within ten minutes; the vendor's default, boxes may have another.
    operating_seconds: float = 420.0
    # `all` reads every user field, `named` only those in `fields`: fewer fields are read several times faster.
    user_fields: Literal["named", "all"] = "named"
    fields: FieldNames = FieldNames()

    @property
    def portal(self) -> str:
        """The portal's address without a path: `https://acme.bitrix24.ru`; '' when neither key names it."""
        address = urlsplit(self.base_url or self.webhook_url.reveal().strip())
        return f"{address.scheme}://{address.netloc}" if address.scheme and address.netloc else ""
