"""Checks of what the units forbid, and of what tasks can do all the same."""

import re
import shutil
from typing import Any

from tests.systemd.machine import DROP_INS, UNIT, configure, fresh_start, journal, outcome, run, status, systemctl


def score() -> float:
    """What `systemd-analyze security` makes of the unit as it is loaded."""
    said = run("systemd-analyze", "security", "--no-pager", UNIT).stdout
    found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert found, said
    return float(found[1])


def measured() -> dict[str, Any]:
    """The score, with a task running under it, a reload and the stacks of a worker."""
    return {
        "score": score(), "task": outcome("ordinary", 6379), "reload": systemctl("reload", UNIT),
        "stacks": run("/opt/shadowsd/venv/bin/shadowsd", "stacks").stdout, "memory": status()["slots"][0]["memory"],
        "journal": journal(),
    }  # fmt: skip


def plain_unit() -> dict[str, Any]:
    fresh_start()
    return measured()


def hardened_unit() -> dict[str, Any]:
    systemctl("stop", UNIT)
    configure("# of this check")
    shutil.copy("/opt/rig/hardening.conf", DROP_INS)
    systemctl("daemon-reload")
    assert systemctl("start", UNIT) == 0
    return measured()


CHECKS = (plain_unit, hardened_unit)
