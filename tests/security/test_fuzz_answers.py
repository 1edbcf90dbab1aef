"""Every vendor's answers made wrong on their way: a load ends in pages that can be landed, or in one error of ours.

And it ends: a vendor whose "next page" leads in a circle must not keep a run, its warehouse and its budget for ever.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import VoronkaError
from connectors.stream import Page
from demo.http import HttpResponse
from tests.security.fuzz import BYTE_STEPS, STEPS, ByteStep, Step, encode, mutate, mutate_bytes, settings_for
from tests.security.samples import OVER_HTTP, Sampled, sample

STREAMS = [
    pytest.param(name, stream.name, id=f"{name}-{stream.name}")
    for name in OVER_HTTP
    for stream in sample(name).connector.streams
]
STATUSES = (
    200,
    200,
    200,
    201,
    204,
    206,
    301,
    302,
    400,
    401,
    402,
    403,
    404,
    405,
    409,
    418,
    429,
    451,
    500,
    502,
    503,
    599,
)
HEADERS = (
    {"Date": "yesterday"},
    {"Date": "Thu, 01 Jan 9999 00:00:00 GMT"},
    {"Retry-After": "soon"},
    {"Retry-After": "²"},
    {"Retry-After": "9" * 400},
    {"Retry-After": "-1"},
    {"Content-Type": "text/html; charset=nonsense"},
    {"Content-Type": "application/json; charset=utf-16"},
    {"Location": "file:///etc/passwd"},
    {"Set-Cookie": "a=b"},
)


def _loads(vendor: Sampled, stream: str, spoil: Any) -> None:
    pages: list[Page] = []
    with suppress(VoronkaError) as _:
        pages += vendor.fetch(vendor.runtime(spoil), stream)
    for page in pages:
        _check_page(page)


def _check_page(page: Page) -> None:
    """What landing asks of a page: equal lists, ids and payloads that are text, integers of 64 bits, a position."""
    assert len(page.ids) == len(page.payloads) == len(page.versions) == len(page.cursors)
    for text in (*page.ids, *page.deleted, *page.living):
        text.encode("utf-8")
    for payload in page.payloads:
        payload.decode("utf-8")
    for number in (*page.versions, *page.cursors):
        assert -(2**63) <= number < 2**63
    msgspec.json.encode(page.position)
    for reject in page.rejects:
        assert reject.message.render("ru")


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_an_answer_of_another_shape_ends_in_a_message(name: str, stream: str) -> None:
    """Any answer of a load: the account, a list, a count, a description of fields."""
    vendor = sample(name)

    @settings_for(6)
    @given(st.integers(0, 6), STEPS, st.booleans())
    def check(number: int, steps: list[Step], for_ever: bool) -> None:
        def spoil(asked: int, answer: HttpResponse) -> HttpResponse:
            if asked == number or (for_ever and asked > number):
                with suppress(msgspec.DecodeError):
                    return replace(answer, body=encode(mutate(msgspec.json.decode(answer.body), steps)))
            return answer

        _loads(vendor, stream, spoil)

    check()


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_an_answer_of_damaged_bytes_ends_in_a_message(name: str, stream: str) -> None:
    """Bytes that are no UTF-8 stand in the middle of a JSON text when a vendor cuts a name by bytes."""
    vendor = sample(name)

    @settings_for(4)
    @given(st.integers(0, 6), BYTE_STEPS, st.booleans())
    def check(number: int, steps: list[ByteStep], for_ever: bool) -> None:
        def spoil(asked: int, answer: HttpResponse) -> HttpResponse:
            is_hit = asked == number or (for_ever and asked > number)
            return replace(answer, body=mutate_bytes(answer.body, steps)) if is_hit else answer

        _loads(vendor, stream, spoil)

    check()


@pytest.mark.parametrize("name", OVER_HTTP)
def test_any_status_and_header_ends_in_a_message(name: str) -> None:
    vendor = sample(name)
    streams = [stream.name for stream in vendor.connector.streams]

    @settings_for(12)
    @given(
        st.sampled_from(streams),
        st.integers(0, 6),
        st.sampled_from(STATUSES),
        st.sampled_from(HEADERS),
        st.sampled_from((None, b"", b"{}", b"[]", b"null", b"<html>", b"\xff\xfe", b'{"error":1}', b'{"detail":[{}]}')),
        st.booleans(),
    )
    def check(
        stream: str, number: int, status: int, headers: dict[str, str], body: bytes | None, for_ever: bool
    ) -> None:
        def spoil(asked: int, answer: HttpResponse) -> HttpResponse:
            if asked != number and not (for_ever and asked > number):
                return answer
            changed = {**answer.headers, **headers}
            return replace(answer, status=status, headers=changed, body=answer.body if body is None else body)

        _loads(vendor, stream, spoil)

    check()
