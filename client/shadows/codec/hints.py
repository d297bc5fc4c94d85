"""Resolves annotations one by one: a name that only exists for type checkers must not hide all the others."""

import ast
import functools
import inspect
import logging
import sys
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ForwardRef, TypeAliasType, get_args, get_origin

logger = logging.getLogger("shadows")


class Unresolved:
    """Stands for an annotation that is missing or can't be resolved."""


class Scope:
    """Where the names of an annotation are looked up, and what its type variables stand for."""

    __slots__ = ("locals", "names", "owner", "variables", "warned")

    def __init__(
        self,
        owner: str,
        names: dict[str, Any],
        local_names: Mapping[str, Any],
        variables: Mapping[Any, Any] | None = None,
    ) -> None:
        self.owner = owner
        self.names = names
        self.locals = local_names
        self.variables = variables or {}

    def resolve(self, annotation: Any, place: str, level: int = logging.WARNING) -> Any:
        """The annotation with text turned into what it names.

        `Unresolved`, and told at that level, where that fails.
        """
        text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
        if not isinstance(text, str):
            return annotation
        try:
            return self.resolve(eval(text, self.names, self.locals), place, level)
        except Exception as error:
            logger.log(
                level,
                "The annotation %r of %s %s can't be resolved (%s: %s), and counts as absent: values that "
                "need it to "
                "come back as they were are refused. Import its names at run time, not only for type "
                "checking.",
                text,
                self.owner,
                place,
                type(error).__name__,
                error,
            )
            return Unresolved

    def metadata_of(self, annotation: Any) -> tuple[Any, ...]:
        """What `Annotated` adds to an annotation, also where the type in it is known to type checkers only.

        Empty where that can't be read either: whoever needs the value says so.
        """
        text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
        if not isinstance(text, str):
            return metadata(annotation)
        try:
            return self.metadata_of(eval(text, self.names, self.locals))
        except Exception:
            return self._added_in(text)

    def _added_in(self, text: str) -> tuple[Any, ...]:
        try:
            parsed = ast.parse(text, mode="eval").body
            if not isinstance(parsed, ast.Subscript) or self._value_of(parsed.value) is not Annotated:
                return ()
            _, *added = parsed.slice.elts if isinstance(parsed.slice, ast.Tuple) else [parsed.slice]
            return tuple(map(self._value_of, added))
        except Exception:
            return ()

    def _value_of(self, expression: ast.expr) -> Any:
        return eval(ast.unparse(expression), self.names, self.locals)


def function_scope(function: Callable[..., Any], owner: str) -> Scope:
    """The scope of the annotations of a function, a method, a partial or a callable object."""
    inner = _plain_function(function)
    code, closure = getattr(inner, "__code__", None), getattr(inner, "__closure__", None)
    local_names: dict[str, Any] = {}
    if code is not None and closure:
        local_names.update(_filled_cells(code.co_freevars, closure))
    local_names.update({variable.__name__: variable for variable in getattr(inner, "__type_params__", ())})
    return Scope(owner, getattr(inner, "__globals__", {}), local_names)


def _plain_function(function: Callable[..., Any]) -> Any:
    inner: Any = function
    while True:
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif hasattr(inner, "__wrapped__"):
            inner = inspect.unwrap(inner)
        elif inspect.ismethod(inner):
            inner = inner.__func__
        elif isinstance(inner, type):
            inner = inspect.getattr_static(inner, "__init__")
        elif inspect.isroutine(inner):
            return inner
        else:
            inner = type(inner).__call__


def _filled_cells(names: tuple[str, ...], cells: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(names, cells, strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # the enclosing function has not assigned it yet
            continue


def class_hints(kind: type, variables: Mapping[Any, Any]) -> dict[str, tuple[Any, Scope]]:
    """The annotations of a class and its bases by name, each with the scope of the class that wrote it."""
    hints: dict[str, tuple[Any, Scope]] = {}
    for owner in reversed(kind.__mro__):
        module = sys.modules.get(owner.__module__)
        parameters = vars(owner).get("__type_params__", ())
        known = {variable.__name__: variable for variable in parameters} if isinstance(parameters, tuple) else {}
        # The module before the class: in `date: "date"` the text is the type, not the field's default.
        names = ChainMap(known, vars(module) if module else {}, {owner.__name__: owner})
        scope = Scope(owner.__qualname__, dict(vars(owner)), names, variables)
        hints.update({name: (hint, scope) for name, hint in inspect.get_annotations(owner).items()})
    return hints


def metadata(annotation: Any) -> tuple[Any, ...]:
    """What `Annotated` adds to an annotation, innermost first, also through `type` aliases."""
    origin = annotation if isinstance(annotation, TypeAliasType) else get_origin(annotation)
    if isinstance(origin, TypeAliasType):
        try:
            return metadata(origin.__value__)
        except NameError:  # evaluated here for the first time; whoever needs the value warns
            return ()
    if origin is Annotated:
        inner, *added = get_args(annotation)
        return (*metadata(inner), *added)
    return ()
