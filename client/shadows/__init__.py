"""Background tasks for Python on Redis streams: add here, run there, at least once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import ExecutionCancelled, QuarantinedTask, RemoteError
from .execution import Disposition, Execution, ExecutionState, TaskCall
from .shadow import Shadow
from .strikelist import StrikeList

if TYPE_CHECKING:
    from shadowsd.engine import Worker

    from . import testing
    from .agenda import Agenda
    from .annotations import Logged
    from .default import add
    from .dependencies import (
        CallArgument,
        ConcurrencyLimit,
        Cooldown,
        Cron,
        CurrentExecution,
        CurrentShadow,
        CurrentWorker,
        CycleError,
        Debounce,
        Dependency,
        Depends,
        ExponentialRetry,
        Once,
        Perpetual,
        Progress,
        RateLimit,
        Retry,
        Shared,
        TaskArgument,
        TaskKey,
        TaskLogger,
        Timeout,
    )

__version__ = "0.2.0"

__all__ = [
    "Agenda",
    "CallArgument",
    "ConcurrencyLimit",
    "Cooldown",
    "Cron",
    "CurrentExecution",
    "CurrentShadow",
    "CurrentWorker",
    "CycleError",
    "Debounce",
    "Dependency",
    "Depends",
    "Disposition",
    "Execution",
    "ExecutionCancelled",
    "ExecutionState",
    "ExponentialRetry",
    "Logged",
    "Once",
    "Perpetual",
    "Progress",
    "QuarantinedTask",
    "RateLimit",
    "RemoteError",
    "Retry",
    "Shadow",
    "Shared",
    "StrikeList",
    "TaskArgument",
    "TaskCall",
    "TaskKey",
    "TaskLogger",
    "Timeout",
    "Worker",
    "__version__",
    "add",
    "testing",
]


# What is loaded when it is first asked for, so that a client which only adds stays light: the declarations,
# the process-wide default, and the worker, which is the one door to the floors above.
LATER = {
    "Agenda": "shadows.agenda",
    "Logged": "shadows.annotations",
    "Worker": "shadowsd.engine",
    "add": "shadows.default",
    **dict.fromkeys(
        (
            "CallArgument",
            "ConcurrencyLimit",
            "Cooldown",
            "Cron",
            "CurrentExecution",
            "CurrentShadow",
            "CurrentWorker",
            "CycleError",
            "Debounce",
            "Dependency",
            "Depends",
            "ExponentialRetry",
            "Once",
            "Perpetual",
            "Progress",
            "RateLimit",
            "Retry",
            "Shared",
            "TaskArgument",
            "TaskKey",
            "TaskLogger",
            "Timeout",
        ),
        "shadows.dependencies",
    ),
}


def __getattr__(name: str) -> Any:
    """Loads what `LATER` lists, and the module for tests."""
    if name == "testing":
        return import_module("shadows.testing")
    if name in LATER:
        value = globals()[name] = getattr(import_module(LATER[name]), name)
        return value
    raise AttributeError(f"module 'shadows' has no attribute {name!r}")
