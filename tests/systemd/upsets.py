"""Checks of a service's bad days: killed, wedged, misconfigured, without Redis."""

import signal
import time
from pathlib import Path
from typing import Any

import shadows
from tests.systemd.machine import (
    UNIT,
    add,
    configure,
    fresh_start,
    gone,
    journal,
    kill,
    main_pid,
    outcome,
    processes,
    properties,
    ready_workers,
    restarts,
    state,
    status,
    systemctl,
    wait_until_running,
)
from tests.waiting import wait_for

WRONG = "shadowsd@wrong.service"


def killed_worker() -> dict[str, Any]:
    """One that runs a task."""
    fresh_start()
    task = add("watched", 2)
    wait_until_running(task)
    master = main_pid()
    victim = wait_for(busy_worker, "the master has heard which worker is busy")
    kill(victim)
    wait_for(lambda: gone([victim]) and ready_workers() == 2, "the slot is filled again", 30)
    saw = {"state": state(), "same": main_pid() == master, "restarts": restarts(), "ran": outcome("version")}
    saw |= {"journal": journal(), "warnings": journal(UNIT, "-p", "warning")}
    return saw | {"redelivered": task.get_result(timeout=20)}


def busy_worker() -> int | None:
    """A worker tells its master twice a second at most, so the answer comes after the task's start."""
    return next((row["pid"] for row in status()["slots"] if row["busy"]), None)


def killed_master() -> dict[str, Any]:
    """Its workers run a task, which waits for the end of their leases."""
    fresh_start()
    task = add("watched", 2)
    wait_until_running(task)
    everybody = processes()
    kill(main_pid())
    wait_for(lambda: gone(everybody), "nobody is left of the old ones")
    wait_for(lambda: restarts() == 1 and state() == "active", "systemd has started it again", 30)
    saw = {"everybody": len(everybody), "ran": outcome("version"), "ready": ready_workers()}
    return saw | {"redelivered": task.get_result(timeout=40)}


def wedged_master() -> dict[str, Any]:
    fresh_start("WatchdogSec=3")
    everybody, master = processes(), main_pid()
    kill(master, signal.SIGSTOP)
    wait_for(lambda: restarts() == 1 and state() == "active", "systemd has started it again", 30)
    return {"gone": gone(everybody), "ran": outcome("version"), "journal": journal()}


def watched_master() -> dict[str, Any]:
    """A master that is well is left alone for several times WatchdogSec, also when nothing happens."""
    fresh_start("WatchdogSec=1")
    master, began = main_pid(), time.monotonic()
    wait_for(lambda: main_pid() != master or time.monotonic() - began > 4, "four seconds are over")
    return {"same": main_pid() == master, "restarts": restarts()}


def wrong_module() -> dict[str, Any]:
    """RestartSec is 2 s: a loop would have come round twice."""
    code = systemctl("start", WRONG)
    began = time.monotonic()
    wait_for(lambda: state(WRONG) != "failed" or time.monotonic() - began > 5, "five seconds are over")
    return {
        "code": code, "state": state(WRONG), "restarts": restarts(WRONG), "journal": journal(WRONG),
        "errors": journal(WRONG, "-p", "err"),
        "status": properties("ExecMainStatus", unit=WRONG)["ExecMainStatus"],
    }  # fmt: skip


def start_without_redis() -> dict[str, Any]:
    """Redis comes when the start would have timed out twice."""
    systemctl("stop", UNIT)
    systemctl("stop", "redis.service")
    configure("TimeoutStartSec=3")
    systemctl("start", "--no-block", UNIT)
    master = wait_for(main_pid, "the master is there")
    began = time.monotonic()
    wait_for(lambda: state() != "activating" or time.monotonic() - began > 7, "seven seconds are over")
    saw = {
        "state": state(), "same": main_pid() == master, "restarts": restarts(),
        "words": properties("StatusText")["StatusText"], "ready": status()["ready"], "journal": journal(),
    }  # fmt: skip
    systemctl("start", "redis.service")
    wait_for(lambda: state() == "active", "the service has started", 30)
    return saw | {"then_same": main_pid() == master, "ran": outcome("version")}


def upgraded() -> dict[str, Any]:
    """The package is upgraded under a running master, whose workers would be of another release than it is. This is
    the last check: the machine keeps the upgrade."""
    fresh_start()
    source = Path(shadows.__file__)
    source.write_text(source.read_text().replace(f'__version__ = "{shadows.__version__}"', '__version__ = "9.9.9"'))
    code = systemctl("reload", UNIT)
    saw = {"code": code, "journal": journal(), "state": state(), "ran": outcome("version")}
    return saw | {"restart": systemctl("restart", UNIT), "version": status()["version"], "then_ran": outcome("version")}


CHECKS = (
    killed_worker, killed_master, wedged_master, watched_master, wrong_module, start_without_redis,
)  # fmt: skip
