"""What a test puts in the place of a task's dependencies: by the parameter, or by what declares the dependency."""

from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter
from typing import Any, NamedTuple

import uncalled_for
from uncalled_for import get_annotation_dependencies, get_dependency_parameters, get_signature
from uncalled_for.functional import _Depends as DependsDependency  # its key in the cache has no public name

from shadows import lazy
from shadows.dependencies.current import CurrentExecution, CurrentShadow, CurrentWorker, TaskKey
from shadows.dependencies.kinds import describe
from shadows.dependencies.validation import inner_dependencies
from shadows.errors import ArgumentsError
from shadows.registry import name_of

# What belongs to the run as a whole. It may be asked for without being declared, as by `current_shadow`.
OF_THE_RUN: tuple[Callable[..., Any], ...] = (CurrentShadow, CurrentWorker, CurrentExecution, TaskKey)

type AnyDependency = uncalled_for.Dependency[Any]


class Overrides(NamedTuple):
    """What takes whose place: arguments by parameter, values by factory, and what belongs to the run."""

    arguments: dict[str, Any]
    known: dict[Any, Any]
    of_the_run: dict[Callable[..., Any], Any]


def overrides_of(function: Callable[..., Any], given: Mapping[Any, Any]) -> Overrides:
    """Raises ArgumentsError for a name or a dependency that the task does not have: it would override nothing."""
    found = Overrides({}, {}, {})
    declared = get_dependency_parameters(function)
    for place, value in given.items():
        if isinstance(place, str):
            _check_parameter(function, place)
            found.arguments[place] = value
        elif not _find(function, declared, place, value, found):
            names = ", ".join(dict.fromkeys(describe(each) for each in _all_of(function))) or "none"
            raise ArgumentsError(
                f"overrides names {getattr(place, '__qualname__', place)!r}, and nothing that {name_of(function)} "
                f"depends on is made by it. It has: {names}. Name a parameter, or what stands in Depends()."
            )
    return found


def _check_parameter(function: Callable[..., Any], name: str) -> None:
    parameters = get_signature(function).parameters
    if name in parameters or any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values()):
        return
    near = lazy.difflib().get_close_matches(name, parameters, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ArgumentsError(
        f"overrides names the parameter {name!r}, which {name_of(function)} does not have. {hint}It has: "
        f"{', '.join(parameters) or 'none'}."
    )


def _find(
    function: Callable[..., Any], declared: Mapping[str, AnyDependency], place: Any, value: Any, found: Overrides
) -> bool:
    if place in OF_THE_RUN:
        found.of_the_run[place] = value
        return True
    before = len(found.known), len(found.arguments)
    for dependency in _all_of(function):
        if getattr(dependency, "factory", None) is place:
            found.known[_key_of(dependency)] = value
    for name, dependency in declared.items():
        # `TaskLogger` is declared by a function that is named like its class.
        if type(dependency) is place or type(dependency).__name__ == f"_{getattr(place, '__name__', '')}":
            found.arguments[name] = value
    return (len(found.known), len(found.arguments)) != before


def _key_of(dependency: AnyDependency) -> Any:
    if isinstance(dependency, DependsDependency):
        return dependency._cache_key()  # noqa: SLF001 # nothing public tells under which key its value is found
    return dependency.factory  # type: ignore[attr-defined] # a Shared is known by its factory


def _all_of(function: Callable[..., Any]) -> Iterator[AnyDependency]:
    declared = [*get_dependency_parameters(function).values()]
    for dependencies in get_annotation_dependencies(function).values():
        declared.extend(dependencies)
    for dependency in declared:
        yield from _with_inner(dependency)


def _with_inner(dependency: AnyDependency) -> Iterator[AnyDependency]:
    yield dependency
    factory = getattr(dependency, "factory", None)
    if factory is not None:
        for _, inner in inner_dependencies(dependency, factory):
            yield from _with_inner(inner)
