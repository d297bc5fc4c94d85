"""Gives a task the dependencies that its signature declares, run by run.

1. `Injection`, made once per registered function, knows what is declared and in which order it is entered.
2. `Injection.enter` gives a `Resolved`: handlers and the runtime are entered first, so that a failing
   dependency is retried like any other failure; then values; then what only wraps the call. Of each kind, what the
   worker puts around every task comes first.
3. When the run is over, everything is closed in reverse. What fails then never takes the place of the task's
   outcome.

The resolving itself (frames, call arguments, the cache of `Depends`) is uncalled-for's. Its own entry point,
`resolved_dependencies`, is not used: it goes on after a failure, knows no handlers, loses the task's outcome
when closing fails, and takes half as long again.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from uncalled_for import (
    Dependency,
    Frame,
    get_annotation_dependencies,
    get_dependency_parameters,
    get_signature,
)

# Private, and there is no public way to set them other than `resolved_dependencies`: pyproject.toml pins the
# minor release, and tests/engine/test_inject.py compares us with the public way.
from uncalled_for.frames import _current_frame as current_frame
from uncalled_for.functional import _Depends as DependsDependency

from shadows.dependencies.context import DependencyFailed, TaskContext, current
from shadows.dependencies.gates import Gate, Terms
from shadows.dependencies.kinds import CompletionHandler, FailureHandler, Runtime, describe
from shadows.dependencies.perpetual import Perpetual
from shadows.dependencies.retry import Retry, RetryRequested
from shadows.dependencies.timeout import Timeout
from shadowsd.engine.around import NOTHING, Around, Declared
from shadowsd.engine.factories import planned
from shadowsd.engine.opened import Opened

ACTS_ON_TASK = (Runtime, FailureHandler, CompletionHandler)
NO_VALUES = (*ACTS_ON_TASK, Gate)


class Injection:
    """What one function declares. `needed` is False where that is nothing, and the rest can be skipped."""

    __slots__ = (
        "acting", "acting_around", "acting_by_annotation", "acts", "by_value", "constant", "defaults", "function",
        "gates", "known", "name", "needed", "parameters", "perpetual", "planned", "positional", "retry", "timeout",
        "values", "values_around", "wrapping",
    )  # fmt: skip

    def __init__(self, function: Callable[..., Any], around: Around = NOTHING) -> None:
        """`around` is what the worker enters around all functions."""
        self.function = function
        # Values by factory, for factories that are not called: a test has its own.
        self.known: Mapping[Any, Any] = {}
        self.name = getattr(function, "__name__", None) or type(function).__name__
        self.positional, self.parameters, annotated = _declarations(function)
        self.planned = planned(self.parameters)
        self.acting = [item for item in self.parameters.items() if isinstance(item[1], ACTS_ON_TASK)]
        self.values = [item for item in self.parameters.items() if not isinstance(item[1], NO_VALUES)]
        self.acting_by_annotation = [item for item in annotated if isinstance(item[1], ACTS_ON_TASK)]
        self.wrapping = [item for item in annotated if not isinstance(item[1], NO_VALUES)]
        # In this order they are asked: what drops a run first, and what counts its start last.
        self.gates = sorted(
            [(each.argument, each) for each in self.parameters.values() if isinstance(each, Gate)]
            + [(name, each) for name, each in annotated if isinstance(each, Gate)],
            key=lambda item: "dwcr".index(item[1].kind),
        )
        self.by_value = any(argument is not None for argument, _ in self.gates)
        # By the name of the task, what gates that mind no argument ask for: an execution that waits asks twice.
        self.constant: dict[str, tuple[Terms, ...]] = {}
        self.defaults = _defaults(function) if self.gates else {}
        given = around.of(function, self.name, [*self.parameters.items(), *annotated])
        self.acting_around = [item for item in given if isinstance(item[1], ACTS_ON_TASK)]
        self.values_around = [item for item in given if not isinstance(item[1], ACTS_ON_TASK)]
        self.acts = bool(self.acting or self.acting_by_annotation or self.acting_around)
        self.needed = bool(self.acts or self.values or self.wrapping or given)
        # Known without a run: a struck run of a Perpetual has a successor, and automatic ones are started by
        # workers.
        declared = [dependency for _, dependency in (*self.acting, *self.acting_by_annotation)]
        self.retry = next((each for each in declared if isinstance(each, Retry)), None)
        self.perpetual = next((each for each in declared if isinstance(each, Perpetual)), None)
        self.timeout = next((each for each in declared if isinstance(each, Timeout)), None)

    def terms(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Terms, ...]:
        """What the gates ask for in a call of the task `name` with these arguments."""
        if name in self.constant:
            return self.constant[name]
        provided = {**self.defaults, **dict(zip(self.positional, args, strict=False)), **kwargs}
        terms = tuple(
            gate.terms(name, argument, provided.get(argument) if argument is not None else None)
            for argument, gate in self.gates
        )
        if not self.by_value:
            self.constant[name] = terms
        return terms

    def enter(self, context: TaskContext, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "Resolved":
        """The dependencies of one run, for `async with`; explicit arguments take their place."""
        provided = dict(zip(self.positional, args, strict=False))
        provided.update(kwargs)
        return Resolved(self, context, provided)


def _declarations(
    function: Callable[..., Any],
) -> tuple[list[str], dict[str, Dependency[Any]], list[Declared]]:
    """The parameters that take positional arguments, the dependencies for values, and those that wrap."""
    try:
        signature = get_signature(function)
    except ValueError:
        # Some functions written in C don't tell.
        return [], {}, []
    positional = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    annotated = [
        (name, dependency)
        for name, dependencies in get_annotation_dependencies(function).items()
        for dependency in dependencies
    ]
    return positional, get_dependency_parameters(function), annotated


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """What the parameters are when nothing is passed for them."""
    parameters = get_signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


class Resolved:
    """The dependencies of one run: `kwargs` for the call, and who acts around it.

    The handlers are there also when entering failed, for whoever decides what follows.
    """

    __slots__ = (
        "_context", "_injection", "_opened", "_places", "_provided", "completion_handlers", "failure_handlers",
        "kwargs", "runtimes",
    )  # fmt: skip

    def __init__(self, injection: Injection, context: TaskContext, provided: dict[str, Any]) -> None:
        self._injection = injection
        self._context = context
        self._provided = provided
        self._opened = Opened(injection.name)
        self.kwargs: dict[str, Any] = {}
        # The last is the outermost.
        self.runtimes: list[Runtime] = []
        self.failure_handlers: list[FailureHandler] = []
        self.completion_handlers: list[CompletionHandler] = []
        self._places: dict[int, str] = {}

    @property
    def closing_error(self) -> Exception | None:
        """The first failure at closing; it was logged, and noted on the task's exception if there is one."""
        return self._opened.closing_error

    def place_of(self, handler: object) -> str:
        """Where a handler that acts on this run was declared, for messages."""
        return self._places[id(handler)]

    async def __aenter__(self) -> Self:
        # Never reset: each run belongs to an asyncio task, whose context ends with it.
        current.set(self._context)
        DependsDependency.cache.set(dict(self._injection.known))
        DependsDependency.stack.set(self._opened)
        frame = Frame(self._injection.function, self._provided, self._injection.planned)
        current_frame.set(frame)
        try:
            if self._injection.acts:
                await self._enter_acting(frame)
            await self._enter_values(frame)
        except BaseException as error:
            await self._opened.close(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Returns None also where a dependency would swallow the task's exception: a failure is a failure.
        if self._opened.managers:
            await self._opened.close(error)

    async def _enter_acting(self, frame: Frame) -> None:
        failure: Exception | None = None
        outer: list[tuple[Dependency[Any], str]] = []
        for name, dependency in self._injection.acting_around:
            try:
                entered = dependency.for_parameter(name)
                await self._opened.enter_async_context(entered)
                outer.append((entered, of_worker(name)))
            except Exception as error:
                failure = failure or self._failure(of_worker(name), dependency, error)
        for name, dependency in self._injection.acting:
            if name in self._provided:
                continue
            try:
                acting = dependency.for_parameter(name)
                self.kwargs[name] = frame.resolved[name] = await self._opened.enter_async_context(acting)
                self._adopt(acting, of_parameter(name))
            except Exception as error:
                failure = failure or self._failure(of_parameter(name), dependency, error)
        for name, dependency in self._injection.acting_by_annotation:
            try:
                acting = dependency.bind_to_parameter(name, await frame.resolve(name))
                await self._opened.enter_async_context(acting)
                self._adopt(acting, of_parameter(name))
            except Exception as error:
                failure = failure or self._failure(of_parameter(name), dependency, error)
        # Last: what the task declares itself is asked first, and runs inside.
        self.runtimes.extend(each for each, _ in reversed(outer) if isinstance(each, Runtime))
        for each, place in outer:
            self._heed(each, place)
        if failure is not None:
            raise failure

    def _adopt(self, acting: Dependency[Any], place: str) -> None:
        if isinstance(acting, Runtime):
            self.runtimes.append(acting)
        self._heed(acting, place)

    def _heed(self, acting: Dependency[Any], place: str) -> None:
        self._places[id(acting)] = place
        if isinstance(acting, FailureHandler):
            self.failure_handlers.append(acting)
        if isinstance(acting, CompletionHandler):
            self.completion_handlers.append(acting)

    async def _enter_values(self, frame: Frame) -> None:
        for name, dependency in self._injection.values_around:
            try:
                await self._opened.enter_async_context(dependency.for_parameter(name))
            except Exception as error:
                raise self._failure(of_worker(name), dependency, error) from error
        for name, dependency in self._injection.values:
            if name in self._provided:
                continue
            try:
                self.kwargs[name] = await frame.resolve(name)
            except Exception as error:
                raise self._failure(of_parameter(name), dependency, error) from error
        for name, dependency in self._injection.wrapping:
            try:
                wrapping = dependency.bind_to_parameter(name, await frame.resolve(name))
                await self._opened.enter_async_context(wrapping)
            except Exception as error:
                raise self._failure(of_parameter(name), dependency, error) from error

    def _failure(self, place: str, dependency: object, error: Exception) -> Exception:
        if isinstance(error, RetryRequested):
            # A factory may ask for a retry, through CallArgument("retry").
            return RetryRequested(error.delay, error.when)
        failure = DependencyFailed(
            f"{self._injection.name} was not called, because the dependency {describe(dependency)} of {place} "
            f"failed: {type(error).__name__}: {error}"
        )
        failure.__cause__ = error
        return failure


def of_parameter(name: str) -> str:
    """Where a dependency stands that the task declares itself."""
    return f"its parameter {name!r}"


def of_worker(name: str) -> str:
    """Where one stands that the worker puts around all tasks."""
    return f"its worker's dependency {name!r}"
