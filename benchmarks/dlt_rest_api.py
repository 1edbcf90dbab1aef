"""dlt's own way to the same leads: its documented `rest_api` source into DuckDB, untouched or tuned.

Run as its own process. `default` is the source as its documentation writes it. `tuned` follows dlt's page
"Optimizing dlt": flat columns (no nested tables), larger buffers, Parquet instead of SQL inserts, no progress output.
Both read incrementally by `updated_at` and merge on `id`, as voronka does.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

# dlt reads its settings from the environment; the names are those of its configuration reference.
TUNED = {
    "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "DATA_WRITER__FILE_MAX_ITEMS": "100000",
    "EXTRACT__MAX_PARALLEL_ITEMS": "20",
    "NORMALIZE__WORKERS": "1",
    "LOAD__WORKERS": "1",
}


def leads(base_url: str, *, is_flat: bool) -> Any:
    """The source: keyset by `updated_at`, pages by the link of each answer."""
    from dlt.sources.rest_api import rest_api_source

    return rest_api_source(
        {
            "client": {
                "base_url": f"{base_url}/api/v4/",
                "auth": {"type": "bearer", "token": "benchmark"},
                "paginator": {"type": "json_link", "next_url_path": "_links.next.href"},
            },
            "resources": [
                {
                    "name": "leads",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "leads",
                        "data_selector": "_embedded.leads",
                        "params": {
                            "limit": 250,
                            "with": "contacts,loss_reason,catalog_elements,source",
                            "filter[updated_at][from]": "{incremental.start_value}",
                            "order[updated_at]": "asc",
                        },
                        "incremental": {"cursor_path": "updated_at", "initial_value": 0},
                        # Where nothing has changed amoCRM answers 204.
                        "response_actions": [{"status_code": 204, "action": "ignore"}],
                    },
                }
            ],
        },
        max_table_nesting=0 if is_flat else None,
    )


def load(base_url: str, folder: Path, *, is_tuned: bool) -> None:
    if is_tuned:
        os.environ.update(TUNED)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt

    pipeline = dlt.pipeline(
        pipeline_name="leads",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "leads.duckdb")),
        dataset_name="amocrm",
    )
    pipeline.run(leads(base_url, is_flat=is_tuned), loader_file_format="parquet" if is_tuned else None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tuned", action="store_true")
    arguments = parser.parse_args()
    load(arguments.base_url, arguments.folder, is_tuned=arguments.tuned)
