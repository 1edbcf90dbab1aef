"""Numbers: inputs, resolve, the catalogue of metrics (one SQL file each), facts and their evidence."""
