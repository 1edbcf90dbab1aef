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

    Instead of it an application of the portal: `base_url`, `client_id`, `client_secret`, and either `code` (lives 30
    seconds, works once) or a `refresh_token` to begin with; later tokens are kept in voronka's own state folder.
    """

    webhook_url: Secret | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    code: Secret | None = None
    refresh_token: Secret | None = None
    # The portal's permanent name: where it is given, tokens of another portal are refused.
    member_id: str = ""
    # The vendor's own token server, for boxes too; older applications have https://oauth.bitrix.info/oauth/token/.
    oauth_url: str = "https://oauth.bitrix24.tech/oauth/token/"
    # The portal's address, where the webhook doesn't say it.
    base_url: str = ""
    # Decides the request budget: 2 a second with 50 in stock, on Enterprise 5 with 250.
    plan: Literal["standard", "enterprise"] = "standard"
    # Seconds of server time a method may use within ten minutes; the vendor's default, boxes may have another.
    operating_seconds: float = 420.0
    # `all` reads every user field, `named` only those in `fields`: fewer fields are read several times faster.
    user_fields: Literal["named", "all"] = "named"
    fields: FieldNames = FieldNames()
    # Nothing tells of a deletion: about once a day the ids of everything are read and compared. 0 = only by `--full`.
    # A little under a day, so that a nightly run finds it due although it may begin earlier than last night's.
    sweep_hours: float = 20.0
    # For a portal that finds nothing by times with an offset (`voronka check` tells): times in the portal's own clock.
    naive_times: bool = False

    @property
    def portal(self) -> str:
        """The portal's address without a path: `https://acme.bitrix24.ru`; '' when neither key names it."""
        address = urlsplit(self.base_url or (self.webhook_url.reveal().strip() if self.webhook_url else ""))
        return f"{address.scheme}://{address.netloc}" if address.scheme and address.netloc else ""


def is_same_vendor(base_url: str, host: str) -> bool:
    """Whether a portal may have been renamed to this host: `a.bitrix24.ru` to `b.bitrix24.ru`, never elsewhere."""
    own = (urlsplit(base_url).hostname or "").lower().split(".")
    other = host.lower().split(".")
    return len(own) >= 3 and own[-2].startswith("bitrix24") and other[-2:] == own[-2:] and len(other) == len(own)
