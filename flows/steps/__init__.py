"""The steps as plain Python: sync, resolve, recompute, publish, nightly, replay. Prefect only wraps them."""
