"""What people write, made wrong: configuration, variables, input files, metrics of their own, periods, phones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import ConfigError, UsageError, VoronkaError
from base.money import parse_money
from base.phones import normalise_phone, split_phones
from base.purposes import parse_purpose
from demo.company import build_company
from demo.inputs import write_inputs
from metrics.catalogue import load_catalogue
from metrics.inputs.declared import FILES
from metrics.inputs.load import arrow_rows
from metrics.inputs.reader import read_inputs
from metrics.inputs.validate import validate
from metrics.periods import parse_period
from tests.security.fuzz import (
    BYTE_STEPS,
    STEPS,
    TEXTS,
    ByteStep,
    Step,
    mutate_bytes,
    mutate_text,
    settings_for,
)
from voronka.commands.init import TEMPLATES
from voronka.config import load_project
from voronka.config_language import read_language

CONFIG = (TEMPLATES / "voronka.ru.toml").read_text("utf-8")
NAMES = [
    line.partition("=")[0] for line in (TEMPLATES / "env.ru.example").read_text("utf-8").splitlines() if "=" in line
]
OWN_METRIC = (Path(load_catalogue.__code__.co_filename).parent / "sql" / "calls_attempted.sql").read_text("utf-8")


@pytest.fixture
def folder() -> Any:
    made = Path(mkdtemp(prefix="voronka-fuzz-"))
    yield made
    shutil.rmtree(made)


def _told(work: Callable[[], object]) -> None:
    """Nothing but the tree comes out, and it can be said in both languages."""
    try:
        work()
    except VoronkaError as error:
        told = error.render("ru"), error.render("en")
    else:
        told = ("good", "good")
    assert all(told)


# ── configuration ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_configuration_of_other_values_is_told(folder: Path) -> None:
    """Lines lost, repeated, put in, values of every kind: one list of problems."""

    @settings_for(40)
    @given(STEPS)
    def check(steps: list[Step]) -> None:
        (folder / "voronka.toml").write_bytes(mutate_text(CONFIG, steps).encode("utf-8", "surrogatepass"))
        _told(lambda: load_project(folder / "voronka.toml", dict.fromkeys(NAMES, "secret-of-the-test")))
        read_language(folder / "voronka.toml")

    check()


def test_a_configuration_of_damaged_bytes_is_told(folder: Path) -> None:
    @settings_for(30)
    @given(BYTE_STEPS)
    def check(steps: list[ByteStep]) -> None:
        (folder / "voronka.toml").write_bytes(mutate_bytes(CONFIG.encode(), steps))
        _told(lambda: load_project(folder / "voronka.toml", {}))
        read_language(folder / "voronka.toml")

    check()


def test_a_toml_document_of_any_shape_is_told(folder: Path) -> None:
    """Tables where values belong, and the other way round."""
    value = st.one_of(
        st.sampled_from(['"x"', '""', "1", "-1", "1e400", "nan", "true", "[]", "{}", "[[]]", "2026-01-01", "07:00:00"]),
        st.sampled_from(
            ['"${A}"', '"${"', '"${A}${B}"', '"\\u0000"', "2026-01-01T00:00:00Z", "9" * 30, "{a={b={c=1}}}"]
        ),
    )
    key = st.sampled_from(
        [
            "company", "company.timezone", "company.currency", "company.own_tax_ids", "warehouse", "warehouse.path",
            "publish", "publish.path", "publish.personal_data", "inputs.dir", "rules", "rules.sla_minutes", "sources",
            "sources.a", "sources.a.type", "sources.a.base_url", "sources.a.token", "sources.a.fields",
            "sources.a.path", "sources.a.start", "sources.a.requests_per_second", "sources.a.sheets",
            "sources.'a\"b'", "tokens",
            "tokens.store", "tokens.passphrase_file", "metrics.dir", "''", "rules.stages", "sources.a.enabled",
        ]
    )  # fmt: skip
    kind = st.sampled_from(["", 'sources.a.type="amocrm"', 'sources.a.type="onec"', 'sources.a.type="bitrix24"'])

    @settings_for(60)
    @given(st.lists(st.tuples(key, value), max_size=6), kind)
    def check(pairs: list[tuple[str, str]], first: str) -> None:
        text = "\n".join([first, *(f"{name} = {given}" for name, given in pairs)])
        (folder / "voronka.toml").write_text(text, "utf-8")
        _told(lambda: load_project(folder / "voronka.toml", {"A": "1"}))
        read_language(folder / "voronka.toml")

    check()


def test_a_file_of_variables_in_any_state_is_told(folder: Path) -> None:
    (folder / "voronka.toml").write_text(CONFIG, "utf-8")
    good = "".join(f"{name}=value\n" for name in NAMES)

    @settings_for(30)
    @given(BYTE_STEPS)
    def check(steps: list[ByteStep]) -> None:
        (folder / ".env").write_bytes(mutate_bytes(good.encode(), steps))
        _told(lambda: load_project(folder / "voronka.toml", {}))

    check()


# ── inputs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_input_files_with_other_values_are_told_by_line(folder: Path) -> None:
    """What is wrong is named with its file and line; what is left can be stored."""
    write_inputs(build_company(deals=5), folder, crm="amo", telephony="mango", plans=True)
    whole = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.csv"))}
    whole |= {f.name: ",".join(field.name for field in f.fields) + "\n" for f in FILES if f.name not in whole}
    names = sorted(whole)

    @settings_for(40)
    @given(st.sampled_from(names), STEPS, st.sampled_from(("utf-8", "cp1251", "utf-8-sig", "utf-16")))
    def check(name: str, steps: list[Step], encoding: str) -> None:
        (folder / name).write_bytes(mutate_text(whole[name], steps).encode(encoding, "replace"))
        inputs = read_inputs(folder, "RU")
        for problem in [*inputs[name].problems, *validate(inputs)]:
            assert problem.render("ru").startswith(tuple(names))
        arrow_rows(inputs[name])
        (folder / name).write_text(whole[name], "utf-8")

    check()


def test_input_files_of_damaged_bytes_are_told(folder: Path) -> None:
    write_inputs(build_company(deals=5), folder, crm="amo", telephony="mango", plans=True)
    whole = {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}

    @settings_for(30)
    @given(st.sampled_from(sorted(whole)), BYTE_STEPS)
    def check(name: str, steps: list[ByteStep]) -> None:
        (folder / name).write_bytes(mutate_bytes(whole[name], steps))
        inputs = read_inputs(folder, "RU")
        assert all(problem.render("ru") for problem in [*inputs[name].problems, *validate(inputs)])
        arrow_rows(inputs[name])
        (folder / name).write_bytes(whole[name])

    check()


def test_a_metric_of_ones_own_in_any_state_is_told(folder: Path) -> None:
    """The catalogue is read by every command that computes: one bad file must not end it in a traceback."""

    @settings_for(15)
    @given(STEPS, st.booleans())
    def check(steps: list[Step], is_renamed: bool) -> None:
        text = mutate_text(OWN_METRIC, steps)
        (folder / ("own.sql" if is_renamed else "calls_attempted.sql")).write_bytes(text.encode("utf-8", "replace"))
        with suppress(ConfigError):
            load_catalogue(folder)
        for path in folder.iterdir():
            path.unlink()

    check()


# ── single values ───────────────────────────────────────────────────────────────────────────────────────────────

ANY_TEXT = st.one_of(st.sampled_from(TEXTS), st.text(max_size=60), st.text("0123456789+-(). доб№/", max_size=40))


def test_any_text_is_a_phone_or_none() -> None:
    @settings_for(100)
    @given(ANY_TEXT, st.sampled_from(("RU", "KZ", "BY", "UZ")))
    def check(text: str, country: str) -> None:
        normalise_phone(text, country=country)
        split_phones(text)

    check()


def test_any_text_is_a_purpose() -> None:
    """A purpose of payment is typed by strangers; a pattern that backtracks for hours would hang a night."""

    @settings_for(100)
    @given(
        st.one_of(
            ANY_TEXT, st.lists(ANY_TEXT, max_size=6).map(" ".join), st.text("№счет договор-/0123456789 ", max_size=210)
        )
    )
    def check(text: str) -> None:
        parse_purpose(text)

    check()


def test_any_text_is_an_amount_or_a_value_error() -> None:
    @settings_for(100)
    @given(ANY_TEXT)
    def check(text: str) -> None:
        with suppress(ValueError):
            assert parse_money(text).is_finite()

    check()


def test_any_text_is_a_period_or_refused_as_usage() -> None:
    shapes = st.from_regex(
        r"[0-9]{1,5}(-(Q?[0-9]{1,3}|W[0-9]{1,3}|[0-9]{1,2}-[0-9]{1,2}))?(\.\.[0-9-]{0,10})?", fullmatch=True
    )

    @settings_for(100)
    @given(st.one_of(ANY_TEXT, shapes))
    def check(text: str) -> None:
        with suppress(UsageError):
            assert parse_period(text)

    check()
