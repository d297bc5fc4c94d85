"""What a plan is: how values of one annotation become msgpack's own types, their wire form, and come back.

A plan checks while it dumps, so that what can't come back as it was is refused in the caller. `plain` names
the exact classes whose instances are their own wire form: calls and containers made of these alone skip the
plans altogether.
"""

from abc import ABC, abstractmethod
from typing import Any

SCALARS: frozenset[type] = frozenset({type(None), bool, int, float, str, bytes})
LONGEST_VALUE = 120


class Mismatch(Exception):
    """A value that its annotation does not allow, or that would come back changed; `path` leads to it."""

    def __init__(self, value: object, expected: str, changed: bool = False) -> None:
        super().__init__(expected)
        self.value = value
        self.expected = expected
        # True: the annotation would allow the value, yet it could not come back as it was.
        self.changed = changed
        self.path = ""

    def under(self, step: str) -> "Mismatch":
        """The same mismatch as seen from the value that holds it."""
        self.path = step + self.path
        return self


class Plan(ABC):
    """How values of one annotation travel."""

    plain: frozenset[type] = frozenset()
    # Whether every wire form is one of SCALARS, and thus may be a key of a msgpack map.
    scalar = False
    name = "anything"

    @property
    def tag(self) -> str:
        """What tells the plan's values apart in a union.

        Stored, so it should outlive small changes of the task.
        """
        return self.name

    @abstractmethod
    def dump(self, value: Any) -> Any:
        """The wire form of `value`; raises Mismatch if it is none of the plan's values."""

    @abstractmethod
    def load(self, wire: Any) -> Any:
        """The value whose wire form this is; raises Mismatch if it is none."""


def shown(value: object) -> str:
    """The value as error messages show it: short, on one line, with its type."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<its repr raises {type(error).__name__}>"
    text = text.replace("\n", "\\n")
    if len(text) > LONGEST_VALUE:
        text = f"{text[: LONGEST_VALUE - 20]}...{text[-17:]}"
    return f"{text} ({type_name(type(value))})"


def type_name(kind: type) -> str:
    """The name of a class as a reader of the task's module would write it."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class PlainPlan(Plan):
    """Values of exact classes that msgpack carries unchanged: None, bool, int, str, bytes."""

    scalar = True

    def __init__(self, name: str, *classes: type) -> None:
        self.name = name
        self.plain = frozenset(classes)

    def dump(self, value: Any) -> Any:
        if type(value) in self.plain:
            return value
        subclass = isinstance(value, tuple(self.plain))
        raise Mismatch(value, self.name, changed=subclass)

    def load(self, wire: Any) -> Any:
        return self.dump(wire)


class FloatPlan(PlainPlan):
    """Floats.

    An int is taken where it is a float's exact value, as type checkers do, and comes back as a float.
    """

    def __init__(self) -> None:
        super().__init__("float", float)

    def dump(self, value: Any) -> Any:
        if type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                raise Mismatch(value, "float", changed=True) from None
            if number != value:
                raise Mismatch(value, "float", changed=True)
            return number
        return super().dump(value)


class LoosePlan(Plan):
    """Where no annotation directs: only what msgpack itself returns as it was, all the way down."""

    plain = SCALARS

    def dump(self, value: Any) -> Any:
        kind = type(value)
        if kind in SCALARS:
            return value
        if kind is list:
            if not SCALARS.issuperset(map(type, value)):
                self._check_items(enumerate(value))
            return value
        if kind is dict:
            if not SCALARS.issuperset(map(type, value)):
                odd = next(key for key in value if type(key) not in SCALARS)
                raise Mismatch(odd, "a key of type str, int, float, bool, bytes or None", changed=True).under(" key")
            if not SCALARS.issuperset(map(type, value.values())):
                self._check_items(value.items())
            return value
        raise Mismatch(value, "None, bool, int, float, str, bytes, list or dict", changed=True)

    def _check_items(self, items: Any) -> None:
        for step, item in items:
            try:
                self.dump(item)
            except Mismatch as mismatch:
                raise mismatch.under(f"[{step!r}]") from None

    def load(self, wire: Any) -> Any:
        return wire


class OpaquePlan(LoosePlan):
    """A class that the codec knows no way to carry.

    What msgpack returns unchanged still may be an instance of it.
    """

    plain = frozenset()

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.name = type_name(kind)

    def dump(self, value: Any) -> Any:
        try:
            fits = isinstance(value, self.kind)
        except TypeError:  # a protocol that is not runtime checkable
            fits = True
        if not fits:
            raise Mismatch(value, self.name)
        return super().dump(value)


NONE = PlainPlan("None", type(None))
BOOL = PlainPlan("bool", bool)
# Type checkers pass a bool for an int, and msgpack keeps the two apart.
INT = PlainPlan("int", int, bool)
FLOAT = FloatPlan()
STR = PlainPlan("str", str)
BYTES = PlainPlan("bytes", bytes)
LOOSE = LoosePlan()
