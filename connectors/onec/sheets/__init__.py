"""Tables that accountants export: XLSX, XLS and CSV, read by a mapping of columns from the configuration.

table.py    a workbook or text as tables of rows     values.py   amounts and dates as people write them
header.py   where the captions are                   layout.py   a mapping met with a table: columns found
builtin.py  1C's standard reports                    survey.py   the table judged whole, then its rows
entry.py    a row as it is stored, and its id        mapping.py  from there to the core
reader.py   one file of the folder
"""
