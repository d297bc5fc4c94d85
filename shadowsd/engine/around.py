"""What a worker puts around every task that it runs: the dependencies that it was given.

They are checked by themselves when the worker is made, and against each task when the worker opens: one that can't work
with a task is refused then. A task that is registered later fails with the same words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import uncalled_for

from shadows.dependencies.kinds import Runtime, describe
from shadows.dependencies.perpetual import Perpetual
from shadows.dependencies.timeout import Timeout
from shadows.dependencies.validation import is_async, refuse_bad_factories, refuse_missing_arguments
from shadows.errors import ConfigurationError, RegistrationError

from .defaults import Default

type Declared = tuple[str, uncalled_for.Dependency[Any]]

WHAT = "expected a mapping of names to dependencies, or a list of dependencies, such as {'trace': Depends(trace)}"


class Around:
    """One worker's dependencies, by name; those of a sequence are named by their position."""

    __slots__ = ("_defaults", "_given")

    def __init__(
        self,
        dependencies: Mapping[str, object] | Iterable[object] | None = None,
        defaults: Sequence[tuple[str, type, Default]] = (),
    ) -> None:
        """`defaults` are for the tasks that have none of that kind. ConfigurationError names what can't work."""
        self._given = [(name, _checked(name, item)) for name, item in _named(dependencies)]
        self._defaults = defaults
        _refuse_two_of_a_kind([*self._given, *((name, default) for name, _, default in defaults)])

    def of(self, function: Callable[..., Any], task: str, declared: list[Declared]) -> list[Declared]:
        """Those that are entered around `function`, which declares some itself; ConfigurationError if they can't be."""
        given = [*self._given]
        for name, kind, default in self._defaults:
            if not any(isinstance(own, kind) for _, own in declared):
                given.append((name, default))
        if not is_async(function):  # what runs in a thread can't be stopped
            given = [item for item in given if not isinstance(item[1], Timeout)]
        for name, dependency in given:
            _refuse_rivals(name, dependency, task, declared)
            place = f"For the task {task!r}: the worker's dependency {name!r}"
            try:
                refuse_missing_arguments(function, dependency, name, place)
            except ValueError as error:
                raise ConfigurationError(str(error)) from None
        return given

    def check(self, tasks: Iterable[Any], injection: Callable[[Any], object]) -> None:
        """Refuses, for all tasks that are known, what `injection` refuses for one."""
        if self._given:
            for task in tasks:
                injection(task)


def _named(dependencies: Mapping[str, object] | Iterable[object] | None) -> Iterable[tuple[str, object]]:
    if dependencies is None:
        return []
    if isinstance(dependencies, Mapping):
        return dependencies.items()
    if isinstance(dependencies, str | bytes) or not isinstance(dependencies, Iterable):
        raise ConfigurationError(f"dependencies is {dependencies!r}; {WHAT}.")
    return [(f"dependencies[{position}]", item) for position, item in enumerate(dependencies)]


def _checked(name: object, item: object) -> uncalled_for.Dependency[Any]:
    if not isinstance(name, str):
        raise ConfigurationError(f"dependencies has the name {name!r}; {WHAT}.")
    if not isinstance(item, uncalled_for.Dependency):
        called = getattr(item, "__name__", None)
        kind = isinstance(item, type) and issubclass(item, uncalled_for.Dependency)
        remedy = f" Write {called}()." if kind else f" Write Depends({called})." if callable(item) and called else ""
        raise ConfigurationError(f"The worker's dependency {name!r} is {item!r}, which is none; {WHAT}.{remedy}")
    if isinstance(item, Perpetual):
        raise ConfigurationError(
            f"The worker's dependency {name!r} is a {describe(item)}: it would repeat every task for ever. Declare it "
            "in the signatures of the tasks that it is for."
        )
    try:
        refuse_bad_factories(item, f"The worker's dependency {name!r}")
    except RegistrationError as error:
        raise ConfigurationError(str(error)) from None
    return item


def _refuse_two_of_a_kind(given: list[Declared]) -> None:
    for position, (name, dependency) in enumerate(given):
        for other, earlier in given[:position]:
            if kind := _single_of_both(dependency, earlier):
                raise ConfigurationError(
                    f"The worker's dependencies {other!r} and {name!r} are both a {kind.__name__}, and a task can have "
                    "one. Remove one of them."
                )


def _refuse_rivals(name: str, dependency: uncalled_for.Dependency[Any], task: str, declared: list[Declared]) -> None:
    for parameter, own in declared:
        if kind := _single_of_both(dependency, own):
            raise ConfigurationError(
                f"The worker's dependency {name!r} and the parameter {parameter!r} of task {task!r} are both a "
                f"{kind.__name__}, and a task can have one. Remove one of them."
            )


def _single_of_both(one: uncalled_for.Dependency[Any], other: uncalled_for.Dependency[Any]) -> type | None:
    """The kind of both of which a task can have one. Two runtimes are not that: one wraps the other."""
    kinds = [kind for kind in type(one).__mro__ if isinstance(other, kind) and kind is not Runtime]
    return next((kind for kind in kinds if vars(kind).get("single")), None)


NOTHING = Around()
