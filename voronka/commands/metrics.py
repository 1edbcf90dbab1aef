"""`voronka metrics`: the catalogue."""

from __future__ import annotations

from base.text import say
from voronka.app import App
from voronka.command import argument, command, json_option


@command(
    "metrics",
    details=say(
        "Что считается, из какой записи, за кем и что для этого нужно. С ключом — определение целиком, вместе с SQL. "
        "Работает и без конфигурации: тогда без ваших собственных показателей.",
        "What is counted, from which record, to whose credit and what it takes. With a key: the whole definition with "
        "its SQL. Works without a configuration too: then without metrics of your own.",
    ),
    example="voronka metrics\nvoronka metrics win_rate",
)
@argument("metric", required=False, about=say("ключ показателя", "a metric's key"))
@json_option
def metrics_command(app: App, metric: str | None, as_json: bool) -> int:
    from metrics.catalogue import load_catalogue
    from voronka.reports.catalogue import metric_document, show_catalogue, show_metric

    own = app.project(read_sources=False).company.metrics_dir if app.config_path.exists() else None
    catalogue = load_catalogue(own)
    if metric is not None:
        found = catalogue.get(metric)
        if as_json:
            app.emit(metric_document(found))
        else:
            show_metric(app.page(), found)
        return 0
    if as_json:
        app.emit({"metrics": [metric_document(each) for each in catalogue]})
    else:
        show_catalogue(app.page(), catalogue)
    return 0
