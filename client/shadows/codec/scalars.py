"""Plans of single values that travel as text.

Dates and times, numbers, identifiers, paths, enumerations, literals.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from typing import Any
from uuid import UUID

from shadows import lazy
from shadows.codec.identical import identical
from shadows.codec.plans import SCALARS, Mismatch, Plan, type_name

MICROSECOND = timedelta(microseconds=1)
# Classes of the standard library that `str` writes and the class itself reads. Named, because importing them
# costs.
WRITTEN_BY_STR = frozenset(
    {
        "decimal.Decimal",
        "fractions.Fraction",
        "ipaddress.IPv4Address",
        "ipaddress.IPv4Interface",
        "ipaddress.IPv4Network",
        "ipaddress.IPv6Address",
        "ipaddress.IPv6Interface",
        "ipaddress.IPv6Network",
        "pathlib.PosixPath",
        "pathlib.PurePosixPath",
        "pathlib.PureWindowsPath",
        "pathlib.WindowsPath",
        "uuid.UUID",
        "zoneinfo.ZoneInfo",
    }
)


class TextPlan(Plan):
    """Instances of exactly one class, by a pair of functions to and from a scalar of msgpack."""

    scalar = True

    def __init__(self, kind: type, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> None:
        self.kind = kind
        self.name = type_name(kind)
        self.write = write
        self.read = read

    def dump(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise Mismatch(value, self.name, changed=isinstance(value, self.kind))
        return self.write(value)

    def load(self, wire: Any) -> Any:
        try:
            return self.read(wire)
        except Exception:
            raise Mismatch(wire, self.name) from None


class ProvenPlan(TextPlan):
    """As TextPlan, where only a try tells whether the instance comes back: users' classes, zones from files.

    With `plain_only`, an instance with attributes is refused: they would be lost.
    """

    def __init__(
        self, kind: type, write: Callable[[Any], Any], read: Callable[[Any], Any], plain_only: bool = False
    ) -> None:
        super().__init__(kind, write, read)
        self.plain_only = plain_only

    def dump(self, value: Any) -> Any:
        wire = super().dump(value)
        extra = self.plain_only and getattr(value, "__dict__", None)
        if extra or not identical(self.load(wire), value):
            raise Mismatch(value, f"a {self.name} that is nothing beside its value", changed=True)
        return wire


class PathPlan(TextPlan):
    """`Path` and `PurePath`: calling them makes an instance of the system's own subclass."""

    def __init__(self, kind: type) -> None:
        super().__init__(kind, str, kind)
        self.native = type(kind())

    def dump(self, value: Any) -> Any:
        if type(value) is not self.native:
            raise Mismatch(value, self.name, changed=isinstance(value, self.kind))
        return str(value)


class EnumPlan(Plan):
    """Members of an enumeration by name, so that any value will do.

    Flags by value, since their unions have no name.
    """

    scalar = True

    def __init__(self, kind: type[Enum]) -> None:
        self.kind = kind
        self.name = type_name(kind)
        self.by_value = issubclass(kind, Flag)

    def dump(self, value: Any) -> Any:
        if type(value) is not self.kind:
            raise Mismatch(value, f"a member of {self.name}")
        return value.value if self.by_value else value.name

    def load(self, wire: Any) -> Any:
        try:
            return self.kind(wire) if self.by_value else self.kind[wire]
        except Exception:  # whatever a `_missing_` of the user's raises
            raise Mismatch(wire, f"a member of {self.name}") from None


class LiteralPlan(Plan):
    """The values of a `Literal`; members of enumerations travel as a pair of class and member name."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.name = f"Literal[{', '.join(map(repr, values))}]"
        # The class is part of the key because True == 1.
        self.wires = {(type(value), value): _literal_wire(value) for value in values}
        self.values = {_literal_key(wire): value for (_, value), wire in self.wires.items()}
        self.scalar = all(type(wire) in SCALARS for wire in self.wires.values())

    def dump(self, value: Any) -> Any:
        try:
            return self.wires[type(value), value]
        except (KeyError, TypeError):
            raise Mismatch(value, self.name) from None

    def load(self, wire: Any) -> Any:
        try:
            return self.values[_literal_key(wire)]
        except (KeyError, TypeError):
            raise Mismatch(wire, self.name) from None


def _literal_wire(value: Any) -> Any:
    return [type(value).__qualname__, value.name] if isinstance(value, Enum) else value


def _literal_key(wire: Any) -> tuple[Any, ...]:
    return (list, *wire) if type(wire) is list else (type(wire), wire)


def write_time(value: datetime | time) -> str:
    """ISO 8601 with the offset, and, where there are any, the zone's key in brackets and the fold."""
    text = value.isoformat()
    key = getattr(value.tzinfo, "key", None)
    zone = f"[{key}]" if isinstance(key, str) and type(value.tzinfo).__module__ == "zoneinfo" else ""
    return f"{text}{zone}{'~' if value.fold else ''}"


def read_datetime(text: str) -> datetime:
    """The inverse of `write_time` for a datetime."""
    return _read_time(datetime, text)


def read_time(text: str) -> time:
    """The inverse of `write_time` for a time of day."""
    return _read_time(time, text)


def _read_time[T: (datetime, time)](kind: type[T], text: str) -> T:
    fold = text.endswith("~")
    text, bracket, key = text.removesuffix("~").partition("[")
    value = kind.fromisoformat(text)
    if bracket:
        value = value.replace(tzinfo=lazy.zoneinfo().ZoneInfo(key.removesuffix("]")))
    return value.replace(fold=1) if fold else value


def write_timedelta(value: timedelta) -> int:
    """All microseconds: at most 57 bits."""
    return value // MICROSECOND


def read_timedelta(microseconds: int) -> timedelta:
    """The inverse of `write_timedelta`."""
    if type(microseconds) is not int:
        raise ValueError(microseconds)
    return timedelta(microseconds=microseconds)


def text_plan(kind: type) -> Plan | None:
    """The plan for one of the standard library's classes of single values, if `kind` is one."""
    known = TEXT_PLANS.get(kind)
    if known is not None:
        return known
    if issubclass(kind, Enum):
        return EnumPlan(kind)
    if type_name(kind) in ("pathlib.Path", "pathlib.PurePath"):
        return PathPlan(kind)
    if type_name(kind) in WRITTEN_BY_STR:
        return ProvenPlan(kind, str, kind)
    return None


def subclass_plan(kind: type) -> Plan | None:
    """The plan for a subclass of str, int or float, if `kind` is one."""
    for parent, write in ((str, str.__str__), (int, int.__int__), (float, float.__float__)):
        if issubclass(kind, parent):
            return ProvenPlan(kind, write, kind, plain_only=True)
    return None


TEXT_PLANS: dict[type, Plan] = {
    datetime: TextPlan(datetime, write_time, read_datetime),
    date: TextPlan(date, date.isoformat, date.fromisoformat),
    time: TextPlan(time, write_time, read_time),
    timedelta: TextPlan(timedelta, write_timedelta, read_timedelta),
    UUID: TextPlan(UUID, str, UUID),
    Decimal: TextPlan(Decimal, str, Decimal),
    bytearray: TextPlan(bytearray, bytes, bytearray),
    complex: TextPlan(complex, repr, complex),
}
