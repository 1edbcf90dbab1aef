"""1C: a folder of what accounting exports (bank statements, tables, CommerceML), or a database over OData."""
