"""May this process be forked? A thread that holds a lock, or an open connection, would be copied half-dead.

BLAS libraries start native threads when they are imported, and start them again after a fork: these are no
obstacle, and `import numpy` alone brings one.
"""

import os
import threading
from pathlib import Path

BLAS = ("openblas", "libmkl", "libblis", "libgomp")
ESTABLISHED = "01"
TABLES = ("tcp", "tcp6", "udp", "udp6")


def obstacles() -> list[str]:
    """What stands in the way of forking this process, in words for its log; empty when nothing does."""
    return [*_python_threads(), *_native_threads(), *_connections()]


def _python_threads() -> list[str]:
    main = threading.main_thread()
    return [f"the thread {thread.name!r}" for thread in threading.enumerate() if thread is not main]


def _native_threads() -> list[str]:
    native = sum(1 for _ in Path("/proc/self/task").iterdir()) - len(threading.enumerate())
    allowed = _blas_libraries() * max(1, (os.cpu_count() or 1) - 1)
    return [f"{native - allowed} native threads that no BLAS library explains"] if native > allowed else []


def _blas_libraries() -> int:
    files = {line.rpartition("/")[2] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
    return sum(1 for file in files if any(name in file for name in BLAS))


def _connections() -> list[str]:
    inodes = {target[8:-1] for target in _descriptors() if target.startswith("socket:[")}
    found = []
    for table in TABLES:
        path = Path("/proc/self/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[9] in inodes and fields[3] == ESTABLISHED:
                found.append(f"an open {table} connection to port {int(fields[2].rpartition(':')[2], 16)}")
    return found


def _descriptors() -> list[str]:
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except OSError:
            continue  # the descriptor that listed them
    return targets
