"""Where the work of a run happens: in this process, or on a cluster. Every engine runs the one unit of `unit.py`.

Nothing is imported here: a worker process starts with this package, and needs neither graph nor database.
"""
