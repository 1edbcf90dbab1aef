"""Every mapping of every vendor: a record made wrong ends in rows the warehouse can hold, or in a reject.

Never in another exception, which would end the whole run, and never in both: rows of a rejected record.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.text import Text, say
from connectors.registry import load_connector
from connectors.stream import BadRecord, MapContext, Mapper, RawRecord, Rows, Stream
from tests.connectors.contract import VENDORS
from tests.security.fuzz import BYTE_STEPS, STEPS, ByteStep, Step, encode, mutate, mutate_bytes, settings_for
from tests.security.samples import OVER_HTTP, sample
from warehouse.staging import Staging


def _streams() -> list[tuple[str, Stream[Any]]]:
    """Every stream with a mapping, of the vendors that are asked over HTTP; those of files are fuzzed as files."""
    found = []
    for name in OVER_HTTP:
        declared = load_connector(getattr(VENDORS[name], "source_type", "") or name).streams
        found += [(name, stream) for stream in declared if stream.map is not None and stream.kind != "files"]
    return found


STREAMS = [pytest.param(name, stream.name, id=f"{name}-{stream.name}") for name, stream in _streams()]
NEEDS = [
    pytest.param(name, stream.name, needed, id=f"{name}-{stream.name}-{needed}")
    for name, stream in _streams()
    for needed in stream.needs
]


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _verdict(work: Callable[[], None]) -> Text | None:
    """Why the record is rejected; of an answer that is no JSON conforming makes a reject itself."""
    try:
        work()
    except BadRecord as verdict:
        return verdict.message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return say("{e}", "{e}", e=str(error))
    return None


def _maps(name: str, stream: str, payload: bytes, **changes: Any) -> None:
    vendor = sample(name)
    transform = vendor.connector.stream(stream).map
    assert transform is not None
    ends_well(transform, RawRecord("7", payload, 1, 1), vendor.context(stream, **changes))


def ends_well(transform: Mapper, record: RawRecord, context: MapContext) -> None:
    """What conforming does with a record: map it, then build the columns that go into the warehouse."""
    rows = Rows()
    verdict = _verdict(lambda: transform(record, context, rows))
    if verdict is not None:
        assert verdict.render("ru")
        assert verdict.render("en")
        rows.retract()
        assert (rows.rows, rows.owners) == ({}, {}), "rejected, and half of it loaded"
    with Staging(_connection()) as staging:
        for misfit in staging.append(rows, [1], 0).values():
            assert misfit.message.render("ru")


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_a_record_of_another_shape_is_read_or_rejected(name: str, stream: str) -> None:
    """Keys missing, values of other types, numbers and dates past every end, lone surrogates, 3000 levels."""
    payloads = [record.payload for record in sample(name).records[stream]]
    assert payloads, f"the sample company has no {stream}"

    @settings_for(12)
    @given(st.integers(0, len(payloads) - 1), STEPS)
    def check(place: int, steps: list[Step]) -> None:
        _maps(name, stream, encode(mutate(msgspec.json.decode(payloads[place]), steps)))

    check()


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_a_record_of_damaged_bytes_is_read_or_rejected(name: str, stream: str) -> None:
    """What a full disk or a proxy leaves of an answer."""
    payloads = [record.payload for record in sample(name).records[stream]]

    @settings_for(4)
    @given(st.integers(0, len(payloads) - 1), BYTE_STEPS)
    def check(place: int, steps: list[ByteStep]) -> None:
        _maps(name, stream, mutate_bytes(payloads[place], steps))

    check()


@pytest.mark.parametrize(("name", "stream", "needed"), NEEDS)
def test_a_dictionary_of_another_shape_is_read_or_rejected(name: str, stream: str, needed: str) -> None:
    """What a mapping knows of the rest of the account is the vendor's too."""
    vendor = sample(name)
    payloads = [record.payload for record in vendor.records[stream]]
    known = {record.record_id: record.payload for record in vendor.records[needed]}
    ids = sorted(known)

    @settings_for(6)
    @given(st.integers(0, len(payloads) - 1), st.integers(0, max(0, len(ids) - 1)), STEPS)
    def check(place: int, entry: int, steps: list[Step]) -> None:
        spoilt = encode(mutate(msgspec.json.decode(known[ids[entry]]), steps))
        _maps(name, stream, payloads[place], dictionaries={needed: {**known, ids[entry]: spoilt}})

    if ids:
        check()
