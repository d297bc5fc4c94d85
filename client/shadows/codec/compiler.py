"""Turns an annotation into the plan that its values travel by."""

import inspect
import sys
import types
import typing
from collections import Counter, OrderedDict, abc, deque
from typing import Annotated, Any, Literal, TypeAliasType, Union, get_args, get_origin

from msgspec import UnsetType

from shadows.codec.containers import MappingPlan, SequencePlan, TuplePlan, TypedDictPlan
from shadows.codec.hints import Scope, Unresolved, class_hints, logger
from shadows.codec.plans import BOOL, BYTES, FLOAT, INT, LOOSE, NONE, STR, OpaquePlan, Plan
from shadows.codec.record_fields import record_plan
from shadows.codec.scalars import LiteralPlan, subclass_plan, text_plan
from shadows.codec.unions import UnionPlan
from shadows.codec.validation import constrained, pydantic_plan

DIRECT: dict[Any, Plan] = {
    inspect.Parameter.empty: LOOSE,
    Unresolved: LOOSE,
    Any: LOOSE,
    object: LOOSE,
    None: NONE,
    type(None): NONE,
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: STR,
    bytes: BYTES,
}
SEQUENCES: tuple[type, ...] = (list, set, frozenset, deque)
# An abstract container takes these, and tags tell them apart. A str is a sequence of str as well, see
# `_abstract`.
ABSTRACT: dict[Any, tuple[type, ...]] = {
    abc.Sequence: (list, tuple),
    abc.MutableSequence: (list,),
    abc.Collection: (list, tuple, set, frozenset),
    abc.Iterable: (list, tuple, set, frozenset),
    abc.Container: (list, tuple, set, frozenset),
    abc.Reversible: (list, tuple),
    abc.Set: (set, frozenset),
    abc.MutableSet: (set,),
}
WRAPPERS = frozenset({"Unpack", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar", "InitVar"})


def compiled(annotation: Any, scope: Scope, place: str) -> Plan:
    """The plan for the annotation of one parameter, or of the result."""
    try:
        return Compiler().plan(annotation, scope, place)
    except RecursionError:
        logger.warning("The annotation %r of %s %s has no end, and counts as absent.", annotation, scope.owner, place)
        return LOOSE


class LazyPlan(Plan):
    """Stands for a plan that is still being built, where a class or an alias refers to itself."""

    target: Plan

    def dump(self, value: Any) -> Any:
        return self.target.dump(value)

    def load(self, wire: Any) -> Any:
        return self.target.load(wire)


class Compiler:
    """Builds the plans of one signature.

    It remembers which it is building, so that types may be recursive.
    """

    def __init__(self) -> None:
        self._building: dict[Any, LazyPlan] = {}

    def plan(self, annotation: Any, scope: Scope, place: str) -> Plan:
        """The plan for `annotation`, whose names are looked up in `scope`; `place` is for warnings."""
        annotation = scope.resolve(annotation, place)
        try:
            direct = DIRECT.get(annotation) or scope.variables.get(annotation)
        except TypeError:  # unhashable metadata in Annotated
            direct = None
        if direct is not None:
            return direct
        if getattr(annotation, "__unpacked__", False) is True:
            return LOOSE  # `*args: *tuple[int, str]` says nothing about each of them
        if isinstance(annotation, TypeAliasType):
            return self._alias(annotation, (), scope, place)
        if hasattr(annotation, "__supertype__"):
            return self.plan(annotation.__supertype__, scope, place)
        origin = get_origin(annotation)
        if origin is not None:
            return self._parametrized(annotation, origin, scope, place)
        if isinstance(annotation, type):
            return self._class(annotation, (), scope, place)
        return LOOSE  # a type variable that nothing is known about, or a form of the future

    def _parametrized(self, annotation: Any, origin: Any, scope: Scope, place: str) -> Plan:
        arguments = get_args(annotation)
        if origin is Annotated:
            return constrained(self.plan(arguments[0], scope, place), annotation)
        if getattr(origin, "__name__", getattr(origin, "_name", "")) in WRAPPERS:
            return self.plan(arguments[0], scope, place)
        if origin is Union or origin is types.UnionType:
            return self._union(arguments, scope, place)
        if origin is Literal:
            return LiteralPlan(arguments)
        if isinstance(origin, TypeAliasType):
            return self._alias(origin, arguments, scope, place)
        return self._class(origin, arguments, scope, place)

    def _union(self, arguments: tuple[Any, ...], scope: Scope, place: str) -> Plan:
        members: list[Plan] = []
        for argument in arguments:
            if argument is UnsetType:
                continue
            plan = self.plan(argument, scope, place)
            if plan is LOOSE:
                return LOOSE
            members.extend(plan.members if isinstance(plan, UnionPlan) else (plan,))
        return members[0] if len(members) == 1 else UnionPlan(members)

    def _alias(self, alias: TypeAliasType, arguments: tuple[Any, ...], scope: Scope, place: str) -> Plan:
        plans = tuple(self.plan(argument, scope, place) for argument in arguments)

        def build() -> Plan:
            module = sys.modules.get(alias.__module__ or "")
            variables: dict[Any, Plan] = dict(zip(alias.__type_params__, plans, strict=False))
            inner = Scope(f"type {alias.__name__}", vars(module) if module else {}, {}, variables)
            try:
                value = alias.__value__
            except Exception:  # evaluated here for the first time, so a name may turn out to be missing
                return self.plan(alias.__name__ + ".__value__", inner, place)
            return self.plan(value, inner, place)

        return self._once((alias, *map(id, plans)), build)

    def _class(self, kind: Any, arguments: tuple[Any, ...], scope: Scope, place: str) -> Plan:
        container = self._container(kind, arguments, scope, place)
        if container is not None:
            return container
        if not isinstance(kind, type):
            return LOOSE
        found = text_plan(kind)
        if found is not None:
            return found
        plans = tuple(self.plan(argument, scope, place) for argument in arguments if not isinstance(argument, list))
        return self._once((kind, *map(id, plans)), lambda: self._user_class(kind, plans))

    def _container(self, kind: Any, arguments: tuple[Any, ...], scope: Scope, place: str) -> Plan | None:
        known = kind in SEQUENCES or kind in ABSTRACT or kind in (tuple, dict, OrderedDict, Counter)
        if not known and kind not in (abc.Mapping, abc.MutableMapping):
            return None
        if kind is tuple and arguments and Ellipsis not in arguments:
            return TuplePlan(tuple(self.plan(argument, scope, place) for argument in arguments))
        plans = [self.plan(argument, scope, place) for argument in arguments if argument is not Ellipsis]
        item = plans[0] if plans else LOOSE
        if kind in ABSTRACT:
            return _abstract(ABSTRACT[kind], item)
        if kind is tuple or kind in SEQUENCES:
            return SequencePlan(kind, item)
        if kind is Counter:
            return MappingPlan(Counter, item, INT)
        return MappingPlan(OrderedDict if kind is OrderedDict else dict, item, plans[1] if plans else LOOSE)

    def _user_class(self, kind: type, plans: tuple[Plan, ...]) -> Plan:
        hints = class_hints(kind, dict(zip(getattr(kind, "__parameters__", ()), plans, strict=False)))

        def field_plan(name: str, otherwise: Any) -> Plan:
            annotation, scope = hints.get(name) or (otherwise, Scope(kind.__qualname__, {}, {}))
            return self.plan(annotation, scope, name)

        if type(kind).__name__ == "_TypedDictMeta":
            return _typed_dict(kind, {name: field_plan(name, Any) for name in hints}, hints)
        pydantic = sys.modules.get("pydantic")
        if pydantic is not None and hasattr(kind, "__get_pydantic_core_schema__"):
            return pydantic_plan(kind, pydantic)
        return record_plan(kind, field_plan) or subclass_plan(kind) or OpaquePlan(kind)

    def _once(self, key: Any, build: typing.Callable[[], Plan]) -> Plan:
        running = self._building.get(key)
        if running is not None:
            return running
        lazy = self._building[key] = LazyPlan()
        try:
            lazy.target = build()
        finally:
            del self._building[key]
        lazy.name, lazy.plain, lazy.scalar = lazy.target.name, lazy.target.plain, lazy.target.scalar
        return lazy.target


def _abstract(kinds: tuple[type, ...], item: Plan) -> Plan:
    members: list[Plan] = [SequencePlan(kind, item) for kind in kinds]
    if tuple in kinds:
        members += [plan for plan, inner in ((STR, str), (BYTES, int)) if inner in item.plain]
    return members[0] if len(members) == 1 else UnionPlan(members)


def _typed_dict(kind: Any, fields: dict[str, Plan], hints: dict[str, tuple[Any, Scope]]) -> Plan:
    required = set(kind.__required_keys__)
    # The class can't see these marks where its annotations are text.
    for name, (hint, scope) in hints.items():
        mark = getattr(get_origin(scope.resolve(hint, name)), "_name", None)
        if mark == "NotRequired":
            required.discard(name)
        elif mark == "Required":
            required.add(name)
    return TypedDictPlan(kind.__qualname__, fields, frozenset(required))
