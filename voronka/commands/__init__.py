"""The commands: a module each (or a close group), imported only when it is run.

`COMMANDS` is all that `voronka --help` needs: where a command lives and what it does in one line.
"""

from __future__ import annotations

from typing import NamedTuple

from base.text import Text, say


class Entry(NamedTuple):
    module: str  # below voronka.commands; the click command has the command's own name there
    summary: Text


COMMANDS: dict[str, Entry] = {
    "demo": Entry("demo", say("показать всё на вымышленной компании", "show everything on a made-up company")),
    "init": Entry("init", say("создать voronka.toml и .env.example", "write voronka.toml and .env.example")),
    "check": Entry("check", say("проверить доступ к источникам", "try the access to each source")),
    "inputs": Entry("inputs", say("люди, этапы и другие справочники", "people, stages and the other inputs")),
    "sync": Entry("sync", say("загрузить изменения из источников", "load what changed at the sources")),
    "recompute": Entry("recompute", say("пересчитать показатели за период", "recompute the facts of a period")),
    "publish": Entry("recompute", say("обновить файл для аналитиков", "renew the analysts' file")),
    "nightly": Entry(
        "recompute", say("всё за ночь: загрузка, расчёт, публикация", "the night: sync, recompute, publish")
    ),
    "kpi": Entry("kpi", say("показатели за период", "the facts of a period")),
    "funnel": Entry("funnel", say("воронка: конверсии по этапам", "the funnel: conversion by stage")),
    "explain": Entry("explain", say("из каких записей сложилось число", "the records behind a number")),
    "flags": Entry("flags", say("на какие записи стоит взглянуть", "records worth a look")),
    "plan": Entry("plan", say("план от конца и его согласованность", "the plan from the end, and its coherence")),
    "match": Entry("match", say("платежи без сделки", "payments without a deal")),
    "metrics": Entry("metrics", say("каталог показателей", "the catalogue of metrics")),
    "status": Entry("status", say("что и когда загружено", "what is loaded, and when")),
    "onec": Entry("onec", say("посмотреть, что в файле бухгалтерии", "look into a file of accounting")),
    "rejects": Entry("rejects", say("что не удалось прочитать и почему", "what could not be read, and why")),
    "replay": Entry("recompute", say("разобрать сохранённые записи заново", "read the stored records again")),
    "backup": Entry("backup", say("резервная копия, и во время загрузки", "a backup, even while a night runs")),
    "restore": Entry("backup", say("вернуть данные из резервной копии", "put a backup's data back")),
    "move": Entry("move", say("перенести всё из файлов в озеро или обратно", "take everything into a lake, or back")),
    "maintain": Entry("maintain", say("навести порядок в файлах озера", "keep a lake's files in order")),
    "forget": Entry("forget", say("удалить данные человека отовсюду", "remove a person's data everywhere")),
    "sql": Entry("sql", say("запрос к файлу для аналитиков", "a query on the analysts' file")),
    "serve": Entry("serve", say("планировщик на одной машине", "one machine's scheduler")),
    "tenants": Entry("tenants", say("команда для всех компаний папки", "a command for every company of a folder")),
}
