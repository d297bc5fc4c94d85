"""Refuses, when a task is registered, dependencies that could only fail or be ignored when it runs."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import uncalled_for
from uncalled_for import get_annotation_dependencies, get_dependency_parameters, get_signature
from uncalled_for.frames import _CallArgument as CallArgumentDependency  # see arguments.py

from shadows import lazy
from shadows.dependencies.current import TASK_SCOPED
from shadows.dependencies.declared import read_annotations
from shadows.dependencies.gates import Gate
from shadows.dependencies.kinds import CompletionHandler, FailureHandler, Runtime, describe
from shadows.dependencies.once import Once
from shadows.dependencies.perpetual import Perpetual
from shadows.dependencies.progress import Progress
from shadows.dependencies.shared import SHARED
from shadows.dependencies.timeout import Timeout
from shadows.errors import RegistrationError

type Function = Callable[..., Any]
type AnyDependency = uncalled_for.Dependency[Any]

# These act around the task's call, or speak for it: in the signature of a factory they could not.
ONE_PER_TASK = (Runtime, FailureHandler, CompletionHandler, Progress, Gate)


def validate(function: Function, name: str) -> None:
    """Raises RegistrationError, naming the task `name` and its parameters, where a dependency can't work."""
    try:
        read_annotations(function)
    except ValueError:
        # Some functions written in C don't tell their signature, and so have no dependencies in it.
        return
    declared = declared_dependencies(function, name)
    _refuse_conflicts(name, declared)
    for parameter, dependency in declared:
        _refuse_unreachable_parameter(function, name, parameter)
        if isinstance(dependency, Timeout):
            _refuse_timeout_of_a_thread(function, name, parameter)
        if isinstance(dependency, Gate):
            _refuse_gate_without_argument(function, name, parameter, dependency)
        if isinstance(dependency, Perpetual) and dependency.automatic:
            _refuse_required_arguments(function, name, parameter)
        place = f"The parameter {parameter!r} of task {name!r}"
        if isinstance(dependency, CallArgumentDependency):
            _refuse_own_value(dependency, parameter, place)
        refuse_bad_factories(dependency, place)
        refuse_missing_arguments(function, dependency, parameter, place)


def declared_dependencies(function: Function, name: str) -> list[tuple[str, AnyDependency]]:
    """Each dependency in the signature of `function`, with its parameter."""
    try:
        by_default = get_dependency_parameters(function)
    except TypeError as error:
        raise RegistrationError(f"Task {name!r} can't be registered: {error}. Declare one dependency.") from error
    declared = list(by_default.items())
    for parameter, dependencies in get_annotation_dependencies(function).items():
        declared.extend((parameter, dependency) for dependency in dependencies)
    return declared


def _refuse_conflicts(name: str, declared: list[tuple[str, AnyDependency]]) -> None:
    singles = {
        kind: None
        for _, dependency in declared
        for kind in type(dependency).__mro__
        if issubclass(kind, uncalled_for.Dependency) and kind.single
    }
    for kind in singles:
        parameters = [parameter for parameter, dependency in declared if isinstance(dependency, kind)]
        if len(parameters) > 1:
            raise RegistrationError(
                f"Task {name!r} has {len(parameters)} {kind.__name__} dependencies, in its parameters "
                f"{' and '.join(map(repr, parameters))}, and can have one. Remove the others."
            )


def _refuse_unreachable_parameter(function: Function, name: str, parameter: str) -> None:
    kind = get_signature(function).parameters[parameter].kind
    if kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
        raise RegistrationError(
            f"The parameter {parameter!r} of task {name!r} has a dependency and is {kind.description}. Make "
            f"it one that takes a keyword: dependencies are passed by name."
        )


def _refuse_timeout_of_a_thread(function: Function, name: str, parameter: str) -> None:
    if not is_async(function):
        raise RegistrationError(
            f"Task {name!r} has a Timeout, in its parameter {parameter!r}, but is a plain `def`: it runs in "
            f"a thread, which can't be stopped. Make it `async def`, or limit the calls that it makes."
        )


def _refuse_gate_without_argument(function: Function, name: str, parameter: str, gate: Gate) -> None:
    """A gate is passed before dependencies have values, so only arguments can tell its limits apart."""
    provided = get_dependency_parameters(function)
    limited = gate.argument if provided.get(parameter) is gate else parameter
    parameters = get_signature(function).parameters
    arguments = [
        each
        for each in parameters.values()
        if each.name not in provided and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if limited is not None and limited not in [each.name for each in arguments]:
        raise RegistrationError(
            f"The {describe(gate)} of task {name!r}, in its parameter {parameter!r}, limits by {limited!r}, which is "
            f"no argument of the task. Its arguments are: {', '.join(repr(each.name) for each in arguments) or 'none'}."
        )


def _refuse_required_arguments(function: Function, name: str, parameter: str) -> None:
    provided = get_dependency_parameters(function)
    required = [
        repr(other.name)
        for other in get_signature(function).parameters.values()
        if other.name not in provided
        and other.default is inspect.Parameter.empty
        and other.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if required:
        raise RegistrationError(
            f"Task {name!r} is started by the workers, because of automatic=True in its parameter "
            f"{parameter!r}, and they don't know the arguments that it requires: {', '.join(required)}. Give "
            f"those defaults, or pass automatic=False and add the task yourself."
        )


def refuse_bad_factories(
    dependency: AnyDependency, place: str, path: tuple[Function, ...] = (), shared: bool = False
) -> None:
    """Raises RegistrationError for any factory that `dependency` leads to and that can't work.

    `path` led here, `shared` when through a Shared.
    """
    factory = getattr(dependency, "factory", None)
    if factory is None:
        return
    place = f"{place} declares {describe(dependency)}"
    if factory in path:
        raise RegistrationError(f"{place}, which depends on itself. Remove one of the dependencies on that way.")
    _refuse_uncallable_factory(dependency, factory, place)
    shared = shared or isinstance(dependency, SHARED)
    for parameter, inner in inner_dependencies(dependency, factory):
        where = f"{place}, whose parameter {parameter!r}"
        if isinstance(inner, ONE_PER_TASK):
            raise RegistrationError(
                f"{where} is a {describe(inner)}, which only works on the task itself. Declare it there, and "
                f"read it in the factory with TaskArgument('<its parameter>')."
            )
        if shared and isinstance(inner, (*TASK_SCOPED, Once, CallArgumentDependency)):
            raise RegistrationError(
                f"{where} is a {describe(inner)}. A Shared value outlives the task that it was made for: use Depends."
            )
        refuse_bad_factories(inner, where, (*path, factory), shared)


def _refuse_uncallable_factory(dependency: AnyDependency, factory: Function, place: str) -> None:
    try:
        read_annotations(factory)
        parameters = get_signature(factory).parameters.values()
        provided = get_dependency_parameters(factory)
    except (TypeError, ValueError) as error:
        raise RegistrationError(f"{place}, which can't be called: {error}. Wrap it in a function.") from error
    if inspect.isgeneratorfunction(factory) or inspect.isasyncgenfunction(factory):
        decorator = "contextmanager" if inspect.isgeneratorfunction(factory) else "asynccontextmanager"
        raise RegistrationError(f"{place}, which yields. Decorate it with contextlib.{decorator}.")
    bound = {*provided, *getattr(dependency, "bindings", ())}
    for parameter in parameters:
        optional = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if parameter.name not in bound and parameter.default is inspect.Parameter.empty and not optional:
            raise RegistrationError(
                f"{place}, whose parameter {parameter.name!r} has no value. Give it a default or a "
                f"dependency, such as TaskArgument() for the task's argument of that name."
            )


def _refuse_own_value(dependency: CallArgumentDependency, parameter: str, place: str) -> None:
    if dependency.parameter in (None, parameter):
        raise RegistrationError(
            f"{place} declares {describe(dependency)}, which is its own value. Name another parameter of the task, or "
            f"declare it in a factory that the task Depends on."
        )


def refuse_missing_arguments(function: Function, dependency: AnyDependency, parameter: str, place: str) -> None:
    """Raises RegistrationError where `dependency` wants an argument that calls of `function` can't have."""
    signature = get_signature(function).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in signature):
        return
    taken = [each.name for each in signature if each.kind is not inspect.Parameter.VAR_POSITIONAL]
    for where, wanted, name in _arguments(dependency, parameter, f"{place} declares {describe(dependency)}"):
        if name not in taken:
            near = lazy.difflib().get_close_matches(name, taken, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise RegistrationError(
                f"{where}, but the task has no parameter {name!r}. {hint}It has: {', '.join(taken)}. Name one of them, "
                f"or pass {describe(wanted).partition('(')[0]}(..., optional=True) for tasks that have none."
            )


def _arguments(
    dependency: AnyDependency, parameter: str, place: str
) -> Iterator[tuple[str, CallArgumentDependency, str]]:
    """Each argument that `dependency` can't do without: where it is declared, what declares it, and its name."""
    if isinstance(dependency, CallArgumentDependency):
        if not dependency.optional and dependency.default is inspect.Parameter.empty:
            yield place, dependency, dependency.parameter or parameter
    elif (factory := getattr(dependency, "factory", None)) is not None:
        for name, inner in inner_dependencies(dependency, factory):
            yield from _arguments(inner, name, f"{place}, whose parameter {name!r} is {describe(inner)}")


def inner_dependencies(dependency: AnyDependency, factory: Function) -> Iterator[tuple[str, AnyDependency]]:
    """What the factory of `dependency` depends on itself, with its parameters."""
    bindings: dict[str, Any] = getattr(dependency, "bindings", {})
    for parameter, inner in get_dependency_parameters(factory).items():
        if parameter not in bindings:
            yield parameter, inner
    for parameter, value in bindings.items():
        if isinstance(value, uncalled_for.Dependency):
            yield parameter, value
    # Of those in types that give no value, what is for tasks would be ignored.
    for parameter, dependencies in get_annotation_dependencies(factory).items():
        yield from ((parameter, each) for each in dependencies if isinstance(each, ONE_PER_TASK))


def is_async(function: Function) -> bool:
    """Whether the task runs on the loop; all others run in a thread."""
    plain = inspect.unwrap(function)
    return inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(type(plain).__call__)
