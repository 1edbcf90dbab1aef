"""The keys of a `[sources.NAME]` table of type amocrm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from base.secrets import Secret
from base.text import Text, say
from connectors.stream import Settings


class FieldNames(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Which custom fields of this account hold what: a field's name as people see it, or its id."""

    invoice_number: str | None = None
    contract_number: str | None = None
    order_id: str | None = None
    tax_id: str | None = None


class AmocrmSettings(Settings, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """`base_url` is the whole domain of the account (`https://acme.amocrm.ru`, `https://acme.kommo.com`).

    Either `token` (long-lived, made in a private integration) or the four OAuth keys.
    """

    base_url: str
    token: Secret | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    redirect_uri: str | None = None
    # The authorisation code: lives twenty minutes, is used once, for the first pair of tokens.
    code: Secret | None = None
    fields: FieldNames = FieldNames()
    # `all`: every custom field of a record becomes rows of core.custom_field_values; `named`: only `fields` are read.
    custom_fields: Literal["all", "named"] = "all"

    def problems(self) -> Iterator[tuple[str, Text]]:
        missing = [name for name in ("client_id", "client_secret", "redirect_uri") if not getattr(self, name)]
        if not self.token and missing:
            yield (
                "token",
                say(
                    "нет ни token (долгосрочный токен интеграции), ни {missing}",
                    "neither token (the integration's long-lived one) nor {missing}",
                    missing=", ".join(missing),
                ),
            )
