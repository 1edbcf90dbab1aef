"""The steps of a night as plain Python (`steps/`), and the Prefect flows around them (`deployments.py`)."""
