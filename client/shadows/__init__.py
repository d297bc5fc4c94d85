"""Background tasks for Python on Redis streams: add here, run there, at least once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .annotations import Logged
from .default import add
from .dependencies import (
    CallArgument,
    CurrentExecution,
    CurrentShadow,
    CurrentWorker,
    CycleError,
    Dependency,
    Depends,
    ExponentialRetry,
    Perpetual,
    Progress,
    Retry,
    Shared,
    TaskKey,
    TaskLogger,
    Timeout,
)
from .errors import ExecutionCancelled, QuarantinedTask, RemoteError
from .execution import Disposition, Execution, ExecutionState, TaskCall
from .shadow import Shadow
from .strikelist import StrikeList

if TYPE_CHECKING:
    from shadowsd.engine import Worker

__version__ = "0.2.0"

__all__ = [
    "CallArgument",
    "CurrentExecution",
    "CurrentShadow",
    "CurrentWorker",
    "CycleError",
    "Dependency",
    "Depends",
    "Disposition",
    "Execution",
    "ExecutionCancelled",
    "ExecutionState",
    "ExponentialRetry",
    "Logged",
    "Perpetual",
    "Progress",
    "QuarantinedTask",
    "RemoteError",
    "Retry",
    "Shadow",
    "Shared",
    "StrikeList",
    "TaskCall",
    "TaskKey",
    "TaskLogger",
    "Timeout",
    "Worker",
    "__version__",
    "add",
]


def __getattr__(name: str) -> Any:
    """`Worker` is loaded when it is first asked for, so that a client which only adds stays light."""
    if name == "Worker":
        return import_module("shadowsd.engine").Worker
    raise AttributeError(f"module 'shadows' has no attribute {name!r}")
