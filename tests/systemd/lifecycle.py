"""Checks of a service's ordinary days: start, reload, stop, restart, several on one machine."""

import shutil
import time
from pathlib import Path
from typing import Any

from tests.systemd.machine import (
    APPLICATION,
    PROGRAM,
    UNIT,
    add,
    configure,
    fresh_start,
    gone,
    journal,
    main_pid,
    outcome,
    processes,
    properties,
    ready_workers,
    release,
    restarts,
    run,
    shadow,
    state,
    status,
    systemctl,
    wait_until_running,
)
from tests.systemd.rig import URL
from tests.waiting import wait_for

ORDERS = "shadowsd@orders.service"
PRINTED = "shadowsd-printed.service"


def users() -> dict[str, Any]:
    done = run("systemd-sysusers")
    return {"code": done.returncode, "said": done.stdout, "account": run("getent", "passwd", "shadowsd").stdout}


def verify() -> dict[str, Any]:
    folder = Path(f"/run/systemd/system/{UNIT}.d")
    folder.mkdir(parents=True)
    shutil.copy("/opt/rig/hardening.conf", folder)
    done = run("systemd-analyze", "verify", UNIT, "shadowsd@orders.service")
    return {"code": done.returncode, "said": done.stdout}


def start() -> dict[str, Any]:
    code = systemctl("start", UNIT)
    at_once = ready_workers()
    words = wait_for(lambda: properties("StatusText")["StatusText"], "systemd has the status")
    return {
        "code": code,
        "state": state(),
        "ready": at_once,
        "words": words,
        "journal": journal(),
        "ran": outcome("version"),
    }


def secrets() -> dict[str, Any]:
    """Where a password could be read by others: arguments, environments, the log, `systemctl show`."""
    places = {str(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in processes()}
    places |= {f"{pid} environ": Path(f"/proc/{pid}/environ").read_text(errors="replace") for pid in processes()}
    places |= {"journal": journal(), "show": run("systemctl", "show", UNIT).stdout, "status": str(status())}
    return {"told": [name for name, text in places.items() if "between-us" in text], "looked": len(places)}


def reload() -> dict[str, Any]:
    before = main_pid()
    release("two")
    code = systemctl("reload", UNIT)
    return {"code": code, "state": state(), "same": main_pid() == before, "ran": outcome("version")}


def bad_reload() -> dict[str, Any]:
    before, release_before = main_pid(), (APPLICATION / "current").resolve().name
    release("broken")
    code = systemctl("reload", UNIT)
    saw = {
        "code": code, "state": state(), "same": main_pid() == before, "ready": ready_workers(),
        "ran": outcome("version"), "journal": journal(), "errors": journal(UNIT, "-p", "err"),
        "served": release_before,
    }  # fmt: skip
    release("one")
    return saw | {"next": systemctl("reload", UNIT), "then_ran": outcome("version")}


def stop_with_a_short_task() -> dict[str, Any]:
    """The unit's timeout is shorter than the task: a daemon that drains asks for more."""
    fresh_start("TimeoutStopSec=2")
    task = add("work", 4)
    wait_until_running(task)
    everybody = processes()
    code = systemctl("stop", UNIT)
    task.sync()
    return {
        "code": code, "result": properties("Result")["Result"], "task": task.state.value, "gone": gone(everybody),
        "everybody": len(everybody),
    }  # fmt: skip


def stop_with_a_long_task() -> dict[str, Any]:
    """The task outlasts the drain: it is handed back, and runs again after the start."""
    fresh_start("Environment=SHADOWSD_DRAIN_TIMEOUT=2s")
    task = add("work", 7, key="long")
    wait_until_running(task)
    began = time.monotonic()
    code = systemctl("stop", UNIT)
    took = time.monotonic() - began
    saw = {"code": code, "took": took, "result": properties("Result")["Result"], "state": state()}
    systemctl("start", UNIT)
    return saw | {"then": task.get_result(timeout=20)}


def restart_with_a_queue() -> dict[str, Any]:
    """Twenty slots, sixty tasks: two thirds are queued, and the rest in flight, at the restart."""
    fresh_start()
    tasks = [add("work", 1, key=f"queued-{number}") for number in range(60)]
    wait_until_running(tasks[0])
    code = systemctl("restart", UNIT)
    return {"code": code, "results": [task.get_result(timeout=20) for task in tasks]}


def slow_reload() -> dict[str, Any]:
    """Imports take longer than the unit gives a reload: a daemon that imports asks for more."""
    fresh_start("TimeoutStartSec=2")
    release("slow")
    code = systemctl("reload", UNIT)
    saw = {"code": code, "ran": outcome("version")}
    release("one")
    return saw


def slow_start() -> dict[str, Any]:
    """The same at a start."""
    release("slow")
    fresh_start("TimeoutStartSec=2")
    saw = {"ready": ready_workers(), "state": state(), "restarts": restarts(), "ran": outcome("version")}
    release("one")
    return saw


def instances() -> dict[str, Any]:
    """Another application beside it."""
    fresh_start()
    code = systemctl("start", ORDERS)
    ran = outcome("version", name="orders")
    saw = {
        "code": code, "ran": ran, "reload": systemctl("reload", ORDERS),
        "status": run(PROGRAM, "status", "--shadows", "orders").stdout,
        "other": status()["workers"],
    }  # fmt: skip
    systemctl("stop", UNIT)
    saw |= {"after_the_other_stopped": systemctl("reload", ORDERS)}
    shadow("orders").close()
    systemctl("stop", ORDERS)
    configure()
    return saw | {"left": [str(path) for path in Path("/run").glob("shadowsd*")]}


def printed() -> dict[str, Any]:
    """A unit that `shadowsd unit` printed, beside the service, which then stops."""
    fresh_start()
    options = ["--tasks", "jobs", "--app-dir", f"{APPLICATION}/current", "--shadows", "printed", "--workers", "1"]
    Path("/run/systemd/system/shadowsd-printed.service").write_text(
        run(PROGRAM, "unit", *options, "--user", "shadowsd").stdout
    )
    Path("/etc/shadowsd/shadowsd-printed.env").write_text(f"SHADOWS_URL={URL}\n")
    systemctl("daemon-reload")
    verified = run("systemd-analyze", "verify", PRINTED)
    code = systemctl("start", PRINTED)
    systemctl("stop", UNIT)
    saw = {
        "verified": verified.stdout, "code": code, "ran": outcome("version", name="printed"),
        "reload": systemctl("reload", PRINTED), "status": run(PROGRAM, "status", "--shadows", "printed").stdout,
    }  # fmt: skip
    shadow("printed").close()
    systemctl("stop", PRINTED)
    return saw


CHECKS = (
    users, verify, start, secrets, reload, bad_reload, stop_with_a_short_task, stop_with_a_long_task,
    slow_reload, slow_start, restart_with_a_queue, instances, printed,
)  # fmt: skip
