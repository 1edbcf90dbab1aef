"""What happens to an error nobody foresaw: a short apology, and a redacted traceback in a file for a bug report."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path

from base.text import say
from voronka.app import App


def report_crash(app: App, error: BaseException) -> None:
    """Write the traceback beside the state of the installation (else to the temporary folder) and say where."""
    trace = app.redact("".join(traceback.format_exception(error)))
    path = _write(
        app, f"voronka, Python {platform.python_version()}, {platform.platform()}\n{sys.argv[1:2]}\n\n{trace}"
    )
    app.note(
        say(
            "Это ошибка самого voronka: {kind}. Загруженное сохранено, команду можно повторить.\n"
            "  → Приложите к сообщению об ошибке файл {path} (секретов в нём нет).",
            "This is voronka's own fault: {kind}. What was loaded is kept; the command may be repeated.\n"
            "  → Please attach {path} to a bug report (it holds no secrets).",
            kind=type(error).__name__,
            path=path,
        )
    )


def _write(app: App, text: str) -> Path:
    name = f"crash-{app.clock.now():%Y%m%d-%H%M%S}.txt"
    project = app.loaded_project
    if project is not None:
        folder = project.state_dir.parent / "log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            path.write_text(text, "utf-8")
        except OSError:
            pass  # a full or read-only disk may be the very cause: the temporary folder is tried next
        else:
            return path
    with tempfile.NamedTemporaryFile("w", prefix="voronka-", suffix=f"-{name}", delete=False, encoding="utf-8") as file:
        file.write(text)
    return Path(file.name)
