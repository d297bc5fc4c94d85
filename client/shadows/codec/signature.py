"""What the codec knows about one task function.

Its parameters, their plans, and the shapes of calls it takes.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from logging import DEBUG, WARNING
from typing import Any, NamedTuple, Unpack, get_origin

from uncalled_for import Dependency
from uncalled_for.base import Provider

from shadows.annotations import Logged
from shadows.codec.compiler import compiled
from shadows.codec.containers import TypedDictPlan
from shadows.codec.hints import Scope, Unresolved, function_scope, metadata
from shadows.codec.plans import LOOSE, Plan
from shadows.errors import ArgumentsError

# A `*args` or `**kwargs` task may be called in endless shapes; beyond these, a shape is worked out at each
# call.
MOST_SHAPES = 512
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Shape(NamedTuple):
    """One way to call a function: the parameter and the plan of each positional and each keyword argument."""

    parameters: tuple[str, ...]
    positional: tuple[Plan, ...]
    keyword: tuple[Plan, ...]


class TaskSignature:
    """A task's function and name.

    Cheap to build: hints are resolved and plans are made when they are first needed.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function = function
        self.name = name
        # The argument classes (positional ones, names, keyword ones) of calls that travel as they are.
        self.plain_calls: set[tuple[Any, ...]] = set()
        self._shapes: dict[tuple[int, tuple[str, ...]], Shape] = {}
        self._plans: dict[str, Plan] = {}

    @cached_property
    def _scope(self) -> Scope:
        return function_scope(self.function, f"{self.name}()")

    @cached_property
    def _signature(self) -> inspect.Signature:
        try:
            return inspect.signature(self.function)
        except ValueError:  # some functions written in C don't tell
            anything = [inspect.Parameter(name, kind) for name, kind in zip(("args", "kwargs"), VARIADIC, strict=True)]
            return inspect.Signature(anything)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return {
            # What is injected does not travel: that only type checkers know its type is nothing to warn of.
            name: self._scope.resolve(
                parameter.annotation, f"parameter {name}", level=DEBUG if name in self.dependency_names else WARNING
            )
            for name, parameter in self._signature.parameters.items()
        }

    @cached_property
    def dependency_names(self) -> frozenset[str]:
        """The parameters whose values are injected: left out of the payload unless passed explicitly."""
        return frozenset(
            name
            for name, parameter in self._signature.parameters.items()
            if isinstance(parameter.default, Dependency)
            or any(map(_provides, self._scope.metadata_of(parameter.annotation)))
        )

    @property
    def parameters(self) -> Collection[inspect.Parameter]:
        """The function's parameters, in order."""
        return self._signature.parameters.values()

    @cached_property
    def logged(self) -> Mapping[str, Logged]:
        """The parameters marked `Logged`, with their marks."""
        marks: dict[str, Logged] = {}
        for name, hint in self._hints.items():
            for item in metadata(hint):
                if item is Logged or isinstance(item, Logged):
                    marks[name] = item if isinstance(item, Logged) else Logged()
        return marks

    @cached_property
    def logged_names(self) -> frozenset[str]:
        """The names of the parameters whose arguments logs may show."""
        return frozenset(self.logged)

    @cached_property
    def result_plan(self) -> Plan:
        """How the function's results travel."""
        return compiled(self._signature.return_annotation, self._scope, "result")

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """The arguments by parameter, without defaults.

        ArgumentsError if the function can't be called like this.
        """
        try:
            bound = self._signature.bind_partial(*args, **kwargs)
        except TypeError as error:
            raise ArgumentsError(self._refusal(f"{error}")) from None
        for name, parameter in self._signature.parameters.items():
            required = parameter.default is inspect.Parameter.empty and parameter.kind not in VARIADIC
            if required and name not in bound.arguments and name not in self.dependency_names:
                unread = self._hints[name] is Unresolved
                why = ", whose annotation can't be read, nor a dependency in it" if unread else ""
                raise ArgumentsError(self._refusal(f"missing a required argument: {name!r}{why}"))
        return bound

    def _refusal(self, problem: str) -> str:
        taken = ", ".join(
            str(parameter.replace(annotation=inspect.Parameter.empty))
            for name, parameter in self._signature.parameters.items()
            if name not in self.dependency_names
        )
        return f"{self.name}() can't be called like this: {problem}. It takes ({taken}): correct the call."

    def shape(self, count: int, names: tuple[str, ...]) -> Shape:
        """The plans for `count` positional arguments and these keyword arguments.

        ArgumentsError as in `bind`.
        """
        shape = self._shapes.get((count, names))
        if shape is None:
            self.bind((None,) * count, dict.fromkeys(names))
            shape = self._make_shape(count, names)
            if len(self._shapes) < MOST_SHAPES:
                self._shapes[count, names] = shape
        return shape

    def _make_shape(self, count: int, names: tuple[str, ...]) -> Shape:
        parameters = self._signature.parameters
        positional = [name for name, parameter in parameters.items() if parameter.kind in POSITIONAL][:count]
        rest = next((name for name, parameter in parameters.items() if parameter.kind is VARIADIC[0]), "")
        positional += [rest] * (count - len(positional))
        extra = next((name for name, parameter in parameters.items() if parameter.kind is VARIADIC[1]), "")
        keyword = [self._plan(name) if self._by_keyword(name) else self._extra_plan(extra, name) for name in names]
        named = count - positional.count(rest)
        labels = [*positional[:named], *(f"{rest}[{index}]" for index in range(count - named))]
        return Shape((*labels, *names), tuple(map(self._plan, positional)), tuple(keyword))

    def _by_keyword(self, name: str) -> bool:
        parameter = self._signature.parameters.get(name)
        return parameter is not None and parameter.kind in KEYWORD

    def _extra_plan(self, parameter: str, name: str) -> Plan:
        plan = self._plan(parameter)
        if get_origin(self._hints[parameter]) is Unpack and isinstance(plan, TypedDictPlan):
            return plan.fields.get(name, LOOSE)
        return plan

    def _plan(self, name: str) -> Plan:
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = compiled(self._hints[name], self._scope, f"parameter {name}")
        return plan


POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _provides(item: Any) -> bool:
    return isinstance(item, Provider) or (isinstance(item, type) and issubclass(item, Provider))
