"""`voronka init`: a commented configuration to start from."""

from __future__ import annotations

from pathlib import Path

import click

from base.errors import UsageError
from base.text import say
from voronka.app import App
from voronka.command import argument, command

TEMPLATES = Path(__file__).parent.parent / "templates"


@command(
    "init",
    details=say(
        "Кладёт в папку два файла с пояснениями. Существующие файлы не трогает. "
        "Людей, учётные записи и этапы заполнит `voronka inputs draft` после первой загрузки.",
        "Puts two files with comments into the folder. Existing files are left alone. "
        "People, identities and stages come from `voronka inputs draft` after the first load.",
    ),
    example="voronka init sales",
)
@argument(
    "folder",
    metavar="[DIR]",
    required=False,
    default=".",
    type=click.Path(path_type=Path),
    about=say("папка; по умолчанию текущая", "folder; the present one by default"),
)
def init_command(app: App, folder: Path) -> int:
    language = app.language
    texts = {
        folder / "voronka.toml": (TEMPLATES / f"voronka.{language}.toml").read_text("utf-8"),
        folder / ".env.example": (TEMPLATES / f"env.{language}.example").read_text("utf-8"),
    }
    there = [path for path in texts if path.exists()]
    if there:
        raise UsageError(
            say("Уже есть: {files}.", "Already there: {files}.", files=", ".join(map(str, there))),
            remedy=say(
                "Ничего не записано. Удалите файл сами или укажите другую папку.",
                "Nothing was written. Remove the file yourself or name another folder.",
            ),
        )
    _write(folder, texts)
    page = app.page()
    for path in texts:
        page.say(str(path))
    page.say(
        say(
            "Дальше: впишите адреса в {config}, ключи — в .env (образец рядом), затем `voronka check`.",
            "Next: put the addresses into {config}, the keys into .env (see the example), then `voronka check`.",
            config=folder / "voronka.toml",
        )
    )
    return 0


def _write(folder: Path, texts: dict[Path, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            # "x": a file that came to be in the meantime is not overwritten either.
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(
            say("Не записать в {folder}: {why}.", "Can't write to {folder}: {why}.", folder=folder, why=error.strerror)
        ) from None
