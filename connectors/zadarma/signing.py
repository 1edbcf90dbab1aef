"""Signing: base64 of the hexadecimal text of an HMAC-SHA1 over path, query and the query's MD5."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Generator, Mapping
from hashlib import md5, sha1
from urllib.parse import urlencode

import httpx

from base.secrets import Secret


def encode_query(parameters: Mapping[str, str | int | None]) -> str:
    """Parameters sorted by name, as PHP's http_build_query writes them; None is left out."""
    pairs = sorted((name, str(value)) for name, value in parameters.items() if value is not None)
    # PHP escapes the tilde, Python doesn't.
    return urlencode(pairs).replace("~", "%7E")


def sign(path: str, query: str, secret: str) -> str:
    """The signature of a request to `path` (`/v1/…/`, with the trailing slash) with an encoded query."""
    digest = md5(query.encode(), usedforsecurity=False).hexdigest()
    text = hmac.new(secret.encode(), f"{path}{query}{digest}".encode(), sha1).hexdigest()
    return base64.b64encode(text.encode()).decode()


class ZadarmaAuth(httpx.Auth):
    """Signs the very path and query that go out, so that nothing can re-encode them in between."""

    def __init__(self, key: Secret, secret: Secret) -> None:
        self._key = key
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        path = request.url.raw_path.decode("ascii").partition("?")[0]
        # A proxy's prefix before the API's own path is not signed.
        path = path[max(path.find("/v1/"), 0) :]
        signature = sign(path, request.url.query.decode("ascii"), self._secret.reveal())
        request.headers["Authorization"] = f"{self._key.reveal()}:{signature}"
        yield request
