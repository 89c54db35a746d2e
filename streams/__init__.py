"""The arithmetic and the topology: topics, tables, windows, baselines, rules, lifecycle, routing.

Pure functions and small classes; only app.py, topics.py and tables.py know Faust. Time comes in as an
argument.
"""
