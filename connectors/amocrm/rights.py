"""What the token's user may see. amoCRM never says that it left something out: lists are shorter without any error."""

from __future__ import annotations

import msgspec

from base.errors import RightsError
from connectors.amocrm.client import AmocrmClient
from connectors.amocrm.refusals import UnpaidError


class Access(msgspec.Struct):
    """Rights of a user, as far as they decide what is read."""

    is_admin: bool | None = None
    catalog_access: bool | None = None


class _Account(msgspec.Struct):
    current_user_id: int | None = None


class _User(msgspec.Struct):
    rights: Access | list[None] | None = None


def read_access(client: AmocrmClient) -> Access | None:
    """The rights of the token's user; None when only an administrator could read them, so the user is none.

    Raises:
        SourceError: the account can't be read at all.
    """
    payload = client.record("/account")
    user_id = msgspec.json.decode(payload or b"{}", type=_Account).current_user_id
    try:
        user = client.record(f"/users/{user_id}")
    except UnpaidError:
        raise
    except RightsError:
        return None
    rights = msgspec.json.decode(user, type=_User).rights if user else None
    return rights if isinstance(rights, Access) else None


def sees_everything(client: AmocrmClient) -> bool:
    """True for an administrator: what is missing from his lists is gone. Anybody else may only not see it."""
    access = read_access(client)
    return access is not None and access.is_admin is True
