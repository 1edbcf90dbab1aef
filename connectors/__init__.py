"""Sources: one folder each (`streams.py` declares, `client.py` talks, `mapping.py` maps), and what they share.

A connector knows no warehouse, no scheduler and no environment: it turns vendor bytes into pages of raw
records, and raw records into plain rows that name their target as text.
"""
