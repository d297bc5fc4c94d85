"""`TaskArgument`: what the task was called with, for the factories of its dependencies."""

from typing import Any

# Its class has no public name; pyproject.toml pins the minor release.
from uncalled_for.frames import _CallArgument as CallArgumentDependency


class _TaskArgument(CallArgumentDependency):
    """Resolved as a `CallArgument` is, and named by its own name where it fails."""


def TaskArgument(parameter: str | None = None, optional: bool = False) -> Any:  # noqa: N802 - named like what it declares
    """The task's argument of that name: `async def load(user_id: int = TaskArgument()) -> User`.

    parameter: whose value it is; default is the name of the parameter that declares it.
    optional: None for tasks that have no such parameter, which are refused otherwise.

    The value is what the task gets: the argument of its call, its parameter's default, or what another dependency
    of the task provides. `CallArgument` is the same under the name of the library that both rest on.
    """
    return _TaskArgument(parameter, optional)
