"""Who may import whom: the rooms of the architecture, held by reading every import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALL = {"base", "connectors", "models", "warehouse", "metrics", "flows", "demo", "voronka"}
MAY_IMPORT = {
    "base": set[str](),
    "connectors": {"base"},
    "models": set[str](),
    "migrations": {"models"},
    "warehouse": {"models", "base"},
    "metrics": {"warehouse", "models", "base"},
    "flows": {"connectors", "warehouse", "metrics", "base"},
    "demo": {"base"},
    "voronka": ALL,
}
# Single modules, beyond the table. Pages and rows are the language connectors and engine share: it needs only base.
ROOM_MODULES = {"warehouse": {"connectors.stream"}}
# Prefect calls this file from outside, as the shell calls voronka/: it reads the configuration too.
FILE_MODULES = {"flows/deployments.py": {"voronka.config"}}
PREFECT_LIVES_IN = {"flows/deployments.py"}
ALEMBIC_LIVES_IN = {"warehouse/migrate.py"}


@dataclass(frozen=True)
class Import:
    file: str  # relative to the root
    line: int
    module: str
    is_lazy: bool  # inside a function: paid only when called

    @property
    def room(self) -> str:
        return self.file.split("/", 1)[0]

    @property
    def top(self) -> str:
        return self.module.split(".", 1)[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports_of(source: str, file: str) -> Iterator[Import]:
    """Every import of a module at run time; those under TYPE_CHECKING cost nothing and couple types only."""
    yield from _walk(ast.parse(source), file, is_lazy=False)


def _walk(node: ast.AST, file: str, *, is_lazy: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for name in node.names:
            yield Import(file, node.lineno, name.name, is_lazy)
    elif isinstance(node, ast.ImportFrom):
        # `from voronka import config` names a module in its second half.
        for name in node.names:
            module = f"{node.module or ''}.{name.name}" if "." not in (node.module or "") else str(node.module)
            yield Import(file, node.lineno, "." * node.level + module, is_lazy)
    elif isinstance(node, ast.Call) and _is_dynamic(node):
        yield Import(file, node.lineno, str(ast.literal_eval(node.args[0])), is_lazy)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, file, is_lazy=is_lazy or is_function)


def _is_dynamic(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    literal = bool(call.args) and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    return name in {"import_module", "__import__"} and literal


def all_imports() -> list[Import]:
    files = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]
    return [
        found
        for path in files
        for found in imports_of(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]


IMPORTS = all_imports()


def is_allowed(found: Import) -> bool:
    if found.top not in MAY_IMPORT or found.top == found.room or found.top in MAY_IMPORT[found.room]:
        return True
    allowed = ROOM_MODULES.get(found.room, set()) | FILE_MODULES.get(found.file, set())
    return any(found.module == module or found.module.startswith(f"{module}.") for module in allowed)


def test_rooms_import_only_what_the_architecture_allows() -> None:
    """A connector that reaches for the warehouse, a metric that reads the configuration."""
    assert [str(found) for found in IMPORTS if not is_allowed(found)] == []


def test_connectors_know_nothing_of_each_other() -> None:
    """Removing one source would break another. What they share lies beside them; the registry lists them all."""
    packages = {path.parent.name for path in (ROOT / "connectors").glob("*/__init__.py")}
    foreign = [
        str(found)
        for found in IMPORTS
        if found.room == "connectors"
        and found.file != "connectors/registry.py"
        and found.module.startswith("connectors.")
        and (target := found.module.split(".")[1]) in packages
        and not found.file.startswith(f"connectors/{target}/")
    ]
    assert foreign == []


def test_only_the_deployments_import_prefect() -> None:
    """Its import takes seconds in every command."""
    assert {found.file for found in IMPORTS if found.top == "prefect"} <= PREFECT_LIVES_IN


def test_alembic_is_imported_only_to_migrate() -> None:
    """Also DuckDB's SQLAlchemy dialect: both cost every command a third of a second."""
    heavy = [found for found in IMPORTS if found.top in {"alembic", "duckdb_sqlalchemy"} and found.room != "migrations"]
    homes = ALEMBIC_LIVES_IN | {"warehouse/dialect.py"}
    assert [str(found) for found in heavy if found.file not in homes] == []
    assert [str(found) for found in heavy if found.file in ALEMBIC_LIVES_IN and not found.is_lazy] == []
    dialect = [found for found in IMPORTS if found.module == "warehouse.dialect"]
    assert [str(found) for found in dialect if not found.is_lazy] == []


@pytest.mark.parametrize(
    ("source", "module", "is_lazy"),
    [
        ("import warehouse.land as land", "warehouse.land", False),
        ("from voronka import config", "voronka.config", False),
        ("from warehouse.land import land", "warehouse.land", False),
        ("def f():\n    import alembic", "alembic", True),
        ("import importlib\nimportlib.import_module('prefect')", "prefect", False),
    ],
)
def test_every_way_to_import_is_seen(source: str, module: str, is_lazy: bool) -> None:
    found = list(imports_of(source, "base/x.py"))[-1]
    assert (found.module, found.is_lazy) == (module, is_lazy)
