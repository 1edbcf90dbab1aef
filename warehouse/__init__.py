"""The only writer: open and lock, land, conform, replay, publish, migrate."""
