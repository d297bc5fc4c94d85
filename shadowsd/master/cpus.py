"""How many processors this process may use: by its affinity, and by the quota of its control group."""

import math
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def usable_cpus() -> int:
    """At least one; a quota of half a processor still runs one worker."""
    allowed = len(os.sched_getaffinity(0))
    quotas = [quota for path in _quota_files() if (quota := _quota(path)) is not None]
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas)]))


def _quota_files() -> list[Path]:
    """Those of this process's group and of all above it: the tightest counts."""
    try:
        groups = OWN.read_text().splitlines()
    except OSError:
        return []
    own = next((line.rpartition(":")[2].strip("/") for line in groups if line.startswith("0::")), "")
    parts = own.split("/") if own else []
    return [ROOT.joinpath(*parts[:depth], "cpu.max") for depth in range(len(parts) + 1)]


def _quota(path: Path) -> float | None:
    try:
        limit, period = path.read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        return None
