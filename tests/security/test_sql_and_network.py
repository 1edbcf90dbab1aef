"""What no code of ours may do: build SQL from values, switch TLS off, read XML with entities, unpickle, call a shell.

The code is read, not run: a place that breaks a rule fails here on the day it is written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from base.errors import ConfigError
from voronka.app import App
from voronka.commands.check import _open_addresses, is_open_address
from voronka.config import load_project

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("base", "connectors", "models", "warehouse", "metrics", "flows", "voronka")

# What takes SQL, and as which argument: methods of a DuckDB connection, or functions of ours.
TAKES_SQL = {"execute": 0, "executemany": 0, "sql": 0, "query": 0, "ask": 0, "ask_postgres": 1, "tell_postgres": 1}
# Makes a value or a name safe inside SQL.
QUOTES = {"quote_name", "quote_literal", "literal", "values", "_list", "_equal", "_same_key"}
# A value of these kinds in an f-string can't end a literal: numbers of our own, and how many there are.
COUNTS = {"len", "int", "range"}


@dataclass(frozen=True)
class Place:
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@cache
def modules() -> dict[str, ast.Module]:
    paths = [path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py"))]
    return {str(path.relative_to(PROJECT)): ast.parse(path.read_text("utf-8")) for path in paths}


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    return [(path, node) for path, module in modules().items() for node in ast.walk(module)]


@cache
def calls() -> list[tuple[str, ast.Call, str]]:
    """Every call, with the last part of what is called."""
    found = [(path, node) for path, node in nodes() if isinstance(node, ast.Call)]
    return [(path, node, getattr(node.func, "attr", "") or getattr(node.func, "id", "")) for path, node in found]


# ── SQL ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def put_into_sql() -> Iterator[Place]:
    """Every expression that an f-string, `format` or `+` puts into a text given to DuckDB."""
    for path, call, name in calls():
        place = TAKES_SQL.get(name)
        if place is not None and len(call.args) > place:
            for inner in ast.walk(call.args[place]):
                if isinstance(inner, ast.FormattedValue):
                    yield Place(path, inner.lineno, ast.unparse(inner.value))
                elif isinstance(inner, ast.Call) and getattr(inner.func, "attr", "") == "format":
                    for given in (*inner.args, *(keyword.value for keyword in inner.keywords)):
                        yield Place(path, given.lineno, ast.unparse(given))


def is_plain(text: str) -> bool:
    """A constant of the module, a declared relation's own name, a quoted value, a count."""
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name in QUOTES | COUNTS
    return bool(re.fullmatch(r"(\w+\.)*_?[A-Z][A-Z0-9_]*|\w+\.fullname", text))


# The exceptions, by what they hold; none of it comes from a record, a setting or a command line.
OURS = {
    # Relations, columns and keys, from models/ or a literal of the module.
    "table", "_in_order(table)", "columns",
    "relation", "names", "name", "key", "keys[0]", "kept_keys", "same_key", "column", "column.name",
    "fresh", "staged", "gone", "rows", "owners", "contacts.rows", "catalog", "schema", "kind", "step", "table.schema",
    "table.name", "staged_name(relation)", "', '.join((f'made.{name}' for name in columns))",
    "', '.join((f's.{name}' for name in table.schema.names))",
    "', '.join((f't.{name}' for name in table.schema.names))",
    "', '.join(OUTCOMES)", "' + '.join(OUTCOMES)", "table.fullname",
    # The name under which a command has attached its own database.
    "self.home", "home", "f'\"{self.home}\"'", "working",
    # The name of DuckDB's secret that holds a lake's password.
    "secret",
    # The catalogs a move copies between, tables of a lake's catalog, a function of DuckLake's and its quoted arguments.
    "source", "target", "hashed", "REVISION_TABLES[history.name]", "tables", "best", "function", "listed",
    # A file that is read, words looked for: quoted where they are made.
    "file", "conditions", "schemas",
    # Texts of SQL made beside it from the above, their values being parameters or `literal(…)`.
    "newest", "stale", "differs or 'FALSE'", "clause", "where", "due", "rest", "counts", "conventions", "maturity",
    "began", "before", "declared", "given", "values", "num", "den", "value",
    "counted_evidence(spread, bounds, is_divided=is_divided)",
    "counted_evidence(others, bounds, is_divided=is_divided)",
    "relations(given_periods([bounds]), metric)", "_sums(metrics)", "_rows(connection, company, flag, bounds)",
    "records", "numbers", "same", "keys", "everything",
    "_keys(metrics)", "_keys(metrics, 'distribution')", "_keys(metrics, 'distinct')", "evidence",
    "_ROWS.format(declared=values(list(declared)))",
    "_DROP_READABLE.format(relation=table.fullname)", "made.get(ATTAINMENT, _NOTHING)", "made.get(FORECAST, _NOTHING)",
    # The SQL of a metric, a flag or a view: a file of the project, or of the company's own folder of metrics.
    "declared.sql.rstrip().rstrip(';')", "flag.sql", "view.name", "view.query",
    # A choice of a few words, or a value that a type bounds: a time zone that ZoneInfo has opened, a size in MB.
    "zone", "options", "mode",
    # Quoted on the line above.
    "quoted", "words",
}  # fmt: skip


def test_sql_is_made_of_parameters_and_names_of_ours() -> None:
    """A title, a path or a setting inside a query's text is an injection; a new kind of place is looked at first."""
    strange = [str(place) for place in put_into_sql() if not is_plain(place.text) and place.text not in OURS]
    assert strange == []


def test_the_look_at_sql_finds_what_it_should() -> None:
    """Would catch a reader of code that reads nothing."""
    assert len(list(put_into_sql())) > 50
    assert is_plain("quote_literal(str(path))")
    assert not is_plain("deal.title")
    assert not is_plain("str(path)")


# ── network ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tls_is_verified_everywhere() -> None:
    """`verify=False` stays in when a certificate was wrong for one afternoon."""
    found = []
    for path, call, name in calls():
        given = {keyword.arg for keyword in call.keywords}
        if "verify" in given or name in ("_create_unverified_context", "_create_default_https_context"):
            found.append(str(Place(path, call.lineno, ast.unparse(call)[:80])))
    found += [f"{path}: {node.attr}" for path, node in nodes() if isinstance(node, ast.Attribute) and node.attr in LAX]
    assert found == []


# What switches verification off in the standard library.
LAX = {"CERT_NONE", "CERT_OPTIONAL", "check_hostname", "verify_mode"}


def test_no_client_follows_where_an_answer_leads() -> None:
    """A redirect would carry a webhook's path or a token to a host that nobody chose."""
    clients = [(path, call) for path, call, name in calls() if ast.unparse(call.func) in ("httpx.Client", "Client")]
    lax = []
    for path, call in clients:
        named = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if named.get("follow_redirects", "False") != "False":
            lax.append(f"{path}:{call.lineno}")
    assert len(clients) >= 2
    assert lax == []


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("http://1c.company.local/base", True),
        ("http://10.0.0.5:8080/vpbx", True),
        ("HTTP://portal.example/rest/1/x/", True),
        ("http://localhost.evil.test/", True),
        ("https://1c.company.local/base", False),
        ("http://127.0.0.1:8080", False),
        ("http://localhost/base", False),
        ("http://[::1]:80/", False),
    ],
)
def test_plain_http_beyond_this_machine_is_warned_of(url: str, is_open: bool) -> None:
    assert is_open_address(url) is is_open


def test_check_warns_of_an_open_address_first(tmp_path: Path) -> None:
    """Before anything is sent there."""
    text = '[company]\ntimezone = "UTC"\n[sources.a]\ntype = "mango"\nbase_url = "http://192.0.2.1/v"\n'
    (tmp_path / "voronka.toml").write_text(text + 'api_key = "key-key"\napi_salt = "salt-salt"\n', "utf-8")
    app = App(tmp_path / "voronka.toml")
    lines = _open_addresses(app.project().sources["a"])
    assert [(line.verdict, "base_url" in line.detail.render("ru")) for line in lines] == [("warning", True)]


# ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────

# Where a module may be used that can run or build what it reads, and why that is safe.
ALLOWED = {
    # Events only, and the reader refuses a DOCTYPE before any entity: the fuzzing and bad-file tests hold it.
    ("connectors/onec/commerceml/exchange.py", "xml.parsers.expat"),
    ("connectors/onec/odata/schema.py", "xml.parsers.expat"),
    # Between a run and its own children, over pipes that nobody else has.
    ("connectors/onec/payments.py", "pickle"),
    ("connectors/onec/side_by_side.py", "pickle"),
    ("warehouse/ahead.py", "pickle"),
    ("warehouse/mapping.py", "pickle"),
}
DANGEROUS = re.compile(r"(pickle|marshal|shelve|xml(\..*)?|lxml(\..*)?|yaml|telnetlib|ftplib)$")


def test_nothing_is_read_that_could_run_or_grow() -> None:
    found = set()
    for path, node in nodes():
        if isinstance(node, ast.Import):
            found |= {(path, alias.name) for alias in node.names if DANGEROUS.match(alias.name)}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [
                f"{node.module}.{alias.name}" if node.module.startswith("xml") else node.module for alias in node.names
            ]
            found |= {(path, name) for name in full if DANGEROUS.match(name)}
    assert {place for place in found if place[1].split(".")[0] != "defusedxml"} - ALLOWED == set()


def test_no_text_is_run_as_code_or_by_a_shell() -> None:
    found = []
    for path, call, name in calls():
        has_shell = any(keyword.arg == "shell" for keyword in call.keywords)
        is_builtin = isinstance(call.func, ast.Name) and name in ("eval", "exec", "compile")
        if has_shell or is_builtin or ast.unparse(call.func) in ("os.system", "os.popen"):
            found.append(str(Place(path, call.lineno, ast.unparse(call)[:80])))
    assert found == []


@pytest.mark.parametrize("name", ["a\"b'c", "x; DROP TABLE core.deals", "../x", "a b", "", "a" * 41, "имя"])
def test_a_source_is_never_called_by_a_name_that_needs_quoting(tmp_path: Path, name: str) -> None:
    """It becomes part of file names and of messages."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    text = f'[company]\ntimezone = "UTC"\n[sources."{quoted}"]\ntype = "onec"\npath = "x"\n'
    (tmp_path / "voronka.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path / "voronka.toml", {})
    assert "имя источника" in caught.value.render("ru")
