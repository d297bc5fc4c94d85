"""Would a daemon with these settings start here: its control path, its tasks, and what it trusts?"""

import os
from collections.abc import Iterator
from typing import Any

from shadows import Shadow
from shadows.amounts import counted
from shadows.errors import ConfigurationError
from shadowsd.commands.trial import try_to_import
from shadowsd.master.control import LONGEST_PATH
from shadowsd.master.settings import FORK, Settings
from shadowsd.observe.addresses import Place

from .finding import Finding, fail, ok, warn


def findings(settings: Settings, shadow: Shadow, running: dict[str, Any] | None) -> Iterator[Finding]:
    """One for each thing that was looked at; `running` is the status of the daemon that runs here."""
    yield control(settings, running)
    if running is not None:
        yield readiness(running)
    else:
        yield from ports(settings)
    yield tasks(settings)
    yield trust(shadow)


def control(settings: Settings, running: dict[str, Any] | None) -> Finding:
    """The control socket."""
    path = settings.control
    if running is not None:
        return ok("control", f"The daemon with pid {running['pid']} answers.")
    parent = next(directory for directory in path.absolute().parents if directory.exists())
    if len(os.fsencode(path)) > LONGEST_PATH:
        return fail("control", f"{path} is longer than the {LONGEST_PATH} bytes that a socket's path may have.",
                    "Give a shorter --control.")  # fmt: skip
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        return fail("control", f"No socket can be made at {path}: {parent} may not be written.",
                    "Give a --control in a directory of this user's, such as one under $XDG_RUNTIME_DIR.")  # fmt: skip
    return ok("control", f"No daemon answers; one would listen at {path}.")


def ports(settings: Settings) -> Iterator[Finding]:
    """Whether the ports are free."""
    for option, address in (
        ("--healthcheck-port", settings.healthcheck_port),
        ("--metrics-port", settings.metrics_port),
    ):
        if address is None:
            continue
        try:
            Place(option, address).close()
        except ConfigurationError as error:
            what, _, remedy = str(error).partition(". ")
            yield fail("ports", f"{what}.", remedy)
        else:
            yield ok("ports", f"{option} {address} is free.")


def readiness(running: dict[str, Any]) -> Finding:
    """What the running daemon says of itself."""
    if running["ready"]:
        return ok(
            "daemon", f"{counted(running['workers'], 'worker is wanted, and serves', 'workers are wanted, and serve')}."
        )
    return fail("daemon", f"It is not ready: {'; '.join(running['reasons'])}.", "See shadowsd status, and its log.")


def tasks(settings: Settings) -> Finding:
    """Whether the modules can be imported, and forked afterwards."""
    trial = try_to_import(settings)
    if trial.failure:
        last = trial.traceback.rstrip().rpartition("\n")[2].strip()
        return fail("tasks", f"{trial.failure}{f' It says: {last}.' if last else ''}",
                    "See all of it with shadowsd run --check-config.")  # fmt: skip
    if not settings.tasks:
        return warn("tasks", "No --tasks were named: workers would know the built-in ones only.", "Name a module.")
    if trial.obstacles and settings.spawn == FORK:
        return warn(
            "tasks", f"The imports left {', and '.join(trial.obstacles)}: each worker is executed and not forked, "
            "which takes longer and more memory.", "Open connections and start threads in a task, or in Shared(...).",
        )  # fmt: skip
    return ok("tasks", f"Imported: {', '.join(trial.functions)}.")


def trust(shadow: Shadow) -> Finding:
    """Whether payloads are signed, and what that means with pickles."""
    signed = shadow.settings.secret is not None
    if shadow.settings.serializer == "pickle" and not signed:
        return fail(
            "signing", "Payloads are pickles and not signed: whoever can write to Redis can run any code here.",
            "Set SHADOWS_SECRET for all clients and workers, or use the serializer msgpack.",
        )  # fmt: skip
    if not signed:
        return ok("signing", "Payloads are not signed: whoever can write to Redis can add tasks (SHADOWS_SECRET).")
    return ok("signing", f"Payloads are {shadow.settings.serializer}, and signed.")
