"""How much memory a process has to itself, without what it shares with the process that it was forked from."""

from pathlib import Path

PRIVATE = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")


def private_bytes(pid: int | str = "self") -> int | None:
    """The private memory of a process; None where the system does not tell, or the process is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    words = (line.split() for line in rollup.splitlines())
    return sum(1024 * int(row[1]) for row in words if row[0] in PRIVATE)
