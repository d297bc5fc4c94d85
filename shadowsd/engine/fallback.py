"""`fallback_task`: the function that runs what this worker does not know, instead of parking it.

Nothing is known of such a function, so its arguments come as msgpack gives them: a `datetime` that its own annotation
would have brought back is text here. Which function was meant stands in the execution.
"""

import inspect
from collections.abc import Callable
from typing import Any

from shadows.dependencies.validation import validate
from shadows.errors import ConfigurationError, RegistrationError
from shadows.registry import Task, name_of

# Names come from whoever adds, so that there may be any number of them.
MOST_NAMES = 500

EXPECTED = (
    "expected a function that takes whatever the unknown one was called with, and by a dependency which one that was: "
    "async def fallback(*args, execution: Execution = CurrentExecution(), **kwargs)."
)


class Fallback:
    """Makes a task of any name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Raises ConfigurationError when it could not be called with everything."""
        if not callable(function):
            raise ConfigurationError(f"fallback_task is {function!r}, which can't be called; {EXPECTED}")
        self._function = function
        name = name_of(function)
        try:
            validate(function, name)
        except RegistrationError as error:
            raise ConfigurationError(f"fallback_task can't be used: {error}") from None
        self._tasks: dict[str, Task] = {}
        signature = self.task(name).signature
        taken = [each for each in signature.parameters if each.name not in signature.dependency_names]
        kinds = {each.kind for each in taken}
        required = [each.name for each in taken if each.default is each.empty and each.kind not in VARIADIC]
        if not kinds.issuperset(VARIADIC) or required:
            raise ConfigurationError(f"fallback_task is {name}({', '.join(map(str, taken))}); {EXPECTED}")

    def task(self, name: str) -> Task:
        """The fallback, under the name of the function that is not known."""
        task = self._tasks.get(name)
        if task is None:
            if len(self._tasks) >= MOST_NAMES:
                self._tasks.clear()
            task = self._tasks[name] = Task(self._function, name, untyped=True)
        return task


VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
