"""Plans of containers: lists, sets, tuples, dictionaries and their kin, checked item by item."""

from collections.abc import Callable, Iterable
from typing import Any

from shadows.amounts import counted
from shadows.codec.plans import Mismatch, Plan, type_name


def dump_items(plan: Plan, items: Iterable[Any]) -> list[Any]:
    """The wire forms of the items."""
    wires = []
    for index, item in enumerate(items):
        try:
            wires.append(item if type(item) in plan.plain else plan.dump(item))
        except Mismatch as mismatch:
            raise mismatch.under(f"[{index}]") from None
    return wires


def load_items(plan: Plan, wires: Iterable[Any]) -> list[Any]:
    """The items of these wire forms."""
    items = []
    for index, wire in enumerate(wires):
        try:
            items.append(wire if type(wire) in plan.plain else plan.load(wire))
        except Mismatch as mismatch:
            raise mismatch.under(f"[{index}]") from None
    return items


class SequencePlan(Plan):
    """Lists, sets, frozensets, deques and tuples of any length, whose items all follow one plan."""

    def __init__(self, kind: Any, item: Plan) -> None:
        self.kind = kind
        self.item = item
        self.name = f"{type_name(kind)} of {item.name}"

    @property
    def tag(self) -> str:
        return type_name(self.kind)

    def dump(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise Mismatch(value, type_name(self.kind), changed=isinstance(value, self.kind))
        if getattr(value, "maxlen", None) is not None:
            raise Mismatch(value, "a deque without maxlen", changed=True)
        if self.item.plain.issuperset(map(type, value)):
            return value if self.kind is list else list(value)
        return dump_items(self.item, value)

    def load(self, wire: Any) -> Any:
        if type(wire) is not list:
            raise Mismatch(wire, type_name(self.kind))
        items = wire if self.item.plain.issuperset(map(type, wire)) else load_items(self.item, wire)
        if self.kind is list:
            return items
        try:
            return self.kind(items)
        except TypeError:
            raise Mismatch(wire, f"hashable items for a {self.name}") from None


class TuplePlan(Plan):
    """Tuples of a fixed length, a plan for each place."""

    def __init__(self, items: tuple[Plan, ...]) -> None:
        self.items = items
        self.name = f"tuple of {counted(len(items), 'item')}"

    @property
    def tag(self) -> str:
        return "tuple"

    def dump(self, value: Any) -> Any:
        if type(value) is not tuple or len(value) != len(self.items):
            raise Mismatch(value, self.name, changed=type(value) is not tuple and isinstance(value, tuple))
        return self._each(value, "dump")

    def load(self, wire: Any) -> Any:
        if type(wire) is not list or len(wire) != len(self.items):
            raise Mismatch(wire, self.name)
        return tuple(self._each(wire, "load"))

    def _each(self, items: Iterable[Any], direction: str) -> list[Any]:
        done = []
        for index, (plan, item) in enumerate(zip(self.items, items, strict=True)):
            try:
                done.append(item if type(item) in plan.plain else getattr(plan, direction)(item))
            except Mismatch as mismatch:
                raise mismatch.under(f"[{index}]") from None
        return done


class MappingPlan(Plan):
    """Dictionaries with a plan for keys and one for values.

    Keys that msgpack has no form for travel as pairs.
    """

    def __init__(self, kind: Any, key: Plan, value: Plan) -> None:
        self.kind = kind
        self.key = key
        self.value = value
        self.name = f"{type_name(kind)} of {key.name} to {value.name}"

    @property
    def tag(self) -> str:
        return type_name(self.kind)

    def dump(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise Mismatch(value, type_name(self.kind), changed=isinstance(value, self.kind))
        plain_keys = self.key.plain.issuperset(map(type, value))
        if plain_keys and self.kind is dict and self.value.plain.issuperset(map(type, value.values())):
            return value
        pairs = self._each(value.items(), self.key.dump, self.value.dump)
        return dict(pairs) if plain_keys or self.key.scalar else pairs

    def load(self, wire: Any) -> Any:
        if type(wire) is dict:
            pairs: Iterable[Any] = wire.items()
        elif type(wire) is list and all(type(pair) is list and len(pair) == 2 for pair in wire):
            pairs = wire
        else:
            raise Mismatch(wire, type_name(self.kind))
        try:
            return self.kind(dict(self._each(pairs, self.key.load, self.value.load)))
        except TypeError:
            raise Mismatch(wire, f"hashable keys for a {self.name}") from None

    def _each(
        self, pairs: Iterable[Any], key_step: Callable[[Any], Any], value_step: Callable[[Any], Any]
    ) -> list[list[Any]]:
        done = []
        for key, value in pairs:
            try:
                done_key = key_step(key)
            except Mismatch as mismatch:
                raise mismatch.under(" key") from None
            try:
                done.append([done_key, value_step(value)])
            except Mismatch as mismatch:
                raise mismatch.under(f"[{key!r}]") from None
        return done


class TypedDictPlan(Plan):
    """The dictionaries of a TypedDict: known keys only, required ones present."""

    def __init__(self, name: str, fields: dict[str, Plan], required: frozenset[str]) -> None:
        self.name = name
        self.fields = fields
        self.required = required

    def dump(self, value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(value, self.name, changed=isinstance(value, dict))
        for key in value:
            if key not in self.fields:
                raise Mismatch(value, f"{self.name}, which has no key {key!r}")
        return self._each(value, "dump")

    def load(self, wire: Any) -> Any:
        if type(wire) is not dict:
            raise Mismatch(wire, self.name)
        # A key that this release of the task does not know comes from a newer one: it is left out, as in
        # records.
        return self._each({key: wire[key] for key in wire if key in self.fields}, "load")

    def _each(self, items: dict[str, Any], direction: str) -> dict[str, Any]:
        missing = sorted(self.required.difference(items))
        if missing:
            raise Mismatch(items, f"{self.name}, whose key {missing[0]!r} is required")
        done = {}
        for key, item in items.items():
            plan = self.fields[key]
            try:
                done[key] = item if type(item) in plan.plain else getattr(plan, direction)(item)
            except Mismatch as mismatch:
                raise mismatch.under(f"[{key!r}]") from None
        return done
