"""Signature vectors: a wrong signature costs a two-minute lock, so it is proved here and not on the vendor."""

from __future__ import annotations

import json

import httpx
import pytest

from base.secrets import Secret
from connectors.mango.signing import build_form, sign

KEY, SALT = "test_vpbx_key_0001", "test_vpbx_salt_0002"

VECTORS = [
    ("{}", "bb01b9f6ad2dc95fa98bf38f9331c7cb6834748d853b5bbf1dd882274924ef04"),
    ('{"key":"B+DvAbC=="}', "d89b9e12b94b08a7c873f8791b99ce2980eca5d4f7cf058420c6bdfb45160d76"),
    ('{"key": "B+DvAbC=="}', "a7647146546c5caba6387569a7c1ed941b682877b1b04b8dd9517f917078c67f"),
    (
        '{"start_date":"01.01.2026 00:00:00","end_date":"01.01.2026 23:59:59","limit":"5000","offset":"0",'
        '"ext_fields":["context_cost_full"]}',
        "dc946c594f760b97f56cd61769c7c6987cca439d2bd20704d9be0e2602804912",
    ),
    (
        '{"date_from":"1767214800","date_to":"1767301199","fields":"records,start,finish,answer,from_extension,'
        'from_number,to_extension,to_number,disconnect_reason,entry_id,line_number,location,create",'
        '"request_id":"req-1"}',
        "d2793e958106ec75ed69c282b49aae493dbdcc5e433b31aee1903a878a990846",
    ),
    ('{"search_string":"Иван"}', "b2ca5deb7fe1985f921bfbda40bf827e863ce34435408fecf1eaad89999bfbed"),
    (
        r'{"search_string":"\u0418\u0432\u0430\u043d"}',
        "7449ab5a5b2e45d41790a91fe72ad72fc9dc7ad55d4db9ed4d073e8190818862",
    ),
]


@pytest.mark.parametrize(("text", "expected"), VECTORS)
def test_signature_vectors(text, expected):
    assert sign(KEY, text, SALT) == expected


def test_the_vendors_own_published_vector():
    signature = sign("<YOUR_API_KEY>", '{"key":"<REQUEST_KEY>"}', "<YOUR_API_SALT>")
    assert signature == "515069b8c079df62f408e36dd7933912b8e86d833c5927ee77eb4b68d766c4f5"


def test_a_method_without_parameters_is_asked_with_an_empty_object():
    """An empty string is not JSON: 3400, and half a lock."""
    assert build_form(Secret(KEY), Secret(SALT), {})["json"] == "{}"


@pytest.mark.parametrize("parameters", [{"key": "B+D/vAbC=="}, {"search_string": "Иван + «Пётр»"}])
def test_what_is_signed_is_what_arrives(parameters):
    """A plus that reaches the server as a space breaks the signature (3102)."""
    form = build_form(Secret(KEY), Secret(SALT), parameters)
    body = httpx.Request("POST", "http://x", data=form).read().decode("ascii")
    arrived = dict(httpx.QueryParams(body))
    assert sign(arrived["vpbx_api_key"], arrived["json"], SALT) == arrived["sign"]
    assert json.loads(arrived["json"]) == parameters


def test_the_body_of_a_vector_is_percent_encoded():
    body = httpx.Request("POST", "http://x", data=build_form(Secret(KEY), Secret(SALT), {"key": "B+DvAbC=="})).read()
    assert body.decode() == (
        "vpbx_api_key=test_vpbx_key_0001&sign=d89b9e12b94b08a7c873f8791b99ce2980eca5d4f7cf058420c6bdfb45160d76"
        "&json=%7B%22key%22%3A%22B%2BDvAbC%3D%3D%22%7D"
    )
