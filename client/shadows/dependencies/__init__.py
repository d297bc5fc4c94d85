"""What a task can ask for by its parameters' defaults, and the classes to build one's own on."""

from uncalled_for import CallArgument, CycleError, Depends, Provided

from shadows.dependencies.arguments import TaskArgument
from shadows.dependencies.context import DependencyFailed
from shadows.dependencies.cron import Cron
from shadows.dependencies.current import (
    CurrentExecution,
    CurrentShadow,
    CurrentWorker,
    TaskKey,
    TaskLogger,
    current_execution,
    current_shadow,
    current_worker,
)
from shadows.dependencies.gates import ConcurrencyLimit, Cooldown, Debounce, Gate, RateLimit
from shadows.dependencies.kinds import (
    CompletionHandler,
    Dependency,
    FailureHandler,
    Outcome,
    Runtime,
    Successor,
)
from shadows.dependencies.once import Once
from shadows.dependencies.perpetual import Perpetual
from shadows.dependencies.progress import Progress
from shadows.dependencies.retry import ExponentialRetry, Retry, RetryRequested
from shadows.dependencies.shared import Shared
from shadows.dependencies.timeout import Timeout

__all__ = [
    "CallArgument",
    "CompletionHandler",
    "ConcurrencyLimit",
    "Cooldown",
    "Cron",
    "CurrentExecution",
    "CurrentShadow",
    "CurrentWorker",
    "CycleError",
    "Debounce",
    "Dependency",
    "DependencyFailed",
    "Depends",
    "ExponentialRetry",
    "FailureHandler",
    "Gate",
    "Once",
    "Outcome",
    "Perpetual",
    "Progress",
    "Provided",
    "RateLimit",
    "Retry",
    "RetryRequested",
    "Runtime",
    "Shared",
    "Successor",
    "TaskArgument",
    "TaskKey",
    "TaskLogger",
    "Timeout",
    "current_execution",
    "current_shadow",
    "current_worker",
]
