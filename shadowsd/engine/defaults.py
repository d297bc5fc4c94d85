"""What holds for tasks that declare nothing of the kind: a worker's default `Timeout` and `Retry`.

They are entered like its other dependencies, around the tasks that they are for. The daemon's `--task-timeout` is one.
"""

from datetime import timedelta

from shadows.dependencies.retry import Retry
from shadows.dependencies.timeout import Timeout
from shadows.durations import format_duration
from shadows.errors import ConfigurationError

type Default = Timeout | Retry


class DefaultTimeout(Timeout):
    """A limit that no task declares, and that tells so when it ends one."""

    def __init__(self, base: timedelta, origin: str) -> None:
        super().__init__(base)
        self._origin = origin

    def reason(self, function_name: str) -> str:
        return (
            f"{function_name} was cancelled because it ran for longer than {self._origin}, "
            f"{format_duration(self.base)}. Give the task a Timeout of its own, or all tasks more time."
        )


def defaults(timeout: object, retry: object, task_timeout: timedelta | None) -> list[tuple[str, type, Default]]:
    """Each default by its name, with the kind that a task has instead. Raises ConfigurationError."""
    found: list[tuple[str, type, Default]] = []
    if timeout is not None:
        if not isinstance(timeout, Timeout):
            raise ConfigurationError(
                f"default_timeout is {timeout!r}; expected a Timeout, as Timeout(timedelta(minutes=5))."
            )
        plain = type(timeout) is Timeout
        given = DefaultTimeout(timeout.base, "the worker's default_timeout") if plain else timeout
        found.append(("default_timeout", Timeout, given))
    elif task_timeout is not None:
        found.append(("task_timeout", Timeout, DefaultTimeout(task_timeout, "--task-timeout")))
    if retry is not None:
        if not isinstance(retry, Retry):
            raise ConfigurationError(f"default_retry is {retry!r}; expected a Retry, as Retry(attempts=3).")
        found.append(("default_retry", Retry, retry))
    return found
