"""How fast shadows is beside a bare redis-py loop, in the same run: `python -m bench --help`."""
