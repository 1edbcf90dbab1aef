"""amoCRM (Kommo) through its REST API v4, read only."""
