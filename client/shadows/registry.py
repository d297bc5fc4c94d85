"""The functions that a shadow can run, by name."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from logging import getLogger
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import lazy
from .errors import RegistrationError
from .identifiers import checked

if TYPE_CHECKING:
    from .codec.signature import TaskSignature

logger = getLogger("shadows")

type TaskFunction = Callable[..., Any]


class Task:
    """A registered function: the name that executions carry, and how its arguments travel."""

    __slots__ = ("arguments", "function", "is_async", "name", "signature")

    def __init__(self, function: TaskFunction, name: str, untyped: bool = False) -> None:
        """`untyped`: calls are read without the function's annotations, since they were meant for another one."""
        self.function = function
        self.name = name
        self.signature: TaskSignature = lazy.signature().TaskSignature(function, name)
        self.arguments = None if untyped else self.signature
        self.is_async = inspect.iscoroutinefunction(inspect.unwrap(function)) or inspect.iscoroutinefunction(
            type(function).__call__ if callable(function) else None
        )


class Registry:
    """What one shadow's name means in this process; all `Shadow`s of that name share it."""

    def __init__(self) -> None:
        self._by_name: dict[str, Task] = {}
        self._by_function: dict[TaskFunction, Task] = {}
        self.changes = 0

    def __iter__(self) -> Iterator[Task]:
        return iter(tuple(self._by_name.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._by_name)

    def get(self, name: str) -> Task | None:
        """The task of that name, or None."""
        return self._by_name.get(name)

    def of(self, function: TaskFunction) -> Task:
        """The task of a function, which is registered when it was not."""
        task = self._by_function.get(function)
        return task if task is not None else self.register(function)

    def register(self, function: TaskFunction, names: Iterable[str] | None = None) -> Task:
        """Registers a function under its own name, or under each of `names`.

        Raises RegistrationError when it can't be called, its dependencies conflict, or the name is taken.
        """
        if not callable(function):
            raise RegistrationError(
                f"{function!r} can't be a task: it is a {type(function).__name__}, and a task must be callable. "
                "Pass the function itself, not the result of calling it."
            )
        chosen = [names] if isinstance(names, str) else list(names or [name_of(function)])
        tasks = [self._enter(function, name) for name in chosen]
        self._by_function.setdefault(function, tasks[0])
        return tasks[0]

    def _enter(self, function: TaskFunction, name: str) -> Task:
        known = self._by_name.get(checked(name, "function name"))
        if known is not None and known.function is function:
            return known
        if known is not None and not same_definition(known.function, function):
            raise RegistrationError(
                f"Two functions want the name {name!r}: {place_of(known.function)} has it, {place_of(function)} asks "
                f"for it. Register one under another name: shadows.register({name}, names=['...'])."
            )
        lazy.validation().validate(function, name)
        task = Task(function, name)
        self._by_name[name] = task
        self.changes += 1
        return task

    def register_collection(self, path: str) -> list[Task]:
        """Registers the functions that `"module:member"` lists, or a whole `"module"`'s.

        Raises RegistrationError when there is no such thing or nothing in it; errors of the module itself
        are raised as they are.
        """
        module_name, _, member = path.partition(":")
        module = import_module(module_name)
        if member:
            return [self.register(function) for function in collection(module, member)]
        return [self.register(function) for function in functions_of(module)]

    def explain_unknown(self, name: str) -> str:
        """One sentence for a name that nobody here knows: the nearest right one, and the remedy."""
        near = lazy.difflib().get_close_matches(name, self._by_name, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        known = ", ".join(self.names()[:20]) or "none"
        return f"{hint}Known here: {known}. Pass its module to the worker with --tasks, or call shadows.register()."


_registries: dict[str, Registry] = {}


def registry_of(shadow: str) -> Registry:
    """The registry that all `Shadow`s called `shadow` in this process share."""
    return _registries.setdefault(shadow, Registry())


def name_of(function: TaskFunction | str) -> str:
    """The name under which executions of `function` travel; a name is its own."""
    if isinstance(function, str):
        return function
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


def place_of(function: TaskFunction) -> str:
    """Where a function was defined, for a person to find it."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"


def same_definition(known: TaskFunction, function: TaskFunction) -> bool:
    """Whether `function` is `known` defined again: a module that was reloaded, a cell that ran twice."""
    return place_of(known) == place_of(function) and not isinstance(known, functools.partial)


def collection(module: ModuleType, member: str) -> Iterable[TaskFunction]:
    """The functions that a module's member lists; a member that is a function is a collection of one."""
    found = getattr(module, member, None)
    if found is None:
        near = lazy.difflib().get_close_matches(member, vars(module), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Write {member} = [first_task, second_task] there."
        raise RegistrationError(
            f"The module {module.__name__} has no member {member!r}; expected a list of task functions. {hint}"
        )
    if callable(found):
        return [found]
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise RegistrationError(
            f"{module.__name__}:{member} is a {type(found).__name__}; expected a list of task functions. "
            f"Write {member} = [first_task, second_task]."
        )
    functions = list(found)
    if not functions:
        raise RegistrationError(f"{module.__name__}:{member} is empty; expected at least one task function in it.")
    return functions


def functions_of(module: ModuleType) -> list[TaskFunction]:
    """A module's tasks: the functions in its `__all__`, else its own public `async def` functions."""
    listed = getattr(module, "__all__", None)
    chosen: list[TaskFunction] = []
    skipped: list[str] = []
    for name in listed if listed is not None else vars(module):
        member = getattr(module, name, None)
        if not inspect.isfunction(member):
            continue
        own = member.__module__ == module.__name__ and not name.startswith("_")
        if listed is not None or (own and inspect.iscoroutinefunction(member)):
            chosen.append(member)
        elif own:
            skipped.append(name)
    if skipped:
        logger.info(
            "Of the module %s, %s were not registered: not `async def`. List them in __all__ or pass module:member.",
            module.__name__,
            ", ".join(skipped),
        )
    if not chosen:
        raise RegistrationError(
            f"The module {module.__name__} has no task: no functions in __all__, and no public `async def` function of "
            f"its own. Pass a collection: {module.__name__}:tasks."
        )
    return chosen
