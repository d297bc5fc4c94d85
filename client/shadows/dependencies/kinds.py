"""The classes that dependencies are made of: the plain one, and those that act around the task's call.

Handlers decide and do no I/O: they return a `Successor`, and the worker writes it in the same script as the
outcome. Were they to schedule by themselves, a crash between the two writes would lose the successor or run
it twice.
"""

import copy
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec
import uncalled_for

from shadows.execution import Execution


class Outcome(msgspec.Struct, frozen=True):
    """How one run ended: with `result`, or with `exception`."""

    duration: timedelta
    result: object = None
    exception: BaseException | None = None


class Successor(msgspec.Struct, frozen=True):
    """The next execution of the key: after `delay` by Redis's clock, or at `when`; at once without both.

    Without `args` and `kwargs` it gets the same arguments as the run that it succeeds.
    """

    delay: timedelta | None = None
    when: datetime | None = None
    args: tuple[Any, ...] | None = None
    kwargs: dict[str, Any] | None = None


class Dependency[T](uncalled_for.Dependency[T]):
    """A value for a task's parameter: `__aenter__` gives it, `__aexit__` ends it. Subclass it for your own.

    The instance in the signature is shared by all runs, which may be concurrent: so each run enters a shallow
    copy, and what it writes on `self` is its own. `single = True` allows one of its class per task.
    """

    def for_parameter(self, name: str) -> Self:
        return copy.copy(self)

    def bind_to_parameter(self, name: str, value: Any) -> Self:
        return copy.copy(self)


class Runtime(Dependency[object]):
    """Wraps the task's call, as `Timeout` does; one per task."""

    single = True

    async def __aenter__(self) -> object:
        return self

    @abstractmethod
    async def run(self, execution: Execution, call: Callable[[], Awaitable[object]]) -> object:
        """Await `call()` once and return its result; what it raises is the task's failure."""


class FailureHandler(Dependency[object]):
    """Decides what follows a failed run. The first handler of a task that returns a `Successor` wins."""

    async def __aenter__(self) -> object:
        return self

    @abstractmethod
    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | Awaitable[Successor | None] | None:
        """The retry of this submission, or None when the failure is final; may be `async`."""


class CompletionHandler(Dependency[object]):
    """Decides what follows a run that ended: a success, or a failure that no `FailureHandler` took."""

    async def __aenter__(self) -> object:
        return self

    @abstractmethod
    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | Awaitable[Successor | None] | None:
        """The next submission under the same key, or None when this was the last; may be `async`."""


def describe(dependency: object) -> str:
    """The dependency as its signature shows it, for messages: `Depends(load)`, `TaskArgument('user_id')`, `Retry`."""
    kind = type(dependency).__name__.lstrip("_")
    factory = getattr(dependency, "factory", None)
    if factory is None:
        parameter = getattr(dependency, "parameter", None)
        return f"{kind}({parameter!r})" if isinstance(parameter, str) else kind
    return f"{kind}({getattr(factory, '__qualname__', None) or repr(factory)})"
