"""Bitrix24, cloud and box: deals, stage history, people, activities, calls over the REST API."""
