"""How the two files are laid out on disk.

A batch that fills whole row groups goes straight to its place, compressed once. Anything less goes through the
write-ahead log into the last group, which every checkpoint compresses anew: with DuckDB's groups of 122,880 records
of a kilobyte that was a third of a first load's CPU time, and its memory.
"""

from __future__ import annotations

# Multiples of 2,048, as DuckDB wants them.
ROW_GROUP_RECORDS = 10_240
# Options are to be given whenever a file is opened for writing: the size is not kept in it, and a checkpoint under
# another one rearranges all groups. The storage of 1.3 has one compression of texts where older ones try several: two
# thirds of the CPU of an insert and its checkpoint. A file of an older storage becomes one of 1.3 when it is opened
# with this, and stays one; published it needs DuckDB 1.3 (May 2025) or later. Newer storages brought nothing more.
STORAGE_VERSION = "v1.3.0"
RAW_OPTIONS = f"(STORAGE_VERSION '{STORAGE_VERSION}', ROW_GROUP_SIZE {ROW_GROUP_RECORDS})"
# Rows of an open transaction stay in memory, uncompressed, until they fill a group: a smaller one bounds them.
WAREHOUSE_ROW_GROUP = 30_720
WAREHOUSE_OPTIONS = f"(STORAGE_VERSION '{STORAGE_VERSION}', ROW_GROUP_SIZE {WAREHOUSE_ROW_GROUP})"
